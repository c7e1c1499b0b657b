//! The keys of issuers as they are kept: fetched when they are needed for the first time, looked at again while they are used, and
//! used on while the issuer is away. What they are is in `keys`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hikaru_core::{Text, port::Clock, text::Quoted};
use hyper::{Uri, body::Bytes};
use tokio::time::timeout;

use super::{
    discovery,
    fetch::{FetchDocument, MAX_DOCUMENT},
    keys::{Checked, Keys},
    token::Token,
};
use crate::auth::{Denied, jwt::bad};

/// How old keys may be before they are looked at again. A token does not wait for it.
const FRESH: Duration = Duration::from_secs(10 * 60);

/// How old keys may be before a token waits until they have been looked at again: a key that its issuer has taken back is used no
/// longer than that, unless the issuer is away.
const STALE: Duration = Duration::from_secs(60 * 60);

/// How old keys may be at all.
const LAST_GOOD: Duration = Duration::from_secs(24 * 60 * 60);

/// How long after one look the next one may be: a caller can name any key, and issuers publish keys before they use them.
const PAUSE: Duration = Duration::from_secs(60);

/// The same where there are no keys at all.
const AWAY: Duration = Duration::from_secs(10);

/// The longest reason why keys cannot be had, in characters. It can quote what an issuer says, and it is logged, kept, and told to
/// callers.
const LONGEST: usize = 500;

/// How long each of the two documents may take.
const DOCUMENT: Duration = Duration::from_secs(10);

/// The issuers whose keys were needed. None is ever removed: there are as many as the operator's files have named, and each change of
/// certificates is another one.
pub(super) struct Issuers {
    fetch: Arc<dyn FetchDocument>,
    clock: Arc<dyn Clock>,
    known: Mutex<HashMap<Source, Arc<Issuer>>>,
}

/// Who the issuer is, and the certificates that its own is checked with beside those of the system.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Source {
    pub(super) issuer: Text,
    pub(super) ca: Option<Text>,
}

struct Issuer {
    source: Source,
    known: Mutex<Known>,
    /// Held while the keys are fetched: one fetch at a time.
    looks: tokio::sync::Mutex<()>,
}

/// Times are those of the clock's [`Clock::elapsed`].
#[derive(Clone, Default)]
struct Known {
    /// The last good keys, and when they were fetched.
    good: Option<(Arc<Keys>, Duration)>,
    /// When the last look ended, and why it failed.
    looked: Option<(Duration, Result<(), String>)>,
}

impl Issuers {
    pub(super) fn new(fetch: Arc<dyn FetchDocument>, clock: Arc<dyn Clock>) -> Self {
        Self {
            fetch,
            clock,
            known: Mutex::default(),
        }
    }

    /// Checks that the issuer has signed a token.
    ///
    /// # Errors
    /// [`Denied::BadToken`] if it has not; [`Denied::Unavailable`] if its keys cannot be had.
    pub(super) async fn check(&self, source: &Source, token: &Token<'_>) -> Result<(), Denied> {
        let issuer = self.issuer(source);
        let known = issuer.known().clone();
        let checked = self.check_with(&known, token);
        let good = known.good.as_ref();
        let age = good.map_or(Duration::MAX, |(_, fetched)| self.since(*fetched));
        let waits = match &checked {
            None | Some(Checked::Unknown) => true,
            Some(Checked::Valid | Checked::Refused(_)) => age >= STALE,
        };
        let pause = match checked {
            None => AWAY,
            Some(_) => PAUSE,
        };
        let looked = known.looked.as_ref().map(|(at, _)| *at);
        let may_look = looked.is_none_or(|at| self.since(at) >= pause);
        if !may_look || age < FRESH && !waits {
            return self.verdict(&issuer, checked);
        }
        if !waits && issuer.looks.try_lock().is_err() {
            // Another caller's token has begun the look.
            return self.verdict(&issuer, checked);
        }
        // A task of its own: a caller that hangs up must not keep the others from new keys.
        let (fetch, clock) = (self.fetch.clone(), self.clock.clone());
        let look = tokio::spawn(look(fetch, clock, issuer.clone(), looked));
        if !waits {
            return self.verdict(&issuer, checked);
        }
        // If it has panicked, what was known stands.
        let _ = look.await;
        let known = issuer.known().clone();
        self.verdict(&issuer, self.check_with(&known, token))
    }

    fn issuer(&self, source: &Source) -> Arc<Issuer> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            Arc::new(Issuer {
                source: source.clone(),
                known: Mutex::default(),
                looks: tokio::sync::Mutex::default(),
            })
        };
        known.entry(source.clone()).or_insert_with(new).clone()
    }

    /// `None`: there are no keys, or none that may still be used.
    fn check_with(&self, known: &Known, token: &Token<'_>) -> Option<Checked> {
        let (keys, fetched) = known.good.as_ref()?;
        let is_usable = self.since(*fetched) < LAST_GOOD;
        is_usable.then(|| keys.check(token))
    }

    fn since(&self, at: Duration) -> Duration {
        self.clock.elapsed().saturating_sub(at)
    }

    fn verdict(&self, issuer: &Issuer, checked: Option<Checked>) -> Result<(), Denied> {
        let failed = || match &issuer.known().looked {
            Some((_, Err(why))) => Some(why.clone()),
            _ => None,
        };
        let name = &issuer.source.issuer;
        match checked {
            Some(Checked::Valid) => Ok(()),
            Some(Checked::Refused(denied)) => Err(denied),
            // Perhaps the issuer has the key by now, and cannot be asked.
            Some(Checked::Unknown) => Err(match failed() {
                Some(why) => {
                    Denied::Unavailable(format!("the keys of {name} cannot be had: {why}"))
                }
                None => bad(
                    "key",
                    format!("{name} has no key that it names, or none that fits it"),
                ),
            }),
            None => {
                let why = failed().unwrap_or_else(|| "they are being fetched".to_owned());
                Err(Denied::Unavailable(format!(
                    "the keys of {name} cannot be had: {why}"
                )))
            }
        }
    }
}

impl Issuer {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at the issuer's keys, unless another look has ended since the one at `before`.
async fn look(
    fetch: Arc<dyn FetchDocument>,
    clock: Arc<dyn Clock>,
    issuer: Arc<Issuer>,
    before: Option<Duration>,
) {
    let _turn = issuer.looks.lock().await;
    let last = issuer.known().looked.as_ref().map(|(at, _)| *at);
    if last != before {
        return;
    }
    let fetched = fetch_keys(&*fetch, &issuer.source).await;
    let fetched = fetched.map_err(|why| Quoted(&why, LONGEST).to_string());
    let now = clock.elapsed();
    if let Err(why) = &fetched {
        tracing::warn!(issuer = %issuer.source.issuer, why, "the keys of an issuer cannot be fetched");
    }
    let mut known = issuer.known();
    let looked = match fetched {
        Ok(keys) => {
            known.good = Some((Arc::new(keys), now));
            Ok(())
        }
        Err(why) => Err(why),
    };
    known.looked = Some((now, looked));
}

async fn fetch_keys(fetch: &dyn FetchDocument, source: &Source) -> Result<Keys, String> {
    let address = discovery::address(&source.issuer)?;
    let in_document = |what: &str, why: String| format!("its {what}: {why}");
    let document = fetch_one(fetch, &address, source).await;
    let keys = document.and_then(|document| discovery::keys_address(&source.issuer, &document));
    let keys = keys.map_err(|why| in_document("document of discovery", why))?;
    let set = fetch_one(fetch, &keys, source).await;
    let set = set.and_then(|set| Keys::read(&set));
    set.map_err(|why| in_document("set of keys", why))
}

async fn fetch_one(
    fetch: &dyn FetchDocument,
    address: &Uri,
    source: &Source,
) -> Result<Bytes, String> {
    let fetched = timeout(DOCUMENT, fetch.fetch(address, source.ca.as_deref())).await;
    let silence = |_| format!("no answer within {} s", DOCUMENT.as_secs());
    let body = fetched.map_err(silence)??;
    match body.len() > MAX_DOCUMENT {
        true => Err(format!("it is larger than {MAX_DOCUMENT} bytes")),
        false => Ok(body),
    }
}
