//! The callers that are known: those with a token of hikaru's own, and the issuers whose tokens are trusted. Here is the set that is
//! in force, which is replaced whole, and in which order a token is looked for in it. How the file of callers is read is in `file`,
//! how tokens of others are verified in `oidc` and `kubernetes`.

mod file;

use std::{
    fmt,
    sync::{Arc, RwLock, RwLockReadGuard},
    time::SystemTime,
};

use async_trait::async_trait;
use hikaru_core::{
    caller::{Caller, Rights},
    port::{Clock, TokenReviewPort},
    text::Excerpt,
};

pub use file::{CallersFileError, MAX_CALLERS_FILE};

use super::{
    AuthRequest, Authenticator, Denied, FetchDocument, MIN_TOKEN, Token, Trust, TrustedIssuer,
    jwt::bad, kubernetes::TokenReviews, oidc::Oidc, tokens::bearer,
};

/// Who may call: plain values.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CallerSet {
    /// Callers with a token of hikaru's own. The first one whose token it is counts.
    pub callers: Vec<KnownCaller>,
    /// Issuers whose tokens are trusted. Of those with a token's issuer the first one that admits it counts.
    pub trusts: Vec<Trust>,
}

/// A caller with a token of hikaru's own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KnownCaller {
    /// Its token.
    pub token: Token,
    /// Who it is.
    pub caller: Caller,
    /// From when on its token is not valid any more. `None`: it does not expire.
    pub expires: Option<SystemTime>,
}

impl KnownCaller {
    /// A caller with this token, which does not expire.
    pub fn new(token: Token, caller: Caller) -> Self {
        Self {
            token,
            caller,
            expires: None,
        }
    }
}

impl CallerSet {
    /// Callers with these tokens and all rights. Their names are `token 1`, `token 2` and so on.
    ///
    /// ```
    /// use hikaru_http::{CallerSet, Token};
    /// let token = Token::new(&"a-secret-of-20-bytes".into())?;
    /// assert_eq!(&*CallerSet::of_tokens([token]).callers[0].caller.name, "token 1");
    /// # Ok::<(), hikaru_http::TokenError>(())
    /// ```
    pub fn of_tokens(tokens: impl IntoIterator<Item = Token>) -> Self {
        let with_name = |(before, token)| {
            let name = format!("token {}", before + 1);
            KnownCaller::new(token, Caller::new(name, Rights::ALL))
        };
        Self {
            callers: tokens.into_iter().enumerate().map(with_name).collect(),
            trusts: Vec::new(),
        }
    }

    fn known(&self, sent: &[u8]) -> Option<&KnownCaller> {
        // Nobody can have made a shorter one: a hash of the file may be that of a variable that was not set.
        if sent.len() < MIN_TOKEN {
            return None;
        }
        let sent = Token::of_sent(sent);
        self.callers.iter().find(|known| known.token == sent)
    }
}

/// Recognizes callers by their bearer tokens (RFC 6750). The set of callers can be replaced while requests are answered.
pub struct Callers {
    current: RwLock<Current>,
    clock: Arc<dyn Clock>,
    oidc: Oidc,
    token_reviews: Option<TokenReviews>,
}

struct Current {
    set: Arc<CallerSet>,
    trouble: Option<String>,
}

impl Callers {
    /// Those of this set. `clock` says when tokens expire.
    pub fn new(set: CallerSet, clock: Arc<dyn Clock>) -> Self {
        let set = Arc::new(set);
        Self {
            current: RwLock::new(Current { set, trouble: None }),
            oidc: Oidc::new(clock.clone()),
            token_reviews: None,
            clock,
        }
    }

    /// Sets how the keys of issuers are fetched, where plain https does not reach them: through a proxy.
    pub fn fetch(mut self, fetch: Arc<dyn FetchDocument>) -> Self {
        self.oidc = Oidc::with_fetch(fetch, self.clock.clone());
        self
    }

    /// Sets who is asked about tokens of ServiceAccounts. Without it no trust of the kind `kubernetes` admits a token.
    pub fn token_reviews(mut self, port: Arc<dyn TokenReviewPort>) -> Self {
        self.token_reviews = Some(TokenReviews::new(port, self.clock.clone()));
        self
    }

    /// Replaces the set as a whole, and forgets the trouble. Who is recognized at this moment stays who it is.
    pub fn replace(&self, set: CallerSet) {
        let set = Arc::new(set);
        self.put(Current { set, trouble: None });
    }

    /// Says why the set is not the newest: what it is read from cannot be read now. `/readyz` shows it to everybody, so it holds no
    /// path and no secret.
    pub fn set_trouble(&self, why: impl Into<String>) {
        let set = self.current().set.clone();
        let trouble = Some(why.into());
        self.put(Current { set, trouble });
    }

    // What the lock guards is replaced whole, so it is sound even if a thread panicked that held it.
    fn current(&self) -> RwLockReadGuard<'_, Current> {
        self.current
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn put(&self, current: Current) {
        let mut guard = self
            .current
            .write()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        *guard = current;
    }

    /// Whose token it is, if it is none of hikaru's own.
    async fn trusted(&self, set: &CallerSet, token: &str) -> Result<Caller, Denied> {
        // What is no JWT is sent to nobody: it may be a mistyped token of hikaru's own.
        let Some(issuer) = Oidc::issuer_of(token) else {
            return Err(Denied::BadCredentials);
        };
        let trusts = set.trusts.iter();
        let is_of = |trust: &&Trust| matches!(&trust.issuer, TrustedIssuer::Oidc(oidc) if *oidc.issuer == *issuer);
        let of_issuer: Vec<&Trust> = trusts.clone().filter(is_of).collect();
        if !of_issuer.is_empty() {
            return self.oidc.caller(token, &of_issuer).await;
        }
        let of_cluster: Vec<&Trust> = trusts
            .filter(|trust| matches!(trust.issuer, TrustedIssuer::Kubernetes(_)))
            .collect();
        match &self.token_reviews {
            Some(reviews) if !of_cluster.is_empty() => reviews.caller(token, &of_cluster).await,
            _ if set.trusts.is_empty() => Err(Denied::BadCredentials),
            _ => {
                let issuer = Excerpt::of(&issuer);
                let why = format!("no trust has its issuer {issuer}, where each character counts");
                Err(bad("issuer", why))
            }
        }
    }
}

#[async_trait]
impl Authenticator for Callers {
    async fn authenticate(&self, request: AuthRequest<'_>) -> Result<Caller, Denied> {
        let sent = bearer(request.headers)?;
        let set = self.current().set.clone();
        if let Some(known) = set.known(sent) {
            let caller = known.caller.clone();
            return match known.expires.is_some_and(|end| end <= self.clock.now()) {
                true => Err(Denied::Expired {
                    caller: caller.name,
                }),
                false => Ok(caller),
            };
        }
        match std::str::from_utf8(sent) {
            Ok(token) => self.trusted(&set, token).await,
            Err(_) => Err(Denied::BadCredentials),
        }
    }

    fn trouble(&self) -> Option<String> {
        self.current().trouble.clone()
    }
}

impl fmt::Debug for Callers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Callers").field(&self.current().set).finish()
    }
}
