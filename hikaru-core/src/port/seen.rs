//! A cluster as one caller sees it: what the caller may not see is not there. What a caller may see is decided in `caller`.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use crate::{
    Text,
    caller::{Caller, Right},
    policy::change::Change,
    port::{
        ClusterError, Fault, Found, Freshness, Mode, RolloutPort, Scope, Severity, WorkloadPort,
        Written,
    },
    rollout::facts::{EventFacts, RolloutFacts},
    workload::{Workload, WorkloadId, name::WorkloadName},
};

/// A port to a cluster, as a caller sees it. `P` is the port: [`WorkloadPort`] or [`RolloutPort`].
///
/// ```
/// # futures_util::FutureExt::now_or_never(async {
/// use std::sync::Arc;
/// use hikaru_core::{IdentityLabels, Workload, WorkloadId, caller::{Caller, Rights}, port::{Scope, Seen, Select, WorkloadPort},
///     testing::MemoryCluster};
/// let cluster = MemoryCluster::default();
/// for owner in ["acme", "other"] {
///     let mut web = Workload::new(WorkloadId::new(owner, "Deployment", "web"));
///     web.labels = IdentityLabels::new(owner, "web", "main");
///     cluster.put(web);
/// }
/// let mut caller = Caller::new("ci", Rights::ALL);
/// caller.identities.push("acme/*/*".parse().unwrap());
/// let seen = Seen::new(Arc::new(cluster), Arc::new(caller));
/// let found = seen.find(&Scope::new(Select::All)).await.unwrap();
/// assert_eq!(found.workloads.len(), 1);
/// # }).unwrap();
/// ```
pub struct Seen<P: ?Sized> {
    cluster: Arc<P>,
    caller: Arc<Caller>,
}

impl<P: ?Sized> Seen<P> {
    /// The cluster as this caller sees it.
    pub fn new(cluster: Arc<P>, caller: Arc<Caller>) -> Self {
        Self { cluster, caller }
    }

    /// What could not be read may be something that the caller may not see, so its name is not told.
    fn without_names(fault: Fault) -> Fault {
        let is_failure = fault.severity == Severity::Failure;
        let mut told = Fault::new(fault.severity, "the cluster", "something could not be read");
        told.is_retryable = is_failure && fault.is_retryable;
        told
    }
}

#[async_trait]
impl<P: WorkloadPort + ?Sized> WorkloadPort for Seen<P> {
    fn freshness(&self) -> Freshness {
        self.cluster.freshness()
    }

    async fn find(&self, scope: &Scope) -> Result<Found, ClusterError> {
        let names_none = scope.namespaces.is_empty();
        let mut own = scope.clone();
        if names_none {
            own.namespaces.clone_from(&self.caller.namespaces);
        }
        let mut found = match self.cluster.find(&own).await {
            // The caller may see other namespaces than hikaru is confined to: what is in both is found without naming them.
            Err(ClusterError::Outside { .. }) if names_none => self.cluster.find(scope).await,
            found => found,
        }
        .map_err(|error| match error {
            // Its words can name a namespace, which the caller may not see.
            ClusterError::Forbidden(_) if !self.caller.sees_all() => {
                ClusterError::Forbidden("hikaru lacks a right in the cluster".to_owned())
            }
            error => error.told_to(&self.caller),
        })?;
        found
            .workloads
            .retain(|workload| self.caller.sees(workload));
        if !self.caller.sees_all() {
            let faults = found.faults.into_iter();
            found.faults = faults.map(Self::without_names).collect();
            found.faults.dedup();
        }
        Ok(found)
    }

    async fn read(&self, id: &WorkloadId) -> Result<Option<Workload>, ClusterError> {
        let read = self.cluster.read(id).await;
        let read = read.map_err(|error| error.told_to(&self.caller))?;
        Ok(read.filter(|workload| self.caller.sees(workload)))
    }

    async fn write(&self, change: &Change, mode: Mode) -> Result<Written, ClusterError> {
        match self.caller.sees(change.judged()) {
            // The write tests the labels, so what is written is what was seen.
            true => self.cluster.write(change, mode).await,
            false => Err(ClusterError::NotFound(change.judged().id.to_string())),
        }
    }

    async fn write_all(
        &self,
        changes: &[Change],
        mode: Mode,
    ) -> Vec<Result<Written, ClusterError>> {
        if changes
            .iter()
            .all(|change| self.caller.sees(change.judged()))
        {
            return self.cluster.write_all(changes, mode).await;
        }
        // A post writes only what `find` and `read` have given, so only other users get here.
        let mut answers = Vec::with_capacity(changes.len());
        for change in changes {
            answers.push(self.write(change, mode).await);
        }
        answers
    }

    async fn unhold(
        &self,
        workload: &WorkloadName,
        container: Option<Text>,
    ) -> Result<Vec<(Text, Text)>, ClusterError> {
        if !self.caller.sees_all() {
            let id = WorkloadId::new(
                workload.namespace().clone(),
                workload.kind().clone(),
                workload.name().clone(),
            );
            let read = WorkloadPort::read(self, &id).await?;
            read.ok_or_else(|| ClusterError::NotFound(workload.to_string()))?;
        }
        let unheld = self.cluster.unhold(workload, container).await;
        unheld.map_err(|error| error.told_to(&self.caller))
    }
}

#[async_trait]
impl<P: RolloutPort + ?Sized> RolloutPort for Seen<P> {
    async fn facts(&self, workload: &WorkloadName) -> Result<Option<RolloutFacts>, ClusterError> {
        let facts = self.cluster.facts(workload).await;
        let facts = facts.map_err(|error| error.told_to(&self.caller))?;
        Ok(facts.filter(|facts| self.caller.sees(&facts.workload)))
    }

    async fn events(
        &self,
        namespace: &str,
        uids: &BTreeSet<Text>,
    ) -> Result<Vec<EventFacts>, ClusterError> {
        self.caller.check_namespace(namespace)?;
        self.cluster.events(namespace, uids).await
    }

    async fn not_ready_nodes(&self) -> Result<BTreeSet<Text>, ClusterError> {
        self.cluster.not_ready_nodes().await
    }

    async fn log<'a>(
        &'a self,
        namespace: &'a str,
        pod: &'a str,
        container: &'a str,
        previous: bool,
        lines: u32,
    ) -> Result<String, ClusterError> {
        self.caller.check(&[Right::Logs])?;
        self.caller.check_namespace(namespace)?;
        let log = self.cluster.log(namespace, pod, container, previous, lines);
        log.await
    }

    fn changed(&self, workload: &WorkloadName) -> BoxStream<'static, ()> {
        self.cluster.changed(workload)
    }
}
