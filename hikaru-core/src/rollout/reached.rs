//! What a rollout has reached so far. Progress is what was never reached before: pods that are evicted and made again, or a
//! container that crashes and starts again, are none. So it is handed from one judgement to the next.

use std::time::SystemTime;

use super::{
    facts::{ContainerState, PodFacts},
    times::{between, later},
    view::{View, condition, count, has_begun},
};
use crate::Text;

/// What a rollout has reached so far. The default: nothing is known, then the times that the pods tell are all there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// Of which revision: another one begins anew.
    revision: Option<Text>,
    most: Most,
    /// Whether all pods that are required were ready the last time, whatever their window: if they are not any more, that is when
    /// its time begins anew.
    was_ready: bool,
    /// When something was reached for the last time, by the clock of the API server.
    at: Option<SystemTime>,
    /// Since when the controller has not looked at the template, if so.
    unobserved: Option<SystemTime>,
}

/// The most that there was at once, of the new revision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Most {
    /// Pods.
    updated: i32,
    /// Ready pods.
    ready: i32,
    /// Containers that have started.
    begun: i32,
    /// Containers whose startup probes have passed.
    passed: i32,
    /// Pods of other revisions that are gone: this many fewer than there are to be.
    replaced: i32,
}

impl Most {
    fn of(view: &View<'_>) -> Self {
        let counts = view.counts();
        let containers = || view.new.iter().flat_map(|pod| &pod.containers);
        Self {
            updated: if view.sees_pods() {
                count(view.new.len())
            } else {
                counts.updated
            },
            ready: counts.ready,
            begun: count(containers().filter(|c| has_begun(c)).count()),
            passed: count(containers().filter(|c| c.is_started).count()),
            replaced: counts.old.saturating_neg(),
        }
    }

    fn or(self, other: Self) -> Self {
        Self {
            updated: self.updated.max(other.updated),
            ready: self.ready.max(other.ready),
            begun: self.begun.max(other.begun),
            passed: self.passed.max(other.passed),
            replaced: self.replaced.max(other.replaced),
        }
    }
}

impl Reached {
    /// What is reached now. `are_ready`: whether all pods that are required are.
    pub(super) fn advance(&self, view: &View<'_>, are_ready: bool) -> Self {
        let now = view.now();
        if !view.is_observed() {
            return Self {
                unobserved: self.unobserved.or(Some(now)),
                ..self.clone()
            };
        }
        let most = Most::of(view);
        let is_known = self.at.is_some() && self.revision == view.object().revision;
        let (most, at) = match self.at {
            Some(_) if is_known && self.was_ready && !are_ready => (most, Some(now)),
            Some(at) if is_known && self.most.or(most) == self.most => (self.most, Some(at)),
            Some(at) if is_known => (self.most.or(most), Some(at.max(now))),
            _ => (most, Some(told(view))),
        };
        Self {
            revision: view.object().revision.clone(),
            most,
            was_ready: are_ready,
            at,
            unobserved: None,
        }
    }

    /// Since when nothing new was reached; of a controller that has not looked, since when that is so.
    pub(super) fn since(&self, now: SystemTime) -> SystemTime {
        self.unobserved.or(self.at).unwrap_or(now).min(now)
    }
}

/// When something happened for the last time, as the objects tell. This is all that is known when a rollout is looked at for the
/// first time. It may have been complete for weeks until a pod was drained or the workload was scaled a moment ago, so whatever
/// Kubernetes did again counts here, too.
fn told(view: &View<'_>) -> SystemTime {
    let now = view.now();
    let set = view.new_set;
    let refused = set.iter().flat_map(|set| &set.conditions);
    let refused = refused.filter(|c| *c.kind == *"ReplicaFailure" && *c.status == *"True");
    let deleted = view.deleting.iter().filter_map(|pod| pod.deleted);
    let moments = view.new.iter().flat_map(|pod| told_by(view, pod));
    let moments = moments
        .chain(deleted.map(|moment| moment.min(now)))
        .chain(refused.filter_map(|c| c.since))
        .chain(view.changed())
        .chain(view.object().scaled)
        .chain(set.and_then(|set| set.created));
    moments.max().unwrap_or(now).min(now)
}

fn told_by<'a>(view: &'a View<'_>, pod: &'a PodFacts) -> impl Iterator<Item = SystemTime> + 'a {
    let now = view.now();
    let by_node = move |moment| between(pod.created, moment, now);
    let ready = condition(pod, "Ready");
    let ready = ready.and_then(|c| c.since).map(by_node);
    let ended = pod.containers.iter().filter_map(|c| c.last.as_ref());
    let ended = ended.filter_map(|last| last.finished).map(by_node);
    let starts = pod.containers.iter();
    let starts = starts.filter_map(move |container| match container.state {
        ContainerState::Running { since: Some(since) } => {
            let since = by_node(since);
            // When its startup probe has passed nobody tells: at the end of its time at the latest.
            let passed = view
                .object()
                .startup_budget(&container.name)
                .filter(|_| container.is_started && !container.is_ready)
                .and_then(|budget| later(since, budget));
            Some(passed.map_or(since, |passed| passed.min(now)))
        }
        _ => None,
    });
    let moments = pod.created.into_iter().chain(ready);
    moments.chain(ended).chain(starts)
}
