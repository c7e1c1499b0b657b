//! The identity of a build: owner, repo and branch, joined by `_` into one text that can be cut in several ways.

use std::fmt;

use super::{Segment, TagError};
use crate::text::{escape::Escaped, excerpt::Excerpt};

/// The longest value of a label, in bytes (Kubernetes).
pub(crate) const LABEL_LONGEST: usize = 63;

/// Which of owner, repo and branch a format has, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IdentityFields([Option<Segment>; 3]);

impl IdentityFields {
    /// Owner, repo, branch: the default format's.
    pub const ALL: Self = Self([
        Some(Segment::Owner),
        Some(Segment::Repo),
        Some(Segment::Branch),
    ]);
    /// None of them: a tag of such a format can be anybody's.
    pub const NONE: Self = Self([None; 3]);

    /// How many there are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// In the format's order.
    pub fn iter(&self) -> impl Iterator<Item = Segment> + use<> {
        self.0.into_iter().flatten()
    }

    pub(super) fn push(&mut self, segment: Segment) {
        let len = self.len();
        if let Some(place) = self.0.get_mut(len) {
            *place = Some(segment);
        }
    }
}

impl fmt::Display for IdentityFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, segment) in self.iter().enumerate() {
            let joint = if i == 0 { "" } else { "_" };
            write!(f, "{joint}{segment}")?;
        }
        Ok(())
    }
}

/// One way to cut an identity. A field that the format lacks is not there. One trailing `.git` of the repo is dropped
/// when it is made, and no more.
///
/// ```
/// use hikaru_core::image::Reading;
/// let reading = Reading::new(Some("acme"), Some("web.git"), None);
/// assert_eq!(reading.repo, Some("web"));
/// assert_eq!(reading.to_string(), "owner acme, repo web");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Reading<'t> {
    /// Who owns the source repository.
    pub owner: Option<&'t str>,
    /// The source repository's name, without a trailing `.git`.
    pub repo: Option<&'t str>,
    /// The branch.
    pub branch: Option<&'t str>,
}

impl<'t> Reading<'t> {
    /// Owner, repo and branch as labels have them; a trailing `.git` of the repo is dropped.
    pub fn new(owner: Option<&'t str>, repo: Option<&'t str>, branch: Option<&'t str>) -> Self {
        Self {
            owner,
            repo: repo.map(without_git),
            branch,
        }
    }

    fn of(segments: IdentityFields, parts: [&'t str; 3]) -> Self {
        let part = |wanted| {
            let place = segments.iter().position(|s| s == wanted)?;
            Some(parts[place])
        };
        Self::new(
            part(Segment::Owner),
            part(Segment::Repo),
            part(Segment::Branch),
        )
    }
}

impl fmt::Display for Reading<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (Segment::Owner, self.owner),
            (Segment::Repo, self.repo),
            (Segment::Branch, self.branch),
        ];
        let mut joint = "";
        for (name, value) in parts {
            if let Some(value) = value {
                write!(f, "{joint}{name} {}", Escaped(value))?;
                joint = ", ";
            }
        }
        Ok(())
    }
}

/// The trailing `.git` that buildgoggles can leave on a repository's name is no part of it.
pub(crate) fn without_git(repo: &str) -> &str {
    repo.strip_suffix(".git").unwrap_or(repo)
}

/// The identity text of a tag, and which fields it is made of.
///
/// ```
/// use hikaru_core::{image::{BuildTag, Reading, TagFormat}};
/// let tag = BuildTag::parse("acme_corp_web_main_1.4.0_7_none", &TagFormat::default())?;
/// let identity = tag.identity();
/// assert_eq!(identity.as_str(), "acme_corp_web_main");
/// // The labels of a workload decide which reading is meant.
/// assert!(identity.names(&Reading::new(Some("acme_corp"), Some("web"), Some("main"))));
/// assert!(!identity.names(&Reading::new(Some("acme_corp"), Some("web"), Some("dev"))));
/// # Ok::<(), hikaru_core::image::TagError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Identity<'t> {
    text: &'t str,
    fields: IdentityFields,
}

impl<'t> Identity<'t> {
    /// Checks that at least one cut gives parts that could be label values, but for their length. Linear in the text.
    pub(super) fn parse(
        text: &'t str,
        fields: IdentityFields,
        at: usize,
    ) -> Result<Self, TagError> {
        let identity = Self { text, fields };
        match identity.fault() {
            None => Ok(identity),
            Some((segment, expected, offset)) => Err(TagError::Identity {
                segments: fields,
                segment,
                expected,
                found: Excerpt::at(text, offset),
                at: at + offset,
            }),
        }
    }

    /// What keeps it from being cut: which segment, what is expected, at which byte.
    fn fault(&self) -> Option<(Option<Segment>, &'static str, usize)> {
        let bytes = self.text.as_bytes();
        let fields = self.fields.len();
        if fields == 0 {
            return (!bytes.is_empty()).then_some((None, "nothing", 0));
        }
        // As many pieces as fields: there is one way to cut, so the segment can be named.
        let separators = bytes.iter().filter(|b| **b == b'_').count();
        if separators + 1 == fields {
            let mut at = 0;
            for (segment, part) in self.fields.iter().zip(bytes.split(|b| *b == b'_')) {
                if let Some((expected, offset)) = part_fault(part) {
                    return Some((Some(segment), expected, at + offset));
                }
                at += part.len() + 1;
            }
            return None;
        }
        if let Some((expected, offset)) = part_fault(bytes) {
            return Some((None, expected, offset));
        }
        let cuts = bytes.windows(3).filter(|around| is_cut(around, 1)).count();
        let few = "more parts joined by `_`, each with a letter or digit first and last";
        (cuts + 1 < fields).then_some((None, few, 0))
    }

    /// The text, `acme_web_main`.
    pub fn as_str(&self) -> &'t str {
        self.text
    }

    /// Which fields the text is made of.
    pub fn fields(&self) -> IdentityFields {
        self.fields
    }

    /// The ways to cut it, leftmost cuts first.
    pub fn readings(&self) -> Readings<'t> {
        Readings {
            identity: *self,
            cuts: match self.fields.len() {
                0 | 1 => [None, None],
                2 => [Some(0), None],
                _ => [Some(0), Some(0)],
            },
            done: false,
        }
    }

    /// That no workload can match, if so: each reading has a part that is longer than a label's value may be. Such an
    /// identity is well-formed all the same.
    ///
    /// ```
    /// use hikaru_core::{image::{BuildTag, TagFormat}};
    /// let tag = format!("acme_web_{}_1.4.0_7_none", "x".repeat(64));
    /// let tag = BuildTag::parse(&tag, &TagFormat::default())?;
    /// assert!(tag.identity().too_long().is_some());
    /// # Ok::<(), hikaru_core::image::TagError>(())
    /// ```
    pub fn too_long(&self) -> Option<TooLong> {
        if self.text.len() <= LABEL_LONGEST {
            return None;
        }
        let fits = |part: Option<&str>| part.is_none_or(|part| part.len() <= LABEL_LONGEST);
        let one_fits = self
            .readings()
            .any(|reading| fits(reading.owner) && fits(reading.repo) && fits(reading.branch));
        (!one_fits).then(|| TooLong {
            identity: Excerpt::of(self.text),
        })
    }

    /// Whether labels with these values, joined in the format's order, give this text. A trailing `.git` of the repo
    /// does not count, on neither side; fields that the format lacks do not either.
    pub fn names(&self, reading: &Reading<'_>) -> bool {
        let mut forms = [self.text, self.text].map(Some);
        for (i, segment) in self.fields.iter().enumerate() {
            let (value, git) = match segment {
                Segment::Owner => (reading.owner, ""),
                Segment::Repo => (reading.repo, ".git"),
                _ => (reading.branch, ""),
            };
            let Some(value) = value.filter(|value| !value.is_empty()) else {
                return false;
            };
            // Two forms of the text are followed: with the repo as it is, and with the `.git` it may carry. A repo that
            // still ends so carries another one in the text.
            if !git.is_empty() && value.ends_with(git) {
                forms[0] = None;
            }
            for (form, suffix) in forms.iter_mut().zip(["", git]) {
                *form = form
                    .and_then(|rest| {
                        if i == 0 {
                            Some(rest)
                        } else {
                            rest.strip_prefix('_')
                        }
                    })
                    .and_then(|rest| rest.strip_prefix(value))
                    .and_then(|rest| rest.strip_prefix(suffix));
            }
        }
        forms.contains(&Some(""))
    }
}

/// What keeps a text from being a label value, its length aside (Kubernetes): what is expected, at which byte.
fn part_fault(bytes: &[u8]) -> Option<(&'static str, usize)> {
    if let Some(at) = bytes.iter().position(|b| !is_label_byte(*b)) {
        return Some(("letters, digits, `-`, `_` or `.`", at));
    }
    let alnum = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    if !alnum(bytes.first()) {
        Some(("a letter or digit first", 0))
    } else if !alnum(bytes.last()) {
        Some(("a letter or digit last", bytes.len() - 1))
    } else {
        None
    }
}

/// Why no workload can match an identity: see [`Identity::too_long`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooLong {
    identity: Excerpt,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no workload can be labeled so: however {} is cut, a part is longer than the {LABEL_LONGEST} bytes of a label's value",
            self.identity
        )
    }
}

fn is_label_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')
}

/// Whether an identity may be cut here: at a `_` with a letter or digit on both sides, as label values begin and end.
fn is_cut(bytes: &[u8], at: usize) -> bool {
    let alnum = |i: usize| bytes.get(i).is_some_and(u8::is_ascii_alphanumeric);
    bytes[at] == b'_' && at.checked_sub(1).is_some_and(alnum) && alnum(at + 1)
}

/// The readings of an identity: see [`BuildTag::readings`](super::BuildTag::readings).
///
/// ```
/// use hikaru_core::{image::{BuildTag, TagFormat}};
/// let tag = BuildTag::parse("a_b_c_d_1.4.0_7_none", &TagFormat::default())?;
/// let branches: Vec<_> = tag.readings().filter_map(|reading| reading.branch).collect();
/// assert_eq!(branches, ["c_d", "d", "d"]);
/// # Ok::<(), hikaru_core::image::TagError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Readings<'t> {
    identity: Identity<'t>,
    /// Where to look for the next pair of cuts.
    cuts: [Option<usize>; 2],
    done: bool,
}

impl Readings<'_> {
    fn cut_from(&self, from: usize) -> Option<usize> {
        let bytes = self.identity.text.as_bytes();
        (from..bytes.len()).find(|i| is_cut(bytes, *i))
    }
}

impl<'t> Iterator for Readings<'t> {
    type Item = Reading<'t>;

    fn next(&mut self) -> Option<Reading<'t>> {
        if self.done {
            return None;
        }
        let text = self.identity.text;
        let reading = |parts| Some(Reading::of(self.identity.fields, parts));
        match self.cuts {
            [None, _] => {
                self.done = true;
                reading([text, "", ""])
            }
            [Some(from), None] => {
                let Some(cut) = self.cut_from(from) else {
                    self.done = true;
                    return None;
                };
                self.cuts = [Some(cut + 1), None];
                reading([&text[..cut], &text[cut + 1..], ""])
            }
            [Some(mut from), Some(mut second_from)] => loop {
                let Some(first) = self.cut_from(from) else {
                    self.done = true;
                    return None;
                };
                match self.cut_from(second_from.max(first + 1)) {
                    Some(second) => {
                        self.cuts = [Some(first), Some(second + 1)];
                        let parts = [
                            &text[..first],
                            &text[first + 1..second],
                            &text[second + 1..],
                        ];
                        return reading(parts);
                    }
                    None => (from, second_from) = (first + 1, 0),
                }
            },
        }
    }
}
