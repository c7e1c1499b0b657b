//! Who may call: bearer tokens, compared in constant time, or nobody but this machine. What keeps browsers out without a
//! token is in `browser`.

use std::fmt;

use hyper::{
    HeaderMap, Uri,
    header::{AUTHORIZATION, HeaderValue},
};
use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use subtle::{Choice, ConstantTimeEq as _};

use crate::{
    browser,
    problem::{Kind, Refusal},
};

/// The longest token, in bytes: what is sent is compared at this length, so that time tells nothing of a token's own.
pub const MAX_TOKEN: usize = 1024;

/// The shortest token, in bytes: a shorter one can be guessed.
pub const MIN_TOKEN: usize = 16;

/// Who may call. Probes are for everybody.
#[derive(Clone, Debug)]
pub enum Authentication {
    /// Who has one of these bearer tokens (RFC 6750).
    Tokens(Tokens),
    /// Everybody on this machine, browsers kept out: the server has to listen on a loopback address.
    Loopback,
    /// Everybody who reaches the server, on any address; only what a browser sends for a web page is refused. For
    /// networks that are protected by other means.
    Insecure,
}

/// The tokens that are valid: one, or two while they are rotated.
#[derive(Clone, Debug)]
pub struct Tokens {
    first: Token,
    second: Option<Token>,
}

/// A bearer token. Not shown by `Debug`, wiped from memory when it is dropped.
pub struct Token {
    padded: SecretBox<Padded>,
}

/// A token's bytes, zeros to a fixed length, and its own length. In words: every request compares all of them.
#[derive(Clone)]
struct Padded {
    words: [u64; MAX_TOKEN / WORD],
    length: u64,
}

/// Bytes of a word.
const WORD: usize = size_of::<u64>();

impl secrecy::zeroize::Zeroize for Padded {
    fn zeroize(&mut self) {
        self.words.zeroize();
        self.length.zeroize();
    }
}

/// Why a text cannot be a token. It never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It is empty.
    #[error("the token is empty")]
    Empty,
    /// It is shorter than [`MIN_TOKEN`].
    #[error("the token has {0} bytes: expected at least {MIN_TOKEN}")]
    TooShort(usize),
    /// It is longer than [`MAX_TOKEN`].
    #[error("the token has {0} bytes: expected at most {MAX_TOKEN}")]
    TooLong(usize),
    /// A header cannot carry it.
    #[error(
        "expected a token of visible ASCII characters, found another one (a space, a line's end?) at byte {0}"
    )]
    Unprintable(usize),
}

impl Token {
    /// Takes a token. It is compared as it is: nothing is trimmed.
    ///
    /// # Errors
    /// When it can be guessed or no caller could send it: it is empty, shorter than [`MIN_TOKEN`], longer than
    /// [`MAX_TOKEN`], or not made of visible ASCII characters.
    pub fn new(text: &SecretString) -> Result<Self, TokenError> {
        let bytes = text.expose_secret().as_bytes();
        match bytes.len() {
            0 => return Err(TokenError::Empty),
            length if length > MAX_TOKEN => return Err(TokenError::TooLong(length)),
            _ => {}
        }
        if let Some(at) = bytes.iter().position(|b| !b.is_ascii_graphic()) {
            return Err(TokenError::Unprintable(at));
        }
        if bytes.len() < MIN_TOKEN {
            return Err(TokenError::TooShort(bytes.len()));
        }
        Ok(Self {
            padded: SecretBox::new(Box::new(Padded::of(bytes))),
        })
    }

    /// In the same time for every token of at most [`MAX_TOKEN`] bytes.
    fn is(&self, sent: &Padded) -> Choice {
        let token = self.padded.expose_secret();
        // All differences in one word, which alone is compared: what one word of many says nobody can time.
        let pairs = token.words.iter().zip(&sent.words);
        let differences = pairs.fold(token.length ^ sent.length, |all, (a, b)| all | (a ^ b));
        differences.ct_eq(&0)
    }
}

impl Padded {
    /// The first bytes decide; the length is the whole one, so that a longer text is never equal to its beginning.
    fn of(text: &[u8]) -> Self {
        let mut padded = Self {
            words: [0; MAX_TOKEN / WORD],
            length: text.len() as u64,
        };
        for (word, sent) in padded.words.iter_mut().zip(text.chunks(WORD)) {
            let mut bytes = [0; WORD];
            bytes[..sent.len()].copy_from_slice(sent);
            *word = u64::from_le_bytes(bytes);
        }
        padded
    }
}

impl Clone for Token {
    fn clone(&self) -> Self {
        Self {
            padded: SecretBox::new(Box::new(self.padded.expose_secret().clone())),
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(secret)")
    }
}

impl Tokens {
    /// One valid token, or two while they are rotated.
    pub fn new(first: Token, second: Option<Token>) -> Self {
        Self { first, second }
    }

    /// Which of them was sent. Both are compared, whichever it is.
    fn which(&self, sent: &[u8]) -> Option<Caller> {
        let sent = Padded::of(sent);
        let first = self.first.is(&sent);
        let second = match &self.second {
            Some(second) => second.is(&sent),
            None => Choice::from(0),
        };
        match (bool::from(first), bool::from(second)) {
            (true, _) => Some(Caller::FirstToken),
            (false, true) => Some(Caller::SecondToken),
            (false, false) => None,
        }
    }
}

/// Who called, as the log says it: never with a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Nobody was asked for a token.
    Anonymous,
    /// The first token.
    FirstToken,
    /// The second one.
    SecondToken,
}

impl Caller {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::FirstToken => "token 1",
            Self::SecondToken => "token 2",
        }
    }
}

impl Authentication {
    /// Says who calls, or why nobody is let in. Reads the header alone.
    pub(crate) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<Caller, Box<Refusal>> {
        match self {
            Self::Tokens(tokens) => {
                let sent = bearer(headers)?;
                let caller = tokens.which(sent);
                caller.ok_or_else(|| Refusal::unauthorized(true))
            }
            Self::Loopback => {
                browser::check_host(uri, headers)?;
                browser::check_origin(headers)?;
                Ok(Caller::Anonymous)
            }
            Self::Insecure => {
                browser::check_origin(headers)?;
                Ok(Caller::Anonymous)
            }
        }
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750, 2.1). The scheme's case does not matter (RFC 9110, 11.1).
fn bearer(headers: &HeaderMap) -> Result<&[u8], Box<Refusal>> {
    let mut sent = headers.get_all(AUTHORIZATION).iter();
    let header = match (sent.next(), sent.next()) {
        (None, _) => return Err(Refusal::unauthorized(false)),
        (Some(header), None) => HeaderValue::as_bytes(header),
        // Two may be read differently by a proxy and by us.
        (Some(_), Some(_)) => {
            let detail = "expected one header `Authorization`, found more";
            return Err(Refusal::new(Kind::BadRequest, detail));
        }
    };
    match header.split_first_chunk::<7>() {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"Bearer ") => {
            Ok(token.trim_ascii_start())
        }
        _ => Err(Refusal::unauthorized(false)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> Result<Token, TokenError> {
        Token::new(&SecretString::from(text))
    }

    #[test]
    fn what_can_be_a_token() {
        let longest = "x".repeat(MAX_TOKEN);
        let longer = "x".repeat(MAX_TOKEN + 1);
        for (text, expected) in [
            ("", Some(TokenError::Empty)),
            ("a\n", Some(TokenError::Unprintable(1))),
            ("a b", Some(TokenError::Unprintable(1))),
            ("\u{e9}", Some(TokenError::Unprintable(0))),
            ("s3cret", Some(TokenError::TooShort(6))),
            ("fifteen-letters", Some(TokenError::TooShort(15))),
            ("sixteen-letters!", None),
            (&longest, None),
            (&longer, Some(TokenError::TooLong(MAX_TOKEN + 1))),
        ] {
            assert_eq!(token(text).err(), expected, "{text:?}");
        }
    }

    #[test]
    fn only_the_same_text_is_the_token() {
        let sound = |text| token(text).expect("a token");
        let longest = "x".repeat(MAX_TOKEN);
        let longer = "x".repeat(MAX_TOKEN + 1);
        let tokens = Tokens::new(sound("s3cret-of-16-byt"), Some(sound(&longest)));
        for (sent, expected) in [
            ("s3cret-of-16-byt", Some(Caller::FirstToken)),
            (&*longest, Some(Caller::SecondToken)),
            (&*longer, None),
            ("", None),
            ("s3cret-of-16-by", None),
            ("s3cret-of-16-byt\0", None),
            ("s3cret-of-16-byts", None),
            ("S3cret-of-16-byt", None),
        ] {
            assert_eq!(tokens.which(sent.as_bytes()), expected, "{sent:?}");
        }
        let alone = Tokens::new(sound("s3cret-of-16-byt"), None);
        assert_eq!(alone.which(b""), None, "no second token is no empty token");
    }

    #[test]
    fn debug_shows_no_secret() {
        let tokens = Tokens::new(token("s3cret-of-16-byt").expect("a token"), None);
        let shown = format!("{:?}", Authentication::Tokens(tokens));
        assert_eq!(
            shown,
            "Tokens(Tokens { first: Token(secret), second: None })"
        );
    }
}
