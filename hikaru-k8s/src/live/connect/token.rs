//! Bearer tokens: what a token may look like, and tokens in files that rotate. Which file it is, is chosen in
//! `connection`.

use std::{
    fmt, fs, io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use http::HeaderValue;

/// How long what was read from a file is used before the file is looked at again. Kubernetes rotates a mounted
/// token at 80 % of its life, which is ten minutes at least.
pub(in crate::live) const FRESH: Duration = Duration::from_secs(10);

/// Why a text is no token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// There is nothing.
    #[error("expected a token, found nothing")]
    Empty,
    /// No header can hold it.
    #[error("expected a token of visible ASCII characters, found {0} after {1} of them")]
    Character(&'static str, usize),
    /// Its file cannot be read.
    #[error("{0}")]
    File(#[from] io::Error),
}

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

/// A token in a file, read again as the file rotates. When that fails, the last one is used on: so does kubectl.
#[derive(Clone)]
pub(in crate::live) struct TokenFile {
    path: PathBuf,
    last: Arc<Mutex<(HeaderValue, Instant)>>,
}

impl TokenFile {
    /// Reads the file for the first time.
    pub(in crate::live) fn open(path: PathBuf) -> Result<Self, TokenError> {
        let header = read(&path)?;
        Ok(Self {
            path,
            last: Arc::new(Mutex::new((header, Instant::now()))),
        })
    }

    /// The value of the header `Authorization`. Reads the file if that was done some time ago: a small file of a local
    /// volume, which takes microseconds.
    pub(in crate::live) fn header(&self) -> HeaderValue {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.1.elapsed() >= FRESH {
            if let Ok(header) = read(&self.path) {
                last.0 = header;
            }
            last.1 = Instant::now();
        }
        last.0.clone()
    }

    /// Looks at the file at once, because this header was refused: whether another one can be tried.
    pub(in crate::live) fn changed_since(&self, refused: &HeaderValue) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0 == refused
            && let Ok(header) = read(&self.path)
        {
            *last = (header, Instant::now());
        }
        last.0 != refused
    }
}

fn read(path: &PathBuf) -> Result<HeaderValue, TokenError> {
    let text = fs::read_to_string(path)?;
    let token = check(&text)?;
    let mut header = HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|_| TokenError::Character("another character", 0))?;
    header.set_sensitive(true);
    Ok(header)
}

impl fmt::Debug for TokenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenFile({})", self.path.display())
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
    fn a_rotated_file_is_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        fs::write(&path, "one\n").expect("written");
        let token = TokenFile::open(path.clone()).expect("a token");
        assert_eq!(token.header(), "Bearer one");
        fs::write(&path, "two").expect("written");
        let one = token.header();
        assert_eq!(one, "Bearer one");
        assert!(token.changed_since(&one));
        assert_eq!(token.header(), "Bearer two");
        // Somebody else's request was sent with the old one, too.
        assert!(token.changed_since(&one));
        let two = token.header();
        assert!(!token.changed_since(&two));
        for broken in ["", "a\nb"] {
            fs::write(&path, broken).expect("written");
            assert!(!token.changed_since(&two));
        }
        fs::remove_file(&path).expect("removed");
        assert!(!token.changed_since(&two));
        assert_eq!(token.header(), "Bearer two");
        assert!(!format!("{token:?}").contains("two"));
    }
}
