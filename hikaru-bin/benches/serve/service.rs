//! A program that is measured, in a process of its own: `hikaru serve`, or a bare one. It ends when this is dropped.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::thread::{CpuSet, sched_setaffinity};
use serde_json::Value;

pub(crate) struct Service {
    child: Child,
    pub(crate) address: String,
}

impl Service {
    /// `hikaru serve` on a cluster; it listens, but need not be ready.
    pub(crate) fn on_cluster(kubeconfig: &Path) -> Self {
        let mut command = serve();
        command.arg("--kubeconfig").arg(kubeconfig);
        Self::hikaru(command)
    }

    /// `hikaru serve` on an API server that takes any token.
    pub(crate) fn on_stub(url: &str, ca: &str) -> Self {
        let mut command = serve();
        command.env("K8S_URL", url).env("K8S_CA", ca);
        command.env("K8S_TOKEN", "a-token-of-the-bench");
        Self::hikaru(command)
    }

    /// `hikaru serve` on an API server without TLS that wants no token.
    pub(crate) fn on_plain(url: &str) -> Self {
        let mut command = serve();
        command.env("K8S_URL", url);
        Self::hikaru(command)
    }

    fn hikaru(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("hikaru runs");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let address = loop {
            let line = lines.next().expect("it listens").expect("a line");
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            if event["message"] == "listening" {
                break event["address"].as_str().expect("an address").to_owned();
            }
        };
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    /// This program in another role; it prints its address when it is ready.
    pub(crate) fn of_ours(args: &[&str], ca: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(args)
            .env("K8S_CA", ca)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut address = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout)
            .read_line(&mut address)
            .expect("a line");
        Self {
            child,
            address: address.trim().to_owned(),
        }
    }

    pub(crate) fn wait_until_ready(&self) {
        while !self.call("GET", "/readyz").starts_with("HTTP/1.1 200") {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Calls on a connection of its own, as CI does.
    pub(crate) fn call(&self, method: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("connected");
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    /// How long it has been on a CPU, in µs. On a busy machine this tells more than the time.
    pub(crate) fn cpu(&self) -> f64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("it runs");
        let of = |task: fs::DirEntry| {
            let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            let nanoseconds = text.split(' ').next().and_then(|n| n.parse::<f64>().ok());
            nanoseconds.unwrap_or(0.0) / 1e3
        };
        tasks.flatten().map(of).sum()
    }

    /// A line of what the kernel says of its memory, in bytes: `RssAnon`, `VmRSS`, `VmHWM`.
    pub(crate) fn memory(&self, line: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("it runs");
        let found = status.lines().find_map(|text| text.strip_prefix(line));
        let kilobytes = found.and_then(|rest| rest.split_whitespace().nth(1));
        let kilobytes: f64 = kilobytes.expect("a size").parse().expect("a number");
        kilobytes * 1024.0
    }
}

fn serve() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hikaru"));
    command.args(["serve", "--listen", "127.0.0.1:0"]);
    command
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Keeps this thread, and those that it starts, on one CPU of those there are.
pub(crate) fn stay_on(cpu: usize) {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let mut set = CpuSet::new();
    set.set(cpu % cpus);
    // Where it is refused, the figures are of a machine on which everything moves.
    let _ = sched_setaffinity(None, &set);
}
