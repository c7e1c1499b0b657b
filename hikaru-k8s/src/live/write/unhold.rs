//! Removing the high-water marks of a workload. They are read first, because the patch tests the values that it removes.

use std::time::Duration;

use hikaru_core::{
    Mode, Text, Workload, WorkloadId,
    port::ClusterError,
    text::Escaped,
    workload::{WorkloadName, mark_key, marked_name},
};
use tokio::time::sleep;

use super::patch;
use crate::live::{LiveCluster, read::object::Seen};

/// How often marks are read and removed again while another writer keeps changing them.
const ATTEMPTS: usize = 5;

/// The pauses before each further request about marks whose removal got no answer.
const LOST_PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];

/// Marks that were removed.
pub(in crate::live) struct Removed {
    /// Container and value.
    pub(in crate::live) marks: Vec<(Text, Text)>,
    /// The workload as it was read before the removal.
    pub(in crate::live) from: Workload,
}

impl LiveCluster {
    /// Reads marks and removes them, and does so again if another writer has changed them meanwhile. After a lost answer the
    /// marks are read before they are removed again, a few times and with pauses, as the server may be in trouble.
    pub(in crate::live) async fn remove_marks(
        &self,
        workload: &WorkloadName,
        container: Option<Text>,
    ) -> Result<Removed, ClusterError> {
        let kind = self.inner.kinds.named(workload.kind()).ok_or_else(|| {
            let kinds = self.inner.kinds.names();
            let found = workload.kind();
            ClusterError::Invalid(format!("expected one of the kinds {kinds}, found {found}"))
        })?;
        let (namespace, name) = (workload.namespace().clone(), workload.name().clone());
        let id = WorkloadId::new(namespace, kind.name.clone(), name);
        // The marks whose removal got no answer, and the error.
        let mut lost: Option<(Removed, ClusterError)> = None;
        let (mut attempts, mut pauses) = (1, LOST_PAUSES.iter());
        loop {
            let seen = match (self.get(kind, &id).await, &lost) {
                (Ok(seen), _) => seen,
                (Err(error), None) => return Err(error),
                // Whether the marks were removed is still not known, so the first error is the answer.
                (Err(error), Some((_, first))) => {
                    match pauses.next().filter(|_| error.is_retryable()) {
                        Some(pause) => sleep(*pause).await,
                        None => return Err(first.clone()),
                    }
                    continue;
                }
            };
            let labels = labels_of(&seen, container.as_deref());
            let body = patch::of_unhold(&seen, &labels);
            let marks = labels.into_iter();
            let removed = Removed {
                marks: marks
                    .map(|(key, value)| (marked_name(&key).into(), value))
                    .collect(),
                from: seen.workload,
            };
            if removed.marks.is_empty() {
                // They are gone. If an answer was lost, our own patch has removed them.
                return Ok(lost.map_or(removed, |(ours, _)| ours));
            }
            if let Some((_, first)) = &lost {
                match pauses.next() {
                    Some(pause) => sleep(*pause).await,
                    None => return Err(first.clone()),
                }
            }
            match self.patch(kind, &removed.from, body, Mode::Commit).await {
                Ok(written) => {
                    for words in &written.warnings {
                        tracing::warn!(workload = %id, "the API server warns: {}", Escaped(words));
                    }
                    return Ok(removed);
                }
                Err(ClusterError::Stale) if attempts < ATTEMPTS => attempts += 1,
                Err(error @ ClusterError::Lost(_)) => lost = Some((removed, error)),
                Err(error) => return Err(error),
            }
        }
    }
}

/// The labels of marks, key and value: all of them, or that of one container.
fn labels_of(seen: &Seen, container: Option<&str>) -> Vec<(Text, Text)> {
    let wanted = container.map(mark_key);
    let marks = seen.marks.iter();
    let marks = marks.filter(|(key, _)| wanted.as_ref().is_none_or(|name| *name == ***key));
    marks.map(|(k, v)| (k.clone(), v.clone())).collect()
}
