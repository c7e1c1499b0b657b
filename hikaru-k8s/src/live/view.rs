//! The view of a cluster that `serve` answers from: an index in memory (`index`), the watches that feed it (`watch`), and a
//! look at the cluster before it is said that nothing is there (`look`). Single commands have none: they read (`read`).

pub(super) mod index;
mod look;
pub(super) mod watch;
