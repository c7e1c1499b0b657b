//! The call that removes high-water marks. Like an upgrade it is finished, and logged, when its client hangs up or its time
//! is over.

use std::sync::Arc;

use futures_util::FutureExt as _;
use hikaru_core::{Text, port::Happening, workload::WorkloadName};

use super::{
    Answer, Api, Call,
    answer::{Outcome, json},
    in_task,
    problem::Refusal,
    query::held_container,
    view::View,
};
use crate::{access_log::AccessLog, wire};

/// Removes the marks that the path and the query name.
pub(super) async fn answer(api: Arc<Api>, mut line: Box<AccessLog>, call: Call<'_>) -> Answer {
    let (workload, container) = match read(&api, &call) {
        Ok(read) => read,
        Err(refusal) => return api.finish(line, Err(refusal)),
    };
    line.workload = Some(workload.clone());
    let (server, view) = (api.clone(), call.view);
    let late = "the marks are still being removed: repeating the call later is safe";
    let done = in_task::run(api.clone(), line, late, Ok, move |line| {
        async move { unhold(&server, &view, line, &workload, container).await }.boxed()
    });
    match done.await {
        Ok((line, outcome)) => api.finish(line, outcome),
        Err(answer) => answer,
    }
}

/// The workload, and the container whose mark is to be removed; `None`: the marks of all.
fn read(api: &Api, call: &Call<'_>) -> Result<(WorkloadName, Option<Text>), Box<Refusal>> {
    let container = held_container(call.query())?;
    Ok((call.workload(&api.kinds)?, container))
}

async fn unhold(
    api: &Api,
    view: &View,
    line: &AccessLog,
    workload: &WorkloadName,
    container: Option<Text>,
) -> Outcome {
    let removed = view.cluster().unhold(workload, container).await;
    let removed = removed.map_err(Refusal::of_workload)?;
    let removed = &*removed;
    api.tell(line, Happening::MarksRemoved { workload, removed });
    json(&wire::Unheld::new(workload, removed))
}
