//! Tokens that are not valid: their form, their algorithm, their signature, what every token has to say.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hikaru_core::caller::Issued;
use hikaru_http::{Denied, Oidc};
use ring::hmac;
use serde_json::{Value, json};

use super::{AUDIENCE, ISSUER, NOW, World, changed, github, push, refusal, with};
use crate::issuer::{SigningKey, Signs, base64url};

#[tokio::test]
async fn a_token_of_each_algorithm_is_taken() {
    for signs in [Signs::Rs256, Signs::Es256, Signs::EdDsa] {
        let world = World::new(signs).await;
        let caller = world.admit(&world.token(&push()), &github()).await;
        assert_eq!(caller.expect("a caller").name, "github".into());
    }
}

/// What is wrong with a token: the code that is told, and a part of the sentence.
#[track_caller]
fn check(what: &str, result: (&'static str, String), code: &str, part: &str) {
    let (found, why) = result;
    assert_eq!(found, code, "{what}: {why}");
    assert!(why.contains(part), "{what}: expected {part:?} in: {why}");
    assert!(why.len() < 600, "{what}: {why}");
}

#[tokio::test]
async fn a_header_that_says_something_else_is_refused() {
    let world = World::new(Signs::EdDsa).await;
    for (changes, code, part) in [
        (json!({"alg": "none"}), "algorithm", "found `none`"),
        (json!({"alg": "None"}), "algorithm", "found `None`"),
        (json!({"alg": "HS256"}), "algorithm", "found `HS256`"),
        (json!({"alg": "RS512"}), "algorithm", "found `RS512`"),
        (json!({"alg": "PS256"}), "algorithm", "found `PS256`"),
        (json!({"alg": "ES384"}), "algorithm", "found `ES384`"),
        (json!({"alg": "eddsa"}), "algorithm", "found `eddsa`"),
        (json!({"alg": null}), "header", "expected JSON with `alg`"),
        (
            json!({"alg": ["EdDSA"]}),
            "header",
            "expected JSON with `alg`",
        ),
        (json!({"crit": []}), "header", "`crit`"),
        (json!({"crit": ["b64"], "b64": true}), "header", "`crit`"),
        (json!({"crit": ["exp"]}), "header", "`crit`"),
        (json!({"typ": "logout+jwt"}), "header", "found `logout+jwt`"),
        (json!({"typ": 1}), "header", "expected JSON with `alg`"),
        (json!({"kid": "x".repeat(257)}), "header", "257 bytes"),
        (json!({"kid": 1}), "header", "expected JSON with `alg`"),
        (
            json!({"kid": "../../etc/passwd"}),
            "key",
            "has no key that it names",
        ),
        (
            json!({"kid": "https://evil.example/k"}),
            "key",
            "has no key that it names",
        ),
        (json!({"kid": "KEY-1"}), "key", "has no key that it names"),
        // A key that the token brings along is nobody's.
        (
            json!({"kid": "mine", "jwk": SigningKey::new("mine", Signs::EdDsa).jwk()}),
            "key",
            "has no key",
        ),
        (
            json!({"kid": "mine", "jku": "https://evil.example/keys"}),
            "key",
            "has no key",
        ),
    ] {
        let header = changed(world.key.header(), &changes);
        let token = world.key.sign(&header, &push());
        let refused = refusal(world.admit(&token, &github()).await);
        check(&changes.to_string(), refused, code, part);
    }
    for typ in [
        json!(null),
        json!("jwt"),
        json!("at+jwt"),
        json!("application/jwt"),
    ] {
        let header = changed(world.key.header(), &json!({ "typ": typ }));
        let token = world.key.sign(&header, &push());
        assert!(world.admit(&token, &github()).await.is_ok(), "{typ}");
    }
}

#[tokio::test]
async fn what_anybody_can_make_of_a_public_key_is_no_signature() {
    let world = World::new(Signs::Rs256).await;
    let jwk = world.key.jwk();
    let modulus = jwk["n"].as_str().expect("a text");
    let secrets = [
        modulus.as_bytes().to_vec(),
        BASE64_URL_SAFE_NO_PAD.decode(modulus).expect("base64url"),
        jwk.to_string().into_bytes(),
    ];
    for secret in secrets {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        // The header tells the truth, or says that it is RSA.
        for (alg, code) in [("HS256", "algorithm"), ("RS256", "signature")] {
            let header = json!({"alg": alg, "kid": "key-1"}).to_string();
            let message = format!("{}.{}", base64url(header), base64url(push().to_string()));
            let tag = hmac::sign(&secret, message.as_bytes());
            let token = format!("{message}.{}", base64url(tag));
            let (found, why) = refusal(world.admit(&token, &github()).await);
            assert_eq!(found, code, "{why}");
        }
    }
}

#[tokio::test]
async fn a_token_that_is_changed_or_signed_by_another_is_refused() {
    for signs in [Signs::Rs256, Signs::Es256, Signs::EdDsa] {
        let world = World::new(signs).await;
        let token = world.token(&push());
        let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else {
            panic!("expected three parts");
        };
        let other_claims =
            base64url(changed(push(), &json!({"repository": "acme/other"})).to_string());
        let other_header =
            base64url(changed(world.key.header(), &json!({"typ": "jwt"})).to_string());
        let other_signature = signature.chars().rev().collect::<String>();
        for forged in [
            format!("{header}.{other_claims}.{signature}"),
            format!("{other_header}.{claims}.{signature}"),
            format!("{header}.{claims}."),
            format!("{header}.{claims}.AAAA"),
            format!("{header}.{claims}.{}", base64url([0; 64])),
            format!("{header}.{claims}.{}", base64url([0; 256])),
        ] {
            let refused = refusal(world.admit(&forged, &github()).await);
            check(
                &forged,
                refused,
                "signature",
                "its signature is not the issuer's",
            );
        }
        let reversed = format!("{header}.{claims}.{other_signature}");
        let (code, _) = refusal(world.admit(&reversed, &github()).await);
        assert!(matches!(code, "signature" | "form"), "{code}");
        // RSA keys of the tests are all the same one.
        if signs != Signs::Rs256 {
            let other = SigningKey::new("key-1", signs);
            let forged = other.sign(&other.header(), &push());
            let refused = refusal(world.admit(&forged, &github()).await);
            check("another key", refused, "signature", "not the issuer's");
        }
    }
}

#[tokio::test]
async fn a_key_signs_by_its_own_algorithm_only() {
    let world = World::new(Signs::EdDsa).await;
    for alg in ["RS256", "ES256"] {
        let header = json!({"alg": alg, "kid": "key-1"});
        let token = world.key.sign(&header, &push());
        let refused = refusal(world.admit(&token, &github()).await);
        check(
            alg,
            refused,
            "key",
            "the key `key-1` of its issuer is for EdDSA",
        );
    }
}

#[tokio::test]
async fn a_text_of_another_form_is_refused() {
    let world = World::new(Signs::EdDsa).await;
    let token = world.token(&push());
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        panic!("expected three parts");
    };
    // A member that nobody reads holds bytes that are no text.
    let bytes = [&br#"{"alg":"EdDSA","a":""#[..], &[0xe5, 0xe5], br#""}"#].concat();
    let json_form = json!({
        "payload": claims,
        "signatures": [
            {"protected": header, "signature": signature},
            {"protected": header, "signature": signature},
        ],
    });
    for (text, code) in [
        (String::new(), "form"),
        ("..".to_owned(), "header"),
        (".".to_owned(), "form"),
        (format!("{header}.{claims}"), "form"),
        (format!("{token}.{signature}"), "form"),
        (format!("{token}."), "form"),
        (format!(".{token}"), "form"),
        (format!("{token}="), "form"),
        (format!("{token}\n"), "form"),
        (format!(" {token}"), "form"),
        (token.replace('.', ":"), "form"),
        (format!("{header}.{claims}.a+b/"), "form"),
        (
            format!("{}.{claims}.{signature}", base64url("[]")),
            "header",
        ),
        (format!("{}.{claims}.{signature}", base64url("{")), "header"),
        (
            format!("{}.{claims}.{signature}", base64url([0xff])),
            "header",
        ),
        (
            format!("{}.{claims}.{signature}", base64url(&bytes)),
            "header",
        ),
        (json_form.to_string(), "form"),
        ("x".repeat(1 << 20), "too-large"),
        (
            format!("{header}.{}.{signature}", "A".repeat(1 << 20)),
            "too-large",
        ),
    ] {
        let refused = refusal(world.admit(&text, &github()).await);
        let start: String = text.chars().take(60).collect();
        check(&start, refused, code, "the token is not valid");
    }
    assert_eq!(
        world.documents.looks(),
        0,
        "nothing is fetched for what is no token"
    );
    assert_eq!(Oidc::issuer_of(&json_form.to_string()), None);
    assert_eq!(Oidc::issuer_of(&token).as_deref(), Some(ISSUER));
    assert_eq!(Oidc::issuer_of("a.b.c"), None);
}

#[tokio::test]
async fn a_token_of_sixteen_kibibytes_is_taken_and_no_larger_one() {
    let world = World::new(Signs::EdDsa).await;
    let token = |blanks: usize| {
        let claims = format!("{}{}", push(), " ".repeat(blanks));
        world
            .key
            .sign_text(&world.key.header().to_string(), &claims)
    };
    let mut blanks = 11_000;
    while token(blanks + 1).len() <= 16 << 10 {
        blanks += 1;
    }
    assert!(world.admit(&token(blanks), &github()).await.is_ok());
    let (code, _) = refusal(world.admit(&token(blanks + 1), &github()).await);
    assert_eq!(code, "too-large");
}

#[tokio::test]
async fn claims_that_every_token_has_are_checked() {
    let world = World::new(Signs::EdDsa).await;
    for (changes, code, part) in [
        (
            json!({"iss": "https://evil.example"}),
            "issuer",
            "found `https://evil.example`",
        ),
        (
            json!({"iss": format!("{ISSUER}/")}),
            "issuer",
            "expected the issuer",
        ),
        (
            json!({"iss": null}),
            "claims",
            "expected `iss` as text, found none",
        ),
        (
            json!({"iss": [ISSUER]}),
            "claims",
            "expected `iss` as text, found a list",
        ),
        (
            json!({"aud": null}),
            "audience",
            "expected the audience hikaru-prod, found none",
        ),
        (json!({"aud": ""}), "audience", "found an empty text"),
        (
            json!({"aud": "https://github.com/acme"}),
            "audience",
            "found `https://github.com/acme`",
        ),
        (
            json!({"aud": "Hikaru-Prod"}),
            "audience",
            "found `Hikaru-Prod`",
        ),
        (json!({"aud": []}), "audience", "found 0 others"),
        (json!({"aud": ["a", "b"]}), "audience", "found 2 others"),
        (
            json!({"aud": [AUDIENCE, 1]}),
            "claims",
            "expected `aud` as text or as a list of texts",
        ),
        (
            json!({"aud": {"a": AUDIENCE}}),
            "claims",
            "expected `aud` as text or as a list of texts",
        ),
        (
            json!({"exp": null}),
            "claims",
            "expected `exp` as a number, found none",
        ),
        (
            json!({"exp": "1900000600"}),
            "claims",
            "expected `exp` as a number, found text",
        ),
        (
            json!({"iat": null}),
            "claims",
            "expected `iat` as a number, found none",
        ),
        (
            json!({"iat": true}),
            "claims",
            "expected `iat` as a number, found true or false",
        ),
        (
            json!({"nbf": "now"}),
            "claims",
            "expected `nbf` as a number, found text",
        ),
        (
            json!({"exp": NOW - 60}),
            "expired",
            "it has expired 60 s ago",
        ),
        (json!({"exp": -1}), "expired", "it has expired"),
        (json!({"exp": -1e300}), "expired", "it has expired"),
        (
            json!({"nbf": NOW + 61}),
            "not-yet-valid",
            "it is valid only in 61 s",
        ),
        (
            json!({"nbf": 1e300}),
            "not-yet-valid",
            "it is valid only in",
        ),
        (
            json!({"iat": NOW + 61}),
            "not-yet-valid",
            "issued 61 s from now",
        ),
        (
            json!({"iat": NOW - 3661}),
            "too-old",
            "it was issued 3661 s ago: expected at most 3600 s",
        ),
        (json!({"iat": i64::MIN}), "too-old", "it was issued"),
        (
            json!({"sub": null}),
            "claims",
            "expected `sub` as text, found none",
        ),
        (
            json!({"sub": 1}),
            "claims",
            "expected `sub` as text, found a number",
        ),
    ] {
        let token = world.token(&changed(push(), &changes));
        let refused = refusal(world.admit(&token, &github()).await);
        check(&changes.to_string(), refused, code, part);
    }
    for changes in [
        json!({"aud": [AUDIENCE]}),
        json!({"aud": ["other", AUDIENCE]}),
        json!({"exp": NOW - 59}),
        json!({"exp": 1e300}),
        json!({"exp": NOW as f64 + 0.5}),
        json!({"nbf": NOW + 60}),
        json!({"nbf": null}),
        json!({"iat": NOW + 60}),
        json!({"iat": NOW - 3660}),
    ] {
        let token = world.token(&changed(push(), &changes));
        let caller = world.admit(&token, &github()).await;
        assert!(caller.is_ok(), "{changes}: {caller:?}");
    }
}

#[tokio::test]
async fn claims_that_are_no_object_are_refused() {
    let world = World::new(Signs::EdDsa).await;
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
    for claims in ["", "[]", "null", "1", "{", "\u{feff}{}", &deep] {
        let token = world.key.sign_text(&world.key.header().to_string(), claims);
        let (code, _) = refusal(world.admit(&token, &github()).await);
        assert_eq!(code, "claims");
    }
    assert_eq!(world.documents.looks(), 0);
}

#[tokio::test]
async fn time_goes_by_for_a_token() {
    let world = World::new(Signs::EdDsa).await;
    let token = world.token(&push());
    world.wait(659).await;
    assert!(world.admit(&token, &github()).await.is_ok());
    world.wait(1).await;
    assert_eq!(refusal(world.admit(&token, &github()).await).0, "expired");
}

#[tokio::test]
async fn what_is_quoted_of_a_token_is_cut_and_escaped() {
    let world = World::new(Signs::EdDsa).await;
    let long = format!("a\n\u{1b}[31m{}", "x".repeat(400));
    for changes in [
        json!({"aud": long}),
        json!({"event_name": long}),
        json!({"iss": long}),
    ] {
        let token = world.token(&changed(push(), &changes));
        let (_, why) = refusal(world.admit(&token, &github()).await);
        assert!(why.len() < 300 && why.contains(r"`a\n\u{1b}[31m"), "{why}");
        assert!(!why.contains(['\n', '\u{1b}']), "{why}");
    }
    // The words of a reader of JSON repeat what it could not use.
    let text = json!("x".repeat(10_000)).to_string();
    let header = world.key.header().to_string();
    for (header, claims) in [(&*header, &*text), (&text, &push().to_string())] {
        let token = world.key.sign_text(header, claims);
        let (_, why) = refusal(world.admit(&token, &github()).await);
        assert!(
            why.len() < 300 && why.contains("at line 1, column"),
            "{why}"
        );
    }
}

#[tokio::test]
async fn a_token_that_is_not_verified_is_told_one_reason_and_no_trust() {
    let world = World::new(Signs::EdDsa).await;
    let named = |name: &str, audience: &str| {
        let mut trust = with(github(), |oidc| oidc.audience = audience.into());
        trust.name = name.into();
        trust
    };
    let trusts = [named("first", AUDIENCE), named("second", "hikaru-dev")];
    let ask = async |token: &str| {
        let trusts: Vec<_> = trusts.iter().collect();
        let (_, why) = refusal(world.oidc.caller(token, &trusts).await);
        why
    };
    let token = |key: &SigningKey, changes: &Value| {
        let claims = changed(push(), changes);
        key.sign(&key.header(), &claims)
    };
    let forger = SigningKey::new("key-1", Signs::EdDsa);
    let unknown = SigningKey::new("key-2", Signs::EdDsa);
    let no_change = json!({});
    for (token, expected) in [
        (
            token(&forger, &no_change),
            "the token is not valid: its signature is not the issuer's".to_owned(),
        ),
        (
            token(&forger, &json!({"exp": NOW - 60})),
            "the token is not valid: it has expired 60 s ago".to_owned(),
        ),
        (
            token(&forger, &json!({"iss": "https://evil.example"})),
            "the token is not valid: expected the issuer of a trust, found `https://evil.example`"
                .to_owned(),
        ),
        (
            token(&unknown, &no_change),
            format!(
                "the token is not valid: {ISSUER} has no key that it names, or none that fits it"
            ),
        ),
    ] {
        assert_eq!(ask(&token).await, expected);
    }
    // What the issuer has signed is told what each trust asks for, once each.
    let other = token(&world.key, &json!({"aud": "other"}));
    let why = ask(&other).await;
    assert_eq!(
        why,
        "the token is not valid: expected the audience hikaru-prod, found `other`; expected the audience hikaru-dev, found `other`"
    );
}

#[tokio::test]
async fn a_token_that_is_signed_and_not_admitted_says_whose_it_is() {
    let world = World::new(Signs::EdDsa).await;
    let token = world.token(&changed(push(), &json!({"repository_owner_id": "66"})));
    let mut second = github();
    second.name = "second".into();
    let run = "https://github.com/acme/shop/actions/runs/1658821493";
    let expected = Issued::new(
        ISSUER,
        "repo:acme/shop:ref:refs/heads/main",
        Some(run.into()),
    );
    for (trusts, name) in [
        (vec![&github()], Some("github")),
        (vec![&github(), &second], None),
    ] {
        let denied = world.oidc.caller(&token, &trusts).await;
        let Err(Denied::NotTrusted { trust, issued, .. }) = denied else {
            panic!("expected that no trust admits it, found {denied:?}");
        };
        assert_eq!(trust.as_deref(), name);
        assert_eq!(issued, expected);
    }
}

#[tokio::test]
async fn without_a_trust_there_is_no_caller() {
    let world = World::new(Signs::EdDsa).await;
    let denied = world.oidc.caller(&world.token(&push()), &[]).await;
    assert!(matches!(
        denied,
        Err(Denied::BadToken { code: "issuer", .. })
    ));
}
