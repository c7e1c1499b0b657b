//! Those who wait for rollouts, on an API server that plays a script (`server`): how long it takes from an event of the API server
//! until whoever waits has read it, and how much memory a wait needs. One pod and one ReplicaSet for each workload; what HTTP adds
//! is in the benches of hikaru-bin.
//!
//! `cargo bench -p hikaru-k8s --bench waits`; with the argument `quick` less of everything, to see whether it works.
#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

mod server;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use allocation_counter::measure;
use futures_util::{StreamExt as _, future::join_all, stream::BoxStream};
use hikaru_core::{
    port::RolloutPort as _,
    rollout::RolloutFacts,
    workload::{IdentityKeys, WorkloadName},
};
use hikaru_k8s::{Connection, ConnectionOptions, LiveCluster, LiveSettings};
use server::{Server, Stage};
use tokio::runtime::{Builder, Runtime};
use xtask::figures::{Figure, Goal, percentile};

const WAITS: usize = 1_000;
const EVENTS: usize = 4_000;
const ROUNDS: usize = 6;
/// Between two events.
const PACE: Duration = Duration::from_millis(2);

fn main() {
    let is_quick = std::env::args().any(|arg| arg == "quick");
    let (events, rounds) = if is_quick { (200, 1) } else { (EVENTS, ROUNDS) };
    // With more namespaces there are more connections, three in each namespace.
    for (namespaces, of, goal) in [
        (1, "one namespace", Goal::AtMost(10_240.0)),
        (50, "50 namespaces, their connections included", Goal::None),
    ] {
        let measured: Vec<f64> = (0..rounds).map(|_| memory(namespaces)).collect();
        let name = format!("memory of a wait of 1,000, {of}");
        record(&Figure::alone(&name, "B", &measured, goal));
    }
    for (namespaces, of) in [(1, "one namespace"), (50, "50 namespaces")] {
        let (mut half, mut most, mut all) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            let (mut times, burst) = latency(events, namespaces);
            half.push(percentile(&mut times, 0.5));
            most.push(percentile(&mut times, 0.99));
            all.push(burst);
        }
        let name = |what: &str| format!("event to facts, 1,000 waits, {of}, {what}");
        record(&Figure::alone(&name("p50"), "ms", &half, Goal::None));
        // To the answer on the wire it may take 50 ms.
        let goal = Goal::AtMost(50.0);
        record(&Figure::alone(&name("p99"), "ms", &most, goal));
        record(&Figure::alone(
            &name("1,000 at once"),
            "ms",
            &all,
            Goal::None,
        ));
    }
}

fn record(figure: &Figure) {
    figure.record().expect("recorded");
}

async fn connect(server: &Server) -> LiveCluster {
    let variable = |name: &str| (name == "K8S_URL").then(|| server.url.clone());
    let connection = Connection::choose(&ConnectionOptions::default(), &variable).await;
    let settings = LiveSettings::new(IdentityKeys::default());
    let live = LiveCluster::new(&connection.expect("a connection"), settings).await;
    live.expect("a client")
}

fn names(server: &Server) -> Vec<WorkloadName> {
    let names = (0..WAITS).map(|n| server.workload(n).parse());
    names.map(|name| name.expect("a name")).collect()
}

/// Somebody who waits, and has read the facts once.
async fn wait(live: &LiveCluster, name: &WorkloadName) -> BoxStream<'static, ()> {
    let mut changes = live.changed(name);
    assert_eq!(changes.next().await, Some(()));
    let facts = facts(live, name).await;
    assert_eq!((facts.pods.len(), facts.replica_sets.len()), (1, 1));
    assert_eq!(facts.unseen, []);
    changes
}

async fn facts(live: &LiveCluster, name: &WorkloadName) -> RolloutFacts {
    let facts = live.facts(name).await.expect("an answer");
    facts.expect("it is there")
}

/// What is allocated for each wait, in bytes, by the one thread in which the client runs.
fn memory(namespaces: usize) -> f64 {
    let server = Server::start(WAITS, namespaces);
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let live = runtime.block_on(connect(&server));
    let names = names(&server);
    let mut waits = Vec::with_capacity(WAITS);
    let counted = measure(|| {
        runtime.block_on(async {
            waits.extend(join_all(names.iter().map(|name| wait(&live, name))).await);
        });
    });
    let (requests, watches) = server.requests();
    // A thousand objects are two pages.
    assert!(
        requests <= 2 * watches,
        "{requests} requests beside {watches} watches"
    );
    assert_eq!(waits.len(), WAITS);
    counted.bytes_current as f64 / WAITS as f64
}

/// How long each event took until it was read, in ms; and how long all took that came at once.
fn latency(events: usize, namespaces: usize) -> (Vec<f64>, f64) {
    let server = Server::start(WAITS, namespaces);
    let runtime: Runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let live = runtime.block_on(connect(&server));
    let (told, read) = mpsc::channel();
    let ready = Arc::new(AtomicUsize::new(0));
    for (n, name) in names(&server).into_iter().enumerate() {
        let (live, told, ready) = (live.clone(), told.clone(), ready.clone());
        runtime.spawn(async move {
            let mut changes = wait(&live, &name).await;
            ready.fetch_add(1, Ordering::SeqCst);
            while changes.next().await.is_some() {
                let stage = stage(&facts(&live, &name).await);
                let _ = told.send((n, stage, Instant::now()));
            }
        });
    }
    while ready.load(Ordering::SeqCst) < WAITS {
        std::thread::sleep(Duration::from_millis(10));
    }
    let (before, _) = server.requests();
    let until = |n: usize, stage: Stage, begun: Instant| {
        loop {
            let (told, seen, at) = read.recv_timeout(Duration::from_secs(60)).expect("told");
            if (told, seen) == (n, stage) {
                return at.saturating_duration_since(begun).as_secs_f64() * 1e3;
            }
        }
    };
    let stages = [Stage::Ready, Stage::Complete, Stage::Progressing];
    let mut times = Vec::with_capacity(events);
    for event in 0..events {
        // A pod gets ready, the controller counts it, and it begins anew; each workload far from the one before.
        let (n, stage) = (event / 3 * 619 % WAITS, stages[event % 3]);
        times.push(until(n, stage, server.change(n, stage)));
        std::thread::sleep(PACE);
    }
    let begun = Instant::now();
    for n in 0..WAITS {
        server.change(n, Stage::Complete);
    }
    let mut missing: Vec<bool> = vec![true; WAITS];
    let mut last = begun;
    while missing.contains(&true) {
        let (n, stage, at) = read.recv_timeout(Duration::from_secs(60)).expect("told");
        if stage == Stage::Complete {
            missing[n] = false;
            last = last.max(at);
        }
    }
    let (after, _) = server.requests();
    assert_eq!(after, before, "nothing is asked while the watches follow");
    (
        times,
        last.saturating_duration_since(begun).as_secs_f64() * 1e3,
    )
}

fn stage(facts: &RolloutFacts) -> Stage {
    match (facts.object.available, facts.pods[0].containers[0].is_ready) {
        (1.., _) => Stage::Complete,
        (_, true) => Stage::Ready,
        (_, false) => Stage::Progressing,
    }
}
