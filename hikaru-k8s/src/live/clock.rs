//! The two clocks of the live adapter: the time of day, which the caller supplies, and the runtime's, which never jumps.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

/// Gives the time of day.
pub type TimeOfDay = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// The runtime's clock, which tests can stop.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
