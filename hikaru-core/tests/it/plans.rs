//! Plans over several workloads: who is judged at all, ambiguity, several containers, near misses.

use hikaru_core::{
    Build, Container, IdentityLabels, MemoryCluster, Mode, Place, PodList, Request, Setting,
    TagFormats, Workload, WorkloadId, candidates, find, plan, upgrade,
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
    let line = |entry: &hikaru_core::Entry| {
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
    pod.settings = vec![set(Place::Annotation, "gone")];
    assert_eq!(summary(request, vec![pod]), Vec::<String>::new());
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
    let report = upgrade(cluster, request, Mode::Commit)
        .await
        .expect("an answer");
    assert!(report.nothing_matched());
    report.near_misses.iter().map(ToString::to_string).collect()
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
    cluster.put(workload("unrelated", ["x", "y", "z"], "nginx"));
    assert_eq!(
        near_misses(&cluster, Request::new(build(NEW))).await,
        [
            "shop/Deployment/misspelt uses the repository, but its labels say owner a, repo b and branch c-d, while the \
             tag says a_b_c_d",
            "shop/Deployment/unlabeled uses the repository, but its labels say owner a, repo b and no branch, while the \
             tag says a_b_c_d",
            "shop/Deployment/elsewhere has the labels, but runs ghcr.io/acme/web:1 and not docker.io/acme/web",
        ]
    );
    let mut narrowed = workload("web", ["a", "b", "c_d"], OLD);
    narrowed.settings = vec![Setting::new(Place::Label, "containers", "other")];
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
    narrowed.settings.clear();
    cluster.put(narrowed);
    let mut request = Request::new(build(NEW));
    request.namespaces = vec!["prod".into()];
    let misses = near_misses(&cluster, request.clone()).await;
    assert_eq!(
        misses[0],
        "shop/Deployment/web matches, but the call was narrowed to others"
    );
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
    let report = upgrade(&cluster, Request::new(build(&image)), Mode::Commit)
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
