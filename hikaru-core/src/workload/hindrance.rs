//! What keeps an upgrade that has been written from reaching the pods. No verdict reads it; it is told as a warning.

use std::fmt;

/// Why the pods do not follow what is written to a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Hindrance {
    /// Its rollout is paused: `spec.paused`.
    Paused,
    /// A CronJob starts no Jobs: `spec.suspend`.
    Suspended,
    /// Its update strategy is `OnDelete`: a pod gets the new image when somebody deletes it.
    OnDelete,
    /// Pods of a StatefulSet with a lower number keep the old image.
    Partition(i32),
    /// It is being deleted: `metadata.deletionTimestamp`.
    Terminating,
}

impl fmt::Display for Hindrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paused => f.write_str(
                "its rollout is paused (spec.paused): no pod gets the new image until it is resumed",
            ),
            Self::Suspended => f.write_str(
                "it is suspended (spec.suspend): no Job runs the new image until it is resumed",
            ),
            Self::OnDelete => f.write_str(
                "its update strategy is OnDelete: each pod gets the new image only when somebody deletes it",
            ),
            Self::Partition(partition) => write!(
                f,
                "its update strategy has the partition {partition}: pods with a number below {partition} keep the old \
                 image"
            ),
            Self::Terminating => f.write_str(
                "it is being deleted (metadata.deletionTimestamp): the new image goes away with it",
            ),
        }
    }
}
