//! Calls that wait for rollouts: here is what their tests stand on. The answers are in `answers`, what is refused in `refused`, what
//! ends a wait before its time in `ends`, streams of events in `events`, the log and the figures in `told`.

mod answers;
mod ends;
mod events;
mod refused;
mod told;

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use futures_util::stream::{BoxStream, StreamExt as _};
use hikaru_core::{
    Text, Workload, WorkloadId,
    port::{Clock, ClusterError, RolloutPort, WorkloadPort},
    rollout::{EventFacts, RolloutFacts, RolloutKind, Rollouts},
    testing::MemoryCluster,
    workload::WorkloadName,
};
use hikaru_http::{Authentication, Bound, Limits, Serving};
use tokio::time::{Instant, timeout};

use crate::{
    client::{Answer, LONG, call},
    cluster::{BEFORE, listener, memory, still_clock, workload},
};

const POST: &str = "/api/image/acme/web:acme_web_main_1.4.0_7_0123abcd";
const VERIFY: &str = "/api/verify/acme/web:acme_web_main_1.4.0_7_0123abcd";
const ROLLOUT: &str = "/api/rollout/shop/deploy/web";

/// A clock whose time passes.
struct TokioClock(Instant);

#[async_trait]
impl Clock for TokioClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.elapsed()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// A cluster in memory that counts the workloads that are followed, and fails as it is told.
struct Scene {
    cluster: Arc<MemoryCluster>,
    followed: Arc<AtomicUsize>,
    fails: Mutex<Option<ClusterError>>,
}

/// Counts one that is followed until it is dropped.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl RolloutPort for Scene {
    async fn facts(&self, workload: &WorkloadName) -> Result<Option<RolloutFacts>, ClusterError> {
        let fails = self.fails.lock().expect("no panic").clone();
        match fails {
            Some(error) => Err(error),
            None => self.cluster.facts(workload).await,
        }
    }

    async fn events(
        &self,
        namespace: &str,
        uids: &BTreeSet<Text>,
    ) -> Result<Vec<EventFacts>, ClusterError> {
        self.cluster.events(namespace, uids).await
    }

    async fn not_ready_nodes(&self) -> Result<BTreeSet<Text>, ClusterError> {
        self.cluster.not_ready_nodes().await
    }

    async fn log<'a>(
        &'a self,
        namespace: &'a str,
        pod: &'a str,
        container: &'a str,
        previous: bool,
        lines: u32,
    ) -> Result<String, ClusterError> {
        let log = self.cluster.log(namespace, pod, container, previous, lines);
        log.await
    }

    fn changed(&self, workload: &WorkloadName) -> BoxStream<'static, ()> {
        self.followed.fetch_add(1, Ordering::SeqCst);
        let counted = Counted(self.followed.clone());
        let changed = self.cluster.changed(workload);
        changed
            .map(move |()| {
                let _ = &counted;
            })
            .boxed()
    }
}

fn deployment(name: &str) -> WorkloadId {
    WorkloadId::new("shop", "Deployment", name)
}

impl Scene {
    /// With these workloads, of which nothing rolls out yet.
    fn new(workloads: impl IntoIterator<Item = Workload>) -> Arc<Self> {
        Arc::new(Self {
            cluster: memory(workloads),
            followed: Arc::default(),
            fails: Mutex::default(),
        })
    }

    /// With Deployments of these names, which run what a post upgrades; their rollouts go on.
    fn shop(names: &[&str]) -> Arc<Self> {
        let workloads = names
            .iter()
            .map(|name| workload("shop", "Deployment", name, &[("web", BEFORE)]));
        let scene = Self::new(workloads);
        for name in names {
            scene.tell(name, |_| {});
        }
        scene
    }

    /// What is told of the rollout of a Deployment: it goes on, but for this.
    fn tell(&self, name: &str, edit: impl FnOnce(&mut RolloutFacts)) {
        let told = self.cluster.tell_rollout(&deployment(name), |facts| {
            let object = &mut facts.object;
            object.kind = RolloutKind::DaemonSet;
            (object.generation, object.observed) = (2, 2);
            object.desired = 1;
            object.is_paused = false;
            edit(facts);
        });
        assert!(told, "there is no {name}");
    }

    /// The rollout of a Deployment is complete.
    fn complete(&self, name: &str) {
        self.tell(name, |facts| facts.object.desired = 0);
    }

    /// The rollout of a Deployment is paused, which a wait takes for a failure.
    fn pause(&self, name: &str) {
        self.tell(name, |facts| facts.object.is_paused = true);
    }

    fn fail(&self, error: ClusterError) {
        *self.fails.lock().expect("no panic") = Some(error);
    }

    /// A server whose waits take no time.
    async fn serve(self: &Arc<Self>) -> Serving {
        self.bound(self.cluster.clone(), still_clock())
            .await
            .serve()
    }

    /// A server whose waits take their time.
    async fn serve_in_time(self: &Arc<Self>, limits: Limits) -> Serving {
        let bound = self.bound_in_time(self.cluster.clone()).await;
        bound.limits(limits).serve()
    }

    async fn bound_in_time(self: &Arc<Self>, workloads: Arc<dyn WorkloadPort>) -> Bound {
        let clock = Arc::new(TokioClock(Instant::now()));
        self.bound(workloads, clock).await
    }

    async fn bound(
        self: &Arc<Self>,
        workloads: Arc<dyn WorkloadPort>,
        clock: Arc<dyn Clock>,
    ) -> Bound {
        let port: Arc<dyn RolloutPort> = self.clone();
        let rollouts = Rollouts::new(workloads.clone(), Some(port), clock.clone(), true);
        let bound = Bound::new(listener().await, workloads, clock, Authentication::Loopback);
        bound.expect("a loopback address").rollouts(rollouts)
    }

    /// Until so many workloads are followed.
    async fn until_followed(&self, count: usize) {
        let counted = async {
            while self.followed.load(Ordering::SeqCst) != count {
                tokio::task::yield_now().await;
            }
        };
        timeout(LONG, counted).await.expect("in time");
    }
}

async fn get(server: &Serving, target: &str) -> Answer {
    call(server.address(), "GET", target).await
}

async fn post(server: &Serving, query: &str) -> Answer {
    call(server.address(), "POST", &format!("{POST}{query}")).await
}
