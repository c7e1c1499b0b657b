//! One connection: hyper on a socket, with the limits, until it is over or the server is. Its bytes are in `transport`.

use std::{convert::Infallible, future::pending, pin::Pin, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use hyper::{body::Body as _, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{Interval, Sleep, interval, sleep},
};

use crate::{
    api::{self, Origin},
    limits::HEADERS,
    places::Place,
    problem::Kind,
    server::{Shared, Stage},
    transport::{Progress, Transport},
};

/// hyper's least buffer.
const LEAST_BUFFER: usize = 8 * 1024;
/// How long a connection that is one too many may take to send its request.
const CROWDED_TIME: Duration = Duration::from_secs(2);
/// How long a draining server waits for a connection on which nothing moves: neither is a request in hand nor a byte of
/// an answer taken.
const PATIENCE: Duration = Duration::from_secs(5);

/// Serves a connection to its end.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    stream: TcpStream,
    origin: Origin,
    place: Place,
    mut stage: watch::Receiver<Stage>,
) {
    let limits = shared.limits;
    // An answer is written whole: nothing is won by waiting for more. Where it cannot be set, it is just slower.
    let _ = stream.set_nodelay(true);
    let progress = Arc::new(Progress::new(place));
    let transport = Transport::new(stream, origin.peer, shared.clone(), progress.clone());
    let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        let working = progress.begin(!request.body().is_end_stream());
        let answer = api::answer(shared.clone(), origin, request);
        answer.map(|answer| {
            working.answered(answer.body().size_hint().exact());
            Ok::<_, Infallible>(answer)
        })
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
        // What is asked after the drain began is answered once.
        .keep_alive(!origin.crowded && *stage.borrow() == Stage::Serving)
        .serve_connection(TokioIo::new(transport), service);
    let mut drain = match *stage.borrow() {
        Stage::Serving => Drain::NotYet,
        _ => Drain::patient(&progress),
    };
    let ended = loop {
        let awaited = drain.awaits();
        tokio::select! {
            biased;
            ended = &mut connection => break ended,
            stage = reached(&mut stage, awaited) => match stage {
                Stage::Aborted => return,
                _ => drain = Drain::Soon(Box::pin(sleep(progress.head_start()))),
            },
            () = drain.tick() => match &mut drain {
                Drain::NotYet => {}
                Drain::Soon(_) => {
                    Pin::new(&mut connection).graceful_shutdown();
                    drain = Drain::patient(&progress);
                }
                Drain::Patient(_, before) => {
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
            let mut transport = connection.into_parts().io.into_inner();
            let detail = format!("expected the whole header within {header_time:?}");
            transport.refuse(Kind::HeaderTimeout, &detail);
            transport.close().await;
        }
    }
}

/// How far a connection is in the drain of its server.
enum Drain {
    NotYet,
    /// Closed at the end of this time, or of the request that is in hand then.
    Soon(Pin<Box<Sleep>>),
    /// No request follows. How many bytes had been sent at the last look.
    Patient(Interval, u64),
}

impl Drain {
    fn patient(progress: &Progress) -> Self {
        let mut ticks = interval(PATIENCE);
        ticks.reset();
        Self::Patient(ticks, progress.sent())
    }

    /// The next stage that matters: once the drain has begun, only the abort does.
    fn awaits(&self) -> Stage {
        match self {
            Self::NotYet => Stage::Draining,
            Self::Soon(_) | Self::Patient(..) => Stage::Aborted,
        }
    }

    async fn tick(&mut self) {
        match self {
            Self::NotYet => pending().await,
            Self::Soon(time) => time.await,
            Self::Patient(ticks, _) => {
                ticks.tick().await;
            }
        }
    }
}

/// A stage, once the server has reached it or a later one.
async fn reached(stage: &mut watch::Receiver<Stage>, awaited: Stage) -> Stage {
    match stage.wait_for(|stage| *stage >= awaited).await {
        Ok(stage) => *stage,
        // Whoever holds the server is gone.
        Err(_) => Stage::Aborted,
    }
}
