//! How a command ends: the exit codes, and which of them an error is. docs/command.md has them as a table.

use std::process::ExitCode;

use hikaru_core::{
    port::ClusterError,
    upgrade::{FindError, Shortfall, ShortfallKind},
};
use hikaru_http::wire;

/// How a command ended. Its result, if there is one, has been printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// All is done.
    Done,
    /// Not all of it.
    Failed(Failure),
}

/// The exit codes other than 0. clap gives 2, for flags and arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// Nothing matched, or only a person can mend it.
    Person = 1,
    /// The cluster refuses it, now and later.
    Refused = 3,
    /// The cluster cannot be reached, or it is not finished: repeating can help.
    Repeat = 4,
    /// SIGINT ended the waiting: as a shell tells of a program that the signal ended. Not 4: what a person has interrupted is not to
    /// be repeated.
    Interrupted = 130,
    /// SIGTERM did.
    Terminated = 143,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command does not end with 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    /// A sentence for a person.
    pub(super) why: String,
}

impl Failure {
    pub(super) fn new(exit: Exit, why: impl Into<String>) -> Self {
        let why = why.into();
        Self { exit, why }
    }

    /// The failure that stands for this error of the cluster, with this sentence.
    pub(super) fn of_cluster(error: &ClusterError, why: impl Into<String>) -> Self {
        let exit = match error {
            error if error.is_retryable() => Exit::Repeat,
            // What is named is not there, or the definition cannot be read.
            ClusterError::NotFound(_) | ClusterError::Malformed(_) => Exit::Person,
            _ => Exit::Refused,
        };
        Self::new(exit, why)
    }
}

/// What is wrong with what a person has written: an image, a variable, a file.
impl From<String> for Failure {
    fn from(why: String) -> Self {
        Self::new(Exit::Person, why)
    }
}

impl From<ClusterError> for Failure {
    fn from(error: ClusterError) -> Self {
        Self::of_cluster(&error, wire::cluster_error(&error))
    }
}

impl From<FindError> for Failure {
    fn from(error: FindError) -> Self {
        match error {
            FindError::Cluster(error) => error.into(),
            error => error.to_string().into(),
        }
    }
}

impl From<Shortfall> for Failure {
    fn from(shortfall: Shortfall) -> Self {
        let exit = match shortfall.kind {
            ShortfallKind::Unfinished => Exit::Repeat,
            ShortfallKind::Refused => Exit::Refused,
            _ => Exit::Person,
        };
        Self::new(exit, shortfall.sentence)
    }
}

/// A command is done, but for a shortfall.
impl From<Option<Shortfall>> for End {
    fn from(shortfall: Option<Shortfall>) -> Self {
        match shortfall {
            None => Self::Done,
            Some(shortfall) => Self::Failed(shortfall.into()),
        }
    }
}
