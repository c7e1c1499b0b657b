//! `HIKARU_WATCH_NAMESPACES` confines what is read and written, by each command and route, Jobs included.

use crate::{example, files, hikaru_with, serve::Server};

const NEW: &str = "ghcr.io/acme/shop:acme_shop_main_1.4.0_7_9f3c2ab1";
const JOB: &str = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate, namespace: shop}\nspec:\n  template:\n    spec:\n      \
                   restartPolicy: Never\n      containers: [{name: web, image: \"i:1\"}]\n";
const VARIABLES: [(&str, &str); 2] = [
    ("HIKARU_WATCH_NAMESPACES", "prod"),
    ("HIKARU_JOB_NAMESPACES", "*"),
];

/// What a command says to these variables, which ends with this exit code.
#[track_caller]
fn ends(args: &[&str], variables: &[(&str, &str)], code: i32) -> String {
    hikaru_with(variables, args).exits(code).err
}

#[test]
fn another_namespace_is_neither_read_nor_written() {
    let (guard, shop) = example("shop");
    let before = files(guard.path());
    let (job, path) = crate::folder(&[("job.yaml", JOB)]);
    let words = "HIKARU_WATCH_NAMESPACES: expected prod";
    let file = format!("{path}/job.yaml");
    let calls: [&[&str]; 7] = [
        &["upgrade", NEW, "--namespace", "shop"],
        &["upgrade", NEW, "--workload", "shop/deployment/storefront"],
        &["candidates", NEW, "--namespace", "shop"],
        &["unhold", "shop/deployment/storefront"],
        &["job", "run", "-f", &file],
        &["job", "from", "shop/report"],
        &["job", "list", "shop"],
    ];
    for call in calls {
        let args = [call, &["--manifests", &shop]].concat();
        let told = ends(&args, &VARIABLES, 3);
        assert!(told.contains(words), "{call:?}: {told}");
    }
    // What names no namespace finds nothing of the others.
    let told = ends(&["upgrade", NEW, "--manifests", &shop], &VARIABLES, 1);
    assert!(told.contains("nothing matched"), "{told}");
    for image in [NEW, "ghcr.io/acme/shop"] {
        let told = ends(&["find", image, "--manifests", &shop], &VARIABLES, 0);
        assert!(told.contains("no workload"), "{told}");
    }

    let server = Server::start(&["--manifests", &shop], &VARIABLES).ready();
    let image = |query: &str| format!("/api/image/{NEW}{query}");
    let yaml = "Content-Type: application/yaml\r\n";
    for answer in [
        server.post(&image("?namespace=shop")),
        server.post(&image("?workload=shop/deployment/storefront")),
        server.get(&format!("/api/candidates/{NEW}?namespace=prod,shop")),
        server.post_body("/api/job", yaml, JOB),
        server.post("/api/job/shop/from/report"),
        server.get("/api/job/shop"),
        server.get("/api/job/shop/migrate"),
        server.get("/api/job/shop/migrate/log"),
        server
            .request("DELETE", "/api/job/shop/migrate", "")
            .expect("an answer"),
        server
            .request("DELETE", "/api/hold/shop/deployment/storefront", "")
            .expect("an answer"),
    ] {
        let problem = answer.is(403).json();
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(words), "{detail}");
    }
    let metrics = server.get("/metrics").is(200).body;
    let refused = "hikaru_jobs_total{outcome=\"forbidden\",dry_run=\"false\"} 2\n";
    assert!(metrics.contains(refused), "{metrics}");
    assert_eq!(server.post(&image("")).is(200).body, "[]");
    assert_eq!(server.get(&image("")).is(200).body, "[]");
    drop(job);
    assert_eq!(files(guard.path()), before);
}

/// It confined less, and to pass it over would confine nothing at all.
#[test]
fn the_old_name_of_the_variable_is_an_error() {
    let (_guard, shop) = example("shop");
    for args in [
        &["upgrade", NEW, "--manifests", &shop][..],
        &["serve", "--listen", "127.0.0.1:0", "--manifests", &shop],
    ] {
        let told = ends(args, &[("HIKARU_NAMESPACES", "shop")], 1);
        assert!(told.contains("HIKARU_WATCH_NAMESPACES"), "{told}");
    }
}
