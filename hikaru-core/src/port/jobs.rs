//! The port to the Jobs of a cluster: plain verbs. Who may run what, replacing and waiting are in `jobs`.

use async_trait::async_trait;
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};

use super::{error::ClusterError, workloads::Mode};
use crate::jobs::{
    definition::{JobCreated, JobDefinition, JobRequest},
    name::JobName,
    policy::JudgedJob,
    status::{ContainerTrouble, JobList, JobLog, JobStatus},
};

/// What a Job's containers are troubled by, and what of it could not be found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Troubles {
    /// The troubles, the most telling first.
    pub found: Vec<ContainerTrouble>,
    /// What could not be found out, in sentences.
    pub warnings: Vec<String>,
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

    /// What the containers of a Job's pods are troubled by.
    ///
    /// # Errors
    /// When the pods cannot be listed.
    async fn troubles(&self, job: &JobStatus) -> Result<Troubles, ClusterError>;

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
