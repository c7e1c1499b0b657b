//! The bodies of what is written: JSON patches that test everything that was read and then change images, marks and
//! `hikaru.dev/last-upgrade`, and nothing else. Values, built without a server; how they are sent is said in `live`.

use std::time::SystemTime;

use hikaru_core::{
    Change, IdentityKeys, LAST_UPGRADE, MARK_PREFIX, Place, Progress, SETTING_PREFIX, SETTINGS,
    Text, Workload,
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::object::Seen;
use crate::kind::Kind;

/// Whether the object has annotations at all. A `test` below a map that is not there fails, and an `add` does, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Annotations {
    There,
    Absent,
}

/// Whether it is certain from the workload alone that there are annotations.
pub(super) fn surely_annotated(workload: &Workload) -> bool {
    workload.last_upgrade.is_some()
        || workload
            .settings
            .iter()
            .any(|s| s.place == Place::Annotation)
}

/// The patch of a change: the tests first, so that it applies to the state that was judged or not at all.
pub(super) fn of_change(
    change: &Change,
    kind: &Kind,
    keys: &IdentityKeys,
    annotations: Annotations,
    now: SystemTime,
) -> Value {
    let judged = change.judged();
    let mut patch = Patch(vec![]);
    patch.test("/metadata/uid", Some(&judged.uid));
    for (key, value) in [
        (&keys.owner, &judged.labels.owner),
        (&keys.repo, &judged.labels.repo),
        (&keys.branch, &judged.labels.branch),
    ] {
        patch.test(&label(key), value.as_ref());
    }
    if annotations == Annotations::Absent {
        patch.test(ANNOTATIONS, None);
    }
    for key in SETTINGS {
        let full = format!("{SETTING_PREFIX}{key}");
        patch.test(&label(&full), judged.setting(Place::Label, key));
        if annotations == Annotations::There {
            patch.test(&annotation(&full), judged.setting(Place::Annotation, key));
        }
    }
    for container in change.containers() {
        let at = container_at(kind, container.init, container.position);
        patch.test(&format!("{at}/name"), Some(&container.name));
        patch.test(&format!("{at}/image"), Some(&container.image));
        patch.test(&mark(&container.name), container.mark.as_ref());
    }
    if annotations == Annotations::There {
        // The new value is made of this one.
        patch.test(&annotation(LAST_UPGRADE), judged.last_upgrade.as_ref());
    }

    for (container, edit) in change.edited() {
        let at = container_at(kind, container.init, container.position);
        patch.set("replace", &format!("{at}/image"), json!(**edit.to()));
        if let Some(value) = edit.mark() {
            patch.set("add", &mark(&container.name), json!(**value));
        }
    }
    let last = last_upgrade(change, now);
    match annotations {
        Annotations::There => patch.set("add", &annotation(LAST_UPGRADE), json!(last)),
        Annotations::Absent => patch.set("add", ANNOTATIONS, json!({ LAST_UPGRADE: last })),
    }
    Value::Array(patch.0)
}

/// The patch that removes marks, if they still stand so.
pub(super) fn of_unhold(seen: &Seen, marks: &[(Text, Text)]) -> Value {
    let mut patch = Patch(vec![]);
    patch.test("/metadata/uid", Some(&seen.workload.uid));
    for (container, value) in marks {
        patch.test(&mark(container), Some(value));
    }
    for (container, _) in marks {
        patch
            .0
            .push(json!({"op": "remove", "path": mark(container)}));
    }
    Value::Array(patch.0)
}

struct Patch(Vec<Value>);

impl Patch {
    /// `None`: it must be absent. A `test` with `null` passes for an absent key.
    fn test(&mut self, path: &str, value: Option<&Text>) {
        let value = value.map(|value| &**value);
        self.0
            .push(json!({"op": "test", "path": path, "value": value}));
    }

    fn set(&mut self, op: &str, path: &str, value: Value) {
        self.0.push(json!({"op": op, "path": path, "value": value}));
    }
}

const ANNOTATIONS: &str = "/metadata/annotations";

fn label(key: &str) -> String {
    format!("/metadata/labels/{}", escape(key))
}

fn annotation(key: &str) -> String {
    format!("{ANNOTATIONS}/{}", escape(key))
}

fn mark(container: &str) -> String {
    label(&format!("{MARK_PREFIX}{container}"))
}

fn container_at(kind: &Kind, init: bool, position: usize) -> String {
    let list = if init { "initContainers" } else { "containers" };
    format!("/{}/{list}/{position}", kind.pod.join("/"))
}

/// RFC 6901.
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// `{"at": …, "previous": {container: image}}`: when hikaru last upgraded the workload, and for each container the last
/// image whose rollout was complete. Members that somebody else knows are kept; what cannot be read is replaced.
fn last_upgrade(change: &Change, now: SystemTime) -> String {
    let judged = change.judged();
    let mut last = judged
        .last_upgrade
        .as_ref()
        .and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok())
        .unwrap_or_default();
    let mut previous = match last.remove("previous") {
        Some(Value::Object(previous)) => previous,
        _ => Map::new(),
    };
    if judged.progress.as_ref().is_none_or(Progress::is_complete) {
        for (container, _) in change.edited() {
            previous.insert(container.name.to_string(), json!(*container.image));
        }
    }
    last.insert("previous".into(), previous.into());
    last.insert("at".into(), rfc3339(now).into());
    Value::Object(last).to_string()
}

/// `2026-11-23T18:00:00Z`.
fn rfc3339(now: SystemTime) -> String {
    let time = Timestamp::try_from(now).unwrap_or_default();
    let seconds = Timestamp::from_second(time.as_second()).unwrap_or_default();
    seconds.to_string()
}

#[cfg(test)]
mod tests;
