//! Lists of Jobs and of their pods. One item that cannot be read is a fault; the others go on. The bounds are those of
//! every other list.

use hikaru_core::{ClusterError, Fault, JobList, JobStatus};
use http::Method;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::core::{Request as Resource, params::ListParams};

use super::{collection, unreadable};
use crate::{
    job::status::{Items, RawList, name_of, place, status_of},
    live::{
        LiveCluster,
        client::{Expected, refusal},
        error::RequestError,
        read::list::{Most, PAGES, RESTARTS, is_gone},
    },
};

/// Pods of a Job that are looked at.
const PODS: u32 = 50;

impl LiveCluster {
    pub(in crate::live) async fn list_jobs(
        &self,
        namespace: &str,
    ) -> Result<JobList, ClusterError> {
        hikaru_core::check_namespace(namespace)
            .map_err(|error| ClusterError::Invalid(error.to_string()))?;
        self.allow(namespace)?;
        let mut list = JobList::default();
        let mut next = String::new();
        let (mut left, mut size, mut restarts) = (Most::All.objects(), 0, 0);
        loop {
            let limit = PAGES[size];
            if left < limit {
                let most = Most::All.objects();
                return Err(unreadable(format!(
                    "the list does not end after {most} objects"
                )));
            }
            left -= limit;
            let page = match self.page_of_jobs(namespace, limit, &next).await {
                Ok(page) => page,
                Err(RequestError::TooLong(_)) if size + 1 < PAGES.len() => {
                    size += 1;
                    continue;
                }
                Err(error) if is_gone(&error) && !next.is_empty() && restarts < RESTARTS => {
                    // The pages so far are of a state that the next ones will not be of.
                    restarts += 1;
                    (list, next, left) = (JobList::default(), String::new(), Most::All.objects());
                    continue;
                }
                Err(error) => return Err(refusal::of_read(error)),
            };
            let items: Items<Job> = page.read(namespace);
            list.faults.extend(items.faults);
            for job in items.read {
                let place = place(&job.metadata);
                match status_of(job) {
                    Ok(status) => list.jobs.push(status),
                    Err(why) => list.faults.push(fault(place, why)),
                }
            }
            if page.next().is_empty() {
                break;
            }
            if page.next() == next {
                return Err(unreadable("the page that follows is the same page"));
            }
            page.next().clone_into(&mut next);
        }
        list.jobs.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(list)
    }

    async fn page_of_jobs(
        &self,
        namespace: &str,
        limit: u32,
        next: &str,
    ) -> Result<RawList, RequestError> {
        let mut params = ListParams::default().limit(limit);
        if !next.is_empty() {
            params = params.continue_token(next);
        }
        let request = Resource::new(collection(namespace)).list(&params);
        let request = request.map_err(|error| RequestError::NotSent(error.to_string()))?;
        let target = request.uri().to_string();
        let expected = Expected::Page;
        let answer = self.ask(Method::GET, target, Vec::new(), expected).await?;
        serde_json::from_slice(&answer.body)
            .map_err(|error| RequestError::Unreadable(error.to_string()))
    }

    /// The pods of a Job, sorted by name.
    pub(super) async fn pods(&self, of: &JobStatus) -> Result<Items<Pod>, ClusterError> {
        let namespace = of.name.namespace();
        let target = format!(
            "/api/v1/namespaces/{namespace}/pods?limit={PODS}&labelSelector=batch.kubernetes.io%2Fcontroller-uid%3D{}",
            of.uid
        );
        let page: RawList = self.read_json(target).await?;
        let mut pods: Items<Pod> = page.read(namespace);
        pods.read.sort_by(|a, b| name_of(a).cmp(name_of(b)));
        if !page.next().is_empty() {
            let why = format!("left out: the Job has more than {PODS} pods");
            pods.faults.push(fault("the other pods".to_owned(), why));
        }
        Ok(pods)
    }
}

fn fault(place: String, why: String) -> Fault {
    Fault::new(hikaru_core::Severity::Failure, place, why)
}
