//! An API server that plays a script: real sockets, answers and faults as a test says. What it was asked is recorded.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt as _;
use hikaru_core::{
    Build, Request, TagFormats, WorkloadId,
    image::{Reading, Reference},
    policy::Mark,
    port::Clock as _,
    testing::StillClock,
    workload::IdentityKeys,
};
use hikaru_k8s::{Connection, ConnectionOptions, LiveCluster, LiveSettings};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc::UnboundedReceiver,
    task::JoinHandle,
};

/// A request, taken apart: parameters are compared one by one, never a URI as a text.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: BTreeMap<String, String>,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Value,
    /// How many requests are under way, this one included.
    pub(super) in_flight: usize,
}

impl Asked {
    pub(super) fn is_list_of(&self, plural: &str) -> bool {
        self.method == "GET" && self.path.ends_with(plural) && !self.is_watch()
    }

    pub(super) fn is_watch(&self) -> bool {
        self.query.contains_key("watch")
    }

    pub(super) fn parameter(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }
}

/// What the server does with a request.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Answers.
    Answer(u16, Value),
    /// Does that after so many milliseconds.
    After(u64, Box<Step>),
    /// Answers a write: it was applied to the object of that path.
    Accept,
    /// The same, with such `Warning` headers.
    Warn(Vec<String>),
    /// Answers, with one `Warning` header.
    Warned(u16, String, Value),
    /// Answers, with a `Date` header.
    Dated(String, Value),
    /// Answers with these bytes.
    Bytes(Vec<u8>),
    /// Answers, with `Retry-After`.
    RetryAfter(u16, u64, Value),
    /// Answers as a proxy on the way does.
    Html(u16),
    /// Answers with this text, whatever it is.
    Text(u16, String),
    /// Answers with this text and cuts the connection before its end.
    Torn(u16, String),
    /// Answers and never ends: blanks, as fast as they are taken.
    Endless(u16),
    /// Reads the request and cuts the connection.
    Cut,
    /// Reads the request and says nothing.
    Silence,
    /// Sends lines, and ends as it should.
    Lines(Vec<Value>),
    /// Sends nothing, and ends as it should after so many milliseconds.
    Ending(u64),
    /// Sends lines, and then nothing more.
    Hanging(Vec<Value>),
    /// Sends lines, each so many milliseconds after the one before, and then nothing more.
    Trickle(Vec<(u64, Value)>),
    /// Sends lines and half of another one, and cuts the connection.
    Broken(Vec<Value>),
    /// Sends lines as they come, and cuts the connection when no more can come.
    Fed(Fed),
}

/// Lines that a test sends while the server plays.
#[derive(Clone, Debug)]
pub(super) struct Fed(Arc<tokio::sync::Mutex<UnboundedReceiver<Value>>>);

impl Fed {
    pub(super) fn new(lines: UnboundedReceiver<Value>) -> Self {
        Self(Arc::new(tokio::sync::Mutex::new(lines)))
    }
}

type Script = dyn Fn(&Asked, usize) -> Step + Send + Sync;

/// A server that runs until it is dropped.
pub(super) struct Stub {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    endless: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stub {
    /// Starts a server. The script is given each request and how many there were before that with the same method and
    /// path.
    pub(super) async fn start(
        script: impl Fn(&Asked, usize) -> Step + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let record = asked.clone();
        let in_flight: Arc<AtomicUsize> = Arc::default();
        let script: Arc<Script> = Arc::new(script);
        let endless: Arc<AtomicUsize> = Arc::default();
        let taken = endless.clone();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                connections.spawn(serve(
                    stream,
                    script.clone(),
                    record.clone(),
                    in_flight.clone(),
                    taken.clone(),
                ));
            }
        });
        Self {
            address,
            asked,
            endless,
            task,
        }
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }

    /// How many bytes of endless answers were taken.
    pub(super) fn taken(&self) -> usize {
        self.endless.load(Ordering::SeqCst)
    }

    /// How many requests there were with this method.
    pub(super) fn count(&self, method: &str) -> usize {
        let asked = self.asked.lock().expect("no panic");
        asked.iter().filter(|asked| asked.method == method).count()
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) async fn cluster(&self) -> LiveCluster {
        cluster_at(&self.url()).await
    }

    pub(super) async fn cluster_with(&self, settings: LiveSettings) -> LiveCluster {
        cluster_with(&self.url(), settings).await
    }
}

/// Half a second is long here.
pub(super) const DEADLINE: Duration = Duration::from_millis(500);

/// 2026-01-02T03:04:05Z.
pub(super) fn settings() -> LiveSettings {
    let clock = StillClock::default();
    let _ = clock
        .sleep(Duration::from_secs(1_767_323_045))
        .now_or_never();
    let mut settings = LiveSettings::new(IdentityKeys::default());
    settings.clock = Arc::new(clock);
    settings.deadline = DEADLINE;
    settings
}

pub(super) async fn cluster_at(url: &str) -> LiveCluster {
    cluster_with(url, settings()).await
}

async fn cluster_with(url: &str, settings: LiveSettings) -> LiveCluster {
    let variable = |name: &str| (name == "K8S_URL").then(|| url.to_owned());
    let connection = Connection::choose(&ConnectionOptions::default(), &variable).await;
    let connection = connection.expect("a connection");
    LiveCluster::new(&connection, settings)
        .await
        .expect("a client")
}

/// The answer to a write of the object of that path.
fn accepted(asked: &Asked) -> String {
    let name = asked.path.rsplit('/').next().unwrap_or_default();
    json!({"kind": "PartialObjectMetadata", "metadata": {"uid": format!("uid-{name}")}}).to_string()
}

async fn serve(
    stream: TcpStream,
    script: Arc<Script>,
    record: Arc<Mutex<Vec<Asked>>>,
    in_flight: Arc<AtomicUsize>,
    endless: Arc<AtomicUsize>,
) {
    let mut stream = BufReader::new(stream);
    while let Some(mut asked) = request(&mut stream).await {
        asked.in_flight = in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        let before = {
            let mut record = record.lock().expect("no panic");
            let same = |other: &&Asked| other.method == asked.method && other.path == asked.path;
            let before = record.iter().filter(same).count();
            record.push(asked.clone());
            before
        };
        let mut step = script(&asked, before);
        while let Step::After(millis, then) = step {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            step = *then;
        }
        let (code, extra, kind, body) = match step {
            Step::After(..) => return,
            Step::Answer(code, body) => (code, String::new(), "application/json", body.to_string()),
            Step::Accept => (200, String::new(), "application/json", accepted(&asked)),
            Step::Warn(warnings) => {
                let lines = warnings.iter().map(|w| format!("Warning: {w}\r\n"));
                (200, lines.collect(), "application/json", accepted(&asked))
            }
            Step::Warned(code, warning, body) => {
                let extra = format!("Warning: {warning}\r\n");
                (code, extra, "application/json", body.to_string())
            }
            Step::Dated(date, body) => {
                let extra = format!("Date: {date}\r\n");
                (200, extra, "application/json", body.to_string())
            }
            Step::Bytes(bytes) => {
                let head = format!("HTTP/1.1 200 X\r\nContent-Length: {}\r\n\r\n", bytes.len());
                in_flight.fetch_sub(1, Ordering::SeqCst);
                drop(stream.write_all(&[head.as_bytes(), &bytes].concat()).await);
                continue;
            }
            Step::Text(code, body) => (code, String::new(), "application/json", body),
            Step::Torn(code, body) => {
                let length = body.len() + 1;
                let head = format!("HTTP/1.1 {code} X\r\nContent-Length: {length}\r\n\r\n");
                drop(stream.write_all(format!("{head}{body}").as_bytes()).await);
                return;
            }
            Step::Endless(code) => {
                let head = format!("HTTP/1.1 {code} X\r\nTransfer-Encoding: chunked\r\n\r\n");
                drop(stream.write_all(head.as_bytes()).await);
                let chunk = format!("40000\r\n{}\r\n", " ".repeat(0x40000));
                while stream.write_all(chunk.as_bytes()).await.is_ok() {
                    endless.fetch_add(0x40000, Ordering::SeqCst);
                }
                return;
            }
            Step::RetryAfter(code, seconds, body) => {
                let extra = format!("Retry-After: {seconds}\r\n");
                (code, extra, "application/json", body.to_string())
            }
            Step::Html(code) => (code, String::new(), "text/html", "<h1>Oh</h1>".to_owned()),
            Step::Cut => return,
            Step::Silence => return std::future::pending().await,
            Step::Lines(lines) => {
                send_lines(&mut stream, &lines).await;
                drop(stream.write_all(b"0\r\n\r\n").await);
                continue;
            }
            Step::Ending(millis) => {
                send_lines(&mut stream, &[]).await;
                tokio::time::sleep(Duration::from_millis(millis)).await;
                drop(stream.write_all(b"0\r\n\r\n").await);
                continue;
            }
            Step::Hanging(lines) => {
                send_lines(&mut stream, &lines).await;
                return std::future::pending().await;
            }
            Step::Trickle(lines) => {
                send_lines(&mut stream, &[]).await;
                for (millis, line) in lines {
                    tokio::time::sleep(Duration::from_millis(millis)).await;
                    drop(stream.write_all(chunk(&line).as_bytes()).await);
                }
                return std::future::pending().await;
            }
            Step::Fed(Fed(lines)) => {
                send_lines(&mut stream, &[]).await;
                let mut lines = lines.lock().await;
                while let Some(line) = lines.recv().await {
                    drop(stream.write_all(chunk(&line).as_bytes()).await);
                }
                return;
            }
            Step::Broken(lines) => {
                send_lines(&mut stream, &lines).await;
                drop(stream.write_all(b"9\r\n{\"type\": \r\n").await);
                return;
            }
        };
        let head = format!(
            "HTTP/1.1 {code} X\r\nContent-Type: {kind}\r\n{extra}Content-Length: {}\r\n\r\n",
            body.len()
        );
        // Before the client can know that it has ended.
        in_flight.fetch_sub(1, Ordering::SeqCst);
        drop(stream.write_all(format!("{head}{body}").as_bytes()).await);
    }
}

async fn send_lines(stream: &mut BufReader<TcpStream>, lines: &[Value]) {
    let mut text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
    lines.iter().for_each(|line| text.push_str(&chunk(line)));
    drop(stream.write_all(text.as_bytes()).await);
}

fn chunk(line: &Value) -> String {
    let line = format!("{line}\n");
    format!("{:x}\r\n{line}\r\n", line.len())
}

/// Reads a request; `None` when the client has gone.
async fn request(stream: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut first = String::new();
    stream.read_line(&mut first).await.ok().filter(|&n| n > 0)?;
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.insert(name.to_ascii_lowercase(), value.to_owned()),
            None => break,
        };
    }
    let length = headers.get("content-length");
    let length = length.and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let mut words = first.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    Some(Asked {
        method: method.to_owned(),
        path: path.to_owned(),
        query: pairs
            .map(|(key, value)| (decode(key), decode(value)))
            .collect(),
        headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
        in_flight: 0,
    })
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next(), rest.next()].map(|digit| digit.unwrap_or(b'0'));
                let digits = String::from_utf8_lossy(&digits).into_owned();
                u8::from_str_radix(&digits, 16).expect("hex digits")
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).expect("UTF-8")
}

/// The image of build `n` of acme_web_main, version 1.4.0.
pub(super) fn image(n: u64) -> String {
    format!("registry.example/acme/web:acme_web_main_1.4.0_{n}_0123abcd")
}

/// The mark that an upgrade to build `n` leaves.
pub(super) fn mark(n: u64) -> String {
    let image = image(n);
    let image = Reference::parse(&image).expect("an image");
    let labels = Reading::new(Some("acme"), Some("web"), Some("main"));
    let hash = Mark::hash_of(&image.repository(), &labels);
    format!("1.4.0_{n}_{hash:08x}")
}

pub(super) fn build(n: u64) -> Build {
    Build::parse(&image(n), &TagFormats::default()).expect("a build")
}

pub(super) fn post(n: u64) -> Request {
    Request::new(build(n))
}

pub(super) fn id(name: &str) -> WorkloadId {
    WorkloadId::new("shop", "Deployment", name)
}

/// A Deployment that runs build `n`, with an annotation of somebody.
pub(super) fn deployment(name: &str, n: u64, version: u64) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": name, "namespace": "shop", "uid": format!("uid-{name}"),
            "resourceVersion": version.to_string(), "generation": 1,
            "labels": {"owner": "acme", "repo": "web", "branch": "main"},
            "annotations": {"note": "somebody's"},
        },
        "spec": {"template": {"spec": {"containers": [{"name": "web", "image": image(n)}]}}},
        "status": {},
    })
}

/// A list as of a version, whole.
pub(super) fn list(items: &[Value], version: u64) -> Value {
    json!({"kind": "List", "metadata": {"resourceVersion": version.to_string()}, "items": items})
}

/// A page of a list that goes on.
pub(super) fn page(items: &[Value], next: &str) -> Value {
    json!({"kind": "List", "metadata": {"resourceVersion": "1", "continue": next}, "items": items})
}

pub(super) fn empty() -> Step {
    Step::Answer(200, list(&[], 1))
}

/// The API server's words for a failure.
pub(super) fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "details": {}, "code": code})
}

pub(super) fn event(name: &str, object: &Value) -> Value {
    json!({"type": name, "object": object})
}
