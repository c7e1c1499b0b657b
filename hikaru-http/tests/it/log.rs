//! The log: one line a request, with what an operator asks for, and never a secret.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use hikaru_core::{
    jobs::{JobCreated, JobName},
    port::{ClusterError, Found, Freshness, WorkloadPort},
    testing::MockWorkloadPort,
    workload::Owner,
};
use hikaru_http::{Authentication, Limits};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
    subscriber::DefaultGuard,
};

use crate::{
    client::{Client, LONG, call, call_with, call_with_body, request},
    cluster::{
        BEFORE, Gate, POSTED, memory, mock_jobs, runs, serve, serve_jobs, serve_with, shop, tokens,
        workload,
    },
};

const POST: &str = "/api/image/acme/web:acme_web_main_1.4.0_7_0123abcd";

type Line = (Level, BTreeMap<String, String>);

/// Keeps what is logged on this thread, which is all that a test's runtime has.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<Line>>>);

struct Fields(BTreeMap<String, String>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().into(), format!("{value:?}"));
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("hikaru_http")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(BTreeMap::new());
        event.record(&mut fields);
        let line = (*event.metadata().level(), fields.0);
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
    }
}

impl Log {
    pub(crate) fn start() -> (Self, DefaultGuard) {
        let log = Self::default();
        let guard = tracing::subscriber::set_default(log.clone());
        (log, guard)
    }

    /// The lines that are no trace, at this level; a request's line with its changing parts checked and taken out.
    pub(crate) fn lines(&self, level: Level) -> Vec<BTreeMap<String, String>> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = lines
            .iter()
            .filter(|(l, _)| *l == level)
            .map(|(_, fields)| fields.clone());
        lines
            .map(|mut fields| {
                if let Some(duration) = fields.remove("duration_ms") {
                    duration.parse::<u64>().expect("milliseconds");
                    let peer = fields.remove("peer").expect("a peer");
                    assert!(peer.starts_with("127.0.0.1:"), "{peer}");
                    assert!(fields.remove("request_id").is_some_and(|id| !id.is_empty()));
                }
                fields
            })
            .collect()
    }
}

/// The lines of requests, without those of what they changed.
pub(crate) fn requests(log: &Log) -> Vec<BTreeMap<String, String>> {
    let mut lines = log.lines(Level::INFO);
    lines.retain(|line| !line.contains_key("outcome"));
    lines
}

pub(crate) fn fields(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

#[tokio::test]
async fn one_line_a_request() {
    let (log, _guard) = Log::start();
    let tokens = tokens(["s3cret-t0ken-of-ours", "n3xt-t0ken-of-ours"]);
    let cluster = memory([
        workload("shop", "Deployment", "web", &[("web", BEFORE)]),
        workload("shop", "Deployment", "same", &[("web", POSTED)]),
    ]);
    let server = serve_with(cluster, tokens, Limits::default()).await;
    let good = ["Authorization: Bearer n3xt-t0ken-of-ours"];
    call_with(server.address(), "POST", POST, &good).await;
    let target = "/api/image/a%0ab?secret=s3cret";
    call_with(
        server.address(),
        "GET",
        target,
        &["Authorization: Bearer s3cret-t0ken-of-ours"],
    )
    .await;
    call_with(server.address(), "GET", "/api/image/a%0ab", &good).await;
    call_with(
        server.address(),
        "POST",
        POST,
        &["Authorization: Bearer wr0ng"],
    )
    .await;
    call(server.address(), "GET", "/livez").await;
    // What never became a request is no line for an operator.
    let mut client = Client::connect(server.address()).await;
    client.send("nonsense\r\n\r\n").await;
    client.answer().await;

    let route = ("route", "/api/image/{image}");
    let answered = ("message", "answered");
    assert_eq!(
        requests(&log),
        [
            fields(&[
                answered,
                ("method", "POST"),
                route,
                ("caller", "token 2"),
                ("image", POSTED),
                ("status", "200"),
                ("upgrade", "1"),
                ("equal", "1"),
                ("obsolete", "0"),
                ("skipped", "0"),
                ("failed", "0"),
            ]),
            fields(&[
                answered,
                ("method", "GET"),
                route,
                ("caller", "token 1"),
                ("problem", "bad-query"),
                ("status", "400")
            ]),
            fields(&[
                answered,
                ("method", "GET"),
                route,
                ("caller", "token 2"),
                ("image", "a\\nb"),
                ("problem", "bad-reference"),
                ("status", "400"),
            ]),
            fields(&[
                answered,
                ("method", "POST"),
                route,
                ("problem", "unauthorized"),
                ("code", "bad-credentials"),
                ("status", "401")
            ]),
        ]
    );
    let debug = log.lines(Level::DEBUG);
    let judged = debug.iter().filter(|line| line["message"] == "judged");
    let codes: Vec<&str> = judged.map(|line| &*line["code"]).collect();
    assert_eq!(codes, ["equal", "upgrade"]);
    let probe = fields(&[
        answered,
        ("method", "GET"),
        ("route", "/livez"),
        ("status", "200"),
    ]);
    assert!(debug.contains(&probe), "{debug:?}");
    let all = format!("{:?}", log.0);
    for secret in ["s3cret", "n3xt", "wr0ng"] {
        assert!(!all.contains(secret), "{secret} in the log");
    }
}

/// What the log has of the changes that a call makes, at this level: each line without its request's id.
async fn changes(
    cluster: Arc<dyn WorkloadPort>,
    method: &str,
    target: &str,
    level: Level,
) -> Vec<BTreeMap<String, String>> {
    let (log, _guard) = Log::start();
    let tokens = tokens(["s3cret-t0ken-of-a-test"]);
    let server = serve_with(cluster, tokens, Limits::default()).await;
    let headers = [
        "Authorization: Bearer s3cret-t0ken-of-a-test",
        "X-Request-Id: run-7",
    ];
    call_with(server.address(), method, target, &headers).await;
    let mut lines = log.lines(level);
    lines.retain(|line| line["message"] != "answered");
    for line in &mut lines {
        assert_eq!(
            line.remove("request_id").as_deref(),
            Some("run-7"),
            "{line:?}"
        );
        assert_eq!(
            line.remove("caller").as_deref(),
            Some("token 1"),
            "{line:?}"
        );
    }
    lines
}

#[tokio::test]
async fn one_line_a_change() {
    let place = [
        ("namespace", "shop"),
        ("kind", "Deployment"),
        ("name", "web"),
    ];
    let upgrade = [("container", "web"), ("from", BEFORE), ("to", POSTED)];
    let sentence = |how: &str| {
        format!("the container web of shop/Deployment/web {how} from {BEFORE} to {POSTED}")
    };
    let of = |message: &str, more: &[(&str, &str)]| {
        fields(&[&place[..], &[("message", message)], more].concat())
    };
    let town = || {
        let mut web = workload(
            "shop",
            "Deployment",
            "web",
            &[("web", BEFORE), ("same", POSTED)],
        );
        web.owner = Some(Owner::Helm {
            release: "web".into(),
        });
        memory([
            web,
            workload("shop", "Deployment", "same", &[("web", POSTED)]),
        ])
    };
    for (query, outcome, how) in [
        ("", "upgraded", "was upgraded"),
        ("?dryRun=true", "would-upgrade", "would be upgraded"),
    ] {
        let target = format!("{POST}{query}");
        let expected = of(
            &sentence(how),
            &[&upgrade[..], &[("outcome", outcome)]].concat(),
        );
        assert_eq!(
            changes(town(), "POST", &target, Level::INFO).await,
            [expected]
        );
    }
    let warnings = changes(town(), "POST", POST, Level::WARN).await;
    let [warning] = &warnings[..] else {
        panic!("{warnings:?}")
    };
    assert_eq!(*warning, of(&warning["message"], &[]));
    let told = "shop/Deployment/web: the Helm release web ";
    assert!(warning["message"].starts_with(told), "{warning:?}");

    let mut refuses = MockWorkloadPort::new();
    refuses.expect_freshness().return_const(Freshness::Fresh);
    refuses.expect_find().returning(|_| {
        let web = workload("shop", "Deployment", "web", &[("web", BEFORE)]);
        Ok(Found::new(vec![web.into()], Vec::new()))
    });
    let denied = || ClusterError::Invalid("admission webhook denied".into());
    refuses
        .expect_write_all()
        .returning(move |_, _| vec![Err(denied())]);
    let failed = [
        ("outcome", "failed"),
        ("error", "refused: admission webhook denied"),
    ];
    let message = sentence("could not be upgraded");
    let expected = of(&message, &[&upgrade[..], &failed].concat());
    assert_eq!(
        changes(Arc::new(refuses), "POST", POST, Level::WARN).await,
        [expected]
    );

    let mut web = workload("shop", "Deployment", "web", &[("web", BEFORE)]);
    web.containers[0].mark = Some("1.4.0_7_d5ecc80e".into());
    let target = "/api/hold/shop/deploy/web";
    let removed = "the high-water mark 1.4.0_7_d5ecc80e of the container web of shop/Deployment/web was removed";
    let unheld = [
        ("container", "web"),
        ("mark", "1.4.0_7_d5ecc80e"),
        ("outcome", "unheld"),
    ];
    let lines = changes(memory([web]), "DELETE", target, Level::INFO).await;
    assert_eq!(lines, [of(removed, &unheld)]);
}

#[tokio::test]
async fn the_line_of_a_change_names_the_image_as_it_is_written() {
    let shop = memory([workload(
        "shop",
        "Deployment",
        "web",
        &[("web", &format!("docker.io/{BEFORE}"))],
    )]);
    let lines = changes(shop.clone(), "POST", POST, Level::INFO).await;
    let written = format!("docker.io/{POSTED}");
    assert_eq!(runs(&shop), written);
    assert_eq!(lines[0]["to"], written);
    let message = &lines[0]["message"];
    assert!(message.ends_with(&format!(" to {written}")), "{message}");
}

#[tokio::test]
async fn a_plan_is_no_change() {
    let target = "/api/candidates/acme/web:acme_web_main_1.4.0_7_0123abcd";
    for level in [Level::INFO, Level::WARN] {
        assert_eq!(changes(shop(), "GET", target, level).await, []);
    }
}

#[tokio::test]
async fn a_head_that_is_never_finished_is_no_line_for_an_operator() {
    let (log, _guard) = Log::start();
    let mut limits = Limits::default();
    limits.header_time = std::time::Duration::from_millis(500);
    let server = serve_with(shop(), Authentication::Loopback, limits).await;
    let mut client = Client::connect(server.address()).await;
    client.send("GET /livez HTTP/1.1\r\nHo").await;
    assert_eq!(client.answer().await.status, 408);
    assert_eq!(log.lines(Level::INFO), []);
    let line = fields(&[
        ("message", "answered"),
        ("route", "none"),
        ("problem", "header-timeout"),
        ("status", "408"),
    ]);
    assert!(log.lines(Level::DEBUG).contains(&line));
}

#[tokio::test]
async fn an_upgrade_without_its_client_has_its_line() {
    let (log, _guard) = Log::start();
    let gate = Gate::new(shop());
    let server = serve(gate.clone()).await;
    let mut client = Client::connect(server.address()).await;
    client.send(request("POST", POST, &[])).await;
    gate.wait_for_writes(1).await;
    drop(client);
    gate.gate.add_permits(1);
    let mut draining = server.drain();
    tokio::time::timeout(LONG, draining.finished())
        .await
        .expect("the end");
    let lines = requests(&log);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["upgrade"], "1");
}

#[tokio::test]
async fn a_client_that_hangs_up_while_it_waits_has_its_line_and_no_upgrade() {
    let (log, _guard) = Log::start();
    let gate = Gate::new(shop());
    let mut limits = Limits::default();
    limits.upgrades = 1;
    let server = serve_with(gate.clone(), Authentication::Loopback, limits).await;
    let mut first = Client::connect(server.address()).await;
    first
        .send(request("POST", &format!("{POST}?dryRun=true"), &[]))
        .await;
    gate.wait_for_writes(1).await;
    let mut second = Client::connect(server.address()).await;
    second.send(request("POST", POST, &[])).await;
    // Begun after it, so it waits when this one is answered.
    call(server.address(), "GET", "/livez").await;
    drop(second);
    let gone = async {
        while log.lines(Level::INFO).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, gone).await.expect("its line");
    let lines = log.lines(Level::INFO);
    assert_eq!(
        lines[0]["message"],
        "not finished: the client hung up, or hikaru was stopped"
    );
    assert_eq!(lines[0].get("status"), None);
    gate.gate.add_permits(2);
    assert_eq!(first.answer().await.status, 200);
    let mut draining = server.drain();
    tokio::time::timeout(LONG, draining.finished())
        .await
        .expect("the end");
    assert_eq!(runs(&gate.cluster), BEFORE);
}

#[tokio::test]
async fn a_job_that_is_deleted_has_its_line_and_a_refusal_its_problem() {
    let (log, _guard) = Log::start();
    let jobs = mock_jobs(|jobs| {
        jobs.expect_delete().returning(|_, _| Ok(()));
    });
    let server = serve_jobs(jobs).await;
    let id = ["X-Request-Id: mine"];
    call_with(server.address(), "DELETE", "/api/job/shop/migrate", &id).await;
    call_with(server.address(), "GET", "/api/job/S3CRET", &id).await;
    let (id, caller) = (("request_id", "mine"), ("caller", "anonymous"));
    let deleted = fields(&[
        ("message", "the Job shop/migrate was deleted"),
        id,
        caller,
        ("namespace", "shop"),
        ("name", "migrate"),
        ("outcome", "deleted"),
    ]);
    assert_eq!(log.lines(Level::INFO)[0], deleted);
    let refused = fields(&[
        ("message", "refused"),
        id,
        caller,
        ("problem", "bad-name"),
        ("code", "bad-name"),
    ]);
    assert_eq!(log.lines(Level::DEBUG), [refused]);
    assert!(!format!("{:?}", log.0).contains("S3CRET"));
}

#[tokio::test]
async fn a_job_is_named_and_its_definition_is_not() {
    let (log, _guard) = Log::start();
    let jobs = mock_jobs(|jobs| {
        jobs.expect_create().returning(|_, _| {
            let name = JobName::new("shop", "migrate").expect("a name");
            Ok(JobCreated::new(name, "1"))
        });
        let gone = || ClusterError::NotFound("Job shop/migrate".into());
        jobs.expect_get().returning(move |_| Err(gone()));
    });
    let server = serve_jobs(jobs).await;
    let json = ["Content-Type: application/json"];
    let body = r#"{"password":"s3cret"}"#;
    call_with_body(server.address(), "/api/job", &json, body).await;
    call_with_body(
        server.address(),
        "/api/job/shop/from/nightly",
        &json,
        r#"{"s3cret":1}"#,
    )
    .await;
    call(server.address(), "GET", "/api/job/shop/migrate").await;
    // One that is never sent to its end.
    let mut client = Client::connect(server.address()).await;
    let head = request("POST", "/api/job", &[json[0], "Content-Length: 9"]);
    client.send(head).await;
    call(server.address(), "GET", "/livez").await;
    drop(client);
    let gone = async {
        while log.lines(Level::INFO).len() < 4 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, gone).await.expect("its line");
    let answered = ("message", "answered");
    let caller = ("caller", "anonymous");
    let job = ("job", "shop/migrate");
    let lines = log.lines(Level::INFO);
    assert_eq!(
        lines[..3],
        [
            fields(&[
                answered,
                ("method", "POST"),
                ("route", "/api/job"),
                caller,
                job,
                ("status", "201"),
            ]),
            fields(&[
                answered,
                ("method", "POST"),
                ("route", "/api/job/{namespace}/from/{cronjob}"),
                caller,
                ("problem", "bad-body"),
                ("status", "400"),
            ]),
            fields(&[
                answered,
                ("method", "GET"),
                ("route", "/api/job/{namespace}/{name}"),
                caller,
                job,
                ("problem", "no-such-job"),
                ("status", "404"),
            ]),
        ]
    );
    assert_eq!(lines[3]["route"], "/api/job");
    assert!(!format!("{:?}", log.0).contains("s3cret"));
}
