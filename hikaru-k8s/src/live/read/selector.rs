//! Label selectors: they find a build's workloads without reading the whole cluster. A selector only narrows; the scope filters its
//! results again.

use std::collections::BTreeSet;

use hikaru_core::{Build, IdentityLabels, Text, image::Segment, workload::IdentityKeys};

/// The longest selector that is put into a URL, in bytes. Proxies take lines of 8 KB; escaping triples some of it.
const LONGEST: usize = 2_500;

/// The longest value of a label, in bytes.
const LABEL: usize = 63;

/// What to ask for to find the workloads that a build is meant for: `owner in (…),repo in (…),branch in (…)` over all
/// readings of its tag. `None`: no label can have such values, so there are none.
pub(in crate::live) fn of_build(build: &Build, keys: &IdentityKeys) -> Option<String> {
    let [owners, repos, branches] = values(build)?;
    let parts = [
        part(&keys.owner, &owners),
        part(&keys.repo, &repos),
        part(&keys.branch, &branches),
    ];
    let selector = parts.join(",");
    Some(if selector.len() > LONGEST {
        labeled(keys)
    } else {
        selector
    })
}

/// Selectors for near misses: all objects that have the labels at all, and all objects of the repo, in case a label was
/// forgotten.
pub(in crate::live) fn near_build(build: &Build, keys: &IdentityKeys) -> Vec<String> {
    let mut selectors = vec![labeled(keys)];
    if let Some([_, repos, _]) = values(build) {
        let repos = part(&keys.repo, &repos);
        if repos.len() <= LONGEST && repos != *keys.repo {
            selectors.push(repos);
        }
    }
    selectors
}

/// What to ask for to find the workloads that carry the three labels, with these values where some are given. A value that no label
/// can have is not asked for: no workload has it.
pub(in crate::live) fn of_labels(wanted: &IdentityLabels, keys: &IdentityKeys) -> String {
    let is_value = |text: &&str| {
        let inside = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        (1..=LABEL).contains(&text.len()) && text.bytes().all(inside)
    };
    let value = |label: &Option<Text>| -> BTreeSet<String> {
        let label = label.as_deref().filter(is_value);
        label.map(str::to_owned).into_iter().collect()
    };
    let repos = value(&wanted.repo);
    let mut repos: BTreeSet<String> = repos
        .iter()
        .map(|repo| repo.strip_suffix(".git").unwrap_or(repo).to_owned())
        .collect();
    // The other spelling of a repository's name.
    let git: Vec<String> = repos.iter().map(|repo| format!("{repo}.git")).collect();
    repos.extend(git.into_iter().filter(|repo| repo.len() <= LABEL));
    [
        part(&keys.owner, &value(&wanted.owner)),
        part(&keys.repo, &repos),
        part(&keys.branch, &value(&wanted.branch)),
    ]
    .join(",")
}

/// All that have the three labels.
fn labeled(keys: &IdentityKeys) -> String {
    [&*keys.owner, &*keys.repo, &*keys.branch].join(",")
}

/// `key in (a,b)`; without values any will do.
fn part(key: &str, values: &BTreeSet<String>) -> String {
    if values.is_empty() {
        return key.to_owned();
    }
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    format!("{key} in ({})", values.join(","))
}

/// The values that owner, repo and branch can have, over all readings. Empty: the tag does not say. `None`: no reading
/// fits into labels.
fn values(build: &Build) -> Option<[BTreeSet<String>; 3]> {
    let mut values: [BTreeSet<String>; 3] = Default::default();
    let identity = build.tag().identity();
    let fields = identity.fields();
    if fields.iter().next().is_none() {
        return Some(values);
    }
    let mut length = 0;
    for reading in identity.readings() {
        let parts = [reading.owner, reading.repo, reading.branch];
        if parts.iter().flatten().any(|part| part.len() > LABEL) {
            continue;
        }
        for (part, values) in parts.into_iter().zip(&mut values) {
            let Some(part) = part else { continue };
            if values.insert(part.to_owned()) {
                length += part.len();
            }
        }
        if length > LONGEST {
            break;
        }
    }
    // The other spelling of a repository's name.
    let git: Vec<String> = values[1].iter().map(|repo| format!("{repo}.git")).collect();
    values[1].extend(git.into_iter().filter(|repo| repo.len() <= LABEL));
    let complete = fields.iter().all(|field| match field {
        Segment::Owner => !values[0].is_empty(),
        Segment::Repo => !values[1].is_empty(),
        _ => !values[2].is_empty(),
    });
    complete.then_some(values)
}

#[cfg(test)]
mod tests {
    use hikaru_core::TagFormats;

    use super::*;

    #[track_caller]
    fn check(formats: &str, tag: &str, expected: Option<&str>) {
        let formats: TagFormats = formats.parse().expect("formats");
        let build = Build::parse(&format!("web:{tag}"), &formats).expect("a build");
        let selector = of_build(&build, &IdentityKeys::default());
        assert_eq!(selector.as_deref(), expected, "{tag}");
    }

    const DEFAULT: &str = "o_r_b_v_c_s";

    #[test]
    fn every_reading_is_asked_for() {
        check(
            DEFAULT,
            "acme_web_main_1.4.0_7_0123abcd",
            Some("owner in (acme),repo in (web,web.git),branch in (main)"),
        );
        check(
            DEFAULT,
            "a_b_c_d_1.4.0_7_0123abcd",
            Some("owner in (a,a_b),repo in (b,b.git,b_c,b_c.git,c,c.git),branch in (c_d,d)"),
        );
        check(
            DEFAULT,
            "acme_web.git_main_1.4.0_7_0123abcd",
            Some("owner in (acme),repo in (web,web.git),branch in (main)"),
        );
    }

    #[test]
    fn what_no_label_can_hold_is_not_asked_for() {
        let long = "x".repeat(64);
        check(DEFAULT, &format!("{long}_b_c_1.4.0_7_0123abcd"), None);
        check(DEFAULT, &format!("a_{long}_c_d_1.4.0_7_0123abcd"), None);
        let repo = "x".repeat(60);
        check(
            DEFAULT,
            &format!("a_{repo}_c_1.4.0_7_0123abcd"),
            Some(&format!("owner in (a),repo in ({repo}),branch in (c)")),
        );
    }

    #[test]
    fn a_field_that_the_format_lacks_can_be_anything() {
        check(
            "o_r_v",
            "acme_web_1.4.0",
            Some("owner in (acme),repo in (web,web.git),branch"),
        );
        check("v", "1.4.2", Some("owner,repo,branch"));
    }

    #[test]
    fn too_many_readings_are_asked_for_by_keys() {
        let segments = vec!["x"; 48];
        let segments: Vec<String> = (0..segments.len()).map(|i| format!("{}", i % 10)).collect();
        let tag = format!("{}_1.4.0_7_0123abcd", segments.join("_"));
        check(DEFAULT, &tag, Some("owner,repo,branch"));
    }

    #[test]
    fn labels_are_asked_for_as_far_as_a_label_can_have_their_values() {
        let keys = IdentityKeys::default();
        let labels = |owner: &str, repo: &str, branch: &str| {
            let given = |text: &str| Some(text).filter(|text| !text.is_empty()).map(Text::from);
            let mut labels = IdentityLabels::default();
            (labels.owner, labels.repo, labels.branch) = (given(owner), given(repo), given(branch));
            of_labels(&labels, &keys)
        };
        assert_eq!(labels("", "", ""), "owner,repo,branch");
        assert_eq!(labels("acme", "", ""), "owner in (acme),repo,branch");
        assert_eq!(
            labels("acme", "web", "main"),
            "owner in (acme),repo in (web,web.git),branch in (main)"
        );
        assert_eq!(
            labels("", "web.git", ""),
            "owner,repo in (web,web.git),branch"
        );
        assert_eq!(labels("a),b in (c", "w&x", "é"), "owner,repo,branch");
        assert_eq!(labels(&"x".repeat(64), "", ""), "owner,repo,branch");
    }

    #[test]
    fn near_ones_are_labeled_or_of_the_repo() {
        let formats = TagFormats::default();
        let build = Build::parse("web:acme_web_main_1.4.0_7_0123abcd", &formats).expect("a build");
        assert_eq!(
            near_build(&build, &IdentityKeys::default()),
            ["owner,repo,branch", "repo in (web,web.git)"]
        );
    }
}
