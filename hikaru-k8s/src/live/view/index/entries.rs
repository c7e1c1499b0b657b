//! The objects that are known, and how they are found: by name, by identity, by repository. What is kept is small; the
//! workloads are made of it when they are asked for. What events mean is said in `index`.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher as _, Hash, RandomState},
};

use hikaru_core::{Reference, Workload, WorkloadId};

use super::{
    Object, SourceNumber, StateNumber, directory::Directory, interner::Interner, record::Record,
    slab::Slab,
};
use crate::live::read::object::Malformed;

/// Numbers an object, as long as it is there.
pub(super) type EntryNumber = u32;

/// The objects.
#[derive(Debug, Default)]
pub(super) struct Entries {
    entries: Slab<Entry>,
    /// How many objects were put so far.
    puts: u64,
    names: Interner,
    by_name: Directory,
    by_identity: Directory,
    by_repository: Directory,
    /// Those with an image that is no reference: it has no repository to be found by.
    unreadable: BTreeSet<EntryNumber>,
    /// They concern every answer.
    malformed: BTreeSet<EntryNumber>,
    hasher: RandomState,
}

/// Where an object was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sighting {
    pub(super) source: SourceNumber,
    /// Which list of the source was the last that began before.
    pub(super) generation: u32,
}

/// 32 bytes, and what is in the boxes.
#[derive(Debug)]
struct Entry {
    put: u64,
    generation: u32,
    source: u32,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Packed(Record),
    /// It cannot be read, or has something that a record has no place for.
    Whole(Box<Object>),
}

/// By which hashes an object is found, apart from its name.
#[derive(Debug, Default, PartialEq, Eq)]
struct Keys {
    identity: Option<u32>,
    repositories: BTreeSet<u32>,
    has_unreadable: bool,
}

impl Entries {
    /// Takes an object in, in place of the one of that name.
    pub(super) fn put(&mut self, object: Object, seen: Sighting) {
        let id = object.id();
        let name = self.hash(id);
        let keys = match &object {
            Object::Sound(workload) => self.keys_of(workload),
            Object::Malformed(_) => Keys::default(),
        };
        let before = self.number_under(name, id);
        let is_malformed = matches!(object, Object::Malformed(_));
        let body = self.pack(object);
        self.puts += 1;
        let entry = Entry {
            put: self.puts,
            generation: seen.generation,
            // There are not 2^32 lists.
            source: u32::try_from(seen.source).unwrap_or(u32::MAX),
            body,
        };
        let number = match before {
            Some(number) => {
                self.replace(number, entry, &keys, None);
                number
            }
            None => {
                let number = self.entries.insert(entry);
                self.by_name.insert(name, number);
                self.list(number, &keys);
                number
            }
        };
        if is_malformed {
            self.malformed.insert(number);
        } else {
            self.malformed.remove(&number);
        }
    }

    /// Changes a workload that is still in the state of that number; the state keeps its number.
    pub(super) fn change(
        &mut self,
        id: &WorkloadId,
        state: Option<StateNumber>,
        change: impl FnOnce(&mut Workload),
    ) {
        let Some(number) = self.number_of(id) else {
            return;
        };
        let Some(entry) = self.entries.get(number) else {
            return;
        };
        let (put, generation, source) = (entry.put, entry.generation, entry.source);
        if state != Some(StateNumber(put)) {
            return;
        }
        let Some(mut workload) = self.workload(number) else {
            return;
        };
        let keys_before = self.keys_of(&workload);
        change(&mut workload);
        let keys = self.keys_of(&workload);
        let body = self.pack(Object::Sound(Box::new(workload)));
        let entry = Entry {
            put,
            generation,
            source,
            body,
        };
        self.replace(number, entry, &keys, Some(keys_before));
    }

    /// Forgets an object.
    pub(super) fn remove(&mut self, id: &WorkloadId) {
        if let Some(number) = self.number_of(id) {
            self.remove_number(number);
        }
    }

    /// Forgets the objects that were last seen so.
    pub(super) fn remove_where(&mut self, gone: impl Fn(Sighting) -> bool) {
        let entries = self.entries.iter();
        let swept = entries.filter(|(_, entry)| gone(entry.sighting()));
        let swept: Vec<EntryNumber> = swept.map(|(number, _)| number).collect();
        for number in swept {
            self.remove_number(number);
        }
    }

    /// Which state of an object is known.
    pub(super) fn state_of(&self, id: &WorkloadId) -> Option<StateNumber> {
        let entry = self.entries.get(self.number_of(id)?)?;
        Some(StateNumber(entry.put))
    }

    /// A workload. `None`: it cannot be read, or is not there.
    pub(super) fn workload(&self, number: EntryNumber) -> Option<Workload> {
        self.workload_in(&self.entries.get(number)?.body)
    }

    pub(super) fn number_of(&self, id: &WorkloadId) -> Option<EntryNumber> {
        self.number_under(self.hash(id), id)
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = EntryNumber> {
        self.entries.iter().map(|(number, _)| number)
    }

    /// Those whose labels, joined, are this text; and perhaps others.
    pub(super) fn of_identity(&self, joined: &str) -> impl Iterator<Item = EntryNumber> + use<'_> {
        self.by_identity.under(self.hash(joined))
    }

    /// Those with a container of this repository, normalized, or with an image that cannot be read and may be of it; and
    /// perhaps others.
    pub(super) fn of_repository(
        &self,
        repository: &str,
    ) -> impl Iterator<Item = EntryNumber> + use<'_> {
        let known = self.by_repository.under(self.hash(repository));
        let known = known.filter(|number| !self.unreadable.contains(number));
        known.chain(self.unreadable.iter().copied())
    }

    /// The objects that cannot be read.
    pub(super) fn malformed(&self) -> impl Iterator<Item = &Malformed> {
        let entries = self.malformed.iter().filter_map(|n| self.entries.get(*n));
        entries.filter_map(|entry| match &entry.body {
            Body::Whole(object) => match &**object {
                Object::Malformed(malformed) => Some(malformed),
                Object::Sound(_) => None,
            },
            Body::Packed(_) => None,
        })
    }

    /// Whether nothing is left of all that was there.
    #[cfg(test)]
    pub(super) fn are_spotless(&self) -> bool {
        let directories = [&self.by_name, &self.by_identity, &self.by_repository];
        self.entries.is_empty()
            && self.names.is_empty()
            && self.malformed.is_empty()
            && self.unreadable.is_empty()
            && directories.iter().all(|directory| directory.is_empty())
    }

    fn pack(&mut self, object: Object) -> Body {
        let packed = match &object {
            Object::Sound(workload) => Record::pack(workload, &mut self.names),
            Object::Malformed(_) => None,
        };
        packed.map_or_else(|| Body::Whole(Box::new(object)), Body::Packed)
    }

    fn workload_in(&self, body: &Body) -> Option<Workload> {
        match body {
            Body::Packed(record) => record.unpack(&self.names),
            Body::Whole(object) => match &**object {
                Object::Sound(workload) => Some(Workload::clone(workload)),
                Object::Malformed(_) => None,
            },
        }
    }

    fn number_under(&self, hash: u32, id: &WorkloadId) -> Option<EntryNumber> {
        let mut numbers = self.by_name.under(hash);
        numbers.find(|number| {
            let entry = self.entries.get(*number);
            entry.is_some_and(|entry| match &entry.body {
                Body::Packed(record) => record.is_of(id, &self.names),
                Body::Whole(object) => object.id() == id,
            })
        })
    }

    /// Puts an entry in the place of another one of that name, whose keys may be known.
    fn replace(
        &mut self,
        number: EntryNumber,
        entry: Entry,
        keys: &Keys,
        keys_before: Option<Keys>,
    ) {
        let Some(before) = self.entries.get(number) else {
            return;
        };
        // A new list mostly names what is there already.
        let is_same = matches!((&before.body, &entry.body),
            (Body::Packed(before), Body::Packed(now)) if before == now);
        let keys_before =
            (!is_same).then(|| keys_before.unwrap_or_else(|| self.keys_in(&before.body)));
        if let Some(keys_before) = keys_before.filter(|before| before != keys) {
            self.unlist(number, &keys_before);
            self.list(number, keys);
        }
        let Some(place) = self.entries.get_mut(number) else {
            return;
        };
        if let Body::Packed(before) = &place.body {
            before.give_back(&mut self.names);
        }
        (place.put, place.generation, place.source) = (entry.put, entry.generation, entry.source);
        match (&mut place.body, entry.body) {
            (Body::Packed(before), Body::Packed(now)) => now.take_place_of(before),
            (before, now) => *before = now,
        }
    }

    fn remove_number(&mut self, number: EntryNumber) {
        let Some(entry) = self.entries.remove(number) else {
            return;
        };
        let keys = self.keys_in(&entry.body);
        self.unlist(number, &keys);
        self.malformed.remove(&number);
        let name = match &entry.body {
            Body::Packed(record) => record.unpack(&self.names).map(|w| self.hash(&w.id)),
            Body::Whole(object) => Some(self.hash(object.id())),
        };
        if let Some(name) = name {
            self.by_name.remove(name, number);
        }
        if let Body::Packed(record) = entry.body {
            record.give_back(&mut self.names);
        }
    }

    fn list(&mut self, number: EntryNumber, keys: &Keys) {
        if let Some(identity) = keys.identity {
            self.by_identity.insert(identity, number);
        }
        for repository in &keys.repositories {
            self.by_repository.insert(*repository, number);
        }
        if keys.has_unreadable {
            self.unreadable.insert(number);
        }
    }

    fn unlist(&mut self, number: EntryNumber, keys: &Keys) {
        if let Some(identity) = keys.identity {
            self.by_identity.remove(identity, number);
        }
        for repository in &keys.repositories {
            self.by_repository.remove(*repository, number);
        }
        if keys.has_unreadable {
            self.unreadable.remove(&number);
        }
    }

    fn keys_in(&self, body: &Body) -> Keys {
        let workload = self.workload_in(body);
        workload.map_or_else(Keys::default, |workload| self.keys_of(&workload))
    }

    fn keys_of(&self, workload: &Workload) -> Keys {
        let mut keys = Keys::default();
        if let Some(reading) = workload.labels.reading() {
            let parts = [reading.owner, reading.repo, reading.branch];
            let joined = parts.map(Option::unwrap_or_default).join("_");
            keys.identity = Some(self.hash(joined.as_str()));
        }
        for container in &workload.containers {
            match Reference::parse(&container.image) {
                Ok(image) => {
                    let repository = image.repository().to_string();
                    keys.repositories.insert(self.hash(repository.as_str()));
                }
                Err(_) => keys.has_unreadable = true,
            }
        }
        keys
    }

    fn hash<T: Hash + ?Sized>(&self, key: &T) -> u32 {
        // Half of it will do: what is found is compared.
        (self.hasher.hash_one(key) >> 32) as u32
    }
}

impl Entry {
    fn sighting(&self) -> Sighting {
        Sighting {
            source: self.source as SourceNumber,
            generation: self.generation,
        }
    }
}
