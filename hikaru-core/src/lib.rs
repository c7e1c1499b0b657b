//! The rules of hikaru: which build may replace which on a Kubernetes workload, and the port to a cluster.
//! No IO, no Kubernetes client, no HTTP, no serialization.

mod build;
mod change;
mod excerpt;
mod port;
mod reference;
mod tag;
mod version;
mod workload;

pub use build::{Build, BuildError};
pub use change::{Change, Edit, SETTINGS};
pub use excerpt::Excerpt;
#[cfg(feature = "mock")]
pub use port::MockClusterPort;
pub use port::{ClusterError, ClusterPort, Fault, Found, Freshness, Mode, Scope, Select, Severity};
pub use reference::{MAX_PATH, MAX_TAG, Reference, ReferenceError, Repository};
pub use tag::{
    BuildTag, FormatError, Identity, IdentityFields, Reading, Readings, Segment, TagError,
    TagFormat, TagFormats,
};
pub use version::{MAX_NUMBERS, Precedence, Version, VersionError};
pub use workload::{
    Container, IdentityKeys, IdentityLabels, LAST_UPGRADE, MARK_PREFIX, NameError, Place,
    SETTING_PREFIX, Setting, Workload, WorkloadId, WorkloadName, check_namespace,
};

use std::sync::Arc;

/// A shared text: an adapter hands out the strings that it has interned, so nothing is copied for a workload.
pub type Text = Arc<str>;
