//! The port to what a live cluster says of rollouts. A workload's object is read in `owner` and `object`, its ReplicaSets and pods in
//! `replica_set` and `pod`, events and nodes in `events`. Who waits is told of changes by `changed`; what is watched for that is in
//! `pool`, and how one watch goes in `watch`. What it all means is decided in `hikaru-core`.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use hikaru_core::{
    Text, WorkloadId,
    jobs::{JobName, JobStatus},
    port::{ClusterError, RolloutPort},
    rollout::{EventFacts, PodFacts, ReplicaSetFacts, RolloutFacts, RolloutKind, Unseen},
    workload::{WorkloadName, check_namespace},
};
use http::StatusCode;
use kube::core::Selector;
use tokio::time::timeout;

use super::{
    LiveCluster,
    client::{ApiClient, LOG, refusal},
    error::RequestError,
    read::log::ContainerLog,
};
use crate::kind::Kind;

mod changed;
mod condition;
mod events;
mod item;
mod object;
mod owner;
mod pod;
pub(super) mod pool;
mod replica_set;
mod wanted;
mod watch;

use changed::Turns;
use item::Facts;
use owner::{Owner, WorkloadSays};
use pool::{Places, Pool, RolloutVitals};
use wanted::{Source, Which};

/// How long something is watched at least after the last wait for it. Whoever waits in several calls asks again sooner.
pub(super) const IDLE: Duration = Duration::from_secs(60);

/// How long a log may take: a kubelet that hangs holds up nobody for longer.
const LOG_TIME: Duration = Duration::from_secs(20);

/// What is watched on demand.
pub(super) struct Pools {
    workloads: Pool<Owner<WorkloadSays>>,
    jobs: Pool<Owner<JobStatus>>,
    replica_sets: Pool<ReplicaSetFacts>,
    pods: Pool<PodFacts>,
    turns: Turns,
}

impl Pools {
    pub(super) fn new(api: &ApiClient, idle: Duration) -> Self {
        let places = Places::default();
        Self {
            workloads: Pool::new(api.clone(), places.clone(), idle),
            jobs: Pool::new(api.clone(), places.clone(), idle),
            replica_sets: Pool::new(api.clone(), places.clone(), idle),
            pods: Pool::new(api.clone(), places, idle),
            turns: Turns::default(),
        }
    }
}

impl LiveCluster {
    /// The watches that there are because somebody waits for rollouts or Jobs.
    pub fn rollout_vitals(&self) -> RolloutVitals {
        let mut vitals = RolloutVitals::default();
        let pools = &self.inner.rollouts;
        pools.workloads.count(&mut vitals);
        pools.jobs.count(&mut vitals);
        pools.replica_sets.count(&mut vitals);
        pools.pods.count(&mut vitals);
        vitals
    }

    /// `None`: no kind has that name.
    fn kind_and_id(&self, workload: &WorkloadName) -> Option<(&Arc<Kind>, WorkloadId)> {
        let kind = self.inner.kinds.named(workload.kind())?;
        let (namespace, name) = (workload.namespace().clone(), workload.name().clone());
        Some((kind, WorkloadId::new(namespace, kind.name.clone(), name)))
    }

    /// The time, by the clock of the API server as far as it has told it.
    fn server_now(&self) -> SystemTime {
        let now = self.inner.api.server_time();
        now.unwrap_or_else(|| self.inner.settings.clock.now())
    }

    /// The pods of a namespace that was checked that a selector matches, sorted by name, and what cannot be read of them.
    pub(super) async fn pods_matched(
        &self,
        namespace: &Text,
        selector: &Selector,
    ) -> (Vec<Arc<PodFacts>>, Vec<Unseen>) {
        let pool = &self.inner.rollouts.pods;
        let (mut pods, unseen) = matched(pool, namespace, selector).await;
        pods.sort_by(|a, b| a.name.cmp(&b.name));
        (pods, unseen)
    }
}

/// The objects that a selector matches, in no particular order, and what cannot be read of them.
async fn matched<T: Facts>(
    pool: &Pool<T>,
    namespace: &Text,
    selector: &Selector,
) -> (Vec<Arc<T>>, Vec<Unseen>) {
    let which = Which::Labeled(selector.clone());
    let unseen = |reason| Unseen::new(T::PLURAL, reason);
    match pool.matched(&Source::of(namespace), &which).await {
        Ok(matched) => {
            let odd = matched.odd.into_iter();
            let odd = odd.map(|(name, why)| {
                let name = if name.is_empty() { "?" } else { &name };
                unseen(format!("{}/{name} cannot be read: {why}", T::PLURAL))
            });
            (matched.read, odd.collect())
        }
        Err(error) => {
            let why = not_listed(T::PLURAL, namespace, &error);
            let unseen = unseen(format!("{} are not seen: {why}", T::PLURAL));
            (Vec::new(), vec![unseen])
        }
    }
}

/// Why objects of a namespace cannot be listed, with the right that is missing where that is the reason.
fn not_listed(what: &str, namespace: &str, error: &RequestError) -> String {
    match error {
        RequestError::Refused(refused) if refused.code == StatusCode::FORBIDDEN => {
            format!("the right to list {what} in namespace {namespace} is missing")
        }
        error => error.to_string(),
    }
}

#[async_trait]
impl RolloutPort for LiveCluster {
    /// While somebody waits for the workload, from the watches that there are for that: no request is sent. What a watch has told is
    /// at most half a minute old, and only if its connection died without a word. Else from the API server.
    async fn facts(&self, workload: &WorkloadName) -> Result<Option<RolloutFacts>, ClusterError> {
        let Some((kind, id)) = self.kind_and_id(workload) else {
            return Ok(None);
        };
        let namespace = workload.namespace();
        let Some(owner) = self.workload_now(kind, &id).await? else {
            return Ok(None);
        };
        let object = &owner.says.object;
        let (mut pods, mut replica_sets) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
        match &owner.selector {
            Some(selector) if owner.has_replica_sets => {
                (pods, replica_sets) = tokio::join!(
                    self.pods_matched(namespace, selector),
                    matched(&self.inner.rollouts.replica_sets, namespace, selector),
                );
            }
            Some(selector) => pods = self.pods_matched(namespace, selector).await,
            None if object.kind == RolloutKind::None => {}
            None => {
                let reason = format!("{id} has no selector, so it selects no pods");
                pods.1.push(Unseen::new("pods", reason));
            }
        }
        let now = self.server_now();
        let mut facts = RolloutFacts::new(now, owner.says.workload.clone(), object.clone());
        (facts.pods, facts.unseen) = pods;
        facts.replica_sets = replica_sets.0;
        facts.unseen.extend(replica_sets.1);
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

    /// A controller often writes the status of a workload a moment after its pods have changed. Both are told, each at once: what is
    /// read in between has the new pods beside the old status, and the next telling follows. Changes that come while nobody takes
    /// note are told once. Without a change it tells every ten seconds. What cannot be watched may have changed every five seconds;
    /// if many wait for such, 20 of them are told in a second.
    fn changed(&self, workload: &WorkloadName) -> BoxStream<'static, ()> {
        self.workload_changed(workload)
    }
}
