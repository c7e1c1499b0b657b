//! The bodies of what is written: JSON patches that test everything that was read and then change images, marks and
//! `hikaru.dev/last-upgrade`, and nothing else. Values, built without a server; how they are sent is said in `live`.

use std::{collections::BTreeMap, time::SystemTime};

use hikaru_core::{
    Change, IdentityKeys, LAST_UPGRADE, MARK_PREFIX, Place, Progress, SETTING_PREFIX, SETTINGS,
    Text, Workload,
};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

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
    patch.test((METADATA, &["uid"]), Some(&judged.uid));
    for (key, value) in [
        (&keys.owner, &judged.labels.owner),
        (&keys.repo, &judged.labels.repo),
        (&keys.branch, &judged.labels.branch),
    ] {
        patch.test((LABELS, &[key]), value.as_ref());
    }
    if annotations == Annotations::Absent {
        patch.test((METADATA, &["annotations"]), None);
    }
    for key in SETTINGS {
        let full = [SETTING_PREFIX, key];
        patch.test((LABELS, &full), judged.setting(Place::Label, key));
        if annotations == Annotations::There {
            let value = judged.setting(Place::Annotation, key);
            patch.test((ANNOTATIONS, &full), value);
        }
    }
    for container in change.containers() {
        let at = container_at(kind, container.init, container.position);
        patch.test((&at, &["name"]), Some(&container.name));
        patch.test((&at, &["image"]), Some(&container.image));
        let mark = [MARK_PREFIX, &*container.name];
        patch.test((LABELS, &mark), container.mark.as_ref());
    }
    if annotations == Annotations::There {
        // The new value is made of this one.
        patch.test((ANNOTATIONS, &[LAST_UPGRADE]), judged.last_upgrade.as_ref());
    }

    for (container, edit) in change.edited() {
        let at = container_at(kind, container.init, container.position);
        patch.set("replace", (&at, &["image"]), edit.to());
        if let Some(value) = edit.mark() {
            let mark = [MARK_PREFIX, &*container.name];
            patch.set("add", (LABELS, &mark), value);
        }
    }
    let last = last_upgrade(change, now);
    match annotations {
        Annotations::There => patch.set("add", (ANNOTATIONS, &[LAST_UPGRADE]), &last),
        Annotations::Absent => patch.add_map((METADATA, &["annotations"]), LAST_UPGRADE, &last),
    }
    patch.done()
}

/// The patch that removes marks, if they still stand so.
pub(super) fn of_unhold(seen: &Seen, marks: &[(Text, Text)]) -> Vec<u8> {
    let mut patch = Patch::new();
    patch.test((METADATA, &["uid"]), Some(&seen.workload.uid));
    for (container, value) in marks {
        patch.test((LABELS, &[MARK_PREFIX, container]), Some(value));
    }
    for (container, _) in marks {
        patch.remove((LABELS, &[MARK_PREFIX, container]));
    }
    patch.done()
}

/// Where in an object: the pointer of a map or a list (RFC 6901), and a key below it, in parts.
type At<'a> = (&'a str, &'a [&'a str]);

const METADATA: &str = "/metadata";
const LABELS: &str = "/metadata/labels";
const ANNOTATIONS: &str = "/metadata/annotations";

fn container_at(kind: &Kind, init: bool, position: usize) -> String {
    let list = if init { "initContainers" } else { "containers" };
    let mut pointer = String::with_capacity(64);
    for part in kind.pod.iter().map(|part| &**part).chain([list]) {
        pointer.push('/');
        pointer.push_str(part);
    }
    pointer.push('/');
    pointer.push_str(&position.to_string());
    pointer
}

/// The text of a patch, operation by operation. Written at once: twenty operations as trees of JSON values are hundreds of
/// allocations, and a POST waits for them.
struct Patch(Vec<u8>);

impl Patch {
    fn new() -> Self {
        let mut text = Vec::with_capacity(USUAL);
        text.push(b'[');
        Self(text)
    }

    /// Begins an operation; its value, if it has one, and its brace are left to be written.
    fn begin(&mut self, op: &str, (map, key): At<'_>) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        self.raw("{\"op\":\"");
        self.raw(op);
        self.raw("\",\"path\":\"");
        self.escaped(map);
        self.raw("/");
        key.iter().for_each(|part| self.pointer(part));
        self.raw("\"");
    }

    /// `None`: it must be absent. A `test` with `null` passes for an absent key.
    fn test(&mut self, at: At<'_>, value: Option<&Text>) {
        match value {
            Some(value) => self.set("test", at, value),
            None => {
                self.begin("test", at);
                self.raw(",\"value\":null}");
            }
        }
    }

    fn set(&mut self, op: &str, at: At<'_>, value: &str) {
        self.begin(op, at);
        self.raw(",\"value\":");
        self.string(value);
        self.raw("}");
    }

    /// Adds a map with one key.
    fn add_map(&mut self, at: At<'_>, key: &str, value: &str) {
        self.begin("add", at);
        self.raw(",\"value\":{");
        self.string(key);
        self.raw(":");
        self.string(value);
        self.raw("}}");
    }

    fn remove(&mut self, at: At<'_>) {
        self.begin("remove", at);
        self.raw("}");
    }

    fn string(&mut self, text: &str) {
        self.raw("\"");
        self.escaped(text);
        self.raw("\"");
    }

    fn raw(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    /// A part of a pointer (RFC 6901, 3), inside a string.
    fn pointer(&mut self, mut part: &str) {
        while let Some(at) = memchr::memchr2(b'~', b'/', part.as_bytes()) {
            let (plain, rest) = part.split_at(at);
            self.escaped(plain);
            self.raw(if rest.starts_with('~') { "~0" } else { "~1" });
            part = &rest[1..];
        }
        self.escaped(part);
    }

    /// The inside of a JSON string (RFC 8259, 7).
    fn escaped(&mut self, text: &str) {
        // Most texts have nothing to escape.
        if !text.bytes().any(|byte| ESCAPED[usize::from(byte)]) {
            return self.raw(text);
        }
        for byte in text.bytes() {
            match byte {
                b'"' | b'\\' => self.0.extend_from_slice(&[b'\\', byte]),
                0..0x20 => self.raw(&format!("\\u{byte:04x}")),
                _ => self.0.push(byte),
            }
        }
    }

    fn done(mut self) -> Vec<u8> {
        self.0.push(b']');
        self.0
    }
}

/// The bytes that a JSON string has no place for.
const ESCAPED: [bool; 256] = {
    let mut escaped = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        escaped[byte] = true;
        byte += 1;
    }
    escaped[b'"' as usize] = true;
    escaped[b'\\' as usize] = true;
    escaped
};

/// Bytes of a patch of one container, about.
const USUAL: usize = 3072;

/// The members of a JSON object. Those that somebody else knows stay as they were written.
type Members<'t> = BTreeMap<String, Member<'t>>;

#[derive(Serialize)]
#[serde(untagged)]
enum Member<'t> {
    Kept(&'t RawValue),
    Text(&'t str),
    Members(Members<'t>),
}

/// Of a text that is no object: none.
fn members(text: &str) -> Members<'_> {
    let read: BTreeMap<String, &RawValue> = serde_json::from_str(text).unwrap_or_default();
    let read = read.into_iter();
    read.map(|(name, value)| (name, Member::Kept(value)))
        .collect()
}

/// `{"at": …, "previous": {container: image}}`: when hikaru last upgraded the workload, and for each container the last
/// image whose rollout was complete. Members that somebody else knows are kept; what cannot be read is replaced.
fn last_upgrade(change: &Change, now: SystemTime) -> String {
    let judged = change.judged();
    let mut last = members(judged.last_upgrade.as_deref().unwrap_or_default());
    let mut previous = match last.remove("previous") {
        Some(Member::Kept(previous)) => members(previous.get()),
        _ => Members::new(),
    };
    if judged.progress.as_ref().is_none_or(Progress::is_complete) {
        for (container, _) in change.edited() {
            previous.insert(container.name.to_string(), Member::Text(&container.image));
        }
    }
    let at = rfc3339(now);
    last.insert("previous".into(), Member::Members(previous));
    last.insert("at".into(), Member::Text(&at));
    // Texts and what was read as JSON: it has a JSON form.
    serde_json::to_string(&last).unwrap_or_default()
}

/// `2026-11-23T18:00:00Z`.
fn rfc3339(now: SystemTime) -> String {
    let time = Timestamp::try_from(now).unwrap_or_default();
    let seconds = Timestamp::from_second(time.as_second()).unwrap_or_default();
    seconds.to_string()
}

#[cfg(test)]
mod tests;
