//! Workloads and rollouts of some namespaces only. What is done there is the business of the cluster behind it; Jobs are confined by
//! their [`JobPolicy`](crate::jobs::JobPolicy).

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};

use crate::{
    Text,
    policy::change::Change,
    port::{
        ClusterError, Found, Freshness, Mode, RolloutPort, Scope, Select, WorkloadPort, Written,
    },
    rollout::facts::{EventFacts, RolloutFacts},
    workload::{Workload, WorkloadId, name::WorkloadName},
};

/// A port to a cluster that is confined to some namespaces. What names another one is refused with [`ClusterError::Outside`],
/// before the cluster is asked; what names none is done in these alone. `P` is the port: [`WorkloadPort`] or [`RolloutPort`].
///
/// Jobs are confined by [`JobPolicy::within`](crate::jobs::JobPolicy::within), because the namespace of one stands in its
/// definition, which the cluster has to read first.
///
/// ```
/// # futures_util::FutureExt::now_or_never(async {
/// use std::sync::Arc;
/// use hikaru_core::{Workload, WorkloadId, port::{ClusterError, WorkloadPort, Confined, Scope, Select},
///     testing::MemoryCluster};
/// let cluster = MemoryCluster::default();
/// cluster.put(Workload::new(WorkloadId::new("shop", "Deployment", "web")));
/// cluster.put(Workload::new(WorkloadId::new("edge", "Deployment", "web")));
/// let confined = Confined::new(Arc::new(cluster), vec!["shop".into()]);
/// let mut scope = Scope::new(Select::All);
/// assert_eq!(confined.find(&scope).await.unwrap().workloads.len(), 1);
/// scope.namespaces = vec!["edge".into()];
/// let refused = confined.find(&scope).await.unwrap_err();
/// assert_eq!(refused.to_string(), "the namespace edge is outside of those that hikaru is confined to: expected shop");
/// # }).unwrap();
/// ```
pub struct Confined<P: ?Sized> {
    cluster: Arc<P>,
    namespaces: Vec<Text>,
}

impl<P: ?Sized> Confined<P> {
    /// Confines a cluster to these namespaces. An empty list confines nothing.
    pub fn new(cluster: Arc<P>, namespaces: Vec<Text>) -> Self {
        Self {
            cluster,
            namespaces,
        }
    }

    fn check(&self, namespace: &str) -> Result<(), ClusterError> {
        check_within(&self.namespaces, namespace)
    }
}

/// Checks that `allowed` holds the namespace. An empty list allows every namespace.
///
/// # Errors
/// [`ClusterError::Outside`].
pub(crate) fn check_within(allowed: &[Text], namespace: &str) -> Result<(), ClusterError> {
    if allowed.is_empty() || allowed.iter().any(|known| **known == *namespace) {
        return Ok(());
    }
    Err(ClusterError::Outside {
        found: namespace.into(),
        expected: any_of(allowed),
    })
}

/// `a, b or c`.
pub(crate) fn any_of(allowed: &[Text]) -> String {
    match allowed {
        [] => "none".to_owned(),
        [one] => one.to_string(),
        [some @ .., last] => format!("{} or {last}", some.join(", ")),
    }
}

#[async_trait]
impl<P: WorkloadPort + ?Sized> WorkloadPort for Confined<P> {
    fn freshness(&self) -> Freshness {
        self.cluster.freshness()
    }

    async fn find(&self, scope: &Scope) -> Result<Found, ClusterError> {
        if self.namespaces.is_empty() {
            return self.cluster.find(scope).await;
        }
        let ids = match &scope.select {
            Select::Named(ids) => &ids[..],
            _ => &[],
        };
        let workloads = scope.workloads.iter().map(WorkloadName::namespace);
        let named = ids.iter().map(|id| &id.namespace).chain(workloads);
        for namespace in named.chain(&scope.namespaces) {
            self.check(namespace)?;
        }
        if !scope.namespaces.is_empty() {
            return self.cluster.find(scope).await;
        }
        let mut scope = scope.clone();
        scope.namespaces.clone_from(&self.namespaces);
        self.cluster.find(&scope).await
    }

    async fn read(&self, id: &WorkloadId) -> Result<Option<Workload>, ClusterError> {
        self.check(&id.namespace)?;
        self.cluster.read(id).await
    }

    async fn write(&self, change: &Change, mode: Mode) -> Result<Written, ClusterError> {
        self.check(&change.judged().id.namespace)?;
        self.cluster.write(change, mode).await
    }

    async fn write_all(
        &self,
        changes: &[Change],
        mode: Mode,
    ) -> Vec<Result<Written, ClusterError>> {
        let outside = |change: &Change| self.check(&change.judged().id.namespace).err();
        if changes.iter().all(|change| outside(change).is_none()) {
            return self.cluster.write_all(changes, mode).await;
        }
        // `upgrade` writes only what `find` has given, so only other callers get here: it may be slow.
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
        self.check(workload.namespace())?;
        self.cluster.unhold(workload, container).await
    }
}

#[async_trait]
impl<P: RolloutPort + ?Sized> RolloutPort for Confined<P> {
    async fn facts(&self, workload: &WorkloadName) -> Result<Option<RolloutFacts>, ClusterError> {
        self.check(workload.namespace())?;
        self.cluster.facts(workload).await
    }

    async fn events(
        &self,
        namespace: &str,
        uids: &BTreeSet<Text>,
    ) -> Result<Vec<EventFacts>, ClusterError> {
        self.check(namespace)?;
        self.cluster.events(namespace, uids).await
    }

    /// Nodes are in no namespace.
    async fn not_ready_nodes(&self) -> Result<BTreeSet<Text>, ClusterError> {
        if self.namespaces.is_empty() {
            return self.cluster.not_ready_nodes().await;
        }
        let allowed = any_of(&self.namespaces);
        Err(ClusterError::Forbidden(format!(
            "nodes are in no namespace, and hikaru is confined to {allowed}"
        )))
    }

    async fn log<'a>(
        &'a self,
        namespace: &'a str,
        pod: &'a str,
        container: &'a str,
        previous: bool,
        lines: u32,
    ) -> Result<String, ClusterError> {
        self.check(namespace)?;
        let log = self.cluster.log(namespace, pod, container, previous, lines);
        log.await
    }

    fn changed(&self, workload: &WorkloadName) -> BoxStream<'static, ()> {
        match self.check(workload.namespace()) {
            Ok(()) => self.cluster.changed(workload),
            // There is nothing to read there either.
            Err(_) => stream::pending().boxed(),
        }
    }
}
