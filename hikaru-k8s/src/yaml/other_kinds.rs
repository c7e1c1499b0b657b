//! Objects that carry a pod or a pod template and that hikaru does not upgrade: Jobs, bare Pods, and kinds that are not looked
//! at. They are found so that the user is told of them. What is upgraded is in `manifest`.

use std::sync::OnceLock;

use crate::kind::{AddedKind, Kind, Rollout};

use super::manifest::{Object, Reader, Sort, Terms};
use super::path::Cursor;
use super::tree::Tree;
use hikaru_core::Text;

/// Maps in one another on the way to a pod template.
const DEEPEST: usize = 5;

/// An object with a pod or a pod template, of a kind that hikaru does not upgrade.
#[derive(Debug)]
pub(crate) struct OtherKind {
    pub(crate) object: Object,
    pub(crate) why: NotUpgraded,
}

/// Why hikaru does not upgrade an object.
#[derive(Debug)]
pub(crate) enum NotUpgraded {
    /// It is a Job or a Pod: a Job's pod template cannot be changed.
    RunsOnce,
    /// Its kind is not looked at, but would be if this kind were added.
    NotAdded(AddedKind),
    /// Its kind cannot be added, because a kind of that name is looked at. The apiVersion.
    SameName(String),
}

/// The objects of a document that hikaru does not upgrade. Those that cannot be read are passed over.
pub(crate) fn other_kinds(tree: &Tree<'_>, terms: &Terms) -> Vec<OtherKind> {
    let reader = Reader { tree, terms };
    let mut found = Vec::new();
    let Ok(Some(top)) = tree.top() else {
        return found;
    };
    if !reader.is_map(top) {
        return found;
    }
    match reader.sort(top, None) {
        Ok(Sort::Other) => found.extend(other(&reader, top, vec![tree.number])),
        Ok(Sort::List(items, _)) => {
            let Ok(items) = tree.items(items, &"items") else {
                return found;
            };
            for (index, item) in items.enumerate() {
                let Ok(item) = item else { break };
                if reader.is_map(item) && matches!(reader.sort(item, None), Ok(Sort::Other)) {
                    found.extend(other(&reader, item, vec![tree.number, index + 1]));
                }
            }
        }
        _ => {}
    }
    found
}

fn other(reader: &Reader<'_, '_>, object: Cursor, place: Vec<usize>) -> Option<OtherKind> {
    let tree = reader.tree;
    let fields = tree.fields(object, &"the object", ["kind", "apiVersion", "spec"]);
    let [Some(name), Some(api_version), Some(spec)] = fields.ok()? else {
        return None;
    };
    let name = tree.string(name, &"kind").ok()?;
    let api_version = tree.string(api_version, &"apiVersion").ok()?;
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let (way, runs_once) = match (group, name) {
        // A Pod is its own template.
        ("", "Pod") => (Vec::new(), true),
        ("batch", "Job") => (template(tree, spec)?, true),
        _ => (template(tree, spec)?, false),
    };
    let mut pod = way.clone();
    pod.push("spec".into());
    let kind = Kind {
        name: name.into(),
        group: group.into(),
        version: version.into(),
        plural: OnceLock::new(),
        pod,
        rollout: Rollout::None,
        added: true,
    };
    let is_known = reader.terms.kinds.named(name).is_some();
    let added = format!("{api_version}/{name}={}", way.join("."));
    let why = match added.parse() {
        _ if runs_once => NotUpgraded::RunsOnce,
        Ok(added) if !is_known => NotUpgraded::NotAdded(added),
        _ => NotUpgraded::SameName(api_version.to_owned()),
    };
    Some(OtherKind {
        object: reader.workload(object, &kind, place).ok()?,
        why,
    })
}

/// The way to the nearest map below `spec` whose own `spec` has containers.
fn template(tree: &Tree<'_>, spec: Cursor) -> Option<Vec<Text>> {
    let mut level = vec![(vec![Text::from("spec")], spec)];
    for _ in 0..DEEPEST {
        let mut next = Vec::new();
        for (way, at) in level {
            for (key, value) in tree.entries(at, &"spec", |_| true).ok()? {
                let is_map = matches!(tree.shape(value.node), super::tree::Shape::Mapping);
                if !is_map {
                    continue;
                }
                let mut way = way.clone();
                way.push(key.into());
                if has_containers(tree, value) {
                    return Some(way);
                }
                next.push((way, value));
            }
        }
        level = next;
    }
    None
}

fn has_containers(tree: &Tree<'_>, template: Cursor) -> bool {
    let field = |at, key| {
        let [field] = tree.fields(at, &key, [key]).ok()?;
        field
    };
    field(template, "spec").is_some_and(|pod| field(pod, "containers").is_some())
}
