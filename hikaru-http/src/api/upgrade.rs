//! The call that upgrades: its permit, its task, which outlives its client, and its result as an answer, perhaps after a wait for the
//! rollouts.

use std::sync::Arc;

use futures_util::FutureExt as _;
use hikaru_core::{
    Mode, Request,
    rollout::Awaited,
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
    view::View,
    waited,
    waiting::{self, End, ToWait},
};
use crate::{access_log::AccessLog, wire};

/// Upgrades, in a task of its own (see [`in_task`]), and waits for the rollouts if the call asks for it. While the call waits for a
/// permit nothing has begun, and it ends with its client.
pub(super) async fn answer(api: Arc<Api>, mut line: Box<AccessLog>, mut call: Call<'_>) -> Answer {
    let read = read(&api, &mut call, &mut line).await;
    let view = call.view.clone();
    // If the body is not read, hyper takes no more of it.
    drop(call);
    let permits = async {
        let (request, ask, to_wait) = read?;
        let busy = "too many upgrades are under way: nothing was done";
        let permit = acquire(&api.permits.upgrades, api.limits.answer, busy).await?;
        Ok((request, ask, to_wait, permit))
    };
    let (request, ask, to_wait, permit) = match permits.await {
        Ok(taken) => taken,
        Err(refusal) => return api.finish(line, Err(refusal)),
    };
    let (server, seen) = (api.clone(), view.clone());
    let late =
        "the upgrade is still under way and will be finished: repeating the call later is safe";
    let unawaited = |view: View| move |report| answer_of(&view, &report, ask, None);
    let done = in_task::run(
        api.clone(),
        line,
        late,
        unawaited(view.clone()),
        move |line| {
            async move {
                let _permit = permit;
                let (cluster, clock) = (seen.cluster(), &*server.clock);
                let report = hikaru_core::upgrade(cluster, clock, request, ask.mode).await?;
                came_to(&server, line, &report, ask.mode);
                Ok(report)
            }
            .boxed()
        },
    );
    let (line, report) = match done.await {
        Ok((line, Ok(report))) => (line, report),
        Ok((line, Err(refusal))) => return api.finish(line, Err(refusal)),
        Err(answer) => return answer,
    };
    let awaited = to_wait.and_then(|wait| Some((awaited(&report, ask, &wait)?, wait)));
    match awaited.map(|(awaited, wait)| wait.begin(&api, awaited)) {
        None => api.finish(line, unawaited(view)(report)),
        Some(Err(refusal)) => api.finish(line, Err(refusal)),
        Some(Ok(waiting)) => {
            let tell = move |end: End| answer_of(&view, &report, ask, Some(&end));
            waited::answer(api, line, waiting, Box::new(tell)).await
        }
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

async fn read(
    api: &Api,
    call: &mut Call<'_>,
    line: &mut AccessLog,
) -> Result<(Request, Ask, Option<ToWait>), Box<Refusal>> {
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
    let mut request = parameters.request(build, call.view.caller())?;
    // Only the full report and the strict answer show near misses.
    request.near_misses = ask.full || ask.strict;
    let to_wait = ToWait::read(api, line, call, &parameters).await?;
    Ok((request, ask, to_wait))
}

/// The rollouts of an upgrade that is written. `None`: there are none, or a failed write has decided the answer.
fn awaited(report: &Report, ask: Ask, wait: &ToWait) -> Option<Vec<Awaited>> {
    let shortfall = shortfall(report, ask);
    let has_failed = shortfall.is_some_and(|(kind, _)| kind != Kind::Strict);
    let awaited = Awaited::upgraded(report);
    let is_over = awaited.is_empty() || (wait.terms.fail_fast && has_failed);
    (!is_over).then_some(awaited)
}

/// Why an upgrade is no success, whatever becomes of its rollouts.
fn shortfall(report: &Report, ask: Ask) -> Option<(Kind, String)> {
    let terms = match ask.strict {
        true => Terms::Strict,
        false => Terms::Lenient,
    };
    let shortfall = report.shortfall(terms, ask.allow_none)?;
    let (kind, see) = match shortfall.kind {
        ShortfallKind::Refused => (Kind::Refused, ""),
        ShortfallKind::NothingMatched if !report.near_misses.is_empty() => {
            (Kind::Strict, ": see nearMisses of the report")
        }
        ShortfallKind::NothingMatched | ShortfallKind::StaysBehind => (Kind::Strict, ""),
        // Repeating can help.
        _ => (Kind::Incomplete, ""),
    };
    Some((kind, format!("{}{see}", shortfall.sentence)))
}

/// The answer to an upgrade that is written, and to the wait for its rollouts if there was one.
fn answer_of(view: &View, report: &Report, ask: Ask, end: Option<&End>) -> Outcome {
    let rollouts = end.and_then(End::rollouts).unwrap_or_default();
    let full = || view.report(report).with_rollouts(rollouts);
    let see = format!("GET /api/verify/{}", report.build().image());
    let unended = end.and_then(|end| end.problem(&see));
    if let Some((kind, detail)) = waiting::first([shortfall(report, ask), unended]) {
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
            rollouts: end.and_then(End::told),
            ..members
        }));
    }
    let answer = match (ask.full, end) {
        (true, _) => json(&full()),
        (false, None) => json(&wire::upgraded(report)),
        (false, Some(_)) => json(&wire::awaited(report, rollouts)),
    };
    answer.map(|answer| noted(answer, report))
}
