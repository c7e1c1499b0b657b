//! The build that somebody posts: an image reference whose tag is a build tag.

use std::{fmt, ops::Range};

use crate::{
    Text,
    reference::{Reference, ReferenceError, Repository},
    tag::{BuildTag, Identity, IdentityFields, TagError, TagFormats},
    workload::{IdentityLabels, Workload},
};

/// A posted image: it names a repository, the workloads that it is meant for, and its place in the order of builds.
/// Owned and cheap to clone: views on the one text that was posted.
///
/// ```
/// use hikaru_core::{Build, TagFormats};
/// let build = Build::parse("ghcr.io/acme/web:acme_web_main_1.4.0_7_0123abcd", &TagFormats::default())?;
/// assert_eq!(build.repository().to_string(), "ghcr.io/acme/web");
/// assert_eq!(build.tag().precedence().to_string(), "1.4.0_7");
/// # Ok::<(), hikaru_core::BuildError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Build {
    image: Text,
    formats: TagFormats,
    /// `None`: the registry is implied, so it stands nowhere in the text.
    registry: Option<Range<usize>>,
    library: bool,
    path: Range<usize>,
    tag: Range<usize>,
    identity: Range<usize>,
    fields: IdentityFields,
    version: Range<usize>,
    number: u64,
    commit: Option<Range<usize>>,
}

/// Why an image is no build.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// It is no image reference.
    #[error("not an image reference: {0}")]
    Reference(#[from] ReferenceError),
    /// It has no tag.
    #[error("the image has no tag: expected `:` and a build tag, {form}, after the repository")]
    NoTag {
        /// The form of the first format, spelled out.
        form: Box<str>,
    },
    /// No format reads its tag.
    #[error(transparent)]
    Tag(#[from] TagError),
}

impl BuildError {
    /// Whether the text is an image reference all the same.
    pub fn is_reference(&self) -> bool {
        !matches!(self, Self::Reference(_))
    }
}

impl Build {
    /// Reads a posted image.
    ///
    /// # Errors
    /// A [`BuildError`]: no reference, no tag, or a tag that no format reads.
    pub fn parse(image: &str, formats: &TagFormats) -> Result<Self, BuildError> {
        let reference = Reference::parse(image)?;
        let Some(tag) = reference.tag() else {
            let form = formats.first().to_string().into();
            return Err(BuildError::NoTag { form });
        };
        let read = formats.read(tag)?;
        let repository = reference.repository();
        let place = |part: &str| place_in(image, part).unwrap_or_default();
        Ok(Self {
            image: image.into(),
            formats: formats.clone(),
            registry: place_in(image, repository.registry()),
            library: repository.is_library(),
            path: place(repository.familiar_path()),
            tag: place(tag),
            identity: place(read.identity().as_str()),
            fields: read.identity().fields(),
            version: place(read.version().as_str()),
            number: read.build(),
            commit: read.commit().map(place),
        })
    }

    /// The text as it was posted: what is written to a cluster.
    pub fn image(&self) -> &Text {
        &self.image
    }

    /// The formats that its tag was read by, and that running tags are read by.
    pub fn formats(&self) -> &TagFormats {
        &self.formats
    }

    /// The repository, normalized.
    pub fn repository(&self) -> Repository<'_> {
        let registry = self.registry.as_ref().map(|place| self.part(place));
        Repository::of_read(registry, self.library, self.part(&self.path))
    }

    /// What its tag says.
    pub fn tag(&self) -> BuildTag<'_> {
        BuildTag::of_read(
            self.part(&self.tag),
            self.identity(),
            self.part(&self.version),
            self.number,
            self.commit.as_ref().map(|place| self.part(place)),
        )
    }

    /// The identity in its tag.
    pub(crate) fn identity(&self) -> Identity<'_> {
        Identity::of_read(self.part(&self.identity), self.fields)
    }

    fn part(&self, place: &Range<usize>) -> &str {
        &self.image[place.clone()]
    }

    /// Whether a workload with these labels is meant: owner, repo and branch are all there, and joined they are the
    /// tag's identity, as far as the tag's format has them.
    pub fn is_meant_for(&self, labels: &IdentityLabels) -> bool {
        labels
            .reading()
            .is_some_and(|reading| self.identity().names(&reading))
    }

    /// Whether a container of the workload has the posted repository.
    pub fn is_used_by(&self, workload: &Workload) -> bool {
        workload
            .containers
            .iter()
            .any(|c| self.same_repository(&c.image).is_some())
    }

    /// The reference that an image's text is, if its repository is the posted one.
    pub fn same_repository<'t>(&self, image: &'t str) -> Option<Reference<'t>> {
        Reference::parse(image)
            .ok()
            .filter(|reference| reference.repository() == self.repository())
    }
}

/// Where a part stands in the text that it was cut out of; `None` if it was not, as the implied registry.
fn place_in(text: &str, part: &str) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    let place = start..start + part.len();
    (text.get(place.clone()) == Some(part)).then_some(place)
}

impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.image)
    }
}

impl fmt::Debug for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Build({})", self.image)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owned_build_says_what_the_views_say() {
        let tag = "acme_web_main_1.4.0_7_0123abcd";
        let digest = format!("sha256:{}", "0a".repeat(32));
        for name in [
            "web",
            "docker.io/web",
            "index.docker.io/web",
            "docker.io/library/web",
            "acme/web",
            "localhost:5000/a/b",
            "[::1]:5000/web",
            "docker.io/docker.io",
            "docker.io",
        ] {
            let image = format!("{name}:{tag}@{digest}");
            let build = Build::parse(&image, &TagFormats::default()).expect(name);
            let reference = Reference::parse(&image).expect(name);
            assert_eq!(build.repository(), reference.repository(), "{name}");
            assert_eq!(build.tag().as_str(), tag);
            assert_eq!(build.tag().identity().as_str(), "acme_web_main");
            assert_eq!(build.tag().precedence().to_string(), "1.4.0_7");
            assert_eq!(build.tag().commit(), Some("0123abcd"));
            assert_eq!(build.image().as_ref(), image);
            assert_eq!(build.to_string(), image);
            assert_eq!(format!("{build:?}"), format!("Build({image})"));
        }
    }

    #[test]
    fn a_build_keeps_the_formats_that_it_was_read_by() {
        let formats: TagFormats = "b_v_c,v".parse().expect("formats");
        let build = Build::parse("web:main_1.4.0_7", &formats).expect("a build");
        assert_eq!(build.formats(), &formats);
        assert_eq!(build.tag().identity().as_str(), "main");
    }

    #[test]
    fn what_is_no_build_says_why() {
        for (image, expected) in [
            (
                "host:5000/web",
                "the image has no tag: expected `:` and a build tag, owner_repo_branch_version_build_commit, after the repository",
            ),
            (
                "web:latest",
                "the tag `latest` is no build tag: expected 6 or more segments joined by `_` (owner_repo_branch_version_build_commit), found 1",
            ),
            (
                "web:a@b@c",
                "not an image reference: expected at most one `@`, found a second one at byte 7",
            ),
        ] {
            let error = Build::parse(image, &TagFormats::default()).expect_err(image);
            assert_eq!(error.to_string(), expected);
            assert_eq!(error.is_reference(), Reference::parse(image).is_ok());
        }
    }
}
