//! What a server tells whoever keeps its figures. The registry, and what is measured elsewhere, are theirs.

use std::time::Duration;

use hikaru_core::Report;

/// Keeps the figures of a server, and gives the text of `/metrics`. Called on the way of each request: it must not block.
pub trait Metrics: Send + Sync {
    /// A request was answered. The route is its pattern, such as `/api/image/{image}`, or `none`: of a bounded number.
    fn answered(&self, route: &'static str, status: u16, took: Duration);

    /// A call came to a report, of an upgrade or of a plan, by its route.
    fn reported(&self, route: &'static str, report: &Report);

    /// All figures as OpenMetrics text (`application/openmetrics-text; version=1.0.0; charset=utf-8`).
    fn text(&self) -> String;
}
