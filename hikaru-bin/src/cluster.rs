//! Which cluster a command works on: the composition of the adapters. The one used is told.

use std::sync::Arc;

use hikaru_core::ClusterPort;
use hikaru_k8s::Folder;

use crate::{args, terminal};

/// The cluster that the arguments name.
pub(crate) fn connect(args: &args::Cluster) -> Result<Arc<dyn ClusterPort>, String> {
    let folder = Folder::open(&args.manifests, args.keys()).map_err(|error| error.to_string())?;
    terminal::tell(&format!(
        "cluster: the manifests in {}",
        args.manifests.display()
    ));
    Ok(Arc::new(folder))
}
