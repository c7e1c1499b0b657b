//! Which files of the folder are manifests: the walk, what it passes over, and symlinks. What is
//! in the files is not looked at here.

use hikaru_core::port::{Fault, Severity};
use ignore::gitignore::Gitignore;
use ignore::{DirEntry, WalkBuilder};
use std::collections::btree_map::{BTreeMap, Entry};
use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::text::encoding;

/// A file that names what the walk passes over, in gitignore's syntax.
const IGNORE_FILE: &str = ".hikaruignore";

/// Why an ignore file that cannot be read ends the call.
const CAREFUL: &str = "nothing was done, for what it names must not be touched";

/// A manifest.
#[derive(Debug)]
pub(super) struct Manifest {
    /// Its path below the folder.
    pub(super) file: String,
    /// Whether it can be named in an answer and found again by that: its name is UTF-8.
    pub(super) named: bool,
    /// Its real path, without symlinks.
    pub(super) path: PathBuf,
}

/// The manifests, sorted by path, and what could not be walked.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub(super) manifests: Vec<Manifest>,
    /// Files called `Kustomization`: no manifests, but they say which images run.
    pub(super) kustomizations: Vec<Manifest>,
    pub(super) faults: Vec<Fault>,
}

/// What the filter of the walk remembers; it has to be `'static`, hence the lock.
#[derive(Debug, Default)]
struct Seen {
    /// Directories that were entered by way of a symlink, by their real path: each once, so that
    /// links to links cost no more than the folder is large.
    linked: HashSet<PathBuf>,
    faults: Vec<Fault>,
    /// The first `.hikaruignore` that cannot be read. The library would pass over it.
    odd_ignore: Option<String>,
}

/// Walks the folder. `root` is a real path.
///
/// # Errors
/// A `.hikaruignore` cannot be read, so what must not be touched is not known. The sentence names the file and, for a
/// pattern, the line.
pub(super) fn walk(root: &Path) -> Result<Walked, String> {
    // The filter is not asked about the folder itself.
    let seen = Arc::new(Mutex::new(Seen {
        odd_ignore: odd_ignore(root, root),
        ..Seen::default()
    }));
    let filter = {
        let (root, seen) = (root.to_owned(), Arc::clone(&seen));
        move |entry: &DirEntry| {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            enters(&root, entry, &mut seen)
        }
    };
    let entries = WalkBuilder::new(root)
        .standard_filters(false)
        .hidden(false)
        .follow_links(true)
        .add_custom_ignore_filename(IGNORE_FILE)
        .sort_by_file_name(Ord::cmp)
        .filter_entry(filter)
        .build();
    let (ignored, _) = Gitignore::new(root.join(IGNORE_FILE));
    let mut parents = HashMap::new();
    let mut faults = Vec::new();
    let mut errors = BTreeMap::new();
    // By the real path: a file that is reached twice counts once, under its own name if that is
    // among them, else under the first.
    let mut found: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                if let Some((path, fault)) = error_fault(root, &error, &ignored) {
                    // The same entry by way of a link is the same fault, under its own name.
                    let real = path
                        .parent()
                        .and_then(|parent| fs::canonicalize(parent).ok());
                    let real = real
                        .zip(path.file_name())
                        .map(|(parent, name)| parent.join(name));
                    let own = real.as_deref() == Some(path);
                    let known = errors.entry(real.unwrap_or_else(|| path.to_owned()));
                    match known {
                        Entry::Occupied(mut known) if own => drop(known.insert(fault)),
                        Entry::Occupied(_) => {}
                        Entry::Vacant(free) => drop(free.insert(fault)),
                    }
                }
                continue;
            }
        };
        if let Some(error) = entry.error() {
            return Err(odd_pattern(root, error));
        }
        let Some(file) = manifest_name(&entry) else {
            continue;
        };
        if !entry.file_type().is_some_and(|kind| kind.is_file()) {
            if entry.file_type().is_some_and(|kind| !kind.is_dir()) {
                let place = below(root, &file);
                faults.push(Fault::new(
                    Severity::Warning,
                    place,
                    "is no regular file: passed over",
                ));
            }
            continue;
        }
        let path = match real(&entry, &mut parents) {
            Ok(path) => path,
            Err(error) => {
                let message = format!("cannot be read: {error}");
                faults.push(Fault::new(Severity::Failure, below(root, &file), message));
                continue;
            }
        };
        if !path.starts_with(root) {
            faults.push(leaves(root, &file, &path));
            continue;
        }
        let name = file.strip_prefix(root).unwrap_or(&file).to_owned();
        let own = path == file;
        let known = found.entry(path).or_insert_with(|| name.clone());
        if own {
            *known = name;
        }
    }
    let mut manifests: Vec<Manifest> = found
        .into_iter()
        .map(|(path, file)| Manifest {
            named: file.to_str().is_some(),
            file: file.display().to_string(),
            path,
        })
        .collect();
    manifests.sort_by(|a, b| a.file.cmp(&b.file));
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    faults.append(&mut seen.faults);
    faults.extend(errors.into_values());
    faults.sort_by(|a, b| a.place.cmp(&b.place));
    if let Some(odd) = seen.odd_ignore.take() {
        return Err(odd);
    }
    let of_kustomize = |manifest: &mut Manifest| !is_manifest(Path::new(&manifest.file));
    let kustomizations = manifests.extract_if(.., of_kustomize).collect();
    Ok(Walked {
        manifests,
        kustomizations,
        faults,
    })
}

/// Whether the walk takes an entry. Hidden ones and those of `.hikaruignore` never come here.
fn enters(root: &Path, entry: &DirEntry, seen: &mut Seen) -> bool {
    let path = entry.path();
    if !entry.file_type().is_some_and(|kind| kind.is_dir()) {
        return true;
    }
    // The folder itself may be named as it likes.
    if entry.depth() > 0 && entry.file_name().as_encoded_bytes().starts_with(b".") {
        return false;
    }
    // A chart's templates are no manifests.
    if entry.file_name() == "templates"
        && path
            .parent()
            .is_some_and(|chart| chart.join("Chart.yaml").exists())
    {
        return false;
    }
    let entered = match fs::canonicalize(path) {
        Ok(real) if real == path => true,
        Ok(real) if !real.starts_with(root) => {
            seen.faults.push(leaves(root, path, &real));
            false
        }
        Ok(real) => seen.linked.insert(real),
        // The walk meets the same error when it reads the directory, and reports it.
        Err(_) => true,
    };
    if entered && seen.odd_ignore.is_none() {
        seen.odd_ignore = odd_ignore(root, path);
    }
    entered
}

/// The sentence on a directory's `.hikaruignore` that cannot be read as text. `None`: it can be, or there is none.
fn odd_ignore(root: &Path, folder: &Path) -> Option<String> {
    let path = folder.join(IGNORE_FILE);
    let odd = match fs::read(&path) {
        // In a directory that cannot be entered the walk fails anyway.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(_) if fs::read_dir(folder).is_err() => return None,
        Err(error) => format!("cannot be read: {error}"),
        Ok(bytes) => odd_lines(&bytes)?,
    };
    Some(format!("{}: {odd}; {CAREFUL}", below(root, &path)))
}

/// What is wrong with a text that the library would cut into other lines than its author meant.
fn odd_lines(bytes: &[u8]) -> Option<String> {
    if let Some(encoding) = encoding(bytes) {
        return Some(format!("is {encoding}: save it as UTF-8"));
    }
    let Ok(text) = str::from_utf8(bytes) else {
        return Some("cannot be read: it is not UTF-8".to_owned());
    };
    let line = text.split('\n').position(|line| {
        let line = line.strip_suffix('\r').unwrap_or(line);
        line.contains(['\0', '\r', '\u{85}', '\u{2028}', '\u{2029}'])
    })?;
    Some(format!(
        "line {} holds a control character or the end of a line that is none here: write one pattern a line, lines ended by \
         line feeds",
        line + 1
    ))
}

/// The sentence on a pattern that cannot be read.
fn odd_pattern(root: &Path, error: &ignore::Error) -> String {
    let (mut place, mut error) = (IGNORE_FILE.to_owned(), error);
    loop {
        error = match error {
            ignore::Error::Partial(errors) if !errors.is_empty() => &errors[0],
            ignore::Error::WithPath { path, err } => {
                place = below(root, path);
                err
            }
            ignore::Error::WithLineNumber { line, err } => {
                place = format!("{place}:{line}");
                err
            }
            ignore::Error::WithDepth { err, .. } => err,
            error => return format!("{place}: is no pattern: {error}; {CAREFUL}"),
        };
    }
}

fn leaves(root: &Path, path: &Path, to: &Path) -> Fault {
    let message = format!(
        "is a symlink that leaves the folder, to {}: not followed",
        to.display()
    );
    Fault::new(Severity::Warning, below(root, path), message)
}

/// The path of an entry that is named as a manifest or as a Kustomize file.
fn manifest_name(entry: &DirEntry) -> Option<PathBuf> {
    let path = entry.path();
    (is_manifest(path) || entry.file_name() == "Kustomization").then(|| path.to_owned())
}

fn is_manifest(path: &Path) -> bool {
    path.extension()
        .is_some_and(|end| end == "yaml" || end == "yml" || end == "json")
}

/// The real path of a file. Those of directories are kept: a folder has few of them.
fn real(entry: &DirEntry, parents: &mut HashMap<PathBuf, PathBuf>) -> io::Result<PathBuf> {
    let path = entry.path();
    let (Some(parent), Some(name), false) =
        (path.parent(), path.file_name(), entry.path_is_symlink())
    else {
        return fs::canonicalize(path);
    };
    if let Some(parent) = parents.get(parent) {
        return Ok(parent.join(name));
    }
    let real = fs::canonicalize(parent)?;
    let path = real.join(name);
    parents.insert(parent.to_owned(), real);
    Ok(path)
}

/// The fault of an entry that could not be walked, and its path. `None`: the entry would be passed over anyway.
fn error_fault<'e>(
    root: &'e Path,
    error: &'e ignore::Error,
    ignored: &Gitignore,
) -> Option<(&'e Path, Fault)> {
    let (path, reason) = unwrap(error);
    let path = path.unwrap_or(root);
    let place = below(root, path);
    let link = path.is_symlink();
    if path.starts_with(root) && path != root {
        // The walk enters no hidden folder; whether this is one it could not find out. Editors leave hidden links that
        // lead nowhere beside what they edit.
        let hidden =
            place.split('/').any(|part| part.starts_with('.')) && (link || !is_manifest(path));
        if hidden || ignored.matched_path_or_any_parents(path, true).is_ignore() {
            return None;
        }
        // A broken link to something that would not be read anyway.
        if link && path.extension().is_some() && !is_manifest(path) {
            return None;
        }
    }
    let fault = match reason {
        Reason::Loop(ancestor) => {
            let to = below(root, ancestor);
            let message = format!("is a symlink that leads back to {to}: not followed");
            Fault::new(Severity::Warning, place, message)
        }
        Reason::Io(error) if link && !is_scarce(error) => {
            let message = format!("is a symlink that leads nowhere: {error}");
            Fault::new(Severity::Warning, place, message)
        }
        Reason::Io(error) => {
            // It may hold what is looked for.
            Fault::new(Severity::Failure, place, format!("cannot be read: {error}"))
        }
        Reason::Other(error) => Fault::new(Severity::Failure, place, error.to_string()),
    };
    Some((path, fault))
}

enum Reason<'e> {
    Loop(&'e Path),
    Io(&'e io::Error),
    Other(&'e ignore::Error),
}

/// The path and the reason inside the library's nested errors.
fn unwrap(error: &ignore::Error) -> (Option<&Path>, Reason<'_>) {
    match error {
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => {
            unwrap(err)
        }
        ignore::Error::WithPath { path, err } => {
            let (inner, reason) = unwrap(err);
            (inner.or(Some(path)), reason)
        }
        ignore::Error::Loop { ancestor, child } => (Some(child), Reason::Loop(ancestor)),
        ignore::Error::Io(error) => (None, Reason::Io(system(error))),
        other => (None, Reason::Other(other)),
    }
}

/// The system's own error: the walk wraps it in one that repeats the path.
fn system(error: &io::Error) -> &io::Error {
    let mut inner = error.get_ref().map(|error| error as &(dyn Error + 'static));
    while let Some(error) = inner {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return error;
        }
        inner = error.source();
    }
    error
}

/// A path below the folder, for messages.
fn below(root: &Path, path: &Path) -> String {
    match path.strip_prefix(root) {
        Ok(rest) if rest.as_os_str().is_empty() => ".".to_owned(),
        Ok(rest) => rest.display().to_string(),
        Err(_) => path.display().to_string(),
    }
}

/// Whether the machine lacks space or file descriptors now. The same call can succeed later.
pub(super) fn is_scarce(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let kind = error.kind();
    if kind == io::ErrorKind::StorageFull || kind == io::ErrorKind::QuotaExceeded {
        return true;
    }
    // The library for temporary files keeps the system's words, but not its number.
    let words = error.to_string();
    [Errno::MFILE, Errno::NFILE]
        .iter()
        .any(|code| words.starts_with(&io::Error::from(*code).to_string()))
}
