//! The port to what a cluster says of rollouts. What it means is decided in `rollout`.

use std::collections::BTreeSet;

use async_trait::async_trait;
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};

use super::error::ClusterError;
use crate::{
    Text,
    rollout::facts::{EventFacts, RolloutFacts},
    workload::WorkloadName,
};

/// What a cluster says of rollouts. Object-safe: used as `Arc<dyn RolloutPort>`. [`Rollouts`](crate::rollout::Rollouts) stands
/// between it and its users. A cluster in which nothing rolls out, such as a folder of manifests, does not implement it.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait RolloutPort: Send + Sync {
    /// What is known of a workload, its ReplicaSets and its pods, without events and nodes. An adapter may watch the pods from
    /// the first question on, and let go when nobody asks any more. `None`: there is no such workload. What may not be read is
    /// among [`RolloutFacts::unseen`].
    ///
    /// # Errors
    /// When the workload itself cannot be read.
    async fn facts(&self, workload: &WorkloadName) -> Result<Option<RolloutFacts>, ClusterError>;

    /// The Warning events about these objects, by their uids.
    ///
    /// # Errors
    /// When they cannot be listed: [`ClusterError::Forbidden`] where the right is missing.
    async fn events(
        &self,
        namespace: &str,
        uids: &BTreeSet<Text>,
    ) -> Result<Vec<EventFacts>, ClusterError>;

    /// The names of the nodes that are not ready.
    ///
    /// # Errors
    /// When they cannot be listed: [`ClusterError::Forbidden`] where the right is missing.
    async fn not_ready_nodes(&self) -> Result<BTreeSet<Text>, ClusterError>;

    /// The last lines of what a container has written, at most `lines`, each byte that is no UTF-8 as `?`.
    ///
    /// # Errors
    /// [`ClusterError::NotFound`] when there is no such pod, [`ClusterError::Forbidden`] where the right is missing.
    async fn log<'a>(
        &'a self,
        namespace: &'a str,
        pod: &'a str,
        container: &'a str,
        previous: bool,
        lines: u32,
    ) -> Result<String, ClusterError>;

    /// Tells at once, and then whenever the workload, its ReplicaSets or its pods may have changed: whoever waits reads the
    /// [`facts`](Self::facts) each time. By default it tells once: then only the time passes.
    fn changed(&self, _workload: &WorkloadName) -> BoxStream<'static, ()> {
        stream::once(async {}).chain(stream::pending()).boxed()
    }
}
