//! The library half of `xtask`: a real Kubernetes control plane for the tests of other crates.
//!
//! Here live the programs of the control plane ([`assets`]), a running one ([`Cluster`]) and the
//! process that ends it whatever happens to the test ([`supervisor`]). The chores of the command
//! (`lint`, `tidy`, `test`) live in the binary, and nothing here knows any crate of hikaru.

pub mod assets;
pub mod cluster;
pub mod processes;
pub mod supervisor;

pub use cluster::audit::AuditEvent;
pub use cluster::{Cluster, ClusterError, ClusterOptions};
pub use supervisor::Component;
