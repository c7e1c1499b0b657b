//! Jobs: what is to run, who may run what, and what a user asks of them, over any [`JobPort`].

use std::{fmt, sync::Arc};

pub(crate) mod definition;
pub(crate) mod facts;
pub(crate) mod name;
pub(crate) mod policy;
pub(crate) mod refused;
pub(crate) mod run;
pub(crate) mod status;
pub(crate) mod trouble;
pub(crate) mod wait;

pub use definition::{JobCreated, JobDefinition, JobNaming, JobRequest, JobSource};
pub use facts::{JobDemand, JobFacts};
pub use name::JobName;
pub use policy::{JobPolicy, JudgedJob};
pub use refused::JobRefused;
pub use status::{ContainerTrouble, JobCondition, JobList, JobLog, JobState, JobStatus};
pub use trouble::container_troubles;

use crate::{
    caller::{Caller, NotAllowed, Right},
    port::{Clock, ClusterError, JobPort},
};
use trouble::Listed;

/// The Jobs of a cluster, as a user asks for them. Each call is checked against the policy here, whatever the adapter.
///
/// Cheap to clone.
#[derive(Clone)]
pub struct Jobs {
    port: Arc<dyn JobPort>,
    policy: Arc<JobPolicy>,
    clock: Arc<dyn Clock>,
    /// The caller. `None`: no caller's rights are checked, only the policy.
    caller: Option<Arc<Caller>>,
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl Jobs {
    /// The Jobs of this cluster, by these rules.
    pub fn new(port: Arc<dyn JobPort>, policy: JobPolicy, clock: Arc<dyn Clock>) -> Self {
        Self {
            port,
            policy: Arc::new(policy),
            clock,
            caller: None,
        }
    }

    /// The same as one caller may use it: Jobs of namespaces that it may not see are refused, and without the right `logs` no text
    /// is told that may come from a log.
    pub fn for_caller(&self, caller: &Arc<Caller>) -> Self {
        let mut own = self.clone();
        own.caller = Some(caller.clone());
        own
    }

    /// Whether Jobs of a namespace may be created, read and deleted, by the rights of the caller and by the policy.
    fn check_namespace(&self, namespace: &str) -> Result<(), ClusterError> {
        self.check_caller(namespace)?;
        let allowed = self.policy.check_namespace(namespace);
        allowed.map_err(|error| self.told(error))
    }

    /// An error of the policy as the caller may be told it.
    fn told(&self, error: ClusterError) -> ClusterError {
        match &self.caller {
            Some(caller) => error.told_to(caller),
            None => error,
        }
    }

    fn check_caller(&self, namespace: &str) -> Result<(), NotAllowed> {
        let caller = self.caller.as_ref();
        caller.map_or(Ok(()), |caller| caller.check_jobs(namespace))
    }

    fn check_logs(&self) -> Result<(), NotAllowed> {
        let caller = self.caller.as_ref();
        caller.map_or(Ok(()), |caller| caller.check(&[Right::Logs]))
    }

    /// The Jobs of a namespace, sorted by name, without what their containers are troubled by.
    ///
    /// # Errors
    /// The policy or the caller's rights leave the namespace out, or the Jobs cannot be listed.
    pub async fn list(&self, namespace: &str) -> Result<JobList, ClusterError> {
        self.check_namespace(namespace)?;
        self.port.list(namespace).await
    }

    /// One Job as it is now, with what its containers are troubled by, and why its pods cannot start.
    ///
    /// # Errors
    /// The policy or the caller's rights leave its namespace out, there is none, or it cannot be read.
    pub async fn status(&self, name: &JobName) -> Result<JobStatus, ClusterError> {
        self.check_namespace(name.namespace())?;
        let mut status = self.port.get(name).await?;
        self.add_troubles(&mut status, &mut Listed::default()).await;
        Ok(status)
    }

    /// Deletes a Job with its pods, which end in their own time.
    ///
    /// # Errors
    /// The policy or the caller's rights leave its namespace out, there is none, or it cannot be deleted.
    pub async fn delete(&self, name: &JobName) -> Result<(), ClusterError> {
        self.check_namespace(name.namespace())?;
        self.port.delete(name, None).await
    }

    /// What the containers of a Job's pods have written.
    ///
    /// # Errors
    /// The policy or the caller's rights leave its namespace out, there is none, or its pods cannot be listed.
    pub async fn logs(&self, name: &JobName) -> Result<Vec<JobLog>, ClusterError> {
        self.check_logs()?;
        self.check_namespace(name.namespace())?;
        self.port.logs(name).await
    }

    /// Where no Job runs, a wait for the end of one would only use up its time.
    fn check_jobs_run(&self) -> Result<(), ClusterError> {
        match self.port.runs_jobs() {
            true => Ok(()),
            false => Err(ClusterError::Unsupported("waiting for jobs")),
        }
    }
}
