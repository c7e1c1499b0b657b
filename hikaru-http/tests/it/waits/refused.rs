//! What is no wait: bad parameters, a folder of manifests, more waits than there may be.

use super::*;
use crate::{
    client::{Client, request},
    cluster::{runs, serve},
    rollouts::serve_with,
};

#[tokio::test]
async fn parameters_that_are_no_wait() {
    let scene = Scene::shop(&["web"]);
    let server = scene.serve().await;
    let time = "expected a time such as 90s, 10m or 1h30m, from 1s to 24h, found";
    for (query, detail) in [
        ("wait=0s", &*format!("wait: {time} `0s`")),
        ("wait=0", &format!("wait: {time} `0`")),
        ("wait=8760h", &format!("wait: {time} `8760h`")),
        ("wait=soon", &format!("wait: {time} `soon`")),
        ("wait=", &format!("wait: {time} the end")),
        ("wait=1m&wait=1m", "wait: expected once, found it again"),
        (
            "stableFor=30s",
            "stableFor: expected wait beside it: without it nothing is waited for",
        ),
        (
            "wait=1m&stableFor=61s",
            "stableFor: expected at most the time of wait, 1m",
        ),
        (
            "wait=1m&stableFor=long",
            "stableFor: expected 0s or a time such as 90s, 10m or 1h30m, up to 24h, found `long`",
        ),
    ] {
        for (method, target) in [("POST", POST), ("GET", VERIFY), ("GET", ROLLOUT)] {
            let answer = call(server.address(), method, &format!("{target}?{query}")).await;
            let expected = ("bad-query".to_owned(), detail.to_owned());
            assert_eq!(
                (answer.status, answer.problem()),
                (400, expected),
                "{target}"
            );
        }
    }
    for (query, detail) in [
        (
            "failFast=false",
            "failFast: expected wait beside it: without it nothing is waited for",
        ),
        (
            "wait=1m&failFast=1",
            "failFast: expected true or false, found `1`",
        ),
    ] {
        for (method, target) in [("POST", POST), ("GET", VERIFY)] {
            let answer = call(server.address(), method, &format!("{target}?{query}")).await;
            let expected = ("bad-query".to_owned(), detail.to_owned());
            assert_eq!(
                (answer.status, answer.problem()),
                (400, expected),
                "{target}"
            );
        }
    }
    for (target, detail) in [
        (
            format!("{POST}?wait=1m&dryRun=true"),
            "expected dryRun or wait: a dry run makes nothing to wait for",
        ),
        (
            format!("{POST}?stableFor=1m&dryRun=true"),
            "stableFor: expected wait beside it: without it nothing is waited for",
        ),
    ] {
        let answer = call(server.address(), "POST", &target).await;
        let expected = ("bad-query".to_owned(), detail.to_owned());
        assert_eq!((answer.status, answer.problem()), (400, expected));
    }
    for (target, found) in [
        (
            format!("{VERIFY}?force=held"),
            "expected one of allowNone, wait, stableFor, failFast, namespace, workload, owner, repo, branch, found `force`",
        ),
        (
            format!("{VERIFY}?workload=shop/pod/web"),
            "workload: expected one of the kinds",
        ),
        (
            format!("{ROLLOUT}?wait=1m&failFast=false"),
            "expected one of wait, stableFor, found `failFast`",
        ),
    ] {
        let answer = get(&server, &target).await;
        assert_eq!((answer.status, &*answer.problem().0), (400, "bad-query"));
        assert!(answer.problem().1.starts_with(found), "{}", answer.text);
    }
    assert_eq!(runs(&scene.cluster), BEFORE, "nothing was written");
    for (target, status, problem) in [
        ("/api/verify/acme/web:latest", 422, "no-build"),
        ("/api/verify/Web", 400, "bad-reference"),
        ("/api/verify", 400, "bad-reference"),
        (
            "/api/rollout/shop/deploy/absent?wait=1m",
            404,
            "no-such-workload",
        ),
    ] {
        let answer = get(&server, target).await;
        assert_eq!((answer.status, &*answer.problem().0), (status, problem));
    }
    let answer = call(server.address(), "POST", VERIFY).await;
    assert_eq!(
        (answer.status, answer.header("allow")),
        (405, Some("GET, HEAD"))
    );
}

#[tokio::test]
async fn in_a_folder_nothing_is_waited_for() {
    let mut web = workload("shop", "Deployment", "web", &[("web", BEFORE)]);
    web.id = web.id.at("web.yaml#1");
    let folder = memory([web.clone()]);
    let server = serve_with(folder.clone(), None, Limits::default()).await;
    for (method, target) in [("POST", POST), ("GET", VERIFY), ("GET", ROLLOUT)] {
        let answer = call(server.address(), method, &format!("{target}?wait=1m")).await;
        let detail = "wait: expected a call without it: in a folder of manifests nothing rolls out";
        let expected = ("bad-query".to_owned(), detail.to_owned());
        assert_eq!(
            (answer.status, answer.problem()),
            (400, expected),
            "{target}"
        );
    }
    let before = folder.get(&web.id).expect("it").containers[0].image.clone();
    assert_eq!(&*before, BEFORE, "nothing was written");
    // Without a wait only the images count.
    let answer = get(&server, VERIFY).await;
    assert_eq!(
        (answer.status, &*answer.problem().0),
        (409, "rollout-failed")
    );
    post(&server, "").await;
    let answer = get(&server, VERIFY).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let told = &answer.json()[0];
    assert_eq!(
        (&told["state"], &told["file"]),
        (&"not-applicable".into(), &"web.yaml#1".into())
    );

    // A server that was made without rollouts.
    let server = serve(folder).await;
    for (method, target) in [("POST", &*format!("{POST}?wait=1m")), ("GET", VERIFY)] {
        let answer = call(server.address(), method, target).await;
        assert_eq!((answer.status, &*answer.problem().0), (501, "unsupported"));
    }
}

#[tokio::test]
async fn of_300_waits_44_are_busy_at_once() {
    let scene = Scene::shop(&["web"]);
    let server = scene.serve_in_time(Limits::default()).await;
    let mut waiting = Vec::new();
    for _ in 0..256 {
        let mut client = Client::connect(server.address()).await;
        client
            .send(request("GET", &format!("{VERIFY}?wait=24h"), &[]))
            .await;
        waiting.push(client);
    }
    scene.until_followed(256).await;
    for (method, target) in [
        ("POST", POST),
        ("GET", VERIFY),
        ("GET", ROLLOUT),
        ("POST", POST),
    ] {
        for _ in 0..11 {
            let answer = call(server.address(), method, &format!("{target}?wait=24h")).await;
            let detail = "too many calls wait for rollouts or Jobs to end: nothing was done";
            let expected = ("busy".to_owned(), detail.to_owned());
            assert_eq!((answer.status, answer.problem()), (503, expected));
        }
    }
    assert_eq!(runs(&scene.cluster), BEFORE, "nothing was written");
    // They keep nothing else waiting.
    assert_eq!(get(&server, ROLLOUT).await.status, 200);
    assert_eq!(post(&server, "").await.status, 200);
    scene.complete("web");
    for client in &mut waiting {
        assert_eq!(client.answer().await.status, 200);
    }
    assert_eq!(
        get(&server, &format!("{VERIFY}?wait=24h")).await.status,
        200
    );
}
