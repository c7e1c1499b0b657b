//! `cargo xtask cluster`: build the control plane, and one to use by hand.
//!
//! The cluster to use by hand belongs to a background process that holds a [`Cluster`] and waits for a signal. The process
//! keeps its state file locked. So the other commands know whether it runs: the lock ends when the process ends, but a
//! process id in a file can belong to another process by now.

use std::fs::{File, TryLockError};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use xtask::assets::{Assets, Locations, Program};
use xtask::{Cluster, ClusterOptions};

/// How long `down` waits for everything to end: each of three steps may take three seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// One line of JSON that the holding process prints.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Held {
    /// The holding process.
    holder: u32,
    /// The supervisor and the components.
    processes: Vec<u32>,
    url: String,
    kubeconfig: PathBuf,
    folder: PathBuf,
}

/// Builds the programs that are missing, and prints where each program is.
pub(crate) fn build() -> Result<(), String> {
    let assets = ensure()?;
    println!("{}", assets.describe());
    Ok(())
}

/// The programs, built where they are missing.
pub(crate) fn ensure() -> Result<Assets, String> {
    let locations = Locations::from_environment().map_err(|error| error.to_string())?;
    Assets::ensure(&locations, &|step| eprintln!("{step}")).map_err(|error| error.to_string())
}

/// Starts a cluster in the background.
pub(crate) fn up() -> Result<(), String> {
    let assets = ensure()?;
    let state = state_file()?;
    if let Some(held) = read(&state)? {
        println!("already up at {}", held.url);
        return usage(&held, &assets);
    }
    let program = std::env::current_exe().map_err(|error| format!("own program: {error}"))?;
    let mut process = Command::new(program)
        .args(["cluster", "hold", "--state"])
        .arg(&state)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|error| format!("own program: {error}"))?;
    let mut text = String::new();
    if let Some(stdout) = process.stdout.take() {
        let mut stdout = BufReader::new(stdout);
        stdout
            .read_line(&mut text)
            .map_err(|error| error.to_string())?;
        if serde_json::from_str::<Held>(&text).is_err() {
            // A holder that fails says why in plain text, and ends.
            stdout
                .read_to_string(&mut text)
                .map_err(|error| error.to_string())?;
        }
    }
    let held = serde_json::from_str(&text).map_err(|_| text.trim().to_owned())?;
    println!("up");
    usage(&held, &assets)
}

fn usage(held: &Held, assets: &Assets) -> Result<(), String> {
    println!();
    println!("  API server   {}", held.url);
    println!("  logs         {}", held.folder.display());
    println!(
        "  use it       eval \"$(cargo xtask cluster env)\"; {} get nodes",
        assets.program(Program::Kubectl).display()
    );
    println!("  stop it      cargo xtask cluster down");
    Ok(())
}

/// Stops the cluster in the background, and waits until it is gone.
pub(crate) fn down() -> Result<(), String> {
    let state = state_file()?;
    let Some(held) = read(&state)? else {
        println!("no cluster is up");
        return Ok(());
    };
    let pid = i32::try_from(held.holder).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| format!("{}: no process id", state.display()))?;
    // The supervisor sees the end of the pipe and ends the rest.
    kill_process(pid, Signal::TERM).map_err(|error| format!("process {}: {error}", held.holder))?;
    let end = Instant::now() + PATIENCE;
    while held.folder.exists() || is_locked(&state)? {
        if Instant::now() > end {
            return Err(format!(
                "{} is still there after {} s",
                held.folder.display(),
                PATIENCE.as_secs()
            ));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    println!("down");
    Ok(())
}

/// Prints the variables of the cluster in the background, for `eval`.
pub(crate) fn env() -> Result<(), String> {
    let locations = Locations::from_environment().map_err(|error| error.to_string())?;
    let assets = Assets::find(&locations).map_err(|error| error.to_string())?;
    let held = read(&state_file()?)?.ok_or("no cluster is up: run `cargo xtask cluster up`")?;
    let programs = assets
        .program(Program::KubeApiserver)
        .parent()
        .unwrap_or(Path::new(""));
    println!("export KUBECONFIG={}", quoted(&held.kubeconfig));
    println!("export KUBEBUILDER_ASSETS={}", quoted(programs));
    Ok(())
}

/// A path as one word of a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// Holds a cluster until this process is ended by a signal.
pub(crate) fn hold(state: Option<&Path>) -> Result<(), String> {
    match start_held(state) {
        Ok((_cluster, _lock)) => loop {
            std::thread::park();
        },
        Err(error) => {
            // The process that started this one reads stdout only.
            println!("{error}");
            Err(String::new())
        }
    }
}

fn start_held(state: Option<&Path>) -> Result<(Cluster, Option<File>), String> {
    let lock = match state {
        None => None,
        Some(path) => {
            let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
            let open = File::options()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(path);
            let file = open.map_err(|error| named(&error))?;
            file.try_lock()
                .map_err(|_| "a cluster is being started already".to_owned())?;
            file.set_len(0).map_err(|error| named(&error))?;
            Some(file)
        }
    };
    let cluster = Cluster::start(ClusterOptions::default()).map_err(|error| error.to_string())?;
    let processes = cluster.processes().map_err(|error| error.to_string())?;
    let held = Held {
        holder: std::process::id(),
        processes: processes
            .into_values()
            .chain([cluster.supervisor_process()])
            .collect(),
        url: cluster.url(),
        kubeconfig: cluster.kubeconfig(),
        folder: cluster.folder().to_owned(),
    };
    let line = serde_json::to_string(&held).map_err(|error| error.to_string())?;
    if let Some(mut file) = lock.as_ref() {
        file.write_all(line.as_bytes())
            .map_err(|error| error.to_string())?;
    }
    println!("{line}");
    Ok((cluster, lock))
}

/// One file a checkout: two of them do not disturb each other.
fn state_file() -> Result<PathBuf, String> {
    let locations = Locations::from_environment().map_err(|error| error.to_string())?;
    let folder = locations.cache.join("by-hand");
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let checkout: String = locations.xtask.display().to_string().replace('/', "-");
    Ok(folder.join(checkout.trim_start_matches('-')))
}

/// The cluster in the background, if there is one.
fn read(state: &Path) -> Result<Option<Held>, String> {
    if !is_locked(state)? {
        return Ok(None);
    }
    let text =
        std::fs::read_to_string(state).map_err(|error| format!("{}: {error}", state.display()))?;
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|_| "the cluster is being started: try again in a few seconds".to_owned())
}

fn is_locked(state: &Path) -> Result<bool, String> {
    match File::open(state) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(format!("{}: {error}", state.display())),
        Ok(file) => match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(format!("{}: {error}", state.display())),
        },
    }
}
