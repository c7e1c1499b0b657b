//! hikaru-core from outside: verdicts by tables, real tags, the contract and its planted faults, properties.

mod allocations;
mod apply;
mod attempts;
mod buildgoggles;
mod codes;
mod confined;
mod contract;
mod examples;
mod fuzz_corpus;
mod guarantee;
mod jobs;
mod looks;
mod marks;
mod overridden;
mod plans;
mod pods;
mod properties;
mod references;
mod rollouts;
mod seen;
mod settings;
mod shortfalls;
mod users;
mod verdicts;
mod waiting;
mod workloads;
