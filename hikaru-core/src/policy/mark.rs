//! High-water marks: the highest build that hikaru has deployed to a container, kept as a label on its workload, so
//! that what a person took back stays back.
//!
//! ```text
//! mark = version "_" build "_" 8hex     ; of the label high-water.hikaru.dev/{container}
//! ```

use std::fmt;

use crate::{
    image::{
        reference::Repository,
        tag::{LABEL_LONGEST, Reading, build_number},
        version::{Precedence, Version},
    },
    text::excerpt::Excerpt,
};

/// The longest mark that can be written, in bytes: the longest value of a label.
pub const MARK_LONGEST: usize = LABEL_LONGEST;

/// A high-water mark. A mark with another hash counts as none, and is replaced by the next upgrade. The hash ties it to a repository and an identity: a relabeled workload, or a container with
/// another repository, starts afresh.
///
/// ```
/// use hikaru_core::{image::{Reading, Reference}, policy::Mark};
/// let web = Reference::parse("web")?;
/// let labels = Reading::new(Some("acme"), Some("web.git"), Some("main"));
/// let hash = Mark::hash_of(&web.repository(), &labels);
/// assert_eq!(Mark::parse("1.4.0_7_aa6c0d3f").unwrap().hash, hash);
/// # Ok::<(), hikaru_core::image::ReferenceError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark<'t> {
    /// The highest build that was deployed.
    pub precedence: Precedence<'t>,
    /// [`Mark::hash_of`] the repository and identity that it was deployed for.
    pub hash: u32,
}

/// Why a label's value is no mark.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a high-water mark such as 1.4.0_7_aa6c0d3f, found {found}")]
pub struct MarkError {
    found: Excerpt,
}

impl<'t> Mark<'t> {
    /// Reads a label's value.
    ///
    /// # Errors
    /// A [`MarkError`] that quotes it.
    pub fn parse(value: &'t str) -> Result<Self, MarkError> {
        Self::read(value).ok_or_else(|| MarkError {
            found: Excerpt::of(value),
        })
    }

    fn read(value: &'t str) -> Option<Self> {
        let (rest, hash) = value.rsplit_once('_')?;
        let (version, build) = rest.rsplit_once('_')?;
        let is_hash = hash.len() == 8
            && hash
                .bytes()
                .all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
        Some(Self {
            precedence: Precedence {
                version: Version::parse(version).ok()?,
                build: build_number(build, 0).ok()?,
            },
            hash: u32::from_str_radix(hash, 16).ok().filter(|_| is_hash)?,
        })
    }

    /// FNV-1a, 32 bits, of the normalized repository, a line feed, and owner, repo (without `.git`) and branch joined
    /// by `_`.
    pub fn hash_of(repository: &Repository<'_>, labels: &Reading<'_>) -> u32 {
        let labels = [labels.owner, labels.repo, labels.branch].map(|label| label.unwrap_or(""));
        let [owner, repo, branch] = labels;
        repository
            .pieces()
            .into_iter()
            .chain(["\n", owner, "_", repo, "_", branch])
            .flat_map(str::bytes)
            .fold(0x811c_9dc5, |hash: u32, byte| {
                (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
            })
    }
}

impl fmt::Display for Mark<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{:08x}", self.precedence, self.hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printing_gives_the_text_back() {
        for text in [
            "1.4.0_7_aa6c0d3f",
            "v2_0_00000001",
            "1.0-rc.1_18446744073709551615_ffffffff",
        ] {
            assert_eq!(Mark::parse(text).expect(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_mark() {
        for text in [
            "",
            "1.4.0",
            "1.4.0_7",
            "1.4.0_7_aa6c0d3",
            "1.4.0_7_AA6C0D3F",
            "1.4.0_7_+a6c0d3f",
            "x_7_aa6c0d3f",
            "1.4.0_x_aa6c0d3f",
        ] {
            assert!(Mark::parse(text).is_err(), "{text}");
        }
    }
}
