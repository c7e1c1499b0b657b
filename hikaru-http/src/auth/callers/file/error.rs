//! Why a file of callers cannot be read, in one line: where, what was expected, what was found. Which rule is broken is decided
//! elsewhere; the words of the YAML reader are put into ours here.

use std::fmt::Display;

use hikaru_core::text::{Escaped, Excerpt};
use serde_saphyr::{Error, Location, Spanned, budget::BudgetBreach};

use super::MAX_CALLERS_FILE;

/// The longest message of the YAML reader, in characters.
const LONGEST: usize = 200;

const NO_ALIASES: &str =
    "expected no anchors, aliases and merged keys: each entry says itself what it allows";

/// Why a text is no file of callers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallersFileError {
    /// It is longer than [`MAX_CALLERS_FILE`]: its length in bytes.
    #[error("expected at most {MAX_CALLERS_FILE} bytes, found {0}")]
    TooLong(usize),
    /// It has no callers and no trusts.
    #[error("expected entries of callers or trusts, found none")]
    Empty,
    /// Something in it is wrong.
    #[error("line {line}, column {column}: {problem}")]
    At {
        /// The line, from 1 on.
        line: u64,
        /// The column in characters, from 1 on.
        column: u64,
        /// What was expected, and what was found: one line of bounded length.
        problem: String,
    },
}

/// A value is wrong.
pub(super) fn refused<T>(value: &Spanned<T>, problem: impl Display) -> CallersFileError {
    at(value.referenced, problem)
}

/// What stands at a place is wrong.
pub(super) fn at(place: Location, problem: impl Display) -> CallersFileError {
    CallersFileError::At {
        line: place.line(),
        column: place.column(),
        problem: problem.to_string(),
    }
}

/// The text is no YAML, or has another shape.
pub(super) fn unreadable(error: &Error) -> CallersFileError {
    let place = error.location().unwrap_or(Location::UNKNOWN);
    at(place, in_words(error, place))
}

fn in_words(error: &Error, place: Location) -> String {
    match error {
        Error::SerdeUnknownField {
            field, expected, ..
        } => {
            let (keys, found) = (expected.join(", "), Excerpt::of(field));
            format!("expected one of the keys {keys}, found {found}")
        }
        Error::SerdeMissingField { field, .. } => {
            format!("expected the key {field} in this entry, found none")
        }
        Error::DuplicateMappingKey { key, .. } => {
            let found = Excerpt::of(key.as_deref().unwrap_or_default());
            format!("expected each key once, found {found} again")
        }
        Error::Unexpected { expected, .. } => {
            let expected = match *expected {
                "sequence start" => "a list, such as [read, upgrade]",
                "mapping start" => "keys with values, such as `name: ci`",
                "string scalar" => "a text",
                other => other,
            };
            format!("expected {expected}, found something else")
        }
        Error::NullIntoString { .. } => "expected a text, found nothing".to_owned(),
        Error::InvalidBooleanStrict { .. } => {
            "expected true or false, found something else".to_owned()
        }
        Error::MergeKeyNotAllowed { .. }
        | Error::UnknownAnchor { .. }
        | Error::Budget {
            breach: BudgetBreach::Anchors { .. } | BudgetBreach::Aliases { .. },
            ..
        } => NO_ALIASES.to_owned(),
        Error::Budget {
            breach: BudgetBreach::Documents { .. },
            ..
        } => "expected one document, found another".to_owned(),
        other => {
            let text = other.to_string();
            let suffix = format!(" at line {}, column {}", place.line(), place.column());
            let text = text.strip_suffix(&suffix).unwrap_or(&text);
            let cut: String = text.chars().take(LONGEST).collect();
            format!("expected YAML, found: {}", Escaped(&cut))
        }
    }
}
