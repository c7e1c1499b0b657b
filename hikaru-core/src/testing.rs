//! For the authors of adapters and for tests of what stands on a port: a cluster in memory, a mock for expectations on
//! calls, and the suite that says whether an adapter keeps what the guarantee needs.

pub(crate) mod clock;
pub mod contract;
pub(crate) mod memory;
pub(crate) mod memory_jobs;

pub use crate::port::{MockJobPort, MockRolloutPort, MockWorkloadPort};
pub use clock::StillClock;
pub use memory::MemoryCluster;
pub use memory_jobs::MemoryJobs;
