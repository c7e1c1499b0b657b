//! What came of a request: the verdicts, what was written, and, if nothing matched, what nearly did.

use std::{fmt, sync::Arc};

use crate::{
    Text,
    image::{build::Build, reference::Reference},
    policy::{Code, Entry, Plan, Request},
    port::{ClusterError, Fault, Severity},
    text::{escape::Escaped, excerpt::Cut},
    workload::{IdentityLabels, Workload, WorkloadId},
};

/// How often one workload is tried while others keep changing it. Each refused attempt is somebody else's change: of N
/// builds posted at once in random order, the highest is refused about ln N times, and hardly ever twice as often.
pub const ATTEMPTS: usize = 20;

/// What became of one workload.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Nothing was to be written.
    Unchanged,
    /// It was upgraded; in a dry run: it would have been.
    Upgraded,
    /// It was to be upgraded, but the cluster did not do it.
    Failed(ClusterError),
    /// It was to be upgraded, but it changed under each of [`ATTEMPTS`] attempts.
    Contended,
    /// It was to be upgraded, the answer to the write was lost, and reading failed, too: it may be upgraded or not.
    Unknown {
        /// What became of the answer.
        lost: ClusterError,
        /// Why it could not be read.
        unread: ClusterError,
    },
    /// It stopped matching while the call was under way: nothing was written.
    Withdrawn,
}

impl Outcome {
    /// Why an upgrade failed, if it did.
    pub fn failure(&self) -> Option<String> {
        match self {
            Self::Failed(error) => Some(error.to_string()),
            Self::Contended => Some(format!(
                "contended: somebody else changed it under each of {ATTEMPTS} attempts; repeating the call is safe"
            )),
            Self::Unknown { lost, unread } => Some(format!(
                "unknown whether it is upgraded: {lost}; and it could not be read since: {unread}; repeating the call is safe"
            )),
            Self::Unchanged | Self::Upgraded | Self::Withdrawn => None,
        }
    }

    /// Whether it failed, and the same call can help later.
    pub fn is_retryable(&self) -> bool {
        match self {
            // The workload was deleted meanwhile: the next call does not find it, so nothing fails then.
            Self::Failed(ClusterError::NotFound(_)) => true,
            Self::Failed(error) => error.is_retryable(),
            Self::Contended | Self::Unknown { .. } => true,
            Self::Unchanged | Self::Upgraded | Self::Withdrawn => false,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.failure()) {
            (Self::Unknown { .. }, Some(failure)) => f.write_str(&failure),
            (_, Some(failure)) => write!(f, "failed: {failure}"),
            (Self::Upgraded, _) => f.write_str("upgraded"),
            (Self::Withdrawn, _) => f.write_str("withdrawn"),
            _ => f.write_str("unchanged"),
        }
    }
}

/// One workload's verdicts and what became of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reported {
    /// The verdicts, as they were at last.
    pub entry: Entry,
    /// What became of it.
    pub outcome: Outcome,
}

impl Reported {
    pub(crate) fn new(entry: Entry, outcome: Outcome) -> Self {
        Self { entry, outcome }
    }
}

/// What came of a request. Of a mere plan: all outcomes are [`Outcome::Unchanged`].
///
/// ```
/// use hikaru_core::{Build, Container, IdentityLabels, Request, TagFormats, Workload, WorkloadId, plan,
///     policy::Code, upgrade::Report};
/// let mut web = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
/// web.labels = IdentityLabels::new("acme", "web", "main");
/// web.containers.push(Container::new("web", "acme/web:2.0.0"));
/// let build = Build::parse("acme/web:acme_web_main_1.4.0_7_0123abcd", &TagFormats::default())?;
/// let report = Report::planned(plan(Request::new(build), [web]));
/// assert!(report.codes().eq([Code::Obsolete]));
/// assert!(!report.nothing_matched() && !report.has_failures());
/// # Ok::<(), hikaru_core::image::BuildError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// What was asked for.
    pub request: Request,
    /// Each workload of which a container was judged, sorted by namespace, kind and name.
    pub entries: Vec<Reported>,
    /// If no container was judged: the workloads that nearly match.
    pub near_misses: Vec<NearMiss>,
    /// What could not be read on the way.
    pub faults: Vec<Fault>,
}

impl Report {
    /// The report of a plan that nobody carried out.
    pub fn planned(plan: Plan) -> Self {
        let entries = plan.entries.into_iter();
        let mut report = Self::of(plan.request);
        report.entries = entries
            .map(|entry| Reported::new(entry, Outcome::Unchanged))
            .collect();
        report
    }

    pub(crate) fn of(request: Request) -> Self {
        Self {
            request,
            entries: Vec::new(),
            near_misses: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// The posted build.
    pub fn build(&self) -> &Build {
        &self.request.build
    }

    /// Whether a write failed or nobody knows what became of it, or something could not be read that may have mattered.
    pub fn has_failures(&self) -> bool {
        self.entries.iter().any(|r| r.outcome.failure().is_some())
            || self.faults.iter().any(|f| f.severity == Severity::Failure)
    }

    /// Whether no container was judged.
    pub fn nothing_matched(&self) -> bool {
        self.entries.is_empty()
    }

    /// If nothing is written because what matched runs a higher build: the highest of them. Workloads that are opted out or
    /// have a constraint do not count.
    ///
    /// ```
    /// use hikaru_core::{Build, Container, IdentityLabels, Request, TagFormats, Workload, WorkloadId, plan,
    ///     upgrade::Report};
    /// let mut web = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
    /// web.labels = IdentityLabels::new("acme", "web", "main");
    /// web.containers.push(Container::new("web", "acme/web:acme_web_main_999999999.0.0_1_deadbeef"));
    /// let build = Build::parse("acme/web:acme_web_main_1.4.0_7_0123abcd", &TagFormats::default())?;
    /// let report = Report::planned(plan(Request::new(build), [web]));
    /// assert_eq!(
    ///     report.overtaken().unwrap().to_string(),
    ///     "nothing to deploy: what matched runs a higher build, acme_web_main_999999999.0.0_1_deadbeef \
    ///      (shop/Deployment/web)",
    /// );
    /// # Ok::<(), hikaru_core::image::BuildError>(())
    /// ```
    pub fn overtaken(&self) -> Option<Overtaken> {
        let entries = || self.entries.iter().map(|reported| &reported.entry);
        let stays = |code| matches!(code, Code::Obsolete | Code::Manual | Code::Constraint);
        if !self.codes().all(stays) {
            return None;
        }
        let (entry, container) = Entry::highest_running(entries(), self.build())?;
        let runs = Reference::parse(&container.image).ok()?.tag()?;
        Some(Overtaken {
            runs: runs.into(),
            workload: entry.workload.id.clone(),
        })
    }

    /// If containers of one pod have different builds: a sentence that says of which workload, which a strict caller fails
    /// for. What stays behind in it is said in the workload's warnings.
    pub fn two_builds(&self) -> Option<String> {
        let entries = self.entries.iter().map(|reported| &reported.entry);
        let mut of_two = entries.filter(|entry| entry.has_two_builds());
        let first = Placed(&of_two.next()?.workload.id);
        Some(match of_two.count() {
            0 => format!("two builds in one pod: {first}, see its warning"),
            more => format!("two builds in one pod: {first} and {more} more, see their warnings"),
        })
    }

    /// If nothing matched where the call was narrowed to, and something does elsewhere: a sentence that says so.
    ///
    /// ```
    /// # futures_util::FutureExt::now_or_never(async {
    /// use hikaru_core::{Build, Container, IdentityLabels, Request, TagFormats, Workload, WorkloadId,
    ///     testing::MemoryCluster, upgrade::candidates};
    /// # let cluster = MemoryCluster::default();
    /// for name in ["web", "admin"] {
    ///     let mut workload = Workload::new(WorkloadId::new("prod", "Deployment", name));
    ///     workload.labels = IdentityLabels::new("acme", "web", "main");
    ///     workload.containers.push(Container::new("web", "acme/web:latest"));
    ///     cluster.put(workload);
    /// }
    /// let build = Build::parse("acme/web:acme_web_main_1.4.0_7_0123abcd", &TagFormats::default()).unwrap();
    /// let mut request = Request::new(build);
    /// request.namespaces = vec!["prodd".into()];
    /// let report = candidates(&cluster, request).await.unwrap();
    /// assert_eq!(
    ///     report.narrowed_away().unwrap(),
    ///     "nothing matched in the namespace prodd; 2 workloads elsewhere do",
    /// );
    /// # }).unwrap();
    /// ```
    pub fn narrowed_away(&self) -> Option<String> {
        let is_narrowed = |near: &&NearMiss| near.miss == Miss::Narrowed;
        let mut narrowed = self.near_misses.iter().filter(is_narrowed);
        let first = narrowed.next()?;
        let asked = self.request.narrowing();
        let is_elsewhere = self.request.workloads.is_empty() && !self.request.chooses_a_reading();
        Some(match (1 + narrowed.count(), is_elsewhere) {
            (1, _) => format!(
                "nothing matched {asked}; {} does",
                Placed(&first.workload.id)
            ),
            (n, true) => format!("nothing matched {asked}; {n} workloads elsewhere do"),
            (n, false) => format!("nothing matched {asked}; {n} other workloads do"),
        })
    }

    /// What is said of the near misses, the nearest first: those that the call was narrowed away from in one sentence
    /// ([`Report::narrowed_away`]), each of the others in its own.
    pub fn near_miss_sentences(&self) -> impl Iterator<Item = String> + '_ {
        let others = self.near_misses.iter();
        let others = others.filter(|near| near.miss != Miss::Narrowed);
        let narrowed = self.narrowed_away().into_iter();
        narrowed.chain(others.map(ToString::to_string))
    }

    /// The codes of all judged containers.
    pub fn codes(&self) -> impl Iterator<Item = Code> + '_ {
        self.entries.iter().flat_map(|r| r.entry.codes())
    }
}

/// Why nothing is deployed: what matched runs a higher build. Shown, it is a sentence; how the posted build can be forced is said
/// by the interface of the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Overtaken {
    /// The tag of the highest build that runs.
    pub runs: Text,
    /// A workload that runs it.
    pub workload: WorkloadId,
}

impl Overtaken {
    /// Whether high-water marks may keep later builds out, too, once this one is forced. In a folder no mark is written.
    pub fn may_be_marked(&self) -> bool {
        self.workload.origin.is_none()
    }
}

impl fmt::Display for Overtaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { runs, workload } = self;
        write!(
            f,
            "nothing to deploy: what matched runs a higher build, {runs} ({workload})"
        )
    }
}

/// The workloads among these that somebody may have meant with a request that matched nothing, the nearest first.
///
/// ```
/// use hikaru_core::{Build, Container, IdentityLabels, Request, TagFormats, Workload, WorkloadId,
///     upgrade::{Miss, near_misses}};
/// let mut web = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
/// web.labels = IdentityLabels::new("acme", "web", "mian");
/// web.containers.push(Container::new("web", "acme/web:latest"));
/// let build = Build::parse("acme/web:acme_web_main_1.4.0_7_0123abcd", &TagFormats::default())?;
/// let misses = near_misses(&Request::new(build), [web]);
/// assert_eq!(misses[0].miss, Miss::Labels);
/// assert_eq!(
///     misses[0].to_string(),
///     "shop/Deployment/web uses the repository, but its labels say owner acme, repo web and branch mian, while the tag \
///      says acme_web_main",
/// );
/// # Ok::<(), hikaru_core::image::BuildError>(())
/// ```
pub fn near_misses(
    request: &Request,
    workloads: impl IntoIterator<Item = impl Into<Arc<Workload>>>,
) -> Vec<NearMiss> {
    let mut misses: Vec<_> = workloads
        .into_iter()
        .filter_map(|workload| NearMiss::of(request, workload.into()))
        .collect();
    misses.sort_by(|a, b| (a.miss, &a.workload.id).cmp(&(b.miss, &b.workload.id)));
    misses
}

/// A workload that a person may have meant when nothing matched.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NearMiss {
    /// The workload.
    pub workload: Arc<Workload>,
    /// What keeps it from matching.
    pub miss: Miss,
    build: Build,
}

/// What keeps a workload from matching.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Miss {
    /// The caller narrowed the request so that it is left out.
    Narrowed,
    /// Its own settings leave out each container that uses the repository.
    LeftOut,
    /// It uses the repository, but its labels say something else.
    Labels,
    /// Its labels match, but no container uses the repository.
    Repository,
}

impl NearMiss {
    /// What keeps the workload from matching, if it is near at all.
    fn of(request: &Request, workload: Arc<Workload>) -> Option<Self> {
        let build = &request.build;
        let uses = build.is_used_by(&workload);
        let is_where_asked = request.is_where_asked(&workload);
        let miss = match (build.is_meant_for(&workload.labels), uses) {
            (true, true) if !request.narrows_to(&workload) => Miss::Narrowed,
            (true, true) => Miss::LeftOut,
            // Whoever asks for one namespace does not want to know whose labels are odd in others.
            (false, true) if is_where_asked => Miss::Labels,
            (true, false) if is_where_asked => Miss::Repository,
            _ => return None,
        };
        Some(Self {
            workload,
            miss,
            build: build.clone(),
        })
    }
}

impl fmt::Display for NearMiss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = Placed(&self.workload.id);
        match self.miss {
            Miss::Narrowed => write!(f, "{id} matches, but the call was narrowed to others"),
            Miss::LeftOut => write!(
                f,
                "{id} matches, but its setting hikaru.dev/containers leaves out each container that uses the repository"
            ),
            Miss::Labels => {
                write!(f, "{id} uses the repository, but ")?;
                labels(f, &self.workload.labels)?;
                write!(
                    f,
                    ", while the tag says {}",
                    self.build.tag().identity().as_str()
                )
            }
            Miss::Repository if self.workload.containers.is_empty() => {
                write!(
                    f,
                    "{id} has the labels, but none of its containers has an image"
                )
            }
            Miss::Repository => {
                write!(f, "{id} has the labels, but runs ")?;
                for (i, container) in self.workload.containers.iter().enumerate() {
                    let joint = if i == 0 { "" } else { ", " };
                    write!(f, "{joint}{}", Cut(&container.image))?;
                }
                write!(f, " and not {}", self.build.repository())
            }
        }
    }
}

/// A name, and where it stands if that is not clear from it.
struct Placed<'a>(&'a WorkloadId);

impl fmt::Display for Placed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        match &self.0.origin {
            Some(origin) => write!(f, " ({})", Escaped(origin)),
            None => Ok(()),
        }
    }
}

/// `its labels say owner acme, repo web and no branch`. Roles, not keys: those can be renamed.
fn labels(f: &mut fmt::Formatter<'_>, labels: &IdentityLabels) -> fmt::Result {
    let all = [
        ("owner", &labels.owner),
        ("repo", &labels.repo),
        ("branch", &labels.branch),
    ];
    f.write_str("its labels say ")?;
    for (i, (name, value)) in all.into_iter().enumerate() {
        f.write_str(["", ", ", " and "][i])?;
        match value {
            Some(value) => write!(f, "{name} {}", Cut(value))?,
            None => write!(f, "no {name}")?,
        }
    }
    Ok(())
}
