//! However a cluster ends, nothing of it stays: no process, no data folder.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;
use xtask::processes::{is_alive, mentioning};
use xtask::{Cluster, ClusterError, ClusterOptions, Component};

use crate::{PATIENCE, in_turn};

/// The supervisor ends components in three steps, and kills after three seconds in each. The limit is not much longer,
/// because an etcd that is left behind ends by itself half a minute after its folder is gone.
const ENDING: Duration = Duration::from_secs(20);

/// Waits until no process and no folder is left.
fn expect_nothing_left(processes: &[u32], folder: &Path) {
    let end = Instant::now() + ENDING;
    loop {
        let alive: Vec<_> = processes.iter().filter(|&&id| is_alive(id)).collect();
        let others = mentioning(&folder.display().to_string()).expect("processes");
        if alive.is_empty() && others.is_empty() && !folder.exists() {
            return;
        }
        assert!(
            Instant::now() < end,
            "left: {alive:?} {others:?}, folder: {}",
            folder.exists()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_dropped_cluster_leaves_nothing() {
    let _turn = in_turn();
    let cluster = Cluster::start(ClusterOptions::default()).expect("start");
    let mut processes: Vec<_> = cluster
        .processes()
        .expect("processes")
        .into_values()
        .collect();
    assert_eq!(processes.len(), Component::ALL.len());
    processes.push(cluster.supervisor_process());
    assert!(processes.iter().all(|&id| is_alive(id)));
    let folder = cluster.folder().to_owned();
    assert!(folder.is_dir());
    drop(cluster);
    expect_nothing_left(&processes, &folder);
}

/// Another process that holds a cluster, in a process group of its own as a shell would give it.
struct Holder {
    process: Child,
    /// The components and the supervisor.
    processes: Vec<u32>,
    folder: PathBuf,
}

impl Holder {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(["cluster", "hold"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("xtask");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("pipe");
        BufReader::new(stdout).read_line(&mut line).expect("line");
        let held: Value =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("no cluster: {line}"));
        let numbers = held["processes"].as_array().expect("processes").iter();
        let processes = numbers
            .map(|id| id.as_u64().expect("id").try_into().expect("id"))
            .collect();
        let folder = PathBuf::from(held["folder"].as_str().expect("folder"));
        Self {
            process,
            processes,
            folder,
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    fn expect_nothing_left(mut self) {
        self.process.wait().expect("end");
        expect_nothing_left(&self.processes, &self.folder);
    }
}

#[test]
fn a_holder_that_is_killed_leaves_nothing() {
    let _turn = in_turn();
    let holder = Holder::start();
    assert_eq!(holder.processes.len(), Component::ALL.len() + 1);
    assert!(holder.processes.iter().all(|&id| is_alive(id)));
    kill_process(holder.pid(), Signal::KILL).expect("kill");
    holder.expect_nothing_left();
}

#[test]
fn a_holder_that_is_interrupted_leaves_nothing() {
    let _turn = in_turn();
    let holder = Holder::start();
    // What a terminal does at Ctrl-C: the whole foreground process group.
    kill_process_group(holder.pid(), Signal::INT).expect("interrupt");
    holder.expect_nothing_left();
}

#[test]
fn a_supervisor_that_is_asked_to_end_leaves_nothing() {
    let _turn = in_turn();
    let cluster =
        Cluster::start(ClusterOptions::default().controllers(false).pods(false)).expect("start");
    let mut processes: Vec<_> = cluster
        .processes()
        .expect("processes")
        .into_values()
        .collect();
    processes.push(cluster.supervisor_process());
    let supervisor = Pid::from_raw(cluster.supervisor_process().cast_signed()).expect("pid");
    let folder = cluster.folder().to_owned();
    kill_process(supervisor, Signal::TERM).expect("terminate");
    expect_nothing_left(&processes, &folder);
}

#[test]
fn a_component_that_ends_by_itself_is_named_with_its_log() {
    let _turn = in_turn();
    let cluster =
        Cluster::start(ClusterOptions::default().controllers(false).pods(false)).expect("start");
    let processes = cluster.processes().expect("processes");
    let apiserver = Pid::from_raw(processes[&Component::Apiserver].cast_signed()).expect("pid");
    kill_process(apiserver, Signal::KILL).expect("kill");
    let error = cluster
        .wait_for::<()>("nothing", PATIENCE, || Ok(None))
        .expect_err("ended");
    assert!(
        matches!(
            error,
            ClusterError::Ended {
                component: Component::Apiserver,
                ..
            }
        ),
        "{error}"
    );
    let text = error.to_string();
    assert!(
        text.starts_with("kube-apiserver ended (signal: 9"),
        "{text}"
    );
    assert!(text.lines().count() > 5, "no log: {text}");
}
