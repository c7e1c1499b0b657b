//! Keys that come over TLS from an issuer that misbehaves.

use std::{sync::Arc, time::Duration};

use hikaru_core::{port::Clock as _, testing::StillClock};
use hikaru_http::{Ci, Oidc, OidcTrust, Trust};
use serde_json::{Value, json};

use super::{AUDIENCE, SHA, refusal, trust};
use crate::issuer::{Issuer, Manner, SigningKey, Signs, now};

async fn oidc() -> Oidc {
    let clock = StillClock::default();
    clock.sleep(Duration::from_secs(now())).await;
    Oidc::new(Arc::new(clock))
}

fn trusted(issuer: &Issuer) -> Trust {
    let mut oidc = OidcTrust::new(Ci::GitHub, issuer.url(), AUDIENCE);
    oidc.events = vec!["push".into()];
    oidc.ca = Some(issuer.ca().into());
    trust("ci", oidc)
}

fn token(issuer: &Issuer) -> String {
    issuer.token(&issuer.github(AUDIENCE, "acme/shop", "main", SHA))
}

#[tokio::test]
async fn keys_are_found_by_discovery() {
    for path in ["", "/api/actions", "/_services/token"] {
        let issuer = Issuer::start_at(path, Signs::Rs256);
        let oidc = oidc().await;
        let trust = trusted(&issuer);
        for _ in 0..3 {
            let caller = oidc.caller(&token(&issuer), &[&trust]).await;
            assert_eq!(caller.expect("a caller").name, "ci".into());
        }
        let discovery = format!("{path}/.well-known/openid-configuration");
        assert_eq!(issuer.requests(), [discovery, format!("{path}/keys")]);
    }
}

#[tokio::test]
async fn keys_that_are_rotated_are_found() {
    let issuer = Issuer::start(Signs::EdDsa);
    let clock = Arc::new(StillClock::default());
    clock.sleep(Duration::from_secs(now())).await;
    let oidc = Oidc::new(clock.clone());
    let trust = trusted(&issuer);
    assert!(oidc.caller(&token(&issuer), &[&trust]).await.is_ok());
    issuer.add_key(SigningKey::new("key-2", Signs::Es256));
    let first = token(&issuer);
    let before = issuer.requests().len();
    assert_eq!(refusal(oidc.caller(&first, &[&trust]).await).0, "key");
    assert_eq!(
        issuer.requests().len(),
        before,
        "keys were fetched a moment ago"
    );
    clock.sleep(Duration::from_secs(60)).await;
    assert!(oidc.caller(&first, &[&trust]).await.is_ok());
    issuer.rotate("key-3", Signs::Rs256);
    clock.sleep(Duration::from_secs(60)).await;
    assert!(oidc.caller(&token(&issuer), &[&trust]).await.is_ok());
    assert_eq!(refusal(oidc.caller(&first, &[&trust]).await).0, "key");
    issuer.be(Manner::Away);
    clock.sleep(Duration::from_secs(60)).await;
    assert!(oidc.caller(&token(&issuer), &[&trust]).await.is_ok());
    let unknown = SigningKey::new("key-4", Signs::EdDsa);
    let claims = issuer.github(AUDIENCE, "acme/shop", "main", SHA);
    let unknown = unknown.sign(&unknown.header(), &claims);
    assert_eq!(
        refusal(oidc.caller(&unknown, &[&trust]).await).0,
        "unavailable"
    );
    issuer.be(Manner::Fine);
    clock.sleep(Duration::from_secs(60)).await;
    assert_eq!(refusal(oidc.caller(&unknown, &[&trust]).await).0, "key");
}

#[tokio::test]
async fn tokens_wait_for_an_issuer_that_is_slow() {
    let issuer = Arc::new(Issuer::start(Signs::EdDsa));
    issuer.be(Manner::Silent);
    let (oidc, trust) = (Arc::new(oidc().await), trusted(&issuer));
    let waits = tokio::spawn({
        let token = token(&issuer);
        async move { oidc.caller(&token, &[&trust]).await.is_ok() }
    });
    super::in_time(async {
        while issuer.requests().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(!waits.is_finished());
    issuer.be(Manner::Fine);
    assert!(super::in_time(waits).await.expect("an end"));
}

#[tokio::test]
async fn a_project_of_gitlab_makes_a_caller() {
    let issuer = Issuer::start(Signs::Es256);
    let mut gitlab = OidcTrust::new(Ci::GitLab, issuer.url(), AUDIENCE);
    gitlab.events = vec!["push".into()];
    gitlab.owners = vec!["72".into()];
    gitlab.ca = Some(issuer.ca().into());
    let trust = trust("gitlab", gitlab);
    let token = issuer.token(&issuer.gitlab(AUDIENCE, "acme/team/shop", "main", SHA));
    let caller = oidc()
        .await
        .caller(&token, &[&trust])
        .await
        .expect("a caller");
    let run = caller
        .issued
        .and_then(|issued| issued.run)
        .expect("an address");
    assert_eq!(*run, *format!("{}/acme/team/shop/-/jobs/302", issuer.url()));
}

#[tokio::test]
async fn an_issuer_that_misbehaves_is_told() {
    let issuer = Issuer::start(Signs::EdDsa);
    let other = Issuer::start(Signs::EdDsa);
    let token = token(&issuer);
    let discovery = |member, value: Value| Manner::Discovery(member, value);
    let http = issuer.url().replace("https:", "http:");
    for (manner, part) in [
        (Manner::Away, "does not answer"),
        (Manner::Status(500), "answers with 500"),
        (Manner::Status(404), "answers with 404"),
        (Manner::Status(204), "answers with 204"),
        (
            Manner::Redirect(other.url().to_owned()),
            "redirects to `https://127.0.0.1",
        ),
        (
            Manner::Redirect(format!("{}/keys", issuer.url())),
            "redirects are not followed",
        ),
        (
            Manner::Garbage("<html>a captive portal</html>"),
            "expected JSON with `issuer`",
        ),
        (Manner::Garbage(""), "expected JSON with `issuer`"),
        (
            discovery("issuer", json!(other.url())),
            "expected the issuer https://127.0.0.1",
        ),
        (
            discovery("issuer", json!(null)),
            "expected JSON with `issuer`",
        ),
        (
            discovery("jwks_uri", json!(format!("{}/keys", other.url()))),
            "expected its `jwks_uri` to be https on",
        ),
        (
            discovery("jwks_uri", json!(format!("{http}/keys"))),
            "expected its `jwks_uri` to be https on",
        ),
        (
            discovery("jwks_uri", json!("file:///etc/passwd")),
            "expected its `jwks_uri` to be https on",
        ),
        (
            discovery("jwks_uri", json!(format!("{}/nowhere", issuer.url()))),
            "its set of keys: answers with 404",
        ),
        (
            Manner::Keys(json!([])),
            "its set of keys: expected JSON with a list `keys`",
        ),
        (
            Manner::Keys(json!({"keys": []})),
            "it has no key that can be used",
        ),
        (
            Manner::Keys(json!({"keys": [{"kty": "oct", "k": "AAAA"}]})),
            "it has no key that can be used",
        ),
    ] {
        issuer.be(manner.clone());
        let refused = oidc().await.caller(&token, &[&trusted(&issuer)]).await;
        let (code, why) = refusal(refused);
        assert_eq!(code, "unavailable", "{manner:?}: {why}");
        assert!(
            why.contains(part),
            "{manner:?}: expected {part:?} in: {why}"
        );
    }
    assert!(other.requests().is_empty(), "nobody is sent elsewhere");
}

#[tokio::test]
async fn a_hundred_megabytes_of_keys_are_not_read() {
    let issuer = Issuer::start(Signs::EdDsa);
    issuer.be(Manner::HugeKeys);
    let refused = oidc()
        .await
        .caller(&token(&issuer), &[&trusted(&issuer)])
        .await;
    let (code, why) = refusal(refused);
    assert_eq!(code, "unavailable");
    assert!(
        why.contains("its set of keys: cannot be read: length limit exceeded"),
        "{why}"
    );
    // What was on its way when the connection was closed counts as sent.
    assert!(
        issuer.sent() < 50 << 20,
        "{} bytes were sent",
        issuer.sent()
    );
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let (issuer, other) = (Issuer::start(Signs::EdDsa), Issuer::start(Signs::EdDsa));
    for ca in [None, Some(other.ca())] {
        let trust = super::with(trusted(&issuer), |oidc| oidc.ca = ca.map(Into::into));
        let (code, why) = refusal(oidc().await.caller(&token(&issuer), &[&trust]).await);
        assert_eq!(code, "unavailable");
        assert!(
            why.contains("does not answer") && why.contains("certificate"),
            "{why}"
        );
    }
    assert!(issuer.requests().is_empty());
    let trust = super::with(trusted(&issuer), |oidc| oidc.ca = Some("nothing".into()));
    let (_, why) = refusal(oidc().await.caller(&token(&issuer), &[&trust]).await);
    assert!(
        why.contains("expected certificates as PEM, found none"),
        "{why}"
    );
}

#[tokio::test]
async fn keys_of_unknown_kinds_are_passed_over() {
    let issuer = Issuer::start(Signs::EdDsa);
    let key = SigningKey::new("mine", Signs::EdDsa);
    issuer.be(Manner::Keys(json!({"keys": [
        {"kty": "AKP", "kid": "quantum", "alg": "ML-DSA-44", "pub": "AAAA"},
        {"kty": "EC", "crv": "secp256k1", "kid": "coin", "x": "AAAA", "y": "AAAA"},
        {"kid": "nothing"},
        "text",
        key.jwk(),
    ]})));
    let claims = issuer.github(AUDIENCE, "acme/shop", "main", SHA);
    let token = key.sign(&key.header(), &claims);
    let oidc = oidc().await;
    assert!(oidc.caller(&token, &[&trusted(&issuer)]).await.is_ok());
    let header = json!({"alg": "ES256", "kid": "coin"});
    let (code, why) = refusal(
        oidc.caller(&key.sign(&header, &claims), &[&trusted(&issuer)])
            .await,
    );
    assert_eq!(code, "key");
    assert!(
        why.contains("the key `coin` of its issuer has the type `EC` and the curve `secp256k1`"),
        "{why}"
    );
}
