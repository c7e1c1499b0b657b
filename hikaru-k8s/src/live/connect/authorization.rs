//! The header `Authorization`: of a bearer token, also of one in a file, and of a user with a password. Which one it is, is chosen
//! in `connection`; when a file is read again is in `transport`.

use std::{fmt, fs, path::PathBuf};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::HeaderValue;

use super::error::ConnectionError;

/// Where the header comes from.
#[derive(Clone)]
pub(in crate::live) enum Authorization {
    /// It is known.
    Header(HeaderValue),
    /// Its token is in a file.
    File(TokenFile),
}

/// The header of a token, which is trimmed.
///
/// # Errors
/// What was expected and what was found, without the token.
pub(in crate::live) fn bearer(text: &str) -> Result<HeaderValue, String> {
    let token = text.trim();
    if token.is_empty() {
        return Err("expected a token, found nothing".to_owned());
    }
    let mut chars = token.chars().enumerate();
    if let Some((at, c)) = chars.find(|(_, c)| !c.is_ascii_graphic()) {
        let found = match c {
            '\n' | '\r' => "a line break",
            ' ' | '\t' => "a space",
            c if c.is_control() => "a control character",
            _ => "another character",
        };
        return Err(format!(
            "expected a token of visible ASCII characters, found {found} after {at} of them"
        ));
    }
    header(format!("Bearer {token}"))
}

/// The header of a user with a password.
pub(in crate::live) fn basic(user: &str, password: &str) -> Result<HeaderValue, String> {
    header(format!(
        "Basic {}",
        BASE64_STANDARD.encode(format!("{user}:{password}"))
    ))
}

fn header(text: String) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::try_from(text).map_err(|error| error.to_string())?;
    value.set_sensitive(true);
    Ok(value)
}

/// A file that holds a token.
#[derive(Clone)]
pub(in crate::live) struct TokenFile {
    /// What it is, in messages: `K8S_TOKEN_FILE`.
    what: String,
    path: PathBuf,
}

impl TokenFile {
    /// The file is not read yet.
    pub(in crate::live) fn new(what: String, path: PathBuf) -> Self {
        Self { what, path }
    }

    /// Reads it.
    pub(in crate::live) fn read(&self) -> Result<HeaderValue, ConnectionError> {
        let text = fs::read_to_string(&self.path).map_err(|reason| ConnectionError::File {
            what: self.what.clone(),
            path: self.path.clone(),
            reason,
        })?;
        bearer(&text).map_err(|reason| ConnectionError::Settings(format!("{self}: {reason}")))
    }
}

impl fmt::Display for TokenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what, self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_trimmed_and_its_characters_looked_at() {
        assert_eq!(bearer(" abc.d-e_f\n").expect("a token"), "Bearer abc.d-e_f");
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
            assert_eq!(bearer(text).expect_err(text), expected);
        }
    }

    #[test]
    fn a_file_is_read_each_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        let file = TokenFile::new("K8S_TOKEN_FILE".to_owned(), path.clone());
        let read = || match file.read() {
            Ok(header) => header.to_str().expect("ASCII").to_owned(),
            Err(error) => error.to_string(),
        };
        let shown = path.display();
        for (text, expected) in [
            ("one\n", "Bearer one".to_owned()),
            ("two", "Bearer two".to_owned()),
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
