//! A running control plane: start it, wait for it, talk to it, take parts of it away.
//!
//! Which flags its components get is in `flags.rs`, keys and tokens in `credentials.rs`, the record of
//! all writes in [`audit`]. Processes belong to the [`supervisor`](crate::supervisor).

pub mod audit;
mod credentials;
mod etcd;
mod flags;
mod kubectl;
mod options;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::assets::{Assets, AssetsError, Locations, Program};
use crate::supervisor::{Component, Endpoints, Status, Supervisor, SupervisorError};
use credentials::Credentials;
pub use options::ClusterOptions;

/// How long a component may take to be ready. On a quiet machine the whole cluster takes four seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often a condition is looked at while waiting.
const PACE: Duration = Duration::from_millis(50);

/// Why a cluster does not start or does not answer. The text says what to do, or has the end of a log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// There are no programs to run.
    #[error(transparent)]
    Assets(#[from] AssetsError),
    /// The supervisor failed.
    #[error(transparent)]
    Supervisor(#[from] SupervisorError),
    /// A component ended by itself.
    #[error("{component} ended ({how}); the end of its log:\n{log}")]
    Ended {
        /// Which one.
        component: Component,
        /// Its exit status.
        how: String,
        /// The end of its log.
        log: String,
    },
    /// Something did not come in time.
    #[error("{what} did not come within {seconds} s{details}")]
    TimedOut {
        /// What was waited for.
        what: String,
        /// For how long.
        seconds: u64,
        /// The last failure and the ends of logs; empty, or begins with a line feed.
        details: String,
    },
    /// kubectl failed.
    #[error("kubectl {args}: {status}\n{stderr}")]
    Kubectl {
        /// Its arguments.
        args: String,
        /// Its exit status.
        status: String,
        /// What it wrote to stderr.
        stderr: String,
    },
    /// etcd gave no answer, or another one than was expected.
    #[error("etcd, {path}: {problem}")]
    Etcd {
        /// What was asked for.
        path: &'static str,
        /// What is wrong with the answer.
        problem: String,
    },
    /// A certificate could not be made.
    #[error("certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A file could not be read or written, or a program not be started.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line of the audit log is no JSON.
    #[error("audit log, line {line}: {source}")]
    Audit {
        /// Counted from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
}

impl ClusterError {
    /// Whether another process took the address first: starting again helps.
    fn is_taken_address(&self) -> bool {
        matches!(self, Self::Ended { log, .. } if log.contains("address already in use"))
    }
}

/// A real control plane: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, and kwok for the
/// node and its pods. It has its own data, keys and address. Dropping it ends it; however the process
/// ends that holds it, a supervisor ends it too.
///
/// A word in a pod's image makes it fail: docs/testing.md has the words.
#[derive(Debug)]
pub struct Cluster {
    supervisor: Mutex<Supervisor>,
    folder: PathBuf,
    endpoints: Endpoints,
    credentials: Credentials,
    assets: Assets,
    options: ClusterOptions,
}

impl Cluster {
    /// Starts a cluster and waits until it is ready.
    ///
    /// # Errors
    /// When the programs are not built, or a component ends or is not ready in time: with the end of its log.
    pub fn start(options: ClusterOptions) -> Result<Self, ClusterError> {
        let locations = Locations::from_environment()?;
        let assets = Assets::find(&locations)?;
        for _ in 0..2 {
            match Self::start_once(&locations, &assets, &options) {
                Err(error) if error.is_taken_address() => {}
                other => return other,
            }
        }
        Self::start_once(&locations, &assets, &options)
    }

    /// The cluster of this test binary, started when it is first asked for, with the default options. It
    /// is never dropped; the supervisor ends it when the process has ended. Use a
    /// [namespace](Self::namespace) a test.
    ///
    /// # Panics
    /// When it does not start, with the reason.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Result<Cluster, ClusterError>> = OnceLock::new();
        match SHARED.get_or_init(|| Self::start(ClusterOptions::default())) {
            Ok(cluster) => cluster,
            Err(error) => panic!("the shared cluster did not start: {error}"),
        }
    }

    fn start_once(
        locations: &Locations,
        assets: &Assets,
        options: &ClusterOptions,
    ) -> Result<Self, ClusterError> {
        let supervisor = Supervisor::start(&locations.cache.join("addresses"))?;
        let (folder, endpoints) = (supervisor.folder().to_owned(), supervisor.endpoints());
        let credentials = Credentials::make(&folder, endpoints, options)?;
        let (assets, options) = (assets.clone(), options.clone());
        let cluster = Self {
            supervisor: Mutex::new(supervisor),
            folder,
            endpoints,
            credentials,
            assets,
            options,
        };
        cluster.write(
            "audit-policy.json",
            &audit::policy(
                &cluster.options.audited_groups,
                cluster.options.audited_components,
            ),
        )?;
        let stages = include_str!("../cluster/kwok/stages.yaml");
        let stages = stages.replace("$FOLDER", &cluster.folder.display().to_string());
        cluster.write(flags::STAGES, &stages)?;
        cluster.write("current.log", include_str!("../cluster/kwok/current.log"))?;
        cluster.write("previous.log", include_str!("../cluster/kwok/previous.log"))?;

        cluster.launch(Component::Etcd)?;
        cluster.launch(Component::Apiserver)?;
        if cluster.options.controllers {
            cluster.spawn(Component::ControllerManager)?;
            cluster.spawn(Component::Scheduler)?;
        }
        if cluster.options.pods {
            cluster.spawn(Component::Kwok)?;
        }
        cluster.kubectl_with_input(&["create", "--filename=-"], flags::NODE)?;
        if cluster.options.pods {
            cluster.wait_for("the node to be ready", PATIENCE, || {
                let path = "jsonpath={.status.conditions[?(@.type=='Ready')].status}";
                let ready = cluster.kubectl(&["get", "node", "node-0", "--output", path])?;
                Ok((ready == "True").then_some(()))
            })?;
        }
        if cluster.options.controllers {
            cluster.wait_for_service_account("default")?;
        }
        Ok(cluster)
    }

    /// Starts a component that does not run, and waits until etcd or kube-apiserver answers.
    ///
    /// # Errors
    /// When it runs already, ends, or does not answer in time.
    pub fn launch(&self, component: Component) -> Result<(), ClusterError> {
        self.spawn(component)?;
        match component {
            Component::Etcd => self.wait_for("etcd to answer", PATIENCE, || {
                Ok(self.is_our_etcd().then_some(()))
            }),
            Component::Apiserver => self.wait_for("kube-apiserver to be ready", PATIENCE, || {
                // The CA is this cluster's own, so no other cluster's API server can answer.
                Ok((self.kubectl(&["get", "--raw=/readyz"])? == "ok").then_some(()))
            }),
            _ => Ok(()),
        }
    }

    fn spawn(&self, component: Component) -> Result<(), ClusterError> {
        let program = self.assets.program(match component {
            Component::Etcd => Program::Etcd,
            Component::Apiserver => Program::KubeApiserver,
            Component::ControllerManager => Program::KubeControllerManager,
            Component::Scheduler => Program::KubeScheduler,
            Component::Kwok => Program::Kwok,
        });
        let args = flags::of(
            component,
            &self.folder,
            self.endpoints,
            self.assets.stages(),
        );
        Ok(self
            .supervisor()
            .start_component(component, program, args, &self.log(component))?)
    }

    /// Ends a component by SIGTERM and, if it is still there after three seconds, SIGKILL; waits for its end.
    ///
    /// # Errors
    /// When it does not run.
    pub fn stop(&self, component: Component) -> Result<(), ClusterError> {
        Ok(self.supervisor().stop_component(component, false)?)
    }

    /// Ends a component by SIGKILL, and waits for its end.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&self, component: Component) -> Result<(), ClusterError> {
        Ok(self.supervisor().stop_component(component, true)?)
    }

    /// The process ids of the components that run.
    ///
    /// # Errors
    /// When the supervisor is gone.
    pub fn processes(&self) -> Result<BTreeMap<Component, u32>, ClusterError> {
        Ok(self.status()?.running)
    }

    /// The process id of the supervisor.
    #[must_use]
    pub fn supervisor_process(&self) -> u32 {
        self.supervisor().id()
    }

    /// The data folder: keys, logs, etcd's data. It is removed when the cluster ends.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file that a component writes its output to.
    #[must_use]
    pub fn log(&self, component: Component) -> PathBuf {
        self.folder.join(format!("{component}.log"))
    }

    /// The URL of the API server, `https://ADDRESS:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        flags::url(self.endpoints)
    }

    /// The URL of etcd, without TLS.
    #[must_use]
    pub fn etcd_url(&self) -> String {
        flags::etcd_url(self.endpoints)
    }

    /// The certificate of the CA that signed the API server's, PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        self.credentials.ca_pem()
    }

    /// The bearer token of `admin`, who may do everything.
    #[must_use]
    pub fn admin_token(&self) -> &str {
        self.credentials.admin_token()
    }

    /// The bearer token of a user of [`ClusterOptions::user`].
    #[must_use]
    pub fn token(&self, user: &str) -> Option<&str> {
        self.credentials.token(user)
    }

    /// A kubeconfig file whose user may do everything, by client certificate.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join(credentials::KUBECONFIG)
    }

    /// A client certificate that the API server takes for `user` in `group`; certificate and key, PEM.
    ///
    /// # Errors
    /// When the names cannot stand in a certificate.
    pub fn client_certificate(
        &self,
        user: &str,
        group: &str,
    ) -> Result<(String, String), ClusterError> {
        self.credentials.client_certificate(user, group, None)
    }

    /// The same, valid until a time, which may be over.
    ///
    /// # Errors
    /// When the names cannot stand in a certificate.
    pub fn client_certificate_until(
        &self,
        user: &str,
        group: &str,
        until: SystemTime,
    ) -> Result<(String, String), ClusterError> {
        self.credentials
            .client_certificate(user, group, Some(until))
    }

    /// Makes a namespace whose name begins with `prefix`, and returns its name. With controllers, its
    /// default ServiceAccount is there too, so that pods can be made.
    ///
    /// # Errors
    /// When the API server refuses it.
    pub fn namespace(&self, prefix: &str) -> Result<String, ClusterError> {
        let name = format!("{prefix}-{}", &credentials::random_text()?[..8]);
        self.kubectl(&["create", "namespace", &name])?;
        if self.options.controllers {
            self.wait_for_service_account(&name)?;
        }
        Ok(name)
    }

    fn wait_for_service_account(&self, namespace: &str) -> Result<(), ClusterError> {
        self.wait_for("the default ServiceAccount", PATIENCE, || {
            self.kubectl(&["get", "serviceaccount", "default", "--namespace", namespace])
                .map(Some)
        })
        .map(drop)
    }

    /// Looks again and again until `look` gives a value. A failure of `look` counts as "not yet", but when
    /// a component has ended by itself, that is the error at once.
    ///
    /// # Errors
    /// When the time is over, with the last failure and the ends of the logs.
    pub fn wait_for<T>(
        &self,
        what: &str,
        patience: Duration,
        mut look: impl FnMut() -> Result<Option<T>, ClusterError>,
    ) -> Result<T, ClusterError> {
        let end = Instant::now() + patience;
        loop {
            let failure = match look() {
                Ok(Some(value)) => return Ok(value),
                Ok(None) => None,
                Err(error) => Some(error),
            };
            if let Some((component, how)) = self.status()?.ended.into_iter().next() {
                return Err(ClusterError::Ended {
                    component,
                    how,
                    log: tail(&self.log(component)),
                });
            }
            if Instant::now() >= end {
                let mut details = failure
                    .map(|error| format!("\n{error}"))
                    .unwrap_or_default();
                for component in self.status()?.running.into_keys() {
                    details.push_str(&format!(
                        "\nthe end of the log of {component}:\n{}",
                        tail(&self.log(component))
                    ));
                }
                return Err(ClusterError::TimedOut {
                    what: what.to_owned(),
                    seconds: patience.as_secs(),
                    details,
                });
            }
            std::thread::sleep(PACE);
        }
    }

    fn status(&self) -> Result<Status, ClusterError> {
        Ok(self.supervisor().status()?)
    }

    fn supervisor(&self) -> MutexGuard<'_, Supervisor> {
        // If a test panicked while it held the lock, the supervisor is in order all the same.
        self.supervisor
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), ClusterError> {
        let path = self.folder.join(name);
        std::fs::write(&path, text).map_err(|source| ClusterError::File { path, source })
    }
}

/// The last lines of a log.
fn tail(path: &Path) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines
        .iter()
        .skip(lines.len().saturating_sub(15))
        .copied()
        .collect::<Vec<_>>()
        .join("\n")
}
