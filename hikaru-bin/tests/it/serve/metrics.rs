//! `/metrics` of the running program, as Prometheus reads it.

use super::Server;
use crate::example;

const NEW: &str = "ghcr.io/acme/shop:acme_shop_main_1.4.0_7_9f3c2ab1";

#[test]
fn figures_say_what_was_decided_and_how_writes_went() {
    let (_guard, shop) = example("shop");
    let server = Server::start(&["--manifests", &shop], &[]).ready();
    for _ in 0..2 {
        server.post(&format!("/api/image/{NEW}")).is(200);
    }
    server.get("/api/image/%00").is(400);
    let figures = server.get("/metrics").is(200);
    assert!(
        figures
            .head
            .contains("content-type: application/openmetrics-text; version=1.0.0"),
        "{}",
        figures.head
    );
    let text = &figures.body;
    for line in [
        "hikaru_build_info{version=\"",
        "hikaru_decisions_total{route=\"/api/image/{image}\",verdict=\"upgrade\",code=\"upgrade\"} 2\n",
        "hikaru_decisions_total{route=\"/api/image/{image}\",verdict=\"equal\",code=\"equal\"} 2\n",
        "hikaru_http_requests_total{route=\"/api/image/{image}\",status=\"200\"} 2\n",
        "hikaru_http_requests_total{route=\"/api/image/{image}\",status=\"400\"} 1\n",
        "hikaru_http_request_duration_seconds_count{route=\"/api/image/{image}\"} 3\n",
        "hikaru_writes_total{outcome=\"written\"} 2\n",
        "hikaru_write_duration_seconds_bucket{le=\"+Inf\"} 2\n",
        "hikaru_writes_in_flight 0\n",
        "# UNIT hikaru_write_duration_seconds seconds\n",
    ] {
        assert!(text.contains(line), "expected {line:?} in:\n{text}");
    }
    assert!(text.ends_with("# EOF\n"), "{text}");
    // Nothing that a caller sent is a label, and a folder has no watch.
    assert!(!text.contains("acme") && !text.contains("index_"), "{text}");
}
