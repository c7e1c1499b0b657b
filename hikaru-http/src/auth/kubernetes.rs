//! Tokens of the cluster's ServiceAccounts: who has one, as the cluster itself says. It is asked through the port of hikaru-core; which
//! ServiceAccounts are trusted is in `trust`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hikaru_core::{
    Text,
    caller::{Caller, Issued},
    port::{Clock, ClusterError, TokenReviewPort, TokenUser},
    text::{Excerpt, Quoted},
};
use ring::digest::{SHA256, digest};
use serde_json::Value;
use tokio::{sync::Semaphore, time::timeout};

use super::{
    Denied, KubernetesTrust, Trust, TrustedIssuer,
    jwt::{LEEWAY, bad, check_size, seconds, unverified},
};

/// How long the answer of a review is used. The API server has a cache of its own, of ten seconds, too.
const KEPT: Duration = Duration::from_secs(10);

/// How many reviews are asked for at once: everybody can cause some, and upgrades need the API server, too.
const AT_ONCE: usize = 4;

/// How many reviews are asked for in each second. So at most eleven times as many answers are kept.
const A_SECOND: usize = 10;

/// How long no review is asked for when the cluster could not answer one.
const PAUSE: Duration = Duration::from_secs(5);

/// How long a token waits for its review to be asked for.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The longest error of the cluster that is logged, in characters.
const LONGEST_ERROR: usize = 500;

/// What the username of each ServiceAccount begins with.
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// Asks the cluster whose tokens they are.
pub(super) struct TokenReviews {
    port: Arc<dyn TokenReviewPort>,
    clock: Arc<dyn Clock>,
    permits: Semaphore,
    known: Mutex<Known>,
}

/// Times are those of the clock's [`Clock::elapsed`].
#[derive(Default)]
struct Known {
    /// By the SHA-256 of the token.
    answers: HashMap<Box<[u8]>, Answer>,
    /// How many reviews were asked for in the second that was the last one with any.
    asked: (u64, usize),
    /// When the cluster could not answer for the last time.
    failed: Option<Duration>,
}

/// The answer of a review.
struct Answer {
    /// Those that were asked for.
    audiences: Vec<Text>,
    user: Option<TokenUser>,
    /// When it was asked for.
    asked: Duration,
}

impl TokenReviews {
    pub(super) fn new(port: Arc<dyn TokenReviewPort>, clock: Arc<dyn Clock>) -> Self {
        Self {
            port,
            clock,
            permits: Semaphore::new(AT_ONCE),
            known: Mutex::default(),
        }
    }

    /// Who has a token. The first of the trusts that admits it counts; those of other issuers admit none.
    ///
    /// # Errors
    /// [`Denied::BadToken`], [`Denied::NotTrusted`], or [`Denied::Unavailable`] if the cluster cannot be asked.
    pub(super) async fn caller(&self, token: &str, trusts: &[&Trust]) -> Result<Caller, Denied> {
        check_size(token)?;
        let said = Said::read(token)?;
        let of_cluster = trusts.iter().filter_map(|trust| match &trust.issuer {
            TrustedIssuer::Kubernetes(kubernetes) => Some((*trust, kubernetes)),
            TrustedIssuer::Oidc(_) => None,
        });
        let of_audience = of_cluster.filter(|(_, trust)| said.is_for(&trust.audience));
        let of_audience: Vec<(&Trust, &KubernetesTrust)> = of_audience.collect();
        // The token of another audience is not sent on.
        if of_audience.is_empty() {
            let found = match &said.audiences[..] {
                [] => "none".to_owned(),
                said => Excerpt::of(&said.join(", ")).to_string(),
            };
            let why = format!("expected the audience of a trust, found {found}");
            return Err(bad("audience", why));
        }
        // Everybody can write such a token: the cluster is asked only if it can be one that is trusted.
        let account = said.subject.as_deref().and_then(service_account);
        let is_listed = account.is_some_and(|account| {
            let mut trusts = of_audience.iter();
            trusts.any(|(_, trust)| lists(trust, &account))
        });
        let now = seconds(self.clock.now());
        let is_over = said
            .expires
            .is_none_or(|end| now >= end.saturating_add(LEEWAY));
        if !is_listed || is_over {
            return Err(not_taken());
        }
        let asked = of_audience.iter().map(|(_, trust)| trust.audience.clone());
        let mut asked: Vec<Text> = asked.collect();
        asked.sort();
        asked.dedup();
        let user = self.user(token, asked).await?.ok_or_else(not_taken)?;
        let refused = |why: String| Denied::NotTrusted {
            why,
            code: "service-account",
            trust: match &of_audience[..] {
                [(trust, _)] => Some(trust.name.clone()),
                _ => None,
            },
            issued: Issued::new("", user.username.clone(), None),
        };
        let account = service_account(&user.username).ok_or_else(|| {
            let found = Excerpt::of(&user.username);
            let expected = "expected the token of a ServiceAccount";
            refused(format!("{expected}, found that of the user {found}"))
        })?;
        let admits = |(_, trust): &&(&Trust, &KubernetesTrust)| {
            lists(trust, &account) && user.audiences.contains(&trust.audience)
        };
        let Some((trust, _)) = of_audience.iter().find(admits) else {
            let found = Excerpt::of(&account);
            return Err(refused(format!(
                "no trust lists the ServiceAccount {found}"
            )));
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
        if let Some(answer) = self.answer(hash.as_ref(), &audiences) {
            return answer;
        }
        let permit = timeout(LONGEST_WAIT, self.permits.acquire()).await;
        let Ok(Ok(_permit)) = permit else {
            tracing::warn!(
                "too many tokens of ServiceAccounts wait for a review: one was sent away"
            );
            return Err(unavailable());
        };
        // Another call may have been answered meanwhile, with the same token or that none is reviewed.
        if let Some(answer) = self.answer(hash.as_ref(), &audiences) {
            return answer;
        }
        self.turn().await;
        let asked = self.clock.elapsed();
        let reviewed = self.port.review(token, &audiences).await;
        let user = reviewed.map_err(|error| {
            self.failed(&error);
            unavailable()
        })?;
        let mut known = self.known();
        known.answers.retain(|_, answer| self.is_fresh(answer));
        let answer = Answer {
            audiences,
            user: user.clone(),
            asked,
        };
        known.answers.insert(hash.as_ref().into(), answer);
        Ok(user)
    }

    /// Waits until one more review may be asked for.
    async fn turn(&self) {
        loop {
            let now = self.clock.elapsed();
            let (second, count) = self.known().asked;
            let count = if second == now.as_secs() { count } else { 0 };
            if count < A_SECOND {
                self.known().asked = (now.as_secs(), count + 1);
                return;
            }
            let next = Duration::from_secs(now.as_secs() + 1);
            self.clock.sleep(next - now).await;
        }
    }

    /// The answer that is kept, or that none is asked for now. `None`: the cluster has to be asked.
    fn answer(&self, hash: &[u8], audiences: &[Text]) -> Option<Result<Option<TokenUser>, Denied>> {
        let known = self.known();
        let kept = known.answers.get(hash);
        let kept = kept.filter(|kept| kept.audiences == audiences && self.is_fresh(kept));
        match kept {
            Some(kept) => Some(Ok(kept.user.clone())),
            None => self.pauses(&known).then(|| Err(unavailable())),
        }
    }

    fn is_fresh(&self, answer: &Answer) -> bool {
        self.clock.elapsed().saturating_sub(answer.asked) < KEPT
    }

    fn pauses(&self, known: &Known) -> bool {
        let now = self.clock.elapsed();
        let is_recent = |failed: Duration| now.saturating_sub(failed) < PAUSE;
        known.failed.is_some_and(is_recent)
    }

    /// Begins a pause and warns of it, unless there is one. It is no error of one token: for that the answer is that it is not valid.
    fn failed(&self, error: &ClusterError) {
        let mut known = self.known();
        if self.pauses(&known) {
            return;
        }
        known.failed = Some(self.clock.elapsed());
        let hint = match error {
            ClusterError::Forbidden(_) => {
                ": hikaru needs the right to create tokenreviews (hikaru-bin/deploy/callers/reviews)"
            }
            _ => "",
        };
        let (error, pause) = (error.to_string(), PAUSE.as_secs());
        let error = Quoted(&error, LONGEST_ERROR);
        tracing::warn!("tokens of ServiceAccounts cannot be reviewed for {pause} s: {error}{hint}");
    }

    // Each part is replaced as a whole, so it is sound even if a thread panicked that held the lock.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a token says that is not verified.
struct Said {
    audiences: Vec<String>,
    subject: Option<String>,
    /// In seconds since 1970.
    expires: Option<i64>,
}

impl Said {
    fn read(token: &str) -> Result<Self, Denied> {
        let claims = unverified(token).unwrap_or_default();
        let audiences = match claims.get("aud") {
            Some(Value::String(one)) => Some(vec![one.clone()]),
            Some(Value::Array(more)) => {
                let more = more.iter().map(|one| one.as_str().map(str::to_owned));
                more.collect()
            }
            _ => None,
        };
        let audiences = audiences.ok_or_else(|| {
            let why = "expected a JSON Web Token with the claim `aud`, a text or a list of them";
            bad("form", why)
        })?;
        let subject = claims.get("sub").and_then(Value::as_str);
        Ok(Self {
            audiences,
            subject: subject.map(str::to_owned),
            expires: claims.get("exp").and_then(Value::as_i64),
        })
    }

    fn is_for(&self, audience: &str) -> bool {
        self.audiences.iter().any(|said| said == audience)
    }
}

/// What is told of each token that the cluster does not take, or would not: it does not say which ServiceAccounts are trusted.
fn not_taken() -> Denied {
    let why = "no trust lists its ServiceAccount, or the cluster does not take it: it has expired, or its ServiceAccount or pod is \
               gone, or it is of another cluster";
    bad("review", why)
}

/// The caller is told nothing of the cluster: it is not known who it is.
fn unavailable() -> Denied {
    let why = "whether the token is valid cannot be found out now: the cluster does not review it";
    Denied::Unavailable(why.to_owned())
}

fn lists(trust: &KubernetesTrust, account: &str) -> bool {
    trust.service_accounts.iter().any(|one| **one == *account)
}

/// `namespace/name` of a ServiceAccount by its username.
fn service_account(username: &str) -> Option<String> {
    let account = username.strip_prefix(SERVICE_ACCOUNT)?;
    let (namespace, name) = account.split_once(':')?;
    Some(format!("{namespace}/{name}"))
}

#[cfg(test)]
mod tests;
