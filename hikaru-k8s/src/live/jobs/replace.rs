//! Deleting a Job, and putting another one in its place: the new one is tried first, so that a definition that the server
//! refuses ends nothing that runs.

use std::time::Duration;

use hikaru_core::{ClusterError, JobCreated, JobName, Mode};
use http::Method;
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{object, pause};
use crate::{
    job::Definition,
    live::{
        LiveCluster,
        client::{Expected, refusal},
    },
};

/// How long a Job that is to be replaced may take to be gone: its pods have 30 s to end by default. And how long the
/// creation of the new one is repeated then, while the server cannot be reached.
const GONE: Duration = Duration::from_secs(90);

/// What answers a deletion: a `Status` that names the object, or the object, where something still has to be done.
#[derive(Deserialize)]
struct Deleted {
    kind: String,
    #[serde(default)]
    status: serde_json::Value,
    #[serde(default)]
    details: Named,
    #[serde(default)]
    metadata: Named,
}

#[derive(Default, Deserialize)]
struct Named {
    #[serde(default)]
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    uid: String,
}

/// What is known of a Job that is to be replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OldJob {
    /// No deletion can have been carried out.
    Untouched,
    /// A deletion was sent, and its answer was lost.
    Unknown,
    /// The server has accepted the deletion; the Job or its pods are still there.
    Deleting,
    /// The server has accepted the deletion, and the Job is gone.
    Deleted,
    /// It is gone, whoever deleted it.
    Gone,
}

impl Deleted {
    fn is_of(&self, job: &JobName, uid: Option<&str>) -> bool {
        let is_named =
            |named: &Named| *named.name == **job.name() && uid.is_none_or(|uid| named.uid == uid);
        match &*self.kind {
            "Status" => self.status == "Success" && is_named(&self.details),
            "Job" => is_named(&self.metadata) && *self.metadata.namespace == **job.namespace(),
            _ => false,
        }
    }
}

impl LiveCluster {
    /// Creates a Job in the place of the one that has its name. The server tests the new one before the old one is
    /// deleted; so do webhooks and quotas, which have to have room for both.
    pub(super) async fn replace_job(
        &self,
        name: &JobName,
        definition: &Definition,
        mode: Mode,
    ) -> Result<JobCreated, ClusterError> {
        let namespace = name.namespace();
        let (tried, is_there) = match self.post_job(namespace, definition, Mode::DryRun).await {
            Ok(tried) => (tried, false),
            Err(error) => {
                let mut tried = JobCreated::new(name.clone(), "");
                tried.warnings = error.warnings();
                match refusal::of_create(error, &name.to_string(), Mode::DryRun) {
                    // The server checks the name last, so the rest of the definition is sound.
                    ClusterError::Exists(_) => (tried, true),
                    error => return Err(error),
                }
            }
        };
        if mode == Mode::DryRun {
            return Ok(tried);
        }
        let old = match is_there {
            true => self.make_way(name).await?,
            false => None,
        };
        let Some(old) = old else {
            return self.send_job(namespace, definition, mode).await;
        };
        let deadline = Instant::now() + GONE;
        for turn in 0.. {
            match self.send_job(namespace, definition, mode).await {
                // It is known not to be created.
                Err(ClusterError::Unavailable { .. }) if Instant::now() < deadline => {
                    sleep(pause(turn)).await;
                }
                created => return created.map_err(|error| not_created(name, old, error)),
            }
        }
        Err(ClusterError::NotFound)
    }

    /// Deletes the Job of this name and waits until it is gone with its pods. `None`: there was none.
    async fn make_way(&self, name: &JobName) -> Result<Option<OldJob>, ClusterError> {
        let there = match self.bare_status(name).await {
            Ok(status) => status,
            Err(ClusterError::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        };
        let uid = &*there.uid;
        let deadline = Instant::now() + GONE;
        let mut old = OldJob::Untouched;
        let mut unanswered = String::new();
        for turn in 0.. {
            if old != OldJob::Deleting {
                match self.delete(name, "Foreground", Some(uid)).await {
                    Ok(()) => old = OldJob::Deleting,
                    Err(ClusterError::NotFound) => return Ok(Some(OldJob::Gone)),
                    // The uid makes it safe to send the deletion again.
                    Err(error) if error.is_retryable() => {
                        if matches!(error, ClusterError::Lost(_)) {
                            old = OldJob::Unknown;
                        }
                        unanswered = format!(": {error}");
                    }
                    Err(error) => return Err(not_created(name, old, error)),
                }
            }
            match self.bare_status(name).await {
                Err(ClusterError::NotFound) => {
                    return Ok(Some(match old {
                        OldJob::Deleting => OldJob::Deleted,
                        _ => OldJob::Gone,
                    }));
                }
                Ok(status) if *status.uid != *uid => {
                    return Err(ClusterError::Exists(format!(
                        "somebody else has created the Job {name} meanwhile"
                    )));
                }
                Ok(_) => {}
                // It is read again until the time is over.
                Err(error) if error.is_retryable() => unanswered = format!(": {error}"),
                Err(error) => return Err(not_created(name, old, error)),
            }
            if Instant::now() >= deadline {
                break;
            }
            sleep(pause(turn)).await;
        }
        Err(still_there(name, &unanswered))
    }

    async fn delete(
        &self,
        name: &JobName,
        propagation: &str,
        uid: Option<&str>,
    ) -> Result<(), ClusterError> {
        let mut options =
            json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation});
        if let Some(uid) = uid {
            options["preconditions"] = json!({"uid": uid});
        }
        let body = options.to_string().into_bytes();
        let expected = Expected::Object;
        let answer = self.ask(Method::DELETE, object(name), body, expected).await;
        let answer = answer.map_err(|error| refusal::of_delete(error, uid.is_some()))?;
        match serde_json::from_slice::<Deleted>(&answer.body) {
            Ok(deleted) if deleted.is_of(name, uid) => Ok(()),
            Ok(_) => Err(ClusterError::Lost(format!(
                "the answer is not about the Job {name}"
            ))),
            Err(error) => Err(ClusterError::Lost(format!(
                "the answer cannot be read: {error}"
            ))),
        }
    }

    pub(in crate::live) async fn remove_job(&self, name: &JobName) -> Result<(), ClusterError> {
        self.allow(name.namespace())?;
        self.delete(name, "Background", None).await
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

/// Adds to an error what is known of the old Job, and that the new one does not exist.
fn not_created(name: &JobName, old: OldJob, error: ClusterError) -> ClusterError {
    let old = match old {
        OldJob::Untouched => return error,
        OldJob::Unknown => format!("whether the old Job {name} was deleted is not known"),
        OldJob::Deleting => format!("the old Job {name} is being deleted"),
        OldJob::Deleted => format!("the old Job {name} was deleted"),
        OldJob::Gone => format!("the old Job {name} is gone"),
    };
    let words = |words: String| format!("{old}, the new one was not created: {words}");
    match error {
        ClusterError::Invalid(message) => ClusterError::Invalid(words(message)),
        ClusterError::Forbidden(message) => ClusterError::Forbidden(words(message)),
        ClusterError::Unavailable {
            message,
            retry_after,
        } => ClusterError::Unavailable {
            message: words(message),
            retry_after,
        },
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replacement_whose_old_job_stays_can_be_repeated() {
        let name: JobName = "shop/a".parse().expect("a name");
        let error = still_there(&name, ": unavailable: no connection");
        assert!(error.is_retryable());
        assert_eq!(
            error.to_string(),
            "unavailable: the Job shop/a is not seen to be deleted with its pods after 90 s, so the new one was not created; \
             repeating the call is safe: unavailable: no connection"
        );
    }
}
