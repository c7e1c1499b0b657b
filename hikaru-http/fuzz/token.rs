//! Tokens of OpenID Connect: none that its issuer has not signed makes a caller, and each caller is narrowed to what its claims say. The
//! first letter of an input says what the rest is: a token (`t`), a header (`h`), claims (`c`), changes of the claims of GitHub (`g`), of
//! GitLab (`l`) or of another issuer (`o`), a set of keys (`k`), a document of discovery (`d`).

use std::{
    cell::RefCell,
    sync::{Arc, LazyLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hikaru_core::{
    caller::{Caller, Glob, Rights},
    port::Clock,
};
use hikaru_http::{BindingRule, Ci, Denied, FetchDocument, Oidc, OidcTrust, Trust, TrustedIssuer};
use hyper::{Uri, body::Bytes};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Map, Value, json};
use tokio::runtime::{Builder, Runtime};

const NOW: i64 = 1_900_000_000;
const ISSUER: &str = "https://ci.example";
const AUDIENCE: &str = "hikaru";
const SHA: &str = "0123abcd0123abcd0123abcd0123abcd0123abcd";

/// What must not be admitted, whatever the trust lists.
const NEVER: [&str; 3] = ["pull_request_target", "workflow_run", "issue_comment"];

struct Still;

#[async_trait]
impl Clock for Still {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs())
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    async fn sleep(&self, _time: Duration) {}
}

/// The issuer's documents.
struct Documents {
    discovery: Vec<u8>,
    keys: Vec<u8>,
}

#[async_trait]
impl FetchDocument for Documents {
    async fn fetch(&self, address: &Uri, _ca: Option<&str>) -> Result<Bytes, String> {
        assert_eq!(address.scheme_str(), Some("https"));
        let host = address.host().unwrap_or_default();
        assert!(host.eq_ignore_ascii_case("ci.example"), "{host}");
        assert_eq!(address.port_u16().unwrap_or(443), 443);
        let is_discovery = address.path() == "/.well-known/openid-configuration";
        let document = match is_discovery {
            true => &self.discovery,
            false => &self.keys,
        };
        Ok(Bytes::copy_from_slice(document))
    }
}

fn pair() -> &'static Ed25519KeyPair {
    static PAIR: LazyLock<Ed25519KeyPair> =
        LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a pair"));
    &PAIR
}

fn public() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(pair().public_key())
}

fn documents() -> Documents {
    let keys = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "key", "x": public()}]});
    let discovery = json!({"issuer": ISSUER, "jwks_uri": format!("{ISSUER}/keys")});
    Documents {
        discovery: discovery.to_string().into_bytes(),
        keys: keys.to_string().into_bytes(),
    }
}

fn sign(header: &[u8], claims: &[u8]) -> String {
    let encoded = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let message = format!("{}.{}", encoded(header), encoded(claims));
    let signature = pair().sign(message.as_bytes());
    format!("{message}.{}", encoded(signature.as_ref()))
}

const HEADER: &[u8] = br#"{"alg":"EdDSA","kid":"key","typ":"JWT"}"#;

fn trusts() -> Vec<Trust> {
    let trust = |name: &str, ci, change: &dyn Fn(&mut OidcTrust)| {
        let mut oidc = OidcTrust::new(ci, ISSUER, AUDIENCE);
        change(&mut oidc);
        Trust::new(name, Rights::NONE, TrustedIssuer::Oidc(oidc))
    };
    let events = ["push", "pull_request", "merge_request_event"];
    let listed: Vec<_> = events.into_iter().chain(NEVER).map(Into::into).collect();
    let refs = vec![(Glob::new("*"), "release".into())];
    let github = trust("github", Ci::GitHub, &|oidc| {
        oidc.events = listed.clone();
        oidc.owners = vec!["65".into()];
        oidc.binding = BindingRule::Own {
            any_commit: false,
            refs: refs.clone(),
        };
    });
    let mut gitlab = trust("gitlab", Ci::GitLab, &|oidc| oidc.events = listed.clone());
    gitlab.identities = vec!["acme/shop/main".parse().expect("a pattern")];
    let mut other = trust("other", Ci::Other, &|oidc| {
        oidc.claims = vec![("organization".into(), Glob::new("ac*me"))];
        oidc.binding = BindingRule::None;
    });
    other.identities = vec!["acme/*/*".parse().expect("a pattern")];
    // Nothing narrows it, so it must admit nothing.
    let open = trust("open", Ci::Other, &|oidc| oidc.binding = BindingRule::None);
    vec![github, gitlab, other, open]
}

fn every(more: Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "the subject", "iat": NOW, "nbf": NOW, "exp": NOW + 600, "sha": SHA,
    });
    merge(&mut claims, more);
    claims
}

fn merge(claims: &mut Value, more: Value) {
    if let (Value::Object(claims), Value::Object(more)) = (claims, more) {
        claims.extend(more);
    }
}

fn github() -> Value {
    every(json!({
        "repository": "acme/shop", "repository_owner_id": "65", "ref": "refs/heads/main", "event_name": "push", "run_id": "1",
    }))
}

fn gitlab() -> Value {
    every(json!({
        "project_path": "acme/shop", "namespace_id": "65", "ref": "main", "ref_type": "branch", "ref_path": "refs/heads/main",
        "pipeline_source": "push", "job_id": "1",
    }))
}

fn other() -> Value {
    every(json!({"organization": "acme"}))
}

/// The keys are fetched once, so most inputs cost a signature.
struct World {
    runtime: Runtime,
    oidc: Oidc,
    trusts: Vec<Trust>,
}

impl World {
    fn new(documents: Documents) -> Self {
        Self {
            runtime: Builder::new_current_thread()
                .enable_time()
                .build()
                .expect("a runtime"),
            oidc: Oidc::with_fetch(Arc::new(documents), Arc::new(Still)),
            trusts: trusts(),
        }
    }

    fn ask(&self, token: &str) -> Result<Caller, Denied> {
        let trusts: Vec<&Trust> = self.trusts.iter().collect();
        self.runtime.block_on(self.oidc.caller(token, &trusts))
    }
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new(documents()));
}

/// Takes an input as its first letter says.
pub fn token(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else {
        return;
    };
    let token = match kind {
        b't' => String::from_utf8_lossy(rest).into_owned(),
        b'h' => sign(rest, github().to_string().as_bytes()),
        b'c' => sign(HEADER, rest),
        b'g' => changed(github(), rest),
        b'l' => changed(gitlab(), rest),
        b'o' => changed(other(), rest),
        b'k' | b'd' => return document(*kind, rest),
        _ => return,
    };
    let asked = WORLD.with_borrow(|world| world.ask(&token));
    if rest == b"{}" && b"glo".contains(kind) {
        assert!(asked.is_ok(), "what is not changed is admitted: {asked:?}");
    }
    check(&token, asked);
}

fn changed(mut claims: Value, changes: &[u8]) -> String {
    if let Ok(changes) = serde_json::from_slice(changes) {
        merge(&mut claims, changes);
    }
    sign(HEADER, claims.to_string().as_bytes())
}

/// A token that is signed is admitted by no other keys than those that signed it.
fn document(kind: u8, bytes: &[u8]) {
    let mut documents = documents();
    match kind {
        b'k' => documents.keys = bytes.to_vec(),
        _ => documents.discovery = bytes.to_vec(),
    }
    let token = sign(HEADER, github().to_string().as_bytes());
    let asked = World::new(documents).ask(&token);
    if kind == b'k' && asked.is_ok() {
        let text = String::from_utf8_lossy(bytes);
        assert!(text.contains(&public()) || text.contains('\\'), "{text}");
    }
    check(&token, asked);
}

/// What holds of every answer.
fn check(token: &str, asked: Result<Caller, Denied>) {
    let caller = match asked {
        Ok(caller) => caller,
        Err(denied) => {
            let told = denied.to_string();
            assert!(told.len() < 4_000, "{told}");
            assert!(!told.contains(|c: char| c.is_control()), "{told}");
            return;
        }
    };
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        panic!("admitted without three parts: {token}");
    };
    let signed = pair().sign(format!("{header}.{claims}").as_bytes());
    assert_eq!(
        BASE64_URL_SAFE_NO_PAD.encode(signed.as_ref()),
        signature,
        "admitted, and not signed"
    );
    let decoded = |part| BASE64_URL_SAFE_NO_PAD.decode(part).expect("base64url");
    let header: Value = serde_json::from_slice(&decoded(header)).expect("a header");
    assert_eq!(header["alg"], "EdDSA");
    assert!(header.get("crit").is_none_or(Value::is_null));
    let claims: Map<String, Value> = serde_json::from_slice(&decoded(claims)).expect("claims");
    check_claims(&claims);
    check_caller(&caller, &claims);
}

fn check_claims(claims: &Map<String, Value>) {
    assert_eq!(claims["iss"], ISSUER);
    let audience = &claims["aud"];
    let holds = audience
        .as_array()
        .is_some_and(|all| all.contains(&json!(AUDIENCE)));
    assert!(*audience == AUDIENCE || holds);
    let time = |name: &str| claims.get(name).and_then(Value::as_f64);
    #[expect(
        clippy::cast_precision_loss,
        reason = "the clock stands still at a small number"
    )]
    let now = NOW as f64;
    // A fraction of a second is dropped.
    assert!(time("exp").expect("exp") + 61.0 > now);
    assert!(time("iat").expect("iat") <= now + 61.0 && time("iat").expect("iat") >= now - 3_661.0);
    assert!(time("nbf").is_none_or(|begins| begins <= now + 61.0));
}

fn check_caller(caller: &Caller, claims: &Map<String, Value>) {
    let issued = caller.issued.as_ref().expect("an issuer");
    assert_eq!(&*issued.issuer, ISSUER);
    if let Some(run) = &issued.run {
        assert!(
            run.starts_with("https://ci.example/") && run.bytes().all(|b| b.is_ascii_graphic())
        );
    }
    assert!(!caller.sees_all(), "admitted, and not narrowed");
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let (source, event) = match &*caller.name {
        "github" => {
            assert!(claims["repository_owner_id"] == "65" || claims["repository_owner_id"] == 65);
            (text("repository"), text("event_name"))
        }
        "gitlab" => (text("project_path"), text("pipeline_source")),
        "other" => {
            let organization = text("organization").expect("the claim");
            assert!(organization.starts_with("ac") && organization.ends_with("me"));
            assert!(caller.binding.is_none() && !caller.identities.is_empty());
            return;
        }
        name => panic!("admitted by {name}"),
    };
    let event = event.expect("an event");
    assert!(!NEVER.contains(&event), "{event}");
    let binding = caller.binding.as_ref().expect("a binding");
    assert_eq!(
        source,
        Some(&*format!("{}/{}", binding.owner, binding.repo))
    );
    assert!(!binding.repo.contains('/') && !binding.owner.contains('/'));
    let commit = text("sha").expect("a commit").to_ascii_lowercase();
    assert_eq!(binding.commit.as_deref(), Some(&*commit));
    let whole = match &*caller.name {
        "gitlab" => match text("ref_type") {
            Some("branch") => format!("refs/heads/{}", text("ref").unwrap_or_default()),
            _ => format!("refs/tags/{}", text("ref").unwrap_or_default()),
        },
        _ => text("ref").unwrap_or_default().to_owned(),
    };
    match &binding.branch {
        None => {
            assert!(event.contains("request"), "{event}");
            assert!(!caller.identities.is_empty());
        }
        Some(branch) if &**branch == "release" && whole.starts_with("refs/tags/") => {}
        Some(branch) => assert_eq!(whole, format!("refs/heads/{branch}")),
    }
}
