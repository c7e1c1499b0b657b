//! Who may call: bearer tokens, compared in constant time, or nobody but this machine. What keeps browsers out without a
//! token is in `browser`.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use subtle::{Choice, ConstantTimeEq as _};

/// The longest token, in bytes: what is sent is compared at this length, so that time tells nothing of a token's own.
pub const MAX_TOKEN: usize = 1024;

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

/// A token's bytes, zeros to a fixed length, and its own length.
struct Padded {
    bytes: [u8; MAX_TOKEN],
    length: u64,
}

impl secrecy::zeroize::Zeroize for Padded {
    fn zeroize(&mut self) {
        self.bytes.zeroize();
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
    /// When no caller could send it: it is empty, longer than [`MAX_TOKEN`], or not made of visible ASCII characters.
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
        Ok(Self {
            padded: SecretBox::new(Box::new(Padded::of(bytes))),
        })
    }

    /// In the same time for every token of at most [`MAX_TOKEN`] bytes.
    fn is(&self, sent: &Padded) -> Choice {
        let token = self.padded.expose_secret();
        token.bytes.ct_eq(&sent.bytes) & token.length.ct_eq(&sent.length)
    }
}

impl Padded {
    /// The first bytes decide; the length is the whole one, so that a longer text is never equal to its beginning.
    fn of(text: &[u8]) -> Self {
        let mut bytes = [0; MAX_TOKEN];
        for (byte, sent) in bytes.iter_mut().zip(text) {
            *byte = *sent;
        }
        Self {
            bytes,
            length: text.len() as u64,
        }
    }
}

impl Clone for Token {
    fn clone(&self) -> Self {
        let token = self.padded.expose_secret();
        Self {
            padded: SecretBox::new(Box::new(Padded {
                bytes: token.bytes,
                length: token.length,
            })),
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
}
