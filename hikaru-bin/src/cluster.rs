//! Which cluster a command works on: the composition of the adapters. The one used is told.

use std::{fmt::Display, path::Path, sync::Arc, time::SystemTime};

use hikaru_core::{ClusterPort, check_namespace};
use hikaru_k8s::{
    Connection, ConnectionError, ConnectionOptions, Folder, FolderSettings, LiveCluster,
    LiveSettings, WatchSettings, WatchedCluster,
};

use crate::{args::Cluster, terminal};

/// The variables of kinds that are looked at besides those of Kubernetes, and of the namespaces that are looked at.
const KINDS: &str = "HIKARU_KINDS";
const NAMESPACES: &str = "HIKARU_NAMESPACES";

/// The cluster that a single command asks.
pub(crate) async fn connect(args: &Cluster) -> Result<Arc<dyn ClusterPort>, String> {
    if let Some(dir) = &args.manifests {
        let folder = folder(args, dir)?;
        terminal::tell(&format!("cluster: the manifests in {}", dir.display()));
        return Ok(Arc::new(folder));
    }
    let (live, connection) = live(args).await?;
    terminal::tell(&format!("cluster: {connection}"));
    if let Some(warning) = connection.warning() {
        terminal::tell(&format!("warning: {warning}"));
    }
    Ok(Arc::new(live))
}

/// The cluster that a service works on: a live one is watched.
pub(crate) async fn watch(args: &Cluster) -> Result<Watched, String> {
    if let Some(dir) = &args.manifests {
        let folder = folder(args, dir)?;
        tracing::info!(cluster = %format!("the manifests in {}", dir.display()), "cluster");
        return Ok(Watched {
            port: Arc::new(folder),
            view: None,
        });
    }
    let (live, connection) = live(args).await?;
    tracing::info!(cluster = %connection, "cluster");
    if let Some(warning) = connection.warning() {
        tracing::warn!("{warning}");
    }
    let view = WatchedCluster::start(live, WatchSettings::default());
    Ok(Watched {
        port: Arc::new(view.clone()),
        view: Some(view),
    })
}

/// The cluster of a service.
pub(crate) struct Watched {
    pub(crate) port: Arc<dyn ClusterPort>,
    /// What is known of a live one, for its figures.
    pub(crate) view: Option<WatchedCluster>,
}

/// A variable's comma-separated list. Empty or not set: nothing.
fn list<T, E: Display>(
    name: &str,
    variable: &dyn Fn(&str) -> Option<String>,
    read: impl Fn(&str) -> Result<T, E>,
) -> Result<Vec<T>, String> {
    let text = variable(name).unwrap_or_default();
    let parts = text.split(',').map(str::trim);
    let parts = parts.filter(|part| !part.is_empty());
    parts
        .map(|part| read(part).map_err(|error| format!("{name}: {error}")))
        .collect()
}

fn folder(args: &Cluster, dir: &Path) -> Result<Folder, String> {
    let variable = |name: &str| std::env::var(name).ok();
    let mut settings = FolderSettings::from(args.keys());
    settings.kinds = list(KINDS, &variable, |kind| kind.parse())?;
    Folder::open(dir, settings).map_err(|error| error.to_string())
}

async fn live(args: &Cluster) -> Result<(LiveCluster, Connection), String> {
    let options = ConnectionOptions::new(args.kubeconfig.clone(), args.context.clone());
    let variable = |name: &str| std::env::var(name).ok();
    let connection = Connection::choose(&options, &variable).await;
    let connection = connection.map_err(|error| match error {
        ConnectionError::None { .. } => {
            format!("{error}; or --manifests DIR for a folder of manifests")
        }
        error => error.to_string(),
    })?;
    let mut settings = LiveSettings::new(args.keys(), Arc::new(SystemTime::now));
    settings.kinds = list(KINDS, &variable, |kind| kind.parse())?;
    settings.namespaces = list(NAMESPACES, &variable, |namespace| {
        check_namespace(namespace).map(|()| namespace.into())
    })?;
    let live = LiveCluster::new(&connection, settings)
        .await
        .map_err(|e| e.to_string())?;
    Ok((live, connection))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_variables() {
        let read = |text: Option<&str>| {
            let variable = |name: &str| text.filter(|_| name == NAMESPACES).map(str::to_owned);
            list(NAMESPACES, &variable, |namespace| {
                check_namespace(namespace).map(|()| namespace.to_owned())
            })
        };
        assert_eq!(read(None), Ok(vec![]));
        assert_eq!(read(Some(" , ")), Ok(vec![]));
        assert_eq!(
            read(Some("shop, prod")),
            Ok(vec!["shop".to_owned(), "prod".to_owned()])
        );
        let error = read(Some("shop,Prod")).expect_err("no namespace");
        assert!(
            error.starts_with("HIKARU_NAMESPACES: expected a namespace")
                && error.contains("`Prod`"),
            "{error}"
        );
    }
}
