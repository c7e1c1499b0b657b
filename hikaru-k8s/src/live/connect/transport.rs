//! Sends requests with the credentials of a connection, and keeps those current: tokens, certificates and CAs in files are
//! looked at again every ten seconds and when the server takes ours no more, and then everything starts anew with them, the
//! pool of sockets too. What cannot be read, or does not fit together yet, changes nothing. A plugin for credentials is run
//! again when they expire or are refused.
//!
//! TLS and sending credentials are kube's; its defaults are not: see `client`.

use std::{
    error::Error,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use http::{HeaderValue, Request, Response, StatusCode, header};
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
    error::ConnectionError,
    plugin::Plugin,
    secrets::Secrets,
    tls::{Fault, Material, Tls},
    token::{FRESH, TokenFile},
};
use crate::live::error::{RequestError, chain};

/// How long a server that has never answered may take for the head of its first answer, connecting included. What
/// accepts connections and says nothing is seldom an API server.
const FIRST_ANSWER: Duration = Duration::from_secs(7);

/// How long before credentials expire a plugin is run again.
const EARLY: SignedDuration = SignedDuration::from_secs(60);

/// How long kube may take to make a client: some old providers of credentials run a command.
const PROVIDER: Duration = Duration::from_secs(30);

/// What sends a request. Not kube's `Client`, which hands each one over to a task of its own: a POST would wait for two more
/// turns of the scheduler until its first patch is on the way.
type Client = BoxCloneSyncService<Request<Body>, Response<Incoming>, BoxError>;

/// Cheap to clone; all clones share the sockets.
#[derive(Clone)]
pub(in crate::live) struct Transport {
    inner: Arc<Inner>,
}

struct Inner {
    /// Without what `tls` holds.
    config: Config,
    tls: Tls,
    token: Option<TokenFile>,
    plugin: Option<Plugin>,
    /// What requests were sent with.
    secrets: Secrets,
    trust: String,
    credentials: String,
    current: RwLock<Current>,
    /// When the files of `tls` were last looked at.
    looked: Mutex<Instant>,
    /// What the current client was made of; held while another one is made.
    made: tokio::sync::Mutex<Made>,
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
    /// Why the files could not be used, as it was last told.
    complaint: Option<String>,
}

/// What one request was sent with.
struct Sent {
    generation: u64,
    token: Option<HeaderValue>,
}

impl Transport {
    /// Reads certificates and runs a plugin for credentials, where the kubeconfig names one. Connects to nothing yet.
    pub(in crate::live) async fn new(connection: &Connection) -> Result<Self, ConnectionError> {
        let of = connection.tls.read()?;
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
                tls: connection.tls.clone(),
                token: connection.token.clone(),
                plugin,
                secrets,
                trust: connection.trust.clone(),
                credentials: connection.credentials.clone(),
                current: RwLock::new(Current {
                    client,
                    generation: 0,
                    expires,
                }),
                looked: Mutex::new(now),
                made: tokio::sync::Mutex::new(Made {
                    of,
                    run: now,
                    complaint: None,
                }),
                answered: AtomicBool::new(false),
            }),
        })
    }

    /// Sends a request and reads the head of the answer. If our credentials are refused, and there are others by now, it is
    /// sent once more: nobody has looked at it.
    pub(in crate::live) async fn send(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Incoming>, RequestError> {
        let inner = &self.inner;
        if inner.tls.has_files() {
            inner.look(FRESH).await;
        }
        let Current {
            expires,
            generation,
            ..
        } = inner.current();
        if expires.is_some_and(|time| time <= Timestamp::now() + EARLY) {
            inner.run_plugin_again(generation).await;
        }
        let again = inner.can_change().then(|| request.clone());
        let (sent, answer) = inner.send_once(request).await;
        let refused = match &answer {
            Ok(answer) => answer.status() == StatusCode::UNAUTHORIZED,
            Err(error) => matches!(
                Fault::of(error),
                Some(Fault::Refused(_) | Fault::Stranger | Fault::Expired(_))
            ),
        };
        let answer = match again {
            Some(request) if refused && inner.changed_since(&sent).await => {
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
        let credentials = &self.inner.credentials;
        match self.inner.tls.expired() {
            Some(time) => format!("{credentials}, which expired {time}"),
            None => credentials.clone(),
        }
    }

    fn failed(&self, error: &kube::Error) -> RequestError {
        match Fault::of(error) {
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
    fn can_change(&self) -> bool {
        self.token.is_some() || self.tls.has_files() || self.plugin.is_some()
    }

    fn current(&self) -> Current {
        let current = self.current.read();
        current.unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn send_once(
        &self,
        mut request: Request<Bytes>,
    ) -> (Sent, Result<Response<Incoming>, kube::Error>) {
        let Current {
            client, generation, ..
        } = self.current();
        let token = self.token.as_ref().map(TokenFile::header);
        if let Some(token) = &token {
            let headers = request.headers_mut();
            headers.insert(header::AUTHORIZATION, token.clone());
        }
        let sending = send(client, request.map(Body::from));
        let answer = if self.answered.load(Ordering::Relaxed) {
            sending.await
        } else {
            let silence = || kube::Error::Service(Silence.into());
            timeout(FIRST_ANSWER, sending)
                .await
                .unwrap_or_else(|_| Err(silence()))
        };
        if answer.is_ok() {
            self.answered.store(true, Ordering::Relaxed);
        }
        (Sent { generation, token }, answer)
    }

    /// Looks for other credentials than those that were refused.
    async fn changed_since(self: &Arc<Self>, sent: &Sent) -> bool {
        let token = match (&self.token, &sent.token) {
            (Some(token), Some(sent)) => token.changed_since(sent),
            _ => false,
        };
        if self.tls.has_files() {
            self.look(Duration::ZERO).await;
        }
        if self.plugin.is_some() {
            self.run_plugin_again(sent.generation).await;
        }
        token || self.current().generation != sent.generation
    }

    /// Looks at the files if that was done longer ago than this, and takes them up if they are others.
    async fn look(&self, age: Duration) {
        let fresh = || {
            let looked = self.looked.lock();
            looked.unwrap_or_else(PoisonError::into_inner).elapsed() < age
        };
        if fresh() {
            return;
        }
        let mut made = self.made.lock().await;
        if fresh() {
            return;
        }
        let taken = match self.tls.read() {
            Ok(of) if of == made.of => Ok(None),
            Ok(of) => {
                let other = make(&self.config, &of, self.plugin.as_ref(), &self.secrets).await;
                other.map(|other| Some((other, of)))
            }
            Err(error) => Err(error.to_string()),
        };
        match taken {
            Ok(None) => made.complaint = None,
            Ok(Some((other, of))) => {
                tracing::info!("TLS goes on with the certificates that are in the files now");
                self.install(other);
                made.of = of;
                made.complaint = None;
            }
            Err(reason) => {
                if made.complaint.as_ref() != Some(&reason) {
                    tracing::warn!(
                        reason,
                        "certificates in files cannot be used: TLS goes on with the old ones"
                    );
                }
                made.complaint = Some(reason);
            }
        }
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        *looked = Instant::now();
    }

    /// As kubectl does when a plugin's credentials expire, or the server takes them no more; not more often than files are
    /// read. In a task of its own: a request that has no time to wait for it does not stop it.
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

/// The server has said nothing at all.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {} s", FIRST_ANSWER.as_secs_f32())]
struct Silence;

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
        if error.is::<Silence>() {
            return RequestError::Late(FIRST_ANSWER);
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
