//! From a POST sent to its PATCH received, one match among 100,000: `hikaru serve` beside a bare hyper server that forwards
//! each POST as such a PATCH by a bare hyper client. Both have a warm TLS connection to a stub that answers at once; a POST
//! every two milliseconds. Each pair has processes of its own: how a process's memory and threads happen to lie moves the
//! figures of all its turns.

use std::{
    cell::Cell,
    convert::Infallible,
    io::{Read as _, Write as _},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Bytes, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use kube::{Config, client::ConfigExt as _};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tokio::net::TcpListener;
use xtask::figures::{Figure, Goal, percentile};

use crate::{
    objects::{image, patch, upgraded},
    pairs,
    service::Service,
    stub::{Stub, repo},
};

const ROUNDS: usize = 20;
const POSTS: usize = 1_000;
/// The posts of a process that are not counted.
const WARM: usize = 250;
const PACE: Duration = Duration::from_millis(2);

pub(crate) fn run() {
    let stub = Stub::start();
    let build = Cell::new(1);
    // The 99th and the 50th percentile of a turn, and the time on a CPU for each POST, in µs.
    let turn = |service: Service| {
        let mut caller = Caller::connect(&service.address);
        let mut post = |_| {
            build.set(build.get() + 1);
            caller.post(&stub, build.get())
        };
        (0..WARM).map(&mut post).for_each(drop);
        let before = service.cpu();
        let mut times: Vec<f64> = (0..POSTS).map(post).collect();
        let cpu = (service.cpu() - before) / POSTS as f64;
        let [most, half] = [0.99, 0.5].map(|share| percentile(&mut times, share));
        [most, half, cpu]
    };
    let ours = || {
        let hikaru = Service::on_stub(&stub.url, &stub.ca);
        hikaru.wait_until_ready();
        turn(hikaru)
    };
    let bare = || turn(Service::of_ours(&["bare-hop", &stub.url], &stub.ca));
    let measured = pairs(0, ROUNDS, ours, bare);
    let names = [
        ("POST received to PATCH sent, p99", Goal::None),
        ("POST received to PATCH sent, p50", Goal::None),
        ("CPU of such a POST", Goal::None),
    ];
    for (at, (name, goal)) in names.into_iter().enumerate() {
        let pairs: Vec<(f64, f64)> = measured.iter().map(|(o, b)| (o[at], b[at])).collect();
        let figure = Figure::paired(name, "µs", &pairs, goal);
        figure.record().expect("recorded");
    }
}

/// One connection, one POST at a time.
struct Caller {
    stream: TcpStream,
    next: Instant,
    answer: Vec<u8>,
}

impl Caller {
    fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("connected");
        stream.set_nodelay(true).expect("no delay");
        Self {
            stream,
            next: Instant::now(),
            answer: vec![0; 64 * 1024],
        }
    }

    /// Posts a build that nobody has yet, of a Deployment far from the last one, at the next tick. How long it took until
    /// the stub had the patch, in µs.
    fn post(&mut self, stub: &Stub, n: u64) -> f64 {
        let repo = repo(usize::try_from(n).unwrap_or(0) * 61_987);
        let image = image(&repo, n);
        let request = format!("POST /api/image/{image} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.next += PACE;
        thread::sleep(self.next.saturating_duration_since(Instant::now()));
        self.next = self.next.max(Instant::now() - PACE);
        let sent = Instant::now();
        self.stream.write_all(request.as_bytes()).expect("sent");
        let patched = stub.patched.recv_timeout(Duration::from_secs(10));
        self.read();
        let took = patched.expect("patched").saturating_duration_since(sent);
        took.as_secs_f64() * 1e6
    }

    /// Reads an answer to its end.
    fn read(&mut self) {
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.answer[filled..]);
            filled += read.expect("an answer");
            let text = String::from_utf8_lossy(&self.answer[..filled]);
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            assert!(head.starts_with("HTTP/1.1 200"), "{text}");
            let length = head
                .to_ascii_lowercase()
                .split("content-length: ")
                .nth(1)
                .and_then(|rest| rest.lines().next()?.parse().ok());
            if length.is_none_or(|length: usize| body.len() >= length) {
                return;
            }
        }
    }
}

/// Forwards each request as a PATCH, and answers what comes back. Runs until it is killed.
pub(crate) fn bare(url: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(forward(url));
}

async fn forward(url: &str) {
    let mut config = Config::new(url.parse().expect("a URL"));
    let ca = std::env::var("K8S_CA").expect("a certificate");
    let ca = CertificateDer::from_pem_slice(ca.as_bytes()).expect("PEM");
    config.root_cert = Some(vec![ca.to_vec()]);
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let tls = config.rustls_https_connector_with_connector(tcp);
    let client: Client<_, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).build(tls.expect("a connector"));
    // As long as hikaru's are.
    let object = upgraded("web-000000-0", "web-000000", 0);
    let body = Bytes::from(patch(&object, "web-000000", 2).to_string());
    let target = format!("{url}/apis/apps/v1/namespaces/team-0000/deployments/web-000000-0");
    let target: hyper::Uri = target.parse().expect("a URL");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("{}", listener.local_addr().expect("an address"));
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let _ = stream.set_nodelay(true);
        let (client, body, target) = (client.clone(), body.clone(), target.clone());
        let service = service_fn(move |_: Request<hyper::body::Incoming>| {
            let request = Request::patch(target.clone())
                .header("content-type", "application/json-patch+json")
                .header("authorization", "Bearer a-token-of-the-bench")
                .body(Full::new(body.clone()))
                .expect("a request");
            let answer = client.request(request);
            async move {
                let body = answer.await.expect("an answer").into_body().collect().await;
                let body = body.expect("a body").to_bytes();
                Ok::<_, Infallible>(Response::new(Full::new(body)))
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            let _ = connection.await;
        });
    }
}
