//! `hikaru rollout`: how the rollout of a workload is, and what shows why it failed.

use comfy_table::Cell;
use hikaru_core::{
    WorkloadId,
    port::{Scope, Select},
    rollout::{Asked, RolloutState},
    upgrade::Shortfall,
    workload::WorkloadName,
};
use hikaru_http::wire::rollout::{Cause, Evidence, Rollout};

use super::{End, Exit, Failure, json, report};
use crate::{
    args::{
        Output,
        rollout::{Rollout as Args, Target},
    },
    cluster::{Ports, Settings},
    terminal::{self, cell, printable},
};

pub(super) async fn run(args: &Args, settings: &Settings, ports: &Ports) -> Result<End, Failure> {
    let workload = match &args.workload {
        Target::Workload(workload) => workload.clone(),
        Target::Name { namespace, name } => {
            let mut kinds = settings.kind_names();
            kinds.extend(WorkloadName::own_kinds().map(Into::into));
            let named = kinds.into_iter();
            let named = named.map(|kind| WorkloadId::new(namespace.clone(), kind, name.clone()));
            only(named.collect(), &args.workload, ports).await?
        }
    };
    let answer = ports.rollouts.look(&workload, &Asked::default()).await?;
    let gone = || Failure::new(Exit::Person, format!("there is no {workload}"));
    let told = Rollout::new(&answer).ok_or_else(gone)?;
    match args.output.output {
        Output::Json => terminal::print(&json(&told))?,
        Output::Table => print(&told)?,
    }
    Ok(end(&workload, answer.rollout.state, &told))
}

/// The only workload that is there of these.
async fn only(
    ids: Vec<WorkloadId>,
    asked: &Target,
    ports: &Ports,
) -> Result<WorkloadName, Failure> {
    let found = ports
        .workloads
        .find(&Scope::new(Select::Named(ids)))
        .await?;
    report::tell_faults(&found.faults);
    let mut ids: Vec<String> = found.workloads.iter().map(|w| w.id.to_string()).collect();
    ids.sort_unstable();
    match (&ids[..], Shortfall::unread(&found.faults)) {
        // That other kinds cannot be read was told: it does not matter to the one that is there.
        ([one], _) => {
            let named = one.parse();
            named.map_err(|error: hikaru_core::workload::NameError| error.to_string().into())
        }
        (_, Some(unread)) => Err(unread.into()),
        ([], None) => {
            let Target::Name { namespace, name } = asked else {
                return Err(Failure::new(Exit::Person, "there is no such workload"));
            };
            let why = format!("there is no workload {name} in the namespace {namespace}");
            Err(Failure::new(Exit::Person, why))
        }
        (several, None) => {
            let why = format!(
                "expected one workload, found {}: name its kind",
                several.join(", ")
            );
            Err(Failure::new(Exit::Person, why))
        }
    }
}

/// Only what a person has to mend is a failure.
fn end(workload: &WorkloadName, state: RolloutState, told: &Rollout) -> End {
    match state {
        RolloutState::Complete
        | RolloutState::Progressing
        | RolloutState::Superseded
        | RolloutState::NotApplicable => End::Done,
        state => {
            let why = match (&told.cause, state) {
                // Its sentence stands in the answer.
                (Some(cause), RolloutState::Failed) => &cause.code,
                _ => without_name(&told.sentence, &workload.to_string()),
            };
            let why = format!("{workload}: {state}: {why}");
            End::Failed(Failure::new(Exit::Person, why))
        }
    }
}

fn print(rollout: &Rollout) -> Result<(), String> {
    let Rollout {
        namespace,
        kind,
        name,
        ..
    } = rollout;
    let workload = format!("{namespace}/{kind}/{name}");
    let header = [
        "WORKLOAD",
        "STATE",
        "DESIRED",
        "UPDATED",
        "READY",
        "AVAILABLE",
        "OLD",
        "WHY",
    ];
    let count = |count: i32| cell(count.to_string());
    let mut cells: Vec<Cell> = vec![cell(&workload), terminal::verdict(&rollout.state)];
    let counts = [
        rollout.desired,
        rollout.updated,
        rollout.ready,
        rollout.available,
        rollout.old,
    ];
    cells.extend(counts.map(count));
    cells.push(cell(without_name(&rollout.sentence, &workload)));
    terminal::print(&terminal::table(&header, vec![cells]))?;
    let mut lines = Vec::new();
    let images = rollout.containers.iter();
    lines.extend(
        images.map(|container| format!("image of {}: {}", container.name, container.image)),
    );
    lines.extend(
        rollout
            .remarks
            .iter()
            .map(|remark| format!("remark: {remark}")),
    );
    if let Some(cause) = &rollout.cause {
        lines.push(cause_line(cause, &rollout.sentence, &workload));
        let details = cause.details.iter();
        lines.extend(details.map(|(what, value)| format!("  {what}: {value}")));
    }
    lines.extend(rollout.evidence.iter().flat_map(evidence));
    let of_evidence = rollout.evidence.iter().flat_map(|e| &e.unseen);
    let of_evidence = of_evidence.filter(|unseen| !rollout.unseen.contains(unseen));
    lines.extend(rollout.unseen.iter().chain(of_evidence).cloned());
    if lines.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = lines.iter().map(|line| printable(line)).collect();
    terminal::print(&format!("\n{}", lines.join("\n")))
}

/// The code of a cause, with its message where that is not a part of the sentence on the rollout.
fn cause_line(cause: &Cause, sentence: &str, workload: &str) -> String {
    let message = without_name(&cause.message, workload);
    match sentence.contains(message) {
        true => format!("cause: {}", cause.code),
        false => format!("cause: {}: {message}", cause.code),
    }
}

/// A sentence without the workload's name before it, where that is told already.
pub(super) fn without_name<'s>(sentence: &'s str, workload: &str) -> &'s str {
    let rest = sentence.strip_prefix(workload);
    rest.and_then(|rest| rest.strip_prefix(": "))
        .unwrap_or(sentence)
}

/// The lines of what shows why a rollout failed; what could not be collected is told elsewhere.
fn evidence(evidence: &Evidence) -> Vec<String> {
    let mut lines = Vec::new();
    if !evidence.events.is_empty() {
        lines.push("events:".to_owned());
    }
    lines.extend(evidence.events.iter().map(|event| {
        format!(
            "  {}x {} {}: {}",
            event.count, event.object, event.reason, event.message
        )
    }));
    if let Some(log) = &evidence.log {
        let which = match log.previous {
            true => ", of its previous run",
            false => "",
        };
        lines.push(format!("log of {}/{}{which}:", log.pod, log.container));
        lines.extend(log.lines.iter().map(|line| format!("  {line}")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_stands_in_the_sentence_is_not_told_again() {
        let cause = Cause {
            code: "CrashLoop".to_owned(),
            message: "shop/Deployment/web: 1 of 2 new pods crash; see its log".to_owned(),
            details: std::collections::BTreeMap::new(),
            pod: None,
            container: None,
            count: 1,
        };
        for (sentence, expected) in [
            (&*cause.message, "cause: CrashLoop"),
            (
                "shop/Deployment/web: 0 of 2 new pods are ready; so far 1 of 2 new pods crash; see its log",
                "cause: CrashLoop",
            ),
            (
                "shop/Deployment/web: nothing new for 10 min",
                "cause: CrashLoop: 1 of 2 new pods crash; see its log",
            ),
        ] {
            assert_eq!(
                cause_line(&cause, sentence, "shop/Deployment/web"),
                expected
            );
        }
    }
}
