//! The end of a server, and of its clients: what was begun is finished, unless somebody aborts it.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use hikaru_http::{Authentication, Draining, Limits};
use tokio::{net::TcpStream, time::timeout};

use crate::{
    client::{Client, LONG, call, request},
    cluster::{BEFORE, Gate, POSTED, memory, runs, serve, serve_with, shop, workload, works},
};

const POST: &str = "/api/image/acme/web:acme_web_main_1.4.0_7_0123abcd";

async fn over(draining: &mut Draining) {
    timeout(LONG, draining.finished()).await.expect("the end");
}

/// The write that waits at the gate is dropped.
async fn given_up(gate: &Gate) {
    let dropped = async {
        while gate.dropped.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, dropped).await.expect("the write is given up");
}

/// A server, and a client whose upgrade waits at the gate.
async fn waiting() -> (Arc<Gate>, hikaru_http::Serving, Client) {
    let gate = Gate::new(shop());
    let server = serve(gate.clone()).await;
    let mut client = Client::connect(server.address()).await;
    client.send(request("POST", POST, &[])).await;
    gate.wait_for_writes(1).await;
    (gate, server, client)
}

#[tokio::test]
async fn an_upgrade_outlives_its_client() {
    let (gate, server, mut client) = waiting().await;
    client.finish().await;
    // The server closes its side once it has seen the end of the client's.
    assert!(client.is_closed().await);
    assert_eq!(gate.dropped.load(Ordering::SeqCst), 0);
    gate.gate.add_permits(1);
    over(&mut server.drain()).await;
    assert_eq!(runs(&gate.cluster), POSTED);
}

#[tokio::test]
async fn a_drain_waits_for_upgrades_whose_clients_are_gone() {
    let (gate, server, client) = waiting().await;
    drop(client);
    let mut draining = server.drain();
    let early = timeout(Duration::from_millis(200), draining.finished()).await;
    assert!(early.is_err(), "the write still waits");
    gate.gate.add_permits(1);
    over(&mut draining).await;
    assert_eq!(runs(&gate.cluster), POSTED);
}

#[tokio::test]
async fn a_drain_finishes_upgrades_and_their_answers_arrive() {
    let names: Vec<String> = (0..100).map(|i| format!("web-{i}")).collect();
    let workloads = names
        .iter()
        .map(|name| workload("shop", "Deployment", name, &[("web", BEFORE)]));
    let gate = Gate::new(memory(workloads));
    let mut limits = Limits::default();
    limits.upgrades = 7;
    let server = serve_with(gate.clone(), Authentication::Loopback, limits).await;
    let address = server.address();
    let mut clients = Vec::new();
    for name in &names {
        let mut client = Client::connect(address).await;
        let target = format!("{POST}?workload=shop/Deployment/{name}");
        client.send(request("POST", &target, &[])).await;
        clients.push(client);
    }
    gate.wait_for_writes(7).await;
    let mut draining = server.drain();
    gate.gate.add_permits(100);
    for (client, name) in clients.iter_mut().zip(&names) {
        let answer = client.answer().await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.json()[0]["name"], **name);
        assert!(client.is_closed().await);
    }
    over(&mut draining).await;
    assert!(
        TcpStream::connect(address).await.is_err(),
        "nobody listens any more"
    );
}

#[tokio::test]
async fn a_drain_closes_what_is_idle() {
    let server = serve(shop()).await;
    let mut new = Client::connect(server.address()).await;
    let mut idle = Client::connect(server.address()).await;
    idle.send(request("GET", "/livez", &[])).await;
    assert_eq!(idle.answer().await.status, 200);
    let mut begun = Client::connect(server.address()).await;
    begun.send("GET /livez HTTP/1.1\r\nHo").await;
    works(server.address()).await;
    let mut draining = server.drain();
    assert!(idle.is_closed().await);
    assert!(new.is_closed().await);
    over(&mut draining).await;
    assert!(begun.is_closed().await);
}

#[tokio::test]
async fn clients_that_connected_before_the_drain_are_answered() {
    let server = serve(shop()).await;
    let address = server.address();
    let mut accepted = Client::connect(address).await;
    works(address).await;
    // The kernel has taken this one; the server, on the same thread as this test, has not seen it.
    let unseen = std::net::TcpStream::connect(address).expect("a connection");
    let mut draining = server.drain();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let mut unseen = Client::of(unseen);
    for client in [&mut accepted, &mut unseen] {
        client.send(request("POST", POST, &[])).await;
        assert_eq!(client.answer().await.status, 200);
        assert!(client.is_closed().await);
    }
    over(&mut draining).await;
}

#[tokio::test]
async fn during_the_drain_delay_readyz_says_draining() {
    let gate = Gate::new(shop());
    let mut limits = Limits::default();
    limits.drain_delay = LONG;
    let server = serve_with(gate.clone(), Authentication::Loopback, limits).await;
    let address = server.address();
    let draining = server.drain();
    // Later than a server without the delay would have closed its listener.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let answer = call(address, "GET", "/readyz").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.problem(), ("not-ready".into(), "draining".into()));
    works(address).await;
    gate.gate.add_permits(1);
    let answer = call(address, "POST", POST).await;
    assert_eq!(answer.status, 200, "who still comes is served");
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(draining.abort(), 0);
}

#[tokio::test]
async fn an_abort_waits_for_nothing() {
    let (gate, server, mut client) = waiting().await;
    let mut draining = server.drain();
    let early = timeout(Duration::from_millis(50), draining.finished()).await;
    assert!(early.is_err());
    assert_eq!(draining.abort(), 1);
    assert!(client.answer_to("POST").await.is_none(), "it is cut off");
    given_up(&gate).await;
    assert_eq!(runs(&gate.cluster), BEFORE);
}

#[tokio::test]
async fn an_abort_ends_upgrades_whose_clients_are_gone() {
    let (gate, server, client) = waiting().await;
    drop(client);
    works(server.address()).await;
    let mut draining = server.drain();
    let early = timeout(Duration::from_millis(200), draining.finished()).await;
    assert!(early.is_err(), "the write still waits");
    assert_eq!(draining.abort(), 1);
    given_up(&gate).await;
    assert_eq!(runs(&gate.cluster), BEFORE);
}

#[tokio::test]
async fn a_server_that_is_dropped_is_aborted() {
    let (gate, server, mut client) = waiting().await;
    let address = server.address();
    drop(server);
    assert!(client.answer_to("POST").await.is_none(), "it is cut off");
    let unreachable = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, unreachable)
        .await
        .expect("nobody listens any more");
    assert_eq!(runs(&gate.cluster), BEFORE);
}
