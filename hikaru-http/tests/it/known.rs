//! Callers that are known by a token of hikaru's own: until when, by which set, and before which others. What a file says of them is in
//! `callers_file`, what they may do in `callers`.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use hikaru_core::{
    port::{Clock, ClusterError, MockTokenReviewPort},
    testing::StillClock,
};
use hikaru_http::{Authentication, Bound, CallerSet, Callers, FetchDocument, Limits, Serving};
use hyper::{Uri, body::Bytes};
use tracing::Level;

use crate::{
    client::{Client, call, call_with, request},
    cluster::{Gate, POSTED, listener, runs, serve_with, shop, still_clock},
    log::Log,
};

/// Two tokens, with their SHA-256.
const OLD: (&str, &str) = (
    "an-old-token-of-a-team",
    "9dad4b343a221c1b63e432be4e3b972f27621d200b963d7985ad1d06d9af980f",
);
const NEW: (&str, &str) = (
    "a-new-token-of-a-team",
    "712d330314702cde4c1250d80e8139666b37f358bdb72962c1cc095b04f3658e",
);

const TARGET: &str = "/api/image/acme/web:acme_web_main_1.4.0_7_0123abcd";

/// A set as a file says it.
fn set(entries: &str) -> CallerSet {
    CallerSet::from_yaml(entries, &mut |_| Err(String::new())).expect(entries)
}

/// The file of one caller.
fn of((_, hash): (&str, &str), more: &str) -> String {
    format!("callers:\n- name: ci\n  tokenSha256: {hash}\n  rights: [read, upgrade]\n{more}")
}

async fn serve(callers: Arc<Callers>) -> Serving {
    serve_with(shop(), Authentication::Callers(callers), Limits::default()).await
}

async fn status(server: &Serving, token: &str) -> u16 {
    let head = format!("Authorization: Bearer {token}");
    call_with(server.address(), "GET", TARGET, &[&head])
        .await
        .status
}

/// A token as a ServiceAccount has one, without its signature: of `https://kubernetes.default.svc`, for the audience hikaru, with the subject
/// `system:serviceaccount:shop:ci`, until 2100.
const OF_CI: &str = "eyJhbGciOiJSUzI1NiJ9.\
                     eyJpc3MiOiJodHRwczovL2t1YmVybmV0ZXMuZGVmYXVsdC5zdmMiLCJhdWQiOlsiaGlrYXJ1Il0sInN1YiI6InN5c3RlbTpzZXJ2aWNlYWNjb3VudDpzaG9wOmNpIiwiZXhwIjo0MTAyNDQ0ODAwfQ.";

#[tokio::test]
async fn a_token_is_valid_until_its_end() {
    let clock = Arc::new(StillClock::default());
    let set = set(&of(OLD, "  expires: 1970-01-01\n"));
    let callers = Arc::new(Callers::new(set, clock.clone()));
    let server = serve(callers).await;
    assert_eq!(status(&server, OLD.0).await, 200);
    clock.sleep(Duration::from_secs(24 * 3600 - 1)).await;
    assert_eq!(
        status(&server, OLD.0).await,
        200,
        "the last second of the day"
    );
    clock.sleep(Duration::from_secs(1)).await;
    let head = format!("Authorization: Bearer {}", OLD.0);
    let answer = call_with(server.address(), "GET", TARGET, &[&head]).await;
    assert_eq!(answer.status, 401);
    assert!(
        answer.text.contains("the token of ci has expired"),
        "{}",
        answer.text
    );
    let challenge = "Bearer error=\"invalid_token\"";
    assert_eq!(answer.header("www-authenticate"), Some(challenge));
    assert_eq!(
        clock.now(),
        SystemTime::UNIX_EPOCH + Duration::from_secs(24 * 3600)
    );
}

#[tokio::test]
async fn a_set_is_replaced_whole_and_whoever_was_let_in_stays_in() {
    let gate = Gate::new(shop());
    let callers = Arc::new(Callers::new(set(&of(OLD, "")), still_clock()));
    let authentication = Authentication::Callers(callers.clone());
    let server = serve_with(gate.clone(), authentication, Limits::default()).await;
    let mut client = Client::connect(server.address()).await;
    let head = format!("Authorization: Bearer {}", OLD.0);
    client.send(request("POST", TARGET, &[&head])).await;
    gate.wait_for_writes(1).await;
    callers.replace(set(&of(NEW, "")));
    assert_eq!(status(&server, OLD.0).await, 401);
    assert_eq!(status(&server, NEW.0).await, 200);
    gate.gate.add_permits(1);
    assert_eq!(client.answer().await.status, 200);
    assert_eq!(runs(&gate.cluster), POSTED);
}

#[tokio::test]
async fn a_token_of_an_issuer_that_no_trust_has_is_told_so() {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    let claims = BASE64_URL_SAFE_NO_PAD.encode(r#"{"iss": "https://git.example/"}"#);
    let token = format!("e30.{claims}.AAAA");
    let told = async |text: &str| {
        let server = serve(Arc::new(Callers::new(set(text), still_clock()))).await;
        let header = format!("Authorization: Bearer {token}");
        let answer = call_with(server.address(), "GET", "/api/status", &[&header]).await;
        assert_eq!(answer.status, 401);
        answer.json()["detail"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    // Where nobody is trusted it is no more than a wrong token.
    assert_eq!(told(&of(OLD, "")).await, "the token is not valid");
    let trust = "trusts:\n- name: git\n  kind: gitlab\n  issuer: https://git.example\n  audience: hikaru\n  rights: [upgrade]\n";
    assert_eq!(
        told(trust).await,
        "the token is not valid: no trust has its issuer `https://git.example/`, where each character counts"
    );
}

#[tokio::test]
async fn keys_are_fetched_as_the_embedder_says() {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    struct Proxy;
    #[async_trait::async_trait]
    impl FetchDocument for Proxy {
        async fn fetch(&self, address: &Uri, _ca: Option<&str>) -> Result<Bytes, String> {
            Err(format!("the proxy refuses {address}"))
        }
    }
    let clock = still_clock();
    let now = clock.now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.expect("a time after 1970").as_secs();
    let claims = format!(
        r#"{{"iss": "https://git.example", "iat": {now}, "exp": {}}}"#,
        now + 60
    );
    let [header, claims] =
        [r#"{"alg": "RS256"}"#, &claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
    let trust = "trusts:\n- name: git\n  kind: gitlab\n  issuer: https://git.example\n  audience: hikaru\n  rights: [upgrade]\n";
    let callers = Callers::new(set(trust), clock).fetch(Arc::new(Proxy));
    let server = serve(Arc::new(callers)).await;
    let token = format!("Authorization: Bearer {header}.{claims}.AAAA");
    let answer = call_with(server.address(), "GET", "/api/status", &[&token]).await;
    let detail = answer.json()["detail"].to_string();
    let fetched = "the proxy refuses https://git.example/.well-known/openid-configuration";
    assert!(answer.status == 503 && detail.contains(fetched), "{detail}");
}

#[tokio::test]
async fn trouble_is_told_until_the_set_is_replaced() {
    let callers = Arc::new(Callers::new(set(&of(OLD, "")), still_clock()));
    let server = serve(callers.clone()).await;
    let ready = async || call(server.address(), "GET", "/readyz").await;
    assert!(!ready().await.text.contains("detail"));
    callers.set_trouble("the file is gone");
    let told = ready().await;
    assert_eq!(
        (told.status, &told.json()["detail"]),
        (200, &"the file is gone".into())
    );
    assert_eq!(status(&server, OLD.0).await, 200, "it stays in force");
    callers.replace(set(&of(OLD, "")));
    assert!(!ready().await.text.contains("detail"));
}

#[tokio::test]
async fn a_text_that_is_too_short_for_a_token_is_none_whatever_the_file_says() {
    // The SHA-256 of a line feed, of `changeme`, and of 15 letters.
    for (sent, hash) in [
        (
            "",
            "01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b",
        ),
        (
            "changeme",
            "057ba03d6c44104863dc7361fe4578965d1887360f90a0895882e58a6248fc86",
        ),
        (
            "fifteen-letters",
            "3a91e835a99d366879ab71fcd6be872297818e0d3314119982027227a0471d57",
        ),
    ] {
        let callers = Callers::new(set(&of(("", hash), "")), still_clock());
        let server = serve(Arc::new(callers)).await;
        assert_eq!(status(&server, sent).await, 401, "{sent}");
    }
}

#[tokio::test]
async fn only_what_can_be_a_token_of_the_cluster_is_shown_to_it() {
    let trusts = "trusts:\n- name: pods\n  kind: kubernetes\n  audience: hikaru\n  serviceAccounts: [shop/ci]\n  \
                  identities: [acme/web/main]\n  rights: [read]\n";
    let mut reviews = MockTokenReviewPort::new();
    let jwt = &*format!("{OF_CI}c2ln");
    let expected = jwt.to_owned();
    reviews
        .expect_review()
        .withf(move |token, _| *token == expected)
        .times(1)
        .returning(|_, _| Ok(None));
    let known = format!("{}{trusts}", of(OLD, ""));
    let callers = Callers::new(set(&known), still_clock()).token_reviews(Arc::new(reviews));
    let bound = Bound::new(listener().await, shop(), still_clock(), callers);
    let server = bound.expect("a server").serve();
    assert_eq!(status(&server, OLD.0).await, 200);
    // Mistyped tokens of hikaru's own are secrets, too.
    for sent in [
        "an-old-token-of-a-teem",
        "a.token.of-a-team-with-dots",
        NEW.0,
    ] {
        assert_eq!(status(&server, sent).await, 401, "{sent}");
    }
    assert_eq!(status(&server, jwt).await, 401);
}

#[tokio::test]
async fn a_missing_right_to_reviews_is_warned_of_once_in_a_while() {
    let mut reviews = MockTokenReviewPort::new();
    let long = format!("cannot create\n{}", "x".repeat(10_000));
    reviews
        .expect_review()
        .times(1)
        .returning(move |_, _| Err(ClusterError::Forbidden(long.clone())));
    let file = "trusts:\n- name: pods\n  kind: kubernetes\n  audience: hikaru\n  serviceAccounts: [shop/ci]\n  \
                identities: [acme/web/main]\n  rights: [read]\n";
    let callers = Callers::new(set(file), still_clock()).token_reviews(Arc::new(reviews));
    let (log, _guard) = Log::start();
    let bound = Bound::new(listener().await, shop(), still_clock(), callers);
    let server = bound.expect("a server").serve();
    for number in 0..20 {
        let sent = format!("{OF_CI}{number}");
        assert_eq!(status(&server, &sent).await, 503);
    }
    let lines = log.lines(Level::WARN);
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = &lines[0]["message"];
    assert!(
        line.contains(r"cannot create\nxxx") && line.len() < 800,
        "{line}"
    );
    assert!(
        line.ends_with("(hikaru-bin/deploy/callers/reviews)"),
        "{line}"
    );
}
