//! When the keys of an issuer are looked at: at the first need, while they are used, when one is unknown; and while it is away.

use std::time::Duration;

use hikaru_http::Denied;
use serde_json::json;
use tracing::Level;

use super::{ISSUER, NOW, World, changed, github, in_time, lock, push, refusal, with};
use crate::{
    issuer::{SigningKey, Signs},
    log::Log,
};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

impl World {
    /// A token that is issued now, by this key.
    fn fresh(&self, key: &SigningKey) -> String {
        let now = hikaru_core::port::Clock::now(&*self.clock);
        let since = now.duration_since(std::time::UNIX_EPOCH).expect("a time");
        let now = since.as_secs();
        let times = json!({"iat": now, "nbf": now, "exp": now + 600});
        key.sign(&key.header(), &changed(push(), &times))
    }

    async fn takes(&self, key: &SigningKey) -> bool {
        self.admit(&self.fresh(key), &github()).await.is_ok()
    }

    /// The code of the refusal of a token of this key.
    async fn refuses(&self, key: &SigningKey) -> &'static str {
        refusal(self.admit(&self.fresh(key), &github()).await).0
    }

    /// Lets a look that goes on beside the tokens come to its end.
    async fn until_looks(&self, count: usize) {
        in_time(async {
            while self.documents.looks() < count {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    fn go_away(&self) {
        let discovery = format!("{ISSUER}/.well-known/openid-configuration");
        self.documents.put(discovery, Err("does not answer"));
    }
}

#[tokio::test]
async fn keys_are_fetched_when_they_are_needed_and_kept() {
    let world = World::new(Signs::EdDsa).await;
    assert_eq!(world.documents.looks(), 0, "none is needed at the start");
    for _ in 0..5 {
        assert!(world.takes(&world.key).await);
        world.wait(MINUTE).await;
    }
    assert_eq!(world.documents.looks(), 1);
}

#[tokio::test]
async fn a_token_of_another_issuer_or_of_none_fetches_nothing() {
    let world = World::new(Signs::EdDsa).await;
    let foreign = changed(push(), &json!({"iss": "https://evil.example"}));
    assert_eq!(
        refusal(world.admit(&world.token(&foreign), &github()).await).0,
        "issuer"
    );
    assert_eq!(world.documents.looks(), 0);
}

#[tokio::test]
async fn each_certificate_authority_has_keys_of_its_own() {
    let world = World::new(Signs::EdDsa).await;
    let other = with(github(), |oidc| oidc.ca = Some("another".into()));
    for trust in [&github(), &other, &github(), &other] {
        assert!(world.admit(&world.token(&push()), trust).await.is_ok());
    }
    assert_eq!(world.documents.looks(), 2);
}

#[tokio::test]
async fn keys_that_are_used_are_looked_at_again_after_ten_minutes() {
    let world = World::new(Signs::EdDsa).await;
    assert!(world.takes(&world.key).await);
    let new = SigningKey::new("key-2", Signs::EdDsa);
    world.documents.publish(ISSUER, &[new.jwk()]);
    world.wait(10 * MINUTE - 1).await;
    assert!(world.takes(&world.key).await);
    assert_eq!(world.documents.looks(), 1);
    world.wait(1).await;
    assert!(
        world.takes(&world.key).await,
        "it does not wait for the look"
    );
    world.until_looks(2).await;
    assert!(world.takes(&new).await);
    assert_eq!(world.refuses(&world.key).await, "key");
    assert_eq!(world.documents.looks(), 2);
}

#[tokio::test]
async fn a_key_that_was_taken_back_is_not_taken_after_an_hour_without_a_look() {
    let world = World::new(Signs::EdDsa).await;
    assert!(world.takes(&world.key).await);
    world
        .documents
        .publish(ISSUER, &[SigningKey::new("key-2", Signs::EdDsa).jwk()]);
    world.wait(HOUR).await;
    assert_eq!(world.refuses(&world.key).await, "key");
}

#[tokio::test]
async fn an_unknown_key_is_looked_for_once_a_minute() {
    let world = World::new(Signs::EdDsa).await;
    let new = SigningKey::new("key-2", Signs::EdDsa);
    assert!(world.takes(&world.key).await);
    for _ in 0..3 {
        assert_eq!(world.refuses(&new).await, "key");
    }
    assert_eq!(world.documents.looks(), 1, "keys were fetched a moment ago");
    world
        .documents
        .publish(ISSUER, &[world.key.jwk(), new.jwk()]);
    world.wait(MINUTE - 1).await;
    assert_eq!(world.refuses(&new).await, "key");
    world.wait(1).await;
    assert!(world.takes(&new).await && world.takes(&world.key).await);
    assert_eq!(world.documents.looks(), 2);
    for minute in 1..=3 {
        world.wait(MINUTE).await;
        for name in ["a", "b", "../c"] {
            let unknown = SigningKey::new(name, Signs::EdDsa);
            assert_eq!(world.refuses(&unknown).await, "key");
        }
        assert_eq!(world.documents.looks(), 2 + minute);
    }
}

#[tokio::test]
async fn a_token_without_the_id_of_a_key_is_of_the_only_one_that_fits() {
    let world = World::new(Signs::EdDsa).await;
    let (other, second) = (
        SigningKey::new("key-2", Signs::Es256),
        SigningKey::new("key-3", Signs::EdDsa),
    );
    let header = json!({"alg": "EdDSA"});
    world
        .documents
        .publish(ISSUER, &[other.jwk(), world.key.jwk()]);
    let token = world.key.sign(&header, &push());
    assert!(world.admit(&token, &github()).await.is_ok());
    world
        .documents
        .publish(ISSUER, &[other.jwk(), world.key.jwk(), second.jwk()]);
    world.wait(11 * MINUTE).await;
    assert!(world.takes(&world.key).await);
    world.until_looks(2).await;
    in_time(async {
        while !world.takes(&second).await {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let times = json!({"iat": NOW + 660, "exp": NOW + 1_260});
    let token = world.key.sign(&header, &changed(push(), &times));
    let (code, why) = refusal(world.admit(&token, &github()).await);
    assert_eq!(code, "key");
    assert!(why.contains("2 keys of its issuer fit it"), "{why}");
    world.documents.publish(ISSUER, &[other.jwk()]);
    world.wait(HOUR).await;
    let times = json!({"iat": NOW + 4_260, "exp": NOW + 4_860});
    let token = world.key.sign(&header, &changed(push(), &times));
    assert_eq!(refusal(world.admit(&token, &github()).await).0, "key");
    assert_eq!(world.documents.looks(), 3);
}

#[tokio::test]
async fn an_issuer_that_is_away_at_first_is_asked_again() {
    let world = World::new(Signs::EdDsa).await;
    world.go_away();
    for _ in 0..3 {
        let denied = world.admit(&world.fresh(&world.key), &github()).await;
        let Err(Denied::Unavailable(why)) = denied else {
            panic!("expected that it cannot be found out, found {denied:?}");
        };
        let expected = format!(
            "the keys of {ISSUER} cannot be had: its document of discovery: does not answer"
        );
        assert_eq!(why, expected);
    }
    assert_eq!(world.documents.looks(), 1, "not each token asks");
    world.documents.publish(ISSUER, &[world.key.jwk()]);
    world.wait(9).await;
    assert_eq!(world.refuses(&world.key).await, "unavailable");
    world.wait(1).await;
    assert!(world.takes(&world.key).await);
    assert_eq!(world.documents.looks(), 2);
}

#[tokio::test]
async fn the_last_good_keys_are_used_for_a_day_while_the_issuer_is_away() {
    let world = World::new(Signs::EdDsa).await;
    let new = SigningKey::new("key-2", Signs::EdDsa);
    assert!(world.takes(&world.key).await);
    world.go_away();
    let mut looks = 1;
    for _ in 0..11 {
        world.wait(2 * HOUR).await;
        assert!(world.takes(&world.key).await);
        looks += 1;
        assert_eq!(world.documents.looks(), looks, "a token waits for one look");
        assert!(world.takes(&world.key).await);
        assert_eq!(world.documents.looks(), looks, "and the next one does not");
        assert_eq!(
            world.refuses(&new).await,
            "unavailable",
            "it may have the key by now"
        );
    }
    world.wait(2 * HOUR - 1).await;
    assert!(world.takes(&world.key).await);
    world.wait(MINUTE).await;
    assert_eq!(world.refuses(&world.key).await, "unavailable");
    world.documents.publish(ISSUER, &[new.jwk()]);
    world.wait(MINUTE).await;
    assert!(world.takes(&new).await);
    assert_eq!(world.refuses(&world.key).await, "key");
}

#[tokio::test]
async fn a_document_that_is_broken_keeps_the_last_good_keys() {
    let world = World::new(Signs::EdDsa).await;
    assert!(world.takes(&world.key).await);
    world
        .documents
        .publish(ISSUER, &[json!({"kty": "oct", "k": "AAAA"})]);
    world.wait(HOUR).await;
    assert!(world.takes(&world.key).await);
    assert_eq!(world.documents.looks(), 2);
    let keys: Vec<_> = (0..101).map(|_| world.key.jwk()).collect();
    world.documents.publish(ISSUER, &keys);
    world.wait(HOUR).await;
    assert!(world.takes(&world.key).await);
    let unknown = SigningKey::new("key-2", Signs::EdDsa);
    let (_, why) = refusal(world.admit(&world.fresh(&unknown), &github()).await);
    assert!(
        why.ends_with("its set of keys: expected at most 100 keys, found 101"),
        "{why}"
    );
}

#[tokio::test]
async fn a_document_has_a_mebibyte_at_most() {
    let world = World::new(Signs::EdDsa).await;
    let set = |blanks: usize| {
        format!(
            "{}{}",
            json!({"keys": [world.key.jwk()]}),
            " ".repeat(blanks)
        )
    };
    let length = set(0).len();
    for (blanks, expected) in [((1 << 20) - length + 1, false), ((1 << 20) - length, true)] {
        lock(&world.documents.answers).insert(format!("{ISSUER}/keys"), Ok(set(blanks)));
        assert_eq!(world.takes(&world.key).await, expected);
        world.wait(MINUTE).await;
    }
}

#[tokio::test]
async fn what_an_issuer_says_is_cut_and_escaped() {
    let long = "x".repeat(500_000);
    let text = json!(long).to_string();
    let hostile = format!("says\n\u{1b}[31m{long}");
    let discovery = format!("{ISSUER}/.well-known/openid-configuration");
    let keys = format!("{ISSUER}/keys");
    for (address, answer, part) in [
        (&discovery, Ok(text.clone()), "which it is not at line 1"),
        (&keys, Ok(text), "which it is not at line 1"),
        (
            &discovery,
            Err(hostile.clone()),
            r"discovery: says\n\u{1b}[31mxx",
        ),
        (&keys, Err(hostile), r"keys: says\n\u{1b}[31mxx"),
    ] {
        let (log, _guard) = Log::start();
        let world = World::new(Signs::EdDsa).await;
        lock(&world.documents.answers).insert(address.clone(), answer);
        let (_, told) = refusal(world.admit(&world.fresh(&world.key), &github()).await);
        let lines = log.lines(Level::WARN);
        assert_eq!(lines.len(), 1, "{lines:?}");
        for text in [&told, &lines[0]["why"]] {
            assert!(text.contains(part), "{text}");
            assert!(
                text.len() < 700 && !text.contains(char::is_control),
                "{text}"
            );
        }
    }
}

#[tokio::test]
async fn many_tokens_wait_for_one_look() {
    let world = World::new(Signs::EdDsa).await;
    let gate = world.documents.hold();
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let (oidc, token) = (world.oidc.clone(), world.fresh(&world.key));
            tokio::spawn(async move { oidc.caller(&token, &[&github()]).await.is_ok() })
        })
        .collect();
    world.until_looks(1).await;
    gate.add_permits(2);
    for task in tasks {
        assert!(in_time(task).await.expect("an end"));
    }
    assert_eq!(world.documents.looks(), 1);
}

#[tokio::test]
async fn known_keys_do_not_wait_for_a_slow_issuer() {
    let world = World::new(Signs::EdDsa).await;
    let new = SigningKey::new("key-2", Signs::EdDsa);
    assert!(world.takes(&world.key).await);
    let gate = world.documents.hold();
    world
        .documents
        .publish(ISSUER, &[world.key.jwk(), new.jwk()]);
    world.wait(MINUTE).await;
    let (oidc, token) = (world.oidc.clone(), world.fresh(&new));
    let waits = tokio::spawn(async move { oidc.caller(&token, &[&github()]).await.is_ok() });
    world.until_looks(2).await;
    assert!(world.takes(&world.key).await, "while the issuer is silent");
    world.wait(10 * MINUTE).await;
    assert!(
        world.takes(&world.key).await,
        "while it is silent and the keys are old"
    );
    let tasks = tokio::runtime::Handle::current().metrics();
    let before = tasks.num_alive_tasks();
    for _ in 0..5 {
        assert!(world.takes(&world.key).await);
    }
    assert_eq!(
        tasks.num_alive_tasks(),
        before,
        "not each token queues for a look"
    );
    assert!(!waits.is_finished());
    gate.add_permits(2);
    assert!(in_time(waits).await.expect("an end"));
    assert!(world.takes(&new).await);
    assert_eq!(world.documents.looks(), 2);
}

#[tokio::test]
async fn a_caller_that_hangs_up_does_not_end_the_look_for_others() {
    let world = World::new(Signs::EdDsa).await;
    let gate = world.documents.hold();
    let (oidc, token) = (world.oidc.clone(), world.fresh(&world.key));
    let first = tokio::spawn(async move { oidc.caller(&token, &[&github()]).await.is_ok() });
    world.until_looks(1).await;
    first.abort();
    assert!(first.await.is_err());
    gate.add_permits(2);
    assert!(world.takes(&world.key).await);
    assert_eq!(world.documents.looks(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_document_has_ten_seconds() {
    let world = World::new(Signs::EdDsa).await;
    let _gate = world.documents.hold();
    let begun = tokio::time::Instant::now();
    let (code, why) = refusal(world.admit(&world.fresh(&world.key), &github()).await);
    assert_eq!(code, "unavailable");
    assert!(why.ends_with("no answer within 10 s"), "{why}");
    assert_eq!(begun.elapsed(), Duration::from_secs(10));
}
