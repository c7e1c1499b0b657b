//! The call that removes high-water marks. Like an upgrade it is done to its end, and logged, whether its client is still
//! there or not.

use std::sync::Arc;

use hikaru_core::{ClusterError, Text, WorkloadName};

use super::{Answer, Outcome, finish, job, json, within};
use crate::{
    persistent::Persistent,
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
    let work = async move {
        let _running = shared.running();
        let outcome = within(&shared, unhold(&shared, &line, call)).await;
        finish(line, outcome)
    };
    Persistent::until(move || server.aborted(), work).await
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
