//! What a call may see and do: the ports of the server, as the caller of the call sees them. No other file of `api` has the ports
//! themselves, so no call can pass by what narrows its caller.

use std::sync::Arc;

use hikaru_core::{
    caller::Caller,
    jobs::Jobs,
    port::{ClusterError, Freshness, Seen, WorkloadPort},
    rollout::Rollouts,
    upgrade::Report,
};

use super::problem::Refusal;
use crate::wire::{self, Interface};

/// The ports of a server.
pub(crate) struct Ports {
    cluster: Arc<dyn WorkloadPort>,
    jobs: Option<Jobs>,
    rollouts: Option<Rollouts>,
}

impl Ports {
    /// Workloads alone, without Jobs and rollouts.
    pub(crate) fn new(cluster: Arc<dyn WorkloadPort>) -> Self {
        Self {
            cluster,
            jobs: None,
            rollouts: None,
        }
    }

    pub(crate) fn set_jobs(&mut self, jobs: Jobs) {
        self.jobs = Some(jobs);
    }

    pub(crate) fn set_rollouts(&mut self, rollouts: Rollouts) {
        self.rollouts = Some(rollouts);
    }

    /// How up to date the cluster is known. Everybody may know that.
    pub(super) fn freshness(&self) -> Freshness {
        self.cluster.freshness()
    }

    /// All of them, as this caller sees them.
    pub(super) fn seen_by(&self, caller: Arc<Caller>) -> View {
        let cluster = self.cluster.clone();
        View {
            cluster: match caller.sees_all() {
                true => cluster,
                false => Arc::new(Seen::new(cluster, caller.clone())),
            },
            jobs: self.jobs.as_ref().map(|jobs| jobs.for_caller(&caller)),
            rollouts: self.rollouts.as_ref().map(|all| all.for_caller(&caller)),
            caller,
        }
    }
}

/// What a call may see and do. Cheap to clone.
#[derive(Clone)]
pub(crate) struct View {
    caller: Arc<Caller>,
    cluster: Arc<dyn WorkloadPort>,
    jobs: Option<Jobs>,
    rollouts: Option<Rollouts>,
}

impl View {
    /// Who calls.
    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The workloads that the caller may see.
    pub(super) fn cluster(&self) -> &dyn WorkloadPort {
        &*self.cluster
    }

    /// The use cases on Jobs. A server that has none refuses the call.
    pub(super) fn jobs(&self) -> Result<&Jobs, Box<Refusal>> {
        let unsupported = || ClusterError::Unsupported("work with Jobs").into();
        self.jobs.as_ref().ok_or_else(unsupported)
    }

    /// The use cases on rollouts. A server that has none refuses the call.
    pub(super) fn rollouts(&self) -> Result<&Rollouts, Box<Refusal>> {
        let unsupported = || ClusterError::Unsupported("looking at a rollout").into();
        self.rollouts.as_ref().ok_or_else(unsupported)
    }

    /// The full report, which names the caller.
    pub(super) fn report(&self, report: &Report) -> wire::Report {
        let mut told = wire::Report::new(report, Interface::Http);
        told.caller = Some(wire::Caller::from(self.caller()));
        told
    }
}
