//! Texts that many workloads have in common, such as labels and images, kept once for all of them.

use std::{collections::HashSet, sync::Arc};

use hikaru_core::{Text, Workload};

/// How many texts there may be before the first look for unused ones.
const FIRST_SWEEP: usize = 1024;

/// The texts that are shared.
#[derive(Debug, Default)]
pub(super) struct SharedTexts {
    texts: HashSet<Text>,
    /// How many texts were in use after the last look for unused ones.
    used: usize,
}

impl SharedTexts {
    /// Puts the one text of that content in place of each text that other workloads are likely to have, too.
    ///
    /// Texts that no workload uses any more are dropped when there are twice as many texts as were in use: so there never
    /// are many, and looking for them costs little for each workload.
    pub(super) fn share(&mut self, workload: &mut Workload) {
        if self.texts.len() > FIRST_SWEEP.max(2 * self.used) {
            self.drop_unused();
        }
        let (id, labels) = (&mut workload.id, &mut workload.labels);
        let labels = [&mut labels.owner, &mut labels.repo, &mut labels.branch];
        let texts = [&mut id.namespace, &mut id.kind].into_iter();
        let texts = texts.chain(labels.into_iter().flatten());
        texts.for_each(|text| self.share_text(text));
        for container in &mut workload.containers {
            let texts = [&mut container.name, &mut container.image].into_iter();
            let texts = texts.chain(&mut container.mark);
            texts.for_each(|text| self.share_text(text));
        }
        for setting in &mut workload.settings {
            let texts = [&mut setting.key, &mut setting.value].into_iter();
            texts.for_each(|text| self.share_text(text));
        }
    }

    fn share_text(&mut self, text: &mut Text) {
        match self.texts.get(text) {
            Some(shared) => *text = shared.clone(),
            None => drop(self.texts.insert(text.clone())),
        }
    }

    fn drop_unused(&mut self) {
        self.texts.retain(|text| Arc::strong_count(text) > 1);
        self.used = self.texts.len();
    }

    /// Whether no text is in use.
    #[cfg(test)]
    pub(super) fn is_empty(&mut self) -> bool {
        self.drop_unused();
        self.texts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use hikaru_core::WorkloadId;

    use super::*;

    fn workload(namespace: &str) -> Workload {
        Workload::new(WorkloadId::new(namespace, "Deployment", "web"))
    }

    #[test]
    fn a_text_is_kept_once_as_long_as_a_workload_uses_it() {
        let mut texts = SharedTexts::default();
        let [mut first, mut second] = ["shop", "shop"].map(workload);
        texts.share(&mut first);
        texts.share(&mut second);
        assert!(Arc::ptr_eq(&first.id.namespace, &second.id.namespace));
        drop(first);
        assert!(!texts.is_empty());
        drop(second);
        assert!(texts.is_empty());
    }

    #[test]
    fn unused_texts_do_not_grow_in_number() {
        let mut texts = SharedTexts::default();
        for n in 0..10 * FIRST_SWEEP {
            texts.share(&mut workload(&n.to_string()));
        }
        assert!(texts.texts.len() <= FIRST_SWEEP + 2);
    }
}
