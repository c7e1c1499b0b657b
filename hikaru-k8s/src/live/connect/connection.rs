//! Which cluster, and how to reach it: chosen explicitly, from flags, variables and files. The client itself is made in
//! `transport`; tokens are read in `authorization`, certificates and keys in `pem`. Nothing here asks the process
//! for a variable: a function that is handed in does.

mod kubeconfig;
mod variables;

use std::{
    env, fmt,
    path::{Path, PathBuf},
};

use http::HeaderValue;
use kube::config::Config;

use super::{
    authorization::{Authorization, TokenFile},
    credentials::Credentials,
    error::ConnectionError,
    pem::{Content, Pem},
    plugin::Plugin,
};

/// Where the files of a pod's ServiceAccount are.
const IN_CLUSTER: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The connect timeout, for name lookup and TCP.
pub(in crate::live) const CONNECT: std::time::Duration = std::time::Duration::from_secs(5);

/// The options of the command line that choose a cluster.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ConnectionOptions {
    /// `--kubeconfig FILE`.
    pub kubeconfig: Option<PathBuf>,
    /// `--context NAME`.
    pub context: Option<String>,
    /// The folder with the files of a pod's ServiceAccount. `None`: the folder where Kubernetes mounts them.
    pub in_cluster: Option<PathBuf>,
}

impl ConnectionOptions {
    /// Options with a kubeconfig and a context, if they were given.
    pub fn new(kubeconfig: Option<PathBuf>, context: Option<String>) -> Self {
        Self {
            kubeconfig,
            context,
            in_cluster: None,
        }
    }
}

/// A variable of the environment by its name; `None` where it is not set.
pub type Variable<'v> = &'v (dyn Fn(&str) -> Option<String> + Sync);

/// How to reach a cluster. `Display` says which one it is; neither that nor `Debug` shows a secret.
#[derive(Clone)]
pub struct Connection {
    /// The API server, and how it is reached. Of its `auth_info` only whom to impersonate is used.
    pub(in crate::live) config: Config,
    /// The plugin that gives the credentials.
    pub(in crate::live) plugin: Option<Plugin>,
    /// Certificates, and the header `Authorization`.
    pub(in crate::live) credentials: Credentials,
    /// Which CA has to have signed the server's certificate, for messages.
    pub(in crate::live) trust: String,
    /// Which credentials are used, for messages.
    pub(in crate::live) credentials_name: String,
    warning: Option<String>,
    origin: Origin,
}

#[derive(Clone, Debug)]
enum Origin {
    Variable(&'static str),
    Context { name: String, place: String },
    InCluster,
}

impl Connection {
    /// Chooses a cluster: what the options say; else `K8S_URL`; else `KUBECONFIG`; else the ServiceAccount of the pod;
    /// else `~/.kube/config`. Nothing is connected yet, and no plugin for credentials is run.
    ///
    /// # Errors
    /// When what is chosen cannot be read, or there is nothing to choose. A choice that is wrong is an error: the next one is
    /// not tried.
    pub async fn choose(
        options: &ConnectionOptions,
        variable: Variable<'_>,
    ) -> Result<Self, ConnectionError> {
        let ConnectionOptions {
            kubeconfig: file,
            context,
            in_cluster,
        } = options;
        let home = variable("HOME")
            .filter(|home| !home.is_empty())
            .map(|home| Path::new(&home).join(".kube/config"));
        let named = variable("KUBECONFIG").filter(|list| !list.is_empty());
        let named: Option<Vec<PathBuf>> = named.map(|list| {
            let paths = env::split_paths(&list);
            paths.filter(|path| !path.as_os_str().is_empty()).collect()
        });

        if let Some(file) = file {
            return kubeconfig::connection(std::slice::from_ref(file), context.as_ref(), None)
                .await;
        }
        if context.is_some() {
            let files = named.or_else(|| Some(vec![home.clone()?]));
            let files = files.ok_or(ConnectionError::None { home: None })?;
            return kubeconfig::connection(&files, context.as_ref(), variable("HOME")).await;
        }
        if let Some(connection) = variables::connection(variable)? {
            return Ok(connection);
        }
        if let Some(files) = named {
            return kubeconfig::connection(&files, None, variable("HOME")).await;
        }
        let root = in_cluster.as_deref().unwrap_or(Path::new(IN_CLUSTER));
        if let Some(connection) = Self::in_cluster(root, variable)? {
            return Ok(connection);
        }
        match home {
            Some(file) if file.exists() => {
                kubeconfig::connection(&[file], None, variable("HOME")).await
            }
            home => Err(ConnectionError::None { home }),
        }
    }

    /// The connection by the ServiceAccount of the pod that hikaru runs in, if it runs in one.
    fn in_cluster(root: &Path, variable: Variable<'_>) -> Result<Option<Self>, ConnectionError> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let (Some(host), Some(port)) = (
            set("KUBERNETES_SERVICE_HOST"),
            set("KUBERNETES_SERVICE_PORT"),
        ) else {
            return Ok(None);
        };
        let (token, ca) = (root.join("token"), root.join("ca.crt"));
        if !token.exists() {
            // A pod without a mounted token, or a shell that inherited the variables.
            return Ok(None);
        }
        let host = match host.parse::<std::net::Ipv6Addr>() {
            Ok(address) => format!("[{address}]"),
            Err(_) => host,
        };
        let found = format!("{host}:{port}");
        let url = format!("https://{found}").parse();
        let expected = "a host, with a port in KUBERNETES_SERVICE_PORT";
        let place = "KUBERNETES_SERVICE_HOST";
        let url = url.map_err(|_| ConnectionError::expected(place, expected, &found))?;
        let what = "the CA of the pod's ServiceAccount,".to_owned();
        let ca = Pem::file(what, Content::Certificates, ca);
        let trust = ca.to_string();
        let what = "the token of the pod's ServiceAccount,".to_owned();
        let token = TokenFile::new(what, token);
        let credentials_name = token.to_string();
        let credentials = Credentials {
            ca: Some(ca),
            identity: None,
            authorization: Some(Authorization::File(token)),
        };
        credentials.read()?;
        let mut config = Config::new(url);
        let home = std::fs::read_to_string(root.join("namespace")).unwrap_or_default();
        if hikaru_core::workload::check_namespace(home.trim()).is_ok() {
            home.trim().clone_into(&mut config.default_namespace);
        }
        Ok(Some(Self {
            config,
            credentials,
            credentials_name,
            trust,
            plugin: None,
            warning: None,
            origin: Origin::InCluster,
        }))
    }

    /// A warning about this connection that a user should see once.
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// The default namespace: that of the context or of the pod, else `default`.
    pub fn namespace(&self) -> &str {
        &self.config.default_namespace
    }

    /// The URL of the API server.
    pub fn url(&self) -> String {
        self.config.cluster_url.to_string()
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.url();
        let url = url.trim_end_matches('/');
        match &self.origin {
            Origin::Variable(variable) => write!(f, "the API server {url} ({variable})"),
            Origin::Context { name, place } => write!(f, "context {name} of {place}"),
            Origin::InCluster => write!(f, "the cluster that this runs in, {url}"),
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({self})")
    }
}

/// The header of a token or a password that stands in this place.
fn header(
    place: &str,
    header: Result<HeaderValue, String>,
) -> Result<Authorization, ConnectionError> {
    let header = header.map_err(|reason| ConnectionError::Settings(format!("{place}: {reason}")));
    header.map(Authorization::Header)
}

fn basic_warning(credentials: &str) -> String {
    format!(
        "{credentials}: kube-apiserver has taken no basic auth since 1.19; only a proxy before it may take it"
    )
}

#[cfg(test)]
mod tests;
