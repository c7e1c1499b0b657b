//! The words of the policy: verdicts, their stable codes, and what may be forced.

use std::{fmt, str::FromStr};

use crate::text::excerpt::Excerpt;

/// What the policy says of one container, or of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// It gets the posted image.
    Upgrade,
    /// It stays, for a reason that somebody may want to know of.
    Skipped,
    /// It stays: what runs is newer.
    Obsolete,
    /// It stays: it runs the build already.
    Equal,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Upgrade => "upgrade",
            Self::Skipped => "skipped",
            Self::Obsolete => "obsolete",
            Self::Equal => "equal",
        })
    }
}

/// The stable code of a verdict, in the order in which the policy looks: the first that fits decides.
///
/// | code | verdict | can be forced | needs a person | fails a strict call |
/// |---|---|---|---|---|
/// | `equal` | equal | | | |
/// | `ambiguous` | skipped | | yes | yes |
/// | `overridden` | skipped | | yes | yes |
/// | `unreadable-image` | skipped | | yes | yes |
/// | `unreadable-setting` | skipped | | yes | yes |
/// | `manual` | skipped | yes | | |
/// | `constraint` | skipped | yes | | |
/// | `held` | skipped | yes | yes | yes |
/// | `conflicting-build` | skipped | yes | yes | yes |
/// | `other-branch` | skipped | yes | | yes |
/// | `obsolete` | obsolete | yes | | |
/// | `upgrade` | upgrade | | | |
///
/// ```
/// use hikaru_core::{policy::{Code, Verdict}};
/// assert_eq!(Code::ConflictingBuild.as_str(), "conflicting-build");
/// assert_eq!(Code::ConflictingBuild.verdict(), Verdict::Skipped);
/// assert!(Code::ConflictingBuild.needs_a_person());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Code {
    /// It is set to the posted image, or to the same build.
    Equal,
    /// Workloads that match by different readings of the tag use the posted repository.
    Ambiguous,
    /// Something beside the manifest decides which image runs.
    Overridden,
    /// Its image is no reference, and its text begins with the posted repository.
    UnreadableImage,
    /// A setting on the workload cannot be read, or names none of its containers.
    UnreadableSetting,
    /// The workload is opted out.
    Manual,
    /// The posted version is outside the workload's constraint.
    Constraint,
    /// The posted build is at or below the container's high-water mark, while a version that is lower than the mark runs; or
    /// it is below the mark, while something floating runs.
    Held,
    /// Same identity, version and build number, other commit or other digest.
    ConflictingBuild,
    /// It runs a build of another identity at the same version.
    OtherBranch,
    /// What runs is higher.
    Obsolete,
    /// None of the others.
    Upgrade,
}

impl Code {
    /// All codes, in the order of the policy.
    pub const ALL: [Self; 12] = [
        Self::Equal,
        Self::Ambiguous,
        Self::Overridden,
        Self::UnreadableImage,
        Self::UnreadableSetting,
        Self::Manual,
        Self::Constraint,
        Self::Held,
        Self::ConflictingBuild,
        Self::OtherBranch,
        Self::Obsolete,
        Self::Upgrade,
    ];

    /// The verdict that the code stands for.
    pub fn verdict(self) -> Verdict {
        match self {
            Self::Equal => Verdict::Equal,
            Self::Obsolete => Verdict::Obsolete,
            Self::Upgrade => Verdict::Upgrade,
            _ => Verdict::Skipped,
        }
    }

    /// The code's text, as programs read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Ambiguous => "ambiguous",
            Self::Overridden => "overridden",
            Self::UnreadableImage => "unreadable-image",
            Self::UnreadableSetting => "unreadable-setting",
            Self::Manual => "manual",
            Self::Constraint => "constraint",
            Self::Held => "held",
            Self::ConflictingBuild => "conflicting-build",
            Self::OtherBranch => "other-branch",
            Self::Obsolete => "obsolete",
            Self::Upgrade => "upgrade",
        }
    }

    /// Whether only a person can mend it: a pipeline that meets it fails.
    pub fn needs_a_person(self) -> bool {
        matches!(
            self,
            Self::Ambiguous
                | Self::Overridden
                | Self::UnreadableImage
                | Self::UnreadableSetting
                | Self::Held
                | Self::ConflictingBuild
        )
    }

    /// Whether a strict pipeline fails on it: what needs a person, and what stays behind without anybody having said
    /// so.
    pub fn fails_strict(self) -> bool {
        self.needs_a_person() || self == Self::OtherBranch
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The verdict on one container.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Judged {
    /// Its index in [`Workload::containers`](crate::Workload::containers).
    pub container: usize,
    /// The stable code of the verdict.
    pub code: Code,
    /// Why, as a sentence for a person. It names the two versions, or the rule.
    pub reason: String,
}

impl Judged {
    /// The verdict.
    pub fn verdict(&self) -> Verdict {
        self.code.verdict()
    }
}

/// The codes that a person said to pass over. It never overrides the repository, the labels, ambiguity, an
/// override or an unreadable setting.
///
/// ```
/// use hikaru_core::{policy::{Code, Force}};
/// let force: Force = "manual,held".parse()?;
/// assert!(force.has(Code::Held) && !force.has(Code::Obsolete));
/// assert_eq!("true".parse(), Ok(Force::ALL));
/// # Ok::<(), hikaru_core::policy::ForceError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Force(u16);

impl Force {
    /// Nothing is forced.
    pub const NONE: Self = Self(0);
    /// All that can be forced.
    pub const ALL: Self = {
        let mut all = 0;
        let mut i = 0;
        while i < Self::CODES.len() {
            all |= Self::bit(Self::CODES[i]);
            i += 1;
        }
        Self(all)
    };
    /// The codes that can be forced.
    pub const CODES: [Code; 6] = [
        Code::Manual,
        Code::Constraint,
        Code::Held,
        Code::ConflictingBuild,
        Code::OtherBranch,
        Code::Obsolete,
    ];

    const fn bit(code: Code) -> u16 {
        1 << code as u16
    }

    /// Whether this code is passed over.
    pub fn has(self, code: Code) -> bool {
        self.0 & Self::bit(code) != 0
    }

    /// All of them but this one.
    pub(crate) fn without(self, code: Code) -> Self {
        Self(self.0 & !Self::bit(code))
    }

    /// Whether nothing is.
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// The forced codes, in the order of the policy.
    pub fn codes(self) -> impl Iterator<Item = Code> {
        Self::CODES.into_iter().filter(move |code| self.has(*code))
    }

    /// What one of both passes over.
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn insert(&mut self, code: Code) {
        self.0 |= Self::bit(code);
    }
}

/// Why a text says nothing that can be forced.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected `true`, or any of manual, constraint, held, conflicting-build, other-branch, obsolete, separated by commas, found {found}"
)]
pub struct ForceError {
    found: Excerpt,
}

impl FromStr for Force {
    type Err = ForceError;

    fn from_str(text: &str) -> Result<Self, ForceError> {
        if text == "true" {
            return Ok(Self::ALL);
        }
        let mut force = Self::NONE;
        for name in text.split(',').map(str::trim) {
            let code = Self::CODES.into_iter().find(|code| code.as_str() == name);
            force.insert(code.ok_or_else(|| ForceError {
                found: Excerpt::of(name),
            })?);
        }
        Ok(force)
    }
}
