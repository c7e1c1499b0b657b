//! The built `hikaru`, as a user calls it: on the example folder, on real tags, on bad input.

mod alone;
mod bad_input;
mod callers;
mod confined;
mod connecting;
mod field;
#[cfg(feature = "cluster")]
#[allow(dead_code, reason = "only the tests of hikaru-http need all of it")]
#[path = "../../../hikaru-http/tests/it/issuer.rs"]
mod issuer;
mod job;
#[cfg(feature = "cluster")]
mod live;
mod rollout;
mod serve;
mod shop;
mod tag;
mod waiting;

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

/// What a run gave: exit code, standard output, standard error.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    /// What every run keeps: exactly one line says why the code is not 0, and where JSON is asked for there is JSON.
    #[track_caller]
    fn check(&self, args: &[&str]) {
        let Self { code, out, err } = self;
        assert!(!err.contains("panicked"), "{err}");
        let errors = err.lines().filter(|line| line.starts_with("error:"));
        let count = errors.count();
        // Where arguments are missing there may be a help instead. Bad flags are told before anybody has read what output is
        // wanted.
        let help = *code == 2 && count == 0 && err.contains("Usage: ");
        assert!(help || count == usize::from(*code != 0), "{code}: {err}");
        let wants_json = args.windows(2).any(|pair| pair == ["--output", "json"]);
        if *code != 2 && wants_json {
            assert!(self.json().is_array() || self.json().is_object(), "{out}");
        }
    }

    #[track_caller]
    fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "out: {}\nerr: {}", self.out, self.err);
        self
    }

    /// What is printed holds each of these.
    #[track_caller]
    fn prints(self, wanted: &[&str]) -> Self {
        for text in wanted {
            assert!(
                self.out.contains(text),
                "expected {text:?} in: {}",
                self.out
            );
        }
        self
    }

    /// What is told on standard error holds each of these.
    #[track_caller]
    fn tells(self, wanted: &[&str]) -> Self {
        for text in wanted {
            assert!(
                self.err.contains(text),
                "expected {text:?} in: {}",
                self.err
            );
        }
        self
    }

    #[track_caller]
    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).expect("JSON")
    }

    /// The table's row that holds this text.
    #[track_caller]
    fn row(&self, text: &str) -> &str {
        let row = self.out.lines().find(|line| line.contains(text));
        row.unwrap_or_else(|| panic!("no row {text:?} in: {}", self.out))
    }
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hikaru"));
    // Nothing of the caller's settings, nor of a pod's, reaches the test.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if ["HIKARU_", "K8S", "KUBE"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
        {
            command.env_remove(&*name);
        }
    }
    command.env("HOME", "/nowhere");
    command.args(args);
    command
}

/// Runs hikaru with these arguments to its end.
#[track_caller]
fn hikaru(args: &[&str]) -> Ran {
    run(&mut command(args))
}

/// Runs hikaru with these variables, too.
#[track_caller]
fn hikaru_with(variables: &[(&str, &str)], args: &[&str]) -> Ran {
    run(command(args).envs(variables.iter().copied()))
}

/// Runs a command to its end, and checks what all runs have in common.
#[track_caller]
fn run(command: &mut Command) -> Ran {
    let output = command.output().expect("hikaru runs");
    ran(command, output)
}

/// The same with this text on standard input.
#[track_caller]
fn run_with_input(command: &mut Command, input: &str) -> Ran {
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("hikaru runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    // A command that reads nothing has ended already.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("its end");
    ran(command, output)
}

#[track_caller]
fn ran(command: &Command, output: Output) -> Ran {
    let Output {
        status,
        stdout,
        stderr,
    } = output;
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let (out, err) = (text(stdout), text(stderr));
    let code = status.code().expect("an exit code");
    let ran = Ran { code, out, err };
    let args = command.get_args().map(|arg| arg.to_str().expect("UTF-8"));
    ran.check(&args.collect::<Vec<_>>());
    ran
}

/// A copy of a folder of `docs/examples` to work on.
fn example(name: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs/examples")
        .join(name);
    for entry in fs::read_dir(from).expect("the example") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name");
        fs::copy(&path, folder.path().join(name)).expect("a copy");
    }
    let path = folder.path().to_str().expect("UTF-8").to_owned();
    (folder, path)
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    let path = folder.path().to_str().expect("UTF-8").to_owned();
    (folder, path)
}

/// All files of a folder with their texts, sorted.
fn files(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| (path.clone(), fs::read_to_string(path).expect("a text")))
        .collect();
    files.sort();
    files
}
