//! Who may call: the port that says who sent a request. The callers that are known and the rules without a token are its first
//! implementation, in `authentication`; what a caller is and may do is a value of hikaru-core.

mod authentication;
mod browser;
mod callers;
mod jwt;
mod kubernetes;
mod oidc;
mod tokens;
mod trust;

use std::net::SocketAddr;

use async_trait::async_trait;
use hikaru_core::{
    Text,
    caller::{Caller, Issued, Rights},
};
use hyper::{HeaderMap, Method, Uri};

pub use authentication::Authentication;
pub use callers::{CallerSet, Callers, CallersFileError, KnownCaller, MAX_CALLERS_FILE};
pub use oidc::{FetchDocument, HttpsFetch, Oidc};
pub use tokens::{MAX_TOKEN, MIN_TOKEN, Token, TokenError};
pub use trust::{BindingRule, Ci, KubernetesTrust, OidcTrust, Trust, TrustedIssuer};

use crate::body::{BodyError, RequestBody};

/// Says who sent a request. Probes are answered without it.
///
/// ```
/// use hikaru_core::{caller::{Caller, Rights}};
/// use hikaru_http::{AuthRequest, Authenticator, Denied};
///
/// /// Lets in what ends with a word that only the sender knows: a signature would be checked alike.
/// struct LastWord(&'static [u8]);
///
/// #[async_trait::async_trait]
/// impl Authenticator for LastWord {
///     async fn authenticate(&self, request: AuthRequest<'_>) -> Result<Caller, Denied> {
///         match request.body.bytes().await?.ends_with(self.0) {
///             true => Ok(Caller::new("a webhook", Rights::ALL)),
///             false => Err(Denied::BadCredentials),
///         }
///     }
/// }
/// ```
#[async_trait]
pub trait Authenticator: Send + Sync {
    /// Who calls. It is asked before anything else is read of a request, and before the route is looked up.
    ///
    /// # Errors
    /// Why the caller is not let in.
    async fn authenticate(&self, request: AuthRequest<'_>) -> Result<Caller, Denied>;

    /// Whether the server may listen on loopback addresses only.
    fn needs_loopback(&self) -> bool {
        false
    }

    /// What keeps it from knowing the newest callers: it goes on with those that it knew. Anybody may read it at `/readyz`, so it
    /// holds no secret and no path.
    fn trouble(&self) -> Option<String> {
        None
    }
}

/// A request, as far as it can say who sent it.
#[non_exhaustive]
pub struct AuthRequest<'r> {
    /// Its method.
    pub method: &'r Method,
    /// Its target.
    pub uri: &'r Uri,
    /// Its header.
    pub headers: &'r HeaderMap,
    /// The other end of its connection.
    pub peer: SocketAddr,
    /// Its body, which is read only if an authenticator asks for it.
    pub body: &'r mut RequestBody,
}

/// Why a caller is not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// It sent nothing that says who it is.
    #[error("expected the header `Authorization: Bearer` and a token")]
    NoCredentials,
    /// What it sent is not valid.
    #[error("the token is not valid")]
    BadCredentials,
    /// It was valid until a time that is over.
    #[error("the token of {caller} has expired")]
    Expired {
        /// Its caller's name.
        caller: Text,
    },
    /// What it sent is a token of an issuer that is trusted, and it is not valid.
    #[error("the token is not valid: {why}")]
    BadToken {
        /// What was expected and what was found. It may quote what was sent, cut and escaped.
        why: String,
        /// In one word, of a bounded set, for a figure: `signature`.
        code: &'static str,
    },
    /// The token is valid, and does not say what the trust asks for.
    #[error("{why}")]
    NotTrusted {
        /// What was expected and what was found.
        why: String,
        /// In one word, of a bounded set, for a figure: `owner`.
        code: &'static str,
        /// The name of the trust. `None`: several do not admit the token.
        trust: Option<Text>,
        /// What the token says, as its issuer has signed it.
        issued: Issued,
    },
    /// Whether the token is valid cannot be found out now: its issuer does not answer.
    #[error("{0}")]
    Unavailable(String),
    /// Two headers say who it is: a proxy may read them in another way.
    #[error("expected one header `Authorization`, found more")]
    TwoCredentials,
    /// The request does not name this machine.
    #[error("without a token hikaru answers only to localhost and loopback addresses in `Host`")]
    ForeignHost,
    /// A browser sent it for a web page.
    #[error(
        "without a token hikaru refuses what a browser sends for a web page (`Origin`, `Sec-Fetch-Site`)"
    )]
    Browser,
    /// Its body was asked for and cannot be had.
    #[error(transparent)]
    Body(#[from] BodyError),
}

impl Denied {
    /// Who was not let in, as far as it is proved, for the log: a caller without rights. Its name is empty where several trusts do not
    /// admit the token.
    pub(crate) fn caller(&self) -> Option<Caller> {
        let (name, issued) = match self {
            Self::Expired { caller } => (caller.clone(), None),
            Self::NotTrusted { trust, issued, .. } => {
                (trust.clone().unwrap_or_default(), Some(issued.clone()))
            }
            _ => return None,
        };
        let mut caller = Caller::new(name, Rights::NONE);
        caller.issued = issued;
        Some(caller)
    }
}
