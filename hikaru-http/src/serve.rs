//! Serving: listeners, connections and their limits, and the server's life from its listener to its end. What a request is
//! answered is in `api`.

mod connection;
mod listener;
mod places;
mod socket;

use std::{net::SocketAddr, sync::Arc};

use hikaru_core::{
    TagFormats, Text,
    jobs::Jobs,
    port::{Clock, Observer, WorkloadPort},
    rollout::Rollouts,
};
use tokio::net::TcpListener;

use crate::{Limits, Metrics, api::Api, auth::Authenticator, life::Life};

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
    api: Api,
}

impl Bound {
    /// A server on a listener, with the default tag formats and limits, without Jobs, rollouts and metrics.
    ///
    /// # Errors
    /// [`BindError::NotLoopback`] if [`Authenticator::needs_loopback`] and the listener has another address.
    pub fn new(
        listener: TcpListener,
        cluster: Arc<dyn WorkloadPort>,
        clock: Arc<dyn Clock>,
        authenticator: impl Authenticator + 'static,
    ) -> Result<Self, BindError> {
        let address = listener.local_addr()?;
        if authenticator.needs_loopback() && !address.ip().is_loopback() {
            return Err(BindError::NotLoopback(address));
        }
        Ok(Self {
            listener,
            address,
            probes: None,
            api: Api::new(cluster, clock, Arc::new(authenticator)),
        })
    }

    /// The use cases on Jobs. Without them each call about Jobs is answered with 501.
    pub fn jobs(mut self, jobs: Jobs) -> Self {
        self.api.ports.set_jobs(jobs);
        self
    }

    /// The use cases on rollouts. Without them each call about rollouts is answered with 501.
    pub fn rollouts(mut self, rollouts: Rollouts) -> Self {
        self.api.ports.set_rollouts(rollouts);
        self
    }

    /// Sets the keeper of the figures. Without one `/metrics` is 404.
    pub fn metrics(mut self, metrics: Arc<dyn Metrics>) -> Self {
        self.api.metrics = Some(metrics);
        self
    }

    /// Adds an observer, which is told of changes, Jobs and refusals. The lines of the log for changes need none.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.api.observers.push(observer);
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
        self.api.formats = formats;
        self
    }

    /// The kinds of workloads that a caller can name beside Kubernetes' own.
    pub fn kinds(mut self, kinds: Vec<Text>) -> Self {
        self.api.kinds = kinds;
        self
    }

    /// How much it takes on.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.api.set_limits(limits);
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
        let api = Arc::new(self.api);
        let life = api.life.clone();
        let stage = life.subscribe();
        tokio::spawn(listener::accept(api.clone(), self.listener, stage));
        if let Some(listener) = self.probes {
            tokio::spawn(listener::accept_probes(api, listener));
        }
        Serving {
            address: self.address,
            life: Owned(life),
        }
    }
}

/// The life of a server, held by the value that can end it: dropped, the server is aborted.
struct Owned(Arc<Life>);

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A server that answers. Dropped, it is aborted.
#[must_use = "dropped, the server is aborted"]
pub struct Serving {
    address: SocketAddr,
    life: Owned,
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
    life: Owned,
}

impl Draining {
    /// Until the last answer has been sent and the last upgrade, removal of marks or creation of a Job that was begun is done,
    /// whether its caller is still there or not. A caller that waits for a Job to end is told at once that it goes on.
    /// Cancel-safe.
    pub async fn finished(&mut self) {
        self.life.0.over().await;
    }

    /// Drops what is still under way. Gives the number of upgrades, removals of marks and creations of Jobs that were not
    /// finished: each of their writes was applied whole or not at all. Repeating an upgrade is safe; before a Job is created
    /// again a person should look whether it is there.
    pub fn abort(self) -> usize {
        self.life.0.under_way()
    }
}
