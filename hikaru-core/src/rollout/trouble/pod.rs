//! What is wrong with one pod: with its place, its containers, its volumes, its readiness. Of several things the deepest one is
//! told.

use std::time::{Duration, SystemTime};

use super::{Trouble, container};
use crate::rollout::{
    cause::CauseCode,
    facts::{ContainerFacts, ContainerState, PodFacts, Role},
    times::{age, later},
    view::{View, condition, has_begun, is_ready},
};

/// How long a container may be created without a word: a pull takes its time.
const CREATING: Duration = Duration::from_secs(60);

pub(super) fn trouble<'f>(
    view: &View<'f>,
    pod: &'f PodFacts,
    fallback: SystemTime,
) -> Option<Trouble<'f>> {
    if is_ready(pod) {
        return None;
    }
    let of_containers = pod.containers.iter();
    let of_containers = of_containers.filter_map(|c| container::trouble(view, pod, c, fallback));
    place(view, pod)
        .or_else(|| of_containers.min_by_key(|trouble| trouble.code))
        .or_else(|| before_start(view, pod, fallback))
        .or_else(|| readiness(view, pod))
        .map(|trouble| Trouble {
            pod: Some(pod),
            ..trouble
        })
}

/// Why a pod has no node.
fn place<'f>(view: &View<'f>, pod: &'f PodFacts) -> Option<Trouble<'f>> {
    let scheduled = condition(pod, "PodScheduled").filter(|c| *c.status == *"False")?;
    let code = match &*scheduled.reason {
        "SchedulingGated" => CauseCode::SchedulingGated,
        _ => CauseCode::Unschedulable,
    };
    let by_event = || view.event(&pod.uid, |event| *event.reason == *"FailedScheduling");
    let said = match &*scheduled.message {
        "" => by_event().map_or("", |event| &event.message),
        said => said,
    };
    Some(Trouble::new(code, said))
}

/// Why no container of a pod has started, by its events. These may be about what is over since, so they only tell at the limit.
fn before_start<'f>(
    view: &View<'f>,
    pod: &'f PodFacts,
    fallback: SystemTime,
) -> Option<Trouble<'f>> {
    let waits = |c: &&ContainerFacts| !has_begun(c) && !is_done(c);
    let waiting = pod.containers.iter().find(waits);
    let none_runs = !pod.containers.iter().any(|c| {
        matches!(c.state, ContainerState::Running { .. }) || has_begun(c) && c.role != Role::Init
    });
    if !none_runs || (waiting.is_none() && !pod.containers.is_empty()) {
        return None;
    }
    let event = view.event(&pod.uid, |event| code_of(&event.reason).is_some());
    if let Some(event) = event {
        let said = &*event.message;
        let code = match code_of(&event.reason) {
            Some(CauseCode::VolumeNotMounted) if missing_object(said).is_some() => {
                CauseCode::ConfigMissing
            }
            code => code.unwrap_or(CauseCode::NotCreated),
        };
        return Some(Trouble {
            container: waiting.filter(|_| code == CauseCode::NotCreated),
            ..Trouble::new(code, said)
        });
    }
    let waited = age(pod.created.unwrap_or(fallback), view.now());
    (waited >= CREATING).then(|| Trouble {
        container: waiting,
        ..Trouble::new(CauseCode::NotCreated, "")
    })
}

/// When a pod that nothing is wrong with has waited for its containers for long enough to be told.
pub(super) fn told_at(pod: &PodFacts, fallback: SystemTime) -> Option<SystemTime> {
    let waits = !is_ready(pod) && !pod.containers.iter().any(has_begun);
    later(pod.created.unwrap_or(fallback), CREATING).filter(|_| waits)
}

/// What the reason of an event says of a pod that has not started.
fn code_of(reason: &str) -> Option<CauseCode> {
    Some(match reason {
        "FailedMount" | "FailedAttachVolume" | "FailedMapVolume" => CauseCode::VolumeNotMounted,
        "FailedCreatePodSandBox" | "NetworkNotReady" => CauseCode::SandboxFailed,
        "FailedPrepareDynamicResources" => CauseCode::NotCreated,
        _ => return None,
    })
}

fn is_done(container: &ContainerFacts) -> bool {
    matches!(&container.state, ContainerState::Terminated(ended) if ended.exit_code == 0)
}

/// Why a pod that runs is not ready.
fn readiness<'f>(view: &View<'f>, pod: &'f PodFacts) -> Option<Trouble<'f>> {
    let runs = |c: &&ContainerFacts| {
        !c.is_ready && c.role != Role::Init && matches!(c.state, ContainerState::Running { .. })
    };
    if let Some(container) = pod.containers.iter().find(runs) {
        let event = view.event(&pod.uid, |event| {
            *event.reason == *"Unhealthy"
                && ["Readiness probe", "Startup probe"]
                    .iter()
                    .any(|words| event.message.starts_with(words))
        });
        return Some(Trouble {
            container: Some(container),
            ..Trouble::new(
                CauseCode::NotReady,
                event.map_or("", |event| container::probe_words(&event.message)),
            )
        });
    }
    // The others wait for it to end.
    let runs = |c: &&ContainerFacts| {
        c.role == Role::Init && matches!(c.state, ContainerState::Running { .. })
    };
    if let Some(init) = pod.containers.iter().find(runs) {
        return Some(Trouble {
            container: Some(init),
            ..Trouble::new(CauseCode::NotReady, "")
        });
    }
    let is_open = |gate: &&crate::Text| {
        condition(pod, gate).is_some_and(|condition| *condition.status == *"True")
    };
    let are_ready = condition(pod, "ContainersReady").is_some_and(|c| *c.status == *"True");
    let gate = pod.readiness_gates.iter().find(|gate| !is_open(gate));
    gate.filter(|_| are_ready).map(|gate| {
        let said = condition(pod, gate).map_or("", |condition| &*condition.message);
        Trouble {
            named: Some(gate),
            ..Trouble::new(CauseCode::ReadinessGate, said)
        }
    })
}

/// What a message says is missing: `the Secret db`, `the key URL in the Secret db`; its kind, its name, and the key.
pub(in crate::rollout) fn missing_object(said: &str) -> Option<(&'static str, &str, Option<&str>)> {
    for (words, kind) in [("secret \"", "Secret"), ("configmap \"", "ConfigMap")] {
        if let Some((_, rest)) = said.split_once(words)
            && let Some((name, rest)) = rest.split_once('"')
            && rest.trim_start().starts_with("not found")
        {
            return Some((kind, name, None));
        }
    }
    // couldn't find key URL in Secret shop/db
    let (_, rest) = said.split_once("couldn't find key ")?;
    let (key, rest) = rest.split_once(" in ")?;
    let (kind, name) = rest.split_once(' ')?;
    let name = name.split_whitespace().next().unwrap_or(name);
    let name = name.rsplit_once('/').map_or(name, |(_, name)| name);
    let kind = match kind {
        "Secret" => "Secret",
        "ConfigMap" => "ConfigMap",
        _ => return None,
    };
    Some((kind, name, Some(key)))
}
