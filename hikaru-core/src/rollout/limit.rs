//! How long a rollout may reach nothing new.

use std::time::{Duration, SystemTime};

use super::{
    facts::{ContainerFacts, ContainerState},
    reached::Reached,
    state::Asked,
    times::{age, later},
    view::View,
};

/// How long a rollout may reach nothing new where nobody says otherwise: what Kubernetes takes for Deployments.
const DEFAULT: Duration = Duration::from_secs(600);

/// The limit on lack of progress.
pub(super) struct Limit {
    /// How long nothing new has been reached.
    pub(super) idle: Duration,
    /// When it is over. `None`: never.
    pub(super) end: Option<SystemTime>,
}

impl Limit {
    /// `setting`: the workload's `hikaru.dev/progress-deadline`.
    pub(super) fn of(
        view: &View<'_>,
        reached: &Reached,
        asked: &Asked,
        setting: Option<Duration>,
    ) -> Self {
        let (object, now) = (view.object(), view.now());
        let reached = reached.since(now);
        let since = asked
            .since
            .map_or(reached, |since| reached.max(since.min(now)));
        let patience = setting.or(object.progress_deadline).unwrap_or(DEFAULT);
        // An old pod may take its time to end, and its successor waits for that.
        let graces = view.deleting.iter().map(|pod| pod.grace).max();
        let startups = view.new.iter().flat_map(|pod| &pod.containers);
        let startups = startups.filter(|c| is_starting(c));
        let startup = startups
            .filter_map(|c| object.startup_budget(&c.name))
            .max();
        let limit = [Some(patience), Some(object.min_ready), graces, startup];
        let limit = limit
            .into_iter()
            .flatten()
            .try_fold(Duration::ZERO, Duration::checked_add);
        Self {
            idle: age(since, now),
            end: limit.and_then(|limit| later(since, limit)),
        }
    }

    pub(super) fn is_over(&self, now: SystemTime) -> bool {
        self.end.is_some_and(|end| end <= now)
    }
}

/// Whether a container runs, and its startup probe has not passed.
fn is_starting(container: &ContainerFacts) -> bool {
    !container.is_started && matches!(container.state, ContainerState::Running { .. })
}
