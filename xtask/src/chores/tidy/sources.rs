//! Rules about source files, each by itself: their length, their heading, what they include, IO in the core.

use std::path::Path;

use super::imports::{Crate, Source};

/// The crates that others can depend on.
const LIBRARIES: [&str; 3] = ["hikaru-core", "hikaru-k8s", "hikaru-http"];

const MOST_LINES: usize = 600;

/// Reads every `.rs` file below a folder, but for those of hidden folders and of Cargo's output.
pub(super) fn read(root: &Path) -> Result<Vec<Source>, String> {
    let mut folders = vec![root.to_owned()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        let named = |error: std::io::Error| format!("{}: {error}", folder.display());
        for entry in std::fs::read_dir(&folder).map_err(named)? {
            let path = entry.map_err(named)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                folders.push(path);
            } else if name.ends_with(".rs") {
                let text = std::fs::read_to_string(&path).map_err(named)?;
                let below = path.strip_prefix(root).unwrap_or(&path);
                sources.push((below.display().to_string(), text));
            }
        }
    }
    sources.sort();
    Ok(sources)
}

/// What is wrong with the length of a file, its heading, and what it includes.
pub(super) fn offenses((path, text): &Source) -> Vec<String> {
    let mut offenses = Vec::new();
    let mut offend = |what: String| offenses.push(format!("{path}: {what}"));
    let lines = text.lines().count();
    if lines > MOST_LINES {
        offend(format!("{lines} lines, at most {MOST_LINES}"));
    }
    let first = text.lines().next().unwrap_or_default();
    if first
        .strip_prefix("//!")
        .is_none_or(|heading| heading.trim().is_empty())
    {
        offend("does not open with `//!` and what it holds".to_owned());
    }
    let is_shipped = LIBRARIES
        .iter()
        .any(|name| path.starts_with(&format!("{name}/src/")));
    let folders_below_src = path.split('/').count().saturating_sub(3);
    for included in text.split("include_str!(\"").skip(1) {
        let included = included.split('"').next().unwrap_or_default();
        // Of what is outside of `src`, the package has the README alone.
        let is_outside = included.matches("../").count() > folders_below_src;
        if is_shipped && is_outside && included != "../README.md" {
            offend(format!("includes {included}, which is outside of src"));
        }
    }
    offenses
}

/// Uses of those modules of `std` that reach out of the process.
pub(super) fn io(core: &Crate) -> Vec<String> {
    let mut offenses = Vec::new();
    for (file, path) in core.paths() {
        if let [std, module, ..] = path.as_slice()
            && std == "std"
            && ["fs", "net", "env", "process"].contains(&&**module)
        {
            offenses.push(format!("{file}: uses std::{module}"));
        }
    }
    offenses
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, expected: &[&str]) {
        assert_eq!(
            offenses(&(path.to_owned(), text.to_owned())),
            expected,
            "{path}"
        );
    }

    #[test]
    fn a_file_of_601_lines_is_too_long() {
        check("a.rs", &"//! A.\n".repeat(600), &[]);
        check(
            "a.rs",
            &"//! A.\n".repeat(601),
            &["a.rs: 601 lines, at most 600"],
        );
    }

    #[test]
    fn a_heading_is_the_first_line_and_has_words() {
        for text in ["", "//!\n", "// A.\n//! Late.\n"] {
            check(
                "a.rs",
                text,
                &["a.rs: does not open with `//!` and what it holds"],
            );
        }
    }

    #[test]
    fn a_library_includes_nothing_from_outside_of_its_sources() {
        let text = "//! A.\nf(include_str!(\"../../b.md\")); f(include_str!(\"../c.tsv\"))";
        check(
            "hikaru-core/src/a/d.rs",
            text,
            &["hikaru-core/src/a/d.rs: includes ../../b.md, which is outside of src"],
        );
        check("hikaru-core/tests/it/a.rs", text, &[]);
        check("hikaru-core/src/a/d/e.rs", text, &[]);
    }

    #[test]
    fn io_in_the_core_is_found() {
        let sources = [
            ("lib.rs", "mod plan; use std::{fmt, fs};"),
            (
                "plan.rs",
                "fn f() { format!(\"{}\", std::env::var(\"std::net\")); } #[cfg(test)] mod tests { use std::fs; }",
            ),
        ];
        let sources = sources.map(|(path, text)| (path.to_owned(), text.to_owned()));
        let core = Crate::read("", &sources).expect("a crate");
        assert_eq!(
            io(&core),
            ["lib.rs: uses std::fs", "plan.rs: uses std::env"]
        );
    }
}
