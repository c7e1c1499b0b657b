//! What goes on while hikaru is stopped, killed, or its API server is gone.

use std::{collections::BTreeSet, fs, thread, time::Duration};

use serde_json::Value;
use xtask::Component;

use super::scene::{LABELS, Scene, image, workload};

fn hundred(scene: &Scene) {
    crowd(scene, 100);
}

fn crowd(scene: &Scene, size: usize) {
    let all: Vec<_> = (0..size)
        .map(|i| workload("Deployment", &format!("web-{i:02}"), LABELS, 0, &image(1)))
        .collect();
    scene.apply(&all);
}

fn upgraded(scene: &Scene) -> usize {
    let images = scene.kubectl(&[
        "get",
        "deployments",
        "--output=jsonpath={.items[*].spec.template.spec.containers[1].image}",
    ]);
    images
        .split(' ')
        .filter(|running| **running == image(2))
        .count()
}

#[test]
fn sigterm_finishes_what_was_begun_and_the_answer_arrives() {
    let scene = Scene::new("sigterm");
    hundred(&scene);
    let server = scene.serve();
    let answer = thread::scope(|scope| {
        let post = scope.spawn(|| server.post(&scene.post(2)));
        scene.eventually("it has begun", || {
            upgraded(&scene) > 0 || post.is_finished()
        });
        server.signal("TERM");
        post.join().expect("an answer")
    });
    assert_eq!(answer.is(200).json().as_array().map(Vec::len), Some(100));
    assert_eq!(server.end().code(), Some(0));
    assert_eq!(upgraded(&scene), 100);
}

#[test]
fn after_kill_9_a_repeat_of_the_call_ends_right() {
    let scene = Scene::new("sigkill");
    hundred(&scene);
    let server = scene.serve();
    let path = scene.post(2);
    thread::scope(|scope| {
        let post = scope.spawn(|| server.request("POST", &path, ""));
        scene.eventually("it has begun", || {
            upgraded(&scene) > 0 || post.is_finished()
        });
        server.signal("KILL");
        let _ = post.join().expect("the caller lives on");
    });
    let again = scene.serve();
    again.post(&scene.post(2)).is(200);
    assert_eq!(upgraded(&scene), 100);
    scene.images_only_rise();
}

/// On a cluster of its own, whose API server is taken away.
#[test]
fn an_api_server_that_is_gone_gives_a_sentence_and_then_goes_on() {
    let scene = Scene::alone("gone");
    let cluster = scene.cluster;
    scene.apply(&[workload("Deployment", "web", LABELS, 0, &image(1))]);
    let server = scene.serve();
    cluster.kill(Component::Apiserver).expect("killed");
    let gone = server.post(&scene.post(2));
    assert!(
        matches!(gone.status, 502 | 503),
        "{} {}",
        gone.status,
        gone.body
    );
    assert!(
        gone.json()["detail"]
            .as_str()
            .is_some_and(|detail| detail.len() > 20),
        "{}",
        gone.body
    );
    cluster.launch(Component::Apiserver).expect("started");
    scene.eventually("it goes on by itself", || {
        server.post(&scene.post(2)).status == 200
    });
    assert_eq!(scene.images("deployment", "web"), [image(2)]);
}

/// The names in a list of an answer.
fn names(list: &Value) -> BTreeSet<String> {
    let all = list.as_array().expect("a list").iter();
    all.map(|entry| entry["name"].as_str().expect("a name").to_owned())
        .collect()
}

/// On a cluster of its own. What was written when its API server died is not known to be: it is read, which fails, too.
#[test]
fn an_api_server_killed_in_the_middle_of_a_post_leaves_nothing_to_guess() {
    const SIZE: usize = 300;
    /// About twenty writes, in bytes of the audit log.
    const SOME: u64 = 50_000;
    let scene = Scene::alone("middle");
    let cluster = scene.cluster;
    crowd(&scene, SIZE);
    let server = scene.serve();
    let log = cluster.folder().join("audit.log");
    let written = || fs::metadata(&log).expect("the audit log").len();
    let before = written();
    let answer = thread::scope(|scope| {
        let post = scope.spawn(|| server.post(&scene.post(2)));
        while written() < before + SOME && !post.is_finished() {
            thread::sleep(Duration::from_millis(1));
        }
        cluster.kill(Component::Apiserver).expect("killed");
        post.join().expect("an answer")
    });
    let answer = answer.is(502).json();
    let (done, failed) = (names(&answer["upgraded"]), names(&answer["failed"]));
    assert_eq!(
        (done.len() + failed.len(), done.is_disjoint(&failed)),
        (SIZE, true),
        "{answer}"
    );
    assert!(!done.is_empty() && !failed.is_empty(), "{answer}");
    for failure in answer["failed"].as_array().into_iter().flatten() {
        let reason = failure["reason"].as_str();
        assert!(reason.is_some_and(|reason| reason.len() > 10), "{failure}");
    }

    cluster.launch(Component::Apiserver).expect("started");
    let all = scene.kubectl(&["get", "deployments", "--output=json"]);
    let all: Value = serde_json::from_str(&all).expect("JSON");
    let runs = |name: &String| {
        let mut items = all["items"].as_array().expect("items").iter();
        let item = items.find(|item| item["metadata"]["name"] == **name);
        item.map(|item| item["spec"]["template"]["spec"]["containers"][1]["image"].clone())
    };
    for name in &done {
        assert_eq!(
            runs(name),
            Some(image(2).into()),
            "{name} was told as upgraded"
        );
    }
    scene.eventually("repeating the call completes it", || {
        server.post(&scene.post(2)).status == 200
    });
    assert_eq!(upgraded(&scene), SIZE);
    // None twice: each write of a container is higher than the one before.
    scene.images_only_rise();

    // The watches have come back by themselves: what others do is seen.
    scene.kubectl(&[
        "set",
        "image",
        "deployment/web-00",
        &format!("web={}", image(1)),
    ]);
    scene.kubectl(&["delete", "deployment", "web-01"]);
    scene.apply(&[workload("Deployment", "new", LABELS, 0, &image(1))]);
    let sees = |name: &str, code: Option<&str>| {
        scene.eventually("what others do is seen", || {
            scene.code(&server, name, 2).as_deref() == code
        });
    };
    sees("web-00", Some("held"));
    sees("web-01", None);
    sees("new", Some("upgrade"));
}
