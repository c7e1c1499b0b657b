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
    // What Helm writes for `1.2.3+up4`, in a tag of the right length.
    check(
        "o_r_b_1.2.3_up4_0123abcd",
        "build: expected digits, found `up4` at byte 12 of the tag",
    );
    check(
        "o_r_b_1.0_99999999999999999999_0123abcd",
        "build: expected a number of at most 18446744073709551615, found `99999999999999999999` at byte 10 of the tag",
    );
    check(
        "o_r_b_1.0_7_0123ABCD",
        "commit: expected 7 to 64 lower-case hex digits or `none`, found `0123ABCD` at byte 12 of the tag",
    );
    // As many parts as fields: the segment is named.
    check(
        "o__b_1.0_7_0123abcd",
        "repo: expected a letter or digit first, found `_b` at byte 2 of the tag",
    );
    check(
        "o_r-_b_1.0_7_0123abcd",
        "repo: expected a letter or digit last, found `-_b` at byte 3 of the tag",
    );
    check(
        "_r_b_1.0_7_0123abcd",
        "owner: expected a letter or digit first, found `_r_b` at byte 0 of the tag",
    );
    check(
        "o_r__1.0_7_0123abcd",
        "branch: expected a letter or digit first, found the end at byte 4 of the tag",
    );
    check(
        "o_r_feature/x_1.0_7_0123abcd",
        "branch: expected letters, digits, `-`, `_` or `.`, found `/x` at byte 11 of the tag",
    );
    // More: any of them can be meant.
    check(
        "o_r_b_feature/x_1.0_7_0123abcd",
        "owner_repo_branch: expected letters, digits, `-`, `_` or `.`, found `/x` at byte 13 of the tag",
    );
    check(
        "_a_b_c_1.0_7_0123abcd",
        "owner_repo_branch: expected a letter or digit first, found `_a_b_c` at byte 0 of the tag",
    );
    check(
        "a_b_c__1.0_7_0123abcd",
        "owner_repo_branch: expected a letter or digit last, found `_` at byte 5 of the tag",
    );
    check(
        "a__b__c_1.0_7_0123abcd",
        "owner_repo_branch: expected more parts joined by `_`, each with a letter or digit first and last, found \
         `a__b__c` at byte 0 of the tag",
    );
}

#[test]
fn the_segment_where_reading_stops_is_told() {
    let format = TagFormat::default();
    for (tag, segment) in [
        ("latest", None),
        ("o_r_b_x_7_0123abcd", Some(Segment::Version)),
        ("o_r_b_1.0_x_0123abcd", Some(Segment::Build)),
        (
            "o_r_b_1.0_18446744073709551616_0123abcd",
            Some(Segment::Build),
        ),
        ("o_r_b_1.0_7_x", Some(Segment::Commit)),
        ("-_r_b_1.0_7_0123abcd", Some(Segment::Owner)),
        ("o_-_b_1.0_7_0123abcd", Some(Segment::Repo)),
        ("o_r_-_1.0_7_0123abcd", Some(Segment::Branch)),
        ("o_r_b_-_1.0_7_0123abcd", None),
    ] {
        let error = BuildTag::parse(tag, &format).expect_err(tag);
        assert_eq!(error.segment(), segment, "{tag}");
    }
}

#[test]
fn parts_may_be_longer_than_a_label() {
    let long = "x".repeat(64);
    for (identity, can_be_labeled) in [
        (format!("{long}_r_b"), false),
        (format!("o_{long}_b"), false),
        (format!("o_r_{long}"), false),
        (format!("o_r_{}_{}", &long[32..], &long[32..]), true),
        (format!("o_r_{}", &long[1..]), true),
        // Without its .git it is as long as a label may be.
        (format!("o_{}.git_b", &long[1..]), true),
    ] {
        let tag = format!("{identity}_1.0_1_none");
        let read = BuildTag::parse(&tag, &TagFormat::default()).expect("well-formed");
        assert_eq!(
            read.identity().too_long().is_none(),
            can_be_labeled,
            "{tag}"
        );
    }
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
        "ma_mi_p_o_r_b",
        "1_04_2_acme_web_main",
        "1.04.2 0 - | acme/web/main",
    );
    check_by(
        "o_r_b_ma_mi_c_s",
        "acme_web_main_1_4_7_abcdef0",
        "1.4 7 abcdef0 | acme/web/main",
    );
    check_by("miv_p_c", "1.4_2_7", "1.4.2 7 - | */*/*");
    check_by("c_miv", "7_1.4", "1.4 7 - | */*/*");
    check_by("b_ma", "main_16", "16 0 - | */*/main");
    check_by(
        "b_ma_mi_p",
        "main_1_4_2-rc",
        "patch: expected digits, found `-rc` at byte 1 (the segment begins at byte 9 of the tag)",
    );
    check_by(
        "b_ma_mi_p",
        "main_1__2",
        "minor: expected a number, found the end at byte 0 (the segment begins at byte 7 of the tag)",
    );
    check_by(
        "ma_mi_b",
        "v1_4_main",
        "major: expected a number, found `v1` at byte 0 (the segment begins at byte 0 of the tag)",
    );
    for (tag, expected) in [
        ("1", "expected a number, found the end at byte 1"),
        ("1.", "expected a number, found the end at byte 2"),
        ("1.4.2", "expected digits, found `.2` at byte 3"),
        ("1-4", "expected digits or `.`, found `-4` at byte 1"),
        ("1.4-rc", "expected digits, found `-rc` at byte 3"),
    ] {
        let place = "(the segment begins at byte 0 of the tag)";
        check_by("miv", tag, &format!("major.minor: {expected} {place}"));
    }
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
            "tag format `x_v`: expected o, r, b, v, ma, mi, p, miv, c or s, found `x`",
        ),
        (
            "",
            "expected a tag format such as o_r_b_v_c_s, found an empty one",
        ),
        (
            "v__c",
            "tag format `v__c`: expected o, r, b, v, ma, mi, p, miv, c or s, found the end",
        ),
        (
            "v_\x1b[2J",
            "tag format `v_\\u{1b}[2J`: expected o, r, b, v, ma, mi, p, miv, c or s, found `\\u{1b}[2J`",
        ),
        (
            "o_r_b_mi_p",
            "tag format `o_r_b_mi_p`: expected one version, as v, ma_mi_p, ma_mi, ma, miv_p or miv, found minor_patch",
        ),
        (
            "ma_p",
            "tag format `ma_p`: expected one version, as v, ma_mi_p, ma_mi, ma, miv_p or miv, found major_patch",
        ),
        (
            "ma_c_mi",
            "tag format `ma_c_mi`: expected one version, as v, ma_mi_p, ma_mi, ma, miv_p or miv, found major and minor",
        ),
        (
            "ma_b_mi",
            "tag format `ma_b_mi`: expected one version, as v, ma_mi_p, ma_mi, ma, miv_p or miv, found major and minor",
        ),
        (
            "v_b_miv",
            "tag format `v_b_miv`: expected one version, as v, ma_mi_p, ma_mi, ma, miv_p or miv, found version and \
             major.minor",
        ),
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
    // One of them, not all: such a repository has its own tag.
    assert!(names("a_b.git.git_c_1.0_1_none", "a", "b.git.git", "c"));
    assert!(!names("a_b.git.git_c_1.0_1_none", "a", "b.git", "c"));
    assert!(!names("a_b.git_c_1.0_1_none", "a", "b.git.git", "c"));
    assert!(!names("a_b.git.git_c_1.0_1_none", "a", "b", "c"));
    check("a_b.git.git_c_1.0_1_none", "1.0 1 none | a/b.git/c");
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
