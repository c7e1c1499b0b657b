//! Whether a rollout is complete: the equalities of `kubectl rollout status`, or the part that the workload's people ask for. Then
//! what a person should know although it is complete.

use std::{collections::BTreeSet, time::SystemTime};

use super::{
    facts::{PodFacts, RolloutKind},
    state::Asked,
    times::Told,
    trouble::is_left_out,
    view::{Counts, View, count, is_ready},
    window::Window,
    words::Pods,
};
use crate::{
    Text,
    policy::RequiredRollout,
    text::{escape::Escaped, excerpt::Cut},
};

/// Whether a rollout is complete.
#[derive(Default)]
pub(super) struct Completion<'f> {
    /// Which pods are there, by the counts of the controller. `None`: not as many as are required.
    required: Option<Required<'f>>,
    /// Whether they are seen to be there and ready, so that nothing but their window is left.
    pub(super) are_ready: bool,
    /// The controller counts as many new pods as there are to be, but they are not seen yet: what tells of pods can be behind.
    pub(super) are_unseen: bool,
    pub(super) is_complete: bool,
    /// What is still awaited, if nothing else is.
    pub(super) window: Option<Window>,
    pub(super) remarks: Vec<String>,
}

/// Which pods are required.
enum Required<'f> {
    /// All.
    All,
    /// All but those of these nodes, which are not ready.
    AllBut(BTreeSet<&'f Text>),
    /// This percentage.
    Part(u8),
}

impl<'f> Completion<'f> {
    /// Which pods are there. `setting`: the workload's `hikaru.dev/required-rollout`.
    pub(super) fn of(view: &View<'f>, counts: Counts, setting: RequiredRollout) -> Self {
        let object = view.object();
        let mut completion = Self::default();
        // A paused rollout without pods may not have begun.
        if !view.is_observed() || object.is_paused && object.desired <= 0 {
            return completion;
        }
        completion.required = required(view, counts, setting);
        let Some(required) = &completion.required else {
            return completion;
        };
        let is_full = matches!(required, Required::All);
        completion.are_unseen = is_full
            && view.target() > 0
            && match are_known(view) {
                true => count(view.new.len()) < view.target(),
                // The watch on the ReplicaSets is behind.
                false => view.sees_pods(),
            };
        completion.are_ready = !are_known(view)
            || required.of(view).count() >= required.number(view) && !completion.are_unseen;
        completion
    }

    /// Whether their window is over. `idle_since`: since when nothing new was reached. `is_late`: that is too long ago.
    pub(super) fn observe(
        &mut self,
        view: &View<'f>,
        asked: &Asked,
        idle_since: SystemTime,
        is_late: bool,
    ) {
        let Some(required) = &self.required else {
            return;
        };
        let window = if self.are_unseen && !is_late {
            None
        } else if self.are_unseen || !are_known(view) {
            // By then the controller is right, and the pods are odd.
            Window::unobserved(view, asked, idle_since)
        } else {
            let windows = required.of(view);
            let windows = windows.filter_map(|pod| Window::of_pod(view, asked, pod));
            let mut windows: Vec<Window> = windows.collect();
            windows.sort_by_key(|window| window.ends);
            match required.number(view) {
                0 => Some(Window::over(view)),
                number => windows.into_iter().nth(number - 1),
            }
        };
        match window {
            Some(window) if window.ends > view.now() => self.window = Some(window),
            Some(_) => {
                self.is_complete = true;
                self.remarks = remarks(view);
                self.remarks.extend(required.remark(view));
                if let Some(length) = Window::unobserved_length(view, asked)
                    && (self.are_unseen || !are_known(view))
                {
                    self.remarks.push(format!(
                        "its pods are not seen, so a restart or an unready pod in the last {} would not be noticed",
                        Told(length)
                    ));
                }
            }
            None => {}
        }
    }
}

impl<'f> Required<'f> {
    /// The pods that count.
    fn of<'v>(&'v self, view: &'v View<'f>) -> impl Iterator<Item = &'f PodFacts> + 'v {
        let counts = |pod: &&PodFacts| match self {
            Self::AllBut(_) => is_ready(pod) && !is_left_out(view, pod),
            Self::All | Self::Part(_) => is_ready(pod),
        };
        view.new.iter().copied().filter(counts)
    }

    /// How many of them there have to be.
    fn number(&self, view: &View<'_>) -> usize {
        let number = match self {
            Self::All => view.target(),
            Self::AllBut(nodes) => view.object().desired.saturating_sub(count(nodes.len())),
            Self::Part(percent) => needed(view, *percent),
        };
        usize::try_from(number).unwrap_or_default()
    }

    /// What a person should know of those that are not there.
    fn remark(&self, view: &View<'_>) -> Option<String> {
        match self {
            Self::All => None,
            Self::AllBut(nodes) => {
                let named: Vec<String> = nodes.iter().map(|n| Escaped(n).to_string()).collect();
                Some(format!(
                    "{} of {} pods are left out, because their nodes are not ready: {}",
                    nodes.len(),
                    view.object().desired,
                    Cut(&named.join(", "))
                ))
            }
            Self::Part(percent) => Some(format!(
                "{} are available, which is enough by hikaru.dev/required-rollout: {percent}%",
                Pods(view.counts().available, view.target())
            )),
        }
    }
}

/// Which pods are there, by the counts of the controller.
fn required<'f>(view: &View<'f>, counts: Counts, setting: RequiredRollout) -> Option<Required<'f>> {
    if is_full(view) {
        return Some(Required::All);
    }
    let nodes = left_out(view);
    if !nodes.is_empty() {
        let but = Required::AllBut(nodes);
        if but.of(view).count() >= but.number(view) {
            return Some(but);
        }
    }
    let RequiredRollout::Percent(percent) = setting else {
        return None;
    };
    (counts.available >= needed(view, percent)).then_some(Required::Part(percent))
}

/// How many new pods this percentage of them is, one at least.
fn needed(view: &View<'_>, percent: u8) -> i32 {
    let needed = (i64::from(view.target()) * i64::from(percent) + 99) / 100;
    i32::try_from(needed).unwrap_or(i32::MAX).max(1)
}

/// Whether the new pods are known, and which they are.
fn are_known(view: &View<'_>) -> bool {
    view.sees_pods() && (view.object().kind != RolloutKind::Deployment || view.new_set.is_some())
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
        RolloutKind::Job | RolloutKind::None => false,
    }
}

/// The nodes that are not ready and have a pod that is not as it is to be.
fn left_out<'f>(view: &View<'f>) -> BTreeSet<&'f Text> {
    let pods = [&view.new, &view.old, &view.deleting, &view.ended];
    let pods = pods.into_iter().flatten();
    pods.filter(|pod| is_left_out(view, pod))
        .filter_map(|pod| pod.node.as_ref())
        .collect()
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
