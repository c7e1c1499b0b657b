//! What goes on while hikaru is stopped, killed, or its API server is gone.

use std::thread;

use xtask::{Cluster, ClusterOptions, Component};

use super::scene::{LABELS, Scene, image, workload};

fn hundred(scene: &Scene) {
    let all: Vec<_> = (0..100)
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
    let cluster = Cluster::start(ClusterOptions::default().controllers(false).pods(false))
        .expect("a cluster");
    let cluster: &'static Cluster = Box::leak(Box::new(cluster));
    let namespace = cluster.namespace("gone").expect("a namespace");
    let scene = Scene { cluster, namespace };
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
