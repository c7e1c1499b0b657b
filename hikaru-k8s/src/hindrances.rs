//! What in a workload's spec keeps its pods from following what is written to it. Whoever reads the spec, from a file or from
//! the API server, says what stands there.

use hikaru_core::workload::Hindrance;

/// What is read of a spec for it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SpecFacts<'s> {
    /// `paused`.
    pub(crate) paused: bool,
    /// `suspend`.
    pub(crate) suspended: bool,
    /// `updateStrategy.type`.
    pub(crate) strategy: Option<&'s str>,
    /// `updateStrategy.rollingUpdate.partition`.
    pub(crate) partition: Option<i32>,
}

impl SpecFacts<'_> {
    /// What follows from it.
    pub(crate) fn hindrances(self) -> Vec<Hindrance> {
        let on_delete = self.strategy == Some("OnDelete");
        // With OnDelete nothing rolls, so there is nothing to partition.
        let partition = self
            .partition
            .filter(|partition| *partition > 0 && !on_delete);
        let found = [
            self.paused.then_some(Hindrance::Paused),
            self.suspended.then_some(Hindrance::Suspended),
            on_delete.then_some(Hindrance::OnDelete),
            partition.map(Hindrance::Partition),
        ];
        found.into_iter().flatten().collect()
    }
}
