//! Without a token: what a browser could be made to send by a web page is refused, what a person or CI sends is not.

use hikaru_http::{Authentication, Limits};

use crate::{
    client::{Client, call},
    cluster::{serve_with, shop, works},
};

const POST: &str = "/api/image/acme/web:acme_web_main_1.4.0_7_0123abcd";

/// The problem's name, or nothing if it was let through: with the local rules, and with `--insecure-no-auth`.
async fn check(head: &str, local: Option<&str>, insecure: Option<&str>) {
    for (authentication, expected) in [
        (Authentication::Loopback, local),
        (Authentication::Insecure, insecure),
    ] {
        let name = format!("{authentication:?} {head:?}");
        let server = serve_with(shop(), authentication, Limits::default()).await;
        let mut client = Client::connect(server.address()).await;
        client.send(head).await;
        let answer = client.answer().await;
        let status = match expected {
            None => 200,
            Some("bad-request") => 400,
            Some(_) => 403,
        };
        assert_eq!(answer.status, status, "{name}: {}", answer.text);
        if let Some(problem) = expected {
            assert_eq!(answer.problem().0, problem, "{name}");
        }
        works(server.address()).await;
    }
}

#[tokio::test]
async fn only_names_of_this_machine_are_answered() {
    let foreign = Some("foreign-host");
    for (host, local) in [
        ("localhost", None),
        ("LOCALHOST:8080", None),
        ("127.0.0.1:8080", None),
        ("[::1]:8080", None),
        ("evil.example", foreign),
        ("localhost.evil.example", foreign),
        ("127.0.0.1.nip.io", foreign),
        ("10.0.0.1", foreign),
        ("[::]", foreign),
        ("0.0.0.0", foreign),
        ("", foreign),
        ("localhost@evil.example", foreign),
    ] {
        check(
            &format!("POST {POST} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
            local,
            None,
        )
        .await;
    }
    let line = format!("POST {POST} HTTP/1.0\r\n");
    check(&format!("{line}\r\n"), foreign, None).await;
    check(&format!("{line}Host: localhost\r\n\r\n"), None, None).await;
    let none = Some("bad-request");
    check(&format!("POST {POST} HTTP/1.1\r\n\r\n"), none, none).await;
    let two = "Host: localhost\r\nHost: evil.example\r\n";
    check(&format!("POST {POST} HTTP/1.1\r\n{two}\r\n"), none, none).await;
}

#[tokio::test]
async fn the_authority_of_an_absolute_target_counts() {
    for (authority, host, local) in [
        ("localhost:1", "localhost", None),
        ("evil.example", "localhost", Some("foreign-host")),
        ("localhost", "evil.example", Some("foreign-host")),
        ("user@localhost", "localhost", Some("foreign-host")),
    ] {
        let head = format!("POST http://{authority}{POST} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        check(&head, local, None).await;
    }
}

#[tokio::test]
async fn requests_of_web_pages_are_refused() {
    let browser = Some("browser");
    for (headers, expected) in [
        ("Origin: https://evil.example", browser),
        ("Origin: http://localhost:8080", browser),
        ("Origin: null", browser),
        ("Origin:", browser),
        ("Sec-Fetch-Site: cross-site", browser),
        ("Sec-Fetch-Site: same-site", browser),
        (
            "Sec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site",
            browser,
        ),
        ("Sec-Fetch-Site: same-origin", None),
        ("Sec-Fetch-Site: none", None),
        ("Referer: https://evil.example/", None),
    ] {
        let head = format!("POST {POST} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n\r\n");
        check(&head, expected, expected).await;
        let head =
            format!("GET /api/image/acme/web HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n\r\n");
        check(&head, expected, expected).await;
    }
}

#[tokio::test]
async fn probes_are_exempt() {
    let foreign =
        "Host: 10.1.2.3:8080\r\nOrigin: https://evil.example\r\nSec-Fetch-Site: cross-site\r\n";
    for target in ["/livez", "/readyz"] {
        check(
            &format!("GET {target} HTTP/1.1\r\n{foreign}\r\n"),
            None,
            None,
        )
        .await;
    }
    let server = serve_with(shop(), Authentication::Loopback, Limits::default()).await;
    assert_eq!(call(server.address(), "GET", "/readyz").await.status, 200);
}
