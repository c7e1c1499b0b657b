//! Acting on a plan: guarded writes, each judged again when its state has changed, until it is done or no longer due.

use futures_util::{StreamExt as _, stream};

use super::{
    attempts::{Attempts, Step},
    report::{Outcome, Report},
};
use crate::{
    policy::{Plan, change::Change},
    port::{Clock, ClusterError, Fault, Mode, Severity, WorkloadPort, workloads::IN_FLIGHT},
};

/// Carries out a plan. Each write tests all that its verdict read. Where it is refused because that has changed, the workload is
/// read and judged again, until it is written or its verdict is no longer *upgrade*. What became of a lost answer is found out by
/// reading; where that fails, too, the outcome is [`Outcome::Unknown`]. One workload's failure does not stop the others. All that can be
/// written is written in one batch, and what was refused is read when the whole batch has its answers.
///
/// ```
/// # futures_util::FutureExt::now_or_never(async {
/// use hikaru_core::{Build, Container, IdentityLabels, Mode, Request, TagFormats, Workload, WorkloadId, plan,
///     testing::{MemoryCluster, StillClock}, upgrade::{Outcome, apply}};
/// let mut web = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
/// web.labels = IdentityLabels::new("acme", "web", "main");
/// web.containers.push(Container::new("web", "acme/web:latest"));
/// let cluster = MemoryCluster::default();
/// cluster.put(web.clone());
///
/// let build = Build::parse("acme/web:acme_web_main_1.4.0_7_0123abcd", &TagFormats::default()).unwrap();
/// let plan = plan(Request::new(build), cluster.get(&web.id));
/// let report = apply(&cluster, &StillClock::default(), plan, Mode::DryRun).await;
/// assert_eq!(report.entries[0].outcome, Outcome::Upgraded);
/// assert_eq!(&*cluster.get(&web.id).unwrap().containers[0].image, "acme/web:latest");
/// # }).unwrap();
/// ```
pub async fn apply(port: &dyn WorkloadPort, clock: &dyn Clock, plan: Plan, mode: Mode) -> Report {
    let mut report = Report::of(plan.request.clone());
    let mut under_way: Vec<Attempts> = Attempts::of(plan).collect();
    let mut done = Vec::new();
    while !under_way.is_empty() {
        let (ended, going): (Vec<_>, Vec<_>) = under_way
            .into_iter()
            .partition(|attempts| matches!(attempts.step(), Step::Done));
        done.extend(ended.into_iter().map(Attempts::finish));
        // Those that have to wait do not keep the others; when only they are left, they wait together, for the longest pause.
        let (mut now, mut later): (Vec<_>, Vec<_>) = going
            .into_iter()
            .partition(|attempts| attempts.pause().is_zero());
        if now.is_empty()
            && let Some(longest) = later.iter().map(Attempts::pause).max()
        {
            clock.sleep(longest).await;
            now = std::mem::take(&mut later);
        }
        advance(port, &mut now, mode).await;
        under_way = now;
        under_way.append(&mut later);
    }
    done.sort_unstable_by(|a, b| a.entry.workload.id.cmp(&b.entry.workload.id));
    for reported in done {
        match reported.outcome {
            Outcome::Withdrawn => report.faults.push(Fault::new(
                Severity::Warning,
                reported.entry.workload.id.to_string(),
                "no longer matches: it was relabeled, or its image replaced, while the call was under way",
            )),
            _ => report.entries.push(reported),
        }
    }
    report
}

/// Takes one step of each: the writes in one batch, the readings side by side.
async fn advance(port: &dyn WorkloadPort, under_way: &mut [Attempts], mode: Mode) {
    let (mut writing, mut reading) = (Vec::new(), Vec::new());
    let mut changes: Vec<Change> = Vec::new();
    for attempts in under_way {
        match attempts.step() {
            Step::Write(change) => {
                changes.push(change.clone());
                writing.push(attempts);
            }
            Step::Read(_) => reading.push(attempts),
            Step::Done => {}
        }
    }
    if !changes.is_empty() {
        let mut answers = port.write_all(&changes, mode).await.into_iter();
        for attempts in writing {
            // A port that gives too few answers has perhaps written the rest.
            let lost = || ClusterError::Lost("the cluster gave no answer".to_owned());
            attempts.written(answers.next().unwrap_or_else(|| Err(lost())));
        }
    }
    let reads: Vec<_> = reading
        .into_iter()
        .map(|attempts| read(port, attempts))
        .collect();
    stream::iter(reads)
        .buffer_unordered(IN_FLIGHT)
        .collect::<()>()
        .await;
}

async fn read(port: &dyn WorkloadPort, attempts: &mut Attempts) {
    if let Step::Read(id) = attempts.step() {
        let id = id.clone();
        let answer = port.read(&id).await;
        attempts.read(answer);
    }
}
