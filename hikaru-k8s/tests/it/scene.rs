//! A folder of manifests for one test, and what a user does with it.

use hikaru_core::{
    Build, Mode, Request, TagFormats,
    jobs::{JobPolicy, Jobs},
    port::{Fault, Found, Scope, Select, Severity, WorkloadPort as _},
    testing::StillClock,
    upgrade,
    upgrade::Report,
    workload::IdentityKeys,
};
use hikaru_k8s::Folder;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// A folder in a temporary directory, beside which other things can stand.
pub(crate) struct Scene {
    around: TempDir,
}

/// Build `n` of acme_web_main.
pub(crate) fn image(n: u64) -> String {
    format!("acme/web:acme_web_main_1.4.0_{n}_0123abcd")
}

pub(crate) fn build(n: u64) -> Build {
    Build::parse(&image(n), &TagFormats::default()).expect("a build tag")
}

/// A Deployment that runs build `n` in its container `web`.
pub(crate) fn deployment(name: &str, n: u64) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  labels: {{owner: acme, repo: web, branch: main}}
spec:
  template:
    spec:
      containers:
        - name: web # the one
          image: {}
",
        image(n)
    )
}

impl Scene {
    pub(crate) fn new() -> Self {
        let around = tempfile::tempdir().expect("a temporary directory");
        // Others may look inside: some tests give up root's rights.
        mode(around.path(), 0o755);
        fs::create_dir(around.path().join("folder")).expect("a folder");
        Self { around }
    }

    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let scene = Self::new();
        for (path, text) in files {
            scene.file(path, text);
        }
        scene
    }

    /// A path below the folder; `../` leads to what stands beside it.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.around.path().join("folder").join(path)
    }

    pub(crate) fn file(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, text).expect("a file");
    }

    pub(crate) fn link(&self, path: &str, to: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        symlink(to, path).expect("a symlink");
    }

    pub(crate) fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).expect("a text")
    }

    /// All names in a directory of the folder.
    pub(crate) fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(path)).expect("a directory");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().display().to_string())
            .collect();
        names.sort();
        names
    }

    pub(crate) fn folder(&self) -> Folder {
        Folder::open(self.path(""), IdentityKeys::default()).expect("the folder opens")
    }

    /// The Jobs of every namespace.
    pub(crate) fn jobs(&self) -> Jobs {
        let mut policy = JobPolicy::default();
        policy.namespaces = None;
        self.jobs_by(policy)
    }

    pub(crate) fn jobs_by(&self, policy: JobPolicy) -> Jobs {
        let clock = Arc::new(StillClock::default());
        Jobs::new(Arc::new(self.folder()), policy, clock)
    }

    pub(crate) async fn find(&self, select: Select) -> Found {
        let found = self.folder().find(&Scope::new(select)).await;
        found.expect("the folder can be searched")
    }

    /// The origins of all workloads, in the order they are found.
    pub(crate) async fn origins(&self) -> Vec<String> {
        let found = self.find(Select::All).await;
        let origins = found.workloads.iter();
        origins
            .map(|workload| workload.id.origin.as_deref().unwrap_or("none").to_owned())
            .collect()
    }

    pub(crate) async fn post(&self, n: u64) -> Report {
        post(&self.folder(), n, Mode::Commit).await
    }
}

pub(crate) async fn post(folder: &Folder, n: u64, mode: Mode) -> Report {
    let report = upgrade(
        folder,
        &hikaru_k8s::SystemClock::default(),
        Request::new(build(n)),
        mode,
    )
    .await;
    report.expect("the folder can be searched")
}

/// What became of each workload: `origin name upgraded`, or why not.
pub(crate) fn outcomes(report: &Report) -> Vec<String> {
    let entries = report.entries.iter();
    entries
        .map(|reported| {
            let id = &reported.entry.workload.id;
            let codes: Vec<&str> = reported.entry.codes().map(|code| code.as_str()).collect();
            let outcome = match reported.outcome.failure() {
                Some(failure) => failure,
                None => codes.join(","),
            };
            let origin = id.origin.as_deref().unwrap_or("none");
            format!("{origin} {} {outcome}", id.name)
        })
        .collect()
}

/// Each fault as a line: `failure deploy/web.yaml:3:1: is no YAML: …`.
pub(crate) fn lines(faults: &[Fault]) -> Vec<String> {
    let lines = faults.iter();
    lines
        .map(|fault| {
            let severity = match fault.severity {
                Severity::Warning => "warning",
                Severity::Failure => "failure",
            };
            format!("{severity} {}: {}", fault.place, fault.message)
        })
        .collect()
}

pub(crate) fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

/// Runs something without root's rights, which pass over modes: in a thread that has become
/// `nobody` if we are root, so that no test is left out there. There is no runtime in it, so the
/// folder does its IO in that thread.
pub(crate) fn unprivileged<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            if rustix::process::geteuid().is_root() {
                let nobody = rustix::process::Uid::from_raw(65_534);
                rustix::thread::set_thread_res_uid(nobody, nobody, nobody)
                    .expect("root can become nobody");
            }
            work()
        });
        thread.join().expect("the thread ends")
    })
}

/// Runs a future to its end in this thread, without a runtime.
pub(crate) fn alone<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let waker = std::task::Waker::noop();
    let mut context = std::task::Context::from_waker(waker);
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        std::thread::yield_now();
    }
}
