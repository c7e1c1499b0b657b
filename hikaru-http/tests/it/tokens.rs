//! Bearer tokens: who is let in, and that nothing is read or told before.

use std::sync::Arc;

use async_trait::async_trait;
use hikaru_core::{
    caller::{Caller, Rights},
    jobs::{JobCreated, JobName, JobSource},
    testing::MemoryCluster,
};
use hikaru_http::{
    AuthRequest, Authentication, Authenticator, BindError, Bound, Denied, Limits, Serving,
};
use tokio::net::TcpListener;

use crate::{
    client::{Client, LONG, call, call_with, call_with_body},
    cluster::{BEFORE, POSTED, definition_of, mock_jobs, runs, serve_with, shop, tokens, works},
};

/// Lets in a caller whose body ends with a word, as a signature would be checked.
struct LastWord;

#[async_trait]
impl Authenticator for LastWord {
    async fn authenticate(&self, request: AuthRequest<'_>) -> Result<Caller, Denied> {
        match request.body.bytes().await?.ends_with(b"swordfish") {
            true => Ok(Caller::new("a webhook", Rights::ALL)),
            false => Err(Denied::BadCredentials),
        }
    }
}

const POST: &str = "/api/image/acme/web:acme_web_main_1.4.0_7_0123abcd";

async fn guarded(cluster: Arc<MemoryCluster>) -> Serving {
    let tokens = tokens(["s3cret-t0ken-of-ours", "n3xt-t0ken-of-ours"]);
    serve_with(cluster, tokens, Limits::default()).await
}

#[tokio::test]
async fn only_a_valid_token_is_let_in() {
    for (headers, status, challenge) in [
        (&[][..], 401, Some("Bearer")),
        (
            &["Authorization: Basic s3cret-t0ken-of-ours"],
            401,
            Some("Bearer"),
        ),
        (
            &["Authorization: s3cret-t0ken-of-ours"],
            401,
            Some("Bearer"),
        ),
        (&["Authorization:"], 401, Some("Bearer")),
        (&["Authorization: Bearer"], 401, Some("Bearer")),
        (
            &["Authorization: Bearer wrong"],
            401,
            Some("Bearer error=\"invalid_token\""),
        ),
        (
            &["Authorization: Bearer s3cret-t0ken-of-ours n3xt-t0ken-of-ours"],
            401,
            Some("Bearer error=\"invalid_token\""),
        ),
        (
            &["Authorization: Bearer s3cret-t0ken-of-our"],
            401,
            Some("Bearer error=\"invalid_token\""),
        ),
        (
            &["Authorization: Bearer s3cret-t0ken-of-ours-"],
            401,
            Some("Bearer error=\"invalid_token\""),
        ),
        (
            &[
                "Authorization: Bearer s3cret-t0ken-of-ours",
                "Authorization: Bearer s3cret-t0ken-of-ours",
            ],
            400,
            None,
        ),
        (&["Authorization: Bearer s3cret-t0ken-of-ours"], 200, None),
        (&["authorization: bEaReR   n3xt-t0ken-of-ours"], 200, None),
        // A token is enough: whoever has it may be a browser, and need not be on this machine.
        (
            &[
                "Authorization: Bearer n3xt-t0ken-of-ours",
                "Origin: https://ci.example",
                "Sec-Fetch-Site: cross-site",
            ],
            200,
            None,
        ),
    ] {
        let cluster = shop();
        let server = guarded(cluster.clone()).await;
        let answer = call_with(server.address(), "POST", POST, headers).await;
        assert_eq!(answer.status, status, "{headers:?}: {}", answer.text);
        assert_eq!(answer.header("www-authenticate"), challenge, "{headers:?}");
        let expected = if status == 200 { POSTED } else { BEFORE };
        assert_eq!(runs(&cluster), expected, "{headers:?}");
        assert!(!answer.text.contains("s3cret"), "{}", answer.text);
    }
}

#[tokio::test]
async fn an_empty_token_never_matches() {
    let tokens = tokens(["s3cret-t0ken-of-ours"]);
    let server = serve_with(shop(), tokens, Limits::default()).await;
    for header in [
        "Authorization: Bearer ",
        "Authorization: Bearer     ",
        "Authorization: Bearer \t",
    ] {
        assert_eq!(
            call_with(server.address(), "POST", POST, &[header])
                .await
                .status,
            401
        );
    }
}

#[tokio::test]
async fn every_route_but_the_probes_is_guarded() {
    let server = guarded(shop()).await;
    for target in [
        "/",
        "/api",
        "/metrics",
        POST,
        "/api/candidates/acme/web:t",
        "/livez/",
        "/LIVEZ",
        "//livez",
    ] {
        for method in [
            "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH",
        ] {
            let answer = call(server.address(), method, target).await;
            assert_eq!(answer.status, 401, "{method} {target}");
        }
    }
    for target in ["/livez", "/readyz", "/readyz?verbose"] {
        assert_eq!(call(server.address(), "GET", target).await.status, 200);
        assert_eq!(call(server.address(), "POST", target).await.status, 405);
    }
}

#[tokio::test]
async fn a_huge_token_is_refused_and_told_so() {
    let server = guarded(shop()).await;
    let long = format!("Authorization: Bearer {}", "x".repeat(5000));
    assert_eq!(
        call_with(server.address(), "POST", POST, &[&long])
            .await
            .status,
        401
    );

    let mut client = Client::connect(server.address()).await;
    let head = format!("POST {POST} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ");
    client.send(head).await;
    client.try_send("x".repeat(1024 * 1024)).await;
    client.try_send("\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 431);
    assert!(client.is_closed().await);
    works(server.address()).await;
}

#[tokio::test]
async fn callers_are_checked_before_the_body() {
    let server = guarded(shop()).await;
    for framing in [
        "Content-Length: 1000",
        "Content-Length: 10000000000",
        "Transfer-Encoding: chunked",
    ] {
        let mut client = Client::connect(server.address()).await;
        let head = format!("POST {POST} HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n");
        client.send(head).await;
        assert_eq!(
            client.answer().await.status,
            401,
            "{framing}: no byte of the body was sent"
        );
    }
    // Nor is a client told to go on that is not let in.
    let mut client = Client::connect(server.address()).await;
    client.send(format!("POST {POST} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")).await;
    assert_eq!(client.answer().await.status, 401);
}

#[tokio::test]
async fn without_a_token_only_loopback_is_listened_on() {
    let listener = TcpListener::bind("0.0.0.0:0").await.expect("a port");
    let refused = Bound::new(
        listener,
        shop(),
        crate::cluster::still_clock(),
        Authentication::Loopback,
    );
    assert!(matches!(refused, Err(BindError::NotLoopback(_))));
    let listener = TcpListener::bind("0.0.0.0:0").await.expect("a port");
    let server = Bound::new(
        listener,
        shop(),
        crate::cluster::still_clock(),
        Authentication::Insecure,
    )
    .expect("insecure")
    .serve();
    let mut draining = server.drain();
    let over = tokio::time::timeout(LONG, draining.finished()).await;
    over.expect("a server that nobody called is over at once");
}

#[tokio::test]
async fn an_authenticator_can_ask_for_the_body_and_the_route_reads_it_all_the_same() {
    let name = || JobName::new("shop", "migrate").expect("a name");
    let jobs = mock_jobs(|jobs| {
        jobs.expect_define().returning(move |job| {
            let JobSource::Json(text) = &job.source else {
                panic!("JSON");
            };
            assert_eq!(&**text, r#"{"swordfish"#);
            Ok(definition_of(name()))
        });
        jobs.expect_create()
            .returning(move |_, _| Ok(JobCreated::new(name(), "1")));
    });
    let bound = Bound::new(
        crate::cluster::listener().await,
        shop(),
        crate::cluster::still_clock(),
        LastWord,
    );
    let server = bound.expect("a server").jobs(jobs).serve();
    let json = ["Content-Type: application/json"];
    for (body, status) in [("{}", 401), (r#"{"swordfish"#, 201)] {
        let answer = call_with_body(server.address(), "/api/job", &json, body).await;
        assert_eq!(answer.status, status, "{body}");
        assert_eq!(answer.header("connection"), None, "the body was read");
    }
    // A body that is passed over elsewhere is whole, too, once the authenticator has read it.
    let answer = call_with_body(server.address(), "/api/job/shop", &[], "swordfish").await;
    assert_eq!((answer.status, answer.header("connection")), (405, None));
    let long = "x".repeat(65537);
    let answer = call_with_body(server.address(), "/api/job/shop", &[], long).await;
    assert_eq!(answer.problem().0, "body-too-large");
}
