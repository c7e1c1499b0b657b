//! More connections than there are places, and clients that only hold them: whoever asks for something is answered.

use std::{collections::VecDeque, net::SocketAddr, sync::Arc, time::Duration};

use hikaru_core::port::WorkloadPort;
use hikaru_http::{Authentication, Bound, Limits, Serving};
use tokio::{
    io::AsyncReadExt as _,
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::{
    client::{Client, LONG, call, request},
    cluster::{BEFORE, Gate, listener, memory, serve_with, shop, workload, works},
};

const POST: &str = "/api/image/acme/web:acme_web_main_1.4.0_7_0123abcd";
const PLAN: &str = "/api/candidates/acme/web:acme_web_main_1.4.0_7_0123abcd";

/// A server with a listener for probes of its own, and where that is.
async fn with_probes(cluster: Arc<dyn WorkloadPort>, limits: Limits) -> (Serving, SocketAddr) {
    let probes = listener().await;
    let address = probes.local_addr().expect("an address");
    let bound = Bound::new(
        listener().await,
        cluster,
        crate::cluster::still_clock(),
        Authentication::Loopback,
    );
    let bound = bound.expect("a loopback address").limits(limits);
    (bound.probes(probes).serve(), address)
}

async fn status(to: SocketAddr, method: &str, target: &str) -> u16 {
    call(to, method, target).await.status
}

#[tokio::test]
async fn requests_are_answered_among_two_thousand_clients_that_never_finish_their_headers() {
    let mut limits = Limits::default();
    limits.connections = 64;
    limits.probe_connections = 8;
    let (server, probes) = with_probes(shop(), limits).await;
    // The last ones only: the others were closed by the server, and tests may have few file descriptors.
    let mut slow = VecDeque::new();
    for round in 0..50 {
        for at in 0..40 {
            let mut client = Client::connect(server.address()).await;
            let begun = ["", "P", "POST /api/image/acme", "GET /livez HTTP/1.1\r\nHo"];
            client.try_send(begun[at % begun.len()]).await;
            slow.push_back(client);
        }
        slow.push_back(Client::connect(probes).await);
        while slow.len() > 200 {
            slow.pop_front();
        }
        for client in &mut slow {
            client.try_send("T").await;
        }
        let plan = status(server.address(), "GET", PLAN).await;
        let post = status(server.address(), "POST", POST).await;
        assert_eq!((plan, post), (200, 200), "round {round}");
        works(server.address()).await;
        works(probes).await;
    }
}

#[tokio::test]
async fn the_connection_that_waits_the_longest_is_closed_first() {
    let mut limits = Limits::default();
    limits.connections = 3;
    let server = serve_with(shop(), Authentication::Loopback, limits).await;
    let mut first = Client::connect(server.address()).await;
    first.send(request("GET", "/livez", &[])).await;
    assert_eq!(first.answer().await.status, 200);
    let mut second = Client::connect(server.address()).await;
    second.send("GET /livez HTTP/1.1\r\n").await;
    let mut third = Client::connect(server.address()).await;
    third.send(request("GET", "/livez", &[])).await;
    assert_eq!(third.answer().await.status, 200);
    // Since its last answer the first one waits for less time than the second one.
    first.send(request("GET", "/livez", &[])).await;
    assert_eq!(first.answer().await.status, 200);
    let mut fourth = Client::connect(server.address()).await;
    assert!(second.is_closed().await);
    let mut fifth = Client::connect(server.address()).await;
    assert!(third.is_closed().await);
    for kept in [&mut first, &mut fourth, &mut fifth] {
        kept.send(request("GET", "/livez", &[])).await;
        assert_eq!(kept.answer().await.status, 200);
    }
}

#[tokio::test]
async fn when_all_connections_are_busy_others_are_told_and_probes_are_answered() {
    let gate = Gate::new(shop());
    let mut limits = Limits::default();
    limits.connections = 2;
    let (server, probes) = with_probes(gate.clone(), limits).await;
    let mut busy = Vec::new();
    for _ in 0..2 {
        let mut client = Client::connect(server.address()).await;
        client.send(request("POST", POST, &[])).await;
        gate.wait_for_writes(1).await;
        busy.push(client);
    }
    // One more place is there to say so, and silence cannot hold it.
    let mut silent = Client::connect(server.address()).await;
    let answer = call(server.address(), "POST", POST).await;
    assert_eq!((answer.status, &*answer.problem().0), (503, "busy"));
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(silent.is_closed().await);
    works(server.address()).await;
    works(probes).await;

    gate.gate.add_permits(2);
    for client in &mut busy {
        assert_eq!(client.answer().await.status, 200);
    }
    // They wait for their clients now: there is a place again.
    assert_eq!(status(server.address(), "POST", POST).await, 200);
}

#[tokio::test]
async fn the_listener_of_probes_answers_nothing_else() {
    let (server, probes) = with_probes(shop(), Limits::default()).await;
    for (method, target, expected) in [
        ("GET", "/livez", 200),
        ("GET", "/readyz", 200),
        ("POST", "/readyz", 405),
        // Nobody keeps figures here.
        ("GET", "/metrics", 404),
        ("GET", PLAN, 404),
        ("POST", POST, 404),
        ("GET", "/api/job/shop", 404),
        ("GET", "/", 404),
    ] {
        let found = status(probes, method, target).await;
        assert_eq!(found, expected, "{method} {target}");
    }
    let answer = call(probes, "POST", POST).await;
    let expected = "expected /livez, /readyz or /metrics: the API has an address of its own";
    assert_eq!(
        answer.problem(),
        ("unknown-route".to_owned(), expected.to_owned())
    );
    assert_eq!(status(server.address(), "POST", POST).await, 200);
}

#[tokio::test]
async fn the_listener_of_probes_answers_until_the_drain_is_over() {
    let gate = Gate::new(shop());
    let (server, probes) = with_probes(gate.clone(), Limits::default()).await;
    let mut client = Client::connect(server.address()).await;
    client.send(request("POST", POST, &[])).await;
    gate.wait_for_writes(1).await;
    let mut silent = Client::connect(probes).await;
    let mut draining = server.drain();
    works(probes).await;
    let answer = call(probes, "GET", "/readyz").await;
    assert_eq!(answer.problem(), ("not-ready".into(), "draining".into()));
    gate.gate.add_permits(1);
    assert_eq!(client.answer().await.status, 200);
    let over = timeout(LONG, draining.finished()).await;
    over.expect("probes do not hold up the end");
    works(probes).await;
    drop(draining);
    assert!(silent.is_closed().await);
    let unreachable = async {
        while TcpStream::connect(probes).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, unreachable).await.expect("nobody listens");
}

/// A cluster for which a plan is about a megabyte long.
fn large() -> Arc<dyn WorkloadPort> {
    memory((0..3000).map(|i| {
        let name = format!("web-{i}");
        workload("shop", "Deployment", &name, &[("web", BEFORE)])
    }))
}

/// Asks for so many plans at once that the answers fill every buffer on the way.
async fn greedy(server: &Serving) -> TcpStream {
    let mut client = Client::connect(server.address()).await;
    client.try_send(request("GET", PLAN, &[]).repeat(20)).await;
    client.into_stream()
}

#[tokio::test]
async fn a_client_that_takes_its_answer_too_slowly_is_cut_off() {
    let mut limits = Limits::default();
    limits.write_time = Duration::from_millis(200);
    let server = serve_with(large(), Authentication::Loopback, limits).await;
    let whole = call(server.address(), "GET", PLAN).await.text.len() * 20;
    let mut client = greedy(&server).await;
    let (mut taken, mut buffer) = (0, [0; 1024]);
    let cut = async {
        // It takes some bytes all the time.
        while let Ok(count @ 1..) = client.read(&mut buffer).await {
            taken += count;
            sleep(Duration::from_millis(1)).await;
            if taken > 512 * 1024 {
                // What has arrived already, and the end.
                let mut rest = Vec::new();
                let _ = client.read_to_end(&mut rest).await;
                taken += rest.len();
                break;
            }
        }
    };
    timeout(LONG, cut).await.expect("the end");
    assert!(taken < whole, "{taken} of {whole} bytes");
    works(server.address()).await;
}

#[tokio::test]
async fn unfinished_headers_hold_a_bounded_number_of_bytes() {
    let mut limits = Limits::default();
    limits.heads_bytes = 64 * 1024;
    let server = serve_with(shop(), Authentication::Loopback, limits).await;
    let begun = format!("GET /livez HTTP/1.1\r\nX: {}", "x".repeat(20 * 1024));
    let mut slow = Vec::new();
    for _ in 0..3 {
        let mut client = Client::connect(server.address()).await;
        client.send(&begun).await;
        works(server.address()).await;
        slow.push(client);
    }
    let mut next = Client::connect(server.address()).await;
    next.send(&begun).await;
    assert!(slow[0].is_closed().await);
    for client in slow.iter_mut().skip(1).chain([&mut next]) {
        client.send("\r\nHost: localhost\r\n\r\n").await;
        assert_eq!(client.answer().await.status, 200);
    }
}

#[tokio::test]
async fn answers_to_slow_clients_hold_a_bounded_number_of_bytes() {
    let mut limits = Limits::default();
    limits.answers_bytes = 256 * 1024;
    let server = serve_with(large(), Authentication::Loopback, limits).await;
    let slow = greedy(&server).await;
    let cut = async {
        loop {
            assert_eq!(status(server.address(), "GET", PLAN).await, 200);
            // It cannot be written to any more once the server has closed it.
            match slow.try_write(b"G") {
                Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => break,
                _ => {}
            }
        }
    };
    timeout(LONG, cut).await.expect("it is cut off");
}
