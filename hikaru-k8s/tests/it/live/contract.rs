//! The port's contract on the real API server: asked each time, and watched.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use hikaru_core::{
    Workload, WorkloadId,
    jobs::{JobName, JobSource},
    port::{Changes, JobPort, Scope, Select, WorkloadPort},
    testing::contract::{Abilities, JobSubject, Subject, run, run_jobs},
};
use hikaru_k8s::{WatchSettings, WatchedCluster};
use xtask::Cluster;

use super::rig;

/// A namespace of the real cluster, worked on by a person with kubectl.
struct Hands<P> {
    port: P,
    /// Reads past the port under test.
    live: hikaru_k8s::LiveCluster,
    /// What tells of changes.
    watched: Option<WatchedCluster>,
    namespace: String,
}

#[async_trait]
impl<P: WorkloadPort> Subject for Hands<P> {
    fn port(&self) -> &dyn WorkloadPort {
        &self.port
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            marks: true,
            uids: true,
            // Its futures are tokio's.
            threads: false,
        }
    }

    fn namespace(&self) -> &str {
        &self.namespace
    }

    fn changes_port(&self) -> Option<&dyn Changes> {
        self.watched.as_ref().map(|watched| watched as &dyn Changes)
    }

    async fn put(&self, workload: &Workload) {
        let manifest = rig::manifest(workload).to_string();
        let there = self.live.read(&workload.id).await.expect("an answer");
        let (namespace, name) = (&workload.id.namespace, &workload.id.name);
        // Without discovery, which takes kubectl most of its time.
        let list = format!("/apis/apps/v1/namespaces/{namespace}/deployments");
        let (verb, path) = match there {
            Some(_) => ("replace", format!("{list}/{name}")),
            None => ("create", list),
        };
        rig::kubectl(&[verb, "--raw", &path, "--filename=-"], &manifest).await;
        // A view may be a moment old; the contract speaks of what it shows then.
        let until = Instant::now() + Duration::from_secs(10);
        let scope = Scope {
            select: Select::Named(vec![workload.id.clone()]),
            namespaces: vec![],
            workloads: Vec::new(),
        };
        loop {
            let live = self.live.read(&workload.id).await.expect("an answer");
            let seen = self
                .port
                .find(&scope)
                .await
                .expect("an answer")
                .workloads
                .pop()
                .map(Arc::unwrap_or_clone);
            let plain = |workload: Option<Workload>| {
                workload.map(|mut workload| {
                    workload.progress = None;
                    workload
                })
            };
            if plain(live) == plain(seen) {
                return;
            }
            assert!(
                Instant::now() < until,
                "{} is not seen as it is",
                workload.id
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn remove(&self, id: &WorkloadId) {
        let (namespace, kind, name) = (&*id.namespace, &*id.kind, &*id.name);
        let args = ["delete", kind, name, "--namespace", namespace];
        rig::kubectl(&args, "").await;
    }

    async fn pause(&self) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_cluster_keeps_the_contract() {
    let namespace = rig::namespace("contract").await;
    let live = rig::by_variables(Cluster::shared()).await;
    let broken = run(&Hands {
        port: live.clone(),
        live,
        watched: None,
        namespace: namespace.clone(),
    })
    .await;
    assert_eq!(broken, []);
    only_ours_was_written(&namespace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watched_cluster_keeps_the_contract() {
    let namespace = rig::namespace("contract").await;
    let live = rig::by_kubeconfig(Cluster::shared()).await;
    let port = WatchedCluster::start(live.clone(), WatchSettings::default());
    port.synced().await;
    let broken = run(&Hands {
        watched: Some(port.clone()),
        port,
        live,
        namespace: namespace.clone(),
    })
    .await;
    assert_eq!(broken, []);
    only_ours_was_written(&namespace).await;
}

/// The Jobs of a namespace of the real cluster.
struct RealJobs {
    live: hikaru_k8s::LiveCluster,
    namespace: String,
}

#[async_trait]
impl JobSubject for RealJobs {
    fn port(&self) -> Arc<dyn JobPort> {
        Arc::new(self.live.clone())
    }

    fn namespace(&self) -> &str {
        &self.namespace
    }

    fn definition(&self, name: &JobName) -> JobSource {
        let job = serde_json::json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"namespace": &**name.namespace(), "name": &**name.name()},
            "spec": {"template": {"spec": {
                "restartPolicy": "Never",
                "containers": [{"name": "migrate", "image": "acme/web:1"}],
            }}},
        });
        JobSource::Json(job.to_string().into())
    }

    async fn pause(&self) {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_cluster_keeps_the_clauses_about_jobs() {
    let namespace = rig::namespace("contract-jobs").await;
    let live = rig::by_variables(Cluster::shared()).await;
    let broken = run_jobs(&RealJobs { live, namespace }).await;
    assert_eq!(broken, []);
}

/// Every write is a patch that tests first and touches images, marks, `last-upgrade` and `change-cause` only.
async fn only_ours_was_written(namespace: &str) {
    let writes = rig::our_writes(namespace).await;
    assert!(writes.len() > 10, "{}", writes.len());
    for write in &writes {
        rig::assert_ours(write);
    }
}
