//! What is wrong with a rollout, found in its pods, its ReplicaSet and its events, and when that fails it. What is the same in
//! several pods is one group. The sentences are in `words`.

mod container;
mod image;
mod pod;
mod refused;
mod workload;

pub(super) use pod::missing_object;
pub(super) use refused::after_name;

use std::time::{Duration, SystemTime};

use super::{
    cause::CauseCode,
    facts::{ContainerFacts, PodFacts, RolloutKind, Terminated},
    times::{later, sooner},
    view::{View, count},
};
use crate::Text;

/// As many pods that ended tell that it happens again and again.
const AGAIN: i32 = 3;

/// When a trouble fails the rollout. Faults that the template has show in each pod sooner or later, so one pod is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fails {
    /// From this moment on, if one pod has it.
    One(SystemTime),
    /// From this moment on, if all new pods have it.
    All(SystemTime),
    /// When nothing new was reached for too long.
    AtTheLimit,
}

/// What is wrong with one pod, or with pods that are not there.
#[derive(Clone, Debug)]
pub(super) struct Trouble<'f> {
    pub(super) code: CauseCode,
    pub(super) pod: Option<&'f PodFacts>,
    pub(super) container: Option<&'f ContainerFacts>,
    /// The cluster's own words.
    pub(super) said: &'f str,
    /// How the container ended.
    pub(super) ended: Option<&'f Terminated>,
    /// The name of what is missing or refuses, where the words tell it.
    pub(super) named: Option<&'f str>,
    /// How many pods have it.
    pods: i32,
    /// Of how many.
    of: i32,
    fails: Fails,
}

impl<'f> Trouble<'f> {
    fn new(code: CauseCode, said: &'f str) -> Self {
        Self {
            code,
            pod: None,
            container: None,
            said,
            ended: None,
            named: None,
            pods: 1,
            of: 1,
            fails: Fails::AtTheLimit,
        }
    }

    fn container_name(&self) -> Option<&Text> {
        self.container.map(|container| &container.name)
    }

    /// It fails the rollout so long after a moment, with one pod.
    fn after(self, moment: SystemTime, grace: Duration) -> Self {
        let fails = later(moment, grace).map_or(Fails::AtTheLimit, Fails::One);
        Self { fails, ..self }
    }

    /// It fails the rollout so long after a moment, if all new pods have it.
    fn after_if_all(self, moment: SystemTime, grace: Duration) -> Self {
        let fails = later(moment, grace).map_or(Fails::AtTheLimit, Fails::All);
        Self { fails, ..self }
    }
}

/// A trouble, and how many pods have it.
pub(super) struct Group<'f> {
    /// That of the first pod.
    pub(super) first: Trouble<'f>,
    /// How many pods have it.
    pub(super) pods: i32,
    /// Of how many.
    pub(super) of: i32,
    /// When one pod's trouble is enough for the first time.
    one: Option<SystemTime>,
    /// When the last of the pods has it for long enough, of those that count together; and how many these are.
    all: Option<SystemTime>,
    together: i32,
}

impl<'f> Group<'f> {
    fn of(trouble: Trouble<'f>, new_pods: i32) -> Self {
        let mut group = Self {
            pods: 0,
            of: trouble.of.max(new_pods),
            one: None,
            all: None,
            together: 0,
            first: trouble.clone(),
        };
        group.add(&trouble);
        group
    }

    fn add(&mut self, trouble: &Trouble<'_>) {
        self.pods = self.pods.saturating_add(trouble.pods);
        match trouble.fails {
            Fails::One(at) => {
                self.one = sooner(self.one, Some(at));
                self.together += 1;
            }
            Fails::All(at) => {
                self.all = self.all.max(Some(at));
                self.together += 1;
            }
            Fails::AtTheLimit => {}
        }
    }

    /// When it fails the rollout, before the limit.
    fn fails_at(&self, new_pods: i32) -> Option<SystemTime> {
        let all = self.all.filter(|_| self.together >= new_pods);
        sooner(self.one, all)
    }

    /// Whether it is what each slow start looks like, too, or a single pod that went and was replaced: told only when nothing
    /// else is known.
    pub(super) fn is_vague(&self) -> bool {
        use CauseCode::{PodEvicted, PodRefusedByNode};
        let code = self.first.code;
        code.is_vague() || matches!(code, PodEvicted | PodRefusedByNode) && self.pods < AGAIN
    }

    fn is_same(&self, other: &Trouble<'_>) -> bool {
        self.first.code == other.code && self.first.container_name() == other.container_name()
    }
}

/// Everything that is wrong.
#[derive(Default)]
pub(super) struct Troubles<'f> {
    groups: Vec<Group<'f>>,
    new_pods: i32,
    /// When the first of those that are created without a word is told.
    told_at: Option<SystemTime>,
}

impl<'f> Troubles<'f> {
    /// `idle_since`: since when nothing new was reached.
    pub(super) fn find(view: &View<'f>, idle_since: SystemTime) -> Self {
        let mut troubles = Self {
            groups: Vec::new(),
            new_pods: 0,
            told_at: None,
        };
        if view.is_observed() {
            let pods = view.new.iter().filter(|pod| !is_left_out(view, pod));
            troubles.new_pods = count(pods.clone().count());
            for pod in pods {
                match pod::trouble(view, pod, idle_since) {
                    Some(trouble) => troubles.add(trouble),
                    None => {
                        troubles.told_at = sooner(troubles.told_at, pod::told_at(pod, idle_since))
                    }
                }
            }
            for trouble in workload::troubles(view, idle_since) {
                troubles.add(trouble);
            }
            if let Some(trouble) = refused::pods(view, idle_since) {
                troubles.add(trouble);
            }
        }
        if let Some(trouble) = refused::replica_set(view) {
            troubles.add(trouble);
        }
        troubles
    }

    fn add(&mut self, trouble: Trouble<'f>) {
        match self.groups.iter_mut().find(|group| group.is_same(&trouble)) {
            Some(group) => group.add(&trouble),
            None => self.groups.push(Group::of(trouble, self.new_pods)),
        }
    }

    /// Leaves out what a rule does not admit.
    pub(super) fn retain(&mut self, admits: impl Fn(&Trouble<'_>) -> bool) {
        self.groups.retain(|group| admits(&group.first));
    }

    /// What has failed the rollout by now, whatever it still does.
    pub(super) fn failing(&self, now: SystemTime) -> Option<&Group<'f>> {
        let failing =
            |group: &&Group<'_>| group.fails_at(self.new_pods).is_some_and(|at| at <= now);
        self.groups.iter().filter(failing).min_by_key(|g| depth(g))
    }

    /// The deepest of all.
    pub(super) fn deepest(&self) -> Option<&Group<'f>> {
        self.groups.iter().min_by_key(|group| depth(group))
    }

    /// When one of them fails the rollout, or is told, next.
    pub(super) fn next(&self, now: SystemTime) -> Option<SystemTime> {
        let moments = self.groups.iter().filter_map(|g| g.fails_at(self.new_pods));
        moments.chain(self.told_at).filter(|at| *at > now).min()
    }

    /// Whether events may tell more about them than what is known: which pull secret is missing, which probe has ended a
    /// container, why one is not created.
    pub(super) fn are_clear_by_events(&self) -> bool {
        use CauseCode as Code;
        let mut codes = self.groups.iter().map(|group| group.first.code);
        codes.any(|code| {
            matches!(
                code,
                Code::ImageNotFoundOrForbidden
                    | Code::ImagePullForbidden
                    | Code::ImagePullFailed
                    | Code::ConfigMissing
                    | Code::HookFailed
                    | Code::ExitedEarly
                    | Code::CrashLoop
                    | Code::NotCreated
                    | Code::PodTerminating
            )
        })
    }
}

/// What most pods have comes first, then what lies deeper; what a slow start looks like, too, comes last.
fn depth(group: &Group<'_>) -> (bool, i32, CauseCode) {
    let code = group.first.code;
    (group.is_vague(), group.pods.saturating_neg(), code)
}

/// Whether a pod is on a node that is not ready: a DaemonSet does without it.
pub(super) fn is_left_out(view: &View<'_>, pod: &PodFacts) -> bool {
    let nodes = view.facts.not_ready_nodes.as_ref();
    view.object().kind == RolloutKind::DaemonSet
        && nodes.is_some_and(|nodes| pod.node.as_ref().is_some_and(|node| nodes.contains(node)))
}
