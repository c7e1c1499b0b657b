//! What the rules have to know of a Job, read from its JSON: its names and its ServiceAccount. What its pods ask for is in
//! `pod_security`.

use hikaru_core::{
    Text,
    jobs::{JobFacts, JobName},
    workload::check_namespace,
};
use serde_json::Value;

use super::{
    fields::{Fields, Object, shape},
    pod_security,
};
use crate::yaml::excerpt;

/// How `kind` tells of a Job.
pub(super) const JOB: &str = "a Job of batch/v1";

/// What an object is, for a person: `a Deployment of apps/v1`.
pub(super) fn kind(value: &Value) -> String {
    let object = match value {
        Value::Object(object) => object,
        other => return shape(other).to_owned(),
    };
    let word = |key: &str| {
        object
            .get(key)
            .and_then(Value::as_str)
            .filter(|w| !w.is_empty())
    };
    match (word("kind"), word("apiVersion")) {
        (Some(kind), Some(version)) => format!("a {} of {}", excerpt(kind), excerpt(version)),
        (Some(kind), None) => format!("a {} without apiVersion", excerpt(kind)),
        (None, _) => "a map without kind".to_owned(),
    }
}

/// A text at a path. Empty is none.
pub(super) fn text<'o>(object: &'o Object, path: &[&str]) -> Option<&'o str> {
    let (last, way) = path.split_last()?;
    let mut at = object;
    for key in way {
        at = at.get(*key)?.as_object()?;
    }
    at.get(*last)?.as_str().filter(|text| !text.is_empty())
}

/// Reads the names, the ServiceAccount, and the fields that only a privileged policy allows.
pub(super) fn read(object: &Object) -> Result<JobFacts, String> {
    let job = Fields::top(object);
    let metadata = job.map("metadata")?;
    let name = metadata.text("name")?;
    let generated = metadata.text("generateName")?;
    let namespace = metadata.text("namespace")?;
    if let Some(namespace) = namespace {
        check_namespace(namespace).map_err(|error| format!("metadata.namespace: {error}"))?;
    }
    match (name, generated) {
        (Some(name), _) => {
            JobName::new("default", name).map_err(|error| format!("metadata.name: {error}"))?;
        }
        (None, Some(prefix)) => {
            // As the API server does it: five letters and digits follow, and what is too long is cut.
            let prefix: String = prefix.chars().take(58).collect();
            let example = format!("{prefix}bcdfg");
            JobName::new("default", &example)
                .map_err(|error| format!("metadata.generateName: {error}"))?;
        }
        (None, None) => {
            return Err(
                "expected metadata.name or metadata.generateName, found neither".to_owned(),
            );
        }
    }
    let template = job.map("spec")?.map("template")?;
    let pod = template.map("spec")?;
    if pod.list("containers")?.is_empty() {
        return Err(
            "spec.template.spec.containers: expected at least one container, found none".to_owned(),
        );
    }
    let demand = pod_security::demand(&template)?;
    // The older name of the field counts where the other one is not set, as for the API server.
    let account = pod.text("serviceAccountName")?;
    let account = account.or(pod.text("serviceAccount")?);
    Ok(JobFacts {
        service_account: account.map(Text::from),
        demand,
    })
}
