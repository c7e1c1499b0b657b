//! One request, from its head to its answer: who may call, what is asked for, what the core says to it. Upgrades are in
//! `upgrade`, high-water marks in `hold`, Jobs in `job`. What an answer looks like on the wire is in `wire`; connections are in `connection`.

mod hold;
mod in_task;
pub(crate) mod job;
mod upgrade;

use std::{borrow::Cow, future::ready, net::SocketAddr, panic::AssertUnwindSafe, sync::Arc};

use futures_util::{FutureExt as _, future::Either};
use hikaru_core::{Build, Fault, FindError, Freshness, Mode, Severity, Shortfall};
use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode, Version,
    body::{Body as _, Bytes, Incoming},
    header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue},
    http::request::Parts,
};
use serde::Serialize;
use tokio::time::timeout;

use crate::{
    Metrics, MetricsFormat,
    problem::{Kind, Refusal},
    query::{Parameters, Takes},
    request_line::{RequestLine, X_HIKARU_NOTE, X_REQUEST_ID},
    route::{Route, Verb, decode_image},
    server::{Shared, Stage},
    wire::{self, Interface},
};

/// An answer as hyper sends it.
pub(crate) type Answer = Response<Full<Bytes>>;

type Outcome = Result<Answer, Box<Refusal>>;

/// Where a request came in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    /// Who sent it.
    pub(crate) peer: SocketAddr,
    /// Whether its connection is one too many: it is told so, unless it is a probe.
    pub(crate) crowded: bool,
    /// Whether it came to the listener that answers probes and metrics only.
    pub(crate) probes: bool,
}

/// What is asked for, once it is known to be allowed and sound.
enum Call {
    Live,
    Ready,
    Metrics(Arc<dyn Metrics>, MetricsFormat),
    Upgrade {
        build: Build,
        parameters: Parameters,
    },
    Candidates {
        build: Build,
        parameters: Parameters,
    },
    Find {
        image: String,
    },
    Unhold(hold::Call),
    Job(job::Call),
}

/// Answers a request. Its body is read only where it defines a Job, and only once the caller is known.
///
/// No async function, and what is awaited is boxed but for the usual call: the future of a request is moved a few times until
/// it runs, and would be as large as the largest of them, several times over.
pub(crate) fn answer(
    shared: Arc<Shared>,
    origin: Origin,
    request: Request<Incoming>,
) -> impl Future<Output = Answer> {
    let (head, body) = request.into_parts();
    let body_bytes = body.size_hint().exact();
    let id = shared.ids.of(&head.headers);
    let (method, metrics) = (Some(head.method.clone()), shared.metrics.clone());
    let mut line = RequestLine::new(id, method, origin.peer, metrics);
    line.unread = !body.is_end_stream();
    let call = read(&shared, origin, &head, body_bytes, &mut line);
    // What is not read goes at once: hyper is to take no more of it.
    let body = Some(body).filter(|_| matches!(call, Ok(Call::Job(_))));
    let answer = match (call, body) {
        (Ok(Call::Upgrade { build, parameters }), _) => {
            return Either::Left(upgrade::answer(shared, line, build, parameters));
        }
        (Ok(Call::Candidates { build, parameters }), _) => async move {
            let plan = in_turn(&shared, candidates(&shared, &mut line, build, parameters));
            let outcome = within(&shared, plan).await;
            finish(line, outcome)
        }
        .boxed(),
        (Ok(Call::Find { image }), _) => async move {
            let found = in_turn(&shared, find(&shared, &image));
            let outcome = within(&shared, found).await;
            finish(line, outcome)
        }
        .boxed(),
        (Ok(Call::Unhold(call)), _) => hold::answer(shared, line, call).boxed(),
        (Ok(Call::Job(call)), Some(body)) => job::answer(shared, line, call, body).boxed(),
        (call, _) => {
            let outcome = match call {
                Err(refusal) => Err(refusal),
                Ok(Call::Live) => json(&wire::Health { status: "alive" }),
                Ok(Call::Ready) => readiness(&shared),
                Ok(Call::Metrics(metrics, format)) => Ok(figures(&*metrics, format)),
                // They are answered above.
                Ok(
                    Call::Upgrade { .. }
                    | Call::Candidates { .. }
                    | Call::Find { .. }
                    | Call::Unhold(_)
                    | Call::Job(_),
                ) => Err(internal()),
            };
            ready(finish(line, outcome)).boxed()
        }
    };
    Either::Right(answer)
}

/// An answer to what hyper refused before it was a request.
pub(crate) fn refuse(shared: &Shared, peer: SocketAddr, kind: Kind, detail: &str) -> Answer {
    let line = RequestLine::new(shared.ids.next(), None, peer, shared.metrics.clone());
    finish(line, Err(Refusal::new(kind, detail)))
}

/// Reads a request's head: first what it is, then who may, then whether it is sound.
fn read(
    shared: &Shared,
    origin: Origin,
    head: &Parts,
    body_bytes: Option<u64>,
    line: &mut RequestLine,
) -> Result<Call, Box<Refusal>> {
    let verb = Verb::from(&head.method);
    let route = Route::of(head.uri.path(), verb);
    line.route = route.map_or("none", Route::pattern);
    check_one_host(head)?;
    match (route, verb) {
        // Their query is theirs to write: `/readyz?verbose` is a habit.
        (Some(Route::Live), Verb::Read) => return Ok(Call::Live),
        (Some(Route::Ready), Verb::Read) => return Ok(Call::Ready),
        _ if origin.crowded => {
            return Err(Refusal::new(Kind::Busy, "too many connections are open"));
        }
        _ => {}
    }
    // Whoever watches the figures on the listener of probes needs no token that could deploy.
    let is_open = |route: Route<'_>| route.is_probe() || (origin.probes && route == Route::Metrics);
    if !route.is_some_and(is_open) {
        let caller = shared.authentication.check(&head.uri, &head.headers)?;
        line.caller = Some(caller);
    }
    let most = match route {
        Some(Route::Jobs) => shared.limits.job_bytes,
        _ => shared.limits.body_bytes,
    };
    if let Some(bytes) = body_bytes.filter(|bytes| *bytes > most) {
        let detail = format!("expected a body of at most {most} bytes, found {bytes}");
        return Err(Refusal::new(Kind::BodyTooLarge, detail));
    }
    let route = route.filter(|route| *route != Route::Metrics || shared.metrics.is_some());
    if origin.probes && !route.is_some_and(|route| route.is_probe() || route == Route::Metrics) {
        let detail = "expected /livez, /readyz or /metrics: the API has an address of its own";
        return Err(Refusal::new(Kind::UnknownRoute, detail));
    }
    let Some(route) = route else {
        return Err(Refusal::new(
            Kind::UnknownRoute,
            "expected /api/image/{image}, /api/candidates/{image}, /api/job, /api/job/{namespace}, \
             /api/job/{namespace}/{name}, /api/job/{namespace}/{name}/log, /api/job/{namespace}/from/{cronjob}, \
             /api/hold/{namespace}/{kind}/{name}, /livez, /readyz or /metrics",
        ));
    };
    let query = head.uri.query();
    match (route, verb) {
        (Route::Image(text), Verb::Post) => {
            let parameters = Parameters::read(query, Takes::Upgrade)?;
            parameters.check_kinds(&shared.kinds)?;
            let build = build(shared, text, line)?;
            Ok(Call::Upgrade { build, parameters })
        }
        (Route::Image(text), Verb::Read) => {
            Parameters::read(query, Takes::Nothing)?;
            let image = image(text, line)?.into_owned();
            Ok(Call::Find { image })
        }
        (Route::Candidates(text), Verb::Read) => {
            let parameters = Parameters::read(query, Takes::Plan)?;
            parameters.check_kinds(&shared.kinds)?;
            let build = build(shared, text, line)?;
            Ok(Call::Candidates { build, parameters })
        }
        (Route::Live, Verb::Read) => Ok(Call::Live),
        (Route::Ready, Verb::Read) => Ok(Call::Ready),
        (Route::Metrics, Verb::Read) => match &shared.metrics {
            Some(metrics) => Ok(Call::Metrics(
                metrics.clone(),
                MetricsFormat::of(&head.headers),
            )),
            None => Err(internal()),
        },
        (Route::Hold(namespace, kind, name), Verb::Delete) => {
            hold::read(shared, query, [namespace, kind, name], line).map(Call::Unhold)
        }
        (Route::Hold(..), _) => Err(Refusal::method("DELETE")),
        (Route::Image(_), _) => Err(Refusal::method("GET, HEAD, POST")),
        (route, verb) => match job::read(route, verb, head, line) {
            Some(call) => call.map(Call::Job),
            None => Err(Refusal::method("GET, HEAD")),
        },
    }
}

/// RFC 9112, 3.2: exactly one in HTTP/1.1. Two may be read differently by a proxy and by us.
fn check_one_host(head: &Parts) -> Result<(), Box<Refusal>> {
    let hosts = head.headers.get_all(HOST).iter().count();
    if hosts > 1 || (hosts == 0 && head.version == Version::HTTP_11) {
        let detail = format!("expected one header `Host`, found {hosts}");
        return Err(Refusal::new(Kind::BadRequest, detail));
    }
    Ok(())
}

fn image<'t>(text: &'t str, line: &mut RequestLine) -> Result<Cow<'t, str>, Box<Refusal>> {
    decode_image(text)
        .inspect(|image| line.image(image))
        .inspect_err(|_| line.image(text))
}

fn build(shared: &Shared, text: &str, line: &mut RequestLine) -> Result<Build, Box<Refusal>> {
    let image = decode_image(text).inspect_err(|_| line.image(text))?;
    match Build::parse(&image, &shared.formats) {
        Ok(build) => {
            line.build(&build);
            Ok(build)
        }
        Err(error) => {
            line.image(&image);
            Err(error.into())
        }
    }
}

fn readiness(shared: &Shared) -> Outcome {
    let not_ready = |why: &str| Err(Refusal::new(Kind::NotReady, why));
    if shared.stage() != Stage::Serving {
        return not_ready("draining");
    }
    match shared.cluster.freshness() {
        Freshness::Fresh => json(&wire::Health { status: "ready" }),
        other => not_ready(&other.to_string()),
    }
}

/// What only reads ends with its client, its time or its own panic.
async fn within(shared: &Shared, work: impl Future<Output = Outcome>) -> Outcome {
    match timeout(shared.limits.answer, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(internal()),
        Err(_) => Err(Refusal::new(
            Kind::Timeout,
            format!("no answer after {:?}", shared.limits.answer),
        )),
    }
}

/// What reads the cluster, and holds all that it finds, waits for its turn.
async fn in_turn(shared: &Shared, work: impl Future<Output = Outcome>) -> Outcome {
    // It is never closed, so there is no error.
    let _turn = shared.reads.acquire().await;
    work.await
}

fn internal() -> Box<Refusal> {
    Refusal::new(
        Kind::Internal,
        "hikaru made an error: its log has it, and the request's id",
    )
}

async fn find(shared: &Shared, image: &str) -> Outcome {
    let found = hikaru_core::find(&*shared.cluster, image, &shared.formats).await;
    let users = found.map_err(|error| match error {
        FindError::Cluster(error) => error.into(),
        error => Refusal::new(Kind::BadReference, error.to_string()),
    })?;
    let found = wire::users(&users);
    match Shortfall::unread(&users.faults) {
        None => json(&found),
        // A list that may lack some is no list: whoever asks before deleting an image would be misled.
        Some(unread) => Err(
            Refusal::new(Kind::Incomplete, unread.sentence).with(wire::Members {
                found: Some(found),
                faults: failures(&users.faults),
                ..wire::Members::default()
            }),
        ),
    }
}

async fn candidates(
    shared: &Shared,
    line: &mut RequestLine,
    build: Build,
    parameters: Parameters,
) -> Outcome {
    let request = parameters.request(build);
    let report = hikaru_core::candidates(&*shared.cluster, request).await?;
    line.report(&report, Mode::DryRun);
    let told = wire::Report::new(&report, Interface::Http);
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

/// The faults, if one of them makes the answer incomplete.
fn failures(faults: &[Fault]) -> Option<Vec<wire::Fault>> {
    let failed = faults.iter().any(|f| f.severity == Severity::Failure);
    failed.then(|| faults.iter().map(wire::Fault::from).collect())
}

/// The answer with a header that says why nothing is deployed, if something higher runs everywhere: whoever reads `[]`
/// alone would not know.
fn noted(mut answer: Answer, report: &hikaru_core::Report) -> Answer {
    // What a tag and names of a cluster hold fits into a header; a name in a folder may not.
    if let Some(overtaken) = report.overtaken()
        && let Ok(note) = HeaderValue::from_str(&Interface::Http.overtaken(&overtaken))
    {
        answer.headers_mut().insert(X_HIKARU_NOTE.clone(), note);
    }
    answer
}

/// What Prometheus reads.
fn figures(metrics: &dyn Metrics, format: MetricsFormat) -> Answer {
    of_bytes(StatusCode::OK, format.media(), metrics.text(format).into())
}

const JSON: &str = "application/json";

fn json(value: &impl Serialize) -> Outcome {
    Ok(body(StatusCode::OK, JSON, value))
}

fn body(status: StatusCode, media: &'static str, value: &impl Serialize) -> Answer {
    // Text, numbers and lists alone: they always have a JSON form.
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    of_bytes(status, media, bytes.into())
}

fn of_bytes(status: StatusCode, media: &'static str, bytes: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(bytes));
    *answer.status_mut() = status;
    let media = HeaderValue::from_static(media);
    answer.headers_mut().insert(CONTENT_TYPE, media);
    answer
}

fn finish(line: Box<RequestLine>, outcome: Outcome) -> Answer {
    let answer = respond(&line.id, line.unread, outcome);
    line.ended(answer.status());
    answer
}

/// The answer with what all have. What is left unread of a request ends its connection.
fn respond(id: &str, unread: bool, outcome: Outcome) -> Answer {
    let mut answer = outcome.unwrap_or_else(|refusal| {
        let (_, status, _) = refusal.kind.facts();
        let header = refusal.header.clone();
        let problem = refusal.wire(id);
        let mut answer = body(status, "application/problem+json", &problem);
        answer.headers_mut().extend(header);
        answer
    });
    let headers: &mut HeaderMap = answer.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if unread {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    // An id is made of letters, digits, `-`, `_` and `.`.
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(X_REQUEST_ID.clone(), id);
    }
    answer
}
