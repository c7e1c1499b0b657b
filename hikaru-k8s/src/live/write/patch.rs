//! The bodies of what is written: JSON patches that test everything that was read and then change images, marks,
//! `hikaru.dev/last-upgrade` and `kubernetes.io/change-cause`, and nothing else. Values, built without a server; how they are sent is said in `live`.

use std::{collections::BTreeMap, time::SystemTime};

use hikaru_core::{
    CHANGE_CAUSE, Change, Container, IdentityKeys, LAST_UPGRADE, MARK_PREFIX, Place, PodList,
    Progress, Reference, SETTING_PREFIX, SETTINGS, Text,
};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::kind::Kind;
use crate::live::read::object::{Seen, has_annotations};

/// The patch of a change: the tests first, so that it applies to the state that was judged or not at all.
pub(in crate::live) fn of_change(
    change: &Change,
    kind: &Kind,
    keys: &IdentityKeys,
    now: SystemTime,
) -> Vec<u8> {
    let judged = change.judged();
    let mut patch = Patch::new();
    patch.test((METADATA, &["uid"]), Some(&*judged.uid));
    for (key, value) in [
        (&keys.owner, &judged.labels.owner),
        (&keys.repo, &judged.labels.repo),
        (&keys.branch, &judged.labels.branch),
    ] {
        patch.test((LABELS, &[key]), value.as_deref());
    }
    // A `test` below a map that is not there fails, and an `add` does, too.
    let has_annotations = has_annotations(judged);
    if !has_annotations {
        patch.test((METADATA, &["annotations"]), None);
    }
    for key in SETTINGS {
        let full = [SETTING_PREFIX, key];
        let value = judged.setting(Place::Label, key);
        patch.test((LABELS, &full), value.map(|value| &**value));
        if has_annotations {
            let value = judged.setting(Place::Annotation, key);
            patch.test((ANNOTATIONS, &full), value.map(|value| &**value));
        }
    }
    for container in change.containers() {
        let at = container_at(kind, container);
        patch.test((&at, &["name"]), container.own_name());
        let (map, key) = image_at(&at, container.list);
        patch.test((&map, &[key]), Some(&*container.image));
        if let Some(mark) = container.mark_key() {
            patch.test((LABELS, &[MARK_PREFIX, &mark]), container.mark.as_deref());
        }
    }
    if has_annotations {
        // The new value is made of this one.
        patch.test(
            (ANNOTATIONS, &[LAST_UPGRADE]),
            judged.last_upgrade.as_deref(),
        );
    }

    for (container, edit) in change.edited() {
        let at = container_at(kind, container);
        let (map, key) = image_at(&at, container.list);
        patch.set("replace", (&map, &[key]), edit.to());
        if let (Some(value), Some(mark)) = (edit.mark(), container.mark_key()) {
            patch.set("add", (LABELS, &[MARK_PREFIX, &mark]), value);
        }
    }
    let (cause, last) = (change_cause(change), last_upgrade(change, now));
    let added = [(CHANGE_CAUSE, &*cause), (LAST_UPGRADE, &*last)];
    if has_annotations {
        for (key, value) in added {
            patch.set("add", (ANNOTATIONS, &[key]), value);
        }
    } else {
        patch.add_map((METADATA, &["annotations"]), &added);
    }
    patch.done()
}

/// The patch that removes marks, by the keys of their labels, if they still stand so.
pub(in crate::live) fn of_unhold(seen: &Seen, marks: &[(Text, Text)]) -> Vec<u8> {
    let mut patch = Patch::new();
    patch.test((METADATA, &["uid"]), Some(&*seen.workload.uid));
    for (key, value) in marks {
        patch.test((LABELS, &[MARK_PREFIX, key]), Some(&**value));
    }
    for (key, _) in marks {
        patch.remove((LABELS, &[MARK_PREFIX, key]));
    }
    patch.done()
}

/// Where in an object: the pointer of a map or a list (RFC 6901), and a key below it, in parts.
type At<'a> = (&'a str, &'a [&'a str]);

const METADATA: &str = "/metadata";
const LABELS: &str = "/metadata/labels";
const ANNOTATIONS: &str = "/metadata/annotations";

fn container_at(kind: &Kind, container: &Container) -> String {
    let mut pointer = String::with_capacity(64);
    let list = container.list.key();
    for part in kind.pod.iter().map(|part| &**part).chain([list]) {
        pointer.push('/');
        pointer.push_str(part);
    }
    pointer.push('/');
    pointer.push_str(&container.position.to_string());
    pointer
}

/// Where in a container, or in a volume, its image stands: the map and the key.
fn image_at(container: &str, list: PodList) -> (String, &'static str) {
    match list {
        PodList::Volumes => (format!("{container}/image"), "reference"),
        _ => (container.to_owned(), "image"),
    }
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
    fn test(&mut self, at: At<'_>, value: Option<&str>) {
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

    /// Adds a map.
    fn add_map(&mut self, at: At<'_>, entries: &[(&str, &str)]) {
        self.begin("add", at);
        self.raw(",\"value\":{");
        for (index, (key, value)) in entries.iter().enumerate() {
            self.raw(if index == 0 { "" } else { "," });
            self.string(key);
            self.raw(":");
            self.string(value);
        }
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

impl Member<'_> {
    /// The text that it is.
    fn text(&self) -> Option<String> {
        match self {
            Self::Kept(value) => serde_json::from_str(value.get()).ok(),
            Self::Text(text) => Some((*text).to_owned()),
            Self::Members(_) => None,
        }
    }
}

/// Of a text that is no object: none.
fn members(text: &str) -> Members<'_> {
    let read: BTreeMap<String, &RawValue> = serde_json::from_str(text).unwrap_or_default();
    let read = read.into_iter();
    read.map(|(name, value)| (name, Member::Kept(value)))
        .collect()
}

/// `{"at": …, "previous": {container: image}, "to": {container: image}}`: when hikaru last upgraded the workload, for each
/// container the last image whose rollout was complete, and the image that was written. Members that somebody else knows are
/// kept; what cannot be read is replaced.
///
/// An undo of a Deployment puts its old annotations back, one of a StatefulSet or a DaemonSet does not: an earlier `previous`
/// counts for a container only while it runs what was written with it.
fn last_upgrade(change: &Change, now: SystemTime) -> String {
    let judged = change.judged();
    let mut last = members(judged.last_upgrade.as_deref().unwrap_or_default());
    let mut images = |name: &str| match last.remove(name) {
        Some(Member::Kept(images)) => members(images.get()),
        _ => Members::new(),
    };
    let (mut previous, mut to) = (images("previous"), images("to"));
    let complete = judged.progress.as_ref().is_none_or(Progress::is_complete);
    for (container, edit) in change.edited() {
        let name = &*container.name;
        let image = |of: &Members<'_>| of.get(name).and_then(Member::text);
        let fits = match image(&to) {
            Some(written) => written == *container.image,
            // Before `to` was written: what ran before does not run now.
            None => image(&previous).is_some_and(|previous| previous != *container.image),
        };
        if complete {
            previous.insert(name.to_owned(), Member::Text(&container.image));
        } else if !fits {
            previous.remove(name);
        }
        to.insert(name.to_owned(), Member::Text(edit.to()));
    }
    let at = rfc3339(now);
    last.insert("previous".into(), Member::Members(previous));
    last.insert("to".into(), Member::Members(to));
    last.insert("at".into(), Member::Text(&at));
    // Texts and what was read as JSON: it has a JSON form.
    serde_json::to_string(&last).unwrap_or_default()
}

/// Why a revision was made, for `kubectl rollout history`: `hikaru: web and volume assets to acme_web_main_1.4.0_7_0123abcd`.
fn change_cause(change: &Change) -> String {
    let names: Vec<&str> = change.edited().map(|(c, _)| &*c.name).collect();
    let names = match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, first)) => format!("{} and {last}", first.join(", ")),
        None => String::new(),
    };
    // One build was posted: all edits write its tag.
    let to = change.edits().first().map_or("", |edit| edit.to());
    let tag = Reference::parse(to).ok().and_then(|image| image.tag());
    format!("hikaru: {names} to {}", tag.unwrap_or(to))
}

/// `2026-11-23T18:00:00Z`.
fn rfc3339(now: SystemTime) -> String {
    let time = Timestamp::try_from(now).unwrap_or_default();
    let seconds = Timestamp::from_second(time.as_second()).unwrap_or_default();
    seconds.to_string()
}

#[cfg(test)]
mod tests;
