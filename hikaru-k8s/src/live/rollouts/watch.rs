//! One watch of pods or ReplicaSets: it lists them, follows them, and knows whether what it has is up to date. Which watches there
//! are, and when one is let go, is decided in `pool`.
//!
//! Much simpler than a source of the view: after a break all is listed anew, because there are few objects, and meanwhile
//! nothing is answered from here.

use std::{
    collections::HashMap,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hikaru_core::Text;
use kube::core::{Request as Resource, Selector, params::WatchParams};
use tokio::{
    sync::watch::{Receiver, Sender},
    time::{sleep, timeout},
};

use super::item::{Facts, Item, name_of};
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
    state: Mutex<State<T>>,
    progress: Sender<Progress>,
    pub(super) begun: Instant,
}

struct State<T> {
    /// By name: a name is used once at a time in a namespace.
    items: HashMap<String, Item<T>>,
    /// Those who wait for a change of what a selector matches, by its text.
    waiting: HashMap<String, (Selector, Sender<()>)>,
    /// When somebody asked for the last time.
    asked: Instant,
}

/// How far a watch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Its first list is not complete yet, or its first watch not open.
    Begins,
    /// What is known is up to date.
    Follows,
    /// The watch broke, is forbidden, or has ended.
    Broken,
}

impl<T: Facts> Known<T> {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                items: HashMap::new(),
                waiting: HashMap::new(),
                asked: now(),
            }),
            progress: Sender::new(Progress::Begins),
            begun: now(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that somebody asks.
    pub(super) fn ask(&self) {
        self.state().asked = now();
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

    /// What a selector matches, if that is up to date.
    pub(super) fn matched<U>(
        &self,
        selector: &Selector,
        read: impl FnMut(&Item<T>) -> U,
    ) -> Option<Vec<U>> {
        let state = self.state();
        (self.progress() == Progress::Follows).then(|| {
            let items = state.items.values();
            let matched = items.filter(|item| item.is_matched_by(selector));
            matched.map(read).collect()
        })
    }

    /// Tells when something that a selector matches may have changed.
    pub(super) fn changes(&self, selector: &Selector) -> Receiver<()> {
        let mut state = self.state();
        state.waiting.retain(|_, (_, told)| !told.is_closed());
        let waiting = state.waiting.entry(selector.to_string());
        let (_, told) = waiting.or_insert_with(|| (selector.clone(), Sender::new(())));
        told.subscribe()
    }

    /// Changes one item; `None`: it is gone.
    fn put(&self, name: String, item: Option<Item<T>>) {
        let mut state = self.state();
        let State { items, waiting, .. } = &mut *state;
        // A label that has changed concerns those who knew the old one, too.
        let old = match item {
            Some(item) => items.insert(name.clone(), item),
            None => items.remove(&name),
        };
        let new = items.get(&name);
        for (selector, told) in waiting.values() {
            let mut both = old.iter().chain(new);
            if both.any(|item| item.is_matched_by(selector)) {
                told.send_replace(());
            }
        }
    }

    /// Replaces all items and tells everybody.
    fn replace(&self, items: HashMap<String, Item<T>>) {
        let mut state = self.state();
        let old = mem::replace(&mut state.items, items);
        for (_, told) in state.waiting.values() {
            told.send_replace(());
        }
        drop(state);
        // There can be many.
        drop(old);
    }

    /// It is over: nothing is kept any more.
    pub(super) fn end(&self) {
        self.progress.send_replace(Progress::Broken);
        self.replace(HashMap::new());
    }

    /// Follows the objects until nobody has asked for them for some time.
    pub(super) async fn run(&self, api: &ApiClient, collection: Collection, idle: Duration) {
        tokio::select! {
            () = self.follow(api, &collection) => {}
            () = self.is_idle(idle) => {}
        }
        self.end();
    }

    async fn is_idle(&self, idle: Duration) {
        loop {
            let asked = self.state().asked;
            let left = idle.saturating_sub(now().saturating_duration_since(asked));
            if left.is_zero() {
                return;
            }
            sleep(left).await;
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
        let (items, version) = list(api, collection, |json| {
            let name = name_of(json).unwrap_or_default();
            (name, Item::<T>::read(json))
        })
        .await?;
        if version.is_empty() {
            let words = "a list without a version, which no watch can go on from";
            return Err(RequestError::Unreadable(words.to_owned()));
        }
        self.replace(items.into_iter().collect());
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
            self.progress.send_replace(Progress::Follows);
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
                    self.put(
                        name_of(object).unwrap_or_default(),
                        Some(Item::read(object)),
                    );
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

/// The objects of a kind in a namespace that a selector matches; an empty one matches all.
pub(super) fn collection<T: Facts>(namespace: &Text, selector: &str) -> Collection {
    Collection {
        path: format!("{}/namespaces/{namespace}/{}", T::ROOT, T::PLURAL),
        selector: selector.to_owned(),
        ..Collection::default()
    }
}
