//! Permits: how many calls of a kind are worked on at once. The others wait for one, but for those that are to wait for a rollout
//! or a Job to end: these are refused.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::problem::{Kind, Refusal};
use crate::Limits;

/// The permits of a server.
pub(crate) struct Permits {
    /// To upgrade.
    pub(crate) upgrades: Arc<Semaphore>,
    /// To send the definition of a Job and create it.
    pub(crate) jobs: Arc<Semaphore>,
    /// To read the cluster and hold all that is found.
    pub(crate) reads: Arc<Semaphore>,
    /// To look at rollouts: a permit of their own, so that those who ask never keep an upgrade waiting.
    pub(crate) rollouts: Arc<Semaphore>,
    /// To wait for rollouts or a Job to end.
    waits: Arc<Semaphore>,
    most_waits: usize,
    /// To hold an answer with logs.
    pub(crate) job_logs: Arc<Semaphore>,
}

impl Permits {
    pub(crate) fn new(limits: &Limits) -> Self {
        let permits = |count: usize| Arc::new(Semaphore::new(count.max(1)));
        Self {
            upgrades: permits(limits.upgrades),
            jobs: permits(limits.jobs),
            reads: permits(limits.reads),
            rollouts: permits(limits.rollouts),
            waits: permits(limits.waits),
            most_waits: limits.waits.max(1),
            job_logs: permits(limits.job_logs),
        }
    }

    /// A permit to wait, without waiting for it. Who waits takes it before anything is written.
    ///
    /// # Errors
    /// There is none now: `busy`.
    pub(crate) fn wait(&self) -> Result<OwnedSemaphorePermit, Box<Refusal>> {
        let busy = "too many calls wait for rollouts or Jobs to end: nothing was done";
        let permit = self.waits.clone().try_acquire_owned();
        permit.map_err(|_| Refusal::new(Kind::Busy, busy))
    }

    /// How many calls wait for rollouts or a Job to end.
    pub(crate) fn waiting(&self) -> usize {
        let free = self.waits.available_permits();
        self.most_waits.saturating_sub(free)
    }
}

/// A permit, in the order of arrival.
///
/// # Errors
/// There is none within that time: `busy`, with this sentence.
pub(crate) async fn acquire(
    permits: &Arc<Semaphore>,
    within: Duration,
    busy: &str,
) -> Result<OwnedSemaphorePermit, Box<Refusal>> {
    match timeout(within, permits.clone().acquire_owned()).await {
        Ok(Ok(permit)) => Ok(permit),
        // The semaphore is never closed, so the time is over.
        _ => Err(Refusal::new(Kind::Busy, busy)),
    }
}
