//! One watch: it lists the objects, follows them, knows whether what it has is up to date, and tells those who wait. Which watches
//! there are is decided in `pool`.
//!
//! Much simpler than a source of the view: after a break all is listed anew, because there are few objects, and meanwhile
//! nothing is answered from here.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use kube::core::{Request as Resource, params::WatchParams};
use tokio::{
    sync::{Notify, watch::Sender},
    time::{sleep, timeout},
};

use super::{
    item::{Item, name_of},
    wanted::{Source, Which},
};
use crate::live::{
    client::{ApiClient, Lines},
    clock::now,
    error::RequestError,
    read::{
        line::{Line, version_of},
        list::is_closed,
        pages::{Collection, Limit, Page, Pages, Step},
    },
};

/// How many seconds a watch runs before it is opened anew: its end is a sign of life, so what a dead connection has told is no older.
const RUNS: u32 = 25;

/// How much later than asked for a watch may end, and how much earlier.
const LATE: Duration = Duration::from_secs(3);
const EARLY: Duration = Duration::from_millis(500);

/// The pause after a failure: the first one, and the longest one.
const BACKOFF: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(4)];

/// The pause where the server forbids the list or the watch: rights change seldom.
const FORBIDDEN: Duration = Duration::from_secs(30);

/// What a watch knows.
pub(super) struct Known<T> {
    source: Source<T>,
    state: Mutex<State<T>>,
    progress: Sender<Progress>,
    pub(super) begun: Instant,
}

struct State<T> {
    /// By name: a name is used once at a time in a namespace.
    items: HashMap<String, Item<T>>,
    /// Those who wait, and for what.
    waiting: Vec<(Which, Weak<Notify>)>,
}

/// How far a watch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Its first list is not complete yet, or its first watch not open.
    Begins,
    /// What is known is up to date.
    Follows,
    /// It broke or is forbidden, and begins again.
    Broken,
    /// It is over.
    Ended,
}

/// The objects that somebody asked for.
pub(super) struct Matched<T> {
    pub(super) read: Vec<Arc<T>>,
    /// The names of those that cannot be read, and why.
    pub(super) odd: Vec<(String, String)>,
}

impl<'a, T: 'a> FromIterator<(&'a str, &'a Item<T>)> for Matched<T> {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a Item<T>)>>(items: I) -> Self {
        let (mut read, mut odd) = (Vec::new(), Vec::new());
        for (name, item) in items {
            match &item.facts {
                Ok(facts) => read.push(facts.clone()),
                Err(why) => odd.push((name.to_owned(), why.clone())),
            }
        }
        Self { read, odd }
    }
}

impl<T> Known<T> {
    pub(super) fn new(source: Source<T>) -> Self {
        Self {
            source,
            state: Mutex::new(State {
                items: HashMap::new(),
                waiting: Vec::new(),
            }),
            progress: Sender::new(Progress::Begins),
            begun: now(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn progress(&self) -> Progress {
        *self.progress.borrow()
    }

    /// Waits until it is known whether the watch follows.
    pub(super) async fn has_begun(&self, longest: Duration) {
        let mut progress = self.progress.subscribe();
        let begun = progress.wait_for(|progress| *progress != Progress::Begins);
        // Whoever waited in vain asks the API server.
        drop(timeout(longest, begun).await);
    }

    /// These objects, if what is known is up to date.
    pub(super) fn matched(&self, which: &Which) -> Option<Matched<T>> {
        let state = self.state();
        if self.progress() != Progress::Follows {
            return None;
        }
        Some(match which {
            Which::Named(name) => {
                let item = state.items.get(&**name);
                item.map(|item| (&**name, item)).into_iter().collect()
            }
            Which::Labeled(_) => {
                let items = state.items.iter().map(|(name, item)| (&**name, item));
                items.filter(|(name, item)| which.is(name, item)).collect()
            }
        })
    }

    /// From now on tells somebody when one of these objects may have changed, until that one is dropped.
    pub(super) fn tell(&self, which: &Which, told: &Arc<Notify>) {
        let mut state = self.state();
        state.forget_gone();
        state.waiting.push((which.clone(), Arc::downgrade(told)));
    }

    /// Changes one item; `None`: it is gone.
    fn put(&self, name: String, item: Option<Item<T>>) {
        let mut state = self.state();
        let State { items, waiting } = &mut *state;
        // A label that has changed concerns those who knew the old one, too.
        let old = match item {
            Some(item) => items.insert(name.clone(), item),
            None => items.remove(&name),
        };
        let new = items.get(&name);
        let is_of = |which: &Which| {
            let mut both = old.iter().chain(new);
            both.any(|item| which.is(&name, item))
        };
        tell(waiting.iter().filter(|(which, _)| is_of(which)));
    }

    /// What is known is up to date from now on: everything may have changed.
    fn follows(&self) {
        if self.progress.send_replace(Progress::Follows) != Progress::Follows {
            tell(&self.state().waiting);
        }
    }

    /// It is over: nothing is kept any more, and those who wait look for another watch.
    pub(super) fn end(&self) {
        self.progress.send_replace(Progress::Ended);
        let mut state = self.state();
        let items = mem::take(&mut state.items);
        tell(&mem::take(&mut state.waiting));
        drop(state);
        // Dropping many objects takes a while, and others wait for the lock.
        drop(items);
    }
}

impl<T> State<T> {
    fn forget_gone(&mut self) {
        self.waiting.retain(|(_, told)| told.strong_count() > 0);
    }
}

fn tell<'a>(waiting: impl IntoIterator<Item = &'a (Which, Weak<Notify>)>) {
    let waiting = waiting.into_iter();
    let there = waiting.filter_map(|(_, told)| told.upgrade());
    // What somebody has not taken note of yet is told once.
    there.for_each(|told| told.notify_one());
}

impl<T: Send + Sync + 'static> Known<T> {
    /// Follows the objects until nobody has waited for them for some time.
    pub(super) async fn run(&self, api: &ApiClient, collection: Collection, idle: Duration) {
        tokio::select! {
            () = self.follow(api, &collection) => {}
            () = self.is_idle(idle) => {}
        }
        self.end();
    }

    /// Waits until nobody waits any more: since one idle time at least, and two at most.
    async fn is_idle(&self, idle: Duration) {
        let mut was_idle = false;
        loop {
            sleep(idle).await;
            let mut state = self.state();
            state.forget_gone();
            let is_idle = state.waiting.is_empty();
            if was_idle && is_idle {
                return;
            }
            was_idle = is_idle;
        }
    }

    /// Lists and watches, again after each break.
    async fn follow(&self, api: &ApiClient, collection: &Collection) {
        let mut backoff = BACKOFF[0];
        loop {
            let begun = now();
            let error = match self.list(api, collection).await {
                Ok(version) => self.watch(api, collection, version).await,
                Err(error) => error,
            };
            self.progress.send_replace(Progress::Broken);
            tracing::debug!(path = collection.path, selector = collection.selector, %error, "a watch ended");
            if now().saturating_duration_since(begun) > Duration::from_secs(RUNS.into()) {
                backoff = BACKOFF[0];
            }
            let pause = if is_closed(&error) {
                FORBIDDEN
            } else {
                backoff
            };
            sleep(pause.max(error.retry_after())).await;
            backoff = (backoff * 2).min(BACKOFF[1]);
        }
    }

    /// Lists everything, and gives the version that a watch goes on from.
    async fn list(&self, api: &ApiClient, collection: &Collection) -> Result<String, RequestError> {
        let (items, version) = list(api, collection, |json| self.source.read(json)).await?;
        if version.is_empty() {
            let words = "a list without a version, which no watch can go on from";
            return Err(RequestError::Unreadable(words.to_owned()));
        }
        let old = mem::replace(&mut self.state().items, items.into_iter().collect());
        drop(old);
        Ok(version)
    }

    /// Watches from a version on, again and again, and says why that cannot go on.
    async fn watch(
        &self,
        api: &ApiClient,
        collection: &Collection,
        mut version: String,
    ) -> RequestError {
        let asked = Duration::from_secs(RUNS.into());
        loop {
            let mut params = WatchParams::default().timeout(RUNS);
            if !collection.selector.is_empty() {
                params = params.labels(&collection.selector);
            }
            if !collection.fields.is_empty() {
                params = params.fields(&collection.fields);
            }
            let request = Resource::new(&collection.path).watch(&params, &version);
            let request = match request {
                Ok(request) => request,
                Err(error) => return RequestError::NotSent(error.to_string()),
            };
            let begun = now();
            let mut lines = match api.lines(request).await {
                Ok(lines) => lines,
                Err(error) => return error,
            };
            self.follows();
            match timeout(asked + LATE, self.events(&mut lines, &mut version)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return error,
                Err(_) => return RequestError::Late(asked + LATE),
            }
            if now().saturating_duration_since(begun) + EARLY < asked {
                return RequestError::Lost("the watch ended before its time".to_owned());
            }
        }
    }

    /// Reads the lines of one watch up to its end.
    async fn events(&self, lines: &mut Lines, version: &mut String) -> Result<(), RequestError> {
        while let Some(line) = lines.next().await? {
            let object = match Line::read(&line, lines).map_err(RequestError::Lost)? {
                Line::Put(object) => {
                    let (name, item) = self.source.read(object);
                    self.put(name, Some(item));
                    object
                }
                Line::Deleted(object) => {
                    self.put(name_of(object).unwrap_or_default(), None);
                    object
                }
                Line::Bookmark(reached) => {
                    *version = reached;
                    continue;
                }
                Line::Unknown => continue,
            };
            if let Some(reached) = version_of(object) {
                *version = reached;
            }
        }
        Ok(())
    }
}

/// All objects of a collection, and the version of the list.
pub(super) async fn list<U>(
    api: &ApiClient,
    collection: &Collection,
    read: impl Fn(&str) -> U,
) -> Result<(Vec<U>, String), RequestError> {
    let mut pages = Pages::new(collection.clone(), Limit::All);
    let read = |page: &Page<'_>| -> Vec<U> {
        let items = page.items.iter();
        items.map(|item| read(item.get())).collect()
    };
    let (mut all, mut version) = (Vec::new(), String::new());
    while let Some(step) = pages.step(api, read).await? {
        match step {
            Step::Page(items, page) => {
                all.extend(items);
                version = page.resource_version;
            }
            Step::Restarted => all.clear(),
        }
    }
    Ok((all, version))
}
