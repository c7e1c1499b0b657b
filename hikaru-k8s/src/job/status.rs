//! What became of a Job, read from its object and its pods as the API server sends them. The types of the objects are
//! k8s-openapi's.

use hikaru_core::{
    Text,
    jobs::{ContainerTrouble, JobCondition, JobName, JobState, JobStatus},
    port::{Fault, Severity},
};
use k8s_openapi::{
    api::{batch::v1::Job, core::v1::Pod},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::nullable::nullable;

/// The items of a page: those that were read, and a fault for each of the others.
pub(crate) struct Items<T> {
    pub(crate) read: Vec<T>,
    pub(crate) faults: Vec<Fault>,
}

impl<T: DeserializeOwned> Items<T> {
    /// Reads the items of a list, which are to be of this namespace.
    pub(crate) fn read(list: &[&RawValue], namespace: &str) -> Self {
        let mut items = Self {
            read: Vec::with_capacity(list.len()),
            faults: Vec::new(),
        };
        for (index, item) in list.iter().enumerate() {
            let (place, why) = match serde_json::from_str::<Head>(item.get()) {
                Err(error) => (
                    format!("item {} of the list", index + 1),
                    format!("it cannot be read: {error}"),
                ),
                Ok(Head { metadata }) => {
                    let place = format!("{}/{}", metadata.namespace, metadata.name);
                    if metadata.namespace != namespace {
                        let why = "expected an object of the namespace";
                        (place, format!("{why} {namespace}, found another one's"))
                    } else {
                        match serde_json::from_str(item.get()) {
                            Ok(read) => {
                                items.read.push(read);
                                continue;
                            }
                            Err(error) => (place, format!("it cannot be read: {error}")),
                        }
                    }
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
}

/// `namespace/name` of an object, be those names or not.
pub(crate) fn place(metadata: &ObjectMeta) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    format!("{}/{}", text(&metadata.namespace), text(&metadata.name))
}

/// The status of a Job, as far as its object tells.
///
/// # Errors
/// The Job's name or namespace is not a valid name.
pub(crate) fn status_of(job: Job) -> Result<JobStatus, String> {
    let metadata = job.metadata;
    let (namespace, name) = (metadata.namespace, metadata.name);
    let name = JobName::new(&namespace.unwrap_or_default(), &name.unwrap_or_default());
    let name = name.map_err(|error| error.to_string())?;
    let status = job.status.unwrap_or_default();
    let conditions = status.conditions.unwrap_or_default();
    let is = |kind: &str| {
        let mut conditions = conditions.iter();
        conditions.any(|c| c.type_ == kind && c.status == "True")
    };
    let is_suspended = job.spec.and_then(|spec| spec.suspend).unwrap_or_default();
    let mut told = JobStatus::new(name, metadata.uid.unwrap_or_default());
    told.state = if is("Failed") {
        JobState::Failed
    } else if is("Complete") {
        JobState::Complete
    } else if is_suspended {
        JobState::Suspended
    } else if status.start_time.is_some() {
        JobState::Running
    } else {
        JobState::Pending
    };
    let number = |number: Option<i32>| number.and_then(|n| n.try_into().ok()).unwrap_or_default();
    (told.active, told.succeeded, told.failed) = (
        number(status.active),
        number(status.succeeded),
        number(status.failed),
    );
    let time = |time: Option<Time>| time.map(|time| Text::from(time.0.to_string()));
    told.started = time(status.start_time);
    told.completed = time(status.completion_time);
    let conditions = conditions.into_iter().map(|c| JobCondition {
        kind: c.type_.into(),
        status: c.status.into(),
        reason: c.reason.unwrap_or_default().into(),
        message: c.message.unwrap_or_default().into(),
        since: time(c.last_transition_time).unwrap_or_default(),
    });
    told.conditions = conditions.collect();
    Ok(told)
}

/// The name of a pod.
pub(crate) fn name_of(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or_default()
}

/// The names of a pod's containers, in the order in which they run.
pub(crate) fn containers_of(pod: &Pod) -> impl Iterator<Item = &str> {
    let spec = pod.spec.iter();
    let containers = spec.flat_map(|spec| {
        let init = spec.init_containers.iter().flatten();
        init.chain(&spec.containers)
    });
    containers.map(|container| &*container.name)
}

/// What a pod is troubled by. A pod that only waits for its first container is not.
fn troubles_of(pod: &Pod) -> Vec<ContainerTrouble> {
    let Some(status) = &pod.status else {
        return Vec::new();
    };
    let text = |text: &Option<String>| Text::from(text.as_deref().unwrap_or_default());
    let trouble = |container: &str, reason: Text, message: Text, exit_code| ContainerTrouble {
        pod: name_of(pod).into(),
        container: container.into(),
        reason,
        message,
        exit_code,
    };
    let mut troubles = Vec::new();
    let init = status.init_container_statuses.iter().flatten();
    for container in init.chain(status.container_statuses.iter().flatten()) {
        let Some(state) = &container.state else {
            continue;
        };
        if let Some(ended) = state
            .terminated
            .as_ref()
            .filter(|ended| ended.exit_code != 0)
        {
            let reason = match text(&ended.reason) {
                none if none.is_empty() => "Error".into(),
                reason => reason,
            };
            let (message, code) = (text(&ended.message), Some(ended.exit_code));
            troubles.push(trouble(&container.name, reason, message, code));
        } else if let Some(waits) = &state.waiting {
            let reason = text(&waits.reason);
            if !["", "ContainerCreating", "PodInitializing"].contains(&&*reason) {
                troubles.push(trouble(&container.name, reason, text(&waits.message), None));
            }
        }
    }
    if troubles.is_empty() {
        let mut conditions = status.conditions.iter().flatten();
        let unscheduled = conditions.find(|c| c.type_ == "PodScheduled" && c.status == "False");
        let has_failed = status.phase.as_deref() == Some("Failed");
        if let Some(condition) = unscheduled {
            let (reason, message) = (text(&condition.reason), text(&condition.message));
            troubles.push(trouble("", reason, message, None));
        } else if has_failed && !text(&status.reason).is_empty() {
            troubles.push(trouble(
                "",
                text(&status.reason),
                text(&status.message),
                None,
            ));
        }
    }
    troubles
}

/// What a Job's pods are troubled by, the most telling first: what ended with an error, what cannot start, what cannot
/// be scheduled.
pub(crate) fn troubles(pods: &[Pod]) -> Vec<ContainerTrouble> {
    let mut troubles: Vec<_> = pods.iter().flat_map(troubles_of).collect();
    troubles.sort_by_key(|trouble| (trouble.exit_code.is_none(), trouble.container.is_empty()));
    troubles
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn status(object: Value) -> JobStatus {
        let job: Job = serde_json::from_value(object).expect("a Job");
        status_of(job).expect("a status")
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
        let items: Vec<String> = list["items"]
            .as_array()
            .into_iter()
            .flatten()
            .map(Value::to_string)
            .collect();
        let items: Vec<&RawValue> = items
            .iter()
            .map(|item| serde_json::from_str(item).expect("JSON"))
            .collect();
        let pods: Items<Pod> = Items::read(&items, "");
        assert_eq!(pods.faults, []);
        let pods = pods.read;
        assert_eq!(containers_of(&pods[0]).collect::<Vec<_>>(), ["i", "c"]);
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
