//! Work that is done to its end, whoever waits for it.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::runtime::Handle;

/// A future that is not stopped by being dropped: what is left of it goes on in a task of its own, until something else
/// ends it. As long as somebody waits for it, it is polled where it is waited for, which spares a task and the waking of
/// another thread for it.
pub(crate) struct Persistent<F, E, U>
where
    F: Future<Output: Send> + Send + 'static,
    E: FnOnce() -> U,
    U: Future<Output: Send> + Send + 'static,
{
    work: Option<Pin<Box<F>>>,
    /// What ends the task, made when there is to be one.
    end: Option<E>,
}

impl<F, E, U> Persistent<F, E, U>
where
    F: Future<Output: Send> + Send + 'static,
    E: FnOnce() -> U,
    U: Future<Output: Send> + Send + 'static,
{
    pub(crate) fn until(end: E, work: F) -> Self {
        Self {
            work: Some(Box::pin(work)),
            end: Some(end),
        }
    }
}

impl<F, E, U> Future for Persistent<F, E, U>
where
    F: Future<Output: Send> + Send + 'static,
    E: FnOnce() -> U + Unpin,
    U: Future<Output: Send> + Send + 'static,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // Taken out: after a panic there is nothing to go on with.
        let Some(mut work) = self.work.take() else {
            return Poll::Pending;
        };
        let polled = work.as_mut().poll(cx);
        if polled.is_pending() {
            self.work = Some(work);
        }
        polled
    }
}

impl<F, E, U> Drop for Persistent<F, E, U>
where
    F: Future<Output: Send> + Send + 'static,
    E: FnOnce() -> U,
    U: Future<Output: Send> + Send + 'static,
{
    fn drop(&mut self) {
        let Some((work, end)) = self.work.take().zip(self.end.take()) else {
            return;
        };
        // Without a runtime there is nobody who could do it.
        if let Ok(runtime) = Handle::try_current() {
            let end = end();
            runtime.spawn(async {
                tokio::select! {
                    biased;
                    _ = end => {}
                    _ = work => {}
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, time::Duration};

    use tokio::{sync::oneshot, time::timeout};

    use super::*;

    #[tokio::test]
    async fn what_is_waited_for_is_done_where_it_is_waited_for() {
        let here = tokio::task::try_id();
        let there = Persistent::until(pending::<()>, async {
            tokio::task::yield_now().await;
            tokio::task::try_id()
        });
        assert_eq!(there.await, here);
    }

    #[tokio::test]
    async fn what_is_dropped_goes_on() {
        let (go, gone) = oneshot::channel::<()>();
        let (done, seen) = oneshot::channel();
        let mut work = Persistent::until(pending::<()>, async {
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
        let work = async { done.send("done") };
        drop(Persistent::until(pending::<()>, work));
        assert_eq!(seen.await, Ok("done"));
    }

    #[tokio::test]
    async fn what_was_dropped_goes_on_until_its_end() {
        let (stop, stopped) = oneshot::channel::<()>();
        let (done, mut seen) = oneshot::channel::<()>();
        let work = async move {
            pending::<()>().await;
            done.send(())
        };
        drop(Persistent::until(|| stopped, work));
        tokio::task::yield_now().await;
        let open = Err(oneshot::error::TryRecvError::Empty);
        assert_eq!(seen.try_recv(), open, "it is kept");
        drop(stop);
        let seen = timeout(Duration::from_secs(10), seen).await;
        assert!(seen.expect("the end").is_err(), "it was dropped undone");
    }

    #[test]
    fn without_a_runtime_it_is_dropped() {
        let (done, mut seen) = oneshot::channel::<()>();
        let work = async { done.send(()) };
        drop(Persistent::until(pending::<()>, work));
        let closed = oneshot::error::TryRecvError::Closed;
        assert_eq!(seen.try_recv(), Err(closed), "it was neither done nor kept");
    }
}
