//! Whose turn it is to read the folder: a few calls read at a time, the others wait for a place, and calls that look for the
//! same wait for one reading together. What is read is not known here.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{BoxFuture, FutureExt as _, Shared, WeakShared};
use hikaru_core::{ClusterError, Found, Scope};
use tokio::sync::Semaphore;

use super::blocking;

/// Calls that read at one time. Each reads with some threads of its own, so more would only take more memory.
const PLACES: usize = 2;

type Answer = Arc<Result<Found, ClusterError>>;
type Reading = BoxFuture<'static, Answer>;
type Waiting = Vec<(Scope, WeakShared<Reading>)>;

/// The places, and who waits for one.
#[derive(Debug)]
pub(super) struct Reads {
    places: Arc<Semaphore>,
    /// Readings that have not begun: a call that looks for the same joins one. A reading that has begun is not joined,
    /// because it may have passed a file that was written since. The references are weak: a reading goes when its last
    /// caller stops waiting.
    waiting: Arc<Mutex<Waiting>>,
}

impl Reads {
    pub(super) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(PLACES)),
            waiting: Arc::default(),
        }
    }

    /// Reads when there is a place. `None`: the reading broke off.
    pub(super) async fn one<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        // The work owns the permit, so the place is free when the work ends, even if its caller left earlier.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        blocking(move || {
            let _place = place;
            read()
        })
        .await
    }

    /// Looks for workloads: together with all who look for the same and whose reading has not begun.
    pub(super) async fn find(
        &self,
        scope: &Scope,
        read: impl FnOnce(&Scope) -> Result<Found, ClusterError> + Send + 'static,
    ) -> Result<Found, ClusterError> {
        let reading = self.join(scope, read);
        let answer = reading.await;
        Arc::try_unwrap(answer).unwrap_or_else(|shared| (*shared).clone())
    }

    fn join(
        &self,
        scope: &Scope,
        read: impl FnOnce(&Scope) -> Result<Found, ClusterError> + Send + 'static,
    ) -> Shared<Reading> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|(_, reading)| reading.upgrade().is_some());
        let mut known = waiting.iter().filter(|(known, _)| known == scope);
        if let Some(reading) = known.find_map(|(_, reading)| reading.upgrade()) {
            return reading;
        }
        let (places, all, scope) = (
            Arc::clone(&self.places),
            Arc::clone(&self.waiting),
            scope.clone(),
        );
        let key = scope.clone();
        let reading: Reading = async move {
            let place = places.acquire_owned().await.ok();
            all.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .retain(|(known, _)| *known != scope);
            let read = blocking(move || {
                let _place = place;
                read(&scope)
            });
            Arc::new(read.await.unwrap_or_else(|| Err(super::broke_off())))
        }
        .boxed();
        let reading = reading.shared();
        if let Some(weak) = reading.downgrade() {
            waiting.push((key, weak));
        }
        reading
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;
    use hikaru_core::Select;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    fn scope(repository: &str) -> Scope {
        Scope::new(Select::Repository(repository.into()))
    }

    /// Takes all places, until what is given back is dropped.
    fn take_all(reads: &Reads) -> Vec<tokio::sync::OwnedSemaphorePermit> {
        let place = || Arc::clone(&reads.places).try_acquire_owned();
        (0..PLACES).map(|_| place().expect("a place")).collect()
    }

    #[tokio::test]
    async fn equal_readings_that_wait_are_one() {
        let reads = Reads::new();
        let count = Arc::new(AtomicUsize::new(0));
        let taken = take_all(&reads);
        let mut readings = Vec::new();
        for name in ["a/web", "a/other"] {
            for _ in 0..200 {
                let count = Arc::clone(&count);
                readings.push(reads.join(&scope(name), move |_| {
                    count.fetch_add(1, Ordering::Relaxed);
                    Ok(Found::default())
                }));
            }
        }
        drop(taken);
        for answer in join_all(readings).await {
            assert!(answer.is_ok());
        }
        assert_eq!(count.load(Ordering::Relaxed), 2);
        assert!(reads.waiting.lock().expect("it is sound").is_empty());
    }

    #[tokio::test]
    async fn a_reading_that_has_begun_is_not_joined() {
        let reads = Arc::new(Reads::new());
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (end, may_end) = mpsc::channel::<()>();
        let first = {
            let reads = Arc::clone(&reads);
            tokio::spawn(async move {
                let read = move |_: &Scope| {
                    let _ = begun.send(());
                    let _ = may_end.recv();
                    Ok(Found::default())
                };
                reads.find(&scope("a/web"), read).await
            })
        };
        has_begun.await.expect("it begins");
        let web = scope("a/web");
        let again = reads.find(&web, |_| Err(ClusterError::NotFound)).await;
        assert_eq!(again.err(), Some(ClusterError::NotFound));
        end.send(()).expect("it waits");
        assert!(first.await.expect("it ends").is_ok());
    }

    #[tokio::test]
    async fn no_more_read_at_a_time_than_there_are_places() {
        let reads = Reads::new();
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let readings = (0..50).map(|n| {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            let work = move || {
                let here = 1 + now.fetch_add(1, Ordering::SeqCst);
                most.fetch_max(here, Ordering::SeqCst);
                std::thread::yield_now();
                now.fetch_sub(1, Ordering::SeqCst);
            };
            let (reads, scope) = (&reads, scope(&format!("a/web{n}")));
            async move {
                if n % 2 == 0 {
                    reads.one(work).await.expect("it ends");
                } else {
                    let read = move |_: &Scope| {
                        work();
                        Ok(Found::default())
                    };
                    reads.find(&scope, read).await.expect("it is read");
                }
            }
        });
        join_all(readings).await;
        assert!(most.load(Ordering::SeqCst) <= PLACES);
    }

    #[tokio::test]
    async fn whoever_goes_away_gives_up_his_turn() {
        let reads = Reads::new();
        let taken = take_all(&reads);
        let web = scope("a/web");
        let mut gone = Box::pin(reads.find(&web, |_| Ok(Found::default())));
        assert!((&mut gone).now_or_never().is_none());
        drop(gone);
        drop(taken);
        // All places are there again, and the reading that nobody waits for is not joined.
        drop(take_all(&reads));
        let found = reads.find(&web, |_| Err(ClusterError::NotFound)).await;
        assert_eq!(found.err(), Some(ClusterError::NotFound));
    }
}
