//! Where requests wait for their seats. Who gets one, and when, is decided by [`Seats`].

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::{Ending, Lane, Round, Seats, Ticket};
use crate::live::view::watch::now;

/// The seats of one server, for all who send to it. Cheap to clone.
#[derive(Clone)]
pub(in crate::live) struct Desk(Arc<Mutex<State>>);

struct State {
    seats: Seats,
    waiting: HashMap<Ticket, Arc<Notify>>,
    /// Seats that were granted, until they are taken.
    granted: HashMap<Ticket, Round>,
}

impl Desk {
    /// Never more than so many at once.
    pub(in crate::live) fn new(most: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            seats: Seats::new(most),
            waiting: HashMap::new(),
            granted: HashMap::new(),
        })))
    }

    /// Waits for a seat. Whoever stops waiting loses his place, and nothing else.
    pub(in crate::live) async fn seat(&self, lane: &Lane) -> Seat {
        let called = Arc::new(Notify::new());
        let ticket = {
            let (mut state, now) = (self.state(), now());
            if let Some(round) = state.seats.take(now) {
                return self.taken(round);
            }
            let ticket = state.seats.ask(lane);
            state.waiting.insert(ticket, called.clone());
            state.grant(now);
            ticket
        };
        let _place = Place {
            desk: self,
            lane,
            ticket,
        };
        loop {
            let granted = self.state().granted.remove(&ticket);
            if let Some(round) = granted {
                return self.taken(round);
            }
            called.notified().await;
        }
    }

    fn taken(&self, round: Round) -> Seat {
        Seat {
            desk: self.clone(),
            round,
            since: now(),
            left: false,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self, round: Round, ending: Ending) {
        let paused = {
            let mut state = self.state();
            let paused = state.seats.leave(round, ending, now());
            state.grant(now());
            paused
        };
        if let Some(until) = paused {
            let desk = Arc::downgrade(&self.0);
            tokio::spawn(async move {
                tokio::time::sleep_until(until.into()).await;
                if let Some(state) = desk.upgrade() {
                    Self(state).state().grant(now());
                }
            });
        }
    }
}

impl State {
    fn grant(&mut self, now: Instant) {
        while let Some((ticket, round)) = self.seats.grant(now) {
            self.granted.insert(ticket, round);
            if let Some(called) = self.waiting.remove(&ticket) {
                called.notify_one();
            }
        }
    }
}

/// A place in a lane, or a seat that was granted but not taken.
struct Place<'d> {
    desk: &'d Desk,
    lane: &'d Lane,
    ticket: Ticket,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let granted = {
            let mut state = self.desk.state();
            state.waiting.remove(&self.ticket);
            state.seats.give_up(self.lane, self.ticket);
            state.granted.remove(&self.ticket)
        };
        if let Some(round) = granted {
            self.desk.leave(round, Ending::Unknown);
        }
    }
}

/// A seat, until it is left.
pub(in crate::live) struct Seat {
    desk: Desk,
    round: Round,
    since: Instant,
    left: bool,
}

impl Seat {
    /// How long it has been taken.
    pub(in crate::live) fn took(&self) -> Duration {
        now().saturating_duration_since(self.since)
    }

    /// The request has ended.
    pub(in crate::live) fn leave(mut self, ending: Ending) {
        self.left = true;
        self.desk.leave(self.round, ending);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if !self.left {
            self.desk.leave(self.round, Ending::Unknown);
        }
    }
}

#[cfg(test)]
mod tests;
