//! What no caller should send: each gets the right status with a sentence, nothing is half-known, the next request works.

use crate::{
    client::{Client, call, call_with},
    cluster::{BEFORE, runs, serve, shop, works},
};

const POST: &str = "/api/image/acme/web:acme_web_main_1.4.0_7_0123abcd";

#[tokio::test]
async fn texts_that_are_no_image_are_refused() {
    let cluster = shop();
    let server = serve(cluster.clone()).await;
    let long = "x".repeat(5000);
    let encoded = "%78".repeat(5000);
    for (image, status, problem, sentence) in [
        (
            "",
            400,
            "bad-reference",
            "expected an image reference, found an empty text",
        ),
        ("..", 400, "bad-reference", ""),
        ("../..", 400, "bad-reference", ""),
        ("%2e%2e/%2e%2e/etc/passwd", 400, "bad-reference", ""),
        ("acme/../web:t", 400, "bad-reference", ""),
        ("acme%252Fweb:t", 400, "bad-reference", "`%2Fweb"),
        (
            "acme%2",
            400,
            "bad-reference",
            "expected two hex digits after `%`, found `%2` at byte 4",
        ),
        ("acme%zz", 400, "bad-reference", "found `%zz`"),
        ("acme%ff", 400, "bad-reference", "expected UTF-8"),
        ("%00", 400, "bad-reference", ""),
        ("a%0d%0aSet-Cookie:x", 400, "bad-reference", ""),
        ("web/", 400, "bad-reference", ""),
        ("/web", 400, "bad-reference", ""),
        ("acme/Web", 400, "bad-reference", ""),
        (&long, 400, "bad-reference", ""),
        (&encoded, 400, "bad-reference", ""),
        (
            "web",
            422,
            "no-build",
            "the image has no tag: expected `:` and a build tag",
        ),
        (
            "web:latest",
            422,
            "no-build",
            "the tag `latest` is no build tag: expected 6 or more segments",
        ),
        ("web:acme_web_main_1.x_7_none", 422, "no-build", ""),
    ] {
        let shown = image.get(..40).unwrap_or(image);
        for (method, route) in [("POST", "image"), ("GET", "candidates"), ("GET", "image")] {
            let answer = call(server.address(), method, &format!("/api/{route}/{image}")).await;
            if (method, route, status) == ("GET", "image", 422) {
                assert_eq!(
                    answer.status, 200,
                    "{shown}: a reference is enough to be found"
                );
                continue;
            }
            assert_eq!(
                answer.status, status,
                "{method} {route} {shown}: {}",
                answer.text
            );
            let (found, detail) = answer.problem();
            assert_eq!(found, problem, "{shown}");
            assert!(detail.contains(sentence), "{shown}: {detail}");
            assert!(detail.len() < 400, "nobody wants it all back: {detail}");
        }
    }
    for target in ["/api/image", "/api/candidates", "/api/image?dryRun=true"] {
        let method = if target.contains("image") {
            "POST"
        } else {
            "GET"
        };
        let answer = call(server.address(), method, target).await;
        assert_eq!(
            (answer.status, &*answer.problem().0),
            (400, "bad-reference")
        );
    }
    works(server.address()).await;
    assert_eq!(runs(&cluster), BEFORE);
}

#[tokio::test]
async fn unknown_parameters_are_refused_by_name() {
    let cluster = shop();
    let server = serve(cluster.clone()).await;
    for (method, target, query, sentence) in [
        ("POST", POST, "dryrun=true", "found `dryrun`"),
        ("POST", POST, "dryRun", "dryRun: expected true or false"),
        (
            "POST",
            POST,
            "dryRun=true&dryRun=true",
            "dryRun: expected once",
        ),
        ("POST", POST, "force=everything", "found `everything`"),
        (
            "POST",
            POST,
            "namespace=Shop",
            "namespace: expected a namespace",
        ),
        (
            "POST",
            POST,
            "workload=shop/web",
            "workload: expected NAMESPACE/KIND/NAME",
        ),
        (
            "GET",
            "/api/candidates/acme/web:acme_web_main_1_1_none",
            "dryRun=true",
            "found `dryRun`",
        ),
        (
            "GET",
            "/api/image/acme/web",
            "namespace=shop",
            "this route takes no parameters",
        ),
    ] {
        let answer = call(server.address(), method, &format!("{target}?{query}")).await;
        assert_eq!(
            (answer.status, &*answer.problem().0),
            (400, "bad-query"),
            "{query}"
        );
        let detail = answer.problem().1;
        assert!(detail.contains(sentence), "{query}: {detail}");
    }
    assert_eq!(runs(&cluster), BEFORE);
}

#[tokio::test]
async fn unknown_routes_are_404_and_other_methods_405() {
    let server = serve(shop()).await;
    for target in [
        "/",
        "/api",
        "/api/",
        "/api/images/x",
        "/livez/",
        "/metrics",
        "/api/jobs",
        "/api/job/shop/migrate/logs",
        "/api/job/shop/from/nightly/log",
        "*",
    ] {
        let method = if target == "*" { "OPTIONS" } else { "GET" };
        let answer = call(server.address(), method, target).await;
        assert_eq!(
            (answer.status, &*answer.problem().0),
            (404, "unknown-route"),
            "{target}"
        );
    }
    for (method, target, allow) in [
        ("PUT", POST, "GET, HEAD, POST"),
        ("DELETE", POST, "GET, HEAD, POST"),
        ("OPTIONS", POST, "GET, HEAD, POST"),
        ("BREW", POST, "GET, HEAD, POST"),
        ("POST", "/api/candidates/web", "GET, HEAD"),
        ("POST", "/livez", "GET, HEAD"),
        ("PUT", "/readyz", "GET, HEAD"),
        ("GET", "/api/job", "POST"),
        ("DELETE", "/api/job", "POST"),
        ("POST", "/api/job/shop", "GET, HEAD"),
        ("DELETE", "/api/job/shop", "GET, HEAD"),
        ("POST", "/api/job/shop/migrate", "GET, HEAD, DELETE"),
        ("PUT", "/api/job/shop/migrate", "GET, HEAD, DELETE"),
        ("GET", "/api/job/shop/from/nightly", "POST"),
        ("DELETE", "/api/job/shop/from/log", "GET, HEAD, POST"),
        ("DELETE", "/api/job/shop/migrate/log", "GET, HEAD"),
    ] {
        let answer = call(server.address(), method, target).await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some(allow)),
            "{method} {target}"
        );
    }
    // An id of the caller's never becomes part of another header.
    let answer = call_with(server.address(), "GET", "/nowhere", &["X-Request-Id: a\tb"]).await;
    assert_eq!(answer.status, 404);
    works(server.address()).await;
}

#[tokio::test]
async fn bytes_that_are_no_http_are_answered_400_and_the_connection_is_closed() {
    let server = serve(shop()).await;
    for (bytes, status) in [
        (&b"\r\n\r\nGET\r\n\r\n"[..], 400),
        (b"GET /livez\r\n\r\n", 400),
        (b"GET /livez HTTP/9.9\r\nHost: localhost\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nHost : localhost\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
    ] {
        let mut client = Client::connect(server.address()).await;
        client.send(bytes).await;
        let answer = client.answer().await;
        let shown = String::from_utf8_lossy(bytes);
        assert_eq!((answer.status, answer.is_plain()), (status, true), "{shown}");
        assert!(client.is_closed().await, "{shown}");
        works(server.address()).await;
    }
}

#[tokio::test]
async fn a_half_sent_request_is_dropped_silently() {
    let server = serve(shop()).await;
    for bytes in ["", "G", "GET /livez HTTP/1.1\r\nHost: loc"] {
        let mut client = Client::connect(server.address()).await;
        client.send(bytes).await;
        client.finish().await;
        assert!(client.is_closed().await, "{bytes:?}");
    }
    works(server.address()).await;
}

#[tokio::test]
async fn requests_in_one_packet_are_answered_in_order() {
    let cluster = shop();
    let server = serve(cluster.clone()).await;
    let mut client = Client::connect(server.address()).await;
    let one = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let two = format!("POST {POST} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let three = "GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n";
    client.send(format!("{one}{two}{three}")).await;
    for status in [200, 200, 404] {
        assert_eq!(client.answer().await.status, status);
    }
    client.send(one).await;
    assert_eq!(
        client.answer().await.status,
        200,
        "and the connection stays"
    );
    client.send("nonsense\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 400);
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn http_1_0_is_answered_and_closed() {
    let server = serve(shop()).await;
    let mut client = Client::connect(server.address()).await;
    client.send("GET /livez HTTP/1.0\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 200);
    assert!(client.is_closed().await);
}
