//! A Job from a CronJob's template, as `kubectl create job --from` makes it; and the image of a build that was just
//! deployed, in the containers that use its repository.

use hikaru_core::{image::Reference, jobs::JobName, port::ClusterError};
use serde_json::{Map, Value, json};

use super::Definition;

/// The Job of a CronJob. `image`: its tag and digest are what the containers of the same repository run; the repository stays
/// as each of them spells it.
///
/// # Errors
/// [`ClusterError::Invalid`]: the image is no reference, or no container uses its repository.
pub(crate) fn from_cron_job(
    name: &JobName,
    cron_job: &Value,
    image: Option<&str>,
) -> Result<Definition, ClusterError> {
    let template = cron_job.pointer("/spec/jobTemplate");
    let part = |path: &str| {
        template
            .and_then(|template| template.pointer(path))
            .cloned()
    };
    let map = |path: &str| match part(path) {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    };
    let mut annotations = map("/metadata/annotations");
    annotations.insert(
        "cronjob.kubernetes.io/instantiate".to_owned(),
        json!("manual"),
    );
    let mut metadata = json!({
        "generateName": format!("{}-", name.name()),
        "namespace": &**name.namespace(),
        "annotations": annotations,
    });
    let labels = map("/metadata/labels");
    if !labels.is_empty() {
        metadata["labels"] = Value::Object(labels);
    }
    // Not blocking the deletion of its owner, as that would take one more right. A file has no uid.
    if let Some(uid) = cron_job.pointer("/metadata/uid").and_then(Value::as_str) {
        metadata["ownerReferences"] = json!([{"apiVersion": "batch/v1", "kind": "CronJob", "name": &**name.name(),
            "uid": uid, "controller": true}]);
    }
    let mut spec = map("/spec");
    if let Some(image) = image {
        put_image(&mut spec, image, name)?;
    }
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec});
    Definition::of_value(job)
}

fn put_image(
    spec: &mut Map<String, Value>,
    posted_text: &str,
    name: &JobName,
) -> Result<(), ClusterError> {
    let posted = Reference::parse(posted_text)
        .map_err(|error| ClusterError::Invalid(format!("not an image reference: {error}")))?;
    let mut runs = Vec::new();
    let mut put = false;
    for (list, image) in [
        ("initContainers", "/image"),
        ("containers", "/image"),
        ("volumes", "/image/reference"),
    ] {
        let items = spec
            .get_mut("template")
            .and_then(|template| template.pointer_mut("/spec"))
            .and_then(|pod| pod.get_mut(list))
            .and_then(Value::as_array_mut);
        for item in items.into_iter().flatten() {
            let Some(Value::String(text)) = item.pointer_mut(image) else {
                continue;
            };
            match Reference::parse(text) {
                Ok(running) if running.repository() == posted.repository() => {
                    put = true;
                    let end = &posted_text[posted.spelling(posted_text).len()..];
                    *text = format!("{}{end}", running.spelling(text));
                }
                _ => runs.push(text.clone()),
            }
        }
    }
    if put {
        return Ok(());
    }
    let runs = match &*runs {
        [] => "none".to_owned(),
        some => some.join(", "),
    };
    Err(ClusterError::Invalid(format!(
        "no container of the CronJob {name} uses the repository of {posted_text}; its images: {runs}"
    )))
}
