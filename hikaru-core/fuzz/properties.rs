//! What has to hold of every input to hikaru-core's parsers: plain functions that panic where it does not. The fuzz
//! targets feed them, and so does `tests/it/fuzz_corpus.rs` with what the fuzzer has found. Neither is here.
//!
//! The grammars are written down a second time in `naive.rs`, so that what is read and what is refused is
//! compared with something. Of the errors, what they say is checked as far as everyone may rely on it: fields are taken
//! by name, so that other fields and variants may come.

mod formats;
mod naive;

use std::{fmt::Display, sync::LazyLock};

use hikaru_core::{
    Build, Container, IdentityLabels, Request, TagFormats, Workload, WorkloadId,
    image::{
        BuildTag, MAX_NUMBERS, MAX_PATH, MAX_TAG, Reading, Reference, ReferenceError, Segment,
        TagError, TagFormat, Version, VersionError,
    },
    plan,
    policy::{Code, Force, Mark},
    text::Excerpt,
    workload::{Place, Setting},
};

pub use formats::format;

/// More bytes than any error is long: a sentence of ours, and two quotations of 40 characters, each escaped or of 4 bytes.
const LONGEST_ERROR: usize = 700;

/// An image reference, in UTF-8.
pub fn reference(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let read = match Reference::parse(text) {
        Ok(read) => read,
        Err(error) => {
            assert!(!naive::is_reference(text), "{text:?} is refused: {error}");
            return reference_error(text, &error);
        }
    };
    let repository = read.repository();
    let said = (
        repository.registry().to_owned(),
        repository.path(),
        read.tag(),
        read.digest(),
    );
    assert_eq!(Some(said), naive::reference(text), "{text:?}");
    let name = repository.to_string();
    assert_eq!(
        name,
        format!("{}/{}", repository.registry(), repository.path())
    );
    assert!(repository.is(&name), "{name} is itself");
    assert!(!repository.is(&format!("{name}/x")) && !repository.is(&name[..name.len() - 1]));
    assert!(repository.path().ends_with(repository.familiar_path()));

    // What was read, written out in full, is read to the same; so is what people write.
    for name in [name, familiar(repository.registry(), &read)] {
        let mut full = name;
        for (joint, part) in [(':', read.tag()), ('@', read.digest())] {
            if let Some(part) = part {
                assert!(text.contains(&format!("{joint}{part}")), "{part} of {text}");
                full.push(joint);
                full.push_str(part);
            }
        }
        assert_eq!(Reference::parse(&full).as_ref(), Ok(&read), "{full}");
    }
}

/// The repository with the path as people write it.
fn familiar(registry: &str, read: &Reference<'_>) -> String {
    format!("{registry}/{}", read.repository().familiar_path())
}

fn reference_error(text: &str, error: &ReferenceError) {
    short(error);
    let (at, found) = match error {
        ReferenceError::Registry { at, found, .. }
        | ReferenceError::Path { at, found, .. }
        | ReferenceError::Tag { at, found, .. }
        | ReferenceError::Digest { at, found, .. } => (*at, found),
        ReferenceError::SecondAt { at } => return assert!(text[*at..].starts_with('@')),
        ReferenceError::PathTooLong { length } => return assert!(*length > MAX_PATH),
        ReferenceError::TagTooLong { length } => return assert!(*length > MAX_TAG),
        _ => return,
    };
    assert!(text.is_char_boundary(at), "byte {at} of {text:?}: {error}");
    assert_eq!(*found, Excerpt::at(text, at), "{error}");

    // The place is the first that is wrong: what stands before it could have become a reference, with it no more.
    let next = text[at..].chars().next().map_or(0, char::len_utf8);
    let (before, with) = (&text[..at], &text[..at + next]);
    let could = |start: &str, ends: &[&str]| {
        ends.iter()
            .any(|end| naive::is_reference(&format!("{start}{end}")))
    };
    let told = match error {
        // Too long, perhaps.
        _ if at > MAX_TAG => true,
        ReferenceError::Path { .. } | ReferenceError::Tag { .. } => {
            could(before, &["z"]) && (next == 0 || !could(with, &["z"]))
        }
        // A bracket that is not closed is told before what stands in it. And a `-` may not stand last, but within.
        ReferenceError::Registry { .. } if text.starts_with('[') => true,
        ReferenceError::Registry { .. } => {
            could(before, &["z.z/z", "1/z", "/z"])
                && (with.ends_with('-') || !could(with, &["z.z/z"]))
        }
        // What stands before the digest is read later.
        ReferenceError::Digest { .. } => {
            let start = text.find('@').expect("a digest");
            let could_end = |part: &str| {
                (0..=128).any(|count| {
                    let zeros = "0".repeat(count);
                    could(&format!("z{part}"), &[&zeros, &format!(":{zeros}")])
                })
            };
            match &text[start..at] {
                "@" => true,
                digest => could_end(digest) && (next == 0 || !could_end(&text[start..at + next])),
            }
        }
        _ => true,
    };
    assert!(told, "byte {at} of {text:?}: {error}");
}

/// An error can be shown, and its length has a bound.
fn short(error: &impl Display) {
    let shown = error.to_string();
    assert!(
        !shown.is_empty() && shown.len() < LONGEST_ERROR,
        "{} bytes: {shown}",
        shown.len()
    );
    assert!(!shown.contains(char::is_control), "{shown:?}");
}

/// A build tag, by formats of every shape, and a high-water mark.
pub fn tag(bytes: &[u8]) {
    const FORMATS: [&str; 12] = [
        "o_r_b_v_c_s",
        "v",
        "v_c",
        "b_v_c",
        "s_r_o_v",
        "c_v_b_r_s",
        "v_o_r_b",
        "r_c_v",
        "o_r_b_ma_mi_p_c_s",
        "ma_mi_r_b",
        "c_miv_p",
        "b_ma",
    ];
    static READ: LazyLock<[TagFormat; 12]> =
        LazyLock::new(|| FORMATS.map(|format| format.parse().expect(format)));
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    for (abbreviations, format) in FORMATS.iter().zip(&*READ) {
        read_by(abbreviations, format, text);
    }
    mark(text);
}

/// Printing a mark and reading that again gives the same mark and the same text.
fn mark(text: &str) {
    match Mark::parse(text) {
        Err(error) => short(&error),
        Ok(mark) => {
            let printed = mark.to_string();
            let again = Mark::parse(&printed).expect("a printed mark is a mark");
            assert_eq!((again, again.to_string().as_str()), (mark, &*printed));
        }
    }
}

/// Reads a tag by a format, and by the naive reader.
fn read_by(abbreviations: &str, format: &TagFormat, text: &str) {
    // The naive reader tries every cut: nothing for long texts.
    let naive = (text.len() <= 160).then(|| naive::tag(abbreviations, text));
    let read = match BuildTag::parse(text, format) {
        Ok(read) => read,
        Err(error) => {
            assert!(
                matches!(naive, None | Some(None)),
                "{text:?} by {abbreviations}: {error}, but {naive:?}"
            );
            return tag_error(abbreviations, text, &error);
        }
    };
    if let Some(naive) = naive {
        assert_eq!(Some(parts(&read)), naive, "{text:?} by {abbreviations}");
    }
    assert_eq!((read.to_string().as_str(), read.as_str()), (text, text));
    assert_eq!(read.identity().fields(), format.identity());
    version(&read);
    assert!(read.precedence() <= read.precedence() && read.same_commit(&read));
    readings(&read);

    let precedence = read.precedence();
    mark(
        &Mark {
            precedence,
            hash: 7,
        }
        .to_string(),
    );
    owned(abbreviations, &read);
}

/// What a tag says, as text: identity, version, build, commit.
fn parts(read: &BuildTag<'_>) -> naive::Parts {
    naive::Parts {
        identity: read.identity().as_str().to_owned(),
        version: read.version().as_str().to_owned(),
        build: read.build(),
        commit: read.commit().map(str::to_owned),
    }
}

/// A version is what is printed of it, with dots, whether it stands in one segment of the tag or in several.
fn version(read: &BuildTag<'_>) {
    let version = read.version();
    let printed = version.as_str().replace('_', ".");
    assert_eq!(version.to_string(), printed);
    let whole = Version::parse(&printed).expect("a printed version is one");
    assert_eq!((version, whole.as_str()), (whole, &*printed));
    assert!(version.numbers().eq(whole.numbers()), "{printed}");
    assert_eq!(version.prerelease(), whole.prerelease());
    let precedence = read.precedence().to_string();
    assert_eq!(precedence, format!("{printed}_{}", read.build()));
}

/// The readings of a tag are those that trying every cut gives, in its order, and the identity is named by each.
fn readings(read: &BuildTag<'_>) {
    let identity = read.identity();
    let fields: Vec<Segment> = identity.fields().iter().collect();
    for reading in read.readings().take(1000) {
        assert!(identity.names(&reading), "{reading} names {read}");
    }
    // There are as many as pairs of `_`: enough to see that none is left out and none is made up.
    if identity.as_str().len() <= 64 {
        let expected: Vec<_> = naive::cuts(identity.as_str(), fields.len())
            .iter()
            .map(|parts| {
                let part = |segment| {
                    let place = fields.iter().position(|field| *field == segment)?;
                    Some(parts[place])
                };
                Reading::new(
                    part(Segment::Owner),
                    part(Segment::Repo),
                    part(Segment::Branch),
                )
            })
            .collect();
        assert!(!expected.is_empty());
        assert_eq!(read.readings().collect::<Vec<_>>(), expected, "{read}");
        // No other is named: with a `.git` more or less, or with parts in other places.
        for Reading {
            owner,
            repo,
            branch,
            ..
        } in expected.iter().copied().take(9)
        {
            let more = repo.map(|repo| format!("{repo}.git.git"));
            for other in [
                Reading::new(owner, more.as_deref(), branch),
                Reading::new(owner, repo, branch),
                Reading::new(branch, repo, owner),
                Reading::new(repo, owner, branch),
            ] {
                let is_one = expected.contains(&other);
                assert_eq!(identity.names(&other), is_one, "{other} and {read}");
            }
        }
    }
}

/// A posted image with this tag says what the view says.
fn owned(abbreviations: &str, read: &BuildTag<'_>) {
    let image = format!("localhost:5000/acme/web:{read}");
    let formats: TagFormats = abbreviations.parse().expect("a list of one format");
    match Build::parse(&image, &formats) {
        Ok(build) => {
            assert_eq!(build.tag().as_str(), read.as_str());
            assert_eq!(parts(&build.tag()), parts(read));
            assert!(build.tag().readings().take(9).eq(read.readings().take(9)));
        }
        Err(error) => assert!(!error.is_reference(), "{image}: {error}"),
    }
}

fn tag_error(abbreviations: &str, text: &str, error: &TagError) {
    short(error);
    if let TagError::Segments {
        expected, found, ..
    } = error
    {
        let has_identity = !naive::identities(abbreviations).is_empty();
        assert_eq!(*expected, abbreviations.split('_').count());
        assert_eq!(*found, text.split('_').count());
        return assert!(found < expected || found > expected && !has_identity);
    }
    let segment = |abbreviation| naive::segment(abbreviations, abbreviation, text);
    // What was looked at before can be read, and where reading stopped it cannot.
    let stopped = error.segment().map(|segment| segment.to_string());
    let is_here = |abbreviation: &&str| naive::word(abbreviation) == stopped.as_deref();
    for abbreviation in naive::fixed_in_order(abbreviations) {
        let text = segment(abbreviation).1;
        let is_sound = naive::is_segment_of(abbreviations, abbreviation, text);
        assert_eq!(is_sound, !is_here(&abbreviation), "{text:?}: {error}");
        if !is_sound {
            break;
        }
    }
    match error {
        TagError::Build { at, found, .. } | TagError::BuildTooLarge { at, found, .. } => {
            let (start, segment) = segment("c");
            assert_eq!((*at, found), (start, &Excerpt::of(segment)), "{text:?}");
        }
        TagError::Commit { at, found, .. } => {
            let (start, segment) = segment("s");
            assert_eq!((*at, found), (start, &Excerpt::of(segment)), "{text:?}");
        }
        TagError::Version { at, error, .. } => {
            let abbreviation = abbreviations.split('_').find(is_here);
            let abbreviation = abbreviation.expect("a segment of the format");
            let (start, segment) = segment(abbreviation);
            assert_eq!(*at, start, "{text:?}: {error}");
            version_error(abbreviation, segment, error);
        }
        // Owner, repo and branch cannot be told apart: somewhere among them, with whatever length.
        TagError::Identity { at, found, .. } => {
            let (start, segment) = segment("o");
            let rest = at.checked_sub(start).and_then(|at| segment.get(at..));
            let rest = rest.expect("a place in the identity");
            let mut ends = (0..=rest.len()).filter_map(|end| rest.get(..end));
            assert!(
                text.len() > 512 || ends.any(|part| Excerpt::of(part) == *found),
                "byte {at} of {text:?}: {error}"
            );
        }
        _ => {}
    }
}

/// The place is the first that is wrong: what stands before it could have become a version, or that number of it, with
/// it no more.
fn version_error(abbreviation: &str, text: &str, error: &VersionError) {
    if let VersionError::Unexpected { at, found, .. } = error {
        assert_eq!(*found, Excerpt::at(text, *at), "{text:?}: {error}");
        let next = text[*at..].chars().next().map_or(0, char::len_utf8);
        let could = |start: &str| {
            let ends = ["0", ".0", "0.0"];
            let is_one = |end| naive::is_segment(abbreviation, &format!("{start}{end}"));
            ends.iter().any(is_one)
        };
        let are_too_many = text[..*at].matches('.').count() >= MAX_NUMBERS;
        assert!(
            are_too_many || could(&text[..*at]) && (next == 0 || !could(&text[..at + next])),
            "byte {at} of {text:?}: {error}"
        );
    }
}

/// The version of a posted build, and how the semver crate would write it; `None` where it cannot.
const POSTED: [(&str, Option<&str>); 12] = [
    ("1.4.0", Some("1.4.0")),
    ("v1.4.2", Some("1.4.2")),
    ("1.2", Some("1.2.0")),
    ("2", Some("2.0.0")),
    ("0.0.0", Some("0.0.0")),
    ("0.0.3", Some("0.0.3")),
    ("1.4.0-rc.1", Some("1.4.0-rc.1")),
    ("1-0a.007", Some("1.0.0-0a.7")),
    ("01.010.9.4", Some("1.10.9")),
    ("18446744073709551615.1", Some("18446744073709551615.1.0")),
    ("1.18446744073709551616", None),
    ("1.0.0.99999999999999999999", Some("1.0.0")),
];

/// A version requirement as an annotation, or a line for a label and one for an annotation.
pub fn constraint(bytes: &[u8]) {
    static BUILDS: LazyLock<Vec<(Build, Option<semver::Version>)>> = LazyLock::new(|| {
        POSTED
            .iter()
            .map(|(version, semver)| {
                let image = format!("acme/web:acme_web_main_{version}_7_0123abcd");
                let build = Build::parse(&image, &TagFormats::default()).expect("a build");
                (build, semver.map(|text| text.parse().expect("a semver")))
            })
            .collect()
    });
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let settings = match text.split_once('\n') {
        None => vec![(Place::Annotation, text)],
        Some((label, annotation)) => vec![(Place::Label, label), (Place::Annotation, annotation)],
    };
    // As the rules are: the first that cannot be read, or else the first that the version is outside of.
    let requirements: Result<Vec<_>, (Place, &str)> = settings
        .iter()
        .map(|(place, text)| semver::VersionReq::parse(text).map_err(|_| (*place, *text)))
        .collect();
    for (build, version) in &*BUILDS {
        let meets = |requirement: &semver::VersionReq| {
            version
                .as_ref()
                .is_some_and(|version| requirement.matches(version))
        };
        let (code, sentence) = match &requirements {
            Err((place, text)) => (
                Code::UnreadableSetting,
                format!(
                    "the {place} hikaru.dev/constraint is \"{}\": expected ",
                    quoted(text)
                ),
            ),
            Ok(all) => match all.iter().position(|requirement| !meets(requirement)) {
                None => (Code::Upgrade, String::new()),
                Some(first) => (Code::Constraint, quoted(settings[first].1)),
            },
        };
        let found = judged(build, &settings, Force::NONE);
        assert_eq!(found.0, code, "{text:?} and {build}: {}", found.1);
        assert!(found.1.contains(&sentence), "{sentence:?} in {:?}", found.1);
        // What is not quoted is a sentence of ours.
        assert!(found.1.len() < sentence.len() + 200, "{}", found.1);
        assert!(!found.1.contains(char::is_control), "{:?}", found.1);
    }

    // Force passes over what is outside, never over what cannot be read.
    let forced = match requirements {
        Err(_) => Code::UnreadableSetting,
        Ok(_) => Code::Upgrade,
    };
    let found = judged(&BUILDS[0].0, &settings, Force::ALL);
    assert_eq!(found.0, forced, "{text:?}: {}", found.1);
}

/// A text of somebody's as sentences quote it: 200 characters of it at most, those that control escaped.
fn quoted(text: &str) -> String {
    let escaped = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    let quoted: String = text.chars().take(200).map(escaped).collect();
    let is_longer = text.chars().nth(200).is_some();
    quoted + if is_longer { "…" } else { "" }
}

/// The code and the sentence for a workload that runs a floating tag.
fn judged(build: &Build, constraints: &[(Place, &str)], force: Force) -> (Code, String) {
    let mut workload = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
    workload.labels = IdentityLabels::new("acme", "web", "main");
    workload
        .containers
        .push(Container::new("web", "acme/web:latest"));
    for (place, value) in constraints {
        let setting = Setting::new(*place, "constraint", *value);
        workload.settings.push(setting);
    }
    let mut request = Request::new(build.clone());
    request.force = force;
    let plan = plan(request, [workload]);
    let entry = plan.entries.first().expect("an entry");
    assert!(entry.warnings.is_empty(), "{:?}", entry.warnings);
    let judged = &entry.containers[0];
    let is_change = judged.code == Code::Upgrade;
    assert_eq!(entry.change.is_some(), is_change);
    (judged.code, judged.reason.clone())
}
