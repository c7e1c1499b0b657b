//! Which pods and ReplicaSets are watched. Nothing is, until somebody asks again about the same workload; and what nobody asks about
//! any more is let go. How one watch goes is in `watch`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hikaru_core::{Text, rollout::Unseen};
use http::StatusCode;
use kube::core::Selector;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::AbortHandle,
};

use super::{
    item::{Facts, Item},
    watch::{Known, Progress, collection, list},
};
use crate::live::{client::ApiClient, clock::now, error::RequestError};

/// How many watches there may be at once, of pods and ReplicaSets together. Each has a connection of its own. What has no place is
/// listed for each question.
const WATCHES: usize = 64;

/// From so many selectors in one namespace on one watch serves the whole namespace.
const MANY: usize = 3;

/// How long a question waits for a watch that begins. After that it asks the API server itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// The watches on pods and ReplicaSets, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RolloutVitals {
    /// How many watches there are.
    pub watches: usize,
    /// How long the oldest has been there.
    pub age: Duration,
    /// How many are not up to date: they begin, are broken or forbidden.
    pub behind: usize,
}

/// The places for watches, which pools share.
#[derive(Clone)]
pub(super) struct Places(Arc<Semaphore>);

impl Default for Places {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(WATCHES)))
    }
}

/// The watches on objects of one kind.
pub(super) struct Pool<T: Facts> {
    api: ApiClient,
    places: Places,
    /// How long something is remembered that nobody asks about.
    idle: Duration,
    namespaces: Mutex<HashMap<Text, Namespace<T>>>,
}

/// What is known of the questions about one namespace.
struct Namespace<T: Facts> {
    /// When each selector was asked about for the last time.
    asked: HashMap<String, Instant>,
    /// By selector; by the empty one, which matches everything, where one watch serves the whole namespace: then there is no other.
    watches: HashMap<String, Watch<T>>,
}

impl<T: Facts> Default for Namespace<T> {
    fn default() -> Self {
        Self {
            asked: HashMap::new(),
            watches: HashMap::new(),
        }
    }
}

/// A watch, as long as it is not dropped and somebody asks.
struct Watch<T: Facts> {
    known: Arc<Known<T>>,
    task: AbortHandle,
}

impl<T: Facts> Drop for Watch<T> {
    fn drop(&mut self) {
        self.task.abort();
        self.known.end();
    }
}

impl<T: Facts> Namespace<T> {
    /// Notes a question, and gives the selector of the watch that is to serve it. `None`: a list is enough. That is so where somebody
    /// asks for the first time and does not wait; whoever asks again will go on asking.
    fn ask(&mut self, selector: &str, waits: bool, now: Instant) -> Option<String> {
        let asks_again = self.asked.insert(selector.to_owned(), now).is_some();
        if self.watches.contains_key("") || self.asked.len() >= MANY {
            return Some(String::new());
        }
        (asks_again || waits).then(|| selector.to_owned())
    }

    /// Forgets what was not asked about for some time, and says whether anything is left.
    fn forget(&mut self, now: Instant, idle: Duration) -> bool {
        self.asked
            .retain(|_, asked| now.saturating_duration_since(*asked) < idle);
        self.watches.retain(|_, watch| !watch.task.is_finished());
        !self.asked.is_empty() || !self.watches.is_empty()
    }
}

impl<T: Facts> Pool<T> {
    pub(super) fn new(api: ApiClient, places: Places, idle: Duration) -> Self {
        Self {
            api,
            places,
            idle,
            namespaces: Mutex::default(),
        }
    }

    fn namespaces(&self) -> MutexGuard<'_, HashMap<Text, Namespace<T>>> {
        self.namespaces
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The objects that a selector matches, in no particular order, and what cannot be read.
    pub(super) async fn matched(
        &self,
        namespace: &Text,
        selector: &Selector,
    ) -> (Vec<Arc<T>>, Vec<Unseen>) {
        let facts = |item: &Item<T>| item.facts.clone();
        let mut read = None;
        if let Some(known) = self.watch(namespace, selector, false) {
            known.has_begun(PATIENCE).await;
            read = known.matched(selector, facts);
        }
        let read = match read {
            Some(read) => read,
            None => {
                let collection = collection::<T>(namespace, &selector.to_string());
                let read = |json: &str| Item::<T>::read(json).facts;
                match list(&self.api, &collection, read).await {
                    Ok((read, _)) => read,
                    Err(error) => {
                        let reason = unseen(T::PLURAL, namespace, &error);
                        return (Vec::new(), vec![Unseen::new(T::PLURAL, reason)]);
                    }
                }
            }
        };
        let (mut all, mut odd) = (Vec::with_capacity(read.len()), Vec::new());
        for read in read {
            match read {
                Ok(facts) => all.push(facts),
                Err(reason) => odd.push(Unseen::new(T::PLURAL, reason)),
            }
        }
        (all, odd)
    }

    /// The watch that serves a question; `waits`: whoever asks waits for changes. `None`: a list is enough, or there are too many
    /// watches.
    pub(super) fn watch(
        &self,
        namespace: &Text,
        selector: &Selector,
        waits: bool,
    ) -> Option<Arc<Known<T>>> {
        let mut namespaces = self.namespaces();
        let now = now();
        namespaces.retain(|_, namespace| namespace.forget(now, self.idle));
        let asked = namespaces.entry(namespace.clone()).or_default();
        let selector = asked.ask(&selector.to_string(), waits, now)?;
        if let Some(watch) = asked.watches.get(&selector) {
            watch.known.ask();
            return Some(watch.known.clone());
        }
        if selector.is_empty() {
            // Their places are free a moment later: until then a list is enough.
            asked.watches.clear();
        }
        let place = self.places.0.clone().try_acquire_owned().ok()?;
        let watch = self.begin(namespace, &selector, place);
        let known = watch.known.clone();
        asked.watches.insert(selector, watch);
        Some(known)
    }

    fn begin(&self, namespace: &Text, selector: &str, place: OwnedSemaphorePermit) -> Watch<T> {
        let known = Arc::new(Known::new());
        let (api, idle) = (self.api.clone(), self.idle);
        let collection = collection::<T>(namespace, selector);
        let following = known.clone();
        let task = tokio::spawn(async move {
            following.run(&api, collection, idle).await;
            drop(place);
        });
        Watch {
            known,
            task: task.abort_handle(),
        }
    }

    /// Counts the watches.
    pub(super) fn count(&self, vitals: &mut RolloutVitals) {
        let namespaces = self.namespaces();
        let watches = namespaces.values().flat_map(|n| n.watches.values());
        for watch in watches.filter(|watch| !watch.task.is_finished()) {
            vitals.watches += 1;
            let age = now().saturating_duration_since(watch.known.begun);
            vitals.age = vitals.age.max(age);
            vitals.behind += usize::from(watch.known.progress() != Progress::Follows);
        }
    }
}

/// Why objects of a namespace are not seen, with the right that shows them.
fn unseen(what: &str, namespace: &str, error: &RequestError) -> String {
    let why = match error {
        RequestError::Refused(refused) if refused.code == StatusCode::FORBIDDEN => {
            format!("the right to list {what} in namespace {namespace} is missing")
        }
        error => error.to_string(),
    };
    format!("{what} are not seen: {why}")
}

#[cfg(test)]
mod tests {
    use hikaru_core::rollout::PodFacts;

    use super::*;

    const IDLE: Duration = Duration::from_secs(60);

    fn watch(selector: &str) -> Option<String> {
        Some(selector.to_owned())
    }

    #[test]
    fn whoever_asks_once_gets_a_list() {
        let (mut namespace, begun) = (Namespace::<PodFacts>::default(), Instant::now());
        assert_eq!(namespace.ask("app=a", false, begun), None);
        assert_eq!(namespace.ask("app=b", false, begun), None);
        assert_eq!(namespace.ask("app=a", false, begun), watch("app=a"));
        assert_eq!(namespace.ask("app=b", true, begun), watch("app=b"));
    }

    #[test]
    fn the_third_selector_is_served_by_the_namespace() {
        let (mut namespace, begun) = (Namespace::<PodFacts>::default(), Instant::now());
        for selector in ["app=a", "app=b"] {
            namespace.ask(selector, false, begun);
        }
        for selector in ["app=c", "app=a"] {
            assert_eq!(namespace.ask(selector, false, begun), watch(""));
        }
        // Only the questions of the last time count.
        assert!(namespace.forget(begun + IDLE / 2, IDLE));
        assert_eq!(namespace.ask("app=d", false, begun + IDLE / 2), watch(""));
        assert!(namespace.forget(begun + IDLE, IDLE));
        assert_eq!(namespace.ask("app=c", false, begun + IDLE), None);
        assert!(!namespace.forget(begun + IDLE * 2, IDLE));
    }
}
