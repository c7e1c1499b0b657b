//! Upgrading what a build is meant for, over any port, and saying what would be upgraded.

use std::time::Duration;

use super::{
    apply::apply,
    report::{Report, near_misses},
};
use crate::{
    policy::{Request, plan},
    port::{Clock, ClusterError, Fault, Found, Mode, Scope, Select, Severity, WorkloadPort},
};

/// When to ask again while the view of a cluster is out of date.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Finds the workloads that a build is meant for, and upgrades those that the policy lets.
///
/// # Errors
/// When nothing could be found out at all; [`ClusterError::Unavailable`] while the port's view gives no
/// answers ([`Freshness`](crate::port::Freshness)). What failed for some workloads is in the report.
///
/// ```
/// # futures_util::FutureExt::now_or_never(async {
/// use hikaru_core::{Build, Container, IdentityLabels, Mode, Request, TagFormats, Workload, WorkloadId,
///     upgrade, testing::{MemoryCluster, StillClock}, upgrade::Outcome};
/// let cluster = MemoryCluster::default();
/// let mut web = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
/// web.labels = IdentityLabels::new("acme", "web", "main");
/// web.containers.push(Container::new("web", "acme/web:acme_web_main_1.4.0_6_0123abcd"));
/// cluster.put(web);
/// let build = Build::parse("acme/web:acme_web_main_1.4.0_7_4567cdef", &TagFormats::default()).unwrap();
/// let report = upgrade(&cluster, &StillClock::default(), Request::new(build.clone()), Mode::Commit).await.unwrap();
/// assert_eq!(report.entries[0].outcome, Outcome::Upgraded);
/// // Posted again, nothing is done: it runs already.
/// let report = upgrade(&cluster, &StillClock::default(), Request::new(build), Mode::Commit).await.unwrap();
/// assert_eq!(report.entries[0].outcome, Outcome::Unchanged);
/// # }).unwrap();
/// ```
pub async fn upgrade(
    port: &dyn WorkloadPort,
    clock: &dyn Clock,
    request: Request,
    mode: Mode,
) -> Result<Report, ClusterError> {
    check_fresh(port)?;
    let Found { workloads, faults } = port.find(&scope(&request)).await?;
    let mut report = apply(port, clock, plan(request, workloads), mode).await;
    complete(port, &mut report, faults).await;
    Ok(report)
}

/// Says what [`upgrade`] would do. Nothing is changed.
///
/// # Errors
/// When nothing could be found out at all; [`ClusterError::Unavailable`] while the port's view gives no
/// answers ([`Freshness`](crate::port::Freshness)).
///
/// ```
/// # futures_util::FutureExt::now_or_never(async {
/// use hikaru_core::{Build, Container, IdentityLabels, Request, TagFormats, Workload, WorkloadId,
///     policy::Verdict, testing::MemoryCluster, upgrade::candidates};
/// let cluster = MemoryCluster::default();
/// let mut web = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
/// web.labels = IdentityLabels::new("acme", "web", "main");
/// web.containers.push(Container::new("web", "acme/web:acme_web_main_1.4.0_6_0123abcd"));
/// cluster.put(web);
/// let build = Build::parse("acme/web:acme_web_main_1.4.0_7_4567cdef", &TagFormats::default()).unwrap();
/// let report = candidates(&cluster, Request::new(build)).await.unwrap();
/// let entry = &report.entries[0].entry;
/// assert_eq!(entry.verdict(), Verdict::Upgrade);
/// assert_eq!(entry.containers[0].reason, "1.4.0_7 follows 1.4.0_6");
/// # }).unwrap();
/// ```
pub async fn candidates(port: &dyn WorkloadPort, request: Request) -> Result<Report, ClusterError> {
    check_fresh(port)?;
    let Found { workloads, faults } = port.find(&scope(&request)).await?;
    let mut report = Report::planned(plan(request, workloads));
    complete(port, &mut report, faults).await;
    Ok(report)
}

/// A view that is known to be out of date gives no answer rather than a wrong one.
pub(crate) fn check_fresh(port: &dyn WorkloadPort) -> Result<(), ClusterError> {
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

/// Adds what could not be read, and, if nothing matched and somebody wants to know, what nearly did: the commonest fault is a
/// misspelt label.
async fn complete(port: &dyn WorkloadPort, report: &mut Report, faults: Vec<Fault>) {
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
        add_near_misses(port, report).await;
    }
}

async fn add_near_misses(port: &dyn WorkloadPort, report: &mut Report) {
    let near = Scope::new(Select::Near(report.build().clone()));
    let found = match port.find(&near).await {
        Err(ClusterError::Unsupported(_)) => return,
        // A caller who may read one namespace only is still told that nothing matched there: so this is a warning.
        Err(error) => {
            let place = "what nearly matches";
            let fault = Fault::of_error(Severity::Warning, place, &error);
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
