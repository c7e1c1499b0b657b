//! One request, from its head to its answer: who may call, what is asked for, what the core says to it. What an answer
//! looks like on the wire is in `wire`; connections are in `connection`.

pub(crate) mod job;

use std::{
    borrow::Cow, convert::identity, future::ready, net::SocketAddr, panic::AssertUnwindSafe,
    sync::Arc,
};

use futures_util::{FutureExt as _, future::Either};
use hikaru_core::{Build, Fault, FindError, Freshness, Mode, Report, Severity};
use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode, Version,
    body::{Body as _, Bytes, Incoming},
    header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue},
    http::request::Parts,
};
use serde::Serialize;
use tokio::time::{timeout, timeout_at};

use crate::{
    Metrics,
    persistent::Persistent,
    problem::{Kind, Refusal},
    query::{Parameters, Takes},
    request_line::{RequestLine, X_REQUEST_ID},
    route::{Route, Verb, decode_image},
    server::{Shared, Stage},
    wire,
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
    Metrics(Arc<dyn Metrics>),
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
            return Either::Left(upgrade(shared, line, build, parameters));
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
        (Ok(Call::Job(call)), Some(body)) => job::answer(shared, line, call, body).boxed(),
        (call, _) => {
            let outcome = match call {
                Err(refusal) => Err(refusal),
                Ok(Call::Live) => json(&wire::Health { status: "alive" }),
                Ok(Call::Ready) => readiness(&shared),
                Ok(Call::Metrics(metrics)) => Ok(figures(&*metrics)),
                // They are answered above.
                Ok(
                    Call::Upgrade { .. }
                    | Call::Candidates { .. }
                    | Call::Find { .. }
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
    if !route.is_some_and(Route::is_probe) {
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
             /api/job/{namespace}/{name}, /api/job/{namespace}/{name}/log, /api/job/{namespace}/from/{cronjob}, /livez, \
             /readyz or /metrics",
        ));
    };
    let query = head.uri.query();
    match (route, verb) {
        (Route::Image(text), Verb::Post) => {
            let parameters = Parameters::read(query, Takes::Upgrade)?;
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
            let build = build(shared, text, line)?;
            Ok(Call::Candidates { build, parameters })
        }
        (Route::Live, Verb::Read) => Ok(Call::Live),
        (Route::Ready, Verb::Read) => Ok(Call::Ready),
        (Route::Metrics, Verb::Read) => match &shared.metrics {
            Some(metrics) => Ok(Call::Metrics(metrics.clone())),
            None => Err(internal()),
        },
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
    match failures(&users.faults) {
        None => json(&found),
        // A list that may lack some is no list: whoever asks before deleting an image would be misled.
        Some(faults) => Err(incomplete_reading().with(wire::Members {
            found: Some(found),
            faults: Some(faults),
            ..wire::Members::default()
        })),
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
    line.report(&report);
    let told = wire::Report::from(&report);
    match failures(&report.faults) {
        None => json(&told),
        Some(faults) => Err(incomplete_reading().with(wire::Members {
            faults: Some(faults),
            report: Some(told),
            ..wire::Members::default()
        })),
    }
}

fn incomplete_reading() -> Box<Refusal> {
    Refusal::new(
        Kind::Incomplete,
        "something could not be read, so workloads may be missing here: see faults",
    )
}

/// The faults, if one of them makes the answer incomplete.
fn failures(faults: &[Fault]) -> Option<Vec<wire::Fault>> {
    let failed = faults.iter().any(|f| f.severity == Severity::Failure);
    failed.then(|| faults.iter().map(wire::Fault::from).collect())
}

/// Upgrades. hyper drops what answers a client that hangs up, and an upgrade is not to be stopped half-way: it goes on in a
/// task of its own then, and when its time is over. While it waits for its turn nothing has begun, and it goes with its
/// client.
fn upgrade(
    shared: Arc<Shared>,
    mut line: Box<RequestLine>,
    build: Build,
    parameters: Parameters,
) -> impl Future<Output = Answer> {
    let ask = Ask {
        full: parameters.full(),
        strict: parameters.strict(),
        mode: match parameters.dry_run() {
            true => Mode::DryRun,
            false => Mode::Commit,
        },
    };
    let mut request = parameters.request(build);
    // The list of what was upgraded has no place for them.
    request.near_misses = ask.full || ask.strict;
    let deadline = line.started + shared.limits.answer;
    let turn = match shared.upgrades.clone().try_acquire_owned() {
        Ok(turn) => Either::Left(ready(Some(turn))),
        // It is never closed, so the other error is none.
        Err(_) => {
            let turn = timeout_at(deadline, shared.upgrades.clone().acquire_owned());
            Either::Right(Box::pin(turn.map(|turn| turn.ok().and_then(Result::ok))))
        }
    };
    async move {
        let Some(turn) = turn.await else {
            let busy = Refusal::new(
                Kind::Busy,
                "too many upgrades are under way: nothing was done",
            );
            return finish(line, Err(busy));
        };
        let (id, unread) = (line.id.clone(), line.unread);
        let server = shared.clone();
        let aborted = move || {
            let mut stage = server.subscribe();
            async move {
                stage
                    .wait_for(|stage| *stage == Stage::Aborted)
                    .await
                    .is_ok()
            }
        };
        let work = Persistent::until(aborted, async move {
            let _held = (turn, shared.running());
            let report = hikaru_core::upgrade(&*shared.cluster, request, ask.mode);
            let outcome = report.map(|report| told(&mut line, &report?, ask));
            let outcome = AssertUnwindSafe(outcome).catch_unwind().await;
            finish(line, outcome.map_err(|_| internal()).and_then(identity))
        });
        match timeout_at(deadline, work).await {
            Ok(answer) => answer,
            Err(_) => {
                let detail = "the upgrade is still under way and will be finished: repeating the call later is safe";
                tracing::warn!(request_id = id, "answered 504, the upgrade goes on");
                respond(&id, unread, Err(Refusal::new(Kind::Timeout, detail)))
            }
        }
    }
}

/// How an upgrade is asked for.
#[derive(Clone, Copy)]
struct Ask {
    full: bool,
    strict: bool,
    mode: Mode,
}

/// What came of an upgrade, as it was asked for.
fn told(line: &mut RequestLine, report: &Report, ask: Ask) -> Outcome {
    let Ask { full, strict, .. } = ask;
    line.report(report);
    let told = || wire::Report::from(report);
    if report.has_failures() {
        let failed = wire::failed(report);
        let detail = if failed.is_empty() {
            "something could not be read, so workloads may be missing here: see faults".to_owned()
        } else {
            format!(
                "{} of {} could not be upgraded: see failed; repeating the call is safe",
                failed.len(),
                failed.len() + wire::upgraded(report).len()
            )
        };
        return Err(Refusal::new(Kind::Incomplete, detail).with(wire::Members {
            upgraded: Some(wire::upgraded(report)),
            failed: Some(failed),
            faults: failures(&report.faults),
            report: (full || strict).then(told),
            ..wire::Members::default()
        }));
    }
    if let Some(detail) = strict.then(|| not_strict(report)).flatten() {
        return Err(Refusal::new(Kind::Strict, detail).with(wire::Members {
            report: Some(told()),
            ..wire::Members::default()
        }));
    }
    if full {
        return json(&told());
    }
    match &*wire::upgraded(report) {
        // What most posts of a busy CI are answered.
        [] => Ok(of_bytes(StatusCode::OK, JSON, Bytes::from_static(b"[]"))),
        upgraded => json(&upgraded),
    }
}

/// What a strict caller does not accept.
fn not_strict(report: &Report) -> Option<String> {
    if report.nothing_matched() {
        return Some("nothing matched: see nearMisses of the report".into());
    }
    let mut codes: Vec<_> = report.codes().filter(|code| code.fails_strict()).collect();
    let containers = codes.len();
    codes.sort_unstable();
    codes.dedup();
    let codes: Vec<&str> = codes.into_iter().map(|code| code.as_str()).collect();
    (containers > 0).then(|| {
        let stay = if containers == 1 {
            "container stays"
        } else {
            "containers stay"
        };
        format!("{containers} {stay} behind: {}", codes.join(", "))
    })
}

/// What Prometheus reads.
fn figures(metrics: &dyn Metrics) -> Answer {
    let media = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    of_bytes(StatusCode::OK, media, metrics.text().into())
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
