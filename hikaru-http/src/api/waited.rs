//! The answer to a wait: at its end, or as server-sent events (WHATWG HTML, 9.2): each change as it comes, at last the plain answer with
//! its status. Whoever reads the body makes the wait go on, so a slow client makes nothing pile up. What is waited for is in `waiting`.

use std::{convert::Infallible, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{
    Response,
    body::{Bytes, Frame},
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
};
use tokio::time::sleep;

use super::{
    Answer, Api,
    answer::{Outcome, respond},
    waiting::{EVENTS, End, Next, Waiting},
};
use crate::{access_log::AccessLog, wire::rollout::Rollout};

/// nginx sends what it gets on at once then.
static X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// After so long without an event a comment is sent: proxies cut silent connections, many of them after 60 s.
const SILENCE: Duration = Duration::from_secs(15);

/// What an answer says at the end of a wait.
pub(super) type Tell = Box<dyn FnOnce(End) -> Outcome + Send>;

/// The answer to a wait.
pub(super) async fn answer(
    api: Arc<Api>,
    mut line: Box<AccessLog>,
    mut waiting: Waiting,
    tell: Tell,
) -> Answer {
    line.waited = true;
    if let Some(last) = waiting.last_event {
        return events(api, line, waiting, last, tell);
    }
    let end = loop {
        if let Next::Over(end) = waiting.next(&api, &line).await {
            break end;
        }
    };
    drop(waiting);
    api.finish(line, tell(end))
}

/// Answers with the events of a wait. Their ids go on from this one.
fn events(api: Arc<Api>, line: Box<AccessLog>, waiting: Waiting, last: u64, tell: Tell) -> Answer {
    let (id, unread) = (line.id.clone(), line.unread);
    let events = Events {
        api,
        line,
        waiting,
        last,
        tell,
    };
    let frames = stream::unfold(Some(events), |events| async { Some(events?.next().await) });
    let frames = frames.map(|bytes| Ok::<_, Infallible>(Frame::data(bytes)));
    let mut answer = Response::new(StreamBody::new(frames).boxed_unsync());
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(EVENTS));
    headers.insert(X_ACCEL_BUFFERING.clone(), HeaderValue::from_static("no"));
    respond(&id, unread, Ok(answer))
}

/// The events of a wait that are still to come.
struct Events {
    api: Arc<Api>,
    line: Box<AccessLog>,
    waiting: Waiting,
    last: u64,
    tell: Tell,
}

impl Events {
    /// The next event, and those after it.
    async fn next(mut self) -> (Bytes, Option<Self>) {
        let next = tokio::select! {
            biased;
            next = self.waiting.next(&self.api, &self.line) => next,
            () = sleep(SILENCE) => return (Bytes::from_static(b": it goes on\n\n"), Some(self)),
        };
        let id = self.last.saturating_add(1);
        match next {
            Next::Changed(followed) => {
                let mut rollout = Rollout::followed(&followed);
                rollout.evidence = None;
                self.last = id;
                // Texts, numbers and lists always have a JSON form.
                let rollout = serde_json::to_string(&rollout).unwrap_or_default();
                (event("progress", id, &rollout), Some(self))
            }
            Next::Over(end) => {
                // Its permit is free from here on.
                drop(self.waiting);
                let answer = self.api.finish(self.line, (self.tell)(end));
                let status = answer.status().as_u16();
                let Ok(body) = answer.into_body().collect().await;
                let body = body.to_bytes();
                let body = String::from_utf8_lossy(&body);
                let result = format!("{{\"status\":{status},\"answer\":{body}}}");
                (event("result", id, &result), None)
            }
        }
    }
}

/// One event. Its data is JSON, which is written in one line.
fn event(name: &str, id: u64, data: &str) -> Bytes {
    format!("event: {name}\nid: {id}\ndata: {data}\n\n").into()
}
