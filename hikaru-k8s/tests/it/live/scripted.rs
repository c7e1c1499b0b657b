//! Reading, listing and writing against an API server that fails in every way: what it means to a caller, and how often
//! it was asked.

use std::time::Duration;

use futures_util::future::join_all;
use hikaru_core::{
    Mode, plan,
    policy::Change,
    port::{ClusterError, Scope, Select, Severity, WorkloadPort as _, Written},
    upgrade,
    upgrade::{Outcome, candidates},
};
use serde_json::{Value, json};

use super::stub::{
    Step, Stub, build, cluster_at, deployment, empty, id, image, list, mark, page, post, settings,
    status,
};

/// A server with one Deployment, `web`, which runs build 1, that does this with patches.
async fn patched(step: impl Fn(usize) -> Step + Send + Sync + 'static) -> Stub {
    patched_object(deployment("web", 1, 1), step).await
}

async fn patched_object(
    object: Value,
    step: impl Fn(usize) -> Step + Send + Sync + 'static,
) -> Stub {
    Stub::start(move |asked, before| {
        if asked.method == "PATCH" {
            step(before)
        } else if asked.is_list_of("deployments") {
            Step::Answer(200, list(std::slice::from_ref(&object), 1))
        } else if asked.path.ends_with("/deployments/web") {
            Step::Answer(200, object.clone())
        } else {
            empty()
        }
    })
    .await
}

/// The change to build 2, judged on what the server shows.
async fn change(stub: &Stub) -> (hikaru_k8s::LiveCluster, Change) {
    let cluster = stub.cluster().await;
    let found = cluster.find(&Scope::new(Select::Build(build(2)))).await;
    let mut plan = plan(post(2), found.expect("an answer").workloads);
    let change = plan.entries.pop().and_then(|entry| entry.change);
    (cluster, change.expect("a change"))
}

async fn written(step: Step) -> (Result<(), ClusterError>, usize) {
    let mut object = deployment("web", 1, 1);
    object["metadata"]["annotations"]["hikaru.dev/upgrade"] = json!("auto");
    let stub = patched_object(object, move |_| step.clone()).await;
    let (cluster, change) = change(&stub).await;
    let written = cluster.write(&change, Mode::Commit).await;
    (written.map(drop), stub.count("PATCH"))
}

fn unavailable(message: &str, retry_after: Option<u64>) -> ClusterError {
    ClusterError::Unavailable {
        message: message.to_owned(),
        retry_after: retry_after.map(Duration::from_secs),
    }
}

#[tokio::test]
async fn what_a_refused_write_means() {
    let test = "the server rejected our request due to an error in our request";
    let mut invalid = status(
        422,
        "Invalid",
        "Deployment.apps \"web\" is invalid: spec: no",
    );
    invalid["details"] = json!({"name": "web", "causes": [{"message": "no", "field": "spec"}]});
    let denied = "admission webhook \"w.example\" denied the request: no";
    let webhook = "Internal error occurred: failed calling webhook \"w.example\": timeout";
    let lost = |words: &str| Err(ClusterError::Lost(words.to_owned()));
    let refused = |words: &str| Err(ClusterError::Invalid(words.to_owned()));
    let forbidden = |words: &str| Err(ClusterError::Forbidden(words.to_owned()));
    let cases = [
        (Step::Accept, Ok(())),
        (
            Step::Answer(422, status(422, "Invalid", test)),
            Err(ClusterError::Stale),
        ),
        (
            Step::Answer(409, status(409, "Conflict", "modified")),
            Err(ClusterError::Stale),
        ),
        (
            Step::Answer(422, invalid),
            refused("Deployment.apps \"web\" is invalid: spec: no"),
        ),
        (
            Step::Answer(422, status(422, "Invalid", denied)),
            refused(denied),
        ),
        (
            Step::Answer(400, status(400, "BadRequest", "unknown field")),
            refused("unknown field"),
        ),
        (
            Step::Answer(403, status(403, "Forbidden", denied)),
            forbidden(denied),
        ),
        (
            Step::Answer(401, status(401, "Unauthorized", "Unauthorized")),
            forbidden(
                "the API server does not take our credentials (none: neither a token nor certificate and key nor user \
                 and password is set in K8S_…): Unauthorized",
            ),
        ),
        (
            Step::Answer(404, status(404, "NotFound", "gone")),
            Err(ClusterError::NotFound("shop/Deployment/web".into())),
        ),
        (
            Step::RetryAfter(503, 2, status(503, "ServiceUnavailable", "not now")),
            Err(unavailable("not now", Some(2))),
        ),
        (
            Step::Answer(500, status(500, "InternalError", webhook)),
            Err(unavailable(webhook, None)),
        ),
        (
            Step::Answer(500, status(500, "", "etcdserver: request timed out")),
            lost("etcdserver: request timed out"),
        ),
        (
            Step::Answer(504, status(504, "Timeout", "timed out")),
            lost("timed out"),
        ),
        (
            Step::Html(502),
            lost("the server answers 502 Bad Gateway: <h1>Oh</h1>"),
        ),
        (
            Step::Html(503),
            lost("the server answers 503 Service Unavailable: <h1>Oh</h1>"),
        ),
    ];
    for (step, expected) in cases {
        let shown = format!("{step:?}");
        assert_eq!(written(step).await, (expected, 1), "{shown}");
    }
}

#[tokio::test]
async fn a_write_without_an_answer_is_lost_and_not_repeated() {
    for step in [Step::Cut, Step::Silence] {
        let shown = format!("{step:?}");
        let (written, times) = written(step).await;
        assert!(
            matches!(written, Err(ClusterError::Lost(_))),
            "{shown}: {written:?}"
        );
        assert_eq!(times, 1, "{shown}");
    }
}

#[tokio::test]
async fn what_the_server_warns_of_is_told() {
    let warned = || {
        Step::Warn(vec![
            r#"299 - "spec.template.spec.x: deprecated since v1.14""#.to_owned(),
            r#"299 - "a webhook\\s \"words\"""#.to_owned(),
        ])
    };
    let stub = patched(move |_| warned()).await;
    let cluster = stub.cluster().await;
    for mode in [Mode::DryRun, Mode::Commit] {
        let report = upgrade(&cluster, &hikaru_k8s::SystemClock::default(), post(2), mode)
            .await
            .expect("a report");
        let warnings = report.entries[0].entry.warnings.iter();
        let warnings: Vec<String> = warnings.map(ToString::to_string).collect();
        assert_eq!(
            warnings,
            [
                "the API server warns: spec.template.spec.x: deprecated since v1.14",
                r#"the API server warns: a webhook\s "words""#,
            ]
        );
    }
}

#[tokio::test]
async fn a_server_that_asks_for_patience_gets_it() {
    let busy = || Step::RetryAfter(429, 0, status(429, "TooManyRequests", "later"));
    let stub = patched(move |before| match before {
        0 | 1 => busy(),
        _ => Step::Accept,
    })
    .await;
    let (cluster, change) = change(&stub).await;
    assert_eq!(
        cluster.write(&change, Mode::Commit).await,
        Ok(Written::default())
    );
    assert_eq!(stub.count("PATCH"), 3);
    // But not for ever.
    let (written, times) = written(busy()).await;
    assert_eq!((written, times), (Err(unavailable("later", Some(0))), 4));
    // And nobody is kept waiting for a minute, nor knocks before it is over.
    let (written, times) = self::written(Step::RetryAfter(429, 60, Value::Null)).await;
    let words = "the server answers 429 Too Many Requests: null";
    assert_eq!((written, times), (Err(unavailable(words, Some(60))), 1));
}

#[tokio::test]
async fn a_server_that_is_away_was_sent_nothing() {
    let stub = patched(|_| Step::Cut).await;
    let (_, change) = change(&stub).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    // Nobody listens; and somebody who speaks no TLS.
    let no_tls = stub.url().replace("http:", "https:");
    for (url, expected) in [
        (
            format!("http://{address}"),
            "no connection: tcp connect error: Connection refused (os error 111)",
        ),
        (no_tls, "no connection: tls handshake eof"),
    ] {
        let cluster = cluster_at(&url).await;
        let written = cluster.write(&change, Mode::Commit).await;
        assert_eq!(written, Err(unavailable(expected, None)));
        let read = cluster.read(&id("web")).await;
        assert_eq!(read, Err(unavailable(expected, None)));
    }
}

#[tokio::test]
async fn a_lost_answer_is_found_out_by_reading() {
    // The write is applied, and the connection is cut before the answer.
    let stub = Stub::start(move |asked, before| {
        if asked.method == "PATCH" {
            return Step::Cut;
        }
        let n = if asked.path.ends_with("/deployments/web") && before == 0 {
            2
        } else {
            1
        };
        if asked.path.ends_with("/deployments/web") {
            let mut object = deployment("web", n, 2);
            object["metadata"]["labels"]["high-water.hikaru.dev/web"] = json!(mark(2));
            Step::Answer(200, object)
        } else if asked.is_list_of("deployments") {
            Step::Answer(200, list(&[deployment("web", 1, 1)], 1))
        } else {
            empty()
        }
    })
    .await;
    let cluster = stub.cluster().await;
    let report = upgrade(
        &cluster,
        &hikaru_k8s::SystemClock::default(),
        post(2),
        Mode::Commit,
    )
    .await
    .expect("a report");
    assert_eq!(report.entries[0].outcome, Outcome::Upgraded);
    assert_eq!(stub.count("PATCH"), 1);
}

#[tokio::test]
async fn the_patch_is_sent_as_it_should_be() {
    let stub = patched(|_| Step::Accept).await;
    let (cluster, change) = change(&stub).await;
    for mode in [Mode::Commit, Mode::DryRun] {
        assert_eq!(cluster.write(&change, mode).await, Ok(Written::default()));
    }
    let asked = stub.asked();
    let patches: Vec<_> = asked
        .iter()
        .filter(|asked| asked.method == "PATCH")
        .collect();
    for (patch, dry) in patches.iter().zip(["", "All"]) {
        assert_eq!(patch.path, "/apis/apps/v1/namespaces/shop/deployments/web");
        assert_eq!(patch.parameter("fieldManager"), "hikaru");
        assert_eq!(patch.parameter("fieldValidation"), "Strict");
        assert_eq!(patch.parameter("dryRun"), dry);
        assert_eq!(patch.headers["content-type"], "application/json-patch+json");
        assert!(patch.headers["user-agent"].starts_with("hikaru/"));
        assert_eq!(
            patch.body[0],
            json!({"op": "test", "path": "/metadata/uid", "value": "uid-web"})
        );
    }
    assert_eq!(patches.len(), 2);
}

#[tokio::test]
async fn reading_is_tried_once_more_when_the_connection_is_cut() {
    let stub = Stub::start(
        |asked, before| match (asked.path.rsplit('/').next(), before) {
            (Some("web"), 0) => Step::Cut,
            (Some("web"), _) => Step::Answer(200, deployment("web", 1, 1)),
            (Some("cut"), _) => Step::Cut,
            (Some("silent"), _) => Step::Silence,
            (Some("broken"), _) => Step::Answer(500, status(500, "", "etcdserver: no leader")),
            (Some("odd"), _) => {
                Step::Answer(200, json!({"kind": "Deployment", "metadata": {"name": 7}}))
            }
            _ => Step::Answer(404, status(404, "NotFound", "deployments.apps not found")),
        },
    )
    .await;
    let cluster = stub.cluster().await;
    let read = cluster.read(&id("web")).await.expect("an answer");
    assert_eq!(*read.expect("it is there").containers[0].image, image(1));
    assert_eq!(cluster.read(&id("absent")).await, Ok(None));
    for (name, times) in [("cut", 2), ("silent", 1), ("broken", 1)] {
        let before = stub.asked().len();
        let read = cluster.read(&id(name)).await;
        assert!(
            matches!(read, Err(ClusterError::Unavailable { .. })),
            "{name}: {read:?}"
        );
        assert_eq!(stub.asked().len() - before, times, "{name}");
    }
    let odd = cluster
        .read(&id("odd"))
        .await
        .expect_err("it cannot be read");
    assert!(odd.to_string().contains("shop/Deployment/odd"), "{odd}");
}

#[tokio::test]
async fn a_build_is_asked_for_by_one_selector_a_kind() {
    let stub = patched(|_| Step::Cut).await;
    let cluster = stub.cluster().await;
    let mut scope = Scope::new(Select::Build(build(2)));
    scope.namespaces = vec!["shop".into()];
    cluster.find(&scope).await.expect("an answer");
    let asked = stub.asked();
    let mut paths: Vec<&str> = asked.iter().map(|asked| &*asked.path).collect();
    paths.sort_unstable();
    assert_eq!(
        paths,
        [
            "/apis/apps/v1/namespaces/shop/daemonsets",
            "/apis/apps/v1/namespaces/shop/deployments",
            "/apis/apps/v1/namespaces/shop/statefulsets",
            "/apis/batch/v1/namespaces/shop/cronjobs",
        ]
    );
    for asked in asked {
        assert_eq!(
            asked.parameter("labelSelector"),
            "owner in (acme),repo in (web,web.git),branch in (main)"
        );
        assert_eq!(asked.parameter("limit"), "500");
    }
}

#[tokio::test]
async fn a_list_goes_on_page_by_page_and_begins_again_when_it_is_forgotten() {
    let stub = Stub::start(|asked, before| {
        if !asked.is_list_of("deployments") {
            return empty();
        }
        match (asked.parameter("continue"), before) {
            ("", 0) => Step::Answer(200, page(&[deployment("gone", 1, 1)], "a")),
            ("a", _) => Step::Answer(410, status(410, "Expired", "too old")),
            ("", _) => Step::Answer(200, page(&[deployment("one", 1, 1)], "b")),
            _ => Step::Answer(200, list(&[deployment("two", 1, 1)], 1)),
        }
    })
    .await;
    let cluster = stub.cluster().await;
    let found = cluster
        .find(&Scope::new(Select::All))
        .await
        .expect("an answer");
    let names: Vec<&str> = found.workloads.iter().map(|w| &*w.id.name).collect();
    assert_eq!(names, ["one", "two"]);
    assert_eq!(found.faults, []);
}

#[tokio::test]
async fn one_malformed_object_hides_no_other() {
    let stub = Stub::start(|asked, _| {
        if !asked.is_list_of("deployments") {
            return empty();
        }
        let mut ours = deployment("ours", 1, 1);
        ours["metadata"]["labels"]["owner"] = json!(7);
        let mut theirs = deployment("theirs", 1, 1);
        theirs["spec"]["template"]["spec"]["containers"] = json!([{"image": "postgres:17"}]);
        let items = [ours, theirs, deployment("web", 1, 1)];
        Step::Answer(200, list(&items, 1))
    })
    .await;
    let cluster = stub.cluster().await;
    let report = candidates(&cluster, post(2)).await.expect("a report");
    assert_eq!(report.entries.len(), 1);
    let faults: Vec<_> = report
        .faults
        .iter()
        .map(|f| (&*f.place, f.severity))
        .collect();
    assert_eq!(
        faults,
        [
            ("shop/Deployment/ours", Severity::Failure),
            ("shop/Deployment/theirs", Severity::Warning)
        ]
    );
    assert!(
        report.faults[0]
            .message
            .starts_with("cannot be read: invalid type"),
        "{report:?}"
    );
}

#[tokio::test]
async fn a_kind_that_cannot_be_listed_is_a_fault() {
    let stub = Stub::start(|asked, _| match asked.path.rsplit('/').next() {
        Some("deployments") => Step::Answer(200, list(&[deployment("web", 1, 1)], 1)),
        Some("statefulsets") => Step::Answer(403, status(403, "Forbidden", "cannot list")),
        Some("cronjobs") => Step::Answer(404, Value::Null),
        _ => Step::Answer(500, status(500, "", "etcdserver: no leader")),
    })
    .await;
    let cluster = stub.cluster().await;
    let mut report = candidates(&cluster, post(2)).await.expect("a report");
    assert_eq!(report.entries.len(), 1);
    report.faults.sort_by(|a, b| a.place.cmp(&b.place));
    let faults: Vec<_> = report
        .faults
        .iter()
        .map(|f| (&*f.place, f.severity, f.is_retryable))
        .collect();
    assert_eq!(
        faults,
        [
            ("cronjobs.batch", Severity::Failure, false),
            ("daemonsets.apps", Severity::Failure, true),
            ("statefulsets.apps", Severity::Failure, false)
        ]
    );
    let stub = Stub::start(|_, _| Step::Html(404)).await;
    let none = stub.cluster().await.find(&Scope::new(Select::All)).await;
    let none = none.expect_err("no API server").to_string();
    assert!(none.contains("is it a Kubernetes API server?"), "{none}");
}

#[tokio::test]
async fn requests_in_flight_are_bounded() {
    let stub = Stub::start(|asked, _| {
        let name = asked.path.rsplit('/').next().unwrap_or_default();
        Step::After(20, Box::new(Step::Answer(200, deployment(name, 1, 1))))
    })
    .await;
    let mut patient = settings();
    patient.deadline = Duration::from_secs(30);
    patient.in_flight = 3;
    let cluster = stub.cluster_with(patient).await;
    let ids: Vec<_> = (0..12).map(|n| id(&format!("web-{n}"))).collect();
    let read = join_all(ids.iter().map(|id| cluster.read(id))).await;
    assert!(read.iter().all(Result::is_ok), "{read:?}");
    let most = stub.asked().iter().map(|asked| asked.in_flight).max();
    assert_eq!(most, Some(3));
}

/// A server that asks one client to wait has room for another request.
#[tokio::test]
async fn a_permit_is_given_back_while_a_429_is_waited_for() {
    let stub = Stub::start(|asked, before| {
        let name = asked.path.rsplit('/').next().unwrap_or_default();
        match (name, before) {
            ("web-0", 0) => Step::RetryAfter(429, 1, status(429, "TooManyRequests", "later")),
            _ => Step::Answer(200, deployment(name, 1, 1)),
        }
    })
    .await;
    let mut patient = settings();
    patient.deadline = Duration::from_secs(30);
    patient.in_flight = 1;
    let cluster = stub.cluster_with(patient).await;
    let ids = ["web-0", "web-1"].map(id);
    let read = join_all(ids.iter().map(|id| cluster.read(id))).await;
    assert!(read.iter().all(Result::is_ok), "{read:?}");
    let asked = stub.asked();
    let asked: Vec<&str> = asked
        .iter()
        .filter_map(|a| a.path.rsplit('/').next())
        .collect();
    assert_eq!(asked, ["web-0", "web-1", "web-0"]);
}
