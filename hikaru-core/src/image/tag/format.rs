//! Tag formats as data, in buildgoggles' abbreviations: which segments a tag has, in which order.

use std::{fmt, str::FromStr, sync::Arc};

use super::{BuildTag, IdentityFields, Segment, TagError};
use crate::{Text, text::excerpt::Excerpt};

/// A tag format, such as `o_r_b_v_c_s`, the default: segments joined by `_`, in buildgoggles' abbreviations.
///
/// | | |
/// |---|---|
/// | `o`, `r`, `b` | owner, repo, branch: next to each other, in any order |
/// | `v` | the version, `1.4.2` |
/// | `ma`, `mi`, `p` | its numbers as segments of their own: `ma_mi_p` is `1_4_2`; `ma_mi` and `ma` do, too |
/// | `miv` | its first two numbers, `1.4`; `miv_p` is `1.4_2` |
/// | `c` | count: the build number |
/// | `s` | slug: the commit |
///
/// ```
/// use hikaru_core::{image::{BuildTag, TagFormat}};
/// assert_eq!(TagFormat::default().to_string(), "owner_repo_branch_version_build_commit");
///
/// let format: TagFormat = "b_miv_p_c".parse()?;
/// let tag = BuildTag::parse("main_1.4_2_17", &format).unwrap();
/// assert_eq!(tag.precedence().to_string(), "1.4.2_17");
///
/// let error = "o_r_b_c_s".parse::<TagFormat>().unwrap_err();
/// assert!(error.to_string().contains("expected a version"));
/// # Ok::<(), hikaru_core::image::FormatError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagFormat {
    /// What stands before the identity. No `_` within.
    left: Vec<Segment>,
    identity: IdentityFields,
    /// What stands after the identity. No `_` within.
    right: Vec<Segment>,
    /// `owner_repo_branch_version_build_commit`: errors have it without making it.
    spelled: Text,
}

impl Default for TagFormat {
    fn default() -> Self {
        let right = vec![Segment::Version, Segment::Build, Segment::Commit];
        Self::new(Vec::new(), IdentityFields::ALL, right)
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

    /// Whether the version, as one segment, is all that a tag of this format says.
    pub(crate) fn is_version_alone(&self) -> bool {
        self.identity.is_empty() && self.left == [Segment::Version] && self.right.is_empty()
    }

    /// How many segments a tag of this format has at least.
    pub(crate) fn segments(&self) -> usize {
        self.left.len() + self.identity.len() + self.right.len()
    }

    fn new(left: Vec<Segment>, identity: IdentityFields, right: Vec<Segment>) -> Self {
        let all = left.iter().copied().chain(identity.iter());
        let names: Vec<_> = all.chain(right.iter().copied()).collect();
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        Self {
            left,
            identity,
            right,
            spelled: names.join("_").into(),
        }
    }

    /// The names of its segments, joined by `_`.
    pub(crate) fn spelled(&self) -> &Text {
        &self.spelled
    }
}

impl fmt::Display for TagFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelled)
    }
}

/// Why a text is no tag format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// There is no format: an empty text, or a comma too many in a list.
    #[error("expected a tag format such as o_r_b_v_c_s, found an empty one")]
    Empty,
    /// An abbreviation that no segment has.
    #[error("tag format {format}: expected o, r, b, v, ma, mi, p, miv, c or s, found {found}")]
    Unknown {
        /// The format.
        format: Excerpt,
        /// What stands there.
        found: Excerpt,
    },
    /// A segment stands twice.
    #[error("tag format {format}: {segment} stands twice")]
    Twice {
        /// The format.
        format: Excerpt,
        /// Which.
        segment: Segment,
    },
    /// Without a version no build is higher than another.
    #[error("tag format {format}: expected a version (v), without which builds have no order")]
    NoVersion {
        /// The format.
        format: Excerpt,
    },
    /// The segments of the version are not one version.
    #[error(
        "tag format {format}: expected one version, as v, ma_mi_p, ma_mi, ma, miv_p or miv, found {found}"
    )]
    Version {
        /// The format.
        format: Excerpt,
        /// The version's segments that stand there.
        found: Box<str>,
    },
    /// Owner, repo and branch may hold `_`, so only one run of them can be told from the rest.
    #[error(
        "tag format {format}: expected owner, repo and branch next to each other, found {segment} apart from them"
    )]
    Apart {
        /// The format.
        format: Excerpt,
        /// Which stands apart.
        segment: Segment,
    },
}

impl FromStr for TagFormat {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let format = || Excerpt::of(text);
        if text.is_empty() {
            return Err(FormatError::Empty);
        }
        let mut left = Vec::new();
        let mut right = Vec::new();
        let mut identity = IdentityFields::NONE;
        for abbreviation in text.split('_') {
            let segment = match abbreviation {
                "o" => Segment::Owner,
                "r" => Segment::Repo,
                "b" => Segment::Branch,
                "v" => Segment::Version,
                "ma" => Segment::Major,
                "mi" => Segment::Minor,
                "p" => Segment::Patch,
                "miv" => Segment::MajorMinor,
                "c" => Segment::Build,
                "s" => Segment::Commit,
                found => {
                    return Err(FormatError::Unknown {
                        format: format(),
                        found: Excerpt::of(found),
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
        check_version(&left, &right).map_err(|found| match found {
            None => FormatError::NoVersion { format: format() },
            Some(found) => FormatError::Version {
                format: format(),
                found,
            },
        })?;
        Ok(Self::new(left, identity, right))
    }
}

/// The ways in which a format can say the version: its numbers in order, next to each other.
const VERSIONS: [&[Segment]; 6] = [
    &[Segment::Version],
    &[Segment::Major, Segment::Minor, Segment::Patch],
    &[Segment::Major, Segment::Minor],
    &[Segment::Major],
    &[Segment::MajorMinor, Segment::Patch],
    &[Segment::MajorMinor],
];

/// Checks that one version stands on one side of the identity. Otherwise: what stands there, if anything.
fn check_version(left: &[Segment], right: &[Segment]) -> Result<(), Option<Box<str>>> {
    let is_version = |segment: &Segment| VERSIONS.iter().any(|form| form.contains(segment));
    let runs: Vec<&[Segment]> = [left, right]
        .into_iter()
        .flat_map(|side| side.split(|segment| !is_version(segment)))
        .filter(|run| !run.is_empty())
        .collect();
    match runs[..] {
        [] => Err(None),
        [run] if VERSIONS.contains(&run) => Ok(()),
        _ => {
            let spelled = |run: &&[Segment]| {
                let names: Vec<_> = run.iter().map(ToString::to_string).collect();
                names.join("_")
            };
            let runs: Vec<_> = runs.iter().map(spelled).collect();
            Err(Some(runs.join(" and ").into()))
        }
    }
}

/// The formats that tags may have, tried in order: the first that can read a tag says what it means.
///
/// ```
/// use hikaru_core::TagFormats;
/// let formats: TagFormats = "o_r_b_v_c_s,v".parse()?;
/// assert_eq!(formats.read("acme_web_main_1.4.0_7_none").unwrap().build(), 7);
/// assert_eq!(formats.read("1.4.0").unwrap().version().to_string(), "1.4.0");
/// // The first format's error is told.
/// let error = formats.read("latest").unwrap_err();
/// assert!(error.to_string().contains("expected 6 or more segments"));
/// # Ok::<(), hikaru_core::image::FormatError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagFormats(Arc<[TagFormat]>);

impl Default for TagFormats {
    fn default() -> Self {
        Self([TagFormat::default()].into())
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
        for format in self.0.iter() {
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
