//! The port to the Jobs of a live cluster: what is asked of the API server, and whether an answer is about what was asked. Lists are
//! in `list`, logs in `log`, deletions in `delete`. Definitions are read in `crate::job`; replacing and waiting are rules of
//! hikaru-core.

mod delete;
mod list;
mod log;

use std::collections::BTreeSet;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use hikaru_core::{
    Mode, Text,
    jobs::{
        JobCreated, JobDefinition, JobList, JobLog, JobName, JobNaming, JobRequest, JobSource,
        JobStatus, JudgedJob,
    },
    port::{ClusterError, JobPods, JobPort},
    rollout::EventFacts,
    workload::FIELD_MANAGER,
};
use http::{Method, Request, header};
use k8s_openapi::api::batch::v1::Job;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::job::{Definition, from_cron_job, status::status_of};

use super::{
    LiveCluster,
    client::{
        Answer, Expected,
        refusal::{self, unreadable},
    },
    error::RequestError,
};

/// How much of a prefix (`generateName`) the API server keeps: five letters and digits follow it.
const LONGEST_PREFIX: usize = 58;

/// The path of a namespace's Jobs. It has been checked.
fn collection(namespace: &str) -> String {
    format!("/apis/batch/v1/namespaces/{namespace}/jobs")
}

fn object(name: &JobName) -> String {
    format!("{}/{}", collection(name.namespace()), name.name())
}

impl LiveCluster {
    async fn ask(
        &self,
        method: Method,
        target: String,
        body: Vec<u8>,
        expected: Expected,
    ) -> Result<Answer, RequestError> {
        let request = Request::builder().method(method).uri(target);
        let request = request
            .header(header::CONTENT_TYPE, "application/json")
            .body(body);
        let request = request.map_err(|error| RequestError::NotSent(error.to_string()))?;
        self.inner.api.send(request, expected).await
    }

    /// Reads an object; `of`: which one.
    async fn read_json<T: DeserializeOwned>(
        &self,
        target: String,
        of: &str,
    ) -> Result<T, ClusterError> {
        let expected = Expected::Object;
        let answer = self.ask(Method::GET, target, Vec::new(), expected).await;
        let answer = answer.map_err(|error| refusal::of_read(error, &of))?;
        serde_json::from_slice(&answer.body).map_err(unreadable)
    }

    async fn post_job(
        &self,
        definition: &JobDefinition,
        mode: Mode,
    ) -> Result<JobCreated, RequestError> {
        let dry = match mode {
            Mode::Commit => "",
            Mode::DryRun => "&dryRun=All",
        };
        let target = format!(
            "{}?fieldManager={FIELD_MANAGER}&fieldValidation=Strict{dry}",
            collection(definition.naming.namespace())
        );
        let body = definition.json.as_bytes().to_vec();
        let answer = self
            .ask(Method::POST, target, body, Expected::Object)
            .await?;
        let unreadable = |why: String| RequestError::Unreadable(why);
        let job: Job =
            serde_json::from_slice(&answer.body).map_err(|error| unreadable(error.to_string()))?;
        let status = status_of(job).map_err(unreadable)?;
        let name = &status.name;
        let asked = match &definition.naming {
            JobNaming::Named(asked) => name == asked,
            JobNaming::Generated { namespace, prefix } => {
                let kept = prefix.get(..LONGEST_PREFIX).unwrap_or(prefix);
                name.namespace() == namespace && name.name().starts_with(kept)
            }
        };
        if !asked {
            return Err(unreadable(format!("it is about the Job {name}")));
        }
        let uid = match mode {
            Mode::Commit if status.uid.is_empty() => {
                return Err(unreadable("the Job has no uid".to_owned()));
            }
            Mode::Commit => status.uid,
            // A dry run creates no Job that the uid could name.
            Mode::DryRun => "".into(),
        };
        let mut created = JobCreated::new(status.name, uid);
        created.warnings = answer.warnings.iter().map(ToString::to_string).collect();
        Ok(created)
    }
}

#[async_trait]
impl JobPort for LiveCluster {
    async fn define(&self, request: &JobRequest) -> Result<JobDefinition, ClusterError> {
        let definitions = &self.inner.definitions;
        let definition = match &request.source {
            JobSource::Json(text) => definitions.read(text, Definition::of_json).await?,
            JobSource::Yaml(text) => definitions.read(text, Definition::of_yaml).await?,
            JobSource::CronJob { name, image } => {
                let namespace = name.namespace();
                let target = format!(
                    "/apis/batch/v1/namespaces/{namespace}/cronjobs/{}",
                    name.name()
                );
                let cron_job: Value = self.read_json(target, &format!("CronJob {name}")).await?;
                let told = |field| cron_job["metadata"][field].as_str().unwrap_or_default();
                if told("namespace") != &**namespace || told("name") != &**name.name() {
                    return Err(unreadable(format!("it is not the CronJob {name}")));
                }
                from_cron_job(name, &cron_job, image.as_deref())?
            }
            _ => return Err(ClusterError::Unsupported("this source of a job")),
        };
        definition.settled(request.namespace.as_ref(), &self.inner.namespace)
    }

    async fn create(&self, job: &JudgedJob, mode: Mode) -> Result<JobCreated, ClusterError> {
        let definition = job.definition();
        let error = match self.post_job(definition, mode).await {
            Ok(created) => return Ok(created),
            Err(error) => error,
        };
        let warnings = error.warnings();
        let naming = &definition.naming;
        match (refusal::of_create(error, &naming.to_string(), mode), naming) {
            // The server checks the name last, so the rest of the definition is sound.
            (ClusterError::Exists(_), JobNaming::Named(name))
                if job.replaces() && mode == Mode::DryRun =>
            {
                let mut created = JobCreated::new(name.clone(), "");
                created.warnings = warnings;
                created.replaces = true;
                Ok(created)
            }
            (error, _) => Err(error),
        }
    }

    async fn get(&self, name: &JobName) -> Result<JobStatus, ClusterError> {
        let job: Job = self.read_json(object(name), &format!("Job {name}")).await?;
        let status = status_of(job).map_err(unreadable)?;
        if status.name != *name || status.uid.is_empty() {
            return Err(unreadable(format!("it is not the Job {name} with its uid")));
        }
        Ok(status)
    }

    async fn look<'a>(
        &'a self,
        name: &'a JobName,
        uid: &'a str,
    ) -> Result<JobStatus, ClusterError> {
        // The watch can still have a Job that had the name before.
        let is_it = |job: &JobStatus| uid.is_empty() || *job.uid == *uid;
        match self.watched_job(name).filter(|job| is_it(&job.says)) {
            Some(job) => Ok(job.says.clone()),
            None => JobPort::get(self, name).await,
        }
    }

    async fn list(&self, namespace: &str) -> Result<JobList, ClusterError> {
        self.list_jobs(namespace).await
    }

    async fn delete<'a>(
        &'a self,
        name: &'a JobName,
        uid: Option<&'a str>,
    ) -> Result<(), ClusterError> {
        self.delete_job_object(name, uid).await
    }

    /// While somebody waits for the Job, from the watch that there is for that.
    async fn pods(&self, job: &JobStatus) -> Result<JobPods, ClusterError> {
        self.pods_of_job(job).await
    }

    async fn events(
        &self,
        job: &JobStatus,
        uids: &BTreeSet<Text>,
    ) -> Result<Vec<EventFacts>, ClusterError> {
        self.events_about(job.name.namespace(), uids).await
    }

    fn changed(&self, name: &JobName) -> BoxStream<'static, ()> {
        self.job_changed(name)
    }

    async fn logs(&self, name: &JobName) -> Result<Vec<JobLog>, ClusterError> {
        self.logs_of_job(name).await
    }
}
