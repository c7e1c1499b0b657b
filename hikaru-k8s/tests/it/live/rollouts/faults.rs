//! What is told of pods while the server fails: what it says when it is asked, or that it cannot be seen. Never what was true before.

use super::*;

/// A server whose watches on pods do this.
async fn with_watch(shop: &Shop, step: impl Fn() -> Step + Send + Sync + 'static) -> Stub {
    let shop = shop.clone();
    Stub::start(
        move |asked, _| match asked.path == PODS && asked.is_watch() {
            true => step(),
            false => shop.answer(asked),
        },
    )
    .await
}

#[tokio::test]
async fn a_watch_that_cannot_be_opened_is_replaced_by_lists() {
    let refused = |code: u16, reason: &str| Step::Answer(code, status(code, reason, "no"));
    let cases = [
        ("forbidden (403)", refused(403, "Forbidden")),
        ("gone (410)", refused(410, "Expired")),
        ("500", refused(500, "InternalError")),
        (
            "busy (429)",
            Step::RetryAfter(429, 1, status(429, "TooManyRequests", "later")),
        ),
        ("cut", Step::Cut),
        ("silence", Step::Silence),
    ];
    let checks = cases.map(|(case, step)| async move {
        let shop = Shop::of(&["web"]);
        let stub = with_watch(&shop, move || step.clone()).await;
        let cluster = connected(&stub).await;
        let _waiter = waits_for(&cluster, "web").await;
        for number in 1..6 {
            let names: Vec<String> = (1..=number).map(|n| format!("web-{n}")).collect();
            assert_eq!(pods_of(&facts(&cluster, "web").await), names, "{case}");
            shop.put(PODS, pod(&format!("web-{}", number + 1), "web"));
        }
        // Those of the object and of ReplicaSets go on.
        let vitals = cluster.rollout_vitals();
        assert_eq!((vitals.watches, vitals.behind), (3, 1), "{case}");
    });
    join_all(checks).await;
}

#[tokio::test]
async fn after_a_break_everything_is_listed_anew() {
    let gone = event("ERROR", &status(410, "Expired", "too old resource version"));
    let cases = [
        ("cut midway in a line", Step::Broken(vec![])),
        ("ended before its time", Step::Lines(vec![])),
        ("a page of a proxy", Step::Html(200)),
        ("gone (410)", Step::Hanging(vec![gone])),
        (
            "no event",
            Step::Text(200, "{\"kind\": \"Status\"}\n".to_owned()),
        ),
        ("no UTF-8", Step::Bytes(b"\xff\n".to_vec())),
        ("a line without end", Step::Endless(200)),
    ];
    let checks = cases.map(|(case, step)| async move {
        let shop = Shop::of(&["web"]);
        let stub = with_watch(&shop, move || step.clone()).await;
        let cluster = connected(&stub).await;
        let _waiter = waits_for(&cluster, "web").await;
        for number in 1..4 {
            let ask = || facts(&cluster, "web");
            eventually(case, ask, |facts| facts.pods.len() == number).await;
            shop.put(PODS, pod(&format!("web-{}", number + 1), "web"));
        }
    });
    join_all(checks).await;
}

#[tokio::test]
async fn what_may_not_be_read_is_named_with_its_right() {
    let shop = Shop::of(&["web"]);
    let stub = Stub::start(move |asked, _| {
        let words = format!("{} is forbidden", asked.path);
        match asked.path.ends_with("/web") {
            true => shop.answer(asked),
            false => Step::Answer(403, status(403, "Forbidden", &words)),
        }
    })
    .await;
    let cluster = connected(&stub).await;
    for _ in 0..3 {
        let facts = facts(&cluster, "web").await;
        assert_eq!((facts.pods.len(), facts.replica_sets.len()), (0, 0));
        let told = facts
            .unseen
            .iter()
            .map(|unseen| (&*unseen.what, &*unseen.reason));
        assert_eq!(
            told.collect::<Vec<_>>(),
            [
                (
                    "pods",
                    "pods are not seen: the right to list pods in namespace shop is missing"
                ),
                (
                    "replicasets",
                    "replicasets are not seen: the right to list replicasets in namespace shop is missing"
                ),
            ]
        );
    }
}

#[tokio::test]
async fn what_cannot_be_read_now_is_said() {
    let shop = Shop::of(&["web"]);
    let stub = Stub::start(move |asked, _| match asked.path == PODS {
        true => Step::Answer(500, status(500, "", "etcdserver: no leader")),
        false => shop.answer(asked),
    })
    .await;
    let cluster = connected(&stub).await;
    let facts = facts(&cluster, "web").await;
    assert_eq!(facts.replica_sets.len(), 1);
    assert_eq!(
        facts.unseen[0].reason,
        "pods are not seen: etcdserver: no leader"
    );
    // The workload itself: that is no answer.
    let stub = Stub::start(|_, _| Step::Answer(403, status(403, "Forbidden", "no"))).await;
    let answer = connected(&stub).await.facts(&name("web")).await;
    assert_eq!(
        answer.expect_err("forbidden").to_string(),
        "not allowed: no"
    );
}

#[tokio::test]
async fn odd_objects_hide_no_others() {
    let shop = Shop::of(&["web"]);
    shop.put(
        PODS,
        json!({"metadata": {"name": "bare", "labels": {"app": "web"}}}),
    );
    shop.put(
        PODS,
        json!({"metadata": {"name": "odd", "labels": {"app": "web"}}, "spec": {"containers": 7}}),
    );
    shop.put(
        REPLICA_SETS,
        json!({"metadata": {"name": "without-revision", "labels": {"app": "web"}}}),
    );
    let stub = shop.serve().await;
    let cluster = connected(&stub).await;
    // From a list, from a watch.
    let mut waiters = Vec::new();
    for _ in 0..2 {
        let facts = facts(&cluster, "web").await;
        assert_eq!(pods_of(&facts), ["bare", "web-1"]);
        assert_eq!(&*facts.pods[0].phase, "");
        assert_eq!(facts.replica_sets.len(), 2);
        assert_eq!(facts.replica_sets[1].revision, None);
        let unseen: Vec<_> = facts.unseen.iter().map(|unseen| &*unseen.reason).collect();
        assert!(
            unseen[0].starts_with("pods/odd cannot be read: "),
            "{unseen:?}"
        );
        assert_eq!(unseen.len(), 1);
        waiters.push(waits_for(&cluster, "web").await);
    }
}

#[tokio::test]
async fn a_workload_that_selects_nothing_says_so() {
    let stub = Stub::start(|_, _| Step::Answer(200, deployment("web", 1, 1))).await;
    let facts = facts(&connected(&stub).await, "web").await;
    assert_eq!(
        facts.unseen[0].reason,
        "shop/Deployment/web has no selector, so it selects no pods"
    );
    assert_eq!(stub.asked().len(), 1);
}
