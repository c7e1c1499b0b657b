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
    live::{LiveCluster, client::Expected, refusal},
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
        let tried = self.send_job(namespace, definition, Mode::DryRun).await;
        let (tried, is_there) = match tried {
            Ok(tried) => (tried, false),
            // The last thing that the server looks at: all else is sound.
            Err(ClusterError::Exists(_)) => (JobCreated::new(name.clone(), ""), true),
            Err(error) => return Err(error),
        };
        if mode == Mode::DryRun {
            return Ok(tried);
        }
        if !is_there || !self.make_way(name).await? {
            return self.send_job(namespace, definition, mode).await;
        }
        let deadline = Instant::now() + GONE;
        for turn in 0.. {
            match self.send_job(namespace, definition, mode).await {
                // It is known not to be created.
                Err(ClusterError::Unavailable { .. }) if Instant::now() < deadline => {
                    sleep(pause(turn)).await;
                }
                created => return created.map_err(|error| after_deletion(name, error)),
            }
        }
        Err(ClusterError::NotFound)
    }

    /// Deletes the Job of this name and waits until it is gone with its pods. False: there was none.
    async fn make_way(&self, name: &JobName) -> Result<bool, ClusterError> {
        let there = match self.bare_status(name).await {
            Ok(status) => status,
            Err(ClusterError::NotFound) => return Ok(false),
            Err(error) => return Err(error),
        };
        let uid = &*there.uid;
        let deadline = Instant::now() + GONE;
        let mut is_told = false;
        let mut unanswered = String::new();
        for turn in 0.. {
            if !is_told {
                match self.delete(name, "Foreground", Some(uid)).await {
                    Ok(()) => is_told = true,
                    Err(ClusterError::NotFound) => return Ok(true),
                    // It may be deleted or not: the uid makes it safe to say it again.
                    Err(error) if error.is_retryable() => unanswered = format!(": {error}"),
                    Err(error) => return Err(error),
                }
            }
            match self.bare_status(name).await {
                Err(ClusterError::NotFound) => return Ok(true),
                Ok(status) if *status.uid != *uid => {
                    return Err(ClusterError::Exists(format!(
                        "somebody else has created the Job {name} meanwhile"
                    )));
                }
                Ok(_) => {}
                // It is looked again until the time is over.
                Err(error) if error.is_retryable() => unanswered = format!(": {error}"),
                Err(error) => return Err(after_deletion(name, error)),
            }
            if Instant::now() >= deadline {
                break;
            }
            sleep(pause(turn)).await;
        }
        Err(ClusterError::Exists(format!(
            "the Job {name} is not seen to be deleted with its pods after {} s, so the new one was not created; repeating \
             the call is safe{unanswered}",
            GONE.as_secs()
        )))
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
        let body = answer.map_err(refusal::of_delete)?.body;
        match serde_json::from_slice::<Deleted>(&body) {
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

/// Adds to an error between deletion and creation that the old Job is deleted and the new one does not exist.
fn after_deletion(name: &JobName, error: ClusterError) -> ClusterError {
    let words = |words: String| {
        format!("the old Job {name} was deleted, the new one was not created: {words}")
    };
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
