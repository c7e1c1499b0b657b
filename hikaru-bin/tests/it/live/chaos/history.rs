//! What became of each Deployment, write by write, as the audit log has it.

use std::{collections::BTreeMap, sync::LazyLock, time::SystemTime};

use serde_json::{Map, Value};
use xtask::AuditEvent;

use super::super::scene::check_patch;
use super::world::{IDENTITIES, Tag, Told, hash, mark};

/// The user that hikaru is.
pub(super) const HIKARU: &str = "hikaru";

/// A container, as far as hikaru reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Container {
    /// `containers/1`.
    place: String,
    pub(super) name: String,
    pub(super) image: String,
    pub(super) mark: Option<String>,
}

/// A Deployment from one write to the next.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// When the write was received, and answered: it was stored between the two.
    pub(super) received: SystemTime,
    pub(super) answered: SystemTime,
    pub(super) is_hikarus: bool,
    pub(super) object: Object,
}

/// A Deployment, in two parts: what hikaru reads and writes, and all the rest.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Object {
    /// `owner_repo_branch`.
    identity: String,
    manual: bool,
    pub(super) containers: Vec<Container>,
    /// Spec, labels and annotations, without images, marks, `last-upgrade` and `change-cause`; without the controller's own, too.
    rest: Value,
}

/// The states of each Deployment, `namespace/name`, in the order of their writes.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) objects: BTreeMap<String, Vec<State>>,
    /// What hikaru wrote although it is none of its business.
    pub(super) violations: Vec<String>,
    /// Hikaru's patches that changed nothing, by the code of their answer; dry runs are 0.
    pub(super) unstored: BTreeMap<u16, u64>,
}

const MARK: &str = "/metadata/labels/high-water.hikaru.dev~1";

/// A patch of hikaru's whose answer says neither that it was stored nor that it was refused: the replica was killed
/// while it waited.
struct Unsure {
    received: SystemTime,
    patch: Value,
}

/// How many of them may have been stored between two writes whose answers are known.
const MOST_UNSURE: usize = 3;

impl History {
    /// Takes the writes to Deployments out of the log, and holds what they add up to against what is there at the end.
    pub(super) fn of(events: impl IntoIterator<Item = AuditEvent>, end: &[Value]) -> Self {
        let mut history = Self::default();
        let (mut stored, mut unsure) = (Vec::new(), BTreeMap::<String, Vec<Unsure>>::new());
        for event in events {
            if event.resource() != "deployments" || event.stage() != "ResponseComplete" {
                continue;
            }
            let code = event.response_code().filter(|_| !event.is_dry_run());
            match event.resource_version().filter(|_| event.is_stored()) {
                Some(version) => stored.push((version, event)),
                None if event.user() == HIKARU => {
                    *history.unstored.entry(code.unwrap_or(0)).or_default() += 1;
                    if code.is_some_and(|code| code >= 500) {
                        unsure.entry(name(&event)).or_default().push(Unsure {
                            received: event.received().expect("a time"),
                            patch: event.request_body().cloned().unwrap_or_default(),
                        });
                    }
                }
                None => {}
            }
        }
        // A person's patch that changes nothing is answered with the version that is there.
        stored.sort_by_key(|(version, event)| (*version, event.user() != HIKARU));
        for (_, event) in stored {
            let object = name(&event);
            let unsure = unsure.entry(object.clone()).or_default();
            let states = history.objects.entry(object.clone()).or_default();
            if let Err(why) = add(states, &event, unsure) {
                history.violations.push(format!("{object}: {why}"));
            }
        }
        for found in end {
            history.ends(found, &mut unsure);
        }
        history
    }

    fn ends(&mut self, found: &Value, unsure: &mut BTreeMap<String, Vec<Unsure>>) {
        let text = |key: &str| text(&found["metadata"][key]);
        let name = format!("{}/{}", text("namespace"), text("name"));
        let states = self.objects.entry(name.clone()).or_default();
        let found = Object::of(found);
        let unsure = unsure.entry(name.clone()).or_default();
        let now = SystemTime::now();
        if let Some(stored) =
            unsure_before(states, unsure, now, |before| before.is_marked_as(&found))
        {
            states.extend(stored);
        }
        let last = states.last().map(|last| &last.object);
        if last != Some(&found) {
            self.violations.push(format!(
                "{name}: the log adds up to {last:?}, but there is {found:?}"
            ));
        }
    }
}

fn name(event: &AuditEvent) -> String {
    format!("{}/{}", event.namespace(), event.name())
}

/// Adds the state after a write that was stored.
fn add(
    states: &mut Vec<State>,
    event: &AuditEvent,
    unsure: &mut Vec<Unsure>,
) -> Result<(), String> {
    let (received, answered) = event.received().zip(event.answered()).ok_or("no times")?;
    let answer = event.response_body().ok_or("no answer")?;
    let is_hikarus = event.user() == HIKARU;
    let patch = event.request_body().ok_or("no body")?;
    let object = if is_hikarus {
        if event.verb() != "patch" {
            return Err(format!("hikaru's {} {patch}", event.verb()));
        }
        check_patch(patch)?;
        let after = |before: &Object| {
            before
                .patched(patch)
                .filter(|after| after.is_marked_so(answer))
        };
        let stored = unsure_before(states, unsure, answered, |before| after(before).is_some());
        states.extend(stored.unwrap_or_default());
        let before = states.last().ok_or("a patch of what is not there")?;
        let object = after(&before.object).ok_or_else(|| {
            format!(
                "what was there is not what hikaru tested: {:?}, {patch}",
                before.object
            )
        })?;
        object.is_otherwise(answer)?;
        object
    } else {
        let object = Object::of(answer);
        if !states.is_empty() {
            let stored = unsure_before(states, unsure, answered, |b| b.is_marked_as(&object));
            let last = states.last().map(|last| &last.object);
            let stored =
                stored.ok_or_else(|| format!("a person changed marks: {last:?}, {answer}"));
            states.extend(stored?);
        }
        if states.last().is_some_and(|last| last.object == object) {
            return Ok(());
        }
        object
    };
    states.push(State {
        received,
        answered,
        is_hikarus,
        object,
    });
    Ok(())
}

/// The states after those unsure patches, as few as possible, that must have been stored for `fits` to hold of the last
/// state. They are taken from `unsure`. `None`: it does not hold whatever was stored.
fn unsure_before(
    states: &[State],
    unsure: &mut Vec<Unsure>,
    until: SystemTime,
    fits: impl Fn(&Object) -> bool,
) -> Option<Vec<State>> {
    let mut chains: Vec<(Vec<usize>, Object)> = vec![(Vec::new(), states.last()?.object.clone())];
    for _ in 0..=MOST_UNSURE {
        if let Some((chain, _)) = chains.iter().find(|(_, object)| fits(object)) {
            let mut object = states.last()?.object.clone();
            let mut stored = Vec::new();
            for index in chain {
                let one = &unsure[*index];
                object = object.patched(&one.patch)?;
                stored.push(State {
                    received: one.received,
                    answered: until,
                    is_hikarus: true,
                    object: object.clone(),
                });
            }
            let mut index = 0..;
            unsure.retain(|_| index.next().is_none_or(|index| !chain.contains(&index)));
            return Some(stored);
        }
        let mut longer = Vec::new();
        for (chain, object) in &chains {
            for (index, one) in unsure.iter().enumerate() {
                if one.received <= until
                    && !chain.contains(&index)
                    && check_patch(&one.patch).is_ok()
                    && let Some(after) = object.patched(&one.patch)
                {
                    longer.push(([&chain[..], &[index]].concat(), after));
                }
            }
        }
        chains = longer;
    }
    None
}

impl Object {
    /// An object as the API server shows it.
    pub(super) fn of(object: &Value) -> Self {
        let labels = map(&object["metadata"]["labels"]);
        let annotations = map(&object["metadata"]["annotations"]);
        let pod = &object["spec"]["template"]["spec"];
        let mut containers = Vec::new();
        for list in ["initContainers", "containers"] {
            for (position, container) in pod[list].as_array().into_iter().flatten().enumerate() {
                let name = text(&container["name"]);
                containers.push(Container {
                    place: format!("{list}/{position}"),
                    mark: labels
                        .get(&format!("high-water.hikaru.dev/{name}"))
                        .map(text),
                    image: text(&container["image"]),
                    name,
                });
            }
        }
        let mut rest = object["spec"].clone();
        for list in ["initContainers", "containers"] {
            let all = rest["template"]["spec"][list].as_array_mut();
            for container in all.into_iter().flatten() {
                container["image"].take();
            }
        }
        let identity = ["owner", "repo", "branch"].map(|key| labels.get(key).map_or("", as_str));
        let is_manual = |all: &Map<String, Value>| {
            all.get("hikaru.dev/upgrade")
                .is_some_and(|value| value == "manual")
        };
        Self {
            identity: identity.join("_"),
            manual: is_manual(labels) || is_manual(annotations),
            containers,
            rest: serde_json::json!([rest, others(labels), others(annotations)]),
        }
    }

    /// The same after a patch of hikaru's; `None` if a test of an image or a mark does not hold.
    fn patched(&self, patch: &Value) -> Option<Self> {
        let mut after = self.clone();
        for operation in patch.as_array().into_iter().flatten() {
            let (path, value) = (as_str(&operation["path"]), operation["value"].as_str());
            let op = as_str(&operation["op"]);
            for (container, before) in after.containers.iter_mut().zip(&self.containers) {
                let is_image = path.strip_prefix("/spec/template/spec/")
                    == Some(&format!("{}/image", container.place));
                let is_mark = path.strip_prefix(MARK) == Some(&container.name);
                match (is_image, is_mark) {
                    (true, _) if op == "test" && value != Some(&before.image) => return None,
                    (_, true) if op == "test" && value != before.mark.as_deref() => return None,
                    (true, _) if op == "replace" => container.image = value?.to_owned(),
                    (_, true) if op == "add" => container.mark = Some(value?.to_owned()),
                    (_, true) if op == "remove" => container.mark = None,
                    _ => {}
                }
            }
        }
        Some(after)
    }

    fn is_marked_as(&self, other: &Self) -> bool {
        let marks = |object: &Self| -> Vec<Option<String>> {
            object.containers.iter().map(|c| c.mark.clone()).collect()
        };
        marks(self) == marks(other)
    }

    /// Whether an answer, which may be metadata alone, shows these marks.
    fn is_marked_so(&self, answer: &Value) -> bool {
        let labels = &answer["metadata"]["labels"];
        let mut all = self.containers.iter();
        all.all(|c| {
            let shown = &labels[format!("high-water.hikaru.dev/{}", c.name)];
            shown.as_str() == c.mark.as_deref()
        })
    }

    /// Whether an answer, which may be metadata alone, shows nothing else than this object, marks apart.
    fn is_otherwise(&self, answer: &Value) -> Result<(), String> {
        let metadata = &answer["metadata"];
        let shown = [&metadata["labels"], &metadata["annotations"]].map(|m| others(map(m)));
        let other = |what: &str| Err(format!("the answer to hikaru shows other {what}: {answer}"));
        for (at, (shown, what)) in shown.into_iter().zip(["labels", "annotations"]).enumerate() {
            if self.rest[at + 1] != Value::Object(shown) {
                return other(what);
            }
        }
        match answer.get("spec").is_none() || Self::of(answer) == *self {
            true => Ok(()),
            false => other("fields"),
        }
    }

    /// What is to be said of a container if an image is posted, in the words of the verdict table; `None` if the image is
    /// not meant for it. Written by hand from the table, for the settings that this world has.
    pub(super) fn verdict(&self, container: &Container, posted: &str) -> Option<&'static str> {
        let (post, runs) = (Told::of(posted), Told::of(&container.image));
        let Tag::Build {
            identity,
            rank,
            commit,
        } = post.tag
        else {
            return None;
        };
        if identity != self.identity || post.repository != runs.repository {
            return None;
        }
        let same = match runs.tag {
            Tag::Build {
                identity,
                rank,
                commit,
            } if identity == self.identity => Some((rank, commit)),
            _ => None,
        };
        if same == Some((rank, commit)) {
            return Some("equal");
        }
        if self.manual {
            return Some("manual");
        }
        let wanted = hash(post.repository, identity);
        let mark = container.mark.as_deref().and_then(mark);
        let is_held = mark.is_some_and(|(mark, hash)| {
            let stands_below = match (same, runs.tag) {
                (Some((runs, _)), _) => runs < mark,
                (None, Tag::Build { rank: runs, .. }) => runs.version <= mark.version,
                (None, Tag::Version(version)) => version <= mark.version,
                // The marked build itself goes out again over something floating.
                (None, Tag::Floating) => rank < mark,
            };
            hash == wanted && rank <= mark && stands_below
        });
        if is_held {
            return Some("held");
        }
        Some(match (same, runs.tag) {
            (Some((runs, _)), _) if runs == rank => "conflicting-build",
            (Some((runs, _)), _) if runs > rank => "obsolete",
            (None, Tag::Build { rank: runs, .. }) if runs.version == rank.version => "other-branch",
            (None, Tag::Build { rank: runs, .. }) if runs.version > rank.version => "obsolete",
            (None, Tag::Version(version)) if version > rank.version => "obsolete",
            _ => "upgrade",
        })
    }

    pub(super) fn container(&self, name: &str) -> Option<&Container> {
        self.containers.iter().find(|c| c.name == name)
    }

    /// Which of the identities it has, if it is one of them.
    pub(super) fn identity(&self) -> Option<usize> {
        let mut all = IDENTITIES.iter();
        all.position(|identity| identity.join("_") == self.identity)
    }
}

fn is_ours(key: &str) -> bool {
    key.starts_with("high-water.hikaru.dev/")
        || key == "hikaru.dev/last-upgrade"
        || key == "kubernetes.io/change-cause"
        || key == "deployment.kubernetes.io/revision"
}

/// What of labels or annotations is neither hikaru's nor the controller's.
fn others(all: &Map<String, Value>) -> Map<String, Value> {
    let all = all.iter().filter(|(key, _)| !is_ours(key));
    all.map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn map(value: &Value) -> &Map<String, Value> {
    static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
    value.as_object().unwrap_or(&NONE)
}

fn as_str(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn text(value: &Value) -> String {
    as_str(value).to_owned()
}
