//! `hikaru serve --manifests DIR`: the same job over HTTP as by the command, and who may call.

use serde_json::json;

use super::{Server, request};
use crate::{example, files, hikaru, hikaru_with};

const NEW: &str = "ghcr.io/acme/shop:acme_shop_main_1.4.0_7_9f3c2ab1";

#[test]
fn a_post_upgrades_a_folder_as_the_command_does() {
    let (guard, shop) = example("shop");
    let server = Server::start(&["--manifests", &shop], &[]).ready();
    let planned = server.get(&format!("/api/candidates/{NEW}")).is(200).json();
    assert_eq!(planned["upgrade"].as_array().map(Vec::len), Some(2));
    let container = |name: &str, from: &str| json!([{"name": name, "from": format!("ghcr.io/acme/shop:{from}"), "to": NEW}]);
    let upgraded = json!([
        {"namespace": "shop", "name": "report", "kind": "CronJob", "file": "report.yaml#1", "containers": container("report", "latest")},
        {"namespace": "shop", "name": "storefront", "kind": "Deployment", "file": "storefront.yaml#1",
         "containers": container("web", "acme_shop_main_1.4.0_6_51c0ffee")},
    ]);
    let dry = server
        .post(&format!("/api/image/{NEW}?dryRun=true"))
        .is(200);
    assert_eq!(dry.json(), upgraded);
    assert_eq!(
        server.post(&format!("/api/image/{NEW}")).is(200).json(),
        upgraded
    );
    assert_eq!(
        server.post(&format!("/api/image/{NEW}")).is(200).json(),
        json!([])
    );
    let users = server.get(&format!("/api/image/{NEW}")).is(200).json();
    assert_eq!(users[0]["namespace"], "shop");

    let (other, path) = example("shop");
    crate::hikaru(&["upgrade", NEW, "--manifests", &path]).exits(0);
    let texts = |files: Vec<(std::path::PathBuf, String)>| {
        files.into_iter().map(|(_, text)| text).collect::<Vec<_>>()
    };
    assert_eq!(texts(files(guard.path())), texts(files(other.path())));
}

#[test]
fn a_line_is_logged_for_each_request() {
    let (_guard, shop) = example("shop");
    let server = Server::start(
        &["--manifests", &shop],
        &[("HIKARU_API_TOKEN", "s3cret-t0ken-of-ours")],
    );
    let token = "Authorization: Bearer s3cret-t0ken-of-ours\r\n";
    let answer = server
        .request("POST", &format!("/api/image/{NEW}"), token)
        .expect("an answer")
        .is(200);
    assert!(answer.head.contains("x-request-id: "));
    server.post(&format!("/api/image/{NEW}")).is(401);
    server.signal("TERM");
    let log = loop {
        let log = server.log();
        if log.contains("drained") {
            break log;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    };
    assert!(server.end().success());
    assert!(
        log.contains(NEW) && log.contains("\"status\":200") && log.contains("\"status\":401"),
        "{log}"
    );
    assert!(!log.contains("s3cret"), "{log}");
    let id = answer.head.split("x-request-id: ").nth(1);
    let id = id.and_then(|rest| rest.lines().next()).expect("an id");
    let events = log.lines().map(serde_json::from_str::<serde_json::Value>);
    let changes: Vec<_> = events
        .filter_map(Result::ok)
        .filter(|event| event["outcome"] == "upgraded")
        .collect();
    let [report, storefront] = &changes[..] else {
        panic!("a line for each change: {log}")
    };
    assert_eq!(report["name"], "report");
    for (member, value) in [
        ("level", "INFO"),
        ("namespace", "shop"),
        ("kind", "Deployment"),
        ("name", "storefront"),
        ("file", "storefront.yaml#1"),
        ("container", "web"),
        ("from", "ghcr.io/acme/shop:acme_shop_main_1.4.0_6_51c0ffee"),
        ("to", NEW),
        ("caller", "token 1"),
        ("request_id", id),
    ] {
        assert_eq!(storefront[member], value, "{member}");
    }
}

#[test]
fn the_form_of_the_log_can_be_chosen() {
    let (_guard, shop) = example("shop");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    // It ends since the address is taken, when its first line is written.
    let log = |flags: &[&str], variable: &str| {
        let serve = ["serve", "--manifests", &shop, "--listen", &address];
        let variables = [("HIKARU_LOG_FORMAT", variable)];
        let text = hikaru_with(&variables, &[&serve[..], flags].concat())
            .exits(1)
            .err;
        let first = text.lines().next().expect("a line").to_owned();
        let json = serde_json::from_str::<serde_json::Value>(&first).is_ok();
        assert!(first.contains("the manifests in"), "{first}");
        assert!(json || first.contains(" INFO "), "{first}");
        json
    };
    assert!(log(&[], ""), "JSON where no terminal is");
    assert!(!log(&["--log-format", "text"], ""));
    assert!(!log(&[], "text"));
    assert!(log(&["--log-format=json"], "text"));
}

#[test]
fn a_token_that_can_be_guessed_is_refused() {
    let (_guard, shop) = example("shop");
    let serve = ["serve", "--manifests", &shop, "--listen", "127.0.0.1:0"];
    let ran = hikaru_with(&[("HIKARU_API_TOKEN", "fifteen-letters")], &serve)
        .exits(1)
        .tells(&["the token has 15 bytes: expected at least 16"]);
    assert!(!ran.err.contains("fifteen-letters"), "{}", ran.err);
}

#[test]
fn probes_have_a_listener_of_their_own_and_sighup_ends_nothing() {
    let (_guard, shop) = example("shop");
    let args = ["--manifests", &shop, "--probe-listen", "127.0.0.1:0"];
    let server = Server::start(&args, &[("HIKARU_API_TOKEN", "s3cret-t0ken-of-ours")]);
    let log = server.log();
    let events = log
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let probes = events
        .filter(|event| event["message"] == "listening for probes and metrics")
        .find_map(|event| Some(event["address"].as_str()?.to_owned()));
    let probes = probes.expect("the address of the probes");
    let status = |path: &str, head: &str| {
        let answer = request(&probes, "GET", path, head);
        answer.expect("an answer").status
    };
    let token = "Authorization: Bearer s3cret-t0ken-of-ours\r\n";
    assert_eq!(status("/livez", ""), 200);
    assert_eq!(status("/readyz", ""), 200);
    assert_eq!(status("/metrics", ""), 200);
    assert_eq!(status(&format!("/api/image/{NEW}"), ""), 401);
    assert_eq!(status(&format!("/api/image/{NEW}"), token), 404);
    assert_eq!(server.get("/metrics").status, 401);

    server.signal("HUP");
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !server.log().contains("SIGHUP") {
        assert!(std::time::Instant::now() < until, "{}", server.log());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!(status("/livez", ""), 200);
    server.signal("TERM");
    assert!(server.end().success());
}

#[test]
fn without_a_token_only_this_machine_may_call() {
    let (_guard, shop) = example("shop");
    for (flags, expected) in [
        (
            vec!["--listen", "0.0.0.0:0"],
            "without a token hikaru listens on a loopback address only",
        ),
        (vec!["--listen", "somewhere"], "--listen"),
    ] {
        let mut args = vec!["serve", "--manifests", &shop];
        args.extend(flags);
        hikaru(&args).exits(2).tells(&[expected]);
    }
    let server = Server::start(&["--manifests", &shop], &[]);
    let path = format!("/api/candidates/{NEW}");
    let status = |head: &str| {
        request(server.address(), "GET", &path, head)
            .expect("an answer")
            .status
    };
    assert_eq!(status(""), 200);
    assert_eq!(status("Host: localhost:8080\r\n"), 200);
    assert_eq!(status("Host: evil.example\r\n"), 403);
    assert_eq!(status("Origin: https://evil.example\r\n"), 403);
    assert_eq!(status("Sec-Fetch-Site: cross-site\r\n"), 403);
}

#[test]
fn a_folder_that_is_gone_is_not_ready_and_comes_back() {
    let (guard, shop) = example("shop");
    let server = Server::start(&["--manifests", &shop], &[]).ready();
    let away = format!("{shop}-away");
    std::fs::rename(&shop, &away).expect("moved");
    assert_eq!(server.get("/readyz").status, 503);
    let gone = server.post(&format!("/api/image/{NEW}")).is(503);
    assert!(gone.head.contains("retry-after: "), "{}", gone.head);
    std::fs::rename(&away, &shop).expect("moved back");
    server.post(&format!("/api/image/{NEW}")).is(200);
    drop(guard);
}
