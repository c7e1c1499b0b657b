//! hikaru-core from outside: verdicts by tables, real tags, the contract and its planted faults, properties.

mod allocations;
mod apply;
mod buildgoggles;
mod contract;
mod plans;
mod properties;
mod references;
mod verdicts;
