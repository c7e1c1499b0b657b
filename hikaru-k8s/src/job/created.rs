//! What an API server does with a Job before it stores it, for a folder, which has no API server: it generates a name and refuses
//! what no pod can be made of. What a definition says is read in `job`.

use std::hash::{BuildHasher as _, RandomState};

use hikaru_core::{
    jobs::{JobDefinition, JobName, JobNaming},
    port::ClusterError,
};
use serde_json::Value;

/// Longest name of a Job: its pods have it in a label, whose value may be so long.
const LONGEST_NAME: usize = 63;

/// The name of a Job and its object. What an API server would refuse is refused, so that applying the file does not fail later.
///
/// # Errors
/// [`ClusterError::Invalid`].
pub(crate) fn as_created(definition: &JobDefinition) -> Result<(JobName, Value), ClusterError> {
    let mut json: Value =
        serde_json::from_str(&definition.json).map_err(|e| ClusterError::Invalid(e.to_string()))?;
    let name = match &definition.naming {
        JobNaming::Named(name) => name.clone(),
        JobNaming::Generated { namespace, prefix } => {
            let name = generated(prefix);
            if let Some(metadata) = json["metadata"].as_object_mut() {
                metadata.remove("generateName");
                metadata.insert("name".to_owned(), Value::from(&*name));
            }
            JobName::new(namespace, &name).map_err(|e| ClusterError::Invalid(e.to_string()))?
        }
    };
    let length = name.name().len();
    if length > LONGEST_NAME {
        return Err(ClusterError::Invalid(format!(
            "metadata.name: expected at most {LONGEST_NAME} bytes, as pods have it in a label, found {length}"
        )));
    }
    match json["spec"]["template"]["spec"]["restartPolicy"].as_str() {
        Some("Never" | "OnFailure") => Ok((name, json)),
        found => Err(ClusterError::Invalid(format!(
            "spec.template.spec.restartPolicy: expected OnFailure or Never, found {}",
            found.unwrap_or("nothing")
        ))),
    }
}

/// A name with five random letters and digits after the prefix.
fn generated(prefix: &str) -> String {
    let kept: String = prefix.chars().take(LONGEST_NAME - 5).collect();
    // Each `RandomState` hashes with random keys of its own.
    let random = RandomState::new().hash_one(prefix) & 0xf_ffff;
    format!("{kept}{random:05x}")
}
