//! The core's bench under valgrind's callgrind, which counts its instructions. What is counted, and what follows from it,
//! is elsewhere.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::Failure;
use crate::workspace::cargo;

const PACKAGE: &str = "hikaru-core";
const BENCH: &str = "rules";

/// Glibc copies long pieces of memory by an instruction that counts as one a byte, or by vectors, which count as one for
/// 32 bytes, as addresses have it. Vectors it shall be.
const ONE_WAY_TO_COPY: &str =
    "glibc.cpu.x86_rep_movsb_threshold=1000000000:glibc.cpu.x86_rep_stosb_threshold=1000000000";

/// The bench, built, and a valgrind to run it.
pub(super) struct Callgrind {
    bench: PathBuf,
    version: String,
}

impl Callgrind {
    /// Looks for valgrind, and builds the bench as `cargo bench` does.
    pub(super) fn of_the_bench() -> Result<Self, Failure> {
        let version = match Command::new("valgrind").arg("--version").output() {
            Ok(output) if output.status.success() => output.stdout,
            Ok(output) => return Err(format!("valgrind --version: {}", output.status).into()),
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(Failure::NoValgrind),
            Err(error) => return Err(format!("valgrind: {error}").into()),
        };
        Ok(Self {
            bench: build()?,
            version: String::from_utf8_lossy(&version).trim().to_owned(),
        })
    }

    /// Valgrind's name and version.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// The lines that the bench answers a word with.
    pub(super) fn list(&self, word: &str) -> Result<Vec<String>, String> {
        let output = Command::new(&self.bench).arg(word).output();
        let output = output.map_err(|error| format!("{BENCH} {word}: {error}"))?;
        if !output.status.success() {
            return Err(format!("{BENCH} {word}: {}", output.status));
        }
        let lines = String::from_utf8_lossy(&output.stdout);
        Ok(lines.lines().map(str::to_owned).collect())
    }

    /// How many instructions the bench executes with these arguments, from its first to its last.
    pub(super) fn instructions(&self, args: &[&str]) -> Result<u64, String> {
        let what = || format!("{BENCH} {} under callgrind", args.join(" "));
        let mut command = Command::new("valgrind");
        command
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(&self.bench)
            .args(args)
            // What a variable says changes nothing, and its length neither, but for one.
            .env_clear()
            .env("GLIBC_TUNABLES", ONE_WAY_TO_COPY)
            .stdin(Stdio::null());
        let output = command.output();
        let output = output.map_err(|error| format!("{}: {error}", what()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            let answered = String::from_utf8_lossy(&output.stdout);
            return Err(format!("{}: {}: {answered}{said}", what(), output.status));
        }
        collected(&said).ok_or_else(|| format!("{}: no count in {said}", what()))
    }
}

/// The sum in what callgrind says at the end: `==7== Collected : 126637`.
fn collected(said: &str) -> Option<u64> {
    let counts = said.lines().find_map(|line| {
        let (_, counts) = line.split_once("Collected :")?;
        Some(counts.trim())
    });
    counts?.parse().ok()
}

fn build() -> Result<PathBuf, String> {
    let mut command = cargo();
    command.args(["bench", "--no-run", "--package", PACKAGE, "--bench", BENCH]);
    command.arg("--message-format=json-render-diagnostics");
    command.stderr(Stdio::inherit());
    let output = command.output();
    let output = output.map_err(|error| format!("cargo bench: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo bench --no-run: {}", output.status));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    executable(&messages).ok_or_else(|| format!("cargo built no bench {BENCH}"))
}

/// The bench's program among cargo's messages, one in a line.
fn executable(messages: &str) -> Option<PathBuf> {
    messages.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let is_it = message["target"]["name"] == BENCH;
        let program = message["executable"].as_str()?;
        is_it.then(|| program.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_found() {
        let said = "==7== Events    : Ir\n==7== Collected : 126637\n==7== \n==7== I   refs:      126,637\n";
        assert_eq!(collected(said), Some(126_637));
        assert_eq!(collected("valgrind: cannot execute"), None);
    }

    #[test]
    fn the_program_is_found() {
        let messages = r#"
{"reason":"compiler-artifact","target":{"name":"hikaru_core"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"rules"},"executable":"/t/rules-0123"}
{"reason":"build-finished","success":true}
"#;
        assert_eq!(executable(messages), Some("/t/rules-0123".into()));
        assert_eq!(executable("no JSON"), None);
    }
}
