//! One source of a view: its list, the watches that go on from it, and since when it is known to be up to date. What the
//! view tells of that is `watch`'s business.
//!
//! A watch that was opened again has yet to say what was missed. So after a break the list's version of that moment is asked
//! for (one object is enough), and the source counts as up to date when the watch has reached it, be it by an event or by a
//! bookmark: docs/decisions.md.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use http::{Request, StatusCode};
use kube::core::{Request as Resource, params::WatchParams};
use tokio::time::{sleep, timeout};

use super::View;
use crate::live::{
    client::{Lines, refusal},
    clock::now,
    error::RequestError,
    read::{
        discovery,
        line::{Line, version_of},
        list::{Listing, is_closed},
        object::{self, Seen},
        pages::{Limit, Page, Pages, Step, is_gone},
    },
    view::index::{Cause, Index, SourceNumber, Trouble},
};

/// Tolerance: a watch that ends later than asked for by more than this is dead; a list that took longer than this is not trusted
/// until the watch has caught up.
const GRACE: Duration = Duration::from_secs(3);

/// How much earlier than asked for a watch may end and still count as whole.
const EARLY: Duration = Duration::from_millis(500);

/// The shortest time from one opening of a watch to the next, where a server or a proxy ends each watch at once.
const SHORTEST: Duration = Duration::from_secs(1);

/// The pause after a list or a watch that failed: the first one, and the longest one.
const BACKOFF: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(4)];

/// The longest pause before everything is listed anew because a watch cannot go on. A list is heavy, but the view counts as out of
/// date when it is older than a heartbeat.
const LATEST_LIST: Duration = Duration::from_secs(16);

/// The pause before an added kind that the server lacks or forbids is asked for again: rights change, and kinds are added.
const REOPEN: Duration = Duration::from_secs(30);

/// How many seconds a watch runs that has to catch up. The API server sends a bookmark about a second before the end of a
/// watch; a watch of two seconds gets none, so three are the fewest.
const CATCHING_UP: u64 = 3;

/// After this many watches that ended without having caught up everything is listed anew.
const CATCHES: usize = 3;

pub(super) struct Source {
    view: Arc<View>,
    number: SourceNumber,
    listing: Listing,
    /// How long to wait after the next failure.
    backoff: Duration,
    /// How long to wait before everything is listed anew. It grows until a watch has run as long as asked for.
    relist: Duration,
    /// The words of the failure that was last logged as a warning: one that lasts is logged once.
    logged: Option<String>,
}

/// How far the watches of a source have come.
struct Cursor {
    /// The next one goes on from this version.
    version: String,
    proof: Proof,
    /// Whether no watch has gone on from the list yet.
    is_first: bool,
}

/// Whether what is known of a source is up to date.
#[derive(Clone, Copy)]
enum Proof {
    /// It is, as far as the server speaks.
    Known,
    /// Events may have been missed.
    Unknown,
    /// The view is up to date as of `at` once the watch reaches `version`, which was the cluster's at that time. `ended` counts
    /// the watches that ended before they reached it.
    Reach {
        version: u64,
        at: Instant,
        ended: usize,
    },
}

/// Why a watch has ended.
enum WatchEnd {
    /// The server or a proxy closed it without an error: it goes on from where it was.
    Ended,
    /// It cannot go on from there: all is listed anew.
    Relist(String),
    /// It failed.
    Failed(RequestError),
}

impl Source {
    pub(super) fn new(view: Arc<View>, number: SourceNumber, listing: Listing) -> Self {
        Self {
            view,
            number,
            listing,
            backoff: BACKOFF[0],
            relist: BACKOFF[0],
            logged: None,
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            let ended = match self.list().await {
                Ok(cursor) => self.follow(cursor).await,
                Err(error) => Err((error, "listing failed")),
            };
            match ended {
                Err((error, what)) => {
                    self.failed(&error, what);
                    if self.is_optional_and_closed(&error) {
                        sleep(REOPEN).await;
                    } else {
                        self.wait(error.retry_after()).await;
                    }
                }
                Ok(()) => {
                    sleep(self.relist).await;
                    self.relist = (self.relist * 2).min(LATEST_LIST);
                }
            }
        }
    }

    /// Waits after a failure: longer each time until something was heard, and at least as long as Retry-After says.
    async fn wait(&mut self, least: Duration) {
        sleep(self.backoff.max(least)).await;
        self.backoff = (self.backoff * 2).min(BACKOFF[1]);
    }

    fn restarts(&self) {
        self.view.restarts.fetch_add(1, Ordering::Relaxed);
    }

    fn namespace(&self) -> &str {
        self.listing.namespace.as_deref().unwrap_or("all")
    }

    /// What is known stays, until it is too old.
    fn failed(&mut self, error: &RequestError, what: &str) {
        let trouble = trouble(error);
        let (kind, namespace) = (&self.listing.kind, self.namespace());
        if self.logged.as_ref() == Some(&trouble.words) {
            tracing::debug!(%kind, namespace, error = trouble.words, "{what} again");
        } else {
            tracing::warn!(%kind, namespace, error = trouble.words, "{what}");
            self.logged = Some(trouble.words.clone());
        }
        self.view.change(|index| index.failed(self.number, trouble));
        self.view.news.notify_waiters();
    }

    /// Whether the kind was added and the server lacks or forbids it: the view does without it then. Every server has the other
    /// kinds: they are asked for at the usual pace, as a starting server forbids everything for a moment.
    fn is_optional_and_closed(&self, error: &RequestError) -> bool {
        let mut closed = false;
        if self.listing.kind.added && is_closed(error) {
            self.view
                .change(|index| closed = index.close_if_old(self.number, now()));
            self.view.news.notify_waiters();
        }
        closed
    }

    /// Lists everything, page by page, and gives the version that a watch goes on from.
    async fn list(&self) -> Result<Cursor, RequestError> {
        let (api, keys) = (&self.view.live.inner.api, self.view.live.keys());
        let mut begun = now();
        let mut version = String::new();
        self.view.change(|index| index.begin_list(self.number));
        let mut pages = Pages::new(self.listing.collection(api).await?, Limit::All);
        let read = |page: &Page<'_>| self.listing.read(keys, page);
        while let Some(step) = pages.step(api, read).await? {
            match step {
                Step::Restarted => {
                    tracing::debug!(kind = %self.listing.kind, "the list is begun again");
                    begun = now();
                    self.view.change(|index| index.begin_list(self.number));
                }
                Step::Page(objects, page) => {
                    version = page.resource_version;
                    self.view.change(|index| {
                        for seen in objects.seen {
                            self.put(index, seen);
                        }
                        for malformed in objects.malformed {
                            tracing::warn!(object = %malformed.id, "{}", malformed.message);
                            index.put_malformed(self.number, malformed);
                        }
                    });
                }
            }
        }
        if version.is_empty() {
            let words = "a list without a version, which no watch can go on from";
            return Err(RequestError::Unreadable(words.to_owned()));
        }
        // It is of the state when its first page was asked for.
        self.view.change(|index| index.end_list(self.number, begun));
        self.view.news.notify_waiters();
        let is_old = now().saturating_duration_since(begun) > GRACE;
        Ok(Cursor {
            version,
            proof: if is_old { Proof::Unknown } else { Proof::Known },
            is_first: true,
        })
    }

    fn put(&self, index: &mut Index, seen: Seen) {
        index.put(self.number, seen.workload);
    }

    /// Watches from a version on, until a new list is needed.
    async fn follow(&mut self, mut cursor: Cursor) -> Result<(), (RequestError, &'static str)> {
        loop {
            let begun = now();
            match self.watch(&mut cursor).await {
                WatchEnd::Ended => {
                    let lasted = now().saturating_duration_since(begun);
                    sleep(SHORTEST.saturating_sub(lasted)).await;
                }
                WatchEnd::Relist(reason) => {
                    self.restarts();
                    tracing::info!(kind = %self.listing.kind, namespace = self.namespace(), reason, "listing anew");
                    return Ok(());
                }
                WatchEnd::Failed(error) if self.listing.kind.added && is_closed(&error) => {
                    return Err((error, "the watch broke off"));
                }
                WatchEnd::Failed(error) => {
                    self.restarts();
                    self.failed(&error, "the watch broke off");
                    cursor.proof = Proof::Unknown;
                    self.wait(error.retry_after()).await;
                }
            }
        }
    }

    /// The version of the list at this moment: of one object, not of all.
    async fn version_now(&self) -> Result<Proof, RequestError> {
        let at = now();
        let api = &self.view.live.inner.api;
        let collection = self.listing.collection(api).await?;
        let ((), page) = collection.page(api, 1, "", |_| ()).await?;
        let version = number(&page.resource_version);
        let version = version.ok_or_else(|| {
            let found = &page.resource_version;
            RequestError::Unreadable(format!("expected a number as version, found {found:?}"))
        })?;
        Ok(Proof::Reach {
            version,
            at,
            ended: 0,
        })
    }

    async fn request(&self, cursor: &Cursor) -> Result<Request<Vec<u8>>, RequestError> {
        let seconds = self.seconds(cursor);
        let params = WatchParams::default().timeout(u32::try_from(seconds).unwrap_or(25));
        let (api, listing) = (&self.view.live.inner.api, &self.listing);
        let collection = discovery::collection(api, &listing.kind, listing.namespace.as_ref());
        let request = Resource::new(collection.await?).watch(&params, &cursor.version);
        request.map_err(|error| RequestError::NotSent(error.to_string()))
    }

    /// How long a watch runs.
    fn seconds(&self, cursor: &Cursor) -> u64 {
        let seconds = self.view.settings.heartbeat.as_secs().clamp(1, 290);
        match cursor.proof {
            // The watches of the kinds are to end one after the other: the server looks at a token when a watch is opened,
            // so one that was revoked is noticed sooner.
            Proof::Known if cursor.is_first => (seconds * (self.number as u64 % 4 + 1)).div_ceil(4),
            Proof::Known => seconds,
            Proof::Unknown | Proof::Reach { .. } => seconds.min(CATCHING_UP),
        }
    }

    /// One watch, from its opening to its end.
    async fn watch(&mut self, cursor: &mut Cursor) -> WatchEnd {
        if matches!(cursor.proof, Proof::Unknown) {
            match self.version_now().await {
                Ok(proof) => cursor.proof = proof,
                Err(error @ RequestError::Unreadable(_)) => {
                    return WatchEnd::Relist(error.to_string());
                }
                Err(error) => return WatchEnd::Failed(error),
            }
        }
        let request = match self.request(cursor).await {
            Ok(request) => request,
            Err(error) => return WatchEnd::Failed(error),
        };
        let begun = now();
        let asked = Duration::from_secs(self.seconds(cursor));
        let longest = asked + GRACE;
        let mut lines = match self.view.live.inner.api.lines(request).await {
            Ok(lines) => {
                self.view.change(|index| index.opened(self.number));
                cursor.is_first = false;
                lines
            }
            Err(error) if is_gone(&error) => return WatchEnd::Relist(error.to_string()),
            Err(error) => return WatchEnd::Failed(error),
        };
        let end = match timeout(longest, self.events(&mut lines, cursor)).await {
            Ok(end) => end,
            Err(_) => WatchEnd::Failed(RequestError::Lost(format!(
                "no end after {} s",
                longest.as_secs()
            ))),
        };
        let lasted = now().saturating_duration_since(begun);
        match (&end, &mut cursor.proof) {
            (WatchEnd::Ended, Proof::Known) if lasted + EARLY >= asked => {
                (self.relist, self.logged) = (BACKOFF[0], None);
                self.confirm_up_to_date(now());
            }
            // A proxy has ended it, or it is not a watch at all.
            (WatchEnd::Ended, proof @ Proof::Known) => *proof = Proof::Unknown,
            (WatchEnd::Ended, Proof::Reach { ended, .. }) => {
                *ended += 1;
                if *ended >= CATCHES {
                    let words = "nothing tells whether the watch has caught up";
                    return WatchEnd::Relist(words.to_owned());
                }
            }
            _ => {}
        }
        end
    }

    /// Notes that the source was up to date at a time.
    fn confirm_up_to_date(&mut self, at: Instant) {
        self.backoff = BACKOFF[0];
        self.view.change(|index| index.confirmed(self.number, at));
        self.view.news.notify_waiters();
    }

    /// Notes how far the watch has come. The source is up to date once that is the version to be reached.
    fn note_progress(&mut self, cursor: &mut Cursor) {
        match cursor.proof {
            Proof::Known => self.confirm_up_to_date(now()),
            Proof::Reach { version, at, .. } if number(&cursor.version) >= Some(version) => {
                cursor.proof = Proof::Known;
                self.confirm_up_to_date(at);
            }
            Proof::Reach { .. } | Proof::Unknown => {}
        }
    }

    async fn events(&mut self, lines: &mut Lines, cursor: &mut Cursor) -> WatchEnd {
        loop {
            let line = match lines.next().await {
                Ok(Some(line)) => line,
                Ok(None) => return WatchEnd::Ended,
                Err(error @ RequestError::TooLong(_)) => {
                    return WatchEnd::Relist(error.to_string());
                }
                Err(error) => return WatchEnd::Failed(error),
            };
            let version = &mut cursor.version;
            match Line::read(&line, lines) {
                Err(reason) => return WatchEnd::Relist(reason),
                Ok(Line::Put(object)) => self.put_line(object, version),
                Ok(Line::Deleted(object)) => {
                    let id = match self.read(object, version) {
                        Ok(seen) => seen.workload.id,
                        Err(malformed) => malformed.id,
                    };
                    self.view.change(|index| index.deleted(&id));
                }
                Ok(Line::Bookmark(reached)) => *version = reached,
                Ok(Line::Unknown) => continue,
            }
            self.note_progress(cursor);
        }
    }

    fn read(&self, json: &str, version: &mut String) -> Result<Seen, Box<object::Malformed>> {
        let read = object::read(&self.listing.kind, self.view.live.keys(), json);
        match &read {
            Ok(seen) => seen.resource_version.clone_into(version),
            Err(_) => {
                if let Some(reached) = version_of(json) {
                    *version = reached;
                }
            }
        }
        read
    }

    fn put_line(&self, json: &str, version: &mut String) {
        match self.read(json, version) {
            Ok(seen) => self.view.change(|index| self.put(index, seen)),
            Err(malformed) => {
                tracing::warn!(object = %malformed.id, "{}", malformed.message);
                self.view
                    .change(|index| index.put_malformed(self.number, *malformed));
            }
        }
    }
}

/// Why a list or a watch failed.
fn trouble(error: &RequestError) -> Trouble {
    let words = error.to_string();
    let (cause, words) = match error {
        RequestError::Missing(_) => (Cause::Missing, words),
        RequestError::Refused(refused) => match refused.code {
            StatusCode::NOT_FOUND => (Cause::Missing, words),
            StatusCode::FORBIDDEN => (Cause::Forbidden, words),
            StatusCode::UNAUTHORIZED => (Cause::Credentials, refusal::not_taken(refused)),
            _ => (Cause::Broken, words),
        },
        _ => (Cause::Broken, words),
    };
    Trouble { cause, words }
}

/// A version as what it is. Those of one collection can be compared, which Kubernetes promises since 1.35.
fn number(version: &str) -> Option<u64> {
    version.parse().ok()
}
