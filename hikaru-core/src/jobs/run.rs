//! Running a Job: it is read, judged once, and created, perhaps in the place of the one that has its name.

use std::time::Duration;

use super::{
    Jobs,
    definition::{JobCreated, JobNaming, JobRequest, JobSource},
    name::JobName,
    policy::JudgedJob,
    wait::pause,
};
use crate::port::{ClusterError, Mode};

/// At most this long the old Job is waited for until it is gone (its pods have 30 s to end by default), and again at most this long
/// the creation of the new one is repeated while the cluster cannot be reached.
const GONE: Duration = Duration::from_secs(90);

/// What is known of a Job that is replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OldJob {
    /// No deletion can have been carried out.
    Untouched,
    /// A deletion was sent, and its answer was lost.
    Unknown,
    /// The cluster has accepted the deletion; the Job or its pods are still there.
    Deleting,
    /// It is gone after a deletion that the cluster had accepted.
    Deleted,
    /// It is gone, and no deletion of ours was confirmed.
    Gone,
}

impl Jobs {
    /// Runs a Job.
    ///
    /// # Errors
    /// The policy refuses it, the caller's rights leave its namespace out, it cannot be read, the cluster refuses it or cannot be
    /// reached; [`ClusterError::Lost`] when it may have been created or not; [`ClusterError::Unsupported`], before anything is
    /// created, when the request waits for the end of a Job that does not run.
    pub async fn run(&self, request: &JobRequest, mode: Mode) -> Result<JobCreated, ClusterError> {
        if request.wait {
            self.check_jobs_run()?;
        }
        if let Some(namespace) = &request.namespace {
            self.check_caller(namespace)?;
            let within = self.policy.check_within(namespace);
            within.map_err(|error| self.told(error))?;
        }
        if let JobSource::CronJob { name, .. } = &request.source {
            self.check_namespace(name.namespace())?;
        }
        let definition = self.port.define(request).await?;
        self.check_caller(definition.naming.namespace())?;
        let judged = self.policy.judge(definition, request.replace);
        let job = judged.map_err(|error| self.told(error))?;
        match &job.definition().naming {
            JobNaming::Named(name) if job.replaces() => self.replace(name, &job, mode).await,
            _ => self.port.create(&job, mode).await,
        }
    }

    /// Creates a Job in the place of the one that has its name. The cluster tests the new one before the old one is deleted, so
    /// a definition that it refuses ends nothing that runs; webhooks and quotas have to have room for both.
    async fn replace(
        &self,
        name: &JobName,
        job: &JudgedJob,
        mode: Mode,
    ) -> Result<JobCreated, ClusterError> {
        let tried = self.port.create(job, Mode::DryRun).await?;
        if mode == Mode::DryRun {
            return Ok(tried);
        }
        let old = match tried.replaces {
            true => self.make_way(name).await?,
            false => None,
        };
        let Some(old) = old else {
            return self.port.create(job, mode).await;
        };
        let end = self.clock.elapsed() + GONE;
        let mut turn = 0;
        loop {
            match self.port.create(job, mode).await {
                // Nothing was created, so it can be tried again.
                Err(ClusterError::Unavailable { .. }) if self.clock.elapsed() < end => {}
                created => return created.map_err(|error| with_old_job(name, old, error)),
            }
            self.clock.sleep(pause(turn)).await;
            turn += 1;
        }
    }

    /// Deletes the Job of this name and waits until it is gone with its pods. `None`: there was none.
    async fn make_way(&self, name: &JobName) -> Result<Option<OldJob>, ClusterError> {
        let there = match self.port.get(name).await {
            Ok(status) => status,
            Err(ClusterError::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        // A cluster without uids tells the old Job by its name alone.
        let uid = Some(&*there.uid).filter(|uid| !uid.is_empty());
        let end = self.clock.elapsed() + GONE;
        let mut old = OldJob::Untouched;
        let mut unanswered = String::new();
        let mut turn = 0;
        loop {
            if old != OldJob::Deleting {
                match self.port.delete(name, uid).await {
                    Ok(()) => old = OldJob::Deleting,
                    Err(ClusterError::NotFound(_)) => return Ok(Some(OldJob::Gone)),
                    // The uid makes it safe to send the deletion again.
                    Err(error) if error.is_retryable() => {
                        if matches!(error, ClusterError::Lost(_)) {
                            old = OldJob::Unknown;
                        }
                        unanswered = format!(": {error}");
                    }
                    Err(error) => return Err(with_old_job(name, old, error)),
                }
            }
            match self.port.get(name).await {
                Err(ClusterError::NotFound(_)) => {
                    return Ok(Some(match old {
                        OldJob::Deleting => OldJob::Deleted,
                        _ => OldJob::Gone,
                    }));
                }
                Ok(status) if status.uid != there.uid => {
                    return Err(ClusterError::Exists(format!(
                        "another Job {name} was created meanwhile"
                    )));
                }
                Ok(_) => {}
                // It is read again until the time is over.
                Err(error) if error.is_retryable() => unanswered = format!(": {error}"),
                Err(error) => return Err(with_old_job(name, old, error)),
            }
            if self.clock.elapsed() >= end {
                return Err(still_there(name, &unanswered));
            }
            self.clock.sleep(pause(turn)).await;
            turn += 1;
        }
    }
}

/// The time is over, and the old Job was not seen to be gone. The same call can succeed later.
fn still_there(name: &JobName, unanswered: &str) -> ClusterError {
    ClusterError::Unavailable {
        message: format!(
            "the Job {name} is not seen to be deleted with its pods after {} s, so the new one was not created; \
             repeating the call is safe{unanswered}",
            GONE.as_secs()
        ),
        retry_after: None,
    }
}

/// Adds to an error what is known of the old Job, and whether the new one exists.
fn with_old_job(name: &JobName, old: OldJob, error: ClusterError) -> ClusterError {
    let old = match old {
        OldJob::Untouched => return error,
        OldJob::Unknown => format!("whether the old Job {name} was deleted is not known"),
        OldJob::Deleting => format!("the old Job {name} is being deleted"),
        OldJob::Deleted => format!("the old Job {name} was deleted"),
        OldJob::Gone => format!("the old Job {name} is gone"),
    };
    let words = |words: String| format!("{old}, the new one was not created: {words}");
    match error {
        ClusterError::Lost(message) => ClusterError::Lost(format!(
            "{old}, whether the new one was created is not known: {message}"
        )),
        ClusterError::Exists(message) => ClusterError::Exists(words(message)),
        ClusterError::Malformed(message) => ClusterError::Malformed(words(message)),
        ClusterError::Invalid(message) => ClusterError::Invalid(words(message)),
        ClusterError::Forbidden(message) => ClusterError::Forbidden(words(message)),
        ClusterError::Unavailable {
            message,
            retry_after,
        } => ClusterError::Unavailable {
            message: words(message),
            retry_after,
        },
        // The others have no text to add to.
        error => error,
    }
}
