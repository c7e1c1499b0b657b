//! What can go wrong with a rollout: stable codes, each with one sentence and details.

use std::fmt;

use crate::Text;

/// What went wrong. The code is stable: docs/rollout-causes.md lists each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CauseCode {
    /// The image, or its tag, is not in the registry.
    ImageNotFound,
    // … the developer of the rule completes the list.
}

impl CauseCode {
    /// Every code.
    pub const ALL: &[Self] = &[Self::ImageNotFound];

    /// The code as it is told: `ImageNotFound`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ImageNotFound => "ImageNotFound",
        }
    }
}

impl fmt::Display for CauseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a rollout failed, or what holds it up so far.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cause {
    /// What kind of cause it is.
    pub code: CauseCode,
    /// One sentence: workload, container, image, how many pods, what happened, and what to do next.
    pub message: String,
    /// More about it, such as the exit code, the memory limit, the probe or the scheduler's words: what it is and its value.
    pub details: Vec<(&'static str, String)>,
    /// One pod that has it. `None`: there is no pod.
    pub pod: Option<Text>,
    /// That pod's uid.
    pub pod_uid: Option<Text>,
    /// The container that has it. `None`: the pod as a whole.
    pub container: Option<Text>,
    /// Whether that container was restarted, so that its previous log tells.
    pub restarted: bool,
    /// How many new pods have it.
    pub count: usize,
}
