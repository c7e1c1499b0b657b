//! Build tags: what a tag says of owner, repo, branch, version, build and commit, and where reading it stops.
//!
//! ```text
//! build-tag = identity "_" version "_" build "_" commit     ; the default format, o_r_b_v_c_s
//! identity  = owner "_" repo "_" branch
//! version   = see crate::image::version                     ; or its numbers as segments, ma_mi_p, miv_p, ma, ...
//! build     = 1*DIGIT                                       ; at most 18446744073709551615
//! commit    = 7*64( DIGIT | "a".."f" ) | "none"
//! ```
//!
//! A tag is read from the right: version, build and commit hold no `_`, while owner, repo and branch may. So the
//! identity stays one text with several [readings](BuildTag::readings), and the labels of a workload say which is meant.

mod format;
mod identity;

use std::{fmt, ops::Range};

pub use format::{FormatError, TagFormat, TagFormats};
pub(crate) use identity::LABEL_LONGEST;
pub use identity::{Identity, IdentityFields, Reading, Readings, TooLong};

use crate::{
    Text,
    image::version::{self, Precedence, Version, VersionError},
    text::excerpt::Excerpt,
};

/// A part of a build tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Segment {
    /// Who owns the source repository.
    Owner,
    /// The source repository's name.
    Repo,
    /// The branch.
    Branch,
    /// The version.
    Version,
    /// The version's first number, alone.
    Major,
    /// The version's second number, alone.
    Minor,
    /// The version's third number, alone.
    Patch,
    /// The version's first two numbers with a dot between.
    MajorMinor,
    /// The build number.
    Build,
    /// The commit's hash, abbreviated or whole.
    Commit,
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Owner => "owner",
            Self::Repo => "repo",
            Self::Branch => "branch",
            Self::Version => "version",
            Self::Major => "major",
            Self::Minor => "minor",
            Self::Patch => "patch",
            Self::MajorMinor => "major.minor",
            Self::Build => "build",
            Self::Commit => "commit",
        })
    }
}

/// A tag that a format could read: a view on its text.
///
/// ```
/// use hikaru_core::{image::{BuildTag, TagFormat}};
/// let tag = BuildTag::parse("acme_web_main_1.4.0_7_0123abcd", &TagFormat::default())?;
/// assert_eq!(tag.version().as_str(), "1.4.0");
/// assert_eq!((tag.build(), tag.commit()), (7, Some("0123abcd")));
/// let readings: Vec<_> = tag.readings().map(|r| r.to_string()).collect();
/// assert_eq!(readings, ["owner acme, repo web, branch main"]);
/// # Ok::<(), hikaru_core::image::TagError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct BuildTag<'t> {
    text: &'t str,
    identity: Identity<'t>,
    version: Version<'t>,
    /// `None`: the format has none.
    build: Option<u64>,
    commit: Option<&'t str>,
}

impl<'t> BuildTag<'t> {
    /// Reads a tag by one format. Linear in the text, without an allocation.
    ///
    /// # Errors
    /// A [`TagError`] that names the segment, what was expected, what stands there and at which byte of the tag.
    pub fn parse(tag: &'t str, format: &TagFormat) -> Result<Self, TagError> {
        let found = 1 + tag.bytes().filter(|b| *b == b'_').count();
        if found < format.segments() || (format.identity().is_empty() && found > format.segments())
        {
            return Err(TagError::Segments {
                format: format.spelled().clone(),
                more: if format.identity().is_empty() {
                    ""
                } else {
                    " or more"
                },
                expected: format.segments(),
                found,
                tag: Excerpt::of(tag),
            });
        }
        let mut rest = tag;
        let mut at = 0;
        let mut fixed = Fixed::default();
        for segment in format.left() {
            let (text, right) = rest.split_once('_').unwrap_or((rest, ""));
            fixed.take(*segment, text, at)?;
            at += text.len() + 1;
            rest = right;
        }
        let mut end = tag.len();
        for segment in format.right().iter().rev() {
            let cut = rest.bytes().rposition(|b| b == b'_');
            let (left, text) = cut.map_or(("", rest), |at| (&rest[..at], &rest[at + 1..]));
            fixed.take(*segment, text, end - text.len())?;
            end = (end - text.len()).saturating_sub(1);
            rest = left;
        }
        let identity = Identity::parse(rest, format.identity(), at)?;
        if format.is_version_alone() {
            let (segment, at) = (Segment::Version, 0);
            Version::of_whole_tag(tag).map_err(|error| TagError::Version { segment, error, at })?;
        }
        // A format without version is refused when it is made, and its parts stand next to each other.
        let version = fixed.version.and_then(|place| tag.get(place));
        Ok(Self {
            text: tag,
            identity,
            version: Version::of_checked(version.unwrap_or("0")),
            build: fixed.build,
            commit: fixed.commit,
        })
    }

    /// The tag itself.
    pub fn as_str(&self) -> &'t str {
        self.text
    }

    /// Owner, repo and branch as one text.
    pub fn identity(&self) -> Identity<'t> {
        self.identity
    }

    /// The version.
    pub fn version(&self) -> Version<'t> {
        self.version
    }

    /// The build number, 0 where the format has none.
    pub fn build(&self) -> u64 {
        self.build.unwrap_or(0)
    }

    /// Whether it says a build number at all.
    pub fn has_build(&self) -> bool {
        self.build.is_some()
    }

    /// The commit: 7 to 64 hex digits, or `none`. Not there where the format has none.
    pub fn commit(&self) -> Option<&'t str> {
        self.commit
    }

    /// Version and build: its place in the order of builds.
    pub fn precedence(&self) -> Precedence<'t> {
        Precedence {
            version: self.version,
            build: self.build(),
        }
    }

    /// Version and build as people are told of them: `1.4.0_7`, or `1.4.0` where the format has no build.
    ///
    /// ```
    /// use hikaru_core::TagFormats;
    /// let formats: TagFormats = "o_r_b_v_c_s,v".parse()?;
    /// let told = |tag| formats.read(tag).unwrap().version_and_build().to_string();
    /// assert_eq!(told("acme_web_main_1.4.0_7_none"), "1.4.0_7");
    /// assert_eq!(told("1.4.3"), "1.4.3");
    /// # Ok::<(), hikaru_core::image::FormatError>(())
    /// ```
    pub fn version_and_build(&self) -> impl fmt::Display + use<'t> {
        VersionAndBuild(self.precedence(), self.has_build())
    }

    /// The ways to cut the identity into owner, repo and branch, leftmost cuts first. Lazy: a long tag can have
    /// thousands.
    pub fn readings(&self) -> Readings<'t> {
        self.identity.readings()
    }

    /// Whether both name one commit: one is a prefix of the other. `none` equals only itself; what a format lacks
    /// counts as the same.
    pub fn same_commit(&self, other: &BuildTag<'_>) -> bool {
        match (self.commit, other.commit) {
            (Some(a), Some(b)) => a == b || (a.starts_with(b) || b.starts_with(a)),
            _ => true,
        }
    }
}

/// A place in the order of builds, and whether its build is one that somebody made.
pub(crate) struct VersionAndBuild<'t>(pub(crate) Precedence<'t>, pub(crate) bool);

impl fmt::Display for VersionAndBuild<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.1 {
            self.0.fmt(f)
        } else {
            self.0.version.fmt(f)
        }
    }
}

impl fmt::Display for BuildTag<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

/// Why a tag is no build tag. Offsets are in bytes from the tag's start, 0-based.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TagError {
    /// The number of segments does not fit the format.
    #[error(
        "the tag {tag} is no build tag: expected {expected}{more} segments joined by `_` ({format}), found {found}"
    )]
    Segments {
        /// The format, spelled out.
        format: Text,
        /// ` or more` where the identity may hold `_`.
        more: &'static str,
        /// How many segments the format asks for.
        expected: usize,
        /// How many there are.
        found: usize,
        /// The tag.
        tag: Excerpt,
    },
    /// The version segment, or one of its numbers.
    #[error("{segment}: {error} (the segment begins at byte {at} of the tag)")]
    Version {
        /// Which segment: the version, or the number of it that stands alone.
        segment: Segment,
        /// Why it is no version; its offsets are within the segment.
        error: VersionError,
        /// Where the segment begins.
        at: usize,
    },
    /// The build segment is not made of digits.
    #[error("build: expected digits, found {found} at byte {at} of the tag")]
    Build {
        /// What stands there.
        found: Excerpt,
        /// Where it stands.
        at: usize,
    },
    /// The build number does not fit into 64 bits.
    #[error(
        "build: expected a number of at most {}, found {found} at byte {at} of the tag",
        u64::MAX
    )]
    BuildTooLarge {
        /// The digits.
        found: Excerpt,
        /// Where they stand.
        at: usize,
    },
    /// The commit segment.
    #[error(
        "commit: expected 7 to 64 lower-case hex digits or `none`, found {found} at byte {at} of the tag"
    )]
    Commit {
        /// What stands there.
        found: Excerpt,
        /// Where it stands.
        at: usize,
    },
    /// Owner, repo or branch could not be label values, or there are too few of them.
    #[error("{}: expected {expected}, found {found} at byte {at} of the tag", Named(segments, *segment))]
    Identity {
        /// The identity's segments in the format's order.
        segments: IdentityFields,
        /// Which of them it is, where there is one way to cut.
        segment: Option<Segment>,
        /// What the grammar asks for.
        expected: &'static str,
        /// What stands there.
        found: Excerpt,
        /// Where it stands.
        at: usize,
    },
}

/// One segment's name, or those of all that it may be.
struct Named<'a>(&'a IdentityFields, Option<Segment>);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(segment) => segment.fmt(f),
            None => self.0.fmt(f),
        }
    }
}

impl TagError {
    /// The segment where reading stopped, where it is one.
    pub fn segment(&self) -> Option<Segment> {
        match self {
            Self::Version { segment, .. } => Some(*segment),
            Self::Identity { segment, .. } => *segment,
            Self::Build { .. } | Self::BuildTooLarge { .. } => Some(Segment::Build),
            Self::Commit { .. } => Some(Segment::Commit),
            Self::Segments { .. } => None,
        }
    }
}

/// The segments that hold no `_`, as far as they were read.
#[derive(Default)]
struct Fixed<'t> {
    /// Where the version stands, from its first segment to its last.
    version: Option<Range<usize>>,
    build: Option<u64>,
    commit: Option<&'t str>,
}

impl<'t> Fixed<'t> {
    fn take(&mut self, segment: Segment, text: &'t str, at: usize) -> Result<(), TagError> {
        let read = match segment {
            Segment::Version => Version::parse(text).map(|_| ()),
            Segment::Major | Segment::Minor | Segment::Patch => version::check_numbers(text, 1),
            Segment::MajorMinor => version::check_numbers(text, 2),
            Segment::Build => {
                self.build = Some(build_number(text, at)?);
                return Ok(());
            }
            Segment::Commit => {
                self.commit = Some(commit(text, at)?);
                return Ok(());
            }
            // The identity's segments are never among the fixed ones.
            Segment::Owner | Segment::Repo | Segment::Branch => return Ok(()),
        };
        read.map_err(|error| TagError::Version { segment, error, at })?;
        let place = at..at + text.len();
        self.version = Some(match self.version.take() {
            None => place,
            Some(before) => before.start.min(place.start)..before.end.max(place.end),
        });
        Ok(())
    }
}

/// `1*DIGIT`, at most [`u64::MAX`].
pub(crate) fn build_number(text: &str, at: usize) -> Result<u64, TagError> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        let found = Excerpt::of(text);
        return Err(TagError::Build { found, at });
    }
    text.parse().map_err(|_| TagError::BuildTooLarge {
        found: Excerpt::of(text),
        at,
    })
}

fn commit(text: &str, at: usize) -> Result<&str, TagError> {
    let hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    if text == "none" || ((7..=64).contains(&text.len()) && text.bytes().all(hex)) {
        Ok(text)
    } else {
        Err(TagError::Commit {
            found: Excerpt::of(text),
            at,
        })
    }
}

#[cfg(test)]
mod tests;
