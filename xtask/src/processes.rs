//! Finds processes that are not children of this one, in Linux's `/proc`: is one alive, which ones mention a text.
//!
//! Nothing here ends a process.

use std::io;

/// A process as others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub id: u32,
    /// Its command line.
    pub command: String,
}

/// Whether a process runs. A zombie does not: it only waits until its parent reads its exit status, and the parent of an
/// orphan can be a container's first process, which may never do so.
#[must_use]
pub fn is_alive(id: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // `pid (name) state …`, and the name may hold parentheses and spaces.
    let state = stat
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.trim_start().chars().next());
    state.is_some_and(|state| !"ZXx".contains(state))
}

/// The living processes that hold `text` in their command line or environment, without this one. Children inherit the
/// environment, so a text in it marks all descendants of a process.
///
/// # Errors
/// When `/proc` cannot be listed.
pub fn mentioning(text: &str) -> io::Result<Vec<Process>> {
    let own = std::process::id();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // A process can end meanwhile, and those of other users cannot be read: both count as empty.
        let read = |file: &str| {
            let bytes = std::fs::read(format!("/proc/{id}/{file}")).unwrap_or_default();
            String::from_utf8_lossy(&bytes).replace('\0', " ")
        };
        let command = read("cmdline");
        let mentions = command.contains(text) || read("environ").contains(text);
        if id != own && mentions && is_alive(id) {
            found.push(Process { id, command });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_is_found_by_a_text_in_its_command_until_it_ends() {
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
