//! JSON patches: they test everything that the verdict read, and then change images, marks, `hikaru.dev/last-upgrade` and
//! `kubernetes.io/change-cause`, and nothing else. How a patch is sent is in `write`.

use std::{collections::BTreeMap, time::SystemTime};

use hikaru_core::{
    Container, Text,
    image::Reference,
    policy::{Change, SETTINGS},
    workload::{
        CHANGE_CAUSE, IdentityKeys, LAST_UPGRADE, MARK_PREFIX, Place, PodList, Progress,
        SETTING_PREFIX,
    },
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
    let (cause, last) = (change_cause(change), last_upgrade(change, now));
    let mut patch = Patch::default();
    patch.test(below(METADATA, "uid"), Some(&judged.uid));
    for (key, value) in [
        (&keys.owner, &judged.labels.owner),
        (&keys.repo, &judged.labels.repo),
        (&keys.branch, &judged.labels.branch),
    ] {
        patch.test(below(LABELS, key), value.as_deref());
    }
    // A `test` below a map that is absent fails, and so does an `add`.
    let has_annotations = has_annotations(judged);
    if !has_annotations {
        patch.test(ANNOTATIONS.to_owned(), None);
    }
    for key in SETTINGS {
        let full = format!("{SETTING_PREFIX}{key}");
        let value = judged.setting(Place::Label, key);
        patch.test(below(LABELS, &full), value.map(|value| &**value));
        if has_annotations {
            let value = judged.setting(Place::Annotation, key);
            patch.test(below(ANNOTATIONS, &full), value.map(|value| &**value));
        }
    }
    for container in change.containers() {
        let at = container_at(kind, container);
        patch.test(below(&at, "name"), container.own_name());
        patch.test(image_at(&at, container.list), Some(&container.image));
        if let Some(mark) = mark_at(container) {
            patch.test(mark, container.mark.as_deref());
        }
    }
    if has_annotations {
        // The new value is made from this one.
        let value = judged.last_upgrade.as_deref();
        patch.test(below(ANNOTATIONS, LAST_UPGRADE), value);
    }

    for (container, edit) in change.edited() {
        let at = container_at(kind, container);
        let to = Value::Text(edit.to());
        patch.push("replace", image_at(&at, container.list), Some(to));
        if let (Some(value), Some(mark)) = (edit.mark(), mark_at(container)) {
            patch.push("add", mark, Some(Value::Text(value)));
        }
    }
    let added = [(CHANGE_CAUSE, &*cause), (LAST_UPGRADE, &*last)];
    if has_annotations {
        for (key, value) in added {
            patch.push("add", below(ANNOTATIONS, key), Some(Value::Text(value)));
        }
    } else {
        let map = Value::Map(added.into_iter().collect());
        patch.push("add", ANNOTATIONS.to_owned(), Some(map));
    }
    patch.json()
}

/// The patch that removes marks, by the keys of their labels, if they still have these values.
pub(in crate::live) fn of_unhold(seen: &Seen, marks: &[(Text, Text)]) -> Vec<u8> {
    let label = |key: &Text| below(LABELS, &format!("{MARK_PREFIX}{key}"));
    let mut patch = Patch::default();
    patch.test(below(METADATA, "uid"), Some(&seen.workload.uid));
    for (key, value) in marks {
        patch.test(label(key), Some(value));
    }
    for (key, _) in marks {
        patch.push("remove", label(key), None);
    }
    patch.json()
}

const METADATA: &str = "/metadata";
const LABELS: &str = "/metadata/labels";
const ANNOTATIONS: &str = "/metadata/annotations";

/// The pointer (RFC 6901) to a key of the map at a pointer.
fn below(map: &str, key: &str) -> String {
    format!("{map}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// The pointer to a container, or to a volume.
fn container_at(kind: &Kind, container: &Container) -> String {
    let mut pointer = String::new();
    for part in &kind.pod {
        pointer = below(&pointer, part);
    }
    format!("{pointer}/{}/{}", container.list.key(), container.position)
}

/// The pointer to the image of the container, or of the volume, at a pointer.
fn image_at(container: &str, list: PodList) -> String {
    match list {
        PodList::Volumes => format!("{container}/image/reference"),
        _ => format!("{container}/image"),
    }
}

/// The pointer to the label that holds a container's mark. `None`: no label can.
fn mark_at(container: &Container) -> Option<String> {
    let mark = container.mark_key()?;
    Some(below(LABELS, &format!("{MARK_PREFIX}{mark}")))
}

/// A JSON patch (RFC 6902).
#[derive(Default, Serialize)]
struct Patch<'a>(Vec<Operation<'a>>);

#[derive(Serialize)]
struct Operation<'a> {
    op: &'static str,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Value<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Value<'a> {
    Null,
    Text(&'a str),
    Map(BTreeMap<&'a str, &'a str>),
}

impl<'a> Patch<'a> {
    fn push(&mut self, op: &'static str, path: String, value: Option<Value<'a>>) {
        self.0.push(Operation { op, path, value });
    }

    /// `None`: the key must be absent. A `test` with `null` passes for an absent key.
    fn test(&mut self, path: String, value: Option<&'a str>) {
        let value = value.map_or(Value::Null, Value::Text);
        self.push("test", path, Some(value));
    }

    fn json(&self) -> Vec<u8> {
        // Texts and maps with texts as keys always have a JSON form.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// The members of a JSON object. Those that are not known here stay as they were written.
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
/// container the last image whose rollout was complete, and the image that was written. Members that are not known here are
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
