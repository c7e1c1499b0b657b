//! What the supervisor does: start components, end them, and remove the data folder at the end.
//!
//! Which flags a component gets is not known here.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::{Answer, Component, Hello, Request, Status, claim::Claim};

/// How long a component may take to end before it is killed. Its data are thrown away in any case.
const PATIENCE: Duration = Duration::from_secs(3);

/// Runs until stdin ends or a signal comes. The data folder is made in `under`; the locks that keep
/// clusters apart are files in `claims`.
///
/// # Errors
/// When the folder cannot be made or no address is free; the caller should print it as one line.
pub fn supervise(under: &Path, claims: &Path) -> io::Result<()> {
    let (events, queue) = mpsc::channel();
    // First of all: from here on a signal is a request to end.
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let ended = events.clone();
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            // The queue is gone only when the supervisor is ending already.
            drop(ended.send(Event::End));
        }
    });

    let claim = Claim::take(claims)?;
    let folder = tempfile::Builder::new()
        .prefix("hikaru-cluster-")
        .tempdir_in(under)?;
    // Values are dropped in reverse order, so the components end before the folder is removed.
    let mut components = Components::default();
    let hello = Hello {
        folder: folder.path().to_owned(),
        endpoints: claim.endpoints,
    };
    write_line(&hello)?;

    std::thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if events.send(Event::Line(line)).is_err() {
                return;
            }
        }
        drop(events.send(Event::End));
    });
    while let Ok(Event::Line(line)) = queue.recv() {
        let answer = match serde_json::from_str(&line) {
            Ok(request) => components.serve(request),
            Err(error) => Answer::Failed(format!("unreadable request: {error}")),
        };
        if write_line(&answer).is_err() {
            break;
        }
    }
    drop(components);
    remove(&folder);
    Ok(())
}

enum Event {
    Line(String),
    End,
}

fn write_line(value: &impl serde::Serialize) -> io::Result<()> {
    let mut line = serde_json::to_string(value)?;
    line.push('\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(line.as_bytes())?;
    stdout.flush()
}

/// Removes the data folder. A grandchild may still be writing for a moment: try for a while.
fn remove(folder: &tempfile::TempDir) {
    for _ in 0..50 {
        match std::fs::remove_dir_all(folder.path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                std::thread::sleep(Duration::from_millis(100))
            }
            _ => return,
        }
    }
}

/// The components that were started and not stopped. Dropping it ends them all.
#[derive(Default)]
struct Components {
    children: BTreeMap<Component, Child>,
}

impl Components {
    fn serve(&mut self, request: Request) -> Answer {
        let result = match request {
            Request::Start {
                component,
                program,
                args,
                log,
            } => self.start(component, &program, &args, &log),
            Request::Stop { component, kill } => self.stop(component, kill),
            Request::Status => return Answer::Status(self.status()),
        };
        result.map_or_else(Answer::Failed, |()| Answer::Done)
    }

    fn start(
        &mut self,
        component: Component,
        program: &Path,
        args: &[String],
        log: &Path,
    ) -> Result<(), String> {
        if self.status().running.contains_key(&component) {
            return Err(format!("{component} runs already"));
        }
        let spawned = File::options()
            .create(true)
            .append(true)
            .open(log)
            .and_then(|output| {
                let errors = output.try_clone()?;
                Command::new(program)
                    .args(args)
                    .stdin(Stdio::null())
                    .stdout(output)
                    .stderr(errors)
                    .spawn()
            });
        let child = spawned.map_err(|error| format!("{}: {error}", program.display()))?;
        self.children.insert(component, child);
        Ok(())
    }

    fn stop(&mut self, component: Component, kill: bool) -> Result<(), String> {
        let mut child = self
            .children
            .remove(&component)
            .ok_or_else(|| format!("{component} does not run"))?;
        let signal = if kill { Signal::KILL } else { Signal::TERM };
        send(&mut child, signal);
        wait(&mut [child]);
        Ok(())
    }

    fn status(&mut self) -> Status {
        let mut status = Status::default();
        for (component, child) in &mut self.children {
            match child.try_wait() {
                Ok(None) => drop(status.running.insert(*component, child.id())),
                Ok(Some(how)) => drop(status.ended.insert(*component, how.to_string())),
                Err(error) => drop(status.ended.insert(*component, error.to_string())),
            }
        }
        status
    }

    fn end(&mut self, components: &[Component]) {
        let mut children: Vec<_> = components
            .iter()
            .filter_map(|component| self.children.remove(component))
            .collect();
        for child in &mut children {
            send(child, Signal::TERM);
        }
        wait(&mut children);
    }
}

impl Drop for Components {
    fn drop(&mut self) {
        // The clients first, together; then the API server; then the store.
        self.end(&[
            Component::Kwok,
            Component::Scheduler,
            Component::ControllerManager,
        ]);
        self.end(&[Component::Apiserver]);
        self.end(&[Component::Etcd]);
    }
}

/// Sends a signal, unless the child has ended: then another process may have its id.
fn send(child: &mut Child, signal: Signal) {
    if matches!(child.try_wait(), Ok(None)) {
        // It fails only if the process has ended meanwhile.
        kill_process(Pid::from_child(child), signal).ok();
    }
}

/// Waits until all have ended, and kills what has not after [`PATIENCE`].
fn wait(children: &mut [Child]) {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end
        && children
            .iter_mut()
            .any(|child| matches!(child.try_wait(), Ok(None)))
    {
        std::thread::sleep(Duration::from_millis(5));
    }
    for child in children {
        send(child, Signal::KILL);
        drop(child.wait());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(components: &mut Components, component: Component, script: &str, log: &Path) {
        let args = ["-c".to_owned(), script.to_owned()];
        components
            .start(component, Path::new("/bin/sh"), &args, log)
            .expect("start");
    }

    #[test]
    fn a_component_that_ended_by_itself_is_in_the_status() {
        let folder = tempfile::tempdir().expect("folder");
        let mut components = Components::default();
        start(
            &mut components,
            Component::Etcd,
            "exit 7",
            &folder.path().join("log"),
        );
        let end = Instant::now() + Duration::from_secs(20);
        while components.status().ended.is_empty() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        let ended = components.status().ended;
        assert_eq!(
            ended.get(&Component::Etcd).map(String::as_str),
            Some("exit status: 7")
        );
    }

    #[test]
    fn a_dropped_component_that_ignores_sigterm_is_killed() {
        let folder = tempfile::tempdir().expect("folder");
        let log = folder.path().join("log");
        let mut components = Components::default();
        start(
            &mut components,
            Component::Apiserver,
            "trap '' TERM; echo deaf; while :; do sleep 0.05; done",
            &log,
        );
        start(&mut components, Component::Etcd, "exec sleep 1000", &log);
        let pids: Vec<_> = components.status().running.into_values().collect();
        let end = Instant::now() + Duration::from_secs(20);
        while !std::fs::read_to_string(&log).expect("log").contains("deaf") && Instant::now() < end
        {
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(components);
        for pid in pids {
            let pid = Pid::from_raw(pid.cast_signed()).expect("pid");
            assert!(
                rustix::process::test_kill_process(pid).is_err(),
                "{pid:?} lives"
            );
        }
    }

    #[test]
    fn a_component_runs_once_and_a_program_must_exist() {
        let folder = tempfile::tempdir().expect("folder");
        let log = folder.path().join("log");
        let mut components = Components::default();
        start(&mut components, Component::Kwok, "exec sleep 1000", &log);
        let twice = components.start(Component::Kwok, Path::new("/bin/sh"), &[], &log);
        assert_eq!(twice, Err("kwok runs already".to_owned()));
        let missing = components.start(Component::Etcd, Path::new("/nonexistent/etcd"), &[], &log);
        assert!(
            missing
                .expect_err("missing")
                .starts_with("/nonexistent/etcd: ")
        );
        assert_eq!(
            components.stop(Component::Etcd, true),
            Err("etcd does not run".to_owned())
        );
    }
}
