//! Probes and metrics.

use hikaru_core::port::Freshness;
use hyper::HeaderMap;

use super::{
    Api,
    answer::{Outcome, json, of_bytes},
    problem::{Kind, Refusal},
    routes,
};
use crate::{MetricsFormat, life::Stage, wire};

/// The process is alive.
pub(super) fn live() -> Outcome {
    json(&wire::Health {
        status: "alive",
        detail: None,
    })
}

/// The cluster is known completely and up to date, and the server is not draining. What troubles the authenticator is told beside it:
/// its callers are still answered.
pub(super) fn ready(api: &Api) -> Outcome {
    let not_ready = |why: &str| Err(Refusal::new(Kind::NotReady, why));
    if api.life.stage() != Stage::Serving {
        return not_ready("draining");
    }
    match api.ports.freshness() {
        Freshness::Fresh => json(&wire::Health {
            status: "ready",
            detail: api.authenticator.trouble(),
        }),
        other => not_ready(&other.to_string()),
    }
}

/// The figures, in the format that is asked for.
pub(super) fn metrics(api: &Api, headers: &HeaderMap) -> Outcome {
    let Some(metrics) = &api.metrics else {
        return Err(Refusal::new(Kind::UnknownRoute, routes::expected(|_| true)));
    };
    metrics.waits(api.permits.waiting());
    let format = MetricsFormat::of(headers);
    Ok(of_bytes(format.media(), metrics.text(format).into()))
}
