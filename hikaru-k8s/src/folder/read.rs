//! From a file to the workloads in it: bounded reading, places that people can find, and how bad
//! what cannot be read is. Which files there are is `walk`'s business.

use hikaru_core::{Fault, Severity, Text, Workload};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::ops::Range;

use super::mention::Weight;
use super::walk::Manifest;
use crate::yaml::{self, Documents, Object, Piece, Terms};

/// Largest file that is read, in bytes: 16 MiB. The API server takes objects of 1.5 MB, so this
/// is a List of a few thousand.
pub(super) const LARGEST: u64 = 16 * 1024 * 1024;

/// Most faults of one file that are said one by one: nobody reads more, and a file of 16 MiB can
/// have a million.
const FAULTS: usize = 100;

/// Why a file cannot be taken for text.
#[derive(Debug)]
pub(super) enum Unreadable {
    Io(io::Error),
    /// Its size in bytes.
    TooLarge(u64),
    /// The bytes, and the first that is no text.
    NotUtf8(Vec<u8>, usize),
}

/// Reads a file to its end, never more than `LARGEST`.
pub(super) fn text(file: &mut File) -> Result<String, Unreadable> {
    let size = file.metadata().map_err(Unreadable::Io)?.len();
    if size > LARGEST {
        return Err(Unreadable::TooLarge(size));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(Unreadable::Io)?;
    if bytes.len() as u64 > LARGEST {
        return Err(Unreadable::TooLarge(bytes.len() as u64));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Unreadable::NotUtf8(error.into_bytes(), at)
    })
}

impl Unreadable {
    /// What to say of the file: its place and a sentence.
    pub(super) fn explain(&self, file: &str) -> (String, String) {
        match self {
            Self::Io(error) => (file.to_owned(), format!("cannot be read: {error}")),
            Self::TooLarge(size) => (
                file.to_owned(),
                format!("is too large: {size} bytes, and hikaru reads files of up to {LARGEST}"),
            ),
            Self::NotUtf8(bytes, at) => {
                let before = String::from_utf8_lossy(&bytes[..*at]);
                let line = 1 + before.matches('\n').count();
                let column = 1 + before.rsplit('\n').next().unwrap_or("").chars().count();
                let byte = bytes.get(*at).copied().unwrap_or(0);
                (
                    format!("{file}:{line}:{column}"),
                    format!("is no YAML: it is not UTF-8, found the byte 0x{byte:02x}"),
                )
            }
        }
    }
}

/// One document of a file.
pub(super) struct Document {
    pub(super) range: Range<usize>,
    pub(super) objects: Vec<Object>,
}

/// Reads the documents of a text; the objects of those that are wanted, by their number from 1.
/// What cannot be read goes to `odd`, with the part of the text that it hides.
pub(super) fn documents(
    text: &str,
    terms: &Terms,
    wanted: &dyn Fn(usize) -> bool,
    odd: &mut dyn FnMut(yaml::Problem, &str),
) -> Vec<Document> {
    let mut documents = Vec::new();
    for piece in Documents::new(text) {
        let (range, objects) = match piece {
            Piece::Broken { range, problem } => {
                odd(problem, text.get(range.clone()).unwrap_or_default());
                (range, Vec::new())
            }
            Piece::Document(tree) if !wanted(tree.number) => (tree.range.clone(), Vec::new()),
            Piece::Document(tree) => {
                let mut objects = Vec::new();
                let part = text.get(tree.range.clone()).unwrap_or_default();
                yaml::read(&tree, terms, &mut |object| match object {
                    Ok(object) => objects.push(object),
                    Err(problem) => odd(problem, part),
                });
                (tree.range.clone(), objects)
            }
        };
        documents.push(Document { range, objects });
    }
    documents
}

/// The workload of an object, with the file and its place in it as its origin.
pub(super) fn workload(file: &str, object: &Object) -> Workload {
    let mut workload = object.workload.clone();
    workload.id.origin = Some(Text::from(format!("{file}#{}", object.place)));
    workload
}

/// All workloads of a file, and what is wrong with the rest.
pub(super) fn manifest(
    manifest: &Manifest,
    terms: &Terms,
    weight: &Weight<'_>,
    take: &mut dyn FnMut(Workload),
    faults: &mut Vec<Fault>,
) {
    let file = manifest.file.as_str();
    let mut handle = match File::open(&manifest.path) {
        Ok(handle) => handle,
        // Gone since the walk: as if it had never been there.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => {
            let (place, message) = Unreadable::Io(error).explain(file);
            return faults.push(Fault::new(Severity::Failure, place, message));
        }
    };
    // Where the text itself cannot be had, nobody knows what is in it.
    let weigh_stream = |mut handle: &File| {
        let severity = handle
            .rewind()
            .and_then(|()| weight.weigh_stream(file, handle));
        severity.unwrap_or(Severity::Failure)
    };
    if !manifest.named {
        let message = "is not read: its name is not UTF-8; rename it";
        return faults.push(Fault::new(weigh_stream(&handle), file, message));
    }
    let text = match text(&mut handle) {
        Ok(text) => text,
        Err(unreadable) => {
            let severity = match &unreadable {
                Unreadable::NotUtf8(bytes, _) => weight.weigh(file, bytes),
                Unreadable::TooLarge(_) => weigh_stream(&handle),
                // Nobody knows what is in it.
                Unreadable::Io(_) => Severity::Failure,
            };
            let (place, message) = unreadable.explain(file);
            return faults.push(Fault::new(severity, place, message));
        }
    };
    let (mut said, mut worst) = (0, Severity::Warning);
    // A document with a thousand odd objects is searched once.
    let mut weighed: Option<((*const u8, usize), Severity)> = None;
    let mut odd = |problem: yaml::Problem, part: &str| {
        let this = (part.as_ptr(), part.len());
        let severity = match weighed {
            Some((known, severity)) if known == this => severity,
            _ => weight.weigh(file, part.as_bytes()),
        };
        weighed = Some((this, severity));
        if said < FAULTS {
            let place = place(file, problem.mark);
            faults.push(Fault::new(severity, place, problem.message));
        } else {
            worst = worst.max(severity);
        }
        said += 1;
    };
    for document in documents(&text, terms, &|_| true, &mut odd) {
        for object in &document.objects {
            take(workload(file, object));
        }
    }
    if said > FAULTS {
        let message = format!(
            "{} more of its documents or objects cannot be read",
            said - FAULTS
        );
        faults.push(Fault::new(worst, file, message));
    }
}

/// `deploy/web.yaml:12:7`.
pub(super) fn place(file: &str, mark: yaml::Mark) -> String {
    format!("{file}:{}:{}", mark.line, mark.column)
}
