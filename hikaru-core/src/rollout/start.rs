//! Whether the pods of a Job can start: by the causes and graces of rollouts. What becomes of a pod that has started is decided by
//! the Job itself, by its `backoffLimit` and its deadline, and not here.

use std::time::{Duration, SystemTime};

use super::{
    cause::{Cause, CauseCode},
    facts::{ContainerState, PodFacts, Role, RolloutFacts},
    limit::Limit,
    reached::Reached,
    state::Asked,
    times::{Told, between, later, sooner},
    trouble::{Trouble, Troubles},
    view::{View, has_begun},
    words,
};

/// How long pods may be missing before their events are asked for.
const MISSING: Duration = Duration::from_secs(5);

/// How the start of a Job's pods goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// Why they do not start unless something changes.
    pub(crate) failed: Option<Cause>,
    /// When that can change although nothing happens in the cluster.
    pub(crate) look_again: Option<SystemTime>,
    /// Whether the events would tell more: they have not been read, and pods are missing or in trouble.
    pub(crate) wants_events: bool,
}

impl Start {
    /// Judges facts of a kind [`Job`](super::RolloutKind::Job).
    pub(crate) fn of(facts: &RolloutFacts) -> Self {
        let view = View::new(facts);
        let now = view.now();
        // Nothing has to be remembered: each pod that is created counts as progress, and so does one that ends.
        let reached = Reached::default().advance(&view, false);
        let last_end = view.ended.iter().filter_map(|pod| ended(pod, now)).max();
        let asked = Asked {
            since: last_end,
            ..Asked::default()
        };
        let since = last_end.map_or(reached.since(now), |end| end.max(reached.since(now)));
        let limit = Limit::of(&view, &reached, &asked, None);
        let mut troubles = Troubles::find(&view, since);
        troubles.retain(hinders_start);
        // Others wait for them to end, as for what they use.
        let some_run = view.new.iter().any(|pod| has_started(pod));
        let is_late = !some_run && limit.is_over(now);
        let deepest = || {
            troubles
                .deepest()
                .filter(|group| is_late && !group.is_vague())
        };
        let failing = troubles.failing(now);
        let failed = failing.or_else(deepest).map(|group| {
            let mut cause = words::cause(&view, group);
            if failing.is_none() {
                cause.details.push(("idle", Told(limit.idle).to_string()));
            }
            cause
        });
        let (_, missing) = view.missing();
        let asks = facts.events.is_none() && view.sees("events");
        let missing_at = later(since, MISSING).filter(|_| asks && missing > 0);
        let are_missing = missing_at.is_some_and(|at| at <= now);
        let wants_events = asks
            && (troubles.are_clear_by_events() || failing.is_none() && (are_missing || is_late));
        let mut look_again = troubles.next(now);
        if !some_run {
            look_again = sooner(look_again, limit.end.filter(|at| *at > now));
        }
        Self {
            failed,
            look_again: sooner(look_again, missing_at.filter(|at| *at > now)),
            wants_events,
        }
    }
}

/// Whether it keeps a container from being started at all. A program that cannot be run ends its container, which the Job counts.
fn hinders_start(trouble: &Trouble<'_>) -> bool {
    use CauseCode as Code;
    match trouble.code {
        Code::PodsRefused
        | Code::WebhookFailed
        | Code::QuotaExceeded
        | Code::ImageNameInvalid
        | Code::ImageWrongPlatform
        | Code::ImageNotFound
        | Code::ImageNotFoundOrForbidden
        | Code::ImagePullForbidden
        | Code::ImageSignatureInvalid
        | Code::ImageNotPresent
        | Code::ImagePullRateLimited
        | Code::RegistryUnreachable
        | Code::ImageBroken
        | Code::ImagePullFailed
        | Code::ConfigMissing
        | Code::VolumeNotMounted
        | Code::SandboxFailed
        | Code::Unschedulable
        | Code::SchedulingGated
        | Code::NotCreated => trouble.ended.is_none(),
        Code::CannotStart => trouble.container.is_some_and(|container| {
            matches!(&container.state, ContainerState::Waiting { reason, .. } if **reason == *"CreateContainerError")
        }),
        _ => false,
    }
}

/// Whether the containers of a pod that do its work have been started.
fn has_started(pod: &PodFacts) -> bool {
    let mut main = pod.containers.iter().filter(|c| c.role == Role::Main);
    main.all(has_begun) && !pod.containers.is_empty()
}

/// When a pod has ended.
fn ended(pod: &PodFacts, now: SystemTime) -> Option<SystemTime> {
    let ended = pod.containers.iter().filter_map(|c| match &c.state {
        ContainerState::Terminated(ended) => ended.finished,
        _ => None,
    });
    let ended = ended.map(|at| between(pod.created, at, now)).max();
    ended.or(pod.created)
}
