//! The clock of a program that runs on tokio.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use hikaru_core::port::Clock;
use tokio::time::Instant;

/// The machine's clock; waiting is tokio's, whose tests can stop the time.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}
