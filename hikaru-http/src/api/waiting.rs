//! Waiting for rollouts: in the future of the connection, so that it ends with its client. How it is
//! answered is in `waited`; what is done before, and what the answer says at the end, in the file of each call.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, StreamExt as _, stream::BoxStream};
use hikaru_core::{
    port::Happening,
    rollout::{Awaited, Followed, Rollouts, WaitEvent, WaitOutcome, WaitTerms, Waited},
};
use hyper::{HeaderMap, header::HeaderName};
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::{Instant, timeout_at},
};

use super::{
    Api, Call,
    problem::{Kind, Refusal},
    query::Parameters,
};
use crate::{
    accept::weight,
    access_log::AccessLog,
    life::{Stage, reached},
    wire,
};

/// The media type of server-sent events.
pub(super) const EVENTS: &str = "text/event-stream";

static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// A wait that a call asks for, and the permit to it: taken before the call does anything else.
pub(super) struct ToWait {
    rollouts: Rollouts,
    pub(super) terms: WaitTerms,
    permit: OwnedSemaphorePermit,
    /// If it is to be answered with events: the id of the last one that its client has seen.
    last_event: Option<u64>,
}

/// A wait that has begun. Dropped, it ends.
pub(super) struct Waiting {
    events: BoxStream<'static, WaitEvent>,
    /// When it began, by the clock of the server.
    begun: Duration,
    /// The wait ends in time by itself; this is for a cluster that does not answer.
    deadline: Instant,
    stage: watch::Receiver<Stage>,
    pub(super) last_event: Option<u64>,
    _permit: OwnedSemaphorePermit,
}

/// What comes next of a wait.
pub(super) enum Next {
    /// A workload was looked at for the first time, or what is known of it has changed.
    Changed(Arc<Followed>),
    /// Nothing.
    Over(End),
}

/// How a wait has ended.
pub(super) enum End {
    /// All have ended, one has failed, or the time is over.
    Over(Waited),
    /// The server is to end.
    Stopping,
    /// It cannot be found out, for this reason.
    Lost(&'static str),
}

impl ToWait {
    /// The wait that a call asks for by these parameters. `None`: none. It reads the call's body, which says nothing: behind a body
    /// that is not read hyper does not see that a client hangs up.
    pub(super) async fn read(
        api: &Api,
        line: &mut AccessLog,
        call: &mut Call<'_>,
        parameters: &Parameters,
    ) -> Result<Option<Self>, Box<Refusal>> {
        let Some(terms) = parameters.wait() else {
            return Ok(None);
        };
        let rollouts = call.view.rollouts()?.clone();
        if !rollouts.has_port() {
            let detail =
                "wait: expected a call without it: in a folder of manifests nothing rolls out";
            return Err(Refusal::new(Kind::BadQuery, detail));
        }
        let body = call.body.bytes().await;
        line.unread = call.body.is_unread();
        body?;
        let permit = api.permits.wait()?;
        Ok(Some(Self {
            rollouts,
            terms,
            permit,
            last_event: last_event(&call.head.headers),
        }))
    }

    /// Begins to wait for these.
    pub(super) fn begin(self, api: &Api, awaited: Vec<Awaited>) -> Result<Waiting, Box<Refusal>> {
        Ok(Waiting {
            events: self.rollouts.wait(awaited, self.terms)?,
            begun: api.clock.elapsed(),
            deadline: Instant::now() + self.terms.within + api.limits.answer,
            stage: api.life.subscribe(),
            last_event: self.last_event,
            _permit: self.permit,
        })
    }
}

impl Waiting {
    /// What comes next. It tells the observers of each rollout that has ended.
    pub(super) async fn next(&mut self, api: &Api, line: &AccessLog) -> Next {
        let event = AssertUnwindSafe(self.events.next()).catch_unwind();
        let event = tokio::select! {
            biased;
            () = reached(&mut self.stage, Stage::Draining) => return Next::Over(End::Stopping),
            event = timeout_at(self.deadline, event) => event,
        };
        let took = api.clock.elapsed().saturating_sub(self.begun);
        let told = |followed: &Followed| {
            api.tell(line, Happening::RolloutEnded { followed, took });
        };
        match event {
            Ok(Ok(Some(WaitEvent::Changed(followed)))) => {
                if followed.end.is_some() {
                    told(&followed);
                }
                Next::Changed(followed)
            }
            Ok(Ok(Some(WaitEvent::Over(waited)))) => {
                let unended = waited.rollouts.iter().filter(|one| one.end.is_none());
                unended.for_each(|followed| told(followed));
                Next::Over(End::Over(waited))
            }
            Ok(_) => Next::Over(End::Lost("hikaru made an error: its log has it")),
            Err(_) => Next::Over(End::Lost("the cluster does not answer")),
        }
    }
}

impl End {
    /// Why it is no success, if it is none. `see`: the call that tells of the rollouts later.
    pub(super) fn problem(&self, see: &str) -> Option<(Kind, String)> {
        Some(match self {
            Self::Over(waited) => {
                let sentence = &waited.sentence;
                match waited.outcome {
                    WaitOutcome::Succeeded => return None,
                    WaitOutcome::Failed => (
                        Kind::RolloutFailed,
                        format!("{sentence}; rollouts has the cause of each and what shows it"),
                    ),
                    WaitOutcome::Unfinished => (
                        Kind::RolloutUnfinished,
                        format!("{sentence}; what has not failed goes on: {see}"),
                    ),
                    // Looking again does not help.
                    WaitOutcome::Unknown => (
                        Kind::Refused,
                        format!("{sentence}; what was begun goes on: {see}"),
                    ),
                }
            }
            Self::Stopping => (
                Kind::Stopping,
                format!("hikaru is stopping; what was begun goes on: {see}"),
            ),
            Self::Lost(why) => (
                Kind::Incomplete,
                format!(
                    "what became of the rollouts is not known: {why}; what was begun goes on: {see}"
                ),
            ),
        })
    }

    /// The rollouts, as far as they are known.
    pub(super) fn rollouts(&self) -> Option<&[Arc<Followed>]> {
        match self {
            Self::Over(waited) => Some(&waited.rollouts),
            Self::Stopping | Self::Lost(_) => None,
        }
    }

    /// The same for the member of a problem.
    pub(super) fn told(&self) -> Option<Vec<wire::rollout::Rollout>> {
        self.rollouts().map(wire::rollout::Rollout::all)
    }
}

/// If a request prefers events to JSON: the id of the last event that its client has seen, or 0.
fn last_event(headers: &HeaderMap) -> Option<u64> {
    let events = weight(headers, EVENTS);
    if events <= 0.0 || events < weight(headers, "application/json") {
        return None;
    }
    let last = headers.get(&LAST_EVENT_ID);
    let last = last.and_then(|id| id.to_str().ok()?.parse().ok());
    Some(last.unwrap_or_default())
}

/// Of several problems the one that is told: what repeating can help, what was refused, what has failed, what stays behind, what goes
/// on.
pub(super) fn first(
    problems: impl IntoIterator<Item = Option<(Kind, String)>>,
) -> Option<(Kind, String)> {
    let order = |(kind, _): &(Kind, String)| match kind {
        Kind::Incomplete => 0,
        Kind::Refused => 1,
        Kind::Stopping => 2,
        Kind::RolloutFailed => 3,
        Kind::Strict => 4,
        _ => 5,
    };
    problems.into_iter().flatten().min_by_key(order)
}
