//! What tokens of OpenID Connect and of ServiceAccounts have in common as JSON Web Tokens (RFC 7519). Who has issued one is found out
//! in `oidc` and `kubernetes`.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::Denied;

/// The longest token, in bytes. Those of CI systems have about 2 KiB, those of Kubernetes about 1 KiB.
pub(super) const MAX_JWT: usize = 16 << 10;

/// How far two clocks may be apart, in seconds.
pub(super) const LEEWAY: i64 = 60;

/// That a token is not valid.
pub(super) fn bad(code: &'static str, why: impl Into<String>) -> Denied {
    let why = why.into();
    Denied::BadToken { why, code }
}

/// Checks that a token is not too large.
///
/// # Errors
/// [`Denied::BadToken`].
pub(super) fn check_size(token: &str) -> Result<(), Denied> {
    let length = token.len();
    match length > MAX_JWT {
        true => Err(bad(
            "too-large",
            format!("it has {length} bytes: expected at most {MAX_JWT}"),
        )),
        false => Ok(()),
    }
}

/// What a token says, if it has the form of one. It is not verified, so it is believed for nothing but to look whom to ask about it.
pub(super) fn unverified(token: &str) -> Option<Map<String, Value>> {
    let parts: Vec<&str> = token.split('.').collect();
    let [_, claims, _] = parts[..] else {
        return None;
    };
    // A token that is too large is refused as such later; the server's limit on headers bounds it here.
    let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?;
    serde_json::from_slice(&claims).ok()
}

/// Seconds since 1970; before it: 0.
pub(super) fn seconds(now: SystemTime) -> i64 {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
