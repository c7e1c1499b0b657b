//! Tokens of the cluster's ServiceAccounts: who has one, as the cluster itself says. It is asked through the port of hikaru-core; which
//! ServiceAccounts are trusted is in `trust`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hikaru_core::{
    Text,
    caller::{Caller, Issued},
    port::{Clock, ClusterError, TokenReviewPort, TokenUser},
    text::{Escaped, Excerpt},
};
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value};
use tokio::{sync::Semaphore, time::timeout};

use super::{Denied, KubernetesTrust, Trust, TrustedIssuer};

/// The longest token that is reviewed, in bytes. Kubernetes' own have about 1 KiB.
const MAX_TOKEN: usize = 16 << 10;

/// How long the answer of a review is used. The API server has a cache of its own, of ten seconds, too.
const KEPT: Duration = Duration::from_secs(10);

/// How many answers are kept.
const MAX_KEPT: usize = 1000;

/// How many reviews are asked for at once: everybody can cause some, and upgrades need the API server, too.
const AT_ONCE: usize = 4;

/// How long a token waits for its review to be asked for.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// What the username of each ServiceAccount begins with.
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// Asks the cluster whose tokens they are.
pub(super) struct TokenReviews {
    port: Arc<dyn TokenReviewPort>,
    clock: Arc<dyn Clock>,
    permits: Semaphore,
    /// By the SHA-256 of the token.
    kept: Mutex<HashMap<Box<[u8]>, Kept>>,
}

/// The answer of a review.
struct Kept {
    /// Those that were asked for.
    audiences: Vec<Text>,
    user: Option<TokenUser>,
    /// When it was asked for, by the clock that never jumps.
    asked: Duration,
}

impl TokenReviews {
    pub(super) fn new(port: Arc<dyn TokenReviewPort>, clock: Arc<dyn Clock>) -> Self {
        Self {
            port,
            clock,
            permits: Semaphore::new(AT_ONCE),
            kept: Mutex::default(),
        }
    }

    /// Who has a token. The first of the trusts that admits it counts; those of other issuers admit none.
    ///
    /// # Errors
    /// [`Denied::BadToken`], [`Denied::NotTrusted`], or [`Denied::Unavailable`] if the cluster cannot be asked.
    pub(super) async fn caller(&self, token: &str, trusts: &[&Trust]) -> Result<Caller, Denied> {
        let said = audiences_of(token)?;
        let mut of_audience: Vec<(&Trust, &KubernetesTrust)> = Vec::new();
        let mut expected: Vec<Text> = Vec::new();
        for trust in trusts {
            let TrustedIssuer::Kubernetes(kubernetes) = &trust.issuer else {
                continue;
            };
            if !expected.contains(&kubernetes.audience) {
                expected.push(kubernetes.audience.clone());
            }
            if said.iter().any(|said| *said == *kubernetes.audience) {
                of_audience.push((trust, kubernetes));
            }
        }
        // The token of another audience is not sent on.
        if of_audience.is_empty() {
            let expected = expected.join(" or ");
            let found = match &said[..] {
                [] => "none".to_owned(),
                said => Excerpt::of(&said.join(", ")).to_string(),
            };
            let why = format!("expected the audience {expected}, found {found}");
            return Err(bad("audience", why));
        }
        let asked = of_audience.iter().map(|(_, trust)| trust.audience.clone());
        let mut asked: Vec<Text> = asked.collect();
        asked.sort();
        asked.dedup();
        let user = self.user(token, asked).await?;
        let user = user.ok_or_else(|| {
            let why = "the cluster does not take it: it has expired, or its ServiceAccount or pod is gone, or it is of another cluster";
            bad("review", why)
        })?;
        let account = service_account(&user.username)?;
        let mut trusts = of_audience.into_iter();
        let admits = |(_, trust): &(&Trust, &KubernetesTrust)| {
            let is_listed = trust.service_accounts.iter().any(|a| **a == *account);
            is_listed && user.audiences.contains(&trust.audience)
        };
        let Some((trust, _)) = trusts.find(admits) else {
            let found = Excerpt::of(&account);
            return Err(Denied::NotTrusted {
                why: format!("no trust lists the ServiceAccount {found}"),
                code: "service-account",
            });
        };
        let mut caller = Caller::new(trust.name.clone(), trust.rights);
        caller.identities.clone_from(&trust.identities);
        caller.namespaces.clone_from(&trust.namespaces);
        caller.issued = Some(Issued::new("", user.username, None));
        Ok(caller)
    }

    /// Whose token it is, from an answer that is kept or from the cluster.
    async fn user(&self, token: &str, audiences: Vec<Text>) -> Result<Option<TokenUser>, Denied> {
        let hash = digest(&SHA256, token.as_bytes());
        if let Some(user) = self.known(hash.as_ref(), &audiences) {
            return Ok(user);
        }
        let permit = timeout(LONGEST_WAIT, self.permits.acquire()).await;
        let Ok(Ok(_permit)) = permit else {
            tracing::warn!(
                "too many tokens of ServiceAccounts wait for a review: one was sent away"
            );
            return Err(unavailable());
        };
        // Another call with the same token may have been answered meanwhile.
        if let Some(user) = self.known(hash.as_ref(), &audiences) {
            return Ok(user);
        }
        let asked = self.clock.elapsed();
        let reviewed = self.port.review(token, &audiences).await;
        let user = reviewed.map_err(|error| {
            let hint = match error {
                ClusterError::Forbidden(_) => {
                    ": hikaru needs the right to create tokenreviews (hikaru-bin/deploy/callers/reviews)"
                }
                _ => "",
            };
            let error = error.to_string();
            tracing::warn!(
                "tokens of ServiceAccounts cannot be reviewed: {}{hint}",
                Escaped(&error)
            );
            unavailable()
        })?;
        let mut kept = self.kept();
        if kept.len() >= MAX_KEPT {
            kept.retain(|_, kept| self.is_fresh(kept));
        }
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(
            hash.as_ref().into(),
            Kept {
                audiences,
                user: user.clone(),
                asked,
            },
        );
        Ok(user)
    }

    /// The answer that is kept. `None`: there is none.
    fn known(&self, hash: &[u8], audiences: &[Text]) -> Option<Option<TokenUser>> {
        let kept = self.kept();
        let kept = kept.get(hash).filter(|kept| kept.audiences == audiences);
        let kept = kept.filter(|kept| self.is_fresh(kept))?;
        Some(kept.user.clone())
    }

    fn is_fresh(&self, kept: &Kept) -> bool {
        self.clock.elapsed().saturating_sub(kept.asked) < KEPT
    }

    // An entry is put in as a whole, so the map is sound even if a thread panicked that held the lock.
    fn kept(&self) -> MutexGuard<'_, HashMap<Box<[u8]>, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bad(code: &'static str, why: impl Into<String>) -> Denied {
    let why = why.into();
    Denied::BadToken { why, code }
}

/// The caller is told nothing of the cluster: it is not known who it is.
fn unavailable() -> Denied {
    let why = "whether the token is valid cannot be found out now: the cluster does not review it";
    Denied::Unavailable(why.to_owned())
}

/// The audiences that a token says it is for. They are believed for nothing but that the cluster is asked about them.
fn audiences_of(token: &str) -> Result<Vec<String>, Denied> {
    if token.len() > MAX_TOKEN {
        let why = format!("it has {} bytes: expected at most {MAX_TOKEN}", token.len());
        return Err(bad("too-large", why));
    }
    let parts: Vec<&str> = token.split('.').collect();
    let claims = match parts[..] {
        [_, claims, _] => BASE64_URL_SAFE_NO_PAD.decode(claims).ok(),
        _ => None,
    };
    let claims = claims.and_then(|claims| serde_json::from_slice::<Map<_, _>>(&claims).ok());
    let said = match claims.as_ref().and_then(|claims| claims.get("aud")) {
        Some(Value::String(one)) => Some(vec![one.clone()]),
        Some(Value::Array(more)) => {
            let more = more.iter().map(|one| one.as_str().map(str::to_owned));
            more.collect()
        }
        _ => None,
    };
    said.ok_or_else(|| {
        let why = "expected a JSON Web Token with the claim `aud`, a text or a list of them";
        bad("form", why)
    })
}

/// `namespace/name` of a ServiceAccount by its username.
fn service_account(username: &str) -> Result<String, Denied> {
    let account = username.strip_prefix(SERVICE_ACCOUNT);
    let account = account.and_then(|account| account.split_once(':'));
    match account {
        Some((namespace, name)) => Ok(format!("{namespace}/{name}")),
        None => {
            let found = Excerpt::of(username);
            Err(Denied::NotTrusted {
                why: format!(
                    "expected the token of a ServiceAccount, found that of the user {found}"
                ),
                code: "service-account",
            })
        }
    }
}

#[cfg(test)]
mod tests;
