//! Moments of a cluster's clocks. Those of a node and of the API server may differ by an hour, so nothing here can fail: what lies in
//! the future counts as now.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

/// How long ago a moment was; zero if it lies in the future.
pub(super) fn age(moment: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(moment).unwrap_or_default()
}

/// A moment that a node told, between two moments that the API server told.
pub(super) fn between(
    earliest: Option<SystemTime>,
    moment: SystemTime,
    now: SystemTime,
) -> SystemTime {
    earliest.map_or(moment, |e| moment.max(e)).min(now)
}

/// The moment so much later. `None`: there is no such moment.
pub(super) fn later(moment: SystemTime, by: Duration) -> Option<SystemTime> {
    moment.checked_add(by)
}

/// The earlier one of two moments, if there is one.
pub(super) fn sooner(one: Option<SystemTime>, other: Option<SystemTime>) -> Option<SystemTime> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// A time as people say it: `40 s`, `12 min`, `5 h`, `3 days`.
pub(super) struct Told(pub(super) Duration);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            0..120 => write!(f, "{seconds} s"),
            120..7_200 => write!(f, "{} min", seconds / 60),
            7_200..172_800 => write!(f, "{} h", seconds / 3_600),
            _ => write!(f, "{} days", seconds / 86_400),
        }
    }
}
