//! Bearer tokens: what can be one, and whether a caller sent one of them. Only their hashes are kept.

use std::fmt;

use ring::digest::{SHA256, digest};
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;

/// The longest token, in bytes.
pub const MAX_TOKEN: usize = 1024;

/// The shortest token, in bytes: a shorter one can be guessed.
pub const MIN_TOKEN: usize = 16;

/// The tokens that are valid: one, or two while they are rotated.
#[derive(Clone, Debug)]
pub struct Tokens {
    first: Token,
    second: Option<Token>,
}

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
        Ok(Self {
            hash: sha256(bytes),
        })
    }

    /// Both sides are hashed, so they have one length, and the time that the comparison takes says nothing of the token.
    fn is(&self, sent: &[u8; 32]) -> bool {
        self.hash.ct_eq(sent).into()
    }
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

impl Tokens {
    /// One valid token, or two while they are rotated.
    pub fn new(first: Token, second: Option<Token>) -> Self {
        Self { first, second }
    }

    /// Which of them was sent, as the log names it.
    pub(super) fn name_of(&self, sent: &[u8]) -> Option<&'static str> {
        let sent = sha256(sent);
        if self.first.is(&sent) {
            return Some("token 1");
        }
        let is_second = self.second.as_ref().is_some_and(|second| second.is(&sent));
        is_second.then_some("token 2")
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
        let sound = |text| token(text).expect("a token");
        let longest = "x".repeat(MAX_TOKEN);
        let longer = "x".repeat(MAX_TOKEN + 1);
        let tokens = Tokens::new(sound("s3cret-of-16-byt"), Some(sound(&longest)));
        for (sent, expected) in [
            ("s3cret-of-16-byt", Some("token 1")),
            (&*longest, Some("token 2")),
            (&*longer, None),
            ("", None),
            ("s3cret-of-16-by", None),
            ("s3cret-of-16-byt\0", None),
            ("s3cret-of-16-byts", None),
            ("S3cret-of-16-byt", None),
        ] {
            assert_eq!(tokens.name_of(sent.as_bytes()), expected, "{sent:?}");
        }
        let alone = Tokens::new(sound("s3cret-of-16-byt"), None);
        assert_eq!(
            alone.name_of(b""),
            None,
            "no second token is not an empty token"
        );
    }

    #[test]
    fn debug_shows_no_secret() {
        let tokens = Tokens::new(token("s3cret-of-16-byt").expect("a token"), None);
        let shown = format!("{tokens:?}");
        assert_eq!(shown, "Tokens { first: Token(secret), second: None }");
    }
}
