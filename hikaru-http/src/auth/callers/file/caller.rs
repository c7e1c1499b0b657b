//! One entry of `callers`, and the values that entries of `trusts` have, too: names, rights, identities, namespaces.

use std::{
    str::FromStr,
    time::{Duration, SystemTime},
};

use hikaru_core::{
    Text,
    caller::{Caller, IdentityPattern, Right, Rights},
    text::Excerpt,
    workload::check_namespace,
};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use ring::digest::{SHA256, digest};

use super::{
    error::{CallersFileError, refused},
    shape::{CallerEntry, Word, Words},
};
use crate::auth::{KnownCaller, Token};

/// The longest name of a caller, in bytes.
const LONGEST_NAME: usize = 63;

/// What an entry says.
pub(super) fn read(entry: &CallerEntry) -> Result<KnownCaller, CallersFileError> {
    let mut caller = Caller::new(name(&entry.name)?, rights(&entry.rights)?);
    caller.identities = identities(entry.identities.as_ref())?;
    caller.namespaces = namespaces(entry.namespaces.as_ref())?;
    if caller.namespaces.is_empty() && !caller.sees_all() {
        check_no_jobs(&entry.rights)?;
    }
    let mut known = KnownCaller::new(token(&entry.token_sha256)?, caller);
    known.expires = entry.expires.as_ref().map(expiry).transpose()?;
    Ok(known)
}

/// A name, which stands in logs.
pub(super) fn name(word: &Word) -> Result<Text, CallersFileError> {
    let text = &*word.value;
    let is_of_name = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    match (1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(is_of_name) {
        true => Ok(text.into()),
        false => {
            let found = Excerpt::of(text);
            let problem = format!(
                "expected a name of 1 to {LONGEST_NAME} letters, digits, `-`, `.` and `_`, found {found}"
            );
            Err(refused(word, problem))
        }
    }
}

/// Rights: at least one.
pub(super) fn rights(words: &Words) -> Result<Rights, CallersFileError> {
    let mut rights = Rights::NONE;
    for word in some(words)? {
        let granted = rights.grant(&word.value);
        granted.map_err(|error| refused(word, error))?;
    }
    Ok(rights)
}

/// Identities, if there are any: then at least one.
pub(super) fn identities(words: Option<&Words>) -> Result<Vec<IdentityPattern>, CallersFileError> {
    each(words, |word| IdentityPattern::from_str(&word.value))
}

/// Namespaces, if there are any: then at least one.
pub(super) fn namespaces(words: Option<&Words>) -> Result<Vec<Text>, CallersFileError> {
    each(words, |word| {
        check_namespace(&word.value).map(|()| Text::from(&*word.value))
    })
}

/// Checks the rights of a caller that is narrowed to identities and not to namespaces: it may not have the right `jobs`. A Job has no
/// owner, repo and branch, so the caller could see none.
pub(super) fn check_no_jobs(rights: &Words) -> Result<(), CallersFileError> {
    let mut words = rights.value.iter();
    match words.find(|word| word.value == Right::Jobs.as_str()) {
        Some(word) => Err(refused(
            word,
            "expected the key namespaces beside the right jobs: Jobs have no owner, repo and branch that could narrow it",
        )),
        None => Ok(()),
    }
}

/// What each of the words is read as, if there are any: then at least one.
pub(super) fn each<T, E: std::fmt::Display>(
    words: Option<&Words>,
    read: impl Fn(&Word) -> Result<T, E>,
) -> Result<Vec<T>, CallersFileError> {
    let Some(words) = words else {
        return Ok(Vec::new());
    };
    let words = some(words)?.iter();
    words
        .map(|word| read(word).map_err(|error| refused(word, error)))
        .collect()
}

/// An empty list is no list that is left out: what is meant by it cannot be known.
fn some(words: &Words) -> Result<&[Word], CallersFileError> {
    match words.value.is_empty() {
        false => Ok(&words.value),
        true => Err(refused(words, "expected at least one entry, found none")),
    }
}

/// A token by its hash. What stands there instead is not quoted: it may be the token itself.
fn token(word: &Word) -> Result<Token, CallersFileError> {
    let digits = word.value.as_bytes();
    let Some(hash) = of_hex(digits) else {
        let problem = format!(
            "expected the SHA-256 of a token, 64 hexadecimal digits, found {} characters{}",
            word.value.chars().count(),
            match digits.len() {
                64 => ", not all of them hexadecimal digits",
                _ => "",
            }
        );
        return Err(refused(word, problem));
    };
    // `printf %s "$TOKEN" | sha256sum` gives it when the variable is not set.
    if hash == digest(&SHA256, b"").as_ref() {
        return Err(refused(
            word,
            "expected the SHA-256 of a token, found that of an empty text",
        ));
    }
    Ok(Token::of_hash(hash))
}

fn of_hex(digits: &[u8]) -> Option<[u8; 32]> {
    if digits.len() != 64 {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        for digit in pair {
            let digit = char::from(*digit).to_digit(16)?;
            *byte = *byte << 4 | u8::try_from(digit).ok()?;
        }
    }
    Some(hash)
}

/// When a token is not valid any more: at the end of a day, or at a time.
fn expiry(word: &Word) -> Result<SystemTime, CallersFileError> {
    let text = &*word.value;
    let day = || {
        let is_date = text.len() == "2027-06-30".len();
        let date = is_date.then(|| text.parse::<Date>().ok()).flatten()?;
        Some(
            date.tomorrow()
                .ok()?
                .to_zoned(TimeZone::UTC)
                .ok()?
                .timestamp(),
        )
    };
    let time = day().or_else(|| text.parse::<Timestamp>().ok());
    let since = time.and_then(|time| u64::try_from(time.as_second()).ok());
    let time =
        since.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(since)));
    time.ok_or_else(|| {
        let found = Excerpt::of(text);
        let problem = format!(
            "expected a day such as 2027-06-30, to its end in UTC, or a time such as 2027-06-30T12:00:00Z, found {found}"
        );
        refused(word, problem)
    })
}
