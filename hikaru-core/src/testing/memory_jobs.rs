//! The Jobs of a small cluster in memory: nothing runs by itself, a test says how each Job is.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
    time::SystemTime,
};

use async_trait::async_trait;
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};

use crate::{
    Text,
    jobs::{
        JobCreated, JobDefinition, JobFacts, JobList, JobLog, JobName, JobNaming, JobRequest,
        JobSource, JobStatus, JudgedJob,
    },
    port::{ClusterError, JobPods, JobPort, Mode},
    rollout::facts::EventFacts,
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
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    definitions: BTreeMap<Text, JobDefinition>,
    jobs: BTreeMap<JobName, JobStatus>,
    pods: BTreeMap<JobName, JobPods>,
    events: Vec<EventFacts>,
    created: u64,
    changes: u64,
    /// Who waits for the next change.
    waiting: Vec<Waker>,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn changed(&mut self) {
        self.changes += 1;
        self.waiting.drain(..).for_each(Waker::wake);
    }

    fn job(&self, name: &JobName) -> Result<&JobStatus, ClusterError> {
        let job = self.jobs.get(name);
        job.ok_or_else(|| ClusterError::NotFound(format!("Job {name}")))
    }
}

impl MemoryJobs {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Says how the text of a definition is read. The name of a CronJob, `shop/nightly`, stands for its template.
    pub fn reads_as(&self, text: impl Into<Text>, definition: JobDefinition) {
        self.state().definitions.insert(text.into(), definition);
    }

    /// Makes a Job look so, as its pods or a person would. It keeps its uid. Whether it was there.
    pub fn set(&self, name: &JobName, edit: impl FnOnce(&mut JobStatus)) -> bool {
        let mut state = self.state();
        state.changed();
        state.jobs.get_mut(name).map(edit).is_some()
    }

    /// Says which pods a Job has, and what time it is. At first it has none, at the time 0.
    pub fn set_pods(&self, name: &JobName, edit: impl FnOnce(&mut JobPods)) {
        let mut state = self.state();
        state.changed();
        let pods = state.pods.entry(name.clone());
        edit(pods.or_insert_with(|| JobPods::none(SystemTime::UNIX_EPOCH)));
    }

    /// Says which events there are.
    pub fn set_events(&self, events: impl IntoIterator<Item = EventFacts>) {
        self.state().events = events.into_iter().collect();
    }

    /// Deletes a Job, as a person would. Whether it was there.
    pub fn remove(&self, name: &JobName) -> bool {
        let mut state = self.state();
        state.changed();
        state.pods.remove(name);
        state.jobs.remove(name).is_some()
    }
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
        state.changed();
        Ok(JobCreated::new(name, uid))
    }

    async fn get(&self, name: &JobName) -> Result<JobStatus, ClusterError> {
        let state = self.state();
        let job = state.job(name)?;
        Ok(job.clone())
    }

    async fn list(&self, namespace: &str) -> Result<JobList, ClusterError> {
        let state = self.state();
        let here = state.jobs.values();
        let here = here.filter(|job| **job.name.namespace() == *namespace);
        Ok(JobList {
            jobs: here.cloned().collect(),
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
        state.changed();
        state.pods.remove(name);
        state.jobs.remove(name);
        Ok(())
    }

    async fn pods(&self, job: &JobStatus) -> Result<JobPods, ClusterError> {
        let state = self.state();
        state.job(&job.name)?;
        let pods = state.pods.get(&job.name).cloned();
        Ok(pods.unwrap_or_else(|| JobPods::none(SystemTime::UNIX_EPOCH)))
    }

    async fn events(
        &self,
        _job: &JobStatus,
        uids: &BTreeSet<Text>,
    ) -> Result<Vec<EventFacts>, ClusterError> {
        let state = self.state();
        let events = state.events.iter();
        let about = events.filter(|event| uids.contains(&event.about));
        Ok(about.cloned().collect())
    }

    fn changed(&self, _name: &JobName) -> BoxStream<'static, ()> {
        let state = self.state.clone();
        let mut seen = None;
        stream::poll_fn(move |context| {
            let mut state = lock(&state);
            if seen.replace(state.changes) != Some(state.changes) {
                return Poll::Ready(Some(()));
            }
            state.waiting.push(context.waker().clone());
            Poll::Pending
        })
        .boxed()
    }

    async fn logs(&self, name: &JobName) -> Result<Vec<JobLog>, ClusterError> {
        let state = self.state();
        state.job(name)?;
        Ok(Vec::new())
    }
}
