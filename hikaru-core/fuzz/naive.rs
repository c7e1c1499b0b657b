//! The grammars of references, formats and tags once more, as naively as can be: what is a whole, without a word on why
//! not. What is compared with them is in `properties.rs`.

use hikaru_core::image::{MAX_NUMBERS, MAX_PATH, MAX_TAG};

/// What a reference says: registry and path, normalized, tag and digest.
pub(crate) type Named<'t> = (String, String, Option<&'t str>, Option<&'t str>);

pub(crate) fn reference(text: &str) -> Option<Named<'_>> {
    let (named, digest) = match text.split_once('@') {
        None => (text, None),
        Some((named, digest)) => (named, Some(digest)),
    };
    let (domain, rest) = match named.split_once('/') {
        Some((domain, rest))
            if domain == "localhost"
                || domain.contains(['.', ':'])
                || domain != domain.to_lowercase() =>
        {
            (domain, rest)
        }
        _ => ("docker.io", named),
    };
    let (path, tag) = match rest.split_once(':') {
        None => (rest, None),
        Some((path, tag)) => (path, Some(tag)),
    };
    let domain = match domain {
        "index.docker.io" => "docker.io".to_owned(),
        other => other.to_owned(),
    };
    let is_implied = domain == "docker.io" && !path.contains('/');
    let normalized = format!("{}{path}", if is_implied { "library/" } else { "" });
    let is_id = text.len() == 64 && text.chars().all(is_lower_hex);
    let is_sound = !is_id
        && is_domain(&domain)
        && path.split('/').all(is_path_component)
        && normalized.len() <= MAX_PATH
        && tag.is_none_or(is_tag)
        && digest.is_none_or(is_digest);
    is_sound.then_some((domain, normalized, tag, digest))
}

pub(crate) fn is_reference(text: &str) -> bool {
    reference(text).is_some()
}

fn is_tag(text: &str) -> bool {
    let is_inside = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    !text.starts_with(['.', '-'])
        && (1..=MAX_TAG).contains(&text.len())
        && text.chars().all(is_inside)
}

fn is_digest(text: &str) -> bool {
    [("sha256:", 64), ("sha384:", 96), ("sha512:", 128)]
        .iter()
        .any(|(algorithm, length)| {
            text.strip_prefix(algorithm)
                .is_some_and(|hex| hex.len() == *length && hex.chars().all(is_lower_hex))
        })
}

fn is_domain(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => (host, port),
        _ => (text, "0"),
    };
    let address = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let is_host = match address {
        Some(address) => {
            !address.is_empty() && address.chars().all(|c| c == ':' || c.is_ascii_hexdigit())
        }
        None => host.split('.').all(|part| {
            let is_inside = |c: char| c == '-' || c.is_ascii_alphanumeric();
            !part.is_empty()
                && !part.starts_with('-')
                && !part.ends_with('-')
                && part.chars().all(is_inside)
        }),
    };
    is_host && !port.is_empty() && port.chars().all(|c| c.is_ascii_digit())
}

fn is_path_component(text: &str) -> bool {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_joint =
        |joint: &str| ["", ".", "_", "__"].contains(&joint) || joint.chars().all(|c| c == '-');
    text.starts_with(word) && text.ends_with(word) && text.split(word).all(is_joint)
}

fn is_lower_hex(c: char) -> bool {
    c.is_ascii_digit() || ('a'..='f').contains(&c)
}

/// What a tag says.
#[derive(Debug, PartialEq)]
pub(crate) struct Parts {
    pub(crate) identity: String,
    /// As it stands in the tag: its numbers are joined by `_` where they are segments.
    pub(crate) version: String,
    pub(crate) build: u64,
    pub(crate) commit: Option<String>,
}

/// The abbreviations of a format's segments, and the segments' names.
const WORDS: [(&str, &str); 10] = [
    ("o", "owner"),
    ("r", "repo"),
    ("b", "branch"),
    ("v", "version"),
    ("ma", "major"),
    ("mi", "minor"),
    ("p", "patch"),
    ("miv", "major.minor"),
    ("c", "build"),
    ("s", "commit"),
];

/// The name of a segment, if anybody knows the abbreviation.
pub(crate) fn word(abbreviation: &str) -> Option<&'static str> {
    let known = WORDS.iter().find(|(short, _)| *short == abbreviation);
    known.map(|(_, word)| *word)
}

fn is_identity(abbreviation: &&str) -> bool {
    ["o", "r", "b"].contains(abbreviation)
}

fn is_of_version(abbreviation: &&str) -> bool {
    ["v", "ma", "mi", "p", "miv"].contains(abbreviation)
}

/// The runs of a format's abbreviations that are of one kind.
fn runs(format: &str, is_of: fn(&&str) -> bool) -> Vec<String> {
    let parts: Vec<&str> = format.split('_').collect();
    parts
        .chunk_by(|a, b| is_of(a) == is_of(b))
        .filter(|run| is_of(&run[0]))
        .map(|run| run.join("_"))
        .collect()
}

pub(crate) fn identities(format: &str) -> Vec<String> {
    runs(format, is_identity)
}

pub(crate) fn versions(format: &str) -> Vec<String> {
    runs(format, is_of_version)
}

pub(crate) fn is_format(format: &str) -> bool {
    const VERSIONS: [&str; 6] = ["v", "ma_mi_p", "ma_mi", "ma", "miv_p", "miv"];
    let parts: Vec<&str> = format.split('_').collect();
    let is_new = |(i, part): (usize, &&str)| !parts[..i].contains(part);
    let versions = versions(format);
    parts.iter().all(|part| word(part).is_some())
        && parts.iter().enumerate().all(is_new)
        && identities(format).len() <= 1
        && versions.len() == 1
        && VERSIONS.contains(&&*versions[0])
}

/// The segments that hold no `_`, as a tag is read: those before the identity, then the others from the right.
pub(crate) fn fixed_in_order(format: &str) -> Vec<&str> {
    let parts: Vec<&str> = format.split('_').collect();
    let first = parts.iter().position(is_identity);
    let (left, right) = parts.split_at(first.unwrap_or(parts.len()));
    let right = right.iter().rev().filter(|part| !is_identity(part));
    left.iter().chain(right).copied().collect()
}

/// Where a segment of a tag stands, and the segment; of the identity's, all of them. The tag has enough segments.
pub(crate) fn segment<'t>(format: &str, abbreviation: &str, text: &'t str) -> (usize, &'t str) {
    let format: Vec<&str> = format.split('_').collect();
    let index = |wanted: &dyn Fn(&str) -> bool| format.iter().position(|a| wanted(a));
    let first = index(&|a| is_identity(&a)).unwrap_or(format.len());
    let fields = format.iter().filter(|a| is_identity(a)).count();
    let count = text.split('_').count();
    let (from, to) = match index(&|a| a == abbreviation) {
        Some(i) if i < first => (i, i + 1),
        Some(i) if i >= first + fields => (count + i - format.len(), count + i + 1 - format.len()),
        _ => (first, count + first + fields - format.len()),
    };
    let mut starts: Vec<usize> = text.match_indices('_').map(|(at, _)| at + 1).collect();
    starts.insert(0, 0);
    starts.push(text.len() + 1);
    (starts[from], &text[starts[from]..starts[to] - 1])
}

pub(crate) fn tag(format: &str, text: &str) -> Option<Parts> {
    let format: Vec<&str> = format.split('_').collect();
    let mut texts: Vec<&str> = text.split('_').collect();
    let fields = format.iter().filter(|a| is_identity(a)).count();
    let spare = texts.len().checked_sub(format.len())?;
    let mut parts = Parts {
        identity: String::new(),
        version: String::new(),
        build: 0,
        commit: None,
    };
    if let Some(first) = format.iter().position(is_identity) {
        let run = texts.splice(first..first + fields + spare, ["-"]);
        parts.identity = run.collect::<Vec<_>>().join("_");
        // The rest of the format, with one place left for the identity.
        let is_late = |i: usize| i > first && i < first + fields;
        let rest = format.iter().enumerate().filter(|(i, _)| !is_late(*i));
        return fixed(rest.map(|(_, a)| *a), &texts, parts)
            .filter(|parts| !cuts(&parts.identity, fields).is_empty());
    }
    let is_telling = format != ["v"] || is_telling(text);
    (spare == 0 && is_telling).then(|| fixed(format.iter().copied(), &texts, parts))?
}

/// Whether a tag that is a version alone cannot be a mere number, or a number and a name.
fn is_telling(tag: &str) -> bool {
    tag.starts_with('v') || tag.split('-').next().is_some_and(|text| text.contains('.'))
}

/// Whether a segment that holds no `_` can be read in a tag of a format.
pub(crate) fn is_segment_of(format: &str, abbreviation: &str, text: &str) -> bool {
    is_segment(abbreviation, text) && (format != "v" || is_telling(text))
}

fn fixed<'a>(
    format: impl Iterator<Item = &'a str>,
    texts: &[&str],
    mut parts: Parts,
) -> Option<Parts> {
    for (abbreviation, text) in format.zip(texts) {
        if is_identity(&abbreviation) {
            continue;
        }
        if !is_segment(abbreviation, text) {
            return None;
        }
        match abbreviation {
            "c" => parts.build = text.parse().ok()?,
            "s" => parts.commit = Some((*text).to_owned()),
            _ if parts.version.is_empty() => (*text).clone_into(&mut parts.version),
            _ => parts.version = format!("{}_{text}", parts.version),
        }
    }
    Some(parts)
}

/// Whether a segment that holds no `_` can be read.
pub(crate) fn is_segment(abbreviation: &str, text: &str) -> bool {
    let is_digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    match abbreviation {
        "v" => is_version(text),
        "ma" | "mi" | "p" => is_digits(text),
        "miv" => text
            .split_once('.')
            .is_some_and(|(major, minor)| is_digits(major) && is_digits(minor)),
        "c" => is_digits(text) && text.parse::<u64>().is_ok(),
        "s" => text == "none" || (7..=64).contains(&text.len()) && text.chars().all(is_lower_hex),
        other => panic!("{other:?} is no such segment"),
    }
}

fn is_version(text: &str) -> bool {
    let text = text.strip_prefix('v').unwrap_or(text);
    let (numbers, prerelease) = match text.split_once('-') {
        None => (text, "0"),
        Some((numbers, prerelease)) => (numbers, prerelease),
    };
    let of = |text: &str, is_inside: fn(char) -> bool| {
        text.split('.')
            .all(|part| !part.is_empty() && part.chars().all(is_inside))
    };
    of(numbers, |c| c.is_ascii_digit())
        && numbers.split('.').count() <= MAX_NUMBERS
        && of(prerelease, |c| c == '-' || c.is_ascii_alphanumeric())
        && !is_date(text)
}

/// `2026-10-03`: one number, then digits and dashes.
pub(crate) fn is_date(text: &str) -> bool {
    text.contains('-') && text.chars().all(|c| c == '-' || c.is_ascii_digit())
}

fn is_label_value(text: &str) -> bool {
    let alnum = |c: char| c.is_ascii_alphanumeric();
    text.starts_with(alnum)
        && text.ends_with(alnum)
        && text.chars().all(|c| alnum(c) || "_.-".contains(c))
}

/// The ways to cut a text at `_` into so many label values, leftmost cuts first.
pub(crate) fn cuts(text: &str, count: usize) -> Vec<Vec<&str>> {
    match count {
        0 if text.is_empty() => vec![vec![]],
        0 => vec![],
        1 if is_label_value(text) => vec![vec![text]],
        1 => vec![],
        _ => text
            .match_indices('_')
            .filter(|(at, _)| is_label_value(&text[..*at]))
            .flat_map(|(at, _)| {
                let rest = cuts(&text[at + 1..], count - 1);
                rest.into_iter().map(move |mut parts| {
                    parts.insert(0, &text[..at]);
                    parts
                })
            })
            .collect(),
    }
}
