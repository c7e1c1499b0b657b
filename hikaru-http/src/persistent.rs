//! Work that is done to its end, whoever waits for it.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::runtime::Handle;

/// A future that is not stopped by being dropped: what is left of it goes on in a task of its own. As long as somebody waits
/// for it, it is polled where it is waited for, which spares a task and the waking of another thread for it.
pub(crate) struct Persistent<F>(Option<Pin<Box<F>>>)
where
    F: Future<Output: Send> + Send + 'static;

impl<F> Persistent<F>
where
    F: Future<Output: Send> + Send + 'static,
{
    pub(crate) fn new(work: F) -> Self {
        Self(Some(Box::pin(work)))
    }
}

impl<F> Future for Persistent<F>
where
    F: Future<Output: Send> + Send + 'static,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // Taken out: after a panic there is nothing to go on with.
        let Some(mut work) = self.0.take() else {
            return Poll::Pending;
        };
        let polled = work.as_mut().poll(cx);
        if polled.is_pending() {
            self.0 = Some(work);
        }
        polled
    }
}

impl<F> Drop for Persistent<F>
where
    F: Future<Output: Send> + Send + 'static,
{
    fn drop(&mut self) {
        // Without a runtime there is nobody who could do it.
        if let (Some(work), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(work);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_is_waited_for_is_done_where_it_is_waited_for() {
        let here = tokio::task::try_id();
        let there = Persistent::new(async {
            tokio::task::yield_now().await;
            tokio::task::try_id()
        });
        assert_eq!(there.await, here);
    }

    #[tokio::test]
    async fn what_is_dropped_goes_on() {
        let (go, gone) = oneshot::channel::<()>();
        let (done, seen) = oneshot::channel();
        let mut work = Persistent::new(async {
            let _ = gone.await;
            done.send("done")
        });
        let polled = std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut work).poll(cx)));
        assert!(polled.await.is_pending(), "begun");
        drop(work);
        drop(go);
        assert_eq!(seen.await, Ok("done"));
    }

    #[tokio::test]
    async fn what_was_never_polled_is_done_too() {
        let (done, seen) = oneshot::channel();
        drop(Persistent::new(async { done.send("done") }));
        assert_eq!(seen.await, Ok("done"));
    }

    #[test]
    fn without_a_runtime_it_is_dropped() {
        let (done, mut seen) = oneshot::channel::<()>();
        drop(Persistent::new(async { done.send(()) }));
        let closed = oneshot::error::TryRecvError::Closed;
        assert_eq!(seen.try_recv(), Err(closed), "it was neither done nor kept");
    }
}
