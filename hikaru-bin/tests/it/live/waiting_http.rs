//! Waits over HTTP on a real control plane while something goes away: the service, its API server, its client.

use std::{thread, time::Duration};

use xtask::{Cluster, ClusterOptions, Component};

use super::{
    scene::{LABELS, Scene, image, workload},
    waiting::{build, is_set, web},
};
use crate::serve::{Answer, Server};

fn post(scene: &Scene, image: &str) -> String {
    format!("/api/image/{image}?namespace={}", scene.namespace)
}

fn verify(scene: &Scene, image: &str) -> String {
    format!("/api/verify/{image}?namespace={}", scene.namespace)
}

/// Verifies with short waits, as a client behind a proxy does that cuts silent connections, until another answer comes than that
/// it goes on.
fn verified(server: &Server, scene: &Scene, image: &str) -> Answer {
    let path = format!("{}&wait=5s", verify(scene, image));
    loop {
        let answer = server.get(&path);
        if answer.status != 504 {
            return answer;
        }
        assert_eq!(
            answer.json()["type"],
            "urn:hikaru:problem:rollout-unfinished"
        );
    }
}

#[test]
fn verify_says_what_does_not_run_it_and_why() {
    let scene = web("verify", 1);
    let server = scene.serve();
    scene.kubectl(&["label", "deployment/web", "hikaru.dev/upgrade=manual"]);
    let new = build("1.5.0", 2);
    scene.eventually("the label is seen", || {
        scene.code(&server, "web", 2).as_deref() == Some("manual")
    });
    for wait in ["", "&wait=1h"] {
        let answer = server
            .get(&format!("{}{wait}", verify(&scene, &new)))
            .is(409);
        let answer = answer.json();
        assert_eq!(answer["type"], "urn:hikaru:problem:rollout-failed");
        assert_eq!(answer["rollouts"][0]["state"], "not-deployed", "{answer}");
    }
    let missing = build("1.5.0-missing", 3);
    server
        .post(&format!("{}&force=manual", post(&scene, &missing)))
        .is(200);
    // What a person forced runs, whatever the setting says.
    let answer = verified(&server, &scene, &missing).is(409).json();
    assert_eq!(
        answer["rollouts"][0]["cause"]["code"], "ImageNotFound",
        "{answer}"
    );
}

/// A service that is stopped or killed ends the waits of its clients; the next one says the truth.
#[test]
fn a_service_that_ends_while_it_waits_leaves_the_truth_to_be_asked_for() {
    let scene = web("restart", 2);
    for (signal, n) in [("TERM", 2), ("KILL", 3)] {
        let server = scene.serve();
        let slow = build(&format!("2.{n}.0-slow"), n);
        let path = format!("{}&wait=1h", post(&scene, &slow));
        let answer = thread::scope(|scope| {
            let waiting = scope.spawn(|| server.request("POST", &path, ""));
            is_set(&scene, &slow);
            server.signal(signal);
            waiting.join().expect("the client lives on")
        });
        match (signal, answer) {
            ("TERM", answer) => {
                let answer = answer.expect("an answer").is(503);
                assert_eq!(answer.json()["type"], "urn:hikaru:problem:stopping");
                assert!(answer.head.contains("retry-after: "), "{}", answer.head);
                assert_eq!(server.end().code(), Some(0));
            }
            // The answer may have begun.
            (_, answer) => assert!(answer.is_err(), "an answer of a service that was killed"),
        }
        let again = scene.serve();
        let answer = verified(&again, &scene, &slow).is(200).json();
        assert_eq!(answer[0]["state"], "complete", "{answer}");
    }
}

/// On a cluster of its own.
#[test]
fn an_api_server_that_restarts_in_the_middle_of_a_wait_does_not_end_it() {
    let cluster = Cluster::start(ClusterOptions::default()).expect("a cluster");
    // Ended by its supervisor, as the shared one is.
    let cluster: &'static Cluster = Box::leak(Box::new(cluster));
    let namespace = cluster.namespace("apiserver").expect("a namespace");
    let scene = Scene { cluster, namespace };
    scene.apply(&[workload("Deployment", "web", LABELS, 1, &image(1))]);
    scene.rolled_out("deployment", "web");
    let server = scene.serve();
    let mut n = 1;
    for (kind, status, state) in [("slow", 200, "complete"), ("missing", 409, "failed")] {
        n += 1;
        let image = build(&format!("2.{n}.0-{kind}"), n);
        let path = format!("{}&wait=1h&report=full", post(&scene, &image));
        let answer = thread::scope(|scope| {
            let waiting = scope.spawn(|| server.post(&path));
            is_set(&scene, &image);
            cluster.kill(Component::Apiserver).expect("killed");
            thread::sleep(Duration::from_secs(1));
            cluster.launch(Component::Apiserver).expect("started");
            waiting.join().expect("an answer")
        });
        let answer = answer.is(status).json();
        assert!(
            answer
                .to_string()
                .contains(&format!("\"state\":\"{state}\"")),
            "{answer}"
        );
    }
}
