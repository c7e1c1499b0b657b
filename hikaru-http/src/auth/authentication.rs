//! The usual ways to say who may call: by tokens, everybody on this machine, or everybody. What tokens are is in `tokens`, what
//! keeps browsers out without one in `browser`.

use async_trait::async_trait;
use hikaru_core::caller::{Caller, Rights};
use hyper::{
    HeaderMap,
    header::{AUTHORIZATION, HeaderValue},
};

use super::{AuthRequest, Authenticator, Denied, browser, tokens::Tokens};

/// Who may call.
#[derive(Clone, Debug)]
pub enum Authentication {
    /// Callers with one of these bearer tokens (RFC 6750).
    Tokens(Tokens),
    /// All callers on this machine, except browsers: the server has to listen on a loopback address.
    Loopback,
    /// All callers that reach the server, on any address; only requests that a browser sends for a web page are refused. For
    /// networks that are protected by other means.
    Insecure,
}

#[async_trait]
impl Authenticator for Authentication {
    async fn authenticate(&self, request: AuthRequest<'_>) -> Result<Caller, Denied> {
        match self {
            Self::Tokens(tokens) => {
                let sent = bearer(request.headers)?;
                let name = tokens.name_of(sent).ok_or(Denied::BadCredentials)?;
                return Ok(Caller::new(name, Rights::ALL));
            }
            Self::Loopback => {
                browser::check_host(request.uri, request.headers)?;
                browser::check_origin(request.headers)?;
            }
            Self::Insecure => browser::check_origin(request.headers)?,
        }
        Ok(Caller::new("anonymous", Rights::ALL))
    }

    fn needs_loopback(&self) -> bool {
        matches!(self, Self::Loopback)
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750, 2.1). The scheme's case does not matter (RFC 9110, 11.1).
fn bearer(headers: &HeaderMap) -> Result<&[u8], Denied> {
    let mut sent = headers.get_all(AUTHORIZATION).iter();
    let header = match (sent.next(), sent.next()) {
        (None, _) => return Err(Denied::NoCredentials),
        (Some(header), None) => HeaderValue::as_bytes(header),
        (Some(_), Some(_)) => return Err(Denied::TwoCredentials),
    };
    match header.split_first_chunk::<7>() {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"Bearer ") => {
            Ok(token.trim_ascii_start())
        }
        _ => Err(Denied::NoCredentials),
    }
}
