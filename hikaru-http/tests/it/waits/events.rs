//! Streams of events: their form, their end, reconnecting, slow readers, and that nobody takes their connections.

use serde_json::{Value, json};
use tokio::{io::AsyncReadExt as _, net::TcpSocket};

use super::*;
use crate::{
    client::{Client, call_with, request},
    cluster::{POSTED, runs, works},
};

const EVENTS: &str = "Accept: text/event-stream";

/// An event, or a comment.
#[derive(Debug, PartialEq)]
enum Told {
    Progress(u64, Value),
    Result(u64, Value),
    Comment,
}

/// Reads one piece of a stream: each has one event.
fn read_one(chunk: &str) -> Told {
    let text = chunk
        .strip_suffix("\n\n")
        .expect("an empty line at the end");
    let lines: Vec<&str> = text.split('\n').collect();
    if let [comment] = *lines {
        assert!(comment.starts_with(": "), "{comment}");
        return Told::Comment;
    }
    let [name, id, data] = *lines else {
        panic!("expected three lines: {text}");
    };
    let id = id
        .strip_prefix("id: ")
        .expect("an id")
        .parse()
        .expect("a number");
    let data = data.strip_prefix("data: ").expect("data");
    let data = serde_json::from_str(data).expect("JSON");
    match name {
        "event: progress" => Told::Progress(id, data),
        "event: result" => Told::Result(id, data),
        _ => panic!("{name}"),
    }
}

async fn next(client: &mut Client) -> Told {
    read_one(&client.chunk().await.expect("an event, not the end"))
}

/// The state that an event tells of a workload, with the id of the event.
async fn progress(client: &mut Client) -> (u64, String) {
    match next(client).await {
        Told::Progress(id, rollout) => {
            let text = |member: &str| rollout[member].as_str().expect(member).to_owned();
            (id, format!("{}: {}", text("name"), text("state")))
        }
        other => panic!("{other:?}"),
    }
}

/// The result, after which nothing comes.
async fn result(client: &mut Client) -> (u64, Value) {
    let Told::Result(id, result) = next(client).await else {
        panic!("expected the result");
    };
    assert_eq!(client.chunk().await, None);
    (id, result)
}

async fn begin(server: &Serving, method: &str, target: &str, headers: &[&str]) -> Client {
    let mut client = Client::connect(server.address()).await;
    let headers = [&[EVENTS], headers].concat();
    client.send(request(method, target, &headers)).await;
    client
}

#[tokio::test]
async fn the_progress_and_then_the_plain_answer() {
    let scene = Scene::shop(&["admin", "web"]);
    let server = scene.serve_in_time(Limits::default()).await;
    let mut client = begin(&server, "POST", &format!("{POST}?wait=24h"), &[]).await;
    let headers = client.stream().await;
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-store"),
        ("x-accel-buffering", "no"),
        ("transfer-encoding", "chunked"),
    ] {
        assert_eq!(headers.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert_eq!(runs(&scene.cluster), POSTED);
    let mut begun = [progress(&mut client).await.1, progress(&mut client).await.1];
    begun.sort();
    assert_eq!(begun, ["admin: progressing", "web: progressing"]);
    scene.complete("web");
    assert_eq!(progress(&mut client).await, (3, "web: complete".into()));
    scene.tell("admin", |facts| facts.object.desired = 2);
    let Told::Progress(4, admin) = next(&mut client).await else {
        panic!("expected progress");
    };
    assert_eq!(
        admin,
        json!({
            "namespace": "shop", "kind": "Deployment", "name": "admin", "state": "progressing",
            "sentence": "shop/Deployment/admin: 0 of 2 new pods are ready; 2 pods are still to be created",
            "desired": 2, "updated": 0, "ready": 0, "available": 0, "old": 0,
            "containers": [{"name": "web", "image": POSTED}], "remarks": [], "unseen": [],
        })
    );
    scene.pause("admin");
    assert_eq!(progress(&mut client).await, (5, "admin: paused".into()));
    let (id, mut streamed) = result(&mut client).await;
    assert_eq!((id, &streamed["status"]), (6, &json!(409)));
    let mut plain = post(&server, "?wait=24h&failFast=false").await.json();
    // The repeated call has upgraded nothing, and has an id of its own.
    for member in ["upgraded", "requestId"] {
        streamed["answer"][member].take();
        plain[member].take();
    }
    assert_eq!(streamed["answer"], plain);

    // The connection is good for another request.
    client.send(request("GET", "/livez", &[])).await;
    assert_eq!(client.answer().await.status, 200);
}

#[tokio::test]
async fn other_routes_and_results() {
    let scene = Scene::shop(&["web"]);
    scene.complete("web");
    let server = scene.serve().await;
    post(&server, "").await;
    for target in [VERIFY, ROLLOUT] {
        let target = format!("{target}?wait=5m");
        let mut client = begin(&server, "GET", &target, &[]).await;
        client.stream().await;
        assert_eq!(progress(&mut client).await, (1, "web: complete".into()));
        let expected = json!({"status": 200, "answer": get(&server, &target).await.json()});
        assert_eq!(result(&mut client).await, (2, expected));
    }
    scene.tell("web", |_| {});
    let mut client = begin(&server, "GET", &format!("{VERIFY}?wait=5m"), &[]).await;
    client.stream().await;
    progress(&mut client).await;
    let (_, result) = result(&mut client).await;
    assert_eq!(result["status"], 504);
    assert_eq!(
        result["answer"]["type"],
        "urn:hikaru:problem:rollout-unfinished"
    );
}

#[tokio::test]
async fn who_reconnects_misses_nothing() {
    let scene = Scene::shop(&["admin", "web"]);
    let server = scene.serve_in_time(Limits::default()).await;
    let mut client = begin(&server, "POST", &format!("{POST}?wait=24h"), &[]).await;
    client.stream().await;
    for id in [1, 2] {
        assert_eq!(progress(&mut client).await.0, id);
    }
    drop(client);
    scene.until_followed(0).await;
    scene.complete("web");
    let last = ["Last-Event-ID: 2"];
    let mut client = begin(&server, "POST", &format!("{POST}?wait=24h"), &last).await;
    client.stream().await;
    let mut now = [progress(&mut client).await, progress(&mut client).await];
    assert_eq!([now[0].0, now[1].0], [3, 4]);
    now.sort_by(|a, b| a.1.cmp(&b.1));
    assert_eq!(
        [&*now[0].1, &now[1].1],
        ["admin: progressing", "web: complete"]
    );
    scene.complete("admin");
    assert_eq!(progress(&mut client).await, (5, "admin: complete".into()));
    assert_eq!(result(&mut client).await.1["status"], 200);
    for odd in ["Last-Event-ID: x", "Last-Event-ID: -1", "Last-Event-ID:"] {
        let mut client = begin(&server, "POST", &format!("{POST}?wait=24h"), &[odd]).await;
        client.stream().await;
        assert_eq!(progress(&mut client).await.0, 1);
    }
}

#[tokio::test]
async fn what_is_no_stream() {
    let scene = Scene::shop(&["web"]);
    scene.complete("web");
    let server = scene.serve().await;
    let target = format!("{POST}?wait=5m");
    for accept in [
        "Accept: */*",
        "Accept: application/json",
        "Accept: text/event-stream;q=0",
        "Accept: text/event-stream;q=0.5, application/json",
        "Accept: text/html",
    ] {
        let answer = call_with(server.address(), "POST", &target, &[accept]).await;
        assert_eq!(
            answer.header("content-type"),
            Some("application/json"),
            "{accept}"
        );
    }
    for accept in [
        "Accept: application/json;q=0.9, text/event-stream",
        "Accept: text/event-stream, application/json",
        "Accept: */*, TEXT/Event-Stream; q=0.1",
    ] {
        let mut client = Client::connect(server.address()).await;
        client.send(request("POST", &target, &[accept])).await;
        client.stream().await;
    }
    // What is refused, what does not wait, and what has nothing to wait for.
    for (method, target, status) in [
        ("POST", format!("{POST}?wait=0s"), 400),
        ("GET", format!("{ROLLOUT}x?wait=5m"), 404),
        ("POST", POST.to_owned(), 200),
        ("GET", VERIFY.to_owned(), 200),
        ("POST", format!("{POST}?wait=5m&namespace=edge"), 200),
        (
            "POST",
            format!("{POST}?wait=5m&namespace=edge&strict=true"),
            409,
        ),
    ] {
        let answer = call_with(server.address(), method, &target, &[EVENTS]).await;
        assert_eq!(answer.status, status, "{target}");
    }
}

#[tokio::test]
async fn a_silent_stream_has_comments() {
    let scene = Scene::shop(&["web"]);
    let server = scene.serve_in_time(Limits::default()).await;
    let mut client = begin(&server, "POST", &format!("{POST}?wait=24h"), &[]).await;
    client.stream().await;
    progress(&mut client).await;
    for _ in 0..3 {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(15)).await;
        tokio::time::resume();
        assert_eq!(next(&mut client).await, Told::Comment);
    }
    scene.complete("web");
    assert_eq!(progress(&mut client).await, (2, "web: complete".into()));
}

#[tokio::test]
async fn a_proxy_that_speaks_http_1_0_has_the_events_until_the_end_of_the_connection() {
    let scene = Scene::shop(&["web"]);
    scene.complete("web");
    let server = scene.serve().await;
    let mut client = Client::connect(server.address()).await;
    let head = request("POST", &format!("{POST}?wait=5m"), &[EVENTS]);
    client.send(head.replace("HTTP/1.1", "HTTP/1.0")).await;
    let mut text = String::new();
    let read = client.into_stream().read_to_string(&mut text).await;
    read.expect("UTF-8");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    assert!(!head.contains("transfer-encoding"), "{head}");
    let events: Vec<Told> = body.split_inclusive("\n\n").map(read_one).collect();
    let [Told::Progress(1, _), Told::Result(2, result)] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(result["status"], 200);
}

#[tokio::test]
async fn at_a_drain_the_last_event_says_so() {
    let scene = Scene::shop(&["web"]);
    let server = scene.serve_in_time(Limits::default()).await;
    let mut client = begin(&server, "POST", &format!("{POST}?wait=24h"), &[]).await;
    client.stream().await;
    progress(&mut client).await;
    let mut draining = server.drain();
    let (id, result) = result(&mut client).await;
    assert_eq!((id, &result["status"]), (2, &json!(503)));
    assert_eq!(result["answer"]["type"], "urn:hikaru:problem:stopping");
    assert_eq!(result["answer"]["upgraded"][0]["name"], "web");
    assert!(client.is_closed().await);
    timeout(LONG, draining.finished()).await.expect("the end");
}

#[tokio::test]
async fn a_stream_is_not_closed_for_another_connection() {
    let scene = Scene::shop(&["web"]);
    let mut limits = Limits::default();
    limits.connections = 3;
    let server = scene.serve_in_time(limits).await;
    let mut streams = Vec::new();
    for _ in 0..2 {
        let mut client = begin(&server, "POST", &format!("{POST}?wait=24h"), &[]).await;
        client.stream().await;
        progress(&mut client).await;
        streams.push(client);
    }
    let mut idle = Client::connect(server.address()).await;
    idle.send(request("GET", "/livez", &[])).await;
    assert_eq!(idle.answer().await.status, 200);
    let mut third = begin(&server, "GET", &format!("{VERIFY}?wait=24h"), &[]).await;
    third.stream().await;
    progress(&mut third).await;
    streams.push(third);
    assert!(idle.is_closed().await, "it is the one that is closed");
    // All are busy: one more is told so, and probes are answered.
    let answer = get(&server, VERIFY).await;
    assert_eq!((answer.status, &*answer.problem().0), (503, "busy"));
    works(server.address()).await;
    scene.complete("web");
    for client in &mut streams {
        assert_eq!(progress(client).await, (2, "web: complete".into()));
        assert_eq!(result(client).await.1["status"], 200);
    }
}

/// How many workloads a long stream has.
const MANY: usize = 400;

/// A client of a stream of some 10 MB, more than all buffers on the way hold. It has read nothing yet.
async fn long_stream(server: &Serving) -> Client {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(16 * 1024).expect("a size");
    let stream = socket.connect(server.address()).await;
    let stream = stream.expect("a connection").into_std().expect("a socket");
    let mut client = Client::of(stream);
    client
        .send(request("GET", &format!("{VERIFY}?wait=24h"), &[EVENTS]))
        .await;
    client
}

fn many() -> Arc<Scene> {
    let long = format!("acme/proxy:{}", "x".repeat(100));
    let containers: Vec<_> = std::iter::once(("web", POSTED))
        .chain(std::iter::repeat_n(("proxy", &*long), 200))
        .collect();
    let names: Vec<String> = (0..MANY).map(|i| format!("web-{i}")).collect();
    let workloads = names
        .iter()
        .map(|name| workload("shop", "Deployment", name, &containers));
    let scene = Scene::new(workloads);
    for name in &names {
        scene.tell(name, |_| {});
    }
    scene
}

#[tokio::test]
async fn a_slow_reader_misses_nothing() {
    let scene = many();
    let server = scene.serve_in_time(Limits::default()).await;
    let mut client = long_stream(&server).await;
    scene.until_followed(MANY).await;
    for i in 0..MANY {
        scene.complete(&format!("web-{i}"));
        works(server.address()).await;
    }
    client.stream().await;
    let mut last = 0;
    let mut known = std::collections::BTreeMap::new();
    let result = loop {
        match next(&mut client).await {
            Told::Progress(id, rollout) => {
                last += 1;
                assert_eq!(id, last);
                known.insert(rollout["name"].to_string(), rollout["state"].clone());
            }
            Told::Result(id, result) => {
                assert_eq!(id, last + 1);
                break result;
            }
            Told::Comment => {}
        }
    };
    assert!(known.len() == MANY && known.values().all(|state| state == "complete"));
    assert_eq!(result["status"], 200);
    assert_eq!(result["answer"].as_array().map(Vec::len), Some(MANY));
}

async fn time_passes(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn who_takes_nothing_of_a_stream_is_cut_off_and_who_takes_some_is_not() {
    let scene = many();
    let server = scene.serve_in_time(Limits::default()).await;
    // It reads some megabytes in each minute.
    let mut reads = long_stream(&server).await;
    reads.stream().await;
    let mut read = 0;
    for _ in 0..MANY {
        let chunk = reads.chunk().await.expect("an event");
        read += chunk.len();
        if read > 2_000_000 {
            read = 0;
            works(server.address()).await;
            time_passes(40).await;
            works(server.address()).await;
        }
    }
    drop(reads);
    scene.until_followed(0).await;

    let takes_nothing = long_stream(&server).await;
    scene.until_followed(MANY).await;
    let cut = async {
        while scene.followed.load(Ordering::SeqCst) > 0 {
            works(server.address()).await;
            time_passes(61).await;
        }
    };
    timeout(Duration::from_secs(24 * 60 * 60), cut)
        .await
        .expect("it is cut off");
    let mut rest = Vec::new();
    let _ = takes_nothing.into_stream().read_to_end(&mut rest).await;
    assert!(!rest.ends_with(b"0\r\n\r\n"), "it is not whole");
}
