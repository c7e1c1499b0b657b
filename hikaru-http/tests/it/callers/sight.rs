//! What a narrowed caller sees: only what it may see, in each answer of each route. A second workload has an unmistakable name, which
//! a caller that sees everything is told, and a narrowed one never.

use std::{collections::BTreeSet, sync::Arc};

use hikaru_core::{
    IdentityLabels, Workload, WorkloadId,
    caller::{Binding, Caller},
    port::{ClusterError, Fault, Found, Freshness, Severity},
    rollout::{RolloutKind, Rollouts},
    testing::{MemoryCluster, MockWorkloadPort},
    workload::Progress,
};
use hikaru_http::{Bound, Serving};
use tokio::{io::AsyncReadExt as _, time::timeout};

use super::{Takes, bound, caller};
use crate::{
    client::{Client, LONG, call, request},
    cluster::{image_of, listener, memory, still_clock, workload},
};

/// It is part of the name of whatever a narrowed caller may not see.
const HIDDEN: &str = "zzhidden";

const BEFORE: &str = "acme/app:acme_my_service_main_1.3.0_6_0123abcd";
const TAG: &str = "acme/app:acme_my_service_main_1.4.0_7_0123abcd";
const HIGHER: &str = "acme/app:acme_my_service_main_2.0.0_1_0123abcd";

/// A Deployment whose rollout is over.
fn put(
    cluster: &MemoryCluster,
    namespace: &str,
    name: &str,
    owner_repo: (&str, &str),
    image: &str,
) {
    let mut web = workload(namespace, "Deployment", name, &[("web", image)]);
    web.labels = match owner_repo {
        ("", "") => IdentityLabels::default(),
        (owner, repo) => IdentityLabels::new(owner, repo, "main"),
    };
    let mut progress = Progress::default();
    (progress.desired, progress.current, progress.updated) = (1, 1, 0);
    web.progress = Some(progress);
    cluster.put(web.clone());
    cluster.tell_rollout(&web.id, |facts| {
        let object = &mut facts.object;
        object.kind = RolloutKind::DaemonSet;
        (object.generation, object.observed) = (2, 2);
    });
}

/// The labels of the workload that everybody sees, and of another one whose identity is the same text.
const OWN: (&str, &str) = ("acme", "my_service");
const OTHER: (&str, &str) = ("acme_my", "service");

/// A way to narrow a caller, and where then something is hidden from it: namespace and labels.
struct Narrowing {
    narrow: fn(&mut Caller),
    namespace: &'static str,
    labels: (&'static str, &'static str),
}

const NARROWINGS: [Narrowing; 4] = [
    Narrowing {
        narrow: |caller| caller.namespaces = vec!["shop".into()],
        namespace: "zzhidden-vault",
        labels: OWN,
    },
    Narrowing {
        narrow: |caller| caller.identities = vec!["acme/*/*".parse().expect("a pattern")],
        namespace: "shop",
        labels: OTHER,
    },
    Narrowing {
        narrow: |caller| caller.binding = Some(Binding::new("acme", "my_service", "main")),
        namespace: "shop",
        labels: OTHER,
    },
    // Without labels nobody knows whose it is.
    Narrowing {
        narrow: |caller| caller.binding = Some(Binding::new("acme", "my_service", "main")),
        namespace: "shop",
        labels: ("", ""),
    },
];

fn everything() -> Caller {
    caller(&["read", "upgrade", "jobs", "logs", "hold", "force"])
}

/// Everything that an answer says: its headers and its body, which may be a stream.
async fn said(server: &Serving, method: &str, path: &str, headers: &[&str]) -> String {
    let mut client = Client::connect(server.address()).await;
    let headers = [headers, &["Connection: close"]].concat();
    client.send(request(method, path, &headers)).await;
    let mut said = String::new();
    let mut stream = client.into_stream();
    let read = timeout(LONG, stream.read_to_string(&mut said)).await;
    read.expect("in time").expect("UTF-8");
    assert!(!said.starts_with("HTTP/1.1 500"), "{path}: {said}");
    said
}

/// The calls whose answers tell of more than one workload.
fn calls() -> Vec<(&'static str, String, &'static [&'static str])> {
    const EVENTS: &[&str] = &["Accept: text/event-stream"];
    vec![
        ("GET", "/api/image/acme/app".to_owned(), &[]),
        ("GET", format!("/api/image/{BEFORE}"), &[]),
        ("GET", format!("/api/image/{TAG}"), &[]),
        ("GET", format!("/api/candidates/{TAG}"), &[]),
        ("GET", format!("/api/candidates/{TAG}?force=true"), &[]),
        ("GET", format!("/api/verify/{TAG}"), &[]),
        ("GET", format!("/api/verify/{TAG}?wait=10m"), &[]),
        (
            "GET",
            format!("/api/verify/{TAG}?wait=10m&failFast=false"),
            EVENTS,
        ),
        ("GET", "/api/status".to_owned(), &[]),
        ("GET", "/api/status?branch=main".to_owned(), &[]),
        ("POST", format!("/api/image/{TAG}?dryRun=true"), &[]),
        (
            "POST",
            format!("/api/image/{TAG}?dryRun=true&report=full"),
            &[],
        ),
        (
            "POST",
            format!("/api/image/{TAG}?dryRun=true&strict=true"),
            &[],
        ),
        (
            "POST",
            format!("/api/image/{TAG}?report=full&wait=10m"),
            &[],
        ),
        (
            "POST",
            format!("/api/image/{TAG}?strict=true&wait=10m"),
            EVENTS,
        ),
        ("GET", format!("/api/candidates/{BEFORE}"), &[]),
        ("POST", format!("/api/image/{BEFORE}?strict=true"), &[]),
    ]
}

/// Answers of all calls on a cluster.
async fn answers(cluster: Arc<MemoryCluster>, caller: Caller) -> Vec<(String, String)> {
    let server = bound(cluster, caller).await.serve();
    let mut answers = Vec::new();
    for (method, path, headers) in calls() {
        let said = said(&server, method, &path, headers).await;
        answers.push((format!("{method} {path} {headers:?}"), said));
    }
    answers
}

/// What everybody sees, and what is hidden by a narrowing.
fn town(hidden: &Narrowing, own: &str, other: &str) -> Arc<MemoryCluster> {
    let cluster = memory([]);
    put(&cluster, "shop", "web", OWN, own);
    put(&cluster, hidden.namespace, HIDDEN, hidden.labels, other);
    cluster
}

/// Both run the same, the other one runs something higher, and nothing lower runs.
const STATES: [(&str, &str); 3] = [(BEFORE, BEFORE), (BEFORE, HIGHER), (HIGHER, HIGHER)];

#[tokio::test]
async fn what_a_caller_may_not_see_is_in_no_answer() {
    for narrowing in &NARROWINGS {
        let mut narrowed = everything();
        (narrowing.narrow)(&mut narrowed);
        for (own, other) in STATES {
            let cluster = town(narrowing, own, other);
            for (call, said) in answers(cluster.clone(), narrowed.clone()).await {
                assert!(!said.contains(HIDDEN), "{call}: {said}");
            }
            // It was not touched either.
            let runs = image_of(&cluster, narrowing.namespace, "Deployment", HIDDEN);
            assert_eq!(runs, other);
        }
    }
}

#[tokio::test]
async fn a_caller_that_sees_everything_is_told_of_it_by_each_call() {
    let mut silent: BTreeSet<String> = BTreeSet::new();
    let mut telling: BTreeSet<String> = BTreeSet::new();
    for narrowing in &NARROWINGS {
        for (own, other) in STATES {
            for (call, said) in answers(town(narrowing, own, other), everything()).await {
                match said.contains(HIDDEN) {
                    true => telling.insert(call),
                    false => silent.insert(call),
                };
            }
        }
    }
    // Else the test above would look at answers that cannot tell of it.
    let never: Vec<_> = silent.difference(&telling).collect();
    assert!(never.is_empty(), "{never:#?}");
}

#[tokio::test]
async fn near_misses_and_notes_are_of_what_is_seen() {
    for narrowing in &NARROWINGS[..3] {
        let mut narrowed = everything();
        (narrowing.narrow)(&mut narrowed);
        // Nothing is there for the narrowed caller.
        let cluster = memory([]);
        put(
            &cluster,
            narrowing.namespace,
            HIDDEN,
            narrowing.labels,
            BEFORE,
        );
        let elsewhere = "acme/elsewhere:acme_my_service_main_1.4.0_7_0123abcd";
        let path = format!("/api/image/{elsewhere}?strict=true");
        let all = bound(cluster.clone(), everything()).await.serve();
        let near = call(all.address(), "POST", &path).await;
        assert!(
            near.json()["report"]["nearMisses"][0].is_string(),
            "{near:?}"
        );
        assert!(near.text.contains(HIDDEN), "{}", near.text);
        let server = bound(cluster, narrowed.clone()).await.serve();
        for (method, path) in [
            ("POST", path),
            (
                "POST",
                format!("/api/image/{elsewhere}?strict=true&namespace=shop"),
            ),
            ("GET", format!("/api/candidates/{elsewhere}")),
            ("GET", format!("/api/verify/{elsewhere}")),
        ] {
            let answer = call(server.address(), method, &path).await;
            assert!(!answer.text.contains(HIDDEN), "{path}: {}", answer.text);
            let report = &answer.json()["report"];
            assert_eq!(report.get("nearMisses"), None, "{path}: {}", answer.text);
        }
        // The note names the highest that the caller sees.
        let town = town(
            narrowing,
            "acme/app:acme_my_service_main_1.5.0_1_0123abcd",
            HIGHER,
        );
        let server = bound(town, narrowed).await.serve();
        let answer = call(server.address(), "POST", &format!("/api/image/{TAG}")).await;
        let note = answer.header("x-hikaru-note").expect("a note");
        assert!(
            note.contains("1.5.0_1") && note.contains("shop/Deployment/web"),
            "{note}"
        );
    }
}

#[tokio::test]
async fn a_tag_with_two_readings_is_the_callers_own() {
    let narrowing = &NARROWINGS[2];
    let path = format!("/api/image/{TAG}?report=full");
    let server = bound(town(narrowing, BEFORE, BEFORE), everything())
        .await
        .serve();
    let all = call(server.address(), "POST", &path).await.json();
    assert_eq!(all["upgrade"].as_array().map(Vec::len), Some(0), "{all}");
    let mut narrowed = everything();
    (narrowing.narrow)(&mut narrowed);
    let cluster = town(narrowing, BEFORE, BEFORE);
    let server = bound(cluster.clone(), narrowed).await.serve();
    let own = call(server.address(), "POST", &path).await.json();
    assert_eq!(own["upgrade"][0]["name"], "web", "{own}");
    assert_eq!(own["skipped"].as_array().map(Vec::len), Some(0), "{own}");
    assert_eq!(image_of(&cluster, "shop", "Deployment", "web"), TAG);
    assert_eq!(image_of(&cluster, "shop", "Deployment", HIDDEN), BEFORE);
}

#[tokio::test]
async fn what_is_not_seen_is_answered_as_what_is_not_there() {
    for narrowing in &NARROWINGS[1..] {
        let mut narrowed = everything();
        (narrowing.narrow)(&mut narrowed);
        let cluster = town(narrowing, BEFORE, BEFORE);
        let id = WorkloadId::new("shop", "Deployment", HIDDEN);
        let mark = "1.4.0_7_d5ecc80e";
        cluster.edit(&id, |hidden| hidden.containers[0].mark = Some(mark.into()));
        let server = bound(cluster.clone(), narrowed).await.serve();
        for (method, path) in [
            ("GET", "/api/rollout/shop/deploy/NAME"),
            ("GET", "/api/rollout/shop/deploy/NAME?wait=10m"),
            ("DELETE", "/api/hold/shop/deploy/NAME"),
            ("DELETE", "/api/hold/shop/deploy/NAME?container=web"),
        ] {
            let answer = async |name: &str| {
                let path = path.replace("NAME", name);
                let answer = call(server.address(), method, &path).await;
                let (problem, detail) = answer.problem();
                (answer.status, problem, detail.replace(name, "NAME"))
            };
            let hidden = answer(HIDDEN).await;
            assert_eq!(hidden, answer("zzabsent").await, "{method} {path}");
            assert_eq!((hidden.0, &*hidden.1), (404, "no-such-workload"));
        }
        let kept = cluster.get(&id).expect("the workload").containers[0]
            .mark
            .clone();
        assert_eq!(kept.as_deref(), Some(mark));
        let own = call(server.address(), "GET", "/api/rollout/shop/deploy/web").await;
        assert_eq!(own.status, 200, "{}", own.text);
    }
}

/// A cluster of which something hidden could not be read.
fn faulty(is_failure: bool) -> Arc<MockWorkloadPort> {
    let mut cluster = MockWorkloadPort::new();
    cluster.expect_freshness().return_const(Freshness::Fresh);
    cluster.expect_find().returning(move |_| {
        let severity = match is_failure {
            true => Severity::Failure,
            false => Severity::Warning,
        };
        let fault = Fault::new(severity, "zzhidden/web.yaml", "zzhidden cannot be read");
        let web: Workload = workload("shop", "Deployment", "web", &[("web", BEFORE)]);
        Ok(Found::new(vec![web.into()], vec![fault]))
    });
    let gone = || ClusterError::NotFound("shop/Deployment/web".to_owned());
    cluster.expect_read().returning(move |_| Err(gone()));
    Arc::new(cluster)
}

#[tokio::test]
async fn what_could_not_be_read_is_told_without_names() {
    for is_failure in [true, false] {
        let cluster = faulty(is_failure);
        let mut narrowed = everything();
        narrowed.namespaces = vec!["shop".into()];
        for (caller, is_told) in [(everything(), true), (narrowed, false)] {
            let takes = Takes(Ok(caller));
            let rollouts = Rollouts::new(cluster.clone(), Some(memory([])), still_clock(), true);
            let bound = Bound::new(listener().await, cluster.clone(), still_clock(), takes);
            let server = bound.expect("a server").rollouts(rollouts).serve();
            let mut told = 0;
            for (method, path) in [
                ("GET", "/api/image/acme/app".to_owned()),
                ("GET", format!("/api/candidates/{BEFORE}")),
                ("GET", format!("/api/verify/{BEFORE}")),
                ("GET", "/api/status".to_owned()),
                ("POST", format!("/api/image/{BEFORE}?report=full")),
            ] {
                let answer = call(server.address(), method, &path).await;
                told += usize::from(answer.text.contains(HIDDEN));
                if is_failure {
                    // It is told that something is missing all the same.
                    assert_eq!(answer.problem().0, "incomplete", "{path}");
                }
            }
            assert_eq!(told > 0, is_told, "{told} answers");
        }
    }
}
