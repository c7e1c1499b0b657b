//! The figures of who may call: how many are known, and whether what says so can be read. The other figures are in `metrics`.

use std::{sync::atomic::AtomicU64, time::SystemTime};

use hikaru_http::CallerSet;
use prometheus_client::{
    metrics::gauge::Gauge,
    registry::{Registry, Unit},
};

/// The figures of the callers that are known.
#[derive(Default)]
pub(in crate::commands::serve) struct CallerFigures {
    callers: Gauge,
    trusts: Gauge,
    fresh: Gauge,
    read: Gauge<f64, AtomicU64>,
}

impl CallerFigures {
    /// Adds them to the others.
    pub(in crate::commands::serve) fn register(&self, registry: &mut Registry) {
        registry.register(
            "callers",
            "Callers with a token of hikaru's own",
            self.callers.clone(),
        );
        registry.register(
            "trusts",
            "Rules for the tokens of others",
            self.trusts.clone(),
        );
        registry.register(
            "callers_fresh",
            "1: callers are known as their files say; 0: a file cannot be read, and those of before stay in force",
            self.fresh.clone(),
        );
        registry.register_with_unit(
            "callers_read_timestamp",
            "When their files were last read without a fault, since 1970",
            Unit::Seconds,
            self.read.clone(),
        );
    }

    /// These are in force.
    pub(super) fn in_force(&self, set: &CallerSet) {
        let count = |all: usize| i64::try_from(all).unwrap_or(i64::MAX);
        self.callers.set(count(set.callers.len()));
        self.trusts.set(count(set.trusts.len()));
        self.fresh.set(1);
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        self.read.set(since.unwrap_or_default().as_secs_f64());
    }

    /// Something cannot be read.
    pub(super) fn troubled(&self) {
        self.fresh.set(0);
    }
}
