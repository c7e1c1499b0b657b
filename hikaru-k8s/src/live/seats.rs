//! How many requests may be in flight, and whose turn it is: events in, grants out, the time handed in. No IO, no clock,
//! no waiting; that is `seats::desk`'s business, what a request is `client`'s.
//!
//! The number grows by one at a time and is halved when the server asks for patience or says nothing (AIMD, as TCP's is),
//! so that many clients of one server come to terms. Whose turn it is goes round among lanes, so that a call for one
//! workload does not wait behind a call for a thousand.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use hikaru_core::Text;

pub(super) mod desk;

/// At first, and again soon after trouble. Past 16, one buys little but latency where the server is the limit: on two
/// cores 814 guarded patches a second, against 915 with 64.
const USUAL: usize = 16;

/// The most. Where latency is the network's, 64 are four times as fast as 16. API Priority and Fairness has about 245
/// seats for all ServiceAccounts together: a quarter is enough for one of them.
pub(super) const MOST: usize = 64;

/// The fewest: with one, a slow list would hold up every write.
const LEAST: usize = 2;

/// So many answers at least are looked at before the number grows, so that one slow answer is no trend.
const WINDOW: usize = 16;

/// Beyond the usual number it grows only while answers take at most so much longer than under a light load. Requests that
/// wait in the server's queue take longer in proportion to their number: at twice the time half of them are waiting, and
/// more would only wait, too.
const TOLERANCE: f64 = 2.0;

/// A server may become slower for good: what counts as a light load follows by a 1024th a window, some ten thousand
/// requests for the most of it. Were it faster, an upgrade of thousands would pass for a light load in the end.
const DRIFT: f64 = 1.0 / 1024.0;

/// Kubernetes promises writes within a second (at the 99th percentile). When they take as long on average, it is too much.
const SLOW: f64 = 1.0;

/// How long nothing is sent at most after the server asked for patience; whoever was turned away waits as long as the
/// server wishes. A refusal comes at once, so fewer in flight alone would not mean fewer requests a second. The API server
/// asks for a second at first.
const PAUSE: Duration = Duration::from_secs(1);

/// What is served in turn: the requests of one call, as far as they can be told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Lane {
    /// The writes of all calls that post this image.
    Post(Text),
    /// Marks are removed.
    Marks,
    /// Single objects are read.
    Reading,
    /// Lists are read, page by page.
    Listing,
    /// Jobs are run and looked at.
    Jobs,
}

impl Lane {
    /// Whether its requests are alike, so that it means something if they take longer. Every one of them is a patch of
    /// one object; reading takes as long as there is to read.
    pub(super) fn is_alike(&self) -> bool {
        matches!(self, Self::Post(_))
    }
}

/// Numbers those who wait.
pub(super) type Ticket = u64;

/// Numbers the times between two cuts: what was sent before a cut says nothing of the time after it.
pub(super) type Round = u64;

/// How a request ended, as far as it tells how busy the server is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Ending {
    /// The server answered, be it with a refusal. How long it took, if it can be compared: lists cannot.
    Answered(Option<Duration>),
    /// The server asks for patience, so long.
    TurnedAway(Duration),
    /// There was no answer in time.
    Silent,
    /// It says nothing: nobody waited for the answer, or there was no connection.
    Unknown,
}

/// The seats of one server.
#[derive(Debug)]
pub(super) struct Seats {
    least: usize,
    usual: usize,
    most: usize,
    /// How many may be in flight now.
    limit: usize,
    in_flight: usize,
    round: Round,
    /// Nothing is granted before.
    paused: Option<Instant>,
    tickets: Ticket,
    /// Who waits, in the order in which they came. No lane is empty.
    lanes: HashMap<Lane, VecDeque<Ticket>>,
    /// Whose turn it is: each lane once.
    turns: VecDeque<Lane>,
    window: Window,
    /// How long answers take under a light load, on average, in seconds.
    light: Option<f64>,
}

/// What was seen since the number last changed.
#[derive(Debug, Default)]
struct Window {
    answers: usize,
    /// At some time there was nobody who waited, so nobody knows what more in flight would have done.
    idle: bool,
    timed: u32,
    seconds: f64,
}

impl Seats {
    /// Never more than so many.
    pub(super) fn new(most: usize) -> Self {
        let most = most.max(1);
        let usual = USUAL.min(most);
        Self {
            least: LEAST.min(most),
            usual,
            most,
            limit: usual,
            in_flight: 0,
            round: 0,
            paused: None,
            tickets: 0,
            lanes: HashMap::new(),
            turns: VecDeque::new(),
            window: Window::default(),
            light: None,
        }
    }

    /// A seat at once, if there is one and nobody waits.
    pub(super) fn take(&mut self, now: Instant) -> Option<Round> {
        if !self.turns.is_empty() || !self.is_free(now) {
            return None;
        }
        self.paused = None;
        self.in_flight += 1;
        Some(self.round)
    }

    fn is_free(&self, now: Instant) -> bool {
        self.in_flight < self.limit && self.paused.is_none_or(|until| until <= now)
    }

    /// Somebody waits for a seat.
    pub(super) fn ask(&mut self, lane: &Lane) -> Ticket {
        self.tickets += 1;
        match self.lanes.get_mut(lane) {
            Some(waiting) => waiting.push_back(self.tickets),
            None => {
                self.lanes.insert(lane.clone(), [self.tickets].into());
                self.turns.push_back(lane.clone());
            }
        }
        self.tickets
    }

    /// Somebody waits no longer, if he still does.
    pub(super) fn give_up(&mut self, lane: &Lane, ticket: Ticket) {
        if let Some(waiting) = self.lanes.get_mut(lane) {
            waiting.retain(|other| *other != ticket);
            if waiting.is_empty() {
                self.lanes.remove(lane);
                self.turns.retain(|other| other != lane);
            }
        }
    }

    /// Who gets a seat now, if there is one: to be asked until there is nobody.
    pub(super) fn grant(&mut self, now: Instant) -> Option<(Ticket, Round)> {
        if !self.is_free(now) {
            return None;
        }
        self.paused = None;
        let lane = self.turns.pop_front()?;
        let waiting = self.lanes.get_mut(&lane)?;
        let ticket = waiting.pop_front()?;
        if waiting.is_empty() {
            self.lanes.remove(&lane);
        } else {
            self.turns.push_back(lane);
        }
        self.in_flight += 1;
        Some((ticket, self.round))
    }

    /// A seat is free again that was granted in that round. Gives the time at which somebody has to ask for grants anew,
    /// if nothing is granted until then.
    pub(super) fn leave(&mut self, round: Round, ending: Ending, now: Instant) -> Option<Instant> {
        self.in_flight = self.in_flight.saturating_sub(1);
        match ending {
            Ending::Answered(took) => self.answered(took),
            Ending::Silent => self.cut(round),
            Ending::TurnedAway(lull) => {
                self.cut(round);
                let until = now + lull.min(PAUSE);
                if until > now && self.paused.is_none_or(|paused| paused < until) {
                    self.paused = Some(until);
                    return Some(until);
                }
            }
            Ending::Unknown => {}
        }
        None
    }

    /// Halves the number. All that was in flight then may meet the same fate, for the same cause: it counts once.
    fn cut(&mut self, round: Round) {
        if round == self.round {
            self.round += 1;
            self.set_limit(self.limit / 2);
        }
    }

    fn answered(&mut self, took: Option<Duration>) {
        let window = &mut self.window;
        window.answers += 1;
        window.idle |= self.turns.is_empty();
        if let Some(took) = took {
            window.timed += 1;
            window.seconds += took.as_secs_f64();
        }
        if window.answers < self.limit.max(WINDOW) {
            return;
        }
        let Window {
            idle,
            timed,
            seconds,
            ..
        } = std::mem::take(window);
        let mean = (timed > 0).then(|| seconds / f64::from(timed));
        let light = match (self.light, mean) {
            (Some(light), Some(mean)) => Some(mean.min(light + (mean - light) * DRIFT)),
            (light, mean) => light.or(mean),
        };
        self.light = light;
        let holds = mean.zip(light).is_some_and(|(m, l)| m <= l * TOLERANCE);
        if mean.is_some_and(|mean| mean > SLOW) {
            self.set_limit(self.limit - self.limit.div_ceil(8));
        } else if !idle && (self.limit < self.usual || holds) {
            self.set_limit(self.limit + 1);
        }
    }

    fn set_limit(&mut self, limit: usize) {
        self.limit = limit.clamp(self.least, self.most);
        self.window = Window::default();
        tracing::trace!(self.limit, "requests in flight");
    }
}

#[cfg(test)]
mod tests;
