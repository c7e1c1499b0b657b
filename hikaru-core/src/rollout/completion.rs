//! Whether a rollout is complete: the equalities of `kubectl rollout status`, or the part that the workload's people ask for. Then
//! what a person should know although it is complete.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use super::{
    facts::{ContainerFacts, ContainerState, PodFacts, Role, RolloutKind},
    state::Asked,
    times::{between, later},
    trouble::is_left_out,
    view::{Counts, View, count, is_ready},
    words::Pods,
};
use crate::{
    Text,
    policy::RequiredRollout,
    text::{escape::Escaped, excerpt::Cut},
};

/// How long a container has to run that nothing else tells to be ready: a program that ends at once is ready before.
const STABLE: Duration = Duration::from_secs(10);

/// Whether a rollout is complete.
#[derive(Default)]
pub(super) struct Completion {
    pub(super) is_complete: bool,
    /// The controller counts as many new pods as there are to be, but they are not seen yet: what tells of pods can be behind.
    pub(super) are_unseen: bool,
    /// The pods are there; a container without readiness probe has to run until then.
    pub(super) stable_at: Option<(SystemTime, Text)>,
    pub(super) remarks: Vec<String>,
}

impl Completion {
    pub(super) fn of(
        view: &View<'_>,
        counts: Counts,
        asked: &Asked,
        required: RequiredRollout,
    ) -> Self {
        let mut completion = Self::default();
        if !view.is_observed() {
            return completion;
        }
        let object = view.object();
        let is_full = is_full(view);
        let left_out = left_out(view);
        let without_nodes = !left_out.is_empty() && {
            let there = view
                .new
                .iter()
                .filter(|pod| is_ready(pod) && !is_left_out(view, pod));
            count(there.count() + left_out.len()) >= object.desired
        };
        let enough = enough(view, counts, required);
        if !is_full && !without_nodes && enough.is_none() {
            return completion;
        }
        let is_seen =
            view.sees_pods() && (object.kind != RolloutKind::Deployment || view.new_set.is_some());
        match stability(view, asked, is_full) {
            _ if is_full && is_seen && count(view.new.len()) < view.target() => {
                completion.are_unseen = true;
            }
            Stability::Stable => completion.is_complete = true,
            Stability::At(moment, container) => {
                completion.stable_at = Some((moment, Text::clone(container)));
            }
            Stability::Unstable => {}
        }
        // A paused rollout without pods may not have begun.
        completion.is_complete &= !object.is_paused || object.desired > 0;
        if completion.is_complete {
            completion.remarks = remarks(view);
            if let Some(percent) = enough.filter(|_| !is_full && !without_nodes) {
                completion.remarks.push(format!(
                    "{} are available, which is enough by hikaru.dev/required-rollout: {percent}%",
                    Pods(counts.available, view.target())
                ));
            }
            if !is_full && without_nodes {
                let nodes: Vec<String> = left_out.iter().map(|n| Escaped(n).to_string()).collect();
                completion.remarks.push(format!(
                    "{} of {} pods are left out, because their nodes are not ready: {}",
                    nodes.len(),
                    object.desired,
                    Cut(&nodes.join(", "))
                ));
            }
        }
        completion
    }
}

/// In the order in which `kubectl rollout status` looks. It knows no `minReadySeconds` of a StatefulSet, and no `OnDelete`.
fn is_full(view: &View<'_>) -> bool {
    let object = view.object();
    match object.kind {
        RolloutKind::Deployment => {
            object.updated >= object.desired
                && object.current <= object.updated
                && object.available >= object.updated
        }
        RolloutKind::StatefulSet => {
            object.ready >= object.desired
                && object.updated >= view.target()
                && (object.min_ready.is_zero() || object.available >= object.desired)
        }
        RolloutKind::DaemonSet => {
            object.updated >= object.desired && object.available >= object.desired
        }
        RolloutKind::None => false,
    }
}

/// The percentage of new pods that is asked for, if it is there.
fn enough(view: &View<'_>, counts: Counts, required: RequiredRollout) -> Option<u8> {
    let RequiredRollout::Percent(percent) = required else {
        return None;
    };
    let target = i64::from(view.target());
    let needed = (target * i64::from(percent) + 99) / 100;
    (i64::from(counts.available) >= needed.max(1)).then_some(percent)
}

/// The nodes that are not ready and have a pod that is not as it is to be.
fn left_out<'f>(view: &View<'f>) -> BTreeSet<&'f Text> {
    let pods = [&view.new, &view.old, &view.deleting, &view.ended];
    let pods = pods.into_iter().flatten();
    pods.filter(|pod| is_left_out(view, pod))
        .filter_map(|pod| pod.node.as_ref())
        .collect()
}

enum Stability<'f> {
    Stable,
    /// Until then this container has to run.
    At(SystemTime, &'f Text),
    Unstable,
}

fn stability<'f>(view: &View<'f>, asked: &Asked, is_full: bool) -> Stability<'f> {
    let mut latest = None;
    // Of a part of the pods only those that are ready have to be so for long enough.
    let pods = view.new.iter().filter(|pod| is_full || is_ready(pod));
    for (pod, container) in pods.flat_map(|pod| pod.containers.iter().map(move |c| (pod, c))) {
        if !is_unproven(view, asked, container) {
            continue;
        }
        match &container.state {
            ContainerState::Running { since: Some(since) } => {
                let stable = later(began(pod, *since, view.now()), STABLE);
                latest = latest.max(stable.map(|stable| (stable, &container.name)));
            }
            ContainerState::Waiting { .. } | ContainerState::Terminated(_) => {
                return Stability::Unstable;
            }
            ContainerState::Running { since: None } | ContainerState::Unknown => {}
        }
    }
    match latest {
        Some((moment, container)) if moment > view.now() => Stability::At(moment, container),
        _ => Stability::Stable,
    }
}

/// Whether nothing but its running tells that a changed container works.
fn is_unproven(view: &View<'_>, asked: &Asked, container: &ContainerFacts) -> bool {
    let name = &container.name;
    let is_changed = asked.images.is_empty() || asked.images.iter().any(|(c, _)| c == name);
    let spec = view.object().spec(name);
    is_changed && spec.is_some_and(|spec| spec.role != Role::Init && spec.readiness.is_none())
}

/// Since when a container runs. A node whose clock is ahead would have it wait for an hour, so then its pod's creation counts.
fn began(pod: &PodFacts, since: SystemTime, now: SystemTime) -> SystemTime {
    match pod.created {
        Some(created) if since > now => created.min(now),
        created => between(created, since, now),
    }
}

fn remarks(view: &View<'_>) -> Vec<String> {
    let object = view.object();
    let mut remarks = Vec::new();
    if object.desired == 0 {
        remarks.push("not proven: it has 0 replicas, so no pod shows that the image starts".into());
    }
    let kept = match view.sees_pods() {
        true => count(view.old.len()),
        false => object.desired.saturating_sub(view.target()),
    };
    if view.target() == 0 && object.desired > 0 {
        remarks.push(
            "not proven: the partition keeps all pods, so no pod shows that the image starts"
                .into(),
        );
    } else if kept > 0 && object.partition > 0 {
        remarks.push(format!(
            "{kept} of {} pods stay on their revision because of the partition {}",
            object.desired, object.partition
        ));
    }
    if object.is_paused {
        remarks.push("its rollout is paused: the next change waits until it is resumed".into());
    }
    for spec in &object.containers {
        let of_pods = || view.new.iter().flat_map(|pod| &pod.containers);
        let of_pods = || of_pods().filter(|container| container.name == spec.name);
        let others = || of_pods().filter(|container| container.image != spec.image);
        let total = count(view.new.len());
        if let Some(other) = others().next() {
            remarks.push(format!(
                "{} have the image {} in container {} instead of {}: something rewrites images of pods, such as an admission webhook",
                Pods(count(others().count()), total),
                Cut(&other.image),
                Escaped(&spec.name),
                Cut(&spec.image)
            ));
        }
        let restarted = || of_pods().filter(|container| container.restarts > 0);
        if let Some(most) = restarted().map(|container| container.restarts).max() {
            remarks.push(format!(
                "container {} was restarted in {}, {}",
                Escaped(&spec.name),
                Pods(count(restarted().count()), total),
                match most {
                    1 => "once".to_owned(),
                    _ => format!("up to {most} times"),
                }
            ));
        }
    }
    remarks
}
