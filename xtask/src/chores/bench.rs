//! `cargo xtask bench`: the benches of all crates, those on the control plane included. What each measures is said in it;
//! the figures of record are in docs/benchmarks.md.

use super::{cluster, lint::cargo};

/// Builds the control plane if need be, and runs every bench target with every feature.
pub(crate) fn run() -> Result<(), String> {
    cluster::build()?;
    let args = ["bench", "--workspace", "--all-features", "--bench", "*"];
    let status = cargo().args(args).status();
    let status = status.map_err(|error| format!("cargo bench: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("cargo bench: {status}"))
    }
}
