//! Events, nodes and logs: what is asked for, and its bounds.

use std::collections::BTreeSet;

use hikaru_core::{Text, port::ClusterError};

use super::*;

fn warning(about: &str, number: usize) -> Value {
    json!({"metadata": {"name": format!("e-{number}"), "creationTimestamp": "2026-11-24T18:00:00Z"},
        "involvedObject": {"kind": "Pod", "name": about, "uid": about}, "type": "Warning", "reason": "BackOff",
        "message": "x".repeat(1_000), "count": number, "lastTimestamp": format!("2026-11-24T{:02}:{:02}:{:02}Z",
            number / 3_600, number / 60 % 60, number % 60)})
}

fn uids(uids: &[&str]) -> BTreeSet<Text> {
    uids.iter().map(|uid| Text::from(*uid)).collect()
}

#[tokio::test]
async fn a_few_objects_are_asked_about_one_by_one() {
    let stub = Stub::start(|asked, _| {
        let uid = asked.parameter("fieldSelector");
        let uid = uid
            .strip_prefix("type=Warning,involvedObject.uid=")
            .expect("a selector");
        // What is about others is not believed, and what cannot be read hides nothing.
        let items = [
            warning(uid, 1),
            warning("other", 2),
            json!({"count": "many"}),
        ];
        Step::Answer(200, list(&items, 1))
    })
    .await;
    let cluster = connected(&stub).await;
    let events = cluster
        .events("shop", &uids(&["a", "b", "c"]))
        .await
        .expect("events");
    let about: BTreeSet<_> = events.iter().map(|event| event.about.clone()).collect();
    assert_eq!((about, events.len()), (uids(&["a", "b", "c"]), 3));
    assert_eq!(asked_for(&stub, "/api/v1/namespaces/shop/events"), (3, 0));
    assert_eq!(cluster.events("shop", &uids(&[])).await, Ok(vec![]));
    assert_eq!(stub.asked().len(), 3);
}

#[tokio::test]
async fn ten_thousand_events_are_read_up_to_a_bound() {
    // There is always another page; the latest events come first, then older ones.
    let stub = Stub::start(|asked, before| {
        assert_eq!(asked.parameter("fieldSelector"), "type=Warning");
        assert_eq!(asked.parameter("limit"), "500");
        let first = 20_000 - 500 * (before + 1);
        let items = (first..first + 500)
            .map(|number| warning(if number % 2 == 0 { "a" } else { "other" }, number));
        let items: Vec<Value> = items.collect();
        Step::Answer(
            200,
            super::super::stub::page(&items, &format!("after-{before}")),
        )
    })
    .await;
    let cluster = connected(&stub).await;
    let events = cluster.events("shop", &uids(&["a", "b", "c", "d"])).await;
    let events = events.expect("events");
    assert_eq!(stub.asked().len(), 20);
    let counts: Vec<u32> = events.iter().map(|event| event.count).collect();
    let latest: Vec<u32> = (0..1_000).map(|n| 19_998 - 2 * n).collect();
    assert_eq!(counts, latest);
}

#[tokio::test]
async fn nodes_that_are_not_ready_are_named() {
    let node = |name: &str, conditions: Value| json!({"metadata": {"name": name}, "status": {"conditions": conditions}});
    let ready = |status: &str| json!([{"type": "MemoryPressure", "status": "True"}, {"type": "Ready", "status": status}]);
    let items = [
        node("a", ready("True")),
        node("b", ready("False")),
        node("c", ready("Unknown")),
        node("d", json!(null)),
    ];
    let stub = Stub::start(move |_, _| Step::Answer(200, list(&items, 1))).await;
    let nodes = connected(&stub).await.not_ready_nodes().await;
    assert_eq!(nodes, Ok(uids(&["b", "c", "d"])));
    assert_eq!(stub.asked()[0].path, "/api/v1/nodes");
}

#[tokio::test]
async fn what_is_forbidden_is_said_in_the_servers_words() {
    let words = "cannot list resource";
    let stub = Stub::start(move |_, _| Step::Answer(403, status(403, "Forbidden", words))).await;
    let cluster = connected(&stub).await;
    let forbidden = ClusterError::Forbidden(words.to_owned());
    for about in [uids(&["a"]), uids(&["a", "b", "c", "d"])] {
        assert_eq!(cluster.events("shop", &about).await, Err(forbidden.clone()));
    }
    assert_eq!(cluster.not_ready_nodes().await, Err(forbidden.clone()));
    let log = cluster.log("shop", "web-1", "web", true, 25).await;
    assert_eq!(log, Err(forbidden));
}

#[tokio::test]
async fn a_log_is_its_last_lines_as_text() {
    let stub = Stub::start(|asked, _| match asked.path.contains("/gone/") {
        true => Step::Answer(404, status(404, "NotFound", "pods \"gone\" not found")),
        false => Step::Bytes(b"one \xff\xfe\ntwo \xe2\x82\n".to_vec()),
    })
    .await;
    let cluster = connected(&stub).await;
    for (previous, parameter) in [(true, "true"), (false, "")] {
        let log = cluster.log("shop", "web-1", "web", previous, 25).await;
        assert_eq!(log.as_deref(), Ok("one ??\ntwo ??\n"));
        let asked = stub.asked().pop().expect("it was asked");
        assert_eq!(asked.path, "/api/v1/namespaces/shop/pods/web-1/log");
        assert_eq!(asked.parameter("container"), "web");
        assert_eq!(asked.parameter("previous"), parameter);
        assert_eq!(asked.parameter("tailLines"), "25");
        assert_eq!(asked.parameter("limitBytes"), "1048576");
    }
    let gone = cluster.log("shop", "gone", "web", false, 25).await;
    assert_eq!(
        gone,
        Err(ClusterError::NotFound("pod shop/gone".to_owned()))
    );
    // Nothing escapes names in a path.
    let before = stub.asked().len();
    for (namespace, pod, container) in [
        ("../x", "a", "a"),
        ("shop", "../../secrets", "a"),
        ("shop", "a", "a&previous=true"),
    ] {
        let refused = cluster.log(namespace, pod, container, false, 25).await;
        assert!(
            matches!(refused, Err(ClusterError::Invalid(_))),
            "{refused:?}"
        );
    }
    assert!(matches!(
        cluster.events("a/b", &uids(&["x"])).await,
        Err(ClusterError::Invalid(_))
    ));
    assert_eq!(stub.asked().len(), before);
}

#[tokio::test]
async fn a_log_without_end_is_not_read_to_its_end() {
    let stub = Stub::start(|_, _| Step::Endless(200)).await;
    let cluster = connected(&stub).await;
    let log = cluster.log("shop", "web-1", "web", false, 25).await;
    assert!(
        matches!(log, Err(ClusterError::Unavailable { .. })),
        "{log:?}"
    );
    // Buffers of the connection apart.
    assert!(stub.taken() < 16 << 20, "{}", stub.taken());
}
