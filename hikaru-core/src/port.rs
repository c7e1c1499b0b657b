//! The port to a cluster: what the rules need of it, and its errors. Adapters implement it; nothing here knows of
//! Kubernetes' API, files or HTTP.

pub(crate) mod confined;

pub use confined::Confined;

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;

use crate::{
    Text,
    image::build::Build,
    image::reference::Reference,
    jobs::{JobCreated, JobList, JobLog, JobName, JobRequest, JobStatus},
    policy::change::Change,
    workload::container::Container,
    workload::name::WorkloadName,
    workload::{Workload, WorkloadId},
};

/// Which workloads to find.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Select {
    /// Those that a post of this build considers: labeled so, and a container has its repository.
    Build(Build),
    /// Those that a person may have meant when a post of this build found none: labeled so, or a container has its
    /// repository. An adapter that would have to look at a whole cluster for it may say *unsupported*.
    Near(Build),
    /// Those with a container of this repository (normalized: `docker.io/library/web`), labeled or not.
    Repository(Text),
    /// Those with these names.
    Named(Vec<WorkloadId>),
    /// Every one.
    All,
}

/// What to look for, and where.
///
/// ```
/// use hikaru_core::{Container, Scope, Select, Workload, WorkloadId};
/// let mut web = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
/// web.containers.push(Container::new("web", "web:latest"));
/// let mut scope = Scope::new(Select::Repository("docker.io/library/web".into()));
/// assert!(scope.admits(&web));
/// scope.namespaces = vec!["prod".into()];
/// assert!(!scope.admits(&web));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Which workloads.
    pub select: Select,
    /// Only in these namespaces; empty: in all.
    pub namespaces: Vec<Text>,
    /// Only these; empty: all. An adapter that looks twice before it says that there is none looks for them.
    pub workloads: Vec<WorkloadName>,
}

impl Scope {
    /// In all namespaces.
    pub fn new(select: Select) -> Self {
        Self {
            select,
            namespaces: Vec::new(),
            workloads: Vec::new(),
        }
    }

    /// Whether a workload of this kind in this namespace (`None`: in any) can be looked for: what an adapter need not ask for,
    /// and whose faults do not matter.
    pub fn may_admit(&self, kind: &str, namespace: Option<&str>) -> bool {
        let here = |other: &str| namespace.is_none_or(|namespace| namespace == other);
        let fits = |named_kind: &str, named_in: &str| {
            kind.eq_ignore_ascii_case(named_kind) && here(named_in)
        };
        let namespace_admitted =
            self.namespaces.is_empty() || self.namespaces.iter().any(|other| here(other));
        let named = self.workloads.is_empty()
            || self.workloads.iter().any(|w| fits(w.kind(), w.namespace()));
        let selected = match &self.select {
            Select::Named(ids) => ids.iter().any(|id| fits(&id.kind, &id.namespace)),
            _ => true,
        };
        namespace_admitted && named && selected
    }

    /// Whether a workload is looked for: the one filter that every adapter uses, whatever it asked its cluster for.
    pub fn admits(&self, workload: &Workload) -> bool {
        let namespace_admitted =
            self.namespaces.is_empty() || self.namespaces.contains(&workload.id.namespace);
        let named =
            self.workloads.is_empty() || self.workloads.iter().any(|name| name.names(&workload.id));
        namespace_admitted
            && named
            && match &self.select {
                Select::Build(build) => {
                    build.is_meant_for(&workload.labels) && build.is_used_by(workload)
                }
                Select::Near(build) => {
                    build.is_meant_for(&workload.labels) || build.is_used_by(workload)
                }
                Select::Repository(wanted) => workload
                    .containers
                    .iter()
                    .flat_map(Container::images)
                    .any(|image| Reference::parse(image).is_ok_and(|r| r.repository().is(wanted))),
                Select::Named(ids) => ids.contains(&workload.id),
                Select::All => true,
            }
    }
}

/// How bad a [`Fault`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// What was asked for is not touched by it, as far as one can tell.
    Warning,
    /// What was asked for may be incomplete: the call as a whole fails, after the rest has been done.
    Failure,
}

/// Something that could not be read. The others go on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// Where: `deploy/web.yaml:12:7`, or an object's name.
    pub place: Text,
    /// What was expected and what was found.
    pub message: String,
    /// Whether the answer may be incomplete for it.
    pub severity: Severity,
}

impl Fault {
    /// A fault at a place.
    pub fn new(severity: Severity, place: impl Into<Text>, message: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            message: message.into(),
            severity,
        }
    }
}

/// What was found, in any order.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Found {
    /// The workloads that the scope admits.
    pub workloads: Vec<Workload>,
    /// What could not be read on the way.
    pub faults: Vec<Fault>,
}

impl Found {
    /// Workloads, and what could not be read on the way.
    pub fn new(workloads: Vec<Workload>, faults: Vec<Fault>) -> Self {
        Self { workloads, faults }
    }
}

/// What came of a write that was applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// What the cluster warned of, in its own words.
    pub warnings: Vec<Text>,
}

impl Written {
    /// A write that the cluster warned of.
    pub fn warned(warnings: Vec<Text>) -> Self {
        Self { warnings }
    }
}

/// Whether a write is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It is.
    Commit,
    /// Everything is tested, nothing is kept.
    DryRun,
}

/// How far a view of the cluster can be trusted. Shown, it is a sentence with the reason.
///
/// ```
/// use hikaru_core::Freshness;
/// let syncing = Freshness::Syncing { reason: Some("no connection: connection refused".into()) };
/// assert_eq!(
///     syncing.to_string(),
///     "the cluster has not been read completely yet: no connection: connection refused"
/// );
/// assert!(!syncing.gives_answers());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Freshness {
    /// It is up to date.
    Fresh,
    /// It is up to date but for a part that cannot be read. [`ClusterPort::find`] answers, with a [`Fault`] for that part.
    Incomplete {
        /// What cannot be read, and why.
        reason: String,
    },
    /// It has never been complete so far.
    Syncing {
        /// What keeps it from that, where it is known.
        reason: Option<String>,
    },
    /// It was complete, and has been out of date since `since`.
    Stale {
        /// When it was last known to be up to date.
        since: SystemTime,
        /// What happened, where it is known.
        reason: Option<String>,
    },
}

impl Freshness {
    /// Whether answers are to be had, be it with faults.
    pub fn gives_answers(&self) -> bool {
        matches!(self, Self::Fresh | Self::Incomplete { .. })
    }
}

impl fmt::Display for Freshness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (state, reason) = match self {
            Self::Fresh => ("what is known of the cluster is up to date", None),
            Self::Incomplete { reason } => ("a part of the cluster cannot be read", Some(reason)),
            Self::Syncing { reason } => (
                "the cluster has not been read completely yet",
                reason.as_ref(),
            ),
            Self::Stale { reason, .. } => (
                "what is known of the cluster is out of date",
                reason.as_ref(),
            ),
        };
        f.write_str(state)?;
        match reason {
            Some(reason) => write!(f, ": {reason}"),
            None => Ok(()),
        }
    }
}

/// Why a cluster did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// The state that a change was judged on is no longer there. Nothing was written.
    #[error("what was judged is no longer there")]
    Stale,
    /// The write may have been applied or not: only reading can tell.
    #[error("the answer was lost: {0}")]
    Lost(String),
    /// The object is not there.
    #[error("not found")]
    NotFound,
    /// The cluster does not let us.
    #[error("not allowed: {0}")]
    Forbidden(String),
    /// It is in a namespace that hikaru is told to leave alone; the sentence names the variable. The cluster was not asked.
    #[error("{0}")]
    Outside(String),
    /// The cluster refuses the write as such; its own words.
    #[error("refused: {0}")]
    Invalid(String),
    /// What was sent cannot be read at all: where, what was expected and what was found.
    #[error("cannot be read: {0}")]
    Malformed(String),
    /// There is one of that name already.
    #[error("{0}")]
    Exists(String),
    /// The cluster cannot be reached, or cannot answer now.
    #[error("unavailable: {message}")]
    Unavailable {
        /// What was tried and what happened.
        message: String,
        /// When the cluster asks to be tried again.
        retry_after: Option<Duration>,
    },
    /// This cluster cannot do that at all.
    #[error("{0} is not supported here")]
    Unsupported(&'static str),
}

impl ClusterError {
    /// Whether the object has to be read and judged again.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Stale | Self::Lost(_))
    }

    /// Whether the same call can succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Stale | Self::Lost(_) | Self::Unavailable { .. })
    }
}

/// A cluster, as the rules see it. Object-safe: used as `Arc<dyn ClusterPort>`. What comes later gets a default body
/// that says *unsupported*, so that adding it breaks nobody. `contract` (feature `testing`) says what is expected of an
/// implementation.
///
/// - [`upgrade`](crate::upgrade()), [`candidates`](crate::candidates) and [`find`](crate::find()) call `freshness`, then `find`
///   ([`Select::Build`]; [`Select::Repository`]; [`Select::Near`] when nothing matched, which may be *unsupported*).
/// - `write` is called for up to 256 workloads at once, and for one workload again after `read` said how it is now. How many
///   requests are in flight is the adapter's business.
/// - After [`ClusterError::Lost`] it is called again, at most [`LOST_WRITES`](crate::LOST_WRITES) times, with a `pause`
///   before each.
/// - `write` writes images and marks; an adapter to a live cluster adds [`LAST_UPGRADE`](crate::LAST_UPGRADE) and
///   [`CHANGE_CAUSE`](crate::CHANGE_CAUSE).
/// - The trait is made with the crate async-trait, which an implementation needs, too; any executor will do.
///
/// The smallest one: a single workload behind a lock. What makes it safe is the guard in `write`, under the same lock.
///
/// ```
/// use std::sync::Mutex;
/// use hikaru_core::{
///     Change, ClusterError, ClusterPort, Found, Freshness, Mode, Scope, Workload, WorkloadId, Written,
/// };
///
/// struct One(Mutex<Workload>);
///
/// #[async_trait::async_trait]
/// impl ClusterPort for One {
///     fn freshness(&self) -> Freshness {
///         Freshness::Fresh
///     }
///     async fn find(&self, scope: &Scope) -> Result<Found, ClusterError> {
///         let one = self.0.lock().unwrap().clone();
///         Ok(Found::new(Some(one).filter(|one| scope.admits(one)).into_iter().collect(), Vec::new()))
///     }
///     async fn read(&self, id: &WorkloadId) -> Result<Option<Workload>, ClusterError> {
///         Ok(Some(self.0.lock().unwrap().clone()).filter(|one| one.id == *id))
///     }
///     async fn write(&self, change: &Change, mode: Mode) -> Result<Written, ClusterError> {
///         let mut one = self.0.lock().unwrap();
///         if !change.holds_for(&one) {
///             return Err(ClusterError::Stale);
///         }
///         if mode == Mode::Commit {
///             for (judged, edit) in change.edited() {
///                 for container in one.containers.iter_mut().filter(|c| c.name == judged.name) {
///                     container.image = edit.to().clone();
///                     container.mark = edit.mark().cloned().or(container.mark.take());
///                 }
///             }
///         }
///         Ok(Written::default())
///     }
/// }
/// # use hikaru_core::{Build, Container, IdentityLabels, Outcome, Request, TagFormats, upgrade};
/// # futures_util::FutureExt::now_or_never(async {
/// # let mut web = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
/// # web.labels = IdentityLabels::new("acme", "web", "main");
/// # web.containers.push(Container::new("web", "acme/web:latest"));
/// # let cluster = One(Mutex::new(web));
/// # let build = Build::parse("acme/web:acme_web_main_1.4.0_7_0123abcd", &TagFormats::default()).unwrap();
/// # let report = upgrade(&cluster, Request::new(build), Mode::Commit).await.unwrap();
/// # assert_eq!(report.entries[0].outcome, Outcome::Upgraded);
/// # }).unwrap();
/// ```
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait ClusterPort: Send + Sync {
    /// How far [`ClusterPort::find`] can be trusted now.
    fn freshness(&self) -> Freshness;

    /// The workloads that the scope admits. May come from a view that is a moment old.
    ///
    /// # Errors
    /// When nothing can be said at all. What only hides some objects is a [`Fault`].
    async fn find(&self, scope: &Scope) -> Result<Found, ClusterError>;

    /// One workload as it is now, never from a view. `None`: it is not there.
    ///
    /// # Errors
    /// When that cannot be found out.
    async fn read(&self, id: &WorkloadId) -> Result<Option<Workload>, ClusterError>;

    /// Writes a change, if everything that it was judged on still holds: one attempt, all or nothing.
    ///
    /// # Errors
    /// [`ClusterError::Stale`] when it does not hold, [`ClusterError::Lost`] when the outcome is unknown.
    async fn write(&self, change: &Change, mode: Mode) -> Result<Written, ClusterError>;

    /// Waits so long before it is asked again, where an answer was lost: the core has no clock. A cluster that is not behind
    /// a network need not wait.
    async fn pause(&self, _time: Duration) {}

    /// Removes the high-water marks of a workload, or of one of its containers, so that lower builds go out again. Gives
    /// the containers whose marks were there, with their values.
    ///
    /// # Errors
    /// [`ClusterError::NotFound`] when there is no such workload.
    async fn unhold(
        &self,
        _workload: &WorkloadName,
        _container: Option<Text>,
    ) -> Result<Vec<(Text, Text)>, ClusterError> {
        Err(ClusterError::Unsupported("removing high-water marks"))
    }

    /// Runs a Job: reads its definition, checks it against the adapter's [`JobPolicy`](crate::JobPolicy), and creates it.
    /// One attempt.
    ///
    /// # Errors
    /// [`ClusterError::Malformed`] when the definition cannot be read, [`ClusterError::Invalid`] when it is not one Job or
    /// the cluster refuses it, [`ClusterError::Forbidden`] with the rule or the right that is missing,
    /// [`ClusterError::Exists`] when there is one of that name, [`ClusterError::NotFound`] when there is no such CronJob,
    /// [`ClusterError::Lost`] when nobody knows whether it was created.
    async fn run_job(&self, _job: &JobRequest, _mode: Mode) -> Result<JobCreated, ClusterError> {
        Err(ClusterError::Unsupported("running jobs"))
    }

    /// The Jobs of a namespace, sorted by name, without what their containers are troubled by.
    ///
    /// # Errors
    /// [`ClusterError::Forbidden`] as above; when that cannot be found out.
    async fn jobs(&self, _namespace: &str) -> Result<JobList, ClusterError> {
        Err(ClusterError::Unsupported("listing jobs"))
    }

    /// One Job as it is now.
    ///
    /// # Errors
    /// [`ClusterError::NotFound`] when there is none.
    async fn job(&self, _job: &JobName) -> Result<JobStatus, ClusterError> {
        Err(ClusterError::Unsupported("reading jobs"))
    }

    /// The Job with this uid once it has ended, or as it is when the time is over. What a cluster cannot answer for a moment
    /// is asked again in that time. The uid is that of [`JobCreated`]; where it is empty the name is enough.
    ///
    /// # Errors
    /// [`ClusterError::NotFound`] when there is none, or it is deleted meanwhile, [`ClusterError::Exists`] when another one
    /// has taken its name.
    async fn job_ended(
        &self,
        _job: &JobName,
        _uid: &str,
        _within: Duration,
    ) -> Result<JobStatus, ClusterError> {
        Err(ClusterError::Unsupported("waiting for jobs"))
    }

    /// Deletes a Job with its pods, which end in their own time.
    ///
    /// # Errors
    /// [`ClusterError::NotFound`] when there is none.
    async fn delete_job(&self, _job: &JobName) -> Result<(), ClusterError> {
        Err(ClusterError::Unsupported("deleting jobs"))
    }

    /// What the containers of a Job's pods have written, each at most the last megabyte, in the order of the pods' names.
    ///
    /// # Errors
    /// [`ClusterError::NotFound`] when there is no such Job.
    async fn job_logs(&self, _job: &JobName) -> Result<Vec<JobLog>, ClusterError> {
        Err(ClusterError::Unsupported("reading the logs of jobs"))
    }
}
