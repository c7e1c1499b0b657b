//! The routes: a path becomes a value, and the compiler checks that each is answered. What they answer is in `api`.

use std::borrow::Cow;

use hikaru_core::Excerpt;
use hyper::Method;
use percent_encoding::percent_decode_str;

use crate::problem::{Kind, Refusal};

/// A route with the texts of an image, or of names, as they stand in the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route<'p> {
    /// `/livez`
    Live,
    /// `/readyz`
    Ready,
    /// `/metrics`
    Metrics,
    /// `/api/image/{image…}`
    Image(&'p str),
    /// `/api/candidates/{image…}`
    Candidates(&'p str),
    /// `/api/job`
    Jobs,
    /// `/api/job/{namespace}`
    JobsOf(&'p str),
    /// `/api/job/{namespace}/{name}`
    Job(&'p str, &'p str),
    /// `/api/job/{namespace}/from/{cronjob}`
    JobFrom(&'p str, &'p str),
    /// `/api/job/{namespace}/{name}/log`
    JobLog(&'p str, &'p str),
    /// `/api/hold/{namespace}/{kind}/{name}`
    Hold(&'p str, &'p str, &'p str),
}

/// What a method asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// GET, or HEAD, which is GET without its body.
    Read,
    /// POST.
    Post,
    /// DELETE.
    Delete,
    /// No route knows it.
    Other,
}

impl From<&Method> for Verb {
    fn from(method: &Method) -> Self {
        match *method {
            Method::GET | Method::HEAD => Self::Read,
            Method::POST => Self::Post,
            Method::DELETE => Self::Delete,
            _ => Self::Other,
        }
    }
}

impl<'p> Route<'p> {
    /// The route of a path, which is not decoded: only an image or a name may be percent-encoded. Of two that a path could
    /// be, `…/from/log`, the verb decides: the log of a Job that is called `from` is read.
    pub(crate) fn of(path: &'p str, verb: Verb) -> Option<Self> {
        match path {
            "/livez" => Some(Self::Live),
            "/readyz" => Some(Self::Ready),
            "/metrics" => Some(Self::Metrics),
            _ => rest(path, "/api/image")
                .map(Self::Image)
                .or_else(|| rest(path, "/api/candidates").map(Self::Candidates))
                .or_else(|| Self::of_holds(path.strip_prefix("/api/hold/")?))
                .or_else(|| Self::of_jobs(path.strip_prefix("/api/job")?, verb)),
        }
    }

    fn of_holds(rest: &'p str) -> Option<Self> {
        let mut parts = rest.split('/');
        match (parts.next()?, parts.next()?, parts.next()?, parts.next()) {
            (namespace, kind, name, None) => Some(Self::Hold(namespace, kind, name)),
            _ => None,
        }
    }

    fn of_jobs(rest: &'p str, verb: Verb) -> Option<Self> {
        if rest.is_empty() {
            return Some(Self::Jobs);
        }
        let mut parts = rest.strip_prefix('/')?.split('/');
        match (parts.next()?, parts.next(), parts.next(), parts.next()) {
            (namespace, None, ..) => Some(Self::JobsOf(namespace)),
            (namespace, Some(name), None, _) => Some(Self::Job(namespace, name)),
            (namespace, Some("from"), Some("log"), None) if verb == Verb::Read => {
                Some(Self::JobLog(namespace, "from"))
            }
            (namespace, Some("from"), Some(cronjob), None) => {
                Some(Self::JobFrom(namespace, cronjob))
            }
            (namespace, Some(name), Some("log"), None) => Some(Self::JobLog(namespace, name)),
            _ => None,
        }
    }

    /// Probes are for everybody.
    pub(crate) fn is_probe(self) -> bool {
        matches!(self, Self::Live | Self::Ready)
    }

    /// The route as the log has it.
    pub(crate) fn pattern(self) -> &'static str {
        match self {
            Self::Live => "/livez",
            Self::Ready => "/readyz",
            Self::Metrics => "/metrics",
            Self::Image(_) => "/api/image/{image}",
            Self::Candidates(_) => "/api/candidates/{image}",
            Self::Jobs => "/api/job",
            Self::JobsOf(_) => "/api/job/{namespace}",
            Self::Job(..) => "/api/job/{namespace}/{name}",
            Self::JobFrom(..) => "/api/job/{namespace}/from/{cronjob}",
            Self::JobLog(..) => "/api/job/{namespace}/{name}/log",
            Self::Hold(..) => "/api/hold/{namespace}/{kind}/{name}",
        }
    }
}

/// What stands after a prefix and its slash; the prefix alone is an image that is empty.
fn rest<'p>(path: &'p str, prefix: &str) -> Option<&'p str> {
    let rest = path.strip_prefix(prefix)?;
    if rest.is_empty() {
        Some(rest)
    } else {
        rest.strip_prefix('/')
    }
}

/// Decodes an image's text, once: `%2F` is a slash, `%252F` is `%2F`, which no reference has.
pub(crate) fn decode_image(text: &str) -> Result<Cow<'_, str>, Box<Refusal>> {
    decode(text).map_err(|error| {
        Refusal::new(
            Kind::BadReference,
            format!("not an image reference: {error}"),
        )
    })
}

/// Decodes percent sequences, once.
///
/// # Errors
/// A sentence: a `%` without two hex digits, or bytes that are no UTF-8.
pub(crate) fn decode(text: &str) -> Result<Cow<'_, str>, String> {
    if !text.contains('%') {
        return Ok(text.into());
    }
    let bytes = text.as_bytes();
    let is_hex = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
    for (at, _) in text.match_indices('%') {
        if !is_hex(at + 1) || !is_hex(at + 2) {
            let found = Excerpt::at(text, at);
            return Err(format!(
                "expected two hex digits after `%`, found {found} at byte {at}"
            ));
        }
    }
    let decoded = percent_decode_str(text).decode_utf8();
    let text = decoded.map_err(|error| {
        let at = error.valid_up_to();
        format!("expected UTF-8, found another byte at byte {at} of the decoded text")
    })?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for (path, expected) in [
            ("/livez", Some(Route::Live)),
            ("/livez/", None),
            ("/", None),
            ("", None),
            ("*", None),
            ("/api", None),
            ("/api/images/web", None),
            ("//api/image/web", None),
            ("/api/image", Some(Route::Image(""))),
            ("/api/image/", Some(Route::Image(""))),
            ("/api/image/web/", Some(Route::Image("web/"))),
            ("/api/image//web", Some(Route::Image("/web"))),
            (
                "/api/image/host:5000/a/b:t@sha256:0",
                Some(Route::Image("host:5000/a/b:t@sha256:0")),
            ),
            (
                "/api/candidates/../image/web",
                Some(Route::Candidates("../image/web")),
            ),
            ("/%61pi/image/web", None),
            ("/api/job", Some(Route::Jobs)),
            ("/api/jobs", None),
            ("/api/job/", Some(Route::JobsOf(""))),
            ("/api/job/shop", Some(Route::JobsOf("shop"))),
            ("/api/job/shop/", Some(Route::Job("shop", ""))),
            ("/api/job/shop/from", Some(Route::Job("shop", "from"))),
            ("/api/job/shop/m%2Fx", Some(Route::Job("shop", "m%2Fx"))),
            ("/api/job/shop/m/log", Some(Route::JobLog("shop", "m"))),
            ("/api/job/shop/from/m", Some(Route::JobFrom("shop", "m"))),
            (
                "/api/job/shop/from/log",
                Some(Route::JobLog("shop", "from")),
            ),
            ("/api/job/shop/m/logs", None),
            ("/api/job/shop/m/log/", None),
            ("/api/job/shop/from/m/log", None),
            ("/api/hold", None),
            ("/api/hold/shop/web", None),
            ("/api/hold/a/b/c/d", None),
            ("/api/hold/a/b/c", Some(Route::Hold("a", "b", "c"))),
            ("/api/hold/a/b/", Some(Route::Hold("a", "b", ""))),
        ] {
            assert_eq!(Route::of(path, Verb::Read), expected, "{path}");
        }
        let from_log = Route::of("/api/job/shop/from/log", Verb::Post);
        assert_eq!(from_log, Some(Route::JobFrom("shop", "log")));
    }

    #[test]
    fn decoding_is_done_once() {
        for (text, expected) in [
            ("a%2Fb%2fc", Ok("a/b/c")),
            ("a%252Fb", Ok("a%2Fb")),
            ("%c3%a9", Ok("é")),
            (
                "a%",
                Err("expected two hex digits after `%`, found `%` at byte 1"),
            ),
            (
                "%2",
                Err("expected two hex digits after `%`, found `%2` at byte 0"),
            ),
            (
                "a%zz",
                Err("expected two hex digits after `%`, found `%zz` at byte 1"),
            ),
            (
                "a%ff",
                Err("expected UTF-8, found another byte at byte 1 of the decoded text"),
            ),
        ] {
            let expected = expected.map(Cow::from).map_err(str::to_owned);
            assert_eq!(decode(text), expected, "{text}");
        }
    }
}
