//! The places of one listener: which connections are open, what each of them waits for, and which one is closed when
//! there is no place for another or the answers that are held grow too large. The connections themselves are in
//! `connection`.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::task::AbortHandle;

use crate::Limits;

/// The connections of one listener.
pub(crate) struct Places {
    /// How many connections there are at most.
    most: usize,
    /// How many more are accepted to be told that there are too many.
    extra: usize,
    /// How many bytes of heads of requests are held that are not whole yet, all together.
    heads: usize,
    /// How many bytes of answers are held for clients that have not taken them yet, all together.
    answers: usize,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    /// Counts what happens: a lower number was earlier.
    clock: u64,
    open: BTreeMap<u64, Open>,
}

/// An open connection.
#[derive(Default)]
struct Open {
    /// It is one too many.
    crowded: bool,
    /// Since when it has neither a request in hand nor an answer to send.
    awaiting: Option<u64>,
    /// How many bytes have come of a head that is not whole.
    unread: usize,
    /// Since when its client is to take an answer.
    sending: Option<u64>,
    /// How many bytes of answers its client has not taken yet.
    unsent: usize,
    /// Its task, once it is spawned.
    task: Option<AbortHandle>,
}

impl Table {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// The connection that has been in a state for the longest.
    fn oldest(&self, since: impl Fn(u64, &Open) -> Option<u64>) -> Option<u64> {
        let open = self.open.iter();
        let times = open.filter_map(|(id, open)| Some((since(*id, open)?, *id)));
        times.min().map(|(_, id)| id)
    }

    fn close(&mut self, id: u64) {
        if let Some(task) = self.open.remove(&id).and_then(|open| open.task) {
            task.abort();
        }
    }

    /// Makes sure that there is a place, of so many: if there is none, the connection is closed that has waited the longest
    /// for its client, for a whole head of a request or, if there is none of those, for an answer to be taken.
    fn has_place(&mut self, crowded: bool, most: usize) -> bool {
        let taken = self.open.values().filter(|open| open.crowded == crowded);
        taken.count() < most || self.close_oldest(crowded)
    }

    fn close_oldest(&mut self, crowded: bool) -> bool {
        let oldest = self
            .oldest(|_, open| open.awaiting.filter(|_| open.crowded == crowded))
            .or_else(|| self.oldest(|_, open| open.sending.filter(|_| open.crowded == crowded)));
        if let Some(id) = oldest {
            tracing::debug!(
                "too many connections: the one that waits the longest for its client is closed"
            );
            self.close(id);
        }
        oldest.is_some()
    }
}

impl Places {
    /// With so many places, and so many more for those who are told that there are too many.
    pub(crate) fn new(most: usize, extra: usize, limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            most: most.max(1),
            extra,
            heads: limits.heads_bytes,
            answers: limits.answers_bytes,
            table: Mutex::default(),
        })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a new connection, and whether it is one too many. `None`: all are busy with requests.
    pub(crate) fn take(self: &Arc<Self>) -> Option<(Place, bool)> {
        let mut table = self.table();
        let crowded = !table.has_place(false, self.most);
        if crowded && !table.has_place(true, self.extra) {
            return None;
        }
        let id = table.tick();
        let open = Open {
            crowded,
            awaiting: Some(id),
            ..Open::default()
        };
        table.open.insert(id, open);
        let place = Place {
            places: self.clone(),
            id,
        };
        Some((place, crowded))
    }

    /// Closes a connection that waits for its client, if there is one: there are no file descriptors left.
    pub(crate) fn make_room(&self) {
        self.table().close_oldest(false);
    }

    /// The task that serves the connection of a place, so that it can be ended.
    pub(crate) fn served_by(&self, id: u64, task: AbortHandle) {
        if let Some(open) = self.table().open.get_mut(&id) {
            open.task = Some(task);
            return;
        }
        // It was closed before its task was known, or it is over already.
        task.abort();
    }
}

/// The place of one connection, free again when it is dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    id: u64,
}

impl Place {
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    fn with(&self, change: impl FnOnce(&mut Open, u64)) {
        let mut table = self.places.table();
        let now = table.tick();
        if let Some(open) = table.open.get_mut(&self.id) {
            change(open, now);
        }
    }

    /// A whole head of a request has come.
    pub(crate) fn request_begun(&self) {
        self.with(|open, _| {
            open.awaiting = None;
            open.unread = 0;
        });
    }

    /// So many bytes have come of a head that is not whole yet. Where all of those together are too many now, the
    /// connections are closed that have waited the longest for theirs.
    pub(crate) fn head_grows(&self, bytes: usize) {
        self.with(|open, _| open.unread += bytes);
        self.limit(self.places.heads, |open| (open.awaiting, open.unread));
    }

    /// An answer of so many bytes is to be sent. Where all answers together are too many bytes now, the connections whose
    /// clients have been taking theirs the longest are closed.
    pub(crate) fn answer_made(&self, bytes: usize) {
        self.with(|open, now| {
            open.sending.get_or_insert(now);
            open.unsent += bytes;
        });
        self.limit(self.places.answers, |open| (open.sending, open.unsent));
    }

    /// Closes the oldest of the others until all hold no more than so many bytes. Its own are held, however many.
    fn limit(&self, most: usize, of: impl Fn(&Open) -> (Option<u64>, usize)) {
        let mut table = self.places.table();
        let mut held: usize = table.open.values().map(|open| of(open).1).sum();
        while held > most {
            let others = |id, open: &Open| match of(open) {
                (since, 1..) if id != self.id => since,
                _ => None,
            };
            let Some(id) = table.oldest(others) else {
                break;
            };
            held -= table.open.get(&id).map_or(0, |open| of(open).1);
            tracing::debug!("too many bytes for slow clients: the slowest one is cut off");
            table.close(id);
        }
    }

    /// So many bytes of an answer are on their way.
    pub(crate) fn bytes_sent(&self, bytes: usize) {
        self.with(|open, _| open.unsent = open.unsent.saturating_sub(bytes));
    }

    /// The client has taken all that there was to send, and no request is in hand.
    pub(crate) fn answer_sent(&self) {
        self.with(|open, now| {
            open.sending = None;
            open.unsent = 0;
            open.awaiting = Some(now);
        });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.table().open.remove(&self.id);
    }
}
