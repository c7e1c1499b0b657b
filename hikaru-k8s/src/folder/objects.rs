//! The Jobs and CronJobs of a folder: found in all of its files, read as JSON. What is done with them is in `jobs`.

use hikaru_core::{
    jobs::{JobName, JobStatus},
    port::{ClusterError, Fault, Severity},
};
use serde_json::Value;

use super::{Inner, text, walk};
use crate::{
    job::BUDGET,
    yaml::{Documents, Piece, Problem},
};

/// The namespace of what names none.
pub(super) const DEFAULT: &str = "default";

/// A Job or a CronJob, and where it stands: `migrate.job.yaml#1`.
pub(super) struct Object {
    pub(super) place: String,
    pub(super) name: JobName,
    pub(super) json: Value,
}

impl Object {
    /// Nothing runs here, so there is no more to tell of a Job than its place.
    pub(super) fn status(self) -> JobStatus {
        let mut status = JobStatus::new(self.name, "");
        status.file = Some(self.place.into());
        status
    }

    /// `None`: the document is of another kind.
    fn read(file: &str, kind: &str, piece: Piece<'_>) -> Result<Option<Self>, Fault> {
        let fault = |place, message| Fault::new(Severity::Failure, place, message);
        let broken = |problem: Problem| fault(text::place(file, problem.mark), problem.message);
        let tree = match piece {
            Piece::Document(tree) if tree.is_of(kind, "batch/v1") => tree,
            Piece::Document(_) => return Ok(None),
            Piece::Broken { problem, .. } => return Err(broken(problem)),
        };
        let Some(json) = tree.json(BUDGET).map_err(broken)? else {
            return Ok(None);
        };
        let place = format!("{file}#{}", tree.number);
        let word = |key: &str| json["metadata"][key].as_str();
        let namespace = word("namespace").unwrap_or(DEFAULT);
        match JobName::new(namespace, word("name").unwrap_or_default()) {
            Ok(name) => Ok(Some(Self { place, name, json })),
            Err(error) => Err(fault(place, error.to_string())),
        }
    }
}

impl Inner {
    pub(super) fn object(&self, kind: &str, name: &JobName) -> Result<Object, ClusterError> {
        let mut found = self.objects(kind)?.0.into_iter();
        let found = found.find(|object| object.name == *name);
        found.ok_or_else(|| ClusterError::NotFound(format!("{kind} {name}")))
    }

    /// The objects of a kind of `batch/v1`. A file or document that cannot be read may hold one: it is a fault.
    pub(super) fn objects(&self, kind: &str) -> Result<(Vec<Object>, Vec<Fault>), ClusterError> {
        let walked = walk::walk(&self.root).map_err(ClusterError::Invalid)?;
        let (mut found, mut faults) = (Vec::new(), walked.faults);
        for manifest in &walked.manifests {
            let file = &manifest.file;
            match text::read(&manifest.path) {
                Ok(text) if text.contains(kind) => {
                    for piece in Documents::new(&text) {
                        match Object::read(file, kind, piece) {
                            Ok(object) => found.extend(object),
                            Err(fault) => faults.push(fault),
                        }
                    }
                }
                Ok(_) => {}
                Err(unreadable) => {
                    let (place, message) = unreadable.explain(file);
                    faults.push(Fault::new(Severity::Failure, place, message));
                }
            }
        }
        Ok((found, faults))
    }
}
