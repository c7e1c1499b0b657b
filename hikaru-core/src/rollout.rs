//! Rollouts: whether a deployment worked, and why not. `facts` is what a cluster says, `judge` the pure rule on it, `cause` what
//! can go wrong, `evidence` what shows it. `rollouts` asks the ports and judges.

pub(crate) mod cause;
pub(crate) mod evidence;
pub(crate) mod facts;
pub(crate) mod judge;
pub(crate) mod reached;
pub(crate) mod rollouts;
pub(crate) mod state;

pub use cause::{Cause, CauseCode};
pub use evidence::{EventGroup, Evidence, LogExcerpt};
pub use facts::{
    Condition, ContainerFacts, ContainerSpec, ContainerState, EventFacts, ObjectFacts, PodFacts,
    Probe, ReplicaSetFacts, Role, RolloutFacts, RolloutKind, TemplateChange, Terminated, Unseen,
};
pub use judge::judge;
pub use reached::Reached;
pub use rollouts::{RolloutAnswer, Rollouts, StatusRow};
pub use state::{Asked, Judged, Rollout, RolloutState};
