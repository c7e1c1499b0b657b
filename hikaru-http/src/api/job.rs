//! The calls about Jobs: a definition is read, a Job created and perhaps waited for; Jobs are told, deleted, their logs
//! handed out. Who may run what is the adapter's policy; the text of a definition is read there, too.

use std::{borrow::Cow, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt as _;
use hikaru_core::{
    ClusterError, JobCreated, JobName, JobRequest, JobSource, JobState, Mode, NameError, Patience,
    Reference, Text, check_namespace,
};
use http_body_util::Full;
use hyper::{
    HeaderMap, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{CONTENT_TYPE, HeaderValue, LOCATION, X_CONTENT_TYPE_OPTIONS},
    http::request::Parts,
};
use serde::Deserialize;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, timeout, timeout_at},
};

use super::{Answer, Outcome, finish, internal, json, respond, within};
use crate::{
    body::{self, Media},
    problem::{Doing, Kind, Refusal, location},
    query::{JobParameters, Parameters, Takes},
    request_line::RequestLine,
    route::{Route, Verb, decode},
    server::{Shared, Stage},
    wire,
};

/// What is asked for, once it is known to be allowed and sound but for its body.
pub(crate) enum Call {
    Run(Run),
    List(Text),
    Status(JobName),
    Log(JobName),
    Delete(JobName),
}

/// A Job that is to be created.
pub(crate) struct Run {
    from: From,
    parameters: JobParameters,
}

enum From {
    Definition(Media),
    /// With what is said of a body, should there be one.
    Template(JobName, Result<(), Box<Refusal>>),
}

/// The parameters of a Job from a template.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Template {
    image: Option<String>,
}

/// Reads what a request's head says. `None`: the route is another one.
pub(crate) fn read(
    route: Route<'_>,
    verb: Verb,
    head: &Parts,
    line: &mut RequestLine,
) -> Option<Result<Call, Box<Refusal>>> {
    let query = head.uri.query();
    let mut named = |namespace: &str, name: &str| {
        Parameters::read(query, Takes::Nothing)?;
        let job = name_of(namespace, name)?;
        line.job = Some(job.clone());
        Ok(job)
    };
    Some(match (route, verb) {
        (Route::Jobs, Verb::Post) => definition(query, &head.headers),
        (Route::JobFrom(namespace, cronjob), Verb::Post) => {
            template(query, namespace, cronjob, &head.headers)
        }
        (Route::JobsOf(namespace), Verb::Read) => list(query, namespace),
        (Route::Job(namespace, name), Verb::Read) => named(namespace, name).map(Call::Status),
        (Route::Job(namespace, name), Verb::Delete) => named(namespace, name).map(Call::Delete),
        (Route::JobLog(namespace, name), Verb::Read) => named(namespace, name).map(Call::Log),
        (Route::JobFrom(_, "log"), _) => Err(Refusal::method("GET, HEAD, POST")),
        (Route::Jobs | Route::JobFrom(..), _) => Err(Refusal::method("POST")),
        (Route::JobsOf(_) | Route::JobLog(..), _) => Err(Refusal::method("GET, HEAD")),
        (Route::Job(..), _) => Err(Refusal::method("GET, HEAD, DELETE")),
        _ => return None,
    })
}

fn definition(query: Option<&str>, headers: &HeaderMap) -> Result<Call, Box<Refusal>> {
    let parameters = JobParameters::of_definition(query)?;
    let from = From::Definition(Media::of_definition(headers)?);
    Ok(Call::Run(Run { from, parameters }))
}

fn template(
    query: Option<&str>,
    namespace: &str,
    cronjob: &str,
    headers: &HeaderMap,
) -> Result<Call, Box<Refusal>> {
    let parameters = JobParameters::of_template(query)?;
    let from = From::Template(name_of(namespace, cronjob)?, Media::check_json(headers));
    Ok(Call::Run(Run { from, parameters }))
}

fn list(query: Option<&str>, namespace: &str) -> Result<Call, Box<Refusal>> {
    Parameters::read(query, Takes::Nothing)?;
    let namespace = plain(namespace)?;
    check_namespace(&namespace).map_err(bad_name)?;
    Ok(Call::List(Text::from(&*namespace)))
}

fn name_of(namespace: &str, name: &str) -> Result<JobName, Box<Refusal>> {
    JobName::new(&plain(namespace)?, &plain(name)?).map_err(bad_name)
}

pub(super) fn plain(part: &str) -> Result<Cow<'_, str>, Box<Refusal>> {
    decode(part).map_err(|error| Refusal::new(Kind::BadName, format!("not a name: {error}")))
}

pub(super) fn bad_name(error: NameError) -> Box<Refusal> {
    Refusal::new(Kind::BadName, error.to_string())
}

/// Answers a call.
pub(crate) async fn answer(
    shared: Arc<Shared>,
    line: Box<RequestLine>,
    call: Call,
    body: Incoming,
) -> Answer {
    if let Call::Run(call) = call {
        return run(shared, line, call, body).await;
    }
    drop(body);
    let outcome = within(&shared, ask(&shared, call)).await;
    finish(line, outcome)
}

/// What only asks, or is done in one step.
async fn ask(shared: &Shared, call: Call) -> Outcome {
    let cluster = &*shared.cluster;
    match call {
        Call::Run(_) => Err(internal()),
        Call::List(namespace) => {
            let jobs = cluster.jobs(&namespace).await;
            let jobs = jobs.map_err(|error| Refusal::of_job(error, Doing::Listing, &namespace))?;
            json(&wire::job::list(&namespace, &jobs))
        }
        Call::Status(job) => {
            let status = cluster.job(&job).await.map_err(reading(&job))?;
            json(&wire::job::Status::from(&status))
        }
        Call::Log(job) => {
            // The place is kept until the client has taken the answer: one that takes its time keeps others from theirs, and
            // the memory bounded.
            let place = timeout(
                shared.limits.body_time,
                shared.job_logs.clone().acquire_owned(),
            );
            // It is never closed, so the other error is none.
            let Some(place) = place.await.ok().and_then(Result::ok) else {
                return Err(Refusal::new(Kind::Busy, "too many logs are being read"));
            };
            let logs = cluster.job_logs(&job).await.map_err(reading(&job))?;
            let text = wire::job::log(logs).map_err(|why| Refusal::new(Kind::NoLog, why))?;
            Ok(log(Log {
                text,
                _place: place,
            }))
        }
        Call::Delete(job) => {
            let deleted = cluster.delete_job(&job).await;
            deleted.map_err(|error| Refusal::of_job(error, Doing::Deleting, &job.to_string()))?;
            let mut answer = Response::new(Full::default());
            *answer.status_mut() = StatusCode::NO_CONTENT;
            Ok(answer)
        }
    }
}

fn reading(job: &JobName) -> impl Fn(ClusterError) -> Box<Refusal> {
    move |error| Refusal::of_job(error, Doing::Reading, &job.to_string())
}

/// An answer's text, and the place that it takes until it is sent or given up.
struct Log {
    text: String,
    _place: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Log {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

/// A container can write what it likes: nobody is to take it for a web page.
fn log(log: Log) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from_owner(log)));
    let headers = answer.headers_mut();
    let media = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(CONTENT_TYPE, media);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// Creates a Job in a task of its own: a client that hangs up does not stop it between deleting one and creating the
/// next. Before that nothing has begun, and afterwards who waits only waits: both go with their client.
async fn run(shared: Arc<Shared>, mut line: Box<RequestLine>, run: Run, body: Incoming) -> Answer {
    let Run { from, parameters } = run;
    // The turn is held until the definition is out of memory.
    let turn = timeout(shared.limits.body_time, shared.jobs.clone().acquire_owned());
    // It is never closed, so the other error is none.
    let Some(turn) = turn.await.ok().and_then(Result::ok) else {
        let detail = "too many jobs are being created: nothing was done";
        return finish(line, Err(Refusal::new(Kind::Busy, detail)));
    };
    let (doing, name) = match &from {
        From::Definition(_) => (Doing::Creating, String::new()),
        From::Template(name, _) => (Doing::CreatingFrom, name.to_string()),
    };
    let read = source(&shared, from, body, &mut line.unread).await;
    let mut request = match read {
        Ok(source) => JobRequest::new(source),
        Err(refusal) => return finish(line, Err(refusal)),
    };
    request.namespace = parameters.namespace.clone();
    request.replace = parameters.replace();
    request.wait = parameters.wait.is_some();
    let mode = match parameters.dry_run() {
        true => Mode::DryRun,
        false => Mode::Commit,
    };
    let deadline = Instant::now() + shared.limits.answer;
    let id = line.id.clone();
    let mut task = tokio::spawn({
        let (shared, mut line) = (shared.clone(), line);
        async move {
            let mut stage = shared.subscribe();
            let _running = shared.running();
            let work = AssertUnwindSafe(shared.cluster.run_job(&request, mode));
            let created = tokio::select! {
                created = work.catch_unwind() => match created {
                    Ok(created) => created.map_err(|error| Refusal::of_job(error, doing, &name)),
                    Err(_) => Err(internal()),
                },
                _ = stage.wait_for(|stage| *stage == Stage::Aborted) => {
                    let error = ClusterError::Lost("hikaru was stopped".to_owned());
                    Err(Refusal::of_job(error, doing, &name))
                }
            };
            drop((request, turn));
            if let Ok(created) = &created {
                line.job = Some(created.name.clone());
            }
            (line, created)
        }
    });
    let (mut line, created) = match timeout_at(deadline, &mut task).await {
        Ok(Ok(done)) => done,
        Ok(Err(_)) => return respond(&id, false, Err(internal())),
        Err(_) => {
            tracing::warn!(
                request_id = id,
                "answered 504, the job is still being created"
            );
            tokio::spawn(async move {
                if let Ok((line, created)) = task.await {
                    finish(line, created.map(|created| told(&created, mode)));
                }
            });
            let detail = "the job is still being created: look (GET /api/job/{namespace}) before repeating the call";
            return respond(&id, false, Err(Refusal::new(Kind::Timeout, detail)));
        }
    };
    let outcome = match (created, parameters.wait) {
        (Err(refusal), _) => Err(refusal),
        (Ok(created), None) => Ok(told(&created, mode)),
        (Ok(created), Some(patience)) => {
            line.waited = true;
            ended(&shared, &created, patience).await
        }
    };
    finish(line, outcome)
}

/// What a body defines; `unread` is taken back once it is read to its end.
async fn source(
    shared: &Shared,
    from: From,
    body: Incoming,
    unread: &mut bool,
) -> Result<JobSource, Box<Refusal>> {
    let limits = &shared.limits;
    let most = match &from {
        From::Definition(_) => limits.job_bytes,
        From::Template(..) => limits.body_bytes,
    };
    let bytes = body::read(body, most, limits.body_time).await?;
    *unread = false;
    match from {
        From::Definition(media) => {
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
        From::Template(name, json) => {
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

/// Waits until a Job has ended, its time is over, or the server is to end.
async fn ended(shared: &Shared, created: &JobCreated, patience: Patience) -> Outcome {
    let name = &created.name;
    let mut told = wire::job::Created::new(created);
    let problem = |kind, detail: String, told| {
        let members = wire::Members {
            job: Some(told),
            ..wire::Members::default()
        };
        Err(Refusal::new(kind, detail).with(members).at(name))
    };
    let mut stage = shared.subscribe();
    let waiting = shared.cluster.job_ended(name, &created.uid, patience.get());
    let waiting = AssertUnwindSafe(waiting).catch_unwind();
    // The port keeps the time by itself; this is for one that does not.
    let most = patience.get() + shared.limits.answer;
    let waited = tokio::select! {
        biased;
        waited = timeout(most, waiting) => waited,
        _ = stage.wait_for(|stage| *stage >= Stage::Draining) => {
            let detail = format!("hikaru is stopping; the job goes on: GET /api/job/{name}");
            return problem(Kind::Stopping, detail, told);
        }
    };
    let status = match waited {
        Ok(Ok(Ok(status))) => status,
        lost => {
            let why = match lost {
                Ok(Ok(Err(ClusterError::NotFound))) => {
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
        JobState::Complete => Ok(at(name, StatusCode::CREATED, &told)),
        JobState::Failed => problem(Kind::JobFailed, format!("the job {name} {sentence}"), told),
        _ => {
            let detail = format!(
                "the job {name} has not ended within {patience} and goes on ({sentence}): GET /api/job/{name}"
            );
            problem(Kind::JobUnfinished, detail, told)
        }
    }
}

/// The answer to a Job that nobody waits for.
fn told(created: &JobCreated, mode: Mode) -> Answer {
    match mode {
        Mode::Commit => {
            let told = wire::job::Created::new(created);
            at(&created.name, StatusCode::CREATED, &told)
        }
        Mode::DryRun => super::body(
            StatusCode::OK,
            "application/json",
            &wire::job::Created::dry(created),
        ),
    }
}

fn at(name: &JobName, status: StatusCode, told: &wire::job::Created) -> Answer {
    let mut answer = super::body(status, "application/json", told);
    let place = location(name).map(|place| (LOCATION, place));
    answer.headers_mut().extend(place);
    answer
}
