//! Why a cluster did not do what was asked.

use std::time::Duration;

use crate::{
    Text,
    caller::{Caller, NotAllowed},
    jobs::refused::JobRefused,
};

/// Why a cluster did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// The state that a change was judged on is no longer there. Nothing was written.
    #[error("what was judged is no longer there")]
    Stale,
    /// The write may have been applied or not: only reading can tell.
    #[error("the answer was lost: {0}")]
    Lost(String),
    /// There is no such object. What it is and how it is called: `Job shop/migrate`, `shop/Deployment/web`.
    #[error("there is no {0}")]
    NotFound(String),
    /// The cluster does not let us.
    #[error("not allowed: {0}")]
    Forbidden(String),
    /// It is in a namespace outside of those that everything is confined to. The cluster was not asked.
    #[error(
        "the namespace {found} is outside of those that hikaru is confined to: expected {expected}"
    )]
    Outside {
        /// The namespace.
        found: Text,
        /// Those that everything is confined to: `a, b or c`.
        expected: String,
    },
    /// The policy for Jobs does not allow it. The cluster was not asked.
    #[error("not allowed: {0}")]
    JobRefused(#[from] JobRefused),
    /// The caller may not do it. The cluster was not asked.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// The cluster refuses the write as such; its own words.
    #[error("refused: {0}")]
    Invalid(String),
    /// What was sent cannot be read at all: where, what was expected and what was found.
    #[error("cannot be read: {0}")]
    Malformed(String),
    /// There is one of that name already.
    #[error("{0}")]
    Exists(String),
    /// The cluster cannot be reached, or cannot answer now.
    #[error("unavailable: {message}")]
    Unavailable {
        /// What was tried and what happened.
        message: String,
        /// When the cluster asks to be tried again.
        retry_after: Option<Duration>,
    },
    /// This cluster cannot do that at all.
    #[error("{0} is not supported here")]
    Unsupported(&'static str),
}

impl ClusterError {
    /// Whether the same call can succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Stale | Self::Lost(_) | Self::Unavailable { .. })
    }

    /// The same error as a caller may be told it: one that does not see everything is told no names of other namespaces.
    pub(crate) fn told_to(mut self, caller: &Caller) -> Self {
        if !caller.sees_all()
            && let Self::Outside { expected, .. }
            | Self::JobRefused(JobRefused::Namespace { expected, .. }) = &mut self
            && !expected.starts_with("none")
        {
            *expected = "another one".to_owned();
        }
        self
    }
}
