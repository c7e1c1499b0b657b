//! The rules of hikaru: which build may replace which on a Kubernetes workload, and the port to a cluster.
//! No IO, no Kubernetes client, no HTTP, no serialization.

mod apply;
mod attempts;
mod build;
mod change;
#[cfg(feature = "mock")]
pub mod contract;
mod excerpt;
#[cfg(feature = "mock")]
mod memory;
mod policy;
mod port;
mod reference;
mod report;
mod tag;
mod upgrade;
mod version;
mod workload;

pub use apply::apply;
pub use attempts::{ATTEMPTS, Attempts, Step};
pub use build::{Build, BuildError};
pub use change::{Change, Edit, SETTINGS};
pub use excerpt::Excerpt;
#[cfg(feature = "mock")]
pub use memory::MemoryCluster;
pub use policy::{
    Code, Entry, Force, ForceError, Judged, MARK_LONGEST, Mark, MarkError, OnFailure, Plan, Reason,
    Request, Rules, Sentence, UnreadableSetting, Verdict, Warning, plan,
};
#[cfg(feature = "mock")]
pub use port::MockClusterPort;
pub use port::{ClusterError, ClusterPort, Fault, Found, Freshness, Mode, Scope, Select, Severity};
pub use reference::{MAX_PATH, MAX_TAG, Reference, ReferenceError, Repository};
pub use report::{Miss, NearMiss, Outcome, Report, Reported};
pub use tag::{
    BuildTag, FormatError, Identity, IdentityFields, Reading, Readings, Segment, TagError,
    TagFormat, TagFormats, TooLong,
};
pub use upgrade::{FindError, Users, candidates, find, upgrade};
pub use version::{MAX_NUMBERS, Precedence, Version, VersionError};
pub use workload::{
    Container, IdentityKeys, IdentityLabels, LAST_UPGRADE, MARK_PREFIX, NameError, Owner, Place,
    Progress, SETTING_PREFIX, Setting, Workload, WorkloadId, WorkloadName, check_namespace,
};

use std::sync::Arc;

/// A shared text: an adapter hands out the strings that it has interned, so nothing is copied for a workload.
pub type Text = Arc<str>;
