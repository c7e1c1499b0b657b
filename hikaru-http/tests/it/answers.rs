//! What each route answers, as golden JSON. What is refused is in `bad_input`.

use std::{sync::Arc, time::Duration};

use hikaru_core::{
    TagFormats,
    port::{ClusterError, Fault, Found, Freshness, Severity, WorkloadPort},
    testing::{MemoryCluster, MockWorkloadPort},
    workload::{Owner, Place, Setting},
};
use hikaru_http::{Authentication, Bound, wire};
use serde_json::{Value, json};

use crate::{
    client::{Answer, call, call_with},
    cluster::{
        BEFORE, POSTED, image_of, listener, memory, runs, serve, serve_found, shop, workload,
    },
};

const POST: &str = "/api/image/acme/web:acme_web_main_1.4.0_7_0123abcd";
const CANDIDATES: &str = "/api/candidates/acme/web:acme_web_main_1.4.0_7_0123abcd";

pub(crate) fn entry(namespace: &str, kind: &str, name: &str, containers: Value) -> Value {
    json!({"namespace": namespace, "name": name, "kind": kind, "containers": containers})
}

pub(crate) fn replaced(name: &str) -> Value {
    json!({"name": name, "from": BEFORE, "to": POSTED})
}

fn build() -> Value {
    json!({"version": "1.4.0", "build": "7", "commit": "0123abcd",
           "readings": [{"owner": "acme", "repo": "web", "branch": "main"}]})
}

/// Each verdict once, and some order to be had.
pub(crate) fn town() -> Arc<MemoryCluster> {
    let mut manual = workload("shop", "Deployment", "manual", &[("web", BEFORE)]);
    manual
        .settings
        .push(Setting::new(Place::Label, "upgrade", "manual"));
    let mut held = workload("shop", "Deployment", "held", &[("web", BEFORE)]);
    held.containers[0].mark = Some("1.4.0_7_d5ecc80e".into());
    memory([
        workload("shop", "StatefulSet", "web", &[("web", BEFORE)]),
        workload(
            "shop",
            "Deployment",
            "web",
            &[("proxy", "acme/proxy:1"), ("web", BEFORE), ("same", POSTED)],
        ),
        workload("bar", "Deployment", "zoo", &[("a", BEFORE), ("b", BEFORE)]),
        workload("shop", "Deployment", "equal", &[("web", POSTED)]),
        workload(
            "shop",
            "Deployment",
            "newer",
            &[("web", "acme/web:acme_web_main_2.0.0_1_none")],
        ),
        manual,
        held,
    ])
}

#[tokio::test]
async fn an_upgrade_lists_what_is_upgraded_sorted() {
    let cluster = town();
    let server = serve(cluster.clone()).await;
    let answer = call(server.address(), "POST", POST).await;
    assert_eq!(answer.status, 200);
    let expected = json!([
        entry(
            "bar",
            "Deployment",
            "zoo",
            json!([replaced("a"), replaced("b")])
        ),
        entry("shop", "Deployment", "web", json!([replaced("web")])),
        entry("shop", "StatefulSet", "web", json!([replaced("web")])),
    ]);
    assert_eq!(answer.json(), expected);
    assert!(
        answer.text.starts_with(r#"[{"namespace":"bar","name":"zoo","kind":"Deployment","containers":[{"name":"a","from":"#),
        "the members' order, for people: {}",
        answer.text
    );
    assert_eq!(image_of(&cluster, "shop", "StatefulSet", "web"), POSTED);
    assert_eq!(image_of(&cluster, "shop", "Deployment", "manual"), BEFORE);
    let again = call(server.address(), "POST", POST).await;
    assert_eq!((again.status, &*again.text), (200, "[]"));
}

#[tokio::test]
async fn in_a_folder_the_file_is_named() {
    let mut web = workload("shop", "Deployment", "web", &[("web", BEFORE)]);
    web.id = web.id.at("web.yaml#1");
    let server = serve(memory([web])).await;
    let answer = call(server.address(), "POST", POST).await;
    assert_eq!(answer.json()[0]["file"], "web.yaml#1");
}

#[tokio::test]
async fn a_full_report_says_what_was_done() {
    let server = serve(shop()).await;
    let answer = call(server.address(), "POST", &format!("{POST}?report=full")).await;
    let container = json!({"name": "web", "from": BEFORE, "to": POSTED, "verdict": "upgrade", "code": "upgrade",
                           "reason": "1.4.0_7 follows 1.3.0_6"});
    assert_eq!(
        answer.json(),
        json!({
            "caller": {"name": "anonymous"},
            "image": POSTED, "build": build(),
            "upgrade": [{"namespace": "shop", "kind": "Deployment", "name": "web", "warnings": [],
                         "containers": [container]}],
            "equal": [], "obsolete": [], "skipped": [],
        })
    );
}

#[tokio::test]
async fn a_dry_run_writes_nothing() {
    let cluster = shop();
    let server = serve(cluster.clone()).await;
    let answer = call(server.address(), "POST", &format!("{POST}?dryRun=true")).await;
    let listed = json!([entry("shop", "Deployment", "web", json!([replaced("web")]))]);
    assert_eq!((answer.status, answer.json()), (200, listed));
    assert_eq!(runs(&cluster), BEFORE);
}

#[tokio::test]
async fn a_post_is_narrowed_and_forced() {
    for (query, upgraded) in [
        ("namespace=bar", &["zoo"][..]),
        ("namespace=bar,nowhere&namespace=elsewhere", &["zoo"]),
        ("workload=shop/statefulset/web", &["web"]),
        (
            "workload=shop/statefulset/web,bar/Deployment/zoo",
            &["zoo", "web"],
        ),
        ("namespace=shop&force=manual", &["manual", "web", "web"]),
        (
            "namespace=shop&force=true",
            &["held", "manual", "newer", "web", "web"],
        ),
        ("owner=acme&repo=web&branch=main&namespace=bar", &["zoo"]),
        ("owner=other", &[]),
        ("repo=other", &[]),
        ("branch=other", &[]),
        ("strict=false&dryRun=false&namespace=bar", &["zoo"]),
    ] {
        let server = serve(town()).await;
        let answer = call(server.address(), "POST", &format!("{POST}?{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text);
        let json = answer.json();
        let names = json.as_array().expect("a list").iter();
        let names: Vec<&str> = names.filter_map(|entry| entry["name"].as_str()).collect();
        assert_eq!(names, upgraded, "{query}");
    }
}

#[tokio::test]
async fn strict_does_what_it_can_and_then_fails() {
    let cluster = town();
    let server = serve(cluster.clone()).await;
    let answer = call(server.address(), "POST", &format!("{POST}?strict=true")).await;
    assert_eq!(answer.status, 409);
    let problem = answer.problem();
    let expected = ("strict".into(), "1 container stays behind: held".into());
    assert_eq!(problem, expected);
    let report = &answer.json()["report"];
    assert_eq!(report["upgrade"].as_array().map(Vec::len), Some(3));
    assert_eq!(report["skipped"][0]["containers"][0]["code"], "held");
    assert_eq!(image_of(&cluster, "shop", "StatefulSet", "web"), POSTED);

    let nothing = call(
        server.address(),
        "POST",
        "/api/image/acme/x:acme_web_main_1_1_none?strict=true",
    )
    .await;
    assert_eq!(nothing.status, 409);
    assert_eq!(
        nothing.problem(),
        (
            "strict".into(),
            "nothing matched: see nearMisses of the report".into()
        )
    );
    let content = call(server.address(), "POST", &format!("{POST}?strict=true&workload=shop/Deployment/equal,shop/Deployment/newer,shop/Deployment/manual")).await;
    assert_eq!((content.status, &*content.text), (200, "[]"));
}

#[tokio::test]
async fn candidates_change_nothing() {
    let cluster = town();
    let server = serve(cluster.clone()).await;
    let answer = call(
        server.address(),
        "GET",
        &format!("{CANDIDATES}?namespace=shop&force=manual"),
    )
    .await;
    assert_eq!(answer.status, 200);
    let json = answer.json();
    let names = |list: &str| -> Vec<String> {
        let entries = json[list].as_array().expect(list).iter();
        entries
            .map(|e| format!("{}/{}", e["kind"], e["name"]).replace('"', ""))
            .collect()
    };
    assert_eq!(json["image"], POSTED);
    assert_eq!(json["build"], build());
    assert_eq!(
        names("upgrade"),
        ["Deployment/manual", "Deployment/web", "StatefulSet/web"]
    );
    assert_eq!(names("equal"), ["Deployment/equal"]);
    assert_eq!(names("obsolete"), ["Deployment/newer"]);
    assert_eq!(names("skipped"), ["Deployment/held"]);
    assert_eq!(image_of(&cluster, "shop", "StatefulSet", "web"), BEFORE);
}

#[tokio::test]
async fn who_uses_an_image() {
    let server = serve(town()).await;
    for (image, expected) in [
        (
            POSTED.to_owned(),
            json!([{"namespace": "bar", "services": ["zoo"]},
                   {"namespace": "shop", "services": ["equal", "held", "manual", "newer", "web"]}]),
        ),
        (
            "docker.io/acme/proxy".to_owned(),
            json!([{"namespace": "shop", "services": ["web"]}]),
        ),
        ("acme/proxy:2".to_owned(), json!([])),
        ("localhost:5000/a/b/c:t".to_owned(), json!([])),
        (format!("acme/proxy@sha256:{}", "0".repeat(64)), json!([])),
    ] {
        let answer = call(server.address(), "GET", &format!("/api/image/{image}")).await;
        assert_eq!((answer.status, answer.json()), (200, expected), "{image}");
    }
}

#[tokio::test]
async fn the_image_is_percent_decoded_once() {
    let cluster = shop();
    let server = serve(cluster.clone()).await;
    let encoded = "/api/image/acme%2fweb%3Aacme_web_main_1.4.0_7_0123abcd";
    let answer = call(server.address(), "POST", encoded).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(
        runs(&cluster),
        POSTED,
        "written as it was meant, not as it was encoded"
    );
}

#[tokio::test]
async fn a_head_is_a_get_without_its_body() {
    let server = serve(town()).await;
    for target in ["/livez", "/readyz", CANDIDATES, "/api/image/acme/proxy"] {
        let get = call(server.address(), "GET", target).await;
        let head = call(server.address(), "HEAD", target).await;
        assert_eq!(head.status, 200, "{target}");
        assert_eq!(head.header("content-length"), get.header("content-length"));
        assert_eq!(head.text, "");
    }
}

#[tokio::test]
async fn other_formats_of_tags() {
    let cluster = memory([workload(
        "shop",
        "Deployment",
        "web",
        &[("web", "acme/web:1.3.0")],
    )]);
    let bound = Bound::new(
        listener().await,
        cluster.clone(),
        crate::cluster::still_clock(),
        Authentication::Loopback,
    );
    let formats: TagFormats = "v".parse().expect("a format");
    let server = bound.expect("loopback").formats(formats).serve();
    let answer = call(
        server.address(),
        "POST",
        "/api/image/acme/web:1.4.0?owner=acme",
    )
    .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(runs(&cluster), "acme/web:1.4.0");
}

#[tokio::test]
async fn a_request_id_is_kept_or_made() {
    let server = serve(shop()).await;
    let kept = call_with(server.address(), "GET", "/livez", &["X-Request-Id: run-7"]).await;
    assert_eq!(kept.header("x-request-id"), Some("run-7"));
    let kept = call_with(
        server.address(),
        "GET",
        "/nowhere",
        &["X-Request-Id: run-7"],
    )
    .await;
    assert_eq!(kept.json()["requestId"], "run-7");
    let made = call_with(server.address(), "GET", "/livez", &["X-Request-Id: a b"]).await;
    assert_ne!(made.header("x-request-id"), Some("a b"));
}

/// A cluster that is as fresh as that.
fn fresh(freshness: Freshness) -> Arc<dyn WorkloadPort> {
    let mut cluster = MockWorkloadPort::new();
    cluster.expect_freshness().return_const(freshness);
    Arc::new(cluster)
}

#[tokio::test]
async fn a_view_that_is_not_fresh_gives_no_answer() {
    let reason = || Some("no connection: connection refused".to_owned());
    for (freshness, detail) in [
        (
            Freshness::Syncing { reason: None },
            "the cluster has not been read completely yet",
        ),
        (
            Freshness::Syncing { reason: reason() },
            "the cluster has not been read completely yet: no connection: connection refused",
        ),
        (
            Freshness::Stale { reason: reason() },
            "what is known of the cluster is out of date: no connection: connection refused",
        ),
    ] {
        let server = serve(fresh(freshness)).await;
        for (method, target, problem) in [
            ("GET", "/readyz", "not-ready"),
            ("POST", POST, "unavailable"),
            ("GET", CANDIDATES, "unavailable"),
            ("GET", "/api/image/acme/web", "unavailable"),
        ] {
            let answer = call(server.address(), method, target).await;
            assert_eq!(
                (answer.status, &*answer.problem().0),
                (503, problem),
                "{target}"
            );
            let told = answer.json()["detail"].to_string();
            assert!(told.contains(detail), "{target}: {told}");
        }
        assert_eq!(call(server.address(), "GET", "/livez").await.status, 200);
    }
    let server = serve(fresh(Freshness::Fresh)).await;
    let answer = call(server.address(), "GET", "/readyz").await;
    assert_eq!(
        (answer.status, &*answer.text),
        (200, r#"{"status":"ready"}"#)
    );
}

/// A kind that cannot be read: not ready, and each call that it may concern fails after the rest of it has been done.
#[tokio::test]
async fn a_view_that_lacks_a_part_is_not_ready_and_says_so() {
    let mut cluster = MockWorkloadPort::new();
    let reason = "deployments.apps: User \"hikaru\" cannot list resource";
    cluster
        .expect_freshness()
        .returning(move || Freshness::Incomplete {
            reason: reason.to_owned(),
        });
    cluster.expect_find().returning(move |_| {
        let fault = Fault::new(Severity::Failure, "deployments.apps", "cannot list");
        Ok(Found::new(Vec::new(), vec![fault]))
    });
    let server = serve(Arc::new(cluster)).await;
    let ready = call(server.address(), "GET", "/readyz").await;
    assert_eq!((ready.status, &*ready.problem().0), (503, "not-ready"));
    let detail = ready.json()["detail"].clone();
    assert_eq!(
        detail,
        format!("a part of the cluster cannot be read: {reason}")
    );
    let strict = format!("{POST}?strict=true");
    for (method, target) in [
        ("POST", POST),
        ("POST", &strict),
        ("GET", CANDIDATES),
        ("GET", "/api/image/acme/web"),
    ] {
        let answer = call(server.address(), method, target).await;
        let problem = answer.problem();
        assert_eq!(
            (answer.status, &*problem.0),
            (502, "incomplete"),
            "{target}"
        );
        assert_eq!(answer.json()["faults"][0]["place"], "deployments.apps");
    }
}

#[tokio::test]
async fn a_cluster_that_fails_is_told() {
    let unavailable = |retry_after| ClusterError::Unavailable {
        message: "connection refused".into(),
        retry_after,
    };
    let fractional = Some(Duration::from_millis(2500));
    for (error, status, problem, after) in [
        (unavailable(fractional), 503, "unavailable", Some("3")),
        (unavailable(None), 503, "unavailable", Some("5")),
        (
            ClusterError::Lost("reset".into()),
            503,
            "unavailable",
            Some("5"),
        ),
        (
            ClusterError::Forbidden("list pods".into()),
            422,
            "refused",
            None,
        ),
        (
            ClusterError::Outside {
                found: "edge".into(),
                expected: "prod".into(),
            },
            403,
            "namespace-forbidden",
            None,
        ),
        (ClusterError::Invalid("no".into()), 422, "refused", None),
        (ClusterError::Unsupported("that"), 501, "unsupported", None),
    ] {
        let sentence = wire::cluster_error(&error);
        let server = serve_found(move || Err(error.clone())).await;
        for (method, target) in [
            ("POST", POST),
            ("GET", CANDIDATES),
            ("GET", "/api/image/acme/web"),
        ] {
            let answer = call(server.address(), method, target).await;
            assert_eq!(answer.status, status, "{target}");
            assert_eq!(answer.problem(), (problem.to_owned(), sentence.clone()));
            assert_eq!(answer.header("retry-after"), after);
        }
    }
}

#[tokio::test]
async fn a_strict_call_may_allow_that_nothing_matches() {
    let server = serve(town()).await;
    let nothing = "/api/image/acme/x:acme_web_main_1_1_none?strict=true&allowNone=true";
    let answer = call(server.address(), "POST", nothing).await;
    assert_eq!((answer.status, &*answer.text), (200, "[]"));
    let behind = format!("{POST}?strict=true&allowNone=true");
    let answer = call(server.address(), "POST", &behind).await;
    assert_eq!(answer.status, 409, "what stays behind fails all the same");
}

#[tokio::test]
async fn a_kind_may_be_short_and_an_unknown_one_is_refused() {
    let server = serve(town()).await;
    for workload in [
        "shop/sts/web",
        "shop/statefulsets/web",
        "shop/StatefulSet/web",
    ] {
        let target = format!("{CANDIDATES}?workload={workload}");
        let answer = call(server.address(), "GET", &target).await.json();
        assert_eq!(answer["upgrade"][0]["kind"], "StatefulSet", "{workload}");
    }
    let expected = "expected one of the kinds Deployment (deploy), StatefulSet (sts), DaemonSet (ds), CronJob (cj), Rollout, \
                    found `depl`";
    let bound = Bound::new(
        listener().await,
        town(),
        crate::cluster::still_clock(),
        Authentication::Loopback,
    );
    let bound = bound.expect("a server").kinds(vec!["Rollout".into()]);
    let server = bound.serve();
    for (method, target, problem) in [
        (
            "GET",
            format!("{CANDIDATES}?workload=shop/depl/web"),
            "bad-query",
        ),
        (
            "POST",
            format!("{POST}?workload=shop/depl/web"),
            "bad-query",
        ),
        ("DELETE", "/api/hold/shop/depl/web".to_owned(), "bad-name"),
    ] {
        let answer = call(server.address(), method, &target).await;
        let (found, detail) = answer.problem();
        assert_eq!((answer.status, &*found), (400, problem), "{target}");
        assert!(detail.ends_with(expected), "{detail}");
    }
    let added = format!("{POST}?workload=shop/rollout/web");
    assert_eq!(call(server.address(), "POST", &added).await.status, 200);
}

#[tokio::test]
async fn a_plain_answer_has_the_warnings_there_are() {
    let mut owned = workload("shop", "Deployment", "web", &[("web", BEFORE)]);
    owned.owner = Some(Owner::Helm {
        release: "web".into(),
    });
    let server = serve(memory([
        owned,
        workload("shop", "StatefulSet", "web", &[("web", BEFORE)]),
    ]))
    .await;
    let answer = call(server.address(), "POST", POST).await.json();
    let warning = answer[0]["warnings"][0].as_str().expect("a warning");
    assert!(warning.contains("the Helm release web"), "{warning}");
    assert_eq!(answer[1].get("warnings"), None);
}

#[tokio::test]
async fn workloads_that_cannot_be_read_make_an_answer_incomplete() {
    let found = |severity| {
        move || {
            let web = workload("shop", "Deployment", "web", &[("web", POSTED)]);
            let fault = Fault::new(severity, "b.yaml:1:2", "no YAML");
            Ok(Found::new(vec![web.into()], vec![fault]))
        }
    };
    let server = serve_found(found(Severity::Failure)).await;
    let fault = json!([{"place": "b.yaml:1:2", "message": "no YAML", "failure": true}]);
    let ask = async |method: &str, target: &str| -> Answer {
        let answer = call(server.address(), method, target).await;
        assert_eq!(
            (answer.status, &*answer.problem().0),
            (502, "incomplete"),
            "{target}"
        );
        assert_eq!(answer.json()["faults"], fault, "{target}");
        answer
    };
    let answer = ask("POST", POST).await.json();
    assert_eq!(
        (&answer["upgraded"], &answer["failed"]),
        (&json!([]), &json!([]))
    );
    let answer = ask("GET", CANDIDATES).await.json();
    assert_eq!(answer["report"]["equal"][0]["name"], "web");
    let answer = ask("GET", "/api/image/acme/web").await.json();
    assert_eq!(
        answer["found"],
        json!([{"namespace": "shop", "services": ["web"]}])
    );

    let server = serve_found(found(Severity::Warning)).await;
    for (method, target) in [
        ("POST", POST),
        ("GET", CANDIDATES),
        ("GET", "/api/image/acme/web"),
    ] {
        assert_eq!(
            call(server.address(), method, target).await.status,
            200,
            "{target}"
        );
    }
}

#[tokio::test]
async fn a_panic_is_an_answer() {
    let server = serve_found(|| panic!("planted")).await;
    for (method, target) in [
        ("POST", POST),
        ("GET", CANDIDATES),
        ("GET", "/api/image/acme/web"),
    ] {
        let answer = call(server.address(), method, target).await;
        assert_eq!((answer.status, &*answer.problem().0), (500, "internal"));
        assert!(!answer.text.contains("planted"), "that is for the log");
    }
    crate::cluster::works(server.address()).await;
}
