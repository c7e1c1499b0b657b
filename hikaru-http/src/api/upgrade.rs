//! The call that upgrades: its permit, its task, which outlives its client, and its result as an answer.

use std::sync::Arc;

use futures_util::FutureExt as _;
use hikaru_core::{
    Mode, Request,
    upgrade::{Report, ShortfallKind, Terms},
};

use super::{
    Answer, Api, Call,
    answer::{Outcome, json},
    failures,
    image::{build, came_to, noted},
    in_task,
    permit::acquire,
    problem::{Kind, Refusal},
    query::{Parameters, Takes},
};
use crate::{
    access_log::AccessLog,
    wire::{self, Interface},
};

/// Upgrades, in a task of its own (see [`in_task`]). While the call waits for a permit nothing has begun, and it ends with its
/// client.
pub(super) async fn answer(api: Arc<Api>, mut line: Box<AccessLog>, call: Call<'_>) -> Answer {
    let read = read(&api, &call, &mut line);
    // The body is not read: hyper takes no more of it.
    drop(call);
    let (request, ask) = match read {
        Ok(read) => read,
        Err(refusal) => return api.finish(line, Err(refusal)),
    };
    let busy = "too many upgrades are under way: nothing was done";
    let permit = match acquire(&api.permits.upgrades, api.limits.answer, busy).await {
        Ok(permit) => permit,
        Err(refusal) => return api.finish(line, Err(refusal)),
    };
    let server = api.clone();
    let late =
        "the upgrade is still under way and will be finished: repeating the call later is safe";
    in_task::run(api, line, late, move |line| {
        async move {
            let _permit = permit;
            let (cluster, clock) = (&*server.cluster, &*server.clock);
            let report = hikaru_core::upgrade(cluster, clock, request, ask.mode).await?;
            came_to(&server, line, &report, ask.mode);
            answer_of(&report, ask)
        }
        .boxed()
    })
    .await
}

/// How an upgrade is asked for.
#[derive(Clone, Copy)]
struct Ask {
    full: bool,
    strict: bool,
    allow_none: bool,
    mode: Mode,
}

fn read(api: &Api, call: &Call<'_>, line: &mut AccessLog) -> Result<(Request, Ask), Box<Refusal>> {
    let parameters = Parameters::read(call.query(), Takes::Upgrade)?;
    parameters.check_kinds(&api.kinds)?;
    let build = build(api, call, line)?;
    let ask = Ask {
        full: parameters.full(),
        strict: parameters.strict(),
        allow_none: parameters.allow_none(),
        mode: match parameters.dry_run() {
            true => Mode::DryRun,
            false => Mode::Commit,
        },
    };
    let mut request = parameters.request(build);
    // Only the full report and the strict answer show near misses.
    request.near_misses = ask.full || ask.strict;
    Ok((request, ask))
}

fn answer_of(report: &Report, ask: Ask) -> Outcome {
    let terms = match ask.strict {
        true => Terms::Strict,
        false => Terms::Lenient,
    };
    let full = || wire::Report::new(report, Interface::Http);
    if let Some(shortfall) = report.shortfall(terms, ask.allow_none) {
        let (kind, see) = match shortfall.kind {
            ShortfallKind::Refused => (Kind::Refused, ""),
            ShortfallKind::NothingMatched if !report.near_misses.is_empty() => {
                (Kind::Strict, ": see nearMisses of the report")
            }
            ShortfallKind::NothingMatched | ShortfallKind::StaysBehind => (Kind::Strict, ""),
            // Repeating can help.
            _ => (Kind::Incomplete, ""),
        };
        let detail = format!("{}{see}", shortfall.sentence);
        let members = match kind {
            Kind::Strict => wire::Members::default(),
            _ => wire::Members {
                upgraded: Some(wire::upgraded(report)),
                failed: Some(wire::failed(report)),
                faults: failures(&report.faults),
                ..wire::Members::default()
            },
        };
        return Err(Refusal::new(kind, detail).with(wire::Members {
            report: (ask.full || ask.strict).then(full),
            ..members
        }));
    }
    let answer = match ask.full {
        true => json(&full()),
        false => json(&wire::upgraded(report)),
    };
    answer.map(|answer| noted(answer, report))
}
