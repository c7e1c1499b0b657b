//! `hikaru rollout`, `hikaru status` and the same over HTTP on the real control plane: pods that start, and pods that crash.

use super::scene::{LABELS, Scene, image, workload};
use crate::hikaru;

/// A build whose pods crash: the word in its version makes them.
const CRASHES: &str = "registry.example/acme/web:acme_web_main_1.5.0-crash_8_0123abcd";

#[test]
fn a_person_asks_for_rollouts_and_for_what_runs_where() {
    let scene = Scene::new("asked");
    let namespace = &*scene.namespace;
    scene.apply(&[
        workload("Deployment", "web", LABELS, 2, &image(1)),
        workload("CronJob", "report", LABELS, 0, &image(1)),
        workload("Deployment", "report", "app: report", 0, &image(1)),
    ]);
    scene.rolled_out("deployment", "web");
    let web = format!("{namespace}/Deployment/web");
    scene.eventually("the containers have run for a moment", || {
        let asked = ["rollout", &format!("{namespace}/web"), "--output", "json"];
        scene.hikaru(&asked).exits(0).json()["state"] == "complete"
    });
    let ran = scene.hikaru(&["rollout", &web]).exits(0);
    let row = ran.row(&web);
    assert!(row.contains("complete"), "{row}");
    ran.prints(&[&format!("image of web: {}", image(1))]);
    scene
        .hikaru(&["rollout", &format!("{namespace}/report")])
        .exits(1)
        .tells(&[
            "expected one workload, found",
            "CronJob/report",
            "name its kind",
        ]);
    scene
        .hikaru(&["rollout", &format!("{namespace}/absent")])
        .exits(1)
        .tells(&["there is no workload absent in the namespace"]);
    scene
        .hikaru(&["rollout", &format!("{namespace}/cj/report")])
        .exits(0)
        .prints(&["not-applicable"]);

    let status = ["status", "acme/web", "--namespace", namespace];
    let ran = scene.hikaru(&status).exits(0);
    let row = ran.row(&web);
    for part in ["acme/web/main", "1.4.0_1", "0123abcd", "2/2", "complete"] {
        assert!(row.contains(part), "expected {part:?} in {row}");
    }
    // It names no source by its labels.
    assert!(!ran.out.contains("Deployment/report"), "{}", ran.out);
    let server = scene.serve();
    let path = format!("/api/status?owner=acme&repo=web&branch=main&namespace={namespace}");
    let rows = server.get(&path).is(200).json();
    let json = scene.hikaru(&[&status[..], &["--output", "json"]].concat());
    assert_eq!(rows, json.exits(0).json());
    let candidates = format!("/api/candidates/{}?namespace={namespace}", image(1));
    let equal = server.get(&candidates).is(200).json()["equal"].clone();
    let entries = equal.as_array().expect("a list");
    let complete = |name: &str| {
        entries
            .iter()
            .find(|e| e["name"] == name)
            .map(|e| &e["complete"])
    };
    assert_eq!(complete("web"), Some(&true.into()));
    assert_eq!(complete("report"), Some(&serde_json::Value::Null));

    server
        .post(&format!("/api/image/{CRASHES}?namespace={namespace}"))
        .is(200);
    let rollout = format!("/api/rollout/{namespace}/deploy/web");
    scene.eventually("the rollout fails", || {
        server.get(&rollout).is(200).json()["state"] == "failed"
    });
    let failed = server.get(&rollout).is(200).json();
    assert_eq!(failed["cause"]["code"], "CrashLoop", "{failed}");
    // Logs can hold secrets: the service leaves them out.
    assert!(failed["evidence"]["log"].is_null(), "{failed}");
    let ran = scene.hikaru(&["rollout", &web]).exits(1);
    let ran = ran.tells(&[&format!("error: {web}: failed: CrashLoop\n")]);
    ran.prints(&["cause: CrashLoop\n", "events:", "log of web-"]);
    let row = scene.hikaru(&status).exits(0);
    let row = row.row(&web).to_owned();
    for part in ["1.5.0-crash_8", "0/2", "failed", "1.5.0-crash_8"] {
        assert!(row.contains(part), "expected {part:?} in {row}");
    }
    server.get(&format!("{rollout}?wait=5m")).is(409);
    let figures = server.get("/metrics").is(200).body;
    assert!(
        figures.contains("hikaru_rollouts_total{state=\"failed\",cause=\"CrashLoop\"} "),
        "{figures}"
    );
    assert!(figures.contains("hikaru_rollout_watches "), "{figures}");

    scene.kubectl(&["delete", "deployment", "web"]);
    server.get(&rollout).is(404);
    scene.hikaru(&["rollout", &web]).exits(1);
    hikaru(&["rollout", &web, "--kubeconfig", "/nowhere"]).exits(1);
}
