//! The state of a rollout: what `judge` says, and what it needs to be told the next time.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use super::{cause::Cause, reached::Reached};
use crate::Text;

/// The state of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RolloutState {
    /// It goes on.
    Progressing,
    /// The pods that are required run the template.
    Complete,
    /// It does not succeed, unless something is changed.
    Failed,
    /// It is paused: `spec.paused`.
    Paused,
    /// Its update strategy is `OnDelete`, and pods of an older revision are still there.
    WaitsForDeletion,
    /// hikaru has written another build since.
    Superseded,
    /// Another field manager has written another image since.
    Reverted,
    /// The workload is gone, or is being deleted.
    Deleted,
    /// It has no rollouts, such as a CronJob, or a status that nobody knows how to read.
    NotApplicable,
    /// It is not set to the build that is waited for. Only of a [wait](crate::rollout::Rollouts::wait): a judgement knows no build.
    NotDeployed,
}

impl RolloutState {
    /// Every state.
    pub const ALL: [Self; 10] = [
        Self::Progressing,
        Self::Complete,
        Self::Failed,
        Self::Paused,
        Self::WaitsForDeletion,
        Self::Superseded,
        Self::Reverted,
        Self::Deleted,
        Self::NotApplicable,
        Self::NotDeployed,
    ];

    /// `progressing`, `complete`, `failed`, `paused`, `waits-for-deletion`, `superseded`, `reverted`, `deleted`,
    /// `not-applicable`, `not-deployed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Progressing => "progressing",
            Self::Complete => "complete",
            Self::Failed => "failed",
            Self::Paused => "paused",
            Self::WaitsForDeletion => "waits-for-deletion",
            Self::Superseded => "superseded",
            Self::Reverted => "reverted",
            Self::Deleted => "deleted",
            Self::NotApplicable => "not-applicable",
            Self::NotDeployed => "not-deployed",
        }
    }
}

impl fmt::Display for RolloutState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a rollout is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rollout {
    /// Its state.
    pub state: RolloutState,
    /// The state in one sentence for a person: what is awaited, or why it failed.
    pub sentence: String,
    /// Why it failed. While it goes on: the deepest cause that is known so far, which may pass.
    pub cause: Option<Cause>,
    /// What a person should know although it is no failure, in sentences.
    pub remarks: Vec<String>,
    /// How many pods are to have the new revision.
    pub desired: i32,
    /// How many have it.
    pub updated: i32,
    /// How many of those are ready.
    pub ready: i32,
    /// How many of those have been ready for `minReadySeconds`.
    pub available: i32,
    /// How many pods of older revisions are still there.
    pub old: i32,
    /// Pods that this is about: those that have to be deleted, or those that are not ready. Names.
    pub pods: Vec<Text>,
    /// What cannot be read, and which right shows it, in sentences.
    pub unseen: Vec<String>,
}

impl Rollout {
    /// A state, and nothing beside it: no cause, no pods.
    pub fn new(state: RolloutState, sentence: impl Into<String>) -> Self {
        Self {
            state,
            sentence: sentence.into(),
            cause: None,
            remarks: Vec::new(),
            desired: 0,
            updated: 0,
            ready: 0,
            available: 0,
            old: 0,
            pods: Vec::new(),
            unseen: Vec::new(),
        }
    }
}

/// What was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Judged {
    /// How the rollout is.
    pub rollout: Rollout,
    /// What was reached so far, for the next time.
    pub reached: Reached,
    /// When the state can change although nothing happens in the cluster. `None`: only with an event.
    pub look_again: Option<SystemTime>,
    /// Whether the events would tell more: they have not been read, and pods are missing or in trouble.
    pub wants_events: bool,
    /// Whether it would help to know which nodes are not ready.
    pub wants_nodes: bool,
}

/// What a caller expects of a rollout.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Asked {
    /// The workload's uid. Empty: any.
    pub uid: Text,
    /// The image of each container that was upgraded, as it was written. Empty: whatever the template has.
    pub images: Vec<(Text, Text)>,
    /// When the question was first asked, by the clock of the API server: the limit counts from then for a workload that was
    /// not changed for this question. `None`: from the change.
    pub since: Option<SystemTime>,
    /// How long each new pod has to have been ready, and each of its containers to have run, before the rollout is complete.
    /// `None`: 10 s where a changed container has no readiness probe, else no time.
    pub stable_for: Option<Duration>,
    /// Whether it is the last question, because the time for it is over: then the deepest cause is told, also one that may well pass.
    pub is_last: bool,
}
