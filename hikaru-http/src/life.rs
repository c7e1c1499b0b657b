//! How far the life of a server is, and which work is under way that has to be finished before its end. What is served
//! meanwhile is in `serve`, what is answered in `api`.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::watch;

/// How far a server's life is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Serving,
    Draining,
    Aborted,
}

/// The life of one server. Each task of the server holds a receiver of it, so the server is over when the last one is dropped.
pub(crate) struct Life {
    stage: watch::Sender<Stage>,
    /// The same for the listener of probes, which answers until all else is over: it never drains.
    probes: watch::Sender<Stage>,
    /// How many pieces of work are under way that an abort would leave unfinished.
    under_way: AtomicUsize,
}

impl Life {
    pub(crate) fn new() -> Self {
        Self {
            stage: watch::Sender::new(Stage::Serving),
            probes: watch::Sender::new(Stage::Serving),
            under_way: AtomicUsize::new(0),
        }
    }

    pub(crate) fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// For a task of the server.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Stage> {
        self.stage.subscribe()
    }

    /// For a task of the listener of probes.
    pub(crate) fn subscribe_probes(&self) -> watch::Receiver<Stage> {
        self.probes.subscribe()
    }

    /// Ends when the server is aborted. Until then, and until it is dropped, the server is not over.
    pub(crate) fn aborted(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stage = self.subscribe();
        async move { reached(&mut stage, Stage::Aborted).await }
    }

    /// Counts a piece of work as under way until the value is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(self.clone())
    }

    /// How many pieces of work are under way.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    pub(crate) fn drain(&self) {
        advance(&self.stage, Stage::Draining);
    }

    pub(crate) fn abort(&self) {
        advance(&self.stage, Stage::Aborted);
        advance(&self.probes, Stage::Aborted);
    }

    /// Ends when no task of the server is left.
    pub(crate) async fn over(&self) {
        self.stage.closed().await;
    }
}

fn advance(stage: &watch::Sender<Stage>, to: Stage) {
    stage.send_if_modified(|stage| {
        let later = *stage < to;
        *stage = to.max(*stage);
        later
    });
}

/// Ends when a server has reached this stage or a later one, or is dropped, which aborts it.
pub(crate) async fn reached(stage: &mut watch::Receiver<Stage>, awaited: Stage) {
    // The error is that the sender is dropped.
    let _ = stage.wait_for(|stage| *stage >= awaited).await;
}

/// A piece of work that is under way.
pub(crate) struct UnderWay(Arc<Life>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}
