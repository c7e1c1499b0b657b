//! Jobs on a live cluster: what is asked and in which order. Definitions are read in `job`, refusals in `refusal`.

use std::time::Duration;

use hikaru_core::{
    ClusterError, JobCreated, JobLog, JobName, JobRequest, JobSource, JobState, JobStatus, Mode,
};
use http::{Method, Request, header};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::job::{
    Definition, from_cron_job,
    status::{Job, List, Pod, troubles},
};

use super::{
    FIELD_MANAGER, LiveCluster,
    client::{Answer, Expected, RequestError},
    refusal,
    seats::Lane,
};

/// How long a Job that is to be replaced may take to be gone: its pods have 30 s to end by default.
const GONE: Duration = Duration::from_secs(90);

/// How often it is looked whether a Job has gone or ended: soon at first.
const LOOKS: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// Jobs a page.
const PAGE: u32 = 500;

/// Pods that are looked at for what troubles a Job, and whose logs are read.
const PODS: u32 = 50;

/// Of each log: its last lines, and at most so many bytes.
const LOG_LINES: u32 = 2_000;
const LOG_BYTES: usize = 1024 * 1024;

/// Bytes of all logs together.
const LOGS_BYTES: usize = 8 * 1024 * 1024;

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
    ) -> Result<Answer, RequestError> {
        let request = Request::builder().method(method).uri(target);
        let request = request
            .header(header::CONTENT_TYPE, "application/json")
            .body(body);
        let request = request.map_err(|error| RequestError::NotSent(error.to_string()))?;
        let api = &self.inner.api;
        api.send(&Lane::Jobs, request, Expected::Page).await
    }

    async fn read_json<T: DeserializeOwned>(&self, target: String) -> Result<T, ClusterError> {
        let answer = self.ask(Method::GET, target, Vec::new()).await;
        let body = answer.map_err(refusal::of_read)?.body;
        serde_json::from_slice(&body)
            .map_err(|error| ClusterError::Invalid(format!("the answer cannot be read: {error}")))
    }

    fn allow(&self, namespace: &str) -> Result<(), ClusterError> {
        let checked = self.inner.settings.jobs.check_namespace(namespace);
        checked.map_err(|error| ClusterError::Forbidden(format!("the job is refused: {error}")))
    }

    /// Reads a definition, and where it is to run.
    async fn define(&self, request: &JobRequest) -> Result<Definition, ClusterError> {
        let mut definition = match &request.source {
            JobSource::Json(text) => {
                self.inner
                    .definitions
                    .read(|| Definition::of_json(text))
                    .await?
            }
            JobSource::Yaml(text) => {
                self.inner
                    .definitions
                    .read(|| Definition::of_yaml(text))
                    .await?
            }
            JobSource::CronJob { name, image } => {
                self.allow(name.namespace())?;
                let namespace = name.namespace();
                let target = format!(
                    "/apis/batch/v1/namespaces/{namespace}/cronjobs/{}",
                    name.name()
                );
                let cron_job: Value = self.read_json(target).await?;
                from_cron_job(name, &cron_job, image.as_deref())?
            }
            _ => return Err(ClusterError::Unsupported("this source of a job")),
        };
        let default = &self.inner.namespace;
        definition.settle(request.namespace.as_ref(), default)?;
        let checked = self.inner.settings.jobs.check(&definition.facts);
        checked.map_err(|error| ClusterError::Forbidden(format!("the job is refused: {error}")))?;
        Ok(definition)
    }

    pub(super) async fn create_job(
        &self,
        request: &JobRequest,
        mode: Mode,
    ) -> Result<JobCreated, ClusterError> {
        let mut definition = self.define(request).await?;
        let namespace = definition.facts.namespace.clone();
        let namespace = namespace.unwrap_or_else(|| self.inner.namespace.as_str().into());
        let named = definition.name().map(str::to_owned);
        if let Some(name) = named.filter(|_| request.replace) {
            let name = JobName::new(&namespace, &name);
            let name = name.map_err(|error| ClusterError::Invalid(error.to_string()))?;
            match mode {
                Mode::Commit => self.make_way(&name).await?,
                // The server would only say that the name is taken.
                Mode::DryRun => {
                    definition.rename("generateName", &format!("{}-", name.name()));
                    let shown = name.to_string();
                    let sent = self.send_job(&namespace, &definition, mode, &shown);
                    let mut created = sent.await?;
                    (created.name, created.uid) = (name, "".into());
                    return Ok(created);
                }
            }
        }
        let shown = definition.name().or(definition.generate_name());
        let shown = format!("{namespace}/{}", shown.unwrap_or_default());
        let mut created = self.send_job(&namespace, &definition, mode, &shown).await?;
        if mode == Mode::DryRun {
            created.uid = "".into();
        }
        Ok(created)
    }

    async fn send_job(
        &self,
        namespace: &str,
        definition: &Definition,
        mode: Mode,
        shown: &str,
    ) -> Result<JobCreated, ClusterError> {
        let dry = match mode {
            Mode::Commit => "",
            Mode::DryRun => "&dryRun=All",
        };
        let target = format!(
            "{}?fieldManager={FIELD_MANAGER}&fieldValidation=Strict{dry}",
            collection(namespace)
        );
        let answer = self.ask(Method::POST, target, definition.json()).await;
        let answer = answer.map_err(|error| refusal::of_create(error, shown))?;
        let job: Job = serde_json::from_slice(&answer.body)
            .map_err(|error| ClusterError::Lost(format!("the answer cannot be read: {error}")))?;
        let uid = job.uid().to_owned();
        let status = job.status();
        let status =
            status.ok_or_else(|| ClusterError::Lost("the answer has no name".to_owned()))?;
        let mut created = JobCreated::new(status.name, uid);
        let warnings = answer.warnings.iter();
        created.warnings = warnings.map(ToString::to_string).collect();
        Ok(created)
    }

    /// Deletes a Job of this name, if there is one, and waits until it is gone with its pods.
    async fn make_way(&self, name: &JobName) -> Result<(), ClusterError> {
        let there = match self.read_json::<Job>(object(name)).await {
            Ok(job) => job,
            Err(ClusterError::NotFound) => return Ok(()),
            Err(error) => return Err(error),
        };
        match self.delete(name, "Foreground", Some(there.uid())).await {
            Ok(()) => {}
            Err(ClusterError::NotFound) => return Ok(()),
            Err(error) => return Err(error),
        }
        let deadline = Instant::now() + GONE;
        for turn in 0.. {
            match self.read_json::<Job>(object(name)).await {
                Err(ClusterError::NotFound) => return Ok(()),
                Ok(job) if job.uid() != there.uid() => {
                    return Err(ClusterError::Exists(format!(
                        "somebody else has created the Job {name} meanwhile"
                    )));
                }
                // It is looked again until the time is over.
                Ok(_) | Err(ClusterError::Unavailable { .. }) => {}
                Err(error) => return Err(error),
            }
            if Instant::now() >= deadline {
                break;
            }
            sleep(pause(turn)).await;
        }
        Err(ClusterError::Exists(format!(
            "the Job {name} is still being deleted after {} s, as its pods have not ended: repeating the call is safe",
            GONE.as_secs()
        )))
    }

    async fn delete(
        &self,
        name: &JobName,
        propagation: &str,
        uid: Option<&str>,
    ) -> Result<(), ClusterError> {
        let mut options =
            json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation});
        if let Some(uid) = uid {
            options["preconditions"] = json!({"uid": uid});
        }
        let body = options.to_string().into_bytes();
        let answer = self.ask(Method::DELETE, object(name), body).await;
        let body = answer.map_err(refusal::of_delete)?.body;
        match serde_json::from_slice::<Value>(&body) {
            Ok(Value::Object(_)) => Ok(()),
            _ => Err(ClusterError::Lost(
                "the answer is not the API server's".to_owned(),
            )),
        }
    }

    pub(super) async fn list_jobs(&self, namespace: &str) -> Result<Vec<JobStatus>, ClusterError> {
        hikaru_core::check_namespace(namespace)
            .map_err(|error| ClusterError::Invalid(error.to_string()))?;
        self.allow(namespace)?;
        let mut jobs = Vec::new();
        let mut next = String::new();
        loop {
            let mut target = format!("{}?limit={PAGE}", collection(namespace));
            if !next.is_empty() {
                target.push_str("&continue=");
                target.push_str(&next);
            }
            let page: List<Job> = self.read_json(target).await?;
            jobs.extend(page.items.into_iter().filter_map(Job::status));
            // Tokens are made of base64's letters, which need no escape but for these.
            next = page.metadata.next.replace('+', "%2B").replace('=', "%3D");
            if next.is_empty() {
                break;
            }
        }
        jobs.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(jobs)
    }

    async fn pods(&self, status: &JobStatus) -> Result<Vec<Pod>, ClusterError> {
        let target = format!(
            "/api/v1/namespaces/{}/pods?limit={PODS}&labelSelector=batch.kubernetes.io%2Fcontroller-uid%3D{}",
            status.name.namespace(),
            status.uid
        );
        let mut pods: List<Pod> = self.read_json(target).await?;
        pods.items.sort_by(|a, b| a.name().cmp(b.name()));
        Ok(pods.items)
    }

    pub(super) async fn job_status(&self, name: &JobName) -> Result<JobStatus, ClusterError> {
        self.allow(name.namespace())?;
        let mut status = self.bare_status(name).await?;
        self.look_for_trouble(&mut status).await;
        Ok(status)
    }

    async fn bare_status(&self, name: &JobName) -> Result<JobStatus, ClusterError> {
        let job: Job = self.read_json(object(name)).await?;
        let status = job.status();
        status.ok_or_else(|| ClusterError::Invalid(format!("{name}: its answer has no name")))
    }

    async fn look_for_trouble(&self, status: &mut JobStatus) {
        if matches!(status.state, JobState::Complete | JobState::Suspended) {
            return;
        }
        match self.pods(status).await {
            Ok(pods) => status.troubles = troubles(&pods),
            Err(error) => status
                .warnings
                .push(format!("its pods cannot be listed: {error}")),
        }
    }

    pub(super) async fn await_job(
        &self,
        name: &JobName,
        within: Duration,
    ) -> Result<JobStatus, ClusterError> {
        self.allow(name.namespace())?;
        let deadline = Instant::now() + within;
        // A Job that fails for its deadline takes its pods with it: what they said before is its reason.
        let mut known = Vec::new();
        let mut last = None;
        for turn in 0.. {
            match self.job_status(name).await {
                Ok(mut status) => {
                    if !status.troubles.is_empty() {
                        known.clone_from(&status.troubles);
                    } else if status.state == JobState::Failed {
                        status.troubles.clone_from(&known);
                    }
                    if status.state.has_ended() {
                        return Ok(status);
                    }
                    last = Some(Ok(status));
                }
                Err(error @ ClusterError::Unavailable { .. }) => {
                    last.get_or_insert(Err(error));
                }
                Err(error) => return Err(error),
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            sleep(pause(turn).min(left)).await;
        }
        last.unwrap_or(Err(ClusterError::NotFound))
    }

    pub(super) async fn remove_job(&self, name: &JobName) -> Result<(), ClusterError> {
        self.allow(name.namespace())?;
        self.delete(name, "Background", None).await
    }

    pub(super) async fn logs_of_job(&self, name: &JobName) -> Result<Vec<JobLog>, ClusterError> {
        self.allow(name.namespace())?;
        let status = self.bare_status(name).await?;
        let mut logs = Vec::new();
        let mut left = LOGS_BYTES;
        for pod in self.pods(&status).await? {
            for container in pod.containers() {
                let text = self.log(&status.name, pod.name(), container, left).await;
                left = left.saturating_sub(text.as_ref().map_or(0, String::len));
                logs.push(JobLog {
                    pod: pod.name().into(),
                    container: container.into(),
                    text,
                });
            }
        }
        Ok(logs)
    }

    async fn log(
        &self,
        job: &JobName,
        pod: &str,
        container: &str,
        left: usize,
    ) -> Result<String, String> {
        if left == 0 {
            return Err(format!(
                "left out: all logs together have more than {LOGS_BYTES} bytes"
            ));
        }
        let sound = [pod, container].map(|name| JobName::new("default", name));
        if let Some(Err(error)) = sound.into_iter().find(Result::is_err) {
            return Err(error.to_string());
        }
        let bytes = left.min(LOG_BYTES);
        let target = format!(
            "/api/v1/namespaces/{}/pods/{pod}/log?container={container}&tailLines={LOG_LINES}&limitBytes={bytes}",
            job.namespace()
        );
        let answer = self.ask(Method::GET, target, Vec::new()).await;
        match answer {
            Ok(answer) => Ok(String::from_utf8_lossy(&answer.body).into_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The pause before the next look.
fn pause(turn: usize) -> Duration {
    LOOKS[turn.min(LOOKS.len() - 1)]
}
