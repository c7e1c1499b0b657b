//! docs/faults.md says what the tests play: each test that it names is there, and each row and cell has one.

use std::collections::HashMap;

use super::table::rows;

const DOCUMENT: &str = include_str!("../../../../../docs/faults.md");

/// The text of a file of tests.
fn source(file: &str) -> &'static str {
    match file {
        "faults.rs" => include_str!("../faults.rs"),
        "faults/bounds.rs" => include_str!("bounds.rs"),
        "faults_jobs.rs" => include_str!("../faults_jobs.rs"),
        "faults_jobs/lists.rs" => include_str!("../faults_jobs/lists.rs"),
        "faults_watch.rs" => include_str!("../faults_watch.rs"),
        "rollouts/changes.rs" => include_str!("../rollouts/changes.rs"),
        "rollouts/evidence.rs" => include_str!("../rollouts/evidence.rs"),
        "rollouts/faults.rs" => include_str!("../rollouts/faults.rs"),
        "scripted.rs" => include_str!("../scripted.rs"),
        "scripted_watch.rs" => include_str!("../scripted_watch.rs"),
        "handshakes.rs" => include_str!("../handshakes.rs"),
        other => panic!("docs/faults.md names a file of tests that nobody knows: {other}"),
    }
}

/// `` `file` `name` ``, and whether there is such a test.
#[track_caller]
fn check_test(cell: &str) {
    let parts: Vec<&str> = cell.split('`').collect();
    let ["", file, " ", name, ""] = parts[..] else {
        panic!("docs/faults.md: expected a file and a test, found {cell}");
    };
    let there = source(file).contains(&format!("\n#[tokio::test]\nasync fn {name}() {{"));
    assert!(there, "docs/faults.md: {file} has no test {name}");
}

/// The tables, cell by cell.
fn tables() -> Vec<Vec<Vec<&'static str>>> {
    let mut tables = vec![vec![]];
    for line in DOCUMENT.lines() {
        let cells = line.strip_prefix("| ").and_then(|l| l.strip_suffix(" |"));
        match (cells, tables.last_mut()) {
            (Some(cells), Some(table)) => table.push(cells.split(" | ").collect()),
            (None, Some(table)) if !table.is_empty() && !line.starts_with("|-") => {
                tables.push(vec![]);
            }
            _ => {}
        }
    }
    tables
}

#[test]
fn the_document_names_what_there_is() {
    let tables = tables();
    let [letters, faults, others, ..] = &tables[..] else {
        panic!("docs/faults.md: expected three tables");
    };
    let letters: HashMap<&str, &str> = letters[1..].iter().map(|row| (row[0], row[1])).collect();
    letters.values().for_each(|test| check_test(test));

    let played: Vec<&str> = rows().iter().map(|row| row.name).collect();
    for row in &faults[1..] {
        let elsewhere = ["connection refused"].contains(&row[0]);
        assert!(
            elsewhere || played.contains(&row[0]),
            "nothing plays {}",
            row[0]
        );
        assert_eq!(row.len(), faults[0].len(), "{}", row[0]);
        for cell in &row[1..] {
            let words = cell.split(' ').rev();
            let tests = words.take_while(|w| w.len() == 1 && w.chars().all(char::is_uppercase));
            let tests: Vec<&str> = tests.collect();
            let proved = !tests.is_empty() && tests.iter().all(|test| letters.contains_key(test));
            let excused = cell.starts_with("cannot occur");
            assert!(proved != excused, "{}: {cell}", row[0]);
        }
    }
    for name in played {
        assert!(
            faults.iter().any(|row| row[0] == name),
            "docs/faults.md lacks {name}"
        );
    }
    assert!(others.len() > 10);
    others[1..].iter().for_each(|row| check_test(row[2]));
}
