//! The port to what a live cluster says of rollouts: the workload's object (`object`), its ReplicaSets and pods (`item`:
//! `replica_set`, `pod`), events and nodes (`events`), and that something has changed (`changed`). Pods are watched only while somebody asks about them: which watches there are
//! is in `pool`, how one goes in `watch`. What it all means is decided in `hikaru-core`.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use hikaru_core::{
    Text, WorkloadId,
    jobs::JobName,
    port::{ClusterError, RolloutPort},
    rollout::{EventFacts, PodFacts, ReplicaSetFacts, RolloutFacts, RolloutKind, Unseen},
    workload::{WorkloadName, check_namespace},
};
use tokio::time::timeout;

use super::{
    LiveCluster,
    client::{ApiClient, LOG, refusal},
    read::log::ContainerLog,
};
use crate::kind::Kind;

mod changed;
mod condition;
mod events;
mod item;
mod object;
mod pod;
pub(super) mod pool;
mod replica_set;
mod watch;

use pool::{Places, Pool, RolloutVitals};

/// How long pods are watched after the last question. Whoever waits asks more often.
pub(super) const IDLE: Duration = Duration::from_secs(60);

/// How long a log may take: a kubelet that hangs holds up nobody for longer.
const LOG_TIME: Duration = Duration::from_secs(20);

/// What is watched on demand.
pub(super) struct Pools {
    pods: Pool<PodFacts>,
    replica_sets: Pool<ReplicaSetFacts>,
}

impl Pools {
    pub(super) fn new(api: &ApiClient, idle: Duration) -> Self {
        let places = Places::default();
        Self {
            pods: Pool::new(api.clone(), places.clone(), idle),
            replica_sets: Pool::new(api.clone(), places, idle),
        }
    }
}

impl LiveCluster {
    /// The watches on pods and ReplicaSets that there are for questions about rollouts.
    pub fn rollout_vitals(&self) -> RolloutVitals {
        let mut vitals = RolloutVitals::default();
        self.inner.rollouts.pods.count(&mut vitals);
        self.inner.rollouts.replica_sets.count(&mut vitals);
        vitals
    }

    /// `None`: no kind has that name.
    fn kind_and_id(&self, workload: &WorkloadName) -> Option<(&Kind, WorkloadId)> {
        let kind = self.inner.kinds.named(workload.kind())?;
        let (namespace, name) = (workload.namespace().clone(), workload.name().clone());
        Some((kind, WorkloadId::new(namespace, kind.name.clone(), name)))
    }
}

#[async_trait]
impl RolloutPort for LiveCluster {
    /// The object is read from the API server; its pods too, until somebody asks about them again within a minute: then they
    /// are watched. What a watch has told is at most half a minute old, and only if its connection died without a word.
    async fn facts(&self, workload: &WorkloadName) -> Result<Option<RolloutFacts>, ClusterError> {
        let Some((kind, id)) = self.kind_and_id(workload) else {
            return Ok(None);
        };
        let namespace = workload.namespace();
        let text = match self.get_text(kind, &id).await {
            Ok(text) => text,
            Err(ClusterError::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let seen = self.read_object(kind, &id, &text)?;
        let read = object::read(kind, &text);
        let (object, selector) =
            read.map_err(|why| ClusterError::Invalid(format!("{id}: cannot be read: {why}")))?;

        let pools = &self.inner.rollouts;
        let (mut pods, mut replica_sets) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
        match (&selector, object.kind) {
            (None, RolloutKind::None) => {}
            (None, _) => {
                let reason = format!("{id} has no selector, so it selects no pods");
                pods.1.push(Unseen::new("pods", reason));
            }
            (Some(selector), RolloutKind::Deployment) => {
                (pods, replica_sets) = tokio::join!(
                    pools.pods.matched(namespace, selector),
                    pools.replica_sets.matched(namespace, selector),
                );
            }
            (Some(selector), _) => pods = pools.pods.matched(namespace, selector).await,
        }
        let now = self.inner.api.server_time();
        let now = now.unwrap_or_else(|| self.inner.settings.clock.now());
        let mut facts = RolloutFacts::new(now, Arc::new(seen.workload), object);
        (facts.pods, facts.unseen) = pods;
        facts.replica_sets = replica_sets.0;
        facts.unseen.extend(replica_sets.1);
        facts.pods.sort_by(|a, b| a.name.cmp(&b.name));
        facts.replica_sets.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Some(facts))
    }

    /// The latest 1,000 of them. Of a namespace with more than 10,000 events some are left out.
    async fn events(
        &self,
        namespace: &str,
        uids: &BTreeSet<Text>,
    ) -> Result<Vec<EventFacts>, ClusterError> {
        check_namespace(namespace).map_err(|error| ClusterError::Invalid(error.to_string()))?;
        self.events_about(namespace, uids).await
    }

    async fn not_ready_nodes(&self) -> Result<BTreeSet<Text>, ClusterError> {
        self.list_not_ready_nodes().await
    }

    /// At most 1 MiB, and no longer than 20 s.
    async fn log<'a>(
        &'a self,
        namespace: &'a str,
        pod: &'a str,
        container: &'a str,
        previous: bool,
        lines: u32,
    ) -> Result<String, ClusterError> {
        for name in [pod, container] {
            JobName::new(namespace, name)
                .map_err(|error| ClusterError::Invalid(error.to_string()))?;
        }
        let log = ContainerLog {
            namespace,
            pod,
            container,
            is_previous: previous,
            lines,
            bytes: LOG,
        };
        let read = timeout(LOG_TIME, log.read(&self.inner.api)).await;
        let read = read.map_err(|_| ClusterError::Unavailable {
            message: format!("no log within {} s", LOG_TIME.as_secs()),
            retry_after: None,
        })?;
        read.map_err(|error| refusal::of_read(error, &format!("pod {namespace}/{pod}")))
    }

    /// Several changes within half a second are told as one. What cannot be watched may have changed every five seconds.
    fn changed(&self, workload: &WorkloadName) -> BoxStream<'static, ()> {
        changed::changed(self.clone(), workload.clone())
    }
}
