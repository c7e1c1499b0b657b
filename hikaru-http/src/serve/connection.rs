//! One connection: hyper on a socket, with the limits, until it is over or the server is. Its bytes are in `socket`.

use std::{convert::Infallible, future::pending, pin::Pin, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, stream};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{
    body::{Body as _, Bytes},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    sync::watch,
    time::{Interval, Sleep, interval, sleep},
};

use super::{
    places::Place,
    socket::{Progress, Socket, Working},
};
use crate::{
    api::{self, Answer, Api, Origin},
    life::{Stage, reached},
    limits::HEADERS,
};

/// hyper's least buffer.
const LEAST_BUFFER: usize = 8 * 1024;
/// How long a connection that is one more than the limit may take to send its request.
const CROWDED_TIME: Duration = Duration::from_secs(2);
/// How long a draining server waits for a connection on which nothing moves: neither is a request worked on nor a byte of
/// an answer taken.
const STILL_TIME: Duration = Duration::from_secs(5);

/// Serves a connection to its end.
pub(super) async fn serve(
    api: Arc<Api>,
    stream: TcpStream,
    origin: Origin,
    place: Place,
    mut stage: watch::Receiver<Stage>,
) {
    let limits = *api.limits();
    // An answer is written in one piece, so there is nothing to wait for. Where this cannot be set, answers are just slower.
    let _ = stream.set_nodelay(true);
    let progress = Arc::new(Progress::new(place));
    let socket = Socket::new(stream, progress.clone(), limits.write_time);
    let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        let working = progress.begin(!request.body().is_end_stream());
        let answer = api::answer(api.clone(), origin, request);
        answer.map(|answer| Ok::<_, Infallible>(counted(answer, working)))
    });
    let header_time = if origin.crowded {
        limits.header_time.min(CROWDED_TIME)
    } else {
        limits.header_time
    };
    let mut http = http1::Builder::new();
    if limits.headers != HEADERS {
        http.max_headers(limits.headers);
    }
    let mut connection = http
        .timer(TokioTimer::new())
        .header_read_timeout(header_time)
        .max_buf_size(limits.header_bytes.max(LEAST_BUFFER))
        // After the drain began one more request is answered.
        .keep_alive(!origin.crowded && *stage.borrow() == Stage::Serving)
        .serve_connection(TokioIo::new(socket), service);
    let mut drain = match *stage.borrow() {
        Stage::Serving => Drain::NotYet,
        _ => Drain::watched(&progress),
    };
    let ended = loop {
        let awaited = drain.awaits();
        tokio::select! {
            biased;
            ended = &mut connection => break ended,
            () = reached(&mut stage, awaited) => match awaited {
                Stage::Draining if *stage.borrow() == Stage::Draining => {
                    drain = Drain::Soon(Box::pin(sleep(progress.head_start())));
                }
                _ => return,
            },
            () = drain.tick() => match &mut drain {
                Drain::NotYet => {}
                Drain::Soon(_) => {
                    Pin::new(&mut connection).graceful_shutdown();
                    drain = Drain::watched(&progress);
                }
                Drain::Watched(_, before) => {
                    let sent = progress.sent();
                    if *before == sent && !progress.is_working() {
                        return;
                    }
                    *before = sent;
                }
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(peer = %origin.peer, %error, "a connection ended early");
        if error.is_timeout() && progress.is_heard() {
            let mut socket = connection.into_parts().io.into_inner();
            let answer = api::header_timeout(&api, origin.peer, header_time);
            // The client may be gone.
            let _ = socket.write_all(&bytes_of(answer).await).await;
            let _ = socket.shutdown().await;
        }
    }
}

/// An answer whose bytes are counted as held for its client. A stream is worked on until its end, and nothing of it is held but its
/// last part.
fn counted(answer: Answer, working: Working) -> Answer {
    if let Some(bytes) = answer.body().size_hint().exact() {
        working.answered(bytes);
        return answer;
    }
    answer.map(|body| {
        let begun = Some((body, working, None));
        let parts = stream::unfold(begun, |parts| async move {
            let (mut body, working, next) = parts?;
            let next = match next {
                Some(part) => Some(part),
                None => body.frame().await,
            };
            let Some(part) = next else {
                working.answered(0);
                return None;
            };
            // The last part may be long: it is held for the client like an answer in one piece.
            let parts = match body.frame().now_or_never() {
                Some(None) => {
                    let data = part
                        .as_ref()
                        .map(|part| part.data_ref().map_or(0, Bytes::len));
                    working.answered(data.unwrap_or_default() as u64);
                    None
                }
                next => Some((body, working, next.flatten())),
            };
            Some((part, parts))
        });
        StreamBody::new(parts).boxed_unsync()
    })
}

/// An answer as it is sent on a connection that hyper has given up; it is closed after it.
async fn bytes_of(answer: Answer) -> Vec<u8> {
    let (head, body) = answer.into_parts();
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(never) => match never {},
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

/// How far a connection is in the drain of its server.
enum Drain {
    NotYet,
    /// It is closed at the end of this time, or of the request that is worked on then.
    Soon(Pin<Box<Sleep>>),
    /// No request follows. How many bytes had been sent at the last look.
    Watched(Interval, u64),
}

impl Drain {
    fn watched(progress: &Progress) -> Self {
        let mut ticks = interval(STILL_TIME);
        ticks.reset();
        Self::Watched(ticks, progress.sent())
    }

    /// The next stage that matters: once the drain has begun, only the abort does.
    fn awaits(&self) -> Stage {
        match self {
            Self::NotYet => Stage::Draining,
            Self::Soon(_) | Self::Watched(..) => Stage::Aborted,
        }
    }

    async fn tick(&mut self) {
        match self {
            Self::NotYet => pending().await,
            Self::Soon(time) => time.await,
            Self::Watched(ticks, _) => {
                ticks.tick().await;
            }
        }
    }
}
