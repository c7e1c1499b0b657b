//! Bearer tokens: what can be one, and which one a caller sent. Only their hashes are kept.

use std::fmt;

use hyper::{
    HeaderMap,
    header::{AUTHORIZATION, HeaderValue},
};
use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom as _, SystemRandom},
};
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;

use super::Denied;

/// The longest token, in bytes.
pub const MAX_TOKEN: usize = 1024;

/// The shortest token, in bytes: a shorter one can be guessed.
pub const MIN_TOKEN: usize = 16;

/// A bearer token, as its SHA-256. Not shown by `Debug`.
#[derive(Clone)]
pub struct Token {
    hash: [u8; 32],
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
        Ok(Self::of_sent(bytes))
    }

    /// The token with this SHA-256.
    pub fn of_hash(hash: [u8; 32]) -> Self {
        Self { hash }
    }

    /// Makes a token of 32 random bytes. Its text is `hikaru_` and 64 hexadecimal digits, so that scanners find it
    /// in sources and logs. `None`: the system gives no random bytes.
    ///
    /// ```
    /// use secrecy::ExposeSecret as _;
    /// let (text, token) = hikaru_http::Token::random().expect("random bytes");
    /// assert!(text.expose_secret().starts_with("hikaru_") && token == hikaru_http::Token::new(&text).unwrap());
    /// ```
    pub fn random() -> Option<(SecretString, Self)> {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).ok()?;
        let text = SecretString::from(format!("hikaru_{}", hex(&bytes)));
        let token = Self::of_sent(text.expose_secret().as_bytes());
        Some((text, token))
    }

    /// Its SHA-256 in hexadecimal digits, as a file of callers has it.
    pub fn sha256(&self) -> String {
        hex(&self.hash)
    }

    /// What a caller sent: it can be anything.
    pub(super) fn of_sent(sent: &[u8]) -> Self {
        Self { hash: sha256(sent) }
    }
}

/// Both sides are hashed, so they have one length, and the time that the comparison takes says nothing of the token.
impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.hash.ct_eq(&other.hash).into()
    }
}

impl Eq for Token {}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(secret)")
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750, 2.1). The scheme's case does not matter (RFC 9110, 11.1).
pub(super) fn bearer(headers: &HeaderMap) -> Result<&[u8], Denied> {
    let mut sent = headers.get_all(AUTHORIZATION).iter();
    let header = match (sent.next(), sent.next()) {
        (None, _) => return Err(Denied::NoCredentials),
        (Some(header), None) => HeaderValue::as_bytes(header),
        (Some(_), Some(_)) => return Err(Denied::TwoCredentials),
    };
    match header.split_first_chunk::<7>() {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"Bearer ") => {
            Ok(token.trim_ascii_start())
        }
        _ => Err(Denied::NoCredentials),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> Result<Token, TokenError> {
        Token::new(&SecretString::from(text))
    }

    #[test]
    fn short_long_and_unprintable_texts_are_no_tokens() {
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
        let sound = token("s3cret-of-16-byt").expect("a token");
        for (sent, expected) in [
            ("s3cret-of-16-byt", true),
            ("", false),
            ("s3cret-of-16-by", false),
            ("s3cret-of-16-byt\0", false),
            ("s3cret-of-16-byts", false),
            ("S3cret-of-16-byt", false),
        ] {
            let is_it = sound == Token::of_sent(sent.as_bytes());
            assert_eq!(is_it, expected, "{sent:?}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", token("s3cret-of-16-byt").expect("a token"));
        assert_eq!(shown, "Token(secret)");
    }
}
