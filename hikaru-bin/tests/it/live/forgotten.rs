//! A watch that falls behind what the API server and etcd remember: 410, a new list, and nothing of the old one is left.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::Value;
use xtask::Component;

use super::scene::{LABELS, Scene, image, workload};
use crate::serve::Server;

/// A way to the API server that can be held: then bytes go nowhere, and nobody is told.
struct Way {
    address: SocketAddr,
    held: Arc<AtomicBool>,
}

impl Way {
    /// A way to `https://ADDRESS:PORT`, on loopback.
    fn to(url: &str) -> Self {
        let to = url.trim_start_matches("https://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let held = Arc::new(AtomicBool::new(false));
        let is_held = held.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (to, held) = (to.clone(), is_held.clone());
                thread::spawn(move || {
                    wait(&held);
                    // Nobody there: the caller's connection is closed.
                    let Ok(server) = TcpStream::connect(to) else {
                        return;
                    };
                    let [a, b] = [&stream, &server].map(|s| s.try_clone().expect("a stream"));
                    let back = held.clone();
                    thread::spawn(move || pump(server, stream, &back));
                    pump(a, b, &held);
                });
            }
        });
        Self { address, held }
    }

    fn hold(&self, hold: bool) {
        self.held.store(hold, Ordering::SeqCst);
    }
}

fn wait(held: &AtomicBool) {
    while held.load(Ordering::SeqCst) {
        thread::sleep(Duration::from_millis(10));
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, held: &AtomicBool) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        wait(held);
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    wait(held);
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

/// What the API server answers to a watch from a version on.
fn watch(scene: &Scene, version: &str) -> String {
    let path =
        format!("/apis/apps/v1/deployments?watch=true&resourceVersion={version}&timeoutSeconds=2");
    let said = scene.cluster.kubectl(&["get", "--raw", &path]);
    said.unwrap_or_else(|error| error.to_string())
}

#[test]
fn a_watch_behind_what_is_remembered_lists_anew_and_keeps_nothing_stale() {
    // The server's own reason, in the line that says that all is listed anew.
    const TOO_OLD: &str = "too old resource version";
    let lists_anew = |log: &str| {
        let mut lines = log.lines();
        lines.any(|line| line.contains("listing anew") && line.contains(TOO_OLD))
    };
    let scene = Scene::alone("behind");
    let cluster = scene.cluster;
    let names = ["web", "taken-back", "gone", "opted-out"];
    scene.apply(&names.map(|name| workload("Deployment", name, LABELS, 0, &image(1))));
    let way = Way::to(&cluster.url());
    let url = format!("https://{}", way.address);
    let variables = [
        ("K8S_URL", &*url),
        ("K8S_CA", cluster.ca_pem()),
        ("K8S_TOKEN", cluster.admin_token()),
    ];
    let server = Server::start(&[], &variables).ready();
    let done = server.post(&scene.post(2)).is(200).json();
    assert_eq!(done.as_array().map(Vec::len), Some(names.len()));
    let all = scene.kubectl(&["get", "--raw", "/apis/apps/v1/deployments?limit=1"]);
    let all: Value = serde_json::from_str(&all).expect("JSON");
    let version = all["metadata"]["resourceVersion"]
        .as_str()
        .expect("a version");
    let answer = watch(&scene, version);
    assert!(
        answer.is_empty(),
        "nothing has happened since: {answer:.300}"
    );

    // The watch hears nothing of all that.
    way.hold(true);
    let crowd: Vec<_> = (0..100)
        .map(|n| {
            workload(
                "Deployment",
                &format!("crowd-{n}"),
                "app: crowd",
                0,
                &image(1),
            )
        })
        .collect();
    scene.apply(&crowd);
    scene.kubectl(&["delete", "deployment", "gone"]);
    scene.kubectl(&[
        "set",
        "image",
        "deployment/taken-back",
        &format!("web={}", image(1)),
    ]);
    scene.kubectl(&["label", "deployment/opted-out", "hikaru.dev/upgrade=manual"]);
    scene.apply(&[workload("Deployment", "new", LABELS, 0, &image(1))]);
    cluster.compact_etcd().expect("compacted");
    cluster.kill(Component::Apiserver).expect("killed");
    cluster.launch(Component::Apiserver).expect("started");
    let answer = watch(&scene, version);
    assert!(
        answer.contains("\"code\":410") || answer.contains("too old"),
        "{answer}"
    );

    // Its silence is noticed: 503, never an answer from memory.
    scene.eventually("the view is known to be out of date", || {
        server.get("/readyz").status == 503
    });
    let stale = server.post(&scene.post(3)).is(503);
    assert!(stale.head.contains("retry-after: "), "{}", stale.head);
    assert!(!lists_anew(&server.log()));

    way.hold(false);
    scene.eventually("it is ready again", || server.get("/readyz").status == 200);
    scene.eventually("it was told 410, and lists anew", || {
        lists_anew(&server.log())
    });
    let restarts = server.get("/metrics").is(200).body;
    let restarts = restarts
        .lines()
        .find_map(|l| l.strip_prefix("hikaru_watch_restarts_total "));
    assert!(restarts.is_some_and(|n| n != "0"), "{restarts:?}");
    scene.eventually("the new list is there", || {
        scene.code(&server, "new", 2).as_deref() == Some("upgrade")
    });
    for (name, code) in [
        ("web", Some("equal")),
        ("taken-back", Some("held")),
        ("opted-out", Some("equal")),
        ("gone", None),
    ] {
        assert_eq!(scene.code(&server, name, 2).as_deref(), code, "{name}");
    }
    let done = server.post(&scene.post(3)).is(200).json();
    let done = done
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| entry["name"].clone());
    assert_eq!(done.collect::<Vec<_>>(), ["new", "taken-back", "web"]);
    assert_eq!(scene.images("deployment", "opted-out"), [image(2)]);
    scene.images_only_rise();
}
