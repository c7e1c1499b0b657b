//! What came of removing high-water marks.

use hikaru_core::{Text, workload::WorkloadName};
use serde::Serialize;

/// The marks that were removed from a workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unheld {
    /// Its namespace.
    pub namespace: String,
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What was removed. Empty: there was no mark.
    pub removed: Vec<RemovedMark>,
}

/// The mark of a container that was removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RemovedMark {
    /// The container.
    pub container: String,
    /// The mark: version, build and hash.
    pub mark: String,
}

impl Unheld {
    /// The containers of a workload with the marks that they had.
    pub fn new(workload: &WorkloadName, removed: &[(Text, Text)]) -> Self {
        let mark = |(container, mark): &(Text, Text)| RemovedMark {
            container: container.to_string(),
            mark: mark.to_string(),
        };
        Self {
            namespace: workload.namespace().to_string(),
            kind: workload.kind().to_string(),
            name: workload.name().to_string(),
            removed: removed.iter().map(mark).collect(),
        }
    }
}
