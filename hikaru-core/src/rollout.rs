//! Rollouts: whether a deployment worked, and why not. `facts` is what a cluster says, `judge` the pure rule on it, `cause` what
//! can go wrong, `evidence` what shows it. `rollouts` asks the ports and judges; `waiting` does so until rollouts have ended, each
//! of which is followed in `follow`. `start` is about the pods of Jobs.
//!
//! Below `judge`: `view` finds the new pods, `fate` whether the template is still the one that was asked for, `completion` whether
//! all is done, `window` for how long that has to be so, `reached` and `limit` how long nothing new was reached, `trouble` what is wrong
//! and when that fails the rollout, `words` says it.

pub(crate) mod awaited;
pub(crate) mod cause;
mod completion;
pub(crate) mod evidence;
pub(crate) mod facts;
mod fate;
mod follow;
pub(crate) mod judge;
mod limit;
pub(crate) mod reached;
mod remembered;
pub(crate) mod rollouts;
pub(crate) mod start;
pub(crate) mod state;
mod times;
mod trouble;
mod view;
pub(crate) mod waiting;
mod window;
mod words;

pub use awaited::{Awaited, End, Followed};
pub use cause::{Cause, CauseCode};
pub use evidence::{EventGroup, Evidence, LogExcerpt, LogWanted, event_objects};
pub use facts::{
    Condition, ContainerFacts, ContainerSpec, ContainerState, EventFacts, ObjectFacts, PodFacts,
    Probe, ReplicaSetFacts, Role, RolloutFacts, RolloutKind, TemplateChange, Terminated, Unseen,
};
pub use judge::judge;
pub use reached::Reached;
pub use rollouts::{RolloutAnswer, Rollouts, StatusRow};
pub use state::{Asked, Judged, Rollout, RolloutState};
pub use waiting::{WaitEvent, WaitOutcome, WaitTerms, Waited};
