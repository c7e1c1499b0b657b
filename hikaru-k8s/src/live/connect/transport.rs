//! Sends requests with the credentials of a connection, and keeps those current. Everything that stands in files (certificates,
//! keys, tokens) is read again every ten seconds, and at once when the server refuses our credentials; a plugin for credentials is
//! run again before they expire and when they are refused. If something has changed, all starts anew with it, the pool of sockets
//! too, and a request that was refused is sent once more. A part that cannot be read, or a certificate whose key does not fit yet,
//! stays as it was.
//!
//! How TLS trusts a server is kube's. Its other defaults (no time limit for reading, silent retries) are not used: limits and retries are in `client`.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper_rustls::{FixedServerNameResolver, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use kube::{Config, client::ConfigExt as _};
use rustls::sign::SingleCertAndKey;
use tokio::{sync::Mutex, time::timeout};
use tower::{BoxError, ServiceBuilder, ServiceExt as _, util::BoxCloneSyncService};

use super::{
    connection::{CONNECT, Connection},
    credentials::{Credentials, Material},
    error::ConnectionError,
    plugin::{Granted, Plugin},
    secrets::Secrets,
    tls,
};
use crate::live::error::{RequestError, chain};

/// How long what was read from files is used before they are read again, and how long a plugin is not run again. Kubernetes
/// rotates a mounted token at 80 % of its life, which is ten minutes at least.
const FRESH: Duration = Duration::from_secs(10);

/// How much is read from a connection at once, in bytes.
const READ: usize = 8 << 10;

/// How long before credentials expire a plugin is run again.
const EARLY: Duration = Duration::from_secs(60);

/// Who asks: what the API server writes into its audit log.
const NAME: &str = concat!("hikaru/", env!("CARGO_PKG_VERSION"));

/// What sends a request. docs/decisions.md says why it is not kube's `Client`.
type Client = BoxCloneSyncService<Request<Full<Bytes>>, Response<Incoming>, BoxError>;

/// Cheap to clone; all clones share the sockets.
#[derive(Clone)]
pub(in crate::live) struct Transport {
    inner: Arc<Inner>,
}

struct Inner {
    /// Address and TLS. The credentials come from `credentials` and `plugin`.
    config: Config,
    credentials: Credentials,
    plugin: Option<Plugin>,
    /// What requests were sent with.
    secrets: Secrets,
    /// Which CA we trust and which credentials we have, for messages.
    trust: String,
    credentials_name: String,
    current: RwLock<Current>,
    /// What the current client was made of. Held while another one is made.
    known: Mutex<Known>,
    /// How long the head of the first answer may take.
    first_answer: Duration,
    answered: AtomicBool,
}

#[derive(Clone)]
struct Current {
    client: Client,
    /// How many were made before it.
    generation: u64,
    /// When to look for other credentials, if they can change.
    due: Option<Instant>,
}

struct Known {
    files: Material,
    granted: Option<Granted>,
    /// When the plugin was run for the last time.
    run: Instant,
    /// Why the credentials could not be renewed, as it was last logged.
    complaint: Option<String>,
}

impl Known {
    /// Whether what the plugin gave expires soon.
    fn expires_soon(&self) -> bool {
        let left = self.granted.as_ref().and_then(Granted::left);
        left.is_some_and(|left| left <= EARLY)
    }
}

impl Transport {
    /// Reads certificates and runs a plugin for credentials, where the kubeconfig names one. Connects to nothing yet. A server
    /// that has never answered has `first_answer` for the head of its first answer, connecting included: what accepts
    /// connections and says nothing is seldom an API server.
    pub(in crate::live) async fn new(
        connection: &Connection,
        first_answer: Duration,
    ) -> Result<Self, ConnectionError> {
        let files = connection.credentials.read()?;
        let failed = |reason| ConnectionError::Client {
            connection: connection.to_string(),
            reason,
        };
        let granted = match &connection.plugin {
            Some(plugin) => Some(plugin.run().await.map_err(failed)?),
            None => None,
        };
        let secrets = Secrets::default();
        let client = make(&connection.config, &files, granted.as_ref(), &secrets);
        let client = client.await.map_err(failed)?;
        let inner = Inner {
            config: connection.config.clone(),
            credentials: connection.credentials.clone(),
            plugin: connection.plugin.clone(),
            secrets,
            trust: connection.trust.clone(),
            credentials_name: connection.credentials_name.clone(),
            current: RwLock::new(Current {
                client,
                generation: 0,
                due: None,
            }),
            known: Mutex::new(Known {
                files,
                granted,
                run: Instant::now(),
                complaint: None,
            }),
            first_answer,
            answered: AtomicBool::new(false),
        };
        inner.look_later(&*inner.known.lock().await);
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Sends a request and reads the head of the answer. If our credentials are refused, and there are others by now, it is
    /// sent once more: the server has not looked at it.
    pub(in crate::live) async fn send(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Incoming>, RequestError> {
        let inner = &self.inner;
        let can_change = inner.credentials.has_files() || inner.plugin.is_some();
        if inner.current().is_due() {
            inner.renew(None).await;
        }
        let again = can_change.then(|| request.clone());
        let (generation, answer) = inner.send_once(request).await;
        let refused = match &answer {
            Ok(answer) => answer.status() == StatusCode::UNAUTHORIZED,
            Err(error) => tls::fault(&**error).is_some_and(tls::is_of_certificates),
        };
        let answer = match again {
            Some(request) if refused => {
                inner.renew(Some(generation)).await;
                match inner.current().generation == generation {
                    true => answer,
                    false => inner.send_once(request).await.1,
                }
            }
            _ => answer,
        };
        answer.map_err(|error| self.failed(&error))
    }

    /// What requests were sent with.
    pub(in crate::live) fn secrets(&self) -> &Secrets {
        &self.inner.secrets
    }

    /// Which credentials the server does not take.
    pub(in crate::live) fn credentials(&self) -> String {
        let name = &self.inner.credentials_name;
        match self.inner.credentials.expired() {
            Some(time) => format!("{name}, which expired {time}"),
            None => name.clone(),
        }
    }

    fn failed(&self, error: &BoxError) -> RequestError {
        if let Some(Silence(time)) = error.downcast_ref() {
            return RequestError::Late(*time);
        }
        let fault = tls::fault(&**error);
        // Over TLS 1.3 the server can refuse our certificate after we began to send. It has not read the request, so this counts
        // as not sent.
        let words = fault.and_then(|f| tls::words(f, &self.inner.trust, &self.credentials()));
        if let Some(words) = words {
            return RequestError::NotSent(format!("no connection: {words}"));
        }
        let words = chain(&**error);
        let http = error.downcast_ref::<legacy::Error>();
        match http.is_some_and(legacy::Error::is_connect) {
            true => RequestError::NotSent(format!("no connection: {words}")),
            false => RequestError::Lost(words),
        }
    }
}

impl Current {
    fn is_due(&self) -> bool {
        self.due.is_some_and(|due| due <= Instant::now())
    }
}

impl Inner {
    fn current(&self) -> Current {
        let current = self.current.read();
        current.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut Current)) {
        let current = self.current.write();
        change(&mut current.unwrap_or_else(PoisonError::into_inner));
    }

    /// Sends a request, and says by the client of which generation.
    async fn send_once(
        &self,
        request: Request<Bytes>,
    ) -> (u64, Result<Response<Incoming>, BoxError>) {
        let Current {
            client, generation, ..
        } = self.current();
        let sending = client.oneshot(request.map(Full::new));
        let answer = if self.answered.load(Ordering::Relaxed) {
            sending.await
        } else {
            timeout(self.first_answer, sending)
                .await
                .unwrap_or_else(|_| Err(Silence(self.first_answer).into()))
        };
        if answer.is_ok() {
            self.answered.store(true, Ordering::Relaxed);
        }
        (generation, answer)
    }

    /// Looks for other credentials, because it is time to, or because those of this generation were refused. It runs in a task
    /// of its own: a request whose time is over does not stop a plugin.
    async fn renew(self: &Arc<Self>, refused: Option<u64>) {
        let inner = self.clone();
        let renewing = tokio::spawn(async move {
            let mut known = inner.known.lock().await;
            let current = inner.current();
            let is_done = match refused {
                Some(generation) => current.generation != generation,
                None => !current.is_due(),
            };
            if !is_done {
                inner.look(&mut known, refused.is_some()).await;
                inner.look_later(&known);
            }
        });
        // The task panics only if the code that it calls panics.
        let _ = renewing.await;
    }

    /// Reads the files again, and runs the plugin again, as kubectl does when its credentials expire or are refused. If something
    /// has changed, all starts anew.
    async fn look(&self, known: &mut Known, refused: bool) {
        let (files, fault) = self.credentials.read_again(&known.files);
        let mut complaint = fault.map(|error| error.to_string());
        let mut granted = None;
        if let Some(plugin) = &self.plugin
            && (refused || known.expires_soon())
            && known.run.elapsed() >= FRESH
        {
            match plugin.run().await {
                Ok(given) => granted = Some(given),
                Err(reason) => complaint = Some(reason),
            }
            known.run = Instant::now();
        }
        if granted.is_some() || files != known.files {
            let granted = granted.or(known.granted.clone());
            match make(&self.config, &files, granted.as_ref(), &self.secrets).await {
                Ok(client) => {
                    tracing::info!("other credentials are used from now on");
                    self.change(|current| {
                        current.client = client;
                        current.generation += 1;
                    });
                    (known.files, known.granted) = (files, granted);
                }
                Err(reason) => complaint = Some(reason),
            }
        }
        if let Some(reason) = &complaint
            && known.complaint.as_ref() != Some(reason)
        {
            tracing::warn!(
                reason,
                "credentials cannot be renewed: the old ones are used on"
            );
        }
        known.complaint = complaint;
    }

    /// Sets the time of the next look.
    fn look_later(&self, known: &Known) {
        let files = self.credentials.has_files().then_some(FRESH);
        let left = known.granted.as_ref().and_then(Granted::left);
        let plugin = left.map(|left| left.saturating_sub(EARLY).max(FRESH));
        let after = files.into_iter().chain(plugin).min();
        self.change(|current| current.due = after.map(|after| Instant::now() + after));
    }
}

/// The server has said nothing at all in this time.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {} s", .0.as_secs_f32())]
struct Silence(Duration);

/// Makes a client that sends requests with what stands in files and what a plugin gave.
async fn make(
    config: &Config,
    files: &Material,
    granted: Option<&Granted>,
    secrets: &Secrets,
) -> Result<Client, String> {
    let mut material = files.clone();
    if let Some(granted) = granted {
        material = material.with(granted).map_err(|error| error.to_string())?;
    }
    let (config, secrets) = (config.clone(), secrets.clone());
    // It blocks: where the connection names no CA, it reads all those that the machine trusts.
    let made = tokio::task::spawn_blocking(move || stack(config, material, secrets)).await;
    let made = made.map_err(|error| error.to_string())?;
    made.map_err(|error| chain(&*error))
}

fn stack(mut config: Config, material: Material, secrets: Secrets) -> Result<Client, BoxError> {
    if let Some(ca) = material.ca {
        config.root_cert = Some(ca.iter().map(|certificate| certificate.to_vec()).collect());
    }
    let mut tls = config.rustls_client_config()?;
    if let Some(identity) = material.identity {
        let identity = SingleCertAndKey::from((*identity).clone());
        tls.client_auth_cert_resolver = Arc::new(identity);
    }
    let mut connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http();
    if let Some(name) = &config.tls_server_name {
        let name = FixedServerNameResolver::new(name.clone().try_into()?);
        connector = connector.with_server_name_resolver(name);
    }
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT));
    let http = legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        // Load balancers drop silent connections after a minute or more.
        .pool_idle_timeout(Duration::from_secs(45))
        // Else a connection that has read a long list keeps a buffer of up to 400 KiB, and each watch has a connection.
        .http1_read_buf_exact_size(READ)
        .build(connector.enable_http1().wrap_connector(tcp));
    if let Some(header) = &material.authorization {
        secrets.remember(header);
    }
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .layer(config.extra_headers_layer()?)
        .map_request(move |mut request: Request<Full<Bytes>>| {
            let headers = request.headers_mut();
            headers.insert(header::USER_AGENT, HeaderValue::from_static(NAME));
            if let Some(authorization) = &material.authorization {
                headers.insert(header::AUTHORIZATION, authorization.clone());
            }
            request
        })
        .map_response(move |mut answer: Response<Incoming>| {
            secrets.out_of_headers(answer.headers_mut());
            answer
        })
        .map_err(BoxError::from)
        .service(http);
    Ok(Client::new(service))
}
