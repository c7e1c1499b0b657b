//! The writes of a post go out together, and leave room for those of others: against a scripted API server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use hikaru_core::{Mode, upgrade};

use super::stub::{Step, Stub, deployment, empty, list, post, settings};

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
