//! The Jobs of a small cluster in memory: nothing runs by itself, a test says how each Job is.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use crate::{
    Text,
    jobs::{
        JobCreated, JobDefinition, JobFacts, JobList, JobLog, JobName, JobNaming, JobRequest,
        JobSource, JobStatus, JudgedJob,
    },
    port::{ClusterError, JobPort, Mode, Troubles},
};

/// Jobs in memory. It reads no JSON and no YAML: the text of a definition is the name of the Job, `shop/migrate`, or what
/// [`MemoryJobs::reads_as`] was told of it.
///
/// ```
/// # futures_util::FutureExt::now_or_never(async {
/// use std::sync::Arc;
/// use hikaru_core::{Mode, jobs::{JobPolicy, JobRequest, JobSource, Jobs}, testing::{StillClock, MemoryJobs}};
/// let mut policy = JobPolicy::default();
/// policy.namespaces = Some(vec!["shop".into()]);
/// let jobs = Jobs::new(Arc::new(MemoryJobs::default()), policy, Arc::new(StillClock::default()));
/// let request = JobRequest::new(JobSource::Yaml("shop/migrate".into()));
/// let created = jobs.run(&request, Mode::Commit).await.unwrap();
/// assert_eq!(created.name.to_string(), "shop/migrate");
/// let refused = jobs.run(&JobRequest::new(JobSource::Yaml("edge/migrate".into())), Mode::Commit).await;
/// assert!(refused.is_err());
/// # }).unwrap();
/// ```
#[derive(Debug, Default)]
pub struct MemoryJobs {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    definitions: BTreeMap<Text, JobDefinition>,
    jobs: BTreeMap<JobName, JobStatus>,
    created: u64,
}

impl State {
    fn job(&self, name: &JobName) -> Result<&JobStatus, ClusterError> {
        let job = self.jobs.get(name);
        job.ok_or_else(|| ClusterError::NotFound(format!("Job {name}")))
    }
}

impl MemoryJobs {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says how the text of a definition is read. The name of a CronJob, `shop/nightly`, stands for its template.
    pub fn reads_as(&self, text: impl Into<Text>, definition: JobDefinition) {
        self.state().definitions.insert(text.into(), definition);
    }

    /// Makes a Job look so, as its pods or a person would. It keeps its uid. Whether it was there.
    pub fn set(&self, name: &JobName, edit: impl FnOnce(&mut JobStatus)) -> bool {
        self.state().jobs.get_mut(name).map(edit).is_some()
    }

    /// Deletes a Job, as a person would. Whether it was there.
    pub fn remove(&self, name: &JobName) -> bool {
        self.state().jobs.remove(name).is_some()
    }
}

/// A Job as its object tells: what its containers are troubled by stands in its pods.
fn bare(mut job: JobStatus) -> JobStatus {
    job.troubles.clear();
    job
}

#[async_trait]
impl JobPort for MemoryJobs {
    async fn define(&self, request: &JobRequest) -> Result<JobDefinition, ClusterError> {
        let (text, is_template) = match &request.source {
            JobSource::Json(text) | JobSource::Yaml(text) => (text.clone(), false),
            JobSource::CronJob { name, .. } => (name.to_string().into(), true),
        };
        if let Some(known) = self.state().definitions.get(&text) {
            return Ok(known.clone());
        }
        if is_template {
            return Err(ClusterError::NotFound(format!("CronJob {text}")));
        }
        let name: JobName = text
            .parse()
            .map_err(|error| ClusterError::Malformed(format!("{error}")))?;
        Ok(JobDefinition {
            naming: JobNaming::Named(name),
            facts: JobFacts::default(),
            json: text,
        })
    }

    async fn create(&self, job: &JudgedJob, mode: Mode) -> Result<JobCreated, ClusterError> {
        let mut state = self.state();
        let next = state.created + 1;
        let name = match &job.definition().naming {
            JobNaming::Named(name) => name.clone(),
            JobNaming::Generated { namespace, prefix } => {
                JobName::new(namespace, &format!("{prefix}{next}"))
                    .map_err(|error| ClusterError::Invalid(error.to_string()))?
            }
        };
        let is_there = state.jobs.contains_key(&name);
        if is_there && !(mode == Mode::DryRun && job.replaces()) {
            return Err(ClusterError::Exists(format!(
                "there is a Job {name} already"
            )));
        }
        if mode == Mode::DryRun {
            let mut created = JobCreated::new(name, "");
            created.replaces = is_there;
            return Ok(created);
        }
        state.created = next;
        let uid: Text = format!("job-uid-{next}").into();
        let status = JobStatus::new(name.clone(), uid.clone());
        state.jobs.insert(name.clone(), status);
        Ok(JobCreated::new(name, uid))
    }

    async fn get(&self, name: &JobName) -> Result<JobStatus, ClusterError> {
        let state = self.state();
        let job = state.job(name)?;
        Ok(bare(job.clone()))
    }

    async fn list(&self, namespace: &str) -> Result<JobList, ClusterError> {
        let state = self.state();
        let here = state.jobs.values();
        let here = here.filter(|job| **job.name.namespace() == *namespace);
        Ok(JobList {
            jobs: here.cloned().map(bare).collect(),
            faults: Vec::new(),
        })
    }

    async fn delete<'a>(
        &'a self,
        name: &'a JobName,
        uid: Option<&'a str>,
    ) -> Result<(), ClusterError> {
        let mut state = self.state();
        let job = state.job(name)?;
        if let Some(uid) = uid.filter(|uid| *job.uid != **uid) {
            let other = format!("Job {name} with the uid {uid}");
            return Err(ClusterError::NotFound(other));
        }
        state.jobs.remove(name);
        Ok(())
    }

    async fn troubles(&self, job: &JobStatus) -> Result<Troubles, ClusterError> {
        let state = self.state();
        let job = state.job(&job.name)?;
        Ok(Troubles {
            found: job.troubles.clone(),
            warnings: Vec::new(),
        })
    }

    async fn logs(&self, name: &JobName) -> Result<Vec<JobLog>, ClusterError> {
        let state = self.state();
        state.job(name)?;
        Ok(Vec::new())
    }
}
