//! The limits: bodies, headers, time, connections, upgrades. Whoever meets one is told, and nobody else notices.

use std::{fmt::Write as _, time::Duration};

use hikaru_http::{Authentication, Limits, Serving};
use tokio::time::sleep;

use crate::{
    client::{Client, call, request},
    cluster::{BEFORE, Gate, POSTED, runs, serve, serve_with, shop, works},
};

const POST: &str = "/api/image/acme/web:acme_web_main_1.4.0_7_0123abcd";
const SOON: Duration = Duration::from_millis(200);

async fn limited(set: impl FnOnce(&mut Limits)) -> Serving {
    let mut limits = Limits::default();
    set(&mut limits);
    serve_with(shop(), Authentication::Loopback, limits).await
}

#[tokio::test]
async fn a_small_body_is_passed_over() {
    for (framing, body) in [
        ("Content-Length: 2", "{}"),
        ("Content-Length: 65536", ""),
        ("Transfer-Encoding: chunked", "2\r\n{}\r\n0\r\n\r\n"),
        // A body of one length by one count and another by the other is not read by either.
        (
            "Content-Length: 4\r\nTransfer-Encoding: chunked",
            "0\r\n\r\n",
        ),
        ("Transfer-Encoding: chunked", "zz\r\nlies"),
        ("Transfer-Encoding: chunked", "fffffffffffffffffff\r\n"),
    ] {
        let cluster = shop();
        let server = serve(cluster.clone()).await;
        let mut client = Client::connect(server.address()).await;
        client
            .send(format!("{}{body}", request("POST", POST, &[framing])))
            .await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 200, "{framing}: {}", answer.text);
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(runs(&cluster), POSTED);
        assert!(client.is_closed().await, "{framing}");
        works(server.address()).await;
    }
}

#[tokio::test]
async fn a_long_body_is_refused_unread() {
    let cluster = shop();
    let server = serve(cluster.clone()).await;
    for length in ["65537", "1000000000000000"] {
        let mut client = Client::connect(server.address()).await;
        client
            .send(request(
                "POST",
                POST,
                &[&format!("Content-Length: {length}")],
            ))
            .await;
        let answer = client.answer().await;
        assert_eq!(
            (answer.status, &*answer.problem().0),
            (413, "body-too-large")
        );
        assert_eq!(runs(&cluster), BEFORE);
    }
}

#[tokio::test]
async fn a_body_without_end_is_cut_off() {
    let server = serve(shop()).await;
    let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
    let mut client = Client::connect(server.address()).await;
    client
        .send(request("POST", POST, &["Transfer-Encoding: chunked"]))
        .await;
    // 4 GiB, if they let us.
    let mut refused = false;
    for _ in 0..262_144 {
        if !client.try_send(&chunk).await {
            refused = true;
            break;
        }
    }
    assert!(refused, "the server goes on reading");
    works(server.address()).await;
}

#[tokio::test]
async fn an_answer_arrives_although_a_body_is_still_sent() {
    let server = serve(shop()).await;
    let mut client = Client::connect(server.address()).await;
    client
        .send(request("POST", POST, &["Content-Length: 1000000"]))
        .await;
    assert_eq!(client.answer().await.status, 413);
    // A reset could overtake the answer, so what still comes is taken for a while.
    for _ in 0..3 {
        assert!(client.try_send("x".repeat(1000)).await);
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn headers_without_end_are_431() {
    let server = serve(shop()).await;
    let mut client = Client::connect(server.address()).await;
    client
        .send("GET /livez HTTP/1.1\r\nHost: localhost\r\n")
        .await;
    for i in 0.. {
        if !client
            .try_send(format!("X-{i}: {}\r\n", "x".repeat(1000)))
            .await
            || i > 100
        {
            break;
        }
    }
    assert_eq!(client.answer().await.status, 431);
    assert!(client.is_closed().await);
    works(server.address()).await;
}

#[tokio::test]
async fn more_headers_than_the_limit_are_431() {
    let server = limited(|limits| limits.headers = 10).await;
    for (count, status) in [(9, 200), (10, 431)] {
        let mut head = "GET /livez HTTP/1.1\r\nHost: localhost\r\n".to_owned();
        for i in 0..count {
            write!(head, "X-{i}: y\r\n").expect("a string");
        }
        let mut client = Client::connect(server.address()).await;
        client.send(format!("{head}\r\n")).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, status, "{count} and Host");
    }
}

#[tokio::test]
async fn a_uri_that_is_too_long_is_414() {
    let server = limited(|limits| limits.header_bytes = 128 * 1024).await;
    let answer = call(
        server.address(),
        "POST",
        &format!("/api/image/{}", "x".repeat(70_000)),
    )
    .await;
    assert_eq!(answer.status, 414);
    works(server.address()).await;
}

#[tokio::test]
async fn a_header_that_takes_too_long_is_408() {
    let server = limited(|limits| limits.header_time = SOON).await;
    let mut client = Client::connect(server.address()).await;
    client.send("GET /livez HTTP/1.1\r\nHo").await;
    let answer = client.answer().await;
    assert_eq!(
        (answer.status, &*answer.problem().0),
        (408, "header-timeout")
    );
    assert!(client.is_closed().await);

    // Who has said nothing is told nothing.
    let mut idle = Client::connect(server.address()).await;
    assert!(idle.is_closed().await);
    let mut idle = Client::connect(server.address()).await;
    idle.send(request("GET", "/livez", &[])).await;
    assert_eq!(idle.answer().await.status, 200);
    assert!(idle.is_closed().await);
    works(server.address()).await;
}

#[tokio::test]
async fn upgrades_wait_their_turn() {
    let gate = Gate::new(shop());
    let mut limits = Limits::default();
    limits.upgrades = 1;
    let server = serve_with(gate.clone(), Authentication::Loopback, limits).await;
    let mut first = Client::connect(server.address()).await;
    first.send(request("POST", POST, &[])).await;
    gate.wait_for_writes(1).await;
    let mut second = Client::connect(server.address()).await;
    second.send(request("POST", POST, &[])).await;
    // What only reads does not wait behind what writes.
    assert_eq!(
        call(server.address(), "GET", "/api/image/acme/web")
            .await
            .status,
        200
    );
    gate.gate.add_permits(1);
    assert_ne!(first.answer().await.text, "[]");
    assert_eq!(second.answer().await.text, "[]", "the first one did it");
}

#[tokio::test]
async fn an_upgrade_that_takes_too_long_is_504_and_goes_on() {
    let gate = Gate::new(shop());
    let mut limits = Limits::default();
    limits.answer = SOON;
    let server = serve_with(gate.clone(), Authentication::Loopback, limits).await;
    let mut client = Client::connect(server.address()).await;
    let head = request("POST", POST, &["Content-Length: 2"]);
    client.send(format!("{head}{{}}")).await;
    let answer = client.answer().await;
    assert_eq!((answer.status, &*answer.problem().0), (504, "timeout"));
    let close = answer.header("connection");
    assert_eq!(close, Some("close"), "its body is not read");
    assert_eq!(runs(&gate.cluster), BEFORE);
    gate.gate.add_permits(1);
    server.drain().finished().await;
    assert_eq!(runs(&gate.cluster), POSTED, "it was finished all the same");
}
