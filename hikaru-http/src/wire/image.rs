//! What an image's text says, and who uses an image.

use hikaru_core::{
    TagFormats,
    image::{BuildError, BuildTag, Reference, ReferenceError},
};
use serde::Serialize;

/// What an image reference says, and its tag, if a format reads it.
///
/// ```
/// use hikaru_core::TagFormats;
/// let image = hikaru_http::wire::Image::read("web:acme_web_main_1.4.0_7_none", &TagFormats::default())?;
/// assert_eq!(image.repository, "library/web");
/// assert_eq!(image.build.unwrap().version, "1.4.0");
/// # Ok::<(), hikaru_http::wire::Unreadable>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// The registry's host and port, `docker.io` where none is written.
    pub registry: String,
    /// The normalized path: `library/web`.
    pub repository: String,
    /// The tag.
    pub tag: Option<String>,
    /// The digest with its algorithm.
    pub digest: Option<String>,
    /// What the tag says. `null`: no format reads it.
    pub build: Option<Build>,
    /// Why no format reads the tag, or why no workload can match what it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What is no image reference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// What was expected, what was found and where.
    pub error: String,
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.error)
    }
}

impl std::error::Error for Unreadable {}

impl From<ReferenceError> for Unreadable {
    fn from(error: ReferenceError) -> Self {
        Self {
            error: BuildError::from(error).to_string(),
        }
    }
}

impl Image {
    /// Reads an image's text.
    ///
    /// # Errors
    /// When it is no image reference.
    pub fn read(text: &str, formats: &TagFormats) -> Result<Self, Unreadable> {
        let reference = Reference::parse(text)?;
        let build = hikaru_core::Build::parse(text, formats);
        Ok(Self {
            registry: reference.repository().registry().to_owned(),
            repository: reference.repository().path(),
            tag: reference.tag().map(str::to_owned),
            digest: reference.digest().map(str::to_owned),
            reason: match &build {
                Err(error) => Some(error.to_string()),
                Ok(build) => build.tag().identity().too_long().map(|t| t.to_string()),
            },
            build: build.ok().map(|build| Build::from(build.tag())),
        })
    }
}

/// What a build tag says. Values as text: version numbers and builds can be longer than JSON's numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Build {
    /// The version, as written.
    pub version: String,
    /// The build number, in digits. `null` where the format has none.
    pub build: Option<String>,
    /// The commit, 7 to 64 hex digits or `none`. `null` where the format has none.
    pub commit: Option<String>,
    /// The ways to cut the identity into owner, repo and branch.
    pub readings: Vec<Reading>,
}

impl From<BuildTag<'_>> for Build {
    fn from(tag: BuildTag<'_>) -> Self {
        Self {
            version: tag.version().to_string(),
            build: tag.has_build().then(|| tag.build().to_string()),
            commit: tag.commit().map(str::to_owned),
            readings: tag.readings().map(Reading::from).collect(),
        }
    }
}

/// One reading of an identity. A field that the tag's format lacks is `null`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reading {
    /// Who owns the source repository.
    pub owner: Option<String>,
    /// Its name.
    pub repo: Option<String>,
    /// The branch.
    pub branch: Option<String>,
}

impl From<hikaru_core::image::Reading<'_>> for Reading {
    fn from(reading: hikaru_core::image::Reading<'_>) -> Self {
        let part = |part: Option<&str>| part.map(str::to_owned);
        Self {
            owner: part(reading.owner),
            repo: part(reading.repo),
            branch: part(reading.branch),
        }
    }
}

/// Who uses an image in one namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Users {
    /// The namespace.
    pub namespace: String,
    /// The distinct names of its workloads that use the image, sorted.
    pub services: Vec<String>,
}

/// Who uses an image, sorted by namespace.
pub fn users(found: &hikaru_core::upgrade::Users) -> Vec<Users> {
    let text = |name: &hikaru_core::Text| name.to_string();
    let namespaces = found.namespaces.iter();
    namespaces
        .map(|(namespace, names)| Users {
            namespace: text(namespace),
            services: names.iter().map(text).collect(),
        })
        .collect()
}
