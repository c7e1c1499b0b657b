//! The writes of a post go out together, and leave room for those of others: against a scripted API server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use hikaru_core::{
    Mode, plan,
    port::{Scope, Select, WorkloadPort as _},
    upgrade,
};

use super::stub::{Step, Stub, build, deployment, empty, list, post, settings};

/// A post of one beside a post of a thousand waits for what is in flight and what the other post has begun, not for all of it.
#[tokio::test]
async fn a_post_of_one_is_not_sent_behind_a_thousand() {
    const MANY: usize = 1_000;
    let most = Arc::new(AtomicUsize::new(0));
    let seen = most.clone();
    let stub = Stub::start(move |asked, _| {
        if asked.method == "PATCH" {
            seen.fetch_max(asked.in_flight, Ordering::Relaxed);
            return Step::Accept;
        }
        if !asked.is_list_of("deployments") {
            return empty();
        }
        let names: Vec<String> = match &*asked.path {
            "/apis/apps/v1/namespaces/one/deployments" => vec!["one".to_owned()],
            _ => (0..MANY).map(|at| format!("web-{at}")).collect(),
        };
        let items: Vec<_> = names.iter().map(|name| deployment(name, 1, 1)).collect();
        let items: Vec<_> = items
            .into_iter()
            .map(|mut item| {
                item["metadata"]["namespace"] = asked.path.split('/').nth(5).into();
                item
            })
            .collect();
        Step::Answer(200, list(&items, 1))
    })
    .await;
    let mut patient = settings();
    // The server plays in the same thread.
    patient.deadline = Duration::from_secs(60);
    let cluster = stub.cluster_with(patient).await;
    let clock = hikaru_k8s::SystemClock::default();
    let post_to = |namespace: &str, n: u64| {
        let mut request = post(n);
        request.namespaces = vec![namespace.into()];
        upgrade(&cluster, &clock, request, Mode::Commit)
    };
    let one = async {
        // The other post has begun to write.
        while stub.count("PATCH") == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let report = post_to("one", 3).await;
        (report, stub.count("PATCH"))
    };
    let (many, (one, sent)) = tokio::join!(post_to("many", 2), one);
    assert_eq!(many.expect("a report").entries.len(), MANY);
    assert_eq!(one.expect("a report").entries.len(), 1);
    assert!(sent < MANY / 2, "it was answered after {sent} patches");
    // 32 of the one post, and the request of the other.
    let most = most.load(Ordering::Relaxed);
    assert!(most <= 33, "{most} in flight");
}

/// The answer to one write of a post does not come: the others are sent meanwhile.
#[tokio::test]
async fn a_silent_write_does_not_hold_up_the_others_of_its_post() {
    const MANY: usize = 200;
    let stub = Stub::start(|asked, _| {
        if asked.method == "PATCH" && asked.path.ends_with("/web-0") {
            return Step::Silence;
        }
        if asked.method == "PATCH" {
            return Step::Accept;
        }
        if !asked.is_list_of("deployments") {
            return empty();
        }
        let items: Vec<_> = (0..MANY)
            .map(|at| deployment(&format!("web-{at}"), 1, 1))
            .collect();
        Step::Answer(200, list(&items, 1))
    })
    .await;
    let mut patient = settings();
    patient.deadline = Duration::from_secs(300);
    let cluster = stub.cluster_with(patient).await;
    let clock = hikaru_k8s::SystemClock::default();
    let all_are_sent = async {
        while stub.count("PATCH") < MANY {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let upgraded = upgrade(&cluster, &clock, post(2), Mode::Commit);
    let sent = tokio::time::timeout(Duration::from_secs(60), async {
        tokio::select! {
            report = upgraded => panic!("it ended: {report:?}"),
            () = all_are_sent => {}
        }
    });
    sent.await.expect("the others are sent meanwhile");
}

/// Lists that are not answered have permits of their own: a write is sent all the same.
#[tokio::test]
async fn lists_that_are_not_answered_do_not_hold_up_a_write() {
    const MANY: usize = 100;
    let silent = Arc::new(AtomicBool::new(false));
    let is_silent = silent.clone();
    let stub = Stub::start(move |asked, _| {
        if asked.method == "PATCH" {
            Step::Accept
        } else if is_silent.load(Ordering::Relaxed) {
            Step::Silence
        } else if asked.is_list_of("deployments") {
            Step::Answer(200, list(&[deployment("web", 1, 1)], 1))
        } else {
            empty()
        }
    })
    .await;
    let mut patient = settings();
    patient.deadline = Duration::from_secs(300);
    let cluster = stub.cluster_with(patient).await;
    let scope = Scope::new(Select::Build(build(2)));
    let found = cluster.find(&scope).await.expect("an answer");
    let mut entries = plan(post(2), found.workloads).entries.into_iter();
    let change = entries.find_map(|entry| entry.change).expect("a change");

    silent.store(true, Ordering::Relaxed);
    let before = stub.asked().len();
    let lists = join_all((0..MANY).map(|_| cluster.find(&scope)));
    let write = async {
        // As many as there are permits.
        while stub.asked().len() < before + 16 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        cluster.write(&change, Mode::Commit).await
    };
    let written = tokio::time::timeout(Duration::from_secs(60), async {
        tokio::select! {
            _ = lists => panic!("a list was answered"),
            written = write => written,
        }
    });
    let written = written.await.expect("the write is sent meanwhile");
    written.expect("the write is accepted");
    let lists = stub.asked().len() - before - stub.count("PATCH");
    assert_eq!(lists, 16);
}
