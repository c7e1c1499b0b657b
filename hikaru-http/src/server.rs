//! The server's life: bound, serving, draining, over. Here are the accept loop and what waits for its end; one connection
//! is in `connection`, one request in `api`.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use hikaru_core::{Clock, ClusterPort, TagFormats, Text};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::sleep,
};

use crate::{
    Authentication, Limits, Metrics, api::Origin, connection, places::Places,
    request_line::RequestIds,
};

/// How long the accept loop sleeps when there are no file descriptors left: trying again at once would only burn time.
const NO_DESCRIPTORS: Duration = Duration::from_millis(100);

/// How long it sleeps when a connection was closed to free a file descriptor. The descriptor is free once the connection's
/// task has been dropped; without the sleep the next failure to accept would close another connection for the same client.
const CLOSING: Duration = Duration::from_millis(10);

/// When nothing was to be accepted for so long, nobody who connected before the drain is left: the kernel knows of
/// connections that the runtime has not been told of yet.
const SETTLED: Duration = Duration::from_millis(10);

/// How far a server's life is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Serving,
    Draining,
    Aborted,
}

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) cluster: Arc<dyn ClusterPort>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) authentication: Authentication,
    pub(crate) formats: TagFormats,
    /// The kinds of workloads beside Kubernetes' own.
    pub(crate) kinds: Vec<Text>,
    pub(crate) limits: Limits,
    pub(crate) metrics: Option<Arc<dyn Metrics>>,
    pub(crate) ids: RequestIds,
    /// The turns to upgrade.
    pub(crate) upgrades: Arc<Semaphore>,
    /// The turns to send and create a Job.
    pub(crate) jobs: Arc<Semaphore>,
    /// The turns to read the cluster.
    pub(crate) reads: Semaphore,
    /// The places for answers with logs.
    pub(crate) job_logs: Arc<Semaphore>,
    under_way: AtomicUsize,
    /// Each task holds a receiver, so the last one that ends is seen.
    stage: watch::Sender<Stage>,
    /// The same for the listener of probes: it answers until all else is over.
    probes: watch::Sender<Stage>,
}

impl Shared {
    pub(crate) fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// For a task: the server is not over before it is dropped.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Stage> {
        self.stage.subscribe()
    }

    /// Ends when the server is aborted. Until then, and until it is dropped, the server is not over.
    pub(crate) fn aborted(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stage = self.subscribe();
        async move {
            // It cannot fail before: the sender is shared with whoever holds the server.
            let _ = stage.wait_for(|stage| *stage == Stage::Aborted).await;
        }
    }

    /// An upgrade, or the creation of a Job, runs until the value is dropped.
    pub(crate) fn running(self: &Arc<Self>) -> Running {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        Running(self.clone())
    }

    fn drain(&self) {
        advance(&self.stage, Stage::Draining);
    }

    fn abort(&self) {
        advance(&self.stage, Stage::Aborted);
        advance(&self.probes, Stage::Aborted);
    }
}

fn advance(stage: &watch::Sender<Stage>, to: Stage) {
    stage.send_if_modified(|stage| {
        let later = *stage < to;
        *stage = to.max(*stage);
        later
    });
}

/// An upgrade or the creation of a Job runs.
pub(crate) struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why a server cannot be had on a listener.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Without a token hikaru listens on this machine only.
    #[error("{0} is no loopback address: without a token hikaru listens on this machine only")]
    NotLoopback(SocketAddr),
    /// The listener's address cannot be found out.
    #[error("the listener has no address: {0}")]
    Address(#[from] std::io::Error),
}

/// A server that has its listener and answers nothing yet.
///
/// Its life is in its types: [`Bound::serve`] gives a [`Serving`], [`Serving::drain`] a [`Draining`], which is waited for
/// or aborted.
#[must_use = "nothing is answered until `serve` is called"]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    probes: Option<TcpListener>,
    cluster: Arc<dyn ClusterPort>,
    clock: Arc<dyn Clock>,
    authentication: Authentication,
    formats: TagFormats,
    kinds: Vec<Text>,
    limits: Limits,
    metrics: Option<Arc<dyn Metrics>>,
}

impl Bound {
    /// A server on a listener. The default tag formats and limits.
    ///
    /// # Errors
    /// [`BindError::NotLoopback`] if [`Authentication::Loopback`] meets another address.
    pub fn new(
        listener: TcpListener,
        cluster: Arc<dyn ClusterPort>,
        clock: Arc<dyn Clock>,
        authentication: Authentication,
    ) -> Result<Self, BindError> {
        let address = listener.local_addr()?;
        if matches!(authentication, Authentication::Loopback) && !address.ip().is_loopback() {
            return Err(BindError::NotLoopback(address));
        }
        Ok(Self {
            listener,
            address,
            probes: None,
            cluster,
            clock,
            authentication,
            formats: TagFormats::default(),
            kinds: Vec::new(),
            limits: Limits::default(),
            metrics: None,
        })
    }

    /// Sets the keeper of the figures. Without one `/metrics` is 404.
    pub fn metrics(mut self, metrics: Arc<dyn Metrics>) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// A listener for probes and metrics alone. It has its own connections, so that those of the API cannot exhaust it,
    /// and it answers until the server is over. Any address will do: who may read the metrics is the same everywhere.
    pub fn probes(mut self, listener: TcpListener) -> Self {
        self.probes = Some(listener);
        self
    }

    /// The formats that tags are read by.
    pub fn formats(mut self, formats: TagFormats) -> Self {
        self.formats = formats;
        self
    }

    /// The kinds of workloads that a caller can name beside Kubernetes' own.
    pub fn kinds(mut self, kinds: Vec<Text>) -> Self {
        self.kinds = kinds;
        self
    }

    /// How much it takes on.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins to answer, in tasks of the current tokio runtime.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn serve(self) -> Serving {
        let shared = Arc::new(Shared {
            cluster: self.cluster,
            clock: self.clock,
            authentication: self.authentication,
            formats: self.formats,
            kinds: self.kinds,
            limits: self.limits,
            metrics: self.metrics,
            ids: RequestIds::default(),
            upgrades: Arc::new(Semaphore::new(self.limits.upgrades.max(1))),
            jobs: Arc::new(Semaphore::new(self.limits.jobs.max(1))),
            reads: Semaphore::new(self.limits.reads.max(1)),
            job_logs: Arc::new(Semaphore::new(self.limits.job_logs.max(1))),
            under_way: AtomicUsize::new(0),
            stage: watch::Sender::new(Stage::Serving),
            probes: watch::Sender::new(Stage::Serving),
        });
        let stage = shared.subscribe();
        tokio::spawn(accept(shared.clone(), self.listener, stage));
        if let Some(listener) = self.probes {
            tokio::spawn(accept_probes(shared.clone(), listener));
        }
        Serving {
            address: self.address,
            life: Life(shared),
        }
    }
}

/// Aborts the server when it is dropped: nobody could end it any more.
struct Life(Arc<Shared>);

impl Drop for Life {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A server that answers. Dropped, it is aborted.
#[must_use = "dropped, the server is aborted"]
pub struct Serving {
    address: SocketAddr,
    life: Life,
}

impl Serving {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins the end: `/readyz` answers 503, nothing new is accepted ([`Limits::drain_delay`] later), idle connections
    /// are closed, and what has been begun is finished.
    pub fn drain(self) -> Draining {
        self.life.0.drain();
        Draining { life: self.life }
    }
}

/// A server that finishes what it has begun. Dropped, it is aborted.
#[must_use = "dropped, the server is aborted"]
pub struct Draining {
    life: Life,
}

impl Draining {
    /// Until the last answer has been sent and the last upgrade or creation of a Job that was begun is done, whether its
    /// caller is still there or not. Who waits for a Job to end is told at once that it goes on. Cancel-safe.
    pub async fn finished(&mut self) {
        self.life.0.stage.closed().await;
    }

    /// Drops what is still under way. Gives the number of upgrades and creations of Jobs that were not finished: each of
    /// their writes was applied whole or not at all. Repeating an upgrade is safe; before a Job is created again somebody
    /// should look whether it is there.
    pub fn abort(self) -> usize {
        self.life.0.under_way.load(Ordering::Relaxed)
    }
}

/// Accepts connections until the drain, and survives whatever accepting fails with.
async fn accept(shared: Arc<Shared>, listener: TcpListener, mut stage: watch::Receiver<Stage>) {
    let limits = &shared.limits;
    let most = limits.connections;
    let door = Door {
        places: Places::new(most, (most / 8).max(1), limits),
        shared: shared.clone(),
        probes: false,
    };
    // The server is not over as long as this task may still accept.
    let _alive = stage.clone();
    let mut over = std::pin::pin!({
        let shared = shared.clone();
        async move {
            // It cannot fail: the sender is shared with us.
            let _ = stage.wait_for(|stage| *stage >= Stage::Draining).await;
            let delay = shared.limits.drain_delay;
            if !delay.is_zero() {
                tokio::select! {
                    () = sleep(delay) => {}
                    _ = stage.wait_for(|stage| *stage == Stage::Aborted) => {}
                }
            }
        }
    });
    // Who has connected is served, although it was not accepted yet; but no more than that, or the drain has no end.
    let mut left = None;
    while left != Some(0) {
        let accepted = tokio::select! {
            biased;
            () = &mut over, if left.is_none() => {
                left = Some(most);
                continue;
            }
            accepted = listener.accept() => accepted,
            () = sleep(SETTLED), if left.is_some() => return,
        };
        left = left.map(|left| left - 1);
        door.admit(accepted).await;
    }
}

/// Accepts connections for probes and metrics until the server is over.
async fn accept_probes(shared: Arc<Shared>, listener: TcpListener) {
    let limits = &shared.limits;
    let door = Door {
        places: Places::new(limits.probe_connections, 0, limits),
        shared: shared.clone(),
        probes: true,
    };
    let mut stage = shared.probes.subscribe();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stage.wait_for(|stage| *stage == Stage::Aborted) => return,
            accepted = listener.accept() => accepted,
        };
        door.admit(accepted).await;
    }
}

/// What the connections of one listener have in common.
struct Door {
    shared: Arc<Shared>,
    places: Arc<Places>,
    /// Only probes and metrics are answered.
    probes: bool,
}

impl Door {
    /// Serves a connection in a task of its own, if there is a place for it.
    async fn admit(&self, accepted: io::Result<(TcpStream, SocketAddr)>) {
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            // The client was gone before it was accepted.
            Err(error) if is_of_one_connection(&error) => return,
            // There may be no file descriptors left, and whoever only waits holds some.
            Err(error) if self.places.make_room() => {
                tracing::debug!(%error, "cannot accept a connection: another one is closed");
                sleep(CLOSING).await;
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(NO_DESCRIPTORS).await;
                return;
            }
        };
        let Some((place, crowded)) = self.places.take() else {
            tracing::debug!(%peer, "too many connections: closed without a word");
            return;
        };
        let origin = Origin {
            peer,
            crowded,
            probes: self.probes,
        };
        let stage = match self.probes {
            true => self.shared.probes.subscribe(),
            false => self.shared.subscribe(),
        };
        let id = place.id();
        let serving = connection::serve(self.shared.clone(), stream, origin, place, stage);
        let task = tokio::spawn(serving).abort_handle();
        self.places.served_by(id, task);
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted
            | Kind::ConnectionReset
            | Kind::ConnectionRefused
            | Kind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use hikaru_core::MemoryCluster;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        time::Instant,
    };

    use super::*;

    #[tokio::test]
    async fn one_failure_to_accept_closes_one_connection_and_waits_for_its_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let own = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let cluster = Arc::new(MemoryCluster::default());
        let bound = Bound::new(
            own,
            cluster,
            Arc::new(hikaru_core::StillClock::default()),
            Authentication::Loopback,
        )
        .expect("loopback");
        let serving = bound.serve();
        let shared = serving.life.0.clone();
        let door = Door {
            places: Places::new(2, 1, &shared.limits),
            shared,
            probes: true,
        };
        let mut clients = Vec::new();
        for _ in 0..2 {
            clients.push(TcpStream::connect(address).await.expect("a connection"));
            door.admit(listener.accept().await).await;
        }
        let (mut first, mut second) = (clients.remove(0), clients.remove(0));
        let begun = Instant::now();
        let none_left = io::Error::from_raw_os_error(24);
        tokio::time::pause();
        door.admit(Err(none_left)).await;
        assert!(begun.elapsed() >= CLOSING);
        tokio::time::resume();
        assert_eq!(first.read(&mut [0; 1]).await.expect("the end"), 0);
        let request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
        second.write_all(request).await.expect("sent");
        let mut status = [0; 12];
        second.read_exact(&mut status).await.expect("an answer");
        assert_eq!(&status, b"HTTP/1.1 200");
    }
}
