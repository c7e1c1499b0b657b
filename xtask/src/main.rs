//! `cargo xtask`: every chore of this workspace as a command.
//!
//! Here are the arguments; each chore has a file in `chores/`, and the control plane for tests is the library half of
//! this crate.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command for people at a terminal prints"
)]

mod chores;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Every chore of this workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Everything that CI checks: lint, tidy, the control plane, all tests, and that nothing is left behind.
    Test,
    /// rustfmt, clippy and rustdoc; every warning is an error.
    Lint,
    /// The architecture's invariants (docs/architecture.md).
    Tidy,
    /// Every bench, side by side with its baseline.
    Bench,
    /// The real control plane that tests run against.
    Cluster {
        #[command(subcommand)]
        action: ClusterAction,
    },
    /// Ends a cluster's processes when stdin ends. Started by the library, not by hand.
    #[command(hide = true)]
    Supervise {
        /// The folder in which the data folder is made.
        #[arg(long)]
        under: PathBuf,
        /// The folder of the locks that keep clusters apart.
        #[arg(long)]
        claims: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum ClusterAction {
    /// Build its programs, once for each version, into the cache folder.
    Build,
    /// Start one in the background, to try things by hand.
    Up,
    /// Stop it.
    Down,
    /// Print the variables that make kubectl and others use it: eval "$(cargo xtask cluster env)".
    Env,
    /// Start one, print it as a line of JSON, and hold it until this process ends.
    #[command(hide = true)]
    Hold {
        /// Write the line to this file too, and keep the file locked.
        #[arg(long)]
        state: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let Arguments { chore } = Arguments::parse();
    let result = match chore {
        Chore::Test => chores::test::run(),
        Chore::Lint => chores::lint::run(),
        Chore::Tidy => chores::tidy::run(),
        Chore::Bench => chores::bench::run(),
        Chore::Cluster { action } => match action {
            ClusterAction::Build => chores::cluster::build(),
            ClusterAction::Up => chores::cluster::up(),
            ClusterAction::Down => chores::cluster::down(),
            ClusterAction::Env => chores::cluster::env(),
            ClusterAction::Hold { state } => chores::cluster::hold(state.as_deref()),
        },
        Chore::Supervise { under, claims } => match xtask::supervisor::supervise(&under, &claims) {
            Ok(()) => Ok(()),
            Err(error) => {
                // The process that started this one reads stdout only.
                println!("{error}");
                Err(String::new())
            }
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            if !message.is_empty() {
                eprintln!("error: {message}");
            }
            ExitCode::FAILURE
        }
    }
}
