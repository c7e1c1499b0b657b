//! The binding of a token of a CI to what it may deploy: the images that were built from its own repository, at its own branch and
//! commit. What the claims of a token say is read at the edge.

use std::fmt;

use crate::{
    Text,
    image::{BuildTag, Reading},
    text::excerpt::Cut,
};

/// The longest name that GitLab keeps of a branch where it stands in a name.
const SLUG: usize = 63;

/// The source that a token was issued for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Binding {
    /// Who owns the source repository. Where owners are within owners, as the subgroups of GitLab are, with the outer ones: `acme/team`.
    pub owner: Text,
    /// The source repository's name.
    pub repo: Text,
    /// The branch, as git has it: `feature/new-cart`. `None`: any; then the caller's identities narrow it.
    pub branch: Option<Text>,
    /// Whether the slug that GitLab makes of the branch stands for it, too. It does not tell `Main` from `main`.
    pub has_slug: bool,
    /// The whole commit, in hexadecimal digits. `None`: any.
    pub commit: Option<Text>,
}

/// Why an image is not built from the source that a token was issued for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotBound {
    /// The tag names another source.
    #[error("the token is for {binding}, and the tag is of {found}{why}")]
    Source {
        /// What the token is for.
        binding: String,
        /// What the tag says.
        found: String,
        /// More about it.
        why: &'static str,
    },
    /// The tag names another commit, or none.
    #[error("the token is for the commit {expected}, and the tag is of {found}")]
    Commit {
        /// The token's.
        expected: String,
        /// The tag's.
        found: String,
    },
}

impl Binding {
    /// Of this source, at any commit.
    pub fn new(owner: impl Into<Text>, repo: impl Into<Text>, branch: impl Into<Text>) -> Self {
        Self {
            owner: owner.into(),
            repo: repo.into(),
            branch: Some(branch.into()),
            has_slug: false,
            commit: None,
        }
    }

    fn reading(&self) -> Reading<'_> {
        Reading::new(Some(&self.owner), Some(&self.repo), self.branch.as_deref())
    }

    /// Whether labels name the source. The case of owner and repo does not matter, that of the branch does; `-`, `_` and `.` stand for
    /// the `/` of an owner, and for what a tag cannot hold of a branch. A label that is not there does not fit.
    pub fn fits(&self, labels: &Reading<'_>) -> bool {
        self.agrees(labels, false)
    }

    /// The same, where a part that is `None` fits as `missing` says.
    fn agrees(&self, reading: &Reading<'_>, missing: bool) -> bool {
        let repo = Reading::new(None, Some(&self.repo), None).repo;
        let is_repo = |found: &str| repo.is_some_and(|own| found.eq_ignore_ascii_case(own));
        let is_own = |found: &str, own: &str| self.is_branch(found, own);
        let branch = self.branch.as_deref();
        let is_branch = |found: &str| branch.is_none_or(|own| is_own(found, own));
        reading
            .owner
            .map_or(missing, |found| is_owner(found, &self.owner))
            && reading.repo.map_or(missing, is_repo)
            && reading.branch.map_or(missing, is_branch)
    }

    /// Whether a label, or a part of a tag, stands for a branch: it is the branch, or has `-`, `_` or `.` for each character that a tag
    /// cannot hold, or is the slug.
    fn is_branch(&self, label: &str, branch: &str) -> bool {
        let stands_for = |(label, branch): (char, char)| match branch {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => label == branch,
            _ => matches!(label, '-' | '_' | '.'),
        };
        let is_written = label.chars().count() == branch.chars().count()
            && label.chars().zip(branch.chars()).all(stands_for);
        is_written || (self.has_slug && is_slug(label, branch))
    }

    /// Checks that a tag is of the source and the commit. A field that the tag's format lacks says nothing of it.
    ///
    /// # Errors
    /// When it is not: with what was compared.
    ///
    /// ```
    /// use hikaru_core::{caller::Binding, image::{BuildTag, TagFormat}};
    /// let mut binding = Binding::new("Acme", "shop", "feature/cart");
    /// binding.commit = Some("0123abcd0123abcd0123abcd0123abcd0123abcd".into());
    /// let tag = |text| BuildTag::parse(text, &TagFormat::default()).unwrap();
    /// assert_eq!(binding.check(&tag("acme_shop_feature-cart_1.4.0_7_0123abcd")), Ok(()));
    /// let refused = binding.check(&tag("acme_shop_main_1.4.0_7_0123abcd")).unwrap_err();
    /// assert_eq!(
    ///     refused.to_string(),
    ///     "the token is for owner Acme, repo shop, branch feature/cart, and the tag is of owner acme, repo shop, branch main",
    /// );
    /// ```
    pub fn check(&self, tag: &BuildTag<'_>) -> Result<(), NotBound> {
        let own = self.reading();
        let mut readings = tag.readings();
        let is_own = readings.any(|reading| self.agrees(&reading, true));
        if !is_own {
            let is_detached = tag.readings().any(|reading| reading.branch == Some("HEAD"));
            let why = match is_detached {
                true => {
                    " (HEAD is what git says of a detached checkout: CI has to check the branch out before the image is tagged)"
                }
                false => "",
            };
            let first = tag.readings().next().map(|reading| reading.to_string());
            let found = match (first, tag.readings().count()) {
                (Some(first), 0..=1) => first,
                _ => format!("{}, however it is read", tag.identity().as_str()),
            };
            return Err(NotBound::Source {
                binding: own.to_string(),
                found,
                why,
            });
        }
        match (&self.commit, tag.commit()) {
            (Some(expected), Some(found)) if !expected.starts_with(found) => {
                Err(NotBound::Commit {
                    expected: Cut(expected).to_string(),
                    found: Cut(found).to_string(),
                })
            }
            (Some(expected), None) => Err(NotBound::Commit {
                expected: Cut(expected).to_string(),
                found: "no commit".to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.reading())
    }
}

/// Whether a label, or a part of a tag, stands for an owner: it is the owner, or has `-`, `_` or `.` for each `/`.
fn is_owner(label: &str, owner: &str) -> bool {
    let stands_for = |(label, owner): (u8, u8)| match owner {
        b'/' => matches!(label, b'-' | b'_' | b'.'),
        _ => label.eq_ignore_ascii_case(&owner),
    };
    label.len() == owner.len() && label.bytes().zip(owner.bytes()).all(stands_for)
}

/// Whether a label is GitLab's slug of a branch. A slug is in lower case and trimmed, so it does not count where it differs in nothing
/// else: a developer who may push `MAIN` or `main!`, and not `main`, could deploy what `main` does.
fn is_slug(label: &str, branch: &str) -> bool {
    let lower = branch.to_lowercase();
    let trimmed = lower.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    label == slug(branch) && label != trimmed
}

/// `CI_COMMIT_REF_SLUG` of GitLab: lower case, at most 63 bytes, all but letters and digits as `-`, none at the ends.
fn slug(branch: &str) -> String {
    let lower = branch.to_lowercase();
    let plain = |c: char| match c {
        'a'..='z' | '0'..='9' => c,
        _ => '-',
    };
    let slug: String = lower.chars().map(plain).take(SLUG).collect();
    slug.trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::TagFormat;

    #[test]
    fn what_stands_for_a_branch() {
        let plain = Binding::new("acme", "shop", "main");
        let mut slugged = plain.clone();
        slugged.has_slug = true;
        // As it is written, and where the slug counts, too.
        for (label, branch, is_written, is_either) in [
            ("", "\u{65e5}\u{672c}", false, false), // its slug is empty
            ("main", "main", true, true),
            ("Main", "main", false, false),
            ("main", "Main", false, false), // a slug that differs in nothing else
            ("main", "main!", false, false),
            ("main", "-main-", false, false),
            ("kube", "\u{212a}ube", false, false), // a Kelvin sign, which is a k in lower case
            ("release-1-4", "release-1.4", false, true),
            ("feature-x", "feature/x", true, true),
            ("feature_x", "feature/x", true, true),
            ("feature.x", "feature/x", true, true),
            ("featureax", "feature/x", false, false),
            ("feature-x", "feature_x", false, true),
            ("feature.x", "feature-x", false, false),
            ("feature--x", "feature/x", false, false),
            ("a-b-c", "a/b#c", true, true),
            ("gr--e", "gr\u{fc}\u{df}e", true, true),
            ("123-add-cart", "123-Add/cart!", false, true),
            ("123-Add-cart-", "123-Add/cart!", true, true),
            ("", "", true, true),
            ("main", "", false, false),
            ("", "main", false, false),
        ] {
            assert_eq!(
                plain.is_branch(label, branch),
                is_written,
                "{label} {branch}"
            );
            assert_eq!(
                slugged.is_branch(label, branch),
                is_either,
                "{label} {branch}"
            );
        }
        let long = "x".repeat(70);
        assert!(slugged.is_branch(&long[..63], &long));
        assert!(slugged.is_branch(&long[..63], &format!("{}-y", &long[..63])));
        assert!(!slugged.is_branch(&long[..62], &long));
        assert!(!plain.is_branch(&long[..63], &long));
    }

    #[test]
    fn what_stands_for_an_owner() {
        for (label, owner, expected) in [
            ("acme", "acme", true),
            ("Acme", "aCME", true),
            ("acme-team", "acme/team", true),
            ("acme_team", "acme/team", true),
            ("Acme.Team", "acme/team", true),
            ("acme.team-a", "acme/team/a", true),
            ("acme/team", "acme/team", false),
            ("acmeteam", "acme/team", false),
            ("acme--team", "acme/team", false),
            ("acme-team", "acme_team", false),
            ("acme", "acme/team", false),
            ("team", "acme/team", false),
        ] {
            assert_eq!(is_owner(label, owner), expected, "{label} {owner}");
        }
        let binding = Binding::new("acme/team", "shop", "main");
        assert_eq!(check(&binding, "acme-team_shop_main_1.4.0_7_none"), "fits");
        assert_eq!(check(&binding, "acme_team_shop_main_1.4.0_7_none"), "fits");
        let labels = |owner, repo| Reading::new(Some(owner), Some(repo), Some("main"));
        assert!(binding.fits(&labels("acme_team", "shop")));
        assert!(!binding.fits(&labels("acme", "team_shop")));
    }

    fn check(binding: &Binding, tag: &str) -> String {
        let tag = BuildTag::parse(tag, &TagFormat::default()).expect(tag);
        match binding.check(&tag) {
            Ok(()) => "fits".to_owned(),
            Err(refused) => refused.to_string(),
        }
    }

    #[test]
    fn a_tag_of_another_source_is_refused() {
        let binding = Binding::new("acme", "my_service", "main");
        for (tag, expected) in [
            ("acme_my_service_main_1.4.0_7_0123abcd", "fits"),
            ("ACME_My_Service_main_1.4.0_7_none", "fits"),
            ("acme_my_service.git_main_1.4.0_7_none", "fits"),
            (
                "acme_other_main_1.4.0_7_none",
                "the token is for owner acme, repo my_service, branch main, and the tag is of owner acme, repo other, branch main",
            ),
            (
                "acme_my_service_HEAD_1.4.0_7_none",
                "the token is for owner acme, repo my_service, branch main, and the tag is of acme_my_service_HEAD, however it is \
                 read (HEAD is what git says of a detached checkout: CI has to check the branch out before the image is tagged)",
            ),
            (
                "acme_my_service_Main_1.4.0_7_none",
                "the token is for owner acme, repo my_service, branch main, and the tag is of acme_my_service_Main, however it is \
                 read",
            ),
        ] {
            assert_eq!(check(&binding, tag), expected);
        }
        // The group acme_my with the project service has the same tags, and not the same labels.
        let labels = |owner, repo| Reading::new(Some(owner), Some(repo), Some("main"));
        assert!(binding.fits(&labels("acme", "my_service")));
        assert!(!binding.fits(&labels("acme_my", "service")));
        assert!(!binding.fits(&Reading::new(Some("acme"), None, Some("main"))));
    }

    #[test]
    fn a_field_that_the_format_lacks_says_nothing_against_the_source() {
        let binding = Binding::new("acme/team", "shop", "feature/x");
        for (format, tag, fits) in [
            ("o_r_v_c_s", "acme-team_shop_1.4.0_7_0123abcd", true),
            ("o_r_v_c_s", "acme-team_blog_1.4.0_7_0123abcd", false),
            ("r_b_v_c_s", "shop_feature-x_1.4.0_7_0123abcd", true),
            ("r_b_v_c_s", "shop_main_1.4.0_7_0123abcd", false),
        ] {
            let format: TagFormat = format.parse().expect(format);
            let tag = BuildTag::parse(tag, &format).expect(tag);
            assert_eq!(binding.check(&tag).is_ok(), fits, "{tag:?}");
        }
        // Labels have to be there.
        assert!(!binding.fits(&Reading::new(Some("acme-team"), Some("shop"), None)));
        let any = Binding {
            branch: None,
            ..binding
        };
        assert!(!any.fits(&Reading::new(Some("acme-team"), Some("shop"), None)));
    }

    #[test]
    fn a_tag_of_another_commit_is_refused() {
        let mut binding = Binding::new("acme", "shop", "main");
        binding.commit = Some("0123abcd0123abcd0123abcd0123abcd0123abcd".into());
        assert_eq!(check(&binding, "acme_shop_main_1.4.0_7_0123abcd"), "fits");
        for (commit, found) in [("0123abce", "0123abce"), ("none", "none")] {
            let tag = format!("acme_shop_main_1.4.0_7_{commit}");
            let expected = format!(
                "the token is for the commit 0123abcd0123abcd0123abcd0123abcd0123abcd, and the tag is of {found}"
            );
            assert_eq!(check(&binding, &tag), expected);
        }
        let without: TagFormat = "o_r_b_v".parse().expect("a format");
        let tag = BuildTag::parse("acme_shop_main_1.4.0", &without).expect("a tag");
        assert!(matches!(binding.check(&tag), Err(NotBound::Commit { .. })));
    }
}
