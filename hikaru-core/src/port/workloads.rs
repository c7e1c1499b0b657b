//! The port to the workloads of a cluster: what the rules need of it.

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};

use super::{
    error::ClusterError,
    found::{Found, Written},
    freshness::Freshness,
    scope::Scope,
};
use crate::{
    Text,
    policy::change::Change,
    workload::{Workload, WorkloadId, name::WorkloadName},
};

/// How many writes, or readings, of one post are in flight at once, where an adapter does not do otherwise: a post of many
/// workloads leaves room for others.
pub(crate) const IN_FLIGHT: usize = 32;

/// Whether a write is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It is.
    Commit,
    /// Everything is tested, nothing is kept.
    DryRun,
}

/// The workloads of a cluster, as the rules see them. Object-safe: used as `Arc<dyn WorkloadPort>`. `contract` (feature `testing`)
/// says what is expected of an implementation. The Jobs of a cluster are a port of their own, [`JobPort`](crate::port::JobPort).
///
/// - [`upgrade`](crate::upgrade()), [`candidates`](crate::upgrade::candidates) and [`find`](crate::upgrade::find()) call `freshness`, then `find`
///   ([`Select::Build`](crate::port::Select::Build); [`Select::Repository`](crate::port::Select::Repository); [`Select::Near`](crate::port::Select::Near) when nothing matched, which may be *unsupported*).
/// - `write_all` is called with all changes of a post, and again with those of workloads that were refused, after `read` said
///   how they are now.
/// - After [`ClusterError::Lost`] a workload is written again, at most [`LOST_WRITES`](crate::upgrade::LOST_WRITES) times, with a pause
///   before each.
/// - `write` writes images and marks; an adapter to a live cluster adds [`LAST_UPGRADE`](crate::workload::LAST_UPGRADE) and
///   [`CHANGE_CAUSE`](crate::workload::CHANGE_CAUSE).
/// - The trait is made with the crate async-trait, which an implementation needs, too; any executor will do.
///
/// The smallest one: a single workload behind a lock. What makes it safe is the guard in `write`, under the same lock.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use hikaru_core::{Mode, Text, Workload, WorkloadId, policy::Change, port::{ClusterError, WorkloadPort, Found,
///     Freshness, Scope, Written}, workload::WorkloadName};
///
/// struct One(Mutex<Workload>);
///
/// #[async_trait::async_trait]
/// impl WorkloadPort for One {
///     fn freshness(&self) -> Freshness {
///         Freshness::Fresh
///     }
///     async fn find(&self, scope: &Scope) -> Result<Found, ClusterError> {
///         let one = self.0.lock().unwrap().clone();
///         Ok(Found::new(Some(one).filter(|one| scope.admits(one)).into_iter().map(Arc::new).collect(), Vec::new()))
///     }
///     async fn read(&self, id: &WorkloadId) -> Result<Option<Workload>, ClusterError> {
///         Ok(Some(self.0.lock().unwrap().clone()).filter(|one| one.id == *id))
///     }
///     async fn write(&self, change: &Change, mode: Mode) -> Result<Written, ClusterError> {
///         let mut one = self.0.lock().unwrap();
///         if !change.holds_for(&one) {
///             return Err(ClusterError::Stale);
///         }
///         if mode == Mode::Commit {
///             for (judged, edit) in change.edited() {
///                 for container in one.containers.iter_mut().filter(|c| c.name == judged.name) {
///                     container.image = edit.to().clone();
///                     container.mark = edit.mark().cloned().or(container.mark.take());
///                 }
///             }
///         }
///         Ok(Written::default())
///     }
///     async fn unhold(&self, _: &WorkloadName, _: Option<Text>) -> Result<Vec<(Text, Text)>, ClusterError> {
///         Err(ClusterError::Unsupported("removing high-water marks"))
///     }
/// }
/// # use hikaru_core::{Build, Container, IdentityLabels, Request, TagFormats, upgrade, testing::StillClock, upgrade::Outcome};
/// # futures_util::FutureExt::now_or_never(async {
/// # let mut web = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
/// # web.labels = IdentityLabels::new("acme", "web", "main");
/// # web.containers.push(Container::new("web", "acme/web:latest"));
/// # let cluster = One(Mutex::new(web));
/// # let build = Build::parse("acme/web:acme_web_main_1.4.0_7_0123abcd", &TagFormats::default()).unwrap();
/// # let report = upgrade(&cluster, &StillClock::default(), Request::new(build), Mode::Commit).await.unwrap();
/// # assert_eq!(report.entries[0].outcome, Outcome::Upgraded);
/// # }).unwrap();
/// ```
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait WorkloadPort: Send + Sync {
    /// How far [`WorkloadPort::find`] can be trusted now.
    fn freshness(&self) -> Freshness;

    /// The workloads that the scope admits. May come from a view that is a moment old.
    ///
    /// # Errors
    /// When nothing can be said at all. What only hides some objects is a [`Fault`](crate::port::Fault).
    async fn find(&self, scope: &Scope) -> Result<Found, ClusterError>;

    /// One workload as it is now, never from a view. `None`: it is not there.
    ///
    /// # Errors
    /// When that cannot be found out.
    async fn read(&self, id: &WorkloadId) -> Result<Option<Workload>, ClusterError>;

    /// Writes a change, if everything that it was judged on still holds: one attempt, all or nothing.
    ///
    /// # Errors
    /// [`ClusterError::Stale`] when it does not hold, [`ClusterError::Lost`] when the outcome is unknown.
    async fn write(&self, change: &Change, mode: Mode) -> Result<Written, ClusterError>;

    /// Writes the changes of one post, each as [`WorkloadPort::write`] does: one answer for each, in their order. An adapter that
    /// can write several at once for less has a body of its own.
    async fn write_all(
        &self,
        changes: &[Change],
        mode: Mode,
    ) -> Vec<Result<Written, ClusterError>> {
        let writes = changes.iter().enumerate();
        let writes =
            writes.map(|(place, change)| async move { (place, self.write(change, mode).await) });
        // In any order, so that one slow answer does not hold up the writes behind it.
        let mut answers: Vec<_> = stream::iter(writes.collect::<Vec<_>>())
            .buffer_unordered(IN_FLIGHT)
            .collect()
            .await;
        answers.sort_by_key(|(place, _)| *place);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    /// Removes the high-water marks of a workload, or of one of its containers, so that lower builds go out again. Gives
    /// the containers whose marks were there, with their values.
    ///
    /// # Errors
    /// [`ClusterError::NotFound`] when there is no such workload, [`ClusterError::Unsupported`] where marks cannot be removed.
    async fn unhold(
        &self,
        workload: &WorkloadName,
        container: Option<Text>,
    ) -> Result<Vec<(Text, Text)>, ClusterError>;
}
