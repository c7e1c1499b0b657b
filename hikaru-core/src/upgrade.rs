//! What a user asks of hikaru, over any port: upgrade what a build is meant for, say what would be upgraded, say who
//! uses an image.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::ready,
    sync::Arc,
    time::Duration,
};

use futures_util::future::Either;

use crate::{
    Text,
    apply::apply,
    build::Build,
    container::Container,
    policy::{Plan, Request, plan},
    port::{ClusterError, ClusterPort, Fault, Found, Mode, Scope, Select, Severity},
    reference::{Reference, ReferenceError},
    report::{Report, near_misses},
    tag::TagFormats,
    workload::Workload,
};

/// When to ask again while the view of a cluster is out of date.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Finds the workloads that a build is meant for, and upgrades those that the policy lets.
///
/// # Errors
/// When nothing could be found out at all; [`ClusterError::Unavailable`] while the port's view gives no
/// answers ([`Freshness`](crate::Freshness)). What failed for some workloads is in the report.
///
/// ```
/// # futures_util::FutureExt::now_or_never(async {
/// use hikaru_core::{Build, Container, IdentityLabels, MemoryCluster, Mode, Outcome, Request, TagFormats, Workload, WorkloadId, upgrade};
/// let cluster = MemoryCluster::default();
/// let mut web = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
/// web.labels = IdentityLabels::new("acme", "web", "main");
/// web.containers.push(Container::new("web", "acme/web:acme_web_main_1.4.0_6_0123abcd"));
/// cluster.put(web);
/// let build = Build::parse("acme/web:acme_web_main_1.4.0_7_4567cdef", &TagFormats::default()).unwrap();
/// let report = upgrade(&cluster, Request::new(build.clone()), Mode::Commit).await.unwrap();
/// assert_eq!(report.entries[0].outcome, Outcome::Upgraded);
/// // Posted again, nothing is done: it runs already.
/// let report = upgrade(&cluster, Request::new(build), Mode::Commit).await.unwrap();
/// assert_eq!(report.entries[0].outcome, Outcome::Unchanged);
/// # }).unwrap();
/// ```
pub fn upgrade(
    port: &dyn ClusterPort,
    request: Request,
    mode: Mode,
) -> impl Future<Output = Result<Report, ClusterError>> + Send {
    // Not an async function: one would hold its arguments twice.
    let scope = scope(&request);
    async move {
        check_fresh(port)?;
        let Found { workloads, faults } = port.find(&scope).await?;
        // The usual post of a busy CI: there is nothing to plan.
        let mut report = if workloads.is_empty() {
            Report::of(request)
        } else {
            carry_out(port, plan(request, workloads), mode).await
        };
        complete(port, &mut report, faults).await;
        Ok(report)
    }
}

/// Says what [`upgrade`] would do. Nothing is changed.
///
/// # Errors
/// When nothing could be found out at all; [`ClusterError::Unavailable`] while the port's view gives no
/// answers ([`Freshness`](crate::Freshness)).
///
/// ```
/// # futures_util::FutureExt::now_or_never(async {
/// use hikaru_core::{Build, Container, IdentityLabels, MemoryCluster, Request, Verdict, TagFormats, Workload, WorkloadId, candidates};
/// let cluster = MemoryCluster::default();
/// let mut web = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
/// web.labels = IdentityLabels::new("acme", "web", "main");
/// web.containers.push(Container::new("web", "acme/web:acme_web_main_1.4.0_6_0123abcd"));
/// cluster.put(web);
/// let build = Build::parse("acme/web:acme_web_main_1.4.0_7_4567cdef", &TagFormats::default()).unwrap();
/// let report = candidates(&cluster, Request::new(build)).await.unwrap();
/// let entry = &report.entries[0].entry;
/// assert_eq!(entry.verdict(), Verdict::Upgrade);
/// let sentence = entry.sentence(report.build(), &entry.containers[0]);
/// assert_eq!(sentence.to_string(), "1.4.0_7 follows 1.4.0_6");
/// # }).unwrap();
/// ```
pub async fn candidates(port: &dyn ClusterPort, request: Request) -> Result<Report, ClusterError> {
    check_fresh(port)?;
    let Found { workloads, faults } = port.find(&scope(&request)).await?;
    let mut report = Report::planned(plan(request, workloads));
    complete(port, &mut report, faults).await;
    Ok(report)
}

/// A view that is known to be out of date gives no answer rather than a wrong one.
fn check_fresh(port: &dyn ClusterPort) -> Result<(), ClusterError> {
    let freshness = port.freshness();
    if freshness.gives_answers() {
        return Ok(());
    }
    Err(ClusterError::Unavailable {
        message: freshness.to_string(),
        retry_after: Some(RETRY_AFTER),
    })
}

fn scope(request: &Request) -> Scope {
    Scope {
        select: Select::Build(request.build.clone()),
        namespaces: request.namespaces.clone(),
        workloads: request.workloads.clone(),
    }
}

/// Boxes the futures that run rarely, so that a post for which no workload exists stays small in memory.
fn carry_out(
    port: &dyn ClusterPort,
    plan: Plan,
    mode: Mode,
) -> impl Future<Output = Report> + Send {
    if plan.is_due() {
        Either::Left(Box::pin(apply(port, plan, mode)))
    } else {
        Either::Right(ready(Report::planned(plan)))
    }
}

/// Adds what could not be read, and, if nothing matched and somebody wants to know, what nearly did: the commonest fault is a
/// misspelt label.
async fn complete(port: &dyn ClusterPort, report: &mut Report, faults: Vec<Fault>) {
    report.faults.extend(faults);
    if !report.nothing_matched() {
        return;
    }
    if let Some(too_long) = report.build().tag().identity().too_long() {
        let place = report.build().image().clone();
        let fault = Fault::new(Severity::Warning, place, too_long.to_string());
        report.faults.push(fault);
    }
    if report.request.near_misses {
        Box::pin(add_near_misses(port, report)).await;
    }
}

async fn add_near_misses(port: &dyn ClusterPort, report: &mut Report) {
    let near = Scope::new(Select::Near(report.build().clone()));
    let found = match port.find(&near).await {
        Err(ClusterError::Unsupported(_)) => return,
        // A caller who may read one namespace only is still told that nothing matched there: so this is a warning.
        Err(error) => {
            let place = "what nearly matches";
            let fault = Fault::new(Severity::Warning, place, error.to_string());
            report.faults.push(fault);
            return;
        }
        Ok(found) => found,
    };
    report.near_misses = near_misses(&report.request, found.workloads);
    for mut fault in found.faults {
        // What was asked for is known: it matched nothing.
        fault.severity = Severity::Warning;
        let known = |told: &Fault| told.place == fault.place && told.message == fault.message;
        if !report.faults.iter().any(known) {
            report.faults.push(fault);
        }
    }
}

/// Who uses an image: the names of workloads, by namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Users {
    /// The distinct names of workloads of each namespace, sorted.
    pub namespaces: BTreeMap<Text, BTreeSet<Text>>,
    /// What could not be read on the way.
    pub faults: Vec<Fault>,
}

/// Why it could not be said who uses an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// The text is no image reference.
    #[error("not an image reference: {0}")]
    Reference(#[from] ReferenceError),
    /// The cluster could not say.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

/// Finds the workloads that use an image now. A build tag: those that a post of it would consider. Another tag or a
/// digest: those that run exactly it. Neither: every workload that runs the repository.
///
/// # Errors
/// When the text is no image reference, or nothing could be found out at all; [`ClusterError::Unavailable`] while the
/// port's view gives no answers ([`Freshness`](crate::Freshness)).
///
/// ```
/// # futures_util::FutureExt::now_or_never(async {
/// use hikaru_core::{Build, Container, IdentityLabels, MemoryCluster, TagFormats, Workload, WorkloadId, find};
/// let cluster = MemoryCluster::default();
/// let mut web = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
/// web.labels = IdentityLabels::new("acme", "web", "main");
/// web.containers.push(Container::new("web", "acme/web:acme_web_main_1.4.0_6_0123abcd"));
/// cluster.put(web);
/// let users = find(&cluster, "acme/web", &TagFormats::default()).await.unwrap();
/// assert!(users.namespaces["shop"].contains("web"));
/// # let _ = Build::parse;
/// # }).unwrap();
/// ```
pub async fn find(
    port: &dyn ClusterPort,
    image: &str,
    formats: &TagFormats,
) -> Result<Users, FindError> {
    let wanted = Reference::parse(image)?;
    let build = Build::parse(image, formats).ok();
    let select = match &build {
        Some(build) => Select::Build(build.clone()),
        None => Select::Repository(wanted.repository().to_string().into()),
    };
    check_fresh(port)?;
    let found = port.find(&Scope::new(select)).await?;
    let same = |wanted: Option<&str>, runs: Option<&str>| wanted.is_none() || wanted == runs;
    let runs_it = |image: &str| {
        Reference::parse(image).is_ok_and(|runs| {
            runs.repository() == wanted.repository()
                && same(wanted.tag(), runs.tag())
                && same(wanted.digest(), runs.digest())
        })
    };
    let mut users = Users {
        faults: found.faults,
        ..Users::default()
    };
    // Of a build: those that a post of it judges.
    let workloads: Vec<Arc<Workload>> = match build {
        Some(build) => {
            let entries = plan(Request::new(build), found.workloads).entries;
            entries.into_iter().map(|entry| entry.workload).collect()
        }
        None => {
            let using = found.workloads.into_iter();
            let using = using.filter(|w| {
                w.containers
                    .iter()
                    .flat_map(Container::running)
                    .any(|image| runs_it(image))
            });
            using.map(Arc::new).collect()
        }
    };
    for workload in workloads {
        let names = users.namespaces.entry(workload.id.namespace.clone());
        names.or_default().insert(workload.id.name.clone());
    }
    Ok(users)
}
