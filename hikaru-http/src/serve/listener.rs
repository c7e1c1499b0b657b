//! Accepting connections: until the drain on the listener of the API, until the end on that of the probes. One connection is in
//! `connection`, which one is closed for another in `places`.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::sleep,
};

use super::{connection, places::Places};
use crate::{
    api::{Api, Origin},
    life::{Stage, reached},
};

/// How long the accept loop sleeps when there are no file descriptors left: trying again at once would only burn time.
const NO_DESCRIPTORS: Duration = Duration::from_millis(100);

/// How long it sleeps when a connection was closed to free a file descriptor. The descriptor is free once the connection's
/// task has been dropped; without the sleep the next failure to accept would close another connection for the same client.
const CLOSING: Duration = Duration::from_millis(10);

/// After the drain has begun, accepting ends when no connection has come for this long. The kernel may still hand over clients that
/// connected before.
const SETTLED: Duration = Duration::from_millis(10);

/// Accepts connections until the drain, and survives whatever accepting fails with.
pub(super) async fn accept(
    api: Arc<Api>,
    listener: TcpListener,
    mut stage: watch::Receiver<Stage>,
) {
    let limits = api.limits();
    let most = limits.connections;
    let door = Door {
        places: Places::new(most, (most / 8).max(1), limits),
        api: api.clone(),
        probes: false,
    };
    // The server is not over as long as this task may still accept.
    let _alive = stage.clone();
    let mut over = std::pin::pin!({
        let delay = limits.drain_delay;
        async move {
            reached(&mut stage, Stage::Draining).await;
            if !delay.is_zero() {
                tokio::select! {
                    () = sleep(delay) => {}
                    () = reached(&mut stage, Stage::Aborted) => {}
                }
            }
        }
    });
    // Clients that have connected are served, although they were not accepted yet; but at most `most` of them, so that the drain
    // ends.
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
pub(super) async fn accept_probes(api: Arc<Api>, listener: TcpListener) {
    let limits = api.limits();
    let door = Door {
        places: Places::new(limits.probe_connections, 0, limits),
        api: api.clone(),
        probes: true,
    };
    let mut stage = api.life.subscribe_probes();
    loop {
        let accepted = tokio::select! {
            biased;
            () = reached(&mut stage, Stage::Aborted) => return,
            accepted = listener.accept() => accepted,
        };
        door.admit(accepted).await;
    }
}

/// What the connections of one listener have in common.
struct Door {
    api: Arc<Api>,
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
            // There may be no file descriptors left, and connections that wait for their clients hold some.
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
            tracing::debug!(%peer, "too many connections: closed without an answer");
            return;
        };
        let origin = Origin {
            peer,
            crowded,
            probes: self.probes,
        };
        let stage = match self.probes {
            true => self.api.life.subscribe_probes(),
            false => self.api.life.subscribe(),
        };
        let id = place.id();
        let serving = connection::serve(self.api.clone(), stream, origin, place, stage);
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
    use hikaru_core::testing::{MemoryCluster, StillClock};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        time::Instant,
    };

    use super::*;
    use crate::Authentication;

    #[tokio::test]
    async fn one_failure_to_accept_closes_one_connection_and_waits_for_its_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let api = Arc::new(Api::new(
            Arc::new(MemoryCluster::default()),
            Arc::new(StillClock::default()),
            Arc::new(Authentication::Loopback),
        ));
        let door = Door {
            places: Places::new(2, 1, api.limits()),
            api,
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
