//! What became of a Job, read from its object and its pods as the API server sends them. The types of the objects are
//! k8s-openapi's.

use hikaru_core::{
    Text,
    jobs::{JobCondition, JobName, JobState, JobStatus},
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
    let since = status
        .start_time
        .as_ref()
        .or(metadata.creation_timestamp.as_ref());
    told.since = since.map(|since| since.0.into());
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
    fn what_items_of_a_list_are_read() {
        let pod = json!({"metadata": {"name": "new"}, "status": null,
            "spec": {"containers": [{"name": "c"}], "initContainers": [{"name": "i"}]}});
        let item = pod.to_string();
        let item: &RawValue = serde_json::from_str(&item).expect("JSON");
        let pods: Items<Pod> = Items::read(&[item], "");
        assert_eq!(pods.faults, []);
        assert_eq!(containers_of(&pods.read[0]).collect::<Vec<_>>(), ["i", "c"]);
    }
}
