//! hikaru-core from outside: verdicts by tables, real tags, the contract and its planted faults, properties.

mod apply;
mod attempts;
mod buildgoggles;
mod codes;
mod contract;
mod examples;
mod fuzz_corpus;
mod guarantee;
mod plans;
mod properties;
mod references;
mod users;
mod verdicts;
mod workloads;
