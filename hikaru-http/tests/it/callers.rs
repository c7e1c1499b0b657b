//! Callers: what they may do and see, over a real socket. Here is what these tests stand on: an authenticator that takes everybody for
//! one caller. Rights are in `rights`, what narrowed callers see in `sight`, Jobs in `jobs`, logs of containers in `logs`, what the
//! log, reports and observers say of a caller in `told`. Tokens are elsewhere.

mod jobs;
mod logs;
mod rights;
mod sight;
mod told;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use hikaru_core::{
    caller::{Caller, Rights},
    jobs::Jobs,
    port::{RolloutPort, WorkloadPort},
    rollout::Rollouts,
};
use hikaru_http::{AuthRequest, Authenticator, Bound, Denied, Metrics, MetricsFormat};

use crate::cluster::{listener, memory, still_clock};

/// Takes everybody for this caller, or lets nobody in for this reason.
struct Takes(Result<Caller, Denied>);

#[async_trait]
impl Authenticator for Takes {
    async fn authenticate(&self, _: AuthRequest<'_>) -> Result<Caller, Denied> {
        self.0.clone()
    }

    fn trouble(&self) -> Option<String> {
        self.0
            .as_ref()
            .err()
            .map(|denied| format!("not well: {denied}"))
    }
}

/// Figures without a figure.
struct NoFigures;

impl Metrics for NoFigures {
    fn answered(&self, _: &'static str, _: u16, _: Duration, _: bool) {}
    fn waits(&self, _: usize) {}
    fn text(&self, _: MetricsFormat) -> String {
        String::new()
    }
}

/// A caller with the rights that these words say.
fn caller(rights: &[&str]) -> Caller {
    let mut granted = Rights::NONE;
    for word in rights {
        granted.grant(word).expect(word);
    }
    Caller::new("ci", granted)
}

/// A server on a cluster of workloads and rollouts, with figures, for one caller; Jobs can be added.
async fn bound(cluster: Arc<impl WorkloadPort + RolloutPort + 'static>, caller: Caller) -> Bound {
    let rollouts = Rollouts::new(cluster.clone(), Some(cluster.clone()), still_clock(), true);
    let takes = Takes(Ok(caller));
    let bound = Bound::new(listener().await, cluster, still_clock(), takes).expect("a server");
    bound.rollouts(rollouts).metrics(Arc::new(NoFigures))
}

/// A server with Jobs alone, for one caller.
async fn bound_jobs(jobs: Jobs, caller: Caller) -> Bound {
    bound(memory([]), caller).await.jobs(jobs)
}
