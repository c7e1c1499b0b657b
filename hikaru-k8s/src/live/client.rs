//! Requests to an API server, with deadlines of ours, a bounded number in flight (`seats`), and errors that say whether
//! the request may have been carried out. What the requests are and what their answers mean is said elsewhere.
//!
//! kube's defaults do not suit a deploy path: no read timeout, 15 silent retries of every method, a connect timeout of
//! 30 s. So the stack is put together in `transport`; TLS is kube's, as are the older providers of credentials;
//! exec plugins are run by `plugin`.

use std::{error::Error, time::Duration};

use futures_util::StreamExt as _;
use hikaru_core::Text;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyStream;
use hyper::body::{Bytes, Incoming};
use kube::{client::AuthError, core::Status};
use tokio::time::{error::Elapsed, timeout};

use super::{
    connect::{
        connection::{Connection, ConnectionError},
        secrets::Secrets,
        transport::Transport,
    },
    seats::{Ending, Lane, desk::Desk},
};

pub(super) mod refusal;
mod warning;

/// How long one object may take to be read or written, the wait for a seat apart.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);

/// How many times as long one page of a list may take.
const PAGE_DEADLINES: u32 = 3;

/// The longest object that is read, be it as an answer or as a line of a watch, in bytes. etcd takes 1.5 MiB of a form
/// that is more compact than JSON.
const OBJECT: usize = 8 << 20;

/// The longest page that is read. One that is longer can be asked for in smaller pages.
const PAGE: usize = 2 * OBJECT;

/// The longest log of one container that is read, in bytes. That is what is asked for.
pub(super) const LOG: usize = 1 << 20;

/// Of a refusal, so much is read.
const REFUSAL: usize = 1 << 20;

/// How often a request is sent that the server turns away with 429. It has not looked at it: that is safe.
const TRIES: usize = 4;

/// The longest wait that we grant a server before the next try; whoever is to wait longer is told so instead. Without a
/// wish of its own: [`LULL`], the API server's usual one.
const LONGEST_LULL: Duration = Duration::from_secs(8);
const LULL: Duration = Duration::from_secs(1);

/// The body of an answer that we keep for an error message, in characters.
const EXCERPT: usize = 300;

/// What we repeat of the API server's own words, in characters. Of an invalid object it names every cause.
const MESSAGE: usize = 4000;

/// Why a request got no good answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    /// It was never sent: no connection, no TLS, no credentials.
    #[error("{0}")]
    NotSent(String),
    /// It may have been carried out: the connection was cut, or the answer did not come in time.
    #[error("{0}")]
    Lost(String),
    /// The server said no.
    #[error("{}", .0.words())]
    Refused(Box<Refused>),
    /// The answer is not what was asked for.
    #[error("the answer cannot be read: {0}")]
    Unreadable(String),
    /// The answer is longer than any that is asked for, in bytes: it was not read to its end.
    #[error("the answer cannot be read: it is longer than {} MiB", .0 >> 20)]
    TooLong(usize),
    /// The server knows nothing of the kind.
    #[error("{0}")]
    Missing(String),
}

impl RequestError {
    /// What the server warns of beside a refusal.
    pub(super) fn warnings(&self) -> Vec<String> {
        match self {
            Self::Refused(refused) => refused.warnings.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        }
    }
}

/// An answer that is no success.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) code: StatusCode,
    /// What the API server says, if it was the API server: a proxy on the way says something else.
    pub(super) status: Option<Status>,
    pub(super) retry_after: Option<Duration>,
    /// Which of our credentials it does not take.
    pub(super) credentials: Option<String>,
    /// What it says was cut off, and how.
    pub(super) torn: Option<String>,
    /// What the server warns of beside its refusal.
    pub(super) warnings: Vec<Text>,
    excerpt: String,
}

impl Refused {
    /// In the server's words.
    pub(super) fn words(&self) -> String {
        match &self.status {
            Some(status) if !status.message.is_empty() => short(&status.message),
            _ if self.excerpt.is_empty() => format!("the server answers {}", self.code),
            _ => format!("the server answers {}: {}", self.code, self.excerpt),
        }
    }

    /// What a server says, without our own credentials.
    pub(super) fn new(
        code: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        secrets: &Secrets,
    ) -> Self {
        let status = serde_json::from_slice::<Kinded>(body).ok();
        let status = status.filter(|kinded| kinded.kind == "Status");
        let mut status = status.map(|kinded| kinded.status);
        if let Some(status) = &mut status {
            status.message = secrets.out_of_text(&status.message);
        }
        let seconds = headers.get(header::RETRY_AFTER);
        let seconds = seconds.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let details = status.as_ref().and_then(|status| status.details.as_ref());
        let seconds = seconds.or_else(|| {
            let seconds = details?.retry_after_seconds;
            (seconds > 0).then_some(u64::from(seconds))
        });
        let excerpt = match status {
            Some(_) => String::new(),
            None => {
                // What is cut off first could be half a secret.
                let text = secrets.out_of_text(&String::from_utf8_lossy(body));
                let text: String = text.chars().take(EXCERPT).collect();
                text.split_whitespace().collect::<Vec<_>>().join(" ")
            }
        };
        Self {
            code,
            status,
            retry_after: seconds.map(Duration::from_secs),
            credentials: None,
            torn: None,
            warnings: warning::texts(headers),
            excerpt,
        }
    }
}

/// At most so much of what a server says.
pub(super) fn short(message: &str) -> String {
    match message.char_indices().nth(MESSAGE) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.to_owned(),
    }
}

/// How long a server that turns requests away wishes us to wait.
fn lull(refused: &Refused) -> Duration {
    refused.retry_after.unwrap_or(LULL)
}

/// What an answer, or that there was none in time, says of how busy the server is.
fn ending<T>(answer: &Result<Result<T, RequestError>, Elapsed>, took: Option<Duration>) -> Ending {
    match answer {
        Err(_) => Ending::Silent,
        Ok(Ok(_)) => Ending::Answered(took),
        Ok(Err(RequestError::Refused(refused))) => match refused.code {
            StatusCode::TOO_MANY_REQUESTS => Ending::TurnedAway(lull(refused)),
            // Its own time was over.
            StatusCode::GATEWAY_TIMEOUT => Ending::Silent,
            _ => Ending::Answered(took),
        },
        Ok(Err(_)) => Ending::Unknown,
    }
}

/// A good answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) body: Vec<u8>,
    /// What the server warns of.
    pub(super) warnings: Vec<Text>,
}

/// What is asked for, which says how long it may take and how long it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Object,
    Page,
    Log,
}

impl Expected {
    fn most(self) -> usize {
        match self {
            Self::Object => OBJECT,
            Self::Page => PAGE,
            Self::Log => LOG,
        }
    }
}

#[derive(serde::Deserialize)]
struct Kinded {
    kind: String,
    #[serde(flatten)]
    status: Status,
}

/// A client of one API server. Cheap to clone; all clones share the seats.
#[derive(Clone)]
pub(super) struct ApiClient {
    transport: Transport,
    seats: Desk,
    deadline: Duration,
}

impl ApiClient {
    /// Reads certificates and runs a plugin for credentials, where the kubeconfig names one. Connects to nothing yet.
    pub(super) async fn new(
        connection: &Connection,
        in_flight: usize,
        deadline: Duration,
    ) -> Result<Self, ConnectionError> {
        Ok(Self {
            transport: Transport::new(connection).await?,
            seats: Desk::new(in_flight),
            deadline,
        })
    }

    fn deadline(&self, expected: Expected) -> Duration {
        match expected {
            Expected::Object => self.deadline,
            Expected::Page | Expected::Log => self.deadline * PAGE_DEADLINES,
        }
    }

    /// Sends a request when it is its lane's turn, and reads the whole answer. Turned away with 429 it gives its seat
    /// back, waits as long as the server asks and is sent again, a few times. A reading request whose connection is cut
    /// is sent once more: a server that restarts leaves dead connections in the pool.
    pub(super) async fn send(
        &self,
        lane: &Lane,
        request: Request<Vec<u8>>,
        expected: Expected,
    ) -> Result<Answer, RequestError> {
        // It is cloned for each try.
        let request = request.map(Bytes::from);
        let deadline = self.deadline(expected);
        let reads = request.method() == Method::GET;
        let mut cut = false;
        for attempt in 1.. {
            let seat = self.seats.seat(lane).await;
            let answer = timeout(deadline, self.send_once(request.clone(), expected)).await;
            let took = lane.is_alike().then(|| seat.took());
            seat.leave(ending(&answer, took));
            let answer = answer.unwrap_or_else(|_| {
                Err(RequestError::Lost(format!(
                    "no answer within {} s",
                    deadline.as_secs_f32()
                )))
            });
            match answer {
                Err(RequestError::Refused(refused))
                    if refused.code == StatusCode::TOO_MANY_REQUESTS
                        && attempt < TRIES
                        && lull(&refused) <= LONGEST_LULL =>
                {
                    let lull = lull(&refused);
                    tracing::debug!(?lull, "the API server asks for patience");
                    tokio::time::sleep(lull).await;
                }
                Err(RequestError::Lost(words))
                    if reads && !cut && !words.starts_with("no answer") =>
                {
                    cut = true;
                }
                answer => return answer,
            }
        }
        Err(RequestError::NotSent("never tried".to_owned()))
    }

    async fn send_once(
        &self,
        request: Request<Bytes>,
        expected: Expected,
    ) -> Result<Answer, RequestError> {
        let (head, body) = self.open(request).await?.into_parts();
        match whole(body, expected.most()).await {
            Whole::Read(body) => Ok(Answer {
                body: self.transport.secrets().out_of_bytes(body),
                warnings: warning::texts(&head.headers),
            }),
            Whole::TooLong(_) => Err(RequestError::TooLong(expected.most())),
            Whole::Torn(_, words) => Err(RequestError::Lost(words)),
        }
    }

    /// Sends a request and reads the head of the answer; a refusal's body, too.
    async fn open(
        &self,
        request: Request<Bytes>,
    ) -> Result<http::Response<Incoming>, RequestError> {
        let answer = self.transport.send(request).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let (head, body) = answer.into_parts();
        let (body, torn) = match whole(body, REFUSAL).await {
            Whole::Read(body) | Whole::TooLong(body) => (body, None),
            Whole::Torn(body, words) => (body, Some(words)),
        };
        let secrets = self.transport.secrets();
        let mut refused = Refused::new(head.status, &head.headers, &body, secrets);
        refused.torn = torn;
        if refused.code == StatusCode::UNAUTHORIZED {
            refused.credentials = Some(self.transport.credentials());
        }
        Err(RequestError::Refused(Box::new(refused)))
    }

    /// Opens a stream of lines, as a watch is one. It takes no seat: there are few, and they last.
    pub(super) async fn lines(&self, mut request: Request<Vec<u8>>) -> Result<Lines, RequestError> {
        // Servers from 1.37 on compress watches event by event, which a reader has to know.
        let identity = header::HeaderValue::from_static("identity");
        request
            .headers_mut()
            .insert(header::ACCEPT_ENCODING, identity);
        match timeout(self.deadline, self.open(request.map(Bytes::from))).await {
            Ok(answer) => Ok(Lines {
                secrets: self.transport.secrets().clone(),
                body: BodyStream::new(answer?.into_body()),
                rest: Vec::new(),
                searched: 0,
            }),
            Err(_) => Err(RequestError::Lost(format!(
                "no answer within {} s",
                self.deadline.as_secs_f32()
            ))),
        }
    }
}

/// What came of reading a body.
enum Whole {
    Read(Vec<u8>),
    /// There is more than what may be read.
    TooLong(Vec<u8>),
    /// It broke off, so.
    Torn(Vec<u8>, String),
}

async fn whole(body: Incoming, most: usize) -> Whole {
    let mut frames = BodyStream::new(body);
    let mut read = Vec::new();
    while let Some(frame) = frames.next().await {
        match frame.map(|frame| frame.into_data()) {
            Ok(Ok(data)) if read.len() + data.len() > most => {
                read.extend_from_slice(&data[..most - read.len()]);
                return Whole::TooLong(read);
            }
            Ok(Ok(data)) => read.extend_from_slice(&data),
            Ok(Err(_)) => {}
            Err(error) => return Whole::Torn(read, chain(&error)),
        }
    }
    Whole::Read(read)
}

/// The lines of an answer, as they come.
pub(super) struct Lines {
    secrets: Secrets,
    body: BodyStream<Incoming>,
    rest: Vec<u8>,
    /// How much of `rest` is known to hold no line feed.
    searched: usize,
}

impl Lines {
    /// What the requests were sent with.
    pub(super) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// The next line. `None`: the answer has ended as it should.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, RequestError> {
        loop {
            let end = memchr::memchr(b'\n', &self.rest[self.searched..]);
            if let Some(end) = end {
                let next = self.rest.split_off(self.searched + end + 1);
                let mut line = std::mem::replace(&mut self.rest, next);
                line.pop();
                self.searched = 0;
                return Ok(Some(self.secrets.out_of_bytes(line)));
            }
            self.searched = self.rest.len();
            match self.body.next().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        if self.rest.len() + data.len() > OBJECT {
                            return Err(RequestError::TooLong(OBJECT));
                        }
                        self.rest.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => return Err(RequestError::Lost(chain(&error))),
                None if self.rest.is_empty() => return Ok(None),
                // It was cut off, or is no list of lines: a page of a proxy.
                None => {
                    let words = "the answer ends in the middle of a line";
                    return Err(RequestError::Lost(words.to_owned()));
                }
            }
        }
    }
}

/// What can be said of credentials that could not be had. kube's words quote what a plugin wrote and was given: tokens
/// and all.
fn without_secrets(error: &AuthError) -> String {
    match error {
        AuthError::AuthExecRun { out, .. } => {
            let text = String::from_utf8_lossy(&out.stderr[..out.stderr.len().min(EXCERPT)]);
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let joint = if text.is_empty() { "" } else { ": " };
            let status = out.status;
            format!("the plugin for credentials ended with {status}{joint}{text}")
        }
        AuthError::AuthExecStart(error) => {
            format!("the plugin for credentials cannot be started: {error}")
        }
        AuthError::AuthExecParse(_) => {
            "the answer of the plugin for credentials cannot be read".to_owned()
        }
        AuthError::ReadTokenFile(error, path) => format!("{}: {error}", path.display()),
        AuthError::ExecPluginFailed
        | AuthError::ExecMissingClusterInfo
        | AuthError::InvalidBasicAuth(_)
        | AuthError::InvalidBearerToken(_)
        | AuthError::MalformedTokenExpirationDate(_)
        | AuthError::MissingCommand
        | AuthError::UnrefreshableTokenResponse => error.to_string(),
        _ => "the kubeconfig's provider of credentials failed".to_owned(),
    }
}

/// An error and its causes, each thing said once.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut words = Vec::new();
    let mut at: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = at {
        if let Some(credentials) = error.downcast_ref() {
            // Those above it quote it.
            return without_secrets(credentials);
        }
        words.push(error.to_string());
        at = error.source();
    }
    let mut said: Vec<String> = Vec::new();
    for (index, text) in words.iter().enumerate() {
        // Most errors repeat their cause, or only say that there is one.
        let later = words[index + 1..].iter();
        let text = later.fold(text.clone(), |text, cause| {
            text.strip_suffix(cause.as_str())
                .map(|text| text.trim_end_matches([' ', ':']).to_owned())
                .unwrap_or(text)
        });
        let noise = [
            "ServiceError",
            "HyperError",
            "ApiError",
            "client error (Connect)",
            "client error (SendRequest)",
        ];
        if !text.is_empty() && !noise.contains(&text.as_str()) && !said.contains(&text) {
            said.push(text);
        }
    }
    said.join(": ")
}
