//! The index beside a map that keeps everything as it came and looks at all of it: after any events both give the same
//! answers.

use std::collections::BTreeMap;

use hikaru_core::workload::{AdapterNote, Owner, Place, PodList, Progress, Setting};
use proptest::{collection::vec, option, prelude::*, sample::select};

use super::*;
use crate::{kind::Kinds, live::object};

/// An object as the model keeps it.
enum Object {
    Sound(Box<Workload>),
    Malformed(Malformed),
}

/// What the index should be like.
#[derive(Default)]
struct Model {
    /// With the source and its list that each was last seen in.
    objects: BTreeMap<WorkloadId, (SourceNumber, usize, Object)>,
    lists: [usize; 2],
    closed: [bool; 2],
}

impl Model {
    fn find(&self, scope: &Scope) -> (Vec<Arc<Workload>>, Vec<Fault>) {
        let (mut workloads, mut faults) = (Vec::new(), Vec::new());
        for (_, _, object) in self.objects.values() {
            match object {
                Object::Sound(workload)
                    if scope.admits(workload) && is_looked_up(scope, workload) =>
                {
                    workloads.push(Arc::new(Workload::clone(workload)));
                }
                Object::Malformed(malformed) => {
                    let namespace = &malformed.id.namespace;
                    if scope.namespaces.is_empty() || scope.namespaces.contains(namespace) {
                        faults.push(malformed.fault(scope));
                    }
                }
                Object::Sound(_) => {}
            }
        }
        (workloads, faults)
    }
}

/// A build whose tag says no identity is near to what runs its repository, not to every labeled workload there is.
fn is_looked_up(scope: &Scope, workload: &Workload) -> bool {
    match &scope.select {
        Select::Near(build) if identities_of(build).is_none() => build.is_used_by(workload),
        _ => true,
    }
}

#[derive(Clone, Debug)]
enum Event {
    Begin(SourceNumber),
    Put(SourceNumber, Box<Workload>),
    Odd(SourceNumber, WorkloadId),
    Gone(WorkloadId),
    End(SourceNumber),
    Close(SourceNumber),
    Unheld(WorkloadId, bool),
}

fn text(of: &'static [&'static str]) -> impl Strategy<Value = Text> {
    select(of).prop_map(Text::from)
}

fn names() -> impl Strategy<Value = WorkloadId> {
    let parts = (text(&["shop", "bank"]), text(&["web", "api", "job"]));
    parts.prop_map(|(namespace, name)| WorkloadId::new(namespace, "Deployment", name))
}

const IMAGES: &[&str] = &[
    "acme/web:acme_web_main_1.4.0_1_0123abcd",
    "acme/web:acme_web_main_1.4.0_2_0123abcd",
    "acme/web:acme_web.git_main_1.4.0_2_0123abcd",
    "acme/web:a_b_web_1.4.0_2_0123abcd",
    "docker.io/acme/web",
    "registry.example:5000/acme/web:acme_web_main_1.4.0_1_0123abcd",
    "postgres:17",
    "docker.io/library/postgres@sha256:0000000000000000000000000000000000000000000000000000000000000000",
    "no image!",
    "acme/web:${TAG}",
];

fn containers() -> impl Strategy<Value = Container> {
    let mark = option::of(text(&["1.4.0_2_aa6c0d3f", "odd"]));
    let parts = (
        text(&["web", "db"]),
        text(IMAGES),
        mark,
        any::<bool>(),
        0..3usize,
    );
    parts.prop_map(|(name, image, mark, init, position)| {
        let mut container = Container::new(name, image);
        (container.mark, container.position) = (mark, position);
        if init {
            container.list = PodList::InitContainers;
        }
        container
    })
}

fn settings() -> impl Strategy<Value = Setting> {
    let place = select(&[Place::Label, Place::Annotation][..]);
    let parts = (
        place,
        text(&["upgrade", "constraint"]),
        text(&["auto", "~1.4", ""]),
    );
    parts.prop_map(|(place, key, value)| Setting::new(place, key, value))
}

fn workloads() -> impl Strategy<Value = Workload> {
    let label = |of| option::weighted(0.9, text(of));
    let labels = (
        label(&["acme", "a", "a_b"]),
        label(&["web", "web.git", "b"]),
        label(&["main", "web"]),
    );
    let lists = (vec(containers(), 0..4), vec(settings(), 0..3));
    let uid = text(&["0f8fad5b-d9cb-469f-a165-70867728950e", "uid", ""]);
    let last = option::of(text(&[
        r#"{"at":"2026-01-02T03:04:05Z","previous":{"web":"acme/web:1"}}"#,
    ]));
    let rest = (
        uid,
        last,
        option::of(any::<(i64, i32, bool)>()),
        any::<bool>(),
        0..2u8,
    );
    (names(), labels, lists, rest).prop_map(|(id, labels, (containers, settings), rest)| {
        let mut workload = Workload::new(id);
        let (owner, repo, branch) = labels;
        (workload.labels.owner, workload.labels.repo) = (owner, repo);
        workload.labels.branch = branch;
        (workload.containers, workload.settings) = (containers, settings);
        (workload.uid, workload.last_upgrade) = (rest.0, rest.1);
        workload.progress = rest.2.map(|(generation, count, exceeded)| {
            let mut progress = Progress::default();
            (progress.generation, progress.current) = (generation, count);
            progress.deadline_exceeded = exceeded;
            progress
        });
        workload.owner = rest.3.then(|| Owner::Helm {
            release: "shop".into(),
        });
        workload.adapter_note = AdapterNote::new(rest.4);
        workload
    })
}

fn events() -> impl Strategy<Value = Event> {
    let source = || 0..2usize;
    prop_oneof![
        2 => source().prop_map(Event::Begin),
        8 => (source(), workloads()).prop_map(|(source, w)| Event::Put(source, Box::new(w))),
        1 => (source(), names()).prop_map(|(source, id)| Event::Odd(source, id)),
        2 => names().prop_map(Event::Gone),
        2 => source().prop_map(Event::End),
        1 => source().prop_map(Event::Close),
        1 => (names(), any::<bool>()).prop_map(|(id, heard)| Event::Unheld(id, heard)),
    ]
}

/// An object of that name whose pod template is no map.
fn odd(id: &WorkloadId) -> Malformed {
    let json = serde_json::json!({
        "metadata": {"namespace": *id.namespace, "name": *id.name},
        "spec": {"template": "?", "image": "acme/web:1"},
    });
    let kinds = Kinds::with(&[]);
    let kind = kinds.named("Deployment").expect("a kind");
    let read = object::read(kind, &Default::default(), &json.to_string());
    *read.expect_err("it is odd")
}

fn happen(event: Event, index: &mut Index, model: &mut Model, now: Instant) {
    match event {
        Event::Begin(source) => {
            index.begin_list(source);
            model.lists[source] += 1;
        }
        Event::Put(source, workload) => {
            index.put(source, Workload::clone(&workload));
            let id = workload.id.clone();
            let seen = (source, model.lists[source], Object::Sound(workload));
            model.objects.insert(id, seen);
        }
        Event::Odd(source, id) => {
            index.put_malformed(source, odd(&id));
            let odd = Object::Malformed(odd(&id));
            let seen = (source, model.lists[source], odd);
            model.objects.insert(id, seen);
        }
        Event::Gone(id) => {
            index.deleted(&id);
            model.objects.remove(&id);
        }
        Event::End(source) => {
            index.end_list(source, now);
            let list = model.lists[source];
            model
                .objects
                .retain(|_, seen| seen.0 != source || seen.1 == list);
            model.closed[source] = false;
        }
        Event::Close(source) => {
            index.failed(source, trouble(Cause::Missing, "closed"));
            index.close_if_old(source, now + MAX_AGE * 2);
            model.objects.retain(|_, seen| seen.0 != source);
            model.closed[source] = true;
        }
        Event::Unheld(id, heard) => {
            let removed = [("web".into(), "1.4.0_2_aa6c0d3f".into())];
            let sent_at = index.state_of(&id).filter(|_| !heard);
            assert_eq!(sent_at.is_some(), !heard && model.objects.contains_key(&id));
            let from = match model.objects.get(&id) {
                Some((_, _, Object::Sound(workload))) => Workload::clone(workload),
                _ => Workload::new(id.clone()),
            };
            index.unheld(&from, &removed, sent_at);
            if let Some((_, _, Object::Sound(workload))) = model.objects.get_mut(&id)
                && !heard
            {
                for now in &mut workload.containers {
                    now.mark
                        .take_if(|mark| *now.name == *"web" && *mark == removed[0].1);
                }
            }
        }
    }
}

fn scopes() -> Vec<Scope> {
    let builds = [
        build(IMAGES[0]),
        build(IMAGES[2]),
        build(IMAGES[3]),
        build(IMAGES[5]),
        Build::parse("postgres:17.1", &"v".parse().expect("a format")).expect("a build"),
    ];
    let mut scopes = vec![Scope::new(Select::All)];
    for build in builds {
        scopes.push(Scope::new(Select::Build(build.clone())));
        scopes.push(Scope::new(Select::Near(build)));
    }
    let repository = |name: &str| Scope::new(Select::Repository(name.into()));
    scopes.extend(
        [
            "docker.io/acme/web",
            "docker.io/library/postgres",
            "no image!",
        ]
        .map(repository),
    );
    let id = |name: &str| WorkloadId::new("shop", "Deployment", name);
    scopes.push(Scope::new(Select::Named(vec![
        id("web"),
        id("never"),
        id("web").at("here"),
    ])));
    for at in 0..scopes.len() {
        let mut narrow = scopes[at].clone();
        narrow.namespaces = vec!["bank".into()];
        scopes.push(narrow);
    }
    scopes
}

proptest! {
    #[test]
    fn it_answers_as_a_plain_map_would(events in vec(events(), 0..40)) {
        let now = Instant::now();
        let (mut index, mut model) = (listed(now), Model::default());
        let scopes = scopes();
        for event in events {
            happen(event, &mut index, &mut model, now);
            let all_closed = model.closed.iter().all(|closed| *closed);
            for scope in &scopes {
                let found = index.find(scope);
                if all_closed {
                    prop_assert!(found.is_err());
                    continue;
                }
                let mut found = found.expect("an answer");
                let (workloads, faults) = model.find(scope);
                found.workloads.sort_by(|a, b| a.id.cmp(&b.id));
                // Two workloads are equal even if their notes differ.
                let notes = |of: &[Arc<Workload>]| -> Vec<u8> {
                    of.iter().map(|w| w.adapter_note.bits()).collect()
                };
                prop_assert_eq!(notes(&found.workloads), notes(&workloads));
                prop_assert_eq!(found.workloads, workloads);
                found.faults.retain(|fault| fault.message != "closed");
                found.faults.sort_by(|a, b| a.place.cmp(&b.place));
                prop_assert_eq!(found.faults, faults);
            }
        }
        for source in 0..2 {
            index.close_if_old(source, now + MAX_AGE * 2);
        }
        // The model uses the same texts.
        drop(model);
        prop_assert!(index.objects.is_empty());
    }
}
