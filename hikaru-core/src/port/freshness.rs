//! How far the view of a cluster can be trusted.

use std::fmt;

/// How far a view of the cluster can be trusted. Shown, it is a sentence with the reason.
///
/// ```
/// use hikaru_core::port::Freshness;
/// let syncing = Freshness::Syncing { reason: Some("no connection: connection refused".into()) };
/// assert_eq!(
///     syncing.to_string(),
///     "the cluster has not been read completely yet: no connection: connection refused"
/// );
/// assert!(!syncing.gives_answers());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Freshness {
    /// It is up to date.
    Fresh,
    /// It is up to date but for a part that cannot be read. [`WorkloadPort::find`](crate::port::WorkloadPort::find) answers, with a [`Fault`](crate::port::Fault) for that part.
    Incomplete {
        /// What cannot be read, and why.
        reason: String,
    },
    /// It has never been complete so far.
    Syncing {
        /// What keeps it from that, where it is known.
        reason: Option<String>,
    },
    /// It was complete, and is out of date.
    Stale {
        /// What happened, where it is known.
        reason: Option<String>,
    },
}

impl Freshness {
    /// Whether answers are to be had, be it with faults.
    pub fn gives_answers(&self) -> bool {
        matches!(self, Self::Fresh | Self::Incomplete { .. })
    }
}

impl fmt::Display for Freshness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (state, reason) = match self {
            Self::Fresh => ("what is known of the cluster is up to date", None),
            Self::Incomplete { reason } => ("a part of the cluster cannot be read", Some(reason)),
            Self::Syncing { reason } => (
                "the cluster has not been read completely yet",
                reason.as_ref(),
            ),
            Self::Stale { reason } => (
                "what is known of the cluster is out of date",
                reason.as_ref(),
            ),
        };
        f.write_str(state)?;
        match reason {
            Some(reason) => write!(f, ": {reason}"),
            None => Ok(()),
        }
    }
}
