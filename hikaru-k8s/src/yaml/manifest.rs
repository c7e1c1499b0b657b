//! The workloads in a document: which objects are ours, their identity, labels, settings and
//! containers, and where each image stands. What is judged about them is the core's business.

use granit_parser::ScalarStyle;
use hikaru_core::{
    Container, IdentityKeys, LAST_UPGRADE, MARK_PREFIX, SETTING_PREFIX, Setting, Text, Workload,
    WorkloadId,
};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use crate::kind::{Kind, Kinds};

use super::path::{Cursor, Detour, excerpt};
use super::tree::{Mark, Tree};
use super::{Problem, tree};

/// What counts in a manifest.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    /// The labels that say what a workload is built from.
    pub(crate) keys: IdentityKeys,
    pub(crate) kinds: Kinds,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            keys: IdentityKeys::default(),
            kinds: Kinds::with(&[]),
        }
    }
}

/// Lists in lists: kubectl writes one level, nobody needs more.
const LISTS: usize = 4;

/// Containers that one pod may have. The API server takes objects of 1.5 MB at most, and some
/// walks over containers are quadratic.
const CONTAINERS: usize = 1_000;

/// The high-water marks among the labels: container, value, and where the value stands.
pub(crate) type Marks = BTreeMap<Text, (Text, Mark)>;

/// Which object of a file: the document from 1, then, in a list, the item from 1: `2`, `1.3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place(Vec<usize>);

impl Place {
    /// The number of the document, from 1.
    pub(crate) fn document(&self) -> usize {
        self.0.first().copied().unwrap_or(0)
    }

    /// Reads what `Display` writes.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let numbers: Option<Vec<usize>> = text.split('.').map(|part| part.parse().ok()).collect();
        numbers.map(Self)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, number) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            write!(f, "{number}")?;
        }
        Ok(())
    }
}

/// A workload of a document. Its id has no origin yet: only the folder knows the file.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) place: Place,
    pub(crate) workload: Workload,
    /// Where each image stands, in the order of `workload.containers`.
    pub(crate) images: Vec<Spot>,
    /// The high-water marks among its labels, also those of containers that are not there, by the container's name.
    pub(crate) marks: Marks,
}

/// Where an image's scalar stands.
#[derive(Clone, Debug)]
pub(crate) struct Spot {
    pub(crate) mark: Mark,
    pub(super) span: Range<usize>,
    pub(super) style: ScalarStyle,
    /// In a flow collection, where a plain scalar ends at `,` and brackets.
    pub(super) flow: bool,
    pub(super) detour: Option<Detour>,
}

/// Reads the workloads of a document, in their order. A problem hides the object that it is in,
/// or, where a list itself is odd, the rest of the list.
pub(crate) fn read(tree: &Tree<'_>, terms: &Terms, take: &mut dyn FnMut(Result<Object, Problem>)) {
    let reader = Reader { tree, terms };
    let top = match tree.top() {
        Ok(Some(top)) if reader.is_map(top) => top,
        // An empty document, a list, a text: no Kubernetes object.
        Ok(_) => return,
        Err(problem) => return take(Err(problem)),
    };
    reader.object(top, vec![tree.number], None, take);
}

struct Reader<'r, 't> {
    tree: &'r Tree<'t>,
    terms: &'r Terms,
}

impl<'r> Reader<'r, '_> {
    fn is_map(&self, cursor: Cursor) -> bool {
        self.tree.shape(cursor.node) == tree::Shape::Mapping
    }

    /// An object, or a list of them. `typed` is what a typed list says of its items.
    fn object(
        &self,
        object: Cursor,
        place: Vec<usize>,
        typed: Option<&'r Kind>,
        take: &mut dyn FnMut(Result<Object, Problem>),
    ) {
        match self.sort(object, typed) {
            Ok(Sort::Workload(kind)) => take(self.workload(object, kind, place)),
            Ok(Sort::List(items, typed)) => {
                if place.len() > LISTS {
                    return take(Err(Problem::at(
                        self.tree.mark(object.node),
                        format!("lists are nested more than {LISTS} deep"),
                    )));
                }
                let items = match self.tree.items(items, &"items") {
                    Ok(items) => items,
                    Err(problem) => return take(Err(problem)),
                };
                for (index, item) in items.enumerate() {
                    let mut place = place.clone();
                    place.push(index + 1);
                    match item {
                        Ok(item) if self.is_map(item) => self.object(item, place, typed, take),
                        Ok(_) => {}
                        Err(problem) => return take(Err(problem)),
                    }
                }
            }
            Ok(Sort::Other) => {}
            Err(problem) => take(Err(problem)),
        }
    }

    fn sort(&self, object: Cursor, typed: Option<&'r Kind>) -> Result<Sort<'r>, Problem> {
        let tree = self.tree;
        let [kind, version, items] =
            tree.fields(object, &"the object", ["kind", "apiVersion", "items"])?;
        let (name, mark) = match (kind, typed) {
            (Some(kind), _) => match tree.string(kind, &"kind") {
                Ok(name) => (name, tree.mark(kind.node)),
                // Not an object of Kubernetes: other files have a key of that name, too.
                Err(_) => return Ok(Sort::Other),
            },
            (None, Some(kind)) => (&*kind.name, tree.mark(object.node)),
            (None, None) => return Ok(Sort::Other),
        };
        let kinds = &self.terms.kinds;
        let ours = kinds.spelled(name).map(|kind| &**kind);
        let list = kinds.listed(name).map(|kind| &**kind);
        if ours.is_none() && list.is_none() && name != "List" {
            return Ok(Sort::Other);
        }
        let Some(version) = version else {
            // Items of a typed list may leave it out, a `List` has no group to check.
            return match (ours.or(list), typed) {
                (Some(kind), None) => Err(Problem::at(
                    mark,
                    format!(
                        "a {name} without apiVersion: expected {}",
                        kind.api_version()
                    ),
                )),
                (Some(kind), Some(_)) if list.is_none() => Ok(Sort::Workload(kind)),
                _ => Ok(items.map_or(Sort::Other, |items| Sort::List(items, list))),
            };
        };
        let version = tree.string(version, &"apiVersion")?;
        let group = version.split_once('/').map_or("", |(group, _)| group);
        let is_of = |kind: &Kind| *kind.group == *group;
        Ok(match (ours, list, items) {
            (Some(kind), ..) if is_of(kind) => Sort::Workload(kind),
            (None, Some(kind), Some(items)) if is_of(kind) => Sort::List(items, Some(kind)),
            (None, None, Some(items)) if version == "v1" => Sort::List(items, None),
            // Another group's kind of the same name: not ours.
            _ => Sort::Other,
        })
    }

    fn workload(&self, object: Cursor, kind: &Kind, place: Vec<usize>) -> Result<Object, Problem> {
        let tree = self.tree;
        let what = &*kind.name;
        let missing = || {
            Problem::at(
                tree.mark(object.node),
                format!("a {what} without a name: expected metadata.name"),
            )
        };
        let [metadata] = tree.fields(object, &what, ["metadata"])?;
        let metadata = metadata.ok_or_else(missing)?;
        let [name, namespace, labels, annotations] = tree.fields(
            metadata,
            &"metadata",
            ["name", "namespace", "labels", "annotations"],
        )?;
        let name = tree.string(name.ok_or_else(missing)?, &"metadata.name")?;
        if name.is_empty() {
            return Err(missing());
        }
        let namespace = match namespace {
            Some(namespace) => tree.string(namespace, &"metadata.namespace")?,
            None => "",
        };
        let namespace = if namespace.is_empty() {
            "default"
        } else {
            namespace
        };
        let (name, namespace) = (name.to_owned(), namespace.to_owned());
        let read = || {
            let mut workload = Workload::new(WorkloadId::new(&*namespace, what, &*name));
            let marks = self.labels(labels, &mut workload)?;
            self.annotations(annotations, &mut workload)?;
            let images = self.pod(object, kind, &marks, &mut workload)?;
            Ok(Object {
                place: Place(place.clone()),
                workload,
                images,
                marks,
            })
        };
        read().map_err(|mut problem: Problem| {
            problem.message = format!("{what} {}: {}", excerpt(&name), problem.message);
            problem
        })
    }

    /// Identity and settings among the labels. Returns the marks: container, value.
    fn labels(&self, labels: Option<Cursor>, workload: &mut Workload) -> Result<Marks, Problem> {
        let Some(labels) = labels else {
            return Ok(Marks::new());
        };
        let IdentityKeys {
            owner,
            repo,
            branch,
        } = &self.terms.keys;
        let ours = |key: &str| {
            [owner, repo, branch].iter().any(|label| ***label == *key)
                || key.starts_with(SETTING_PREFIX)
                || key.starts_with(MARK_PREFIX)
        };
        let mut marks = Marks::new();
        for (key, value) in self.tree.entries(labels, &"metadata.labels", ours)? {
            let what = format_args!("label {}", excerpt(key));
            let place = self.tree.mark(value.node);
            let value: Text = self.value(value, &what)?.into();
            // One label may serve for two of them.
            for (label, slot) in [
                (owner, &mut workload.labels.owner),
                (repo, &mut workload.labels.repo),
                (branch, &mut workload.labels.branch),
            ] {
                if **label == *key {
                    *slot = Some(value.clone());
                }
            }
            if let Some(container) = key.strip_prefix(MARK_PREFIX) {
                marks.insert(container.into(), (value, place));
            } else {
                setting(hikaru_core::Place::Label, key, value, workload);
            }
        }
        Ok(marks)
    }

    fn annotations(
        &self,
        annotations: Option<Cursor>,
        workload: &mut Workload,
    ) -> Result<(), Problem> {
        let Some(annotations) = annotations else {
            return Ok(());
        };
        let ours = |key: &str| key.starts_with(SETTING_PREFIX);
        for (key, value) in self
            .tree
            .entries(annotations, &"metadata.annotations", ours)?
        {
            let what = format_args!("annotation {}", excerpt(key));
            let value = self.value(value, &what)?.into();
            setting(hikaru_core::Place::Annotation, key, value, workload);
        }
        Ok(())
    }

    /// The value of a label or annotation. The API server takes `null` for the empty string.
    fn value(&self, value: Cursor, what: &dyn fmt::Display) -> Result<&str, Problem> {
        if self.tree.is_null(value) {
            Ok("")
        } else {
            self.tree.string(value, what)
        }
    }

    /// The containers of the pod template. Returns where their images stand.
    fn pod(
        &self,
        object: Cursor,
        kind: &Kind,
        marks: &Marks,
        workload: &mut Workload,
    ) -> Result<Vec<Spot>, Problem> {
        let mut spots = Vec::new();
        let mut at = object;
        for (depth, key) in kind.pod.iter().enumerate() {
            let above = &kind.pod[..depth];
            let [next] = self.tree.fields(at, &Joined(above), [&**key])?;
            // A Kustomize patch names only what it changes.
            let Some(next) = next else {
                return Ok(spots);
            };
            at = next;
        }
        let [init, containers] =
            self.tree
                .fields(at, &Joined(&kind.pod), ["initContainers", "containers"])?;
        for (list, name, init) in [
            (containers, "containers", false),
            (init, "initContainers", true),
        ] {
            let Some(list) = list else { continue };
            for (position, item) in self.tree.items(list, &name)?.enumerate() {
                let item = item?;
                let what = format_args!("{name}[{position}]");
                let spot =
                    self.container(item, &what, init, position, marks, &mut workload.containers)?;
                spots.extend(spot);
            }
        }
        Ok(spots)
    }

    fn container(
        &self,
        item: Cursor,
        what: &fmt::Arguments<'_>,
        init: bool,
        position: usize,
        marks: &Marks,
        containers: &mut Vec<Container>,
    ) -> Result<Option<Spot>, Problem> {
        let tree = self.tree;
        let [name, image] = tree.fields(item, what, ["name", "image"])?;
        let Some(name) = name else {
            return Err(Problem::at(
                tree.mark(item.node),
                format!("{what} has no name"),
            ));
        };
        let mark = tree.mark(name.node);
        let name = tree.string(name, &format_args!("{what}.name"))?;
        if containers.iter().any(|known| *known.name == *name) {
            return Err(Problem::at(
                mark,
                format!("two containers have the name {}", excerpt(name)),
            ));
        }
        if containers.len() >= CONTAINERS {
            return Err(Problem::at(
                mark,
                format!("more than {CONTAINERS} containers in one pod"),
            ));
        }
        let Some(image) = image else { return Ok(None) };
        let text = tree.string(
            image,
            &format_args!("the image of container {}", excerpt(name)),
        )?;
        if text.is_empty() {
            return Ok(None);
        }
        let mut container = Container::new(name, text);
        container.init = init;
        container.position = position;
        container.mark = marks.get(name).map(|(value, _)| value.clone());
        containers.push(container);
        let tree::Shape::Scalar(style) = tree.shape(image.node) else {
            return Ok(None);
        };
        Ok(Some(Spot {
            mark: tree.mark(image.node),
            span: tree.span(image.node),
            style,
            flow: tree.flow(image.node),
            detour: image.detour,
        }))
    }
}

/// What a key of ours is, marks apart: a setting, or what an upgrade left, which is none.
fn setting(place: hikaru_core::Place, key: &str, value: Text, workload: &mut Workload) {
    if key == LAST_UPGRADE {
        return;
    }
    if let Some(key) = key.strip_prefix(SETTING_PREFIX) {
        workload.settings.push(Setting {
            place,
            key: key.into(),
            value,
        });
    }
}

enum Sort<'k> {
    Workload(&'k Kind),
    List(Cursor, Option<&'k Kind>),
    Other,
}

/// `spec.template.spec`, for messages.
struct Joined<'j>(&'j [Text]);

impl fmt::Display for Joined<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("the object");
        }
        f.write_str(&self.0.join("."))
    }
}
