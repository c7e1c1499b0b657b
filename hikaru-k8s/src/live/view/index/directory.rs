//! Numbers under the hash of what they are found by. The keys themselves are kept nowhere: whoever looks compares what is
//! found with what was looked for, so that two keys with one hash cost time, never a wrong answer.

use std::collections::BTreeSet;

/// Numbers by hash. A sorted set: 15 bytes a number, however many share a hash, and each step is logarithmic. (A map of
/// lists needs 33 bytes for a list of one, and a list of all that run one sidecar is slow to take from.)
#[derive(Debug, Default)]
pub(super) struct Directory(BTreeSet<(u32, u32)>);

impl Directory {
    pub(super) fn insert(&mut self, hash: u32, number: u32) {
        self.0.insert((hash, number));
    }

    pub(super) fn remove(&mut self, hash: u32, number: u32) {
        self.0.remove(&(hash, number));
    }

    /// The numbers that were inserted with this hash, in their order.
    pub(super) fn under(&self, hash: u32) -> impl Iterator<Item = u32> {
        let range = self.0.range((hash, 0)..=(hash, u32::MAX));
        range.map(|(_, number)| *number)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
