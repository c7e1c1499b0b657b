//! The library half of `xtask`: what tests and benches of other crates use.
//!
//! Here live the programs of a real Kubernetes control plane ([`assets`]), a running one ([`Cluster`]) and
//! the process that ends it whatever happens to the test ([`supervisor`]); and the figures of benches
//! ([`figures`]). The chores of the command (`lint`, `tidy`, `test`) live in the binary. Nothing here depends on a crate
//! of hikaru.

pub mod assets;
pub mod cluster;
pub mod figures;
pub mod processes;
pub mod supervisor;

pub use cluster::audit::AuditEvent;
pub use cluster::{Cluster, ClusterError, ClusterOptions};
pub use supervisor::Component;
