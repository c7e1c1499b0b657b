//! Who writes a workload's containers, according to `metadata.managedFields`: which manager applies them by server-side apply, and
//! which one changed them last, and when. As an owner an entry that changed the image in another way is ignored, except for Argo
//! CD's: it says nothing about what its manager will do next.

use std::time::SystemTime;

use hikaru_core::{
    Text,
    rollout::TemplateChange,
    workload::{FIELD_MANAGER, Owner},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

/// An entry of `metadata.managedFields`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    #[serde(default)]
    manager: String,
    #[serde(default)]
    operation: String,
    #[serde(default)]
    time: Option<Time>,
    /// Empty for the object itself; `status`, `scale`.
    #[serde(default)]
    subresource: String,
    #[serde(borrow, default)]
    fields_v1: Option<&'a RawValue>,
}

/// The manager name of Argo CD's controller, for server-side apply (`Apply`) and client-side apply (`Update`).
const ARGO_CD: &str = "argocd-controller";

/// The first manager but us that applies an entry of the pod's containers, whoever set its image last: after a write of
/// ours it still applies the rest, and finds the image in our hands. `pod` is the way to the pod's spec.
///
/// Entries that cannot be read are ignored: the rules then take the workload to have no applier.
pub(in crate::live) fn of(managed_fields: &str, pod: &[Text]) -> Option<Owner> {
    // Most objects are never applied so, and this is the longest part of most.
    if !managed_fields.contains("\"Apply\"") {
        return None;
    }
    let applies = |entry: &Entry<'_>| entry.operation == "Apply" && entry.manager != FIELD_MANAGER;
    let manager = writer(managed_fields, pod, applies)?.into();
    Some(Owner::Applier { manager })
}

/// Whether Argo CD has written an entry of the pod's containers.
pub(in crate::live) fn is_argo_cd(managed_fields: &str, pod: &[Text]) -> bool {
    managed_fields.contains(ARGO_CD)
        && writer(managed_fields, pod, |entry| entry.manager == ARGO_CD).is_some()
}

/// The last change of the pod's containers, as far as it is told. A manager has one entry for all that it wrote, so a change of
/// something else by the same manager makes it later than it was. Of two in the same second the later one is whose image it is
/// now: the other one lost it.
pub(in crate::live) fn last_change(managed_fields: &str, pod: &[Text]) -> Option<TemplateChange> {
    let dated = writers(managed_fields, pod, |entry| entry.time.is_some());
    let has_image = |entry: &Entry<'_>| {
        let fields = entry.fields_v1.map(RawValue::get);
        fields.is_some_and(|fields| fields.contains("\"f:image\""))
    };
    let last = dated.max_by_key(|entry| (entry.time.clone(), has_image(entry)))?;
    Some(TemplateChange::new(last.manager, last.time?.0.into()))
}

/// The last change of `spec.replicas`, or later: of the newest entry that has it.
pub(in crate::live) fn last_scaling(managed_fields: &str) -> Option<SystemTime> {
    let scaled = entries(managed_fields).filter(|entry| {
        let fields = entry.fields_v1.map(RawValue::get);
        // The status counts replicas, too.
        &*entry.subresource != "status" && fields.is_some_and(|f| f.contains("\"f:replicas\""))
    });
    scaled
        .filter_map(|entry| entry.time)
        .max()
        .map(|time| time.0.into())
}

/// The first manager of such an entry that has fields of the pod's containers.
fn writer(
    managed_fields: &str,
    pod: &[Text],
    wanted: impl Fn(&Entry<'_>) -> bool,
) -> Option<String> {
    let first = writers(managed_fields, pod, wanted).next();
    first.map(|entry| entry.manager)
}

/// Such entries that have fields of the pod's containers.
fn writers<'a>(
    managed_fields: &'a str,
    pod: &[Text],
    wanted: impl Fn(&Entry<'_>) -> bool,
) -> impl Iterator<Item = Entry<'a>> {
    entries(managed_fields).filter(move |entry| {
        wanted(entry)
            && entry.subresource.is_empty()
            && entry
                .fields_v1
                .is_some_and(|fields| has_containers(fields.get(), pod))
    })
}

/// The entries that can be read.
fn entries(managed_fields: &str) -> impl Iterator<Item = Entry<'_>> {
    let entries: Vec<&RawValue> = serde_json::from_str(managed_fields).unwrap_or_default();
    let entries = entries.into_iter();
    entries.filter_map(|entry| serde_json::from_str::<Entry<'_>>(entry.get()).ok())
}

/// Whether a set of fields has one of a container: `f:spec`, …, `f:containers`, `k:{"name":"web"}`.
fn has_containers(fields: &str, pod: &[Text]) -> bool {
    let Ok(fields) = serde_json::from_str::<Value>(fields) else {
        return false;
    };
    let mut at = &fields;
    for step in pod {
        let Some(next) = at.get(format!("f:{step}")) else {
            return false;
        };
        at = next;
    }
    let has_entry = |list: &str| {
        let list = at.get(list).and_then(Value::as_object);
        list.is_some_and(|list: &Map<String, Value>| list.keys().any(|key| key.starts_with("k:")))
    };
    ["f:containers", "f:initContainers", "f:volumes"]
        .iter()
        .any(|list| has_entry(list))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(managed_fields: &Value, expected: Option<&str>) {
        let pod: Vec<Text> = ["spec", "template", "spec"].map(Text::from).into();
        let found = of(&managed_fields.to_string(), &pod).map(|owner| owner.to_string());
        let expected = expected.map(|manager| format!("the field manager {manager}"));
        assert_eq!(found, expected, "{managed_fields}");
    }

    fn containers(list: &str, inside: &Value) -> Value {
        json!({"f:spec": {"f:template": {"f:spec": {list: inside}}}})
    }

    #[test]
    fn who_applies_containers() {
        let web = containers(
            "f:containers",
            &json!({"k:{\"name\":\"web\"}": {".": {}, "f:image": {}}}),
        );
        let entry = |manager: &str, operation: &str, fields: &Value| {
            json!({"manager": manager, "operation": operation,
            "apiVersion": "apps/v1", "fieldsType": "FieldsV1", "fieldsV1": fields})
        };
        check(&json!([entry("kubectl", "Apply", &web)]), Some("kubectl"));
        // What we took from it in a write of ours is no longer among its fields.
        let rest = containers(
            "f:containers",
            &json!({"k:{\"name\":\"web\"}": {".": {}, "f:name": {}}}),
        );
        check(
            &json!([
                entry("kubectl", "Apply", &rest),
                entry("hikaru", "Update", &web)
            ]),
            Some("kubectl"),
        );
        let init = containers("f:initContainers", &json!({"k:{\"name\":\"web\"}": {}}));
        check(&json!([{}, 7, entry("flux", "Apply", &init)]), Some("flux"));
        for nobody in [
            json!([]),
            json!(null),
            json!("\"Apply\""),
            json!([entry("kubectl", "Update", &web)]),
            json!([entry("hikaru", "Apply", &web)]),
            json!([entry(
                "kubectl",
                "Apply",
                &json!({"f:spec": {"f:replicas": {}}})
            )]),
            json!([entry(
                "kubectl",
                "Apply",
                &containers("f:containers", &json!({}))
            )]),
            json!([entry("kubectl", "Apply", &json!(null))]),
            json!([{"manager": "x", "operation": "Apply", "subresource": "scale", "fieldsV1": web}]),
            json!([{"manager": 7, "operation": "Apply", "fieldsV1": web}]),
        ] {
            check(&nobody, None);
        }
    }

    #[test]
    fn the_last_scaling() {
        let replicas = json!({"f:spec": {"f:replicas": {}}});
        let entry = |subresource: &str, time: &str, fields: &Value| {
            json!({"manager": "m", "operation": "Update", "subresource": subresource,
                "time": time, "fieldsV1": fields})
        };
        let fields = json!([
            entry("", "2026-11-24T18:00:01Z", &replicas),
            entry("scale", "2026-11-24T18:00:02Z", &replicas),
            entry(
                "status",
                "2026-11-24T18:00:03Z",
                &json!({"f:status": {"f:replicas": {}}})
            ),
            entry(
                "",
                "2026-11-24T18:00:04Z",
                &json!({"f:spec": {"f:paused": {}}})
            ),
        ]);
        let at: jiff::Timestamp = "2026-11-24T18:00:02Z".parse().expect("a time");
        assert_eq!(last_scaling(&fields.to_string()), Some(at.into()));
        assert_eq!(last_scaling("null"), None);
    }

    #[test]
    fn argo_cd_has_written_containers() {
        let pod: Vec<Text> = ["spec", "template", "spec"].map(Text::from).into();
        let web = containers(
            "f:containers",
            &json!({"k:{\"name\":\"web\"}": {"f:name": {}}}),
        );
        let replicas = json!({"f:spec": {"f:replicas": {}}});
        for (manager, operation, subresource, fields, expected) in [
            ("argocd-controller", "Update", "", &web, true),
            ("argocd-controller", "Apply", "", &web, true),
            ("argocd-controller", "Update", "status", &web, false),
            ("argocd-controller", "Update", "", &replicas, false),
            ("kubectl", "Update", "", &web, false),
        ] {
            let fields = json!([{"manager": manager, "operation": operation,
                "subresource": subresource, "fieldsV1": fields}]);
            let found = is_argo_cd(&fields.to_string(), &pod);
            assert_eq!(found, expected, "{fields}");
        }
    }

    #[test]
    fn the_last_change_of_containers_is_of_the_object_itself() {
        let pod: Vec<Text> = ["spec", "template", "spec"].map(Text::from).into();
        let web = containers("f:containers", &json!({"k:{\"name\":\"web\"}": {}}));
        let replicas = json!({"f:spec": {"f:replicas": {}}});
        let entry = |manager: &str, minute: u8, subresource: &str, fields: &Value| {
            json!({"manager": manager, "operation": "Update", "subresource": subresource, "fieldsV1": fields,
                "time": format!("2026-11-24T18:{minute:02}:00Z")})
        };
        let timeless = json!({"manager": "x", "operation": "Update", "fieldsV1": web});
        let told = |entries: Value| {
            let change = last_change(&entries.to_string(), &pod)?;
            let at = jiff::Timestamp::try_from(change.at).expect("a time");
            Some(format!("{} {at}", change.manager))
        };
        let entries = json!([
            entry("kubectl", 1, "", &web),
            entry("hikaru", 3, "", &web),
            entry("helm", 2, "", &web),
            entry("hpa", 5, "scale", &replicas),
            entry("kube-controller-manager", 6, "status", &web),
            entry("kubectl-scale", 7, "", &replicas),
            timeless,
            {"manager": "y", "time": "yesterday", "fieldsV1": web},
        ]);
        assert_eq!(
            told(entries).as_deref(),
            Some("hikaru 2026-11-24T18:03:00Z")
        );
        let image = containers(
            "f:containers",
            &json!({"k:{\"name\":\"web\"}": {"f:image": {}}}),
        );
        let same = json!([
            entry("hikaru", 3, "", &image),
            entry("kubectl-create", 3, "", &web)
        ]);
        assert_eq!(told(same).as_deref(), Some("hikaru 2026-11-24T18:03:00Z"));
        assert_eq!(told(json!([timeless])), None);
        assert_eq!(told(json!(null)), None);
    }
}
