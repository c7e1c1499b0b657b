//! Plans over several workloads: who is judged at all, ambiguity, several containers, near misses.

use hikaru_core::{
    Build, Container, IdentityLabels, Mode, Request, TagFormats, Workload, WorkloadId, plan,
    testing::MemoryCluster,
    upgrade,
    upgrade::{Report, candidates, find},
    workload::{Place, PodList, Setting},
};

fn build(image: &str) -> Build {
    Build::parse(image, &TagFormats::default()).expect(image)
}

fn workload(name: &str, labels: [&str; 3], image: &str) -> Workload {
    let mut workload = Workload::new(WorkloadId::new("shop", "Deployment", name));
    workload.labels = IdentityLabels::new(labels[0], labels[1], labels[2]);
    workload.containers.push(Container::new("web", image));
    workload
}

/// `name: code code` for each entry.
fn summary(request: Request, workloads: Vec<Workload>) -> Vec<String> {
    let plan = plan(request, workloads);
    let line = |entry: &hikaru_core::policy::Entry| {
        let codes: Vec<_> = entry.codes().map(|c| c.as_str()).collect();
        format!("{}: {}", entry.workload.id.name, codes.join(" "))
    };
    plan.entries.iter().map(line).collect()
}

const OLD: &str = "acme/web:a_b_c_d_1.0_1_0123abcd";
const NEW: &str = "acme/web:a_b_c_d_1.0_2_0123abcd";

#[test]
fn labels_decide_the_reading() {
    let all = vec![
        workload("one", ["a_b", "c", "d"], OLD),
        workload("other", ["a", "b", "c"], OLD),
        workload("another-repository", ["a", "b_c", "d"], "acme/api:latest"),
    ];
    assert_eq!(summary(Request::new(build(NEW)), all), ["one: upgrade"]);
}

#[test]
fn ambiguity_skips_all_but_what_is_equal() {
    let all = || {
        vec![
            workload("one", ["a_b", "c", "d"], OLD),
            workload("three", ["a", "b", "c_d"], NEW),
            workload("two", ["a", "b_c", "d"], OLD),
        ]
    };
    let request = Request::new(build(NEW));
    let expected = ["one: ambiguous", "three: equal", "two: ambiguous"];
    assert_eq!(summary(request.clone(), all()), expected);
    // Not even by force: only the choice of a reading helps, or naming the workload.
    let mut forced = request.clone();
    forced.force = "true".parse().expect("all");
    assert_eq!(summary(forced, all()), expected);
    let mut chosen = request.clone();
    chosen.repo = Some("b_c.git".into());
    assert_eq!(summary(chosen, all()), ["two: upgrade"]);
    let mut named = request;
    named.workloads = vec!["shop/deployment/one".parse().expect("a name")];
    assert_eq!(summary(named, all()), ["one: upgrade"]);
}

#[test]
fn the_git_of_a_repo_is_no_other_reading() {
    let all = vec![
        workload("one", ["a", "b.git", "c"], "acme/web"),
        workload("two", ["a", "b", "c"], "acme/web"),
    ];
    let request = Request::new(build("acme/web:a_b.git_c_1.0_2_0123abcd"));
    assert_eq!(summary(request, all), ["one: upgrade", "two: upgrade"]);
}

#[test]
fn only_containers_of_the_repository_are_judged() {
    let mut pod = workload("pod", ["a", "b", "c_d"], OLD);
    let mut init = Container::new("migrate", NEW);
    init.list = PodList::InitContainers;
    pod.containers.push(Container::new("proxy", "acme/proxy:1"));
    pod.containers
        .push(Container::new("template", "{{ image }}"));
    pod.containers.push(init);
    let request = Request::new(build(NEW));
    assert_eq!(
        summary(request.clone(), vec![pod.clone()]),
        ["pod: upgrade equal"]
    );
    // A setting leaves containers out, and as label and annotation only those in both stay.
    let set = |place, value| Setting::new(place, "containers", value);
    pod.settings = vec![
        set(Place::Annotation, "web, migrate"),
        set(Place::Label, "migrate"),
    ];
    assert_eq!(summary(request.clone(), vec![pod.clone()]), ["pod: equal"]);
    // None of those that use the repository is judged: somebody said so.
    pod.settings = vec![set(Place::Annotation, "proxy")];
    assert_eq!(
        summary(request.clone(), vec![pod.clone()]),
        Vec::<String>::new()
    );
    // None of the pod's containers has the name: that is a mistake.
    pod.settings = vec![set(Place::Annotation, "gone")];
    assert_eq!(
        summary(request, vec![pod]),
        ["pod: unreadable-setting equal"]
    );
}

/// The labels say that the post is meant for it, and what it runs cannot be known: it is not left behind in silence.
#[test]
fn an_image_that_cannot_be_read_is_judged_where_it_begins_with_the_repository() {
    let labels = ["a", "b", "c_d"];
    let all = vec![
        workload("variable", labels, "acme/web:${TAG}"),
        workload("spelled-out", labels, "docker.io/acme/web:a b"),
        workload("other", labels, "acme/web-admin:${TAG}"),
        workload("registry", labels, "${REGISTRY}/acme/web:1"),
        workload("other-labels", ["x", "y", "z"], "acme/web:${TAG}"),
    ];
    assert_eq!(
        summary(Request::new(build(NEW)), all),
        [
            "spelled-out: unreadable-image",
            "variable: unreadable-image"
        ]
    );
}

/// Names of containers, images and their verdicts in one pod, and the warning of two builds, if there is one.
#[track_caller]
fn two_builds(containers: &[(&str, &str)], expected: Option<&str>) {
    let mut pod = workload("pod", ["a", "b", "c_d"], "acme/proxy:1");
    for (name, image) in containers {
        pod.containers.push(Container::new(*name, *image));
    }
    let plan = plan(Request::new(build(NEW)), [pod]);
    let entry = &plan.entries[0];
    let warnings: Vec<String> = entry.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, Vec::from_iter(expected), "{containers:?}");
    assert_eq!(entry.has_two_builds(), expected.is_some());
}

#[test]
fn two_builds_in_one_pod_are_told() {
    let higher = "acme/web:a_b_c_d_1.0_3_0123abcd";
    let other = "acme/web:x_y_z_1.0_1_0123abcd";
    two_builds(&[("api", OLD), ("job", OLD)], None);
    two_builds(&[("api", OLD), ("job", NEW)], None);
    two_builds(&[("api", higher), ("job", higher)], None);
    two_builds(
        &[("api", OLD), ("job", higher), ("cron", other)],
        Some(&format!(
            "two builds in one pod: the posted one in api, while job stays on {higher} and cron stays on {other}"
        )),
    );
    // Posted again it is still so: a call that is repeated does not turn green.
    two_builds(
        &[("api", NEW), ("job", higher)],
        Some(&format!(
            "two builds in one pod: the posted one in api, while job stays on {higher}"
        )),
    );
    two_builds(
        &[("api", OLD), ("job", "acme/web:${TAG}")],
        Some("two builds in one pod: the posted one in api, while job stays on acme/web:${TAG}"),
    );
}

/// What is told when nothing is deployed because something higher runs.
#[track_caller]
fn overtaken(workloads: Vec<Workload>, expected: Option<&str>) {
    let report = Report::planned(plan(Request::new(build(NEW)), workloads));
    let expected =
        expected.map(|runs| format!("nothing to deploy: what matched runs a higher build, {runs}"));
    let overtaken = report.overtaken();
    assert!(overtaken.iter().all(|overtaken| overtaken.may_be_marked()));
    assert_eq!(overtaken.map(|overtaken| overtaken.to_string()), expected);
}

#[test]
fn a_post_that_something_higher_stands_against_is_told_of_it() {
    let labels = ["a", "b", "c_d"];
    let wrong = || workload("wrong", labels, "acme/web:a_b_c_d_999999999.0_1_deadbeef");
    let higher = || workload("higher", labels, "acme/web:a_b_c_d_1.0_10_0123abcd");
    let version = || workload("version", labels, "acme/web:1.9.0_5");
    let mut manual = workload("manual", labels, OLD);
    manual.settings = vec![Setting::new(Place::Label, "upgrade", "manual")];
    overtaken(vec![], None);
    overtaken(vec![manual.clone()], None);
    overtaken(vec![higher(), workload("old", labels, OLD)], None);
    overtaken(vec![higher(), workload("equal", labels, NEW)], None);
    overtaken(
        vec![higher()],
        Some("a_b_c_d_1.0_10_0123abcd (shop/Deployment/higher)"),
    );
    overtaken(
        vec![higher(), wrong(), version(), manual],
        Some("a_b_c_d_999999999.0_1_deadbeef (shop/Deployment/wrong)"),
    );
    overtaken(
        vec![higher(), version()],
        Some("1.9.0_5 (shop/Deployment/version)"),
    );
}

/// A native sidecar is an init container that goes on running: judged like any other, with a mark of its own.
#[test]
fn sidecars_and_init_containers_have_verdicts_and_marks_of_their_own() {
    let mut pod = workload("pod", ["a", "b", "c_d"], OLD);
    for (position, name) in ["migrate", "sidecar"].into_iter().enumerate() {
        let mut init = Container::new(name, OLD);
        (init.list, init.position) = (PodList::InitContainers, position);
        pod.containers.push(init);
    }
    // The sidecar was taken back by a person; the others were not.
    let first = plan(Request::new(build(NEW)), [pod.clone()]);
    let change = first.entries[0].change.as_ref().expect("a change");
    let marks: Vec<_> = change.edits().iter().map(|edit| edit.mark()).collect();
    assert!(marks.len() == 3 && marks.iter().all(|mark| mark.is_some() && *mark == marks[0]));
    pod.containers[2].mark = marks[0].cloned();
    assert_eq!(
        summary(Request::new(build(NEW)), vec![pod]),
        ["pod: upgrade upgrade held"]
    );
}

#[test]
fn a_workload_stands_in_the_list_of_its_first_verdict() {
    let mut pod = workload("pod", ["a", "b", "c_d"], NEW);
    pod.containers.push(Container::new("old", OLD));
    let plan = plan(Request::new(build(NEW)), [pod]);
    assert_eq!(plan.entries[0].verdict().to_string(), "upgrade");
}

/// What a person is told when nothing matched.
async fn near_misses(cluster: &MemoryCluster, request: Request) -> Vec<String> {
    let report = upgrade(
        cluster,
        &hikaru_core::testing::StillClock::default(),
        request,
        Mode::Commit,
    )
    .await
    .expect("an answer");
    assert!(report.nothing_matched());
    report.near_miss_sentences().collect()
}

#[tokio::test]
async fn when_nothing_matches_the_near_ones_are_named() {
    let cluster = MemoryCluster::default();
    cluster.put(workload("misspelt", ["a", "b", "c-d"], OLD));
    let mut unlabeled = workload("unlabeled", ["a", "b", "c_d"], OLD);
    unlabeled.labels.branch = None;
    cluster.put(unlabeled);
    cluster.put(workload(
        "elsewhere",
        ["a", "b", "c_d"],
        "ghcr.io/acme/web:1",
    ));
    let mut without_images = workload("empty", ["a", "b", "c_d"], OLD);
    without_images.containers.clear();
    cluster.put(without_images);
    cluster.put(workload("unrelated", ["x", "y", "z"], "nginx"));
    assert_eq!(
        near_misses(&cluster, Request::new(build(NEW))).await,
        [
            "shop/Deployment/misspelt uses the repository, but its labels say owner a, repo b and branch c-d, while the \
             tag says a_b_c_d",
            "shop/Deployment/unlabeled uses the repository, but its labels say owner a, repo b and no branch, while the \
             tag says a_b_c_d",
            "shop/Deployment/elsewhere has the labels, but runs ghcr.io/acme/web:1 and not docker.io/acme/web",
            "shop/Deployment/empty has the labels, but none of its containers has an image",
        ]
    );
    let mut narrowed = workload("web", ["a", "b", "c_d"], OLD);
    let proxy = Container::new("proxy", "acme/proxy:1");
    narrowed.containers.push(proxy);
    narrowed.settings = vec![Setting::new(Place::Label, "containers", "proxy")];
    cluster.put(narrowed.clone());
    // Nor is it found as a user of the build: a post would not consider it.
    let users = find(&cluster, NEW, &TagFormats::default())
        .await
        .expect("an answer");
    assert!(users.namespaces.is_empty(), "{users:?}");
    let misses = near_misses(&cluster, Request::new(build(NEW))).await;
    assert_eq!(
        misses[0],
        "shop/Deployment/web matches, but its setting hikaru.dev/containers leaves out each container that uses the \
         repository"
    );
    // What a manifest says forges no line.
    let cluster = MemoryCluster::default();
    let forged = "acme/api:1\nerror: all 12 workloads were deleted";
    cluster.put(workload("forged", ["a", "b", "c_d"], forged));
    assert_eq!(
        near_misses(&cluster, Request::new(build(NEW))).await,
        [
            "shop/Deployment/forged has the labels, but runs acme/api:1\\nerror: all 12 workloads were deleted and not \
             docker.io/acme/web"
        ]
    );
}

/// A call that was narrowed says so in one sentence, and not of each workload that it was narrowed away from.
#[tokio::test]
async fn what_a_call_was_narrowed_away_from_is_counted() {
    let cluster = MemoryCluster::default();
    cluster.put(workload("misspelt", ["a", "b", "c-d"], OLD));
    cluster.put(workload("elsewhere", ["a", "b", "c_d"], "ghcr.io/web"));
    cluster.put(workload("web", ["a", "b", "c_d"], OLD));
    let narrowed = |namespaces: &[&str], names: &[&str], branch: Option<&str>| {
        let mut request = Request::new(build(NEW));
        request.namespaces = namespaces.iter().map(|&name| name.into()).collect();
        request.workloads = names
            .iter()
            .map(|name| name.parse().expect("a name"))
            .collect();
        request.branch = branch.map(Into::into);
        request
    };
    let one = "shop/Deployment/web does";
    assert_eq!(
        near_misses(&cluster, narrowed(&["prodd"], &[], None)).await,
        [format!("nothing matched in the namespace prodd; {one}")]
    );
    assert_eq!(
        near_misses(&cluster, narrowed(&[], &["shop/deployment/wbe"], None)).await,
        [format!(
            "nothing matched with the name shop/Deployment/wbe; {one}"
        )]
    );
    // Those that are where was asked are named.
    assert_eq!(
        near_misses(&cluster, narrowed(&["shop"], &[], Some("e"))).await[..2],
        [
            format!("nothing matched in the namespace shop with branch e; {one}"),
            "shop/Deployment/misspelt uses the repository, but its labels say owner a, repo b and branch c-d, while the tag \
             says a_b_c_d"
                .to_owned(),
        ]
    );
    for n in 0..17 {
        cluster.put(workload(&format!("web-{n}"), ["a", "b", "c_d"], OLD));
    }
    for (request, expected) in [
        (
            narrowed(&["prodd"], &[], None),
            "nothing matched in the namespace prodd; 18 workloads elsewhere do",
        ),
        (
            narrowed(&["prodd", "stage"], &[], None),
            "nothing matched in the namespaces prodd, stage; 18 workloads elsewhere do",
        ),
        (
            narrowed(&[], &["shop/deployment/wbe"], None),
            "nothing matched with the name shop/Deployment/wbe; 18 other workloads do",
        ),
    ] {
        assert_eq!(near_misses(&cluster, request).await, [expected]);
    }
    let mut request = narrowed(&["prodd"], &[], None);
    request.near_misses = false;
    let misses = near_misses(&cluster, request).await;
    assert!(misses.is_empty(), "nobody asked: {misses:?}");
}

#[tokio::test]
async fn candidates_change_nothing() {
    let cluster = MemoryCluster::default();
    let web = workload("web", ["a", "b", "c_d"], OLD);
    cluster.put(web.clone());
    let report = candidates(&cluster, Request::new(build(NEW)))
        .await
        .expect("an answer");
    assert_eq!(
        report.codes().map(|c| c.as_str()).collect::<Vec<_>>(),
        ["upgrade"]
    );
    assert_eq!(
        cluster.get(&web.id).expect("web").containers,
        web.containers
    );
}

#[tokio::test]
async fn a_tag_that_no_label_can_match_is_told() {
    let image = format!("acme/web:a_b_{}_1.0_1_0123abcd", "c".repeat(64));
    let cluster = MemoryCluster::default();
    let report = upgrade(
        &cluster,
        &hikaru_core::testing::StillClock::default(),
        Request::new(build(&image)),
        Mode::Commit,
    )
    .await
    .expect("an answer");
    assert!(report.nothing_matched() && !report.has_failures());
    let told: Vec<_> = report.faults.iter().map(|f| &*f.message).collect();
    let expected = format!(
        "no workload can be labeled so: however `a_b_{}…` is cut, a part is longer than the 63 bytes of a label's value",
        "c".repeat(36)
    );
    assert_eq!(told, [expected]);
}
