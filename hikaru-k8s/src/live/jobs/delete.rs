//! The deletion of a Job, and whether its answer is about that Job.

use hikaru_core::{jobs::JobName, port::ClusterError};
use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::object;
use crate::live::{
    LiveCluster,
    client::{Expected, refusal},
};

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
    /// Deletes a Job. With a uid: the one that has it, and it stays until its pods are gone.
    pub(super) async fn delete_job_object(
        &self,
        name: &JobName,
        uid: Option<&str>,
    ) -> Result<(), ClusterError> {
        let propagation = match uid {
            Some(_) => "Foreground",
            None => "Background",
        };
        let mut options =
            json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation});
        if let Some(uid) = uid {
            options["preconditions"] = json!({"uid": uid});
        }
        let body = options.to_string().into_bytes();
        let expected = Expected::Object;
        let answer = self.ask(Method::DELETE, object(name), body, expected).await;
        let answer =
            answer.map_err(|error| refusal::of_delete(error, &format!("Job {name}"), uid))?;
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
}
