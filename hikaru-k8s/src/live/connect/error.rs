//! Why there is no connection, in words that name the variable or the file and hold no secret.

use std::{io, path::PathBuf};

/// Why there is no connection to a cluster. Each names the variable or the file; none shows a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// Nothing says which cluster.
    #[error(
        "no cluster: expected --kubeconfig, --context, K8S_URL, KUBECONFIG, a pod's ServiceAccount, or {}",
        .home.as_ref().map_or_else(|| "HOME, which is not set".to_owned(), |home| home.display().to_string())
    )]
    None {
        /// The kubeconfig of the user, which is not there.
        home: Option<PathBuf>,
    },
    /// A variable is set that means nothing alone.
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
    /// One half of a pair is there.
    #[error("{one} is set, but {missing} is not: expected both")]
    Half {
        /// The half that is there.
        one: String,
        /// The half that is not.
        missing: String,
    },
    /// A variable cannot be read.
    #[error("{variable}: expected {expected}, found {found}")]
    Variable {
        /// The variable.
        variable: &'static str,
        /// What it can be.
        expected: &'static str,
        /// What is wrong with it, without a secret.
        found: String,
    },
    /// A token is none.
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
        /// What it can be.
        expected: &'static str,
        /// What is wrong with it, without a secret.
        found: &'static str,
    },
    /// A key is another certificate's.
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
    /// It is no kubeconfig. What stands there is not shown: it may be a secret.
    #[error("no kubeconfig: line {line}, column {column} is not as expected")]
    Yaml {
        /// The line, from 1; 0: nobody knows.
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
}
