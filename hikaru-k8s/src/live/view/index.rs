//! What is known of a cluster, as a plain state machine: events of lists and watches in, workloads and freshness out.
//! No IO, no clock: the time is handed in. The events come from `watch`; the objects are kept and found in `objects`.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use hikaru_core::{
    Build, Text, Workload, WorkloadId,
    image::IdentityFields,
    policy::Change,
    port::{ClusterError, Fault, Found, Freshness, Scope, Select, Severity},
};

use crate::{kind::Kind, live::read::object::Malformed};

mod objects;
mod texts;

use objects::Objects;

/// The number of a source: one kind, in one namespace or in all. It is listed once, and then watched.
pub(super) type SourceNumber = usize;

/// What is known.
#[derive(Debug)]
pub(super) struct Index {
    sources: Vec<SourceState>,
    /// How old the last confirmation of a source may be before the view counts as out of date.
    max_age: Duration,
    objects: Objects,
}

/// How far a source is known. The task that lists and watches it is `watch::follow`.
#[derive(Debug)]
struct SourceState {
    kind: Arc<Kind>,
    namespace: Option<Text>,
    /// The number of its last list that began: what a list does not name is gone when it ends.
    list: u32,
    stage: Stage,
    /// As of when it was last confirmed to be up to date.
    confirmed: Instant,
    /// Why its last request failed, until one succeeds.
    trouble: Option<Trouble>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It has not been listed completely yet.
    New,
    /// Its list was complete; a watch keeps it so.
    Listed,
    /// The server lacks it, or forbids it: nothing is known of it.
    Closed,
}

/// Why a source could not be listed or watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::live) struct Trouble {
    pub(in crate::live) cause: Cause,
    pub(in crate::live) words: String,
}

/// The cause of a trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::live) enum Cause {
    /// The server lacks the kind.
    Missing,
    /// The server forbids it.
    Forbidden,
    /// The server does not take our credentials.
    Credentials,
    /// Anything else, which may pass.
    Broken,
}

impl Cause {
    fn closes(self) -> bool {
        matches!(self, Self::Missing | Self::Forbidden)
    }
}

/// A state of an object, as it was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StateNumber(u64);

impl Index {
    /// An index of these sources, each a kind, in one namespace or in all. Nothing is known of them yet.
    pub(super) fn new(
        sources: impl IntoIterator<Item = (Arc<Kind>, Option<Text>)>,
        max_age: Duration,
        now: Instant,
    ) -> Self {
        let source = |(kind, namespace)| SourceState {
            kind,
            namespace,
            list: 0,
            stage: Stage::New,
            confirmed: now,
            trouble: None,
        };
        Self {
            sources: sources.into_iter().map(source).collect(),
            max_age,
            objects: Objects::default(),
        }
    }

    /// A new list begins. What it does not name is gone when it ends.
    pub(super) fn begin_list(&mut self, source: SourceNumber) {
        let list = &mut self.sources[source].list;
        *list = list.wrapping_add(1);
    }

    /// A workload was listed, made or changed.
    pub(super) fn put(&mut self, source: SourceNumber, workload: Workload) {
        let list = self.sources[source].list;
        self.objects.put(workload, source, list);
    }

    /// An object that cannot be read was listed, made or changed.
    pub(super) fn put_malformed(&mut self, source: SourceNumber, malformed: Malformed) {
        let list = self.sources[source].list;
        self.objects.put_malformed(malformed, source, list);
    }

    /// An object was deleted.
    pub(super) fn deleted(&mut self, id: &WorkloadId) {
        self.objects.remove(id);
    }

    /// The list is complete, and shows the state as of a time. What it did not name is gone.
    pub(super) fn end_list(&mut self, source: SourceNumber, as_of: Instant) {
        let list = self.sources[source].list;
        self.objects
            .remove_where(|seen| seen.source == source && seen.list != list);
        let source = &mut self.sources[source];
        (source.stage, source.confirmed, source.trouble) = (Stage::Listed, as_of, None);
    }

    /// The watch of a source proves that it is up to date as of a time.
    pub(super) fn confirmed(&mut self, source: SourceNumber, as_of: Instant) {
        self.sources[source].confirmed = as_of;
    }

    /// The watch of a source was opened: its trouble is over.
    pub(super) fn opened(&mut self, source: SourceNumber) {
        self.sources[source].trouble = None;
    }

    /// A list or a watch of a source failed. What was known of it stays until it is too old.
    pub(super) fn failed(&mut self, source: SourceNumber, trouble: Trouble) {
        let source = &mut self.sources[source];
        source.stage = match source.stage {
            Stage::Listed => Stage::Listed,
            Stage::New | Stage::Closed if trouble.cause.closes() => Stage::Closed,
            Stage::Closed if source.kind.added => Stage::Closed,
            Stage::New | Stage::Closed => Stage::New,
        };
        source.trouble = Some(trouble);
    }

    /// Closes the source of an added kind that the server lacks or forbids, once what is known of it is too old.
    pub(super) fn close_if_old(&mut self, source: SourceNumber, now: Instant) -> bool {
        let SourceState {
            stage, confirmed, ..
        } = self.sources[source];
        if stage == Stage::Listed && now.saturating_duration_since(confirmed) <= self.max_age {
            return false;
        }
        self.objects.remove_where(|seen| seen.source == source);
        self.sources[source].stage = Stage::Closed;
        true
    }

    /// The workloads that changed since this was called last.
    pub(super) fn take_changed(&mut self) -> Vec<WorkloadId> {
        self.objects.take_changed()
    }

    /// Which state of an object is known, to tell later whether it still is the same.
    pub(super) fn state_of(&self, id: &WorkloadId) -> Option<StateNumber> {
        self.objects.state_of(id)
    }

    /// Hikaru has applied a change, and sent it while a state of the object was known. The change shows at once, so that the
    /// next post is judged on it; except where the index would then show a state that never was, until the watch brings the
    /// true one:
    ///
    /// - The watch has told of the object since: that may be newer than what was written.
    /// - The index is older than what was judged, which may have been read past it: it would show the new image beside
    ///   old settings.
    pub(super) fn written(&mut self, change: &Change, sent_at: Option<StateNumber>) {
        self.objects
            .change(&change.judged().id, sent_at, |workload| {
                if !change.holds_for(workload) {
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

    /// Hikaru has removed marks from a workload as it was read, and began while a state of the object was known. They are
    /// removed here only if all else that a verdict reads is known as it was read.
    pub(super) fn unheld(
        &mut self,
        from: &Workload,
        removed: &[(Text, Text)],
        sent_at: Option<StateNumber>,
    ) {
        self.objects.change(&from.id, sent_at, |workload| {
            let is_the_same = workload.uid == from.uid
                && workload.labels == from.labels
                && workload.settings == from.settings
                && workload.containers == from.containers;
            if !is_the_same {
                return;
            }
            for now in &mut workload.containers {
                now.mark.take_if(|mark| {
                    removed
                        .iter()
                        .any(|(name, value)| *name == now.name && value == mark)
                });
            }
        });
    }

    /// How many objects are known, those that cannot be read included.
    pub(super) fn objects(&self) -> usize {
        self.objects.count()
    }

    /// How old the oldest confirmation of a source is; zero if all sources are closed.
    pub(super) fn age(&self, now: Instant) -> Duration {
        let open = self.sources.iter();
        let open = open.filter(|source| source.stage != Stage::Closed);
        let oldest = open.map(|source| source.confirmed).min();
        oldest.map_or(Duration::ZERO, |oldest| {
            now.saturating_duration_since(oldest)
        })
    }

    /// How many sources are not watched.
    pub(super) fn unwatched(&self) -> usize {
        let sources = self.sources.iter();
        let unwatched = sources.filter(|s| s.stage != Stage::Listed || s.trouble.is_some());
        unwatched.count()
    }

    /// Whether it is up to date.
    pub(super) fn freshness(&self, now: Instant) -> Freshness {
        let sources = || self.sources.iter();
        if sources().any(|source| source.stage == Stage::New) {
            let reason = self.reason();
            return Freshness::Syncing { reason };
        }
        if sources().any(|source| source.is_stale(now, self.max_age)) {
            let silence = || "nothing is heard of the API server".to_owned();
            let reason = Some(self.reason().unwrap_or_else(silence));
            return Freshness::Stale { reason };
        }
        if sources().any(|source| source.stage == Stage::Closed && !source.kind.added) {
            let reason = self.reason().unwrap_or_default();
            return Freshness::Incomplete { reason };
        }
        Freshness::Fresh
    }

    /// Why it is not up to date: the trouble of the first source that has one, and how many others have one.
    fn reason(&self) -> Option<String> {
        let sources = self.sources.iter();
        let mut troubled = sources
            .filter(|source| source.stage != Stage::Closed || !source.kind.added)
            .filter_map(|source| Some((source, source.trouble.as_ref()?)));
        let (source, trouble) = troubled.next()?;
        let words = format!("{}: {}", source.place(), trouble.words);
        Some(match troubled.count() {
            0 => words,
            1 => format!("{words} (and one more kind or namespace)"),
            more => format!("{words} (and {more} more kinds or namespaces)"),
        })
    }

    /// The workloads that the scope admits, and faults for what is not known.
    ///
    /// # Errors
    /// When all sources are closed.
    pub(super) fn find(&self, scope: &Scope) -> Result<Found, ClusterError> {
        let faults = self.faults(scope)?;
        let objects = &self.objects;
        let of_identities = |identities: &[String]| -> Vec<&Arc<Workload>> {
            let each = identities.iter();
            each.flat_map(|identity| objects.of_identity(identity))
                .collect()
        };
        let of_repository = |build: &Build| objects.of_repository(&build.repository().to_string());
        let candidates: Vec<&Arc<Workload>> = match &scope.select {
            Select::Build(build) => match identities_of(build) {
                Some(identities) => of_identities(&identities),
                None => of_repository(build).collect(),
            },
            Select::Near(build) => {
                let mut near = of_identities(&identities_of(build).unwrap_or_default());
                // An image that cannot be read is looked up by any repository.
                near.extend(of_repository(build).filter(|workload| build.is_used_by(workload)));
                let mut ids = HashSet::new();
                near.retain(|workload| ids.insert(&workload.id));
                near
            }
            Select::Repository(wanted) => objects.of_repository(wanted).collect(),
            Select::Named(ids) => ids.iter().filter_map(|id| objects.named(id)).collect(),
            _ => objects.all().collect(),
        };
        // An identity or a repository is only what a workload is looked up by: the scope decides.
        let admits = scope.filter();
        let admitted = candidates.into_iter().filter(|workload| admits(workload));
        Ok(Found::new(admitted.cloned().collect(), faults))
    }

    fn faults(&self, scope: &Scope) -> Result<Vec<Fault>, ClusterError> {
        let mut sources = self.sources.iter();
        if sources.all(|source| source.stage == Stage::Closed) {
            let mut closed = self.sources.iter();
            return Err(match closed.find_map(SourceState::forbidden) {
                Some(words) => ClusterError::Forbidden(words.to_owned()),
                None => ClusterError::Invalid(
                    "the server knows none of the kinds: is it a Kubernetes API server?".to_owned(),
                ),
            });
        }
        let mut faults = Vec::new();
        for source in &self.sources {
            let SourceState {
                stage: Stage::Closed,
                trouble: Some(trouble),
                kind,
                namespace,
                ..
            } = source
            else {
                continue;
            };
            if scope.may_admit(&kind.name, namespace.as_deref()) {
                let severity = match kind.added {
                    true => Severity::Warning,
                    false => Severity::Failure,
                };
                faults.push(Fault::new(severity, source.place(), trouble.words.clone()));
            }
        }
        for namespace in &scope.namespaces {
            let watched = |source: &SourceState| {
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
        for malformed in self.objects.malformed() {
            let namespace = &malformed.id.namespace;
            if scope.namespaces.is_empty() || scope.namespaces.contains(namespace) {
                faults.push(malformed.fault(scope));
            }
        }
        Ok(faults)
    }
}

impl SourceState {
    /// Whether it was listed and is out of date. A server that refuses our credentials sends no events and takes no writes:
    /// then it is out of date at once.
    fn is_stale(&self, now: Instant, max_age: Duration) -> bool {
        let cause = self.trouble.as_ref().map(|trouble| trouble.cause);
        let age = now.saturating_duration_since(self.confirmed);
        self.stage == Stage::Listed && (cause == Some(Cause::Credentials) || age > max_age)
    }

    /// `deployments.apps`, `deployments.apps in shop`.
    fn place(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{} in {namespace}", self.kind),
            None => self.kind.to_string(),
        }
    }

    fn forbidden(&self) -> Option<&str> {
        let trouble = self.trouble.as_ref()?;
        (trouble.cause == Cause::Forbidden).then_some(&*trouble.words)
    }
}

/// The labels, joined, of the workloads that a build's tag can mean: the tag's identity, and the same without a `.git` that
/// the repo may carry. `None`: the tag's format lacks a field, or has them in another order.
fn identities_of(build: &Build) -> Option<Vec<String>> {
    let identity = build.tag().identity();
    if identity.fields() != IdentityFields::ALL {
        return None;
    }
    let text = identity.as_str();
    let mut identities = vec![text.to_owned()];
    identities.extend(text.match_indices(".git_").map(|(at, git)| {
        let rest = &text[at + git.len() - 1..];
        format!("{}{rest}", &text[..at])
    }));
    Some(identities)
}

#[cfg(test)]
mod tests;
