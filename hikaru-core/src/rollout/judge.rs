//! The rule: what the state of a rollout is. Pure and total.

use super::{
    facts::RolloutFacts,
    reached::Reached,
    state::{Asked, Judged},
};

/// Judges a rollout by what a cluster says of it. `facts`: `None` if the workload is gone.
pub fn judge(reached: &Reached, facts: Option<&RolloutFacts>, asked: &Asked) -> Judged {
    unimplemented!("by its developer")
}
