//! The call that removes high-water marks. Like an upgrade it is finished, and logged, when its client hangs up or its time
//! is over.

use std::sync::Arc;

use futures_util::FutureExt as _;
use hikaru_core::{ClusterError, Text, WorkloadName};

use super::{Answer, Outcome, in_task, job, json};
use crate::{
    problem::{Kind, Refusal},
    query::held_container,
    request_line::RequestLine,
    server::Shared,
    wire,
};

/// Whose marks are to be removed.
pub(super) struct Call {
    workload: WorkloadName,
    /// `None`: the marks of all containers.
    container: Option<Text>,
}

/// Reads what a request says: its query, and the parts of its path that name a workload.
pub(super) fn read(
    shared: &Shared,
    query: Option<&str>,
    parts: [&str; 3],
    line: &mut RequestLine,
) -> Result<Call, Box<Refusal>> {
    let container = held_container(query)?;
    let mut name = Vec::new();
    for part in parts {
        name.push(job::plain(part)?);
    }
    let workload: WorkloadName = name.join("/").parse().map_err(job::bad_name)?;
    workload.check_kind(&shared.kinds).map_err(job::bad_name)?;
    line.workload = Some(workload.clone());
    Ok(Call {
        workload,
        container,
    })
}

/// Answers a call.
pub(super) async fn answer(shared: Arc<Shared>, line: Box<RequestLine>, call: Call) -> Answer {
    let server = shared.clone();
    let late = "the marks are still being removed: repeating the call later is safe";
    in_task::run(shared, line, late, move |line| {
        async move { unhold(&server, line, call).await }.boxed()
    })
    .await
}

async fn unhold(shared: &Shared, line: &RequestLine, call: Call) -> Outcome {
    let Call {
        workload,
        container,
    } = call;
    let removed = shared.cluster.unhold(&workload, container).await;
    let removed = removed.map_err(|error| match error {
        ClusterError::NotFound => {
            Refusal::new(Kind::NoSuchWorkload, format!("there is no {workload}"))
        }
        error => error.into(),
    })?;
    line.unheld(&workload, &removed);
    json(&wire::Unheld::new(&workload, &removed))
}
