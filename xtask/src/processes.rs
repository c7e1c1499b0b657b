//! Looking at processes that are not our children: does this one live, which ones mention this text.
//!
//! Ending them is nobody's business here.

use std::io;
use std::path::Path;
use std::process::Command;

/// A process as others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub id: u32,
    /// Its command line.
    pub command: String,
}

/// Whether a process is there and does something. A zombie, which only waits for its parent to read
/// its exit status, does not count: the parent of an orphan may be a container's first process, and
/// those do not always care.
#[must_use]
pub fn is_alive(id: u32) -> bool {
    if !Path::new("/proc/self/stat").exists() {
        let pid = i32::try_from(id)
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        return pid.is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok());
    }
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // `pid (name) state …`, and the name may hold anything.
    let state = stat
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.trim_start().chars().next());
    state.is_some_and(|state| !"ZXx".contains(state))
}

/// The living processes that hold `text` in their command line or environment, this one left out. The
/// environment is passed on to children, so a text that is put there marks all descendants; where
/// there is no `/proc`, only the command line is seen.
///
/// # Errors
/// When processes cannot be listed.
pub fn mentioning(text: &str) -> io::Result<Vec<Process>> {
    let own = std::process::id();
    let processes = if Path::new("/proc/self/stat").exists() {
        from_proc(text)?
    } else {
        from_ps(text)?
    };
    Ok(processes
        .into_iter()
        .filter(|process| process.id != own && is_alive(process.id))
        .collect())
}

fn from_proc(text: &str) -> io::Result<Vec<Process>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // Processes end while we look, and those of others are closed to us.
        let read = |file: &str| {
            let bytes = std::fs::read(format!("/proc/{id}/{file}")).unwrap_or_default();
            String::from_utf8_lossy(&bytes).replace('\0', " ")
        };
        let command = read("cmdline");
        if command.contains(text) || read("environ").contains(text) {
            found.push(Process { id, command });
        }
    }
    Ok(found)
}

fn from_ps(text: &str) -> io::Result<Vec<Process>> {
    let output = Command::new("ps")
        .args(["-axo", "pid=,command="])
        .output()?;
    let listing = String::from_utf8_lossy(&output.stdout);
    let lines = listing.lines().filter(|line| line.contains(text));
    Ok(lines
        .filter_map(|line| {
            let (id, command) = line.trim_start().split_once(' ')?;
            Some(Process {
                id: id.parse().ok()?,
                command: command.to_owned(),
            })
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_found_by_its_words_until_it_ends() {
        let text = format!("hikaru-mark-{}", std::process::id());
        let mut marked = Command::new("sh");
        marked.args(["-c", "read line; exit", &text]);
        marked.stdin(std::process::Stdio::piped());
        let mut child = marked.spawn().expect("sh");
        // For a moment after it was started a process has no command line.
        let found = (0..1000).find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(5));
            mentioning(&text).expect("list").pop()
        });
        assert_eq!(found.map(|process| process.id), Some(child.id()));
        assert!(is_alive(child.id()));
        drop(child.stdin.take());
        child.wait().expect("end");
        assert!(!is_alive(child.id()));
        assert_eq!(mentioning(&text).expect("list"), []);
    }
}
