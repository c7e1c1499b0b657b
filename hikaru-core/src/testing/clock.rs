//! A clock for tests: waiting takes no time.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;

use crate::port::clock::Clock;

/// A clock that stands still until somebody waits: then it is moved on by the time that was to be waited, at once.
///
/// ```
/// # futures_util::FutureExt::now_or_never(async {
/// use std::time::Duration;
/// use hikaru_core::{port::Clock, testing::StillClock};
/// let clock = StillClock::default();
/// clock.sleep(Duration::from_secs(90)).await;
/// assert_eq!(clock.elapsed(), Duration::from_secs(90));
/// # }).unwrap();
/// ```
#[derive(Debug, Default)]
pub struct StillClock {
    elapsed: Mutex<Duration>,
}

#[async_trait]
impl Clock for StillClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.elapsed()
    }

    fn elapsed(&self) -> Duration {
        *self.elapsed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn sleep(&self, time: Duration) {
        *self.elapsed.lock().unwrap_or_else(PoisonError::into_inner) += time;
    }
}
