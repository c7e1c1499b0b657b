//! Jobs on a live cluster: created, looked at, waited for. Here is what is asked of the API server, and whether an answer
//! is about what was asked. How a Job is replaced and deleted is in `replace`, lists are in `list`, logs in `log`.
//! Definitions are read in `job`, refusals in `refusal`.

mod list;
mod log;
mod replace;

use std::time::Duration;

use hikaru_core::{
    ClusterError, JobCreated, JobName, JobRequest, JobSource, JobState, JobStatus, Mode,
};
use http::{Method, Request, header};
use k8s_openapi::api::batch::v1::Job;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::job::{
    Definition, from_cron_job,
    status::{status_of, troubles},
};

use super::{
    FIELD_MANAGER, LiveCluster,
    client::{Answer, Expected, refusal},
    error::RequestError,
};

/// How often it is looked whether a Job has gone or ended: soon at first.
const LOOKS: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// How much of a prefix (`generateName`) the API server keeps: five letters and digits follow it.
const LONGEST_PREFIX: usize = 58;

/// The path of a namespace's Jobs. It has been checked.
fn collection(namespace: &str) -> String {
    format!("/apis/batch/v1/namespaces/{namespace}/jobs")
}

fn object(name: &JobName) -> String {
    format!("{}/{}", collection(name.namespace()), name.name())
}

/// An answer that is not about what was asked: a proxy's, most likely. Asking again may help.
fn unreadable(why: impl std::fmt::Display) -> ClusterError {
    refusal::of_read(RequestError::Unreadable(why.to_string()))
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

    async fn read_json<T: DeserializeOwned>(&self, target: String) -> Result<T, ClusterError> {
        let expected = Expected::Page;
        let answer = self.ask(Method::GET, target, Vec::new(), expected).await;
        let answer = answer.map_err(refusal::of_read)?;
        serde_json::from_slice(&answer.body).map_err(unreadable)
    }

    fn allow(&self, namespace: &str) -> Result<(), ClusterError> {
        Ok(self.inner.settings.jobs.check_namespace(namespace)?)
    }

    /// Reads a definition, and where it is to run.
    async fn define(&self, request: &JobRequest) -> Result<Definition, ClusterError> {
        let definitions = &self.inner.definitions;
        let mut definition = match &request.source {
            JobSource::Json(text) => definitions.read(text, Definition::of_json).await?,
            JobSource::Yaml(text) => definitions.read(text, Definition::of_yaml).await?,
            JobSource::CronJob { name, image } => {
                self.allow(name.namespace())?;
                let namespace = name.namespace();
                let target = format!(
                    "/apis/batch/v1/namespaces/{namespace}/cronjobs/{}",
                    name.name()
                );
                let cron_job: Value = self.read_json(target).await?;
                let told = |field| cron_job["metadata"][field].as_str().unwrap_or_default();
                if told("namespace") != &**namespace || told("name") != &**name.name() {
                    return Err(unreadable(format!("it is not the CronJob {name}")));
                }
                from_cron_job(name, &cron_job, image.as_deref())?
            }
            _ => return Err(ClusterError::Unsupported("this source of a job")),
        };
        let default = &self.inner.namespace;
        definition.settle(request.namespace.as_ref(), default)?;
        self.inner.settings.jobs.check(&definition.facts)?;
        Ok(definition)
    }

    pub(super) async fn create_job(
        &self,
        request: &JobRequest,
        mode: Mode,
    ) -> Result<JobCreated, ClusterError> {
        let definition = self.define(request).await?;
        let namespace = definition.facts.namespace.clone();
        let namespace = namespace.unwrap_or_else(|| self.inner.namespace.as_str().into());
        match definition.name().filter(|_| request.replace) {
            Some(name) => {
                let name = JobName::new(&namespace, name);
                let name = name.map_err(|error| ClusterError::Invalid(error.to_string()))?;
                self.replace_job(&name, &definition, mode).await
            }
            None => self.send_job(&namespace, &definition, mode).await,
        }
    }

    /// Sends a definition, once.
    async fn send_job(
        &self,
        namespace: &str,
        definition: &Definition,
        mode: Mode,
    ) -> Result<JobCreated, ClusterError> {
        let shown = definition.name().or(definition.generate_name());
        let shown = format!("{namespace}/{}", shown.unwrap_or_default());
        let created = self.post_job(namespace, definition, mode).await;
        created.map_err(|error| refusal::of_create(error, &shown, mode))
    }

    async fn post_job(
        &self,
        namespace: &str,
        definition: &Definition,
        mode: Mode,
    ) -> Result<JobCreated, RequestError> {
        let dry = match mode {
            Mode::Commit => "",
            Mode::DryRun => "&dryRun=All",
        };
        let target = format!(
            "{}?fieldManager={FIELD_MANAGER}&fieldValidation=Strict{dry}",
            collection(namespace)
        );
        let body = definition.json();
        let answer = self
            .ask(Method::POST, target, body, Expected::Object)
            .await?;
        let unreadable = |why: String| RequestError::Unreadable(why);
        let job: Job =
            serde_json::from_slice(&answer.body).map_err(|error| unreadable(error.to_string()))?;
        let status = status_of(job).map_err(unreadable)?;
        let name = &status.name;
        let asked = match (definition.name(), definition.generate_name()) {
            (Some(asked), _) => &**name.name() == asked,
            (None, Some(prefix)) => {
                let kept = prefix.get(..LONGEST_PREFIX).unwrap_or(prefix);
                name.name().starts_with(kept)
            }
            (None, None) => false,
        };
        if !asked || &**name.namespace() != namespace {
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

    /// A Job as far as its object tells.
    async fn bare_status(&self, name: &JobName) -> Result<JobStatus, ClusterError> {
        let job: Job = self.read_json(object(name)).await?;
        let status = status_of(job).map_err(unreadable)?;
        if status.name != *name || status.uid.is_empty() {
            return Err(unreadable(format!("it is not the Job {name} with its uid")));
        }
        Ok(status)
    }

    pub(super) async fn job_status(&self, name: &JobName) -> Result<JobStatus, ClusterError> {
        self.allow(name.namespace())?;
        let mut status = self.bare_status(name).await?;
        self.look_for_trouble(&mut status).await;
        Ok(status)
    }

    async fn look_for_trouble(&self, status: &mut JobStatus) {
        if matches!(status.state, JobState::Complete | JobState::Suspended) {
            return;
        }
        match self.pods(status).await {
            Ok(pods) => {
                status.troubles = troubles(&pods.read);
                let faults = pods.faults.iter();
                let faults = faults.map(|fault| format!("{}: {}", fault.place, fault.message));
                status.warnings.extend(faults);
            }
            Err(error) => status
                .warnings
                .push(format!("its pods cannot be listed: {error}")),
        }
    }

    /// Looks again and again, until the Job with this uid has ended or the time is over. Only that it is gone, or that
    /// another one has its name, ends it sooner; and an error at the first look that asking again would not mend.
    pub(super) async fn await_job(
        &self,
        name: &JobName,
        uid: &str,
        within: Duration,
    ) -> Result<JobStatus, ClusterError> {
        self.allow(name.namespace())?;
        let deadline = Instant::now() + within;
        // A Job that fails for its deadline takes its pods with it: what they said before is its reason.
        let mut known = Vec::new();
        let mut last: Option<JobStatus> = None;
        let mut error = None;
        for turn in 0.. {
            match self.bare_status(name).await {
                Ok(status) if !uid.is_empty() && *status.uid != *uid => {
                    return Err(ClusterError::Exists(format!(
                        "another Job has taken the name {name}: expected the uid {uid}, found {}",
                        status.uid
                    )));
                }
                Ok(mut status) => {
                    self.look_for_trouble(&mut status).await;
                    if !status.troubles.is_empty() {
                        known.clone_from(&status.troubles);
                    } else if status.state == JobState::Failed {
                        status.troubles.clone_from(&known);
                    }
                    if status.state.has_ended() {
                        return Ok(status);
                    }
                    (last, error) = (Some(status), None);
                }
                Err(ClusterError::NotFound) => return Err(ClusterError::NotFound),
                // What was answered once will be again: an API server that starts refuses what it will allow.
                Err(again) if again.is_retryable() || last.is_some() => error = Some(again),
                Err(error) => return Err(error),
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            sleep(pause(turn).min(left)).await;
        }
        match (last, error) {
            (Some(mut status), error) => {
                let since = error.map(|error| format!("it could not be looked at again: {error}"));
                status.warnings.extend(since);
                Ok(status)
            }
            (None, error) => Err(error.unwrap_or(ClusterError::NotFound)),
        }
    }
}

/// The pause before the next look.
fn pause(turn: usize) -> Duration {
    LOOKS[turn.min(LOOKS.len() - 1)]
}
