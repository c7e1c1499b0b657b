//! Image references against distribution/reference itself: what it says of each input of its own tests and of ours
//! (tests/data/references, with how the table was made). oci-spec gives a second opinion.

use hikaru_core::image::Reference;

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

/// A second opinion: what oci-spec says of an input, in the form of the table.
fn second_opinion(input: &str) -> String {
    match input.parse::<oci_spec::distribution::Reference>() {
        Err(_) => "refused".to_owned(),
        Ok(read) => {
            // It makes up the tag `latest` where there is neither tag nor digest.
            let made_up = read.tag() == Some("latest") && !input.contains(":latest");
            let tag = read.tag().filter(|_| !made_up);
            let registry = match read.registry() {
                "index.docker.io" => "docker.io",
                registry => registry,
            };
            let parts = [
                registry,
                read.repository(),
                tag.unwrap_or("-"),
                read.digest().unwrap_or("-"),
            ];
            parts.join("\t")
        }
    }
}

/// What oci-spec 0.10 is known to read differently from distribution/reference. It is no oracle for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum KnownFault {
    /// `A/b`: text with a capital before the first slash is a registry; it takes it for a part of the path.
    CapitalsInAPath,
    /// `[::1]/web` is refused.
    NoIpv6,
    /// 64 hex characters alone, which could be an image's ID, are accepted.
    ImageId,
    /// `busybox:é` is accepted.
    NonAsciiTag,
    /// `sha256:` with capital hex digits is accepted.
    CapitalsInADigest,
}

impl KnownFault {
    fn of(input: &str) -> Option<Self> {
        let first = input.split_once('/').map(|(first, _)| first);
        let capital = |text: &str| text.contains(|c: char| c.is_ascii_uppercase());
        if input.starts_with('[') {
            Some(Self::NoIpv6)
        } else if input.len() == 64 && input.bytes().all(|b| b.is_ascii_hexdigit()) {
            Some(Self::ImageId)
        } else if first.is_some_and(|first| capital(first) && !first.contains(['.', ':'])) {
            Some(Self::CapitalsInAPath)
        } else if !input.is_ascii() {
            Some(Self::NonAsciiTag)
        } else if input.rsplit_once('@').is_some_and(|(_, d)| capital(d)) {
            Some(Self::CapitalsInADigest)
        } else {
            None
        }
    }
}

#[test]
fn a_second_opinion_differs_in_its_known_faults_alone() {
    let table = include_str!("../data/references/references.tsv");
    let mut agreed = 0;
    let mut seen = Vec::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let (input, expected) = line.split_once('\t').expect("two columns");
        let input = unquoted(input);
        let second = second_opinion(&input);
        if second == expected {
            agreed += 1;
        } else {
            let fault = KnownFault::of(&input);
            seen.push(fault.unwrap_or_else(|| panic!("{input:?}: {expected} and {second}")));
        }
    }
    seen.sort_unstable();
    seen.dedup();
    // When one is mended there, its line goes.
    let all = [
        KnownFault::CapitalsInAPath,
        KnownFault::NoIpv6,
        KnownFault::ImageId,
        KnownFault::NonAsciiTag,
        KnownFault::CapitalsInADigest,
    ];
    assert_eq!(seen, all);
    assert!(agreed > 300, "{agreed}");
}
