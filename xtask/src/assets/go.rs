//! The Go toolchain: finds it, checks its version, builds a package. `assets.rs` says which packages.

use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::AssetsError;

/// Why Go cannot build the control plane.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GoError {
    /// No `go` on the PATH.
    #[error(
        "building the test control plane needs Go {wanted} or newer, and no `go` was found on the PATH; \
         install it from https://go.dev/doc/install, or from your distribution if that is new enough"
    )]
    Missing {
        /// The version that `go.mod` asks for.
        wanted: String,
    },
    /// A `go` that is too old for the module.
    #[error(
        "building the test control plane needs Go {wanted} or newer, and `go` on the PATH is {found}; \
         install a newer one from https://go.dev/doc/install"
    )]
    Old {
        /// The version that `go.mod` asks for.
        wanted: String,
        /// What `go env GOVERSION` says.
        found: String,
    },
    /// The command failed.
    #[error("`{command}` failed ({status}); its last lines:\n{tail}")]
    Failed {
        /// The command as typed.
        command: String,
        /// Its exit status.
        status: String,
        /// The end of what it wrote to stderr.
        tail: String,
    },
    /// The command could not be started.
    #[error("`{command}`: {source}")]
    Run {
        /// The command as typed.
        command: String,
        /// Why.
        source: std::io::Error,
    },
}

/// A Go that is new enough.
#[derive(Debug)]
pub(super) struct Go {
    version: String,
}

impl fmt::Display for Go {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.version)
    }
}

impl Go {
    /// Finds `go` and compares it with the `go` line of the module in `folder`.
    pub(super) fn find(folder: &Path) -> Result<Self, AssetsError> {
        let path = folder.join("go.mod");
        let text =
            std::fs::read_to_string(&path).map_err(|source| super::file_error(&path, source))?;
        let wanted = text.lines().find_map(|line| line.strip_prefix("go "));
        let wanted = wanted
            .ok_or(AssetsError::GoMod {
                path,
                expected: "go 1.N",
            })?
            .trim()
            .to_owned();
        match run(command(folder).args(["env", "GOVERSION"])) {
            Ok(output) => Ok(judge(output.trim(), &wanted)?),
            Err(GoError::Run { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                Err(GoError::Missing { wanted }.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Builds one package of the module in `folder` into the file `output`.
    pub(super) fn build(
        &self,
        folder: &Path,
        ldflags: &str,
        package: &str,
        output: &Path,
    ) -> Result<(), GoError> {
        run(command(folder)
            .args(["build", "-mod=readonly", "-trimpath", "-buildvcs=false"])
            .arg(format!("-ldflags={ldflags}"))
            .arg("-o")
            .arg(output)
            .arg(package))
        .map(drop)
    }

    /// The folder of a module that the module in `folder` requires; downloaded if it is not there yet.
    pub(super) fn module_folder(&self, folder: &Path, module: &str) -> Result<String, GoError> {
        run(command(folder).args(["mod", "download", module]))?;
        let output =
            run(command(folder).args(["list", "-mod=readonly", "-m", "-f", "{{.Dir}}", module]))?;
        Ok(output.trim().to_owned())
    }
}

/// `go` with an environment in which the same sources give the same program on every machine. GOFLAGS is
/// set to a flag that is harmless, because an empty value would mean what `go env -w` has stored.
fn command(folder: &Path) -> Command {
    let mut command = Command::new("go");
    command.current_dir(folder).stdin(Stdio::null());
    command
        .env("GOFLAGS", "-mod=readonly")
        .env("GOTOOLCHAIN", "local")
        .env("GOWORK", "off")
        .env("CGO_ENABLED", "0");
    for foreign in ["GOOS", "GOARCH", "GOEXPERIMENT", "GO111MODULE"] {
        command.env_remove(foreign);
    }
    command
}

fn run(command: &mut Command) -> Result<String, GoError> {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let typed = words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ");
    let output = command.output().map_err(|source| GoError::Run {
        command: typed.clone(),
        source,
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<_> = text.lines().collect();
    let tail = lines
        .iter()
        .skip(lines.len().saturating_sub(20))
        .copied()
        .collect::<Vec<_>>()
        .join("\n");
    Err(GoError::Failed {
        command: typed,
        status: output.status.to_string(),
        tail,
    })
}

fn judge(found: &str, wanted: &str) -> Result<Go, GoError> {
    // `go1.26.8`, `go1.27rc1`, `devel go1.28-0a1b2c`: the first two numbers decide.
    let numbers = |text: &str| {
        let mut parts = text
            .split(|c: char| !c.is_ascii_digit())
            .filter(|part| !part.is_empty());
        let mut next = || parts.next().and_then(|part| part.parse::<u32>().ok());
        Some((next()?, next()?))
    };
    if numbers(found) >= numbers(wanted) && numbers(found).is_some() {
        Ok(Go {
            version: found.to_owned(),
        })
    } else {
        Err(GoError::Old {
            wanted: wanted.to_owned(),
            found: found.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_go_that_is_too_old_is_refused() {
        for found in [
            "go1.26.0",
            "go1.26.8",
            "go1.27rc1",
            "devel go1.28-0a1b2c3 Mon",
            "go2.0",
        ] {
            assert_eq!(judge(found, "1.26.0").expect(found).to_string(), found);
        }
        for found in ["go1.25.9", "go1.9", "go0.99", "", "unknown"] {
            let error = judge(found, "1.26.0").expect_err(found).to_string();
            assert!(error.contains("needs Go 1.26.0 or newer"), "{error}");
            assert!(
                error.contains(&format!("on the PATH is {found};")),
                "{error}"
            );
            assert!(error.contains("https://go.dev/doc/install"), "{error}");
        }
    }

    #[test]
    fn a_failed_command_shows_its_last_lines() {
        let mut command = Command::new("sh");
        let error = run(command.args(["-c", "seq 1 50 >&2; exit 3"]))
            .expect_err("failure")
            .to_string();
        assert!(error.contains("exit status: 3"), "{error}");
        assert!(
            error.ends_with("49\n50") && !error.contains("\n30\n"),
            "{error}"
        );
    }
}
