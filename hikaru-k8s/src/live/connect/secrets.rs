//! Our own credentials in foreign answers: a proxy that shows the header lines it got would put them into errors, answers
//! and logs. They are taken out of what comes in, before anybody reads it. Where they come from is said in `connection`.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine as _, prelude::BASE64_STANDARD, prelude::BASE64_STANDARD_NO_PAD};
use http::{HeaderMap, HeaderValue};
use memchr::memmem;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// The replacement for a secret.
const REDACTED: &[u8] = b"(our credentials)";
/// In a text for people this many bytes of a secret are enough to recognize it, because a proxy may have cut it: they and all
/// bytes after them that match the secret are replaced. A secret that is shorter is replaced in such texts alone.
const BEGINNING: usize = 16;
/// What is percent-encoded: all but the unreserved characters of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// How many credentials are remembered: those before a rotation may still be on their way.
const REMEMBERED: usize = 3;

/// The credentials that recent requests were sent with. Cheap to clone; all clones share them.
#[derive(Clone, Default)]
pub(in crate::live) struct Secrets {
    sent: Arc<Mutex<VecDeque<Sent>>>,
}

struct Sent {
    header: HeaderValue,
    /// Each form in which a foreign text could repeat it.
    forms: Arc<[Vec<u8>]>,
}

impl Secrets {
    /// Remembers the header `Authorization` that requests are sent with.
    pub(in crate::live) fn remember(&self, header: &HeaderValue) {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.retain(|known| known.header != header);
        sent.push_front(Sent {
            header: header.clone(),
            forms: forms(header.as_bytes()).into(),
        });
        sent.truncate(REMEMBERED);
    }

    fn forms(&self) -> Vec<Arc<[Vec<u8>]>> {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.iter().map(|sent| sent.forms.clone()).collect()
    }

    /// A text for people, without the credentials.
    pub(in crate::live) fn out_of_text(&self, text: &str) -> String {
        let text = self.without(text.as_bytes().to_vec(), 1, BEGINNING);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// The bytes of an answer without them. Programs read those, so only whole secrets are replaced: a password of a few
    /// letters is a part of innocent words, and every JSON Web Token begins with the same bytes as ours.
    pub(in crate::live) fn out_of_bytes(&self, bytes: Vec<u8>) -> Vec<u8> {
        self.without(bytes, BEGINNING, usize::MAX)
    }

    /// Removes the credentials from the header fields of an answer.
    pub(in crate::live) fn out_of_headers(&self, headers: &mut HeaderMap) {
        for value in headers.values_mut() {
            let without = self.without(value.as_bytes().to_vec(), BEGINNING, BEGINNING);
            if without != value.as_bytes()
                && let Ok(other) = HeaderValue::from_bytes(&without)
            {
                *value = other;
            }
        }
    }

    /// Replaces the secrets of at least `least` bytes. `beginning`: how many bytes of one are enough to recognize it.
    fn without(&self, mut bytes: Vec<u8>, least: usize, beginning: usize) -> Vec<u8> {
        for forms in self.forms() {
            for form in forms.iter().filter(|form| form.len() >= least) {
                bytes = take_out(bytes, form, beginning);
            }
        }
        bytes
    }
}

fn take_out(bytes: Vec<u8>, secret: &[u8], beginning: usize) -> Vec<u8> {
    let beginning = &secret[..secret.len().min(beginning)];
    let finder = memmem::Finder::new(beginning);
    let Some(mut at) = finder.find(&bytes) else {
        return bytes;
    };
    let (mut rest, mut kept) = (&bytes[..], Vec::new());
    loop {
        kept.extend_from_slice(&rest[..at]);
        kept.extend_from_slice(REDACTED);
        let same = rest[at..].iter().zip(secret).take_while(|(a, b)| a == b);
        rest = &rest[at + same.count()..];
        match finder.find(rest) {
            Some(next) => at = next,
            None => break,
        }
    }
    kept.extend_from_slice(rest);
    kept
}

/// The forms of what stands in a header `Authorization`: as it is, percent-encoded, and in base64, wherever in a longer text
/// it was encoded. The longer ones come first, so that no shorter one leaves a part of them.
fn forms(header: &[u8]) -> Vec<Vec<u8>> {
    let text = header.trim_ascii();
    let (scheme, secret) = match text.iter().position(|b| *b == b' ') {
        Some(end) => (&text[..end], text[end..].trim_ascii()),
        None => (&text[..0], text),
    };
    let mut plain = vec![secret.to_vec()];
    if scheme.eq_ignore_ascii_case(b"basic")
        && let Ok(pair) = BASE64_STANDARD.decode(secret)
    {
        let colon = pair.iter().position(|b| *b == b':');
        plain.extend(colon.map(|at| pair[at + 1..].to_vec()));
        plain.push(pair);
    }
    let mut forms = Vec::new();
    for secret in plain {
        forms.push(percent_encode(&secret, ENCODED).to_string().into_bytes());
        forms.extend((0..3).map(|offset| encoded_at(&secret, offset)));
        forms.push(secret);
    }
    forms.retain(|form| !form.is_empty());
    forms.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    forms.dedup();
    forms
}

/// The characters of base64 that depend on the secret alone, where it begins at this place of a group of three bytes.
fn encoded_at(secret: &[u8], offset: usize) -> Vec<u8> {
    let mut text = vec![0; offset];
    text.extend_from_slice(secret);
    let whole = BASE64_STANDARD_NO_PAD.encode(&text);
    // Six bits a character: the first ones are of what stands before, too, the last one of what follows.
    let first = (offset * 8).div_ceil(6);
    let last = text.len() * 8 / 6;
    whole
        .as_bytes()
        .get(first..last)
        .unwrap_or_default()
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.s1gnature-of-ours";

    fn secrets(header: &str) -> Secrets {
        let secrets = Secrets::default();
        secrets.remember(&HeaderValue::from_str(header).expect("ASCII"));
        secrets
    }

    #[test]
    fn a_token_is_taken_out_in_each_of_its_forms() {
        let secrets = secrets(&format!("Bearer {TOKEN}"));
        let in_base64 = |before: &str| BASE64_STANDARD.encode(format!("{before}{TOKEN}, and more"));
        for (text, expected) in [
            ("nothing of ours".to_owned(), "nothing of ours"),
            (
                format!("Authorization: Bearer {TOKEN}\r\nHost: x"),
                "Authorization: Bearer (our credentials)\r\nHost: x",
            ),
            (
                format!("{TOKEN}{TOKEN}"),
                "(our credentials)(our credentials)",
            ),
        ] {
            assert_eq!(secrets.out_of_text(&text), expected);
            let bytes = secrets.out_of_bytes(text.into_bytes());
            assert_eq!(String::from_utf8_lossy(&bytes), expected);
        }
        // A proxy that cuts what it shows.
        let cut = format!("{}…", &TOKEN[..30]);
        assert_eq!(secrets.out_of_text(&cut), "(our credentials)…");
        for before in ["", "B", "Be", "Bearer "] {
            let shown = secrets.out_of_text(&in_base64(before));
            assert!(shown.contains("(our credentials)"), "{shown}");
            // What is left says less than three bytes of it.
            let whole = BASE64_STANDARD.encode(TOKEN);
            assert!(!shown.contains(&whole[8..16]), "{shown}");
        }
        let mut headers = HeaderMap::new();
        let value = format!("299 - \"you sent {TOKEN}\"");
        headers.insert("warning", HeaderValue::from_str(&value).expect("ASCII"));
        headers.insert("x-other", HeaderValue::from_static("kept"));
        secrets.out_of_headers(&mut headers);
        assert_eq!(headers["warning"], "299 - \"you sent (our credentials)\"");
        assert_eq!(headers["x-other"], "kept");
    }

    #[test]
    fn a_password_is_taken_out_in_each_of_its_forms() {
        let pair = "admin:pass word+1/2";
        let header = format!("Basic {}", BASE64_STANDARD.encode(pair));
        let secrets = secrets(&header);
        for (text, expected) in [
            (header.as_str(), "Basic (our credentials)"),
            ("you are admin:pass word+1/2", "you are (our credentials)"),
            (
                "the password pass word+1/2.",
                "the password (our credentials).",
            ),
            ("?p=pass%20word%2B1%2F2&x", "?p=(our credentials)&x"),
        ] {
            let shown = secrets.out_of_text(text);
            // A pad of base64 says nothing.
            assert_eq!(shown.trim_end_matches('='), expected);
        }
        // What programs read is not changed for the sake of a few letters.
        let innocent = b"a pass word+1/2".to_vec();
        assert_eq!(secrets.out_of_bytes(innocent.clone()), innocent);
    }

    /// Such a token may stand in a CronJob from which a Job is created.
    #[test]
    fn another_token_in_an_answer_stays_as_it_is() {
        let secrets = secrets(&format!("Bearer {TOKEN}"));
        let other = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.another-signature";
        let body = format!("{{\"name\":\"TOKEN\",\"value\":\"{other}\"}}").into_bytes();
        assert_eq!(secrets.out_of_bytes(body.clone()), body);
    }

    #[test]
    fn those_before_a_rotation_are_remembered() {
        let secrets = Secrets::default();
        for number in 0..5 {
            let header = format!("Bearer a-token-that-rotates-{number}");
            secrets.remember(&HeaderValue::from_str(&header).expect("ASCII"));
        }
        assert_eq!(secrets.forms().len(), REMEMBERED);
        let shown = secrets.out_of_text("a-token-that-rotates-3");
        assert!(!shown.contains("token"), "{shown}");
    }
}
