//! Certificates and keys in PEM: as text, as base64 of it, or in a file that is read whenever it is asked for. They
//! are checked and used in `credentials`.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use secrecy::{ExposeSecret as _, SecretSlice};

use super::error::ConnectionError;

const BEGIN: &[u8] = b"-----BEGIN";

/// What a variable or a part of a kubeconfig has to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::live) enum Content {
    Certificates,
    Key,
}

impl Content {
    fn expected(self) -> &'static str {
        match self {
            Self::Certificates => {
                "certificates as PEM text, as base64 of PEM, or the path of a PEM file"
            }
            Self::Key => "a private key as PEM text, as base64 of PEM, or the path of a PEM file",
        }
    }
}

/// A source of PEM. `Display` names it, as in `K8S_KEY /run/tls.key`. It has no `Debug`, because a text may be a secret.
#[derive(Clone)]
pub(in crate::live) struct Pem {
    what: String,
    content: Content,
    source: Source,
}

#[derive(Clone)]
enum Source {
    Text(SecretSlice<u8>),
    File(PathBuf),
}

impl Pem {
    /// The value of a variable: PEM, base64 of PEM, or a path. A text that could be a mangled secret is not quoted.
    pub(in crate::live) fn of_variable(
        variable: &str,
        content: Content,
        text: &str,
    ) -> Result<Self, ConnectionError> {
        let what = variable.to_owned();
        if holds_pem(text.as_bytes()) {
            return Ok(Self::text(what, content, text.as_bytes().to_vec()));
        }
        // A short path could be base64 of something, but never of PEM.
        if let Some(pem) = unpack(text).filter(|bytes| holds_pem(bytes)) {
            return Ok(Self::text(what, content, pem));
        }
        let path = Path::new(text);
        if text.len() <= 4096 && (plainly_a_path(text) || path.exists()) {
            return Ok(Self::file(what, content, path.to_owned()));
        }
        let found = "no PEM and no file of that name";
        Err(ConnectionError::expected(what, content.expected(), found))
    }

    /// The value of `…-data` in a kubeconfig: base64 of PEM.
    pub(in crate::live) fn of_data(
        what: String,
        content: Content,
        text: &str,
    ) -> Result<Self, ConnectionError> {
        match unpack(text) {
            Some(pem) => Ok(Self::text(what, content, pem)),
            None => {
                let found = "something that is not base64";
                Err(ConnectionError::expected(what, "base64 of PEM", found))
            }
        }
    }

    /// A file.
    pub(in crate::live) fn file(what: String, content: Content, path: PathBuf) -> Self {
        Self {
            what,
            content,
            source: Source::File(path),
        }
    }

    /// PEM itself.
    pub(in crate::live) fn text(what: String, content: Content, pem: Vec<u8>) -> Self {
        Self {
            what,
            content,
            source: Source::Text(pem.into()),
        }
    }

    /// Whether it is in a file, so that it may change.
    pub(in crate::live) fn is_file(&self) -> bool {
        matches!(self.source, Source::File(_))
    }

    fn read(&self) -> Result<SecretSlice<u8>, ConnectionError> {
        match &self.source {
            Source::Text(pem) => Ok(pem.clone()),
            Source::File(path) => match fs::read(path) {
                Ok(pem) => Ok(pem.into()),
                Err(reason) => Err(ConnectionError::File {
                    what: self.what.clone(),
                    path: path.clone(),
                    reason,
                }),
            },
        }
    }

    /// The certificates, at least one. A key beside them is ignored.
    pub(in crate::live) fn certificates(
        &self,
    ) -> Result<Vec<CertificateDer<'static>>, ConnectionError> {
        let pem = self.read()?;
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.expose_secret()).collect();
        match read {
            Ok(certificates) if !certificates.is_empty() => Ok(certificates),
            _ => Err(self.wrong("no certificate")),
        }
    }

    /// The first key. Certificates beside it are ignored.
    pub(in crate::live) fn key(&self) -> Result<PrivateKeyDer<'static>, ConnectionError> {
        let pem = self.read()?;
        PrivateKeyDer::from_pem_slice(pem.expose_secret()).map_err(|_| {
            let locked = b"ENCRYPTED".as_slice();
            let locked = memchr::memmem::find(pem.expose_secret(), locked).is_some();
            self.wrong(if locked {
                "an encrypted key, which hikaru cannot decrypt"
            } else {
                "no private key"
            })
        })
    }

    /// The error that something else was found.
    pub(in crate::live) fn wrong(&self, found: &str) -> ConnectionError {
        let expected = match (&self.source, self.content) {
            (Source::Text(_), content) => content.expected(),
            (Source::File(_), Content::Certificates) => "certificates in PEM",
            (Source::File(_), Content::Key) => "a private key in PEM",
        };
        ConnectionError::expected(self, expected, found)
    }
}

impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Text(_) => f.write_str(&self.what),
            Source::File(path) => write!(f, "{} {}", self.what, path.display()),
        }
    }
}

fn holds_pem(bytes: &[u8]) -> bool {
    memchr::memmem::find(bytes, BEGIN).is_some()
}

/// Decodes base64, with or without line breaks.
fn unpack(text: &str) -> Option<Vec<u8>> {
    let packed: String = text.split_ascii_whitespace().collect();
    BASE64_STANDARD.decode(packed).ok()
}

/// Whether a text can be quoted as the path of a file that is not there. Base64, a key's for instance, may begin with a
/// slash and hold some, but never a dot.
fn plainly_a_path(text: &str) -> bool {
    !text.contains(char::is_control) && text.starts_with(['/', '.']) && text.contains('.')
}
