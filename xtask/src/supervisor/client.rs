//! The client of the supervisor, in the test process: finds its program, starts it, sends it requests.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use super::{Answer, Component, Endpoints, Hello, Request, Status};

/// The variable in which `cargo xtask test` hands the path of its own program to the tests.
pub const PROGRAM_VARIABLE: &str = "HIKARU_XTASK";

/// Why the supervisor cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SupervisorError {
    /// Its program could not be built or found.
    #[error("the supervisor's program, `xtask`, cannot be built: {0}")]
    Program(String),
    /// It could not be started.
    #[error("{program}: {source}")]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It ended, or its answer cannot be read.
    #[error("the supervisor is gone: {0}")]
    Gone(String),
    /// It could not do what was asked.
    #[error("{0}")]
    Failed(String),
}

/// A running supervisor. Dropping it ends the cluster, and waits for that.
#[derive(Debug)]
pub(crate) struct Supervisor {
    process: Child,
    /// `None` only while this value is dropped.
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    hello: Hello,
}

impl Supervisor {
    pub(crate) fn start(claims: &Path) -> Result<Self, SupervisorError> {
        let program = program()?;
        let under = std::env::temp_dir();
        let spawned = Command::new(&program)
            .arg("supervise")
            .arg("--under")
            .arg(&under)
            .arg("--claims")
            .arg(claims)
            .current_dir(&under)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        let mut process = spawned.map_err(|source| SupervisorError::Start { program, source })?;
        let (Some(requests), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(SupervisorError::Gone("it has no pipes".to_owned()));
        };
        let mut answers = BufReader::new(answers);
        let hello = read_line(&mut answers)?;
        Ok(Self {
            process,
            requests: Some(requests),
            answers,
            hello,
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.hello.folder
    }

    pub(crate) fn endpoints(&self) -> Endpoints {
        self.hello.endpoints
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn start_component(
        &mut self,
        component: Component,
        program: &Path,
        args: Vec<String>,
        log: &Path,
    ) -> Result<(), SupervisorError> {
        let request = Request::Start {
            component,
            program: program.to_owned(),
            args,
            log: log.to_owned(),
        };
        self.ask(&request).map(drop)
    }

    pub(crate) fn stop_component(
        &mut self,
        component: Component,
        kill: bool,
    ) -> Result<(), SupervisorError> {
        self.ask(&Request::Stop { component, kill }).map(drop)
    }

    pub(crate) fn status(&mut self) -> Result<Status, SupervisorError> {
        match self.ask(&Request::Status)? {
            Answer::Status(status) => Ok(status),
            other => Err(SupervisorError::Gone(format!(
                "expected a status, found {other:?}"
            ))),
        }
    }

    fn ask(&mut self, request: &Request) -> Result<Answer, SupervisorError> {
        let gone = |error: &dyn std::fmt::Display| SupervisorError::Gone(error.to_string());
        let mut line = serde_json::to_string(request).map_err(|error| gone(&error))?;
        line.push('\n');
        if let Some(requests) = &mut self.requests {
            requests
                .write_all(line.as_bytes())
                .map_err(|error| gone(&error))?;
        }
        match read_line(&mut self.answers)? {
            Answer::Failed(why) => Err(SupervisorError::Failed(why)),
            answer => Ok(answer),
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        drop(self.requests.take());
        // It ends within seconds, because it kills the components that do not end by themselves.
        drop(self.process.wait());
    }
}

fn read_line<T: serde::de::DeserializeOwned>(
    answers: &mut impl BufRead,
) -> Result<T, SupervisorError> {
    let mut line = String::new();
    answers
        .read_line(&mut line)
        .map_err(|error| SupervisorError::Gone(error.to_string()))?;
    if line.is_empty() {
        return Err(SupervisorError::Gone("it ended".to_owned()));
    }
    // A supervisor that cannot start says why in a line of plain text.
    serde_json::from_str(&line).map_err(|_| SupervisorError::Gone(line.trim().to_owned()))
}

/// The program `xtask`: the one that `cargo xtask test` names, else this process's own if that is `xtask`, else Cargo builds
/// it. Tests of other crates have no `CARGO_BIN_EXE_xtask`, and a program of an earlier build may differ from the sources.
fn program() -> Result<PathBuf, SupervisorError> {
    if let Some(path) = std::env::var_os(PROGRAM_VARIABLE).filter(|path| !path.is_empty()) {
        return Ok(PathBuf::from(path));
    }
    if let Ok(path) = std::env::current_exe()
        && path.file_stem().is_some_and(|name| name == "xtask")
        && path.is_file()
    {
        return Ok(path);
    }
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BUILT
        .get_or_init(build)
        .clone()
        .map_err(SupervisorError::Program)
}

fn build() -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut process = Command::new(cargo)
        .args([
            "build",
            "--quiet",
            "--package=xtask",
            "--bin=xtask",
            "--message-format=json-render-diagnostics",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cargo: {error}"))?;
    let mut text = String::new();
    if let Some(mut stdout) = process.stdout.take() {
        stdout
            .read_to_string(&mut text)
            .map_err(|error| error.to_string())?;
    }
    let status = process.wait().map_err(|error| error.to_string())?;
    if !status.success() {
        return Err(format!("cargo build: {status}"));
    }
    let messages = text
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut executables =
        messages.filter_map(|message| Some(PathBuf::from(message.get("executable")?.as_str()?)));
    executables
        .next_back()
        .ok_or_else(|| "cargo named no program".to_owned())
}
