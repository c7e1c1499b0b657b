//! The calls about rollouts: how one is, and what runs where. They only read. What a rollout's state is, is decided in hikaru-core.

use std::{sync::Arc, time::Duration};

use hikaru_core::{port::Happening, rollout::Asked, upgrade::Shortfall};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    Answer, Api, Call,
    answer::{Outcome, json},
    failures,
    permit::acquire,
    problem::{Kind, Refusal},
    query::{Parameters, Takes},
};
use crate::{access_log::AccessLog, wire};

/// Says how the rollout of one workload is.
pub(super) async fn rollout(api: Arc<Api>, mut line: Box<AccessLog>, call: Call<'_>) -> Answer {
    let told = api.within(looked(&api, &call, &mut line)).await;
    api.finish(line, told)
}

async fn looked(api: &Api, call: &Call<'_>, line: &mut AccessLog) -> Outcome {
    Parameters::read(call.query(), Takes::Nothing)?;
    let workload = call.workload(&api.kinds)?;
    line.workload = Some(workload.clone());
    let rollouts = api.rollouts()?;
    let _permit = permit(api).await?;
    let answer = rollouts.look(&workload, &Asked::default()).await;
    let answer = answer.map_err(Refusal::of_workload)?;
    let gone = || Refusal::new(Kind::NoSuchWorkload, format!("there is no {workload}"));
    let told = wire::rollout::Rollout::new(&answer).ok_or_else(gone)?;
    let rollout = &answer.rollout;
    api.tell(line, Happening::RolloutTold { rollout });
    json(&told)
}

/// Says what runs where.
pub(super) async fn status(api: Arc<Api>, line: Box<AccessLog>, call: Call<'_>) -> Answer {
    let told = api.within(rows(&api, &call, &line)).await;
    api.finish(line, told)
}

async fn rows(api: &Api, call: &Call<'_>, line: &AccessLog) -> Outcome {
    let parameters = Parameters::read(call.query(), Takes::Status)?;
    let rollouts = api.rollouts()?;
    let _permit = permit(api).await?;
    let (rows, faults) = rollouts.status(&parameters.scope()).await?;
    for rollout in rows.iter().filter_map(|row| row.rollout.as_ref().ok()) {
        api.tell(line, Happening::RolloutTold { rollout });
    }
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
async fn permit(api: &Api) -> Result<OwnedSemaphorePermit, Box<Refusal>> {
    let busy = "too many calls look at rollouts";
    acquire(&api.permits.rollouts, Duration::MAX, busy).await
}
