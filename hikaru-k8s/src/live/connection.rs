//! Which cluster, and how to reach it: chosen explicitly, from flags, variables and files. The client itself is made in
//! `client`; what the tokens in files say is read in `token`. Nothing here asks the process for a variable: a function
//! that is handed in does.

use std::{
    env, fmt, fs, io,
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::Uri;
use kube::config::{AuthInfo, Config, KubeConfigOptions, Kubeconfig, KubeconfigError};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use secrecy::{ExposeSecret as _, SecretString};

use super::token::{self, TokenError, TokenFile};

/// Where the files of a pod's ServiceAccount are.
const IN_CLUSTER: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The longest connecting may take, TCP and name lookup.
pub(super) const CONNECT: std::time::Duration = std::time::Duration::from_secs(5);

/// Variables of connections that are not built yet: better refused than passed over.
const NOT_YET: [&str; 4] = ["K8S_CERT", "K8S_KEY", "K8S_USERNAME", "K8S_PASSWORD"];

/// What the command line says of the cluster.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ConnectionOptions {
    /// `--kubeconfig FILE`.
    pub kubeconfig: Option<PathBuf>,
    /// `--context NAME`.
    pub context: Option<String>,
    /// Where the files of a pod's ServiceAccount are; none: where Kubernetes mounts them.
    pub in_cluster: Option<PathBuf>,
}

impl ConnectionOptions {
    /// A kubeconfig and a context, as far as they were given.
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
    pub(super) config: Config,
    /// A bearer token that a file holds; then `config` has no credentials.
    pub(super) token: Option<TokenFile>,
    origin: Origin,
}

#[derive(Clone, Debug)]
enum Origin {
    Variable(&'static str),
    Context { name: String, place: String },
    InCluster,
}

/// Why there is no connection to a cluster. Each names the variable or the file; none shows a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// Nothing says which cluster.
    #[error(
        "no cluster: expected --kubeconfig, --context, K8S_URL, KUBECONFIG, a pod's ServiceAccount, or {}",
        .home.as_ref().map_or_else(|| "HOME, which is not set".to_owned(), |home| home.display().to_string())
    )]
    None {
        /// The kubeconfig of the user, which is not there.
        home: Option<PathBuf>,
    },
    /// A variable is set that means nothing alone.
    #[error("{variable} is set, but K8S_URL is not")]
    WithoutUrl {
        /// The variable.
        variable: &'static str,
    },
    /// Two spellings of one variable have different values.
    #[error("{variable} and {other} are both set, to different values")]
    Spellings {
        /// With underscores.
        variable: String,
        /// With hyphens.
        other: String,
    },
    /// Two variables that exclude each other.
    #[error("{one} and {other} are both set: expected one of them")]
    Both {
        /// One of them.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
    /// A variable of a kind of connection that is not there yet.
    #[error("{variable} is not supported yet: use K8S_TOKEN, or a kubeconfig")]
    NotYet {
        /// The variable.
        variable: &'static str,
    },
    /// A variable cannot be read.
    #[error("{variable}: expected {expected}, found {found}")]
    Variable {
        /// The variable.
        variable: &'static str,
        /// What it can be.
        expected: &'static str,
        /// What is wrong with it, without a secret.
        found: String,
    },
    /// A token is none.
    #[error("{place}: {reason}")]
    Token {
        /// The variable, or the context.
        place: String,
        /// What is wrong with it.
        reason: TokenError,
    },
    /// A file cannot be read.
    #[error("{what} {}: {reason}", path.display())]
    File {
        /// What names it: a variable, a flag.
        what: String,
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        reason: io::Error,
    },
    /// A kubeconfig cannot be used.
    #[error("{place}: {reason}")]
    Kubeconfig {
        /// The files.
        place: String,
        /// Why.
        reason: KubeconfigFault,
    },
    /// The client cannot be made: certificates, keys or a plugin for credentials.
    #[error("{connection}: {reason}")]
    Client {
        /// The connection, as it is shown.
        connection: String,
        /// Why.
        reason: String,
    },
}

/// What is wrong with a kubeconfig.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KubeconfigFault {
    /// There is no such context.
    #[error("there is no context {0}")]
    NoContext(String),
    /// No context is chosen.
    #[error("it has no current-context: expected one, or --context")]
    NoCurrentContext,
    /// It is no kubeconfig. What stands there is not shown: it may be a secret.
    #[error("no kubeconfig: line {line}, column {column} is not as expected")]
    Yaml {
        /// The line, from 1; 0: nobody knows.
        line: u64,
        /// The column, from 1.
        column: u64,
    },
    /// Its cluster is reached through a proxy.
    #[error("the context {0} names a proxy-url, which is not supported yet")]
    Proxy(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl Connection {
    /// Chooses a cluster: what the options say; else `K8S_URL`; else `KUBECONFIG`; else the ServiceAccount of the pod;
    /// else `~/.kube/config`. Nothing is connected yet, and no plugin for credentials is run.
    ///
    /// # Errors
    /// When what is chosen cannot be read, or there is nothing to choose. It never falls back from what is there but
    /// wrong.
    pub async fn choose(
        options: &ConnectionOptions,
        variable: Variable<'_>,
    ) -> Result<Self, ConnectionError> {
        let ConnectionOptions {
            kubeconfig,
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

        if let Some(file) = kubeconfig {
            return Self::kubeconfig(std::slice::from_ref(file), context.as_ref(), None).await;
        }
        if context.is_some() {
            let files = named.or_else(|| Some(vec![home.clone()?]));
            let files = files.ok_or(ConnectionError::None { home: None })?;
            return Self::kubeconfig(&files, context.as_ref(), variable("HOME")).await;
        }
        if let Some(connection) = Self::variables(variable)? {
            return Ok(connection);
        }
        if let Some(files) = named {
            return Self::kubeconfig(&files, None, variable("HOME")).await;
        }
        let root = in_cluster.as_deref().unwrap_or(Path::new(IN_CLUSTER));
        if let Some(connection) = Self::in_cluster(root, variable)? {
            return Ok(connection);
        }
        match home {
            Some(file) if file.exists() => Self::kubeconfig(&[file], None, variable("HOME")).await,
            home => Err(ConnectionError::None { home }),
        }
    }

    /// `K8S_URL`, `K8S_TOKEN`, `K8S_TOKEN_FILE`, `K8S_CA`.
    fn variables(variable: Variable<'_>) -> Result<Option<Self>, ConnectionError> {
        let read = |name: &'static str| read_variable(variable, name);
        let (url, host) = (read("K8S_URL")?, read("K8S_HOST")?);
        let (token, file, ca) = (read("K8S_TOKEN")?, read("K8S_TOKEN_FILE")?, read("K8S_CA")?);
        let (name, url) = match (url, host) {
            (Some(url), _) => ("K8S_URL", parse_url(&url)?),
            (None, Some(host)) => ("K8S_HOST", parse_host(&host)?),
            (None, None) => {
                // A person who sets a token means a cluster, and would get another one.
                let lonely = [
                    ("K8S_TOKEN", token),
                    ("K8S_TOKEN_FILE", file),
                    ("K8S_CA", ca),
                ];
                return match lonely.into_iter().find(|(_, value)| value.is_some()) {
                    Some((variable, _)) => Err(ConnectionError::WithoutUrl { variable }),
                    None => Ok(None),
                };
            }
        };
        for variable in NOT_YET {
            if read(variable)?.is_some() {
                return Err(ConnectionError::NotYet { variable });
            }
        }
        if token.is_some() && file.is_some() {
            let (one, other) = ("K8S_TOKEN", "K8S_TOKEN_FILE");
            return Err(ConnectionError::Both { one, other });
        }
        let loopback = url.host().is_some_and(is_loopback);
        if (token.is_some() || file.is_some()) && url.scheme_str() == Some("http") && !loopback {
            return Err(ConnectionError::Variable {
                variable: "K8S_URL",
                expected: "https://, because a token is sent with each request",
                found: "http://".to_owned(),
            });
        }
        let mut config = plain(url);
        if let Some(token) = token {
            let place = || "K8S_TOKEN".to_owned();
            let token = token::check(&token).map_err(|reason| ConnectionError::Token {
                place: place(),
                reason,
            })?;
            config.auth_info.token = Some(token.to_owned().into());
        }
        let token = file.map(|path| open_token("K8S_TOKEN_FILE", path.into()));
        if let Some(ca) = ca {
            trust(&mut config, &ca)?;
        }
        Ok(Some(Self {
            config,
            token: token.transpose()?,
            origin: Origin::Variable(name),
        }))
    }

    /// The ServiceAccount of the pod that we run in, if we do.
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
            // A pod without a mounted token, or a shell in which the variables were left.
            return Ok(None);
        }
        let host = match host.parse::<std::net::Ipv6Addr>() {
            Ok(address) => format!("[{address}]"),
            Err(_) => host,
        };
        let found = format!("{host}:{port}");
        let url = format!("https://{found}").parse();
        let url = url.map_err(|_| ConnectionError::Variable {
            variable: "KUBERNETES_SERVICE_HOST",
            expected: "a host, with a port in KUBERNETES_SERVICE_PORT",
            found,
        })?;
        let mut config = plain(url);
        let what = "the CA of the pod's ServiceAccount,";
        trust_file(&mut config, what, &ca)?;
        Ok(Some(Self {
            config,
            token: Some(open_token("the token of the pod's ServiceAccount,", token)?),
            origin: Origin::InCluster,
        }))
    }

    /// Files merged as kubectl merges them. Of several, those that are missing are passed over.
    async fn kubeconfig(
        files: &[PathBuf],
        context: Option<&String>,
        home: Option<String>,
    ) -> Result<Self, ConnectionError> {
        let shown: Vec<String> = files.iter().map(|f| show(f, home.as_deref())).collect();
        let place = shown.join(":");
        let fault = |reason| ConnectionError::Kubeconfig {
            place: place.clone(),
            reason,
        };
        let mut merged = Kubeconfig::default();
        let there = files.iter().filter(|file| file.exists());
        let there: Vec<&PathBuf> = if there.clone().next().is_none() {
            files.iter().collect()
        } else {
            there.collect()
        };
        for file in there {
            let read = Kubeconfig::read_from(file).map_err(|error| match error {
                KubeconfigError::ReadConfig(reason, path) => ConnectionError::File {
                    what: "the kubeconfig".to_owned(),
                    path,
                    reason,
                },
                other => fault(said(&other)),
            })?;
            merged = merged.merge(read).map_err(|error| fault(said(&error)))?;
        }
        let name = context.or(merged.current_context.as_ref());
        let name = name.filter(|name| !name.is_empty()).cloned();
        let name = name.ok_or_else(|| fault(KubeconfigFault::NoCurrentContext))?;
        let context = merged.contexts.iter().find(|known| known.name == name);
        let Some(context) = context.and_then(|named| named.context.as_ref()) else {
            return Err(fault(KubeconfigFault::NoContext(name)));
        };
        let cluster = merged.clusters.iter().find(|c| c.name == context.cluster);
        let proxied = cluster
            .and_then(|named| named.cluster.as_ref())
            .is_some_and(|cluster| cluster.proxy_url.as_ref().is_some_and(|p| !p.is_empty()));
        if proxied {
            return Err(fault(KubeconfigFault::Proxy(name)));
        }
        let options = KubeConfigOptions {
            context: Some(name.clone()),
            ..KubeConfigOptions::default()
        };
        let loaded = Config::from_custom_kubeconfig(merged, &options).await;
        let mut config = loaded.map_err(|error| fault(said(&error)))?;
        check_tokens(&mut config.auth_info).map_err(|reason| ConnectionError::Token {
            place: format!("the token of context {name} of {place}"),
            reason,
        })?;
        ours(&mut config);
        Ok(Self {
            config,
            token: None,
            origin: Origin::Context { name, place },
        })
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

/// A variable in both spellings, `K8S_URL` and `K8S-URL`, trimmed; empty counts as not set.
fn read_variable(
    variable: Variable<'_>,
    name: &'static str,
) -> Result<Option<String>, ConnectionError> {
    let read = |name: &str| {
        let value = variable(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    };
    let hyphens = name.replace('_', "-");
    match (read(name), read(&hyphens)) {
        (Some(one), Some(other)) if one != other => Err(ConnectionError::Spellings {
            variable: name.to_owned(),
            other: hyphens,
        }),
        (one, other) => Ok(one.or(other)),
    }
}

fn parse_url(text: &str) -> Result<Uri, ConnectionError> {
    let wrong = |found: &str| ConnectionError::Variable {
        variable: "K8S_URL",
        expected: "the URL of the API server, such as https://host:6443",
        found: found.to_owned(),
    };
    // It may hold a password by mistake: it is never quoted as a whole.
    let url: Uri = text.parse().map_err(|_| wrong("what is no URL"))?;
    match url.scheme_str() {
        Some("http" | "https") => {}
        _ => return Err(wrong("a URL without http:// or https://")),
    }
    if url.authority().is_some_and(|a| a.as_str().contains('@')) {
        return Err(wrong("a user name or password in it"));
    }
    if url.query().is_some() {
        return Err(wrong("a query in it"));
    }
    Ok(url)
}

fn parse_host(text: &str) -> Result<Uri, ConnectionError> {
    let wrong = |found: &str| ConnectionError::Variable {
        variable: "K8S_HOST",
        expected: "host[:port] of the API server",
        found: found.to_owned(),
    };
    if text.contains(['/', '@', '?', '#']) {
        return Err(wrong("more than that"));
    }
    let url = format!("https://{text}").parse();
    url.map_err(|_| wrong("what is no host"))
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// A configuration without credentials.
fn plain(url: Uri) -> Config {
    let mut config = Config::new(url);
    ours(&mut config);
    config
}

/// What kube would do by default, and we do ourselves or not at all: see `client`.
fn ours(config: &mut Config) {
    config.connect_timeout = Some(CONNECT);
    config.default_retry = false;
    config.proxy_url = None;
}

/// `K8S_CA`: PEM text, base64 of PEM, or a path.
fn trust(config: &mut Config, ca: &str) -> Result<(), ConnectionError> {
    const PEM: &str = "-----BEGIN";
    if ca.contains(PEM) {
        config.root_cert = Some(certificates("K8S_CA", ca.as_bytes())?);
        return Ok(());
    }
    let packed: String = ca.split_ascii_whitespace().collect();
    let unpacked = BASE64_STANDARD.decode(packed).ok();
    // A short path could be base64 of something, but never of PEM.
    match unpacked.filter(|bytes| bytes.windows(PEM.len()).any(|w| w == PEM.as_bytes())) {
        Some(pem) => {
            config.root_cert = Some(certificates("K8S_CA", &pem)?);
            Ok(())
        }
        None if ca.len() > 4096 || ca.contains('\n') => Err(no_certificate("K8S_CA")),
        None => trust_file(config, "K8S_CA", Path::new(ca)),
    }
}

fn trust_file(config: &mut Config, what: &'static str, path: &Path) -> Result<(), ConnectionError> {
    let pem = fs::read(path).map_err(|reason| ConnectionError::File {
        what: what.to_owned(),
        path: path.to_owned(),
        reason,
    })?;
    config.root_cert = Some(certificates(what, &pem)?);
    // kube reads it again every minute.
    config.root_cert_file = Some(path.to_owned());
    Ok(())
}

fn certificates(what: &'static str, pem: &[u8]) -> Result<Vec<Vec<u8>>, ConnectionError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => {
            Ok(certificates.into_iter().map(|c| c.to_vec()).collect())
        }
        _ => Err(no_certificate(what)),
    }
}

fn no_certificate(variable: &'static str) -> ConnectionError {
    ConnectionError::Variable {
        variable,
        expected: "certificates as PEM text, as base64 of PEM, or the path of a PEM file",
        found: "no certificate".to_owned(),
    }
}

fn open_token(what: &str, path: PathBuf) -> Result<TokenFile, ConnectionError> {
    TokenFile::open(path.clone()).map_err(|error| match error {
        TokenError::File(reason) => ConnectionError::File {
            what: what.to_owned(),
            path,
            reason,
        },
        reason => ConnectionError::Token {
            place: format!("{what} {}", path.display()),
            reason,
        },
    })
}

/// kube panics when it makes a header of a token with a line feed: it is trimmed, and what no header can hold refused.
fn check_tokens(auth: &mut AuthInfo) -> Result<(), TokenError> {
    if let Some(token) = &auth.token {
        let sound: SecretString = token::check(token.expose_secret())?.to_owned().into();
        auth.token = Some(sound);
    }
    Ok(())
}

/// What can be said of a kubeconfig: the words of a YAML error quote the lines around it, tokens and all.
fn said(error: &KubeconfigError) -> KubeconfigFault {
    match error {
        KubeconfigError::Parse(error) => {
            let place = error.location();
            let (line, column) = place.map_or((0, 0), |place| (place.line(), place.column()));
            KubeconfigFault::Yaml { line, column }
        }
        other => KubeconfigFault::Other(other.to_string()),
    }
}

/// A path as a person writes it.
fn show(path: &Path, home: Option<&str>) -> String {
    match home
        .filter(|home| !home.is_empty())
        .map(|home| path.strip_prefix(home))
    {
        Some(Ok(rest)) => format!("~/{}", rest.display()),
        _ => path.display().to_string(),
    }
}

#[cfg(test)]
mod tests;
