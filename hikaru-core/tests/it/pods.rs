//! What of a pod is judged beside its named containers, and what is said of a workload beside its verdicts.

use hikaru_core::{
    Build, Container, IdentityLabels, Mode, Request, TagFormats, Workload, WorkloadId, plan,
    policy::Warning,
    testing::MemoryCluster,
    upgrade,
    upgrade::find,
    workload::{Hindrance, IdentityKeys, Owner, Place, PodList, Setting, StraySetting},
};

const OLD: &str = "acme/web:acme_web_main_1.3.0_6_51c0ffee";
const NEW: &str = "acme/web:acme_web_main_1.4.0_7_9f3c2ab1";

fn build() -> Build {
    Build::parse(NEW, &TagFormats::default()).expect("a build")
}

fn pod(containers: Vec<Container>) -> Workload {
    let mut pod = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
    pod.labels = IdentityLabels::new("acme", "web", "main");
    pod.containers = containers;
    pod
}

/// A container, an image volume, and an init container without a name.
fn three() -> Workload {
    pod(vec![
        Container::new("web", OLD),
        Container::volume("assets", OLD),
        Container::nameless(PodList::InitContainers, 0, OLD),
    ])
}

/// `name: verdict` for each container that is judged.
fn verdicts(workload: Workload) -> Vec<String> {
    let plan = plan(Request::new(build()), [workload]);
    let entries = plan.entries.iter();
    let each = entries.flat_map(|entry| entry.containers.iter().map(move |c| (entry, c)));
    each.map(|(entry, judged)| {
        let container = entry.container(judged).expect("a container");
        format!("{}: {}", container.name, judged.code)
    })
    .collect()
}

#[test]
fn image_volumes_and_containers_without_names_are_judged() {
    let all = [
        "web: upgrade",
        "volume assets: upgrade",
        "initContainers[0]: upgrade",
    ];
    assert_eq!(verdicts(three()), all);
    // They are named as they are told, or, where a label's value has no room for that, as their marks are.
    for names in [
        "volume assets, initContainers[0]",
        "volume.assets,initContainers.0",
    ] {
        let mut some = three();
        some.settings = vec![Setting::new(Place::Annotation, "containers", names)];
        assert_eq!(verdicts(some), all[1..], "{names}");
    }
    let mut both = three();
    both.settings = vec![
        Setting::new(Place::Annotation, "containers", "volume assets,web"),
        Setting::new(Place::Label, "containers", "volume.assets"),
    ];
    assert_eq!(verdicts(both), all[1..2]);
}

#[test]
fn marks_are_read_from_the_labels_that_they_are_written_to() {
    let plan = plan(Request::new(build()), [three()]);
    let change = plan.entries[0].change.as_ref().expect("a change");
    let mut marked = three();
    for (container, edit) in change.edited() {
        let key = container.mark_key().expect("a key");
        let label = format!("high-water.hikaru.dev/{key}");
        let mark = edit.mark().expect("a mark");
        marked.read_metadata(&IdentityKeys::default(), [(&*label, &**mark)], []);
    }
    // Somebody took all of them back.
    let held = [
        "web: held",
        "volume assets: held",
        "initContainers[0]: held",
    ];
    assert_eq!(verdicts(marked.clone()), held);
    let entry = plan.judge_again(marked).expect("it matches");
    let sentences = entry.containers.iter().map(|c| &c.reason);
    for (sentence, key) in sentences.zip(["web", "volume.assets", "initContainers.0"]) {
        assert!(
            sentence.ends_with(&format!(" high-water.hikaru.dev/{key}-")),
            "{sentence}"
        );
    }
}

#[tokio::test]
async fn an_image_volume_is_found_upgraded_and_let_go() {
    let cluster = MemoryCluster::default();
    cluster.put(pod(vec![
        Container::new("web", "nginx:1"),
        Container::volume("assets", OLD),
    ]));
    let users = find(&cluster, "acme/web", &TagFormats::default()).await;
    assert!(users.expect("an answer").namespaces["shop"].contains("web"));
    let report = upgrade(
        &cluster,
        &hikaru_core::testing::StillClock::default(),
        Request::new(build()),
        Mode::Commit,
    )
    .await;
    assert_eq!(report.expect("a report").entries.len(), 1);
    let id = WorkloadId::new("shop", "Deployment", "web");
    let now = cluster.get(&id).expect("it is there");
    assert_eq!(&*now.containers[1].image, NEW);
    let name = "shop/deployment/web".parse().expect("a name");
    let removed =
        hikaru_core::port::WorkloadPort::unhold(&cluster, &name, Some("volume.assets".into()));
    let removed = removed.await.expect("the marks");
    assert_eq!(&*removed[0].0, "volume assets");
}

/// The warnings on the only workload, as sentences.
fn warnings(workload: Workload, posted: &str) -> Vec<String> {
    let build = Build::parse(posted, &TagFormats::default()).expect("a build");
    let plan = plan(Request::new(build), [workload]);
    plan.entries[0]
        .warnings
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn what_keeps_the_pods_back_is_told_where_something_is_written() {
    let mut held_up = pod(vec![Container::new("web", OLD)]);
    held_up.owner = Some(Owner::ArgoCd { application: None });
    held_up.hindrances = vec![
        Hindrance::Paused,
        Hindrance::Suspended,
        Hindrance::OnDelete,
        Hindrance::Partition(2),
        Hindrance::Terminating,
    ];
    assert_eq!(
        warnings(held_up.clone(), NEW),
        [
            "Argo CD owns it, too: its next sync puts the image from git back, unless differences in images are ignored there",
            "its rollout is paused (spec.paused): no pod gets the new image until it is resumed",
            "it is suspended (spec.suspend): no Job runs the new image until it is resumed",
            "its update strategy is OnDelete: each pod gets the new image only when somebody deletes it",
            "its update strategy has the partition 2: pods with a number below 2 keep the old image",
            "it is being deleted (metadata.deletionTimestamp): the new image goes away with it",
        ]
    );
    assert_eq!(warnings(held_up, OLD), [""; 0]);
}

#[test]
fn a_setting_that_has_no_effect_where_it_stands_is_told() {
    let mut opted_out = pod(vec![Container::new("web", OLD)]);
    opted_out.stray_settings = vec![StraySetting {
        place: Place::Annotation,
        key: "upgrade".into(),
        metadata: "spec.template.metadata".into(),
    }];
    let told = "the annotation hikaru.dev/upgrade has no effect in spec.template.metadata: settings stand in the metadata \
                of the workload itself";
    for posted in [NEW, OLD] {
        assert_eq!(warnings(opted_out.clone(), posted), [told]);
    }
    // One that cannot be read beside it hides nothing.
    opted_out.settings = vec![Setting::new(Place::Label, "upgrade", "never")];
    assert_eq!(warnings(opted_out, NEW), [told]);
}

#[test]
fn a_pin_that_goes_is_told() {
    let digest = format!("sha256:{}", "0a".repeat(32));
    let pinned = || pod(vec![Container::new("web", format!("{OLD}@{digest}"))]);
    assert_eq!(
        warnings(pinned(), NEW),
        [
            "web was pinned to a digest and no longer is, as the posted image has none: post it with its digest to keep \
             the pin"
        ]
    );
    assert_eq!(warnings(pinned(), &format!("{NEW}@{digest}")), [""; 0]);
    assert_eq!(
        warnings(pod(vec![Container::new("web", OLD)]), NEW),
        [""; 0]
    );
}

#[test]
fn a_mark_that_no_label_can_keep_is_told() {
    let volume = Container::volume(&"x".repeat(57), OLD);
    let name = volume.name.clone();
    let plan = plan(Request::new(build()), [pod(vec![volume])]);
    assert_eq!(
        plan.entries[0].warnings,
        [Warning::NoMarkKey { container: name }]
    );
    let change = plan.entries[0].change.as_ref().expect("a change");
    assert_eq!(change.edits()[0].mark(), None);
}
