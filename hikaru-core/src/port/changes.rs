//! The port for those who wait: which workloads have changed. What they are waiting for, they read when they are told.

use std::sync::Arc;

use futures_util::stream::BoxStream;

use crate::workload::WorkloadId;

/// A cluster that tells which workloads have changed. A cluster that is read only on demand, such as a folder of manifests, does
/// not implement this port.
///
/// ```
/// # futures_util::FutureExt::now_or_never(async {
/// use futures_util::StreamExt;
/// use hikaru_core::{Workload, WorkloadId, port::{Changed, Changes}, testing::MemoryCluster};
/// let cluster = MemoryCluster::default();
/// let mut changes = cluster.changes();
/// let id = WorkloadId::new("shop", "Deployment", "web");
/// cluster.put(Workload::new(id.clone()));
/// assert_eq!(changes.next().await, Some(Changed::Workloads([id].into())));
/// # }).unwrap();
/// ```
pub trait Changes: Send + Sync {
    /// The changes from now on, in their order. So whoever waits for a state begins to listen first, and then looks whether it is
    /// there already. It ends when nobody watches the cluster any more.
    fn changes(&self) -> BoxStream<'static, Changed>;
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Changed {
    /// These workloads were created, changed or deleted, as seen by [`find`](super::WorkloadPort::find). Several
    /// changes of a workload may be told as one, and a workload may be told although nothing changed.
    Workloads(Arc<[WorkloadId]>),
    /// The reader was too slow and missed some changes: any workload may have changed.
    Missed,
}
