//! The clause on batches: one answer for each change, in their order.

use super::{ClusterError, LOOKS, Mode, Select, Stage, image, same};
use crate::workload::Workload;

impl Stage<'_> {
    /// Of the changes of two workloads, one was judged on a state that is gone; each kind stands first once.
    pub(super) async fn a_batch_has_an_answer_for_each_change_in_its_place(
        self,
    ) -> Result<(), String> {
        let mut first = self.put(&self.workload(1)).await?;
        let mut other = self.workload(1);
        other.id.name = format!("{}-other", other.id.name).into();
        self.subject.put(&other).await;
        let mut other = self.other(&other.id.name).await?;
        for (n, is_stale_first) in [(3, true), (5, false)] {
            let stale = self.change(&first, n)?;
            first.containers[0].image = image(n - 1).into();
            self.put(&first).await?;
            let good = self.change(&other, n)?;
            let (changes, expected) = match is_stale_first {
                true => ([stale, good], vec![Err(ClusterError::Stale), Ok(())]),
                false => ([good, stale], vec![Ok(()), Err(ClusterError::Stale)]),
            };
            let port = self.subject.port();
            let answers = port.write_all(&changes, Mode::Commit).await;
            let answers = answers.into_iter().map(|answer| answer.map(drop));
            same("answers", answers.collect(), expected)?;
            self.runs(n - 1).await?;
            first = self.now().await?;
            other = self.other(&other.id.name).await?;
            let runs = Self::image_of(&other, "web");
            same("image of the other one", runs, Some(&*image(n)))?;
        }
        Ok(())
    }

    /// The second workload of the clause, once `find` sees it.
    async fn other(&self, name: &str) -> Result<Workload, String> {
        for _ in 0..LOOKS {
            let all = self.find(Select::All).await?;
            if let Some(found) = all.into_iter().find(|w| *w.id.name == *name) {
                let read = self.subject.port().read(&found.id).await;
                let read = read.map_err(|error| error.to_string())?;
                return read.ok_or_else(|| format!("{name} is found and not read"));
            }
            self.subject.pause().await;
        }
        Err(format!("{name} is not found by Select::All"))
    }
}
