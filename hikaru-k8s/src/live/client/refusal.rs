//! What a failed request means to the rules: the API server's refusals and broken connections as errors of the port.

use std::fmt::Display;

use hikaru_core::{Mode, port::ClusterError};
use http::StatusCode;
use kube::core::Status;

use crate::live::error::{Refused, RequestError};

/// What a failed reading of something means. It can be repeated at will, so nothing is ever lost.
pub(in crate::live) fn of_read(error: RequestError, of: &dyn Display) -> ClusterError {
    match error {
        // A proxy's page and half an answer are no refusal either.
        RequestError::NotSent(_)
        | RequestError::Lost(_)
        | RequestError::Late(_)
        | RequestError::Unreadable(_)
        | RequestError::TooLong(_) => ClusterError::Unavailable {
            message: error.to_string(),
            retry_after: None,
        },
        RequestError::Missing(words) => ClusterError::Invalid(words),
        RequestError::Refused(refused) => match refused.code {
            StatusCode::NOT_FOUND => ClusterError::NotFound(of.to_string()),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => forbidden(&refused),
            // Too many, too slow, or the next page of a list that the server forgets each time.
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::GONE => {
                unavailable(&refused)
            }
            code if code.is_client_error() => ClusterError::Invalid(refused.words()),
            _ => unavailable(&refused),
        },
    }
}

/// An answer that is not what was asked for. Asking again may help.
pub(in crate::live) fn unreadable(why: impl Display) -> ClusterError {
    ClusterError::Unavailable {
        message: RequestError::Unreadable(why.to_string()).to_string(),
        retry_after: None,
    }
}

/// What a failed guarded write of something means. What may have been applied is lost: the guard makes repeating it safe once it was
/// judged again.
pub(in crate::live) fn of_write(error: RequestError, of: &dyn Display) -> ClusterError {
    let refused = match error {
        RequestError::NotSent(message) => {
            return ClusterError::Unavailable {
                message,
                retry_after: None,
            };
        }
        RequestError::Lost(_)
        | RequestError::Late(_)
        | RequestError::Unreadable(_)
        | RequestError::TooLong(_) => return ClusterError::Lost(error.to_string()),
        RequestError::Missing(words) => return ClusterError::Invalid(words),
        RequestError::Refused(refused) => refused,
    };
    let status = refused.status.as_ref();
    if refused.code == StatusCode::UNPROCESSABLE_ENTITY
        && let Some(words) = &refused.truncated
    {
        // Whether a test failed or the object is invalid stood in the part that is missing.
        return ClusterError::Lost(words.clone());
    }
    match refused.code {
        // A webhook may choose any code for its refusal, but says who it is. Trying again would not move it.
        code if code.is_client_error() && status.is_some_and(is_denied) => match code {
            StatusCode::FORBIDDEN => forbidden(&refused),
            _ => ClusterError::Invalid(refused.words()),
        },
        StatusCode::CONFLICT => ClusterError::Stale,
        StatusCode::UNPROCESSABLE_ENTITY if status.is_some_and(is_failed_test) => {
            ClusterError::Stale
        }
        StatusCode::NOT_FOUND => ClusterError::NotFound(of.to_string()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => forbidden(&refused),
        // It was turned away before the server looked at it.
        StatusCode::TOO_MANY_REQUESTS => unavailable(&refused),
        StatusCode::SERVICE_UNAVAILABLE if status.is_some() => unavailable(&refused),
        // An admission webhook that did not answer: the object was not written.
        StatusCode::INTERNAL_SERVER_ERROR
            if status.is_some_and(|status| status.message.contains("failed calling webhook")) =>
        {
            unavailable(&refused)
        }
        // A proxy's: what it did before is not known.
        StatusCode::REQUEST_TIMEOUT => ClusterError::Lost(refused.words()),
        code if code.is_client_error() => ClusterError::Invalid(refused.words()),
        // etcd's timeouts are 500, the API server's 504, a proxy's 502 or 503: the write may have been applied.
        _ => ClusterError::Lost(refused.words()),
    }
}

/// What a refused creation means. Nothing guards it: what may have been done is for a person to look at. A dry run did
/// nothing, so it can be repeated.
pub(in crate::live) fn of_create(error: RequestError, job: &str, mode: Mode) -> ClusterError {
    match error {
        RequestError::Refused(refused) if refused.code == StatusCode::CONFLICT => {
            let reason = refused.status.as_ref().map(|status| &*status.reason);
            if reason == Some("AlreadyExists") {
                ClusterError::Exists(format!(
                    "there is a Job {job} already: replace it, delete it, or let a name be generated (generateName)"
                ))
            } else {
                ClusterError::Invalid(refused.words())
            }
        }
        // The namespace is not there; or it is no sound object: no patch has a test here that could have failed.
        RequestError::Refused(refused)
            if matches!(
                refused.code,
                StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY
            ) =>
        {
            ClusterError::Invalid(refused.words())
        }
        error => match (of_write(error, &job), mode) {
            (ClusterError::Lost(words), Mode::Commit) => ClusterError::Lost(format!(
                "{words}; look whether the Job {job} is there before it is run again"
            )),
            (ClusterError::Lost(message), Mode::DryRun) => ClusterError::Unavailable {
                message,
                retry_after: None,
            },
            (error, _) => error,
        },
    }
}

/// What a failed deletion of something means; `uid`: the one that was named. One whose answer was lost may have been carried out; repeating it is safe.
pub(in crate::live) fn of_delete(
    error: RequestError,
    of: &dyn Display,
    uid: Option<&str>,
) -> ClusterError {
    match error {
        RequestError::Refused(refused)
            if refused.code == StatusCode::CONFLICT
                && !refused.status.as_ref().is_some_and(is_denied) =>
        {
            match uid {
                // The object of this name has another uid, so ours is gone.
                Some(uid) => ClusterError::NotFound(format!("{of} with the uid {uid}")),
                None => unavailable(&refused),
            }
        }
        // A deletion holds no test that could have failed.
        RequestError::Refused(refused)
            if refused.code == StatusCode::UNPROCESSABLE_ENTITY && refused.truncated.is_none() =>
        {
            ClusterError::Invalid(refused.words())
        }
        error => of_write(error, of),
    }
}

/// A patch whose test failed, or whose path is not there, is 422 without causes; an invalid object has causes.
fn is_failed_test(status: &Status) -> bool {
    let details = status.details.as_ref();
    details.is_none_or(|details| details.causes.is_empty())
}

fn is_denied(status: &Status) -> bool {
    status.message.starts_with("admission webhook")
}

fn forbidden(refused: &Refused) -> ClusterError {
    ClusterError::Forbidden(match refused.code {
        StatusCode::UNAUTHORIZED => not_taken(refused),
        _ => refused.words(),
    })
}

/// Which of our credentials the server does not take.
pub(in crate::live) fn not_taken(refused: &Refused) -> String {
    let credentials = refused.credentials.as_deref();
    let credentials = credentials.map(|which| format!(" ({which})"));
    format!(
        "the API server does not take our credentials{}: {}",
        credentials.unwrap_or_default(),
        refused.words()
    )
}

fn unavailable(refused: &Refused) -> ClusterError {
    ClusterError::Unavailable {
        message: refused.words(),
        retry_after: refused.retry_after,
    }
}
