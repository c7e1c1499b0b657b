//! The stages of kwok's own module that kwok plays. Ours are in `cluster/kwok/stages.yaml`: each cluster gives them to kwok beside
//! these.
//!
//! The program kwok brings no stages. They come from the module that it is built from, so that the two fit.

use std::path::Path;

use super::{AssetsError, file_error, go::Go};

/// The stages that are taken, under `kustomize/stage`.
const TAKEN: [&str; 5] = [
    "node/fast/node-initialize.yaml",
    "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "pod/fast/pod-ready.yaml",
    "pod/fast/pod-complete.yaml",
    "pod/fast/pod-delete.yaml",
];

/// The text of all stages.
pub(super) fn assemble(go: &Go, module: &Path) -> Result<String, AssetsError> {
    let folder = go.module_folder(module, "sigs.k8s.io/kwok")?;
    let folder = Path::new(&folder).join("kustomize/stage");
    let mut documents = Vec::new();
    for name in TAKEN {
        let path = folder.join(name);
        let text = std::fs::read_to_string(&path).map_err(|source| file_error(&path, source))?;
        documents.push(text);
    }
    Ok(documents.join("\n---\n"))
}
