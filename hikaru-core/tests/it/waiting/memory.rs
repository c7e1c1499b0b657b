//! What a wait needs of memory.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use futures_util::{FutureExt as _, StreamExt as _};
use hikaru_core::{
    Container, IdentityLabels, Workload, WorkloadId,
    port::Clock,
    rollout::{Awaited, Rollouts},
    testing::MemoryCluster,
    upgrade::candidates,
};

use super::{NEW, request, starting, tell, terms};

/// A clock on which no time passes.
struct NoTime;

#[async_trait]
impl Clock for NoTime {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    async fn sleep(&self, _time: Duration) {
        std::future::pending().await
    }
}

/// What a port keeps of pods and objects comes beside it.
#[test]
fn a_thousand_workloads_are_followed_with_little_memory() {
    const WORKLOADS: u64 = 1_000;
    const MOST: u64 = 4_096;
    let cluster = Arc::new(MemoryCluster::default());
    for n in 0..WORKLOADS {
        let mut workload = Workload::new(WorkloadId::new("shop", "Deployment", format!("web-{n}")));
        workload.labels = IdentityLabels::new("acme", "web", "main");
        workload.containers.push(Container::new("web", NEW));
        let id = workload.id.clone();
        cluster.put(workload);
        tell(&cluster, &id, starting());
    }
    let rollouts = Rollouts::new(
        cluster.clone(),
        Some(cluster.clone()),
        Arc::new(NoTime),
        true,
    );
    let plan = candidates(&*cluster, request(NEW)).now_or_never();
    let plan = plan.expect("at once").expect("a plan");
    let (mut events, mut told) = (None, 0);
    let counted = allocation_counter::measure(|| {
        let waited = rollouts.wait(Awaited::meant(&plan), terms());
        let waited = events.insert(waited.expect("it can be waited for"));
        while waited.next().now_or_never().is_some() {
            told += 1;
        }
    });
    assert_eq!(told, WORKLOADS);
    let each = u64::try_from(counted.bytes_current).expect("some") / WORKLOADS;
    assert!(each <= MOST, "{each} bytes");
}
