//! `hikaru upgrade --wait`, `verify` and `rollout --wait` on a real control plane, with builds whose pods are played: good ones, images
//! that do not exist, slow starts, crashes. Waits over HTTP are in `waiting_http`.

use std::{
    io::Read as _,
    process::{Child, Stdio},
    thread,
};

use serde_json::Value;

use super::scene::{LABELS, Scene, image, workload};
use crate::{Ran, command, ran};

/// A build of acme_web_main whose pods behave as its version says: `1.5.0-slow`.
pub(super) fn build(version: &str, n: u64) -> String {
    format!("registry.example/acme/web:acme_web_main_{version}_{n}_0123abcd")
}

/// A Deployment `web` of so many pods that runs build 1 of version 1.4.0.
pub(super) fn web(prefix: &str, replicas: u32) -> Scene {
    let scene = Scene::new(prefix);
    scene.apply(&[workload("Deployment", "web", LABELS, replicas, &image(1))]);
    scene.rolled_out("deployment", "web");
    scene
}

/// Waits until `web` is set to this image.
pub(super) fn is_set(scene: &Scene, image: &str) {
    scene.eventually("it is written", || {
        scene.images("deployment", "web") == [image.to_owned()]
    });
}

fn hikaru(scene: &Scene, args: &[&str]) -> Ran {
    scene.hikaru(&[args, &["--namespace", &scene.namespace]].concat())
}

fn upgrade(scene: &Scene, image: &str, flags: &[&str]) -> Ran {
    hikaru(scene, &[&["upgrade", image], flags].concat())
}

/// A command that runs while the test does something, in the scene's namespace.
fn begin(scene: &Scene, args: &[&str]) -> (std::process::Command, Child) {
    let mut command = command(args);
    command.args(["--namespace", &scene.namespace, "--kubeconfig"]);
    command.arg(scene.cluster.kubeconfig());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("hikaru runs");
    (command, child)
}

#[track_caller]
fn end((command, child): (std::process::Command, Child)) -> Ran {
    ran(&command, child.wait_with_output().expect("its end"))
}

#[test]
fn a_good_build_ends_well_and_asking_again_says_so() {
    let scene = web("good", 3);
    let ran = upgrade(&scene, &build("1.5.0", 2), &["--wait"]).exits(0);
    let row = ran.row("Deployment/web");
    assert!(
        row.contains("upgraded") && row.contains("complete"),
        "{row}"
    );
    ran.prints(&["1 workload: 1 upgraded", "1 rollout ended well"])
        .tells(&["web: complete, 3 of 3 new pods are ready"]);
    let again = upgrade(&scene, &build("1.5.0", 2), &["--wait=5m"]).exits(0);
    let row = again.row("Deployment/web");
    assert!(row.contains("equal") && row.contains("complete"), "{row}");
    assert_eq!(scene.writes().len(), 1);
    hikaru(&scene, &["verify", &build("1.5.0", 2)])
        .exits(0)
        .prints(&["complete", "1 rollout ended well"]);
    let name = format!("{}/web", scene.namespace);
    scene
        .hikaru(&["rollout", &name, "--wait"])
        .exits(0)
        .prints(&["complete"]);
    // An older build has nothing to wait for.
    let ran = upgrade(&scene, &image(1), &["--wait"]).exits(0);
    ran.prints(&["obsolete"]).tells(&["nothing to deploy"]);
}

#[test]
fn an_image_that_does_not_exist_fails_and_is_named() {
    let scene = web("missing", 2);
    let missing = build("1.5.0-missing", 2);
    let failed = upgrade(&scene, &missing, &["--wait=1h"]).exits(1);
    let pulls = format!("cannot pull the image {missing} of container web");
    failed
        .prints(&["failed", &pulls, "cause: ImageNotFound", "events:"])
        .tells(&["error: 1 of 1 rollout failed: ", &pulls]);
    // A repeated call tells the truth again.
    let json = ["--wait=1h", "--output", "json"];
    let report = upgrade(&scene, &missing, &json).exits(1).json();
    let rollout = &report["equal"][0]["rollout"];
    assert_eq!(rollout["state"], "failed", "{report}");
    assert_eq!(rollout["cause"]["code"], "ImageNotFound", "{report}");
    assert!(rollout["evidence"]["events"].is_array(), "{report}");
    let json = ["verify", &missing, "--wait=1h", "--output", "json"];
    let rollouts = hikaru(&scene, &json).exits(1).json();
    assert_eq!(rollouts[0]["cause"]["code"], "ImageNotFound", "{rollouts}");
    let name = format!("{}/deploy/web", scene.namespace);
    let rollout = ["rollout", &name, "--wait=1h", "--output", "json"];
    let rollout = scene
        .hikaru(&rollout)
        .exits(1)
        .tells(&["ImageNotFound"])
        .json();
    assert_eq!(rollout["state"], "failed");
    // The next build is a way out.
    upgrade(&scene, &build("1.5.0", 3), &["--wait"]).exits(0);
}

#[test]
fn a_slow_start_succeeds_and_a_time_that_is_too_short_is_told() {
    let scene = web("slow", 1);
    let slow = build("1.5.0-slow", 2);
    upgrade(&scene, &slow, &["--wait=1s"]).exits(4).tells(&[
        "error: 1 of 1 rollout not complete within 1 s: ",
        &format!(
            "the rollouts go on; to wait on: hikaru verify {slow} --namespace {} --wait",
            scene.namespace
        ),
    ]);
    hikaru(&scene, &["verify", &slow, "--wait=1h"])
        .exits(0)
        .prints(&["1 rollout ended well"])
        .tells(&["complete, 1 of 1 new pods are ready"]);
}

#[test]
fn a_crash_after_it_was_ready_is_caught_by_the_stable_window() {
    let scene = web("later", 1);
    let flags = ["--wait=1h", "--stable-for", "1m"];
    upgrade(&scene, &build("1.5.0-crashlater", 2), &flags)
        .exits(1)
        .prints(&["failed", "cause: CrashLoop", "log of web-"])
        .tells(&[
            "1 of 1 new pods are ready",
            "error: 1 of 1 rollout failed: ",
        ]);
}

#[test]
fn a_second_build_ends_the_first_wait_as_superseded() {
    let scene = web("second", 2);
    let first = build("1.5.0-unready", 2);
    let waiting = begin(
        &scene,
        &["upgrade", &first, "--wait=1h", "--output", "json"],
    );
    is_set(&scene, &first);
    upgrade(&scene, &build("1.6.0", 3), &["--wait"]).exits(0);
    let report = end(waiting).exits(0).json();
    let state = &report["upgrade"][0]["rollout"]["state"];
    assert_eq!(*state, "superseded", "{report}");
    hikaru(&scene, &["verify", &first])
        .exits(0)
        .prints(&["superseded"]);
}

#[test]
fn a_lower_image_from_elsewhere_ends_the_wait_as_reverted() {
    let scene = web("revert", 2);
    let first = build("1.5.0-unready", 2);
    let waiting = begin(&scene, &["upgrade", &first, "--wait=1h"]);
    is_set(&scene, &first);
    scene.kubectl(&["rollout", "undo", "deployment/web"]);
    end(waiting).exits(1).prints(&["reverted"]);
    // Now the build is held, so it will not come by itself.
    hikaru(&scene, &["verify", &first, "--wait=1h"])
        .exits(1)
        .prints(&["not-deployed", "does not run the build (held)"]);
}

#[test]
fn two_pipelines_at_once_both_end_well() {
    let scene = web("two", 2);
    let builds = [build("1.5.0", 2), build("1.6.0", 3), build("1.6.0", 3)];
    let scene = &scene;
    thread::scope(|scope| {
        let all = builds
            .each_ref()
            .map(|build| scope.spawn(move || upgrade(scene, build, &["--wait=1h"])));
        for pipeline in all {
            pipeline.join().expect("its end").exits(0);
        }
    });
    assert_eq!(scene.images("deployment", "web"), [build("1.6.0", 3)]);
    hikaru(scene, &["verify", &build("1.6.0", 3)]).exits(0);
}

#[test]
fn one_that_is_paused_meanwhile_ends_the_wait() {
    let scene = web("paused", 2);
    let unready = build("1.5.0-unready", 2);
    let waiting = begin(&scene, &["upgrade", &unready, "--wait=1h"]);
    is_set(&scene, &unready);
    scene.kubectl(&["rollout", "pause", "deployment/web"]);
    end(waiting).exits(1).prints(&["paused"]);
}

#[test]
fn one_that_is_deleted_while_it_is_waited_for_is_told_as_deleted() {
    let scene = web("deleted", 2);
    let unready = build("1.5.0-unready", 2);
    let waiting = begin(
        &scene,
        &["upgrade", &unready, "--wait=1h", "--output", "json"],
    );
    is_set(&scene, &unready);
    scene.kubectl(&["delete", "deployment", "web"]);
    let report = end(waiting).exits(1).json();
    let state = &report["upgrade"][0]["rollout"]["state"];
    assert_eq!(*state, "deleted", "{report}");
    hikaru(&scene, &["verify", &unready, "--wait=1h"])
        .exits(1)
        .tells(&["error: nothing matched, so nothing runs the image"]);
}

#[test]
fn all_are_waited_for_if_no_failure_is_to_end_the_wait() {
    let scene = Scene::new("several");
    let names = ["api", "web", "worker"];
    scene.apply(&names.map(|name| workload("Deployment", name, LABELS, 1, &image(1))));
    for name in names {
        scene.rolled_out("deployment", name);
    }
    scene.kubectl(&["rollout", "pause", "deployment/web"]);
    let flags = ["--wait=1h", "--no-fail-fast"];
    let ran = upgrade(&scene, &build("1.5.0", 2), &flags).exits(1);
    for (name, state) in [
        ("api", "complete"),
        ("web", "paused"),
        ("worker", "complete"),
    ] {
        let row = ran.row(&format!("Deployment/{name} "));
        assert!(row.contains(state), "{row}");
    }
    ran.tells(&["error: 1 of 3 rollouts failed: "]);
}

#[test]
fn verify_waits_until_the_build_is_written_and_not_for_what_is_opted_out() {
    let scene = web("gitops", 1);
    let new = build("1.5.0", 2);
    let waiting = begin(&scene, &["verify", &new, "--wait=1h"]);
    // Another tool writes it, such as one that follows a git repository.
    scene.kubectl(&["set", "image", "deployment/web", &format!("web={new}")]);
    end(waiting).exits(0).prints(&["complete"]);
    assert_eq!(scene.writes().len(), 0);
    scene.kubectl(&["label", "deployment/web", "hikaru.dev/upgrade=manual"]);
    hikaru(&scene, &["verify", &build("1.6.0", 3), "--wait=1h"])
        .exits(1)
        .prints(&[
            "not-deployed",
            "does not run the build (manual): opted out by the label",
        ]);
}

#[test]
fn a_signal_ends_the_waiting_and_not_the_upgrade() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let scene = web("signal", 1);
        let unready = build("1.5.0-unready", 2);
        let (command, mut child) = begin(&scene, &["upgrade", &unready, "--wait=1h"]);
        // It waits once it tells how a rollout is.
        let mut told = Vec::new();
        let stderr = child.stderr.as_mut().expect("a pipe");
        while !String::from_utf8_lossy(&told).contains("Deployment/web: ") {
            let mut byte = [0];
            stderr.read_exact(&mut byte).expect("a line");
            told.push(byte[0]);
        }
        let sent = std::process::Command::new("sh")
            .args(["-c", "kill -\"$0\" \"$1\"", signal, &child.id().to_string()])
            .status();
        assert!(sent.expect("a shell").success());
        let ran = end((command, child)).exits(code);
        let waits_on = format!(
            "error: SIG{signal} ended the waiting, and nothing else: the rollouts go on; to see how: hikaru verify {unready} --namespace {} --wait",
            scene.namespace
        );
        ran.prints(&["1 workload: 1 upgraded", "progressing"])
            .tells(&[&waits_on]);
        assert_eq!(scene.images("deployment", "web"), [unready]);
    }
}

#[test]
fn a_workload_that_is_not_there_is_not_waited_for() {
    let scene = Scene::new("absent");
    let name = format!("{}/deploy/none", scene.namespace);
    scene
        .hikaru(&["rollout", &name, "--wait"])
        .exits(1)
        .tells(&["error: there is no "]);
    let json: Value = scene
        .hikaru(&["rollout", &name, "--wait", "--output", "json"])
        .exits(1)
        .json();
    assert!(json["error"].is_string(), "{json}");
}
