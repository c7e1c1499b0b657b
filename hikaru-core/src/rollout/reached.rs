//! What a rollout has reached so far. Progress is what was never reached before, so this is handed from one judgement to the next.

use std::{collections::BTreeSet, time::SystemTime};

use crate::Text;

/// What a rollout has reached so far. The default: nothing is known, then the times that the pods tell are all there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// Of which revision: another one begins anew.
    pub(super) revision: Option<Text>,
    /// The most pods of the new revision that there were.
    pub(super) updated: i32,
    /// The most pods of the new revision that were ready.
    pub(super) ready: i32,
    /// The containers that have started, each by its name: how many pods had it started at most.
    pub(super) started: BTreeSet<(Text, Text)>,
    /// When something was reached for the last time.
    pub(super) at: Option<SystemTime>,
}
