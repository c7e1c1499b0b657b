//! A workload as few bytes. Texts that workloads share (namespaces, labels, repositories, names of containers, keys of
//! settings) are symbols; its own (name, uid, tags, marks, values) are in it. Nothing is cut or normalized: what comes out
//! is what was put in. Where records are kept and found is `entries`' business.
//!
//! ```text
//! record    = count *symbol flags heads *place name [origin] uid *container *value [progress] [last-upgrade] [owner]
//! symbols   : namespace, kind, labels, for each container its name, repository and other tag, keys of settings, owner
//! heads     = count *head places-count            ; a head: position, init, what the container has
//! container = [rest of the image] [mark]
//! ```

use hikaru_core::{
    Container, Owner, Place, PodList, Progress, Reference, Setting, Text, Workload, WorkloadId,
};

use super::{
    bytes::{Phrases, Reader, Writer},
    interner::Interner,
};

/// A workload whose symbols are taken from one interner, until it gives them back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record(Box<[u8]>);

/// What a record has.
mod flag {
    pub(super) const OWNER_LABEL: u8 = 1;
    pub(super) const REPO_LABEL: u8 = 1 << 1;
    pub(super) const BRANCH_LABEL: u8 = 1 << 2;
    pub(super) const ORIGIN: u8 = 1 << 3;
    /// The uid is a UUID in its usual form: 16 bytes.
    pub(super) const UUID: u8 = 1 << 4;
    pub(super) const PROGRESS: u8 = 1 << 5;
    pub(super) const LAST_UPGRADE: u8 = 1 << 6;
    pub(super) const OWNER: u8 = 1 << 7;
}

/// What a container has, below its position.
mod head {
    pub(super) const INIT: u64 = 1;
    /// Its image begins with a repository, which is a symbol.
    pub(super) const REPOSITORY: u64 = 1 << 1;
    /// The rest of its image is a symbol, too: no build of the workload's identity, as of a sidecar that many have.
    pub(super) const REST: u64 = 1 << 2;
    pub(super) const MARK: u64 = 1 << 3;
    pub(super) const BITS: u32 = 4;
}

impl Record {
    /// Packs a workload. `None`: it has something that a record has no place for.
    pub(super) fn pack(workload: &Workload, names: &mut Interner) -> Option<Self> {
        let mut out = Writer(Vec::with_capacity(512));
        Self::write(workload, names, &mut out);
        // To the byte: what is left over of a larger piece of memory is of little use to anybody.
        let record = Self(out.0.as_slice().into());
        if record.unpack(names).as_ref() == Some(workload) {
            return Some(record);
        }
        record.give_back(names);
        None
    }

    fn write(workload: &Workload, names: &mut Interner, out: &mut Writer) {
        let mut symbols = Vec::with_capacity(12);
        let Workload { id, labels, .. } = workload;
        symbols.extend([names.take(&id.namespace), names.take(&id.kind)]);
        let labeled = [
            (&labels.owner, flag::OWNER_LABEL),
            (&labels.repo, flag::REPO_LABEL),
            (&labels.branch, flag::BRANCH_LABEL),
        ];
        let uuid = uuid_of(&workload.uid);
        let mut flags = 0;
        for (label, flag) in labeled {
            if let Some(label) = label {
                symbols.push(names.take(label));
                flags |= flag;
            }
        }
        for (has, flag) in [
            (id.origin.is_some(), flag::ORIGIN),
            (uuid.is_some(), flag::UUID),
            (workload.progress.is_some(), flag::PROGRESS),
            (workload.last_upgrade.is_some(), flag::LAST_UPGRADE),
            (workload.owner.is_some(), flag::OWNER),
        ] {
            flags |= if has { flag } else { 0 };
        }

        let identity = identity_of(workload);
        let images = workload.containers.iter().map(|c| cut(&c.image));
        let images: Vec<(Option<&str>, &str)> = images.collect();
        let mut heads = Vec::with_capacity(images.len());
        for (container, (repository, rest)) in workload.containers.iter().zip(&images) {
            symbols.push(names.take(&container.name));
            let mut head = (container.position as u64) << head::BITS;
            // A volume is not told apart here, so its workload is kept whole.
            let init = container.list == PodList::InitContainers;
            head |= if init { head::INIT } else { 0 };
            head |= container.mark.as_ref().map_or(0, |_| head::MARK);
            if let Some(repository) = repository {
                symbols.push(names.take_part(repository));
                head |= head::REPOSITORY;
                let tag = rest.strip_prefix(':');
                if identity.is_empty() || !tag.is_some_and(|tag| tag.starts_with(&identity)) {
                    symbols.push(names.take_part(rest));
                    head |= head::REST;
                }
            }
            heads.push(head);
        }
        for setting in &workload.settings {
            symbols.push(names.take(&setting.key));
        }
        let owner = workload.owner.as_ref().map(|owner| match owner {
            Owner::Helm { release } => (0, [Some(release), None]),
            Owner::ArgoCd {
                application: Some(application),
            } => (1, [Some(application), None]),
            Owner::Flux { kind, name } => (2, [Some(kind), Some(name)]),
            Owner::Controller { kind, name } => (3, [Some(kind), Some(name)]),
            Owner::Applier { manager } => (4, [Some(manager), None]),
            _ => (u8::MAX, [None, None]),
        });
        let owner_names = owner.iter().flat_map(|(_, names)| names).flatten();
        symbols.extend(owner_names.map(|name| names.take(name)));

        out.number(symbols.len() as u64);
        symbols.iter().for_each(|symbol| out.symbol(*symbol));
        out.byte(flags);
        out.number(heads.len() as u64);
        heads.iter().for_each(|head| out.number(*head));
        out.number(workload.settings.len() as u64);
        for setting in &workload.settings {
            out.byte(u8::from(setting.place == Place::Label));
        }

        let repositories = images.iter().filter_map(|(repository, _)| *repository);
        let repo = labels.repo.as_deref().unwrap_or_default();
        let phrases = Phrases::new(&identity, repo, repositories);
        out.text(&id.name, &phrases);
        if let Some(origin) = &id.origin {
            out.text(origin, &phrases);
        }
        match uuid {
            Some(uuid) => out.0.extend(uuid),
            None => out.text(&workload.uid, &phrases),
        }
        for ((container, head), (_, rest)) in workload.containers.iter().zip(heads).zip(&images) {
            if head & head::REST == 0 {
                out.text(rest, &phrases);
            }
            if let Some(mark) = &container.mark {
                out.text(mark, &phrases);
            }
        }
        for setting in &workload.settings {
            out.text(&setting.value, &phrases);
        }
        if let Some(progress) = &workload.progress {
            write_progress(progress, out);
        }
        if let Some(last) = &workload.last_upgrade {
            out.text(last, &phrases);
        }
        if let Some((which, _)) = owner {
            out.byte(which);
        }
    }

    /// The workload. `None`: it was not packed with these names.
    pub(super) fn unpack(&self, names: &Interner) -> Option<Workload> {
        self.read(names, false)
    }

    /// The workload, or only so much of it as its name needs.
    fn read(&self, names: &Interner, name_only: bool) -> Option<Workload> {
        let (mut symbols, mut body) = self.parts();
        let mut next = || names.text(symbols.symbol()).cloned();
        let (namespace, kind) = (next()?, next()?);
        let mut workload = Workload::new(WorkloadId::new(namespace.clone(), kind, namespace));
        let flags = body.byte();
        let has = |flag: u8| flags & flag != 0;
        let labels = &mut workload.labels;
        for (label, flag) in [
            (&mut labels.owner, flag::OWNER_LABEL),
            (&mut labels.repo, flag::REPO_LABEL),
            (&mut labels.branch, flag::BRANCH_LABEL),
        ] {
            if has(flag) {
                *label = Some(next()?);
            }
        }

        let containers = body.number() as usize;
        let mut heads = body;
        workload.containers = Vec::with_capacity(containers);
        let mut phrased: Vec<Text> = Vec::with_capacity(containers);
        for _ in 0..containers {
            let head = body.number();
            let name = next()?;
            // The image is its repository until the rest is read, and the mark the other tag.
            let mut container = if head & head::REPOSITORY == 0 {
                Container::new(name.clone(), name)
            } else {
                let repository = next()?;
                phrased.push(repository.clone());
                Container::new(name, repository)
            };
            if head & head::INIT != 0 {
                container.list = PodList::InitContainers;
            }
            container.position = (head >> head::BITS) as usize;
            if head & head::REST != 0 {
                container.mark = Some(next()?);
            }
            workload.containers.push(container);
        }
        let settings = body.number() as usize;
        workload.settings = Vec::with_capacity(settings);
        for _ in 0..settings {
            let place = match body.byte() {
                0 => Place::Annotation,
                _ => Place::Label,
            };
            let key = next()?;
            workload
                .settings
                .push(Setting::new(place, key.clone(), key));
        }

        let identity = identity_of(&workload);
        let repo = workload.labels.repo.clone();
        let repo = repo.as_deref().unwrap_or_default();
        let phrases = Phrases::new(&identity, repo, phrased.iter().map(|text| &**text));
        let mut scratch = String::with_capacity(128);
        let mut text = |body: &mut Reader<'_>, before: &str| {
            scratch.clear();
            scratch.push_str(before);
            body.text(&phrases, &mut scratch);
            Text::from(scratch.as_str())
        };
        workload.id.name = text(&mut body, "");
        if has(flag::ORIGIN) {
            workload.id.origin = Some(text(&mut body, ""));
        }
        if name_only {
            return Some(workload);
        }
        workload.uid = if has(flag::UUID) {
            uuid_text(std::array::from_fn(|_| body.byte()))
        } else {
            text(&mut body, "")
        };
        for container in &mut workload.containers {
            let head = heads.number();
            let before = match head & head::REPOSITORY {
                0 => "",
                _ => &*container.image,
            };
            container.image = match container.mark.take() {
                Some(rest) => [before, &rest].concat().into(),
                None => text(&mut body, before),
            };
            if head & head::MARK != 0 {
                container.mark = Some(text(&mut body, ""));
            }
        }
        for setting in &mut workload.settings {
            setting.value = text(&mut body, "");
        }
        if has(flag::PROGRESS) {
            workload.progress = Some(read_progress(&mut body));
        }
        if has(flag::LAST_UPGRADE) {
            workload.last_upgrade = Some(text(&mut body, ""));
        }
        if has(flag::OWNER) {
            workload.owner = Some(match body.byte() {
                0 => Owner::Helm { release: next()? },
                1 => {
                    let application = Some(next()?);
                    Owner::ArgoCd { application }
                }
                which @ (2 | 3) => {
                    let (kind, name) = (next()?, next()?);
                    match which {
                        2 => Owner::Flux { kind, name },
                        _ => Owner::Controller { kind, name },
                    }
                }
                4 => Owner::Applier { manager: next()? },
                _ => return None,
            });
        }
        Some(workload)
    }

    /// Whether it is the workload of that name.
    pub(super) fn is_of(&self, id: &WorkloadId, names: &Interner) -> bool {
        let named = self.read(names, true);
        named.is_some_and(|workload| workload.id == *id)
    }

    /// Takes the place of another record, and where it fits, its memory: a new list of objects that have changed makes no
    /// holes.
    pub(super) fn take_place_of(self, other: &mut Self) {
        if self.0.len() == other.0.len() {
            other.0.copy_from_slice(&self.0);
        } else {
            *other = self;
        }
    }

    /// Gives its symbols back.
    pub(super) fn give_back(&self, names: &mut Interner) {
        let mut symbols = Reader(&self.0);
        for _ in 0..symbols.number() {
            names.give_back(symbols.symbol());
        }
    }

    /// Where the symbols begin, and what follows them.
    fn parts(&self) -> (Reader<'_>, Reader<'_>) {
        let mut symbols = Reader(&self.0);
        let count = symbols.number();
        let mut body = symbols;
        for _ in 0..count {
            body.symbol();
        }
        (symbols, body)
    }
}

/// Owner, repo and branch as a build tag begins, `acme_web_main_`. Empty: a label is missing.
fn identity_of(workload: &Workload) -> String {
    let labels = &workload.labels;
    match (&labels.owner, &labels.repo, &labels.branch) {
        (Some(owner), Some(repo), Some(branch)) => [owner, "_", repo, "_", branch, "_"].concat(),
        _ => String::new(),
    }
}

/// An image's repository as it is written there, and the rest: tag and digest with what stands before them.
fn cut(image: &str) -> (Option<&str>, &str) {
    let Ok(reference) = Reference::parse(image) else {
        return (None, image);
    };
    let parts = [reference.tag(), reference.digest()];
    let rest: usize = parts.iter().flatten().map(|part| part.len() + 1).sum();
    match image
        .len()
        .checked_sub(rest)
        .and_then(|at| image.split_at_checked(at))
    {
        Some((repository, rest)) => (Some(repository), rest),
        None => (None, image),
    }
}

/// The bytes of a UUID in the form that the API server makes: `01234567-89ab-cdef-0123-456789abcdef`.
fn uuid_of(text: &str) -> Option<[u8; 16]> {
    let text: &[u8; 36] = text.as_bytes().try_into().ok()?;
    let (mut bytes, mut digits) = ([0; 16], 0);
    for (at, byte) in text.iter().enumerate() {
        let digit = match byte {
            b'-' if matches!(at, 8 | 13 | 18 | 23) => continue,
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        let half = if digits % 2 == 0 { digit << 4 } else { digit };
        *bytes.get_mut(digits / 2)? |= half;
        digits += 1;
    }
    Some(bytes)
}

fn uuid_text(bytes: [u8; 16]) -> Text {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let (mut text, mut at) = ([b'-'; 36], 0);
    for (number, byte) in bytes.into_iter().enumerate() {
        at += usize::from(matches!(number, 4 | 6 | 8 | 10));
        text[at] = DIGITS[usize::from(byte >> 4)];
        text[at + 1] = DIGITS[usize::from(byte & 0xf)];
        at += 2;
    }
    str::from_utf8(&text).unwrap_or_default().into()
}

/// Most differences are 0.
fn write_progress(progress: &Progress, out: &mut Writer) {
    out.signed(progress.generation);
    out.signed(progress.observed.wrapping_sub(progress.generation));
    out.signed(progress.desired.into());
    for count in [progress.current, progress.updated, progress.available] {
        out.signed(i64::from(count) - i64::from(progress.desired));
    }
    out.byte(progress.deadline_exceeded.into());
}

fn read_progress(body: &mut Reader<'_>) -> Progress {
    let mut progress = Progress::default();
    progress.generation = body.signed();
    progress.observed = body.signed().wrapping_add(progress.generation);
    progress.desired = body.signed() as i32;
    let mut count = || (body.signed() + i64::from(progress.desired)) as i32;
    [progress.current, progress.updated, progress.available] = [count(), count(), count()];
    progress.deadline_exceeded = body.byte() != 0;
    progress
}

#[cfg(test)]
mod tests;
