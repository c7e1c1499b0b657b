//! What became of a Job, read from its object and its pods as the API server sends them: partial structs, as elsewhere.

use hikaru_core::{
    ContainerTrouble, Fault, JobCondition, JobName, JobState, JobStatus, Severity, Text,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::nullable::nullable;

/// A page of a list, its items unread.
#[derive(Deserialize)]
pub(crate) struct RawList {
    #[serde(default)]
    metadata: ListMetadata,
    /// Required: another JSON object would pass for an empty list.
    #[serde(deserialize_with = "nullable")]
    items: Vec<Box<RawValue>>,
}

#[derive(Default, Deserialize)]
struct ListMetadata {
    #[serde(default, rename = "continue", deserialize_with = "nullable")]
    next: String,
}

/// The items of a page: those that were read, and a fault for each of the others.
pub(crate) struct Items<T> {
    pub(crate) read: Vec<T>,
    pub(crate) faults: Vec<Fault>,
}

impl RawList {
    /// Where the next page begins. Empty: there is none.
    pub(crate) fn next(&self) -> &str {
        &self.metadata.next
    }

    /// Reads the items, which are to be of this namespace.
    pub(crate) fn read<T: DeserializeOwned>(&self, namespace: &str) -> Items<T> {
        let mut items = Items {
            read: Vec::with_capacity(self.items.len()),
            faults: Vec::new(),
        };
        for (index, item) in self.items.iter().enumerate() {
            let head = serde_json::from_str::<Head>(item.get());
            let (place, elsewhere) = match &head {
                Ok(Head { metadata }) => (
                    format!("{}/{}", metadata.namespace, metadata.name),
                    metadata.namespace != namespace,
                ),
                Err(_) => (format!("item {} of the list", index + 1), false),
            };
            let why = if elsewhere {
                format!("expected an object of the namespace {namespace}, found another one's")
            } else {
                match serde_json::from_str(item.get()) {
                    Ok(read) => {
                        items.read.push(read);
                        continue;
                    }
                    Err(error) => format!("it cannot be read: {error}"),
                }
            };
            items.faults.push(Fault::new(Severity::Failure, place, why));
        }
        items
    }
}

/// What an item is called.
#[derive(Deserialize)]
struct Head {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    #[serde(default, deserialize_with = "nullable")]
    namespace: String,
    #[serde(default, deserialize_with = "nullable")]
    uid: String,
}

/// A Job as it is read.
#[derive(Deserialize)]
pub(crate) struct Job {
    metadata: Metadata,
    #[serde(default, deserialize_with = "nullable")]
    spec: Spec,
    #[serde(default, deserialize_with = "nullable")]
    status: Status,
}

#[derive(Default, Deserialize)]
struct Spec {
    #[serde(default, deserialize_with = "nullable")]
    suspend: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(default, deserialize_with = "nullable")]
    active: u32,
    #[serde(default, deserialize_with = "nullable")]
    succeeded: u32,
    #[serde(default, deserialize_with = "nullable")]
    failed: u32,
    #[serde(default)]
    start_time: Option<String>,
    #[serde(default)]
    completion_time: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    conditions: Vec<Condition>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    #[serde(rename = "type", default, deserialize_with = "nullable")]
    kind: String,
    #[serde(default, deserialize_with = "nullable")]
    status: String,
    #[serde(default, deserialize_with = "nullable")]
    reason: String,
    #[serde(default, deserialize_with = "nullable")]
    message: String,
    #[serde(default, deserialize_with = "nullable")]
    last_transition_time: String,
}

impl Job {
    /// What it is called, be that a name or not.
    pub(crate) fn place(&self) -> String {
        format!("{}/{}", self.metadata.namespace, self.metadata.name)
    }

    /// Its status, as far as the object itself tells.
    ///
    /// # Errors
    /// The Job's name or namespace is not a valid name.
    pub(crate) fn status(self) -> Result<JobStatus, String> {
        let Self {
            metadata,
            spec,
            status,
        } = self;
        let name = JobName::new(&metadata.namespace, &metadata.name);
        let name = name.map_err(|error| error.to_string())?;
        let mut told = JobStatus::new(name, metadata.uid);
        let is = |kind: &str| {
            let mut conditions = status.conditions.iter();
            conditions.any(|c| c.kind == kind && c.status == "True")
        };
        told.state = if is("Failed") {
            JobState::Failed
        } else if is("Complete") {
            JobState::Complete
        } else if spec.suspend {
            JobState::Suspended
        } else if status.start_time.is_some() {
            JobState::Running
        } else {
            JobState::Pending
        };
        (told.active, told.succeeded, told.failed) =
            (status.active, status.succeeded, status.failed);
        told.started = status.start_time.map(Text::from);
        told.completed = status.completion_time.map(Text::from);
        let conditions = status.conditions.into_iter().map(|c| JobCondition {
            kind: c.kind.into(),
            status: c.status.into(),
            reason: c.reason.into(),
            message: c.message.into(),
            since: c.last_transition_time.into(),
        });
        told.conditions = conditions.collect();
        Ok(told)
    }
}

/// A pod as it is read.
#[derive(Deserialize)]
pub(crate) struct Pod {
    metadata: Metadata,
    #[serde(default, deserialize_with = "nullable")]
    spec: PodSpec,
    #[serde(default, deserialize_with = "nullable")]
    status: PodStatus,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodSpec {
    #[serde(default, deserialize_with = "nullable")]
    containers: Vec<Named>,
    #[serde(default, deserialize_with = "nullable")]
    init_containers: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodStatus {
    #[serde(default, deserialize_with = "nullable")]
    phase: String,
    #[serde(default, deserialize_with = "nullable")]
    reason: String,
    #[serde(default, deserialize_with = "nullable")]
    message: String,
    #[serde(default, deserialize_with = "nullable")]
    conditions: Vec<Condition>,
    #[serde(default, deserialize_with = "nullable")]
    container_statuses: Vec<ContainerStatus>,
    #[serde(default, deserialize_with = "nullable")]
    init_container_statuses: Vec<ContainerStatus>,
}

#[derive(Deserialize)]
struct ContainerStatus {
    name: String,
    #[serde(default, deserialize_with = "nullable")]
    state: ContainerState,
}

#[derive(Default, Deserialize)]
struct ContainerState {
    #[serde(default)]
    waiting: Option<Waiting>,
    #[serde(default)]
    terminated: Option<Terminated>,
}

#[derive(Deserialize)]
struct Waiting {
    #[serde(default, deserialize_with = "nullable")]
    reason: String,
    #[serde(default, deserialize_with = "nullable")]
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Terminated {
    #[serde(default, deserialize_with = "nullable")]
    exit_code: i32,
    #[serde(default, deserialize_with = "nullable")]
    reason: String,
    #[serde(default, deserialize_with = "nullable")]
    message: String,
}

impl Pod {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.metadata.name
    }

    /// Its containers, those that run first first.
    pub(crate) fn containers(&self) -> impl Iterator<Item = &str> {
        let spec = &self.spec;
        let containers = spec.init_containers.iter().chain(&spec.containers);
        containers.map(|container| &*container.name)
    }

    /// What it is troubled by. A pod that waits for its first container only is not.
    fn troubles(&self) -> Vec<ContainerTrouble> {
        let status = &self.status;
        let trouble = |container: &str, reason: &str, message: &str, exit_code| ContainerTrouble {
            pod: self.name().into(),
            container: container.into(),
            reason: reason.into(),
            message: message.into(),
            exit_code,
        };
        let mut troubles = Vec::new();
        let statuses = status.init_container_statuses.iter();
        for container in statuses.chain(&status.container_statuses) {
            let ContainerState {
                waiting,
                terminated,
            } = &container.state;
            if let Some(ended) = terminated.as_ref().filter(|ended| ended.exit_code != 0) {
                let code = Some(ended.exit_code);
                let reason = if ended.reason.is_empty() {
                    "Error"
                } else {
                    &ended.reason
                };
                troubles.push(trouble(&container.name, reason, &ended.message, code));
            } else if let Some(waits) = waiting
                && !["", "ContainerCreating", "PodInitializing"].contains(&&*waits.reason)
            {
                troubles.push(trouble(
                    &container.name,
                    &waits.reason,
                    &waits.message,
                    None,
                ));
            }
        }
        if troubles.is_empty() {
            let unscheduled = status
                .conditions
                .iter()
                .find(|condition| condition.kind == "PodScheduled" && condition.status == "False");
            if let Some(condition) = unscheduled {
                troubles.push(trouble("", &condition.reason, &condition.message, None));
            } else if status.phase == "Failed" && !status.reason.is_empty() {
                troubles.push(trouble("", &status.reason, &status.message, None));
            }
        }
        troubles
    }
}

/// What a Job's pods are troubled by, the most telling first: what ended with an error, what cannot start, what cannot
/// be scheduled.
pub(crate) fn troubles(pods: &[Pod]) -> Vec<ContainerTrouble> {
    let mut troubles: Vec<_> = pods.iter().flat_map(Pod::troubles).collect();
    troubles.sort_by_key(|trouble| (trouble.exit_code.is_none(), trouble.container.is_empty()));
    troubles
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn status(object: Value) -> JobStatus {
        let job: Job = serde_json::from_value(object).expect("a Job");
        job.status().expect("a status")
    }

    #[test]
    fn how_far_a_job_is() {
        let job = |spec: &str, status: Value| {
            let mut object = json!({"metadata": {"name": "a", "namespace": "shop", "uid": "u"}, "status": status});
            object["spec"] = serde_json::from_str(spec).expect("JSON");
            super::tests::status(object)
        };
        let condition = |kind: &str, status: &str| json!([{"type": kind, "status": status, "reason": "R", "message": "m"}]);
        let started = "2026-11-24T18:00:00Z";
        for (spec, status, expected) in [
            ("null", json!(null), "pending"),
            ("{}", json!({"conditions": null}), "pending"),
            ("{\"suspend\": true}", json!({}), "suspended"),
            (
                "{}",
                json!({"startTime": started, "active": 2, "failed": 1}),
                "running: 2 active, 0 succeeded, 1 failed",
            ),
            (
                "{}",
                json!({"startTime": started, "conditions": condition("Complete", "True")}),
                "complete",
            ),
            (
                "{}",
                json!({"startTime": started, "active": 1, "conditions": condition("Complete", "False")}),
                "running: 1 active, 0 succeeded, 0 failed",
            ),
            (
                "{}",
                json!({"startTime": started, "conditions": condition("Failed", "True")}),
                "failed: m (R)",
            ),
        ] {
            assert_eq!(job(spec, status).sentence(), expected);
        }
    }

    #[test]
    fn what_pods_are_troubled_by() {
        let pod = |name: &str, status: Value| {
            json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "c"}], "initContainers": [{"name": "i"}]},
                "status": status})
        };
        let list = json!({"items": [
            pod("new", json!(null)),
            pod("waits", json!({"containerStatuses": [{"name": "c", "state": {"waiting": {"reason": "ContainerCreating"}}}]})),
            pod("alone", json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                "message": "0/1 nodes are available"}]})),
            pod("evicted", json!({"phase": "Failed", "reason": "Evicted", "message": "disk"})),
            pod("pulls", json!({"containerStatuses": [{"name": "c", "state": {"waiting": {"reason": "ImagePullBackOff",
                "message": "no such image"}}}]})),
            pod("ended", json!({"initContainerStatuses": [{"name": "i", "state": {"terminated": {"exitCode": 0}}}],
                "containerStatuses": [{"name": "c", "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}]})),
        ]});
        let list: RawList = serde_json::from_str(&list.to_string()).expect("a list");
        let pods: Items<Pod> = list.read("");
        assert_eq!(pods.faults, []);
        let pods = pods.read;
        assert_eq!(pods[0].containers().collect::<Vec<_>>(), ["i", "c"]);
        let told: Vec<String> = troubles(&pods).iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "the container c of the pod ended ended with exit code 137 (OOMKilled)",
                "the container c of the pod pulls is in ImagePullBackOff: no such image",
                "the pod alone is in Unschedulable: 0/1 nodes are available",
                "the pod evicted is in Evicted: disk",
            ]
        );
    }
}
