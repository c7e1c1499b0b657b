//! How rollouts are printed: as a table, and what shows why they failed. Which are printed, and when, is up to the commands.

use std::sync::Arc;

use comfy_table::Cell;
use hikaru_core::rollout::{End as RolloutEnd, Followed};
use hikaru_http::wire::rollout::{Cause, Evidence, Rollout};

use crate::terminal::{self, cell, printable};

const HEADER: [&str; 8] = [
    "WORKLOAD",
    "STATE",
    "DESIRED",
    "UPDATED",
    "READY",
    "AVAILABLE",
    "OLD",
    "WHY",
];

/// Prints the rollout of one workload.
pub(super) fn print(rollout: &Rollout) -> Result<(), String> {
    terminal::print(&terminal::table(&HEADER, vec![cells(rollout)]))?;
    let images = rollout.containers.iter();
    let images =
        images.map(|container| format!("image of {}: {}", container.name, container.image));
    print_lines(images.chain(details(rollout)))
}

/// Prints rollouts as a table, then what shows why those failed that did.
pub(super) fn print_all(rollouts: &[Arc<Followed>]) -> Result<(), String> {
    if rollouts.is_empty() {
        return Ok(());
    }
    let in_files = rollouts.iter().any(|f| f.id.origin.is_some());
    let mut header = HEADER.to_vec();
    if in_files {
        header.insert(1, "FILE");
    }
    let rows = rollouts.iter().map(|followed| {
        let mut cells = cells(&Rollout::followed(followed));
        if in_files {
            cells.insert(1, cell(followed.id.origin.as_deref().unwrap_or("-")));
        }
        cells
    });
    terminal::print(&terminal::table(&header, rows.collect()))?;
    for followed in rollouts {
        let lines = causes(followed);
        if !lines.is_empty() {
            let name = format!("{}:", followed.id);
            print_lines(std::iter::once(name).chain(lines))?;
        }
    }
    Ok(())
}

/// Prints of each rollout that has not ended well why, and what shows it; of the others only what a person should know.
pub(super) fn print_causes(rollouts: &[Arc<Followed>]) -> Result<(), String> {
    for followed in rollouts {
        let lines = causes(followed);
        if followed.end != Some(RolloutEnd::Succeeded) || !lines.is_empty() {
            let rollout = Rollout::followed(followed);
            let name = name(&rollout);
            let (state, sentence) = (&rollout.state, without_name(&rollout.sentence, &name));
            let first = match sentence.strip_prefix(&**state) {
                Some(_) => format!("{name}: {sentence}"),
                None => format!("{name}: {state}: {sentence}"),
            };
            print_lines(std::iter::once(first).chain(lines))?;
        }
    }
    Ok(())
}

/// What is to be said of a rollout beside its sentence, now that the wait is over.
fn causes(followed: &Followed) -> Vec<String> {
    let rollout = Rollout::followed(followed);
    match followed.end {
        Some(RolloutEnd::Succeeded) => {
            let unseen = rollout.unseen.iter().cloned();
            remarks(&rollout).chain(unseen).collect()
        }
        _ => details(&rollout),
    }
}

/// The cells of a rollout, as the header names them.
fn cells(rollout: &Rollout) -> Vec<Cell> {
    let workload = name(rollout);
    let mut cells: Vec<Cell> = vec![cell(&workload), terminal::verdict(&rollout.state)];
    let counts = [
        rollout.desired,
        rollout.updated,
        rollout.ready,
        rollout.available,
        rollout.old,
    ];
    // Where no pods were counted, none of the numbers says anything.
    let is_counted = rollout.state == "complete" || counts != [0; 5];
    cells.extend(counts.map(|count| match is_counted {
        true => cell(count.to_string()),
        false => cell("-"),
    }));
    cells.push(cell(without_name(&rollout.sentence, &workload)));
    cells
}

/// Prints lines below an empty one, if there are any.
fn print_lines(lines: impl Iterator<Item = String>) -> Result<(), String> {
    let lines: Vec<String> = lines.map(|line| printable(&line)).collect();
    if lines.is_empty() {
        return Ok(());
    }
    terminal::print(&format!("\n{}", lines.join("\n")))
}

fn name(rollout: &Rollout) -> String {
    let Rollout {
        namespace,
        kind,
        name,
        ..
    } = rollout;
    format!("{namespace}/{kind}/{name}")
}

fn remarks(rollout: &Rollout) -> impl Iterator<Item = String> {
    let remarks = rollout.remarks.iter();
    remarks.map(|remark| format!("remark: {remark}"))
}

/// The lines on what a rollout's sentence does not say: remarks, the cause, what shows it, what is not seen.
fn details(rollout: &Rollout) -> Vec<String> {
    let mut lines: Vec<String> = remarks(rollout).collect();
    if let Some(cause) = &rollout.cause {
        lines.push(cause_line(cause, &rollout.sentence, &name(rollout)));
        let details = cause.details.iter();
        lines.extend(details.map(|(what, value)| format!("  {what}: {value}")));
    }
    lines.extend(rollout.evidence.iter().flat_map(evidence));
    let of_evidence = rollout.evidence.iter().flat_map(|e| &e.unseen);
    let of_evidence = of_evidence.filter(|unseen| !rollout.unseen.contains(unseen));
    lines.extend(rollout.unseen.iter().chain(of_evidence).cloned());
    lines
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
