//! The time that never jumps, by the runtime's clock. The time of day comes from the settings.

use std::time::Instant;

/// Now, by the runtime's clock, which tests can stop.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
