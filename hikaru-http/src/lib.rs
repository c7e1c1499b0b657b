//! hikaru over HTTP. Here live the server, on raw hyper, and the wire types, which the command prints too. Nothing here
//! knows of Kubernetes' API, of files or of variables; signals, clocks and metrics are whose who starts the server.
//!
//! docs/http-api.md says what a caller sees.

mod api;
mod authentication;
mod body;
mod browser;
mod connection;
mod limits;
mod metrics;
mod places;
mod problem;
mod query;
mod request_line;
mod route;
mod server;
mod transport;
pub mod wire;

pub use authentication::{Authentication, MAX_TOKEN, MIN_TOKEN, Token, TokenError, Tokens};
pub use limits::{HEADERS, Limits};
pub use metrics::{Metrics, MetricsFormat};
pub use server::{BindError, Bound, Draining, Serving};
