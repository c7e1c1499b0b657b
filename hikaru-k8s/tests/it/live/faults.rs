//! Every fault of docs/faults.md in every operation of a single command: what it means to a caller, in his words, and what
//! was asked of the API server. What only some operations meet is in `scripted`, what a watch meets in `faults_watch`.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use hikaru_core::{
    Mode, plan,
    port::{ClusterError, Scope, Select, Severity, WorkloadPort as _},
    upgrade,
    upgrade::Outcome,
};
use hikaru_k8s::{LiveCluster, LiveSettings};
use serde_json::{Value, json};

mod bounds;
mod document;
pub(super) mod table;

use table::{READ_AGAIN, Row, STALE, UNAVAILABLE, rows};

use super::stub::{
    Asked, Step, Stub, build, deployment, empty, id, list, mark, post, settings, status,
};

/// A server on which `web` runs build 1 and `other`, a StatefulSet, too; what is asked that meets the fault is answered by it.
async fn world(
    faulty: impl Fn(&Asked, usize) -> Option<Step> + Send + Sync + 'static,
) -> (Stub, LiveCluster) {
    let stub = Stub::start(move |asked, before| {
        if let Some(step) = faulty(asked, before) {
            return step;
        }
        let mut web = deployment("web", 1, 1);
        web["metadata"]["annotations"]["hikaru.dev/upgrade"] = json!("auto");
        web["metadata"]["labels"]["high-water.hikaru.dev/web"] = json!("1.4.0_9_00000000");
        if asked.method == "PATCH" {
            Step::Accept
        } else if asked.path.ends_with("/deployments/web") {
            Step::Answer(200, web)
        } else if asked.is_list_of("deployments") {
            Step::Answer(200, list(&[web], 1))
        } else if asked.is_list_of("statefulsets") {
            Step::Answer(200, list(&[deployment("other", 1, 1)], 1))
        } else {
            empty()
        }
    })
    .await;
    let cluster = stub.cluster_with(patient(30)).await;
    (stub, cluster)
}

fn patient(seconds: u64) -> LiveSettings {
    let mut settings = settings();
    settings.deadline = Duration::from_secs(seconds);
    settings
}

impl Row {
    /// Whether the server lacks what is asked for, or does not let us.
    pub(super) fn is_closed(&self) -> bool {
        ["no rights (403)", "not there (404)"].contains(&self.name)
    }

    /// A slow answer has not long to come; all others have long.
    pub(super) fn settings(&self) -> LiveSettings {
        patient(if matches!(self.step, Step::Silence) {
            2
        } else {
            30
        })
    }

    /// The world in which this is what comes of some requests.
    async fn world(
        &self,
        faulty: impl Fn(&Asked, usize) -> bool + Send + Sync + 'static,
    ) -> (Stub, LiveCluster) {
        let step = self.step.clone();
        let (stub, _) =
            world(move |asked, before| faulty(asked, before).then(|| step.clone())).await;
        let cluster = stub.cluster_with(self.settings()).await;
        (stub, cluster)
    }
}

/// What was asked of one object, in order.
fn methods(stub: &Stub) -> String {
    let asked = stub.asked().into_iter();
    let asked = asked.filter(|asked| asked.path.ends_with("/deployments/web"));
    let methods: Vec<String> = asked.map(|asked| asked.method).collect();
    methods.join(" ")
}

/// Whether the error is told as expected: its class by its first words, its reason by the fault's.
#[track_caller]
fn tells(row: &Row, expected: &str, found: &str) {
    let expected = expected.replace("{}", row.words);
    // How long a deadline is, and where a parser stops, is said elsewhere.
    let fits = if row.words.is_empty() || expected == STALE {
        found == expected
    } else {
        found.starts_with(&expected)
    };
    assert!(fits, "{}: expected {expected:?}, found {found:?}", row.name);
}

/// All rows at once, because a slow answer takes its time.
async fn each<F: Future<Output = ()>>(check: impl Fn(Row) -> F) {
    join_all(rows().into_iter().map(check)).await;
}

#[tokio::test]
async fn a_list_meets_each_fault() {
    each(|row| async move {
        let (severity, error, times) = row.list;
        if error == "-" {
            return;
        }
        let (stub, cluster) = row.world(|asked, _| asked.is_list_of("deployments")).await;
        let scope = Scope::new(Select::Build(build(2)));
        let found = cluster.find(&scope).await.expect("an answer");
        // One kind's fault hides no other.
        let names: Vec<&str> = found.workloads.iter().map(|w| &*w.id.name).collect();
        assert_eq!(names, ["other"], "{}", row.name);
        let fault = &found.faults[0];
        assert_eq!(found.faults.len(), 1, "{}: {found:?}", row.name);
        assert_eq!(
            (&*fault.place, fault.severity),
            ("deployments.apps", severity),
            "{}",
            row.name
        );
        let words = row.words.rsplit("): ").next().unwrap_or_default();
        assert!(fault.message.starts_with(words), "{}: {fault:?}", row.name);
        let lists = stub.asked().into_iter();
        let lists = lists
            .filter(|asked| asked.is_list_of("deployments"))
            .count();
        assert_eq!(lists, times, "{}", row.name);

        let (_stub, cluster) = row.world(|_, _| true).await;
        let none = cluster.find(&scope).await.expect_err("no answer");
        tells(&row, error, &none.to_string());
        let retryable = error == UNAVAILABLE;
        assert_eq!(none.is_retryable(), retryable, "{}", row.name);
    })
    .await;
}

#[tokio::test]
async fn a_read_meets_each_fault() {
    each(|row| async move {
        let (error, times) = row.read;
        if error == "-" {
            return;
        }
        let (stub, cluster) = row.world(|_, _| true).await;
        match cluster.read(&id("web")).await {
            Ok(found) => assert_eq!((error, found), ("none", None), "{}", row.name),
            Err(found) => tells(&row, error, &found.to_string()),
        }
        let expected = vec!["GET"; times].join(" ");
        assert_eq!(methods(&stub), expected, "{}", row.name);
    })
    .await;
}

/// A commit, or a dry run.
async fn writes(mode: Mode) {
    each(|row| async move {
        let (error, sequence) = row.write;
        let (stub, cluster) = row.world(|asked, _| asked.method == "PATCH").await;
        let scope = Scope::new(Select::Build(build(10)));
        let found = cluster.find(&scope).await.expect("an answer").workloads;
        let entries = plan(post(10), found).entries.into_iter();
        let mut changes = entries.filter_map(|entry| entry.change);
        let change = changes.find(|change| &*change.judged().id.name == "web");
        let written = cluster.write(&change.expect("a change"), mode).await;
        let written = written.expect_err("a fault");
        tells(&row, error, &written.to_string());
        assert_eq!(
            matches!(written, ClusterError::Stale | ClusterError::Lost(_)),
            sequence == READ_AGAIN,
            "{}",
            row.name
        );
        let times = if sequence == "PATCH PATCH" { 4 } else { 1 };
        assert_eq!(stub.count("PATCH"), times, "{}", row.name);

        // Never is a write repeated before the object was read and judged again; and it is repeated when it has to be.
        let first = |asked: &Asked, before| {
            asked.method == "PATCH" && asked.path.ends_with("/web") && before == 0
        };
        let (stub, cluster) = row.world(first).await;
        let report = upgrade(
            &cluster,
            &hikaru_k8s::SystemClock::default(),
            post(10),
            mode,
        )
        .await
        .expect("a report");
        let entry = |name: &str| {
            let mut entries = report.entries.iter();
            let entry = entries.find(|entry| &*entry.entry.workload.id.name == name);
            entry.expect("it was judged").outcome.clone()
        };
        match entry("web") {
            Outcome::Upgraded => assert_ne!(sequence, "PATCH", "{}", row.name),
            Outcome::Failed(found) => {
                assert_eq!(sequence, "PATCH", "{}", row.name);
                tells(&row, error, &found.to_string());
            }
            other => panic!("{}: {other:?}", row.name),
        }
        assert_eq!(methods(&stub), sequence, "{}", row.name);
        assert_eq!(entry("other"), Outcome::Upgraded, "{}", row.name);
        for asked in stub.asked().iter().filter(|asked| asked.method == "PATCH") {
            let dry = if mode == Mode::DryRun { "All" } else { "" };
            assert_eq!(asked.parameter("dryRun"), dry);
        }
    })
    .await;
}

#[tokio::test]
async fn a_write_meets_each_fault() {
    writes(Mode::Commit).await;
}

#[tokio::test]
async fn a_dry_run_meets_each_fault() {
    writes(Mode::DryRun).await;
}

#[tokio::test]
async fn a_write_that_was_applied_is_found_out_by_reading() {
    let torn = Step::Torn(200, "{\"kind\":".to_owned());
    let late = Step::Answer(504, status(504, "Timeout", "timed out"));
    for step in [Step::Cut, Step::Silence, torn, Step::Html(200), late] {
        let shown = format!("{step:?}");
        let applied = AtomicBool::new(false);
        let (stub, _) = world(move |asked, _| {
            if !asked.path.ends_with("/deployments/web") {
                return None;
            }
            if asked.method == "PATCH" {
                applied.store(true, Ordering::SeqCst);
                return Some(step.clone());
            }
            let mut now = deployment("web", 10, 2);
            now["metadata"]["labels"]["high-water.hikaru.dev/web"] = json!(mark(10));
            let is_applied = applied.load(Ordering::SeqCst);
            is_applied.then_some(Step::Answer(200, now))
        })
        .await;
        let cluster = stub.cluster_with(patient(2)).await;
        let report = upgrade(
            &cluster,
            &hikaru_k8s::SystemClock::default(),
            post(10),
            Mode::Commit,
        )
        .await;
        for entry in report.expect("a report").entries {
            assert_eq!(entry.outcome, Outcome::Upgraded, "{shown}");
        }
        assert_eq!(methods(&stub), "PATCH GET", "{shown}");
    }
}

/// A server in trouble for long: it is asked few times, and in between it is left alone.
#[tokio::test]
async fn a_server_that_answers_nothing_sensible_is_asked_few_times() {
    let failing = |code| Step::Answer(code, status(code, "", "etcdserver: no leader"));
    for (step, reads_too, asked) in [
        (failing(500), false, "PATCH GET PATCH GET PATCH GET"),
        (Step::Html(200), false, "PATCH GET PATCH GET PATCH GET"),
        (failing(500), true, "PATCH GET GET GET GET GET GET"),
        (Step::Html(200), true, "PATCH GET GET GET GET GET GET"),
    ] {
        let shown = format!("{step:?}, {reads_too}");
        let (stub, cluster) = world(move |asked, _| {
            let of_web = asked.path.ends_with("/deployments/web");
            let faulty = of_web && (reads_too || asked.method == "PATCH");
            faulty.then(|| step.clone())
        })
        .await;
        let report = upgrade(
            &cluster,
            &hikaru_k8s::SystemClock::default(),
            post(10),
            Mode::Commit,
        )
        .await;
        let entries = report.expect("a report").entries;
        let web = &entries[0].outcome;
        let unknown = matches!(web, Outcome::Unknown { .. });
        assert_eq!(unknown, reads_too, "{shown}: {web:?}");
        assert!(web.failure().is_some() && web.is_retryable(), "{shown}");
        assert_eq!(entries[1].outcome, Outcome::Upgraded, "{shown}");
        assert_eq!(methods(&stub), asked, "{shown}");
    }
}

#[tokio::test]
async fn removing_marks_meets_each_fault() {
    let name = || "shop/deployment/web".parse().expect("a name");
    each(|row| async move {
        let (error, sequence) = row.unhold;
        let (stub, cluster) = row.world(|asked, _| asked.method == "PATCH").await;
        let removed = cluster.unhold(&name(), None).await;
        tells(&row, error, &removed.expect_err("a fault").to_string());
        assert_eq!(methods(&stub), sequence, "{}", row.name);
        // And it is read before anything is written.
        let (error, times) = row.read;
        if error == "-" {
            return;
        }
        let (stub, cluster) = row.world(|_, _| true).await;
        let removed = cluster.unhold(&name(), None).await;
        let error = if error == "none" {
            "there is no shop/Deployment/web"
        } else {
            error
        };
        tells(&row, error, &removed.expect_err("a fault").to_string());
        assert_eq!(methods(&stub), vec!["GET"; times].join(" "), "{}", row.name);
    })
    .await;
}

#[tokio::test]
async fn marks_whose_removal_got_no_answer_are_looked_for() {
    for step in [Step::Cut, Step::Html(200)] {
        let (stub, cluster) = world(move |asked, before| {
            if asked.method == "PATCH" {
                return Some(step.clone());
            }
            let again = asked.path.ends_with("/web") && before == 1;
            again.then(|| Step::Answer(200, deployment("web", 1, 2)))
        })
        .await;
        let name = "shop/deployment/web".parse().expect("a name");
        let removed = cluster.unhold(&name, None).await.expect("they are gone");
        assert_eq!(removed, [("web".into(), "1.4.0_9_00000000".into())]);
        assert_eq!(methods(&stub), "GET PATCH GET");
    }
}

/// A cluster that has a kind added.
async fn with_rollouts(stub: &Stub, mut settings: LiveSettings) -> LiveCluster {
    let kind = "argoproj.io/v1alpha1/Rollout=spec.template";
    settings.kinds = vec![kind.parse().expect("a kind")];
    stub.cluster_with(settings).await
}

const ROOT: &str = "/apis/argoproj.io/v1alpha1";

fn resources() -> Value {
    let resource = |name: &str| json!({"name": name, "kind": "Rollout", "namespaced": true});
    // One that cannot be read hides no other.
    json!({"kind": "APIResourceList", "resources": [{"name": 7}, resource("rollouts")]})
}

#[tokio::test]
async fn the_discovery_of_an_added_kind_meets_each_fault() {
    each(|row| async move {
        let (severity, error, times) = row.list;
        if error == "-" {
            return;
        }
        // A kind that was added may be done without.
        let severity = match row.is_closed() {
            true => Severity::Warning,
            false => severity,
        };
        let step = row.step.clone();
        let stub = Stub::start(move |asked, before| match &*asked.path {
            // A cut connection is tried once more, and a busy server three times.
            ROOT if before < times => step.clone(),
            ROOT => Step::Answer(200, resources()),
            path if path.ends_with("/rollouts") => {
                Step::Answer(200, list(&[deployment("web", 1, 1)], 1))
            }
            _ => empty(),
        })
        .await;
        let cluster = with_rollouts(&stub, row.settings()).await;
        let scope = Scope::new(Select::Build(build(2)));
        let found = cluster.find(&scope).await.expect("an answer");
        let words = row.words.rsplit("): ").next().unwrap_or_default();
        let fault = &found.faults[0];
        assert_eq!(fault.severity, severity, "{}", row.name);
        assert!(fault.message.starts_with(words), "{}: {fault:?}", row.name);
        // It is not remembered: the next one asks again.
        let found = cluster.find(&scope).await.expect("an answer");
        assert_eq!(found.faults, [], "{}", row.name);
        assert_eq!(found.workloads.len(), 1, "{}", row.name);
    })
    .await;
}

#[tokio::test]
async fn nobody_listens() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let address = listener.expect("a port").local_addr().expect("an address");
    let cluster = super::stub::cluster_at(&format!("http://{address}")).await;
    let words = "unavailable: no connection: tcp connect error: Connection refused (os error 111)";
    let name = "shop/deployment/web".parse().expect("a name");
    let errors = [
        cluster.find(&Scope::new(Select::All)).await.map(drop),
        cluster.read(&id("web")).await.map(drop),
        cluster.unhold(&name, None).await.map(drop),
    ];
    for error in errors {
        assert_eq!(error.expect_err("nobody").to_string(), words);
    }
}
