//! The workspace as Cargo knows it: where it is, its packages, and how to call Cargo in it. Rules about packages are in
//! `chores/tidy`.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}

/// Cargo in the workspace's folder.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// A package of `cargo metadata`.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// The oldest Rust that compiles it, `1.89` or `1.89.0`, if it says so.
    pub(crate) rust_version: Option<String>,
    pub(crate) dependencies: Vec<Dependency>,
    /// Its Cargo features and what each turns on.
    pub(crate) features: serde_json::Map<String, serde_json::Value>,
}

/// A dependency as a manifest declares it.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `dev` or `build`; nothing for the usual kind.
    pub(crate) kind: Option<String>,
}

/// The members of the workspace.
pub(crate) fn members() -> Result<Vec<Package>, String> {
    metadata(&["--no-deps"])
}

/// The members, and all that they need on Linux, for tests too.
pub(crate) fn with_dependencies() -> Result<Vec<Package>, String> {
    metadata(&["--filter-platform", "x86_64-unknown-linux-gnu"])
}

/// The packages of a manifest that is no part of this workspace, such as that of the fuzz targets.
pub(crate) fn packages_of(manifest: &str) -> Result<Vec<Package>, String> {
    metadata(&["--no-deps", "--manifest-path", manifest])
}

fn metadata(args: &[&str]) -> Result<Vec<Package>, String> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    let mut command = cargo();
    command.args(["metadata", "--format-version=1"]).args(args);
    let failed = |why: String| format!("cargo metadata: {why}");
    let output = command
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let metadata = serde_json::from_slice(&output.stdout);
    let Metadata { packages } = metadata.map_err(|error| failed(error.to_string()))?;
    Ok(packages)
}
