//! Waiting until a Job has ended, with a line of progress on a terminal. What its end means is in `job`.

use std::time::{Duration, Instant};

use hikaru_core::{
    jobs::{JobCreated, JobState, JobStatus},
    port::{ClusterError, ClusterPort},
};
use hikaru_http::wire::Patience;
use tokio::time::sleep;

use crate::terminal::Progress;

/// How long the port waits at a time on a terminal: the line of progress is written anew after each.
const SLICE: Duration = Duration::from_secs(5);
/// After an error that may pass.
const PAUSE: Duration = Duration::from_millis(500);

/// The status once the Job has ended, or as it is when the time is over.
///
/// # Errors
/// It cannot be found out: at once when nothing would mend it, else only when the time is over.
pub(super) async fn until_ended(
    port: &dyn ClusterPort,
    created: &JobCreated,
    patience: Patience,
) -> Result<JobStatus, ClusterError> {
    let slice = match Progress::is_seen() {
        true => SLICE,
        false => patience.get(),
    };
    until(port, created, patience.get(), slice).await
}

async fn until(
    port: &dyn ClusterPort,
    created: &JobCreated,
    patience: Duration,
    slice: Duration,
) -> Result<JobStatus, ClusterError> {
    let begun = Instant::now();
    let mut progress = Progress::new();
    // A Job that fails for its deadline takes its pods with it: what troubled them before is its reason.
    let mut troubles = Vec::new();
    let mut seen = false;
    let JobCreated { name: job, uid, .. } = created;
    loop {
        let left = patience.saturating_sub(begun.elapsed());
        let mut status = port.job_ended(job, uid, left.min(slice)).await;
        let waited = begun.elapsed();
        let told = match &mut status {
            Ok(status) if status.state.has_ended() => {
                if status.state == JobState::Failed && status.troubles.is_empty() {
                    status.troubles = troubles;
                }
                return Ok(status.clone());
            }
            Ok(status) => {
                seen = true;
                if !status.troubles.is_empty() {
                    troubles.clone_from(&status.troubles);
                }
                status.sentence()
            }
            // What was answered once will be again: an API server that starts refuses what it will allow.
            Err(error @ (ClusterError::Forbidden(_) | ClusterError::Invalid(_))) if seen => {
                error.to_string()
            }
            Err(error) if error.is_retryable() => error.to_string(),
            Err(error) => return Err(error.clone()),
        };
        if waited >= patience {
            return status;
        }
        progress.show(&format!("{}s {job} {told}", waited.as_secs()));
        if status.is_err() {
            sleep(PAUSE.min(patience - waited)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use hikaru_core::{
        Mode, Workload, WorkloadId,
        jobs::{ContainerTrouble, JobName},
        policy::Change,
        port::{Found, Freshness, Scope, Written},
    };

    use super::*;

    type Answer = Result<JobState, ClusterError>;

    /// Answers these, one after the other; the last one for ever. Waits as long as it is told only for what goes on.
    struct Told(Mutex<Vec<Answer>>);

    #[async_trait]
    impl ClusterPort for Told {
        fn freshness(&self) -> Freshness {
            Freshness::Fresh
        }

        async fn find(&self, _: &Scope) -> Result<Found, ClusterError> {
            Ok(Found::default())
        }

        async fn read(&self, _: &WorkloadId) -> Result<Option<Workload>, ClusterError> {
            Ok(None)
        }

        async fn write(&self, _: &Change, _: Mode) -> Result<Written, ClusterError> {
            Err(ClusterError::NotFound)
        }

        async fn job_ended(
            &self,
            job: &JobName,
            uid: &str,
            within: Duration,
        ) -> Result<JobStatus, ClusterError> {
            let next = {
                let mut answers = self.0.lock().expect("no panic");
                match answers.len() {
                    1 => answers[0].clone(),
                    _ => answers.remove(0),
                }
            };
            let mut status = JobStatus::new(job.clone(), uid);
            status.state = next?;
            if !status.state.has_ended() {
                sleep(within).await;
            }
            if status.state == JobState::Running {
                status.troubles.push(ContainerTrouble {
                    pod: "migrate-x".into(),
                    container: "web".into(),
                    reason: "Error".into(),
                    message: "".into(),
                    exit_code: Some(3),
                });
            }
            Ok(status)
        }
    }

    async fn wait(answers: &[Answer], millis: u64) -> Result<JobStatus, ClusterError> {
        let told = Told(Mutex::new(answers.to_vec()));
        let job = JobCreated::new(JobName::new("shop", "migrate").expect("a name"), "1");
        let (patience, slice) = (Duration::from_millis(millis), Duration::from_millis(10));
        until(&told, &job, patience, slice).await
    }

    async fn check(answers: &[Answer], millis: u64) -> Answer {
        wait(answers, millis).await.map(|status| status.state)
    }

    #[tokio::test]
    async fn until_it_has_ended() {
        use JobState::{Complete, Failed, Pending, Running};
        let gone = || {
            Err(ClusterError::Unavailable {
                message: "refused".into(),
                retry_after: None,
            })
        };
        let (long, short) = (60_000, 50);
        assert_eq!(check(&[Ok(Complete)], long).await, Ok(Complete));
        let slices = [Ok(Pending), Ok(Running), Ok(Running), Ok(Failed)];
        let failed = wait(&slices, long).await.expect("its end");
        let sentence =
            "failed: the container web of the pod migrate-x ended with exit code 3 (Error)";
        assert_eq!(
            (failed.state, failed.sentence()),
            (Failed, sentence.to_owned()),
            "it was seen in an earlier slice"
        );
        assert_eq!(check(&[Ok(Running)], short).await, Ok(Running));
        // What may pass is asked again, what does not is told.
        let again = [gone(), Ok(Running), Ok(Complete)];
        assert_eq!(check(&again, long).await, Ok(Complete));
        assert_eq!(check(&[gone()], short).await, gone());
        let deleted = Err(ClusterError::NotFound);
        assert_eq!(check(&[Ok(Running), deleted.clone()], long).await, deleted);
        // A refusal ends it only if nothing was seen before.
        let refused = || Err(ClusterError::Forbidden("no".into()));
        assert_eq!(check(&[refused()], long).await, refused());
        let again = [Ok(Running), refused(), Ok(Complete)];
        assert_eq!(check(&again, long).await, Ok(Complete));
    }
}
