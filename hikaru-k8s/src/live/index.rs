//! What is known of a cluster, as a plain state machine: events of lists and watches in, workloads and freshness out.
//! No IO, no clock: the time is handed in. Who feeds it is said in `watch`; how the objects are kept and found, in few
//! bytes each, in `entries`.

use std::time::{Duration, Instant};

use hikaru_core::{
    Build, Change, ClusterError, Fault, Found, IdentityFields, Scope, Select, Severity, Text,
    Workload, WorkloadId,
};

use super::object::Malformed;

mod bytes;
mod directory;
mod entries;
mod interner;
mod record;
mod slab;

use entries::{Entries, EntryNumber, Sighting};

/// The number of a source: what one list and the watch that goes on from it are of.
pub(super) type SourceNumber = usize;

/// What is known.
#[derive(Debug)]
pub(super) struct Index {
    sources: Vec<Source>,
    /// How long a source may show no life before the view counts as out of date.
    patience: Duration,
    entries: Entries,
}

#[derive(Debug)]
struct Source {
    /// `deployments.apps`.
    kind: String,
    namespace: Option<Text>,
    /// Which list its entries were last seen in: what a new list does not name is gone.
    generation: u32,
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
            entries: Entries::default(),
        }
    }

    /// A new list begins: what it will not name is gone when it ends.
    pub(super) fn begin(&mut self, source: SourceNumber) {
        let generation = &mut self.sources[source].generation;
        *generation = generation.wrapping_add(1);
    }

    /// An object was listed, made or changed.
    pub(super) fn put(&mut self, source: SourceNumber, object: Object) {
        let generation = self.sources[source].generation;
        self.entries.put(object, Sighting { source, generation });
    }

    /// An object was deleted.
    pub(super) fn gone(&mut self, id: &WorkloadId) {
        self.entries.remove(id);
    }

    /// The list is complete: what it did not name is gone.
    pub(super) fn end(&mut self, source: SourceNumber, now: Instant) {
        let generation = self.sources[source].generation;
        self.entries
            .remove_where(|seen| seen.source == source && seen.generation != generation);
        self.sources[source].state = State::Listed;
        self.sources[source].alive = now;
    }

    /// The watch of a source that was listed has said something, or ended as it should.
    pub(super) fn alive(&mut self, source: SourceNumber, now: Instant) {
        self.sources[source].alive = now;
    }

    /// The server lacks the kind, or does not let us: nothing is known of it, and nothing is expected.
    pub(super) fn close(&mut self, source: SourceNumber, words: String, forbidden: bool) {
        self.entries.remove_where(|seen| seen.source == source);
        self.sources[source].state = State::Closed { words, forbidden };
    }

    /// Which state of an object is known, to tell later whether it still is the same.
    pub(super) fn state_of(&self, id: &WorkloadId) -> Option<StateNumber> {
        self.entries.state_of(id)
    }

    /// A change of ours was applied, which was sent at a known state: it shows before the watch tells, so that the next
    /// post is judged on it. If something has been heard of the object since, that is newer than what we wrote.
    pub(super) fn written(&mut self, change: &Change, sent_at: Option<StateNumber>) {
        let judged = change.judged();
        self.entries.change(&judged.id, sent_at, |workload| {
            if workload.uid != judged.uid {
                return;
            }
            for (container, edit) in change.edited() {
                let mut now = workload.containers.iter_mut();
                let now = now.find(|c| c.name == container.name && c.image == container.image);
                if let Some(now) = now {
                    now.image = edit.to().clone();
                    now.mark = edit.mark().or(now.mark.as_ref()).cloned();
                }
            }
        });
    }

    /// Marks were removed, which was asked for at a known state.
    pub(super) fn unheld(
        &mut self,
        id: &WorkloadId,
        removed: &[(Text, Text)],
        sent_at: Option<StateNumber>,
    ) {
        self.entries.change(id, sent_at, |workload| {
            for now in &mut workload.containers {
                now.mark.take_if(|mark| {
                    removed
                        .iter()
                        .any(|(name, value)| *name == now.name && value == mark)
                });
            }
        });
    }

    /// How many objects are known, and how long the most silent source has shown no life.
    pub(super) fn vitals(&self, now: Instant) -> (usize, Duration) {
        let open = self.sources.iter();
        let open = open.filter(|source| !matches!(source.state, State::Closed { .. }));
        let alive = open.map(|source| source.alive).min();
        let age = alive.map(|alive| now.saturating_duration_since(alive));
        (self.entries.numbers().count(), age.unwrap_or_default())
    }

    /// How far it can be trusted.
    pub(super) fn trust(&self, now: Instant) -> Trust {
        let mut oldest = now;
        for source in &self.sources {
            match source.state {
                State::New => return Trust::Syncing,
                State::Listed => oldest = oldest.min(source.alive),
                State::Closed { .. } => {}
            }
        }
        if now.saturating_duration_since(oldest) > self.patience {
            Trust::Stale(oldest)
        } else {
            Trust::Fresh
        }
    }

    /// What the scope admits, and what is not known.
    ///
    /// # Errors
    /// When the server lets us see nothing at all.
    pub(super) fn find(&self, scope: &Scope) -> Result<Found, ClusterError> {
        let mut found = Found::new(Vec::new(), self.faults(scope)?);
        // What an identity or a repository is looked up by is no more than a hint: the scope decides.
        let mut admit = |number: EntryNumber| {
            let workload = self.entries.workload(number);
            found
                .workloads
                .extend(workload.filter(|workload| scope.admits(workload)));
        };
        let of_repository = |build: &Build| {
            let repository = build.repository().to_string();
            self.entries.of_repository(&repository)
        };
        match &scope.select {
            Select::Build(build) => match Identities::of(build) {
                Some(identities) => self.of(&identities).into_iter().for_each(&mut admit),
                None => of_repository(build).for_each(&mut admit),
            },
            Select::Near(build) => {
                let identities = Identities::of(build);
                let mut near = identities.map_or_else(Vec::new, |texts| self.of(&texts));
                near.extend(of_repository(build));
                near.sort_unstable();
                near.dedup();
                near.into_iter().for_each(&mut admit);
            }
            Select::Repository(wanted) => {
                self.entries.of_repository(wanted).for_each(&mut admit);
            }
            Select::Named(ids) => {
                let numbers = ids.iter().filter_map(|id| self.entries.number_of(id));
                numbers.for_each(&mut admit);
            }
            _ => self.entries.numbers().for_each(&mut admit),
        }
        Ok(found)
    }

    fn of(&self, identities: &Identities<'_>) -> Vec<EntryNumber> {
        let mut numbers: Vec<EntryNumber> = self.entries.of_identity(identities.text).collect();
        for text in &identities.without_git {
            numbers.extend(self.entries.of_identity(text));
        }
        if !identities.without_git.is_empty() {
            // Two texts can have one hash.
            numbers.sort_unstable();
            numbers.dedup();
        }
        numbers
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
        for malformed in self.entries.malformed() {
            let namespace = &malformed.id.namespace;
            if scope.namespaces.is_empty() || scope.namespaces.contains(namespace) {
                faults.push(malformed.fault(scope));
            }
        }
        Ok(faults)
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

/// The labels, joined, of the workloads that a build's tag can mean.
struct Identities<'b> {
    /// The tag's identity.
    text: &'b str,
    /// The same without a `.git` that the repo may carry.
    without_git: Vec<String>,
}

impl<'b> Identities<'b> {
    /// `None`: the tag's format lacks a field, or has them in another order.
    fn of(build: &'b Build) -> Option<Self> {
        let identity = build.tag().identity();
        if identity.fields() != IdentityFields::ALL {
            return None;
        }
        let text = identity.as_str();
        let mut without_git = Vec::new();
        // Hardly any has one: a look for a dot is quicker than one for all.
        if text.bytes().any(|b| b == b'.') {
            without_git.extend(text.match_indices(".git_").map(|(at, git)| {
                let rest = &text[at + git.len() - 1..];
                format!("{}{rest}", &text[..at])
            }));
        }
        Some(Self { text, without_git })
    }
}

#[cfg(test)]
mod tests;
