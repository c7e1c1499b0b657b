//! The calls about Jobs: a definition is read, a Job created and perhaps waited for; Jobs are listed, told, deleted, their logs
//! handed out. Which Jobs are allowed is decided in hikaru-core; what a definition says is read by the adapter.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt as _;
use hikaru_core::{
    Mode, Text,
    image::Reference,
    jobs::{JobCreated, JobName, JobRequest, JobSource, JobState, Jobs},
    port::{ClusterError, Happening},
    workload::check_namespace,
};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Response, StatusCode,
    body::Bytes,
    header::{CONTENT_TYPE, HeaderValue, LOCATION, X_CONTENT_TYPE_OPTIONS},
};
use serde::Deserialize;
use tokio::{sync::OwnedSemaphorePermit, time::timeout};

use super::{
    Answer, Api, Call,
    answer::{Outcome, empty, json, json_with},
    in_task,
    media::Media,
    path,
    permit::acquire,
    problem::{Doing, Kind, Refusal, location},
    query::{JobParameters, Parameters, Takes},
};
use crate::{
    access_log::AccessLog,
    body::RequestBody,
    life::{Stage, reached},
    wire::{self, Patience},
};

/// The parameters of a Job from a template.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Template {
    image: Option<String>,
}

/// The namespace and the name of a Job, or of a CronJob, in the path of a call.
fn name_of(call: &Call<'_>) -> Result<JobName, Box<Refusal>> {
    let (namespace, name) = (path::name(call.part(0))?, path::name(call.part(1))?);
    JobName::new(&namespace, &name).map_err(path::bad_name)
}

/// The Job that a call names, which takes no parameters.
fn named(call: &Call<'_>, line: &mut AccessLog) -> Result<JobName, Box<Refusal>> {
    Parameters::read(call.query(), Takes::Nothing)?;
    let job = name_of(call)?;
    line.job = Some(job.clone());
    Ok(job)
}

fn reading(job: &JobName) -> impl Fn(ClusterError) -> Box<Refusal> {
    move |error| Refusal::of_job(error, Doing::Reading, &job.to_string())
}

/// Lists the Jobs of a namespace.
pub(super) async fn list(api: Arc<Api>, line: Box<AccessLog>, call: Call<'_>) -> Answer {
    let listed = async {
        Parameters::read(call.query(), Takes::Nothing)?;
        let namespace = path::name(call.part(0))?;
        check_namespace(&namespace).map_err(path::bad_name)?;
        let jobs = call.view.jobs()?.list(&namespace).await;
        let jobs = jobs.map_err(|error| Refusal::of_job(error, Doing::Reading, &namespace))?;
        json(&wire::job::list(&namespace, &jobs))
    };
    let listed = api.within(listed).await;
    api.finish(line, listed)
}

/// Says what became of a Job.
pub(super) async fn status(api: Arc<Api>, mut line: Box<AccessLog>, call: Call<'_>) -> Answer {
    let status = api
        .within(async {
            let job = named(&call, &mut line)?;
            let status = call
                .view
                .jobs()?
                .status(&job)
                .await
                .map_err(reading(&job))?;
            json(&wire::job::Status::from(&status))
        })
        .await;
    api.finish(line, status)
}

/// Deletes a Job.
pub(super) async fn delete(api: Arc<Api>, mut line: Box<AccessLog>, call: Call<'_>) -> Answer {
    let deleted = api
        .within(async {
            let job = named(&call, &mut line)?;
            let deleted = call.view.jobs()?.delete(&job).await;
            deleted.map_err(|error| Refusal::of_job(error, Doing::Deleting, &job.to_string()))?;
            api.tell(&line, Happening::JobDeleted { job: &job });
            Ok(empty(StatusCode::NO_CONTENT))
        })
        .await;
    api.finish(line, deleted)
}

/// Hands out what the containers of a Job have written.
pub(super) async fn log(api: Arc<Api>, mut line: Box<AccessLog>, call: Call<'_>) -> Answer {
    let log = api
        .within(async {
            let job = named(&call, &mut line)?;
            let jobs = call.view.jobs()?;
            let busy = "too many logs are being read";
            let permit = acquire(&api.permits.job_logs, api.limits.body_time, busy).await?;
            let logs = jobs.logs(&job).await.map_err(reading(&job))?;
            let text = wire::job::log(logs).map_err(|why| Refusal::new(Kind::NoLog, why))?;
            Ok(text_answer(Log {
                text,
                _permit: permit,
            }))
        })
        .await;
    api.finish(line, log)
}

/// The text of an answer. Its permit is kept until the client has taken the answer, so that slow clients cannot make the server
/// hold many of them.
struct Log {
    text: String,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Log {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

/// A container can write what it likes: no browser shall take it for a web page.
fn text_answer(log: Log) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from_owner(log)).boxed_unsync());
    let headers = answer.headers_mut();
    let media = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(CONTENT_TYPE, media);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// Runs a Job from the definition in the body.
pub(super) async fn run(api: Arc<Api>, line: Box<AccessLog>, call: Call<'_>) -> Answer {
    let read = || {
        let parameters = JobParameters::of_definition(call.query())?;
        let media = Media::of_definition(&call.head.headers)?;
        Ok((parameters, Definition::Body(media)))
    };
    match read() {
        Ok((parameters, from)) => create(api, line, call, parameters, from).await,
        Err(refusal) => api.finish(line, Err(refusal)),
    }
}

/// Runs a Job from the template of a CronJob.
pub(super) async fn run_from_cron_job(
    api: Arc<Api>,
    line: Box<AccessLog>,
    call: Call<'_>,
) -> Answer {
    let read = || {
        let parameters = JobParameters::of_template(call.query())?;
        let media = Media::check_json(&call.head.headers);
        Ok((parameters, Definition::CronJob(name_of(&call)?, media)))
    };
    match read() {
        Ok((parameters, from)) => create(api, line, call, parameters, from).await,
        Err(refusal) => api.finish(line, Err(refusal)),
    }
}

/// Where the definition of a Job comes from.
enum Definition {
    Body(Media),
    /// A CronJob, and whether the media type allows a body, should there be one.
    CronJob(JobName, Result<(), Box<Refusal>>),
}

/// Creates a Job in a task of its own: a client that hangs up does not stop it between deleting one Job and creating the next.
/// Reading the body and waiting for the end of the Job do end with the client.
async fn create(
    api: Arc<Api>,
    mut line: Box<AccessLog>,
    call: Call<'_>,
    parameters: JobParameters,
    from: Definition,
) -> Answer {
    let Call { mut body, view, .. } = call;
    let begun = async {
        let jobs = view.jobs()?.clone();
        // The permit is held until the definition is out of memory.
        let busy = "too many jobs are being created: nothing was done";
        let permit = acquire(&api.permits.jobs, api.limits.body_time, busy).await?;
        Ok((jobs, permit))
    };
    let (jobs, permit) = match begun.await {
        Ok(begun) => begun,
        Err(refusal) => return api.finish(line, Err(refusal)),
    };
    let (doing, name) = match &from {
        Definition::Body(_) => (Doing::Creating, String::new()),
        Definition::CronJob(name, _) => (Doing::Creating, name.to_string()),
    };
    let read = source(from, &mut body).await;
    line.unread = body.is_unread();
    drop(body);
    let mut request = match read {
        Ok(source) => JobRequest::new(source),
        Err(refusal) => return api.finish(line, Err(refusal)),
    };
    // Held until the wait has ended.
    let _waits = match parameters.wait.map(|_| api.permits.wait()).transpose() {
        Ok(permit) => permit,
        Err(refusal) => return api.finish(line, Err(refusal)),
    };
    request.namespace = parameters.namespace.clone();
    request.replace = parameters.replace();
    request.wait = parameters.wait.is_some();
    let mode = match parameters.dry_run() {
        true => Mode::DryRun,
        false => Mode::Commit,
    };
    let (server, creator) = (api.clone(), jobs.clone());
    let late =
        "the job is still being created: look (GET /api/job/{namespace}) before repeating the call";
    let unawaited = move |created: JobCreated| Ok(told(&created, mode));
    let done = in_task::run(api.clone(), line, late, unawaited, move |line| {
        async move {
            let created = creator.run(&request, mode).await;
            drop((request, permit));
            let result = created.as_ref();
            server.tell(line, Happening::JobRun { result, mode });
            let created = created.map_err(|error| Refusal::of_job(error, doing, &name))?;
            line.job = Some(created.name.clone());
            Ok(created)
        }
        .boxed()
    });
    let (mut line, created) = match done.await {
        Ok(done) => done,
        Err(answer) => return answer,
    };
    let outcome = match (created, parameters.wait) {
        (Err(refusal), _) => Err(refusal),
        (Ok(created), None) => Ok(told(&created, mode)),
        (Ok(created), Some(patience)) => {
            line.waited = true;
            ended(&api, &jobs, &created, patience).await
        }
    };
    api.finish(line, outcome)
}

/// The definition that a call asks for, with what its body says.
async fn source(from: Definition, body: &mut RequestBody) -> Result<JobSource, Box<Refusal>> {
    let bytes = body.bytes().await?;
    match from {
        Definition::Body(media) => {
            let text = wire::job::definition(&bytes).map_err(|error| {
                let kind = match error {
                    wire::job::DefinitionError::TooLong => Kind::BodyTooLarge,
                    _ => Kind::BadBody,
                };
                Refusal::new(kind, error.to_string())
            })?;
            Ok(match media {
                Media::Json => JobSource::Json(text.into()),
                Media::Yaml => JobSource::Yaml(text.into()),
            })
        }
        Definition::CronJob(name, json) => {
            let mut image = None;
            if !bytes.is_empty() {
                json?;
                let read = serde_json::from_slice::<Template>(&bytes);
                let template = read.map_err(|error| {
                    let detail = format!("expected {{\"image\": \"…\"}} or no body: {error}");
                    Refusal::new(Kind::BadBody, detail)
                })?;
                image = template.image;
            }
            if let Some(image) = &image {
                Reference::parse(image)
                    .map_err(|error| Refusal::new(Kind::BadReference, format!("image: {error}")))?;
            }
            let image = image.map(Text::from);
            Ok(JobSource::CronJob { name, image })
        }
    }
}

/// Waits until a Job has ended or cannot start, its time is over, or the server is to end.
async fn ended(api: &Api, jobs: &Jobs, created: &JobCreated, patience: Patience) -> Outcome {
    let name = &created.name;
    let mut told = wire::job::Created::new(created);
    let problem = |kind, detail: String, told| {
        let members = wire::Members {
            job: Some(told),
            ..wire::Members::default()
        };
        Err(Refusal::new(kind, detail).with(members).at(name))
    };
    let mut stage = api.life.subscribe();
    let mut ignore = |_: &str| {};
    let waiting = jobs.wait(created, patience.get(), &mut ignore);
    let waiting = AssertUnwindSafe(waiting).catch_unwind();
    // The wait ends in time by itself; this is for a port that does not answer.
    let most = patience.get() + api.limits.answer;
    let waited = tokio::select! {
        biased;
        waited = timeout(most, waiting) => waited,
        () = reached(&mut stage, Stage::Draining) => {
            let detail = format!("hikaru is stopping; the job goes on: GET /api/job/{name}");
            return problem(Kind::Stopping, detail, told);
        }
    };
    let status = match waited {
        Ok(Ok(Ok(status))) => status,
        lost => {
            let why = match lost {
                Ok(Ok(Err(ClusterError::NotFound(_)))) => {
                    "it was gone before it was seen to end".to_owned()
                }
                Ok(Ok(Err(error))) => error.to_string(),
                Ok(_) => "hikaru made an error: its log has it".to_owned(),
                Err(_) => "the cluster does not answer".to_owned(),
            };
            let detail =
                format!("the job {name} was created, but what became of it is not known: {why}");
            return problem(Kind::Incomplete, detail, told);
        }
    };
    let sentence = status.sentence();
    told.status = Some(wire::job::Status::from(&status));
    match status.state {
        JobState::Complete => Ok(at(name, &told)),
        JobState::Failed => problem(Kind::JobFailed, format!("the job {name} {sentence}"), told),
        _ if status.cannot_start() => {
            let detail = format!(
                "the job {name} {sentence}; it is left as it is, and can be deleted: DELETE /api/job/{name}"
            );
            problem(Kind::JobFailed, detail, told)
        }
        _ => {
            let detail = format!(
                "the job {name} has not ended within {patience} and goes on ({sentence}): GET /api/job/{name}"
            );
            problem(Kind::JobUnfinished, detail, told)
        }
    }
}

/// The answer to a Job whose end is not waited for.
fn told(created: &JobCreated, mode: Mode) -> Answer {
    match mode {
        Mode::Commit => at(&created.name, &wire::job::Created::new(created)),
        Mode::DryRun => json_with(StatusCode::OK, &wire::job::Created::dry(created)),
    }
}

/// 201 with the place of the Job.
fn at(name: &JobName, told: &wire::job::Created) -> Answer {
    let mut answer = json_with(StatusCode::CREATED, told);
    let place = location(name).map(|place| (LOCATION, place));
    answer.headers_mut().extend(place);
    answer
}
