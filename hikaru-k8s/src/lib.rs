//! Adapters to what hikaru upgrades: a folder of manifests now, the API server of a cluster later.
//! Which build may replace which is decided in `hikaru-core`; how a caller asks is decided in
//! `hikaru-http` and `hikaru-bin`.

mod folder;
mod yaml;

pub use folder::{Folder, OpenError};
