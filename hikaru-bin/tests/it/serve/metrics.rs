//! `/metrics` of the running program, as Prometheus reads it.

use super::Server;
use crate::example;

const NEW: &str = "ghcr.io/acme/shop:acme_shop_main_1.4.0_7_9f3c2ab1";

#[test]
fn figures_say_what_was_decided_and_how_writes_went() {
    let (_guard, shop) = example("shop");
    let server = Server::start(&["--manifests", &shop], &[]).ready();
    server
        .post(&format!("/api/image/{NEW}?dryRun=true"))
        .is(200);
    for _ in 0..2 {
        server.post(&format!("/api/image/{NEW}")).is(200);
    }
    server.get("/api/image/%00").is(400);
    let figures = server.get("/metrics").is(200);
    let plain = "content-type: text/plain; version=0.0.4; charset=utf-8";
    assert!(figures.head.contains(plain), "{}", figures.head);
    let text = &figures.body;
    for line in [
        "hikaru_build_info{version=\"",
        "hikaru_decisions_total{route=\"/api/image/{image}\",verdict=\"upgrade\",code=\"upgrade\",dry_run=\"false\"} 2\n",
        "hikaru_decisions_total{route=\"/api/image/{image}\",verdict=\"upgrade\",code=\"upgrade\",dry_run=\"true\"} 2\n",
        "hikaru_decisions_total{route=\"/api/image/{image}\",verdict=\"equal\",code=\"equal\",dry_run=\"false\"} 2\n",
        "hikaru_http_requests_total{route=\"/api/image/{image}\",status=\"200\"} 3\n",
        "hikaru_http_requests_total{route=\"/api/image/{image}\",status=\"400\"} 1\n",
        "hikaru_refusals_total{problem=\"bad-reference\",code=\"bad-reference\"} 1\n",
        "hikaru_http_request_duration_seconds_count{route=\"/api/image/{image}\"} 4\n",
        "hikaru_http_request_duration_seconds_bucket{route=\"/api/image/{image}\",le=\"300\"} 4\n",
        "hikaru_writes_total{outcome=\"written\",dry_run=\"false\"} 2\n",
        "hikaru_writes_total{outcome=\"written\",dry_run=\"true\"} 2\n",
        "hikaru_write_duration_seconds_bucket{le=\"+Inf\"} 4\n",
        "hikaru_writes_in_flight 0\n",
        "# TYPE hikaru_writes_total counter\n",
        "# TYPE process_cpu_seconds_total counter\n",
        "# TYPE process_resident_memory_bytes gauge\n",
        "process_start_time_seconds ",
        "process_virtual_memory_bytes ",
        "process_threads ",
        "process_open_fds ",
        "process_max_fds ",
    ] {
        assert!(text.contains(line), "expected {line:?} in:\n{text}");
    }
    assert!(
        !text.contains("# EOF") && !text.contains("# UNIT"),
        "{text}"
    );
    for name in [
        "process_resident_memory_bytes ",
        "process_start_time_seconds ",
        "process_open_fds ",
    ] {
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.parse::<f64>().ok());
        assert!(value.is_some_and(|value| value > 1.0), "{name}: {value:?}");
    }
    // Nothing that a caller sent is a label, and a folder has no watch.
    assert!(!text.contains("acme") && !text.contains("index_"), "{text}");

    let accept = "Accept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3\r\n";
    let open = server
        .request("GET", "/metrics", accept)
        .expect("an answer");
    let media = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert!(open.head.contains(media), "{}", open.head);
    let unit = "# UNIT hikaru_write_duration_seconds seconds\n";
    assert!(
        open.body.contains(unit) && open.body.ends_with("# EOF\n"),
        "{}",
        open.body
    );
}

#[test]
fn refusals_are_counted_by_problem_and_code() {
    let (_guard, shop) = example("shop");
    let token = [("HIKARU_API_TOKEN", "s3cret-t0ken-of-ours")];
    let server = Server::start(&["--manifests", &shop], &token).ready();
    let good = "Authorization: Bearer s3cret-t0ken-of-ours\r\n";
    for (header, status) in [
        ("", 401),
        ("", 401),
        ("Authorization: Bearer wrong\r\n", 401),
        (good, 200),
    ] {
        let answer = server.request("GET", "/api/status", header);
        answer.expect("an answer").is(status);
    }
    let figures = server.request("GET", "/metrics", good);
    let text = figures.expect("an answer").is(200).body;
    for line in [
        "hikaru_refusals_total{problem=\"unauthorized\",code=\"no-credentials\"} 2\n",
        "hikaru_refusals_total{problem=\"unauthorized\",code=\"bad-credentials\"} 1\n",
    ] {
        assert!(text.contains(line), "expected {line:?} in:\n{text}");
    }
}
