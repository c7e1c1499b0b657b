//! The places of one listener: which connections are open, what each of them waits for, and which one is closed when
//! there is no place for another or the answers that are held grow too large. The connections themselves are in
//! `connection`.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::task::AbortHandle;

use crate::Limits;

/// The connections of one listener.
pub(super) struct Places {
    /// How many connections there are at most.
    most: usize,
    /// How many more are accepted, to be answered that there are too many.
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
    open: HashMap<u64, Open>,
    /// Which connections wait for a head of a request, by the time since when.
    awaiting: BTreeMap<u64, u64>,
    /// Which connections wait for their clients to take an answer, by the time since when.
    sending: BTreeMap<u64, u64>,
    /// The sums over all connections.
    crowded: usize,
    unread: usize,
    unsent: usize,
}

/// An open connection.
#[derive(Default)]
struct Open {
    /// It is one more than the limit.
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

    fn insert(&mut self, id: u64, open: Open) {
        self.awaiting.extend(open.awaiting.map(|since| (since, id)));
        self.sending.extend(open.sending.map(|since| (since, id)));
        self.crowded += usize::from(open.crowded);
        self.unread += open.unread;
        self.unsent += open.unsent;
        self.open.insert(id, open);
    }

    fn remove(&mut self, id: u64) -> Option<Open> {
        let open = self.open.remove(&id)?;
        if let Some(since) = open.awaiting {
            self.awaiting.remove(&since);
        }
        if let Some(since) = open.sending {
            self.sending.remove(&since);
        }
        self.crowded -= usize::from(open.crowded);
        self.unread -= open.unread;
        self.unsent -= open.unsent;
        Some(open)
    }

    fn close(&mut self, id: u64) {
        if let Some(task) = self.remove(id).and_then(|open| open.task) {
            task.abort();
        }
    }

    /// The connection that has waited the longest among those for which `is` is true.
    fn oldest(&self, of: &BTreeMap<u64, u64>, is: impl Fn(&Open) -> bool) -> Option<u64> {
        let mut ids = of.values();
        ids.find(|id| self.open.get(id).is_some_and(&is)).copied()
    }

    /// Whether fewer than `most` places are taken. If not, it closes the connection that has waited the longest for the head
    /// of a request, else the one whose client has been taking its answer the longest.
    fn has_place(&mut self, crowded: bool, most: usize) -> bool {
        let taken = match crowded {
            true => self.crowded,
            false => self.open.len() - self.crowded,
        };
        taken < most || self.close_oldest(crowded)
    }

    fn close_oldest(&mut self, crowded: bool) -> bool {
        let alike = |open: &Open| open.crowded == crowded;
        let oldest = self.oldest(&self.awaiting, alike);
        let oldest = oldest.or_else(|| self.oldest(&self.sending, alike));
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
    /// With so many places, and so many more for connections that are answered that there are too many.
    pub(super) fn new(most: usize, extra: usize, limits: &Limits) -> Arc<Self> {
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

    /// A place for a new connection, and whether it is one more than the limit. `None`: all are busy with requests.
    pub(super) fn take(self: &Arc<Self>) -> Option<(Place, bool)> {
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
        table.insert(id, open);
        let place = Place {
            places: self.clone(),
            id,
        };
        Some((place, crowded))
    }

    /// Closes a connection that waits for its client, if there is one: there are no file descriptors left.
    pub(super) fn make_room(&self) -> bool {
        self.table().close_oldest(false)
    }

    /// The task that serves the connection of a place, so that it can be ended.
    pub(super) fn served_by(&self, id: u64, task: AbortHandle) {
        if let Some(open) = self.table().open.get_mut(&id) {
            open.task = Some(task);
            return;
        }
        // It was closed before its task was known, or it is over already.
        task.abort();
    }
}

/// The place of one connection, free again when it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    id: u64,
}

impl Place {
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    fn with(&self, change: impl FnOnce(&mut Open, u64)) {
        let mut table = self.places.table();
        let now = table.tick();
        if let Some(mut open) = table.remove(self.id) {
            change(&mut open, now);
            table.insert(self.id, open);
        }
    }

    /// A whole head of a request has come.
    pub(super) fn request_begun(&self) {
        self.with(|open, _| {
            open.awaiting = None;
            open.unread = 0;
        });
    }

    /// So many bytes have come of a head that is not whole yet. Where all of those together are too many now, the
    /// connections are closed that have waited the longest for theirs.
    pub(super) fn head_grows(&self, bytes: usize) {
        self.with(|open, _| open.unread += bytes);
        let mut table = self.places.table();
        while table.unread > self.places.heads && self.cut(&mut table, |table| &table.awaiting) {}
    }

    /// An answer of so many bytes is to be sent. Where all answers together are too many bytes now, the connections whose
    /// clients have been taking theirs the longest are closed.
    pub(super) fn answer_made(&self, bytes: usize) {
        self.with(|open, now| {
            open.sending.get_or_insert(now);
            open.unsent += bytes;
        });
        let mut table = self.places.table();
        while table.unsent > self.places.answers && self.cut(&mut table, |table| &table.sending) {}
    }

    /// Closes the connection, other than this one, that has waited the longest and still holds bytes. It never closes this
    /// one, however many bytes it holds.
    fn cut(&self, table: &mut Table, of: impl Fn(&Table) -> &BTreeMap<u64, u64>) -> bool {
        let mut ids = of(table).values();
        let holds = |id: &u64| {
            let open = table.open.get(id);
            *id != self.id && open.is_some_and(|open| open.unread + open.unsent > 0)
        };
        let slowest = ids.find(|id| holds(id)).copied();
        if let Some(id) = slowest {
            tracing::debug!("too many bytes for slow clients: the slowest one is cut off");
            table.close(id);
        }
        slowest.is_some()
    }

    /// So many bytes of an answer are on their way.
    pub(super) fn bytes_sent(&self, bytes: usize) {
        self.with(|open, _| open.unsent = open.unsent.saturating_sub(bytes));
    }

    /// The client has taken all that there was to send, and no request is in hand.
    pub(super) fn answer_sent(&self) {
        self.with(|open, now| {
            open.sending = None;
            open.unsent = 0;
            open.awaiting = Some(now);
        });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.table().remove(self.id);
    }
}
