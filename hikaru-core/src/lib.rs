//! The rules of hikaru: which build may replace which on a Kubernetes workload, and the port to a cluster.
//! No IO, no Kubernetes client, no HTTP, no serialization.

mod excerpt;
mod reference;
mod tag;
mod version;

pub use excerpt::Excerpt;
pub use reference::{MAX_PATH, MAX_TAG, Reference, ReferenceError, Repository};
pub use tag::{
    BuildTag, FormatError, Identity, IdentityFields, Reading, Readings, Segment, TagError,
    TagFormat, TagFormats,
};
pub use version::{MAX_NUMBERS, Precedence, Version, VersionError};

use std::sync::Arc;

/// A shared text: an adapter hands out the strings that it has interned, so nothing is copied for a workload.
pub type Text = Arc<str>;
