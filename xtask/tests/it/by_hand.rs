//! `cargo xtask cluster up`, `env` and `down`, as a person uses them.

use std::os::unix::fs::symlink;
use std::process::{Command, Output};

use xtask::assets::{Assets, Locations, Program};
use xtask::processes::mentioning;

use crate::in_turn;

/// The command with its own cache, which shares only the programs with the usual cache: a cluster that a person has
/// started is not touched.
struct Commands {
    cache: tempfile::TempDir,
}

impl Commands {
    fn new() -> Self {
        let cache = tempfile::tempdir().expect("folder");
        let everybody = Locations::from_environment().expect("locations");
        let own = cache.path().join("hikaru");
        std::fs::create_dir(&own).expect("folder");
        symlink(everybody.control_planes(), own.join("control-plane")).expect("link");
        Self { cache }
    }

    fn run(&self, action: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command
            .args(["cluster", action])
            .env("HIKARU_CACHE", self.cache.path());
        command.output().expect("xtask")
    }

    /// What a command that succeeds prints.
    fn said(&self, action: &str) -> String {
        let output = self.run(action);
        assert!(
            output.status.success(),
            "{action}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Commands {
    fn drop(&mut self) {
        // Also after a failed assertion.
        self.run("down");
    }
}

#[test]
fn a_cluster_by_hand_goes_up_and_down() {
    let _turn = in_turn();
    let commands = Commands::new();
    let output = commands.run("env");
    assert!(!output.status.success());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains("no cluster is up: run `cargo xtask cluster up`"),
        "{stderr}"
    );

    let up = commands.said("up");
    assert!(
        up.starts_with("up\n") && up.contains("cargo xtask cluster down"),
        "{up}"
    );
    let again = commands.said("up");
    assert!(again.starts_with("already up at https://127."), "{again}");

    let variables = commands.said("env");
    let assets = Assets::find(&Locations::from_environment().expect("locations")).expect("assets");
    let kubectl = assets.program(Program::Kubectl).display();
    let script = format!("{variables}\n'{kubectl}' get nodes --output=name");
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &script])
        .env("KUBECACHEDIR", commands.cache.path());
    let shell = shell.output();
    let shell = shell.expect("sh");
    assert_eq!(
        String::from_utf8_lossy(&shell.stdout),
        "node/node-0\n",
        "{}",
        String::from_utf8_lossy(&shell.stderr)
    );

    let kubeconfig = variables
        .lines()
        .next()
        .and_then(|line| line.split('\'').nth(1))
        .expect("path");
    let folder = std::path::Path::new(kubeconfig).parent().expect("folder");
    assert!(folder.is_dir());
    assert_eq!(commands.said("down"), "down\n");
    assert!(!folder.exists());
    let left = mentioning(&folder.display().to_string()).expect("processes");
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(commands.said("down"), "no cluster is up\n");
}
