//! What a port answers: workloads that were found, what could not be read, what a write left behind.

use std::sync::Arc;

use super::error::ClusterError;
use crate::{Text, workload::Workload};

/// How bad a [`Fault`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// What was asked for is not touched by it, as far as one can tell.
    Warning,
    /// What was asked for may be incomplete: the call as a whole fails, after the rest has been done.
    Failure,
}

/// Something that could not be read. The others go on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// Where: `deploy/web.yaml:12:7`, or an object's name.
    pub place: Text,
    /// What was expected and what was found.
    pub message: String,
    /// Whether the answer may be incomplete for it.
    pub severity: Severity,
    /// Whether the same call can read it later, as after a timeout.
    pub is_retryable: bool,
}

impl Fault {
    /// A fault at a place, which stays until somebody mends it.
    pub fn new(severity: Severity, place: impl Into<Text>, message: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            message: message.into(),
            severity,
            is_retryable: false,
        }
    }

    /// The fault that an error of the cluster is for one place of many.
    pub fn of_error(severity: Severity, place: impl Into<Text>, error: &ClusterError) -> Self {
        Self {
            is_retryable: error.is_retryable(),
            ..Self::new(severity, place, error.to_string())
        }
    }
}

/// What was found, in any order.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Found {
    /// The workloads that the scope admits. They are shared: an adapter that keeps them in memory copies none.
    pub workloads: Vec<Arc<Workload>>,
    /// What could not be read on the way.
    pub faults: Vec<Fault>,
}

impl Found {
    /// Workloads, and what could not be read on the way.
    pub fn new(workloads: Vec<Arc<Workload>>, faults: Vec<Fault>) -> Self {
        Self { workloads, faults }
    }
}

/// What came of a write that was applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// What the cluster warned of, in its own words.
    pub warnings: Vec<Text>,
}

impl Written {
    /// A write that the cluster warned of.
    pub fn warned(warnings: Vec<Text>) -> Self {
        Self { warnings }
    }
}
