//! The clause on labels: workloads that name their source are found by it, others are not.

use super::{Select, Stage, same};
use crate::workload::{IdentityLabels, Workload};

impl Stage<'_> {
    /// All three labels have to be there; what is wanted of them has to fit.
    pub(super) async fn finds_by_labels(self) -> Result<(), String> {
        let put = self.put(&self.workload(1)).await?;
        let IdentityLabels {
            owner,
            repo,
            branch,
        } = put.labels.clone();
        let other = || Some("another".into());
        let wanted = |owner, repo, branch| IdentityLabels {
            owner,
            repo,
            branch,
        };
        for (wanted, fits) in [
            (wanted(None, None, None), true),
            (wanted(owner.clone(), None, None), true),
            (wanted(owner.clone(), repo.clone(), branch.clone()), true),
            (wanted(other(), None, None), false),
            (wanted(None, other(), None), false),
            (wanted(owner.clone(), repo, other()), false),
            // No label has such a value.
            (wanted(Some("a),owner in (b".into()), None, None), false),
        ] {
            let told = format!("{wanted:?}");
            let found = self.find(Select::Labeled(wanted)).await?;
            let found = found.iter().any(|workload| workload.id == put.id);
            same(&told, found, fits)?;
        }
        let mut unlabeled: Workload = put.clone();
        unlabeled.labels.branch = None;
        self.put(&unlabeled).await?;
        let all = Select::Labeled(IdentityLabels::default());
        let found = self.find(all).await?;
        let found = found.iter().any(|workload| workload.id == put.id);
        same("without a branch", found, false)
    }
}
