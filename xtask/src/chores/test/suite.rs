//! Runs all tests of the workspace in one `cargo test`, counts them, and then looks for processes and files that they left
//! behind.
//!
//! The tests have a temporary folder of their own as `TMPDIR`. It holds their files, and its name in their environment
//! marks their processes. A file or a process that is found after the tests is a leak.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use xtask::assets::Locations;
use xtask::processes::{Process, mentioning};
use xtask::supervisor::PROGRAM_VARIABLE;

use crate::workspace::{cargo, members};

/// The feature of the tests that need the control plane.
const CLUSTER: &str = "cluster";

/// How long clusters may take to be gone after the last test. Their supervisors need a second or two.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many tests of a binary run at once, unless `RUST_TEST_THREADS` says otherwise. The slow ones wait for servers, and by
/// default there is one for each processor.
const THREADS: &str = "6";

/// Sums over all test binaries.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) ignored: u64,
}

impl Counts {
    /// Adds a line of libtest: `test result: ok. 5 passed; 0 failed; 1 ignored; …`. Other lines are nothing.
    fn add(&mut self, line: &str) {
        let Some((_, numbers)) = line
            .strip_prefix("test result: ")
            .and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for part in numbers.split("; ") {
            if let Some((number, word)) = part.split_once(' ')
                && let Ok(number) = number.parse::<u64>()
            {
                match word {
                    "passed" => self.passed += number,
                    "failed" => self.failed += number,
                    "ignored" => self.ignored += number,
                    _ => {}
                }
            }
        }
    }
}

/// The tests to run, and how.
pub(super) struct Suite {
    /// `crate/feature` of all members.
    features: Vec<String>,
    /// The crates whose tests behind [`CLUSTER`] are left out.
    left_out: Vec<String>,
    variables: Vec<(&'static str, std::path::PathBuf)>,
    folder: TempDir,
}

impl Suite {
    /// Turns on every feature of every member, so that no test is left out; without a control plane all but `cluster`.
    pub(super) fn new(locations: &Locations, has_cluster: bool) -> Result<Self, String> {
        let packages = members()?;
        let declared = packages.iter().map(|package| {
            (
                package.name.as_str(),
                package.features.keys().map(String::as_str).collect(),
            )
        });
        let (features, left_out) = select(declared, has_cluster);
        let own = std::env::current_exe().map_err(|error| format!("own program: {error}"))?;
        let mut variables = vec![(PROGRAM_VARIABLE, own)];
        variables.extend(
            locations
                .variables()
                .into_iter()
                .map(|(name, value)| (name, value.to_owned())),
        );
        let folder = tempfile::Builder::new().prefix("hikaru-test-").tempdir();
        let folder = folder.map_err(|error| format!("temporary folder: {error}"))?;
        Ok(Self {
            features,
            left_out,
            variables,
            folder,
        })
    }

    pub(super) fn describe(&self) -> String {
        format!(
            "unit, integration and doc tests with the features {}",
            self.features.join(" ")
        )
    }

    pub(super) fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// Runs the tests; their output is passed on as it comes.
    pub(super) fn run(&self, counts: &mut Counts, interrupted: &AtomicBool) -> Result<(), String> {
        let mut command = cargo();
        command.args([
            "test",
            "--workspace",
            "--no-fail-fast",
            "--features",
            &self.features.join(","),
        ]);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        if std::env::var_os("RUST_TEST_THREADS").is_none() {
            command.env("RUST_TEST_THREADS", THREADS);
        }
        command
            .env("TMPDIR", self.folder.path())
            .stdout(Stdio::piped());
        let mut process = command
            .spawn()
            .map_err(|error| format!("cargo test: {error}"))?;
        let ended = AtomicBool::new(false);
        let status = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) && !interrupted.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(50));
                }
                if interrupted.load(Ordering::Relaxed) {
                    // Ctrl-C reaches all processes; a signal to this process alone does not.
                    signal(&self.processes(), Signal::TERM);
                }
            });
            if let Some(stdout) = process.stdout.take() {
                for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
                    let line = String::from_utf8_lossy(&line);
                    counts.add(&line);
                    // The reader of stdout may have ended; the tests still run to their end.
                    writeln!(std::io::stdout(), "{line}").ok();
                }
            }
            ended.store(true, Ordering::Relaxed);
            process.wait()
        });
        let status = status.map_err(|error| format!("cargo test: {error}"))?;
        match () {
            () if interrupted.load(Ordering::Relaxed) => Err("interrupted".to_owned()),
            () if counts.failed > 0 => Err(format!("{} failed", counts.failed)),
            () if !status.success() => Err(format!("cargo test: {status}")),
            () if counts.passed == 0 => Err("no test was run".to_owned()),
            () => Ok(()),
        }
    }

    /// Waits until no process and no file of the tests is left; what is left after a while is named, and ended.
    pub(super) fn look_for_leftovers(&self) -> Result<(), String> {
        self.leftovers(PATIENCE)
    }

    fn leftovers(&self, patience: Duration) -> Result<(), String> {
        let end = Instant::now() + patience;
        loop {
            let processes = self.processes();
            let files = self.files();
            if processes.is_empty() && files.is_empty() {
                return Ok(());
            }
            if Instant::now() >= end {
                signal(&processes, Signal::KILL);
                let processes = processes
                    .iter()
                    .map(|process| format!("process {} ({})", process.id, process.command));
                let files = files.iter().map(|file| format!("file {file}"));
                return Err(format!(
                    "the tests left behind {}",
                    processes.chain(files).collect::<Vec<_>>().join(", ")
                ));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn processes(&self) -> Vec<Process> {
        mentioning(&self.folder.path().display().to_string()).unwrap_or_default()
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path())
            .into_iter()
            .flatten()
            .flatten();
        entries
            .map(|entry| entry.path().display().to_string())
            .collect()
    }
}

fn signal(processes: &[Process], signal: Signal) {
    for process in processes {
        let pid = i32::try_from(process.id).ok().and_then(Pid::from_raw);
        // It fails if the process has just ended.
        pid.map(|pid| kill_process(pid, signal).ok());
    }
}

/// The features to set, and the crates whose cluster tests are left out.
fn select<'a>(
    packages: impl Iterator<Item = (&'a str, Vec<&'a str>)>,
    has_cluster: bool,
) -> (Vec<String>, Vec<String>) {
    let (mut features, mut left_out) = (Vec::new(), Vec::new());
    for (package, declared) in packages {
        for feature in declared.into_iter().filter(|feature| *feature != "default") {
            if feature == CLUSTER && !has_cluster {
                left_out.push(package.to_owned());
            } else {
                features.push(format!("{package}/{feature}"));
            }
        }
    }
    (features, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_results_of_all_test_binaries_are_summed() {
        let mut counts = Counts::default();
        for line in [
            "running 3 tests",
            "test result: ok. 17 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 3.03s",
            "test result: FAILED. 1 passed; 4 failed; 0 ignored; 0 measured; 9 filtered out; finished in 0.01s",
            "the test result: ok. 100 passed; 100 failed",
            "test result: unknown",
        ] {
            counts.add(line);
        }
        assert_eq!(
            counts,
            Counts {
                passed: 18,
                failed: 4,
                ignored: 2
            }
        );
    }

    #[test]
    fn every_feature_is_set_but_cluster_without_a_control_plane() {
        let packages = [
            ("core", vec!["default", "testing"]),
            ("k8s", vec!["cluster"]),
            ("http", vec![]),
        ];
        let select = |has_cluster| select(packages.clone().into_iter(), has_cluster);
        assert_eq!(
            select(true),
            (
                vec!["core/testing".to_owned(), "k8s/cluster".to_owned()],
                vec![]
            )
        );
        assert_eq!(
            select(false),
            (vec!["core/testing".to_owned()], vec!["k8s".to_owned()])
        );
    }

    #[test]
    fn leftovers_are_named_and_ended() {
        let folder = tempfile::tempdir().expect("folder");
        let suite = Suite {
            features: vec![],
            left_out: vec![],
            variables: vec![],
            folder,
        };
        assert_eq!(suite.look_for_leftovers(), Ok(()));

        let mut orphan = std::process::Command::new("sleep")
            .arg("1000")
            .env("TMPDIR", suite.folder.path())
            .spawn()
            .expect("sleep");
        while suite.processes().is_empty() {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::fs::write(suite.folder.path().join("forgotten"), "").expect("write");
        let error = suite.leftovers(Duration::ZERO).expect_err("leftovers");
        assert!(
            error.contains(&format!("process {} (sleep 1000", orphan.id())),
            "{error}"
        );
        assert!(error.contains("/forgotten"), "{error}");
        let status = orphan.wait().expect("end");
        assert!(!status.success());
    }
}
