//! The built `hikaru` against a real control plane: pods roll, nothing goes back, and the audit log is the oracle of
//! every write.

mod asked;
mod callers;
mod chaos;
mod ci;
mod connections;
mod deployed;
mod forgotten;
mod guarantee;
mod interruptions;
mod jobs;
mod owners;
mod rollouts;
mod scene;
mod unasked;
mod waiting;
mod waiting_bars;
mod waiting_http;
