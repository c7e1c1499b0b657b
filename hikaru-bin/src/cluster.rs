//! Which cluster a command works on: the composition of the adapters. The one used is told.

use std::{path::Path, sync::Arc, time::SystemTime};

use hikaru_core::ClusterPort;
use hikaru_k8s::{
    Connection, ConnectionError, ConnectionOptions, Folder, LiveCluster, LiveSettings,
    WatchSettings, WatchedCluster,
};

use crate::{args::Cluster, terminal};

/// The cluster that a single command asks.
pub(crate) async fn connect(args: &Cluster) -> Result<Arc<dyn ClusterPort>, String> {
    if let Some(dir) = &args.manifests {
        let folder = folder(args, dir)?;
        terminal::tell(&format!("cluster: the manifests in {}", dir.display()));
        return Ok(Arc::new(folder));
    }
    let (live, shown) = live(args).await?;
    terminal::tell(&format!("cluster: {shown}"));
    Ok(Arc::new(live))
}

/// The cluster that a service works on: a live one is watched.
pub(crate) async fn watch(args: &Cluster) -> Result<Arc<dyn ClusterPort>, String> {
    if let Some(dir) = &args.manifests {
        let folder = folder(args, dir)?;
        tracing::info!(cluster = %format!("the manifests in {}", dir.display()), "cluster");
        return Ok(Arc::new(folder));
    }
    let (live, shown) = live(args).await?;
    tracing::info!(cluster = %shown, "cluster");
    Ok(Arc::new(WatchedCluster::start(
        live,
        WatchSettings::default(),
    )))
}

fn folder(args: &Cluster, dir: &Path) -> Result<Folder, String> {
    Folder::open(dir, args.keys()).map_err(|error| error.to_string())
}

async fn live(args: &Cluster) -> Result<(LiveCluster, String), String> {
    let options = ConnectionOptions::new(args.kubeconfig.clone(), args.context.clone());
    let variable = |name: &str| std::env::var(name).ok();
    let connection = Connection::choose(&options, &variable).await;
    let connection = connection.map_err(|error| match error {
        ConnectionError::None { .. } => {
            format!("{error}; or --manifests DIR for a folder of manifests")
        }
        error => error.to_string(),
    })?;
    let settings = LiveSettings::new(args.keys(), Arc::new(SystemTime::now));
    let live = LiveCluster::new(&connection, settings)
        .await
        .map_err(|e| e.to_string())?;
    Ok((live, connection.to_string()))
}
