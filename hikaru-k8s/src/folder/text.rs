//! From the bytes of a file to its text, never more than is allowed, and how a place in a text is written. What stands in a
//! text is not known here.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::yaml;

/// Largest file that is read, in bytes: 16 MiB. The API server takes objects of 1.5 MB, so this
/// is a List of a few thousand.
pub(super) const LARGEST: u64 = 16 * 1024 * 1024;

/// Why a file cannot be read as text.
#[derive(Debug)]
pub(super) enum Unreadable {
    Io(io::Error),
    /// Its size in bytes.
    TooLarge(u64),
    /// The bytes, and the first that is no text.
    NotUtf8(Vec<u8>, usize),
    /// The bytes, and what they are.
    Encoded(Vec<u8>, &'static str),
}

/// Opens a file and reads it as `text` does.
pub(super) fn read(path: &Path) -> Result<String, Unreadable> {
    text(&mut File::open(path).map_err(Unreadable::Io)?)
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
    if let Some(encoding) = encoding(&bytes) {
        return Err(Unreadable::Encoded(bytes, encoding));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Unreadable::NotUtf8(error.into_bytes(), at)
    })
}

/// The encoding of a text, if it is not UTF-8: by its byte order mark, or, as YAML begins with an ASCII
/// character, by the zeros beside that (YAML 1.2, 5.2).
pub(super) fn encoding(text: &[u8]) -> Option<&'static str> {
    match text {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some("UTF-32"),
        [0, 0, 0, _, ..] | [_, 0, 0, 0, ..] => Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("UTF-16"),
        [0, _, ..] | [_, 0, ..] => Some("UTF-16"),
        _ => None,
    }
}

impl Unreadable {
    /// The place and a sentence for a message.
    pub(super) fn explain(&self, file: &str) -> (String, String) {
        match self {
            Self::Io(error) => (file.to_owned(), format!("cannot be read: {error}")),
            Self::TooLarge(size) => (
                file.to_owned(),
                format!("is too large: {size} bytes, and hikaru reads files of up to {LARGEST}"),
            ),
            Self::Encoded(_, encoding) => {
                (file.to_owned(), format!("is {encoding}: save it as UTF-8"))
            }
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

/// `deploy/web.yaml:12:7`.
pub(super) fn place(file: &str, mark: yaml::Mark) -> String {
    format!("{file}:{}:{}", mark.line, mark.column)
}
