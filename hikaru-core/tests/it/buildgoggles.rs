//! Tags that buildgoggles really made (tests/data/buildgoggles): what is read of them, and which are refused.

use hikaru_core::{Build, BuildTag, Reading, TagFormat, TagFormats};

struct Line {
    case: &'static str,
    format: &'static str,
    names: [&'static str; 3],
    tag: &'static str,
}

fn lines() -> Vec<Line> {
    include_str!("../data/buildgoggles/tags.tsv")
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| match line.split('\t').collect::<Vec<_>>()[..] {
            [case, format, owner, repo, branch, tag] => Line {
                case,
                format,
                names: [owner, repo, branch],
                tag,
            },
            _ => panic!("expected six columns: {line}"),
        })
        .collect()
}

fn default_tags() -> impl Iterator<Item = Line> {
    lines()
        .into_iter()
        .filter(|line| line.format == "o_r_b_v_c_s")
}

#[test]
fn what_git_has_is_among_the_readings_or_the_tag_is_refused() {
    let mut read = Vec::new();
    let mut refused = Vec::new();
    // buildgoggles made up an owner, repo or branch that git does not have.
    let mut misnamed = Vec::new();
    for line in default_tags() {
        let [owner, repo, branch] = line.names.map(Some);
        match BuildTag::parse(line.tag, &TagFormat::default()) {
            Ok(tag)
                if tag
                    .readings()
                    .any(|r| r == Reading::new(owner, repo, branch)) =>
            {
                assert!(tag.identity().names(&Reading::new(owner, repo, branch)));
                read.push(line.case);
            }
            Ok(_) => misnamed.push(line.case),
            Err(error) => refused.push(format!("{}: {error}", line.case)),
        }
    }
    assert!(read.len() >= 30, "{read:?}");
    for case in [
        "plain",
        "underscore-all",
        "detached",
        "dotnet-4-parts",
        "slug-digits",
        "shallow-depth-1-first",
    ] {
        assert!(read.contains(&case), "{case} is read");
    }
    for case in ["no-remote", "http", "scp-other-user", "repo-ends-in-git"] {
        assert!(
            misnamed.contains(&case),
            "{case} is read, but names another source"
        );
    }
    for (case, message) in [
        (
            "slash-branch",
            "found `acme_web_feature/x` at byte 0 of the tag",
        ),
        ("no-commits", "build: expected digits, found the end"),
        (
            "build-metadata",
            "version: expected digits, `.` or `-`, found `+linux`",
        ),
        ("https-password", "expected parts joined by `_`"),
    ] {
        let told = refused
            .iter()
            .any(|r| r.starts_with(&format!("{case}: ")) && r.contains(message));
        assert!(told, "{case}: {message} in {refused:#?}");
    }
}

#[test]
fn each_tag_that_is_read_is_a_build_in_an_image() {
    for line in default_tags() {
        let image = format!("registry.example:5000/acme/web:{}", line.tag);
        let read = BuildTag::parse(line.tag, &TagFormat::default()).is_ok();
        let build = Build::parse(&image, &TagFormats::default());
        assert_eq!(build.is_ok(), read, "{}: {build:?}", line.case);
    }
}

#[test]
fn a_shallow_clone_gives_constant_builds_of_other_commits() {
    let tag = |case: &str| default_tags().find(|l| l.case == case).expect("a case").tag;
    let format = TagFormat::default();
    let first = BuildTag::parse(tag("shallow-depth-1-first"), &format).expect("a tag");
    let second = BuildTag::parse(tag("shallow-depth-1-second"), &format).expect("a tag");
    assert_eq!(first.precedence(), second.precedence());
    assert!(!first.same_commit(&second));
    let full = BuildTag::parse(tag("full-second"), &format).expect("a tag");
    assert!(full.precedence() > first.precedence());
}
