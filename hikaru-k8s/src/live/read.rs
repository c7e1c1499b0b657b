//! What is read of a cluster: lists by selector, page by page (`selector`, `list`, `pages`), and objects as the API server sends them (`object`), with
//! their pods (`pod`), rollouts (`rollout`) and owners (`owner`, `applier`). What the server calls a kind is in `discovery`; what the lines of
//! a watch say in `line`; the log of a container in `log`. What is kept of it for a server that runs on is in `view`.

pub(super) mod applier;
pub(super) mod discovery;
pub(super) mod line;
pub(super) mod list;
pub(super) mod log;
pub(super) mod object;
mod owner;
pub(super) mod pages;
mod pod;
mod rollout;
pub(super) mod selector;
