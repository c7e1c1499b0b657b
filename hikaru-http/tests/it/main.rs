//! Tests of hikaru-http, in one binary: the wire types, and a server on a real socket over a cluster in memory.

mod answers;
mod bad_input;
mod browsers;
mod callers;
mod callers_file;
mod client;
mod cluster;
mod crowd;
mod drain;
mod fuzz_corpus;
mod holds;
mod issuer;
mod jobs;
mod known;
mod limits;
mod log;
mod metrics;
mod notes;
mod oidc;
mod refusals;
mod rollouts;
mod tokens;
mod waits;
mod wire;
