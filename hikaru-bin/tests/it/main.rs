//! The built `hikaru`, as a user calls it: on the example folder, on real tags, on bad input.

mod alone;
mod bad_input;
mod confined;
mod connecting;
mod field;
mod job;
#[cfg(feature = "cluster")]
mod live;
mod serve;
mod shop;
mod tag;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
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
        if *code != 2 && args.ends_with(&["--output", "json"]) {
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

fn hikaru(args: &[&str]) -> Ran {
    run(&mut command(args))
}

fn run(command: &mut Command) -> Ran {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("hikaru runs");
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
