//! How fast the rules are: reading references and tags, verdicts, plans; beside oci-spec's parser of references and
//! semver's of versions, on the same inputs in the same run.
//!
//! Without arguments it prints times: medians of rounds in which all take their turn, so a machine that drifts drifts for
//! all of them. `operations` lists what else it can do, one a line: a name and two numbers of repetitions. `count NAME N`
//! does one of them N times and prints nothing: under `valgrind --tool=callgrind`, the difference between the two numbers
//! of repetitions gives the instructions of one, whatever it takes to start and to make the input. `series` and
//! `grow NAME SHORT LONG` are the same for inputs that grow. `cargo xtask instructions` and `cargo xtask test` do that.
#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

mod clock;
mod inputs;
mod operations;
mod series;
mod workloads;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match *args {
        [] => {
            clock::print();
            Some(())
        }
        ["operations"] => {
            for operation in operations::all() {
                let [few, many] = operation.repetitions;
                println!("{}\t{few}\t{many}", operation.name);
            }
            Some(())
        }
        ["series"] => {
            for series in series::ALL {
                println!("{}", series.name);
            }
            Some(())
        }
        ["count", name, n] => n.parse().ok().and_then(|n| operations::count(name, n)),
        ["grow", name, short, long] => match (short.parse(), long.parse()) {
            (Ok(short), Ok(long)) => series::grow(name, short, long),
            _ => None,
        },
        _ => None,
    };
    if done.is_some() {
        ExitCode::SUCCESS
    } else {
        println!(
            "expected nothing, `operations`, `series`, `count NAME N` or `grow NAME SHORT LONG`, found {args:?}"
        );
        ExitCode::FAILURE
    }
}
