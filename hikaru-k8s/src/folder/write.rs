//! Writing: changes to the workloads of one file, judged against what the file says now, put into a new file that takes the
//! old one's place in one step. What an edit may touch is in `crate::yaml`.
//!
//! What holds whatever happens: at each moment the manifest is either the old one or the new one, whole; a process that is
//! killed leaves at most a hidden temporary file, which no walk takes.
//!
//! Two processes never interleave on one file: each holds an advisory lock on it (`flock`) from reading to renaming. Editors
//! know no such lock, so the file is read and compared once more right before the rename. What stays open is an editor that
//! saves between that comparison and the rename, a few microseconds: its text would be lost. No system call could close that
//! without the editor's help. File systems without locks (some network shares) are written without one.

use hikaru_core::{Mode, WorkloadId, policy::Change, port::ClusterError};
use std::collections::{HashMap, HashSet};
use std::fs::{self, File, Metadata, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::NamedTempFile;

use super::read;
use super::text::{self, Unreadable};
use super::walk::is_scarce;
use crate::yaml::{self, Documents, Edit, Object, Piece, Place, Terms};

/// How long to wait for another program's lock on a file. hikaru holds it for milliseconds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two looks at a lock.
const LOCK_POLL: Duration = Duration::from_millis(5);

type Answer = Result<(), ClusterError>;

/// Writes changes to one file: each as if it were alone, all of the accepted ones with one rename. One answer for each. `file`
/// is how users know the file, and `path` is its real path.
pub(super) fn write(
    path: &Path,
    file: &str,
    terms: &Terms,
    changes: &[&Change],
    mode: Mode,
) -> Vec<Answer> {
    let opened = match Opened::open(path, file) {
        Ok(opened) => opened,
        Err(error) => return vec![Err(error); changes.len()],
    };
    let text = &opened.text;
    let mut answers = vec![Err(ClusterError::Stale); changes.len()];
    let mut of_document: HashMap<usize, Vec<(usize, Place)>> = HashMap::new();
    for (index, change) in changes.iter().enumerate() {
        if let Some(place) = place(change) {
            let of_document = of_document.entry(place.document()).or_default();
            of_document.push((index, place));
        }
    }
    let mut new = String::with_capacity(text.len() + 64 * changes.len());
    let mut at = 0;
    let mut accepted: Vec<usize> = Vec::new();
    for piece in Documents::new(text) {
        let Piece::Document(tree) = piece else {
            continue;
        };
        let Some(places) = of_document.get(&tree.number) else {
            continue;
        };
        let mut objects: Vec<Object> = Vec::new();
        // Objects that cannot be read are passed over: what was judged is not among them.
        yaml::read(&tree, terms, &mut |object| objects.extend(object.ok()));
        let by_place: HashMap<&Place, &Object> = objects.iter().map(|o| (&o.place, o)).collect();
        let mut written: HashSet<&WorkloadId> = HashSet::new();
        let (mut edits, mut indices) = (Vec::new(), Vec::new());
        for (index, place) in places {
            let change = changes[*index];
            // Only the first change of a workload is written: a second one was judged on the state that the first replaces.
            let object = by_place
                .get(place)
                .filter(|_| written.insert(&change.judged().id));
            match object.map(|object| plan(file, text, object, change)) {
                Some(Ok(more)) => {
                    edits.extend(more);
                    indices.push(*index);
                }
                Some(Err(error)) => answers[*index] = Err(error),
                None => {}
            }
        }
        if edits.is_empty() {
            continue;
        }
        match yaml::edit(text, tree.range.clone(), &objects, &edits, terms) {
            Ok(edited) => {
                new.push_str(text.get(at..tree.range.start).unwrap_or_default());
                new.push_str(&edited);
                at = tree.range.end;
                accepted.extend(indices);
            }
            // The document stays as it is.
            Err(problem) => {
                for index in indices {
                    answers[index] = Err(refused_edit(file, &problem));
                }
            }
        }
    }
    new.push_str(text.get(at..).unwrap_or_default());
    if accepted.is_empty() {
        return answers;
    }
    let replaced = match mode {
        Mode::Commit => opened.replace(path, file, &new),
        // Nothing is created, not even for a moment.
        Mode::DryRun => may_replace(path, file),
    };
    for index in accepted {
        answers[index] = replaced.clone();
    }
    answers
}

/// Writes a file of a folder that was not there. It is there as a whole or not at all, and no file is overwritten.
pub(super) fn create(folder: &Path, file: &str, text: &str, mode: Mode) -> Answer {
    let path = folder.join(file);
    let exists = || {
        ClusterError::Exists(format!(
            "there is a file {file} already: hikaru overwrites none"
        ))
    };
    if path.symlink_metadata().is_ok() {
        return Err(exists());
    }
    if mode == Mode::DryRun {
        return Ok(());
    }
    let failed = |error: io::Error| refused(error, file, "written");
    let mut temporary = temporary(folder, 0o644).map_err(failed)?;
    temporary.write_all(text.as_bytes()).map_err(failed)?;
    temporary.as_file().sync_all().map_err(failed)?;
    match temporary.persist_noclobber(&path) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Err(exists()),
        Err(error) => Err(failed(error.error)),
    }
}

/// A hidden file, which no walk takes. It is deleted unless it is renamed.
fn temporary(folder: &Path, mode: u32) -> io::Result<NamedTempFile> {
    tempfile::Builder::new()
        .prefix(".hikaru-")
        .suffix(".tmp")
        .permissions(fs::Permissions::from_mode(mode))
        .tempfile_in(folder)
}

/// Where in its file a change's workload stood.
fn place(change: &Change) -> Option<Place> {
    let origin = change.judged().id.origin.as_deref()?;
    Place::parse(origin.rsplit_once('#')?.1)
}

/// The edits of a change, if what it was judged on still holds for the object that stands in its place now.
fn plan<'o>(
    file: &str,
    text: &str,
    object: &'o Object,
    change: &'o Change,
) -> Result<Vec<Edit<'o>>, ClusterError> {
    let mut now = read::workload(file, &object.place, object.workload.clone());
    // Overrides stand in other files, which are not read again here: they are taken as they were judged.
    for container in &mut now.containers {
        if let Some(judged) = change.judged().container(&container.name) {
            container.overridden = judged.overridden.clone();
        }
    }
    // Another workload in its place: documents have moved.
    if now.id != change.judged().id || !change.holds_for(&now) {
        return Err(ClusterError::Stale);
    }
    let mut edits = Vec::new();
    for (judged, edit) in change.edited() {
        let container = now
            .containers
            .iter()
            .position(|container| container == judged)
            .ok_or(ClusterError::Stale)?;
        let edit = Edit {
            object,
            container,
            to: edit.to(),
        };
        yaml::check(text, &edit).map_err(|problem| refused_edit(file, &problem))?;
        edits.push(edit);
    }
    Ok(edits)
}

fn refused_edit(file: &str, problem: &yaml::Problem) -> ClusterError {
    let place = text::place(file, problem.mark);
    ClusterError::Invalid(format!("{place}: {}", problem.message))
}

/// A file that is locked, and what it said then.
struct Opened {
    /// Holds the lock until it is dropped.
    _handle: File,
    metadata: Metadata,
    text: String,
}

impl Opened {
    fn open(path: &Path, file: &str) -> Result<Self, ClusterError> {
        let start = Instant::now();
        loop {
            let mut handle = match File::open(path) {
                Ok(handle) => handle,
                Err(error) => return Err(gone_or(error, file, "read")),
            };
            match handle.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) if start.elapsed() < LOCK_TIMEOUT => {
                    std::thread::sleep(LOCK_POLL);
                    continue;
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(ClusterError::Unavailable {
                        message: format!(
                            "{file}: another program has locked it for more than {} s",
                            LOCK_TIMEOUT.as_secs()
                        ),
                        retry_after: None,
                    });
                }
                // This file system has no locks.
                Err(TryLockError::Error(_)) => {}
            }
            let metadata = handle
                .metadata()
                .map_err(|error| gone_or(error, file, "read"))?;
            // The holder of the lock before may have put a new file in its place.
            match fs::metadata(path) {
                Ok(now) if same_file(&metadata, &now) => {}
                Ok(_) if start.elapsed() < LOCK_TIMEOUT => continue,
                Ok(_) => return Err(ClusterError::Stale),
                Err(error) => return Err(gone_or(error, file, "read")),
            }
            if !metadata.is_file() {
                return Err(ClusterError::Stale);
            }
            let text = text::text(&mut handle).map_err(|unreadable| match unreadable {
                Unreadable::Io(error) => gone_or(error, file, "read"),
                // It was text when it was judged.
                _ => ClusterError::Stale,
            })?;
            return Ok(Self {
                _handle: handle,
                metadata,
                text,
            });
        }
    }

    /// Puts a new text in the file's place.
    fn replace(&self, path: &Path, file: &str, new: &str) -> Result<(), ClusterError> {
        let folder = path.parent().ok_or(ClusterError::Stale)?;
        let failed = |error: io::Error| refused(error, file, "written");
        let mut temporary = temporary(folder, 0o600).map_err(failed)?;
        temporary.write_all(new.as_bytes()).map_err(failed)?;
        self.dress(temporary.as_file()).map_err(failed)?;
        temporary.as_file().sync_all().map_err(failed)?;
        if !self.is_current(path) {
            return Err(ClusterError::Stale);
        }
        temporary
            .persist(path)
            .map_err(|error| failed(error.error))?;
        // Only a power cut can undo the rename now.
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .or_else(|error| match error.kind() {
                // Some file systems cannot sync a directory.
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported => Ok(()),
                _ => Err(ClusterError::Lost(format!(
                    "{file}: the folder could not be synced: {error}"
                ))),
            })
    }

    /// Gives the new file the mode of the old one, and its owner where the system allows that.
    fn dress(&self, new: &File) -> io::Result<()> {
        let now = new.metadata()?;
        let (uid, gid) = (self.metadata.uid(), self.metadata.gid());
        if (now.uid(), now.gid()) != (uid, gid) {
            let owner = Some(rustix::fs::Uid::from_raw(uid));
            let group = Some(rustix::fs::Gid::from_raw(gid));
            // Only root may give files away. The group alone is a member's right.
            if rustix::fs::fchown(new, owner, group).is_err() {
                let _ = rustix::fs::fchown(new, None, group);
            }
        }
        // After the owner: a change of owner drops bits of the mode.
        new.set_permissions(self.metadata.permissions())
    }

    /// Whether the file is still what was read.
    fn is_current(&self, path: &Path) -> bool {
        let Ok(now) = fs::metadata(path) else {
            return false;
        };
        if !same_file(&self.metadata, &now) || now.len() != self.text.len() as u64 {
            return false;
        }
        File::open(path)
            .and_then(|file| says(file, self.text.as_bytes()))
            .unwrap_or(false)
    }
}

/// Whether a file holds exactly this, without holding it twice.
fn says(mut file: File, mut expected: &[u8]) -> io::Result<bool> {
    let mut buffer = [0; 16 * 1024];
    loop {
        let read = match file.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        if read == 0 {
            return Ok(expected.is_empty());
        }
        let Some(rest) = expected.strip_prefix(&buffer[..read]) else {
            return Ok(false);
        };
        expected = rest;
    }
}

fn same_file(a: &Metadata, b: &Metadata) -> bool {
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// Whether `replace` has the rights that it needs, as far as that can be known without trying.
fn may_replace(path: &Path, file: &str) -> Result<(), ClusterError> {
    let folder = path.parent().ok_or(ClusterError::Stale)?;
    rustix::fs::access(
        folder,
        rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK,
    )
    .map_err(|error| refused(error.into(), file, "written"))
}

/// A file that is not there any more is stale: reading finds out that it is gone.
fn gone_or(error: io::Error, file: &str, done: &str) -> ClusterError {
    match error.kind() {
        io::ErrorKind::NotFound => ClusterError::Stale,
        _ => refused(error, file, done),
    }
}

/// The error for an operation on a file that the operating system refused; `done`: `read`, `written`.
pub(super) fn refused(error: io::Error, file: &str, done: &str) -> ClusterError {
    let reason = error.to_string();
    // The library for temporary files adds their name, which says nothing to anybody.
    let reason = reason.split(" at path ").next().unwrap_or_default();
    let message = format!("{file}: cannot be {done}: {reason}");
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            ClusterError::Forbidden(message)
        }
        _ if is_scarce(&error) => ClusterError::Unavailable {
            message,
            retry_after: None,
        },
        _ => ClusterError::Invalid(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_editor_saves_before_the_rename_is_not_lost() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("web.yaml");
        let names = || {
            fs::read_dir(folder.path())
                .map(|entries| entries.count())
                .ok()
        };
        type Save = fn(&Path) -> io::Result<()>;
        let saves: [(&str, Save); 4] = [
            ("in place, same length", |path| fs::write(path, "edited")),
            ("in place, longer", |path| fs::write(path, "edited again")),
            ("a new file", |path| {
                let new = path.with_extension("new");
                fs::write(&new, "edited")?;
                fs::rename(new, path)
            }),
            ("removed", |path| fs::remove_file(path)),
        ];
        for (how, save) in saves {
            fs::write(&path, "before").expect(how);
            let opened = Opened::open(&path, "web.yaml").expect(how);
            save(&path).expect(how);
            let expected = fs::read_to_string(&path).ok();
            let replaced = opened.replace(&path, "web.yaml", "after");
            assert_eq!(replaced, Err(ClusterError::Stale), "{how}");
            assert_eq!(fs::read_to_string(&path).ok(), expected, "{how}");
            assert_eq!(names(), Some(usize::from(expected.is_some())), "{how}");
        }
        fs::write(&path, "before").expect("written");
        let opened = Opened::open(&path, "web.yaml").expect("opened");
        assert_eq!(opened.replace(&path, "web.yaml", "after"), Ok(()));
        assert_eq!(fs::read_to_string(&path).ok().as_deref(), Some("after"));
        assert_eq!(names(), Some(1));
    }

    #[test]
    fn the_systems_reason_is_said() {
        for (code, expected) in [
            (
                13,
                "not allowed: web.yaml: cannot be written: Permission denied (os error 13)",
            ),
            (
                30,
                "not allowed: web.yaml: cannot be written: Read-only file system (os error 30)",
            ),
            (
                28,
                "unavailable: web.yaml: cannot be written: No space left on device (os error 28)",
            ),
            (
                122,
                "unavailable: web.yaml: cannot be written: Disk quota exceeded (os error 122)",
            ),
            (
                24,
                "unavailable: web.yaml: cannot be written: Too many open files (os error 24)",
            ),
            (
                21,
                "refused: web.yaml: cannot be written: Is a directory (os error 21)",
            ),
        ] {
            let error = refused(io::Error::from_raw_os_error(code), "web.yaml", "written");
            assert_eq!(error.to_string(), expected);
        }
        // So does the library for temporary files say it.
        let wrapped = io::Error::other("Too many open files (os error 24) at path \"/srv/.tmpX\"");
        let expected =
            "unavailable: web.yaml: cannot be written: Too many open files (os error 24)";
        assert_eq!(
            refused(wrapped, "web.yaml", "written").to_string(),
            expected
        );
    }
}
