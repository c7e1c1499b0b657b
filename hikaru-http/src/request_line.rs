//! What the log has of a request: one line at its end (who asked for what, what came of it, how long it took), and one for
//! each change that it has made. Never a secret, never a text of unbounded length.

use std::{
    hash::{BuildHasher as _, RandomState},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use hikaru_core::{
    Build, Code, Escaped, JobName, Mode, Outcome, Report, Reported, Text, Verdict, WorkloadName,
};
use hyper::{HeaderMap, Method, StatusCode, header::HeaderName};

use tokio::time::Instant;

use crate::{Metrics, authentication::Caller};

/// The header of a request's id.
pub(crate) static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Why nothing is deployed, in one sentence, where the answer itself has no place for it.
pub(crate) static X_HIKARU_NOTE: HeaderName = HeaderName::from_static("x-hikaru-note");

/// The longest id that is taken from a caller, in bytes: a UUID has 36.
const LONGEST_ID: usize = 64;
/// The longest quotation, in characters: the longest reference that is usual is shorter.
const LONGEST_IMAGE: usize = 300;
/// The longest sentence about a workload, in characters.
const LONGEST_SENTENCE: usize = 1000;

/// Makes ids of requests: not to be guessed from one another, and different in each process.
#[derive(Debug, Default)]
pub(crate) struct RequestIds {
    secret: RandomState,
    count: AtomicU64,
}

impl RequestIds {
    pub(crate) fn next(&self) -> String {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let id = self.secret.hash_one(count);
        let mut digits = [0; 16];
        for (at, digit) in digits.iter_mut().enumerate() {
            *digit = b"0123456789abcdef"[(id >> (60 - 4 * at) & 0xf) as usize];
        }
        String::from_utf8_lossy(&digits).into_owned()
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
pub(crate) struct RequestLine {
    /// The request's id.
    pub(crate) id: String,
    method: Option<Method>,
    peer: SocketAddr,
    /// When it had come.
    pub(crate) started: Instant,
    /// The route's pattern.
    pub(crate) route: &'static str,
    /// Who called, once it is known.
    pub(crate) caller: Option<Caller>,
    image: Option<Text>,
    /// The Job that it is about, once its name is known to be one.
    pub(crate) job: Option<JobName>,
    /// The workload that it is about, once its name is known to be one.
    pub(crate) workload: Option<WorkloadName>,
    counts: Option<Counts>,
    status: Option<StatusCode>,
    /// Something of the request is not read: it would stand between this request and the next one.
    pub(crate) unread: bool,
    /// It was answered only when a Job had ended, or the time for it was over.
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

impl RequestLine {
    /// `metrics` receives the figures of this request. Boxed, because the line is moved often.
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
            status: None,
            unread: false,
            waited: false,
            metrics,
        })
    }

    /// The image that is asked for, quoted: it may be anything.
    pub(crate) fn image(&mut self, image: &str) {
        self.image = Some(quoted(image, LONGEST_IMAGE).into());
    }

    /// The build that is asked for: its image is known to be one, and hardly ever long.
    pub(crate) fn build(&mut self, build: &Build) {
        let image = build.image();
        if image.len() <= LONGEST_IMAGE {
            self.image = Some(image.clone());
        } else {
            self.image(image);
        }
    }

    /// What came of it; each container's code at debug level.
    pub(crate) fn report(&mut self, report: &Report, mode: Mode) {
        if let Some(metrics) = &self.metrics {
            metrics.reported(self.route, report, mode);
        }
        let mut counts = Counts::default();
        for reported in &report.entries {
            let entry = &reported.entry;
            match (reported.outcome.failure(), entry.verdict()) {
                (Some(_), _) => counts.failed += 1,
                (None, Verdict::Upgrade) => counts.upgrade += 1,
                (None, Verdict::Equal) => counts.equal += 1,
                (None, Verdict::Obsolete) => counts.obsolete += 1,
                (None, Verdict::Skipped) => counts.skipped += 1,
            }
            for judged in &entry.containers {
                let container = entry.workload.containers.get(judged.container);
                tracing::debug!(
                    request_id = %self.id,
                    workload = %entry.workload.id,
                    container = container.map(|c| &*c.name),
                    code = judged.reason.code().as_str(),
                    error = reported.outcome.failure(),
                    "judged"
                );
            }
        }
        for fault in &report.faults {
            tracing::debug!(request_id = %self.id, place = &*fault.place, message = fault.message, "not read");
        }
        self.counts = Some(counts);
    }

    /// A line for each container that the call has upgraded, would have upgraded or could not upgrade, and one for each
    /// warning of its workload.
    pub(crate) fn changes(&self, report: &Report, mode: Mode) {
        for reported in &report.entries {
            let failure = reported.outcome.failure();
            if failure.is_some() || reported.outcome == Outcome::Upgraded {
                self.change(report, reported, failure.as_deref(), mode);
            }
        }
    }

    fn change(&self, report: &Report, reported: &Reported, failure: Option<&str>, mode: Mode) {
        let entry = &reported.entry;
        let id = &entry.workload.id;
        let caller = self.caller.map(Caller::as_str);
        let shown = quoted(&id.to_string(), LONGEST_SENTENCE);
        let (outcome, past) = match (&reported.outcome, failure, mode) {
            (Outcome::Unknown { .. }, ..) => ("unknown", "may be upgraded or not"),
            (_, Some(_), _) => ("failed", "could not be upgraded"),
            (_, None, Mode::Commit) => ("upgraded", "was upgraded"),
            (_, None, Mode::DryRun) => ("would-upgrade", "would be upgraded"),
        };
        for judged in &entry.containers {
            let container = entry.workload.containers.get(judged.container);
            let Some(container) = container.filter(|_| judged.code() == Code::Upgrade) else {
                continue;
            };
            let name = quoted(&container.name, LONGEST_IMAGE);
            let from = quoted(&container.image, LONGEST_IMAGE);
            // What is written keeps the workload's own spelling of the repository.
            let to = quoted(&entry.image_for(report.build(), judged), LONGEST_IMAGE);
            // An event's level is part of its callsite.
            macro_rules! line {
                ($level:ident) => {
                    tracing::$level!(
                        request_id = self.id.as_str(),
                        caller,
                        namespace = &*id.namespace,
                        kind = &*id.kind,
                        name = &*id.name,
                        file = id.origin.as_deref(),
                        container = name,
                        from,
                        to,
                        outcome,
                        error = failure,
                        "the container {name} of {shown} {past} from {from} to {to}"
                    )
                };
            }
            match failure {
                Some(_) => line!(warn),
                None => line!(info),
            }
        }
        for warning in &entry.warnings {
            tracing::warn!(
                request_id = self.id.as_str(),
                caller,
                namespace = &*id.namespace,
                kind = &*id.kind,
                name = &*id.name,
                file = id.origin.as_deref(),
                "{shown}: {}",
                quoted(&warning.to_string(), LONGEST_SENTENCE)
            );
        }
    }

    /// A line for each high-water mark that the call has removed.
    pub(crate) fn unheld(&self, workload: &WorkloadName, removed: &[(Text, Text)]) {
        for (container, mark) in removed {
            tracing::info!(
                request_id = self.id.as_str(),
                caller = self.caller.map(Caller::as_str),
                namespace = &**workload.namespace(),
                kind = &**workload.kind(),
                name = &**workload.name(),
                container = &**container,
                mark = &**mark,
                outcome = "unheld",
                "the high-water mark {mark} of the container {container} of {workload} was removed"
            );
        }
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

impl Drop for RequestLine {
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
            status,
            unread: _,
            waited: _,
            metrics: _,
        } = self;
        let counts = counts.as_ref();
        // A macro, because an event's level is part of its callsite. Probes come every few seconds: nobody reads them.
        macro_rules! line {
            ($level:ident, $message:literal) => {
                tracing::$level!(
                    request_id = id.as_str(),
                    method = method.as_ref().map(Method::as_str),
                    route,
                    peer = %peer,
                    caller = caller.map(Caller::as_str),
                    image = image.as_deref(),
                    job = job.as_ref().map(tracing::field::display),
                    workload = workload.as_ref().map(tracing::field::display),
                    upgrade = counts.map(|c| c.upgrade),
                    equal = counts.map(|c| c.equal),
                    obsolete = counts.map(|c| c.obsolete),
                    skipped = counts.map(|c| c.skipped),
                    failed = counts.map(|c| c.failed),
                    status = status.map(|s| s.as_u16()),
                    duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
                    $message
                )
            };
        }
        match status {
            Some(_) if matches!(*route, "/livez" | "/readyz" | "/metrics") => {
                line!(debug, "answered")
            }
            // Anybody can leave a request unfinished, over and over: the log is not theirs to fill.
            Some(StatusCode::REQUEST_TIMEOUT) if caller.is_none() => line!(debug, "answered"),
            Some(_) => line!(info, "answered"),
            None => line!(
                info,
                "not finished: the client hung up, or hikaru was stopped"
            ),
        }
    }
}

/// A text of somebody's in a line of the log: cut, and escaped.
fn quoted(text: &str, longest: usize) -> String {
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
        let mut line = RequestLine::new("x".into(), None, peer, None);
        line.image("a\n\u{1b}[31mb");
        assert_eq!(line.image.as_deref(), Some("a\\n\\u{1b}[31mb"));
        line.image(&"x".repeat(5000));
        assert_eq!(line.image.as_ref().map(|i| i.chars().count()), Some(301));
    }
}
