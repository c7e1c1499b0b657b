//! Tags that buildgoggles really made (tests/data/buildgoggles): what is read of them, and which are refused.

use hikaru_core::{
    Build, TagFormats,
    image::{BuildTag, Reading, TagFormat},
};

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
            "branch: expected letters, digits, `-`, `_` or `.`, found `/x` at byte 16 of the tag",
        ),
        ("no-commits", "build: expected digits, found the end"),
        (
            "build-metadata",
            "version: expected digits, `.` or `-`, found `+linux`",
        ),
        (
            "https-password",
            "owner: expected letters, digits, `-`, `_` or `.`, found `@github.com",
        ),
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

/// buildgoggles can be told to write other formats; what it writes by one is read by the same.
#[test]
fn tags_of_other_formats_are_read_by_them() {
    let read = |case: &str, format: &str| {
        let mut lines = lines().into_iter();
        let line = lines.find(|line| line.case == case && line.format == format);
        let line = line.unwrap_or_else(|| panic!("{case} by {format}"));
        let format: TagFormat = line.format.parse().expect(format);
        match BuildTag::parse(line.tag, &format) {
            Ok(tag) => format!("{} {}", tag.precedence(), tag.commit().unwrap_or("-")),
            Err(error) => error.to_string(),
        }
    };
    assert_eq!(read("dotnet-4-parts", "ma_mi_p"), "1.0.0_0 -");
    assert_eq!(read("dotnet-4-parts", "miv"), "1.0_0 -");
    assert_eq!(read("two-parts", "ma_mi_p"), "1.5.0_0 -");
    assert_eq!(read("no-commits", "miv"), "0.0_0 -");
    assert!(read("no-commits", "v_c_s").starts_with("version: expected a number, found the end"));
    let mut counts = [0, 0];
    for line in lines() {
        if let Ok(format) = line.format.parse::<TagFormat>() {
            counts[usize::from(BuildTag::parse(line.tag, &format).is_ok())] += 1;
        }
    }
    let [refused, accepted] = counts;
    assert!(accepted > 50 && refused > 10, "{counts:?}");
}

/// The table in docs/tag-grammar.md has the messages that the parser writes.
#[test]
fn the_documented_errors_are_the_real_ones() {
    let docs = include_str!("../../../docs/tag-grammar.md");
    let table = docs.split("## Where reading stops").nth(1);
    let rows = table.expect("the part").lines().filter_map(|line| {
        let (tag, error) = line.strip_prefix("| `")?.split_once("` | ")?;
        Some((tag, error.strip_suffix(" |")?))
    });
    let mut count = 0;
    for (tag, error) in rows {
        let refused = BuildTag::parse(tag, &TagFormat::default()).expect_err(tag);
        assert_eq!(refused.to_string(), error, "{tag}");
        count += 1;
    }
    assert!(count >= 5, "{count} rows");
}
