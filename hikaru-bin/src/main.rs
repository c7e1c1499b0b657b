//! The program `hikaru`: reads the arguments, puts the parts together, runs one command, gives its exit code. What a
//! command does is in `commands`, what the rules are in hikaru-core.

mod args;
mod cluster;
mod commands;
mod metrics;
mod terminal;

use std::process::ExitCode;

/// Quicker than glibc's in a heap of 100,000 records, and no larger: docs/benchmarks.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    commands::run(args::Args::read())
}
