//! The lines of the log for what hikaru changes: one for each container that is upgraded or could not be, for each high-water
//! mark that is removed, for each Job that is deleted, for each rollout that was waited for, and for each warning; at debug level,
//! one for each refusal. The line of the request itself is in `access_log`.

use std::time::Duration;

use hikaru_core::{
    Mode, Text,
    jobs::JobName,
    policy::Code,
    port::{Event, Happening, Observer},
    rollout::{End, Followed},
    upgrade::{Outcome, Report, Reported},
    workload::WorkloadName,
};
use tracing::Level;

use crate::{
    access_log::{LONGEST_IMAGE, quoted},
    wire,
};

/// The longest sentence about a workload, in characters.
const LONGEST_SENTENCE: usize = 1000;

/// A line about an event: the request's id, who called, and these fields. A macro, because a line's level is part of its callsite.
macro_rules! line {
    ($level:ident, $event:expr, $($fields:tt)*) => {{
        let by = $event.caller.map(wire::Caller::from);
        tracing::$level!(
            request_id = $event.request_id,
            caller = by.as_ref().and_then(wire::Caller::known_name),
            issuer = by.as_ref().and_then(|by| by.issuer.as_deref()),
            subject = by.as_ref().and_then(|by| by.subject.as_deref()),
            run = by.as_ref().and_then(|by| by.run.as_deref()),
            $($fields)*
        )
    }};
}

/// Writes the changes to the log, by the crate tracing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChangeLog;

impl Observer for ChangeLog {
    fn observe(&self, event: &Event<'_>) {
        match event.what {
            Happening::Reported { report, mode } => {
                verdicts(event, report);
                for reported in &report.entries {
                    let failure = reported.outcome.failure();
                    if failure.is_some() || reported.outcome == Outcome::Upgraded {
                        change(event, report, reported, failure.as_deref(), mode);
                    }
                }
            }
            Happening::MarksRemoved { workload, removed } => {
                marks_removed(event, workload, removed)
            }
            Happening::RolloutEnded { followed, took } => rollout_ended(event, followed, took),
            Happening::JobDeleted { job } => job_deleted(event, job),
            // Its reason can quote what a caller has sent.
            Happening::Refused { problem, code, .. } => {
                line!(debug, event, problem, code, "refused");
            }
            _ => {}
        }
    }
}

/// The code of each container, and what could not be read, at debug level.
fn verdicts(event: &Event<'_>, report: &Report) {
    // There can be thousands.
    if !tracing::enabled!(Level::DEBUG) {
        return;
    }
    for reported in &report.entries {
        let entry = &reported.entry;
        for judged in &entry.containers {
            let container = entry.workload.containers.get(judged.container);
            line!(
                debug,
                event,
                workload = %entry.workload.id,
                container = container.map(|c| &*c.name),
                code = judged.code.as_str(),
                error = reported.outcome.failure(),
                "judged"
            );
        }
    }
    for fault in &report.faults {
        line!(
            debug,
            event,
            place = &*fault.place,
            message = fault.message,
            "not read"
        );
    }
}

fn change(
    event: &Event<'_>,
    report: &Report,
    reported: &Reported,
    failure: Option<&str>,
    mode: Mode,
) {
    let entry = &reported.entry;
    let id = &entry.workload.id;
    let shown = quoted(&id.to_string(), LONGEST_SENTENCE);
    let (outcome, past) = match (&reported.outcome, failure, mode) {
        (Outcome::Unknown { .. }, ..) => ("unknown", "may be upgraded or not"),
        (_, Some(_), _) => ("failed", "could not be upgraded"),
        (_, None, Mode::Commit) => ("upgraded", "was upgraded"),
        (_, None, Mode::DryRun) => ("would-upgrade", "would be upgraded"),
    };
    for judged in &entry.containers {
        let container = entry.workload.containers.get(judged.container);
        let Some(container) = container.filter(|_| judged.code == Code::Upgrade) else {
            continue;
        };
        let name = quoted(&container.name, LONGEST_IMAGE);
        let from = quoted(&container.image, LONGEST_IMAGE);
        // What is written keeps the workload's own spelling of the repository.
        let to = quoted(&entry.image_for(report.build(), judged), LONGEST_IMAGE);
        macro_rules! change {
            ($level:ident) => {
                line!(
                    $level,
                    event,
                    namespace = &*id.namespace,
                    kind = &*id.kind,
                    name = &*id.name,
                    file = id.origin.as_deref(),
                    container = name,
                    from,
                    to,
                    outcome,
                    error = failure,
                    "the container {name} of {shown} {past} from {from} to {to}"
                )
            };
        }
        match failure {
            Some(_) => change!(warn),
            None => change!(info),
        }
    }
    for warning in &entry.warnings {
        line!(
            warn,
            event,
            namespace = &*id.namespace,
            kind = &*id.kind,
            name = &*id.name,
            file = id.origin.as_deref(),
            "{shown}: {}",
            quoted(&warning.to_string(), LONGEST_SENTENCE)
        );
    }
}

fn marks_removed(event: &Event<'_>, workload: &WorkloadName, removed: &[(Text, Text)]) {
    for (container, mark) in removed {
        line!(
            info,
            event,
            namespace = &**workload.namespace(),
            kind = &**workload.kind(),
            name = &**workload.name(),
            container = &**container,
            mark = &**mark,
            outcome = "unheld",
            "the high-water mark {mark} of the container {container} of {workload} was removed"
        );
    }
}

fn rollout_ended(event: &Event<'_>, followed: &Followed, took: Duration) {
    let id = &followed.id;
    let rollout = &followed.answer.rollout;
    let outcome = match followed.end {
        Some(End::Succeeded) => "succeeded",
        Some(End::Failed) => "failed",
        Some(End::Unknown) => "unknown",
        None => "unfinished",
    };
    let sentence = quoted(&rollout.sentence, LONGEST_SENTENCE);
    macro_rules! ended {
        ($level:ident) => {
            line!(
                $level,
                event,
                namespace = &*id.namespace,
                kind = &*id.kind,
                name = &*id.name,
                state = rollout.state.as_str(),
                cause = rollout.cause.as_ref().map(|cause| cause.code.as_str()),
                outcome,
                seconds = took.as_secs(),
                "{sentence}"
            )
        };
    }
    match followed.end {
        Some(End::Failed | End::Unknown) => ended!(warn),
        Some(End::Succeeded) | None => ended!(info),
    }
}

fn job_deleted(event: &Event<'_>, job: &JobName) {
    line!(
        info,
        event,
        namespace = &**job.namespace(),
        name = &**job.name(),
        outcome = "deleted",
        "the Job {job} was deleted"
    );
}
