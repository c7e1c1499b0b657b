//! The usual ways to say who may call: the callers that are known, everybody on this machine, or everybody. Who is known is in
//! `callers`, what keeps browsers out without a token in `browser`.

use std::sync::Arc;

use async_trait::async_trait;
use hikaru_core::caller::{Caller, Rights};

use super::{AuthRequest, Authenticator, Callers, Denied, browser};

/// Who may call.
#[derive(Clone, Debug)]
pub enum Authentication {
    /// The callers that are known.
    Callers(Arc<Callers>),
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
            Self::Callers(callers) => return callers.authenticate(request).await,
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

    fn trouble(&self) -> Option<String> {
        match self {
            Self::Callers(callers) => callers.trouble(),
            Self::Loopback | Self::Insecure => None,
        }
    }
}
