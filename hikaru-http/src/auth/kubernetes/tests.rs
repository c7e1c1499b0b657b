//! Which tokens the cluster is asked about, how often, and who is a caller.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hikaru_core::{
    caller::{Right, Rights},
    port::MockTokenReviewPort,
    testing::StillClock,
};
use serde_json::json;
use tokio::{sync::Notify, task::JoinHandle};

use super::*;
use crate::auth::jwt::MAX_JWT;

const CI: &str = "system:serviceaccount:shop:ci";

/// A token with these claims; each number is another one.
fn token(claims: Value, number: usize) -> String {
    let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({"alg": "RS256", "kid": "k"}));
    format!("{header}.{}.{number}", part(claims))
}

fn for_prod(number: usize) -> String {
    of_ci(json!(["hikaru-prod"]), number)
}

/// A token of the ServiceAccount for an hour, as it says.
fn of_ci(audiences: Value, number: usize) -> String {
    token(json!({"aud": audiences, "sub": CI, "exp": 3_600}), number)
}

fn trust(name: &str, audience: &str, accounts: &[&str]) -> Trust {
    Trust {
        name: name.into(),
        rights: Rights::ALL,
        identities: vec!["acme/shop/*".parse().expect("a pattern")],
        namespaces: vec!["shop".into()],
        issuer: TrustedIssuer::Kubernetes(KubernetesTrust {
            audience: audience.into(),
            service_accounts: accounts
                .iter()
                .map(|account| Text::from(*account))
                .collect(),
        }),
    }
}

fn user(name: &str, audiences: &[Text]) -> Result<Option<TokenUser>, ClusterError> {
    Ok(Some(TokenUser::new(name, audiences.to_vec())))
}

/// A cluster that is asked so many times and answers so.
fn answering(
    times: usize,
    answer: impl Fn(&[Text]) -> Result<Option<TokenUser>, ClusterError> + Send + 'static,
) -> MockTokenReviewPort {
    let mut port = MockTokenReviewPort::new();
    let review = port.expect_review().times(times);
    review.returning(move |_, audiences| answer(audiences));
    port
}

fn reviews(port: impl TokenReviewPort + 'static) -> (TokenReviews, Arc<StillClock>) {
    let clock = Arc::new(StillClock::default());
    (TokenReviews::new(Arc::new(port), clock.clone()), clock)
}

#[tokio::test]
async fn a_service_account_that_is_listed_is_the_caller_of_its_trust() {
    let (reviews, _) = reviews(answering(1, |audiences| user(CI, audiences)));
    let trusts = [
        trust("other", "hikaru-prod", &["shop/other"]),
        trust("ci", "hikaru-prod", &["blog/ci", "shop/ci"]),
        trust("again", "hikaru-prod", &["shop/ci"]),
    ];
    let trusts: Vec<&Trust> = trusts.iter().collect();
    let caller = reviews
        .caller(&for_prod(1), &trusts)
        .await
        .expect("a caller");
    assert_eq!(&*caller.name, "ci");
    assert!(caller.rights.has(Right::Upgrade));
    assert_eq!(caller.identities, trusts[1].identities);
    assert_eq!(caller.namespaces, trusts[1].namespaces);
    assert_eq!(caller.binding, None);
    assert_eq!(caller.issued, Some(Issued::new("", CI, None)));
}

#[tokio::test]
async fn the_cluster_is_asked_only_about_tokens_of_the_audience() {
    let (reviews, _) = reviews(answering(0, |_| Ok(None)));
    let trusts = [
        trust("ci", "hikaru-prod", &["shop/ci"]),
        trust("dev", "hikaru-dev", &["shop/ci"]),
        trust("more", "hikaru-dev", &["shop/more"]),
    ];
    let trusts: Vec<&Trust> = trusts.iter().collect();
    let default = "https://kubernetes.default.svc";
    let large = token(json!({"aud": "hikaru-prod", "pad": "x".repeat(MAX_JWT)}), 1);
    let size = format!("it has {} bytes: expected at most 16384", large.len());
    let form = "expected a JSON Web Token with the claim `aud`, a text or a list of them";
    let other = |found: &str| format!("expected the audience of a trust, found {found}");
    for (token, code, expected) in [
        (
            token(json!({"aud": [default]}), 1),
            "audience",
            other("`https://kubernetes.default.svc`"),
        ),
        (
            token(json!({"aud": ["a", "b"]}), 1),
            "audience",
            other("`a, b`"),
        ),
        (
            token(json!({"aud": "hikaru"}), 1),
            "audience",
            other("`hikaru`"),
        ),
        (token(json!({"aud": []}), 1), "audience", other("none")),
        (token(json!({"aud": 1}), 1), "form", form.to_owned()),
        (
            token(json!({"aud": ["hikaru-prod", 1]}), 1),
            "form",
            form.to_owned(),
        ),
        (token(json!({}), 1), "form", form.to_owned()),
        (token(json!(["hikaru-prod"]), 1), "form", form.to_owned()),
        ("x.y.z".to_owned(), "form", form.to_owned()),
        (format!("{}.x", for_prod(1)), "form", form.to_owned()),
        ("hikaru-prod".to_owned(), "form", form.to_owned()),
        (String::new(), "form", form.to_owned()),
        (large, "too-large", size),
    ] {
        let refused = reviews.caller(&token, &trusts).await;
        assert_eq!(refused, Err(bad(code, expected)));
    }
}

#[tokio::test]
async fn who_is_not_listed_is_refused_by_name() {
    let not_trusted = |why: &str, user: &str, trust: Option<&str>| Denied::NotTrusted {
        why: why.to_owned(),
        code: "service-account",
        trust: trust.map(Text::from),
        issued: Issued::new("", user, None),
    };
    let trusts = [
        trust("ci", "hikaru-prod", &["shop/ci"]),
        trust("dev", "hikaru-dev", &["shop/dev"]),
    ];
    let trusts: Vec<&Trust> = trusts.iter().collect();
    for (name, expected) in [
        (
            "system:serviceaccount:shop:other",
            "no trust lists the ServiceAccount `shop/other`",
        ),
        // It is listed for another audience.
        (
            "system:serviceaccount:shop:dev",
            "no trust lists the ServiceAccount `shop/dev`",
        ),
        (
            "system:serviceaccount:shop",
            "expected the token of a ServiceAccount, found that of the user `system:serviceaccount:shop`",
        ),
        (
            "shop:ci",
            "expected the token of a ServiceAccount, found that of the user `shop:ci`",
        ),
        (
            "system:serviceaccount:shop:ci:x",
            "no trust lists the ServiceAccount `shop/ci:x`",
        ),
    ] {
        let (reviews, _) = reviews(answering(1, move |audiences| user(name, audiences)));
        let refused = reviews.caller(&for_prod(1), &trusts).await;
        assert_eq!(refused, Err(not_trusted(expected, name, Some("ci"))));
    }
    // The cluster says for which of the audiences the token is.
    let (reviews, _) = reviews(answering(1, |audiences| {
        assert_eq!(audiences, ["hikaru-dev".into(), "hikaru-prod".into()]);
        user(CI, &["hikaru-dev".into()])
    }));
    let both = of_ci(json!(["hikaru-prod", "hikaru-dev", "vault"]), 1);
    let refused = reviews.caller(&both, &trusts).await;
    let why = "no trust lists the ServiceAccount `shop/ci`";
    assert_eq!(refused, Err(not_trusted(why, CI, None)));
}

#[tokio::test]
async fn what_the_cluster_says_is_used_for_ten_seconds() {
    let trusts = [trust("ci", "hikaru-prod", &["shop/ci"])];
    let trusts: Vec<&Trust> = trusts.iter().collect();
    for is_valid in [true, false] {
        let (reviews, clock) = reviews(answering(3, move |audiences| match is_valid {
            true => user(CI, audiences),
            false => Ok(None),
        }));
        for second in 0..25 {
            let found = reviews.caller(&for_prod(1), &trusts).await;
            match found {
                Ok(_) => assert!(is_valid, "{second}"),
                Err(Denied::BadToken { code, .. }) => assert!(!is_valid && code == "review"),
                Err(other) => panic!("{other:?}"),
            }
            clock.sleep(Duration::from_secs(1)).await;
        }
    }
    // Other audiences are another question.
    let (reviews, _) = reviews(answering(2, |audiences| user(CI, audiences)));
    let both = of_ci(json!(["hikaru-prod", "hikaru-dev"]), 1);
    reviews.caller(&both, &trusts).await.expect("a caller");
    let more = [
        trust("dev", "hikaru-dev", &["shop/ci"]),
        trust("ci", "hikaru-prod", &["shop/ci"]),
    ];
    let more: Vec<&Trust> = more.iter().collect();
    let caller = reviews.caller(&both, &more).await.expect("a caller");
    assert_eq!(&*caller.name, "dev");
}

#[tokio::test]
async fn a_cluster_that_cannot_be_asked_is_no_verdict_and_is_asked_again_after_a_pause() {
    let errors = [
        ClusterError::Forbidden("cannot create resource \"tokenreviews\"".to_owned()),
        ClusterError::Unavailable {
            message: "no answer within 10 s".to_owned(),
            retry_after: None,
        },
        ClusterError::NotFound("tokenreviews".to_owned()),
    ];
    for error in errors {
        let (reviews, clock) = reviews(answering(2, move |_| Err(error.clone())));
        // Nine seconds: one review at the first, and one after five.
        for second in 0..9 {
            let trust = trust("ci", "hikaru-prod", &["shop/ci"]);
            let refused = reviews.caller(&for_prod(second), &[&trust]).await;
            clock.sleep(Duration::from_secs(1)).await;
            // The words of the cluster are for the log alone.
            let why = "whether the token is valid cannot be found out now: the cluster does not review it";
            assert_eq!(refused, Err(Denied::Unavailable(why.to_owned())));
        }
    }
}

#[tokio::test]
async fn the_cluster_is_asked_only_about_what_can_be_a_token_of_a_trust() {
    let trusts = [
        trust("ci", "hikaru-prod", &["shop/ci"]),
        trust("dev", "hikaru-dev", &["shop/dev"]),
    ];
    let trusts: Vec<&Trust> = trusts.iter().collect();
    let now = 1_000;
    let listed = json!({"aud": "hikaru-prod", "sub": CI, "exp": now});
    let changed = |name: &str, value: Value| {
        let mut claims = listed.clone();
        claims[name] = value;
        token(claims, 1)
    };
    for (token, is_asked) in [
        (changed("exp", json!(now)), true),
        (changed("exp", json!(now - 59)), true),
        (changed("exp", json!(now - 60)), false),
        (changed("exp", json!(i64::MIN)), false),
        (changed("exp", json!("never")), false),
        (changed("exp", Value::Null), false),
        (changed("sub", Value::Null), false),
        (changed("sub", json!("shop/ci")), false),
        (
            changed("sub", json!("system:serviceaccount:shop/ci")),
            false,
        ),
        (
            changed("sub", json!("system:serviceaccount:shop:other")),
            false,
        ),
        // It is listed for another audience.
        (
            changed("sub", json!("system:serviceaccount:shop:dev")),
            false,
        ),
    ] {
        let (reviews, clock) = reviews(answering(usize::from(is_asked), |_| Ok(None)));
        clock.sleep(Duration::from_secs(now)).await;
        let refused = reviews.caller(&token, &trusts).await;
        // Who may write any token is not told which ServiceAccounts are listed.
        assert_eq!(refused, Err(not_taken()), "{token}");
    }
}

#[tokio::test]
async fn the_cluster_is_asked_ten_times_a_second_and_what_is_kept_is_bounded() {
    let trust = trust("ci", "hikaru-prod", &["shop/ci"]);
    let (reviews, clock) = reviews(answering(300, |_| Ok(None)));
    for number in 0..300 {
        let refused = reviews.caller(&for_prod(number), &[&trust]).await;
        assert!(refused.is_err());
        // A token that waits for its turn moves the clock.
        let second = u64::try_from(number / A_SECOND).expect("a small number");
        assert_eq!(clock.elapsed(), Duration::from_secs(second));
        assert!(reviews.known().answers.len() <= 11 * A_SECOND);
    }
    for number in 290..300 {
        let refused = reviews.caller(&for_prod(number), &[&trust]).await;
        assert!(refused.is_err(), "its answer is kept");
    }
}

/// A cluster that answers when it is told to.
#[derive(Default)]
struct Slow {
    at_once: AtomicUsize,
    most: AtomicUsize,
    asked: AtomicUsize,
    go_on: Notify,
}

#[async_trait]
impl TokenReviewPort for Slow {
    async fn review<'a>(
        &'a self,
        _token: &'a str,
        audiences: &'a [Text],
    ) -> Result<Option<TokenUser>, ClusterError> {
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.go_on.notified().await;
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        user(CI, audiences)
    }
}

/// What became of a call. Here time goes on by itself when all wait.
async fn ended(call: JoinHandle<Result<Caller, Denied>>) -> Result<Caller, Denied> {
    let ended = timeout(Duration::from_secs(60), call).await;
    ended.expect("it ends in time").expect("no panic")
}

/// Lets everything run that can.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_few_reviews_are_asked_for_at_once() {
    let slow = Arc::new(Slow::default());
    let reviews = TokenReviews::new(slow.clone(), Arc::new(StillClock::default()));
    let reviews = Arc::new(reviews);
    let call = |number| {
        let reviews = reviews.clone();
        tokio::spawn(async move {
            let trust = trust("ci", "hikaru-prod", &["shop/ci"]);
            reviews.caller(&for_prod(number), &[&trust]).await
        })
    };
    let first: Vec<_> = (0..AT_ONCE).map(call).collect();
    settle().await;
    // Five more with a token that is asked about already, and one with another.
    let more: Vec<_> = [0, 0, 0, 0, 0, 99].into_iter().map(call).collect();
    settle().await;
    assert_eq!(slow.asked.load(Ordering::SeqCst), AT_ONCE);
    for _ in 0..=AT_ONCE {
        slow.go_on.notify_one();
        settle().await;
    }
    for caller in first.into_iter().chain(more) {
        ended(caller).await.expect("a caller");
    }
    assert_eq!(slow.asked.load(Ordering::SeqCst), AT_ONCE + 1);
    assert_eq!(slow.most.load(Ordering::SeqCst), AT_ONCE);

    // Whoever waits too long is told to come again.
    let stuck: Vec<_> = (100..100 + AT_ONCE).map(call).collect();
    settle().await;
    let late = ended(call(200)).await;
    assert!(matches!(late, Err(Denied::Unavailable(_))), "{late:?}");
    stuck.into_iter().for_each(|call| call.abort());
}
