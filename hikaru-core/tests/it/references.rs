//! Image references against distribution/reference itself: what it says of each input of its own tests and of ours
//! (tests/data/references, with how the table was made).

use hikaru_core::Reference;

/// The input, unquoted.
fn unquoted(text: &str) -> String {
    let inner = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let mut chars = inner.expect("quotes").chars();
    let mut plain = String::new();
    while let Some(c) = chars.next() {
        plain.push(match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some(c @ ('"' | '\\')) => c,
                other => panic!("an escape of Go or JSON, found {other:?} in {text}"),
            },
            (c, false) => c,
        });
    }
    plain
}

fn check(table: &str) -> (usize, usize) {
    let mut counts = (0, 0);
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let (input, expected) = line.split_once('\t').expect("two columns");
        let input = unquoted(input);
        // Text before the first slash that looks like a host but is none (`a.b_c/web`) becomes part of the path there,
        // with an empty domain: a repository of no registry, which nobody could pull from. Here it is refused.
        let expected = if expected.starts_with('\t') {
            "refused"
        } else {
            expected
        };
        let found = match Reference::parse(&input) {
            Err(_) => "refused".to_owned(),
            Ok(read) => [
                read.repository().registry(),
                &read.repository().path(),
                read.tag().unwrap_or("-"),
                read.digest().unwrap_or("-"),
            ]
            .join("\t"),
        };
        assert_eq!(found, expected, "{input:?}");
        match expected {
            "refused" => counts.1 += 1,
            _ => counts.0 += 1,
        }
    }
    counts
}

#[test]
fn references_are_read_as_distribution_reads_them() {
    let (accepted, refused) = check(include_str!("../data/references/references.tsv"));
    assert!(accepted > 200 && refused > 100, "{accepted} and {refused}");
}
