//! The workloads that are known, found by name, by identity and by repository, and the objects that cannot be read. What the
//! events of lists and watches mean is said in `index`.

use std::{
    borrow::Borrow,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    hash::{Hash, Hasher},
    sync::Arc,
};

use hikaru_core::{Workload, WorkloadId, image::Reference};

use super::{SourceNumber, StateNumber, texts::SharedTexts};
use crate::live::read::object::Malformed;

/// The objects.
#[derive(Debug, Default)]
pub(super) struct Objects {
    workloads: HashMap<ById, LastSeen>,
    by_identity: HashMap<String, HashSet<ById>>,
    by_repository: HashMap<String, HashSet<ById>>,
    /// Workloads with an image that is no reference: it has no repository to be found by.
    with_unreadable_image: HashSet<ById>,
    /// Objects that cannot be read.
    malformed: BTreeMap<WorkloadId, (Malformed, LastSeen)>,
    /// How many objects were put so far.
    puts: u64,
    /// The workloads that changed since they were asked for.
    changed: Vec<WorkloadId>,
    texts: SharedTexts,
}

/// A workload that hashes and compares by its id. So each set below holds the workloads themselves and is as quick with
/// 100,000 of them, such as all that run one sidecar, as with one.
#[derive(Clone, Debug)]
struct ById(Arc<Workload>);

impl Borrow<WorkloadId> for ById {
    fn borrow(&self) -> &WorkloadId {
        &self.0.id
    }
}

impl Hash for ById {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}

impl PartialEq for ById {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for ById {}

/// Where an object was last seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastSeen {
    pub(super) source: SourceNumber,
    /// Which list of the source was the last that began before.
    pub(super) list: u32,
    state: StateNumber,
}

/// What a workload is found by, apart from its name.
#[derive(Default)]
struct Keys {
    /// Owner, repo and branch, as a build tag joins them.
    identity: Option<String>,
    /// Normalized: `docker.io/library/postgres`.
    repositories: BTreeSet<String>,
    has_unreadable_image: bool,
}

impl Keys {
    fn of(workload: &Workload) -> Self {
        let mut keys = Self::default();
        if let Some(labels) = workload.labels.reading() {
            let parts = [labels.owner, labels.repo, labels.branch];
            keys.identity = Some(parts.map(Option::unwrap_or_default).join("_"));
        }
        for container in &workload.containers {
            match Reference::parse(&container.image) {
                Ok(image) => {
                    keys.repositories.insert(image.repository().to_string());
                }
                Err(_) => keys.has_unreadable_image = true,
            }
        }
        keys
    }
}

impl Objects {
    /// Takes a workload in, in place of the object of that name.
    pub(super) fn put(&mut self, workload: Workload, source: SourceNumber, list: u32) {
        let known = self.named(&workload.id);
        if known.is_none_or(|known| **known != workload) {
            self.changed.push(workload.id.clone());
        }
        self.take_out(&workload.id);
        let seen = self.seen(source, list);
        self.insert(workload, seen);
    }

    /// Takes an object in that cannot be read, in place of the one of that name.
    pub(super) fn put_malformed(&mut self, malformed: Malformed, source: SourceNumber, list: u32) {
        self.remove(&malformed.id);
        let seen = self.seen(source, list);
        self.malformed
            .insert(malformed.id.clone(), (malformed, seen));
    }

    /// Changes a workload that is still in the state of that number; the state keeps its number.
    pub(super) fn change(
        &mut self,
        id: &WorkloadId,
        state: Option<StateNumber>,
        change: impl FnOnce(&mut Workload),
    ) {
        let Some((known, seen)) = self.workloads.get_key_value(id) else {
            return;
        };
        if state != Some(seen.state) {
            return;
        }
        let (mut workload, seen) = (Workload::clone(&known.0), *seen);
        change(&mut workload);
        self.take_out(id);
        self.insert(workload, seen);
        self.changed.push(id.clone());
    }

    /// Forgets an object.
    pub(super) fn remove(&mut self, id: &WorkloadId) {
        self.take_out(id);
        self.changed.push(id.clone());
    }

    /// The workloads that changed since this was called last.
    pub(super) fn take_changed(&mut self) -> Vec<WorkloadId> {
        std::mem::take(&mut self.changed)
    }

    fn take_out(&mut self, id: &WorkloadId) {
        self.malformed.remove(id);
        let Some((workload, _)) = self.workloads.remove_entry(id) else {
            return;
        };
        let keys = Keys::of(&workload.0);
        if let Some(identity) = &keys.identity {
            remove_under(&mut self.by_identity, identity, id);
        }
        for repository in &keys.repositories {
            remove_under(&mut self.by_repository, repository, id);
        }
        self.with_unreadable_image.remove(id);
    }

    /// Forgets the objects that were last seen so.
    pub(super) fn remove_where(&mut self, is_gone: impl Fn(LastSeen) -> bool) {
        self.malformed.retain(|_, (_, seen)| !is_gone(*seen));
        let known = self.workloads.iter();
        let gone = known.filter(|(_, seen)| is_gone(**seen));
        let gone: Vec<ById> = gone.map(|(workload, _)| workload.clone()).collect();
        for workload in gone {
            self.remove(&workload.0.id);
        }
    }

    /// Which state of an object is known.
    pub(super) fn state_of(&self, id: &WorkloadId) -> Option<StateNumber> {
        let malformed = || self.malformed.get(id).map(|(_, seen)| seen);
        let seen = self.workloads.get(id).or_else(malformed);
        seen.map(|seen| seen.state)
    }

    /// How many there are, those that cannot be read included.
    pub(super) fn count(&self) -> usize {
        self.workloads.len() + self.malformed.len()
    }

    pub(super) fn named(&self, id: &WorkloadId) -> Option<&Arc<Workload>> {
        self.workloads
            .get_key_value(id)
            .map(|(workload, _)| &workload.0)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Workload>> {
        self.workloads.keys().map(|workload| &workload.0)
    }

    /// Those whose labels, joined, are this text.
    pub(super) fn of_identity(&self, joined: &str) -> impl Iterator<Item = &Arc<Workload>> {
        let workloads = self.by_identity.get(joined).into_iter().flatten();
        workloads.map(|workload| &workload.0)
    }

    /// Those with a container of this repository, normalized, and those with an image that cannot be read and may be of it.
    pub(super) fn of_repository<'o>(
        &'o self,
        repository: &str,
    ) -> impl Iterator<Item = &'o Arc<Workload>> + use<'o> {
        let known = self.by_repository.get(repository).into_iter().flatten();
        let known = known.filter(|workload| !self.with_unreadable_image.contains(*workload));
        let workloads = known.chain(&self.with_unreadable_image);
        workloads.map(|workload| &workload.0)
    }

    /// The objects that cannot be read, sorted by name.
    pub(super) fn malformed(&self) -> impl Iterator<Item = &Malformed> {
        self.malformed.values().map(|(malformed, _)| malformed)
    }

    /// Whether nothing is left of all that was there.
    #[cfg(test)]
    pub(super) fn is_empty(&mut self) -> bool {
        // Their ids are in use until they are asked for.
        self.take_changed();
        self.count() == 0
            && self.by_identity.is_empty()
            && self.by_repository.is_empty()
            && self.with_unreadable_image.is_empty()
            && self.texts.is_empty()
    }

    fn seen(&mut self, source: SourceNumber, list: u32) -> LastSeen {
        self.puts += 1;
        LastSeen {
            source,
            list,
            state: StateNumber(self.puts),
        }
    }

    fn insert(&mut self, mut workload: Workload, seen: LastSeen) {
        self.texts.share(&mut workload);
        // A list that was pushed to has room for several more.
        workload.containers.shrink_to_fit();
        workload.settings.shrink_to_fit();
        workload.hindrances.shrink_to_fit();
        workload.stray_settings.shrink_to_fit();
        let keys = Keys::of(&workload);
        let workload = ById(Arc::new(workload));
        if let Some(identity) = keys.identity {
            let of_identity = self.by_identity.entry(identity).or_default();
            of_identity.insert(workload.clone());
        }
        for repository in keys.repositories {
            let of_repository = self.by_repository.entry(repository).or_default();
            of_repository.insert(workload.clone());
        }
        if keys.has_unreadable_image {
            self.with_unreadable_image.insert(workload.clone());
        }
        self.workloads.insert(workload, seen);
    }
}

/// Removes a workload from the set under a key, and the set when it was the last.
fn remove_under(sets: &mut HashMap<String, HashSet<ById>>, key: &str, id: &WorkloadId) {
    if let Some(set) = sets.get_mut(key) {
        set.remove(id);
        if set.is_empty() {
            sets.remove(key);
        }
    }
}
