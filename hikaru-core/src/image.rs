//! What an image says: its reference as Docker reads it, what its tag says it was built from, and the order of builds.

pub(crate) mod build;
pub(crate) mod reference;
pub(crate) mod tag;
pub(crate) mod version;

pub use build::{Build, BuildError, ImageUse};
pub use reference::{MAX_PATH, MAX_TAG, Reference, ReferenceError, Repository};
pub use tag::{
    BuildTag, FormatError, Identity, IdentityFields, Reading, Readings, Segment, TagError,
    TagFormat, TagFormats, TooLong,
};
pub use version::{MAX_NUMBERS, Precedence, Version, VersionError};
