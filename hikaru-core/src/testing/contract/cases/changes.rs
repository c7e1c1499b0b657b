//! The clause on those who wait: each change is told.

use futures_util::{FutureExt as _, StreamExt as _, stream::BoxStream};

use super::{LOOKS, Stage};
use crate::port::{Changed, Mode};

impl Stage<'_> {
    pub(super) async fn each_change_is_told(self) -> Result<(), String> {
        let Some(changes) = self.subject.changes_port() else {
            return Ok(());
        };
        let mut told = changes.changes();
        let put = self.put(&self.workload(1)).await?;
        self.is_told(&mut told, "creation").await?;
        let mut told = changes.changes();
        let written = self.write(&self.change(&put, 2)?, Mode::Commit).await;
        written.map_err(|error| error.to_string())?;
        self.is_told(&mut told, "write").await?;
        let mut told = changes.changes();
        self.subject.remove(&put.id).await;
        self.is_told(&mut told, "deletion").await
    }

    async fn is_told(
        &self,
        told: &mut BoxStream<'static, Changed>,
        what: &str,
    ) -> Result<(), String> {
        let mut looks = 0;
        while looks < LOOKS {
            match told.next().now_or_never() {
                Some(Some(Changed::Workloads(ids))) if !ids.contains(&self.id()) => {}
                Some(Some(_)) => return Ok(()),
                Some(None) => return Err(format!("{what}: the changes ended")),
                None => {
                    looks += 1;
                    self.subject.pause().await;
                }
            }
        }
        Err(format!("the {what} of {} is not told", self.id()))
    }
}
