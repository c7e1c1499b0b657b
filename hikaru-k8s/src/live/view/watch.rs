//! A live cluster that is watched: `find` answers from the index; reading and writing one workload always ask the API server. How
//! the index is fed, and how a watch proves that it has caught up, is in `follow`; whether all of it is up to date, in `index`.

use std::{
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use hikaru_core::{
    Mode, Text, Workload, WorkloadId,
    policy::Change,
    port::{
        Changed, Changes, ClusterError, Found, Freshness, Scope, Select, WorkloadPort, Written,
    },
    workload::WorkloadName,
};
use tokio::{
    sync::{
        Notify,
        broadcast::{self, error::RecvError},
    },
    task::AbortHandle,
    time::timeout,
};

use super::{index::Index, look::Looks};
use crate::live::{
    LiveCluster,
    clock::now,
    read::list::{Listing, namespaces_or_cluster},
    write::Removed,
};

mod follow;

use follow::Source;

/// How long a watch runs before it is opened anew: its end is a sign of life. Bookmarks are none, with gaps of up to two
/// minutes on healthy watches; one of 25 s ends at 25.0 s.
const HEARTBEAT: Duration = Duration::from_secs(25);

/// How much longer than a heartbeat a source may be silent before the view counts as out of date.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many changes are kept for a slow reader before it misses some.
const CHANGES: usize = 256;

/// Settings of a watched cluster.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WatchSettings {
    /// Whether the cluster is looked at before it is said that a build is meant for nothing: an object made a moment ago
    /// is not missed.
    pub live_look: bool,
    /// How long a watch runs, in whole seconds.
    pub heartbeat: Duration,
    /// How much longer than a heartbeat nothing may be heard before the view counts as out of date.
    pub patience: Duration,
}

impl Default for WatchSettings {
    fn default() -> Self {
        Self {
            live_look: true,
            heartbeat: HEARTBEAT,
            patience: PATIENCE,
        }
    }
}

/// A live cluster that is watched, for a server that runs on: [`WorkloadPort::find`] is answered from memory.
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
    /// Whether the view is up to date may have changed.
    news: Notify,
    changes: broadcast::Sender<Arc<[WorkloadId]>>,
    looks: Looks,
    /// Lists that were begun anew, and watches that broke off.
    restarts: AtomicU64,
}

/// The condition of a view, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Vitals {
    /// How many objects are known.
    pub objects: usize,
    /// How long the most silent watch has shown no life.
    pub age: Duration,
    /// How often a list was begun anew or a watch broke off, since the start.
    pub restarts: u64,
    /// How many kinds, each in each of its namespaces, are not watched: not yet, not any more, or not at all.
    pub unwatched: usize,
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
        let namespaces = namespaces_or_cluster(&live.inner.settings.namespaces);
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
            .map(|l| (l.kind.clone(), l.namespace.clone()));
        let index = Index::new(sources, settings.heartbeat + settings.patience, now());
        let view = Arc::new(View {
            live,
            index: RwLock::new(index),
            settings,
            news: Notify::new(),
            changes: broadcast::Sender::new(CHANGES),
            looks: Looks::default(),
            restarts: AtomicU64::new(0),
        });
        let tasks = listings.into_iter().enumerate().map(|(number, listing)| {
            let source = Source::new(view.clone(), number, listing);
            tokio::spawn(source.run()).abort_handle()
        });
        let tasks = Tasks(tasks.collect());
        Self {
            view,
            _tasks: Arc::new(tasks),
        }
    }

    /// The condition of the view.
    pub fn vitals(&self) -> Vitals {
        let index = self.view.read();
        Vitals {
            objects: index.objects(),
            age: index.age(now()),
            restarts: self.view.restarts.load(Ordering::Relaxed),
            unwatched: index.unwatched(),
        }
    }

    /// Waits until the view is up to date.
    pub async fn synced(&self) {
        loop {
            let news = self.view.news.notified();
            if self.freshness() == Freshness::Fresh {
                return;
            }
            // Nothing notifies that time has passed.
            drop(timeout(Duration::from_secs(1), news).await);
        }
    }
}

impl View {
    fn read(&self) -> std::sync::RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Index)) {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut index);
        let changed = index.take_changed();
        if !changed.is_empty() {
            // It fails if nobody listens.
            drop(self.changes.send(changed.into()));
        }
    }

    fn freshness(&self) -> Freshness {
        self.read().freshness(now())
    }
}

#[async_trait]
impl WorkloadPort for WatchedCluster {
    fn freshness(&self) -> Freshness {
        self.view.freshness()
    }

    async fn find(&self, scope: &Scope) -> Result<Found, ClusterError> {
        let freshness = self.freshness();
        if !freshness.gives_answers() {
            return Err(ClusterError::Unavailable {
                message: freshness.to_string(),
                retry_after: Some(Duration::from_secs(2)),
            });
        }
        let found = self.view.read().find(scope)?;
        match &scope.select {
            Select::Build(build) if found.workloads.is_empty() && self.view.settings.live_look => {
                let (namespaces, workloads) = (scope.namespaces.clone(), scope.workloads.clone());
                let key = (build.image().clone(), namespaces, workloads);
                match Box::pin(self.view.looks.look(key, &self.view.live, scope)).await {
                    Some(Ok(seen)) => Ok(with_faults(found, seen)),
                    // The view is a moment old, and a workload may have been created in that moment: without a look it is not
                    // known that there is none.
                    Some(Err(error)) => Err(error),
                    None => Ok(found),
                }
            }
            _ => Ok(found),
        }
    }

    async fn read(&self, id: &WorkloadId) -> Result<Option<Workload>, ClusterError> {
        self.view.live.read(id).await
    }

    async fn write(&self, change: &Change, mode: Mode) -> Result<Written, ClusterError> {
        let sent_at = self.view.read().state_of(&change.judged().id);
        let written = self.view.live.write(change, mode).await?;
        if mode == Mode::Commit {
            self.view.change(|index| index.written(change, sent_at));
        }
        Ok(written)
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
        let Removed { marks, from } = self.view.live.remove_marks(workload, container).await?;
        self.view
            .change(|index| index.unheld(&from, &marks, sent_at));
        Ok(marks)
    }
}

impl Changes for WatchedCluster {
    /// A list that is begun anew tells what changed meanwhile. The stream ends with the last clone of the cluster.
    fn changes(&self) -> BoxStream<'static, Changed> {
        let changes = self.view.changes.subscribe();
        let next = |mut changes: broadcast::Receiver<_>| async {
            let changed = match changes.recv().await {
                Ok(ids) => Changed::Workloads(ids),
                Err(RecvError::Lagged(_)) => Changed::Missed,
                Err(RecvError::Closed) => return None,
            };
            Some((changed, changes))
        };
        stream::unfold(changes, next).boxed()
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
