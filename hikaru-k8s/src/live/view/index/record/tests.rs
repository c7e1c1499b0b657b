//! What comes out of a record is what was put in, and it is small.

use hikaru_core::IdentityLabels;

use super::*;

/// As it is in a cluster, after an upgrade by hikaru.
fn web() -> Workload {
    let mut web = Workload::new(WorkloadId::new("shop-eu", "Deployment", "web-checkout"));
    web.uid = "0f8fad5b-d9cb-469f-a165-70867728950e".into();
    web.labels = IdentityLabels::new("acme", "web", "main");
    let image = "registry.example/acme/web:acme_web_main_1.4.0_7_0123abcd";
    let mut container = Container::new("web", image);
    container.mark = Some("1.4.0_7_aa6c0d3f".into());
    web.containers.push(container);
    let mut progress = Progress::default();
    (progress.generation, progress.observed) = (12, 12);
    (progress.desired, progress.current) = (3, 3);
    (progress.updated, progress.available) = (3, 3);
    web.progress = Some(progress);
    let previous = "registry.example/acme/web:acme_web_main_1.4.0_6_4567cdef";
    let last = format!(r#"{{"at":"2026-01-02T03:04:05Z","previous":{{"web":"{previous}"}}}}"#);
    web.last_upgrade = Some(last.into());
    web
}

/// Packs, and gives the record's length in bytes. Nothing stays behind.
#[track_caller]
fn check(workload: &Workload) -> usize {
    let mut names = Interner::default();
    let record = Record::pack(workload, &mut names).expect("it can be packed");
    assert_eq!(record.unpack(&names).as_ref(), Some(workload));
    assert!(record.is_of(&workload.id, &names));
    let length = record.0.len();
    record.give_back(&mut names);
    assert!(names.is_empty());
    length
}

#[test]
fn an_upgraded_workload_is_small() {
    assert_eq!(check(&web()), 126);
}

#[test]
fn everything_comes_back() {
    let changes: [fn(&mut Workload); 21] = [
        |w| w.labels = IdentityLabels::default(),
        |w| w.labels.repo = None,
        |w| w.labels.owner = Some("".into()),
        |w| w.id.origin = Some("web.yaml:2".into()),
        |w| w.uid = "".into(),
        |w| w.uid = "uid-web".into(),
        // A UUID, but not as the API server writes it.
        |w| w.uid = "0F8FAD5B-D9CB-469F-A165-70867728950E".into(),
        |w| w.uid = "+f8fad5b-d9cb-469f-a165-70867728950e".into(),
        |w| w.uid = "0f8fad5bd9cb469fa16570867728950e".into(),
        |w| w.containers[0].mark = None,
        |w| w.containers[0].mark = Some("".into()),
        |w| {
            for image in [
                "",
                "web",
                "web:latest",
                "no image!",
                "localhost:5000/web",
                ":acme_web_main_",
                "registry.example/acme/web:acme_web_dev_1.4.0_7_0123abcd",
                "library/web@sha256:0000000000000000000000000000000000000000000000000000000000000000",
                "web:1@sha256:0000000000000000000000000000000000000000000000000000000000000000",
            ] {
                let mut container = Container::new("web", image);
                if image.len() % 2 == 0 {
                    container.list = PodList::InitContainers;
                }
                container.position = image.len() * 1000;
                container.mark = Some(image.into()).filter(|_| image.len() % 3 == 0);
                w.containers.push(container);
            }
        },
        |w| {
            w.settings
                .push(Setting::new(Place::Label, "upgrade", "manual"))
        },
        |w| {
            for place in [Place::Annotation, Place::Label] {
                w.settings
                    .push(Setting::new(place, "constraint", "~1.4\n\0é"));
            }
        },
        |w| w.progress = None,
        |w| {
            let mut progress = Progress::default();
            (progress.generation, progress.observed) = (i64::MAX, i64::MIN);
            (progress.desired, progress.current) = (i32::MIN, i32::MAX);
            progress.deadline_exceeded = true;
            w.progress = Some(progress);
        },
        |w| w.last_upgrade = Some("é\"}}{\"at\":\"Z".into()),
        |w| {
            w.owner = Some(Owner::Helm {
                release: "shop".into(),
            })
        },
        |w| {
            w.owner = Some(Owner::ArgoCd {
                application: Some("shop".into()),
            })
        },
        |w| {
            let (kind, name) = ("HelmRelease".into(), "shop".into());
            w.owner = Some(Owner::Flux { kind, name });
        },
        |w| {
            let manager = "kubectl".into();
            w.owner = Some(Owner::Applier { manager });
        },
    ];
    let mut all = web();
    for change in changes {
        let mut one = web();
        change(&mut one);
        check(&one);
        change(&mut all);
        check(&all);
    }
    let mut empty = web();
    empty.containers.clear();
    check(&empty);
    let (kind, name) = ("Rollout".into(), "shop".into());
    all.owner = Some(Owner::Controller { kind, name });
    check(&all);
}

#[test]
fn names_are_shared() {
    let mut names = Interner::default();
    let pack = |names: &mut Interner, workload: &Workload| {
        Record::pack(workload, names).expect("it can be packed")
    };
    let one = pack(&mut names, &web());
    let mut other = web();
    other.id.name = "web-other".into();
    let two = pack(&mut names, &other);
    let mut unpacked = [&one, &two].map(|record| record.unpack(&names).expect("a workload"));
    let [a, b] = &mut unpacked;
    for (a, b) in [
        (&a.id.namespace, &b.id.namespace),
        (&a.containers[0].name, &b.containers[0].name),
    ] {
        assert!(std::sync::Arc::ptr_eq(a, b));
    }
    one.give_back(&mut names);
    assert_eq!(two.unpack(&names), Some(other));
}
