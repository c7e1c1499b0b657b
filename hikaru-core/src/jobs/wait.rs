//! Waiting for the end of a Job: when it is looked at again, and what ends the wait.

use std::{pin::pin, time::Duration};

use futures_util::{
    StreamExt as _,
    future::{Either, select},
    stream::{self, BoxStream},
};

use super::{
    Jobs,
    definition::JobCreated,
    status::{JobState, JobStatus},
    trouble::Listed,
};
use crate::port::ClusterError;

/// How long to wait before it is tried again whether a Job is gone: not long at first.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// After this time a Job is looked at although its port has told of no change.
const LOOK: Duration = Duration::from_secs(10);

/// After this time it is looked at again when it could not be, and twice as long after each further failure.
const AGAIN: Duration = Duration::from_secs(1);

/// A look is never repeated sooner for the time alone: moments of a cluster are told in whole seconds.
const SOONEST: Duration = Duration::from_millis(10);

/// The pause before the next try.
pub(super) fn pause(turn: usize) -> Duration {
    PAUSES[turn.min(PAUSES.len() - 1)]
}

impl Jobs {
    /// The Job once it has ended or [cannot start](JobStatus::cannot_start), or as it is when the time is over. It is looked at when
    /// its port tells of a change, or when the time alone decides. What the cluster cannot answer for a moment is asked again in that
    /// time. Where the uid is empty the name is enough. After each look `told` hears how the Job is, or why that is not known.
    ///
    /// # Errors
    /// The policy or the caller's rights leave its namespace out. [`ClusterError::NotFound`] when there is none, or it is deleted meanwhile,
    /// [`ClusterError::Exists`] when another one has taken its name, [`ClusterError::Unsupported`] where Jobs do not run. At the
    /// first look each error that asking again would not mend.
    pub async fn wait(
        &self,
        created: &JobCreated,
        within: Duration,
        told: &mut (dyn FnMut(&str) + Send),
    ) -> Result<JobStatus, ClusterError> {
        let JobCreated { name, uid, .. } = created;
        self.check_namespace(name.namespace())?;
        self.check_jobs_run()?;
        let end = self.clock.elapsed().saturating_add(within);
        // A Job that fails for its deadline takes its pods with it: what they said before is its reason.
        let mut troubles = Vec::new();
        let mut last: Option<JobStatus> = None;
        let (mut listed, mut failures) = (Listed::default(), 0);
        let mut changed: Option<BoxStream<'static, ()>> = None;
        loop {
            let mut error = None;
            let mut look_in = LOOK;
            match self.port.look(name, uid).await {
                Ok(status) if !uid.is_empty() && status.uid != *uid => {
                    return Err(ClusterError::Exists(format!(
                        "another Job has taken the name {name}: expected the uid {uid}, found {}",
                        status.uid
                    )));
                }
                Ok(mut status) => {
                    if let Some(time) = self.add_troubles(&mut status, &mut listed).await {
                        look_in = time.clamp(SOONEST, LOOK);
                    }
                    if !status.troubles.is_empty() {
                        troubles.clone_from(&status.troubles);
                    } else if status.state == JobState::Failed {
                        status.troubles.clone_from(&troubles);
                    }
                    if status.state.has_ended() || status.cannot_start() {
                        return Ok(status);
                    }
                    told(&status.sentence());
                    last = Some(status);
                    failures = 0;
                }
                Err(gone @ ClusterError::NotFound(_)) => return Err(gone),
                // What was answered once will be again: an API server that starts refuses what it will allow.
                Err(again) if again.is_retryable() || last.is_some() => {
                    told(&again.to_string());
                    error = Some(again);
                    let longer = 2_u32.saturating_pow(failures);
                    look_in = AGAIN.saturating_mul(longer).min(LOOK);
                    failures += 1;
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
            let telling = changed.get_or_insert_with(|| self.port.changed(name));
            let time = pin!(self.clock.sleep(look_in.min(left)));
            if let Either::Left((None, _)) = select(telling.next(), time).await {
                changed = Some(stream::pending().boxed());
            }
        }
    }
}
