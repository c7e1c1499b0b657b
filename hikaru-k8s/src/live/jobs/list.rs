//! Lists of Jobs and of their pods. One item that cannot be read is a fault; the others go on. The bounds are those of
//! every other list.

use hikaru_core::{
    jobs::{JobList, JobStatus},
    port::{ClusterError, Fault},
};
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};

use super::collection;
use crate::{
    job::status::{Items, name_of, place, status_of},
    live::{
        LiveCluster,
        client::refusal,
        read::pages::{Collection, Limit, Page, Pages, Step},
    },
};

/// How many pods of a Job are read.
const PODS: u32 = 50;

impl LiveCluster {
    pub(super) async fn list_jobs(&self, namespace: &str) -> Result<JobList, ClusterError> {
        hikaru_core::workload::check_namespace(namespace)
            .map_err(|error| ClusterError::Invalid(error.to_string()))?;
        let api = &self.inner.api;
        let mut pages = Pages::new(
            Collection {
                path: collection(namespace),
                ..Collection::default()
            },
            Limit::All,
        );
        let read = |page: &Page<'_>| Items::<Job>::read(&page.items, namespace);
        let mut list = JobList::default();
        let failed = |error| refusal::of_read(error, &format!("namespace {namespace}"));
        while let Some(step) = pages.step(api, read).await.map_err(failed)? {
            let items = match step {
                Step::Page(items, _) => items,
                Step::Restarted => {
                    list = JobList::default();
                    continue;
                }
            };
            list.faults.extend(items.faults);
            for job in items.read {
                let place = place(&job.metadata);
                match status_of(job) {
                    Ok(status) => list.jobs.push(status),
                    Err(why) => list.faults.push(fault(place, why)),
                }
            }
        }
        list.jobs.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(list)
    }

    /// The pods of a Job whose logs are read, sorted by name.
    pub(super) async fn pods_with_logs(&self, of: &JobStatus) -> Result<Items<Pod>, ClusterError> {
        let namespace = of.name.namespace();
        let collection = Collection {
            path: format!("/api/v1/namespaces/{namespace}/pods"),
            selector: format!("batch.kubernetes.io/controller-uid={}", of.uid),
            ..Collection::default()
        };
        let read = |page: &Page<'_>| Items::<Pod>::read(&page.items, namespace);
        let page = collection.page(&self.inner.api, PODS, "", read).await;
        let (mut pods, page) =
            page.map_err(|error| refusal::of_read(error, &format!("namespace {namespace}")))?;
        pods.read.sort_by(|a, b| name_of(a).cmp(name_of(b)));
        if !page.next.is_empty() {
            let why = format!("left out: the Job has more than {PODS} pods");
            pods.faults.push(fault("the other pods".to_owned(), why));
        }
        Ok(pods)
    }
}

fn fault(place: String, why: String) -> Fault {
    Fault::new(hikaru_core::port::Severity::Failure, place, why)
}
