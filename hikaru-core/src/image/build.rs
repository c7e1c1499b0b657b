//! The build that somebody posts: an image reference whose tag is a build tag.

use std::fmt;

use crate::{
    Text,
    image::{
        reference::{Reference, ReferenceError, Repository},
        tag::{BuildTag, TagError, TagFormats},
    },
    workload::{IdentityLabels, Workload, container::Container},
};

/// A posted image: it names a repository, the workloads that it is meant for, and its place in the order of builds.
/// Owned and cheap to clone: the text that was posted, of which each part is read when it is asked for.
///
/// ```
/// use hikaru_core::{Build, TagFormats};
/// let build = Build::parse("ghcr.io/acme/web:acme_web_main_1.4.0_7_0123abcd", &TagFormats::default())?;
/// assert_eq!(build.repository().to_string(), "ghcr.io/acme/web");
/// assert_eq!(build.tag().precedence().to_string(), "1.4.0_7");
/// # Ok::<(), hikaru_core::image::BuildError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Build {
    image: Text,
    formats: TagFormats,
}

/// What a container's image has to do with a posted build.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImageUse<'t> {
    /// It is a reference with the posted repository.
    Runs(Reference<'t>),
    /// It is no reference, and its text begins with the posted repository: what it is to run cannot be known.
    Unreadable(ReferenceError),
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
        formats.read(tag)?;
        Ok(Self {
            image: image.into(),
            formats: formats.clone(),
        })
    }

    /// The reference that was posted. It is read again from the text each time: [`Build::parse`] has seen that it can be.
    fn reference(&self) -> Reference<'_> {
        Reference::parse(&self.image).expect("a build is made of a reference")
    }

    /// The text as it was posted.
    pub fn image(&self) -> &Text {
        &self.image
    }

    /// The digest that was posted beside the tag, if there was one.
    pub fn digest(&self) -> Option<&str> {
        self.reference().digest()
    }

    /// What is written in place of an image: the posted tag and digest behind the repository as it is spelled there. Some
    /// runtimes take no short names, so a registry that somebody wrote stays.
    ///
    /// ```
    /// use hikaru_core::{Build, TagFormats};
    /// let build = Build::parse("acme/web:acme_web_main_1.4.0_7_0123abcd", &TagFormats::default())?;
    /// assert_eq!(
    ///     &*build.in_place_of("docker.io/acme/web:1.0"),
    ///     "docker.io/acme/web:acme_web_main_1.4.0_7_0123abcd",
    /// );
    /// # Ok::<(), hikaru_core::image::BuildError>(())
    /// ```
    pub fn in_place_of(&self, image: &str) -> Text {
        let posted_name = self.reference().spelling(&self.image);
        let name = self.same_repository(image);
        match name.map(|reference| reference.spelling(image)) {
            Some(name) if name != posted_name => {
                [name, &self.image[posted_name.len()..]].concat().into()
            }
            _ => self.image.clone(),
        }
    }

    /// The formats that its tag was read by, and that running tags are read by.
    pub fn formats(&self) -> &TagFormats {
        &self.formats
    }

    /// The repository, normalized.
    pub fn repository(&self) -> Repository<'_> {
        self.reference().repository()
    }

    /// What its tag says.
    pub fn tag(&self) -> BuildTag<'_> {
        let tag = self
            .reference()
            .tag()
            .and_then(|tag| self.formats.read(tag).ok());
        tag.expect("a build is made of a build tag")
    }

    /// Whether a workload with these labels is meant: owner, repo and branch are all there, and joined they are the
    /// tag's identity, as far as the tag's format has them.
    pub fn is_meant_for(&self, labels: &IdentityLabels) -> bool {
        self.meant_for()(labels)
    }

    /// [`Build::is_meant_for`] for many workloads: the tag is read once.
    pub(crate) fn meant_for(&self) -> impl Fn(&IdentityLabels) -> bool {
        let identity = self.tag().identity();
        move |labels| {
            let reading = labels.reading();
            reading.is_some_and(|reading| identity.names(&reading))
        }
    }

    /// Whether a container of the workload has the posted repository, or an image that cannot be read and begins with it: by its
    /// own image, or by one that comes out instead.
    pub fn is_used_by(&self, workload: &Workload) -> bool {
        self.used_by()(workload)
    }

    /// [`Build::is_used_by`] for many workloads: the repository is read once.
    pub(crate) fn used_by(&self) -> impl Fn(&Workload) -> bool {
        let repository = self.repository();
        move |workload| {
            let mut images = workload.containers.iter().flat_map(Container::images);
            images.any(|image| use_of(repository, image).is_some())
        }
    }

    /// What an image has to do with this build, if anything.
    ///
    /// ```
    /// use hikaru_core::{Build, TagFormats, image::ImageUse};
    /// let build = Build::parse("acme/web:acme_web_main_1.4.0_7_0123abcd", &TagFormats::default())?;
    /// assert!(matches!(build.use_of("docker.io/acme/web"), Some(ImageUse::Runs(_))));
    /// assert!(matches!(build.use_of("acme/web:${TAG}"), Some(ImageUse::Unreadable(_))));
    /// assert_eq!(build.use_of("acme/api:${TAG}"), None);
    /// # Ok::<(), hikaru_core::image::BuildError>(())
    /// ```
    pub fn use_of<'t>(&self, image: &'t str) -> Option<ImageUse<'t>> {
        use_of(self.repository(), image)
    }

    /// The reference that an image's text is, if its repository is the posted one.
    pub fn same_repository<'t>(&self, image: &'t str) -> Option<Reference<'t>> {
        let reference = Reference::parse(image).ok()?;
        (reference.repository() == self.repository()).then_some(reference)
    }
}

fn use_of<'t>(posted: Repository<'_>, image: &'t str) -> Option<ImageUse<'t>> {
    match Reference::parse(image) {
        Ok(reference) => (reference.repository() == posted).then_some(ImageUse::Runs(reference)),
        Err(error) => posted.begins(image).then_some(ImageUse::Unreadable(error)),
    }
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
            assert_eq!(build.digest(), Some(&*digest));
            assert_eq!(build.to_string(), image);
            assert_eq!(format!("{build:?}"), format!("Build({image})"));
        }
    }

    #[test]
    fn the_same_repository_in_whatever_spelling() {
        let tag = "acme_web_main_1.4.0_7_0123abcd";
        let digest = format!("sha256:{}", "0a".repeat(32));
        let names = [
            "web",
            "web2",
            "we",
            "library/web",
            "docker.io/web",
            "index.docker.io/library/web",
            "acme/web",
            "docker.io/acme/web",
            "host/acme/web",
            "localhost/web",
            "localhost:5000/web",
            "localhost:5000/acme/web",
        ];
        let long = "x".repeat(129);
        let ends = [
            "", ":", ":1.0", ":_", ":.", ":-1", ":a b", ":é", ":a:b", ":a/b", ":1.0@", "@",
        ];
        let mut ends = ends.map(str::to_owned).to_vec();
        ends.extend([
            format!(":{tag}"),
            format!(":{long}"),
            format!(":{}", &long[1..]),
        ]);
        ends.extend([
            format!("@{digest}"),
            format!(":1.0@{digest}"),
            format!(":1.0@{digest}0"),
        ]);
        let mut same = 0;
        for posted in names {
            for posted in [
                format!("{posted}:{tag}"),
                format!("{posted}:{tag}@{digest}"),
            ] {
                let build = Build::parse(&posted, &TagFormats::default()).expect("a build");
                for image in names
                    .iter()
                    .flat_map(|name| ends.iter().map(move |end| format!("{name}{end}")))
                {
                    let read = Reference::parse(&image).ok();
                    let expected = read.filter(|read| read.repository() == build.repository());
                    assert_eq!(build.same_repository(&image), expected, "{posted} {image}");
                    same += usize::from(expected.is_some());
                }
            }
        }
        assert!(same > 200, "{same}");
    }

    #[test]
    fn what_is_written_keeps_the_repository_as_it_is_spelled() {
        let tag = "acme_web_main_1.4.0_7_0123abcd";
        let digest = format!("sha256:{}", "0a".repeat(32));
        let old = format!("sha256:{}", "1b".repeat(32));
        for end in [format!(":{tag}"), format!(":{tag}@{digest}")] {
            for (posted, images) in [
                (
                    "acme/web",
                    &["acme/web", "docker.io/acme/web", "index.docker.io/acme/web"][..],
                ),
                ("docker.io/acme/web", &["acme/web", "docker.io/acme/web"]),
                ("web", &["web", "library/web", "docker.io/library/web"]),
                ("localhost:5000/web", &["localhost:5000/web"]),
            ] {
                let build = format!("{posted}{end}");
                let build = Build::parse(&build, &TagFormats::default()).expect("a build");
                for name in images {
                    for runs in ["", ":1.0", &format!("@{old}"), &format!(":1.0@{old}")] {
                        let written = build.in_place_of(&format!("{name}{runs}"));
                        assert_eq!(
                            *written,
                            *format!("{name}{end}"),
                            "{posted} over {name}{runs}"
                        );
                    }
                }
                assert_eq!(build.in_place_of("other"), *build.image());
                assert_eq!(build.in_place_of("no image!"), *build.image());
            }
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
