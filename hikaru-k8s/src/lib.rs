//! Adapters to what hikaru upgrades: a folder of manifests, and the API server of a cluster. Which build may replace
//! which is decided in `hikaru-core`; how a caller asks is decided in `hikaru-http` and `hikaru-bin`.

mod clock;
mod folder;
mod hindrances;
mod job;
mod kind;
mod live;
mod nullable;
mod yaml;

pub use clock::SystemClock;
pub use folder::{Folder, FolderSettings, OpenError};
pub use kind::{AddedKind, AddedKindError};
pub use live::{
    Connection, ConnectionError, ConnectionOptions, LiveCluster, LiveSettings, RolloutVitals,
    Variable, Vitals, WatchSettings, WatchedCluster,
};
