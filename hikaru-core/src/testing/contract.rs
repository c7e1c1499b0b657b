//! The contract of [`WorkloadPort`]: a suite that every adapter's tests call. What is proved on [`MemoryCluster`] holds
//! on whatever passes it.
//!
//! ```
//! # futures_util::FutureExt::now_or_never(async {
//! use hikaru_core::{testing::{MemoryCluster, contract}};
//! let broken = contract::run(&MemoryCluster::default()).await;
//! assert!(broken.is_empty(), "{broken:?}");
//! # }).unwrap();
//! ```
//!
//! What it cannot see: whether a cluster does what its port says (the audit log of a real one can), and races of a port that
//! blocks without ever yielding, unless its [`Abilities::threads`] say that it may be called from threads of the suite's own.
//!
//! A subject of one's own, around a port whose cluster is a `MemoryCluster` here:
//!
//! ```
//! use hikaru_core::{Workload, WorkloadId, port::WorkloadPort, testing::{MemoryCluster, contract::{self,
//!     Abilities, Subject}}};
//!
//! struct Mine(MemoryCluster);
//!
//! #[async_trait::async_trait]
//! impl Subject for Mine {
//!     fn port(&self) -> &dyn WorkloadPort {
//!         &self.0
//!     }
//!     fn abilities(&self) -> Abilities {
//!         Abilities { marks: true, uids: true, threads: true }
//!     }
//!     async fn put(&self, workload: &Workload) {
//!         self.0.put(workload.clone());
//!     }
//!     async fn remove(&self, id: &WorkloadId) {
//!         self.0.remove(id);
//!     }
//! }
//! # futures_util::FutureExt::now_or_never(async {
//! let broken = contract::run(&Mine(MemoryCluster::default())).await;
//! assert!(broken.is_empty(), "{broken:?}");
//! # }).unwrap();
//! ```
//!
//! [`MemoryCluster`]: crate::testing::MemoryCluster

mod cases;
mod jobs;
mod threads;

pub use jobs::{JobSubject, run_jobs};

use std::fmt;

use async_trait::async_trait;

use crate::{
    port::{Changes, ClusterError, WorkloadPort},
    testing::memory::MemoryCluster,
    workload::{Workload, WorkloadId},
};

/// What a cluster can do, as far as the suite has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// It writes high-water marks. (A folder of manifests does not: a `git revert` would take them back.)
    pub marks: bool,
    /// A deleted and recreated object of the same name can be told from the first.
    pub uids: bool,
    /// Its futures need no runtime, so that they can be driven on any thread: then writes are raced on threads, too, which
    /// finds what a port that blocks hides from tasks of one thread.
    pub threads: bool,
}

/// A cluster under test, with the hands of a person who works on it besides hikaru.
#[async_trait]
pub trait Subject: Send + Sync {
    /// The port under test.
    fn port(&self) -> &dyn WorkloadPort;

    /// What it can do.
    fn abilities(&self) -> Abilities;

    /// The namespace that the suite may use, empty at the start: `contract`, if not said otherwise. The suite leaves its
    /// workloads there, one a clause.
    fn namespace(&self) -> &str {
        "contract"
    }

    /// Creates the workload or makes the one of that name look so: labels (by whatever keys the cluster has for owner, repo
    /// and branch), settings, containers, marks. Its uid is the cluster's business; its origin is not given.
    async fn put(&self, workload: &Workload);

    /// Deletes a workload.
    async fn remove(&self, id: &WorkloadId);

    /// What tells of changes, if the cluster has that.
    fn changes_port(&self) -> Option<&dyn Changes> {
        None
    }

    /// Gives a view a moment to catch up: called between looks, a hundred times at most. Not needed where `find` sees
    /// each write at once.
    async fn pause(&self) {}
}

#[async_trait]
impl Subject for MemoryCluster {
    fn port(&self) -> &dyn WorkloadPort {
        self
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            marks: true,
            uids: true,
            threads: true,
        }
    }

    fn changes_port(&self) -> Option<&dyn Changes> {
        Some(self)
    }

    async fn put(&self, workload: &Workload) {
        self.put(workload.clone());
    }

    async fn remove(&self, id: &WorkloadId) {
        self.remove(id);
    }
}

/// A clause of the contract that a port does not keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The clause's name.
    pub clause: &'static str,
    /// What was expected and what was found.
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.clause, self.what)
    }
}

/// Runs the whole suite, one clause after the other, and says which are broken.
pub async fn run(subject: &dyn Subject) -> Vec<Broken> {
    let mut broken = Vec::new();
    for (clause, check) in cases::ALL {
        if let Err(what) = check(subject).await {
            broken.push(Broken { clause, what });
        }
    }
    broken
}

/// That something is not found, and that the error names it.
fn is_not_found<T: fmt::Debug>(
    what: &str,
    found: Result<T, ClusterError>,
    name: impl fmt::Display,
) -> Result<(), String> {
    match found {
        Err(ClusterError::NotFound(of)) if of.contains(&name.to_string()) => Ok(()),
        found => Err(format!(
            "{what}: expected that {name} is not found, found {found:?}"
        )),
    }
}
