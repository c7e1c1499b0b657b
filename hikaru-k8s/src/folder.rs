//! A folder of manifests as a cluster: the port's methods on files, and how many calls work on files at once. Which files there
//! are (`walk`), what is in them (`read`), what decides images beside them (`overrides`), how bad it is that something cannot
//! be read (`severity`), how a file is written (`write`), where marks stand (`marks`), and Jobs (`jobs`, `objects`) each have
//! their own file; YAML is read and edited in `crate::yaml` only.

use async_trait::async_trait;
use hikaru_core::{
    Mode, Text, Workload, WorkloadId,
    policy::Change,
    port::{ClusterError, Found, Freshness, Scope, Select, WorkloadPort, Written},
    text::Escaped,
    workload::{IdentityKeys, WorkloadName},
};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Semaphore;

mod jobs;
mod marks;
mod objects;
mod overrides;
mod read;
mod severity;
mod text;
mod walk;
mod write;

use overrides::Overrides;
use severity::Concern;
use walk::Walked;

use crate::{
    kind::{AddedKind, Kinds},
    yaml::{Object, Terms},
};

/// Files below which one thread reads them all: starting another takes as long.
const FEW: usize = 64;
/// Most threads that read files. Each holds one file and its tree at a time, at most 60 MB.
const READERS: usize = 4;
/// Most threads that write files. Syncing is most of the time of a write, and the disk syncs many files at once: 2,000 files
/// took 0.9 s one by one, 0.4 s with sixteen; more gained nothing.
const WRITERS: usize = 16;

/// Calls that read at once. Each reads with some threads of its own, so more would only take more memory.
const READING: usize = 2;
/// Posts that write at once: each writes with some threads of its own. With one alone, a file that another program has locked would
/// hold up every other post.
const WRITING: usize = 2;

/// A folder of Kubernetes manifests as a cluster.
///
/// All `*.yaml`, `*.yml` and `*.json` below the folder are read: several documents a file, lists,
/// Deployments, StatefulSets, DaemonSets and CronJobs. Passed over are hidden folders,
/// `templates/` beside a `Chart.yaml`, and what `.hikaruignore` names (in gitignore's syntax; in
/// each folder, none above the folder itself). Symlinks are followed, but never out of the folder.
///
/// - A workload's origin is `path/below/the/folder.yaml#N`, N being the document's number from 1,
///   and `#N.M` for the item M of the list in document N. The same name in two files is two
///   workloads. Its uid is empty, its namespace `default` where the manifest names none.
/// - What cannot be read is a fault with file, line and column. It is a failure only if its text
///   (of the document, or of the file where no document can be read) holds the repository that is
///   asked for; asked for by name, if the file is one of those named; asked for everything, never. A
///   file or folder that the system does not let us read is always a failure: it may hold what is
///   asked for. A `.hikaruignore` that cannot be read ends the call: what must not be touched is not
///   known.
/// - A write changes the bytes of image scalars and nothing else. It reads the file again, judges
///   the change against that, writes a temporary file beside it, syncs it, gives it the mode and,
///   where possible, the owner of the old one, and renames it over the old one (over the target
///   of a symlink). Extended attributes and hard links are not kept. An image that is reached
///   through an alias or a merge key, or shared through an anchor, is refused with its place.
/// - High-water marks are read and honored; none is written, because a `git revert` would take it
///   back with the image.
/// - A dry run does everything but writing: it looks whether the folder may be written to, and
///   creates nothing.
///
/// Cheap to clone. Files are read and written on the runtime's blocking threads.
///
/// ```
/// use hikaru_core::{Build, Mode, Request, TagFormats, upgrade, workload::IdentityKeys};
/// use hikaru_k8s::{Folder, SystemClock};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = Folder::open("deploy", IdentityKeys::default())?;
/// let build = Build::parse("acme/web:acme_web_main_1.4.0_7_0123abcd", &TagFormats::default())?;
/// let report = upgrade(&folder, &SystemClock::default(), Request::new(build), Mode::DryRun).await?;
/// for fault in &report.faults {
///     eprintln!("{}: {}", fault.place, fault.message);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Folder {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// The folder's real path.
    root: PathBuf,
    terms: Terms,
    reading: Arc<Semaphore>,
    writing: Arc<Semaphore>,
}

/// How a folder is worked with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FolderSettings {
    /// The labels that say what a workload is built from.
    pub keys: IdentityKeys,
    /// Kinds that are looked at besides those of Kubernetes.
    pub kinds: Vec<AddedKind>,
}

impl Default for FolderSettings {
    fn default() -> Self {
        IdentityKeys::default().into()
    }
}

impl From<IdentityKeys> for FolderSettings {
    /// No kinds but those of Kubernetes.
    fn from(keys: IdentityKeys) -> Self {
        Self {
            keys,
            kinds: Vec::new(),
        }
    }
}

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is nothing of that name.
    #[error("there is no folder {}", .0.display())]
    Missing(PathBuf),
    /// It is a file or something else.
    #[error("{} is no folder", .0.display())]
    NotAFolder(PathBuf),
    /// The operating system refuses to read it.
    #[error("the folder {} cannot be read: {reason}", path.display())]
    Unreadable {
        /// The folder.
        path: PathBuf,
        /// The operating system's reason.
        reason: io::Error,
    },
}

impl Folder {
    /// Opens a folder. Takes a few system calls; its files are not looked at yet, and an empty
    /// folder is a cluster without workloads.
    ///
    /// # Errors
    /// When it is not there, no folder, or cannot be listed.
    pub fn open(
        folder: impl AsRef<Path>,
        settings: impl Into<FolderSettings>,
    ) -> Result<Self, OpenError> {
        let FolderSettings { keys, kinds } = settings.into();
        let path = folder.as_ref();
        let failed = |reason: io::Error| match reason.kind() {
            io::ErrorKind::NotFound => OpenError::Missing(path.to_owned()),
            io::ErrorKind::NotADirectory => OpenError::NotAFolder(path.to_owned()),
            _ => OpenError::Unreadable {
                path: path.to_owned(),
                reason,
            },
        };
        let root = fs::canonicalize(path).map_err(failed)?;
        fs::read_dir(&root).map_err(failed)?;
        Ok(Self {
            inner: Arc::new(Inner {
                root,
                terms: Terms {
                    keys,
                    kinds: Kinds::with(&kinds),
                },
                reading: Arc::new(Semaphore::new(READING)),
                writing: Arc::new(Semaphore::new(WRITING)),
            }),
        })
    }

    /// The folder's real path.
    pub fn path(&self) -> &Path {
        &self.inner.root
    }

    /// Reads files on a blocking thread; when `READING` calls do so already, after one of them has ended.
    async fn on_files<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, ClusterError> + Send + 'static,
    ) -> Result<T, ClusterError> {
        let inner = Arc::clone(&self.inner);
        let done = blocking(&self.inner.reading, move || work(&inner)).await;
        done.unwrap_or_else(|| Err(broke_off())).map_err(shown)
    }
}

#[async_trait]
impl WorkloadPort for Folder {
    /// Fresh as long as the folder is there: nothing is kept of it between calls.
    fn freshness(&self) -> Freshness {
        if self.inner.root.is_dir() {
            Freshness::Fresh
        } else {
            Freshness::Stale {
                reason: Some(format!("{} is no folder", self.inner.root.display())),
            }
        }
    }

    async fn find(&self, scope: &Scope) -> Result<Found, ClusterError> {
        let scope = scope.clone();
        self.on_files(move |inner| inner.find(&scope)).await
    }

    async fn read(&self, id: &WorkloadId) -> Result<Option<Workload>, ClusterError> {
        let id = id.clone();
        self.on_files(move |inner| inner.read(&id)).await
    }

    async fn write(&self, change: &Change, mode: Mode) -> Result<Written, ClusterError> {
        let written = self.write_all(std::slice::from_ref(change), mode).await;
        written.into_iter().next().unwrap_or_else(|| Err(lost()))
    }

    /// Reads and writes each file once. A post that has begun to write goes on when its caller leaves.
    async fn write_all(
        &self,
        changes: &[Change],
        mode: Mode,
    ) -> Vec<Result<Written, ClusterError>> {
        let (inner, changes) = (Arc::clone(&self.inner), changes.to_vec());
        let count = changes.len();
        let written = blocking(&self.inner.writing, move || inner.write(&changes, mode)).await;
        written.unwrap_or_else(|| vec![Err(lost()); count])
    }

    /// Refused: a user removes the marks by hand. The error names file and line of each mark.
    async fn unhold(
        &self,
        workload: &WorkloadName,
        container: Option<Text>,
    ) -> Result<Vec<(Text, Text)>, ClusterError> {
        let workload = workload.clone();
        self.on_files(move |inner| inner.unhold(&workload, container.as_ref()))
            .await
    }
}

impl Inner {
    fn find(&self, scope: &Scope) -> Result<Found, ClusterError> {
        let walked = walk::walk(&self.root).map_err(ClusterError::Invalid)?;
        let concern = Concern::of(scope);
        let mut faults = walked.faults.clone();
        let overrides = Overrides::read(&walked, &self.root, &concern, &mut faults);
        let overrides = overrides.map_err(ClusterError::Invalid)?;
        let Walked { manifests, .. } = walked;
        let reader = read::Reader {
            terms: &self.terms,
            scope,
            concern: &concern,
            overrides: &overrides,
        };
        let threads = match manifests.len() {
            0..FEW => 1,
            _ => std::thread::available_parallelism().map_or(1, |n| n.get().min(READERS)),
        };
        let found = in_threads(threads, &manifests, |manifest| {
            let mut here = Found::default();
            reader.manifest(manifest, &mut here);
            here
        });
        let mut all = Found::new(Vec::new(), faults);
        for mut here in found {
            all.workloads.append(&mut here.workloads);
            all.faults.append(&mut here.faults);
        }
        for fault in &mut all.faults {
            fault.place = Escaped(&fault.place).to_string().into();
            fault.message = Escaped(&fault.message).to_string();
        }
        Ok(all)
    }

    /// Writes changes, each file with all of its own. One answer for each, in their order.
    fn write(&self, changes: &[Change], mode: Mode) -> Vec<Result<Written, ClusterError>> {
        let gone = |change: &Change| ClusterError::NotFound(change.judged().id.to_string());
        let mut answers: Vec<_> = changes.iter().map(|change| Err(gone(change))).collect();
        let mut files: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, change) in changes.iter().enumerate() {
            let origin = change.judged().id.origin.as_deref();
            if let Some((file, _)) = origin.and_then(|origin| origin.rsplit_once('#')) {
                files.entry(file).or_default().push(index);
            }
        }
        let files: Vec<(&str, Vec<usize>)> = files.into_iter().collect();
        let written = in_threads(WRITERS.min(files.len()), &files, |(file, indices)| {
            let changes: Vec<&Change> = indices.iter().map(|index| &changes[*index]).collect();
            answers_or_lost(changes.len(), || match self.resolve(file) {
                Ok(path) => write::write(&path, file, &self.terms, &changes, mode),
                Err(error) => vec![Err(error); changes.len()],
            })
        });
        for ((_, indices), written) in files.iter().zip(written) {
            for (index, answer) in indices.iter().zip(written) {
                answers[*index] = answer.map(|()| Written::default()).map_err(shown);
            }
        }
        answers
    }

    fn read(&self, id: &WorkloadId) -> Result<Option<Workload>, ClusterError> {
        let Some(origin) = &id.origin else {
            return self.read_by_name(id);
        };
        let Some((file, _)) = origin.rsplit_once('#') else {
            return Ok(None);
        };
        let path = match self.resolve(file) {
            Ok(path) => path,
            Err(ClusterError::Stale) => return Ok(None),
            Err(error) => return Err(error),
        };
        let text = match text::read(&path) {
            Ok(text) => text,
            Err(text::Unreadable::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(text::Unreadable::Io(error)) => return Err(write::refused(error, file, "read")),
            Err(unreadable) => {
                let (place, message) = unreadable.explain(file);
                return Err(ClusterError::Invalid(format!("{place}: {message}")));
            }
        };
        let mut odd = None;
        let mut first = |problem, _: &str| {
            odd.get_or_insert(problem);
        };
        let mut same_name = Vec::new();
        let mut take = |object: Object| {
            if names_same(&object.workload.id, id) {
                same_name.push(read::workload(file, &object.place, object.workload));
            }
        };
        read::objects(&text, &self.terms, &mut first, &mut |_, _| {}, &mut take);
        let walked = walk::walk(&self.root).map_err(ClusterError::Invalid)?;
        let overrides = Overrides::read(&walked, &self.root, &Concern::Nothing, &mut Vec::new());
        let overrides = overrides.map_err(ClusterError::Invalid)?;
        for workload in &mut same_name {
            overrides.apply(&path, workload);
        }
        if let Some(at) = same_name.iter().position(|now| now.id == *id) {
            return Ok(Some(same_name.swap_remove(at)));
        }
        // The documents of the file have moved: it is the one of that name, if there is only one.
        match (same_name.pop(), same_name.is_empty(), odd) {
            (Some(moved), true, _) => Ok(Some(moved)),
            (None, _, Some(problem)) => {
                let place = text::place(file, problem.mark);
                Err(ClusterError::Invalid(format!(
                    "{place}: {}",
                    problem.message
                )))
            }
            _ => Ok(None),
        }
    }

    /// The workload of a name without a file. An error if several files have that name.
    fn read_by_name(&self, id: &WorkloadId) -> Result<Option<Workload>, ClusterError> {
        let mut found = self.find(&Scope::new(Select::All))?.workloads;
        found.retain(|workload| names_same(&workload.id, id));
        match found.pop() {
            Some(other) if !found.is_empty() => {
                let places: Vec<&str> = found
                    .iter()
                    .chain([&other])
                    .filter_map(|workload| workload.id.origin.as_deref())
                    .collect();
                Err(ClusterError::Invalid(format!(
                    "{id} stands in several places: {}",
                    places.join(", ")
                )))
            }
            found => Ok(found.map(Arc::unwrap_or_clone)),
        }
    }

    /// The real path of a file of the folder, by its path below it.
    fn resolve(&self, file: &str) -> Result<PathBuf, ClusterError> {
        let path = fs::canonicalize(self.root.join(file)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ClusterError::Stale,
            _ => write::refused(error, file, "read"),
        })?;
        if !path.starts_with(&self.root) {
            return Err(ClusterError::Forbidden(format!(
                "{file}: leads out of the folder, to {}",
                path.display()
            )));
        }
        Ok(path)
    }
}

fn names_same(a: &WorkloadId, b: &WorkloadId) -> bool {
    (&a.namespace, &a.kind, &a.name) == (&b.namespace, &b.kind, &b.name)
}

/// Does some work on each item, in several threads; the results in the order of the items.
fn in_threads<I: Sync, T: Send>(
    threads: usize,
    items: &[I],
    work: impl Fn(&I) -> T + Sync,
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    // Each thread takes the next item that none has taken yet.
    let worker = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else {
                return done;
            };
            done.push((index, work(item)));
        }
    };
    let mut done = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(worker)).collect();
        let mut done = worker();
        for other in others {
            match other.join() {
                Ok(more) => done.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// The error with its texts escaped: a file name can hold any characters.
fn shown(error: ClusterError) -> ClusterError {
    let words = |words: String| Escaped(&words).to_string();
    match error {
        ClusterError::Lost(text) => ClusterError::Lost(words(text)),
        ClusterError::Forbidden(text) => ClusterError::Forbidden(words(text)),
        ClusterError::Invalid(text) => ClusterError::Invalid(words(text)),
        ClusterError::Malformed(text) => ClusterError::Malformed(words(text)),
        ClusterError::Exists(text) => ClusterError::Exists(words(text)),
        error => error,
    }
}

fn broke_off() -> ClusterError {
    ClusterError::Unavailable {
        message: "reading the folder broke off".to_owned(),
        retry_after: None,
    }
}

fn lost() -> ClusterError {
    ClusterError::Lost("the write broke off".to_owned())
}

/// The answers to the changes of one file. If the work panics, they are lost; the answers of the other files are not.
fn answers_or_lost<T: Clone>(
    count: usize,
    work: impl FnOnce() -> Vec<Result<T, ClusterError>>,
) -> Vec<Result<T, ClusterError>> {
    let answers = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    answers.unwrap_or_else(|_| vec![Err(lost()); count])
}

/// Runs work on files on one of the runtime's blocking threads, or in this thread where there is no runtime, when there is a
/// permit. `None`: it panicked, or the runtime is shutting down.
async fn blocking<T: Send + 'static>(
    permits: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let permit = Arc::clone(permits).acquire_owned().await.ok();
    let work = move || {
        // The work owns the permit, so that it is given back when the work ends, even if the caller left earlier.
        let _permit = permit;
        work()
    };
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => runtime.spawn_blocking(work).await.ok(),
        Err(_) => Some(work()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt as _, future::join_all};

    #[test]
    fn a_file_whose_writing_panics_loses_its_own_answers_alone() {
        let files = [1, 2, 3];
        let answers = in_threads(2, &files, |file| {
            answers_or_lost(2, || match file {
                2 => panic!("planted"),
                file => vec![Ok(*file), Ok(*file)],
            })
        });
        let lost = || vec![Err(lost()); 2];
        assert_eq!(answers, [vec![Ok(1), Ok(1)], lost(), vec![Ok(3), Ok(3)]]);
    }

    #[tokio::test]
    async fn no_more_work_at_once_than_there_are_permits() {
        let permits = Arc::new(Semaphore::new(READING));
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let readings = (0..50).map(|_| {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            blocking(&permits, move || {
                let here = 1 + now.fetch_add(1, Ordering::SeqCst);
                most.fetch_max(here, Ordering::SeqCst);
                std::thread::yield_now();
                now.fetch_sub(1, Ordering::SeqCst);
            })
        });
        assert!(join_all(readings).await.iter().all(Option::is_some));
        assert!(most.load(Ordering::SeqCst) <= READING);
    }

    #[tokio::test]
    async fn a_caller_that_leaves_while_it_waits_takes_no_permit() {
        let permits = Arc::new(Semaphore::new(1));
        let taken = Arc::clone(&permits).acquire_owned().await;
        let mut waiting = Box::pin(blocking(&permits, || ()));
        assert!((&mut waiting).now_or_never().is_none());
        drop((waiting, taken));
        assert_eq!(permits.available_permits(), 1);
    }

    #[tokio::test]
    async fn work_that_panics_gives_its_permit_back() {
        let permits = Arc::new(Semaphore::new(1));
        assert_eq!(blocking(&permits, || panic!("planted")).await, None::<()>);
        assert_eq!(blocking(&permits, || 5).await, Some(5));
    }

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<usize> = (0..1_000).collect();
        for threads in [0, 1, 4] {
            assert_eq!(in_threads(threads, &items, |item| *item), items);
        }
    }
}
