//! The use cases: asks the ports how a rollout is, judges it, and collects what shows why it failed.

use std::sync::Arc;

use super::{
    evidence::Evidence,
    state::{Asked, Rollout},
};
use crate::{
    Text, Workload,
    port::{Clock, ClusterError, RolloutPort, Scope, WorkloadPort},
    workload::WorkloadName,
};

/// How rollouts are, for those who ask. It remembers what each one has reached, and the evidence of those that failed.
pub struct Rollouts {
    workloads: Arc<dyn WorkloadPort>,
    port: Arc<dyn RolloutPort>,
    clock: Arc<dyn Clock>,
    shows_logs: bool,
}

/// What runs in one workload, and how its rollout is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatusRow {
    /// The workload.
    pub workload: Arc<Workload>,
    /// How its rollout is. An error: it could not be looked at.
    pub rollout: Result<Rollout, ClusterError>,
}

/// What became of a rollout, with what shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RolloutAnswer {
    /// The workload. `None`: it is gone.
    pub workload: Option<Arc<Workload>>,
    /// How the rollout is.
    pub rollout: Rollout,
    /// What shows why it failed. `None`: it has not failed.
    pub evidence: Option<Arc<Evidence>>,
}

impl Rollouts {
    /// Asks these ports. `shows_logs`: whether evidence has the end of a log, which may hold secrets.
    pub fn new(
        workloads: Arc<dyn WorkloadPort>,
        port: Arc<dyn RolloutPort>,
        clock: Arc<dyn Clock>,
        shows_logs: bool,
    ) -> Self {
        Self {
            workloads,
            port,
            clock,
            shows_logs,
        }
    }

    /// How the rollout of one workload is.
    ///
    /// # Errors
    /// [`ClusterError::NotFound`] when there is no such workload, and what the ports say.
    pub async fn look(
        &self,
        workload: &WorkloadName,
        asked: &Asked,
    ) -> Result<RolloutAnswer, ClusterError> {
        unimplemented!("by its developer")
    }

    /// What runs where: the workloads that the scope admits and that carry all three labels, sorted by their ids.
    ///
    /// # Errors
    /// When they cannot be found at all.
    pub async fn status(
        &self,
        scope: &Scope,
    ) -> Result<(Vec<StatusRow>, Vec<crate::port::Fault>), ClusterError> {
        unimplemented!("by its developer")
    }
}
