//! The call that upgrades: its turn, its task, which outlives its client, and what came of it as an answer.

use std::{future::ready, sync::Arc};

use futures_util::{FutureExt as _, future::Either};
use hikaru_core::{Build, Mode, Report, ShortfallKind, Terms};
use hyper::{StatusCode, body::Bytes};
use tokio::time::timeout_at;

use super::{Answer, JSON, Outcome, failures, finish, in_task, json, noted, of_bytes};
use crate::{
    problem::{Kind, Refusal},
    query::Parameters,
    request_line::RequestLine,
    server::Shared,
    wire::{self, Interface},
};

/// Upgrades, in a task of its own (see [`in_task`]). While the call waits for a permit nothing has begun, and it ends with its
/// client.
pub(super) fn answer(
    shared: Arc<Shared>,
    line: Box<RequestLine>,
    build: Build,
    parameters: Parameters,
) -> impl Future<Output = Answer> {
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
    let deadline = line.started + shared.limits.answer;
    let turn = match shared.upgrades.clone().try_acquire_owned() {
        Ok(turn) => Either::Left(ready(Some(turn))),
        // It is never closed, so the other error is none.
        Err(_) => {
            let turn = timeout_at(deadline, shared.upgrades.clone().acquire_owned());
            Either::Right(Box::pin(turn.map(|turn| turn.ok().and_then(Result::ok))))
        }
    };
    async move {
        let Some(turn) = turn.await else {
            let busy = Refusal::new(
                Kind::Busy,
                "too many upgrades are under way: nothing was done",
            );
            return finish(line, Err(busy));
        };
        let server = shared.clone();
        let late =
            "the upgrade is still under way and will be finished: repeating the call later is safe";
        in_task::run(shared, line, late, move |line| {
            async move {
                let _turn = turn;
                let report =
                    hikaru_core::upgrade(&*server.cluster, &*server.clock, request, ask.mode)
                        .await?;
                told(line, &report, ask)
            }
            .boxed()
        })
        .await
    }
}

/// How an upgrade is asked for.
#[derive(Clone, Copy)]
struct Ask {
    full: bool,
    strict: bool,
    allow_none: bool,
    mode: Mode,
}

/// What came of an upgrade, as it was asked for.
fn told(line: &mut RequestLine, report: &Report, ask: Ask) -> Outcome {
    line.report(report, ask.mode);
    line.changes(report, ask.mode);
    let terms = match ask.strict {
        true => Terms::Strict,
        false => Terms::Lenient,
    };
    let told = || wire::Report::new(report, Interface::Http);
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
            report: (ask.full || ask.strict).then(told),
            ..members
        }));
    }
    if ask.full {
        return json(&told()).map(|answer| noted(answer, report));
    }
    match &*wire::upgraded(report) {
        // What most posts of a busy CI are answered.
        [] => {
            let answer = of_bytes(StatusCode::OK, JSON, Bytes::from_static(b"[]"));
            Ok(noted(answer, report))
        }
        upgraded => json(&upgraded),
    }
}
