//! A live cluster that is watched: lists and watches feed the index, and finding is answered from it. Reading and
//! writing one workload always go to the API server. What is known, and how far it can be trusted, is `index`'s business.

use std::{
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use hikaru_core::{
    Change, ClusterError, ClusterPort, Found, Freshness, JobCreated, JobLog, JobName, JobRequest,
    JobStatus, Mode, Scope, Select, Text, Workload, WorkloadId, WorkloadName,
};
use http::{Request, StatusCode};
use kube::core::{Request as Resource, Status, params::WatchParams};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::{
    sync::Notify,
    task::AbortHandle,
    time::{sleep, timeout},
};

use super::{
    LiveCluster,
    client::{Lines, RequestError},
    discovery,
    index::{Index, Object, SourceNumber, Trust},
    list::{Listing, each_or_all, is_closed, is_gone},
    look::Looks,
    object::{self, Seen},
};

/// How long a watch runs before it is opened anew: its end is a sign of life. Bookmarks are none, with gaps of up to two
/// minutes on healthy watches; one of 25 s ends at 25.0 s.
const HEARTBEAT: Duration = Duration::from_secs(25);

/// How much later than it should a watch may end before it is given up.
const GRACE: Duration = Duration::from_secs(3);

/// How much longer than a heartbeat a source may be silent before the view counts as out of date.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often a watch is opened at most, by a server or proxy that ends each at once.
const SHORTEST: Duration = Duration::from_secs(1);

/// How soon a list or watch that failed is tried again, at first and at most.
const BACKOFF: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(8)];

/// How soon a kind is asked for again that the server lacks or forbids: rights change, and kinds are added.
const REOPEN: Duration = Duration::from_secs(30);

/// How a cluster is watched.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WatchSettings {
    /// Whether the cluster is looked at before it is said that a build is meant for nothing: an object made a moment ago
    /// is not missed.
    pub live_look: bool,
    /// How long a watch runs, in whole seconds: a silent one is noticed five seconds later.
    pub heartbeat: Duration,
}

impl Default for WatchSettings {
    fn default() -> Self {
        Self {
            live_look: true,
            heartbeat: HEARTBEAT,
        }
    }
}

/// A live cluster that is watched, for a server that runs on: [`ClusterPort::find`] is answered from memory.
///
/// It runs tasks on the runtime that it was started in; dropping the last clone ends them.
#[derive(Clone)]
pub struct WatchedCluster {
    view: Arc<View>,
    _tasks: Arc<Tasks>,
}

struct View {
    live: LiveCluster,
    index: RwLock<Index>,
    settings: WatchSettings,
    /// Something has changed about how far the view can be trusted.
    news: Notify,
    looks: Looks,
    /// Lists that were begun anew, and watches that broke off.
    restarts: AtomicU64,
}

/// How a view is, for figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Vitals {
    /// How many objects are known.
    pub objects: usize,
    /// How long the most silent watch has shown no life.
    pub age: Duration,
    /// How often a list was begun anew or a watch broke off, since the start.
    pub restarts: u64,
}

struct Tasks(Vec<AbortHandle>);

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

impl fmt::Debug for WatchedCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WatchedCluster({:?})", self.view.live)
    }
}

impl WatchedCluster {
    /// Begins to watch. It is [`Freshness::Syncing`] until every kind has been listed; an API server that cannot be
    /// reached is tried again and again.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(live: LiveCluster, settings: WatchSettings) -> Self {
        let namespaces = each_or_all(&live.inner.settings.namespaces);
        let mut listings = Vec::new();
        for kind in live.inner.kinds.iter() {
            listings.extend(namespaces.iter().map(|namespace| Listing {
                kind: kind.clone(),
                namespace: namespace.clone(),
                selector: None,
            }));
        }
        let sources = listings
            .iter()
            .map(|l| (l.kind.to_string(), l.namespace.clone()));
        let index = Index::new(sources, settings.heartbeat + PATIENCE, now());
        let view = Arc::new(View {
            live,
            index: RwLock::new(index),
            settings,
            news: Notify::new(),
            looks: Looks::default(),
            restarts: AtomicU64::new(0),
        });
        let tasks = listings.into_iter().enumerate().map(|(source, listing)| {
            let watch = Watch {
                view: view.clone(),
                source,
                listing,
            };
            tokio::spawn(watch.run()).abort_handle()
        });
        let tasks = Tasks(tasks.collect());
        Self {
            view,
            _tasks: Arc::new(tasks),
        }
    }

    /// How the view is.
    pub fn vitals(&self) -> Vitals {
        let (objects, age) = self.view.read().vitals(now());
        let restarts = self.view.restarts.load(Ordering::Relaxed);
        Vitals {
            objects,
            age,
            restarts,
        }
    }

    /// Waits until the view is up to date.
    pub async fn synced(&self) {
        loop {
            let news = self.view.news.notified();
            if self.freshness() == Freshness::Fresh {
                return;
            }
            // Time passing is no news.
            drop(timeout(Duration::from_secs(1), news).await);
        }
    }
}

/// The runtime's clock, which tests can stop.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl View {
    fn read(&self) -> std::sync::RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Index)) {
        change(&mut self.index.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn freshness(&self) -> Freshness {
        let now = now();
        let trust = self.read().trust(now);
        match trust {
            Trust::Fresh => Freshness::Fresh,
            Trust::Syncing => Freshness::Syncing,
            Trust::Stale(alive) => {
                let clock = &self.live.inner.settings.clock;
                let silent = now.saturating_duration_since(alive);
                let since = clock().checked_sub(silent);
                Freshness::Stale {
                    since: since.unwrap_or(std::time::UNIX_EPOCH),
                }
            }
        }
    }
}

#[async_trait]
impl ClusterPort for WatchedCluster {
    fn freshness(&self) -> Freshness {
        self.view.freshness()
    }

    async fn find(&self, scope: &Scope) -> Result<Found, ClusterError> {
        if self.freshness() != Freshness::Fresh {
            return Err(ClusterError::Unavailable {
                message: "what is known of the cluster is not up to date".to_owned(),
                retry_after: Some(Duration::from_secs(2)),
            });
        }
        let found = self.view.read().find(scope)?;
        match &scope.select {
            Select::Build(build) if found.workloads.is_empty() && self.view.settings.live_look => {
                let (namespaces, workloads) = (scope.namespaces.clone(), scope.workloads.clone());
                let key = (build.image().clone(), namespaces, workloads);
                match self.view.looks.look(key, &self.view.live, scope).await {
                    Some(Ok(seen)) => Ok(with_faults(found, seen)),
                    // What is known is up to date by itself: a look that failed takes nothing from it.
                    Some(Err(error)) => {
                        tracing::warn!(%error, "looking at the cluster before an empty answer failed");
                        Ok(found)
                    }
                    None => Ok(found),
                }
            }
            _ => Ok(found),
        }
    }

    async fn read(&self, id: &WorkloadId) -> Result<Option<Workload>, ClusterError> {
        self.view.live.read(id).await
    }

    async fn write(&self, change: &Change, mode: Mode) -> Result<(), ClusterError> {
        let sent_at = self.view.read().state_of(&change.judged().id);
        self.view.live.write(change, mode).await?;
        if mode == Mode::Commit {
            self.view.change(|index| index.written(change, sent_at));
        }
        Ok(())
    }

    async fn unhold(
        &self,
        workload: &WorkloadName,
        container: Option<Text>,
    ) -> Result<Vec<(Text, Text)>, ClusterError> {
        let kind = self.view.live.inner.kinds.named(workload.kind());
        let kind = kind.map_or_else(|| Text::from(""), |kind| kind.name.clone());
        let (namespace, name) = (workload.namespace().clone(), workload.name().clone());
        let id = WorkloadId::new(namespace, kind, name);
        let sent_at = self.view.read().state_of(&id);
        let removed = self.view.live.unhold(workload, container).await?;
        self.view
            .change(|index| index.unheld(&id, &removed, sent_at));
        Ok(removed)
    }

    async fn run_job(&self, job: &JobRequest, mode: Mode) -> Result<JobCreated, ClusterError> {
        self.view.live.run_job(job, mode).await
    }

    async fn jobs(&self, namespace: &str) -> Result<Vec<JobStatus>, ClusterError> {
        self.view.live.jobs(namespace).await
    }

    async fn job(&self, job: &JobName) -> Result<JobStatus, ClusterError> {
        self.view.live.job(job).await
    }

    async fn job_ended(&self, job: &JobName, within: Duration) -> Result<JobStatus, ClusterError> {
        self.view.live.job_ended(job, within).await
    }

    async fn delete_job(&self, job: &JobName) -> Result<(), ClusterError> {
        self.view.live.delete_job(job).await
    }

    async fn job_logs(&self, job: &JobName) -> Result<Vec<JobLog>, ClusterError> {
        self.view.live.job_logs(job).await
    }
}

fn with_faults(known: Found, mut seen: Found) -> Found {
    for fault in known.faults {
        if !seen.faults.contains(&fault) {
            seen.faults.push(fault);
        }
    }
    seen
}

/// One source: its list, and the watches that go on from it.
struct Watch {
    view: Arc<View>,
    source: SourceNumber,
    listing: Listing,
}

/// Why a watch is over.
enum Over {
    /// It ran as long as it should: it goes on from this version.
    Ended,
    /// The server no longer knows the version that it should go on from.
    Forgotten,
    /// It failed.
    Failed(RequestError),
}

impl Watch {
    async fn run(self) {
        let mut backoff = BACKOFF[0];
        loop {
            match self.list().await {
                Ok(version) => {
                    backoff = BACKOFF[0];
                    if let Err(error) = self.follow(version).await {
                        self.closed(&error);
                        sleep(REOPEN).await;
                    }
                }
                Err(error) if is_closed(&error) => {
                    self.closed(&error);
                    sleep(REOPEN).await;
                }
                Err(error) => {
                    tracing::warn!(kind = %self.listing.kind, namespace = self.namespace(), %error, "listing failed");
                    sleep(backoff).await;
                    backoff = (backoff * 2).min(BACKOFF[1]);
                }
            }
        }
    }

    fn restarts(&self) {
        self.view.restarts.fetch_add(1, Ordering::Relaxed);
    }

    fn namespace(&self) -> &str {
        self.listing.namespace.as_deref().unwrap_or("all")
    }

    fn closed(&self, error: &RequestError) {
        tracing::warn!(kind = %self.listing.kind, namespace = self.namespace(), %error, "the kind cannot be watched");
        let forbidden = matches!(error, RequestError::Refused(refused) if refused.code == StatusCode::FORBIDDEN);
        self.view
            .change(|index| index.close(self.source, error.to_string(), forbidden));
        self.view.news.notify_waiters();
    }

    /// Lists everything, page by page, and gives the version that a watch goes on from.
    async fn list(&self) -> Result<String, RequestError> {
        let (api, keys) = (&self.view.live.inner.api, self.view.live.keys());
        self.view.change(|index| index.begin(self.source));
        let mut next = String::new();
        loop {
            let page = match self.listing.page(api, keys, &next).await {
                Err(error) if is_gone(&error) && !next.is_empty() => {
                    tracing::debug!(kind = %self.listing.kind, "the list is begun again");
                    self.view.change(|index| index.begin(self.source));
                    next.clear();
                    continue;
                }
                page => page?,
            };
            self.view.change(|index| {
                for seen in page.seen {
                    self.put(index, seen);
                }
                for malformed in page.malformed {
                    tracing::warn!(object = %malformed.id, "{}", malformed.message);
                    index.put(self.source, Object::Malformed(malformed));
                }
            });
            next = page.next;
            if next.is_empty() {
                self.view.change(|index| index.end(self.source, now()));
                self.view.news.notify_waiters();
                return Ok(page.resource_version);
            }
        }
    }

    fn put(&self, index: &mut Index, seen: Seen) {
        self.view.live.note(&seen);
        index.put(self.source, Object::Sound(seen.workload));
    }

    /// Watches from a version on, until a new list is needed.
    async fn follow(&self, mut version: String) -> Result<(), RequestError> {
        let mut backoff = BACKOFF[0];
        loop {
            let begun = now();
            match self.watch(&mut version).await {
                Over::Ended => {
                    backoff = BACKOFF[0];
                    let lasted = now().saturating_duration_since(begun);
                    sleep(SHORTEST.saturating_sub(lasted)).await;
                }
                Over::Forgotten => {
                    self.restarts();
                    tracing::info!(kind = %self.listing.kind, namespace = self.namespace(), "the watch has fallen behind: listing anew");
                    return Ok(());
                }
                Over::Failed(error) if is_closed(&error) => return Err(error),
                Over::Failed(error @ RequestError::Unreadable(_)) => {
                    self.restarts();
                    tracing::warn!(kind = %self.listing.kind, namespace = self.namespace(), %error, "the watch broke off: listing anew");
                    sleep(backoff).await;
                    return Ok(());
                }
                Over::Failed(error) => {
                    self.restarts();
                    tracing::warn!(kind = %self.listing.kind, namespace = self.namespace(), %error, "the watch broke off");
                    sleep(backoff).await;
                    backoff = (backoff * 2).min(BACKOFF[1]);
                }
            }
        }
    }

    async fn request(&self, version: &str) -> Result<Request<Vec<u8>>, RequestError> {
        let seconds = self.view.settings.heartbeat.as_secs().clamp(1, 290);
        let params = WatchParams::default().timeout(u32::try_from(seconds).unwrap_or(25));
        let (api, listing) = (&self.view.live.inner.api, &self.listing);
        let collection = discovery::collection(api, &listing.kind, listing.namespace.as_ref());
        let request = Resource::new(collection.await?).watch(&params, version);
        request.map_err(|error| RequestError::NotSent(error.to_string()))
    }

    /// One watch, from its opening to its end.
    async fn watch(&self, version: &mut String) -> Over {
        let request = match self.request(version).await {
            Ok(request) => request,
            Err(error) => return Over::Failed(error),
        };
        let mut lines = match self.view.live.inner.api.lines(request).await {
            Ok(lines) => lines,
            Err(error) if is_gone(&error) => return Over::Forgotten,
            Err(error) => return Over::Failed(error),
        };
        self.alive();
        let longest = self.view.settings.heartbeat + GRACE;
        match timeout(longest, self.events(&mut lines, version)).await {
            Ok(over) => over,
            Err(_) => Over::Failed(RequestError::Lost(format!(
                "silent for {} s",
                longest.as_secs()
            ))),
        }
    }

    fn alive(&self) {
        self.view.change(|index| index.alive(self.source, now()));
        self.view.news.notify_waiters();
    }

    async fn events(&self, lines: &mut Lines, version: &mut String) -> Over {
        loop {
            let line = match lines.next().await {
                Ok(Some(line)) => line,
                Ok(None) => {
                    self.alive();
                    return Over::Ended;
                }
                Err(error) => return Over::Failed(error),
            };
            let read = std::str::from_utf8(&line).map_err(|error| error.to_string());
            let event = read.and_then(|text| {
                serde_json::from_str::<Event<'_>>(text).map_err(|error| error.to_string())
            });
            let event = match event {
                Ok(event) => event,
                Err(error) => return Over::Failed(RequestError::Unreadable(error)),
            };
            match event.name {
                "ADDED" | "MODIFIED" => self.put_line(event.object.get(), version),
                "DELETED" => {
                    let id = match self.read(event.object.get(), version) {
                        Ok(seen) => seen.workload.id,
                        Err(malformed) => malformed.id,
                    };
                    self.view.change(|index| index.gone(&id));
                }
                "BOOKMARK" => {
                    if let Ok(bookmark) = serde_json::from_str::<Versioned>(event.object.get()) {
                        *version = bookmark.metadata.resource_version;
                    }
                }
                "ERROR" => {
                    let status = serde_json::from_str::<Status>(event.object.get());
                    let status = status.unwrap_or_default();
                    return if status.code == StatusCode::GONE.as_u16() {
                        Over::Forgotten
                    } else {
                        Over::Failed(RequestError::Unreadable(status.message))
                    };
                }
                _ => {}
            }
            self.alive();
        }
    }

    fn read(&self, json: &str, version: &mut String) -> Result<Seen, Box<object::Malformed>> {
        let read = object::read(&self.listing.kind, self.view.live.keys(), json);
        match &read {
            Ok(seen) => seen.resource_version.clone_into(version),
            Err(_) => {
                if let Ok(object) = serde_json::from_str::<Versioned>(json) {
                    *version = object.metadata.resource_version;
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
                    .change(|index| index.put(self.source, Object::Malformed(*malformed)));
            }
        }
    }
}

/// A line of a watch.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    name: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize)]
struct Versioned {
    metadata: Version,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    resource_version: String,
}
