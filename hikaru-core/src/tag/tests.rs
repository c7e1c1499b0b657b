//! Tables on build tags: what they say, how many readings they have, where reading stops.

use super::*;

/// `version build commit | owner/repo/branch …`, or the error's text.
#[track_caller]
fn check_by(format: &str, tag: &str, expected: &str) {
    let format: TagFormat = format.parse().expect(format);
    let found = match BuildTag::parse(tag, &format) {
        Ok(read) => {
            assert_eq!(read.to_string(), tag, "printing gives the text back");
            let readings: Vec<_> = read
                .readings()
                .map(|r| {
                    assert!(read.identity().names(&r), "{r} names {tag}");
                    let part = |p: Option<&str>| p.unwrap_or("*").to_owned();
                    [part(r.owner), part(r.repo), part(r.branch)].join("/")
                })
                .collect();
            let commit = read.commit().unwrap_or("-");
            format!(
                "{} {} {commit} | {}",
                read.version(),
                read.build(),
                readings.join(" ")
            )
        }
        Err(error) => error.to_string(),
    };
    assert_eq!(found, expected, "{tag}");
}

#[track_caller]
fn check(tag: &str, expected: &str) {
    check_by("o_r_b_v_c_s", tag, expected);
}

#[test]
fn what_a_tag_says() {
    check(
        "acme_web_main_1.4.0_7_0123abcd",
        "1.4.0 7 0123abcd | acme/web/main",
    );
    check(
        "acme_web_main_v1.0.0.0_0_none",
        "v1.0.0.0 0 none | acme/web/main",
    );
    check(
        "a_b_HEAD_1.5.0-rc.1_12_12345678",
        "1.5.0-rc.1 12 12345678 | a/b/HEAD",
    );
    check(
        "a_b_c_d_1.0_1_abcdef0",
        "1.0 1 abcdef0 | a/b/c_d a/b_c/d a_b/c/d",
    );
    check("a_b__c_d_1.0_1_abcdef0", "1.0 1 abcdef0 | a/b__c/d");
    check("a_b.git_c_1.0_1_abcdef0", "1.0 1 abcdef0 | a/b/c");
    check("a_b_c_1.0_007_abcdef0", "1.0 7 abcdef0 | a/b/c");
}

#[test]
fn where_reading_stops() {
    let few = |tag: &str, found: usize| {
        format!(
            "the tag `{tag}` is no build tag: expected 6 or more segments joined by `_` \
             (owner_repo_branch_version_build_commit), found {found}"
        )
    };
    check("latest", &few("latest", 1));
    check("1.2.3_up4", &few("1.2.3_up4", 2));
    check("o_r_1.0_1_abcdef0", &few("o_r_1.0_1_abcdef0", 5));
    check(
        "o_r_b___0123abcd",
        "build: expected digits, found the end at byte 7 of the tag",
    );
    check(
        "o_r_b___slug",
        "commit: expected 7 to 64 lower-case hex digits or `none`, found `slug` at byte 8 of the tag",
    );
    check(
        "o_r_b__7_0123abcd",
        "version: expected a number, found the end at byte 0 (the segment begins at byte 6 of the tag)",
    );
    check(
        "o_r_b_1.0_99999999999999999999_0123abcd",
        "build: expected a number of at most 18446744073709551615, found `99999999999999999999` at byte 10 of the tag",
    );
    check(
        "o_r_b_1.0_7_0123ABCD",
        "commit: expected 7 to 64 lower-case hex digits or `none`, found `0123ABCD` at byte 12 of the tag",
    );
    check(
        "o__b_1.0_7_0123abcd",
        "owner_repo_branch: expected parts joined by `_`, each of letters, digits, `-`, `_` or `.` with a letter or \
         digit first and last, found `o__b` at byte 0 of the tag",
    );
    check(
        "o_r_feature/x_1.0_7_0123abcd",
        "owner_repo_branch: expected parts joined by `_`, each of letters, digits, `-`, `_` or `.` with a letter or \
         digit first and last, found `o_r_feature/x` at byte 0 of the tag",
    );
}

#[test]
fn other_formats() {
    check_by("v", "1.4.2", "1.4.2 0 - | */*/*");
    check_by("v_c_s", "1.4.2_7_abcdef0", "1.4.2 7 abcdef0 | */*/*");
    check_by("b_v_c", "main_x_1.0_3", "1.0 3 - | */*/main_x");
    check_by(
        "s_r_o_v",
        "abcdef0_web_a_c_1.0",
        "1.0 0 abcdef0 | a_c/web/* c/web_a/*",
    );
    check_by(
        "v",
        "1.4.2_7",
        "the tag `1.4.2_7` is no build tag: expected 1 segments joined by `_` (version), found 2",
    );
}

#[test]
fn formats_are_checked_when_they_are_set() {
    for (format, expected) in [
        (
            "o_r_b_c_s",
            "tag format `o_r_b_c_s`: expected a version (v), without which builds have no order",
        ),
        (
            "o_v_r",
            "tag format `o_v_r`: expected owner, repo and branch next to each other, found repo apart from them",
        ),
        ("v_v", "tag format `v_v`: version stands twice"),
        (
            "x_v",
            "tag format `x_v`: expected o, r, b, v, c or s, found `x`",
        ),
        ("", "tag format ``: expected o, r, b, v, c or s, found ``"),
    ] {
        let found = format.parse::<TagFormat>().map_err(|e| e.to_string());
        assert_eq!(found, Err(expected.to_owned()));
    }
}

#[test]
fn git_is_no_part_of_a_repo_on_neither_side() {
    let format = TagFormat::default();
    let names = |tag: &str, owner, repo, branch| {
        let tag = BuildTag::parse(tag, &format).expect("a build tag");
        tag.identity()
            .names(&Reading::new(Some(owner), Some(repo), Some(branch)))
    };
    assert!(names("a_b.git_c_1.0_1_none", "a", "b", "c"));
    assert!(names("a_b_c_1.0_1_none", "a", "b.git", "c"));
    assert!(names("a_b.git_c_1.0_1_none", "a", "b.git", "c"));
    // Not of the owner, nor of the branch.
    assert!(!names("a.git_b_c_1.0_1_none", "a", "b", "c"));
    assert!(!names("a_b_c.git_1.0_1_none", "a", "b", "c"));
    assert!(!names("a_b_c_1.0_1_none", "a", "b", ""));
}

#[test]
fn commits_are_the_same_when_one_begins_the_other() {
    let format = TagFormat::default();
    for (a, b, same) in [
        ("0123abcd", "0123abcd", true),
        ("0123abcd", "0123abcd0123", true),
        ("0123abc", "0123abcd", true),
        ("0123abcd", "1123abcd", false),
        ("none", "none", true),
        ("none", "0123abcd", false),
    ] {
        let (a, b) = (format!("o_r_b_1.0_1_{a}"), format!("o_r_b_1.0_1_{b}"));
        let a = BuildTag::parse(&a, &format).expect("a build tag");
        let b = BuildTag::parse(&b, &format).expect("a build tag");
        assert_eq!((a.same_commit(&b), b.same_commit(&a)), (same, same));
    }
}
