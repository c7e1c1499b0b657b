//! What is written to workloads: each change as one JSON patch that applies to the state that was judged or not at all
//! (`patch`), and the removal of high-water marks (`unhold`). Jobs are created in `jobs`.

use hikaru_core::{
    Mode, Workload,
    policy::Change,
    port::{ClusterError, Written},
    workload::FIELD_MANAGER,
};
use http::{Request, header};

use super::{
    LiveCluster,
    client::{Expected, refusal},
    error::RequestError,
    read::object,
};
use crate::kind::Kind;

mod patch;
mod unhold;

pub(super) use unhold::Removed;

impl LiveCluster {
    /// Writes a change, once.
    pub(super) async fn write_change(
        &self,
        change: &Change,
        mode: Mode,
    ) -> Result<Written, ClusterError> {
        let judged = change.judged();
        let kind = self.inner.kinds.named(&judged.id.kind);
        let kind = kind.ok_or_else(|| ClusterError::NotFound(judged.id.to_string()))?;
        let now = self.inner.settings.clock.now();
        let body = patch::of_change(change, kind, self.keys(), now);
        self.patch(kind, judged, body, mode).await
    }

    /// Sends a JSON patch, once. Of the answer, which is only the object's metadata, the uid is compared: a proxy's friendly page
    /// says nothing about what was written.
    async fn patch(
        &self,
        kind: &Kind,
        of: &Workload,
        body: Vec<u8>,
        mode: Mode,
    ) -> Result<Written, ClusterError> {
        let request = patch_request(&self.path(kind, &of.id).await?, body, mode)?;
        let answer = self.inner.api.send(request, Expected::Object).await;
        let answer = answer.map_err(|error| refusal::of_write(error, &of.id))?;
        object::check_uid(&answer.body, &of.uid)
            .map_err(|why| refusal::of_write(RequestError::Unreadable(why), &of.id))?;
        Ok(Written::warned(answer.warnings))
    }
}

fn patch_request(path: &str, body: Vec<u8>, mode: Mode) -> Result<Request<Vec<u8>>, ClusterError> {
    let dry = match mode {
        Mode::Commit => "",
        Mode::DryRun => "&dryRun=All",
    };
    let target = format!("{path}?fieldManager={FIELD_MANAGER}&fieldValidation=Strict{dry}");
    Request::patch(target)
        .header(header::CONTENT_TYPE, "application/json-patch+json")
        .header(
            header::ACCEPT,
            "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
        )
        .body(body)
        .map_err(|error| ClusterError::Invalid(error.to_string()))
}
