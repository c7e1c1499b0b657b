//! The folder of manifests as its users see it, on real files: the port's contract, which files
//! are read, how files are written, and what is said of bad input.

mod bad_input;
mod contract;
mod reading;
mod scene;
mod writing;
