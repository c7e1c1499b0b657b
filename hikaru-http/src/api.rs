//! One request, from its header to its answer: who calls, what is asked for, what the core says to it. The routes are in `routes`;
//! what each of them does is in a file of its own. Connections are in `serve`, the JSON is in `wire`.

mod answer;
mod health;
mod hold;
mod image;
mod in_task;
mod job;
mod media;
mod path;
mod permit;
mod problem;
mod query;
mod rollout;
mod routes;
mod upgrade;
mod verify;
mod view;
mod waited;
mod waiting;

use std::{net::SocketAddr, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt as _;
use hikaru_core::{
    TagFormats, Text,
    caller::{Caller, Rights},
    port::{Clock, Event, Fault, Happening, Observer, Severity, WorkloadPort},
    workload::WorkloadName,
};
use hyper::{
    Request, Version,
    body::{Body as _, Incoming},
    header::HOST,
    http::request::Parts,
};
use tokio::time::timeout;

pub(crate) use answer::Answer;
use answer::{Outcome, respond};
use permit::Permits;
use problem::{Kind, Refusal};
use routes::{Access, Match, Operation};
use view::{Ports, View};

use crate::{
    Limits, Metrics,
    access_log::{AccessLog, RequestIds},
    auth::{AuthRequest, Authenticator},
    body::RequestBody,
    change_log::ChangeLog,
    life::Life,
    wire,
};

/// What all requests of a server share.
pub(crate) struct Api {
    pub(crate) ports: Ports,
    clock: Arc<dyn Clock>,
    authenticator: Arc<dyn Authenticator>,
    pub(crate) formats: TagFormats,
    /// The kinds of workloads beside Kubernetes' own.
    pub(crate) kinds: Vec<Text>,
    pub(crate) metrics: Option<Arc<dyn Metrics>>,
    pub(crate) observers: Vec<Arc<dyn Observer>>,
    pub(crate) life: Arc<Life>,
    limits: Limits,
    permits: Permits,
    ids: RequestIds,
}

/// Where a request came in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    /// Who sent it.
    pub(crate) peer: SocketAddr,
    /// Whether its connection is one more than the limit: it is answered so, unless it is a probe.
    pub(crate) crowded: bool,
    /// Whether it came to the listener that answers probes and metrics only.
    pub(crate) probes: bool,
}

/// A request that is let in.
struct Call<'h> {
    operation: Operation,
    /// What stands in the path for the names of its pattern.
    parts: Vec<&'h str>,
    head: &'h Parts,
    body: RequestBody,
    view: View,
}

impl Call<'_> {
    fn query(&self) -> Option<&str> {
        self.head.uri.query()
    }

    /// The workload that the path names, of a kind that is looked at (Kubernetes' own, or one of these), in a namespace that the
    /// caller may see.
    fn workload(&self, added: &[Text]) -> Result<WorkloadName, Box<Refusal>> {
        let parts = self.parts.iter().map(|part| path::name(part));
        let name = parts.collect::<Result<Vec<_>, _>>()?.join("/");
        let workload: WorkloadName = name.parse().map_err(path::bad_name)?;
        workload.check_kind(added).map_err(path::bad_name)?;
        self.view.caller().check_namespace(workload.namespace())?;
        Ok(workload)
    }

    /// A part of the path. The pattern of a route has as many as its operation asks for.
    fn part(&self, at: usize) -> &str {
        self.parts.get(at).copied().unwrap_or_default()
    }
}

impl Api {
    /// With the default tag formats and limits, without Jobs, rollouts and metrics. Changes are logged.
    pub(crate) fn new(
        cluster: Arc<dyn WorkloadPort>,
        clock: Arc<dyn Clock>,
        authenticator: Arc<dyn Authenticator>,
    ) -> Self {
        let limits = Limits::default();
        Self {
            ports: Ports::new(cluster),
            clock,
            authenticator,
            formats: TagFormats::default(),
            kinds: Vec::new(),
            metrics: None,
            observers: vec![Arc::new(ChangeLog)],
            life: Arc::new(Life::new()),
            limits,
            permits: Permits::new(&limits),
            ids: RequestIds::default(),
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        self.permits = Permits::new(&limits);
    }

    /// Tells all observers what happened in a call.
    fn tell(&self, line: &AccessLog, what: Happening<'_>) {
        let event = Event::new(&line.id, line.route, line.caller.as_deref(), what);
        for observer in &self.observers {
            observer.observe(&event);
        }
    }

    /// The answer of a call that has ended.
    fn finish(&self, mut line: Box<AccessLog>, outcome: Outcome) -> Answer {
        if let Err(refusal) = &outcome {
            let refused = Happening::Refused {
                problem: refusal.kind.name(),
                code: refusal.code,
                reason: &refusal.detail,
            };
            line.refused(refusal.kind.name(), refusal.code);
            self.tell(&line, refused);
        }
        let answer = respond(&line.id, line.unread, outcome);
        line.ended(answer.status());
        answer
    }

    /// Does what only reads: it ends with its client, its time or its own panic.
    async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, Box<Refusal>>>,
    ) -> Result<T, Box<Refusal>> {
        match timeout(self.limits.answer, AssertUnwindSafe(work).catch_unwind()).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(internal()),
            Err(_) => Err(Refusal::new(
                Kind::Timeout,
                format!("no answer after {:?}", self.limits.answer),
            )),
        }
    }
}

/// Answers a request. Its body is read only where the route or the authenticator asks for it.
pub(crate) async fn answer(api: Arc<Api>, origin: Origin, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let id = api.ids.of(&head.headers);
    let (method, metrics) = (Some(head.method.clone()), api.metrics.clone());
    let mut line = AccessLog::new(id, method, origin.peer, metrics);
    let call = match admit(&api, origin, &head, body, &mut line).await {
        Ok(call) => call,
        Err(refusal) => return api.finish(line, Err(refusal)),
    };
    match call.operation {
        Operation::Upgrade => upgrade::answer(api, line, call).await,
        Operation::Candidates => image::candidates(api, line, call).await,
        Operation::Find => image::find(api, line, call).await,
        Operation::Verify => verify::answer(api, line, call).await,
        Operation::RunJob => job::run(api, line, call).await,
        Operation::RunFromCronJob => job::run_from_cron_job(api, line, call).await,
        Operation::ListJobs => job::list(api, line, call).await,
        Operation::JobStatus => job::status(api, line, call).await,
        Operation::JobLog => job::log(api, line, call).await,
        Operation::DeleteJob => job::delete(api, line, call).await,
        Operation::RemoveMarks => hold::answer(api, line, call).await,
        Operation::Rollout => rollout::rollout(api, line, call).await,
        Operation::Status => rollout::status(api, line, call).await,
        Operation::Live => api.finish(line, health::live()),
        Operation::Ready => api.finish(line, health::ready(&api)),
        Operation::Metrics => api.finish(line, health::metrics(&api, &head.headers)),
    }
}

/// The answer to a header that was begun and not finished within this time.
pub(crate) fn header_timeout(api: &Api, peer: SocketAddr, within: std::time::Duration) -> Answer {
    let line = AccessLog::new(api.ids.next(), None, peer, api.metrics.clone());
    let detail = format!("expected the whole header within {within:?}");
    api.finish(line, Err(Refusal::new(Kind::HeaderTimeout, detail)))
}

/// Lets a request in: first what it is, then who asks for it, then whether the route has its method, then whether the caller has a
/// right to it.
async fn admit<'h>(
    api: &Api,
    origin: Origin,
    head: &'h Parts,
    body: Incoming,
    line: &mut AccessLog,
) -> Result<Call<'h>, Box<Refusal>> {
    let found = routes::resolve(&head.method, head.uri.path());
    line.route = found.as_ref().map_or("none", |found| found.route.pattern);
    let operation = found.as_ref().map(|found| found.route.operation);
    let most = match operation {
        Some(Operation::RunJob) => api.limits.job_bytes,
        _ => api.limits.body_bytes,
    };
    let announced = body.size_hint().exact();
    let mut body = RequestBody::new(body, most, api.limits.body_time);
    line.unread = body.is_unread();
    check_one_host(head)?;
    let access = found.as_ref().map(|found| found.route.access);
    let is_probe = access == Some(Access::Probes);
    let is_allowed = found.as_ref().is_some_and(|found| found.has_method);
    if origin.crowded && !(is_probe && is_allowed) {
        return Err(Refusal::new(Kind::Busy, "too many connections are open"));
    }
    // A reader of metrics on the listener of probes needs no token that could deploy.
    let is_open = is_probe || (origin.probes && access == Some(Access::Metrics));
    let caller = if is_open {
        // It is answered without what a caller sees.
        Arc::new(Caller::new("nobody", Rights::NONE))
    } else {
        let request = AuthRequest {
            method: &head.method,
            uri: &head.uri,
            headers: &head.headers,
            peer: origin.peer,
            body: &mut body,
        };
        let caller = api.authenticator.authenticate(request).await;
        line.unread = body.is_unread();
        if let Err(denied) = &caller {
            line.caller = denied.caller().map(Arc::new);
        }
        line.caller.insert(Arc::new(caller?)).clone()
    };
    if let Some(bytes) = announced.filter(|bytes| *bytes > most) {
        let detail = format!("expected a body of at most {most} bytes, found {bytes}");
        return Err(Refusal::new(Kind::BodyTooLarge, detail));
    }
    if origin.probes && access.is_none_or(Access::is_of_api) {
        let expected = routes::expected(|access| !access.is_of_api());
        let detail = format!("{expected}: the API has an address of its own");
        return Err(Refusal::new(Kind::UnknownRoute, detail));
    }
    let has_metrics = api.metrics.is_some();
    let Some(Match {
        route,
        parts,
        has_method,
    }) = found.filter(|found| found.route.operation != Operation::Metrics || has_metrics)
    else {
        return Err(Refusal::new(Kind::UnknownRoute, routes::expected(|_| true)));
    };
    if !has_method {
        return Err(Refusal::method(&routes::allowed(head.uri.path())));
    }
    if !is_open {
        caller.check(route.access.rights())?;
    }
    Ok(Call {
        operation: route.operation,
        parts,
        head,
        body,
        view: api.ports.seen_by(caller),
    })
}

/// RFC 9112, 3.2: exactly one in HTTP/1.1. A proxy may read two in another way.
fn check_one_host(head: &Parts) -> Result<(), Box<Refusal>> {
    let hosts = head.headers.get_all(HOST).iter().count();
    if hosts > 1 || (hosts == 0 && head.version == Version::HTTP_11) {
        let detail = format!("expected one header `Host`, found {hosts}");
        return Err(Refusal::new(Kind::BadRequest, detail));
    }
    Ok(())
}

fn internal() -> Box<Refusal> {
    Refusal::new(
        Kind::Internal,
        "hikaru made an error: its log has it, and the request's id",
    )
}

/// The faults, if one of them makes the answer incomplete.
fn failures(faults: &[Fault]) -> Option<Vec<wire::Fault>> {
    let failed = faults.iter().any(|f| f.severity == Severity::Failure);
    failed.then(|| faults.iter().map(wire::Fault::from).collect())
}
