//! What the rules read of a workload. Plain data: adapters fill it in, the policy judges it.

pub(crate) mod container;
pub(crate) mod hindrance;
pub(crate) mod name;

pub use container::{Container, Override, PodList, mark_key, marked_name};
pub use hindrance::Hindrance;
pub use name::{NameError, WorkloadName, check_namespace};

use std::{collections::BTreeMap, fmt};

use crate::{Text, image::tag::Reading, text::escape::Escaped};

/// Which labels of a workload's own metadata name its owner, repo and branch. The default: `owner`, `repo`, `branch`. For
/// [`Workload::read_metadata`].
///
/// ```
/// use hikaru_core::{Workload, WorkloadId, workload::IdentityKeys};
/// let mut keys = IdentityKeys::default();
/// keys.branch = "acme.example/branch".into();
/// let mut web = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
/// let labels = [("owner", "acme"), ("repo", "web"), ("acme.example/branch", "main")];
/// web.read_metadata(&keys, labels, []);
/// assert_eq!(web.labels.branch.as_deref(), Some("main"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdentityKeys {
    /// The label of the owner.
    pub owner: Text,
    /// The label of the repo.
    pub repo: Text,
    /// The label of the branch.
    pub branch: Text,
}

impl Default for IdentityKeys {
    fn default() -> Self {
        Self {
            owner: "owner".into(),
            repo: "repo".into(),
            branch: "branch".into(),
        }
    }
}

/// The prefix of the settings' keys, as labels or annotations: `hikaru.dev/upgrade`.
pub const SETTING_PREFIX: &str = "hikaru.dev/";
/// The prefix of the high-water marks' labels: `high-water.hikaru.dev/{container}`. What follows it is
/// [`Container::mark_key`].
pub const MARK_PREFIX: &str = "high-water.hikaru.dev/";
/// The annotation that an upgrade leaves on the workload: JSON, `{"at": RFC 3339, "previous": {container: image}}`. An
/// adapter to a live cluster writes it in the same patch as the images. It is no setting.
pub const LAST_UPGRADE: &str = "hikaru.dev/last-upgrade";
/// The field manager by which an adapter to a live cluster writes. A rollout whose image another one wrote was reverted.
pub const FIELD_MANAGER: &str = "hikaru";
/// The annotation in which `kubectl rollout history` looks for why a revision was made. An adapter to a live cluster writes
/// it in the same patch as the images.
pub const CHANGE_CAUSE: &str = "kubernetes.io/change-cause";

/// Names one workload of one cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct WorkloadId {
    /// Its namespace.
    pub namespace: Text,
    /// Its kind, as Kubernetes spells it: `Deployment`.
    pub kind: Text,
    /// Its name.
    pub name: Text,
    /// Where it stands, in clusters that can hold a name twice: file and document of a folder of manifests.
    pub origin: Option<Text>,
}

impl WorkloadId {
    /// The name of a workload in a cluster that holds each name once.
    pub fn new(namespace: impl Into<Text>, kind: impl Into<Text>, name: impl Into<Text>) -> Self {
        Self {
            namespace: namespace.into(),
            kind: kind.into(),
            name: name.into(),
            origin: None,
        }
    }

    /// The same name at a place.
    #[must_use]
    pub fn at(mut self, origin: impl Into<Text>) -> Self {
        self.origin = Some(origin.into());
        self
    }
}

impl fmt::Display for WorkloadId {
    /// `namespace/Kind/name`, escaped: in a folder a name can be any text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [namespace, kind, name] = [&self.namespace, &self.kind, &self.name].map(|t| Escaped(t));
        write!(f, "{namespace}/{kind}/{name}")
    }
}

/// The values of the three labels that say which source a workload is built from. A workload without all three is not
/// hikaru's business.
///
/// ```
/// use hikaru_core::IdentityLabels;
/// let labels = IdentityLabels::new("acme", "web", "main");
/// assert_eq!(labels.reading().unwrap().to_string(), "owner acme, repo web, branch main");
/// assert_eq!(IdentityLabels::default().reading(), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct IdentityLabels {
    /// The owner's label.
    pub owner: Option<Text>,
    /// The repo's label.
    pub repo: Option<Text>,
    /// The branch's label.
    pub branch: Option<Text>,
}

impl IdentityLabels {
    /// All three.
    pub fn new(owner: impl Into<Text>, repo: impl Into<Text>, branch: impl Into<Text>) -> Self {
        Self {
            owner: Some(owner.into()),
            repo: Some(repo.into()),
            branch: Some(branch.into()),
        }
    }

    /// What the labels say, if all three are there.
    pub fn reading(&self) -> Option<Reading<'_>> {
        match (&self.owner, &self.repo, &self.branch) {
            (Some(owner), Some(repo), Some(branch)) => {
                Some(Reading::new(Some(owner), Some(repo), Some(branch)))
            }
            _ => None,
        }
    }
}

/// Where a setting stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// Among the labels.
    Label,
    /// Among the annotations.
    Annotation,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Label => "label",
            Self::Annotation => "annotation",
        })
    }
}

/// A label or annotation with the prefix [`SETTING_PREFIX`], as it stands there; [`LAST_UPGRADE`] is none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Setting {
    /// Label or annotation.
    pub place: Place,
    /// The key after the prefix: `upgrade`.
    pub key: Text,
    /// The value.
    pub value: Text,
}

impl Setting {
    /// A setting as it stands on a workload; the key without its prefix. [`Workload::read_metadata`] takes whole keys.
    pub fn new(place: Place, key: impl Into<Text>, value: impl Into<Text>) -> Self {
        Self {
            place,
            key: key.into(),
            value: value.into(),
        }
    }
}

/// A label or annotation with the prefix [`SETTING_PREFIX`] that stands below the workload's own metadata, as on its pod
/// template: it has no effect there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StraySetting {
    /// Label or annotation.
    pub place: Place,
    /// The key after the prefix.
    pub key: Text,
    /// Which metadata it stands in: `spec.template.metadata`.
    pub metadata: Text,
}

/// How far the rollout of a workload's pod template is, as its controller reports it. All counts are of pods. No verdict
/// reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Progress {
    /// The generation of the spec.
    pub generation: i64,
    /// The generation that the controller has acted on.
    pub observed: i64,
    /// How many there are to be.
    pub desired: i32,
    /// How many there are, of any revision.
    pub current: i32,
    /// How many there are of the present revision.
    pub updated: i32,
    /// How many of the present revision have been ready for long enough.
    pub available: i32,
    /// The controller has given up: Kubernetes' `ProgressDeadlineExceeded`.
    pub deadline_exceeded: bool,
}

impl Progress {
    /// Whether the rollout is done, in the order in which `kubectl rollout status` looks.
    pub fn is_complete(&self) -> bool {
        self.generation <= self.observed
            && !self.deadline_exceeded
            && self.updated >= self.desired
            && self.current <= self.updated
            && self.available >= self.updated
    }
}

/// Who else writes a workload's image, as far as the object tells: a tool that applies it from somewhere, or an operator.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Owner {
    /// A Helm release.
    Helm {
        /// The release's name.
        release: Text,
    },
    /// An Argo CD application.
    ArgoCd {
        /// The application's name, where the object tells it.
        application: Option<Text>,
    },
    /// A Flux object.
    Flux {
        /// `Kustomization` or `HelmRelease`.
        kind: Text,
        /// Its name.
        name: Text,
    },
    /// Another object of the cluster whose controller made this one.
    Controller {
        /// Its kind.
        kind: Text,
        /// Its name.
        name: Text,
    },
    /// Somebody who applies its containers by server-side apply.
    Applier {
        /// The field manager's name.
        manager: Text,
    },
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Helm { release } => write!(f, "the Helm release {}", Escaped(release)),
            Self::ArgoCd { application } => match application {
                Some(application) => write!(f, "the Argo CD application {}", Escaped(application)),
                None => f.write_str("Argo CD"),
            },
            Self::Flux { kind, name } => write!(f, "the Flux {} {}", Escaped(kind), Escaped(name)),
            Self::Controller { kind, name } => {
                write!(f, "the controller of {} {}", Escaped(kind), Escaped(name))
            }
            Self::Applier { manager } => write!(f, "the field manager {}", Escaped(manager)),
        }
    }
}

/// A workload: an object with a pod template. In a cluster ids are unique, and in a workload the names of its containers:
/// an adapter that breaks that gets *contended* for what it cannot tell apart.
///
/// ```
/// use hikaru_core::{Container, IdentityLabels, Workload, WorkloadId, workload::{Place, Setting}};
/// let mut web = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
/// web.labels = IdentityLabels::new("acme", "web", "main");
/// web.settings.push(Setting::new(Place::Annotation, "constraint", "~1.4"));
/// web.containers.push(Container::new("web", "acme/web:1.4.0"));
/// assert_eq!(web.setting(Place::Annotation, "constraint").map(|value| &**value), Some("~1.4"));
/// assert_eq!(web.id.to_string(), "shop/Deployment/web");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Workload {
    /// Its name.
    pub id: WorkloadId,
    /// The object's uid: another object of the same name has another one. Empty where a cluster has none.
    pub uid: Text,
    /// The labels that say what it is built from.
    pub labels: IdentityLabels,
    /// The settings on it, in any order, each key at most once a place.
    pub settings: Vec<Setting>,
    /// Its containers, init containers and image volumes.
    pub containers: Vec<Container>,
    /// How far its rollout is. `None`: its kind has none, or nobody knows.
    pub progress: Option<Progress>,
    /// The value of the annotation [`LAST_UPGRADE`], as it stands there.
    pub last_upgrade: Option<Text>,
    /// Who else writes its image. It is upgraded all the same, with a warning.
    pub owner: Option<Owner>,
    /// What keeps its pods from following what is written. It is upgraded all the same, with a warning.
    pub hindrances: Vec<Hindrance>,
    /// What looks like a setting, but stands where none counts: warned of.
    pub stray_settings: Vec<StraySetting>,
    /// What the adapter that read the workload needs to know when it writes it.
    pub adapter_note: AdapterNote,
}

/// A few bits that an adapter keeps with a workload from reading it to writing it, such as whether the object has a map that
/// the write adds to. Only that adapter knows what they mean. No rule reads them, and two workloads that differ in nothing
/// else are equal.
///
/// ```
/// use hikaru_core::{Workload, WorkloadId, workload::AdapterNote};
/// let web = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
/// let mut noted = web.clone();
/// noted.adapter_note = AdapterNote::new(1);
/// assert_eq!(noted.adapter_note.bits(), 1);
/// assert_eq!(noted, web);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct AdapterNote(u8);

impl AdapterNote {
    /// A note of these bits.
    pub const fn new(bits: u8) -> Self {
        Self(bits)
    }

    /// The bits; 0 if no adapter has set any.
    pub const fn bits(self) -> u8 {
        self.0
    }
}

impl PartialEq for AdapterNote {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for AdapterNote {}

impl Workload {
    /// A workload without labels, settings and containers.
    pub fn new(id: WorkloadId) -> Self {
        Self {
            id,
            uid: "".into(),
            labels: IdentityLabels::default(),
            settings: Vec::new(),
            containers: Vec::new(),
            progress: None,
            last_upgrade: None,
            owner: None,
            hindrances: Vec::new(),
            stray_settings: Vec::new(),
            adapter_note: AdapterNote::default(),
        }
    }

    /// Takes in the labels and annotations of the object's own metadata, by their whole keys: identity, settings, marks and
    /// [`LAST_UPGRADE`]. Its containers have to be there already, as marks belong to them. What is not hikaru's is passed
    /// over.
    ///
    /// ```
    /// use hikaru_core::{Container, Workload, WorkloadId, workload::{IdentityKeys, Place}};
    /// let mut web = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
    /// web.containers.push(Container::new("web", "acme/web:latest"));
    /// let labels = [
    ///     ("app", "web"), ("owner", "acme"), ("repo", "web"), ("branch", "main"),
    ///     ("hikaru.dev/upgrade", "manual"), ("high-water.hikaru.dev/web", "1.4.0_7_d5ecc80e"),
    /// ];
    /// web.read_metadata(&IdentityKeys::default(), labels, [("hikaru.dev/constraint", "~1.4")]);
    /// assert_eq!(web.labels.reading().unwrap().branch, Some("main"));
    /// assert_eq!(web.setting(Place::Label, "upgrade").map(|value| &**value), Some("manual"));
    /// assert_eq!(web.containers[0].mark.as_deref(), Some("1.4.0_7_d5ecc80e"));
    /// ```
    pub fn read_metadata<'m>(
        &mut self,
        keys: &IdentityKeys,
        labels: impl IntoIterator<Item = (&'m str, &'m str)>,
        annotations: impl IntoIterator<Item = (&'m str, &'m str)>,
    ) {
        let mut marks: BTreeMap<&str, &str> = BTreeMap::new();
        for (key, value) in labels {
            // One label may serve for two of them.
            for (label, slot) in [
                (&keys.owner, &mut self.labels.owner),
                (&keys.repo, &mut self.labels.repo),
                (&keys.branch, &mut self.labels.branch),
            ] {
                if **label == *key {
                    *slot = Some(value.into());
                }
            }
            if let Some(marked) = key.strip_prefix(MARK_PREFIX) {
                marks.insert(marked, value);
            }
            self.read_setting(Place::Label, key, value);
        }
        for container in self.containers.iter_mut().filter(|_| !marks.is_empty()) {
            let mark = container.mark_key().and_then(|key| marks.get(&*key));
            if let Some(mark) = mark {
                container.mark = Some((*mark).into());
            }
        }
        for (key, value) in annotations {
            if key == LAST_UPGRADE {
                self.last_upgrade = Some(value.into());
            }
            self.read_setting(Place::Annotation, key, value);
        }
    }

    fn read_setting(&mut self, place: Place, key: &str, value: &str) {
        if let Some(setting) = key.strip_prefix(SETTING_PREFIX)
            && key != LAST_UPGRADE
        {
            self.settings.push(Setting::new(place, setting, value));
        }
    }

    /// The value of a setting at a place.
    pub fn setting(&self, place: Place, key: &str) -> Option<&Text> {
        self.settings
            .iter()
            .find(|s| s.place == place && &*s.key == key)
            .map(|s| &s.value)
    }

    /// The container, or image volume, that is told by this name.
    pub fn container(&self, name: &str) -> Option<&Container> {
        self.containers.iter().find(|c| &*c.name == name)
    }
}
