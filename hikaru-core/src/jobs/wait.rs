//! Waiting for the end of a Job.

use std::time::Duration;

use super::{
    Jobs,
    definition::JobCreated,
    status::{JobState, JobStatus},
};
use crate::port::ClusterError;

/// How long to wait before a Job is looked at again: not long at first.
const LOOKS: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// The pause before the next look.
pub(super) fn pause(turn: usize) -> Duration {
    LOOKS[turn.min(LOOKS.len() - 1)]
}

impl Jobs {
    /// The Job once it has ended, or as it is when the time is over. What the cluster cannot answer for a moment is asked again
    /// in that time. Where the uid is empty the name is enough. After each look `told` hears how the Job is, or why that is not
    /// known.
    ///
    /// # Errors
    /// The policy leaves its namespace out. [`ClusterError::NotFound`] when there is none, or it is deleted meanwhile,
    /// [`ClusterError::Exists`] when another one has taken its name, [`ClusterError::Unsupported`] where Jobs do not run. At the
    /// first look each error that asking again would not mend.
    pub async fn wait(
        &self,
        created: &JobCreated,
        within: Duration,
        told: &mut (dyn FnMut(&str) + Send),
    ) -> Result<JobStatus, ClusterError> {
        let JobCreated { name, uid, .. } = created;
        self.policy.check_namespace(name.namespace())?;
        self.check_jobs_run()?;
        let end = self.clock.elapsed().saturating_add(within);
        // A Job that fails for its deadline takes its pods with it: what they said before is its reason.
        let mut troubles = Vec::new();
        let mut last: Option<JobStatus> = None;
        let mut turn = 0;
        loop {
            let mut error = None;
            match self.port.get(name).await {
                Ok(status) if !uid.is_empty() && status.uid != *uid => {
                    return Err(ClusterError::Exists(format!(
                        "another Job has taken the name {name}: expected the uid {uid}, found {}",
                        status.uid
                    )));
                }
                Ok(mut status) => {
                    self.add_troubles(&mut status).await;
                    if !status.troubles.is_empty() {
                        troubles.clone_from(&status.troubles);
                    } else if status.state == JobState::Failed {
                        status.troubles.clone_from(&troubles);
                    }
                    if status.state.has_ended() {
                        return Ok(status);
                    }
                    told(&status.sentence());
                    last = Some(status);
                }
                Err(gone @ ClusterError::NotFound(_)) => return Err(gone),
                // What was answered once will be again: an API server that starts refuses what it will allow.
                Err(again) if again.is_retryable() || last.is_some() => {
                    told(&again.to_string());
                    error = Some(again);
                }
                Err(error) => return Err(error),
            }
            let left = end.saturating_sub(self.clock.elapsed());
            if left.is_zero() {
                return match (last, error) {
                    (Some(mut status), error) => {
                        let since =
                            error.map(|error| format!("it could not be looked at again: {error}"));
                        status.warnings.extend(since);
                        Ok(status)
                    }
                    (None, error) => {
                        Err(error.unwrap_or_else(|| ClusterError::NotFound(format!("Job {name}"))))
                    }
                };
            }
            self.clock.sleep(pause(turn).min(left)).await;
            turn += 1;
        }
    }
}
