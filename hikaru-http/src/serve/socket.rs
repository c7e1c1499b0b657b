//! The bytes of one connection, between the socket and hyper. Here is what hyper leaves to its IO: a client that takes its
//! answer too slowly, and a close that lets the answer arrive.

use std::{
    io::{self, IoSlice},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

use super::places::Place;

/// How long the client of a closed connection may still send bytes, which are discarded. Without this the kernel answers them
/// with a reset, which can destroy the answer before the client has read it.
const LINGER: Duration = Duration::from_secs(1);
/// How many bytes of that are taken at most.
const LINGER_BYTES: usize = 4 * 1024 * 1024;
/// How long a draining server waits for the first request of a connection.
const HEAD_START: Duration = Duration::from_secs(1);

/// What the parts of a connection know of each other.
pub(super) struct Progress {
    place: Place,
    /// A request is worked on, or its answer not wholly sent.
    answering: AtomicBool,
    /// A request is worked on.
    working: AtomicBool,
    /// Bytes were read that are not yet a whole header.
    heard: AtomicBool,
    /// The client may still be sending a body that is not read.
    has_unread_body: AtomicBool,
    /// A request has come on this connection, at any time.
    begun: AtomicBool,
    /// How many bytes were sent.
    sent: AtomicU64,
}

impl Progress {
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            answering: AtomicBool::default(),
            working: AtomicBool::default(),
            heard: AtomicBool::default(),
            has_unread_body: AtomicBool::default(),
            begun: AtomicBool::default(),
            sent: AtomicU64::default(),
        }
    }

    /// A request has come. It is worked on until the value is dropped.
    pub(super) fn begin(self: &Arc<Self>, has_body: bool) -> Working {
        self.place.request_begun();
        self.begun.store(true, Ordering::Relaxed);
        self.answering.store(true, Ordering::Relaxed);
        self.working.store(true, Ordering::Relaxed);
        if has_body {
            self.has_unread_body.store(true, Ordering::Relaxed);
        }
        Working(self.clone())
    }

    /// Whether a request is worked on.
    pub(super) fn is_working(&self) -> bool {
        self.working.load(Ordering::Relaxed)
    }

    /// How long a connection is still listened to when the server begins to drain: the request of a new one may be on its way.
    pub(super) fn head_start(&self) -> Duration {
        if self.begun.load(Ordering::Relaxed) {
            Duration::ZERO
        } else {
            HEAD_START
        }
    }

    /// Whether a part of a header has come, but not a whole one.
    pub(super) fn is_heard(&self) -> bool {
        self.heard.load(Ordering::Relaxed)
    }

    /// How many bytes were sent.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

/// A request is worked on.
pub(super) struct Working(Arc<Progress>);

impl Working {
    /// It is answered, and so many bytes of the answer are not sent yet.
    pub(super) fn answered(self, bytes: u64) {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.0.place.answer_made(bytes);
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.working.store(false, Ordering::Relaxed);
        self.0.heard.store(false, Ordering::Relaxed);
    }
}

/// The bytes of a connection.
pub(super) struct Socket {
    stream: TcpStream,
    progress: Arc<Progress>,
    /// How long the client may take for what is to be sent.
    write_time: Duration,
    /// Until when the client has to have taken all that is to be sent; of a stream, something.
    deadline: Option<Pin<Box<Sleep>>>,
    /// Until when bytes of the client are discarded after the close, and how many were.
    lingering: Option<(Pin<Box<Sleep>>, usize)>,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, progress: Arc<Progress>, write_time: Duration) -> Self {
        Self {
            stream,
            progress,
            write_time,
            deadline: None,
            lingering: None,
        }
    }

    /// Discards what the client still sends, until it stops, its time is over or it was enough.
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

impl AsyncRead for Socket {
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

impl AsyncWrite for Socket {
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
        match Pin::new(&mut self.stream).poll_write_vectored(cx, bytes) {
            Poll::Ready(sent) => {
                if let Ok(sent) = sent {
                    self.progress.sent.fetch_add(sent as u64, Ordering::Relaxed);
                    self.progress.place.bytes_sent(sent);
                    // What is sent while a request is worked on is a stream: its client has to take something of it in the time.
                    if self.progress.is_working() {
                        self.deadline = None;
                    }
                }
                Poll::Ready(sent)
            }
            Poll::Pending => {
                let time = self.write_time;
                let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(time)));
                ready!(deadline.as_mut().poll(cx));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        // hyper flushes when it has written everything it has.
        self.deadline = None;
        let is_sent = !self.progress.is_working() && self.progress.sent() > 0;
        if is_sent && self.progress.answering.swap(false, Ordering::Relaxed) {
            self.progress.place.answer_sent();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        // More may come of a header that hyper refused, and of a body that is not read.
        let has_unread_body = self.progress.has_unread_body.load(Ordering::Relaxed);
        if has_unread_body || self.progress.is_heard() {
            ready!(self.poll_linger(cx))?;
        }
        Poll::Ready(Ok(()))
    }
}
