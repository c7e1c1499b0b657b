//! `cargo xtask test`: every stage that CI runs, and at the end a line for each: passed, failed or not run.
//!
//! A stage runs also if an earlier one failed, so that a person sees all faults at once. `suite.rs` runs the tests; the other
//! stages are chores of their own.

mod suite;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use xtask::assets::{Assets, Locations};

use super::{lint, tidy};
use suite::{Counts, Suite};

/// How a stage ended.
enum Outcome {
    Passed(String),
    Failed(String),
    /// Outside of CI only: in CI a stage that cannot run has failed.
    NotRun(String),
}

impl From<Result<(), String>> for Outcome {
    fn from(result: Result<(), String>) -> Self {
        result.map_or_else(Self::Failed, |()| Self::Passed(String::new()))
    }
}

struct Stage {
    name: &'static str,
    outcome: Outcome,
    time: Duration,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, detail) = match &self.outcome {
            Outcome::Passed(detail) => ("ok", detail),
            Outcome::Failed(detail) => ("FAILED", detail),
            Outcome::NotRun(detail) => ("NOT RUN", detail),
        };
        let line = format!(
            "{:<14} {word:<8} {:>6.1} s  {detail}",
            self.name,
            self.time.as_secs_f64()
        );
        f.write_str(line.trim_end())
    }
}

/// The stages so far.
struct Account {
    stages: Vec<Stage>,
    is_ci: bool,
    interrupted: Arc<AtomicBool>,
}

impl Account {
    fn stage(&mut self, name: &'static str, run: impl FnOnce() -> Outcome) {
        eprintln!("── {name}");
        let start = Instant::now();
        let was_interrupted = self.interrupted.load(Ordering::Relaxed);
        let outcome = if was_interrupted {
            Outcome::NotRun("interrupted".to_owned())
        } else {
            run()
        };
        let outcome = match outcome {
            Outcome::NotRun(why) if self.is_ci => {
                Outcome::Failed(format!("not run, and CI leaves nothing out: {why}"))
            }
            outcome => outcome,
        };
        self.stages.push(Stage {
            name,
            outcome,
            time: start.elapsed(),
        });
    }

    /// The names of the stages that failed.
    fn failed(&self) -> Vec<&'static str> {
        let failed = self
            .stages
            .iter()
            .filter(|stage| matches!(stage.outcome, Outcome::Failed(_)));
        failed.map(|stage| stage.name).collect()
    }
}

/// Runs all stages. With `CI=true` nothing may be left out.
pub(crate) fn run() -> Result<(), String> {
    let is_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    // After Ctrl-C no further stage starts, but leftovers are still looked for.
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))
            .map_err(|error| error.to_string())?;
    }
    let locations = Locations::from_environment().map_err(|error| error.to_string())?;
    let mut account = Account {
        stages: Vec::new(),
        is_ci,
        interrupted: Arc::clone(&interrupted),
    };

    account.stage("lint", || lint::run().into());
    account.stage("tidy", || tidy::run().into());
    let mut has_cluster = false;
    account.stage("control plane", || {
        match Assets::ensure(&locations, &|step| eprintln!("{step}")) {
            Ok(assets) => {
                println!("{}", assets.describe());
                has_cluster = true;
                Outcome::Passed(String::new())
            }
            Err(error) if error.is_missing_go() => Outcome::NotRun(error.to_string()),
            Err(error) => Outcome::Failed(error.to_string()),
        }
    });

    let mut counts = Counts::default();
    match Suite::new(&locations, has_cluster) {
        Ok(suite) => {
            account.stage("tests", || {
                let outcome = suite.run(&mut counts, &interrupted);
                outcome.map_or_else(Outcome::Failed, |()| Outcome::Passed(suite.describe()))
            });
            let left_out = suite.left_out();
            if !left_out.is_empty() {
                account.stage("cluster tests", || {
                    let crates = left_out.join(", ");
                    Outcome::NotRun(format!(
                        "there is no control plane: the tests of {crates} that need one"
                    ))
                });
            }
            if counts.ignored > 0 {
                account.stage("ignored tests", || {
                    Outcome::NotRun(format!("{} of them", counts.ignored))
                });
            }
            // Also after an interruption, which is when leftovers are most likely.
            interrupted.store(false, Ordering::Relaxed);
            account.stage("leftovers", || suite.look_for_leftovers().into());
        }
        Err(error) => account.stage("tests", || Outcome::Failed(error)),
    }

    println!();
    for stage in &account.stages {
        println!("{stage}");
    }
    println!("{} passed, {} failed", counts.passed, counts.failed);
    match account.failed() {
        failed if failed.is_empty() => Ok(()),
        failed => Err(format!("{} failed", failed.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(is_ci: bool) -> Account {
        Account {
            stages: Vec::new(),
            is_ci,
            interrupted: Arc::default(),
        }
    }

    #[test]
    fn a_stage_that_is_not_run_fails_in_ci_only() {
        for (is_ci, expected) in [(false, vec![]), (true, vec!["b"])] {
            let mut account = account(is_ci);
            account.stage("a", || Outcome::Passed(String::new()));
            account.stage("b", || Outcome::NotRun("no Go".to_owned()));
            assert_eq!(account.failed(), expected);
            let line = account.stages[1].to_string();
            assert!(
                line.contains(if is_ci { "FAILED" } else { "NOT RUN" }) && line.ends_with("no Go"),
                "{line}"
            );
        }
    }

    #[test]
    fn a_failed_stage_does_not_keep_the_next_one_from_running() {
        let mut account = account(false);
        account.stage("a", || Outcome::Failed("x".to_owned()));
        account.stage("b", || Outcome::Passed(String::new()));
        assert_eq!(account.failed(), ["a"]);
        assert!(matches!(account.stages[1].outcome, Outcome::Passed(_)));
    }

    #[test]
    fn no_stage_starts_after_an_interruption() {
        let mut account = account(true);
        account.interrupted.store(true, Ordering::Relaxed);
        account.stage("a", || panic!("begun"));
        assert_eq!(account.failed(), ["a"]);
    }
}
