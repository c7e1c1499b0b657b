//! Time, as the rules need it: they wait for lost answers, for Jobs and for rollouts.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;

/// A clock. The caller supplies it, so that tests can stop the time and this crate needs no runtime.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The time of day. It can jump.
    fn now(&self) -> SystemTime;

    /// The time since a moment of the clock's choice. It never jumps and never goes backwards.
    fn elapsed(&self) -> Duration;

    /// Waits.
    async fn sleep(&self, time: Duration);
}
