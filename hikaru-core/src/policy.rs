//! The policy: which build may replace which, and why. Pure and total: workloads and a build in, verdicts with their reasons
//! out. Nothing is read from a cluster or written to one here.

pub(crate) mod change;
mod judge;
mod mark;
mod plan;
mod running;
mod sentence;
mod settings;
mod standing;
mod verdict;
mod warning;

pub use change::{Change, Edit, SETTINGS};
pub use mark::{MARK_LONGEST, Mark, MarkError};
pub use plan::{Entry, Plan, Request, plan};
pub use settings::{OnFailure, RequiredRollout, Rules, UnreadableSetting};
pub use standing::{Standing, standing};
pub use verdict::{Code, Force, ForceError, Judged, Verdict};
pub use warning::Warning;
