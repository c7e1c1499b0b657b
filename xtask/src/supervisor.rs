//! A process that owns the processes and the folder of a cluster, and ends them when the test process ends.
//!
//! Here is the protocol between the two processes. `serve.rs` is the side of the supervisor, `client.rs` that of a
//! [`Cluster`](crate::Cluster).
//!
//! # Why it is a separate process
//!
//! A test can panic, be interrupted, or be killed with -9. A `static` is never dropped. The signal that Linux sends to the
//! children of a dead parent fires when the *thread* that spawned them ends, and each test has its own thread. So the
//! supervisor reads its requests from a pipe whose other end only the test process holds: however that process ends, the
//! supervisor reads the end of the pipe, and ends the cluster. It starts the components itself, so there is no moment in
//! which a component runs that it does not know. It has its own process group, so Ctrl-C on a terminal does not reach it,
//! and it treats SIGTERM, SIGINT and SIGHUP like the end of the pipe. Only `kill -9` of the supervisor leaves processes
//! behind.
//!
//! It is a hidden command of `xtask` and no shell script: only the parent of a process knows for certain that it has ended,
//! and `sh` cannot wait with a time limit.

mod claim;
mod client;
mod serve;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub(crate) use client::Supervisor;
pub use client::{PROGRAM_VARIABLE, SupervisorError};
pub use serve::supervise;

/// A process of a control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Component {
    /// etcd.
    Etcd,
    /// kube-apiserver.
    Apiserver,
    /// kube-controller-manager.
    ControllerManager,
    /// kube-scheduler.
    Scheduler,
    /// kwok.
    Kwok,
}

impl Component {
    /// All of them, in the order in which they start. They stop in the opposite order: kube-apiserver
    /// hangs for a minute when etcd goes first.
    pub const ALL: [Self; 5] = [
        Self::Etcd,
        Self::Apiserver,
        Self::ControllerManager,
        Self::Scheduler,
        Self::Kwok,
    ];
}

impl std::fmt::Display for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Etcd => "etcd",
            Self::Apiserver => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Kwok => "kwok",
        })
    }
}

/// The first line that the supervisor writes: what it has taken for the cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Hello {
    /// The data folder, which the supervisor removes at its end.
    folder: PathBuf,
    endpoints: Endpoints,
}

/// Where a cluster listens: an address of its own, or free ports of 127.0.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Endpoints {
    pub(crate) address: Ipv4Addr,
    pub(crate) apiserver: u16,
    pub(crate) etcd: u16,
    pub(crate) etcd_peer: u16,
    /// Where kwok serves logs, as a kubelet does.
    pub(crate) kubelet: u16,
}

/// One line of JSON to the supervisor.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Request {
    /// Start a component; its output is appended to the file `log`.
    Start {
        component: Component,
        program: PathBuf,
        args: Vec<String>,
        log: PathBuf,
    },
    /// End a component: SIGTERM and, after three seconds, SIGKILL; or SIGKILL at once.
    Stop { component: Component, kill: bool },
    /// Ask what runs.
    Status,
}

/// One line of JSON from the supervisor, one for each request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    Done,
    Failed(String),
    Status(Status),
}

/// Which components run, and how those ended that ended by themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Status {
    /// Process ids.
    pub(crate) running: BTreeMap<Component, u32>,
    /// Exit statuses, as text.
    pub(crate) ended: BTreeMap<Component, String>,
}
