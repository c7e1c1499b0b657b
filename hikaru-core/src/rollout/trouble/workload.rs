//! What is wrong with pods beside the new ones that run: those of older revisions that hold the new ones up, those that were evicted
//! or refused by their nodes.

use std::time::{Duration, SystemTime};

use super::{Trouble, pod};
use crate::rollout::{
    cause::CauseCode,
    facts::{PodFacts, RolloutKind},
    times::between,
    view::{View, condition, count, is_ready},
};

/// A pod may be restarted, and be ready again.
const BLOCKED: Duration = Duration::from_secs(30);

pub(super) fn troubles<'f>(view: &View<'f>, idle_since: SystemTime) -> Vec<Trouble<'f>> {
    let mut troubles = Vec::new();
    troubles.extend(blocked(view, idle_since));
    troubles.extend(view.ended.iter().filter_map(|pod| ended(view, pod)));
    troubles.extend(terminating(view));
    if let Some(event) =
        view.own_event(|event| matches!(&*event.reason, "FailedDaemonPod" | "FailedPlacement"))
    {
        troubles.push(Trouble::new(CauseCode::PodRefusedByNode, &event.message));
    }
    troubles
}

/// A StatefulSet that goes through its pods in order replaces none while one is not ready, be it the one that is to be replaced.
/// One that only starts may get ready: it blocks for good only at the limit.
fn blocked<'f>(view: &View<'f>, idle_since: SystemTime) -> Option<Trouble<'f>> {
    let object = view.object();
    let is_in_order = object.kind == RolloutKind::StatefulSet
        && !object.is_parallel
        && !object.is_on_delete
        && object.updated < view.target();
    let mut broken = view.old.iter().filter(|pod| is_in_order && !is_ready(pod));
    let pod = broken.next()?;
    let ready = condition(pod, "Ready").and_then(|c| c.since);
    let since = ready.map(|since| between(pod.created, since, view.now()));
    let since = since.or(pod.created).max(view.changed());
    let trouble = Trouble {
        pod: Some(pod),
        of: object.desired,
        ..Trouble::new(CauseCode::StatefulSetBlocked, "")
    };
    match pod::trouble(view, pod, idle_since) {
        Some(found) if !found.code.is_vague() => {
            Some(trouble.after(since.unwrap_or(view.now()).min(view.now()), BLOCKED))
        }
        _ => Some(trouble),
    }
}

/// A pod of the new revision that has ended: another one is made for it.
fn ended<'f>(view: &View<'f>, pod: &'f PodFacts) -> Option<Trouble<'f>> {
    let evicted = condition(pod, "DisruptionTarget").is_some_and(|c| *c.status == *"True");
    let code = match &*pod.reason {
        "Evicted" | "Preempting" | "NodeLost" | "NodeShutdown" | "Terminated" => {
            CauseCode::PodEvicted
        }
        _ if evicted => CauseCode::PodEvicted,
        "" => return None,
        _ => CauseCode::PodRefusedByNode,
    };
    let trouble = Trouble {
        pod: Some(pod),
        of: count(view.new.len() + view.ended.len()),
        ..Trouble::new(code, &pod.message)
    };
    view.is_since_change(pod.created).then_some(trouble)
}

/// A pod that is being deleted and whose successor cannot come before it is gone.
fn terminating<'f>(view: &View<'f>) -> Option<Trouble<'f>> {
    let object = view.object();
    let waits = object.kind != RolloutKind::Deployment || object.is_recreate;
    let pod = view
        .deleting
        .iter()
        .filter(|_| waits)
        .min_by_key(|pod| &pod.name)?;
    Some(Trouble {
        pod: Some(pod),
        pods: count(view.deleting.len()),
        of: object.desired,
        ..Trouble::new(CauseCode::PodTerminating, "")
    })
}
