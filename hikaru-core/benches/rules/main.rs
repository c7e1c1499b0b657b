//! How fast the rules are: reading references and tags, verdicts, plans, states of rollouts; beside oci-spec's parser of references and
//! semver's of versions, on the same inputs in the same run. Then whether reading takes linear time.
//!
//! Figures are medians of rounds in which all take their turn, so a machine that drifts drifts for all of them. With the
//! argument `linear` only the last question is answered. The bench fails if a parser is not linear.
#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

mod clock;
mod inputs;
mod rollouts;
mod series;
mod workloads;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let args: Vec<_> = std::env::args()
        .skip(1)
        .filter(|arg| arg != "--bench")
        .collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => clock::print(),
        ["linear"] => {}
        _ => {
            println!("expected nothing or `linear`, found {args:?}");
            return ExitCode::FAILURE;
        }
    }
    if series::are_linear() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
