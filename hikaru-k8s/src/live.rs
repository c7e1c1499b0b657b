//! A live cluster as a cluster: the port's methods on an API server. How it is reached is in `connect`, requests and what their
//! failures mean in `client`, what is read in `read`, what is written in `write`, Jobs in `jobs`, and the view of a server that
//! runs on and on in `view`; what a rollout is judged by in `rollouts`, whose token one is in `token_reviews`. Which kinds there are is
//! in `kind`; which build may replace which is decided in `hikaru-core`.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::future::join_all;
use hikaru_core::{
    Mode, Text, Workload, WorkloadId,
    policy::Change,
    port::{
        Clock, ClusterError, Fault, Found, Freshness, Scope, Select, Severity, WorkloadPort,
        Written,
    },
    workload::{IdentityKeys, WorkloadName},
};
use http::Request;

use crate::{
    clock::SystemClock,
    job::Definitions,
    kind::{AddedKind, Kind, Kinds},
};

mod client;
mod clock;
mod connect;
mod error;
mod jobs;
mod read;
mod rollouts;
mod token_reviews;
mod view;
mod write;

use client::{ApiClient, Expected, refusal};
pub use connect::{
    connection::{Connection, ConnectionOptions, Variable},
    error::ConnectionError,
};
use read::{
    discovery,
    object::{self, Seen},
    pages::Limit,
    selector,
};
pub use rollouts::pool::RolloutVitals;
pub use view::watch::{Vitals, WatchSettings, WatchedCluster};

/// How many objects of a kind are read to find what nearly matches.
const NEAR: Limit = Limit::AtMost(2_000);

/// Settings of a live cluster.
#[derive(Clone)]
#[non_exhaustive]
pub struct LiveSettings {
    /// The labels that say what a workload is built from.
    pub keys: IdentityKeys,
    /// The time of day that upgrades are dated with.
    pub clock: Arc<dyn Clock>,
    /// How many requests about one object may be in flight; of pages of lists a quarter of them, of logs an eighth.
    pub in_flight: usize,
    /// How long reading or writing one object may take.
    pub deadline: Duration,
    /// Kinds of workloads besides those of Kubernetes.
    pub kinds: Vec<AddedKind>,
    /// Only these namespaces are read, so rights in them are enough. Empty: all namespaces.
    pub namespaces: Vec<Text>,
    /// How long what somebody waited for is watched after the last wait, at least; twice as long at most.
    pub rollout_idle: Duration,
}

impl LiveSettings {
    /// Default settings; the clock is the machine's.
    pub fn new(keys: IdentityKeys) -> Self {
        Self {
            keys,
            clock: Arc::new(SystemClock::default()),
            in_flight: client::IN_FLIGHT,
            deadline: client::DEADLINE,
            kinds: Vec::new(),
            namespaces: Vec::new(),
            rollout_idle: rollouts::IDLE,
        }
    }
}

impl fmt::Debug for LiveSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveSettings")
            .field("keys", &self.keys)
            .field("in_flight", &self.in_flight)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// A live cluster, for single commands: each call asks the API server.
///
/// - Deployments, StatefulSets, DaemonSets and CronJobs are workloads.
/// - A build's workloads are found by one label selector a kind, in pages; never is the whole cluster read for them.
/// - A write is one JSON patch that tests all that the verdict read and changes images, high-water marks,
///   `hikaru.dev/last-upgrade` and `kubernetes.io/change-cause`, nothing else.
/// - A kind that the server lacks or forbids, and an object that cannot be read, are faults; the others go on.
/// - A workload, its ReplicaSets and its pods are read for each question about its rollout; they are watched while somebody waits
///   for it. Dropping the last clone ends that.
///
/// Cheap to clone.
#[derive(Clone)]
pub struct LiveCluster {
    inner: Arc<Inner>,
}

struct Inner {
    api: ApiClient,
    rollouts: rollouts::Pools,
    shown: String,
    settings: LiveSettings,
    kinds: Kinds,
    /// Where Jobs run that name no namespace.
    namespace: String,
    definitions: Definitions,
}

impl fmt::Debug for LiveCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LiveCluster({})", self.inner.shown)
    }
}

impl LiveCluster {
    /// Makes a client: certificates are read, and a plugin for credentials is run where the kubeconfig names one. The
    /// API server is not asked yet.
    ///
    /// # Errors
    /// [`ConnectionError::Client`].
    pub async fn new(
        connection: &Connection,
        settings: LiveSettings,
    ) -> Result<Self, ConnectionError> {
        let api = ApiClient::new(connection, settings.in_flight, settings.deadline).await?;
        Ok(Self {
            inner: Arc::new(Inner {
                rollouts: rollouts::Pools::new(&api, settings.rollout_idle),
                api,
                shown: connection.to_string(),
                namespace: connection.namespace().to_owned(),
                definitions: Definitions::new(),
                kinds: Kinds::with(&settings.kinds),
                settings,
            }),
        })
    }

    fn keys(&self) -> &IdentityKeys {
        &self.inner.settings.keys
    }

    /// The path of an object.
    async fn path(&self, kind: &Kind, id: &WorkloadId) -> Result<String, ClusterError> {
        check_names(kind, id)?;
        let collection = discovery::collection(&self.inner.api, kind, Some(&id.namespace));
        // Nothing is written by asking for a kind.
        let collection = collection
            .await
            .map_err(|error| refusal::of_read(error, id))?;
        Ok(format!("{collection}/{}", id.name))
    }

    /// The text of one object as it is now.
    async fn get_text(&self, kind: &Kind, id: &WorkloadId) -> Result<String, ClusterError> {
        let path = self.path(kind, id).await?;
        let request = Request::get(path).body(Vec::new());
        let request = request.map_err(|error| ClusterError::Invalid(error.to_string()))?;
        let api = &self.inner.api;
        let answer = api.send(request, Expected::Object).await;
        let body = answer.map_err(|error| refusal::of_read(error, id))?.body;
        object::text_of(kind, body).map_err(refusal::unreadable)
    }

    /// Reads an object that was asked for by this id.
    fn read_object(&self, kind: &Kind, id: &WorkloadId, text: &str) -> Result<Seen, ClusterError> {
        let seen = object::read(kind, self.keys(), text);
        seen.map_err(|odd| ClusterError::Invalid(format!("{id}: {}", odd.message)))
    }

    /// One object as it is now.
    async fn get(&self, kind: &Kind, id: &WorkloadId) -> Result<Seen, ClusterError> {
        let text = self.get_text(kind, id).await?;
        self.read_object(kind, id, &text)
    }

    /// Reads workloads by name. One that cannot be read hides no other; if none can be read, that is the error.
    async fn find_named(&self, ids: &[WorkloadId]) -> Result<Found, ClusterError> {
        let read = join_all(ids.iter().map(|id| self.read(id))).await;
        let all_failed = read.iter().all(Result::is_err);
        let mut found = Found::default();
        for (id, read) in ids.iter().zip(read) {
            match read {
                Ok(workload) => found.workloads.extend(workload.map(Arc::new)),
                Err(error) if all_failed => return Err(error),
                Err(error) => {
                    let place = id.to_string();
                    found
                        .faults
                        .push(Fault::of_error(Severity::Failure, place, &error));
                }
            }
        }
        Ok(found)
    }
}

#[async_trait]
impl WorkloadPort for LiveCluster {
    fn freshness(&self) -> Freshness {
        Freshness::Fresh
    }

    async fn find(&self, scope: &Scope) -> Result<Found, ClusterError> {
        for namespace in &scope.namespaces {
            hikaru_core::workload::check_namespace(namespace)
                .map_err(|error| ClusterError::Invalid(error.to_string()))?;
        }
        let keys = self.keys();
        let mut found = match &scope.select {
            Select::Build(build) => match selector::of_build(build, keys) {
                Some(selector) => self.list(scope, &[Some(selector)], Limit::All).await?,
                None => Found::default(),
            },
            Select::Near(build) => {
                let selectors = selector::near_build(build, keys);
                let selectors: Vec<_> = selectors.into_iter().map(Some).collect();
                self.list(scope, &selectors, NEAR).await?
            }
            Select::Labeled(wanted) => {
                let selector = selector::of_labels(wanted, keys);
                self.list(scope, &[Some(selector)], Limit::All).await?
            }
            Select::Named(ids) => self.find_named(ids).await?,
            _ => self.list(scope, &[None], Limit::All).await?,
        };
        let admits = scope.filter();
        found.workloads.retain(|workload| admits(workload));
        Ok(found)
    }

    async fn read(&self, id: &WorkloadId) -> Result<Option<Workload>, ClusterError> {
        let Some(kind) = self
            .inner
            .kinds
            .named(&id.kind)
            .filter(|_| id.origin.is_none())
        else {
            return Ok(None);
        };
        match self.get(kind, id).await {
            Ok(seen) => Ok(Some(seen.workload)),
            Err(ClusterError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn write(&self, change: &Change, mode: Mode) -> Result<Written, ClusterError> {
        self.write_change(change, mode).await
    }

    async fn unhold(
        &self,
        workload: &WorkloadName,
        container: Option<Text>,
    ) -> Result<Vec<(Text, Text)>, ClusterError> {
        Ok(self.remove_marks(workload, container).await?.marks)
    }
}

/// Checks that the names of an object can stand in a path: nothing escapes them there, and `..` would lead elsewhere.
fn check_names(kind: &Kind, id: &WorkloadId) -> Result<(), ClusterError> {
    let whole = format!("{}/{}/{}", id.namespace, kind.name, id.name);
    let checked = hikaru_core::workload::check_namespace(&id.namespace);
    let checked = checked.and_then(|()| whole.parse::<WorkloadName>());
    checked
        .map(drop)
        .map_err(|error| ClusterError::Invalid(error.to_string()))
}
