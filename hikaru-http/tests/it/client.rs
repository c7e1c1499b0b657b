//! A client on raw TCP: it sends what it is told, sense or nonsense, and holds every answer to what all answers have in
//! common.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// Long enough for any machine: no test depends on how long it is.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// The headers that an answer may have.
const HEADERS: [&str; 15] = [
    "accept-post",
    "allow",
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "date",
    "location",
    "retry-after",
    "transfer-encoding",
    "www-authenticate",
    "x-accel-buffering",
    "x-content-type-options",
    "x-hikaru-note",
    "x-request-id",
];

pub(crate) struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

/// An answer, held to what all answers have in common.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("JSON")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// A problem's name and its sentence.
    pub(crate) fn problem(&self) -> (String, String) {
        let json = self.json();
        let text = |member: &str| json[member].as_str().expect(member).to_owned();
        let kind = text("type");
        let name = kind.strip_prefix("urn:hikaru:problem:").expect("our URN");
        (name.to_owned(), text("detail"))
    }
}

impl Client {
    pub(crate) async fn connect(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).await.expect("a connection");
        Self {
            stream,
            read: Vec::new(),
        }
    }

    /// On a connection that was made without the runtime.
    pub(crate) fn of(stream: std::net::TcpStream) -> Self {
        stream.set_nonblocking(true).expect("a socket");
        Self {
            stream: TcpStream::from_std(stream).expect("a runtime"),
            read: Vec::new(),
        }
    }

    /// Its bytes, from now on read by somebody else.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = timeout(LONG, self.stream.write_all(bytes.as_ref())).await;
        sent.expect("in time").expect("sent");
    }

    /// Sends as much as the server takes.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let sent = timeout(LONG, self.stream.write_all(bytes.as_ref())).await;
        sent.expect("in time").is_ok()
    }

    /// The end of the sending half.
    pub(crate) async fn finish(&mut self) {
        self.stream.shutdown().await.expect("a half-close");
    }

    /// The next answer with its body.
    pub(crate) async fn answer(&mut self) -> Answer {
        self.answer_to("GET").await.expect("an answer, not the end")
    }

    /// The next answer to a request with this method; `None`: the connection was closed without one.
    pub(crate) async fn answer_to(&mut self, method: &str) -> Option<Answer> {
        timeout(LONG, self.read_answer(method))
            .await
            .expect("in time")
    }

    /// The head of an answer whose body is a stream: its headers.
    pub(crate) async fn stream(&mut self) -> BTreeMap<String, String> {
        let head = timeout(LONG, self.read_head()).await.expect("in time");
        let (status, headers) = head.expect("an answer, not the end");
        assert_eq!(status, 200, "{headers:?}");
        headers
    }

    /// The next piece of a stream; `None`: its end.
    pub(crate) async fn chunk(&mut self) -> Option<String> {
        timeout(LONG, self.read_chunk()).await.expect("in time")
    }

    async fn read_chunk(&mut self) -> Option<String> {
        let begin = loop {
            if let Some(at) = find(&self.read, b"\r\n") {
                break at + 2;
            }
            assert!(self.read_more().await, "the connection ends in a stream");
        };
        let length = std::str::from_utf8(&self.read[..begin - 2]).expect("ASCII");
        let length = usize::from_str_radix(length, 16).expect("a length");
        while self.read.len() < begin + length + 2 {
            assert!(self.read_more().await, "the connection ends in a stream");
        }
        let text = self.read[begin..begin + length].to_vec();
        self.read.drain(..begin + length + 2);
        (length > 0).then(|| String::from_utf8(text).expect("UTF-8"))
    }

    async fn read_head(&mut self) -> Option<(u16, BTreeMap<String, String>)> {
        let end = loop {
            if let Some(at) = find(&self.read, b"\r\n\r\n") {
                break at + 4;
            }
            if !self.read_more().await {
                assert!(self.read.is_empty(), "half an answer: {:?}", self.read);
                return None;
            }
        };
        let head: Vec<u8> = self.read.drain(..end).collect();
        let head = String::from_utf8(head).expect("a head in ASCII");
        let mut lines = head.trim_end().split("\r\n");
        let status_line = lines.next().expect("a status line");
        let status: u16 = status_line[9..12].parse().expect("a status");
        let mut headers = BTreeMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").expect("a header");
            let name = name.to_ascii_lowercase();
            assert!(
                HEADERS.contains(&&*name),
                "a header that nobody expects: {line}"
            );
            assert!(
                headers.insert(name, value.to_owned()).is_none(),
                "{line} again"
            );
        }
        Some((status, headers))
    }

    async fn read_answer(&mut self, method: &str) -> Option<Answer> {
        let (status, headers) = self.read_head().await?;
        let bodiless = method == "HEAD" || status == 204;
        let length = headers
            .get("content-length")
            .map(|l| l.parse().expect("a length"));
        assert_eq!(length.is_none(), status == 204, "{headers:?}");
        let length: usize = length.filter(|_| !bodiless).unwrap_or_default();
        while self.read.len() < length {
            assert!(self.read_more().await, "half a body");
        }
        let text = String::from_utf8(self.read.drain(..length).collect()).expect("UTF-8");
        let answer = Answer {
            status,
            headers,
            text,
        };
        answer.check(method);
        Some(answer)
    }

    /// An answer before the answer, `100 Continue`: its head alone.
    pub(crate) async fn interim(&mut self) -> String {
        let end = loop {
            if let Some(at) = find(&self.read, b"\r\n\r\n") {
                break at + 4;
            }
            let more = timeout(LONG, self.read_more()).await.expect("in time");
            assert!(more, "the end");
        };
        let head = self.read.drain(..end).collect();
        String::from_utf8(head).expect("a head in ASCII")
    }

    /// Whether the server has closed the connection, and said nothing more.
    pub(crate) async fn is_closed(&mut self) -> bool {
        let more = timeout(LONG, self.read_more()).await.expect("in time");
        !more && self.read.is_empty()
    }

    async fn read_more(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer).await {
            Ok(count @ 1..) => {
                self.read.extend_from_slice(&buffer[..count]);
                true
            }
            Ok(_) | Err(_) => false,
        }
    }
}

impl Answer {
    /// Whether hyper refused it before it was a request: such an answer is plain.
    pub(crate) fn is_plain(&self) -> bool {
        self.text.is_empty() && !self.headers.contains_key("x-request-id")
    }

    fn check(&self, method: &str) {
        if matches!(self.status, 400 | 414 | 431) && self.is_plain() {
            assert_eq!(self.header("content-length"), Some("0"), "{self:?}");
            assert_eq!(self.header("connection"), Some("close"), "{self:?}");
            return;
        }
        assert_eq!(self.header("cache-control"), Some("no-store"), "{self:?}");
        let id = self.header("x-request-id").expect("a request id");
        assert!(!id.is_empty());
        if method == "HEAD" {
            return;
        }
        let media = self.header("content-type");
        if self.status == 204 {
            assert_eq!(media, None);
            return;
        }
        // The figures and logs alone are no JSON.
        let text = |media: &str| media.contains("openmetrics") || media.starts_with("text/plain");
        if self.status < 400 && media.is_some_and(text) {
            return;
        }
        let json = self.json();
        if self.status < 400 {
            assert_eq!(media, Some("application/json"));
        } else {
            assert_eq!(media, Some("application/problem+json"), "{self:?}");
            assert_eq!(json["status"], self.status);
            assert_eq!(json["requestId"], id);
            let text = |member: &str| json[member].as_str().is_some_and(|text| !text.is_empty());
            assert!(text("title") && text("detail") && text("type"), "{json}");
        }
        if self.status == 503 && json["job"].is_object() {
            assert!(self.headers.contains_key("location"));
        } else if self.status == 503 {
            let after = self.header("retry-after").expect("Retry-After");
            assert!(after.parse::<u64>().expect("seconds") > 0);
        }
        if self.status == 401 {
            assert!(self.headers.contains_key("www-authenticate"));
        }
        if self.status == 415 {
            assert!(self.headers.contains_key("accept-post"));
        }
        if self.status == 405 {
            assert!(self.headers.contains_key("allow"));
        }
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// One call on a connection of its own, with these headers beside `Host`.
pub(crate) async fn call_with(
    to: SocketAddr,
    method: &str,
    target: &str,
    headers: &[&str],
) -> Answer {
    let mut client = Client::connect(to).await;
    client.send(request(method, target, headers)).await;
    client.answer_to(method).await.expect("an answer")
}

/// One call on a connection of its own.
pub(crate) async fn call(to: SocketAddr, method: &str, target: &str) -> Answer {
    call_with(to, method, target, &[]).await
}

/// One call with a body on a connection of its own.
pub(crate) async fn call_with_body(
    to: SocketAddr,
    target: &str,
    headers: &[&str],
    body: impl AsRef<[u8]>,
) -> Answer {
    let body = body.as_ref();
    let length = format!("Content-Length: {}", body.len());
    let headers = [headers, &[&length]].concat();
    let mut client = Client::connect(to).await;
    client.send(request("POST", target, &headers)).await;
    // A refusal may come before the body is taken.
    client.try_send(body).await;
    client.answer_to("POST").await.expect("an answer")
}

pub(crate) fn request(method: &str, target: &str, headers: &[&str]) -> String {
    let headers: String = headers.iter().map(|h| format!("{h}\r\n")).collect();
    format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n")
}
