//! What a running image says of its version. Whether a posted build may replace it is judged in `judge`.

use crate::image::{
    reference::Reference,
    tag::{BuildTag, Reading, TagFormats},
    version::{Precedence, Version},
};

/// What a running image says of its version.
pub(super) enum Running<'t> {
    /// A build of the workload's identity.
    Build(BuildTag<'t>),
    /// A build of another identity.
    OtherIdentity(BuildTag<'t>),
    /// A whole tag that is a version, or one with build metadata.
    Version(Version<'t>),
    /// Nothing: any other tag, no tag, a digest alone.
    Floating,
}

impl<'t> Running<'t> {
    /// The labels are those of the workload.
    pub(super) fn of(image: &Reference<'t>, formats: &TagFormats, labels: &Reading<'_>) -> Self {
        let Some(tag) = image.tag() else {
            return Self::Floating;
        };
        match formats.read(tag) {
            Ok(build) if build.identity().names(labels) => Self::Build(build),
            Ok(build) => Self::OtherIdentity(build),
            Err(_) => Version::of_running_tag(tag).map_or(Self::Floating, Self::Version),
        }
    }

    /// Its place in the order of builds, if it has one.
    pub(super) fn precedence(&self) -> Option<Precedence<'t>> {
        match *self {
            Self::Build(build) | Self::OtherIdentity(build) => Some(build.precedence()),
            Self::Version(version) => Some(Precedence { version, build: 0 }),
            Self::Floating => None,
        }
    }
}
