//! Acting on a plan: guarded writes, each judged again when its state has changed, until it is done or no longer due.

use futures_util::{StreamExt as _, stream};

use crate::{
    policy::{Entry, Plan},
    port::{ClusterError, ClusterPort, Fault, Mode, Severity},
    report::{Outcome, Report, Reported},
};

/// How often one workload is tried while others keep changing it. Each refused attempt is somebody else's change: of N
/// builds posted at once in random order, the highest is refused about ln N times, and hardly ever twice as often.
pub const ATTEMPTS: usize = 20;

/// How many workloads are in hand at once. The number of requests in flight is the adapter's business.
const IN_HAND: usize = 256;

/// Carries out a plan. Each write tests all that its verdict read; a refused one is read and judged again, and stops
/// when the verdict is no longer *upgrade*. A lost answer is found out by reading. One workload's failure does not stop
/// the others.
pub async fn apply(port: &dyn ClusterPort, mut plan: Plan, mode: Mode) -> Report {
    let entries = std::mem::take(&mut plan.entries);
    let judge = &plan;
    let mut done: Vec<_> = stream::iter(entries)
        .map(|entry| apply_one(port, judge, entry, mode))
        .buffer_unordered(IN_HAND)
        .collect()
        .await;
    done.sort_unstable_by(|a, b| a.entry.workload.id.cmp(&b.entry.workload.id));
    let mut report = Report::of(plan);
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

async fn apply_one(port: &dyn ClusterPort, plan: &Plan, mut entry: Entry, mode: Mode) -> Reported {
    for _ in 0..ATTEMPTS {
        let Some(change) = &entry.change else {
            return Reported::new(entry, Outcome::Unchanged);
        };
        let error = match port.write(change, mode).await {
            Ok(()) => return Reported::new(entry, Outcome::Upgraded),
            Err(error) if error.is_conflict() => error,
            Err(error) => return Reported::new(entry, Outcome::Failed(error)),
        };
        let now = match port.read(&entry.workload.id).await {
            Ok(Some(now)) => now,
            Ok(None) => return Reported::new(entry, Outcome::Failed(ClusterError::NotFound)),
            Err(error) => return Reported::new(entry, Outcome::Failed(error)),
        };
        let lost = matches!(error, ClusterError::Lost(_));
        let arrived = lost && change.arrived_in(&now);
        match plan.judge_again(now) {
            // The write had been applied: only its answer was lost.
            Some(next) if arrived && next.change.is_none() => {
                return Reported::new(entry, Outcome::Upgraded);
            }
            Some(next) => entry = next,
            None => return Reported::new(entry, Outcome::Withdrawn),
        }
    }
    match &entry.change {
        None => Reported::new(entry, Outcome::Unchanged),
        Some(_) => Reported::new(entry, Outcome::Contended),
    }
}
