//! The bodies of what is written: JSON patches that test everything that was read and then change images, marks and
//! `hikaru.dev/last-upgrade`, and nothing else. Values, built without a server; how they are sent is said in `live`.

use std::time::SystemTime;

use hikaru_core::{
    Change, IdentityKeys, LAST_UPGRADE, MARK_PREFIX, Place, Progress, SETTING_PREFIX, SETTINGS,
    Text, Workload,
};
use jiff::Timestamp;
use serde::Serialize;
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
) -> Vec<u8> {
    let judged = change.judged();
    let mut patch = Patch::new();
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
        patch.set("replace", &format!("{at}/image"), &**edit.to());
        if let Some(value) = edit.mark() {
            patch.set("add", &mark(&container.name), &**value);
        }
    }
    let last = last_upgrade(change, now);
    match annotations {
        Annotations::There => patch.set("add", &annotation(LAST_UPGRADE), last),
        Annotations::Absent => patch.set("add", ANNOTATIONS, json!({ LAST_UPGRADE: last })),
    }
    patch.done()
}

/// The patch that removes marks, if they still stand so.
pub(super) fn of_unhold(seen: &Seen, marks: &[(Text, Text)]) -> Vec<u8> {
    let mut patch = Patch::new();
    patch.test("/metadata/uid", Some(&seen.workload.uid));
    for (container, value) in marks {
        patch.test(&mark(container), Some(value));
    }
    for (container, _) in marks {
        patch.push(&Remove {
            op: "remove",
            path: &mark(container),
        });
    }
    patch.done()
}

/// The text of a patch, operation by operation. Written at once: twenty operations as trees of JSON values are hundreds of
/// allocations.
struct Patch(Vec<u8>);

#[derive(Serialize)]
struct Operation<'a, V> {
    op: &'a str,
    path: &'a str,
    value: V,
}

#[derive(Serialize)]
struct Remove<'a> {
    op: &'a str,
    path: &'a str,
}

impl Patch {
    fn new() -> Self {
        let mut text = Vec::with_capacity(USUAL);
        text.push(b'[');
        Self(text)
    }

    fn push(&mut self, operation: &impl Serialize) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        // Texts and maps of texts alone, into memory: it cannot fail.
        let _ = serde_json::to_writer(&mut self.0, operation);
    }

    /// `None`: it must be absent. A `test` with `null` passes for an absent key.
    fn test(&mut self, path: &str, value: Option<&Text>) {
        let value = value.map(|value| &**value);
        self.set("test", path, value);
    }

    fn set(&mut self, op: &str, path: &str, value: impl Serialize) {
        self.push(&Operation { op, path, value });
    }

    fn done(mut self) -> Vec<u8> {
        self.0.push(b']');
        self.0
    }
}

/// Bytes of a patch of one container, about.
const USUAL: usize = 2048;

const ANNOTATIONS: &str = "/metadata/annotations";

fn label(key: &str) -> String {
    below("/metadata/labels/", &[key])
}

fn annotation(key: &str) -> String {
    below("/metadata/annotations/", &[key])
}

fn mark(container: &str) -> String {
    below("/metadata/labels/", &[MARK_PREFIX, container])
}

fn container_at(kind: &Kind, init: bool, position: usize) -> String {
    let list = if init { "initContainers" } else { "containers" };
    format!("/{}/{list}/{position}", kind.pod.join("/"))
}

/// The pointer of a key, given in parts, below a map: RFC 6901.
fn below(map: &str, key: &[&str]) -> String {
    let mut path = String::with_capacity(80);
    path.push_str(map);
    for c in key.iter().flat_map(|part| part.chars()) {
        match c {
            '~' => path.push_str("~0"),
            '/' => path.push_str("~1"),
            c => path.push(c),
        }
    }
    path
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
