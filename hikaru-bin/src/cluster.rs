//! Which cluster a command works on: the composition of the adapters. The one that is used is told.

use std::{fmt::Display, path::Path, sync::Arc};

use hikaru_core::{
    Text,
    jobs::{JobName, JobPolicy, Jobs},
    port::{Confined, JobPort, RolloutPort, WorkloadPort},
    rollout::Rollouts,
    text::Excerpt,
    workload::check_namespace,
};
use hikaru_k8s::{
    AddedKind, Connection, ConnectionError, ConnectionOptions, Folder, FolderSettings, LiveCluster,
    LiveSettings, SystemClock, WatchSettings, WatchedCluster,
};

use crate::{args::Cluster, terminal};

/// What variables without a flag say of every cluster.
pub(crate) struct Settings {
    /// The kinds that are looked at beside Kubernetes' own.
    kinds: Vec<AddedKind>,
    /// The namespaces that everything is confined to; none: all.
    namespaces: Vec<Text>,
    /// Whether the evidence of a failed rollout has the end of a log. `None`: nobody has said.
    rollout_logs: Option<bool>,
}

impl Settings {
    /// Reads the variables.
    ///
    /// # Errors
    /// A sentence that names the variable that cannot be read.
    pub(crate) fn read() -> Result<Self, String> {
        Ok(Self {
            kinds: list(KINDS, &variable, |kind| kind.parse())?,
            namespaces: watch_namespaces(&variable)?,
            rollout_logs: truth(ROLLOUT_LOGS, &variable)?,
        })
    }

    /// The names of the kinds that are looked at beside Kubernetes' own.
    pub(crate) fn kind_names(&self) -> Vec<Text> {
        let names = self.kinds.iter().map(|kind| kind.name().clone());
        names.collect()
    }
}

/// The variable of kinds that are looked at beside those of Kubernetes.
const KINDS: &str = "HIKARU_KINDS";

/// The variable of the namespaces that everything is confined to, and the name that it had.
const WATCH_NAMESPACES: &str = "HIKARU_WATCH_NAMESPACES";
const OLD_NAMESPACES: &str = "HIKARU_NAMESPACES";

/// The variable that says whether logs, which can hold secrets, are shown as evidence of a failed rollout.
const ROLLOUT_LOGS: &str = "HIKARU_ROLLOUT_LOGS";

/// The variables of the policy for Jobs.
const JOB_NAMESPACES: &str = "HIKARU_JOB_NAMESPACES";
const JOB_SERVICE_ACCOUNTS: &str = "HIKARU_JOB_SERVICE_ACCOUNTS";
const JOB_PRIVILEGED: &str = "HIKARU_JOB_PRIVILEGED";

/// The ports to a cluster, confined as the variables say.
pub(crate) struct Ports {
    pub(crate) workloads: Arc<dyn WorkloadPort>,
    pub(crate) jobs: Jobs,
    pub(crate) rollouts: Rollouts,
}

impl Ports {
    /// Without a port to rollouts nothing rolls out.
    fn new(
        workloads: impl WorkloadPort + 'static,
        jobs: impl JobPort + 'static,
        rollouts: Option<Arc<dyn RolloutPort>>,
        mut policy: JobPolicy,
        settings: &Settings,
        shows_logs: bool,
    ) -> Self {
        let namespaces = settings.namespaces.clone();
        policy.within.clone_from(&namespaces);
        let clock = Arc::new(SystemClock::default());
        let rollouts = rollouts.map(|port| -> Arc<dyn RolloutPort> {
            Arc::new(Confined::new(port, namespaces.clone()))
        });
        let workloads: Arc<dyn WorkloadPort> =
            Arc::new(Confined::new(Arc::new(workloads), namespaces));
        let shows_logs = settings.rollout_logs.unwrap_or(shows_logs);
        let rollouts = Rollouts::new(workloads.clone(), rollouts, clock.clone(), shows_logs);
        Self {
            workloads,
            jobs: Jobs::new(Arc::new(jobs), policy, clock),
            rollouts,
        }
    }
}

/// The cluster that a single command asks.
pub(crate) async fn connect(args: &Cluster, settings: &Settings) -> Result<Ports, String> {
    if let Some(dir) = &args.manifests {
        let ports = folder(args, dir, settings)?;
        terminal::tell(&format!("cluster: the manifests in {}", dir.display()));
        return Ok(ports);
    }
    let (live, policy, connection) = live(args, settings).await?;
    terminal::tell(&format!("cluster: {connection}"));
    if let Some(warning) = connection.warning() {
        terminal::tell(&format!("warning: {warning}"));
    }
    let rollouts = Arc::new(live.clone());
    // Who runs a command has the rights of a person.
    let shows_logs = true;
    Ok(Ports::new(
        live.clone(),
        live,
        Some(rollouts),
        policy,
        settings,
        shows_logs,
    ))
}

/// The cluster that a service works on: a live one is watched.
pub(crate) async fn watch(args: &Cluster, settings: &Settings) -> Result<Watched, String> {
    if let Some(dir) = &args.manifests {
        let ports = folder(args, dir, settings)?;
        tracing::info!(cluster = %format!("the manifests in {}", dir.display()), "cluster");
        return Ok(Watched { ports, seen: None });
    }
    let (live, policy, connection) = live(args, settings).await?;
    tracing::info!(cluster = %connection, "cluster");
    if let Some(warning) = connection.warning() {
        tracing::warn!("{warning}");
    }
    let view = WatchedCluster::start(live.clone(), WatchSettings::default());
    let rollouts = Arc::new(live.clone());
    // Whoever has a token of the API would see them.
    let shows_logs = false;
    let jobs = live.clone();
    Ok(Watched {
        ports: Ports::new(
            view.clone(),
            jobs,
            Some(rollouts),
            policy,
            settings,
            shows_logs,
        ),
        seen: Some((view, live)),
    })
}

/// The cluster of a service.
pub(crate) struct Watched {
    pub(crate) ports: Ports,
    /// The view of a live cluster, and what watches its pods, for their figures.
    pub(crate) seen: Option<(WatchedCluster, LiveCluster)>,
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The namespaces that everything is confined to; none: all.
fn watch_namespaces(variable: &dyn Fn(&str) -> Option<String>) -> Result<Vec<Text>, String> {
    if variable(OLD_NAMESPACES).is_some_and(|text| !text.trim().is_empty()) {
        return Err(format!(
            "{OLD_NAMESPACES} is set: expected its new name, {WATCH_NAMESPACES}, which confines everything that is read and \
             written"
        ));
    }
    list(WATCH_NAMESPACES, variable, |namespace| {
        check_namespace(namespace).map(|()| namespace.into())
    })
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

/// A variable that is true or false. Empty or not set: `None`.
fn truth(name: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<bool>, String> {
    match variable(name).as_deref().map(str::trim) {
        None | Some("") => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(other) => {
            let found = Excerpt::of(other);
            Err(format!("{name}: expected true or false, found {found}"))
        }
    }
}

/// A list of names, or `*` for all. Empty or not set: `None`.
fn names_or_all<E: Display>(
    name: &str,
    variable: &dyn Fn(&str) -> Option<String>,
    check: impl Fn(&str) -> Result<(), E>,
) -> Result<Option<Option<Vec<Text>>>, String> {
    if variable(name).is_some_and(|text| text.trim() == "*") {
        return Ok(Some(None));
    }
    let names = list(name, variable, |part| {
        check(part).map(|()| Text::from(part))
    })?;
    Ok(Some(names).filter(|names| !names.is_empty()).map(Some))
}

/// The policy for Jobs. By default: in the connection's own namespace, or in all where there is none, as the
/// ServiceAccount `default`, nothing privileged.
fn job_policy(
    variable: &dyn Fn(&str) -> Option<String>,
    own_namespace: Option<&str>,
) -> Result<JobPolicy, String> {
    let mut policy = JobPolicy::default();
    let own = own_namespace.map(|namespace| vec![namespace.into()]);
    let namespaces = names_or_all(JOB_NAMESPACES, variable, check_namespace)?;
    policy.namespaces = namespaces.unwrap_or(own);
    let account = |name: &str| JobName::new("default", name).map(|_| ());
    if let Some(accounts) = names_or_all(JOB_SERVICE_ACCOUNTS, variable, account)? {
        policy.service_accounts = accounts;
    }
    policy.privileged = truth(JOB_PRIVILEGED, variable)?.unwrap_or(false);
    Ok(policy)
}

fn folder(args: &Cluster, dir: &Path, shared: &Settings) -> Result<Ports, String> {
    let policy = job_policy(&variable, None)?;
    let mut settings = FolderSettings::from(args.keys());
    settings.kinds = shared.kinds.clone();
    let folder = Folder::open(dir, settings).map_err(|error| error.to_string())?;
    let ports = Ports::new(folder.clone(), folder, None, policy, shared, false);
    Ok(ports)
}

async fn live(
    args: &Cluster,
    shared: &Settings,
) -> Result<(LiveCluster, JobPolicy, Connection), String> {
    let options = ConnectionOptions::new(args.kubeconfig.clone(), args.context.clone());
    let connection = Connection::choose(&options, &variable).await;
    let connection = connection.map_err(|error| match error {
        ConnectionError::None { .. } => {
            format!("{error}; or --manifests DIR for a folder of manifests")
        }
        error => error.to_string(),
    })?;
    let policy = job_policy(&variable, Some(connection.namespace()))?;
    let mut settings = LiveSettings::new(args.keys());
    settings.kinds = shared.kinds.clone();
    settings.namespaces = shared.namespaces.clone();
    let live = LiveCluster::new(&connection, settings)
        .await
        .map_err(|e| e.to_string())?;
    Ok((live, policy, connection))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_run_jobs() {
        let policy = |variables: &[(&str, &str)], own: Option<&str>| {
            let variable = |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            let policy = job_policy(&variable, own)?;
            Ok((
                policy.namespaces,
                policy.service_accounts,
                policy.privileged,
            ))
        };
        let names = |names: &[&str]| Some(names.iter().map(|name| Text::from(*name)).collect());
        let default = names(&["default"]);
        assert_eq!(
            policy(&[], Some("shop")),
            Ok((names(&["shop"]), default.clone(), false))
        );
        assert_eq!(policy(&[], None), Ok((None, default.clone(), false)));
        let empty = [
            (JOB_NAMESPACES, ""),
            (JOB_SERVICE_ACCOUNTS, " , "),
            (JOB_PRIVILEGED, ""),
        ];
        assert_eq!(
            policy(&empty, Some("shop")),
            Ok((names(&["shop"]), default, false))
        );
        let some = [
            (JOB_NAMESPACES, "shop, blog"),
            (JOB_SERVICE_ACCOUNTS, "migrator,a.b"),
            (JOB_PRIVILEGED, "true"),
        ];
        assert_eq!(
            policy(&some, Some("ci")),
            Ok((names(&["shop", "blog"]), names(&["migrator", "a.b"]), true))
        );
        let all = [(JOB_NAMESPACES, " * "), (JOB_SERVICE_ACCOUNTS, "*")];
        assert_eq!(policy(&all, Some("ci")), Ok((None, None, false)));
        let refused = |name: &'static str, value: &str| {
            let error: String = policy(&[(name, value)], None).expect_err(name);
            assert!(error.starts_with(&format!("{name}: expected ")), "{error}");
            error
        };
        refused(JOB_NAMESPACES, "shop,*");
        refused(JOB_NAMESPACES, "Shop");
        refused(JOB_SERVICE_ACCOUNTS, "a_b");
        assert_eq!(
            refused(JOB_PRIVILEGED, "yes"),
            "HIKARU_JOB_PRIVILEGED: expected true or false, found `yes`"
        );
    }

    #[test]
    fn the_document_lists_each_variable_without_a_flag() {
        let document = include_str!("../../docs/environment.md");
        for name in [
            KINDS,
            WATCH_NAMESPACES,
            ROLLOUT_LOGS,
            JOB_NAMESPACES,
            JOB_SERVICE_ACCOUNTS,
            JOB_PRIVILEGED,
        ] {
            let row = format!("| `{name}` | ");
            assert!(document.contains(&row), "docs/environment.md lacks: {row}");
        }
    }

    #[test]
    fn lists_of_variables() {
        let read_as = |name: &str, text: Option<&str>| {
            let variable = |asked: &str| text.filter(|_| asked == name).map(str::to_owned);
            watch_namespaces(&variable)
        };
        let read = |text: Option<&str>| read_as(WATCH_NAMESPACES, text);
        assert_eq!(read(None), Ok(vec![]));
        assert_eq!(read(Some(" , ")), Ok(vec![]));
        assert_eq!(
            read(Some("shop, prod")),
            Ok(vec!["shop".into(), "prod".into()])
        );
        let error = read(Some("shop,Prod")).expect_err("no namespace");
        assert!(
            error.starts_with("HIKARU_WATCH_NAMESPACES: expected a namespace")
                && error.contains("`Prod`"),
            "{error}"
        );
        // The name that it had is not passed over: it would confine nothing.
        assert_eq!(read_as(OLD_NAMESPACES, Some(" ")), Ok(vec![]));
        let error = read_as(OLD_NAMESPACES, Some("shop")).expect_err("the old name");
        assert!(error.contains(WATCH_NAMESPACES), "{error}");
    }
}
