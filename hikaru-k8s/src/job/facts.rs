//! What the rules have to know of a Job, read from its JSON. A field that the policy reads and that has another type than
//! Kubernetes gives it is refused here: nothing that might count is passed over.

use hikaru_core::{JobDemand, JobFacts, JobName, Text, check_namespace};
use serde_json::{Map, Value};

use crate::yaml::excerpt;

/// How `kind` tells of a Job.
pub(super) const JOB: &str = "a Job of batch/v1";

type Object = Map<String, Value>;

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

fn shape(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
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

/// Reads names and what lets pods out of their box.
pub(super) fn read(object: &Object) -> Result<JobFacts, String> {
    let job = At::top(object);
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
    let pod = job.map("spec")?.map("template")?.map("spec")?;
    let containers = pod.list("containers")?;
    if containers.is_empty() {
        return Err(
            "spec.template.spec.containers: expected at least one container, found none".to_owned(),
        );
    }
    let mut demands = Vec::new();
    for field in ["hostNetwork", "hostPID", "hostIPC"] {
        if pod.truth(field)? {
            demands.push(JobDemand::Namespace(field.into()));
        }
    }
    if of_root(&pod.map("securityContext")?)? {
        let container = "".into();
        demands.push(JobDemand::Privileged { container });
    }
    for volume in pod.list("volumes")? {
        if volume
            .object
            .get("hostPath")
            .is_some_and(|path| !path.is_null())
        {
            let volume = volume.named()?;
            demands.push(JobDemand::HostPath { volume });
        }
    }
    let mut all = containers;
    all.extend(pod.list("initContainers")?);
    all.extend(pod.list("ephemeralContainers")?);
    for container in all {
        let name = container.named()?;
        if of_root(&container.map("securityContext")?)? {
            let container = name.clone();
            demands.push(JobDemand::Privileged { container });
        }
        for port in container.list("ports")? {
            let port = port.object.get("hostPort");
            if port.is_some_and(|port| !port.is_null() && port.as_u64() != Some(0)) {
                let container = name.clone();
                demands.push(JobDemand::HostPort { container });
            }
        }
    }
    // The older name of the field counts where the other one is not set, as for the API server.
    let account = pod.text("serviceAccountName")?;
    let account = account.or(pod.text("serviceAccount")?);
    Ok(JobFacts {
        namespace: namespace.map(Text::from),
        service_account: account.map(Text::from),
        demands,
    })
}

/// Whether a security context gives a container the rights of the node's root.
fn of_root(context: &At<'_>) -> Result<bool, String> {
    Ok(context.truth("privileged")? || context.map("windowsOptions")?.truth("hostProcess")?)
}

/// A map and the way to it, for messages.
struct At<'o> {
    object: &'o Object,
    way: String,
}

/// What stands where nothing does.
static NOTHING: std::sync::LazyLock<Object> = std::sync::LazyLock::new(Object::new);

impl<'o> At<'o> {
    fn top(object: &'o Object) -> Self {
        Self {
            object,
            way: String::new(),
        }
    }

    fn way(&self, key: &str) -> String {
        if self.way.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.way)
        }
    }

    fn odd(&self, key: &str, expected: &str, found: &Value) -> String {
        format!(
            "{}: expected {expected}, found {}",
            self.way(key),
            shape(found)
        )
    }

    /// A map; one that is not there is empty.
    fn map(&self, key: &str) -> Result<At<'o>, String> {
        let object = match self.object.get(key) {
            None | Some(Value::Null) => &*NOTHING,
            Some(Value::Object(object)) => object,
            Some(other) => return Err(self.odd(key, "a map", other)),
        };
        Ok(At {
            object,
            way: self.way(key),
        })
    }

    /// A list of maps; one that is not there is empty.
    fn list(&self, key: &str) -> Result<Vec<At<'o>>, String> {
        let items = match self.object.get(key) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(items)) => items,
            Some(other) => return Err(self.odd(key, "a list", other)),
        };
        let items = items.iter().enumerate().map(|(index, item)| {
            let key = format!("{key}[{index}]");
            match item {
                Value::Object(object) => Ok(At {
                    object,
                    way: self.way(&key),
                }),
                other => Err(self.odd(&key, "a map", other)),
            }
        });
        items.collect()
    }

    /// A text; an empty one is none.
    fn text(&self, key: &str) -> Result<Option<&'o str>, String> {
        match self.object.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(other) => Err(self.odd(key, "a text", other)),
        }
    }

    fn truth(&self, key: &str) -> Result<bool, String> {
        match self.object.get(key) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(truth)) => Ok(*truth),
            Some(other) => Err(self.odd(key, "true or false", other)),
        }
    }

    fn named(&self) -> Result<Text, String> {
        Ok(self.text("name")?.unwrap_or("without a name").into())
    }
}
