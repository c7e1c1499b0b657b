//! `hikaru serve` beside bare programs that do the least of the same. Each bench has a file: `post` and `start` on a real
//! API server without controllers, `hop` and `requests` on a stub of one (`stub`), `waits` on the
//! API server of the bench of that name of hikaru-k8s. What is measured in pairs is measured by
//! turns, so a machine that drifts drifts for both. Run by `cargo xtask bench`, or some of them:
//! `cargo bench -p hikaru-bin --features cluster --bench serve -- hop requests`. The figures of record are in
//! docs/benchmarks.md.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

mod hop;
#[path = "../../src/metrics.rs"]
mod metrics;
mod objects;
mod post;
#[path = "../../src/process.rs"]
mod process;
mod requests;
mod service;
mod start;
mod stub;
mod waits;

use std::time::{Duration, Instant};

fn main() {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| arg != "--bench")
        .collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        // The programs that are measured: this one again.
        ["bare-hop", url] => return hop::bare(url),
        ["bare-answers"] => return requests::bare(),
        ["our-answers", url] => return requests::ours(url),
        _ => {}
    }
    let benches: [(&str, fn()); 5] = [
        ("requests", requests::run),
        ("hop", hop::run),
        ("post", post::run),
        ("start", start::run),
        ("waits", waits::run),
    ];
    for (name, run) in benches {
        if args.is_empty() || args.iter().any(|arg| arg == name) {
            println!("── {name}");
            run();
        }
    }
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// Both figures of each pair, the first one first in every other pair. The pairs before `warm` are not counted.
fn pairs<T>(
    warm: usize,
    counted: usize,
    mut ours: impl FnMut() -> T,
    mut baseline: impl FnMut() -> T,
) -> Vec<(T, T)> {
    let mut pairs = Vec::new();
    for round in 0..warm + counted {
        let pair = if round % 2 == 0 {
            let ours = ours();
            (ours, baseline())
        } else {
            let baseline = baseline();
            (ours(), baseline)
        };
        if round >= warm {
            pairs.push(pair);
        }
    }
    pairs
}
