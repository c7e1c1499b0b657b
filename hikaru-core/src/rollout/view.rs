//! The facts, sorted out: which pods are the new ones, by owner and revision, never by name. What is wrong with them is said in
//! `trouble`.

use std::{collections::HashMap, time::SystemTime};

use super::facts::{
    ContainerState, EventFacts, ObjectFacts, PodFacts, ReplicaSetFacts, RolloutFacts, RolloutKind,
};

/// What a cluster says of one rollout, sorted out. Pods that something else owns are left out.
pub(super) struct View<'f> {
    pub(super) facts: &'f RolloutFacts,
    /// A Deployment's ReplicaSet of the present template.
    pub(super) new_set: Option<&'f ReplicaSetFacts>,
    /// The pods of the new revision, without those that have ended or are being deleted.
    pub(super) new: Vec<&'f PodFacts>,
    /// The pods of the new revision that have ended: a controller makes others for them.
    pub(super) ended: Vec<&'f PodFacts>,
    /// The pods of other revisions, without those that have ended or are being deleted.
    pub(super) old: Vec<&'f PodFacts>,
    /// The pods of any revision that are being deleted, and have not ended.
    pub(super) deleting: Vec<&'f PodFacts>,
    /// How many of those are of other revisions.
    old_deleting: usize,
    events: HashMap<&'f str, Vec<&'f EventFacts>>,
    undone: Undone<'f>,
}

/// How many pods of the new revision there are, and of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) updated: i32,
    pub(super) ready: i32,
    pub(super) available: i32,
    pub(super) old: i32,
}

impl<'f> View<'f> {
    pub(super) fn new(facts: &'f RolloutFacts) -> Self {
        let mut view = Self {
            facts,
            new_set: new_set(facts),
            new: Vec::new(),
            ended: Vec::new(),
            old: Vec::new(),
            deleting: Vec::new(),
            old_deleting: 0,
            events: HashMap::new(),
            undone: Undone::of(facts),
        };
        for pod in &facts.pods {
            let Some(is_new) = view.revision_of(pod) else {
                continue;
            };
            let has_ended = matches!(&*pod.phase, "Failed" | "Succeeded");
            match (has_ended, pod.is_deleting, is_new) {
                (true, _, true) => view.ended.push(pod),
                (true, _, false) => {}
                (false, true, _) => {
                    view.old_deleting += usize::from(!is_new);
                    view.deleting.push(pod);
                }
                (false, false, true) => view.new.push(pod),
                (false, false, false) => view.old.push(pod),
            }
        }
        for event in facts.events.iter().flatten().filter(|e| e.is_warning) {
            view.events.entry(&event.about).or_default().push(event);
        }
        view
    }

    pub(super) fn object(&self) -> &'f ObjectFacts {
        &self.facts.object
    }

    pub(super) fn now(&self) -> SystemTime {
        self.facts.now
    }

    /// Whether a pod is of the new revision. `None`: something else owns it.
    fn revision_of(&self, pod: &PodFacts) -> Option<bool> {
        let owner = pod.owner.as_ref()?;
        let object = self.object();
        let of = |label: &Option<crate::Text>| {
            (**owner == *self.facts.workload.uid)
                .then(|| object.revision.is_none() || *label == object.revision)
        };
        match object.kind {
            RolloutKind::Deployment => {
                if self.new_set.is_some_and(|set| set.uid == *owner) {
                    return Some(true);
                }
                owned_sets(self.facts)
                    .any(|set| set.uid == *owner)
                    .then_some(false)
            }
            RolloutKind::StatefulSet => of(&pod.revision_hash),
            RolloutKind::DaemonSet => {
                of(&pod.template_generation).map(|is_new| is_new || self.undone.has(pod))
            }
            RolloutKind::Job => (*owner == self.facts.workload.uid).then_some(true),
            RolloutKind::None => None,
        }
    }

    /// Whether something can be read: `pods`, `replicasets`, `events`, `nodes`.
    pub(super) fn sees(&self, what: &str) -> bool {
        !self.facts.unseen.iter().any(|unseen| *unseen.what == *what)
    }

    /// Whether the new pods are known: a Deployment's by their ReplicaSet.
    pub(super) fn sees_pods(&self) -> bool {
        let needs_sets = self.object().kind == RolloutKind::Deployment;
        self.sees("pods") && (!needs_sets || self.sees("replicasets"))
    }

    /// Whether the controller has acted on the present template: until then its status is of an older one.
    pub(super) fn is_observed(&self) -> bool {
        let object = self.object();
        object.observed > 0 && object.generation <= object.observed
    }

    /// How many new pods there are to be.
    pub(super) fn target(&self) -> i32 {
        let object = self.object();
        let kept = match object.kind {
            RolloutKind::StatefulSet if !object.is_on_delete => object.partition.max(0),
            _ => 0,
        };
        object.desired.saturating_sub(kept).max(0)
    }

    pub(super) fn counts(&self) -> Counts {
        let object = self.object();
        if !self.is_observed() {
            return Counts {
                old: object.current.max(0),
                ..Counts::default()
            };
        }
        let (sees, updated) = (self.sees_pods(), object.updated.max(0));
        let not_updated = object.current.saturating_sub(updated).max(0);
        // Without pods the status alone is known: it counts ready pods of any revision, so this many are new ones at least.
        let ready = match self.new_set {
            _ if sees => count(self.new.iter().filter(|pod| is_ready(pod)).count()),
            Some(set) => set.ready,
            None => object.ready.saturating_sub(not_updated).min(updated),
        };
        let available = match self.new_set {
            Some(set) => set.available,
            None if sees => object.available.min(ready),
            None => object.available.saturating_sub(not_updated).min(updated),
        };
        // The pods of a paused template are still those of the one before; those beyond a partition may be new, too.
        let most = if object.is_paused {
            updated.min(self.target())
        } else {
            self.target().max(0)
        };
        let ready = ready.clamp(0, most);
        Counts {
            updated,
            ready,
            available: available.clamp(0, ready),
            old: if sees && !(object.is_paused && not_updated > 0) {
                count(self.old.len() + self.old_deleting)
            } else {
                not_updated
            },
        }
    }

    /// How many pods there are to be, and how many of them nobody has created.
    pub(super) fn missing(&self) -> (i32, i32) {
        let object = self.object();
        let there = |pods: usize, reported: i32| {
            if self.sees_pods() {
                count(pods)
            } else {
                reported
            }
        };
        let (desired, there) = match (object.kind, self.new_set) {
            (RolloutKind::Deployment, Some(set)) => {
                (set.desired, there(self.new.len(), set.current))
            }
            (RolloutKind::Deployment, None) => (object.desired, object.updated),
            // A pod that is being deleted keeps its name, or its node, from its successor.
            _ => (
                object.desired,
                there(
                    self.new.len() + self.old.len() + self.deleting.len(),
                    object.current,
                ),
            ),
        };
        (desired, desired.saturating_sub(there).max(0))
    }

    /// Since when the template is as it is, as far as anything tells.
    pub(super) fn changed(&self) -> Option<SystemTime> {
        let changed = self.object().changed.as_ref().map(|change| change.at);
        let first_pod = || self.new.iter().filter_map(|pod| pod.created).min();
        changed
            .or_else(|| self.new_set.and_then(|set| set.created))
            .or_else(first_pod)
            .map(|changed| changed.min(self.now()))
    }

    /// Whether a moment that the control plane told is not before the change.
    pub(super) fn is_since_change(&self, moment: Option<SystemTime>) -> bool {
        match (moment, self.changed()) {
            (Some(moment), Some(changed)) => moment >= changed,
            _ => true,
        }
    }

    /// The last event about an object that a rule admits.
    pub(super) fn event(
        &self,
        about: &str,
        admits: impl Fn(&EventFacts) -> bool,
    ) -> Option<&'f EventFacts> {
        let events = self.events.get(about)?.iter().copied();
        events
            .filter(|event| admits(event))
            .max_by_key(|event| event.last)
    }

    /// The last event of the workload itself since the change that a rule admits.
    pub(super) fn own_event(&self, admits: impl Fn(&EventFacts) -> bool) -> Option<&'f EventFacts> {
        self.event(&self.facts.workload.uid, |event| {
            self.is_since_change(event.last) && admits(event)
        })
    }
}

/// The pods of a DaemonSet whose template is the present one although their generation is an older one: after an undo the
/// controller keeps those that it has not replaced yet.
#[derive(Default)]
struct Undone<'f> {
    /// The controller counts each pod as updated.
    are_all: bool,
    hash: Option<&'f crate::Text>,
}

impl<'f> Undone<'f> {
    fn of(facts: &'f RolloutFacts) -> Self {
        let object = &facts.object;
        if object.kind != RolloutKind::DaemonSet {
            return Self::default();
        }
        let is_observed = object.observed > 0 && object.generation <= object.observed;
        let mut pods = facts.pods.iter();
        let present = pods.find(|pod| {
            pod.owner.as_ref() == Some(&facts.workload.uid)
                && pod.template_generation.is_some()
                && pod.template_generation == object.revision
        });
        Self {
            are_all: is_observed && object.updated > 0 && object.updated >= object.desired,
            hash: present.and_then(|pod| pod.revision_hash.as_ref()),
        }
    }

    fn has(&self, pod: &PodFacts) -> bool {
        self.are_all || self.hash.is_some() && self.hash == pod.revision_hash.as_ref()
    }
}

/// The ReplicaSets that the workload owns.
fn owned_sets(facts: &RolloutFacts) -> impl Iterator<Item = &ReplicaSetFacts> {
    let uid = &facts.workload.uid;
    let sets = facts.replica_sets.iter().map(|set| &**set);
    sets.filter(move |set| set.owner.as_ref() == Some(uid))
}

/// The ReplicaSet that has the Deployment's revision; the newest one if the Deployment has none.
fn new_set(facts: &RolloutFacts) -> Option<&ReplicaSetFacts> {
    if facts.object.kind != RolloutKind::Deployment {
        return None;
    }
    match &facts.object.revision {
        Some(revision) => owned_sets(facts).find(|set| set.revision.as_ref() == Some(revision)),
        None => owned_sets(facts).max_by_key(|set| set.created),
    }
}

/// A pod's condition of this type.
pub(super) fn condition<'f>(pod: &'f PodFacts, kind: &str) -> Option<&'f super::facts::Condition> {
    pod.conditions.iter().find(|c| *c.kind == *kind)
}

/// Whether a pod is ready.
pub(super) fn is_ready(pod: &PodFacts) -> bool {
    condition(pod, "Ready").is_some_and(|ready| *ready.status == *"True")
}

/// Whether a container has ever started.
pub(super) fn has_begun(container: &super::facts::ContainerFacts) -> bool {
    container.restarts > 0
        || container.last.is_some()
        || matches!(
            container.state,
            ContainerState::Running { .. } | ContainerState::Terminated(_)
        )
}

/// A number of pods as Kubernetes counts them.
pub(super) fn count(pods: usize) -> i32 {
    i32::try_from(pods).unwrap_or(i32::MAX)
}
