//! An object that has pods, as it is kept: what it says, and how its pods are found. What a workload's object says of its rollout is
//! read in `object`.

use std::sync::Arc;

use hikaru_core::{
    Text, Workload, WorkloadId,
    jobs::{JobName, JobStatus},
    port::{ClusterError, JobPods},
    rollout::{ObjectFacts, RolloutKind},
    workload::IdentityKeys,
};
use k8s_openapi::api::batch::v1::Job;
use kube::core::{Expression, Selector};

use super::{
    item::Labels,
    object,
    wanted::{Source, Which},
};
use crate::{
    job::status::status_of,
    kind::Kind,
    live::{LiveCluster, client::refusal, read},
};

/// An object that has pods.
pub(in crate::live) struct Owner<T> {
    /// What it says.
    pub(in crate::live) says: T,
    /// What the labels of its pods match. `None`: it has no rollouts, or selects no pods.
    pub(in crate::live) selector: Option<Selector>,
    /// Whether ReplicaSets stand between it and its pods.
    pub(super) has_replica_sets: bool,
}

/// What a workload's object says.
pub(super) struct WorkloadSays {
    pub(super) workload: Arc<Workload>,
    pub(super) object: ObjectFacts,
}

/// Reads the object of a workload.
fn read_workload(
    kind: &Kind,
    keys: &IdentityKeys,
    json: &str,
) -> Result<Owner<WorkloadSays>, String> {
    let seen = read::object::read(kind, keys, json).map_err(|odd| odd.message)?;
    let read = object::read(kind, json);
    let (object, selector) = read.map_err(|why| format!("cannot be read: {why}"))?;
    let mut workload = seen.workload;
    workload.containers.shrink_to_fit();
    workload.settings.shrink_to_fit();
    Ok(Owner {
        has_replica_sets: object.kind == RolloutKind::Deployment,
        selector,
        says: WorkloadSays {
            workload: Arc::new(workload),
            object,
        },
    })
}

/// What the labels of a Job's pods match.
fn pods_of(job: &JobStatus) -> Selector {
    let label = "batch.kubernetes.io/controller-uid".to_owned();
    Expression::Equal(label, job.uid.to_string()).into()
}

fn read_job(json: &str) -> Result<Owner<JobStatus>, String> {
    let job: Job = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let says = status_of(job)?;
    Ok(Owner {
        selector: Some(pods_of(&says)),
        has_replica_sets: false,
        says,
    })
}

impl LiveCluster {
    /// The workloads of a kind in a namespace that was checked. `None`: nobody has asked yet what the server calls this kind.
    pub(super) fn workloads(
        &self,
        kind: &Arc<Kind>,
        namespace: &Text,
    ) -> Option<Source<Owner<WorkloadSays>>> {
        let path = kind.path(kind.plural.get()?, Some(namespace));
        let (kind, keys) = (kind.clone(), self.keys().clone());
        Some(Source::new(path, move |json| {
            Ok((Labels::new(), read_workload(&kind, &keys, json)?))
        }))
    }

    /// The Jobs of a namespace.
    pub(super) fn jobs_of(namespace: &Text) -> Source<Owner<JobStatus>> {
        let path = format!("/apis/batch/v1/namespaces/{namespace}/jobs");
        Source::new(path, |json| Ok((Labels::new(), read_job(json)?)))
    }

    /// A workload as its watch tells, or else as the API server answers. `None`: there is none.
    pub(super) async fn workload_now(
        &self,
        kind: &Arc<Kind>,
        id: &WorkloadId,
    ) -> Result<Option<Arc<Owner<WorkloadSays>>>, ClusterError> {
        let odd = |why: &str| ClusterError::Invalid(format!("{id}: {why}"));
        let pool = &self.inner.rollouts.workloads;
        let source = self.workloads(kind, &id.namespace);
        let which = Which::Named(id.name.clone());
        // What a watch does not have may have been created a moment ago.
        if let Some(mut known) = source.and_then(|source| pool.known(&source, &which)) {
            if let Some(read) = known.read.pop() {
                return Ok(Some(read));
            }
            if let Some((_, why)) = known.odd.pop() {
                return Err(odd(&why));
            }
        }
        let text = match self.get_text(kind, id).await {
            Ok(text) => text,
            Err(ClusterError::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let read = read_workload(kind, self.keys(), &text).map_err(|why| odd(&why))?;
        Ok(Some(Arc::new(read)))
    }

    /// A Job as its watch tells. `None`: no watch is up to date, or it does not have the Job.
    pub(in crate::live) fn watched_job(&self, name: &JobName) -> Option<Arc<Owner<JobStatus>>> {
        let (source, which) = (
            Self::jobs_of(name.namespace()),
            Which::Named(name.name().clone()),
        );
        self.inner.rollouts.jobs.known(&source, &which)?.read.pop()
    }

    /// The pods of a Job, as their watch tells, or else as the API server answers.
    pub(in crate::live) async fn pods_of_job(
        &self,
        job: &JobStatus,
    ) -> Result<JobPods, ClusterError> {
        let namespace = job.name.namespace();
        let (source, which) = (Source::of(namespace), Which::Labeled(pods_of(job)));
        let matched = self.inner.rollouts.pods.matched(&source, &which).await;
        let mut matched =
            matched.map_err(|error| refusal::of_read(error, &format!("namespace {namespace}")))?;
        matched.read.sort_by(|a, b| a.name.cmp(&b.name));
        let odd = matched.odd.into_iter();
        let odd = odd.map(|(name, why)| format!("{namespace}/{name}: it cannot be read: {why}"));
        let mut pods = JobPods::none(self.server_now());
        (pods.pods, pods.warnings) = (matched.read, odd.collect());
        Ok(pods)
    }
}
