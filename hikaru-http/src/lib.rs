//! hikaru over HTTP. Here live the server, on raw hyper, and the wire types, which the command prints too. Nothing here
//! knows of Kubernetes' API, of files or of variables; signals, clocks and metrics belong to the program that starts the server.
//!
//! docs/http-api.md says what a caller sees.

mod accept;
mod access_log;
mod api;
mod auth;
mod body;
mod change_log;
mod life;
mod limits;
mod metrics;
mod serve;
pub mod wire;

pub use auth::{
    AuthRequest, Authentication, Authenticator, BindingRule, CallerSet, Callers, CallersFileError,
    Ci, Denied, FetchDocument, HttpsFetch, KnownCaller, KubernetesTrust, MAX_CALLERS_FILE,
    MAX_TOKEN, MIN_TOKEN, Oidc, OidcTrust, Token, TokenError, Trust, TrustedIssuer,
};
pub use body::{BodyError, RequestBody};
pub use limits::{HEADERS, Limits};
pub use metrics::{Metrics, MetricsFormat};
pub use serve::{BindError, Bound, Draining, Serving};
