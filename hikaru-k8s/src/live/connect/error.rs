//! Why there is no connection, in words that name the variable or the file and hold no secret.

use std::{fmt::Display, io, path::PathBuf};

/// Why there is no connection to a cluster. Each names the variable or the file; none shows a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// No cluster is chosen.
    #[error(
        "no cluster: expected --kubeconfig, --context, K8S_URL, KUBECONFIG, a pod's ServiceAccount, or {}",
        .home.as_ref().map_or_else(|| "HOME, which is not set".to_owned(), |home| home.display().to_string())
    )]
    None {
        /// The path of the user's kubeconfig, which does not exist.
        home: Option<PathBuf>,
    },
    /// A variable, a kubeconfig, a certificate, a key or a token cannot be used: a sentence that says which one, what was
    /// expected and what was found.
    #[error("{0}")]
    Settings(String),
    /// A file cannot be read.
    #[error("{what} {}: {reason}", path.display())]
    File {
        /// What names it: a variable, a flag.
        what: String,
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        reason: io::Error,
    },
    /// The client cannot be made: certificates, keys or a plugin for credentials.
    #[error("{connection}: {reason}")]
    Client {
        /// The connection, as it is shown.
        connection: String,
        /// Why.
        reason: String,
    },
}

impl ConnectionError {
    /// What was expected at a place, and what was found there.
    pub(super) fn expected(place: impl Display, expected: &str, found: &str) -> Self {
        Self::Settings(format!("{place}: expected {expected}, found {found}"))
    }

    /// One half of a pair is set, the other is not.
    pub(super) fn half(one: impl Display, missing: &str) -> Self {
        Self::Settings(format!("{one} is set, but {missing} is not: expected both"))
    }
}
