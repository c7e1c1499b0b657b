//! `cargo xtask bench`: the benches of all crates, those on the control plane included, and one table of their figures at
//! the end. What each measures is said in it; docs/benchmarks.md has the goals.

use std::time::Instant;

use xtask::figures;

use super::cluster;
use crate::workspace::cargo;

/// Builds the control plane if need be, and runs every bench target with every feature. The table is printed also when a
/// bench has failed: of what was measured before.
pub(crate) fn run() -> Result<(), String> {
    cluster::build()?;
    let file = tempfile::NamedTempFile::new().map_err(|error| format!("a file: {error}"))?;
    let begun = Instant::now();
    let args = ["bench", "--workspace", "--all-features", "--bench", "*"];
    let status = cargo().args(args).env(figures::FILE, file.path()).status();
    let status = status.map_err(|error| format!("cargo bench: {error}"))?;
    let table = figures::table(file.path()).map_err(|error| format!("the figures: {error}"))?;
    println!(
        "\n{table}\nin {:.0} min",
        begun.elapsed().as_secs_f64() / 60.0
    );
    if status.success() {
        Ok(())
    } else {
        Err(format!("cargo bench: {status}"))
    }
}
