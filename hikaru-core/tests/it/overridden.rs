//! Containers whose image something beside the manifest decides: what is said of them, and that nothing is written.

use hikaru_core::{
    Build, Container, IdentityLabels, Request, TagFormats, Workload, WorkloadId, plan,
    policy::{Code, Force},
    port::{Scope, Select},
    workload::Override,
};

fn build() -> Build {
    let image = "acme/web:acme_web_main_1.4.0_7_0123abcd";
    Build::parse(image, &TagFormats::default()).expect("a build")
}

fn workload(own: &str, overridden: Vec<Override>) -> Workload {
    let mut workload = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
    workload.labels = IdentityLabels::new("acme", "web", "main");
    workload.containers.push(Container::new("web", own));
    workload.containers[0].overridden = overridden;
    workload
}

fn at(place: &str, image: &str) -> Override {
    Override::new(place, image)
}

/// Posts with force, and expects `code: sentence`, or nothing if it is not judged.
#[track_caller]
fn check(own: &str, overridden: Vec<Override>, expected: Option<&str>) {
    let workload = workload(own, overridden);
    let mut request = Request::new(build());
    request.force = Force::ALL;
    let plan = plan(request, [workload.clone()]);
    let found = plan.entries.first().map(|entry| {
        let judged = &entry.containers[0];
        let sentence = &judged.reason;
        let upgrades = judged.code.as_str() == "upgrade";
        assert_eq!(entry.change.is_some(), upgrades, "{sentence}");
        format!("{}: {sentence}", judged.code)
    });
    assert_eq!(found.as_deref(), expected);
    let scope = Scope::new(Select::Build(build()));
    assert_eq!(scope.admits(&workload), expected.is_some());
}

#[test]
fn an_image_that_something_else_decides_is_never_an_upgrade() {
    let older = "acme/web:acme_web_main_1.3.0_6_0123abcd";
    let higher = "acme/web:acme_web_main_1.5.0_1_0123abcd";
    let posted = "docker.io/acme/web:acme_web_main_1.4.0_7_0123abcd";
    let says = |place: &str, image: &str| {
        format!(
            "overridden: {place} decides which image runs: {image}; hikaru does not edit that: write the posted image there"
        )
    };
    for image in [older, higher, "acme/web", "other/web:1"] {
        check(older, vec![at("k:3:3", image)], Some(&says("k:3:3", image)));
    }
    // What comes out counts, not what stands in the manifest.
    check(
        posted,
        vec![at("k:3:3", older)],
        Some(&says("k:3:3", older)),
    );
    check(
        older,
        vec![at("k:3:3", posted)],
        Some("equal: is set to this build"),
    );
    check(
        "web",
        vec![at("k:3:3", posted)],
        Some("equal: is set to this build"),
    );
    check("web", vec![at("k:3:3", older)], Some(&says("k:3:3", older)));
    check("web", vec![at("k:3:3", "web:2")], None);
    // Each place has to say the posted build.
    let two = vec![at("a:1:1", posted), at("b:1:1", older)];
    check(
        older,
        two,
        Some(&format!(
            "overridden: a:1:1 decides which image runs: {posted}, b:1:1 says {older}; hikaru does not edit that: write the posted image there"
        )),
    );
    let five = (0..5).map(|n| at(&format!("k{n}"), older)).collect();
    check(
        older,
        five,
        Some(&format!(
            "overridden: k0 decides which image runs: {older}, k1 says {older}, k2 says {older}, and 2 more places say others; hikaru does not edit that: write the posted image there"
        )),
    );
}

#[test]
fn another_name_for_the_repository_leaves_the_tag_to_the_manifest() {
    let renamed = |own: &str, to: &str| {
        let mut other = at("k:3:3", to);
        other.pins = false;
        (own.to_owned(), vec![other])
    };
    let (own, overridden) = renamed("acme/web:latest", "mirror.example/web:latest");
    check(&own, overridden, Some("upgrade: latest carries no version"));
    // The repository of the post stands nowhere in the manifest: there is nothing to edit.
    let (own, overridden) = renamed("web:latest", "acme/web:latest");
    check(
        &own,
        overridden,
        Some(
            "overridden: k:3:3 decides which image runs: acme/web:latest; hikaru does not edit that: write the posted image there",
        ),
    );
}

#[test]
fn a_change_of_another_container_holds_beside_an_overridden_one() {
    let mut both = workload("acme/web:latest", Vec::new());
    let mut other = Container::new("other", "acme/web:latest");
    other.overridden = vec![at("k:3:3", "acme/web:1")];
    both.containers.push(other);
    let plan = plan(Request::new(build()), [both.clone()]);
    let codes: Vec<_> = plan.entries[0].codes().map(|code| code.as_str()).collect();
    assert_eq!(codes, ["upgrade", "overridden"]);
    let change = plan.entries[0].change.as_ref().expect("a change");
    assert_eq!(change.edits().len(), 1);
    assert!(change.holds_for(&both));
    both.containers[1].overridden.clear();
    assert!(!change.holds_for(&both));
}

#[test]
fn the_warning_of_two_builds_names_the_image_that_comes_out() {
    let older = "acme/web:acme_web_main_1.4.0_6_0123abcd";
    let comes_out = "acme/web:acme_web_main_1.3.0_1_0123abcd";
    let mut workload = workload(older, Vec::new());
    let mut job = Container::new("job", older);
    job.overridden = vec![at("k:3:3", comes_out)];
    workload.containers.push(job);
    let plan = plan(Request::new(build()), [workload]);
    let warnings: Vec<String> = plan.entries[0]
        .warnings
        .iter()
        .map(ToString::to_string)
        .collect();
    let expected =
        format!("two builds in one pod: the posted one in web, while job stays on {comes_out}");
    assert_eq!(warnings, [expected]);
}

#[test]
fn an_ambiguous_post_says_so_where_the_repository_stands_only_in_the_override() {
    let older = "acme/web:a_b_c_d_1.3.0_6_0123abcd";
    let on = |name: &str, labels| {
        let mut workload = workload("web:latest", vec![at("k:3:3", older)]);
        workload.id.name = name.into();
        workload.labels = labels;
        workload
    };
    let posted = Build::parse("acme/web:a_b_c_d_1.4.0_7_0123abcd", &TagFormats::default());
    let workloads = [
        on("one", IdentityLabels::new("a", "b", "c_d")),
        on("two", IdentityLabels::new("a_b", "c", "d")),
    ];
    let plan = plan(Request::new(posted.expect("a build")), workloads);
    assert_eq!(plan.entries.len(), 2);
    for entry in &plan.entries {
        assert_eq!(entry.containers[0].code, Code::Ambiguous);
        assert_eq!(
            entry.containers[0].reason,
            "workloads match by different readings of the tag: (owner a, repo b, branch c_d) and (owner a_b, repo c, branch \
             d); choose one by its owner, repo or branch"
        );
    }
}
