//! Why there is no connection, in words that name the variable or the file and hold no secret.

use std::{io, path::PathBuf};

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
    /// A variable is set that has no meaning without `K8S_URL`.
    #[error("{variable} is set, but K8S_URL is not")]
    WithoutUrl {
        /// The variable.
        variable: &'static str,
    },
    /// Two spellings of one variable have different values.
    #[error("{variable} and {other} are both set, to different values")]
    Spellings {
        /// With underscores.
        variable: String,
        /// With hyphens.
        other: String,
    },
    /// Two variables that exclude each other.
    #[error("{one} and {other} are both set: expected one of them")]
    Both {
        /// One of them.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
    /// One half of a pair is set, the other is not.
    #[error("{one} is set, but {missing} is not: expected both")]
    Half {
        /// The half that is set.
        one: String,
        /// The half that is missing.
        missing: String,
    },
    /// A variable cannot be read.
    #[error("{variable}: expected {expected}, found {found}")]
    Variable {
        /// The variable.
        variable: &'static str,
        /// What was expected.
        expected: &'static str,
        /// What is wrong with it, without a secret.
        found: String,
    },
    /// A text is not a token.
    #[error("{place}: {reason}")]
    Token {
        /// The variable, or the context.
        place: String,
        /// What is wrong with it.
        reason: TokenError,
    },
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
    /// Certificates or a key cannot be read.
    #[error("{what}: expected {expected}, found {found}")]
    Pem {
        /// What holds them: a variable, a part of a kubeconfig, with its file.
        what: String,
        /// What was expected.
        expected: &'static str,
        /// What is wrong with it, without a secret.
        found: &'static str,
    },
    /// A key does not belong to the certificate.
    #[error("{key} is not the key of the certificate in {certificate}")]
    Mismatch {
        /// What holds the certificate.
        certificate: String,
        /// What holds the key.
        key: String,
    },
    /// A kubeconfig cannot be used.
    #[error("{place}: {reason}")]
    Kubeconfig {
        /// The files.
        place: String,
        /// Why.
        reason: KubeconfigFault,
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

/// What is wrong with a kubeconfig.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KubeconfigFault {
    /// There is no such context.
    #[error("there is no context {0}")]
    NoContext(String),
    /// No context is chosen.
    #[error("it has no current-context: expected one, or --context")]
    NoCurrentContext,
    /// It is not a kubeconfig. Its text is not shown, because it may be a secret.
    #[error("no kubeconfig: line {line}, column {column} is not as expected")]
    Yaml {
        /// The line, from 1. 0: not known.
        line: u64,
        /// The column, from 1.
        column: u64,
    },
    /// Its cluster is reached through a proxy.
    #[error("the context {0} names a proxy-url, which is not supported yet")]
    Proxy(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// Why a text is not a token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It is empty.
    #[error("expected a token, found nothing")]
    Empty,
    /// It has a character that no header can hold.
    #[error("expected a token of visible ASCII characters, found {0} after {1} of them")]
    Character(&'static str, usize),
}
