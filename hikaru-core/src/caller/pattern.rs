//! Patterns on the identity of workloads: `acme/shop/*`.

use std::{fmt, str::FromStr};

use crate::{Text, image::Reading, text::excerpt::Excerpt};

/// A pattern on owner, repo and branch. In each of them `*` stands for any number of characters.
///
/// ```
/// use hikaru_core::{caller::IdentityPattern, image::Reading};
/// let pattern: IdentityPattern = "acme/shop-*/*".parse()?;
/// assert!(pattern.matches(&Reading::new(Some("acme"), Some("shop-web"), Some("main"))));
/// assert!(!pattern.matches(&Reading::new(Some("acme"), Some("shop"), Some("main"))));
/// # Ok::<(), hikaru_core::caller::PatternError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityPattern([Glob; 3]);

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected owner/repo/branch of letters, digits, `-`, `_`, `.` and `*`, such as acme/shop/*, found {found}"
)]
pub struct PatternError {
    found: Excerpt,
}

impl IdentityPattern {
    /// Whether owner, repo and branch are all there and fit. Their case counts.
    pub fn matches(&self, reading: &Reading<'_>) -> bool {
        let Self(patterns) = self;
        let parts = [reading.owner, reading.repo, reading.branch];
        let mut both = patterns.iter().zip(parts);
        both.all(|(pattern, part)| part.is_some_and(|part| pattern.matches(part)))
    }

    /// Whether it has no `*`.
    pub fn is_literal(&self) -> bool {
        self.0.iter().all(Glob::is_literal)
    }
}

impl FromStr for IdentityPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let parts: Vec<Text> = text.split('/').map(Text::from).collect();
        // What a label cannot hold would match nothing.
        let is_sound = |part: &Text| {
            let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_.*".contains(&b);
            !part.is_empty() && part.bytes().all(fits)
        };
        match <[Text; 3]>::try_from(parts) {
            Ok(parts) if parts.iter().all(is_sound) => Ok(Self(parts.map(Glob))),
            _ => Err(PatternError {
                found: Excerpt::of(text),
            }),
        }
    }
}

impl fmt::Display for IdentityPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [owner, repo, branch] = &self.0;
        write!(f, "{owner}/{repo}/{branch}")
    }
}

/// A pattern on one text: `*` stands for any number of characters, every other character for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(Text);

impl Glob {
    /// This pattern. Every text is one.
    pub fn new(pattern: impl Into<Text>) -> Self {
        Self(pattern.into())
    }

    /// Whether a text fits: the pieces between the `*` stand in it in this order, the first at its beginning, the last at its end.
    pub fn matches(&self, text: &str) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else {
            return *self.0 == *text;
        };
        let Some(mut left) = text.strip_prefix(first) else {
            return false;
        };
        let mut pieces: Vec<&str> = rest.split('*').collect();
        let last = pieces.pop().unwrap_or_default();
        for piece in pieces {
            match left.split_once(piece) {
                Some((_, after)) => left = after,
                None => return false,
            }
        }
        left.ends_with(last)
    }

    /// Whether it has no `*`.
    pub fn is_literal(&self) -> bool {
        !self.0.contains('*')
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything_within_a_part() {
        for (pattern, text, expected) in [
            ("main", "main", true),
            ("main", "mainx", false),
            ("*", "", true),
            ("*", "main", true),
            ("release-*", "release-1", true),
            ("release-*", "release", false),
            ("*-dev", "a-dev", true),
            ("*-dev", "a-dev-b", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("**", "x", true),
            ("*b*b", "bb", true),
            ("*b*b", "b", false),
        ] {
            assert_eq!(
                Glob::new(pattern).matches(text),
                expected,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn a_pattern_has_three_parts() {
        for text in ["acme/shop/*", "*/*/*", "a.b/c_d/e-f"] {
            let pattern: IdentityPattern = text.parse().expect(text);
            assert_eq!(pattern.to_string(), text);
        }
        for text in [
            "",
            "acme",
            "acme/shop",
            "acme//main",
            "a/b/c/d",
            "a/b/c d",
            "a/b/ü",
        ] {
            let error = text.parse::<IdentityPattern>().expect_err(text);
            assert!(error.to_string().starts_with("expected owner/repo/branch"));
        }
        let pattern: IdentityPattern = "acme/*/main".parse().expect("a pattern");
        let unlabeled = Reading::new(Some("acme"), None, Some("main"));
        assert!(!pattern.matches(&unlabeled));
        assert!(!pattern.is_literal());
    }
}
