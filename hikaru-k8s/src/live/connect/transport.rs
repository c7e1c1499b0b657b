//! Sends requests with the credentials of a connection, and keeps those current. Everything that stands in files (certificates,
//! keys, tokens) is read again every ten seconds, and at once when the server refuses our credentials; a plugin for credentials is
//! run again before they expire and when they are refused. If something has changed, all starts anew with it, the pool of sockets
//! too, and a request that was refused is sent once more. A part that cannot be read, or a certificate whose key does not fit yet,
//! stays as it was.
//!
//! TLS and the header with credentials are kube's. Its other defaults (no time limit for reading, silent retries) are not used:
//! limits and retries are in `client`.

use std::{
    error::Error,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use http::{Request, Response, StatusCode, header};
use hyper::body::{Bytes, Incoming};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use jiff::{SignedDuration, Timestamp};
use kube::{
    Config,
    client::{AuthError, Body, ConfigExt as _},
};
use tokio::time::timeout;
use tower::{BoxError, ServiceBuilder, ServiceExt as _, service_fn, util::BoxCloneSyncService};

use super::{
    connection::{CONNECT, Connection},
    credentials::{Credentials, Material},
    error::ConnectionError,
    plugin::Plugin,
    secrets::Secrets,
    tls::HandshakeFault,
};
use crate::live::error::{RequestError, chain};

/// How long what was read from files is used before they are read again. Kubernetes rotates a mounted token at 80 % of its
/// life, which is ten minutes at least.
const FRESH: Duration = Duration::from_secs(10);

/// How long before credentials expire a plugin is run again.
const EARLY: SignedDuration = SignedDuration::from_secs(60);

/// How long kube may take to make a client: some old providers of credentials run a command.
const PROVIDER: Duration = Duration::from_secs(30);

/// What sends a request. docs/decisions.md says why it is not kube's `Client`.
type Client = BoxCloneSyncService<Request<Body>, Response<Incoming>, BoxError>;

/// Cheap to clone; all clones share the sockets.
#[derive(Clone)]
pub(in crate::live) struct Transport {
    inner: Arc<Inner>,
}

struct Inner {
    /// Without what `credentials` holds.
    config: Config,
    credentials: Credentials,
    plugin: Option<Plugin>,
    /// What requests were sent with.
    secrets: Secrets,
    /// Which CA we trust and which credentials we have, for messages.
    trust: String,
    credentials_name: String,
    current: RwLock<Current>,
    /// When the files of `credentials` were last read.
    read: Mutex<Instant>,
    /// What the current client was made of. Held while another one is made.
    made: tokio::sync::Mutex<Made>,
    /// How long the head of the first answer may take.
    first_answer: Duration,
    answered: AtomicBool,
}

#[derive(Clone)]
struct Current {
    client: Client,
    /// How many were made before it.
    generation: u64,
    /// When the credentials of its plugin expire, if that is known.
    expires: Option<Timestamp>,
}

struct Made {
    of: Material,
    /// When the plugin was run for the last time.
    run: Instant,
    /// Why the files could not be used, as it was last logged.
    complaint: Option<String>,
}

impl Transport {
    /// Reads certificates and runs a plugin for credentials, where the kubeconfig names one. Connects to nothing yet. A server
    /// that has never answered has `first_answer` for the head of its first answer, connecting included: what accepts
    /// connections and says nothing is seldom an API server.
    pub(in crate::live) async fn new(
        connection: &Connection,
        first_answer: Duration,
    ) -> Result<Self, ConnectionError> {
        let of = connection.credentials.read()?;
        let (plugin, secrets) = (connection.plugin.clone(), Secrets::default());
        let made = make(&connection.config, &of, plugin.as_ref(), &secrets).await;
        let (client, expires) = made.map_err(|reason| ConnectionError::Client {
            connection: connection.to_string(),
            reason,
        })?;
        let now = Instant::now();
        Ok(Self {
            inner: Arc::new(Inner {
                config: connection.config.clone(),
                credentials: connection.credentials.clone(),
                plugin,
                secrets,
                trust: connection.trust.clone(),
                credentials_name: connection.credentials_name.clone(),
                current: RwLock::new(Current {
                    client,
                    generation: 0,
                    expires,
                }),
                read: Mutex::new(now),
                made: tokio::sync::Mutex::new(Made {
                    of,
                    run: now,
                    complaint: None,
                }),
                first_answer,
                answered: AtomicBool::new(false),
            }),
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
        if inner.credentials.has_files() {
            inner.read_again(FRESH).await;
        }
        let Current {
            expires,
            generation,
            ..
        } = inner.current();
        if expires.is_some_and(|time| time <= Timestamp::now() + EARLY) {
            inner.run_plugin_again(generation).await;
        }
        let again = can_change.then(|| request.clone());
        let (generation, answer) = inner.send_once(request).await;
        let refused = match &answer {
            Ok(answer) => answer.status() == StatusCode::UNAUTHORIZED,
            Err(error) => matches!(
                HandshakeFault::of(error),
                Some(
                    HandshakeFault::Refused(_)
                        | HandshakeFault::UnknownIssuer
                        | HandshakeFault::Expired(_)
                )
            ),
        };
        let answer = match again {
            Some(request) if refused && inner.has_changed(generation).await => {
                inner.send_once(request).await.1
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

    fn failed(&self, error: &kube::Error) -> RequestError {
        match HandshakeFault::of(error) {
            // Over TLS 1.3 the server's refusal comes when the request is on its way, but it has read none.
            Some(fault) => RequestError::NotSent(format!(
                "no connection: {}",
                fault.words(&self.inner.trust, &self.credentials())
            )),
            None => sending_failed(error),
        }
    }
}

impl Inner {
    fn current(&self) -> Current {
        let current = self.current.read();
        current.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends a request, and says by the client of which generation.
    async fn send_once(
        &self,
        request: Request<Bytes>,
    ) -> (u64, Result<Response<Incoming>, kube::Error>) {
        let Current {
            client, generation, ..
        } = self.current();
        let sending = send(client, request.map(Body::from));
        let answer = if self.answered.load(Ordering::Relaxed) {
            sending.await
        } else {
            let silence = || kube::Error::Service(Silence(self.first_answer).into());
            timeout(self.first_answer, sending)
                .await
                .unwrap_or_else(|_| Err(silence()))
        };
        if answer.is_ok() {
            self.answered.store(true, Ordering::Relaxed);
        }
        (generation, answer)
    }

    /// Looks for other credentials than those of this generation, which were refused.
    async fn has_changed(self: &Arc<Self>, generation: u64) -> bool {
        if self.credentials.has_files() {
            self.read_again(Duration::ZERO).await;
        }
        if self.plugin.is_some() {
            self.run_plugin_again(generation).await;
        }
        self.current().generation != generation
    }

    /// Reads the files again if that was done longer ago than this, and starts anew if they have changed.
    async fn read_again(&self, age: Duration) {
        let is_fresh = || {
            let read = self.read.lock();
            read.unwrap_or_else(PoisonError::into_inner).elapsed() < age
        };
        if is_fresh() {
            return;
        }
        let mut made = self.made.lock().await;
        if is_fresh() {
            return;
        }
        let (of, fault) = self.credentials.read_again(&made.of);
        let mut complaint = fault.map(|error| error.to_string());
        if of != made.of {
            match make(&self.config, &of, self.plugin.as_ref(), &self.secrets).await {
                Ok(other) => {
                    tracing::info!("the credentials that are in the files now are used");
                    self.install(other);
                    made.of = of;
                }
                Err(reason) => complaint = Some(reason),
            }
        }
        if let Some(reason) = &complaint
            && made.complaint.as_ref() != Some(reason)
        {
            tracing::warn!(
                reason,
                "credentials in files cannot be used: the old ones are used on"
            );
        }
        made.complaint = complaint;
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Runs the plugin again, as kubectl does when its credentials expire or are refused, but not more often than files are
    /// read. It runs in a task of its own: a request whose time is over does not stop it.
    async fn run_plugin_again(self: &Arc<Self>, generation: u64) {
        let inner = self.clone();
        let run = tokio::spawn(async move {
            let mut made = inner.made.lock().await;
            if inner.current().generation != generation || made.run.elapsed() < FRESH {
                return;
            }
            made.run = Instant::now();
            let plugin = inner.plugin.as_ref();
            match make(&inner.config, &made.of, plugin, &inner.secrets).await {
                Ok(other) => inner.install(other),
                Err(reason) => tracing::warn!(reason, "no new credentials"),
            }
            made.run = Instant::now();
        });
        // The task panics only if the code that it calls panics.
        let _ = run.await;
    }

    fn install(&self, (client, expires): (Client, Option<Timestamp>)) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let generation = current.generation + 1;
        *current = Current {
            client,
            generation,
            expires,
        };
    }
}

/// The server has said nothing at all in this time.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {} s", .0.as_secs_f32())]
struct Silence(Duration);

/// Makes a client, with the credentials that a plugin gives now, if there is one, and when those expire.
async fn make(
    config: &Config,
    material: &Material,
    plugin: Option<&Plugin>,
    secrets: &Secrets,
) -> Result<(Client, Option<Timestamp>), String> {
    let mut config = config.clone();
    material.put_into(&mut config);
    let mut expires = None;
    if let Some(plugin) = plugin {
        let credential = plugin.run().await.map_err(|error| error.to_string())?;
        credential.put_into(&mut config.auth_info);
        expires = credential.expires();
    }
    let secrets = secrets.clone();
    // kube runs the command of an old provider of credentials where it stands.
    let made = tokio::task::spawn_blocking(move || stack(config, secrets));
    match timeout(PROVIDER, made).await {
        Ok(Ok(Ok(client))) => Ok((client, expires)),
        Ok(Ok(Err(error))) => Err(chain(&error)),
        Ok(Err(_)) => Err("making the client broke off".to_owned()),
        Err(_) => Err(format!(
            "the provider of credentials has not ended within {} s",
            PROVIDER.as_secs()
        )),
    }
}

fn stack(mut config: Config, secrets: Secrets) -> Result<Client, kube::Error> {
    config.default_retry = false;
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT));
    let tls = config.rustls_https_connector_with_connector(tcp)?;
    let http = legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        // Load balancers drop silent connections after a minute or more.
        .pool_idle_timeout(Duration::from_secs(45))
        .build::<_, Body>(tls);
    // Below what adds credentials.
    let http = service_fn(move |request: Request<Body>| {
        secrets.remember(request.headers());
        let (secrets, answer) = (secrets.clone(), http.request(request));
        async move {
            let mut answer = answer.await?;
            secrets.out_of_headers(answer.headers_mut());
            Ok::<_, legacy::Error>(answer)
        }
    });
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .layer(tower::util::MapRequestLayer::new(named))
        .map_err(BoxError::from)
        .service(http);
    Ok(Client::new(service))
}

async fn send(client: Client, request: Request<Body>) -> Result<Response<Incoming>, kube::Error> {
    client.oneshot(request).await.map_err(|error| {
        // Credentials that could not be had are an error of kube's already.
        let ours = error.downcast::<kube::Error>().map(|error| *error);
        ours.unwrap_or_else(kube::Error::Service)
    })
}

/// Who asks: what the API server writes into its audit log.
fn named(mut request: Request<Body>) -> Request<Body> {
    const NAME: &str = concat!("hikaru/", env!("CARGO_PKG_VERSION"));
    let name = header::HeaderValue::from_static(NAME);
    request.headers_mut().insert(header::USER_AGENT, name);
    request
}

fn sending_failed(error: &kube::Error) -> RequestError {
    let words = chain(error);
    let mut at: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = at {
        if let Some(Silence(time)) = error.downcast_ref() {
            return RequestError::Late(*time);
        }
        let http = error.downcast_ref::<legacy::Error>();
        if http.is_some_and(legacy::Error::is_connect) {
            return RequestError::NotSent(format!("no connection: {words}"));
        }
        if error.is::<AuthError>() {
            return RequestError::NotSent(format!("no credentials: {words}"));
        }
        at = error.source();
    }
    RequestError::Lost(words)
}
