//! `cargo xtask instructions`: the instructions of each operation of the core's bench, beside those in
//! docs/instructions.tsv, the table that is kept from commit to commit.
//!
//! Instructions are stable where times are not, so a change of a percent shows. They are of one toolchain, which the table
//! names; nothing fails by them. That reading is linear is another matter: `linear.rs`, a stage of `cargo xtask test`.

mod callgrind;
pub(crate) mod linear;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;

use crate::workspace::root;
use callgrind::Callgrind;

/// The table, below the workspace's folder.
const TABLE: &str = "docs/instructions.tsv";

/// What keeps instructions from being counted.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The machine has no valgrind.
    NoValgrind,
    /// Something went wrong.
    Failed(String),
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::Failed(message)
    }
}

impl From<Failure> for String {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NoValgrind => {
                "instructions are counted by valgrind, which is not here: install the Debian package valgrind".to_owned()
            }
            Failure::Failed(message) => message,
        }
    }
}

/// Counts, prints the change against the table, and with `keep` writes the table anew.
pub(crate) fn run(keep: bool) -> Result<(), String> {
    let callgrind = Callgrind::of_the_bench()?;
    let path = root().join(TABLE);
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let (kept_by, kept) = read(&kept);
    let toolchain = toolchain(&callgrind)?;
    if !kept.is_empty() && kept_by != toolchain {
        println!("the table is of another toolchain, {kept_by}; this is {toolchain}");
    }
    let mut table = format!("# {toolchain}\noperation\tinstructions\n");
    for line in callgrind.list("operations")? {
        let (name, [few, many]) =
            operation(&line).ok_or_else(|| format!("an operation: {line}"))?;
        let count = |n: u64| callgrind.instructions(&["count", name, &n.to_string()]);
        let instructions = count(many)?.saturating_sub(count(few)?) / (many - few);
        println!(
            "{name:<28} {instructions:>9} {}",
            change(kept.get(name), instructions)
        );
        let _ = writeln!(table, "{name}\t{instructions}");
    }
    if keep {
        std::fs::write(&path, table).map_err(|error| format!("{TABLE}: {error}"))?;
    }
    Ok(())
}

/// A line of the bench: a name and two numbers of repetitions, the first one lower.
fn operation(line: &str) -> Option<(&str, [u64; 2])> {
    let mut columns = line.split('\t');
    let (name, few, many) = (columns.next()?, columns.next()?, columns.next()?);
    let repetitions = [few.parse().ok()?, many.parse().ok()?];
    (repetitions[0] < repetitions[1]).then_some((name, repetitions))
}

/// The toolchain of a table, and its figures.
fn read(table: &str) -> (&str, BTreeMap<&str, u64>) {
    let toolchain = table.lines().find_map(|line| line.strip_prefix("# "));
    let figures = table.lines().filter_map(|line| {
        let (name, instructions) = line.split_once('\t')?;
        Some((name, instructions.parse().ok()?))
    });
    (toolchain.unwrap_or_default(), figures.collect())
}

/// How a figure differs from the one that was kept.
fn change(kept: Option<&u64>, now: u64) -> String {
    match kept {
        None => "new".to_owned(),
        Some(kept) if *kept == now => "=".to_owned(),
        Some(kept) => format!("{:+.1} %", (now as f64 / *kept as f64 - 1.0) * 100.0),
    }
}

/// What the figures depend on beside the sources.
fn toolchain(callgrind: &Callgrind) -> Result<String, String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output();
    let output = output.map_err(|error| format!("rustc -vV: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let line = |start: &str| said.lines().find_map(|line| line.strip_prefix(start));
    Ok(format!(
        "rustc {}, {}, {}",
        line("release: ").unwrap_or("unknown"),
        line("host: ").unwrap_or("unknown"),
        callgrind.version()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_back() {
        let table =
            "# rustc 1.95.0, valgrind-3.19.0\noperation\tinstructions\nread/short\t1200\nplan\t7\n";
        let (toolchain, figures) = read(table);
        assert_eq!(toolchain, "rustc 1.95.0, valgrind-3.19.0");
        assert_eq!(figures, BTreeMap::from([("read/short", 1200), ("plan", 7)]));
        assert_eq!(read(""), ("", BTreeMap::new()));
    }

    #[test]
    fn changes_are_said_in_percent() {
        for (kept, now, expected) in [
            (None, 1, "new"),
            (Some(1000), 1000, "="),
            (Some(1000), 1015, "+1.5 %"),
            (Some(1000), 500, "-50.0 %"),
        ] {
            assert_eq!(change(kept.as_ref(), now), expected);
        }
    }

    #[test]
    fn an_operation_has_a_name_and_two_numbers() {
        assert_eq!(
            operation("read/short\t20\t120"),
            Some(("read/short", [20, 120]))
        );
        for line in ["", "read", "read\t20", "read\t20\tx", "read\t20\t20"] {
            assert_eq!(operation(line), None, "{line}");
        }
    }
}
