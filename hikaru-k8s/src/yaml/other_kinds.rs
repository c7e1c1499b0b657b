//! Objects that hikaru does not look at although they carry a pod template: found so that somebody can be told how to have
//! them looked at. They are never upgraded.

use std::sync::OnceLock;

use crate::kind::{AddedKind, Kind, Rollout};

use super::manifest::{Object, Reader, Sort, Terms};
use super::path::Cursor;
use super::tree::Tree;
use hikaru_core::Text;

/// Maps in one another on the way to a pod template.
const DEEPEST: usize = 5;

/// What runs once, or is made by another object: its pod template cannot be changed, or it has none.
const FINAL: [(&str, &str); 2] = [("batch", "Job"), ("", "Pod")];

/// An object with a pod template, of a kind that is not looked at.
#[derive(Debug)]
pub(crate) struct OtherKind {
    pub(crate) object: Object,
    pub(crate) api_version: String,
    /// The kind as it would have to be added; `None` if it cannot be: another kind of that name is looked at.
    pub(crate) added: Option<AddedKind>,
}

/// The objects of a document whose kinds are not looked at. What is odd about them is nobody's business here.
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
    if FINAL.contains(&(group, name)) {
        return None;
    }
    let way = template(tree, spec)?;
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
    let added = format!("{api_version}/{name}={}", way.join("."));
    let is_known = reader.terms.kinds.named(name).is_some();
    Some(OtherKind {
        object: reader.workload(object, &kind, place).ok()?,
        api_version: api_version.to_owned(),
        added: added.parse().ok().filter(|_| !is_known),
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
