//! A small cluster in memory with guarded writes: for tests of what stands on the port, and the model that the
//! contract suite holds to the real thing. Its rollouts are in `rollouts`.

mod rollouts;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream, stream::BoxStream};

use crate::{
    Text,
    policy::change::Change,
    port::{Changed, Changes, ClusterError, Found, Freshness, Mode, Scope, WorkloadPort, Written},
    rollout::facts::RolloutFacts,
    workload::{Workload, WorkloadId, name::WorkloadName},
};
use rollouts::LogKey;

/// A cluster in memory.
///
/// ```
/// # futures_util::FutureExt::now_or_never(async {
/// use hikaru_core::{Build, Container, IdentityLabels, Mode, Request, TagFormats, Workload, WorkloadId,
///     upgrade, testing::{MemoryCluster, StillClock}};
/// let cluster = MemoryCluster::default();
/// let mut web = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
/// web.labels = IdentityLabels::new("acme", "web", "main");
/// web.containers.push(Container::new("web", "acme/web:latest"));
/// cluster.put(web.clone());
///
/// let build = Build::parse("acme/web:acme_web_main_1.4.0_7_0123abcd", &TagFormats::default()).unwrap();
/// upgrade(&cluster, &StillClock::default(), Request::new(build), Mode::Commit).await.unwrap();
/// let web = cluster.get(&web.id).unwrap();
/// assert_eq!(&*web.containers[0].image, "acme/web:acme_web_main_1.4.0_7_0123abcd");
/// assert_eq!(web.containers[0].mark.as_deref(), Some("1.4.0_7_d5ecc80e"));
/// # }).unwrap();
/// ```
#[derive(Debug, Default)]
pub struct MemoryCluster {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    workloads: BTreeMap<WorkloadId, Workload>,
    created: u64,
    /// Which workload each change was of.
    changes: Vec<WorkloadId>,
    /// Who waits for the next change.
    waiting: Vec<Waker>,
    /// What is told of rollouts, where a test has said it.
    rollouts: BTreeMap<WorkloadId, RolloutFacts>,
    /// What containers have written.
    logs: BTreeMap<LogKey, String>,
    /// What is not told for want of a right.
    refused: BTreeSet<&'static str>,
}

impl State {
    fn changed(&mut self, id: &WorkloadId) {
        self.changes.push(id.clone());
        self.waiting.drain(..).for_each(Waker::wake);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // A test that panicked with the lock held left whole workloads behind: each step is one assignment.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryCluster {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Creates a workload, with a uid of its own, or updates the one of that name, which keeps its uid.
    pub fn put(&self, mut workload: Workload) {
        let mut state = self.state();
        workload.uid = match state.workloads.get(&workload.id) {
            Some(before) => before.uid.clone(),
            None => {
                state.created += 1;
                format!("uid-{}", state.created).into()
            }
        };
        state.changed(&workload.id);
        state.workloads.insert(workload.id.clone(), workload);
    }

    /// A workload as it is now.
    pub fn get(&self, id: &WorkloadId) -> Option<Workload> {
        self.state().workloads.get(id).cloned()
    }

    /// Changes a workload in one step, as a person would. Whether it was there.
    pub fn edit(&self, id: &WorkloadId, edit: impl FnOnce(&mut Workload)) -> bool {
        let mut state = self.state();
        state.changed(id);
        state.workloads.get_mut(id).map(edit).is_some()
    }

    /// Deletes a workload. Whether it was there.
    pub fn remove(&self, id: &WorkloadId) -> bool {
        let mut state = self.state();
        state.changed(id);
        state.rollouts.remove(id);
        state.workloads.remove(id).is_some()
    }
}

#[async_trait]
impl WorkloadPort for MemoryCluster {
    fn freshness(&self) -> Freshness {
        Freshness::Fresh
    }

    async fn find(&self, scope: &Scope) -> Result<Found, ClusterError> {
        let state = self.state();
        let admits = scope.filter();
        let admitted = state.workloads.values().filter(|w| admits(w));
        let admitted = admitted.cloned().map(Arc::new);
        Ok(Found::new(admitted.collect(), Vec::new()))
    }

    async fn read(&self, id: &WorkloadId) -> Result<Option<Workload>, ClusterError> {
        Ok(self.get(id))
    }

    async fn write(&self, change: &Change, mode: Mode) -> Result<Written, ClusterError> {
        let mut state = self.state();
        let id = &change.judged().id;
        let now = state.workloads.get_mut(id);
        let now = now.ok_or_else(|| ClusterError::NotFound(id.to_string()))?;
        if !change.holds_for(now) {
            return Err(ClusterError::Stale);
        }
        if mode == Mode::Commit {
            for (judged, edit) in change.edited() {
                let container = now.containers.iter_mut().find(|c| c.name == judged.name);
                let container = container.ok_or(ClusterError::Stale)?;
                container.image = edit.to().clone();
                if let Some(mark) = edit.mark() {
                    container.mark = Some(mark.clone());
                }
            }
            state.changed(id);
        }
        Ok(Written::default())
    }

    async fn unhold(
        &self,
        workload: &WorkloadName,
        container: Option<Text>,
    ) -> Result<Vec<(Text, Text)>, ClusterError> {
        let mut state = self.state();
        let named = state.workloads.values_mut().find(|w| workload.names(&w.id));
        let named = named.ok_or_else(|| ClusterError::NotFound(workload.to_string()))?;
        let id = named.id.clone();
        let containers = named.containers.iter_mut();
        let removed = containers
            .filter(|c| container.as_ref().is_none_or(|name| c.is_called(name)))
            .filter_map(|c| Some((c.name.clone(), c.mark.take()?)))
            .collect();
        state.changed(&id);
        Ok(removed)
    }
}

impl Changes for MemoryCluster {
    fn changes(&self) -> BoxStream<'static, Changed> {
        let state = self.state.clone();
        let mut told = self.state().changes.len();
        let next = move |context: &mut std::task::Context<'_>| {
            let mut state = lock(&state);
            if state.changes.len() == told {
                state.waiting.push(context.waker().clone());
                return Poll::Pending;
            }
            let changed = state.changes[told..].into();
            told = state.changes.len();
            Poll::Ready(Some(Changed::Workloads(changed)))
        };
        stream::poll_fn(next).boxed()
    }
}
