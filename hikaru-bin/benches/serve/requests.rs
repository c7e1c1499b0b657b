//! Requests a second when nothing matches: POSTs of an image that nobody runs, on 32 connections, to what `hikaru serve` is
//! made of, beside a bare hyper service that answers the same bytes. The log is off, and so is the look at the cluster
//! before an empty answer, which is bounded by a rate: so this is a composition of this bench, not the program. Each server
//! has one CPU, and the caller the other one.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use hikaru_core::workload::IdentityKeys;
use hikaru_http::{Bound, CallerSet, Callers, Token};
use hikaru_k8s::{
    Connection, ConnectionOptions, LiveCluster, LiveSettings, WatchSettings, WatchedCluster,
};
use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    header::HeaderValue,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
};
use xtask::figures::{Figure, Goal};

use crate::{
    metrics::{Figures, Measured},
    objects::image,
    pairs,
    service::{Service, stay_on},
    stub::Stub,
};

const CONNECTIONS: usize = 32;
const ROUNDS: usize = 20;
const TURN: Duration = Duration::from_millis(750);

/// The CPU of the caller, and that of each server.
const CALLER: usize = 0;
const SERVER: usize = 1;

pub(crate) fn run() {
    let stub = Stub::start();
    let ours = Service::of_ours(&["our-answers", &stub.url], &stub.ca);
    let bare = Service::of_ours(&["bare-answers"], "");
    // The bench itself goes on to others on all CPUs.
    let caller = std::thread::spawn(move || {
        stay_on(CALLER);
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let turn = |service: &Service| {
            let before = service.cpu();
            let (count, seconds) = runtime.block_on(requests(&service.address));
            [count / seconds, (service.cpu() - before) / count]
        };
        pairs(2, ROUNDS, || turn(&ours), || turn(&bare))
    });
    let measured = caller.join().expect("measured");
    let rates: Vec<_> = measured.iter().map(|(o, b)| (o[0], b[0])).collect();
    let name = "requests/s, nothing matches, 32 connections";
    let rate = Figure::paired(name, "/s", &rates, Goal::AtLeast(0.50));
    rate.record().expect("recorded");
    let costs: Vec<_> = measured.iter().map(|(o, b)| (o[1], b[1])).collect();
    let cost = Figure::paired("CPU of such a request", "µs", &costs, Goal::None);
    cost.record().expect("recorded");
}

/// As `hikaru serve` has it.
fn runtime() -> Runtime {
    stay_on(SERVER);
    Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// How many there were, and in how many seconds.
async fn requests(address: &str) -> (f64, f64) {
    let begun = Instant::now();
    let callers = (0..CONNECTIONS).map(|_| tokio::spawn(call(address.to_owned(), begun + TURN)));
    let counts = futures_util::future::join_all(callers).await;
    let count: u32 = counts
        .into_iter()
        .map(|count| count.expect("counted"))
        .sum();
    (f64::from(count), begun.elapsed().as_secs_f64())
}

/// Posts again and again on one connection. How often.
async fn call(address: String, end: Instant) -> u32 {
    let image = image("nobody", 2);
    let request = format!(
        "POST /api/image/{image} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer a-token-of-the-bench\r\n\r\n"
    );
    let mut stream = TcpStream::connect(&address).await.expect("connected");
    stream.set_nodelay(true).expect("no delay");
    let mut answer = [0; 1024];
    let mut count = 0;
    while Instant::now() < end {
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut filled = 0;
        while !answer[..filled].ends_with(b"\r\n\r\n[]") {
            let read = stream.read(&mut answer[filled..]).await.expect("an answer");
            assert_ne!(read, 0, "{}", String::from_utf8_lossy(&answer[..filled]));
            filled += read;
        }
        count += 1;
    }
    count
}

/// What `hikaru serve` is made of, without the look. Runs until it is killed.
pub(crate) fn ours(url: &str) {
    runtime().block_on(async {
        let variable = |name: &str| match name {
            "K8S_URL" => Some(url.to_owned()),
            "K8S_TOKEN" => Some("a-token-of-the-bench".to_owned()),
            "K8S_CA" => std::env::var(name).ok(),
            _ => None,
        };
        let connection = Connection::choose(&ConnectionOptions::default(), &variable).await;
        let settings = LiveSettings::new(IdentityKeys::default());
        let live = LiveCluster::new(&connection.expect("a connection"), settings).await;
        let mut settings = WatchSettings::default();
        settings.live_look = false;
        let live = live.expect("a client");
        let view = WatchedCluster::start(live.clone(), settings);
        view.synced().await;
        let figures = Arc::new(Figures::new(Some((view.clone(), live)), |_| {}));
        let cluster = Arc::new(Measured::new(Arc::new(view), figures.clone()));
        let token = Token::new(&"a-token-of-the-bench".to_owned().into()).expect("a token");
        let clock = Arc::new(hikaru_k8s::SystemClock::default());
        let callers = Callers::new(CallerSet::of_tokens([token]), clock.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let bound = Bound::new(listener, cluster, clock, callers).expect("bound");
        println!("{}", bound.address());
        let _serving = bound.metrics(figures.clone()).observer(figures).serve();
        std::future::pending::<()>().await;
    });
}

/// The same bytes without a question asked. Runs until it is killed.
pub(crate) fn bare() {
    runtime().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", listener.local_addr().expect("an address"));
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let _ = stream.set_nodelay(true);
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service_fn(answer));
            tokio::spawn(async move {
                let _ = connection.await;
            });
        }
    });
}

async fn answer(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut answer = Response::new(Full::new(Bytes::from_static(b"[]")));
    for (name, value) in [
        ("content-type", "application/json"),
        ("cache-control", "no-store"),
        ("x-request-id", "0123456789abcdef"),
    ] {
        let headers = answer.headers_mut();
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(answer)
}
