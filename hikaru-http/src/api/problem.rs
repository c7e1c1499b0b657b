//! The problems that a caller can meet, each with its stable name, and how one becomes an answer. Which one it is in a
//! given case is decided where it is met.

use std::time::Duration;

use hikaru_core::{caller::NotAllowed, image::BuildError, jobs::JobName, port::ClusterError};
use hyper::{
    StatusCode,
    header::{ALLOW, HeaderName, HeaderValue, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE},
};

use crate::{auth::Denied, body::BodyError, wire};

/// `Retry-After` where the cluster does not say when to ask again.
const RETRY_SECONDS: u64 = 5;

/// A kind of problem. docs/http-api.md lists them all, and a test holds it to that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    BadRequest,
    BadReference,
    BadName,
    BadQuery,
    BadBody,
    MalformedJob,
    Unauthorized,
    ForeignHost,
    Browser,
    NotAllowed,
    JobForbidden,
    NamespaceForbidden,
    UnknownRoute,
    NoSuchJob,
    NoSuchWorkload,
    MethodNotAllowed,
    HeaderTimeout,
    BodyTimeout,
    Strict,
    JobExists,
    JobFailed,
    RolloutFailed,
    BodyTooLarge,
    UnsupportedMedia,
    NoBuild,
    InvalidJob,
    Refused,
    Internal,
    Unsupported,
    Incomplete,
    Lost,
    NoLog,
    Unavailable,
    TokenUnverified,
    Busy,
    NotReady,
    Stopping,
    Timeout,
    JobUnfinished,
    RolloutUnfinished,
}

impl Kind {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 40] = [
        Self::BadRequest,
        Self::BadReference,
        Self::BadName,
        Self::BadQuery,
        Self::BadBody,
        Self::MalformedJob,
        Self::Unauthorized,
        Self::ForeignHost,
        Self::Browser,
        Self::NotAllowed,
        Self::JobForbidden,
        Self::NamespaceForbidden,
        Self::UnknownRoute,
        Self::NoSuchJob,
        Self::NoSuchWorkload,
        Self::MethodNotAllowed,
        Self::HeaderTimeout,
        Self::BodyTimeout,
        Self::Strict,
        Self::JobExists,
        Self::JobFailed,
        Self::RolloutFailed,
        Self::BodyTooLarge,
        Self::UnsupportedMedia,
        Self::NoBuild,
        Self::InvalidJob,
        Self::Refused,
        Self::Internal,
        Self::Unsupported,
        Self::Incomplete,
        Self::Lost,
        Self::NoLog,
        Self::Unavailable,
        Self::TokenUnverified,
        Self::Busy,
        Self::NotReady,
        Self::Stopping,
        Self::Timeout,
        Self::JobUnfinished,
        Self::RolloutUnfinished,
    ];

    /// Its name after `urn:hikaru:problem:`, its status, its title.
    fn facts(self) -> (&'static str, StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Self::BadRequest => ("bad-request", S::BAD_REQUEST, "Malformed request"),
            Self::BadReference => ("bad-reference", S::BAD_REQUEST, "Not an image reference"),
            Self::BadName => ("bad-name", S::BAD_REQUEST, "Not a name"),
            Self::BadQuery => ("bad-query", S::BAD_REQUEST, "Bad query parameter"),
            Self::BadBody => ("bad-body", S::BAD_REQUEST, "Body not readable"),
            Self::MalformedJob => ("malformed-job", S::BAD_REQUEST, "Definition not readable"),
            Self::Unauthorized => ("unauthorized", S::UNAUTHORIZED, "No valid token"),
            Self::ForeignHost => (
                "foreign-host",
                S::FORBIDDEN,
                "Not addressed to this machine",
            ),
            Self::Browser => ("browser", S::FORBIDDEN, "Sent by a browser for a web page"),
            Self::NotAllowed => ("not-allowed", S::FORBIDDEN, "Not allowed"),
            Self::JobForbidden => ("job-forbidden", S::FORBIDDEN, "Job not allowed"),
            Self::NamespaceForbidden => {
                ("namespace-forbidden", S::FORBIDDEN, "Namespace not allowed")
            }
            Self::UnknownRoute => ("unknown-route", S::NOT_FOUND, "Unknown route"),
            Self::NoSuchJob => ("no-such-job", S::NOT_FOUND, "Not there"),
            Self::NoSuchWorkload => ("no-such-workload", S::NOT_FOUND, "No such workload"),
            Self::MethodNotAllowed => (
                "method-not-allowed",
                S::METHOD_NOT_ALLOWED,
                "Method not allowed",
            ),
            Self::HeaderTimeout => ("header-timeout", S::REQUEST_TIMEOUT, "Header not finished"),
            Self::BodyTimeout => ("body-timeout", S::REQUEST_TIMEOUT, "Body not finished"),
            Self::Strict => ("strict", S::CONFLICT, "Not as strict asks"),
            Self::JobExists => ("job-exists", S::CONFLICT, "There is such a Job"),
            Self::JobFailed => ("job-failed", S::CONFLICT, "The Job failed"),
            Self::RolloutFailed => ("rollout-failed", S::CONFLICT, "A rollout failed"),
            Self::BodyTooLarge => ("body-too-large", S::PAYLOAD_TOO_LARGE, "Body too large"),
            Self::UnsupportedMedia => (
                "unsupported-media-type",
                S::UNSUPPORTED_MEDIA_TYPE,
                "Content type not supported",
            ),
            Self::NoBuild => ("no-build", S::UNPROCESSABLE_ENTITY, "Tag not readable"),
            Self::InvalidJob => ("invalid-job", S::UNPROCESSABLE_ENTITY, "Job refused"),
            Self::Refused => ("refused", S::UNPROCESSABLE_ENTITY, "The cluster refuses"),
            Self::Internal => (
                "internal",
                S::INTERNAL_SERVER_ERROR,
                "Error inside of hikaru",
            ),
            Self::Unsupported => ("unsupported", S::NOT_IMPLEMENTED, "Not supported here"),
            Self::Incomplete => ("incomplete", S::BAD_GATEWAY, "Done in part"),
            Self::Lost => ("lost", S::BAD_GATEWAY, "Outcome not known"),
            Self::NoLog => ("no-log", S::BAD_GATEWAY, "No log to be had"),
            Self::TokenUnverified => (
                "token-unverified",
                S::SERVICE_UNAVAILABLE,
                "The token cannot be verified now",
            ),
            Self::Unavailable => (
                "unavailable",
                S::SERVICE_UNAVAILABLE,
                "The cluster is not available",
            ),
            Self::Busy => ("busy", S::SERVICE_UNAVAILABLE, "Too much at once"),
            Self::NotReady => ("not-ready", S::SERVICE_UNAVAILABLE, "Not ready"),
            Self::Stopping => ("stopping", S::SERVICE_UNAVAILABLE, "hikaru is stopping"),
            Self::Timeout => ("timeout", S::GATEWAY_TIMEOUT, "Not answered in time"),
            Self::JobUnfinished => ("job-unfinished", S::GATEWAY_TIMEOUT, "The Job goes on"),
            Self::RolloutUnfinished => (
                "rollout-unfinished",
                S::GATEWAY_TIMEOUT,
                "The rollout goes on",
            ),
        }
    }

    /// Its stable name.
    pub(crate) fn name(self) -> &'static str {
        self.facts().0
    }

    pub(crate) fn status(self) -> StatusCode {
        self.facts().1
    }

    pub(crate) fn urn(self) -> String {
        format!("urn:hikaru:problem:{}", self.name())
    }
}

/// A problem as it was met.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) kind: Kind,
    /// Why, in one word of a bounded set, for a figure. Where no more is known: the kind's name.
    pub(crate) code: &'static str,
    pub(crate) detail: String,
    pub(crate) members: wire::Members,
    pub(crate) header: Option<(HeaderName, HeaderValue)>,
}

impl Refusal {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Box<Self> {
        let header = (kind.status() == StatusCode::SERVICE_UNAVAILABLE)
            .then(|| (RETRY_AFTER, HeaderValue::from(RETRY_SECONDS)));
        Box::new(Self {
            kind,
            code: kind.name(),
            detail: detail.into(),
            members: wire::Members::default(),
            header,
        })
    }

    /// With what was done or found all the same.
    pub(crate) fn with(mut self: Box<Self>, members: wire::Members) -> Box<Self> {
        self.members = members;
        self
    }

    /// 405 says what is allowed (RFC 9110, 15.5.6).
    pub(crate) fn method(allowed: &str) -> Box<Self> {
        let mut refusal = Self::new(Kind::MethodNotAllowed, format!("expected {allowed}"));
        // The names of methods are letters.
        let value = HeaderValue::from_str(allowed).ok();
        refusal.header = value.map(|value| (ALLOW, value));
        refusal
    }

    /// 415 says what is taken (Accept-Post: W3C LDP, 7.1).
    pub(crate) fn media(accepted: &'static str, detail: String) -> Box<Self> {
        let mut refusal = Self::new(Kind::UnsupportedMedia, detail);
        let name = HeaderName::from_static("accept-post");
        refusal.header = Some((name, HeaderValue::from_static(accepted)));
        refusal
    }

    pub(crate) fn wire(self, request_id: &str) -> wire::Problem {
        let (_, status, title) = self.kind.facts();
        wire::Problem {
            kind: self.kind.urn(),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: self.detail,
            request_id: request_id.to_owned(),
            members: self.members,
        }
    }
}

impl From<Denied> for Box<Refusal> {
    fn from(denied: Denied) -> Self {
        let kind = match &denied {
            Denied::NoCredentials
            | Denied::BadCredentials
            | Denied::BadToken { .. }
            | Denied::Expired { .. } => Kind::Unauthorized,
            Denied::NotTrusted { .. } => Kind::NotAllowed,
            Denied::Unavailable(_) => Kind::TokenUnverified,
            Denied::TwoCredentials => Kind::BadRequest,
            Denied::ForeignHost => Kind::ForeignHost,
            Denied::Browser => Kind::Browser,
            Denied::Body(error) => return error.clone().into(),
        };
        let mut refusal = Refusal::new(kind, denied.to_string());
        refusal.code = match &denied {
            Denied::NoCredentials => "no-credentials",
            Denied::BadCredentials => "bad-credentials",
            Denied::Expired { .. } => "expired",
            Denied::BadToken { code, .. } | Denied::NotTrusted { code, .. } => code,
            Denied::Unavailable(_)
            | Denied::TwoCredentials
            | Denied::ForeignHost
            | Denied::Browser
            | Denied::Body(_) => refusal.code,
        };
        // The challenge of RFC 6750, 3: no error code where nothing was sent.
        let challenge = match denied {
            Denied::NoCredentials => Some("Bearer"),
            Denied::BadCredentials | Denied::BadToken { .. } | Denied::Expired { .. } => {
                Some("Bearer error=\"invalid_token\"")
            }
            _ => None,
        };
        // Fixed words: what was sent is never a header.
        if let Some(challenge) = challenge {
            refusal.header = Some((WWW_AUTHENTICATE, HeaderValue::from_static(challenge)));
        }
        refusal
    }
}

impl From<NotAllowed> for Box<Refusal> {
    fn from(not_allowed: NotAllowed) -> Self {
        let mut refusal = Refusal::new(Kind::NotAllowed, not_allowed.to_string());
        refusal.code = not_allowed.code();
        refusal
    }
}

impl From<BodyError> for Box<Refusal> {
    fn from(error: BodyError) -> Self {
        let kind = match error {
            BodyError::TooLarge(_) => Kind::BodyTooLarge,
            BodyError::Late(_) => Kind::BodyTimeout,
            BodyError::CutOff { .. } | BodyError::Broken(_) => Kind::BadBody,
        };
        Refusal::new(kind, error.to_string())
    }
}

impl From<BuildError> for Box<Refusal> {
    fn from(error: BuildError) -> Self {
        let kind = if error.is_reference() {
            Kind::NoBuild
        } else {
            Kind::BadReference
        };
        Refusal::new(kind, error.to_string())
    }
}

impl From<ClusterError> for Box<Refusal> {
    fn from(error: ClusterError) -> Self {
        let kind = match &error {
            ClusterError::NotAllowed(not_allowed) => return not_allowed.clone().into(),
            ClusterError::Unsupported(_) => Kind::Unsupported,
            ClusterError::Outside { .. } => Kind::NamespaceForbidden,
            ClusterError::JobRefused(_) => Kind::JobForbidden,
            error if error.is_retryable() => Kind::Unavailable,
            _ => Kind::Refused,
        };
        let mut refusal = Refusal::new(kind, wire::cluster_error(&error));
        if let ClusterError::Unavailable {
            retry_after: Some(after),
            ..
        } = error
        {
            let seconds = HeaderValue::from(whole_seconds(after));
            refusal.header = Some((RETRY_AFTER, seconds));
        }
        refusal
    }
}

impl Refusal {
    /// What a cluster says to a call about one workload.
    pub(crate) fn of_workload(error: ClusterError) -> Box<Self> {
        match error {
            ClusterError::NotFound(_) => Self::new(Kind::NoSuchWorkload, error.to_string()),
            error => error.into(),
        }
    }
}

/// What was being done with a Job when the cluster answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// One was created.
    Creating,
    /// One was read, or its logs, or those of a namespace.
    Reading,
    /// One was deleted.
    Deleting,
}

impl Refusal {
    /// What a cluster says to a call about the Job, CronJob or namespace that is called so.
    pub(crate) fn of_job(error: ClusterError, doing: Doing, name: &str) -> Box<Self> {
        let (kind, detail) = match (error, doing) {
            (ClusterError::Malformed(message), _) => (Kind::MalformedJob, message),
            (ClusterError::Invalid(message), _) => (Kind::InvalidJob, message),
            (ClusterError::Forbidden(message), _) => (Kind::JobForbidden, message),
            (ClusterError::JobRefused(refused), _) => {
                (Kind::JobForbidden, wire::job_refused(&refused))
            }
            (ClusterError::Exists(message), _) => (Kind::JobExists, message),
            (error @ ClusterError::NotFound(_), _) => (Kind::NoSuchJob, error.to_string()),
            (ClusterError::Lost(message), Doing::Creating) => (
                Kind::Lost,
                format!(
                    "the cluster's answer was lost, so the Job may have been created: look (GET /api/job/{{namespace}}) \
                     before repeating the call: {message}"
                ),
            ),
            (ClusterError::Lost(message), Doing::Deleting) => (
                Kind::Lost,
                format!(
                    "the cluster's answer was lost, so the Job {name} may be deleted: repeating the call is safe: {message}"
                ),
            ),
            (error, _) => return error.into(),
        };
        Self::new(kind, detail)
    }

    /// With the place of a Job that was created all the same. It takes the place of `Retry-After`: who repeats the call
    /// runs the Job twice.
    pub(crate) fn at(mut self: Box<Self>, job: &JobName) -> Box<Self> {
        self.header = location(job).map(|place| (LOCATION, place));
        self
    }
}

/// Where a Job's status is.
pub(crate) fn location(job: &JobName) -> Option<HeaderValue> {
    // A checked name has nothing that a header or a path could not carry.
    HeaderValue::from_str(&format!("/api/job/{job}")).ok()
}

/// `Retry-After` knows whole seconds only: rounded up, and never 0, which asks for a storm.
fn whole_seconds(after: Duration) -> u64 {
    let up = u64::from(after.subsec_nanos() > 0);
    after.as_secs().saturating_add(up).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_lists_every_problem() {
        // Read when it runs: the document is no part of the crate's package, which has to compile.
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/http-api.md");
        let document = std::fs::read_to_string(path).expect(path);
        for kind in Kind::ALL {
            let (_, status, title) = kind.facts();
            let row = format!("| `{}` | {} | {title} |", kind.urn(), status.as_u16());
            assert!(document.contains(&row), "docs/http-api.md lacks: {row}");
        }
    }

    #[test]
    fn seconds_are_rounded_up() {
        for (millis, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (2500, 3)] {
            assert_eq!(whole_seconds(Duration::from_millis(millis)), seconds);
        }
    }
}
