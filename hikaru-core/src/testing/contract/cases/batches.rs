//! The clause on batches: one answer for each change, in their order.

use super::{ClusterError, Mode, Stage, image, same};

impl Stage<'_> {
    /// Of two changes of one workload, one was judged on a state that is gone; each stands first once.
    pub(super) async fn a_batch_has_an_answer_for_each_change_in_its_place(
        self,
    ) -> Result<(), String> {
        let mut before = self.put(&self.workload(1)).await?;
        for (n, is_stale_first) in [(3, true), (5, false)] {
            let stale = self.change(&before, n)?;
            before.containers[0].image = image(n - 1).into();
            let now = self.put(&before).await?;
            let good = self.change(&now, n)?;
            let (changes, expected) = match is_stale_first {
                true => ([stale, good], vec![Err(ClusterError::Stale), Ok(())]),
                false => ([good, stale], vec![Ok(()), Err(ClusterError::Stale)]),
            };
            let port = self.subject.port();
            let answers = port.write_all(&changes, Mode::Commit).await;
            let answers = answers.into_iter().map(|answer| answer.map(drop));
            same("answers", answers.collect(), expected)?;
            self.runs(n).await?;
            before = self.now().await?;
        }
        Ok(())
    }
}
