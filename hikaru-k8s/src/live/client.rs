//! Requests to an API server: each with a deadline, a bounded answer and a permit, because the number of requests in flight is
//! limited. Errors say whether the request may have been carried out; what that means to a caller is in `refusal`. How a request
//! is sent, and with which credentials, is in `connect`.
//!
//! kube's `Client` is not used: docs/decisions.md says why.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use hikaru_core::Text;
use http::{Method, Request, StatusCode, header};
use hyper::body::{Bytes, Incoming};
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};

use super::{
    connect::{connection::Connection, error::ConnectionError, transport::Transport},
    error::{Refused, RequestError},
};

mod body;
mod date;
pub(super) mod refusal;
mod warning;

use body::Body;
pub(super) use body::Lines;
use date::ServerClock;

/// How many requests about one object may be in flight. API Priority and Fairness has about 245 seats for all ServiceAccounts
/// together: a quarter is enough for one of them. With fewer, a network with a long round trip is the limit.
pub(super) const IN_FLIGHT: usize = 64;

/// How long one object may take to be read or written. The wait for a permit does not count.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);

/// How many times as long one page of a list, or a log, may take.
const PAGE_DEADLINES: u32 = 3;

/// The longest object that is read, as an answer or as a line of a watch, in bytes. etcd takes 1.5 MiB of a form that is more
/// compact than JSON.
const OBJECT: usize = 8 << 20;

/// The longest page that is read, in bytes. A longer one can be asked for in smaller pages.
const PAGE: usize = 2 * OBJECT;

/// The longest log of one container that is read, in bytes. The request asks for no more.
pub(super) const LOG: usize = 1 << 20;

/// How much of a refusal is read, in bytes.
const REFUSAL: usize = 1 << 20;

/// How often a request is sent that the server turns away with 429. The server has not looked at it, so that is safe.
const TRIES: usize = 4;

/// The longest Retry-After that is waited for. A caller that is to wait longer is told so.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(8);

/// The wait after a 429 without Retry-After: the API server's usual one.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A good answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) body: Vec<u8>,
    /// What the server warns of.
    pub(super) warnings: Vec<Text>,
}

/// What is asked for. It decides how long the answer may take, how long it may be, and which permit it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Object,
    Page,
    Log,
}

impl Expected {
    /// In bytes.
    fn longest(self) -> usize {
        match self {
            Self::Object => OBJECT,
            Self::Page => PAGE,
            Self::Log => LOG,
        }
    }
}

/// A client of one API server. Cheap to clone; all clones share the permits.
#[derive(Clone)]
pub(super) struct ApiClient {
    transport: Transport,
    permits: Arc<Permits>,
    clock: Arc<ServerClock>,
    deadline: Duration,
}

/// Each class has its own, so that slow lists and logs do not hold up writes.
struct Permits {
    objects: Semaphore,
    pages: Semaphore,
    logs: Semaphore,
}

impl Permits {
    /// `objects`: how many requests about one object may be in flight. Of pages a quarter of them, of logs an eighth.
    fn new(objects: usize) -> Self {
        let permits = |number: usize| Semaphore::new(number.max(1));
        Self {
            objects: permits(objects),
            pages: permits(objects / 4),
            logs: permits(objects / 8),
        }
    }

    fn of(&self, expected: Expected) -> &Semaphore {
        match expected {
            Expected::Object => &self.objects,
            Expected::Page => &self.pages,
            Expected::Log => &self.logs,
        }
    }
}

impl ApiClient {
    /// Reads certificates and runs a plugin for credentials, where the kubeconfig names one. Connects to nothing yet.
    pub(super) async fn new(
        connection: &Connection,
        in_flight: usize,
        deadline: Duration,
    ) -> Result<Self, ConnectionError> {
        Ok(Self {
            // Less than the deadline, so that the error says that the server has never answered.
            transport: Transport::new(connection, deadline * 7 / 10).await?,
            permits: Arc::new(Permits::new(in_flight)),
            clock: Arc::default(),
            deadline,
        })
    }

    /// The time by the clock of the API server. `None`: no answer has told it yet.
    pub(super) fn server_time(&self) -> Option<SystemTime> {
        self.clock.time()
    }

    fn deadline(&self, expected: Expected) -> Duration {
        match expected {
            Expected::Object => self.deadline,
            Expected::Page | Expected::Log => self.deadline * PAGE_DEADLINES,
        }
    }

    /// Sends a request and reads the whole answer. After a 429 it waits as long as the server asks, without a permit, and
    /// sends the request again, a few times. A GET whose connection was cut is sent once more: a server that restarts leaves
    /// dead connections in the pool.
    pub(super) async fn send(
        &self,
        request: Request<Vec<u8>>,
        expected: Expected,
    ) -> Result<Answer, RequestError> {
        // It is cloned for each try.
        let request = request.map(Bytes::from);
        let mut may_be_cut = request.method() == Method::GET;
        let mut tries = 1;
        loop {
            match self.send_once(request.clone(), expected).await {
                Err(RequestError::Refused(refused)) if tries < TRIES && asks_to_wait(&refused) => {
                    let pause = refused.retry_after.unwrap_or(RETRY_AFTER);
                    tracing::debug!(?pause, "the API server answers 429");
                    sleep(pause).await;
                    tries += 1;
                }
                Err(RequestError::Lost(_)) if may_be_cut => may_be_cut = false,
                answer => return answer,
            }
        }
    }

    /// Sends a request once, with a permit, within its deadline.
    async fn send_once(
        &self,
        request: Request<Bytes>,
        expected: Expected,
    ) -> Result<Answer, RequestError> {
        let deadline = self.deadline(expected);
        let permit = self.permits.of(expected).acquire().await;
        let _permit = permit.map_err(|error| RequestError::NotSent(error.to_string()))?;
        timeout(deadline, self.ask(request, expected))
            .await
            .unwrap_or(Err(RequestError::Late(deadline)))
    }

    async fn ask(
        &self,
        request: Request<Bytes>,
        expected: Expected,
    ) -> Result<Answer, RequestError> {
        let (head, body) = self.open(request).await?.into_parts();
        match body::read(body, expected.longest()).await {
            Body::Whole(body) => Ok(Answer {
                body: self.transport.secrets().out_of_bytes(body),
                warnings: warning::texts(&head.headers),
            }),
            Body::TooLong(_) => Err(RequestError::TooLong(expected.longest())),
            Body::Truncated(_, words) => Err(RequestError::Lost(words)),
        }
    }

    /// Sends a request and reads the head of the answer, and the body of a refusal.
    async fn open(
        &self,
        request: Request<Bytes>,
    ) -> Result<http::Response<Incoming>, RequestError> {
        let answer = self.transport.send(request).await?;
        self.clock.hear(answer.headers());
        if answer.status().is_success() {
            return Ok(answer);
        }
        let (head, body) = answer.into_parts();
        let (body, truncated) = match body::read(body, REFUSAL).await {
            Body::Whole(body) | Body::TooLong(body) => (body, None),
            Body::Truncated(body, words) => (body, Some(words)),
        };
        let secrets = self.transport.secrets();
        let mut refused = Refused::new(head.status, &head.headers, &body, secrets);
        refused.truncated = truncated;
        refused.warnings = warning::texts(&head.headers);
        if refused.code == StatusCode::UNAUTHORIZED {
            refused.credentials = Some(self.transport.credentials());
        }
        Err(RequestError::Refused(Box::new(refused)))
    }

    /// Opens a stream of lines, such as a watch. It takes no permit: there are few, and they last. The transport speaks HTTP/1.1 only,
    /// so each has a connection of its own and never holds up a write. With HTTP/2 watches and writes would share the 100 streams
    /// that an API server allows on one connection.
    pub(super) async fn lines(&self, mut request: Request<Vec<u8>>) -> Result<Lines, RequestError> {
        // Servers from 1.37 on compress watches event by event, which a reader has to know.
        let identity = header::HeaderValue::from_static("identity");
        request
            .headers_mut()
            .insert(header::ACCEPT_ENCODING, identity);
        let opened = timeout(self.deadline, self.open(request.map(Bytes::from))).await;
        let answer = opened.unwrap_or(Err(RequestError::Late(self.deadline)))?;
        let secrets = self.transport.secrets().clone();
        Ok(Lines::new(answer.into_body(), secrets))
    }
}

/// Whether the server has turned the request away for a time that can be waited for.
fn asks_to_wait(refused: &Refused) -> bool {
    refused.code == StatusCode::TOO_MANY_REQUESTS
        && refused.retry_after.unwrap_or(RETRY_AFTER) <= LONGEST_RETRY_AFTER
}
