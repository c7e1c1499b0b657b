//! A change that the policy has decided on: what it was judged on, and what to write. Only the policy can make one.

use std::sync::Arc;

use crate::{
    Text,
    workload::{Place, Workload, container::Container},
};

/// The keys of the settings that verdicts read, after [`SETTING_PREFIX`](crate::workload::SETTING_PREFIX): a write tests each of
/// them, absence included, as label and as annotation.
///
/// | key | values | where both a label and an annotation are there |
/// |---|---|---|
/// | `upgrade` | `auto` (the default), `manual`: opted out | `manual` wins |
/// | `containers` | names, comma-separated: only these are judged | only those in both |
/// | `constraint` | a requirement in Cargo's notation, its parts joined by commas: `~1.4`, `>=1.2, <2`; `1.4` means `^1.4`; a pre-release passes only if the requirement names one. Applied to the first three numbers; a missing one is 0, a fourth is ignored | both |
/// | `on-failure` | `keep` (the default), `rollback`: read and guarded, but not acted on by this crate | `keep` wins |
/// | `progress-deadline` | a time, `90s`, `10m`, `1h30m`: how long its rollout may reach nothing new before it has failed | the longer one |
/// | `required-rollout` | `full` (the default), `N%`, 1 to 100: how many of the new pods have to be ready for its rollout to be complete | `full`, else the higher one |
pub const SETTINGS: [&str; 6] = [
    "upgrade",
    "containers",
    "constraint",
    "on-failure",
    "progress-deadline",
    "required-rollout",
];

/// One container's part of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    pub(crate) container: usize,
    pub(crate) to: Text,
    pub(crate) mark: Option<Text>,
}

impl Edit {
    /// Which container, as an index into [`Workload::containers`] of [`Change::judged`].
    pub fn container(&self) -> usize {
        self.container
    }

    /// The image to write: the posted tag and digest, the repository as the container spells it.
    pub fn to(&self) -> &Text {
        &self.to
    }

    /// The value of the container's high-water mark after the write. `None`: the mark stays as it is.
    pub fn mark(&self) -> Option<&Text> {
        self.mark.as_ref()
    }
}

/// An upgrade of one workload. It applies to exactly the state that was judged, or not at all: an adapter tests
/// everything that the verdict read ([`Change::holds_for`], or tests in the write itself made from the same accessors).
///
/// ```
/// use hikaru_core::{Build, Container, IdentityLabels, Request, TagFormats, Workload, WorkloadId, plan};
/// let mut web = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
/// web.labels = IdentityLabels::new("acme", "web", "main");
/// web.containers.push(Container::new("web", "acme/web:latest"));
/// let build = Build::parse("acme/web:acme_web_main_1.4.0_7_0123abcd", &TagFormats::default())?;
/// let plan = plan(Request::new(build), [web.clone()]);
/// let change = plan.entries[0].change.as_ref().unwrap();
///
/// let (container, edit) = change.edited().next().unwrap();
/// assert_eq!((&*container.image, &**edit.to()), ("acme/web:latest", "acme/web:acme_web_main_1.4.0_7_0123abcd"));
/// assert!(change.holds_for(&web));
/// web.containers[0].image = "acme/web:acme_web_main_1.4.0_8_4567cdef".into();
/// assert!(!change.holds_for(&web), "somebody was faster");
/// # Ok::<(), hikaru_core::image::BuildError>(())
/// ```
///
/// The policy alone makes one; nobody else can, nor change what it says:
///
/// ```compile_fail,E0451
/// # use hikaru_core::{Workload, policy::Change};
/// fn forged(workload: Workload) -> Change {
///     Change { posted: "acme/web".into(), judged: workload.into(), containers: vec![0], edits: Vec::new() }
/// }
/// ```
///
/// ```compile_fail,E0616
/// # use hikaru_core::policy::Edit;
/// fn lowered(edit: &mut Edit) {
///     edit.to = "acme/web:acme_web_main_1.3.0_1_0123abcd".into();
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Change {
    pub(crate) posted: Text,
    pub(crate) judged: Arc<Workload>,
    /// Indexes of the containers that were judged, those that stay as they are included.
    pub(crate) containers: Vec<usize>,
    pub(crate) edits: Vec<Edit>,
}

impl Change {
    /// The image as it was posted: what all changes of one post have in common.
    pub fn posted(&self) -> &Text {
        &self.posted
    }

    /// The workload as it was judged.
    pub fn judged(&self) -> &Workload {
        &self.judged
    }

    /// The containers whose name, image and mark the verdict read.
    pub fn containers(&self) -> impl Iterator<Item = &Container> {
        self.containers
            .iter()
            .filter_map(|i| self.judged.containers.get(*i))
    }

    /// What to write: at least one edit.
    pub fn edits(&self) -> &[Edit] {
        &self.edits
    }

    /// The edits, each with the container that it is for, as it was judged.
    pub fn edited(&self) -> impl Iterator<Item = (&Container, &Edit)> {
        self.edits
            .iter()
            .filter_map(|edit| Some((self.judged.containers.get(edit.container)?, edit)))
    }

    /// The guard: whether everything that the verdict read still stands so. Name and uid, the identity labels, each of
    /// [`SETTINGS`], each judged container's name, place, image and mark.
    pub fn holds_for(&self, now: &Workload) -> bool {
        let judged = self.judged();
        let setting_holds = |key: &&str| {
            [Place::Label, Place::Annotation]
                .iter()
                .all(|place| judged.setting(*place, key) == now.setting(*place, key))
        };
        judged.id == now.id
            && judged.uid == now.uid
            && judged.labels == now.labels
            && SETTINGS.iter().all(setting_holds)
            && self
                .containers()
                .all(|container| now.container(&container.name) == Some(container))
    }

    /// Whether a workload looks as this change leaves it, mark included: what a lost answer is found out by. A person who
    /// sets the same image meanwhile leaves no mark.
    pub fn arrived_in(&self, now: &Workload) -> bool {
        self.judged().uid == now.uid
            && self.edited().all(|(container, edit)| {
                now.container(&container.name)
                    .filter(|now| now.image == edit.to)
                    .is_some_and(|now| edit.mark.is_none() || now.mark == edit.mark)
            })
    }
}
