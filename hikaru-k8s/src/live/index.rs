//! What is known of a cluster, as a plain state machine: events of lists and watches in, workloads and freshness out.
//! No IO, no clock: the time is handed in. Who feeds it is said in `watch`.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use hikaru_core::{
    Build, Change, ClusterError, Fault, Found, Reference, Scope, Segment, Select, Severity, Text,
    Workload, WorkloadId,
};

use super::object::Malformed;

/// The number of a source: what one list and the watch that goes on from it are of.
pub(super) type SourceNumber = usize;

/// What is known.
#[derive(Debug)]
pub(super) struct Index {
    sources: Vec<Source>,
    /// How long a source may show no life before the view counts as out of date.
    patience: Duration,
    entries: HashMap<WorkloadId, Entry>,
    /// How many objects were put so far.
    puts: u64,
    /// Owner, repo without `.git` and branch, joined by `_`.
    by_identity: HashMap<Text, HashSet<WorkloadId>>,
    by_repository: HashMap<Text, HashSet<WorkloadId>>,
}

#[derive(Debug)]
struct Source {
    /// `deployments.apps`.
    kind: String,
    namespace: Option<Text>,
    /// Which list its entries were last seen in: what a new list does not name is gone.
    generation: u64,
    state: State,
    /// When it last showed life.
    alive: Instant,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// It has not been listed completely yet.
    New,
    /// Its list was complete; a watch keeps it so.
    Listed,
    /// The server lacks it, or does not let us, in its own words.
    Closed { words: String, forbidden: bool },
}

#[derive(Debug)]
struct Entry {
    source: SourceNumber,
    generation: u64,
    /// Which put this is.
    put: u64,
    object: Object,
}

/// An object as it was last seen.
#[derive(Debug)]
pub(super) enum Object {
    Sound(Workload),
    Malformed(Malformed),
}

impl Object {
    fn id(&self) -> &WorkloadId {
        match self {
            Self::Sound(workload) => &workload.id,
            Self::Malformed(malformed) => &malformed.id,
        }
    }
}

/// A state of an object, as it was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StateNumber(u64);

/// How far the whole can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    Fresh,
    Syncing,
    /// A source has shown no life since then.
    Stale(Instant),
}

impl Index {
    /// Nothing is known yet of these sources: a kind's name, and the namespace if it is of one.
    pub(super) fn new(
        sources: impl IntoIterator<Item = (String, Option<Text>)>,
        patience: Duration,
        now: Instant,
    ) -> Self {
        let source = |(kind, namespace)| Source {
            kind,
            namespace,
            generation: 0,
            state: State::New,
            alive: now,
        };
        Self {
            sources: sources.into_iter().map(source).collect(),
            patience,
            entries: HashMap::new(),
            puts: 0,
            by_identity: HashMap::new(),
            by_repository: HashMap::new(),
        }
    }

    /// A new list begins: what it will not name is gone when it ends.
    pub(super) fn begin(&mut self, source: SourceNumber) {
        self.sources[source].generation += 1;
    }

    /// An object was listed, made or changed.
    pub(super) fn put(&mut self, source: SourceNumber, object: Object) {
        let id = object.id().clone();
        self.gone(&id);
        if let Object::Sound(workload) = &object {
            for (index, key) in self.keys_of(workload) {
                let index = match index {
                    By::Identity => &mut self.by_identity,
                    By::Repository => &mut self.by_repository,
                };
                index.entry(key).or_default().insert(id.clone());
            }
        }
        self.puts += 1;
        let entry = Entry {
            source,
            generation: self.sources[source].generation,
            put: self.puts,
            object,
        };
        self.entries.insert(id, entry);
    }

    /// An object was deleted.
    pub(super) fn gone(&mut self, id: &WorkloadId) {
        let Some(Entry {
            object: Object::Sound(workload),
            ..
        }) = self.entries.remove(id)
        else {
            return;
        };
        for (index, key) in self.keys_of(&workload) {
            let index = match index {
                By::Identity => &mut self.by_identity,
                By::Repository => &mut self.by_repository,
            };
            if let Some(ids) = index.get_mut(&key) {
                ids.remove(id);
                if ids.is_empty() {
                    index.remove(&key);
                }
            }
        }
    }

    /// The list is complete: what it did not name is gone.
    pub(super) fn end(&mut self, source: SourceNumber, now: Instant) {
        let generation = self.sources[source].generation;
        self.sweep(source, |entry| entry.generation != generation);
        self.sources[source].state = State::Listed;
        self.sources[source].alive = now;
    }

    /// The watch of a source that was listed has said something, or ended as it should.
    pub(super) fn alive(&mut self, source: SourceNumber, now: Instant) {
        self.sources[source].alive = now;
    }

    /// The server lacks the kind, or does not let us: nothing is known of it, and nothing is expected.
    pub(super) fn close(&mut self, source: SourceNumber, words: String, forbidden: bool) {
        self.sweep(source, |_| true);
        self.sources[source].state = State::Closed { words, forbidden };
    }

    fn sweep(&mut self, source: SourceNumber, gone: impl Fn(&Entry) -> bool) {
        let swept = self.entries.iter();
        let swept = swept.filter(|(_, entry)| entry.source == source && gone(entry));
        let swept: Vec<WorkloadId> = swept.map(|(id, _)| id.clone()).collect();
        for id in swept {
            self.gone(&id);
        }
    }

    /// Which state of an object is known, to tell later whether it still is the same.
    pub(super) fn state_of(&self, id: &WorkloadId) -> Option<StateNumber> {
        self.entries.get(id).map(|entry| StateNumber(entry.put))
    }

    /// The workload, if nothing has been heard of it since. What is heard later is newer than what we wrote.
    fn unheard_of(&mut self, id: &WorkloadId, state: Option<StateNumber>) -> Option<&mut Workload> {
        let entry = self.entries.get_mut(id)?;
        match &mut entry.object {
            Object::Sound(workload) if state == Some(StateNumber(entry.put)) => Some(workload),
            _ => None,
        }
    }

    /// A change of ours was applied, which was sent at a known state: it shows before the watch tells, so that the next
    /// post is judged on it.
    pub(super) fn written(&mut self, change: &Change, sent_at: Option<StateNumber>) {
        let judged = change.judged();
        let Some(workload) = self.unheard_of(&judged.id, sent_at) else {
            return;
        };
        if workload.uid != judged.uid {
            return;
        }
        // The image keeps its repository: no key changes.
        for (container, edit) in change.edited() {
            let mut now = workload.containers.iter_mut();
            let now = now.find(|c| c.name == container.name && c.image == container.image);
            if let Some(now) = now {
                now.image = edit.to().clone();
                now.mark = edit.mark().or(now.mark.as_ref()).cloned();
            }
        }
    }

    /// Marks were removed, which was asked for at a known state.
    pub(super) fn unheld(
        &mut self,
        id: &WorkloadId,
        removed: &[(Text, Text)],
        sent_at: Option<StateNumber>,
    ) {
        if let Some(workload) = self.unheard_of(id, sent_at) {
            for now in &mut workload.containers {
                now.mark.take_if(|mark| {
                    removed
                        .iter()
                        .any(|(name, value)| *name == now.name && value == mark)
                });
            }
        }
    }

    /// How far it can be trusted.
    pub(super) fn trust(&self, now: Instant) -> Trust {
        let open = || {
            self.sources
                .iter()
                .filter(|s| !matches!(s.state, State::Closed { .. }))
        };
        if open().any(|source| source.state == State::New) {
            return Trust::Syncing;
        }
        match open().map(|source| source.alive).min() {
            Some(alive) if now.saturating_duration_since(alive) > self.patience => {
                Trust::Stale(alive)
            }
            _ => Trust::Fresh,
        }
    }

    /// What the scope admits, and what is not known.
    ///
    /// # Errors
    /// When the server lets us see nothing at all.
    pub(super) fn find(&self, scope: &Scope) -> Result<Found, ClusterError> {
        let mut found = Found::new(Vec::new(), self.faults(scope)?);
        let mut admit = |id: &WorkloadId| match self.entries.get(id).map(|entry| &entry.object) {
            Some(Object::Sound(workload)) if scope.admits(workload) => {
                found.workloads.push(workload.clone());
            }
            _ => {}
        };
        match &scope.select {
            Select::Build(build) => match identity_keys(build) {
                Some(keys) => self.of(&self.by_identity, &keys).for_each(&mut admit),
                None => self
                    .of(&self.by_repository, &[repository(build)])
                    .for_each(&mut admit),
            },
            Select::Near(build) => {
                let keys = identity_keys(build).unwrap_or_default();
                let near = self.of(&self.by_identity, &keys);
                let near: HashSet<&WorkloadId> = near
                    .chain(self.of(&self.by_repository, &[repository(build)]))
                    .collect();
                near.into_iter().for_each(&mut admit);
            }
            Select::Repository(wanted) => {
                let wanted = std::slice::from_ref(wanted);
                self.of(&self.by_repository, wanted).for_each(&mut admit);
            }
            Select::Named(ids) => ids.iter().for_each(&mut admit),
            _ => self.entries.keys().for_each(&mut admit),
        }
        Ok(found)
    }

    fn of<'i>(
        &'i self,
        index: &'i HashMap<Text, HashSet<WorkloadId>>,
        keys: &[Text],
    ) -> impl Iterator<Item = &'i WorkloadId> + use<'i> {
        let found: Vec<_> = keys.iter().filter_map(|key| index.get(key)).collect();
        found.into_iter().flatten()
    }

    fn faults(&self, scope: &Scope) -> Result<Vec<Fault>, ClusterError> {
        let is_open = |source: &&Source| !matches!(source.state, State::Closed { .. });
        if !self.sources.iter().any(|source| is_open(&source)) {
            let mut closed = self.sources.iter();
            return Err(match closed.find_map(Source::forbidden) {
                Some(words) => ClusterError::Forbidden(words.to_owned()),
                None => ClusterError::Invalid(
                    "the server knows none of the kinds: is it a Kubernetes API server?".to_owned(),
                ),
            });
        }
        let asked = |namespace: &Option<Text>| {
            scope.namespaces.is_empty()
                || namespace
                    .as_ref()
                    .is_none_or(|n| scope.namespaces.contains(n))
        };
        let mut faults = Vec::new();
        for source in self
            .sources
            .iter()
            .filter(|source| asked(&source.namespace))
        {
            let State::Closed { words, .. } = &source.state else {
                continue;
            };
            let named = source.namespace.is_some() && !scope.namespaces.is_empty();
            let mut same = self
                .sources
                .iter()
                .filter(|s| s.namespace == source.namespace);
            let severity = if named && !same.any(|source| is_open(&source)) {
                Severity::Failure
            } else {
                Severity::Warning
            };
            let place = match &source.namespace {
                Some(namespace) => format!("{} in {namespace}", source.kind),
                None => source.kind.clone(),
            };
            faults.push(Fault::new(severity, place, words.clone()));
        }
        for namespace in &scope.namespaces {
            let watched = |source: &Source| {
                source
                    .namespace
                    .as_ref()
                    .is_none_or(|watched| watched == namespace)
            };
            if !self.sources.iter().any(watched) {
                let words = "this namespace is not watched: nothing is known of it";
                faults.push(Fault::new(Severity::Failure, namespace.clone(), words));
            }
        }
        for entry in self.entries.values() {
            if let Object::Malformed(malformed) = &entry.object {
                let namespace = &malformed.id.namespace;
                if scope.namespaces.is_empty() || scope.namespaces.contains(namespace) {
                    faults.push(malformed.fault(scope));
                }
            }
        }
        Ok(faults)
    }

    /// Under which keys a workload is found.
    fn keys_of(&self, workload: &Workload) -> Vec<(By, Text)> {
        let mut keys = Vec::new();
        if let Some(reading) = workload.labels.reading() {
            let parts = [reading.owner, reading.repo, reading.branch];
            let joined = parts.map(Option::unwrap_or_default).join("_");
            keys.push((By::Identity, joined.into()));
        }
        for container in &workload.containers {
            if let Ok(image) = Reference::parse(&container.image) {
                keys.push((By::Repository, image.repository().to_string().into()));
            }
        }
        keys
    }
}

impl Source {
    fn forbidden(&self) -> Option<&str> {
        match &self.state {
            State::Closed {
                words,
                forbidden: true,
            } => Some(words),
            _ => None,
        }
    }
}

#[derive(Clone, Copy)]
enum By {
    Identity,
    Repository,
}

fn repository(build: &Build) -> Text {
    build.repository().to_string().into()
}

/// The keys of the workloads that a build's tag can mean: its identity, and that without the `.git` that the repo may
/// carry. `None`: the tag's format lacks a field, or has them in another order.
fn identity_keys(build: &Build) -> Option<Vec<Text>> {
    let identity = build.tag().identity();
    let fields = identity.fields();
    if !fields
        .iter()
        .eq([Segment::Owner, Segment::Repo, Segment::Branch])
    {
        return None;
    }
    let text = identity.as_str();
    let mut keys = vec![Text::from(text)];
    for (at, git) in text.match_indices(".git_") {
        let rest = &text[at + git.len() - 1..];
        keys.push(format!("{}{rest}", &text[..at]).into());
    }
    Some(keys)
}

#[cfg(test)]
mod tests;
