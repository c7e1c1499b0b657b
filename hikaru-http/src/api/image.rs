//! The calls that read the cluster: who uses an image, and what a post of it would do; and what they share with `upgrade`, which
//! posts it.

use std::{sync::Arc, time::Duration};

use hikaru_core::{
    Build, Mode,
    port::Happening,
    upgrade::{FindError, Report, Shortfall},
};
use hyper::header::{HeaderName, HeaderValue};

use super::{
    Answer, Api, Call,
    answer::{Outcome, json},
    failures, path,
    permit::acquire,
    problem::{Kind, Refusal},
    query::{Parameters, Takes},
};
use crate::{
    access_log::AccessLog,
    wire::{self, Interface},
};

/// Why nothing is deployed, in one sentence, where the answer itself has no place for it.
static X_HIKARU_NOTE: HeaderName = HeaderName::from_static("x-hikaru-note");

/// The build that the path of a call names.
pub(super) fn build(
    api: &Api,
    call: &Call<'_>,
    line: &mut AccessLog,
) -> Result<Build, Box<Refusal>> {
    let text = call.part(0);
    let image = path::image(text).inspect_err(|_| line.image(text))?;
    line.image(&image);
    Ok(Build::parse(&image, &api.formats)?)
}

/// Says which workloads use an image.
pub(super) async fn find(api: Arc<Api>, mut line: Box<AccessLog>, call: Call<'_>) -> Answer {
    let found = api.within(found(&api, &call, &mut line)).await;
    api.finish(line, found)
}

async fn found(api: &Api, call: &Call<'_>, line: &mut AccessLog) -> Outcome {
    Parameters::read(call.query(), Takes::Nothing)?;
    let text = call.part(0);
    let image = path::image(text).inspect_err(|_| line.image(text))?;
    line.image(&image);
    let _permit = read_permit(api).await?;
    let found = hikaru_core::upgrade::find(call.view.cluster(), &image, &api.formats).await;
    let users = found.map_err(|error| match error {
        FindError::Cluster(error) => error.into(),
        error => Refusal::new(Kind::BadReference, error.to_string()),
    })?;
    let found = wire::users(&users);
    match Shortfall::unread(&users.faults) {
        None => json(&found),
        // A list that may lack some is not a list: it would mislead somebody who asks before deleting an image.
        Some(unread) => Err(
            Refusal::new(Kind::Incomplete, unread.sentence).with(wire::Members {
                found: Some(found),
                faults: failures(&users.faults),
                ..wire::Members::default()
            }),
        ),
    }
}

/// Says what a post of an image would do.
pub(super) async fn candidates(api: Arc<Api>, mut line: Box<AccessLog>, call: Call<'_>) -> Answer {
    let planned = api.within(planned(&api, &call, &mut line)).await;
    api.finish(line, planned)
}

async fn planned(api: &Api, call: &Call<'_>, line: &mut AccessLog) -> Outcome {
    let parameters = Parameters::read(call.query(), Takes::Plan)?;
    parameters.check_kinds(&api.kinds)?;
    let request = parameters.request(build(api, call, line)?, call.view.caller())?;
    let _permit = read_permit(api).await?;
    let report = hikaru_core::upgrade::candidates(call.view.cluster(), request).await?;
    came_to(api, line, &report, Mode::DryRun);
    let told = call.view.report(&report);
    match Shortfall::unread(&report.faults) {
        None => json(&told).map(|answer| noted(answer, &report)),
        Some(unread) => Err(
            Refusal::new(Kind::Incomplete, unread.sentence).with(wire::Members {
                faults: failures(&report.faults),
                report: Some(told),
                ..wire::Members::default()
            }),
        ),
    }
}

/// A call has come to a report: it is counted in its line of the log and told to the observers.
pub(super) fn came_to(api: &Api, line: &mut AccessLog, report: &Report, mode: Mode) {
    line.count(report);
    api.tell(line, Happening::Reported { report, mode });
}

/// The answer with a header that says why nothing is deployed, if what matched runs something higher: `[]` alone does not say
/// it.
pub(super) fn noted(mut answer: Answer, report: &Report) -> Answer {
    // A tag and the names of a cluster fit into a header; a name in a folder may not.
    if let Some(overtaken) = report.overtaken()
        && let Ok(note) = HeaderValue::from_str(&Interface::Http.overtaken(&overtaken))
    {
        answer.headers_mut().insert(X_HIKARU_NOTE.clone(), note);
    }
    answer
}

/// The wait is part of the time until an answer, which bounds it.
pub(super) async fn read_permit(
    api: &Api,
) -> Result<tokio::sync::OwnedSemaphorePermit, Box<Refusal>> {
    let busy = "too many calls read the cluster";
    acquire(&api.permits.reads, Duration::MAX, busy).await
}
