//! Posts to `hikaru serve` that wait for rollouts, on an API server that plays a script: how long it takes from its event until the
//! answer can be read, and how much memory a wait needs. What the adapter alone needs is in the bench `waits` of hikaru-k8s.

#[path = "../../../hikaru-k8s/benches/waits/server.rs"]
mod server;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use server::{Server, Stage};
use xtask::figures::{Figure, Goal, percentile};

use crate::service::Service;

/// Less than a quarter of the connections that a process with 1,024 file descriptors serves.
const WAITS: usize = 100;
const NAMESPACES: usize = 20;
/// The workloads of one call.
const WORKLOADS: usize = 1_000;
const ROUNDS: usize = 6;
const EVENTS: usize = 1_000;
/// Between two events.
const PACE: Duration = Duration::from_millis(2);

pub(crate) fn run() {
    let is_quick = std::env::args().any(|arg| arg == "quick");
    let (rounds, events) = if is_quick { (1, 100) } else { (ROUNDS, EVENTS) };
    let measured: Vec<f64> = (0..rounds).map(|_| memory_of_workloads()).collect();
    let name = "memory of a workload of 1,000 that one call waits for";
    record(&Figure::alone(name, "B", &measured, Goal::AtMost(10_240.0)));
    let (mut half, mut most, mut all, mut of_calls) = (vec![], vec![], vec![], vec![]);
    for _ in 0..rounds {
        let (mut times, burst, memory) = calls(events);
        half.push(percentile(&mut times, 0.5));
        most.push(percentile(&mut times, 0.99));
        all.push(burst);
        of_calls.push(memory);
    }
    let name = "memory of a call that waits, its connection included";
    record(&Figure::alone(name, "B", &of_calls, Goal::None));
    let name = |what: &str| format!("event to answer, {WAITS} calls that wait, {what}");
    record(&Figure::alone(&name("p50"), "ms", &half, Goal::None));
    record(&Figure::alone(
        &name("p99"),
        "ms",
        &most,
        Goal::AtMost(50.0),
    ));
    record(&Figure::alone(&name("all at once"), "ms", &all, Goal::None));
}

fn record(figure: &Figure) {
    figure.record().expect("recorded");
}

fn serve(server: &Server) -> Service {
    let hikaru = Service::on_plain(&server.url);
    hikaru.wait_until_ready();
    // The allocator keeps what the lists needed: the first waits shall not find it.
    hikaru.call("GET", "/metrics");
    hikaru
}

/// What each of 1,000 workloads needs that one call waits for, in bytes.
fn memory_of_workloads() -> f64 {
    let server = Server::start_alike(WORKLOADS, NAMESPACES);
    let hikaru = serve(&server);
    let image = server.image(0);
    let before = hikaru.memory("RssAnon");
    let mut wait = Wait::begin(&hikaru, &image);
    for _ in 0..WORKLOADS {
        wait.progress();
    }
    let after = hikaru.memory("RssAnon");
    (after - before) / WORKLOADS as f64
}

/// How long each event took until the answer was read, in ms; how long all took that came at once; and the memory of each call.
fn calls(events: usize) -> (Vec<f64>, f64, f64) {
    let server = Server::start(WAITS, NAMESPACES);
    let hikaru = serve(&server);
    let begin = |n: usize| loop {
        let mut wait = Wait::begin(&hikaru, &server.image(n));
        // That it begins anew may not be known yet.
        if wait.progress().contains(r#""state":"progressing""#) {
            return wait;
        }
    };
    let before = hikaru.memory("RssAnon");
    let mut waits: Vec<Wait> = (0..WAITS).map(begin).collect();
    let memory = (hikaru.memory("RssAnon") - before) / WAITS as f64;
    let (requests, _) = server.requests();
    let mut times = Vec::with_capacity(events);
    for event in 0..events {
        // Each far from the one before.
        let n = event * 61 % WAITS;
        server.change(n, Stage::Ready);
        waits[n].progress();
        let begun = server.change(n, Stage::Complete);
        times.push(waits[n].result(begun));
        server.change(n, Stage::Progressing);
        waits[n] = begin(n);
        thread::sleep(PACE);
    }
    for (n, wait) in waits.iter_mut().enumerate() {
        server.change(n, Stage::Ready);
        wait.progress();
    }
    let begun = Instant::now();
    for n in 0..WAITS {
        server.change(n, Stage::Complete);
    }
    let all = waits.iter_mut().map(|wait| wait.result(begun));
    let last = all.fold(0.0, f64::max);
    let (after, _) = server.requests();
    assert_eq!(after, requests, "nothing is asked while the watches follow");
    (times, last, memory)
}

/// A post of a build that runs already, answered with events.
struct Wait(BufReader<TcpStream>);

impl Wait {
    fn begin(hikaru: &Service, image: &str) -> Self {
        let mut stream = TcpStream::connect(&hikaru.address).expect("connected");
        let head = format!(
            "POST /api/image/{image}?wait=1h HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).expect("sent");
        let time = Some(Duration::from_secs(60));
        stream.set_read_timeout(time).expect("a timeout");
        Self(BufReader::new(stream))
    }

    /// Reads until an event of this name.
    fn until(&mut self, name: &str) {
        let mut line = String::new();
        while line.trim_end() != format!("event: {name}") {
            line.clear();
            let read = self.0.read_line(&mut line).expect("a line");
            assert_ne!(read, 0, "the end before an event {name}");
        }
    }

    /// What the next event of progress says.
    fn progress(&mut self) -> String {
        self.until("progress");
        let mut data = String::new();
        while !data.starts_with("data: ") {
            data.clear();
            self.0.read_line(&mut data).expect("a line");
        }
        data
    }

    /// How long the result took, in ms.
    fn result(&mut self, begun: Instant) -> f64 {
        self.until("result");
        begun.elapsed().as_secs_f64() * 1e3
    }
}
