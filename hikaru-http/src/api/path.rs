//! What is read of a path: percent-encoded images and names. Which route a path has is in `routes`.

use std::borrow::Cow;

use hikaru_core::{text::Excerpt, workload::NameError};
use percent_encoding::percent_decode_str;

use super::problem::{Kind, Refusal};

/// Decodes an image's text, once: `%2F` is a slash, `%252F` is `%2F`, which no reference has.
pub(crate) fn image(text: &str) -> Result<Cow<'_, str>, Box<Refusal>> {
    decode(text).map_err(|error| {
        Refusal::new(
            Kind::BadReference,
            format!("not an image reference: {error}"),
        )
    })
}

/// Decodes a part of the path that is a name.
pub(crate) fn name(part: &str) -> Result<Cow<'_, str>, Box<Refusal>> {
    decode(part).map_err(|error| Refusal::new(Kind::BadName, format!("not a name: {error}")))
}

/// A name that Kubernetes does not allow.
pub(crate) fn bad_name(error: NameError) -> Box<Refusal> {
    Refusal::new(Kind::BadName, error.to_string())
}

/// Decodes percent sequences, once.
///
/// # Errors
/// A sentence: a `%` without two hex digits, or bytes that are not UTF-8.
pub(crate) fn decode(text: &str) -> Result<Cow<'_, str>, String> {
    if !text.contains('%') {
        return Ok(text.into());
    }
    let bytes = text.as_bytes();
    let is_hex = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
    for (at, _) in text.match_indices('%') {
        if !is_hex(at + 1) || !is_hex(at + 2) {
            let found = Excerpt::at(text, at);
            return Err(format!(
                "expected two hex digits after `%`, found {found} at byte {at}"
            ));
        }
    }
    let decoded = percent_decode_str(text).decode_utf8();
    let text = decoded.map_err(|error| {
        let at = error.valid_up_to();
        format!("expected UTF-8, found another byte at byte {at} of the decoded text")
    })?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_is_done_once() {
        for (text, expected) in [
            ("a%2Fb%2fc", Ok("a/b/c")),
            ("a%252Fb", Ok("a%2Fb")),
            ("%c3%a9", Ok("é")),
            (
                "a%",
                Err("expected two hex digits after `%`, found `%` at byte 1"),
            ),
            (
                "%2",
                Err("expected two hex digits after `%`, found `%2` at byte 0"),
            ),
            (
                "a%zz",
                Err("expected two hex digits after `%`, found `%zz` at byte 1"),
            ),
            (
                "a%ff",
                Err("expected UTF-8, found another byte at byte 1 of the decoded text"),
            ),
        ] {
            let expected = expected.map(Cow::from).map_err(str::to_owned);
            assert_eq!(decode(text), expected, "{text}");
        }
    }
}
