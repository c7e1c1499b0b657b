//! `hikaru rollout` and `hikaru status`: what is told before a cluster is asked, and in a folder of manifests. Rollouts of a cluster
//! are in `live`.

use serde_json::json;

use super::{example, folder, hikaru, hikaru_with, serve::Server};

#[test]
fn bad_flags_and_arguments() {
    for (args, told) in [
        (&["rollout"][..], "<NAMESPACE/[KIND/]NAME>"),
        (
            &["rollout", "web"],
            "expected NAMESPACE/NAME or NAMESPACE/KIND/NAME, found `web`",
        ),
        (&["rollout", "Shop/web"], "expected a namespace"),
        (&["rollout", "shop/deploy/we b"], "expected a name"),
        (
            &["rollout", "shop/pod/web"],
            "expected one of the kinds Deployment (deploy)",
        ),
        (&["rollout", "shop/web", "--watch"], "unexpected argument"),
        (
            &["rollout", "shop/web", "--output", "yaml"],
            "[possible values: table, json]",
        ),
        (
            &["status", "acme"],
            "expected OWNER/REPO or OWNER/REPO/BRANCH",
        ),
        (
            &["status", "acme/web/main/x"],
            "expected OWNER/REPO or OWNER/REPO/BRANCH",
        ),
        (&["status", "--namespace", "a,B"], "expected a namespace"),
    ] {
        let ran = hikaru(args).exits(2);
        assert!(ran.err.contains(told), "{args:?}: {}", ran.err);
    }
    let logs = [("HIKARU_ROLLOUT_LOGS", "yes")];
    let (_guard, shop) = example("shop");
    hikaru_with(&logs, &["status", "--manifests", &shop])
        .exits(1)
        .tells(&["error: HIKARU_ROLLOUT_LOGS: expected true or false, found `yes`"]);
}

#[test]
fn in_a_folder_nothing_rolls_out() {
    let (_guard, shop) = example("shop");
    let why = "in a folder of manifests nothing rolls out: hikaru rollout needs a cluster";
    for output in ["table", "json"] {
        hikaru(&[
            "rollout",
            "shop/storefront",
            "--manifests",
            &shop,
            "--output",
            output,
        ])
        .exits(3)
        .tells(&[why]);
    }
    let server = Server::start(&["--manifests", &shop], &[]).ready();
    let refused = server.get("/api/rollout/shop/deploy/storefront").is(501);
    assert_eq!(refused.json()["type"], "urn:hikaru:problem:unsupported");
    let rows = server
        .get("/api/status?owner=acme&repo=shop")
        .is(200)
        .json();
    assert_eq!(rows[0]["state"], "not-applicable", "{rows}");
}

#[test]
fn a_status_of_a_folder_has_builds_and_marks() {
    let manifest = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
  labels: {owner: acme, repo: web, branch: main, hikaru.dev/upgrade: manual, high-water.hikaru.dev/web: 1.4.0_7_d5ecc80e}
spec:
  template:
    spec:
      containers:
      - {name: web, image: \"acme/web:acme_web_main_1.3.0_6_0123abcd\"}
      - {name: proxy, image: \"proxy:2.0\"}
";
    let (_guard, dir) = folder(&[("web.yaml", manifest)]);
    let status =
        |args: &[&str]| hikaru(&[&["status", "--manifests", &dir], args].concat()).exits(0);
    let ran = status(&[]);
    let row = ran.row("shop/Deployment/web");
    for part in [
        "web.yaml#1",
        "acme/web/main",
        "1.3.0_6",
        "0123abcd",
        "1.4.0_7",
        "not-applicable",
        "opted out by the label hikaru.dev/upgrade: manual",
        "the container web runs 1.3.0_6, lower than 1.4.0_7",
    ] {
        assert!(row.contains(part), "expected {part:?} in {row}");
    }
    assert!(!ran.out.contains("2.0"), "{}", ran.out);
    let rows = status(&["acme/web", "--namespace", "shop", "--output", "json"]).json();
    assert_eq!(
        (
            &rows[0]["held"],
            &rows[0]["manual"],
            &rows[0]["containers"][0]["build"]
        ),
        (&json!(true), &json!(true), &json!("6"))
    );
    status(&["acme/web.git/main"]).prints(&["shop/Deployment/web"]);
    let none =
        status(&["acme/web/dev"]).tells(&["no workload that hikaru looks at names such a source"]);
    assert_eq!(none.out, "");
    assert_eq!(status(&["acme/api", "--output", "json"]).json(), json!([]));
}
