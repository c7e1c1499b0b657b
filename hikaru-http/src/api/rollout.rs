//! The calls about rollouts: how one is, now or at its end, and what runs where. They only read. What a rollout's state is, is decided in hikaru-core.

use std::{sync::Arc, time::Duration};

use hikaru_core::{
    Text,
    rollout::{Asked, Awaited},
    upgrade::Shortfall,
    workload::WorkloadName,
};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    Answer, Api, Call,
    answer::{Outcome, json},
    failures,
    permit::acquire,
    problem::{Kind, Refusal},
    query::{Parameters, Takes},
    view::View,
    waited,
    waiting::{End, ToWait, Waiting},
};
use crate::{access_log::AccessLog, wire};

/// Says how the rollout of one workload is, perhaps once it has ended.
pub(super) async fn rollout(api: Arc<Api>, mut line: Box<AccessLog>, mut call: Call<'_>) -> Answer {
    let begun = begin(&api, &mut call, &mut line).await;
    drop(call);
    let (told, waiting) = match begun {
        Ok(begun) => begun,
        Err(refusal) => return api.finish(line, Err(refusal)),
    };
    let Some(waiting) = waiting else {
        return api.finish(line, json(&told));
    };
    let see = format!(
        "GET /api/rollout/{}/{}/{}",
        told.namespace, told.kind, told.name
    );
    let tell = move |end: End| at_end(&end, &see);
    waited::answer(api, line, waiting, Box::new(tell)).await
}

/// How the rollout is now, and the wait for it if the call asks for one.
async fn begin(
    api: &Api,
    call: &mut Call<'_>,
    line: &mut AccessLog,
) -> Result<(wire::rollout::Rollout, Option<Waiting>), Box<Refusal>> {
    let parameters = Parameters::read(call.query(), Takes::Rollout)?;
    let workload = call.workload(&api.kinds)?;
    line.workload = Some(workload.clone());
    let to_wait = ToWait::read(api, line, call, &parameters).await?;
    let (told, uid) = api.within(look(api, &call.view, &workload)).await?;
    let waiting = to_wait.map(|wait| {
        let awaited = Awaited::workload(&workload).of_uid(uid);
        wait.begin(api, vec![awaited])
    });
    Ok((told, waiting.transpose()?))
}

/// How the rollout is now, and the workload's uid.
async fn look(
    api: &Api,
    view: &View,
    workload: &WorkloadName,
) -> Result<(wire::rollout::Rollout, Text), Box<Refusal>> {
    let rollouts = view.rollouts()?;
    let _permit = permit(api).await?;
    let answer = rollouts.look(workload, &Asked::default()).await;
    let answer = answer.map_err(Refusal::of_workload)?;
    let gone = || Refusal::new(Kind::NoSuchWorkload, format!("there is no {workload}"));
    let told = wire::rollout::Rollout::new(&answer).ok_or_else(gone)?;
    let workload = answer.workload.as_ref();
    let uid = workload.map(|workload| workload.uid.clone());
    Ok((told, uid.unwrap_or_default()))
}

/// The answer at the end of a wait for one rollout.
fn at_end(end: &End, see: &str) -> Outcome {
    match (end.problem(see), end.told()) {
        (Some((kind, detail)), rollouts) => Err(Refusal::new(kind, detail).with(wire::Members {
            rollouts,
            ..wire::Members::default()
        })),
        (None, rollouts) => json(&rollouts.and_then(|all| all.into_iter().next())),
    }
}

/// Says what runs where.
pub(super) async fn status(api: Arc<Api>, line: Box<AccessLog>, call: Call<'_>) -> Answer {
    let told = api.within(rows(&api, &call)).await;
    api.finish(line, told)
}

async fn rows(api: &Api, call: &Call<'_>) -> Outcome {
    let parameters = Parameters::read(call.query(), Takes::Status)?;
    let scope = parameters.scope(call.view.caller())?;
    let rollouts = call.view.rollouts()?;
    let _permit = permit(api).await?;
    let (rows, faults) = rollouts.status(&scope).await?;
    let row = |row| wire::rollout::Status::new(row, &api.formats);
    let told: Vec<_> = rows.iter().map(row).collect();
    match Shortfall::unread(&faults) {
        None => json(&told),
        // A list that may lack some is not a list.
        Some(unread) => Err(
            Refusal::new(Kind::Incomplete, unread.sentence).with(wire::Members {
                rows: Some(told),
                faults: failures(&faults),
                ..wire::Members::default()
            }),
        ),
    }
}

/// The wait is part of the time until an answer, which bounds it.
pub(super) async fn permit(api: &Api) -> Result<OwnedSemaphorePermit, Box<Refusal>> {
    let busy = "too many calls look at rollouts";
    acquire(&api.permits.rollouts, Duration::MAX, busy).await
}
