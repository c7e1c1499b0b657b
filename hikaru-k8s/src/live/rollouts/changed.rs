//! Tells those who wait for a rollout that its pods or ReplicaSets may have changed. What they wait for they read themselves.

use std::{sync::Arc, time::Duration};

use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use hikaru_core::{
    Text,
    rollout::{PodFacts, ReplicaSetFacts, RolloutKind},
    workload::WorkloadName,
};
use kube::core::Selector;
use tokio::{
    sync::watch::{Receiver, error::RecvError},
    time::sleep,
};

use super::{
    item::Facts,
    object,
    pool::Pool,
    watch::{Known, Progress},
};
use crate::live::LiveCluster;

/// Changes within this time are told as one. A controller writes the status of the workload a moment after that of its pods.
const TOGETHER: Duration = Duration::from_millis(500);

/// How often it is looked whether there still is a watch. What is not watched may have changed.
const LOOK: Duration = Duration::from_secs(5);

struct Waiter {
    live: LiveCluster,
    workload: WorkloadName,
    /// What its pods match, once it is known.
    selected: Option<(RolloutKind, Selector)>,
    pods: Subscription<PodFacts>,
    replica_sets: Subscription<ReplicaSetFacts>,
    is_first: bool,
}

/// The watch that tells of changes, if there is one.
struct Subscription<T>(Option<(Arc<Known<T>>, Receiver<()>)>);

impl<T: Facts> Subscription<T> {
    /// Asks for the watch again. Whether something may have been missed: it is another one, or none, or it is broken.
    fn renew(&mut self, pool: &Pool<T>, namespace: &Text, selector: &Selector) -> bool {
        let Some(known) = pool.watch(namespace, selector, true) else {
            self.0 = None;
            return true;
        };
        if let Some((old, _)) = &self.0
            && Arc::ptr_eq(old, &known)
        {
            return known.progress() == Progress::Broken;
        }
        let changes = known.changes(selector);
        self.0 = Some((known, changes));
        true
    }

    /// Waits for a change.
    async fn changed(&mut self) {
        match &mut self.0 {
            Some((_, changes)) => {
                let changed: Result<(), RecvError> = changes.changed().await;
                if changed.is_err() {
                    self.0 = None;
                }
            }
            None => std::future::pending().await,
        }
    }
}

impl Waiter {
    async fn renew(&mut self) -> bool {
        if self.selected.is_none() {
            self.selected = self.live.selected_by(&self.workload).await;
        }
        let Some((kind, selector)) = &self.selected else {
            return true;
        };
        let (pools, namespace) = (&self.live.inner.rollouts, self.workload.namespace());
        let pods = self.pods.renew(&pools.pods, namespace, selector);
        let replica_sets = *kind == RolloutKind::Deployment
            && self
                .replica_sets
                .renew(&pools.replica_sets, namespace, selector);
        pods || replica_sets
    }

    async fn next(&mut self) {
        if std::mem::take(&mut self.is_first) {
            self.renew().await;
            return;
        }
        loop {
            tokio::select! {
                () = self.pods.changed() => return sleep(TOGETHER).await,
                () = self.replica_sets.changed() => return sleep(TOGETHER).await,
                () = sleep(LOOK) => {}
            }
            if self.renew().await {
                return;
            }
        }
    }
}

/// Tells at once, and from then on whenever something may have changed.
pub(super) fn changed(live: LiveCluster, workload: WorkloadName) -> BoxStream<'static, ()> {
    let waiter = Waiter {
        live,
        workload,
        selected: None,
        pods: Subscription(None),
        replica_sets: Subscription(None),
        is_first: true,
    };
    let next = |mut waiter: Waiter| async move {
        waiter.next().await;
        Some(((), waiter))
    };
    stream::unfold(waiter, next).boxed()
}

impl LiveCluster {
    /// What the pods of a workload match. `None`: that cannot be read now, or it has no rollouts.
    async fn selected_by(&self, workload: &WorkloadName) -> Option<(RolloutKind, Selector)> {
        let (kind, id) = self.kind_and_id(workload)?;
        let text = self.get_text(kind, &id).await.ok()?;
        let (object, selector) = object::read(kind, &text).ok()?;
        Some((object.kind, selector?))
    }
}
