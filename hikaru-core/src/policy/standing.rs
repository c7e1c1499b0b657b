//! What a container is set to, and whether its high-water mark holds builds back: what a person is told who posts nothing.

use super::{Mark, judge::Marked, running::Running};
use crate::{
    image::{
        reference::Reference,
        tag::{BuildTag, Reading, TagFormats},
        version::{Precedence, Version},
    },
    workload::{Workload, container::Container},
};

/// What a container is set to, and where its high-water mark stands to that. Views on the workload's texts.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Standing<'w> {
    /// What its tag says, if a format reads it.
    pub build: Option<BuildTag<'w>>,
    /// The version of its tag, also of one that is no build tag.
    pub version: Option<Version<'w>>,
    /// The highest build of its repository and the workload's identity that was deployed to it.
    pub mark: Option<Precedence<'w>>,
    /// Whether something lower than the mark runs, so that the marked build is not deployed again by itself.
    pub is_held: bool,
}

/// What a container of a workload is set to.
///
/// ```
/// use hikaru_core::{Container, IdentityLabels, TagFormats, Workload, WorkloadId, policy::standing};
/// let mut web = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
/// web.labels = IdentityLabels::new("acme", "web", "main");
/// let mut container = Container::new("web", "acme/web:acme_web_main_1.3.0_6_0123abcd");
/// container.mark = Some("1.4.0_7_d5ecc80e".into());
/// web.containers.push(container);
/// let formats = TagFormats::default();
/// let standing = standing(&web, &web.containers[0], &formats);
/// assert_eq!(standing.build.unwrap().version_and_build().to_string(), "1.3.0_6");
/// assert_eq!(standing.mark.unwrap().to_string(), "1.4.0_7");
/// assert!(standing.is_held);
/// ```
pub fn standing<'w>(
    workload: &'w Workload,
    container: &'w Container,
    formats: &TagFormats,
) -> Standing<'w> {
    // What cannot be read says nothing.
    let Ok(image) = Reference::parse(&container.image) else {
        return Standing::default();
    };
    let labels: Reading<'w> = workload.labels.reading().unwrap_or_default();
    let running = Running::of(&image, formats, &labels);
    let (build, version) = match running {
        Running::Build(build) | Running::OtherIdentity(build) => {
            (Some(build), Some(build.version()))
        }
        Running::Version(version) => (None, Some(version)),
        Running::Floating => (None, None),
    };
    let mark = container
        .mark
        .as_deref()
        .and_then(|mark| Mark::parse(mark).ok());
    let hash = Mark::hash_of(&image.repository(), &labels);
    let mark = mark.filter(|mark| mark.hash == hash);
    let mark = mark.map(|mark| mark.precedence);
    Standing {
        build,
        version,
        mark,
        is_held: mark.is_some_and(|mark| Marked::posted_again(mark).holds(&running)),
    }
}
