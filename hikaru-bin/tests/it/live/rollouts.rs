//! One post, and pods roll: every kind, only the containers that are meant, never backwards, people's rollbacks stay.

use serde_json::json;

use super::scene::{LABELS, Scene, image, workload};

#[test]
fn a_post_rolls_the_pods_and_a_second_or_older_one_writes_nothing() {
    let scene = Scene::new("rolls");
    scene.apply(&[
        workload("Deployment", "web", LABELS, 3, &image(1)),
        workload("Deployment", "unlabeled", "app: web", 0, &image(1)),
        workload(
            "Deployment",
            "other-branch",
            "owner: acme, repo: web, branch: dev",
            0,
            &image(1),
        ),
        workload(
            "Deployment",
            "other-repository",
            LABELS,
            0,
            "registry.example/acme/api:1.0",
        ),
    ]);
    scene.rolled_out("deployment", "web");
    let server = scene.serve();
    let upgraded = server.post(&scene.post(2)).is(200).json();
    assert_eq!(
        upgraded,
        json!([{"namespace": scene.namespace, "name": "web", "kind": "Deployment",
                "containers": [{"name": "web", "from": image(1), "to": image(2)}]}])
    );
    scene.rolled_out("deployment", "web");
    let pods = scene.kubectl(&[
        "get",
        "pods",
        "--selector=app=web",
        "--output=jsonpath={.items[*].spec.containers[1].image}",
    ]);
    scene.eventually("three pods run the new image", || {
        let pods = scene.kubectl(&[
            "get",
            "pods",
            "--selector=app=web",
            "--output=jsonpath={.items[*].spec.containers[1].image}",
        ]);
        pods.split(' ').collect::<Vec<_>>() == vec![image(2); 3]
    });
    assert!(pods.contains(&image(2)));
    assert_eq!(scene.writes().len(), 1);
    assert_eq!(server.post(&scene.post(2)).is(200).json(), json!([]));
    assert_eq!(server.post(&scene.post(1)).is(200).json(), json!([]));
    assert_eq!(
        scene.writes().len(),
        1,
        "a duplicate and an older post write nothing"
    );
    for (name, expected) in [
        ("unlabeled", image(1)),
        ("other-branch", image(1)),
        (
            "other-repository",
            "registry.example/acme/api:1.0".to_owned(),
        ),
    ] {
        assert_eq!(scene.images("deployment", name), [expected]);
    }
    let last = scene.kubectl(&[
        "get",
        "deployment",
        "web",
        "--output=jsonpath={.metadata.annotations.hikaru\\.dev/last-upgrade}",
    ]);
    let last: serde_json::Value = serde_json::from_str(&last).expect("JSON");
    assert_eq!(last["previous"], json!({"web": image(1)}));
    assert_eq!(last["to"], json!({"web": image(2)}));
    let history = scene.kubectl(&["rollout", "history", "deployment/web"]);
    let tag = image(2);
    let tag = tag.rsplit(':').next().expect("a tag");
    assert!(
        history.contains(&format!("hikaru: web to {tag}")),
        "{history}"
    );
}

/// An undo of a StatefulSet leaves the annotations as they are: what `last-upgrade` says is of an image that no longer runs.
#[test]
fn a_last_upgrade_that_was_undone_is_not_believed() {
    let scene = Scene::new("undone");
    scene.apply(&[workload("StatefulSet", "web", LABELS, 1, &image(1))]);
    scene.rolled_out("statefulset", "web");
    let post = |n: u64| {
        let image = image(n);
        let args = [
            "upgrade",
            &image,
            "--namespace",
            &scene.namespace,
            "--force=held",
        ];
        scene.hikaru(&args).exits(0);
    };
    let last = || {
        let last = "--output=jsonpath={.metadata.annotations.hikaru\\.dev/last-upgrade}";
        let last = scene.kubectl(&["get", "statefulset", "web", last]);
        serde_json::from_str::<serde_json::Value>(&last).expect("JSON")
    };
    post(2);
    scene.rolled_out("statefulset", "web");
    post(3);
    scene.rolled_out("statefulset", "web");
    assert_eq!(last()["previous"], json!({"web": image(2)}));
    scene.kubectl(&["rollout", "undo", "statefulset/web"]);
    scene.rolled_out("statefulset", "web");
    assert_eq!(scene.images("statefulset", "web"), [image(2)]);
    // It is set to an image whose rollout never ends, so that the next upgrade finds none complete.
    scene.kubectl(&[
        "set",
        "image",
        "statefulset/web",
        &format!("web={}-broken", image(2)),
    ]);
    post(4);
    assert_eq!(last()["previous"], json!({}));
    assert_eq!(last()["to"], json!({"web": image(4)}));
}

#[test]
fn every_kind_is_upgraded() {
    let scene = Scene::new("kinds");
    let kinds = ["StatefulSet", "DaemonSet", "CronJob"];
    scene.apply(&kinds.map(|kind| workload(kind, "web", LABELS, 1, &image(1))));
    let ran = scene.hikaru(&["upgrade", &image(2), "--namespace", &scene.namespace]);
    let ran = ran.exits(0).prints(&["3 workloads: 3 upgrade"]);
    assert!(
        ran.err.contains("cluster: "),
        "the connection used is told: {}",
        ran.err
    );
    for kind in kinds {
        assert_eq!(scene.images(kind, "web"), [image(2)]);
    }
    scene.rolled_out("statefulset", "web");
    scene.rolled_out("daemonset", "web");
    let again = scene
        .hikaru(&["upgrade", &image(2), "--namespace", &scene.namespace])
        .exits(0);
    again.prints(&["3 workloads: 3 equal"]);
    let find = scene
        .hikaru(&["find", &image(2), "--output", "json"])
        .exits(0);
    let users = find.json();
    let mine = users
        .as_array()
        .into_iter()
        .flatten()
        .find(|u| u["namespace"] == *scene.namespace);
    assert_eq!(mine.map(|u| &u["services"]), Some(&json!(["web"])));
}

#[test]
fn a_rollback_by_a_person_is_held_until_the_next_build_or_unhold() {
    let scene = Scene::new("held");
    scene.apply(&[workload("Deployment", "web", LABELS, 1, &image(1))]);
    scene.rolled_out("deployment", "web");
    let server = scene.serve();
    server.post(&scene.post(2)).is(200);
    scene.rolled_out("deployment", "web");
    scene.kubectl(&["rollout", "undo", "deployment/web"]);
    assert_eq!(scene.images("deployment", "web"), [image(1)]);
    let code = |n: u64| {
        let report = server
            .post(&format!("{}&report=full", scene.post(n)))
            .is(200)
            .json();
        let lists = ["upgrade", "skipped", "obsolete", "equal"];
        let entry = lists
            .iter()
            .find_map(|list| report[list].get(0))
            .expect("an entry")
            .clone();
        let container = &entry["containers"][0];
        (
            container["code"].as_str().unwrap_or("").to_owned(),
            container["reason"].as_str().unwrap_or("").to_owned(),
        )
    };
    scene.eventually("the rollback is seen", || code(2).0 != "equal");
    let (held, reason) = code(2);
    assert_eq!(held, "held");
    let out = format!("hikaru unhold {}/Deployment/web", scene.namespace);
    assert!(
        reason.contains("runs 1.4.0_1, lower than 1.4.0_2 that was deployed before")
            && reason.contains(&out),
        "{reason}"
    );
    server
        .post(&format!("{}&strict=true", scene.post(2)))
        .is(409);
    assert_eq!(code(3).0, "upgrade");
    scene.kubectl(&["rollout", "undo", "deployment/web"]);
    scene.eventually("the second rollback is held", || code(3).0 == "held");
    let name = format!("{}/deployment/web", scene.namespace);
    scene
        .hikaru(&["unhold", &name])
        .exits(0)
        .prints(&["removed the mark of web, 1.4.0_3_"]);
    scene.eventually("what was unheld goes out again", || {
        code(3).0 == "upgrade" || code(3).0 == "equal"
    });
    assert_eq!(scene.images("deployment", "web"), [image(3)]);
    scene
        .hikaru(&["unhold", &format!("{}/deployment/absent", scene.namespace)])
        .exits(1)
        .tells(&["there is no"]);
}

#[test]
fn a_post_right_after_apply_finds_the_workload() {
    let server = Scene::new("fresh").serve();
    for round in 0..5 {
        let scene = Scene::new("fresh");
        scene.apply(&[workload("Deployment", "web", LABELS, 0, &image(round))]);
        let upgraded = server.post(&scene.post(round + 1)).is(200).json();
        assert_eq!(upgraded[0]["name"], "web", "{upgraded}");
    }
    // Others that match do not hide a new one that is asked for by its name.
    let scene = Scene::new("fresh");
    for round in 0..5 {
        let name = format!("web-{round}");
        scene.apply(&[workload("Deployment", &name, LABELS, 0, &image(1))]);
        let path = format!(
            "{}&workload={}/deployment/{name}",
            scene.post(2),
            scene.namespace
        );
        let upgraded = server.post(&path).is(200).json();
        assert_eq!(upgraded[0]["name"], *name, "{upgraded}");
    }
}

#[test]
fn a_dry_run_is_the_servers_and_candidates_are_the_plan() {
    let scene = Scene::new("dry");
    scene.apply(&[workload("Deployment", "web", LABELS, 0, &image(1))]);
    let server = scene.serve();
    let dry = server
        .post(&format!("{}&dryRun=true", scene.post(2)))
        .is(200)
        .json();
    assert_eq!(dry[0]["containers"][0]["to"], image(2));
    let path = format!("/api/candidates/{}?namespace={}", image(2), scene.namespace);
    assert_eq!(
        server.get(&path).is(200).json()["upgrade"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    scene
        .hikaru(&[
            "upgrade",
            &image(2),
            "--namespace",
            &scene.namespace,
            "--dry-run",
        ])
        .exits(0);
    assert_eq!(scene.images("deployment", "web"), [image(1)]);
    assert_eq!(scene.writes().len(), 0);
}

#[test]
fn other_owners_of_the_image_are_warned_of() {
    let scene = Scene::new("owned");
    scene.apply(&[workload("Deployment", "web", LABELS, 0, &image(1))]);
    scene.kubectl(&[
        "annotate",
        "deployment/web",
        "meta.helm.sh/release-name=shop",
    ]);
    let ran = scene
        .hikaru(&["upgrade", &image(2), "--namespace", &scene.namespace])
        .exits(0);
    ran.tells(&[
        "warning: ",
        "the Helm release shop owns it, too: the next helm upgrade puts its own image back",
    ]);
    assert_eq!(scene.images("deployment", "web"), [image(2)]);
}

#[test]
fn a_shallow_clone_is_a_conflict_and_a_late_post_is_obsolete_though_marks_are_there() {
    let scene = Scene::new("shallow");
    scene.apply(&[workload(
        "Deployment",
        "web",
        LABELS,
        0,
        "registry.example/acme/web:latest",
    )]);
    let post = |image: &str| {
        scene.hikaru(&[
            "upgrade",
            image,
            "--namespace",
            &scene.namespace,
            "--strict",
        ])
    };
    post(&image(5)).exits(0);
    let other = image(5).replace("0123abcd", "fedcba98");
    post(&other).exits(1).prints(&[
        "conflicting-build: runs 1.4.0_5 of commit 0123abcd",
        "fetch the whole history",
    ]);
    post(&image(4))
        .exits(0)
        .prints(&["runs 1.4.0_5, higher than the posted 1.4.0_4"]);
    assert_eq!(scene.writes().len(), 1);
}
