//! Where the high-water marks of a workload stand: hikaru writes none into files, and removes none from them.

use hikaru_core::{
    Text,
    port::ClusterError,
    workload::{MARK_PREFIX, WorkloadName, mark_key},
};

use super::{Inner, read, text, walk};
use crate::yaml::Object;

impl Inner {
    /// Names file and line of each mark that a user would have to remove. Files that cannot be read are passed over, because
    /// `find` tells of them.
    pub(super) fn unhold(
        &self,
        workload: &WorkloadName,
        container: Option<&Text>,
    ) -> Result<Vec<(Text, Text)>, ClusterError> {
        let walked = walk::walk(&self.root).map_err(ClusterError::Invalid)?;
        let mut there = false;
        let mut marks = Vec::new();
        for manifest in &walked.manifests {
            let Ok(text) = text::read(&manifest.path) else {
                continue;
            };
            let mut take = |object: Object| {
                if !workload.names(&object.workload.id) {
                    return;
                }
                there = true;
                let wanted = |key: &Text| container.is_none_or(|wanted| mark_key(wanted) == **key);
                for (key, (_, mark)) in object.marks.iter().filter(|(key, _)| wanted(key)) {
                    let place = text::place(&manifest.file, *mark);
                    marks.push(format!("{place}: {MARK_PREFIX}{key}"));
                }
            };
            read::objects(
                &text,
                &self.terms,
                &mut |_, _| {},
                &mut |_, _| {},
                &mut take,
            );
        }
        match (there, marks.is_empty()) {
            (false, _) => Err(ClusterError::NotFound(workload.to_string())),
            (true, true) => Ok(Vec::new()),
            (true, false) => Err(ClusterError::Invalid(format!(
                "in a folder of manifests a mark is removed by hand: delete the label at {}",
                marks.join(", ")
            ))),
        }
    }
}
