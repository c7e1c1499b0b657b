//! `cargo xtask lint`: rustfmt, clippy and rustdoc, with every warning an error.

use crate::workspace::cargo;

/// Runs all of them, also if one fails, so that a person sees all faults at once.
pub(crate) fn run() -> Result<(), String> {
    let checks: [(&str, &[&str]); 6] = [
        ("rustfmt", &["fmt", "--all", "--check"]),
        // Fuzz targets are no member of the workspace. Building them needs nightly Rust, formatting does not.
        (
            "rustfmt of the fuzz targets of hikaru-core",
            &[
                "fmt",
                "--manifest-path",
                "hikaru-core/fuzz/Cargo.toml",
                "--check",
            ],
        ),
        (
            "rustfmt of the fuzz targets of hikaru-http",
            &[
                "fmt",
                "--manifest-path",
                "hikaru-http/fuzz/Cargo.toml",
                "--check",
            ],
        ),
        (
            "clippy",
            &[
                "clippy",
                "--workspace",
                "--all-targets",
                "--all-features",
                "--quiet",
                "--",
                "-D",
                "warnings",
            ],
        ),
        (
            "rustdoc",
            &[
                "doc",
                "--workspace",
                "--no-deps",
                "--all-features",
                "--quiet",
            ],
        ),
        // As a crate that depends on it without features sees it.
        (
            "rustdoc of hikaru-core without features",
            &["doc", "--package", "hikaru-core", "--no-deps", "--quiet"],
        ),
    ];
    let mut failed = Vec::new();
    for (name, args) in checks {
        let mut command = cargo();
        command.args(args).env("RUSTDOCFLAGS", "-D warnings");
        let status = command
            .status()
            .map_err(|error| format!("cargo {}: {error}", args.join(" ")))?;
        if !status.success() {
            failed.push(name);
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("{} found something", failed.join(", ")))
    }
}
