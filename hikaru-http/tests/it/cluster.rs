//! The clusters that the tests' servers stand on: a small shop in memory, one whose writes wait, one that answers as it
//! is told.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use hikaru_core::{
    Container, IdentityLabels, Mode, Text, Workload, WorkloadId,
    jobs::{JobDefinition, JobFacts, JobName, JobNaming, JobPolicy, JobStatus, Jobs},
    policy::Change,
    port::{Clock, ClusterError, Found, Freshness, JobPods, JobPort, Scope, WorkloadPort, Written},
    rollout::{ContainerFacts, ContainerState, PodFacts, Terminated},
    testing::{MemoryCluster, MockJobPort, MockWorkloadPort, StillClock},
    workload::WorkloadName,
};
use hikaru_http::{Authentication, Bound, CallerSet, Callers, Limits, Serving, Token};
use tokio::{net::TcpListener, sync::Semaphore};

/// What is posted, and what ran before it.
pub(crate) const POSTED: &str = "acme/web:acme_web_main_1.4.0_7_0123abcd";
pub(crate) const BEFORE: &str = "acme/web:acme_web_main_1.3.0_6_0123abcd";

pub(crate) fn workload(
    namespace: &str,
    kind: &str,
    name: &str,
    images: &[(&str, &str)],
) -> Workload {
    let mut workload = Workload::new(WorkloadId::new(namespace, kind, name));
    workload.labels = IdentityLabels::new("acme", "web", "main");
    for (name, image) in images {
        workload.containers.push(Container::new(*name, *image));
    }
    workload
}

/// A cluster with these workloads.
pub(crate) fn memory(workloads: impl IntoIterator<Item = Workload>) -> Arc<MemoryCluster> {
    let cluster = MemoryCluster::default();
    for workload in workloads {
        cluster.put(workload);
    }
    Arc::new(cluster)
}

/// A cluster with one workload, which a post of [`POSTED`] upgrades.
pub(crate) fn shop() -> Arc<MemoryCluster> {
    memory([workload("shop", "Deployment", "web", &[("web", BEFORE)])])
}

pub(crate) fn image_of(cluster: &MemoryCluster, namespace: &str, kind: &str, name: &str) -> String {
    let workload = cluster.get(&WorkloadId::new(namespace, kind, name));
    workload.expect("the workload").containers[0]
        .image
        .to_string()
}

/// What web of the shop runs now.
pub(crate) fn runs(cluster: &MemoryCluster) -> String {
    image_of(cluster, "shop", "Deployment", "web")
}

/// The clock of the servers under test: nothing waits for a lost answer.
pub(crate) fn still_clock() -> Arc<dyn Clock> {
    Arc::new(StillClock::default())
}

pub(crate) async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a free port")
}

/// Callers that are known.
pub(crate) fn known(set: CallerSet) -> Authentication {
    Authentication::Callers(Arc::new(Callers::new(set, still_clock())))
}

/// Callers with these tokens and all rights.
pub(crate) fn tokens<const N: usize>(tokens: [&str; N]) -> Authentication {
    let token = |text: &str| Token::new(&text.into()).expect("a token");
    known(CallerSet::of_tokens(tokens.map(token)))
}

/// A server without a token.
pub(crate) async fn serve(cluster: Arc<dyn WorkloadPort>) -> Serving {
    serve_with(cluster, Authentication::Loopback, Limits::default()).await
}

pub(crate) async fn serve_with(
    cluster: Arc<dyn WorkloadPort>,
    authentication: Authentication,
    limits: Limits,
) -> Serving {
    let bound = Bound::new(listener().await, cluster, still_clock(), authentication)
        .expect("a loopback address");
    bound.limits(limits).serve()
}

/// Jobs that anybody may run anywhere.
pub(crate) fn jobs_on(port: Arc<dyn JobPort>, clock: Arc<dyn Clock>) -> Jobs {
    let mut policy = JobPolicy::default();
    (policy.namespaces, policy.service_accounts) = (None, None);
    Jobs::new(port, policy, clock)
}

/// The definition of a Job with this name.
pub(crate) fn definition_of(name: JobName) -> JobDefinition {
    JobDefinition {
        naming: JobNaming::Named(name),
        facts: JobFacts::default(),
        json: "{}".into(),
    }
}

/// Jobs that answer as a test expects. What it says nothing of: Jobs run, each definition is read as the Job shop/migrate, and
/// the troubles of a Job are those of its status.
pub(crate) fn mock_port(expect: impl FnOnce(&mut MockJobPort)) -> Arc<MockJobPort> {
    let mut port = MockJobPort::new();
    expect(&mut port);
    // A mock takes the first expectation that matches, so these come last.
    port.expect_runs_jobs().return_const(true);
    port.expect_define().returning(|_| {
        let name = JobName::new("shop", "migrate").expect("a name");
        Ok(definition_of(name))
    });
    port.expect_pods().returning(|job| Ok(pods_of(job)));
    port.expect_events().returning(|_, _| Ok(Vec::new()));
    port.expect_changed()
        .returning(|_| stream::pending().boxed());
    Arc::new(port)
}

/// Pods that have the troubles of a status.
fn pods_of(job: &JobStatus) -> JobPods {
    let mut pods = JobPods::none(SystemTime::UNIX_EPOCH);
    for trouble in &job.troubles {
        let mut container = ContainerFacts::default();
        container.name = trouble.container.clone();
        container.state = match trouble.exit_code {
            Some(code) => {
                let mut ended = Terminated::default();
                (ended.exit_code, ended.reason) = (code, trouble.reason.clone());
                ended.message = trouble.message.clone();
                ContainerState::Terminated(ended)
            }
            None => ContainerState::Waiting {
                reason: trouble.reason.clone(),
                message: trouble.message.clone(),
            },
        };
        let mut pod = PodFacts::default();
        (pod.name, pod.owner) = (trouble.pod.clone(), Some(job.uid.clone()));
        pod.containers.push(container);
        pods.pods.push(Arc::new(pod));
    }
    pods
}

/// Jobs over such a mock.
pub(crate) fn mock_jobs(expect: impl FnOnce(&mut MockJobPort)) -> Jobs {
    jobs_on(mock_port(expect), still_clock())
}

/// A server with Jobs, and without workloads.
pub(crate) async fn serve_jobs(jobs: Jobs) -> Serving {
    serve_jobs_with(jobs, Authentication::Loopback, Limits::default()).await
}

pub(crate) async fn serve_jobs_with(
    jobs: Jobs,
    authentication: Authentication,
    limits: Limits,
) -> Serving {
    let bound = Bound::new(listener().await, memory([]), still_clock(), authentication)
        .expect("a loopback address");
    bound.jobs(jobs).limits(limits).serve()
}

/// A server on a cluster that answers each search so.
pub(crate) async fn serve_found(
    found: impl Fn() -> Result<Found, ClusterError> + Send + Sync + 'static,
) -> Serving {
    let mut cluster = MockWorkloadPort::new();
    cluster.expect_freshness().return_const(Freshness::Fresh);
    cluster.expect_find().returning(move |_| found());
    serve(Arc::new(cluster)).await
}

/// The next request is served as if nothing had happened.
pub(crate) async fn works(server: SocketAddr) {
    let answer = crate::client::call(server, "GET", "/livez").await;
    assert_eq!(
        (answer.status, &*answer.text),
        (200, r#"{"status":"alive"}"#)
    );
}

/// A cluster whose writes wait until they are let through, each.
pub(crate) struct Gate {
    pub(crate) cluster: Arc<MemoryCluster>,
    pub(crate) gate: Semaphore,
    begun: Semaphore,
    /// How many writes were dropped before they were done.
    pub(crate) dropped: Arc<AtomicUsize>,
}

impl Gate {
    pub(crate) fn new(cluster: Arc<MemoryCluster>) -> Arc<Self> {
        Arc::new(Self {
            cluster,
            gate: Semaphore::new(0),
            begun: Semaphore::new(0),
            dropped: Arc::default(),
        })
    }

    /// Until this many more writes wait.
    pub(crate) async fn wait_for_writes(&self, count: u32) {
        let begun = tokio::time::timeout(crate::client::LONG, self.begun.acquire_many(count));
        begun.await.expect("in time").expect("open").forget();
    }
}

struct Counted(Option<Arc<AtomicUsize>>);

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(dropped) = &self.0 {
            dropped.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[async_trait]
impl WorkloadPort for Gate {
    fn freshness(&self) -> Freshness {
        self.cluster.freshness()
    }

    async fn find(&self, scope: &Scope) -> Result<Found, ClusterError> {
        self.cluster.find(scope).await
    }

    async fn read(&self, id: &WorkloadId) -> Result<Option<Workload>, ClusterError> {
        self.cluster.read(id).await
    }

    async fn write(&self, change: &Change, mode: Mode) -> Result<Written, ClusterError> {
        let mut counted = Counted(Some(self.dropped.clone()));
        self.begun.add_permits(1);
        self.gate.acquire().await.expect("open").forget();
        let written = self.cluster.write(change, mode).await;
        counted.0 = None;
        written
    }

    async fn unhold(
        &self,
        workload: &WorkloadName,
        container: Option<Text>,
    ) -> Result<Vec<(Text, Text)>, ClusterError> {
        self.cluster.unhold(workload, container).await
    }
}
