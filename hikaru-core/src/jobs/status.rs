//! What became of a Job.

use std::{fmt, time::SystemTime};

use super::name::JobName;
use crate::{Text, port::Fault, rollout::cause::Cause};

/// How far a Job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JobState {
    /// Nothing was started yet. In a folder of manifests every Job stays so.
    Pending,
    /// It is suspended.
    Suspended,
    /// Pods of it run, or are about to.
    Running,
    /// It has succeeded.
    Complete,
    /// It has failed for good.
    Failed,
}

impl JobState {
    /// Whether nothing more will happen.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Complete | Self::Failed)
    }

    /// `pending`, `suspended`, `running`, `complete`, `failed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Suspended => "suspended",
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A condition of a Job, as Kubernetes has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobCondition {
    /// `Complete`, `Failed`, `Suspended`, …
    pub kind: Text,
    /// `True`, `False` or `Unknown`.
    pub status: Text,
    /// One word: `BackoffLimitExceeded`.
    pub reason: Text,
    /// For a person.
    pub message: Text,
    /// Since when, RFC 3339. Empty: not known.
    pub since: Text,
}

/// A container of a Job's pod that did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerTrouble {
    /// The pod.
    pub pod: Text,
    /// The container. Empty: the pod as a whole, as when it cannot be scheduled.
    pub container: Text,
    /// One word: `Error`, `OOMKilled`, `ImagePullBackOff`, `Unschedulable`.
    pub reason: Text,
    /// For a person. Often empty.
    pub message: Text,
    /// With which code it ended, if it did.
    pub exit_code: Option<i32>,
}

impl fmt::Display for ContainerTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.container.is_empty() {
            write!(f, "the pod {}", self.pod)?;
        } else {
            write!(
                f,
                "the container {} of the pod {}",
                self.container, self.pod
            )?;
        }
        match self.exit_code {
            Some(code) => write!(f, " ended with exit code {code} ({})", self.reason)?,
            None => write!(f, " is in {}", self.reason)?,
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message.trim_end())?;
        }
        Ok(())
    }
}

/// What became of a Job so far.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobStatus {
    /// Its name.
    pub name: JobName,
    /// Its uid. Empty where a cluster has none.
    pub uid: Text,
    /// How far it is.
    pub state: JobState,
    /// Pods that run or are about to.
    pub active: u32,
    /// Pods that have succeeded.
    pub succeeded: u32,
    /// Pods that have failed.
    pub failed: u32,
    /// Its conditions, in the server's order.
    pub conditions: Vec<JobCondition>,
    /// Since when its pods are to run: when it was started, else when it was created.
    pub since: Option<SystemTime>,
    /// When it was started, RFC 3339.
    pub started: Option<Text>,
    /// When it had succeeded, RFC 3339.
    pub completed: Option<Text>,
    /// Its containers that are in trouble, the most telling first. Only of a Job that was asked for by name.
    pub troubles: Vec<ContainerTrouble>,
    /// Why its pods do not start unless something changes, in the words of rollouts. Only of a Job that was asked for by name.
    pub cause: Option<Cause>,
    /// In a folder of manifests: where it stands, `migrate.yaml#1`.
    pub file: Option<Text>,
    /// What could not be found out, and why.
    pub warnings: Vec<String>,
}

impl JobStatus {
    /// Of one that nothing is known of but its name.
    pub fn new(name: JobName, uid: impl Into<Text>) -> Self {
        Self {
            name,
            uid: uid.into(),
            state: JobState::Pending,
            active: 0,
            succeeded: 0,
            failed: 0,
            conditions: Vec::new(),
            since: None,
            started: None,
            completed: None,
            troubles: Vec::new(),
            cause: None,
            file: None,
            warnings: Vec::new(),
        }
    }

    /// Whether its pods do not start unless something changes. The Job itself waits on.
    pub fn cannot_start(&self) -> bool {
        self.cause.is_some()
    }

    /// How far it is, in one sentence. A failure with its cause, the shortest true one first: the container's, then the
    /// Job's own.
    ///
    /// ```
    /// use hikaru_core::{jobs::{ContainerTrouble, JobCondition, JobName, JobState, JobStatus}};
    /// let mut status = JobStatus::new(JobName::new("shop", "migrate")?, "");
    /// status.state = JobState::Failed;
    /// status.failed = 1;
    /// status.troubles.push(ContainerTrouble {
    ///     pod: "migrate-x".into(), container: "web".into(), reason: "Error".into(), message: "".into(), exit_code: Some(3),
    /// });
    /// assert_eq!(status.sentence(), "failed: the container web of the pod migrate-x ended with exit code 3 (Error)");
    /// # Ok::<(), hikaru_core::workload::NameError>(())
    /// ```
    pub fn sentence(&self) -> String {
        let counts = format!(
            "{} active, {} succeeded, {} failed",
            self.active, self.succeeded, self.failed
        );
        if let Some(cause) = &self.cause {
            // The cause's sentence begins with the Job, too.
            let said = cause.message.split_once(": ").map(|(_, said)| said);
            return format!("cannot start: {}", said.unwrap_or(&cause.message));
        }
        match self.state {
            JobState::Failed => {
                let failed = |condition: &&JobCondition| {
                    matches!(&*condition.kind, "Failed" | "FailureTarget")
                        && *condition.status == *"True"
                };
                let own = self.conditions.iter().find(failed);
                let own = own.map(|c| match (&*c.reason, &*c.message) {
                    ("", message) => message.to_owned(),
                    (reason, "") => reason.to_owned(),
                    (reason, message) => format!("{message} ({reason})"),
                });
                match (self.troubles.first(), own) {
                    (Some(trouble), Some(own)) => format!("failed: {trouble}; {own}"),
                    (Some(trouble), None) => format!("failed: {trouble}"),
                    (None, Some(own)) => format!("failed: {own}"),
                    (None, None) => format!("failed: {counts}"),
                }
            }
            JobState::Complete => "complete".to_owned(),
            JobState::Running | JobState::Pending => match self.troubles.first() {
                Some(trouble) => format!("{}: {counts}; {trouble}", self.state),
                None if self.state == JobState::Pending => self.state.to_string(),
                None => format!("{}: {counts}", self.state),
            },
            JobState::Suspended => self.state.to_string(),
        }
    }
}

/// The Jobs of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobList {
    /// Sorted by name.
    pub jobs: Vec<JobStatus>,
    /// Those that cannot be read: one hides no other.
    pub faults: Vec<Fault>,
}

/// What a container of a Job's pod has written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobLog {
    /// The pod.
    pub pod: Text,
    /// The container.
    pub container: Text,
    /// Its log, or the server's reason why there is none. Each byte that is no UTF-8 is a `?`.
    pub text: Result<String, String>,
}
