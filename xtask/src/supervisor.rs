//! The process that owns a cluster's processes and its folder, and ends them when nobody holds on to it.
//!
//! Here live the words that the two sides speak; what the supervisor does is in `serve.rs`, and how a
//! [`Cluster`](crate::Cluster) speaks to it in `client.rs`.
//!
//! # Why a process of its own
//!
//! A test can panic, be interrupted, or be killed with -9; a `static` is never dropped; and the signal
//! that Linux sends to children of a dead parent fires when the *thread* that spawned them ends, which
//! is one a test. None of them can be trusted to clean up. The end of a pipe can: the supervisor reads
//! its requests from a pipe whose other end only the test process holds, and however that process ends,
//! the pipe reads as ended. The supervisor starts the components itself, so that there is no moment in
//! which a component runs that it does not know. It is in a process group of its own, so that Ctrl-C on
//! a terminal does not reach it, and it takes SIGTERM, SIGINT and SIGHUP as the end of the pipe.
//! Only `kill -9` of the supervisor itself would leave something behind.
//!
//! It is a hidden command of the `xtask` program, not a shell script: which children have ended is known
//! for certain only to their parent, and `sh` cannot wait with a time limit.

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
