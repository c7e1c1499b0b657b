//! Versions and their order: numbers of any length, then semver's rule for pre-releases, then the build.
//!
//! ```text
//! version    = ["v"] number *7( "." number ) [ "-" prerelease ]     ; 1.2.3, v1.2, .NET's 1.0.0.0
//! number     = 1*DIGIT
//! prerelease = identifier *( "." identifier )                       ; semver 2.0.0 item 9, leading zeros let through
//! identifier = 1*( ALNUM | "-" )
//! ```
//!
//! One number with a pre-release of digits and dashes, `2026-10-03`, is a date and no version: its days would have the order
//! of a pre-release, below the year. Dates are written with dots.

use std::{cmp::Ordering, fmt};

use crate::text::excerpt::Excerpt;

/// The most numbers that a version may have.
pub const MAX_NUMBERS: usize = 8;

/// A version: a view on its text. Equal and ordered by precedence, so `1.2` equals `v1.2.0`; [`Version::as_str`] gives
/// the text. In a tag whose format has the numbers as segments of their own the text is `1_4_2`; it is printed as 1.4.2.
///
/// ```
/// use hikaru_core::image::Version;
/// let v = |text| Version::parse(text).unwrap();
/// assert!(v("1.10") > v("1.9"));
/// assert!(v("1.4.0-rc.1") < v("1.4.0"));
/// assert_eq!(v("1.2"), v("v1.2.0.0"));
/// ```
#[derive(Clone, Copy)]
pub struct Version<'t> {
    text: &'t str,
}

/// Why a text is no version. Offsets are in bytes from its start, 0-based.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VersionError {
    /// Something else stands where a number or an identifier has to.
    #[error("expected {expected}, found {found} at byte {at}")]
    Unexpected {
        /// What the grammar asks for.
        expected: &'static str,
        /// What stands there.
        found: Excerpt,
        /// Where it stands.
        at: usize,
    },
    /// A date that is written with dashes.
    #[error("expected a version, found {found}: a date is written with dots ({dotted})")]
    Date {
        /// The text.
        found: Excerpt,
        /// How it is written instead.
        dotted: Box<str>,
    },
    /// A whole tag that is a number alone, or a number and a name.
    #[error(
        "expected a version with a dot or a leading `v`, as the tag says nothing else, found {found}"
    )]
    NotTelling {
        /// The text.
        found: Excerpt,
    },
    /// More than [`MAX_NUMBERS`] numbers.
    #[error("expected at most {MAX_NUMBERS} numbers, found {found}")]
    TooManyNumbers {
        /// How many there are.
        found: usize,
    },
}

impl VersionError {
    fn unexpected(expected: &'static str, text: &str, at: usize) -> Self {
        Self::Unexpected {
            expected,
            found: Excerpt::at(text, at),
            at,
        }
    }
}

impl<'t> Version<'t> {
    /// Reads a version. Linear in the text, without an allocation.
    ///
    /// # Errors
    /// A [`VersionError`] that says where reading stopped.
    pub fn parse(text: &'t str) -> Result<Self, VersionError> {
        let unexpected = |expected, at| VersionError::unexpected(expected, text, at);
        let version = Self { text };
        let (numbers, prerelease) = version.parts();
        let mut at = text.len() - version.without_v().len();
        let mut count = 0;
        for number in numbers.split('.') {
            if let Some(bad) = number.bytes().position(|b| !b.is_ascii_digit()) {
                return Err(unexpected("digits, `.` or `-`", at + bad));
            }
            if number.is_empty() {
                return Err(unexpected("a number", at));
            }
            count += 1;
            at += number.len() + 1;
        }
        if count > MAX_NUMBERS {
            return Err(VersionError::TooManyNumbers { found: count });
        }
        for identifier in prerelease.into_iter().flat_map(|p| p.split('.')) {
            let is_part = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
            if let Some(bad) = identifier.bytes().position(|b| !is_part(b)) {
                return Err(unexpected(
                    "letters, digits, `-` or `.` in the pre-release",
                    at + bad,
                ));
            }
            if identifier.is_empty() {
                return Err(unexpected("a pre-release identifier", at));
            }
            at += identifier.len() + 1;
        }
        let is_of_date = |b: u8| b.is_ascii_digit() || b == b'-';
        if count == 1 && prerelease.is_some_and(|p| p.bytes().all(is_of_date)) {
            return Err(VersionError::Date {
                found: Excerpt::of(text),
                dotted: dotted(version.without_v()).into(),
            });
        }
        Ok(version)
    }

    /// Reads a version that is a whole tag: it has at least one dot, or a leading `v`. `16`, `16-alpine` and `20260115` are
    /// names.
    pub(crate) fn of_whole_tag(tag: &'t str) -> Result<Self, VersionError> {
        let version = Self::parse(tag)?;
        if tag.starts_with('v') || version.parts().0.contains('.') {
            Ok(version)
        } else {
            let found = Excerpt::of(tag);
            Err(VersionError::NotTelling { found })
        }
    }

    /// The version that a running tag says as a whole, or before build metadata: `1.9.0`, and `1.9.0_5`, as Helm and others
    /// write semver's `1.9.0+5`. Build metadata does not count in the order.
    pub(crate) fn of_running_tag(tag: &'t str) -> Option<Self> {
        let (version, metadata) = tag.split_once('_').unwrap_or((tag, "0"));
        let is_metadata = metadata.split('.').all(|identifier| {
            let is_part = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
            !identifier.is_empty() && identifier.bytes().all(is_part)
        });
        Self::of_whole_tag(version).ok().filter(|_| is_metadata)
    }

    /// The version of a build tag, whose segments have been checked one by one.
    pub(crate) fn of_checked(text: &'t str) -> Self {
        // What is joined by `_` was read number by number.
        debug_assert!(
            text.contains('_') || Version::parse(text).is_ok(),
            "{text} was checked"
        );
        Self { text }
    }

    /// The text as it was written.
    pub fn as_str(&self) -> &'t str {
        self.text
    }

    /// The numbers, as digits: they can be longer than any machine word.
    pub fn numbers(&self) -> impl Iterator<Item = &'t str> + use<'t> {
        split_numbers(self.parts().0)
    }

    /// The pre-release, without its `-`.
    pub fn prerelease(&self) -> Option<&'t str> {
        self.parts().1
    }

    fn without_v(&self) -> &'t str {
        self.text.strip_prefix('v').unwrap_or(self.text)
    }

    fn parts(&self) -> (&'t str, Option<&'t str>) {
        let text = self.without_v();
        match text.split_once('-') {
            Some((numbers, prerelease)) => (numbers, Some(prerelease)),
            None => (text, None),
        }
    }
}

/// Whether two numbers with a dot between stand anywhere in a text, as in `release-1.9.0`.
pub(crate) fn has_dotted_numbers(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes
        .windows(3)
        .any(|part| part[0].is_ascii_digit() && part[1] == b'.' && part[2].is_ascii_digit())
}

/// `2026.10.3` of `2026-10-03`.
fn dotted(date: &str) -> String {
    let numbers = date.split('-').filter(|number| !number.is_empty());
    let numbers = numbers.map(|number| match number.trim_start_matches('0') {
        "" => "0",
        number => number,
    });
    numbers.collect::<Vec<_>>().join(".")
}

/// A `_` stands between numbers that are segments of a tag.
fn split_numbers(numbers: &str) -> impl Iterator<Item = &str> {
    numbers.split(['.', '_'])
}

/// Checks that a text is so many numbers with dots between: a segment that is a part of a version.
pub(crate) fn check_numbers(text: &str, count: usize) -> Result<(), VersionError> {
    let mut at = 0;
    let mut numbers = text.split('.');
    for place in 1..=count {
        let number = numbers.next().unwrap_or("");
        let digits = number.len()
            - number
                .trim_start_matches(|c: char| c.is_ascii_digit())
                .len();
        let expected = match digits {
            0 => "a number",
            _ if digits == number.len() => "",
            _ if place == count => "digits",
            _ => "digits or `.`",
        };
        if !expected.is_empty() {
            let at = (at + digits).min(text.len());
            return Err(VersionError::unexpected(expected, text, at));
        }
        at += number.len() + 1;
    }
    match numbers.next() {
        None => Ok(()),
        Some(_) => Err(VersionError::unexpected("digits", text, at - 1)),
    }
}

/// Compares two runs of digits as numbers of any length.
fn compare_digits(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Semver 2.0.0 item 11: numeric identifiers as numbers and below the others, those by ASCII, the shorter list first.
fn compare_prereleases(a: &str, b: &str) -> Ordering {
    let numeric = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => match (numeric(a), numeric(b)) {
                (true, true) => compare_digits(a, b),
                (true, false) => Ordering::Less,
                (false, true) => Ordering::Greater,
                (false, false) => a.cmp(b),
            },
        };
        if order.is_ne() {
            return order;
        }
    }
}

impl Ord for Version<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let (mine, theirs) = (self.parts(), other.parts());
        let (mut a, mut b) = (split_numbers(mine.0), split_numbers(theirs.0));
        loop {
            let order = match (a.next(), b.next()) {
                (None, None) => break,
                (x, y) => compare_digits(x.unwrap_or("0"), y.unwrap_or("0")),
            };
            if order.is_ne() {
                return order;
            }
        }
        match (mine.1, theirs.1) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(a), Some(b)) => compare_prereleases(a, b),
        }
    }
}

impl PartialOrd for Version<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Version<'_> {}

impl fmt::Display for Version<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text.replace('_', "."))
    }
}

impl fmt::Debug for Version<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({self})")
    }
}

/// The place of a build in the order of builds: its version, then its build number. Printed as `1.4.0_7`.
///
/// ```
/// use hikaru_core::{image::{Precedence, Version}};
/// let place = |version, build| Precedence { version: Version::parse(version).unwrap(), build };
/// assert!(place("1.4.0", 10) > place("1.4.0", 9));
/// assert!(place("1.10.0", 1) > place("1.9.0", 400));
/// assert_eq!(place("1.4.0", 7).to_string(), "1.4.0_7");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Precedence<'t> {
    /// Compared first.
    pub version: Version<'t>,
    /// Compared when the versions are equal.
    pub build: u64,
}

impl fmt::Display for Precedence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.version, self.build)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version<'_> {
        Version::parse(text).expect(text)
    }

    #[test]
    fn rising() {
        let rising = [
            "0",
            "0.9",
            "0.10",
            "1.0.0-0",
            "1.0.0-1",
            "1.0.0-10",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.0.0.1",
            "1.2",
            "1.9",
            "1.10",
            "v2",
            "2.0.1",
            "18446744073709551616",
            "18446744073709551617.0",
            "99999999999999999999999999",
        ];
        for (i, a) in rising.iter().enumerate() {
            for (j, b) in rising.iter().enumerate() {
                assert_eq!(version(a).cmp(&version(b)), i.cmp(&j), "{a} and {b}");
            }
        }
    }

    #[test]
    fn equal_precedence() {
        for (a, b) in [
            ("1.2", "1.2.0"),
            ("v1.2", "1.2"),
            ("01.002", "1.2"),
            ("1.0-rc.01", "1.0.0-rc.1"),
            ("0.0", "0"),
        ] {
            assert_eq!(version(a), version(b), "{a} and {b}");
            assert_eq!(format!("{:?}", version(a)), format!("Version({a})"));
        }
    }

    #[test]
    fn what_is_no_version_says_where() {
        for (text, expected) in [
            ("", "expected a number, found the end at byte 0"),
            ("v", "expected a number, found the end at byte 1"),
            ("1.", "expected a number, found the end at byte 2"),
            ("1..2", "expected a number, found `.2` at byte 2"),
            (
                "latest",
                "expected digits, `.` or `-`, found `latest` at byte 0",
            ),
            ("1.x", "expected digits, `.` or `-`, found `x` at byte 2"),
            (
                "1-",
                "expected a pre-release identifier, found the end at byte 2",
            ),
            (
                "1-a..b",
                "expected a pre-release identifier, found `.b` at byte 4",
            ),
            (
                "1-a+b",
                "expected letters, digits, `-` or `.` in the pre-release, found `+b` at byte 3",
            ),
            ("1.2.3.4.5.6.7.8.9", "expected at most 8 numbers, found 9"),
            (
                "2026-10-03",
                "expected a version, found `2026-10-03`: a date is written with dots (2026.10.3)",
            ),
            (
                "v2026-00--1",
                "expected a version, found `v2026-00--1`: a date is written with dots (2026.0.1)",
            ),
        ] {
            assert_eq!(
                Version::parse(text).map_err(|e| e.to_string()),
                Err(expected.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn a_tag_tells_its_version_by_a_dot_or_a_v() {
        for (tag, version) in [
            ("1.4.0", Some("1.4.0")),
            ("v1", Some("v1")),
            ("1.4-rc.1", Some("1.4-rc.1")),
            ("16.2-alpine", Some("16.2-alpine")),
            ("2026.01.15", Some("2026.01.15")),
            ("1.9.0_5", Some("1.9.0")),
            ("v1_build.7-x", Some("v1")),
            ("1.2.3-rc.1_up4", Some("1.2.3-rc.1")),
            ("latest", None),
            ("20260115", None),
            ("12345678", None),
            ("16-alpine", None),
            ("2026-10-03", None),
            ("v2026-10-03", None),
            ("stable", None),
            ("16-3.1", None),
            ("16_5", None),
            ("1.9.0_", None),
            ("1.9.0_5_6", None),
            ("1.9.0_a..b", None),
            ("release-1.9.0", None),
        ] {
            let found = Version::of_running_tag(tag).map(|v| v.as_str());
            assert_eq!(found, version, "{tag}");
        }
        let error = Version::of_whole_tag("20260115").expect_err("a number alone");
        assert_eq!(
            error.to_string(),
            "expected a version with a dot or a leading `v`, as the tag says nothing else, found `20260115`"
        );
    }

    #[test]
    fn dotted_numbers_are_found_anywhere() {
        for text in ["release-1.9.0", "1.9", "x_2.0_y"] {
            assert!(has_dotted_numbers(text), "{text}");
        }
        for text in ["latest", "20260115", "1.", ".9", "v.1-a.b", ""] {
            assert!(!has_dotted_numbers(text), "{text}");
        }
    }
}
