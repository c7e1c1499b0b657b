//! Answers: how a value, a text or a problem becomes one, and what all answers have in common. The body is boxed, so that an
//! answer can also be a stream.

use std::convert::Infallible;

use http_body_util::{BodyExt as _, Empty, Full, combinators::UnsyncBoxBody};
use hyper::{
    Response, StatusCode,
    body::Bytes,
    header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue},
};
use serde::Serialize;

use super::problem::Refusal;
use crate::access_log::X_REQUEST_ID;

/// An answer as hyper sends it.
pub(crate) type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// What came of a call.
pub(crate) type Outcome = Result<Answer, Box<Refusal>>;

const JSON: &str = "application/json";

/// 200 with this value.
pub(crate) fn json(value: &impl Serialize) -> Outcome {
    Ok(json_with(StatusCode::OK, value))
}

/// This status with this value.
pub(crate) fn json_with(status: StatusCode, value: &impl Serialize) -> Answer {
    of_value(status, JSON, value)
}

/// 200 with these bytes of this media type.
pub(crate) fn of_bytes(media: &'static str, bytes: Bytes) -> Answer {
    with_body(StatusCode::OK, media, bytes)
}

/// A status and nothing else.
pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Empty::new().boxed_unsync());
    *answer.status_mut() = status;
    answer
}

fn of_value(status: StatusCode, media: &'static str, value: &impl Serialize) -> Answer {
    // Texts, numbers and lists always have a JSON form.
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    with_body(status, media, bytes.into())
}

fn with_body(status: StatusCode, media: &'static str, bytes: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(bytes).boxed_unsync());
    *answer.status_mut() = status;
    let media = HeaderValue::from_static(media);
    answer.headers_mut().insert(CONTENT_TYPE, media);
    answer
}

/// The answer of an outcome, to the request with this id, with what all answers have. Where bytes of the request may still come
/// (`unread`), the connection is closed after it.
pub(crate) fn respond(id: &str, unread: bool, outcome: Outcome) -> Answer {
    let mut answer = outcome.unwrap_or_else(|refusal| {
        let header = refusal.header.clone();
        let status = refusal.kind.status();
        let mut answer = of_value(status, "application/problem+json", &refusal.wire(id));
        answer.headers_mut().extend(header);
        answer
    });
    let headers = answer.headers_mut();
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
