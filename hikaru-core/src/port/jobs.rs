//! The port to the Jobs of a cluster: plain verbs. Who may run what, replacing and waiting are in `jobs`.

use std::{collections::BTreeSet, sync::Arc, time::SystemTime};

use async_trait::async_trait;
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};

use super::{error::ClusterError, workloads::Mode};
use crate::{
    Text,
    jobs::{
        definition::{JobCreated, JobDefinition, JobRequest},
        name::JobName,
        policy::JudgedJob,
        status::{JobList, JobLog, JobStatus},
    },
    rollout::facts::{EventFacts, PodFacts},
};

/// The pods of a Job.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobPods {
    /// The time at which they were read, by the clock of the API server.
    pub now: SystemTime,
    /// The pods, those that have ended too, sorted by name.
    pub pods: Vec<Arc<PodFacts>>,
    /// What could not be read, in sentences.
    pub warnings: Vec<String>,
}

impl JobPods {
    /// None, at this time.
    pub fn none(now: SystemTime) -> Self {
        Self {
            now,
            pods: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

/// The Jobs of a cluster. Object-safe: used as `Arc<dyn JobPort>`. [`Jobs`](crate::jobs::Jobs) stands between it and its users.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait JobPort: Send + Sync {
    /// Whether Jobs that are created run, so that their end can be waited for. In a folder of manifests none runs.
    fn runs_jobs(&self) -> bool {
        true
    }

    /// Reads the definition that is asked for, and puts it into a namespace if it names none. For the template of a CronJob it
    /// asks the cluster.
    ///
    /// # Errors
    /// [`ClusterError::Malformed`] when it cannot be read, [`ClusterError::Invalid`] when it is not one Job,
    /// [`ClusterError::NotFound`] when there is no such CronJob.
    async fn define(&self, request: &JobRequest) -> Result<JobDefinition, ClusterError>;

    /// Creates a Job: one attempt. In a dry run of a replacement a Job of that name is no error, but told
    /// ([`JobCreated::replaces`]).
    ///
    /// # Errors
    /// [`ClusterError::Invalid`] and [`ClusterError::Forbidden`] when the cluster refuses it, [`ClusterError::Exists`] when there
    /// is one of that name, [`ClusterError::Lost`] when it may have been created or not.
    async fn create(&self, job: &JudgedJob, mode: Mode) -> Result<JobCreated, ClusterError>;

    /// One Job as its object tells now, without what its containers are troubled by.
    ///
    /// # Errors
    /// [`ClusterError::NotFound`] when there is none.
    async fn get(&self, name: &JobName) -> Result<JobStatus, ClusterError>;

    /// The same for somebody who waits for the Job that has this uid (empty: any): as it was told last, if what tells of
    /// [changes](Self::changed) has it. By default as [`get`](Self::get).
    ///
    /// # Errors
    /// As [`get`](Self::get).
    async fn look<'a>(
        &'a self,
        name: &'a JobName,
        _uid: &'a str,
    ) -> Result<JobStatus, ClusterError> {
        self.get(name).await
    }

    /// The Jobs of a namespace, sorted by name, without what their containers are troubled by.
    ///
    /// # Errors
    /// When they cannot be listed. A Job that cannot be read is a fault in the list.
    async fn list(&self, namespace: &str) -> Result<JobList, ClusterError>;

    /// Deletes a Job with its pods. With a uid: the Job that has it, and it stays until its pods are gone.
    ///
    /// # Errors
    /// [`ClusterError::NotFound`] when there is none, or none with this uid; [`ClusterError::Lost`] when it may have been deleted or
    /// not.
    async fn delete<'a>(
        &'a self,
        name: &'a JobName,
        uid: Option<&'a str>,
    ) -> Result<(), ClusterError>;

    /// The pods of a Job, as they are now.
    ///
    /// # Errors
    /// When the pods cannot be listed.
    async fn pods(&self, job: &JobStatus) -> Result<JobPods, ClusterError>;

    /// The Warning events about a Job and its pods, by their uids. By default there are none.
    ///
    /// # Errors
    /// When they cannot be listed: [`ClusterError::Forbidden`] where the right is missing.
    async fn events(
        &self,
        _job: &JobStatus,
        _uids: &BTreeSet<Text>,
    ) -> Result<Vec<EventFacts>, ClusterError> {
        Ok(Vec::new())
    }

    /// Tells at once, and then whenever the Job or its pods may have changed: whoever waits looks each time. By default it tells
    /// once: then only the time passes.
    fn changed(&self, _name: &JobName) -> BoxStream<'static, ()> {
        stream::once(async {}).chain(stream::pending()).boxed()
    }

    /// What the containers of a Job's pods have written, each at most the last megabyte, in the order of the pods' names.
    ///
    /// # Errors
    /// [`ClusterError::NotFound`] when there is no such Job.
    async fn logs(&self, name: &JobName) -> Result<Vec<JobLog>, ClusterError>;
}
