//! How long it takes to upgrade a folder of manifests, and how much memory it takes: 2,000 files
//! with one Deployment each, and one file with 10,000 Deployments. Each line is one upgrade of all
//! of them, from a folder that was just opened; the last ones find that there is nothing to do.
//!
//! `cargo bench -p hikaru-k8s --bench folder [-- FOLDER]`; the folder is made below FOLDER, by
//! default the system's temporary directory, because syncing depends on the disk.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use hikaru_core::{Build, Mode, Request, TagFormats, upgrade, workload::IdentityKeys};
use hikaru_k8s::Folder;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;
use xtask::figures::{Figure, Goal};

type Outcome = Result<(), Box<dyn Error>>;

const FILES: usize = 2_000;
const DOCUMENTS: usize = 10_000;

fn image(build: u64) -> String {
    format!("registry.example.org/acme/web:acme_web_main_1.4.0_{build}_0123abcd")
}

/// A manifest as people write them, about 1.5 KB.
fn deployment(name: &str) -> String {
    format!(
        "# {name}: one of many
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  namespace: shop
  labels:
    app.kubernetes.io/name: {name}
    owner: acme
    repo: web
    branch: main
spec:
  replicas: 3
  selector:
    matchLabels:
      app.kubernetes.io/name: {name}
  template:
    metadata:
      labels:
        app.kubernetes.io/name: {name}
    spec:
      containers:
        - name: web
          image: {} # written by hikaru
          ports:
            - name: http
              containerPort: 8080
          env:
            - name: DATABASE_URL
              valueFrom:
                secretKeyRef: {{name: {name}, key: url}}
            - name: LOG
              value: \"info,web=debug\"
          readinessProbe:
            httpGet: {{path: /readyz, port: http}}
          resources:
            requests: {{cpu: 100m, memory: 128Mi}}
            limits: {{memory: 256Mi}}
          securityContext:
            runAsNonRoot: true
            readOnlyRootFilesystem: true
            allowPrivilegeEscalation: false
            capabilities:
              drop: [ALL]
        - name: proxy
          image: registry.example.org/proxy:2.0
---
apiVersion: v1
kind: Service
metadata:
  name: {name}
  namespace: shop
spec:
  selector:
    app.kubernetes.io/name: {name}
  ports:
    - port: 80
      targetPort: http
",
        image(1)
    )
}

async fn measure(what: &str, root: &Path, workloads: usize) -> Outcome {
    let mut upgrades = Vec::new();
    for build in [2, 3, 4, 4, 4] {
        let start = Instant::now();
        let folder = Folder::open(root, IdentityKeys::default())?;
        let build = Build::parse(&image(build), &TagFormats::default())?;
        let report = upgrade(
            &folder,
            &hikaru_k8s::SystemClock::default(),
            Request::new(build),
            Mode::Commit,
        )
        .await?;
        let took = start.elapsed();
        let upgraded = report
            .entries
            .iter()
            .filter(|reported| reported.entry.change.is_some())
            .count();
        if report.has_failures() || report.entries.len() != workloads {
            return Err("the upgrade failed".into());
        }
        println!(
            "{what}: {upgraded} of {workloads} upgraded in {:.3} s, peak memory {} kB",
            took.as_secs_f64(),
            peak()?
        );
        if upgraded > 0 {
            upgrades.push(took.as_secs_f64());
        }
    }
    let time = format!("folder, {what}: an upgrade of all");
    Figure::alone(&time, "s", &upgrades, Goal::AtMost(1.0)).record()?;
    let memory = format!("folder, {what}: peak memory");
    let peak = peak()? as f64 / 1024.0;
    Figure::alone(&memory, "MiB", &[peak], Goal::AtMost(64.0)).record()?;
    Ok(())
}

/// The most memory that this process ever had, in kB.
fn peak() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let words = line.into_iter().flat_map(str::split_whitespace);
    let mut numbers = words.filter_map(|word| word.parse().ok());
    numbers.next().ok_or_else(|| "no VmHWM".into())
}

fn main() -> Outcome {
    let below = std::env::args_os()
        .skip(1)
        .find(|arg| arg != "--bench")
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let root = tempfile::tempdir_in(below)?;
    let many = root.path().join("many");
    for n in 0..FILES {
        let folder = many.join(format!("team-{:02}", n % 20));
        fs::create_dir_all(&folder)?;
        let name = format!("web-{n:04}");
        fs::write(folder.join(format!("{name}.yaml")), deployment(&name))?;
    }
    let one = root.path().join("one");
    fs::create_dir_all(&one)?;
    let documents: Vec<String> = (0..DOCUMENTS)
        .map(|n| deployment(&format!("web-{n:04}")))
        .collect();
    fs::write(one.join("all.yaml"), documents.join("---\n"))?;

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()?;
    runtime.block_on(async {
        measure("2,000 files", &many, FILES).await?;
        measure("one file of 10,000", &one, DOCUMENTS).await
    })
}
