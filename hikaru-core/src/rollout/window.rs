//! The window of a rollout: how long its pods have to be ready, and their containers to run, before it is complete. It follows from
//! the times that the pods tell, so a restart, an unready pod and a replaced pod begin it anew, and nothing has to be remembered.
//!
//! The times of Kubernetes are whole seconds, cut off. A window that is asked for lasts one second more, so it is never shorter than
//! asked. These are the times of the nodes: a clock that is behind that of the API server shortens the window by as much, but never
//! to before the creation of the pod.

use std::time::{Duration, SystemTime};

use super::{
    facts::{ContainerFacts, ContainerState, PodFacts, Role},
    state::Asked,
    times::{between, later},
    view::{View, condition, is_ready},
};
use crate::Text;

/// How long a container has to run that nothing else tells to be ready: a program that ends at once is ready before.
const UNPROVEN: Duration = Duration::from_secs(10);
/// What a time of Kubernetes may have lost.
const CUT_OFF: Duration = Duration::from_secs(1);
/// How far a node's clock may be ahead: what is known of the API server's clock is up to two seconds behind, and clocks differ.
const AHEAD: Duration = Duration::from_secs(60);

/// A window, as long as nothing happens.
pub(super) struct Window {
    /// When it is over.
    pub(super) ends: SystemTime,
    /// The container that it is for, because it has no readiness probe. `None`: it was asked for.
    pub(super) unproven: Option<Text>,
}

impl Window {
    /// One that is over.
    pub(super) fn over(view: &View<'_>) -> Self {
        Self {
            ends: view.now(),
            unproven: None,
        }
    }

    /// The window of one pod. `None`: it has not begun, because the pod is not ready or a container does not run.
    pub(super) fn of_pod(view: &View<'_>, asked: &Asked, pod: &PodFacts) -> Option<Self> {
        if !is_ready(pod) {
            return None;
        }
        match asked.stable_for {
            None => Self::of_unproven(view, asked, pod),
            Some(Duration::ZERO) => Some(Self::over(view)),
            Some(length) => Self::asked_for(view, pod, length),
        }
    }

    /// The window where pods are not seen: no pod tells when it was restarted, so it counts from what the controller told last, and
    /// from the last progress.
    pub(super) fn unobserved(
        view: &View<'_>,
        asked: &Asked,
        idle_since: SystemTime,
    ) -> Option<Self> {
        let Some(length) = Self::unobserved_length(view, asked) else {
            return Some(Self::over(view));
        };
        let told = view.object().conditions.iter();
        let told = told.filter(|c| matches!(&*c.kind, "Available" | "Progressing"));
        let told = told.filter_map(|c| c.since).max();
        let begins = told.max(Some(idle_since))?.min(view.now());
        Self::after(begins, length)
    }

    /// How long that is, if at all.
    pub(super) fn unobserved_length(view: &View<'_>, asked: &Asked) -> Option<Duration> {
        match asked.stable_for {
            Some(length) => Some(length).filter(|length| !length.is_zero()),
            None => {
                let names = view.object().containers.iter().map(|spec| &spec.name);
                let mut unproven = names.filter(|name| is_unproven(view, asked, name));
                unproven.next().map(|_| UNPROVEN)
            }
        }
    }

    fn asked_for(view: &View<'_>, pod: &PodFacts, length: Duration) -> Option<Self> {
        let ready = condition(pod, "Ready").and_then(|ready| ready.since);
        let mut begins = ready
            .map(|since| began(pod, since, view.now()))
            .or(pod.created);
        let containers = pod.containers.iter().filter(|c| c.role != Role::Init);
        for container in containers {
            begins = begins.max(runs_since(view, pod, container)?);
        }
        match begins {
            Some(begins) => Self::after(begins, length),
            None => Some(Self::over(view)),
        }
    }

    fn of_unproven(view: &View<'_>, asked: &Asked, pod: &PodFacts) -> Option<Self> {
        let mut window = Self::over(view);
        let containers = pod.containers.iter();
        for container in containers.filter(|c| is_unproven(view, asked, &c.name)) {
            let since = runs_since(view, pod, container)?;
            if let Some(ends) = since.and_then(|since| later(since, UNPROVEN))
                && ends > window.ends
            {
                window.ends = ends;
                window.unproven = Some(container.name.clone());
            }
        }
        Some(window)
    }

    /// `None`: there is no moment that is so late.
    fn after(begins: SystemTime, length: Duration) -> Option<Self> {
        let ends = later(begins, length.checked_add(CUT_OFF)?)?;
        Some(Self {
            ends,
            unproven: None,
        })
    }
}

/// Since when a container runs, if its pod tells. `None`: it does not run.
fn runs_since(
    view: &View<'_>,
    pod: &PodFacts,
    container: &ContainerFacts,
) -> Option<Option<SystemTime>> {
    match &container.state {
        ContainerState::Running { since } => Some(since.map(|since| began(pod, since, view.now()))),
        ContainerState::Waiting { .. } | ContainerState::Terminated(_) => None,
        ContainerState::Unknown => Some(None),
    }
}

/// Whether nothing but its running tells that a changed container works.
fn is_unproven(view: &View<'_>, asked: &Asked, name: &Text) -> bool {
    let is_changed = asked.images.is_empty() || asked.images.iter().any(|(c, _)| c == name);
    let spec = view.object().spec(name);
    is_changed && spec.is_some_and(|spec| spec.role != Role::Init && spec.readiness.is_none())
}

/// When something began that a node tells. A node whose clock is far ahead would have it wait for an hour, so then its pod's creation
/// counts.
fn began(pod: &PodFacts, since: SystemTime, now: SystemTime) -> SystemTime {
    let latest = later(now, AHEAD).unwrap_or(now);
    match pod.created {
        Some(created) if since > latest => created.min(now),
        created => between(created, since, latest),
    }
}
