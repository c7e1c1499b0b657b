//! The program `hikaru`: reads the arguments, puts the parts together, runs one command, gives its exit code. What a
//! command does is in `commands`, what the rules are in hikaru-core.

mod args;
mod cluster;
mod commands;
mod metrics;
mod process;
mod progress;
mod terminal;

use std::process::ExitCode;

fn main() -> ExitCode {
    commands::run(args::Args::read())
}
