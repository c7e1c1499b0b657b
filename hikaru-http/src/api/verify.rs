//! The call that says whether all that an image is meant for run it, complete. It only reads, and may wait.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use hikaru_core::{
    Mode,
    rollout::{Awaited, WaitEvent, WaitTerms},
    upgrade::{Report, Shortfall},
};

use super::{
    Answer, Api, Call,
    answer::{Outcome, json},
    failures,
    image::{build, came_to, read_permit},
    internal,
    problem::{Kind, Refusal},
    query::{Parameters, Takes},
    rollout,
    view::View,
    waited, waiting,
    waiting::{End, ToWait, Waiting},
};
use crate::{access_log::AccessLog, wire};

/// Looks at each workload that the image is meant for: once, or until all rollouts have ended.
pub(super) async fn answer(api: Arc<Api>, mut line: Box<AccessLog>, mut call: Call<'_>) -> Answer {
    let begun = begin(&api, &mut call, &mut line).await;
    let view = call.view.clone();
    drop(call);
    let (meant, waiting) = match begun {
        Ok(begun) => begun,
        Err(refusal) => return api.finish(line, Err(refusal)),
    };
    match waiting {
        Some(waiting) => {
            let tell = move |end: End| meant.answer(&view, &end);
            waited::answer(api, line, waiting, Box::new(tell)).await
        }
        None => {
            let looked = api.within(look(&api, &view, &meant)).await;
            api.finish(line, looked)
        }
    }
}

/// What an image is meant for.
struct Meant {
    plan: Report,
    allow_none: bool,
    waits: bool,
}

/// Finds what the image is meant for, and begins to wait if the call asks for it.
async fn begin(
    api: &Api,
    call: &mut Call<'_>,
    line: &mut AccessLog,
) -> Result<(Meant, Option<Waiting>), Box<Refusal>> {
    let parameters = Parameters::read(call.query(), Takes::Verify)?;
    parameters.check_kinds(&api.kinds)?;
    let build = build(api, call, line)?;
    let request = parameters.request(build, call.view.caller())?;
    let to_wait = ToWait::read(api, line, call, &parameters).await?;
    let planned = api.within(async {
        let _permit = read_permit(api).await?;
        Ok(hikaru_core::upgrade::candidates(call.view.cluster(), request).await?)
    });
    let meant = Meant {
        plan: planned.await?,
        allow_none: parameters.allow_none(),
        waits: to_wait.is_some(),
    };
    came_to(api, line, &meant.plan, Mode::DryRun);
    let is_decided = |wait: &ToWait| wait.terms.fail_fast && meant.shortfall().is_some();
    let to_wait = to_wait.filter(|wait| !is_decided(wait));
    let waiting = to_wait.map(|wait| wait.begin(api, Awaited::meant(&meant.plan)));
    let waiting = waiting.transpose()?;
    Ok((meant, waiting))
}

/// How all are now.
async fn look(api: &Api, view: &View, meant: &Meant) -> Outcome {
    let rollouts = view.rollouts()?;
    let _permit = rollout::permit(api).await?;
    let once = WaitTerms::new(Duration::ZERO);
    let mut looks = rollouts.wait(Awaited::meant(&meant.plan), once)?;
    while let Some(event) = looks.next().await {
        if let WaitEvent::Over(waited) = event {
            return meant.answer(view, &End::Over(waited));
        }
    }
    Err(internal())
}

impl Meant {
    /// Why the answer is no success, whatever becomes of the rollouts.
    fn shortfall(&self) -> Option<(Kind, String)> {
        let plan = &self.plan;
        if let Some(unread) = Shortfall::unread(&plan.faults) {
            return Some((Kind::Incomplete, unread.sentence));
        }
        let is_short = plan.nothing_matched() && !self.allow_none;
        let see = match plan.near_misses.is_empty() {
            true => "",
            false => ": see nearMisses of the report",
        };
        is_short.then(|| (Kind::Strict, format!("nothing matched{see}")))
    }

    fn answer(&self, view: &View, end: &End) -> Outcome {
        let see = match self.waits {
            true => "repeating the call is safe".to_owned(),
            false => "with wait=15m the answer comes when it has ended".to_owned(),
        };
        let rollouts = end.told().unwrap_or_default();
        let Some((kind, detail)) = waiting::first([self.shortfall(), end.problem(&see)]) else {
            return json(&rollouts);
        };
        let has_report = matches!(kind, Kind::Incomplete | Kind::Strict);
        Err(Refusal::new(kind, detail).with(wire::Members {
            rollouts: Some(rollouts),
            faults: failures(&self.plan.faults),
            report: has_report.then(|| view.report(&self.plan)),
            ..wire::Members::default()
        }))
    }
}
