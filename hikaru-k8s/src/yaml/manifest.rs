//! The workloads in a document: which objects are workloads, their identity, labels, settings and containers, and where each
//! image stands. Verdicts on them are in hikaru-core.

use granit_parser::ScalarStyle;
use hikaru_core::{
    Container, Text, Workload, WorkloadId,
    workload::{
        Hindrance, IdentityKeys, LAST_UPGRADE, MARK_PREFIX, PodList, SETTING_PREFIX, StraySetting,
    },
};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use crate::hindrances::SpecFacts;
use crate::kind::{Kind, Kinds};

use super::path::{Cursor, Detour, excerpt};
use super::place::Place;
use super::tree::{Mark, Tree};
use super::{Problem, tree};

/// What is looked for in a manifest.
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

/// How deep lists may be nested. kubectl writes one level.
const LISTS: usize = 4;

/// Containers that one pod may have. The API server takes objects of 1.5 MB at most, and some
/// walks over containers are quadratic.
const CONTAINERS: usize = 1_000;

/// The high-water marks among the labels: the key after the prefix, the value, and where the value stands.
pub(crate) type Marks = BTreeMap<Text, (Text, Mark)>;

/// A workload of a document. Its id has no origin yet: only the folder knows the file.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) place: Place,
    pub(crate) workload: Workload,
    /// Where each image stands, in the order of `workload.containers`.
    pub(crate) images: Vec<Spot>,
    /// The high-water marks among its labels, also those of containers that are not there.
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
/// or, in a list itself, the rest of the list.
pub(crate) fn read(tree: &Tree<'_>, terms: &Terms, take: &mut dyn FnMut(Result<Object, Problem>)) {
    if let Err(problem) = tree.check_lines() {
        return take(Err(problem));
    }
    let reader = Reader { tree, terms };
    let top = match tree.top() {
        Ok(Some(top)) if reader.is_map(top) => top,
        Ok(Some(top)) if reader.is_list(top) => return take_list(&reader, top, take),
        // An empty document, a text: no Kubernetes object.
        Ok(_) => return,
        Err(problem) => return take(Err(problem)),
    };
    reader.object(top, vec![tree.number], None, take);
}

/// Refuses a document that is a list with workloads in it, because kubectl refuses it too. Other lists are no objects of
/// Kubernetes.
fn take_list(reader: &Reader<'_, '_>, top: Cursor, take: &mut dyn FnMut(Result<Object, Problem>)) {
    let Ok(items) = reader.tree.items(top, &"the document") else {
        return;
    };
    let objects = items
        .map_while(Result::ok)
        .filter(|item| reader.is_map(*item));
    for object in objects {
        if matches!(
            reader.sort(object, None),
            Ok(Sort::Workload(_) | Sort::List(..))
        ) {
            let message = "the document is a list, which kubectl does not take: expected objects with `---` between them, \
                           or a `kind: List` with these as its `items`";
            return take(Err(Problem::at(reader.tree.mark(top.node), message)));
        }
    }
}

/// Reads the objects of one document.
pub(super) struct Reader<'r, 't> {
    pub(super) tree: &'r Tree<'t>,
    pub(super) terms: &'r Terms,
}

impl<'r> Reader<'r, '_> {
    pub(super) fn is_map(&self, cursor: Cursor) -> bool {
        self.tree.shape(cursor.node) == tree::Shape::Mapping
    }

    fn is_list(&self, cursor: Cursor) -> bool {
        self.tree.shape(cursor.node) == tree::Shape::Sequence
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

    pub(super) fn sort(
        &self,
        object: Cursor,
        typed: Option<&'r Kind>,
    ) -> Result<Sort<'r>, Problem> {
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
            // Another group's kind of the same name.
            _ => Sort::Other,
        })
    }

    pub(super) fn workload(
        &self,
        object: Cursor,
        kind: &Kind,
        place: Vec<usize>,
    ) -> Result<Object, Problem> {
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
            let labels = self.labels(labels)?;
            let annotations = self.annotations(annotations)?;
            let images = self.pod(object, kind, &mut workload)?;
            workload.read_metadata(
                &self.terms.keys,
                labels.iter().map(|(key, value, _)| (*key, *value)),
                annotations,
            );
            let marks = labels.iter().filter_map(|(key, value, mark)| {
                let marked = key.strip_prefix(MARK_PREFIX)?;
                Some((marked.into(), ((*value).into(), *mark)))
            });
            let marks = marks.collect();
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

    /// The labels that say something to hikaru: key, value, and where the value stands.
    fn labels(&self, labels: Option<Cursor>) -> Result<Vec<(&str, &str, Mark)>, Problem> {
        let IdentityKeys {
            owner,
            repo,
            branch,
        } = &self.terms.keys;
        let wanted = |key: &str| {
            [owner, repo, branch].iter().any(|label| ***label == *key)
                || key.starts_with(SETTING_PREFIX)
                || key.starts_with(MARK_PREFIX)
        };
        let entries = labels.map(|labels| self.tree.entries(labels, &"metadata.labels", wanted));
        let entries = entries.transpose()?.unwrap_or_default().into_iter();
        let labels = entries.map(|(key, at)| {
            let name = excerpt(key);
            let value = self.value(at, &format_args!("label {name}"))?;
            Ok((key, value, self.tree.mark(at.node)))
        });
        labels.collect()
    }

    /// The annotations that are settings. What an upgrade of a live cluster leaves there says nothing of a file.
    fn annotations(&self, annotations: Option<Cursor>) -> Result<Vec<(&str, &str)>, Problem> {
        let wanted = |key: &str| key.starts_with(SETTING_PREFIX) && key != LAST_UPGRADE;
        let what = "metadata.annotations";
        let entries = annotations.map(|map| self.tree.entries(map, &what, wanted));
        let entries = entries.transpose()?.unwrap_or_default().into_iter();
        let annotations = entries.map(|(key, at)| {
            let name = excerpt(key);
            Ok((key, self.value(at, &format_args!("annotation {name}"))?))
        });
        annotations.collect()
    }

    /// The value of a label or annotation. The API server takes `null` for the empty string.
    fn value(&self, value: Cursor, what: &dyn fmt::Display) -> Result<&str, Problem> {
        if self.tree.is_null(value) {
            Ok("")
        } else {
            self.tree.string(value, what)
        }
    }

    /// The containers and image volumes of the pod template. Returns where their images stand.
    fn pod(
        &self,
        object: Cursor,
        kind: &Kind,
        workload: &mut Workload,
    ) -> Result<Vec<Spot>, Problem> {
        let mut spots = Vec::new();
        let mut at = object;
        for (depth, key) in kind.pod.iter().enumerate() {
            let above = &kind.pod[..depth];
            let [next, metadata] = self.tree.fields(at, &Joined(above), [&**key, "metadata"])?;
            // At depth 0 it is the object's own: what stands there counts.
            if let Some(metadata) = metadata.filter(|_| depth > 0) {
                self.stray_settings(metadata, above, workload);
            }
            // A Kustomize patch names only what it changes.
            let Some(next) = next else {
                return Ok(spots);
            };
            at = next;
            if depth == 0 && self.is_map(at) {
                workload.hindrances = self.hindrances(at);
            }
        }
        let [init, containers_at, volumes] = self.tree.fields(
            at,
            &Joined(&kind.pod),
            ["initContainers", "containers", "volumes"],
        )?;
        let containers = &mut workload.containers;
        for (items, list) in [
            (containers_at, PodList::Containers),
            (init, PodList::InitContainers),
        ] {
            let Some(items) = items else { continue };
            for (position, at) in self.tree.items(items, &list)?.enumerate() {
                let at = at?;
                let what = format_args!("{list}[{position}]");
                let [name, image] = self.tree.fields(at, &what, ["name", "image"])?;
                let item = Item {
                    at,
                    list,
                    position,
                    name,
                    image,
                };
                spots.extend(self.container(&item, kind, containers)?);
            }
        }
        let volumes = volumes.filter(|volumes| self.is_list(*volumes));
        for (position, at) in volumes
            .map(|volumes| self.tree.items(volumes, &"volumes"))
            .transpose()?
            .into_iter()
            .flatten()
            .enumerate()
        {
            let at = at?;
            if let Some(item) = self.image_volume(at, position)? {
                spots.extend(self.container(&item, kind, containers)?);
            }
        }
        Ok(spots)
    }

    /// The image of a volume, if it has one. Other volumes may have any form.
    fn image_volume(&self, at: Cursor, position: usize) -> Result<Option<Item>, Problem> {
        if !self.is_map(at) {
            return Ok(None);
        }
        let what = format_args!("volumes[{position}]");
        let [name, image] = self.tree.fields(at, &what, ["name", "image"])?;
        let Some(image) = image.filter(|image| self.is_map(*image)) else {
            return Ok(None);
        };
        let what = format_args!("volumes[{position}].image");
        let [reference] = self.tree.fields(image, &what, ["reference"])?;
        Ok(reference.map(|reference| Item {
            at,
            list: PodList::Volumes,
            position,
            name,
            image: Some(reference),
        }))
    }

    fn container(
        &self,
        item: &Item,
        kind: &Kind,
        containers: &mut Vec<Container>,
    ) -> Result<Option<Spot>, Problem> {
        let tree = self.tree;
        let mark = tree.mark(item.name.map_or(item.at.node, |name| name.node));
        let name = item
            .name
            .map(|name| tree.string(name, &format_args!("{item}.name")));
        let mut container = match (name.transpose()?, item.list) {
            (Some(name), PodList::Volumes) => Container::volume(name, ""),
            (Some(name), _) => Container::new(name, ""),
            // Kubernetes checks the pods of its own kinds, not those of others.
            (None, list) if kind.added && list != PodList::Volumes => {
                Container::nameless(list, item.position, "")
            }
            (None, _) => return Err(Problem::at(mark, format!("{item} has no name"))),
        };
        (container.list, container.position) = (item.list, item.position);
        if containers.iter().any(|known| known.name == container.name) {
            let (what, name) = match item.list {
                PodList::Volumes => ("volumes", container.own_name()),
                _ => ("containers", Some(&*container.name)),
            };
            let name = excerpt(name.unwrap_or_default());
            return Err(Problem::at(
                mark,
                format!("two {what} have the name {name}"),
            ));
        }
        if containers.len() >= CONTAINERS {
            return Err(Problem::at(
                mark,
                format!("more than {CONTAINERS} containers in one pod"),
            ));
        }
        let Some(image) = item.image else {
            return Ok(None);
        };
        let what = told(&container);
        let text = tree.string(image, &format_args!("the image of {}", excerpt(&what)))?;
        if text.is_empty() {
            return Ok(None);
        }
        container.image = text.into();
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

    /// Settings in a metadata below the object's own, where they have no effect. A field of another type has none.
    fn stray_settings(&self, metadata: Cursor, above: &[Text], workload: &mut Workload) {
        let what = format!("{}.metadata", Joined(above));
        let stray = |key: &str| key.starts_with(SETTING_PREFIX) && key != LAST_UPGRADE;
        let Ok(maps) = self.tree.fields(metadata, &what, ["labels", "annotations"]) else {
            return;
        };
        let places = [
            hikaru_core::workload::Place::Label,
            hikaru_core::workload::Place::Annotation,
        ];
        for (place, map) in places.into_iter().zip(maps) {
            let entries = map.map(|map| self.tree.entries(map, &what, stray));
            let entries = entries.and_then(Result::ok).unwrap_or_default();
            workload
                .stray_settings
                .extend(entries.into_iter().filter_map(|(key, _)| {
                    Some(StraySetting {
                        place,
                        key: key.strip_prefix(SETTING_PREFIX)?.into(),
                        metadata: what.as_str().into(),
                    })
                }));
        }
    }

    /// What keeps pods from following. Fields of another type than Kubernetes gives them are passed over.
    fn hindrances(&self, spec: Cursor) -> Vec<Hindrance> {
        let tree = self.tree;
        let fields = tree.fields(spec, &"spec", ["paused", "suspend", "updateStrategy"]);
        let Ok([paused, suspend, strategy]) = fields else {
            return Vec::new();
        };
        let of = |map: Option<Cursor>, key: &str| {
            let [value] = tree.fields(map?, &"a map", [key]).ok()?;
            value
        };
        let is_true = |cursor: Option<Cursor>| cursor.is_some_and(|cursor| tree.is_true(cursor));
        let name = of(strategy, "type").and_then(|name| tree.string(name, &"type").ok());
        let partition = of(of(strategy, "rollingUpdate"), "partition");
        let facts = SpecFacts {
            paused: is_true(paused),
            suspended: is_true(suspend),
            strategy: name,
            partition: partition.and_then(|partition| tree.whole_number(partition)),
        };
        facts.hindrances()
    }
}

/// An item of one of the lists of a pod.
struct Item {
    at: Cursor,
    list: PodList,
    position: usize,
    name: Option<Cursor>,
    image: Option<Cursor>,
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.list, self.position)
    }
}

/// A container, or a volume, for messages.
pub(super) fn told(container: &Container) -> String {
    match container.list {
        PodList::Volumes => container.name.to_string(),
        _ => format!("container {}", container.name),
    }
}

/// What an object is.
pub(super) enum Sort<'k> {
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
