//! The bytes of one connection, between the socket and hyper. Here is what hyper leaves to its IO: a client that takes its
//! answer too slowly, a close that lets the answer arrive, and a sentence in the place of hyper's empty answers to what is no request.

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use http_body_util::BodyExt as _;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

use crate::{
    api::{self, Answer},
    places::Place,
    problem::Kind,
    server::Shared,
};

/// How long a closed connection's client may still send what nobody reads. Without this the kernel answers it with a
/// reset, which can destroy the answer before the client has read it.
const LINGER: Duration = Duration::from_secs(1);
/// How many bytes of that are taken at most.
const LINGER_BYTES: usize = 4 * 1024 * 1024;
/// How long a draining server waits for the first request of a connection.
const HEAD_START: Duration = Duration::from_secs(1);

/// What a connection's parts know of each other.
pub(crate) struct Progress {
    place: Place,
    /// A request is in hand, or its answer not wholly sent.
    answering: AtomicBool,
    /// A request is in hand.
    working: AtomicBool,
    /// Bytes were read since the last answer.
    heard: AtomicBool,
    /// What was sent may be left unread by us.
    linger: AtomicBool,
    /// A request has come on this connection, at any time.
    begun: AtomicBool,
    /// How many bytes were sent.
    sent: AtomicU64,
}

impl Progress {
    pub(crate) fn new(place: Place) -> Self {
        Self {
            place,
            answering: AtomicBool::default(),
            working: AtomicBool::default(),
            heard: AtomicBool::default(),
            linger: AtomicBool::default(),
            begun: AtomicBool::default(),
            sent: AtomicU64::default(),
        }
    }

    /// A request has come. It is in hand until the value is dropped.
    pub(crate) fn begin(self: &Arc<Self>, has_body: bool) -> Working {
        self.place.request_begun();
        self.begun.store(true, Ordering::Relaxed);
        self.answering.store(true, Ordering::Relaxed);
        self.working.store(true, Ordering::Relaxed);
        if has_body {
            self.linger.store(true, Ordering::Relaxed);
        }
        Working(self.clone())
    }

    /// Whether a request is in hand.
    pub(crate) fn is_working(&self) -> bool {
        self.working.load(Ordering::Relaxed)
    }

    /// How long a connection is still listened to when the server begins to drain: a new one's request may be on its way.
    pub(crate) fn head_start(&self) -> Duration {
        if self.begun.load(Ordering::Relaxed) {
            Duration::ZERO
        } else {
            HEAD_START
        }
    }

    /// Whether part of a request has come, but no whole one.
    pub(crate) fn is_heard(&self) -> bool {
        self.heard.load(Ordering::Relaxed)
    }

    /// How many bytes were sent.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

/// A request is in hand.
pub(crate) struct Working(Arc<Progress>);

impl Working {
    /// It is answered, with so many bytes.
    pub(crate) fn answered(self, bytes: Option<u64>) {
        let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok());
        self.0.place.answer_made(bytes.unwrap_or_default());
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.working.store(false, Ordering::Relaxed);
        self.0.heard.store(false, Ordering::Relaxed);
    }
}

/// A connection's bytes.
pub(crate) struct Transport {
    stream: TcpStream,
    peer: SocketAddr,
    shared: Arc<Shared>,
    progress: Arc<Progress>,
    /// Until when the client has to have taken all that is to be sent.
    deadline: Option<Pin<Box<Sleep>>>,
    /// What is sent in the place of hyper's own words, and how much of it is.
    own: Option<(Vec<u8>, usize)>,
    lingering: Option<(Pin<Box<Sleep>>, usize)>,
}

impl Transport {
    pub(crate) fn new(
        stream: TcpStream,
        peer: SocketAddr,
        shared: Arc<Shared>,
        progress: Arc<Progress>,
    ) -> Self {
        Self {
            stream,
            peer,
            shared,
            progress,
            deadline: None,
            own: None,
            lingering: None,
        }
    }

    /// Answers what never became a request. The connection is to be closed.
    pub(crate) fn refuse(&mut self, kind: Kind, detail: &str) {
        let answer = api::refuse(&self.shared, self.peer, kind, detail);
        self.progress.linger.store(true, Ordering::Relaxed);
        self.own = Some((printed(answer), 0));
    }

    /// Sends what is to be sent and closes the connection. Whether the client still takes it is its own business.
    pub(crate) async fn close(mut self) {
        let _ = poll_fn(|cx| Pin::new(&mut self).poll_shutdown(cx)).await;
    }

    /// hyper answers by itself what it cannot read: a status and nothing else. Such a write is its first one since
    /// something was heard that did not become a request.
    fn automatic(&self, bytes: &[u8]) -> Option<(Kind, String)> {
        if self.progress.answering.load(Ordering::Relaxed) {
            return None;
        }
        let limits = &self.shared.limits;
        match bytes.strip_prefix(b"HTTP/1.")?.get(2..5)? {
            b"431" => Some((
                Kind::HeaderTooLarge,
                format!(
                    "expected a header of at most {} fields and {} bytes",
                    limits.headers, limits.header_bytes
                ),
            )),
            b"414" => Some((Kind::UriTooLong, "expected a shorter URI".into())),
            b"400" => Some((
                Kind::BadRequest,
                "expected an HTTP/1.1 request, found something else".into(),
            )),
            _ => None,
        }
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write_vectored(cx, bytes) {
            Poll::Ready(sent) => {
                if let Ok(sent) = sent {
                    self.progress.sent.fetch_add(sent as u64, Ordering::Relaxed);
                    self.progress.place.bytes_sent(sent);
                }
                Poll::Ready(sent)
            }
            Poll::Pending => {
                let time = self.shared.limits.write_time;
                let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(time)));
                ready!(deadline.as_mut().poll(cx));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }

    fn poll_own(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some((bytes, done)) = self.own.take() {
            if done == bytes.len() {
                break;
            }
            match self.poll_send(cx, &[IoSlice::new(&bytes[done..])]) {
                Poll::Ready(sent) => self.own = Some((bytes, done + sent?)),
                Poll::Pending => {
                    self.own = Some((bytes, done));
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Takes what the client still sends, until it stops, its time is over or it was enough.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (time, taken) = self
            .lingering
            .get_or_insert_with(|| (Box::pin(sleep(LINGER)), 0));
        let mut discarded = [0; 8 * 1024];
        while *taken < LINGER_BYTES && time.as_mut().poll(cx).is_pending() {
            let mut buffer = ReadBuf::new(&mut discarded);
            match ready!(pin!(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => *taken += buffer.filled().len(),
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// An answer's bytes. hyper is past writing it: the connection is closed behind it.
fn printed(answer: Answer) -> Vec<u8> {
    let (head, body) = answer.into_parts();
    let body = futures_util::FutureExt::now_or_never(body.collect());
    let body = match body {
        Some(Ok(body)) => body.to_bytes(),
        None => hyper::body::Bytes::new(),
    };
    let mut bytes = format!("HTTP/1.1 {}\r\n", head.status).into_bytes();
    for (name, value) in &head.headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    let end = format!(
        "content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    bytes.extend_from_slice(end.as_bytes());
    bytes.extend_from_slice(&body);
    bytes
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        let count = buffer.filled().len() - before;
        if count > 0 && !self.progress.is_working() {
            self.progress.heard.store(true, Ordering::Relaxed);
            self.progress.place.head_grows(count);
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    /// hyper keeps an answer in one piece then, and lets go of it once it is sent. Otherwise it would copy it into a buffer
    /// that lives as long as the connection.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = bytes.first().map_or(&[][..], |first| first);
        if let Some((kind, detail)) = self.automatic(first) {
            self.refuse(kind, &detail);
            return Poll::Ready(Ok(bytes.iter().map(|bytes| bytes.len()).sum()));
        }
        self.poll_send(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_own(cx))?;
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        // hyper flushes when it has written everything it has.
        self.deadline = None;
        if !self.progress.is_working() && self.progress.sent() > 0 {
            // The answer is out.
            if self.progress.answering.swap(false, Ordering::Relaxed) {
                self.progress.place.answer_sent();
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            ready!(self.poll_own(cx))?;
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        if self.progress.linger.load(Ordering::Relaxed) {
            ready!(self.poll_linger(cx))?;
        }
        Poll::Ready(Ok(()))
    }
}
