//! The folder of manifests as its users see it, on real files: the port's contract, which files
//! are read, how files are written, and what is said of bad input. The live cluster has a room of
//! its own.

mod bad_input;
mod contract;
mod job_rules;
mod jobs;
mod live;
mod overrides;
mod pods;
mod reading;
mod scene;
mod streams;
mod two_readers;
mod writing;
