//! Reviews of tokens: what the API server is asked, which answers count, and that no error repeats the token. On the real control
//! plane: whose tokens it takes, for which audiences.

use hikaru_core::{
    Text,
    port::{ClusterError, TokenReviewPort as _, TokenUser},
};
use serde_json::{Value, json};

use super::stub::{Step, Stub, status};

const TOKEN: &str =
    "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOlsiaGlrYXJ1LXByb2QiXX0.a-signature-of-the-callers";
const USER: &str = "system:serviceaccount:shop:ci";

fn audiences(names: &[&str]) -> Vec<Text> {
    names.iter().map(|name| Text::from(*name)).collect()
}

fn reviewed(status: Value) -> Step {
    Step::Answer(
        201,
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": {}, "spec": {"token": TOKEN},
            "status": status}),
    )
}

/// What comes of a review for the audience `hikaru-prod`, and how often the server was asked.
async fn review(step: Step) -> (Result<Option<TokenUser>, ClusterError>, usize) {
    let stub = Stub::start(move |_, _| step.clone()).await;
    let cluster = stub.cluster().await;
    let user = cluster.review(TOKEN, &audiences(&["hikaru-prod"])).await;
    (user, stub.count("POST"))
}

#[tokio::test]
async fn the_token_and_its_audiences_are_sent_and_the_user_is_told() {
    let stub = Stub::start(|_, _| {
        reviewed(
            json!({"authenticated": true, "audiences": ["hikaru-dev", "another"],
            "user": {"username": USER, "uid": "u", "groups": ["system:serviceaccounts"]}}),
        )
    })
    .await;
    let cluster = stub.cluster().await;
    let asked = audiences(&["hikaru-prod", "hikaru-dev"]);
    let user = cluster.review(TOKEN, &asked).await;
    let expected = TokenUser::new(USER, audiences(&["hikaru-dev"]));
    assert_eq!(user, Ok(Some(expected)));
    let [request] = &stub.asked()[..] else {
        panic!("{:?}", stub.asked());
    };
    assert_eq!(request.method, "POST");
    assert_eq!(request.path, "/apis/authentication.k8s.io/v1/tokenreviews");
    assert_eq!(request.headers["content-type"], "application/json");
    assert_eq!(request.body["kind"], "TokenReview");
    let spec = json!({"token": TOKEN, "audiences": ["hikaru-prod", "hikaru-dev"]});
    assert_eq!(request.body["spec"], spec);
}

/// Without audiences each pod's token would be taken.
#[tokio::test]
async fn nothing_is_asked_without_audiences() {
    let stub = Stub::start(|_, _| {
        let audiences = ["https://kubernetes.default.svc"];
        reviewed(json!({"authenticated": true, "audiences": audiences, "user": {"username": USER}}))
    })
    .await;
    let cluster = stub.cluster().await;
    let refused = cluster.review(TOKEN, &[]).await;
    let why = "a review of a token without audiences: expected at least one";
    assert_eq!(refused, Err(ClusterError::Invalid(why.to_owned())));
    // What no header holds is no token.
    let line = cluster.review("two\r\nlines", &audiences(&["a"])).await;
    assert_eq!(line, Ok(None));
    assert_eq!(stub.count("POST"), 0);
}

#[tokio::test]
async fn only_a_token_for_one_of_the_audiences_counts() {
    let user = json!({"username": USER});
    for status in [
        json!({}),
        json!({"authenticated": false, "error": "[invalid bearer token, service account token has expired]"}),
        json!({"authenticated": false, "error": format!("no: {TOKEN}")}),
        json!({"authenticated": false, "user": user, "audiences": ["hikaru-prod"]}),
        json!({"user": user, "audiences": ["hikaru-prod"]}),
        // An API server that does not know audiences has looked at its own.
        json!({"authenticated": true, "user": user}),
        json!({"authenticated": true, "user": user, "audiences": []}),
        json!({"authenticated": true, "user": user, "audiences": ["https://kubernetes.default.svc"]}),
    ] {
        let (user, asked) = review(reviewed(status.clone())).await;
        assert_eq!(user, Ok(None), "{status}");
        assert_eq!(asked, 1);
    }
}

#[tokio::test]
async fn a_server_that_fails_says_nothing_of_the_token() {
    let unavailable = |message: &str| ClusterError::Unavailable {
        message: message.to_owned(),
        retry_after: None,
    };
    let right = "tokenreviews.authentication.k8s.io is forbidden: User \"x\" cannot create resource \"tokenreviews\"";
    let echo = format!("what is {TOKEN}?");
    let spoken = |code, reason: &str| Step::Answer(code, status(code, reason, &echo));
    let nameless = json!({"authenticated": true, "audiences": ["hikaru-prod"], "user": {}});
    for (step, expected) in [
        (
            Step::Answer(403, status(403, "Forbidden", right)),
            ClusterError::Forbidden(right.to_owned()),
        ),
        (
            Step::Answer(404, status(404, "NotFound", "no")),
            ClusterError::NotFound("resource tokenreviews in authentication.k8s.io/v1".to_owned()),
        ),
        (
            spoken(403, "Forbidden"),
            ClusterError::Forbidden("what is (our credentials)?".to_owned()),
        ),
        (
            spoken(400, "BadRequest"),
            ClusterError::Invalid("what is (our credentials)?".to_owned()),
        ),
        (
            spoken(500, "InternalError"),
            unavailable("what is (our credentials)?"),
        ),
        // A proxy that cuts what it repeats.
        (
            Step::Text(502, format!("<pre>{}…</pre>", &TOKEN[..40])),
            unavailable("the server answers 502 Bad Gateway: <pre>(our credentials)…</pre>"),
        ),
        (
            reviewed(nameless),
            unavailable("the answer cannot be read: the review has no name of a user"),
        ),
    ] {
        let (refused, asked) = review(step).await;
        assert_eq!(refused, Err(expected));
        assert_eq!(asked, 1);
    }
    let odd = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": TOKEN, "status": {}});
    for (step, times) in [
        (Step::Answer(201, odd), 1),
        (Step::Answer(201, json!({"kind": "Status"})), 1),
        (Step::Answer(201, json!(TOKEN)), 1),
        (Step::Silence, 1),
        // It may be a connection of the pool that was dead before.
        (Step::Cut, 2),
    ] {
        let (refused, asked) = review(step).await;
        let error = refused.expect_err("no review");
        assert!(
            matches!(error, ClusterError::Unavailable { .. }),
            "{error:?}"
        );
        assert!(!format!("{error:?}").contains(&TOKEN[..25]), "{error:?}");
        assert_eq!(asked, times, "{error:?}");
    }
}

#[cfg(feature = "cluster")]
mod real {
    use std::time::{Duration, Instant};

    use hikaru_k8s::LiveCluster;

    use super::*;
    use crate::live::{rig, rights};

    /// A token of the ServiceAccount `ci` of a namespace.
    async fn token(namespace: &str, more: &[&str]) -> String {
        let mut args = vec!["create", "token", "ci", "--namespace", namespace];
        args.extend(more);
        rig::kubectl(&args, "").await.trim().to_owned()
    }

    async fn asked(live: &LiveCluster, token: &str) -> Option<TokenUser> {
        let audiences = audiences(&["hikaru-prod"]);
        live.review(token, &audiences).await.expect("an answer")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_service_accounts_token_is_taken_for_its_audience_alone() {
        let namespace = rig::namespace("reviews").await;
        let args = ["create", "serviceaccount", "ci", "--namespace", &namespace];
        rig::kubectl(&args, "").await;
        let live = rig::by_variables(xtask::Cluster::shared()).await;
        let good = token(&namespace, &["--audience", "hikaru-prod"]).await;
        let name = format!("system:serviceaccount:{namespace}:ci");
        let user = TokenUser::new(name, audiences(&["hikaru-prod"]));
        assert_eq!(asked(&live, &good).await, Some(user.clone()));
        let two = ["--audience", "hikaru-prod", "--audience", "vault"];
        assert_eq!(
            asked(&live, &token(&namespace, &two).await).await,
            Some(user)
        );

        // Each pod has one of the API server's audience, which a review without audiences takes.
        let of_a_pod = token(&namespace, &[]).await;
        assert_eq!(asked(&live, &of_a_pod).await, None);
        let of_another = token(&namespace, &["--audience", "vault"]).await;
        assert_eq!(asked(&live, &of_another).await, None);
        let (claims, signature) = good.rsplit_once('.').expect("a JWT");
        let (_, of_other_claims) = of_another.rsplit_once('.').expect("a JWT");
        for bad in [
            format!("{claims}.{of_other_claims}"),
            format!("{claims}."),
            format!("{signature}.{signature}.{signature}"),
            TOKEN.to_owned(),
            "garbage".to_owned(),
            String::new(),
        ] {
            assert_eq!(asked(&live, &bad).await, None, "{bad}");
        }

        // The API server may remember a token for ten seconds.
        let args = ["delete", "serviceaccount", "ci", "--namespace", &namespace];
        rig::kubectl(&args, "").await;
        let until = Instant::now() + Duration::from_secs(120);
        while asked(&live, &good).await.is_some() {
            assert!(Instant::now() < until, "the token stays valid");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn without_the_right_to_create_tokenreviews_the_error_names_it() {
        let namespace = rig::namespace("reviewer").await;
        let live = rights::account(&namespace, &["get"]).await;
        let refused = live.review(TOKEN, &audiences(&["hikaru-prod"])).await;
        let Err(ClusterError::Forbidden(words)) = refused else {
            panic!("{refused:?}");
        };
        let expected =
            "cannot create resource \"tokenreviews\" in API group \"authentication.k8s.io\"";
        assert!(words.contains(expected), "{words}");
    }
}
