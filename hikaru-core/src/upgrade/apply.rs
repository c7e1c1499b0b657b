//! Acting on a plan: guarded writes, each judged again when its state has changed, until it is done or no longer due.

use futures_util::{StreamExt as _, future::join_all, stream};

use crate::{
    policy::Plan,
    port::{ClusterPort, Fault, Mode, Severity},
    upgrade::attempts::{Attempts, Step},
    upgrade::report::{Outcome, Report, Reported},
};

/// How many workloads are in hand at once. The number of requests in flight is the adapter's business.
const IN_HAND: usize = 256;

/// Carries out a plan. Each write tests all that its verdict read; a refused one is read and judged again, and stops
/// when the verdict is no longer *upgrade*. A lost answer is found out by reading; where that fails, too, the outcome is
/// [`Outcome::Unknown`]. One workload's failure does not stop
/// the others.
///
/// ```
/// # futures_util::FutureExt::now_or_never(async {
/// use hikaru_core::{Build, Container, IdentityLabels, MemoryCluster, Mode, Outcome, Request, TagFormats, Workload, WorkloadId, apply, plan};
/// let mut web = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
/// web.labels = IdentityLabels::new("acme", "web", "main");
/// web.containers.push(Container::new("web", "acme/web:latest"));
/// let cluster = MemoryCluster::default();
/// cluster.put(web.clone());
///
/// let build = Build::parse("acme/web:acme_web_main_1.4.0_7_0123abcd", &TagFormats::default()).unwrap();
/// let plan = plan(Request::new(build), cluster.get(&web.id));
/// let report = apply(&cluster, plan, Mode::DryRun).await;
/// assert_eq!(report.entries[0].outcome, Outcome::Upgraded);
/// assert_eq!(&*cluster.get(&web.id).unwrap().containers[0].image, "acme/web:latest");
/// # }).unwrap();
/// ```
pub async fn apply(port: &dyn ClusterPort, plan: Plan, mode: Mode) -> Report {
    let mut report = Report::of(plan.request.clone());
    let attempts: Vec<Attempts> = Attempts::of(plan).collect();
    let each = attempts
        .into_iter()
        .map(|attempts| apply_one(port, attempts, mode));
    let mut done: Vec<Reported> = match each.len() {
        0 => Vec::new(),
        // The usual post. A stream of futures wakes its own task once for nothing, and with it another thread.
        1 => join_all(each).await,
        _ => stream::iter(each).buffer_unordered(IN_HAND).collect().await,
    };
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

async fn apply_one(port: &dyn ClusterPort, mut attempts: Attempts, mode: Mode) -> Reported {
    loop {
        let pause = attempts.pause();
        if !pause.is_zero() {
            port.pause(pause).await;
        }
        match attempts.step() {
            Step::Write(change) => {
                let answer = port.write(change, mode).await;
                attempts.written(answer);
            }
            Step::Read(id) => {
                let answer = port.read(id).await;
                attempts.read(answer);
            }
            Step::Done => return attempts.finish(),
        }
    }
}
