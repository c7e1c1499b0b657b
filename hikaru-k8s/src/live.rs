//! A live cluster as a cluster: the port's methods on an API server. How it is reached is in `connect`, requests and what their
//! failures mean in `client`, what is read in `read`, what is written in `write`, Jobs in `jobs`, and the view of a server that
//! runs on and on in `view`. Which kinds there are is in `kind`; which build may replace which is decided in `hikaru-core`.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::future::join_all;
use hikaru_core::{
    Change, ClusterError, ClusterPort, Escaped, Fault, Found, Freshness, IdentityKeys, JobCreated,
    JobList, JobLog, JobName, JobPolicy, JobRequest, JobStatus, Mode, Scope, Select, Severity,
    Text, Workload, WorkloadId, WorkloadName, Written, mark_key, marked_name,
};
use http::{Request, header};

use crate::{
    job::Definitions,
    kind::{AddedKind, Kind, Kinds},
};

mod client;
mod clock;
mod connect;
mod error;
mod jobs;
mod read;
mod view;
mod write;

use client::{ApiClient, Expected, refusal};
pub use clock::TimeOfDay;
pub use connect::{
    connection::{Connection, ConnectionOptions, Variable},
    error::{ConnectionError, KubeconfigFault, TokenError},
};
use error::RequestError;
use read::{
    discovery,
    object::{self, Seen},
    pages::Limit,
    selector,
};
pub use view::watch::{Vitals, WatchSettings, WatchedCluster};
use write::patch;

/// Who writes, in `managedFields` and to server-side apply.
const FIELD_MANAGER: &str = "hikaru";

/// How often marks are read and removed again while somebody else keeps changing them.
const UNHOLD_ATTEMPTS: usize = 5;

/// How long to wait before each further request about marks whose removal got no answer.
const LOST_PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];

/// How a live cluster is worked with.
#[derive(Clone)]
#[non_exhaustive]
pub struct LiveSettings {
    /// The labels that say what a workload is built from.
    pub keys: IdentityKeys,
    /// The time that upgrades are dated with.
    pub clock: TimeOfDay,
    /// How many requests may be in flight.
    pub in_flight: usize,
    /// How long reading or writing one object may take.
    pub deadline: Duration,
    /// Kinds that are looked at besides those of Kubernetes.
    pub kinds: Vec<AddedKind>,
    /// Only these namespaces, which rights there are enough for; empty: all.
    pub namespaces: Vec<Text>,
    /// Who may run which Jobs; at first nobody.
    pub jobs: JobPolicy,
}

impl LiveSettings {
    /// The usual ones, with the clock of whoever composes the program.
    pub fn new(keys: IdentityKeys, clock: TimeOfDay) -> Self {
        Self {
            keys,
            clock,
            in_flight: client::IN_FLIGHT,
            deadline: client::DEADLINE,
            kinds: Vec::new(),
            namespaces: Vec::new(),
            jobs: JobPolicy::default(),
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
///
/// Cheap to clone.
#[derive(Clone)]
pub struct LiveCluster {
    inner: Arc<Inner>,
}

struct Inner {
    api: ApiClient,
    shown: String,
    settings: LiveSettings,
    kinds: Kinds,
    /// Where Jobs run that name no namespace.
    namespace: String,
    definitions: Definitions,
}

/// Marks that were removed: container and value.
struct Removed {
    marks: Vec<(Text, Text)>,
    /// The workload as it was read before.
    from: Workload,
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
        let collection = collection.await.map_err(refusal::of_read)?;
        Ok(format!("{collection}/{}", id.name))
    }

    /// One object as it is now.
    async fn get(&self, kind: &Kind, id: &WorkloadId) -> Result<Seen, ClusterError> {
        let path = self.path(kind, id).await?;
        let request = Request::get(path).body(Vec::new());
        let request = request.map_err(|error| ClusterError::Invalid(error.to_string()))?;
        let api = &self.inner.api;
        let answer = api.send(request, Expected::Object).await;
        let body = answer.map_err(refusal::of_read)?.body;
        let text = object::text_of(kind, &body);
        let text = text.map_err(|odd| refusal::of_read(RequestError::Unreadable(odd)))?;
        let seen = object::read(kind, self.keys(), text);
        seen.map_err(|odd| ClusterError::Invalid(format!("{id}: {}", odd.message)))
    }

    /// Sends a JSON patch, once. The answer is only the object's metadata, and read as far as to know that it is of this
    /// object: a proxy's friendly page says nothing of what was written.
    async fn patch(
        &self,
        kind: &Kind,
        of: &Workload,
        body: Vec<u8>,
        mode: Mode,
    ) -> Result<Written, ClusterError> {
        let request = patch_request(&self.path(kind, &of.id).await?, body, mode)?;
        let api = &self.inner.api;
        let answer = api.send(request, Expected::Object).await;
        let answer = answer.map_err(refusal::of_write)?;
        object::check_uid(&answer.body, &of.uid)
            .map_err(|odd| refusal::of_write(RequestError::Unreadable(odd)))?;
        Ok(Written::warned(answer.warnings))
    }

    /// Reads marks and removes them, again while somebody else keeps changing them. After a lost answer they are read
    /// before they are removed once more, a few times and with pauses: the server may be in trouble.
    async fn remove_marks(
        &self,
        workload: &WorkloadName,
        container: Option<Text>,
    ) -> Result<Removed, ClusterError> {
        let kind = self.inner.kinds.named(workload.kind()).ok_or_else(|| {
            let kinds = self.inner.kinds.names();
            let found = workload.kind();
            ClusterError::Invalid(format!("expected one of the kinds {kinds}, found {found}"))
        })?;
        let (namespace, name) = (workload.namespace().clone(), workload.name().clone());
        let id = WorkloadId::new(namespace, kind.name.clone(), name);
        // The marks whose removal got no answer, and that answer.
        let mut lost: Option<(Removed, ClusterError)> = None;
        let (mut stale, mut pauses) = (0, LOST_PAUSES.iter());
        loop {
            let seen = match (self.get(kind, &id).await, &lost) {
                (Ok(seen), _) => seen,
                (Err(error), None) => return Err(error),
                // What became of the removal is not known, whatever the reading failed of.
                (Err(error), Some((_, words))) => {
                    match pauses.next().filter(|_| error.is_retryable()) {
                        Some(pause) => tokio::time::sleep(*pause).await,
                        None => return Err(words.clone()),
                    }
                    continue;
                }
            };
            let marks = seen.marks.iter();
            let wanted = container.as_deref().map(mark_key);
            let marks = marks.filter(|(key, _)| wanted.as_ref().is_none_or(|name| *name == ***key));
            let labels: Vec<(Text, Text)> = marks.map(|(k, v)| (k.clone(), v.clone())).collect();
            let body = patch::of_unhold(&seen, &labels);
            let told = labels.into_iter();
            let marks = told
                .map(|(key, value)| (marked_name(&key).into(), value))
                .collect();
            let removed = Removed {
                marks,
                from: seen.workload,
            };
            if removed.marks.is_empty() {
                // They are gone: by our own patch, if its answer was lost.
                return Ok(lost.map_or(removed, |(ours, _)| ours));
            }
            if let Some((_, words)) = &lost {
                match pauses.next() {
                    Some(pause) => tokio::time::sleep(*pause).await,
                    None => return Err(words.clone()),
                }
            }
            let of = &removed.from;
            match self.patch(kind, of, body, Mode::Commit).await {
                Ok(written) => {
                    for words in &written.warnings {
                        tracing::warn!(workload = %id, "the API server warns: {}", Escaped(words));
                    }
                    return Ok(removed);
                }
                Err(ClusterError::Stale) if stale + 1 < UNHOLD_ATTEMPTS => stale += 1,
                Err(error @ ClusterError::Lost(_)) => lost = Some((removed, error)),
                Err(error) => return Err(error),
            }
        }
    }

    /// One that cannot be read hides no other; if none can be, there is nothing to say but why.
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
impl ClusterPort for LiveCluster {
    fn freshness(&self) -> Freshness {
        Freshness::Fresh
    }

    async fn find(&self, scope: &Scope) -> Result<Found, ClusterError> {
        for namespace in &scope.namespaces {
            hikaru_core::check_namespace(namespace)
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
                self.list(scope, &selectors, Limit::BestEffort).await?
            }
            Select::Named(ids) => self.find_named(ids).await?,
            _ => self.list(scope, &[None], Limit::All).await?,
        };
        found.workloads.retain(|workload| scope.admits(workload));
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
            Err(ClusterError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn write(&self, change: &Change, mode: Mode) -> Result<Written, ClusterError> {
        let judged = change.judged();
        let kind = self.inner.kinds.named(&judged.id.kind);
        let kind = kind.ok_or(ClusterError::NotFound)?;
        let now = (self.inner.settings.clock)();
        let body = patch::of_change(change, kind, self.keys(), now);
        self.patch(kind, judged, body, mode).await
    }

    async fn unhold(
        &self,
        workload: &WorkloadName,
        container: Option<Text>,
    ) -> Result<Vec<(Text, Text)>, ClusterError> {
        Ok(self.remove_marks(workload, container).await?.marks)
    }

    async fn run_job(&self, job: &JobRequest, mode: Mode) -> Result<JobCreated, ClusterError> {
        self.job_calls().run(job, mode).await
    }

    async fn jobs(&self, namespace: &str) -> Result<JobList, ClusterError> {
        self.job_calls().list(namespace).await
    }

    async fn job(&self, job: &JobName) -> Result<JobStatus, ClusterError> {
        self.job_calls().status(job).await
    }

    async fn job_ended(
        &self,
        job: &JobName,
        uid: &str,
        within: Duration,
    ) -> Result<JobStatus, ClusterError> {
        let created = JobCreated::new(job.clone(), uid);
        let jobs = self.job_calls();
        jobs.wait(&created, within, &mut |_| {}).await
    }

    async fn delete_job(&self, job: &JobName) -> Result<(), ClusterError> {
        self.job_calls().delete(job).await
    }

    async fn job_logs(&self, job: &JobName) -> Result<Vec<JobLog>, ClusterError> {
        self.job_calls().logs(job).await
    }
}

/// An object whose names can stand in a path: kube escapes nothing, and `..` would lead elsewhere.
fn check_names(kind: &Kind, id: &WorkloadId) -> Result<(), ClusterError> {
    let whole = format!("{}/{}/{}", id.namespace, kind.name, id.name);
    let checked = hikaru_core::check_namespace(&id.namespace);
    let checked = checked.and_then(|()| whole.parse::<WorkloadName>());
    checked
        .map(drop)
        .map_err(|error| ClusterError::Invalid(error.to_string()))
}

fn patch_request(path: &str, body: Vec<u8>, mode: Mode) -> Result<Request<Vec<u8>>, ClusterError> {
    let dry = match mode {
        Mode::Commit => "",
        Mode::DryRun => "&dryRun=All",
    };
    let target = format!("{path}?fieldManager={FIELD_MANAGER}&fieldValidation=Strict{dry}");
    Request::patch(target)
        .header(header::CONTENT_TYPE, "application/json-patch+json")
        .header(
            header::ACCEPT,
            "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
        )
        .body(body)
        .map_err(|error| ClusterError::Invalid(error.to_string()))
}
