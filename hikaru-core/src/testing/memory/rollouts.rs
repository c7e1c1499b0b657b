//! The rollouts of the cluster in memory: nothing rolls out by itself, a test says what the cluster tells.

use std::{collections::BTreeSet, future::ready, time::SystemTime};

use async_trait::async_trait;
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};

use super::{MemoryCluster, State};
use crate::{
    Text,
    port::{Changed, Changes as _, ClusterError, RolloutPort},
    rollout::facts::{EventFacts, ObjectFacts, RolloutFacts},
    workload::{Workload, WorkloadId, name::WorkloadName},
};

/// A container of a pod, and whether the log of its previous run is meant.
pub(super) type LogKey = (Text, Text, Text, bool);

/// The parts of a rollout that a cluster can refuse to tell.
const REFUSABLE: [&str; 3] = ["events", "nodes", "logs"];

impl MemoryCluster {
    /// Says what is told of a workload's rollout. At first it is a kind without rollouts, at the time 0. The events and the nodes
    /// that are put here are told to those who ask for them. Whether the workload was there.
    ///
    /// ```
    /// # futures_util::FutureExt::now_or_never(async {
    /// use hikaru_core::{Workload, WorkloadId, port::RolloutPort, rollout::RolloutKind, testing::MemoryCluster};
    /// let cluster = MemoryCluster::default();
    /// let web = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
    /// cluster.put(web.clone());
    /// cluster.tell_rollout(&web.id, |facts| facts.object.kind = RolloutKind::Deployment);
    /// let facts = cluster.facts(&"shop/deploy/web".parse().unwrap()).await.unwrap().unwrap();
    /// assert_eq!(facts.object.kind, RolloutKind::Deployment);
    /// # }).unwrap();
    /// ```
    pub fn tell_rollout(&self, id: &WorkloadId, edit: impl FnOnce(&mut RolloutFacts)) -> bool {
        let mut state = self.state();
        let Some(workload) = state.workloads.get(id).cloned() else {
            return false;
        };
        let facts = state.rollouts.entry(id.clone());
        edit(facts.or_insert_with(|| untold(workload)));
        state.changed(id);
        true
    }

    /// Says what a container has written.
    pub fn tell_log(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        is_previous: bool,
        log: &str,
    ) {
        let key = (namespace.into(), pod.into(), container.into(), is_previous);
        self.state().logs.insert(key, log.into());
    }

    /// Refuses to tell events, nodes or logs from now on, for want of a right.
    ///
    /// # Panics
    /// At another word than `events`, `nodes` and `logs`.
    pub fn refuse_to_tell(&self, what: &'static str) {
        assert!(REFUSABLE.contains(&what), "expected one of {REFUSABLE:?}");
        self.state().refused.insert(what);
    }
}

/// What is told of a workload that no test said anything of.
fn untold(workload: Workload) -> RolloutFacts {
    let object = ObjectFacts::default();
    RolloutFacts::new(SystemTime::UNIX_EPOCH, workload.into(), object)
}

impl State {
    fn check_told(&self, what: &'static str) -> Result<(), ClusterError> {
        match self.refused.contains(what) {
            true => Err(ClusterError::Forbidden(format!("cannot list {what}"))),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl RolloutPort for MemoryCluster {
    async fn facts(&self, workload: &WorkloadName) -> Result<Option<RolloutFacts>, ClusterError> {
        let state = self.state();
        let mut workloads = state.workloads.values();
        let Some(named) = workloads.find(|w| workload.names(&w.id)) else {
            return Ok(None);
        };
        let told = state.rollouts.get(&named.id).cloned();
        let mut facts = told.unwrap_or_else(|| untold(named.clone()));
        facts.workload = named.clone().into();
        (facts.events, facts.not_ready_nodes) = (None, None);
        Ok(Some(facts))
    }

    async fn events(
        &self,
        namespace: &str,
        uids: &BTreeSet<Text>,
    ) -> Result<Vec<EventFacts>, ClusterError> {
        let state = self.state();
        state.check_told("events")?;
        let rollouts = state.rollouts.iter();
        let here = rollouts.filter(|(id, _)| *id.namespace == *namespace);
        let events = here.flat_map(|(_, facts)| facts.events.iter().flatten());
        Ok(events
            .filter(|event| uids.contains(&event.about))
            .cloned()
            .collect())
    }

    async fn not_ready_nodes(&self) -> Result<BTreeSet<Text>, ClusterError> {
        let state = self.state();
        state.check_told("nodes")?;
        let rollouts = state.rollouts.values();
        let nodes = rollouts.flat_map(|facts| facts.not_ready_nodes.iter().flatten());
        Ok(nodes.cloned().collect())
    }

    async fn log<'a>(
        &'a self,
        namespace: &'a str,
        pod: &'a str,
        container: &'a str,
        previous: bool,
        lines: u32,
    ) -> Result<String, ClusterError> {
        let state = self.state();
        state.check_told("logs")?;
        let key = (namespace.into(), pod.into(), container.into(), previous);
        let log = state.logs.get(&key);
        let log = log.ok_or_else(|| ClusterError::NotFound(format!("log of {pod}/{container}")))?;
        let lines = usize::try_from(lines).unwrap_or(usize::MAX);
        let all: Vec<&str> = log.lines().collect();
        Ok(all[all.len().saturating_sub(lines)..].join("\n"))
    }

    fn changed(&self, workload: &WorkloadName) -> BoxStream<'static, ()> {
        let workload = workload.clone();
        let told = self.changes().filter_map(move |changed| {
            let is_named = match changed {
                Changed::Workloads(ids) => ids.iter().any(|id| workload.names(id)),
                _ => true,
            };
            ready(is_named.then_some(()))
        });
        stream::once(ready(())).chain(told).boxed()
    }
}
