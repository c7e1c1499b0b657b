//! Tokens of OpenID Connect: which are taken, and which caller they make. Keys come from documents in memory here; `https` gets them
//! from the issuer of the tests, over TLS.

mod https;
mod issuers;
mod rules;
mod tokens;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use hikaru_core::{
    caller::{Caller, Rights},
    port::Clock as _,
    testing::StillClock,
};
use hikaru_http::{Ci, Denied, FetchDocument, Oidc, OidcTrust, Trust, TrustedIssuer};
use hyper::{Uri, body::Bytes};
use serde_json::{Value, json};
use tokio::{sync::Semaphore, time::timeout};

use crate::{
    client::LONG,
    issuer::{SigningKey, Signs},
};

/// When the tests begin, in seconds since 1970.
const NOW: u64 = 1_900_000_000;

const ISSUER: &str = "https://token.actions.githubusercontent.com";
const AUDIENCE: &str = "hikaru-prod";
const SHA: &str = "0123abcd0123abcd0123abcd0123abcd0123abcd";

/// Documents in memory, by address.
#[derive(Default)]
struct Documents {
    answers: Mutex<HashMap<String, Result<String, String>>>,
    fetched: Mutex<Vec<String>>,
    /// A document is given only for one of these. `None`: at once.
    permits: Mutex<Option<Arc<Semaphore>>>,
}

#[async_trait]
impl FetchDocument for Documents {
    async fn fetch(&self, address: &Uri, _ca: Option<&str>) -> Result<Bytes, String> {
        let address = address.to_string();
        lock(&self.fetched).push(address.clone());
        let permits = lock(&self.permits).clone();
        if let Some(permits) = permits {
            permits.acquire().await.expect("an open gate").forget();
        }
        let answers = lock(&self.answers);
        let answer = answers.get(&address).cloned();
        let answer = answer.unwrap_or_else(|| Err("answers with 404".to_owned()));
        answer.map(Bytes::from)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Documents {
    fn put(&self, address: impl Into<String>, answer: Result<Value, &str>) {
        let answer = answer.map(|json| json.to_string());
        lock(&self.answers).insert(address.into(), answer.map_err(str::to_owned));
    }

    /// An issuer with these keys.
    fn publish(&self, issuer: &str, keys: &[Value]) {
        let jwks = format!("{issuer}/keys");
        let document = json!({"issuer": issuer, "jwks_uri": jwks});
        self.put(
            format!("{issuer}/.well-known/openid-configuration"),
            Ok(document),
        );
        self.put(jwks, Ok(json!({ "keys": keys })));
    }

    /// How often it was looked for the keys of the issuer.
    fn looks(&self) -> usize {
        let fetched = lock(&self.fetched);
        let is_discovery = |address: &&String| address.ends_with("/openid-configuration");
        fetched.iter().filter(is_discovery).count()
    }

    /// From now on documents come only one for each permit.
    fn hold(&self) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        *lock(&self.permits) = Some(gate.clone());
        gate
    }
}

/// hikaru's side, the issuer's documents and its key.
struct World {
    clock: Arc<StillClock>,
    documents: Arc<Documents>,
    key: SigningKey,
    oidc: Arc<Oidc>,
}

impl World {
    async fn new(signs: Signs) -> Self {
        let clock = Arc::new(StillClock::default());
        clock.sleep(Duration::from_secs(NOW)).await;
        let documents = Arc::new(Documents::default());
        let key = SigningKey::new("key-1", signs);
        documents.publish(ISSUER, &[key.jwk()]);
        let oidc = Arc::new(Oidc::with_fetch(documents.clone(), clock.clone()));
        Self {
            clock,
            documents,
            key,
            oidc,
        }
    }

    /// A token with these claims.
    fn token(&self, claims: &Value) -> String {
        self.key.sign(&self.key.header(), claims)
    }

    async fn wait(&self, seconds: u64) {
        self.clock.sleep(Duration::from_secs(seconds)).await;
    }

    async fn admit(&self, token: &str, trust: &Trust) -> Result<Caller, Denied> {
        self.oidc.caller(token, &[trust]).await
    }
}

/// Waits for what a broken hikaru would never do.
async fn in_time<T>(what: impl Future<Output = T>) -> T {
    timeout(LONG, what).await.expect("an end in time")
}

/// GitHub Actions, for pushes.
fn github() -> Trust {
    let mut oidc = OidcTrust::new(Ci::GitHub, ISSUER, AUDIENCE);
    oidc.owners = vec!["65".into()];
    oidc.events = vec!["push".into()];
    trust("github", oidc)
}

fn trust(name: &str, oidc: OidcTrust) -> Trust {
    let mut rights = Rights::NONE;
    rights.grant("upgrade").expect("a right");
    Trust::new(name, rights, TrustedIssuer::Oidc(oidc))
}

/// A trust with another rule.
fn with(mut trust: Trust, change: impl FnOnce(&mut OidcTrust)) -> Trust {
    let TrustedIssuer::Oidc(oidc) = &mut trust.issuer else {
        panic!("expected a trust of OpenID Connect");
    };
    change(oidc);
    trust
}

/// A push to main of acme/shop.
fn push() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "repo:acme/shop:ref:refs/heads/main",
        "iat": NOW, "nbf": NOW, "exp": NOW + 600,
        "repository": "acme/shop", "repository_id": "74", "repository_owner": "acme", "repository_owner_id": "65",
        "ref": "refs/heads/main", "ref_type": "branch", "ref_protected": "false", "sha": SHA,
        "event_name": "push", "run_id": "1658821493", "run_number": "10", "head_ref": "", "base_ref": "",
    })
}

/// The same with other claims; `null` takes one out.
fn changed(mut claims: Value, changes: &Value) -> Value {
    let claims_of = claims.as_object_mut().expect("an object");
    for (name, value) in changes.as_object().expect("an object") {
        match value {
            Value::Null => claims_of.remove(name),
            value => claims_of.insert(name.clone(), value.clone()),
        };
    }
    claims
}

/// Code and sentence of a token that is not admitted.
#[track_caller]
fn refusal(result: Result<Caller, Denied>) -> (&'static str, String) {
    match result.expect_err("no caller") {
        denied @ (Denied::BadToken { code, .. } | Denied::NotTrusted { code, .. }) => {
            (code, denied.to_string())
        }
        Denied::Unavailable(why) => ("unavailable", why),
        other => panic!("expected another refusal, found {other}"),
    }
}
