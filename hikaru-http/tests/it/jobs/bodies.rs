//! Bodies: what is taken, what is not, and how long anybody waits for one.

use std::time::Duration;

use hikaru_core::jobs::JobSource;
use hikaru_http::{Authentication, Limits, Serving};

use super::{DEFINITION, JSON, YAML, created, migrate, mocked};
use crate::{
    client::{Client, call_with_body, request},
    cluster::{definition_of, mock_jobs, serve_jobs_with, tokens, works},
};

const CHUNKED: &str = "Transfer-Encoding: chunked";
const SOON: Duration = Duration::from_millis(200);

/// A server that takes whatever can be read.
async fn taking(limits: Limits) -> Serving {
    let jobs = mock_jobs(|jobs| {
        jobs.expect_create().returning(|_, _| Ok(created()));
    });
    serve_jobs_with(jobs, Authentication::Loopback, limits).await
}

#[tokio::test]
async fn bodies_that_are_no_definition_are_refused() {
    let server = mocked(|_| {}).await;
    for (headers, body, status, problem, sentence) in [
        (
            &[JSON][..],
            &b""[..],
            400,
            "bad-body",
            "expected the definition of a Job, found nothing",
        ),
        (&[YAML], b" \n\t", 400, "bad-body", "found nothing"),
        (&[YAML], b"\xef\xbb\xbf", 400, "bad-body", "found nothing"),
        (
            &[JSON],
            b"{\"a\":\"\xff\"}",
            400,
            "bad-body",
            "expected UTF-8, found another byte at byte 6",
        ),
        (
            &[YAML],
            b"\xff\xfek\0",
            400,
            "bad-body",
            "the byte order mark of UTF-16 (little-endian)",
        ),
        (
            &[YAML],
            b"\0\0\xfe\xff\0\0\0k",
            400,
            "bad-body",
            "the byte order mark of UTF-32 (big-endian)",
        ),
        (&[], b"{}", 415, "unsupported-media-type", "found 0"),
        (
            &["Content-Type: text/plain"],
            b"{}",
            415,
            "unsupported-media-type",
            "found `text/plain`",
        ),
        (
            &["Content-Type: application/json; charset=latin1"],
            b"{}",
            415,
            "unsupported-media-type",
            "`latin1`",
        ),
        (
            &[JSON, YAML],
            b"{}",
            415,
            "unsupported-media-type",
            "found 2",
        ),
        (
            &[JSON, "Content-Encoding: gzip"],
            b"\x1f\x8b",
            415,
            "unsupported-media-type",
            "`gzip`",
        ),
    ] {
        let answer = call_with_body(server.address(), "/api/job", headers, body).await;
        assert_eq!(answer.status, status, "{body:?}: {}", answer.text);
        let (kind, detail) = answer.problem();
        assert_eq!(kind, problem, "{body:?}");
        assert!(detail.contains(sentence), "{body:?}: {detail}");
        if status == 415 {
            assert_eq!(
                answer.header("accept-post"),
                Some("application/json, application/yaml")
            );
        }
        works(server.address()).await;
    }
}

#[tokio::test]
async fn chunks_are_put_together() {
    let server = mocked(|jobs| {
        jobs.expect_define().returning(|request| {
            assert_eq!(
                request.source,
                JobSource::Yaml("kind: Job\nspec: é\n".into())
            );
            Ok(definition_of(migrate()))
        });
        jobs.expect_create().returning(|_, _| Ok(created()));
    })
    .await;
    let mut client = Client::connect(server.address()).await;
    // The first cuts a character in two; trailers are nobody's business.
    client
        .send(request("POST", "/api/job", &[YAML, CHUNKED]))
        .await;
    client.send(b"11\r\nkind: Job\nspec: \xc3\r\n").await;
    client.send(b"2\r\n\xa9\n\r\n0\r\nX: y\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 201);
    client.send(request("GET", "/livez", &[])).await;
    assert_eq!(client.answer().await.status, 200, "the connection stays");
}

#[tokio::test]
async fn a_definition_has_a_limit() {
    let mut limits = Limits::default();
    limits.job_bytes = 100;
    let server = taking(limits).await;
    let whole = |bytes: usize| "x".repeat(bytes);
    let answer = call_with_body(server.address(), "/api/job", &[YAML], whole(100)).await;
    assert_eq!(answer.status, 201);
    // By its length: nothing of it is read.
    let mut client = Client::connect(server.address()).await;
    let head = request("POST", "/api/job", &[YAML, "Content-Length: 101"]);
    client.send(head).await;
    let answer = client.answer().await;
    let expected = (
        "body-too-large".into(),
        "expected a body of at most 100 bytes, found 101".into(),
    );
    assert_eq!((answer.status, answer.problem()), (413, expected));
    // By what comes.
    let mut client = Client::connect(server.address()).await;
    client
        .send(request("POST", "/api/job", &[YAML, CHUNKED]))
        .await;
    let chunk = format!("32\r\n{}\r\n", whole(50));
    client.send(chunk.repeat(3)).await;
    let answer = client.answer().await;
    assert_eq!(
        (answer.status, &*answer.problem().0),
        (413, "body-too-large")
    );
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(client.is_closed().await);
    works(server.address()).await;
}

#[tokio::test]
async fn a_definition_is_at_most_a_mebibyte() {
    let server = taking(Limits::default()).await;
    let body = vec![b'x'; 1024 * 1024];
    let answer = call_with_body(server.address(), "/api/job", &[YAML], &body).await;
    assert_eq!(answer.status, 201);
    let mut client = Client::connect(server.address()).await;
    client
        .send(request("POST", "/api/job", &[YAML, CHUNKED]))
        .await;
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let mut taken = true;
    for _ in 0..64 {
        taken = taken && client.try_send(&chunk).await;
    }
    let answer = client.answer_to("POST").await;
    assert!(answer.is_none_or(|answer| answer.status == 413));
    works(server.address()).await;
}

#[tokio::test]
async fn a_body_that_stalls_has_a_time() {
    let mut limits = Limits::default();
    limits.body_time = SOON;
    let server = taking(limits).await;
    for (framing, begun) in [
        ("Content-Length: 100", ""),
        ("Content-Length: 100", "kind: "),
        (CHUNKED, ""),
        (CHUNKED, "6\r\nkind: \r\n"),
        (CHUNKED, "6\r\nki"),
    ] {
        let mut client = Client::connect(server.address()).await;
        let head = request("POST", "/api/job", &[YAML, framing]);
        client.send(format!("{head}{begun}")).await;
        let answer = client.answer().await;
        let expected = (
            "body-timeout".into(),
            "expected the whole body within 200ms".into(),
        );
        assert_eq!(
            (answer.status, answer.problem()),
            (408, expected),
            "{framing} {begun}"
        );
        assert!(client.is_closed().await);
    }
    works(server.address()).await;
}

#[tokio::test]
async fn a_body_that_breaks_off_makes_no_job() {
    let server = mocked(|_| {}).await;
    for (framing, begun) in [
        ("Content-Length: 100", "kind: Job"),
        (CHUNKED, "9\r\nkind: Job\r\n"),
        (CHUNKED, "9\r\nkind"),
        (CHUNKED, "zz\r\nkind"),
        (CHUNKED, "fffffffffffffffffff\r\n"),
    ] {
        let mut client = Client::connect(server.address()).await;
        let head = request("POST", "/api/job", &[YAML, framing]);
        client.send(format!("{head}{begun}")).await;
        client.finish().await;
        // Whether it still gets a word is its own business.
        let answer = client.answer_to("POST").await;
        assert!(
            answer.is_none_or(|answer| answer.status == 400 && answer.problem().0 == "bad-body"),
            "{framing} {begun}"
        );
        assert!(client.is_closed().await);
        works(server.address()).await;
    }
}

#[tokio::test]
async fn expect_100_continue_is_answered() {
    let server = taking(Limits::default()).await;
    let length = format!("Content-Length: {}", DEFINITION.len());
    let mut client = Client::connect(server.address()).await;
    let head = request("POST", "/api/job", &[JSON, &length, "Expect: 100-continue"]);
    client.send(head).await;
    assert_eq!(client.interim().await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.send(DEFINITION).await;
    assert_eq!(client.answer().await.status, 201);
    // What is refused by its head is refused before.
    let mut client = Client::connect(server.address()).await;
    let head = request(
        "POST",
        "/api/job",
        &["Content-Length: 9", "Expect: 100-continue"],
    );
    client.send(head).await;
    assert_eq!(client.answer().await.status, 415);
}

#[tokio::test]
async fn a_body_is_not_read_before_its_sender_is_known() {
    let jobs = mock_jobs(|jobs| {
        jobs.expect_create().returning(|_, _| Ok(created()));
    });
    let tokens = tokens(["s3cret-t0ken-of-ours"]);
    let server = serve_jobs_with(jobs, tokens, Limits::default()).await;
    for (headers, status) in [
        (&["Content-Length: 9"][..], 401),
        (&["Content-Length: 9", "Authorization: Bearer wrong"], 401),
        (&["Content-Length: 999999999"], 401),
        (&[CHUNKED], 401),
        (&["Content-Length: 9", "Expect: 100-continue"], 401),
        (
            &[
                "Content-Length: 999999999",
                "Authorization: Bearer s3cret-t0ken-of-ours",
            ],
            413,
        ),
    ] {
        // Not a byte of the body is sent, and the answer is there.
        let headers = [headers, &[YAML]].concat();
        let mut client = Client::connect(server.address()).await;
        client.send(request("POST", "/api/job", &headers)).await;
        assert_eq!(client.answer().await.status, status, "{headers:?}");
    }
    let headers = ["Authorization: Bearer s3cret-t0ken-of-ours", YAML];
    let answer = call_with_body(server.address(), "/api/job", &headers, "kind: Job").await;
    assert_eq!(answer.status, 201);
}

#[tokio::test]
async fn few_bodies_are_read_at_once() {
    let mut limits = Limits::default();
    (limits.jobs, limits.body_time) = (1, Duration::from_secs(5));
    let server = taking(limits).await;
    let length = format!("Content-Length: {}", DEFINITION.len());
    let mut slow = Client::connect(server.address()).await;
    slow.send(request("POST", "/api/job", &[JSON, &length]))
        .await;
    works(server.address()).await;
    let mut next = Client::connect(server.address()).await;
    let whole = format!(
        "{}{DEFINITION}",
        request("POST", "/api/job", &[JSON, &length])
    );
    next.send(&whole).await;
    works(server.address()).await;
    slow.send(DEFINITION).await;
    assert_eq!(slow.answer().await.status, 201);
    assert_eq!(next.answer().await.status, 201, "its turn has come");

    // One that hangs up gives its turn back.
    let mut gone = Client::connect(server.address()).await;
    gone.send(request("POST", "/api/job", &[JSON, &length]))
        .await;
    works(server.address()).await;
    drop(gone);
    let mut next = Client::connect(server.address()).await;
    next.send(&whole).await;
    assert_eq!(next.answer().await.status, 201);
}

#[tokio::test]
async fn waiting_for_a_permit_ends_with_busy() {
    let mut limits = Limits::default();
    (limits.jobs, limits.body_time) = (1, Duration::from_millis(500));
    let server = taking(limits).await;
    let mut slow = Client::connect(server.address()).await;
    slow.send(request("POST", "/api/job", &[JSON, "Content-Length: 9"]))
        .await;
    works(server.address()).await;
    // Both wait as long, so the order of their ends is theirs; a third one finds the place free.
    let mut next = Client::connect(server.address()).await;
    next.send(request("POST", "/api/job", &[JSON, "Content-Length: 9"]))
        .await;
    assert_eq!(slow.answer().await.problem().0, "body-timeout");
    let answer = next.answer().await;
    assert!(
        matches!(&*answer.problem().0, "busy" | "body-timeout"),
        "{answer:?}"
    );
    let answer = call_with_body(server.address(), "/api/job", &[JSON], DEFINITION).await;
    assert_eq!(answer.status, 201);
}
