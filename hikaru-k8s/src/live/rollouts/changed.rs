//! Tells those who wait that a workload or a Job, its ReplicaSets or its pods may have changed. What they wait for they read
//! themselves, from the same watches.

use std::{mem, pin::pin, sync::Arc, time::Duration};

use futures_util::{
    FutureExt as _, StreamExt as _,
    stream::{self, BoxStream},
};
use hikaru_core::{
    Text,
    jobs::JobName,
    rollout::{PodFacts, ReplicaSetFacts},
    workload::WorkloadName,
};
use tokio::{
    sync::{Mutex, Notify},
    time::{Instant, sleep, sleep_until},
};

use super::{
    Pools,
    owner::Owner,
    pool::Pool,
    wanted::{Source, Which},
    watch::{Known, Progress},
};
use crate::live::LiveCluster;

/// After this time it is looked whether something is not watched, which then may have changed. Nothing is sent for it.
const LOOK: Duration = Duration::from_secs(5);

/// Whoever waits is told after this time although nothing has changed: what is read then says how long something takes. Where all is
/// followed it costs no request.
const FRESH: Duration = Duration::from_secs(10);

/// The time between two who are told of what is not watched, because each then asks the API server: 20 in a second.
const PACE: Duration = Duration::from_millis(50);

/// How long somebody who waits is not told because a watch begins.
const PATIENCE: Duration = Duration::from_secs(5);

/// The turns of those who wait for what is not watched: they come first in, first out.
#[derive(Default)]
pub(super) struct Turns(Mutex<Option<Instant>>);

impl Turns {
    async fn next(&self) {
        let mut last = self.0.lock().await;
        if let Some(last) = *last {
            sleep_until(last + PACE).await;
        }
        *last = Some(Instant::now());
    }
}

/// The watch that tells of some objects.
enum Subscription<T> {
    /// There is nothing to tell of.
    Unneeded,
    /// There is no place for a watch.
    Unwatched,
    Watched(Arc<Known<T>>, Which),
}

impl<T: Send + Sync + 'static> Subscription<T> {
    /// Makes sure that there is a watch, if there can be one.
    async fn renew(
        &mut self,
        pool: &Pool<T>,
        source: Option<Source<T>>,
        which: Which,
        told: &Arc<Notify>,
    ) {
        while !self.is_of(&which) {
            let source = source.as_ref();
            let Some(known) = source.and_then(|source| pool.watch(source, &which)) else {
                *self = Self::Unwatched;
                return;
            };
            known.tell(&which, told);
            known.has_begun(PATIENCE).await;
            *self = Self::Watched(known, which.clone());
        }
    }

    /// Whether there is a watch on these objects that has not ended.
    fn is_of(&self, which: &Which) -> bool {
        match self {
            Self::Watched(known, of) => of == which && known.progress() != Progress::Ended,
            _ => false,
        }
    }

    fn is_followed(&self) -> bool {
        match self {
            Self::Unneeded => true,
            Self::Unwatched => false,
            Self::Watched(known, _) => known.progress() == Progress::Follows,
        }
    }

    /// The one object that is watched, as far as it is known.
    fn read(&self) -> Option<Arc<T>> {
        match self {
            Self::Watched(known, which) => known.matched(which)?.read.pop(),
            _ => None,
        }
    }
}

/// Where the object is. `None`: that is not known yet.
type Place<T> = dyn Fn(&LiveCluster) -> Option<Source<Owner<T>>> + Send + Sync;

/// Somebody who waits for an object with pods.
struct Waiter<T> {
    live: LiveCluster,
    namespace: Text,
    name: Text,
    source: Box<Place<T>>,
    pool: fn(&Pools) -> &Pool<Owner<T>>,
    owner: Subscription<Owner<T>>,
    pods: Subscription<PodFacts>,
    replica_sets: Subscription<ReplicaSetFacts>,
    told: Arc<Notify>,
    is_first: bool,
}

impl<T: Send + Sync + 'static> Waiter<T> {
    fn all(self) -> BoxStream<'static, ()> {
        let next = |mut waiter: Self| async move {
            waiter.next().await;
            Some(((), waiter))
        };
        stream::unfold(self, next).boxed()
    }

    async fn next(&mut self) {
        if !mem::take(&mut self.is_first) {
            tokio::select! {
                () = self.told.notified() => {}
                () = self.is_not_followed() => {}
                () = sleep(FRESH) => {}
            }
        }
        // It is a large future, and most of the time there is none.
        Box::pin(self.subscribe()).await;
        let mut turn = pin!(self.live.inner.rollouts.turns.next());
        while !self.is_followed() {
            tokio::select! {
                () = &mut turn => return,
                () = self.told.notified() => {}
            }
        }
    }

    /// Makes sure that everything is watched that can be.
    async fn subscribe(&mut self) {
        let pools = &self.live.inner.rollouts;
        let told = &self.told;
        let source = (self.source)(&self.live);
        let which = Which::Named(self.name.clone());
        let owner = self.owner.renew((self.pool)(pools), source, which, told);
        owner.await;
        if let Some(owner) = self.owner.read()
            && let Some(selector) = &owner.selector
        {
            let which = Which::Labeled(selector.clone());
            let source = Some(Source::of(&self.namespace));
            let pods = self.pods.renew(&pools.pods, source, which.clone(), told);
            let replica_sets = async {
                if owner.has_replica_sets {
                    let source = Some(Source::of(&self.namespace));
                    let sets = &mut self.replica_sets;
                    sets.renew(&pools.replica_sets, source, which, told).await;
                }
            };
            tokio::join!(pods, replica_sets);
        }
        // What was told up to now is seen by whoever reads from now on.
        let _ = self.told.notified().now_or_never();
    }

    fn is_followed(&self) -> bool {
        self.owner.is_followed() && self.pods.is_followed() && self.replica_sets.is_followed()
    }

    /// Waits until something is not followed for long.
    async fn is_not_followed(&self) {
        loop {
            sleep(LOOK).await;
            if !self.is_followed() {
                return;
            }
        }
    }
}

impl LiveCluster {
    /// Tells of changes of a workload, its ReplicaSets and its pods.
    pub(super) fn workload_changed(&self, workload: &WorkloadName) -> BoxStream<'static, ()> {
        let (of, namespace) = (workload.clone(), workload.namespace().clone());
        let source = move |live: &LiveCluster| {
            let kind = live.inner.kinds.named(of.kind())?;
            // Of an added kind that nobody has read yet, it is known after the first reading.
            live.workloads(kind, of.namespace())
        };
        let name = workload.name().clone();
        self.waiter(namespace, name, Box::new(source), |pools| &pools.workloads)
    }

    /// Tells of changes of a Job and its pods.
    pub(in crate::live) fn job_changed(&self, name: &JobName) -> BoxStream<'static, ()> {
        let namespace = name.namespace().clone();
        let source = Self::jobs_of(&namespace);
        let source = move |_: &LiveCluster| Some(source.clone());
        let name = name.name().clone();
        self.waiter(namespace, name, Box::new(source), |pools| &pools.jobs)
    }

    fn waiter<T: Send + Sync + 'static>(
        &self,
        namespace: Text,
        name: Text,
        source: Box<Place<T>>,
        pool: fn(&Pools) -> &Pool<Owner<T>>,
    ) -> BoxStream<'static, ()> {
        let waiter = Waiter {
            live: self.clone(),
            namespace,
            name,
            source,
            pool,
            owner: Subscription::Unwatched,
            pods: Subscription::Unneeded,
            replica_sets: Subscription::Unneeded,
            told: Arc::default(),
            is_first: true,
        };
        waiter.all()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_thousand_who_wait_for_what_is_not_watched_take_turns() {
        let (turns, begun) = (Turns::default(), Instant::now());
        turns.next().await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        // One that does not wait any more holds up nobody.
        assert!(turns.next().now_or_never().is_none());
        join_all((0..1_000).map(|_| turns.next())).await;
        let seconds = begun.elapsed().as_secs();
        assert_eq!(seconds, 50);
    }
}
