//! Checks of what stands in `.rs` files, and of their names.

use super::code::{Word, modules_of_std, words};
use super::tree::Text;
use super::{Offense, Tree};

const MOST_LINES: usize = 600;

/// Names that say nothing. If a thing has no room, its concept is missing.
const EMPTY_NAMES: [&str; 4] = ["utils", "common", "types", "helpers"];

/// Crates that read or write YAML, as Cargo writes them.
const YAML: [&str; 3] = ["granit-parser", "serde_yaml", "serde-saphyr"];

fn at(source: &Text, line: usize) -> String {
    format!("{}:{line}", source.path)
}

pub(super) fn core_does_no_io(tree: &Tree) -> Vec<Offense> {
    let core = tree
        .sources
        .iter()
        .filter(|source| source.path.starts_with("hikaru-core/src/"));
    let used = core.flat_map(|source| {
        modules_of_std(&words(&source.text))
            .into_iter()
            .map(move |word| (source, word))
    });
    used.filter(|(_, word)| ["fs", "net", "env", "process"].contains(&word.text.as_str()))
        .map(|(source, word)| {
            Offense::new(
                at(source, word.line),
                format!("hikaru-core uses std::{}", word.text),
            )
        })
        .collect()
}

pub(super) fn yaml_has_one_place(tree: &Tree) -> Vec<Offense> {
    let mut offenses = Vec::new();
    for package in tree
        .packages
        .iter()
        .filter(|package| package.name != "hikaru-k8s")
    {
        for dependency in package
            .dependencies
            .iter()
            .filter(|dependency| YAML.contains(&dependency.name.as_str()))
        {
            let what = format!("{} must not depend on {}", package.name, dependency.name);
            offenses.push(Offense::new(package.place(&dependency.name), what));
        }
    }
    let module =
        |path: &str| path == "hikaru-k8s/src/yaml.rs" || path.starts_with("hikaru-k8s/src/yaml/");
    for source in tree
        .sources
        .iter()
        .filter(|source| source.path.contains("/src/") && !module(&source.path))
    {
        for word in words(&source.text) {
            if YAML.iter().any(|name| name.replace('-', "_") == word.text) {
                let what = format!("{} is used outside hikaru-k8s/src/yaml", word.text);
                offenses.push(Offense::new(at(source, word.line), what));
            }
        }
    }
    offenses
}

pub(super) fn files_are_short(tree: &Tree) -> Vec<Offense> {
    let counted = tree
        .sources
        .iter()
        .map(|source| (source, source.text.lines().count()));
    let long = counted.filter(|(_, lines)| *lines > MOST_LINES);
    long.map(|(source, lines)| {
        Offense::new(
            at(source, MOST_LINES + 1),
            format!("{lines} lines, at most {MOST_LINES}"),
        )
    })
    .collect()
}

pub(super) fn files_say_what_they_hold(tree: &Tree) -> Vec<Offense> {
    let silent = tree.sources.iter().filter(|source| {
        let said = source
            .text
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("//!"));
        said.is_none_or(|said| said.trim().is_empty())
    });
    silent
        .map(|source| Offense::new(at(source, 1), "does not open with `//!` and a sentence"))
        .collect()
}

pub(super) fn nothing_is_left_out(tree: &Tree) -> Vec<Offense> {
    let mut offenses = Vec::new();
    for source in &tree.sources {
        let words = words(&source.text);
        for pair in words.windows(2) {
            let is_macro =
                ["todo", "unimplemented"].contains(&pair[0].text.as_str()) && pair[1].text == "!";
            if is_macro {
                offenses.push(Offense::new(
                    at(source, pair[0].line),
                    format!("{}!", pair[0].text),
                ));
            }
        }
        for word in ignore_attributes(&words) {
            offenses.push(Offense::new(at(source, word.line), "#[ignore]"));
        }
        for (index, line) in source.text.lines().enumerate() {
            let doc = ["///", "//!"]
                .iter()
                .find_map(|start| line.trim_start().strip_prefix(start));
            let fence = doc.and_then(|doc| doc.trim_start().strip_prefix("```"));
            if fence.is_some_and(|fence| {
                fence
                    .split(',')
                    .any(|word| word.trim().starts_with("ignore"))
            }) {
                offenses.push(Offense::new(at(source, index + 1), "an ignored doc test"));
            }
        }
    }
    offenses
}

/// The word `ignore` in attributes: `#[ignore]`, `#[ignore = "…"]`, `#[cfg_attr(…, ignore)]`.
fn ignore_attributes(words: &[Word]) -> Vec<&Word> {
    let mut found = Vec::new();
    for (at, pair) in words.windows(2).enumerate() {
        if pair[0].text != "#" || pair[1].text != "[" {
            continue;
        }
        let mut depth = 0_usize;
        for word in &words[at + 1..] {
            match word.text.as_str() {
                "[" => depth += 1,
                "]" => depth -= 1,
                "ignore" => found.push(word),
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    found
}

pub(super) fn names_say_something(tree: &Tree) -> Vec<Offense> {
    let empty = tree.sources.iter().filter_map(|source| {
        let mut parts = source
            .path
            .split('/')
            .map(|part| part.strip_suffix(".rs").unwrap_or(part));
        Some((source, parts.find(|part| EMPTY_NAMES.contains(part))?))
    });
    empty
        .map(|(source, name)| Offense::new(&source.path, format!("the name {name} says nothing")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tree::planted::{package, packages, said, sources};
    use super::*;

    fn check(check: fn(&Tree) -> Vec<Offense>, files: &[(&str, &str)], expected: &[&str]) {
        assert_eq!(said(check(&sources(files))), expected);
    }

    #[test]
    fn io_in_the_core_is_seen() {
        check(
            core_does_no_io,
            &[
                (
                    "hikaru-core/src/plan.rs",
                    "//! x\nuse std::{fmt, fs};\nfn f() { std::env::var(\"A\"); }\n",
                ),
                (
                    "hikaru-core/src/tag.rs",
                    "//! Not std::fs.\nconst A: &str = \"std::net\";\nenv!(\"A\");\n",
                ),
                ("hikaru-core/tests/it/main.rs", "use std::fs;\n"),
                ("hikaru-k8s/src/lib.rs", "use std::fs;\n"),
            ],
            &[
                "hikaru-core/src/plan.rs:2: hikaru-core uses std::fs",
                "hikaru-core/src/plan.rs:3: hikaru-core uses std::env",
            ],
        );
    }

    #[test]
    fn yaml_elsewhere_is_seen() {
        check(
            yaml_has_one_place,
            &[
                ("hikaru-k8s/src/yaml.rs", "use granit_parser::Parser;\n"),
                ("hikaru-k8s/src/yaml/edit.rs", "use serde_yaml::Value;\n"),
                (
                    "hikaru-k8s/src/folder.rs",
                    "// serde_yaml\nuse granit_parser::Parser;\n",
                ),
                ("hikaru-k8s/tests/it/main.rs", "use serde_yaml::Value;\n"),
                ("hikaru-bin/src/main.rs", "use serde_saphyr as y;\n"),
            ],
            &[
                "hikaru-bin/src/main.rs:1: serde_saphyr is used outside hikaru-k8s/src/yaml",
                "hikaru-k8s/src/folder.rs:2: granit_parser is used outside hikaru-k8s/src/yaml",
            ],
        );
        let tree = packages(vec![
            package("hikaru-k8s", &["granit-parser"]),
            package("hikaru-http", &["serde_yaml"]),
        ]);
        let expected = "hikaru-http/Cargo.toml:8: hikaru-http must not depend on serde_yaml";
        assert_eq!(said(yaml_has_one_place(&tree)), [expected]);
    }

    #[test]
    fn long_files_are_seen() {
        let (fits, long) = ("//\n".repeat(600), "//\n".repeat(601));
        check(
            files_are_short,
            &[("a.rs", &fits), ("b.rs", &long)],
            &["b.rs:601: 601 lines, at most 600"],
        );
    }

    #[test]
    fn files_without_a_heading_are_seen() {
        let expected = [
            "b.rs:1: does not open with `//!` and a sentence",
            "c.rs:1: does not open with `//!` and a sentence",
        ];
        check(
            files_say_what_they_hold,
            &[
                ("a.rs", "//! Words.\n"),
                ("b.rs", "// x\n//! Late.\n"),
                ("c.rs", "//!\n"),
            ],
            &expected,
        );
    }

    #[test]
    fn what_is_left_out_is_seen() {
        check(
            nothing_is_left_out,
            &[
                (
                    "a.rs",
                    "//! x\nfn f() { todo!() }\n#[test]\n#[ignore]\nfn g() { unimplemented!(\"x\") }\n",
                ),
                (
                    "b.rs",
                    "#[cfg_attr(unix, ignore = \"slow\")]\n/// ```rust,ignore\n/// ```\nfn f() {}\n",
                ),
                (
                    "c.rs",
                    "// todo!() #[ignore]\nlet ignore = \"#[ignore]\"; let x = [ignore]; fn todo() {}\n/// ```text\n",
                ),
            ],
            &[
                "a.rs:2: todo!",
                "a.rs:4: #[ignore]",
                "a.rs:5: unimplemented!",
                "b.rs:1: #[ignore]",
                "b.rs:2: an ignored doc test",
            ],
        );
    }

    #[test]
    fn empty_names_are_seen() {
        check(
            names_say_something,
            &[
                ("a/src/utils.rs", ""),
                ("a/src/common/io.rs", ""),
                ("a/src/commonly.rs", ""),
                ("a/tests/helpers/mod.rs", ""),
            ],
            &[
                "a/src/common/io.rs: the name common says nothing",
                "a/src/utils.rs: the name utils says nothing",
                "a/tests/helpers/mod.rs: the name helpers says nothing",
            ],
        );
    }
}
