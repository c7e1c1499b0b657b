//! Bearer tokens: what a token may look like, and tokens in files. Which file it is, is chosen in `connection`; when it is read
//! again is in `transport`.

use std::{fmt, fs, path::PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

use super::error::{ConnectionError, TokenError};

/// The token in a text, trimmed, if a header can hold it.
pub(in crate::live) fn check(text: &str) -> Result<&str, TokenError> {
    let token = text.trim();
    if token.is_empty() {
        return Err(TokenError::Empty);
    }
    match token
        .chars()
        .enumerate()
        .find(|(_, c)| !c.is_ascii_graphic())
    {
        None => Ok(token),
        Some((at, c)) => {
            let what = match c {
                '\n' | '\r' => "a line break",
                ' ' | '\t' => "a space",
                c if c.is_control() => "a control character",
                _ => "another character",
            };
            Err(TokenError::Character(what, at))
        }
    }
}

/// A file that holds a token.
#[derive(Clone)]
pub(in crate::live) struct TokenFile {
    /// What it is, in messages: `K8S_TOKEN_FILE`.
    what: String,
    path: PathBuf,
}

/// A token that was read.
#[derive(Clone)]
pub(in crate::live) struct Token(SecretString);

impl TokenFile {
    /// The file is not read yet.
    pub(in crate::live) fn new(what: String, path: PathBuf) -> Self {
        Self { what, path }
    }

    /// Reads it.
    pub(in crate::live) fn read(&self) -> Result<Token, ConnectionError> {
        let text = fs::read_to_string(&self.path).map_err(|reason| ConnectionError::File {
            what: self.what.clone(),
            path: self.path.clone(),
            reason,
        })?;
        let token = check(&text).map_err(|reason| ConnectionError::Token {
            place: self.to_string(),
            reason,
        })?;
        Ok(Token(token.to_owned().into()))
    }
}

impl fmt::Display for TokenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what, self.path.display())
    }
}

impl Token {
    pub(in crate::live) fn secret(&self) -> SecretString {
        self.0.clone()
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_trimmed_and_its_characters_looked_at() {
        assert_eq!(check(" abc.d-e_f\n").expect("a token"), "abc.d-e_f");
        for (text, expected) in [
            ("", "expected a token, found nothing"),
            (" \n", "expected a token, found nothing"),
            (
                "ab\ncd",
                "expected a token of visible ASCII characters, found a line break after 2 of them",
            ),
            (
                "é",
                "expected a token of visible ASCII characters, found another character after 0 of them",
            ),
            (
                "a\u{0}",
                "expected a token of visible ASCII characters, found a control character after 1 of them",
            ),
        ] {
            let error = check(text).expect_err(text).to_string();
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn a_file_is_read_each_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        let file = TokenFile::new("K8S_TOKEN_FILE".to_owned(), path.clone());
        let read = || match file.read() {
            Ok(token) => token.secret().expose_secret().to_owned(),
            Err(error) => error.to_string(),
        };
        let shown = path.display();
        for (text, expected) in [
            ("one\n", "one".to_owned()),
            ("two", "two".to_owned()),
            (
                "",
                format!("K8S_TOKEN_FILE {shown}: expected a token, found nothing"),
            ),
        ] {
            fs::write(&path, text).expect("written");
            assert_eq!(read(), expected);
        }
        fs::remove_file(&path).expect("removed");
        assert_eq!(
            read(),
            format!("K8S_TOKEN_FILE {shown}: No such file or directory (os error 2)")
        );
    }
}
