//! Futures driven on threads of our own: what a port that blocks hides from the tasks of one thread.

use std::{
    future::Future,
    pin::pin,
    sync::{Arc, Barrier},
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Drives a future to its end on this thread.
fn drive<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

/// Does something for each of these, all at once, each on a thread of its own.
pub(super) fn each<I: Send, T: Send, F: Future<Output = T>>(
    items: impl IntoIterator<Item = I>,
    act: impl Fn(I) -> F + Sync,
) -> Vec<T> {
    let act = &act;
    thread::scope(|scope| {
        let threads: Vec<_> = items
            .into_iter()
            .map(|item| scope.spawn(move || drive(act(item))))
            .collect();
        let joined = threads.into_iter().map(|thread| {
            let value = thread.join();
            value.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        joined.collect()
    })
}

/// Threads that begin at the same moment.
pub(super) struct Together(Barrier);

impl Together {
    pub(super) fn new(threads: u64) -> Self {
        Self(Barrier::new(usize::try_from(threads).unwrap_or(1)))
    }

    pub(super) fn wait(&self) {
        self.0.wait();
    }
}
