//! A report as a table or as JSON on standard output, and warnings, faults and near misses on standard error.

use std::{collections::BTreeMap, sync::Arc};

use comfy_table::Cell;
use hikaru_core::{
    Build,
    image::Reference,
    policy::Verdict,
    port::{Fault, Severity},
    rollout::Followed,
    upgrade::{Outcome, Report, Reported},
};
use hikaru_http::wire::{self, Interface};

use super::json;
use crate::{
    args::Output,
    terminal::{self, cell},
};

/// How many near misses are told before the rest is only counted.
const NEAR_MISSES: usize = 10;

/// Whether what a report says was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// It was.
    Really,
    /// It is a plan, or the report of a dry run.
    Not,
}

impl Done {
    /// A verdict as it is shown.
    fn word(self, verdict: Verdict) -> String {
        match (verdict, self) {
            (Verdict::Upgrade, Self::Really) => "upgraded".to_owned(),
            (Verdict::Upgrade, Self::Not) => "would upgrade".to_owned(),
            (verdict, _) => verdict.to_string(),
        }
    }
}

/// Prints a report to standard output. `rollouts`: those that were waited for, if any were.
pub(super) fn print(
    report: &Report,
    output: Output,
    done: Done,
    rollouts: Option<&[Arc<Followed>]>,
) -> Result<(), String> {
    match output {
        Output::Json => {
            let told = wire::Report::new(report, Interface::Command);
            terminal::print(&json(&told.with_rollouts(rollouts.unwrap_or_default())))
        }
        Output::Table => table(report, done, rollouts),
    }
}

/// Tells on standard error what else a person should know.
pub(super) fn tell(report: &Report) {
    tell_warnings(report);
    tell_faults(&report.faults);
    if report.nothing_matched() {
        tell_near_misses(report);
    }
    if let Some(overtaken) = report.overtaken() {
        terminal::tell(&Interface::Command.overtaken(&overtaken));
    }
}

/// Rollouts that were waited for have a column of their own.
fn table(report: &Report, done: Done, rollouts: Option<&[Arc<Followed>]>) -> Result<(), String> {
    let build = report.build();
    let in_files = report
        .entries
        .iter()
        .any(|r| r.entry.workload.id.origin.is_some());
    let mut header = vec!["WORKLOAD", "CONTAINER", "FROM", "TO", "VERDICT", "WHY"];
    if in_files {
        header.insert(1, "FILE");
    }
    if rollouts.is_some() {
        header.insert(header.len() - 1, "STATE");
    }
    let rows = report.entries.iter().flat_map(|reported| {
        let mut rows = rows(report, reported, in_files, done, rollouts.is_some());
        if let Some(rollouts) = rollouts {
            let id = &reported.entry.workload.id;
            let followed = rollouts.iter().find(|followed| followed.id == *id);
            let state = followed.map_or("-".to_owned(), |f| {
                wire::rollout::Rollout::followed(f).state
            });
            for row in &mut rows {
                row.insert(row.len() - 1, terminal::verdict(&state));
            }
        }
        rows
    });
    let rows: Vec<_> = rows.collect();
    if !rows.is_empty() {
        terminal::print(&format!(
            "{}\n{}",
            terminal::printable(&format!("image {}", build.image())),
            terminal::table(&header, rows)
        ))?;
    }
    if let Some(counts) = counts(report, done) {
        terminal::print(&format!("\n{counts}"))?;
    }
    Ok(())
}

/// `5 workloads: 2 upgraded, 2 skipped, 1 obsolete`.
fn counts(report: &Report, done: Done) -> Option<String> {
    let mut counts = BTreeMap::new();
    for reported in &report.entries {
        // What failed comes first.
        let key = match reported.outcome.failure() {
            Some(_) => (None, failed(&reported.outcome)),
            None => (Some(reported.entry.verdict()), ""),
        };
        *counts.entry(key).or_insert(0) += 1;
    }
    let counts: Vec<_> = counts
        .iter()
        .map(|((verdict, failed), n)| match verdict {
            Some(verdict) => format!("{n} {}", done.word(*verdict)),
            None => format!("{n} {failed}"),
        })
        .collect();
    let workloads = match report.entries.len() {
        0 => return None,
        1 => "1 workload".to_owned(),
        n => format!("{n} workloads"),
    };
    Some(format!("{workloads}: {}", counts.join(", ")))
}

/// How an upgrade is told that did not succeed.
fn failed(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Unknown { .. } => "unknown",
        _ => "failed",
    }
}

fn rows(
    report: &Report,
    reported: &Reported,
    in_files: bool,
    done: Done,
    is_waited_for: bool,
) -> Vec<Vec<Cell>> {
    let entry = &reported.entry;
    let id = &entry.workload.id;
    let build = report.build();
    let row = |judged: &hikaru_core::policy::Judged| {
        let container = entry.workload.containers.get(judged.container)?;
        let verdict = judged.code.verdict();
        let mut why = wire::reason(entry, judged);
        let upgrade = verdict == Verdict::Upgrade;
        let failure = reported.outcome.failure().filter(|_| upgrade);
        let code = judged.code;
        let shown = match &failure {
            Some(failure) => {
                why = format!("{failure} ({why})");
                failed(&reported.outcome).to_owned()
            }
            None => done.word(verdict),
        };
        if code.as_str() != verdict.to_string() && failure.is_none() {
            why = format!("{code}: {why}");
        }
        // After a wait its state is told.
        if verdict == Verdict::Equal && !is_waited_for {
            why.push_str(match wire::complete(entry) {
                Some(true) => "; its rollout is complete",
                Some(false) => "; its rollout is not complete: hikaru rollout says why",
                None => "",
            });
        }
        let mut cells = vec![
            cell(id.to_string()),
            cell(&container.name),
            cell(version_of(&container.image, build)),
            cell(if upgrade && failure.is_none() {
                version_of(build.image(), build)
            } else {
                "-"
            }),
            terminal::verdict(&shown),
            cell(why),
        ];
        if in_files {
            cells.insert(1, cell(id.origin.as_deref().unwrap_or("-")));
        }
        Some(cells)
    };
    entry.containers.iter().filter_map(row).collect()
}

/// The part of an image after its repository: all rows have the same one. On a terminal, where room is dear, the
/// identity that the posted tag has too is left out: `1.4.0_7_0123abcd`. An image that cannot be read is shown whole.
fn version_of<'t>(image: &'t str, build: &Build) -> &'t str {
    let part = match Reference::parse(image) {
        Ok(image) => image.tag().or(image.digest()).unwrap_or("(no tag)"),
        Err(_) => image,
    };
    let identity = build.tag().identity().as_str();
    let short = part
        .strip_prefix(identity)
        .and_then(|rest| rest.strip_prefix('_'));
    short.filter(|_| terminal::is_one()).unwrap_or(part)
}

fn tell_warnings(report: &Report) {
    for reported in &report.entries {
        let id = &reported.entry.workload.id;
        let place = match &id.origin {
            Some(origin) => format!("{origin}: {id}"),
            None => id.to_string(),
        };
        for warning in &reported.entry.warnings {
            terminal::tell(&format!("warning: {place}: {warning}"));
        }
        debug_assert!(reported.outcome != Outcome::Withdrawn, "told as a fault");
    }
}

/// Tells what could not be read.
pub(super) fn tell_faults(faults: &[Fault]) {
    for fault in faults {
        let severity = match fault.severity {
            Severity::Warning => "warning",
            // The one line that begins with `error` says why the command does not end with 0.
            Severity::Failure => "not read",
        };
        terminal::tell(&format!("{severity}: {}: {}", fault.place, fault.message));
    }
}

fn tell_near_misses(report: &Report) {
    // Where the call was narrowed away from what matches, the first sentence says so.
    if report.narrowed_away().is_none() {
        let build = report.build();
        let mut readings = build.tag().readings();
        let reading = readings.next().map(|r| r.to_string()).unwrap_or_default();
        let others = match readings.count() {
            0 => String::new(),
            n => format!(" ({n} other readings: hikaru tag shows them)"),
        };
        terminal::tell(&format!(
            "nothing matched: no workload that hikaru looks at uses {} and is labeled {reading}{others}",
            build.repository()
        ));
    }
    let sentences: Vec<String> = report.near_miss_sentences().collect();
    for (i, sentence) in sentences.iter().take(NEAR_MISSES).enumerate() {
        let is_whole = i == 0 && report.narrowed_away().is_some();
        let before = if is_whole { "" } else { "  near: " };
        terminal::tell(&format!("{before}{sentence}"));
    }
    if let Some(more @ 1..) = sentences.len().checked_sub(NEAR_MISSES) {
        terminal::tell(&format!("  and {more} more"));
    }
}
