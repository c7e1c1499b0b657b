//! Which objects are watched: those that somebody waits for, and nothing else. A question is answered by the watch that there is, or
//! by the API server. How one watch goes is in `watch`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::AbortHandle,
};

use super::{
    wanted::{Source, Which},
    watch::{Known, Matched, Progress, list},
};
use crate::live::{client::ApiClient, clock::now, error::RequestError, read::pages::Collection};

/// How many watches there may be at once, of all pools together: enough for the Deployments, ReplicaSets and pods of 64 namespaces.
/// Each has a connection of its own. One watch for all namespaces would need rights that a hikaru for some namespaces does not have,
/// and read what nobody waits for. Whoever waits for what has no place is told in turns: see `changed`.
const WATCHES: usize = 192;

/// From so many watches in one collection on one watch serves the whole collection.
const MANY: usize = 3;

/// The watches that there are because somebody waits for rollouts or Jobs, for metrics.
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

/// The watches on objects that are read alike.
pub(super) struct Pool<T> {
    api: ApiClient,
    places: Places,
    /// How long a watch goes on after the last wait.
    idle: Duration,
    watches: Mutex<HashMap<String, Watches<T>>>,
}

/// The watches on one collection, by what they are narrowed to; by an empty text where one watch serves the whole collection: then
/// there is no other.
type Watches<T> = HashMap<String, Watch<T>>;

/// A watch, as long as it is not dropped and somebody waits.
struct Watch<T> {
    known: Arc<Known<T>>,
    task: AbortHandle,
}

impl<T> Drop for Watch<T> {
    fn drop(&mut self) {
        self.task.abort();
        self.known.end();
    }
}

impl<T: Send + Sync + 'static> Pool<T> {
    pub(super) fn new(api: ApiClient, places: Places, idle: Duration) -> Self {
        Self {
            api,
            places,
            idle,
            watches: Mutex::default(),
        }
    }

    fn watches(&self) -> MutexGuard<'_, HashMap<String, Watches<T>>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a watch knows of these objects. `None`: none is up to date.
    pub(super) fn known(&self, source: &Source<T>, which: &Which) -> Option<Matched<T>> {
        let known = serving(self.watches().get(&source.path)?, which)?;
        known.matched(which)
    }

    /// These objects, in no particular order: what a watch knows, or else what the API server answers.
    pub(super) async fn matched(
        &self,
        source: &Source<T>,
        which: &Which,
    ) -> Result<Matched<T>, RequestError> {
        if let Some(matched) = self.known(source, which) {
            return Ok(matched);
        }
        let collection = which.of_path(&source.path);
        let (items, _) = list(&self.api, &collection, |json| source.read(json)).await?;
        let items = items.iter();
        Ok(items.map(|(name, item)| (&**name, item)).collect())
    }

    /// The watch for somebody who waits for these objects; it is begun if there is none. `None`: there are too many watches.
    pub(super) fn watch(&self, source: &Source<T>, which: &Which) -> Option<Arc<Known<T>>> {
        let mut watches = self.watches();
        if let Some(known) = watches.get(&source.path).and_then(|of| serving(of, which)) {
            return Some(known);
        }
        watches.retain(|_, of_path| {
            of_path.retain(|_, watch| watch.known.progress() != Progress::Ended);
            !of_path.is_empty()
        });
        let place = self.places.0.clone().try_acquire_owned().ok()?;
        let of_path = watches.entry(source.path.clone()).or_default();
        let (narrowing, collection) = if of_path.len() + 1 < MANY {
            (which.to_string(), which.of_path(&source.path))
        } else {
            of_path.clear();
            let collection = Collection {
                path: source.path.clone(),
                ..Collection::default()
            };
            (String::new(), collection)
        };
        let watch = self.begin(source.clone(), collection, place);
        let known = watch.known.clone();
        of_path.insert(narrowing, watch);
        Some(known)
    }

    fn begin(
        &self,
        source: Source<T>,
        collection: Collection,
        place: OwnedSemaphorePermit,
    ) -> Watch<T> {
        let known = Arc::new(Known::new(source));
        let (api, idle) = (self.api.clone(), self.idle);
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
        let watches = self.watches();
        let known = watches.values().flat_map(|of| of.values());
        let known = known.map(|watch| (&watch.known, watch.known.progress()));
        for (known, progress) in known.filter(|(_, progress)| *progress != Progress::Ended) {
            vitals.watches += 1;
            let age = now().saturating_duration_since(known.begun);
            vitals.age = vitals.age.max(age);
            vitals.behind += usize::from(progress != Progress::Follows);
        }
    }
}

/// The watch that has these objects.
fn serving<T>(watches: &Watches<T>, which: &Which) -> Option<Arc<Known<T>>> {
    let whole = watches.get("");
    let watch = whole.or_else(|| watches.get(&which.to_string()))?;
    (watch.known.progress() != Progress::Ended).then(|| watch.known.clone())
}
