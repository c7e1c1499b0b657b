//! Tag formats as data, in buildgoggles' abbreviations: which segments a tag has, in which order.

use std::{fmt, str::FromStr};

use super::{BuildTag, IdentityFields, Segment, TagError};

/// A tag format, such as `o_r_b_v_c_s`, the default: owner, repo, branch, version, count (the build number) and slug
/// (the commit).
///
/// ```
/// use hikaru_core::TagFormat;
/// assert_eq!(TagFormat::default().to_string(), "owner_repo_branch_version_build_commit");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagFormat {
    /// What stands before the identity. No `_` within.
    left: Vec<Segment>,
    identity: IdentityFields,
    /// What stands after the identity. No `_` within.
    right: Vec<Segment>,
}

impl Default for TagFormat {
    fn default() -> Self {
        Self {
            left: Vec::new(),
            identity: IdentityFields::ALL,
            right: vec![Segment::Version, Segment::Build, Segment::Commit],
        }
    }
}

impl TagFormat {
    pub(crate) fn left(&self) -> &[Segment] {
        &self.left
    }

    pub(crate) fn right(&self) -> &[Segment] {
        &self.right
    }

    /// The segments of the identity, in the format's order.
    pub fn identity(&self) -> IdentityFields {
        self.identity
    }

    /// How many segments a tag of this format has at least.
    pub(crate) fn segments(&self) -> usize {
        self.left.len() + self.identity.len() + self.right.len()
    }

    fn all(&self) -> impl Iterator<Item = Segment> + '_ {
        let right = self.right.iter().copied();
        self.left
            .iter()
            .copied()
            .chain(self.identity.iter())
            .chain(right)
    }
}

impl fmt::Display for TagFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, segment) in self.all().enumerate() {
            let joint = if i == 0 { "" } else { "_" };
            write!(f, "{joint}{segment}")?;
        }
        Ok(())
    }
}

/// Why a text is no tag format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// An abbreviation that no segment has.
    #[error("tag format `{format}`: expected o, r, b, v, c or s, found `{found}`")]
    Unknown {
        /// The format.
        format: Box<str>,
        /// What stands there.
        found: Box<str>,
    },
    /// A segment stands twice.
    #[error("tag format `{format}`: {segment} stands twice")]
    Twice {
        /// The format.
        format: Box<str>,
        /// Which.
        segment: Segment,
    },
    /// Without a version no build is higher than another.
    #[error("tag format `{format}`: expected a version (v), without which builds have no order")]
    NoVersion {
        /// The format.
        format: Box<str>,
    },
    /// Owner, repo and branch may hold `_`, so only one run of them can be told from the rest.
    #[error(
        "tag format `{format}`: expected owner, repo and branch next to each other, found {segment} apart from them"
    )]
    Apart {
        /// The format.
        format: Box<str>,
        /// Which stands apart.
        segment: Segment,
    },
}

impl FromStr for TagFormat {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let format = || Box::<str>::from(text);
        let mut left = Vec::new();
        let mut right = Vec::new();
        let mut identity = IdentityFields::NONE;
        for abbreviation in text.split('_') {
            let segment = match abbreviation {
                "o" => Segment::Owner,
                "r" => Segment::Repo,
                "b" => Segment::Branch,
                "v" => Segment::Version,
                "c" => Segment::Build,
                "s" => Segment::Commit,
                found => {
                    return Err(FormatError::Unknown {
                        format: format(),
                        found: found.into(),
                    });
                }
            };
            let seen = left.contains(&segment)
                || right.contains(&segment)
                || identity.iter().any(|s| s == segment);
            if seen {
                return Err(FormatError::Twice {
                    format: format(),
                    segment,
                });
            }
            match segment {
                Segment::Owner | Segment::Repo | Segment::Branch if right.is_empty() => {
                    identity.push(segment);
                }
                Segment::Owner | Segment::Repo | Segment::Branch => {
                    return Err(FormatError::Apart {
                        format: format(),
                        segment,
                    });
                }
                fixed if identity.is_empty() => left.push(fixed),
                fixed => right.push(fixed),
            }
        }
        if !left.iter().chain(&right).any(|s| *s == Segment::Version) {
            return Err(FormatError::NoVersion { format: format() });
        }
        Ok(Self {
            left,
            identity,
            right,
        })
    }
}

/// The formats that tags may have, tried in order: the first that can read a tag says what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagFormats(Vec<TagFormat>);

impl Default for TagFormats {
    fn default() -> Self {
        Self(vec![TagFormat::default()])
    }
}

impl TagFormats {
    /// The first format: the form that errors name.
    pub fn first(&self) -> &TagFormat {
        &self.0[0]
    }

    /// Reads a tag by the first format that can.
    ///
    /// # Errors
    /// The first format's [`TagError`].
    pub fn read<'t>(&self, tag: &'t str) -> Result<BuildTag<'t>, TagError> {
        let mut first = None;
        for format in &self.0 {
            match BuildTag::parse(tag, format) {
                Ok(read) => return Ok(read),
                Err(error) => _ = first.get_or_insert(error),
            }
        }
        // There is at least one format: no list is empty.
        first.map_or_else(|| BuildTag::parse(tag, &TagFormat::default()), Err)
    }
}

impl FromStr for TagFormats {
    type Err = FormatError;

    /// A comma-separated list, `o_r_b_v_c_s,v`.
    fn from_str(text: &str) -> Result<Self, FormatError> {
        text.split(',')
            .map(|format| format.trim().parse())
            .collect::<Result<_, _>>()
            .map(Self)
    }
}
