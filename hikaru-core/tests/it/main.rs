//! hikaru-core from outside: verdicts by tables, real tags, the contract and its planted faults, properties.

mod allocations;
mod apply;
mod buildgoggles;
mod contract;
mod examples;
mod fuzz_corpus;
mod guarantee;
mod plans;
mod properties;
mod references;
mod verdicts;
