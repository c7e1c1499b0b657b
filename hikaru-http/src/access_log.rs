//! What the log has of a request: one line at its end with who asked for what, what came of it and how long it took. Never a
//! secret, never a text of unbounded length. The lines of changes are in `change_log`.

use std::{
    hash::{BuildHasher as _, RandomState},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use hikaru_core::{
    Text, caller::Caller, jobs::JobName, policy::Verdict, text::Escaped, upgrade::Report,
    workload::WorkloadName,
};
use hyper::{HeaderMap, Method, StatusCode, header::HeaderName};
use tokio::time::Instant;

use crate::{Metrics, wire};

/// The header of a request's id.
pub(crate) static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is taken from a caller, in bytes: a UUID has 36.
const LONGEST_ID: usize = 64;
/// The longest image in a line, in characters: the longest reference that is usual is shorter.
pub(crate) const LONGEST_IMAGE: usize = 300;

/// Makes ids of requests: not to be guessed from one another, and different in each process.
#[derive(Debug, Default)]
pub(crate) struct RequestIds {
    secret: RandomState,
    count: AtomicU64,
}

impl RequestIds {
    pub(crate) fn next(&self) -> String {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        format!("{:016x}", self.secret.hash_one(count))
    }

    /// The caller's own id if it is one short word, so that it can be followed through proxies; else a new one.
    pub(crate) fn of(&self, headers: &HeaderMap) -> String {
        let mut sent = headers.get_all(&X_REQUEST_ID).iter();
        let safe = |b: &u8| b.is_ascii_alphanumeric() || b"-_.".contains(b);
        match (sent.next().map(|id| id.as_bytes()), sent.next()) {
            (Some(id @ [_, ..]), None) if id.len() <= LONGEST_ID && id.iter().all(safe) => {
                String::from_utf8_lossy(id).into_owned()
            }
            _ => self.next(),
        }
    }
}

/// What is known of a request. It is logged when this is dropped, so a request whose client hung up has its line too.
pub(crate) struct AccessLog {
    /// The request's id.
    pub(crate) id: String,
    method: Option<Method>,
    peer: SocketAddr,
    /// When it had come.
    pub(crate) started: Instant,
    /// The route's pattern.
    pub(crate) route: &'static str,
    /// Who called, once it is known. One that is not let in has no rights.
    pub(crate) caller: Option<Arc<Caller>>,
    image: Option<Text>,
    /// The Job that it is about, once its name has been read.
    pub(crate) job: Option<JobName>,
    /// The workload that it is about, once its name has been read.
    pub(crate) workload: Option<WorkloadName>,
    counts: Option<Counts>,
    /// Why it was refused: the name of the problem, and more exactly.
    refused: Option<(&'static str, &'static str)>,
    status: Option<StatusCode>,
    /// Bytes of the request may still come, so its connection cannot be used for another one.
    pub(crate) unread: bool,
    /// It was answered only when rollouts or a Job had ended, or the time for that was over.
    pub(crate) waited: bool,
    metrics: Option<Arc<dyn Metrics>>,
}

#[derive(Debug, Default)]
struct Counts {
    upgrade: usize,
    equal: usize,
    obsolete: usize,
    skipped: usize,
    failed: usize,
}

impl AccessLog {
    /// The record of a request that has just come. `metrics` receives its figures.
    pub(crate) fn new(
        id: String,
        method: Option<Method>,
        peer: SocketAddr,
        metrics: Option<Arc<dyn Metrics>>,
    ) -> Box<Self> {
        Box::new(Self {
            id,
            method,
            peer,
            started: Instant::now(),
            route: "none",
            caller: None,
            image: None,
            job: None,
            workload: None,
            counts: None,
            refused: None,
            status: None,
            unread: false,
            waited: false,
            metrics,
        })
    }

    /// The text that is asked for as an image. It may be anything.
    pub(crate) fn image(&mut self, image: &str) {
        self.image = Some(quoted(image, LONGEST_IMAGE).into());
    }

    /// How many workloads of a report have which verdict.
    pub(crate) fn count(&mut self, report: &Report) {
        let mut counts = Counts::default();
        for reported in &report.entries {
            match (reported.outcome.failure(), reported.entry.verdict()) {
                (Some(_), _) => counts.failed += 1,
                (None, Verdict::Upgrade) => counts.upgrade += 1,
                (None, Verdict::Equal) => counts.equal += 1,
                (None, Verdict::Obsolete) => counts.obsolete += 1,
                (None, Verdict::Skipped) => counts.skipped += 1,
            }
        }
        self.counts = Some(counts);
    }

    /// It was refused, or could not be done: the problem's name, and why in one word where more is known.
    pub(crate) fn refused(&mut self, problem: &'static str, code: &'static str) {
        self.refused = Some((problem, code));
    }

    /// The request is answered.
    pub(crate) fn ended(mut self: Box<Self>, status: StatusCode) {
        self.status = Some(status);
        if let Some(metrics) = &self.metrics {
            let took = self.started.elapsed();
            metrics.answered(self.route, status.as_u16(), took, self.waited);
        }
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        let Self {
            id,
            method,
            peer,
            started,
            route,
            caller,
            image,
            job,
            workload,
            counts,
            refused,
            status,
            unread: _,
            waited: _,
            metrics: _,
        } = self;
        let counts = counts.as_ref();
        let by = caller.as_ref().map(|caller| wire::Caller::from(&**caller));
        // A macro, because an event's level is part of its callsite.
        macro_rules! line {
            ($level:ident, $message:literal) => {
                tracing::$level!(
                    request_id = id.as_str(),
                    method = method.as_ref().map(Method::as_str),
                    route,
                    peer = %peer,
                    caller = by.as_ref().and_then(wire::Caller::known_name),
                    issuer = by.as_ref().and_then(|by| by.issuer.as_deref()),
                    subject = by.as_ref().and_then(|by| by.subject.as_deref()),
                    run = by.as_ref().and_then(|by| by.run.as_deref()),
                    image = image.as_deref(),
                    job = job.as_ref().map(tracing::field::display),
                    workload = workload.as_ref().map(tracing::field::display),
                    upgrade = counts.map(|c| c.upgrade),
                    equal = counts.map(|c| c.equal),
                    obsolete = counts.map(|c| c.obsolete),
                    skipped = counts.map(|c| c.skipped),
                    failed = counts.map(|c| c.failed),
                    problem = refused.map(|(problem, _)| problem),
                    code = refused.and_then(|(problem, code)| (code != problem).then_some(code)),
                    status = status.map(|s| s.as_u16()),
                    duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
                    $message
                )
            };
        }
        match status {
            // Probes and readers of metrics come every few seconds.
            Some(_) if matches!(*route, "/livez" | "/readyz" | "/metrics") => {
                line!(debug, "answered")
            }
            // Everybody can leave requests unfinished, and would fill the log.
            Some(StatusCode::REQUEST_TIMEOUT) if caller.is_none() => line!(debug, "answered"),
            Some(_) => line!(info, "answered"),
            None => line!(
                info,
                "not finished: the client hung up, or hikaru was stopped"
            ),
        }
    }
}

/// A text from outside in a line of the log: at most so many characters of it, escaped.
pub(crate) fn quoted(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        None => Escaped(text).to_string(),
        Some((end, _)) => format!("{}…", Escaped(&text[..end])),
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn a_caller_may_bring_a_sane_id() {
        let ids = RequestIds::default();
        let of = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                let value = HeaderValue::from_bytes(value).expect("a header's value");
                headers.append(&X_REQUEST_ID, value);
            }
            ids.of(&headers)
        };
        assert_eq!(of(&[b"Run-7_a.b"]), "Run-7_a.b");
        assert_eq!(of(&[&[b'x'; 64]]), "x".repeat(64));
        for refused in [
            &[][..],
            &[b"".as_slice()],
            &[b"a b".as_slice()],
            &[b"a\"b".as_slice()],
            &[b"\xe9".as_slice()],
            &[[b'x'; 65].as_slice()],
            &[b"a".as_slice(), b"b".as_slice()],
        ] {
            let made = of(refused);
            assert!(
                made.len() == 16 && made.bytes().all(|b| b.is_ascii_hexdigit()),
                "{made}"
            );
        }
        assert_ne!(ids.next(), ids.next());
    }

    #[test]
    fn an_image_is_quoted_and_cut() {
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let mut line = AccessLog::new("x".into(), None, peer, None);
        line.image("a\n\u{1b}[31mb");
        assert_eq!(line.image.as_deref(), Some("a\\n\\u{1b}[31mb"));
        line.image(&"x".repeat(5000));
        assert_eq!(line.image.as_ref().map(|i| i.chars().count()), Some(301));
    }
}
