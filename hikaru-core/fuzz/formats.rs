//! What has to hold of a list of tag formats, and of a tag that is read by them.

use hikaru_core::{
    TagFormats,
    image::{BuildTag, FormatError, Reading, Segment, TagFormat, Version},
    text::Excerpt,
};

use super::{naive, parts, read_by, short};

/// A list of tag formats; in a second line, a tag to read by them.
pub fn format(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let (list, tag) = text.split_once('\n').unwrap_or((text, ""));
    let singles: Vec<&str> = list.split(',').map(str::trim).collect();
    let read = match list.parse::<TagFormats>() {
        Ok(read) => read,
        Err(error) => {
            let wrong = singles.iter().find(|single| !naive::is_format(single));
            let wrong = wrong.unwrap_or_else(|| panic!("{list:?} is refused: {error}"));
            format_error(wrong, &error);
            return assert_eq!(wrong.parse::<TagFormat>(), Err(error), "the first wrong");
        }
    };
    let formats: Vec<TagFormat> = singles
        .iter()
        .map(|single| single.parse().expect("each of a list that was read"))
        .collect();
    assert_eq!(read.first(), &formats[0]);
    for (abbreviations, format) in singles.iter().zip(&formats) {
        assert!(naive::is_format(abbreviations), "{abbreviations:?} is read");
        spelled_out(abbreviations, format);
        generated(abbreviations, format);
        read_by(abbreviations, format, tag);
    }

    // The list reads by the first that can, and errs as the first.
    let first = formats
        .iter()
        .find_map(|format| BuildTag::parse(tag, format).ok());
    match (read.read(tag), first) {
        (Ok(read), Some(first)) => {
            assert_eq!(parts(&read), parts(&first));
            assert_eq!(read.identity().fields(), first.identity().fields());
        }
        (Err(error), None) => assert_eq!(BuildTag::parse(tag, &formats[0]).err(), Some(error)),
        (read, first) => panic!("{tag:?} by {list:?}: {read:?}, by the first that can {first:?}"),
    }
}

/// What a text that is no format is told: about itself, with what stands in it.
fn format_error(wrong: &str, error: &FormatError) {
    short(error);
    let parts: Vec<&str> = wrong.split('_').collect();
    let words = |run: &String| -> Vec<_> { run.split('_').filter_map(naive::word).collect() };
    let named = |segment: &Segment| {
        let name = segment.to_string();
        let is_it = |part: &&&str| naive::word(part) == Some(&*name);
        parts.iter().filter(is_it).count()
    };
    let (format, is_so) = match error {
        FormatError::Empty => return assert!(wrong.is_empty(), "{wrong:?}: {error}"),
        FormatError::Unknown { format, found, .. } => {
            let unknown = parts.iter().find(|part| naive::word(part).is_none());
            (
                format,
                unknown.map(|part| Excerpt::of(part)).as_ref() == Some(found),
            )
        }
        FormatError::Twice {
            format, segment, ..
        } => (format, named(segment) > 1),
        FormatError::NoVersion { format, .. } => (format, naive::versions(wrong).is_empty()),
        FormatError::Version { format, found, .. } => {
            let runs = naive::versions(wrong);
            let spelled: Vec<_> = runs.iter().map(|run| words(run).join("_")).collect();
            let is_new = |(i, part): (usize, &&str)| !parts[..i].contains(part);
            let are_new = parts.iter().enumerate().all(is_new);
            (format, are_new && spelled.join(" and ") == **found)
        }
        FormatError::Apart {
            format, segment, ..
        } => {
            let apart = naive::identities(wrong).into_iter().nth(1);
            let first = apart.and_then(|run| words(&run).first().copied());
            (format, first == Some(&*segment.to_string()))
        }
        _ => return,
    };
    assert!(is_so, "{wrong:?}: {error}");
    assert_eq!(*format, Excerpt::of(wrong), "{error}");
}

/// A format names its segments in its order.
fn spelled_out(abbreviations: &str, format: &TagFormat) {
    let word = |abbreviation| naive::word(abbreviation).expect("an abbreviation");
    let words: Vec<_> = abbreviations.split('_').map(word).collect();
    assert_eq!(format.to_string(), words.join("_"));
    let identity = words
        .iter()
        .filter(|word| ["owner", "repo", "branch"].contains(word));
    assert!(
        format
            .identity()
            .iter()
            .map(|segment| segment.to_string())
            .eq(identity.map(ToString::to_string))
    );
}

/// A tag that is made of fixed parts is read to those parts; one with a segment less is none.
fn generated(abbreviations: &str, format: &TagFormat) {
    let values = |all: &[(&'static str, &'static str)]| -> Vec<&'static str> {
        let value = |name| all.iter().find(|(of, _)| *of == name).map(|(_, is)| *is);
        abbreviations.split('_').filter_map(value).collect()
    };
    let has = |name| abbreviations.split('_').any(|a| a == name);
    let all = [
        ("o", "ac_me"),
        ("r", "web.git"),
        ("b", "fix-1.x"),
        ("v", "v1.4.0-rc.1"),
        ("ma", "1"),
        ("mi", "04"),
        ("p", "2"),
        ("miv", "1.04"),
        ("c", "0042"),
        ("s", "0123abcd"),
    ];
    let tag = values(&all).join("_");
    let read = BuildTag::parse(&tag, format).expect("a tag made by the format");
    assert_eq!(
        parts(&read),
        naive::Parts {
            identity: values(&all[..3]).join("_"),
            version: values(&all[3..8]).join("_"),
            build: if has("c") { 42 } else { 0 },
            commit: has("s").then(|| "0123abcd".to_owned()),
        }
    );
    let version = match () {
        () if has("v") => "1.4.0-rc.1",
        () if has("p") => "1.4.2",
        () if has("mi") || has("miv") => "1.4",
        () => "1",
    };
    assert_eq!(Ok(read.version()), Version::parse(version), "{tag}");
    let [owner, repo, branch] = [("o", "ac_me"), ("r", "web"), ("b", "fix-1.x")]
        .map(|(name, value)| has(name).then_some(value));
    let truth = Reading::new(owner, repo, branch);
    assert!(read.readings().any(|reading| reading == truth), "{tag}");
    assert!(read.identity().names(&truth), "{tag}");

    let few = [("o", "acme"), ("r", "web"), ("b", "main")];
    let rest = [("v", "1.4"), ("c", "7"), ("s", "none")];
    let numbers = [("ma", "1"), ("mi", "4"), ("p", "2"), ("miv", "1.4")];
    let short: Vec<_> = values(&[&few[..], &rest, &numbers].concat());
    assert!(BuildTag::parse(&short[1..].join("_"), format).is_err());
    assert!(BuildTag::parse(&short[..short.len() - 1].join("_"), format).is_err());
    // A segment more belongs to the identity, or to nothing.
    let more = format!("{}_x", short.join("_"));
    let more = BuildTag::parse(&more, format);
    let last = abbreviations.rsplit('_').next();
    assert_eq!(
        more.is_ok(),
        last.is_some_and(|a| few.iter().any(|(of, _)| *of == a))
    );
}
