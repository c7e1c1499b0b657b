//! What is waited for, and what is known of it: plain values. How a workload is followed is in `follow`.

use std::sync::Arc;

use super::{
    rollouts::RolloutAnswer,
    state::{Asked, Rollout, RolloutState},
};
use crate::{
    Text, WorkloadId,
    policy::{Code, Entry, Request, Verdict},
    port::ClusterError,
    upgrade::report::{Outcome, Report},
    workload::WorkloadName,
};

/// A workload that is waited for.
#[derive(Clone, Debug)]
pub struct Awaited {
    pub(super) id: WorkloadId,
    pub(super) asked: Asked,
    pub(super) expects: Expects,
}

/// What is expected of a workload.
#[derive(Clone, Debug)]
pub(super) enum Expects {
    /// That its rollout ends, whatever its images are.
    AnyBuild,
    /// That it keeps the images that were written: another one ends the wait.
    Written(Arc<Request>),
    /// That it runs the build, now or later.
    Build(Arc<Request>),
    /// That it gets the build is ruled out, for this reason.
    Nothing(String),
}

impl Awaited {
    /// The workloads of an upgrade that were upgraded, or that run the build already.
    pub fn upgraded(report: &Report) -> Vec<Self> {
        let request = Arc::new(report.request.clone());
        let runs_it = |code: Code| matches!(code, Code::Upgrade | Code::Equal);
        let entries = report.entries.iter().filter(|reported| {
            let is_written = reported.outcome == Outcome::Upgraded;
            is_written || reported.entry.verdict() == Verdict::Equal
        });
        let awaited = entries.map(|reported| {
            let entry = &reported.entry;
            let mut asked = Asked {
                uid: entry.workload.uid.clone(),
                ..Asked::default()
            };
            let runs = entry.containers.iter().filter(|c| runs_it(c.code));
            asked.images = runs
                .filter_map(|judged| {
                    let container = entry.container(judged)?;
                    let image = match judged.code {
                        Code::Upgrade => entry.image_for(report.build(), judged),
                        _ => container.image.clone(),
                    };
                    Some((container.name.clone(), image))
                })
                .collect();
            Self {
                id: entry.workload.id.clone(),
                asked,
                expects: Expects::Written(request.clone()),
            }
        });
        awaited.collect()
    }

    /// The workloads that a build is meant for, by a plan: each is to run it, now or after a while. One that policy keeps the build
    /// from, as one that is opted out or held, has failed at once.
    pub fn meant(plan: &Report) -> Vec<Self> {
        let request = Arc::new(plan.request.clone());
        let entries = plan.entries.iter().map(|reported| &reported.entry);
        let awaited = entries.map(|entry| Self {
            id: entry.workload.id.clone(),
            asked: Asked::default(),
            expects: match withheld(entry) {
                // That it is ambiguous follows from other workloads. All else is judged anew at each look.
                Some(reason) if entry.codes().any(|code| code == Code::Ambiguous) => {
                    Expects::Nothing(reason)
                }
                _ => Expects::Build(request.clone()),
            },
        });
        awaited.collect()
    }

    /// One workload, whatever its images are.
    pub fn workload(name: &WorkloadName) -> Self {
        Self {
            id: WorkloadId::new(
                name.namespace().clone(),
                name.kind().clone(),
                name.name().clone(),
            ),
            asked: Asked::default(),
            expects: Expects::AnyBuild,
        }
    }

    /// The workload that has this uid: another one of its name is not waited for.
    pub fn of_uid(mut self, uid: Text) -> Self {
        self.asked.uid = uid;
        self
    }

    /// The workload.
    pub fn id(&self) -> &WorkloadId {
        &self.id
    }
}

/// What is known of a workload that is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Followed {
    /// The workload.
    pub id: WorkloadId,
    /// How its rollout is. One that was not looked at is *progressing*.
    pub answer: RolloutAnswer,
    /// What became of it. `None`: it goes on.
    pub end: Option<End>,
    /// Why it could not be looked at, the last time.
    pub error: Option<ClusterError>,
}

/// What became of a workload that was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum End {
    /// It cannot be looked at, and looking again does not help: see [`Followed::error`].
    Unknown,
    /// It does not run what was waited for.
    Failed,
    /// It runs what was waited for, or something higher; or it has no rollouts.
    Succeeded,
}

impl End {
    /// What a state of a rollout means to somebody who waits. `None`: it goes on.
    pub(super) fn of(state: RolloutState) -> Option<Self> {
        match state {
            RolloutState::Progressing => None,
            RolloutState::Complete
            | RolloutState::WaitsForDeletion
            | RolloutState::Superseded
            | RolloutState::NotApplicable => Some(Self::Succeeded),
            RolloutState::Failed
            | RolloutState::Paused
            | RolloutState::Reverted
            | RolloutState::Deleted
            | RolloutState::NotDeployed => Some(Self::Failed),
        }
    }
}

impl Followed {
    /// A workload that was not looked at yet.
    pub(super) fn untold(id: &WorkloadId) -> Self {
        Self::without_workload(id, RolloutState::Progressing, "not looked at yet")
    }

    /// Whether nothing of what whoever waits is told has changed. The counts of the workload's own object are not told.
    pub(super) fn tells_the_same_as(&self, other: &Self) -> bool {
        let told = |followed: &Self| (followed.end, followed.error.clone());
        self.answer.rollout == other.answer.rollout && told(self) == told(other)
    }

    pub(super) fn without_workload(id: &WorkloadId, state: RolloutState, words: &str) -> Self {
        let answer = RolloutAnswer {
            workload: None,
            rollout: Rollout::new(state, format!("{id}: {words}")),
            evidence: None,
        };
        Self {
            id: id.clone(),
            answer,
            end: End::of(state),
            error: None,
        }
    }

    pub(super) fn of(id: &WorkloadId, answer: RolloutAnswer) -> Self {
        Self {
            id: id.clone(),
            end: End::of(answer.rollout.state),
            answer,
            error: None,
        }
    }
}

/// Why policy keeps the build from a workload, if it does: a person has to do something first.
pub(super) fn withheld(entry: &Entry) -> Option<String> {
    let mut containers = entry.containers.iter();
    let skipped = containers.find(|judged| judged.verdict() == Verdict::Skipped)?;
    let reason = &skipped.reason;
    Some(format!(
        "does not run the build ({}): {reason}",
        skipped.code
    ))
}
