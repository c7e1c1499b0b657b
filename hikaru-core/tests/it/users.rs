//! Who uses an image: by its build tag, by another tag, by a digest, by its repository; and what could not be read.

use async_trait::async_trait;
use hikaru_core::{
    Container, IdentityLabels, Mode, Request, TagFormats, Text, Workload, WorkloadId,
    policy::Change,
    port::{ClusterError, Fault, Found, Freshness, Scope, Select, Severity, WorkloadPort, Written},
    testing::MemoryCluster,
    upgrade,
    upgrade::find,
    workload::WorkloadName,
};

const BUILD: &str = "acme/web:acme_web_main_1.4.0_7_0123abcd";

fn workload(namespace: &str, name: &str, image: &str) -> Workload {
    let mut workload = Workload::new(WorkloadId::new(namespace, "Deployment", name));
    workload.labels = IdentityLabels::new("acme", "web", "main");
    workload.containers.push(Container::new("web", image));
    workload
}

/// A cluster that cannot read one of its files: it says so once of what is looked for, once more of what is near.
struct Torn(MemoryCluster);

fn fault(place: &str) -> Fault {
    Fault::new(Severity::Failure, place, "expected YAML, found a picture")
}

#[async_trait]
impl WorkloadPort for Torn {
    fn freshness(&self) -> Freshness {
        self.0.freshness()
    }
    async fn find(&self, scope: &Scope) -> Result<Found, ClusterError> {
        let found = self.0.find(scope).await?;
        let mut faults = vec![fault("a.yaml")];
        if matches!(scope.select, Select::Near(_)) {
            faults.push(fault("b.yaml"));
        }
        Ok(Found::new(found.workloads, faults))
    }
    async fn read(&self, id: &WorkloadId) -> Result<Option<Workload>, ClusterError> {
        self.0.read(id).await
    }
    async fn write(&self, change: &Change, mode: Mode) -> Result<Written, ClusterError> {
        self.0.write(change, mode).await
    }
    async fn unhold(
        &self,
        workload: &WorkloadName,
        container: Option<Text>,
    ) -> Result<Vec<(Text, Text)>, ClusterError> {
        self.0.unhold(workload, container).await
    }
}

#[tokio::test]
async fn who_uses_an_image() {
    let digest = |digit: &str| format!("sha256:{}", digit.repeat(64));
    let cluster = MemoryCluster::default();
    for (namespace, name, image) in [
        ("prod", "web", "acme/web:1.4.0".to_owned()),
        ("prod", "old", "docker.io/acme/web:1.3.0".to_owned()),
        ("prod", "api", "acme/api:1.4.0".to_owned()),
        ("shop", "web", BUILD.to_owned()),
        ("shop", "pinned", format!("acme/web@{}", digest("a"))),
        ("shop", "both", format!("acme/web:1.4.0@{}", digest("b"))),
        ("shop", "template", "{{ image }}".to_owned()),
    ] {
        cluster.put(workload(namespace, name, &image));
    }
    for (image, expected) in [
        (
            "acme/web".to_owned(),
            "prod/old prod/web shop/both shop/pinned shop/web",
        ),
        ("acme/web:1.4.0".to_owned(), "prod/web shop/both"),
        ("acme/web:2.0.0".to_owned(), ""),
        ("acme/api:1.4.0".to_owned(), "prod/api"),
        (format!("acme/web@{}", digest("a")), "shop/pinned"),
        (format!("acme/web@{}", digest("b")), "shop/both"),
        (format!("acme/web:1.4.0@{}", digest("b")), "shop/both"),
        (format!("acme/web:1.4.0@{}", digest("a")), ""),
        // A build: whoever a post of it would consider, whatever runs there.
        (
            BUILD.to_owned(),
            "prod/old prod/web shop/both shop/pinned shop/web",
        ),
    ] {
        let users = find(&cluster, &image, &TagFormats::default()).await;
        let users = users.expect("an answer");
        let names = users.namespaces.iter().flat_map(|(namespace, names)| {
            names.iter().map(move |name| format!("{namespace}/{name}"))
        });
        assert_eq!(names.collect::<Vec<_>>().join(" "), expected, "{image}");
        assert!(users.faults.is_empty());
    }
    let error = find(&cluster, "Web", &TagFormats::default()).await;
    let error = error.expect_err("no reference").to_string();
    assert!(error.starts_with("not an image reference: "), "{error}");
}

#[tokio::test]
async fn images_that_cannot_be_read_and_begin_with_the_repository_are_faults() {
    let cluster = MemoryCluster::default();
    for (name, image) in [
        ("web", "acme/web:1.4.0"),
        ("unreadable", "docker.io/acme/web:${TAG}"),
        ("other", "acme/api:${TAG}"),
    ] {
        cluster.put(workload("shop", name, image));
    }
    for image in ["acme/web", "acme/web:1.4.0", "acme/web:1.5.0"] {
        let users = find(&cluster, image, &TagFormats::default()).await;
        let faults = users.expect("an answer").faults;
        assert_eq!(faults.len(), 1, "{image}: {faults:?}");
        assert_eq!(faults[0].severity, Severity::Failure);
        assert_eq!(&*faults[0].place, "shop/Deployment/unreadable");
        let message = &faults[0].message;
        let told = "the image docker.io/acme/web:${TAG} of web cannot be read: expected ";
        assert!(message.starts_with(told), "{message}");
    }
}

#[tokio::test]
async fn what_could_not_be_read_is_told_once() {
    let cluster = Torn(MemoryCluster::default());
    let users = find(&cluster, BUILD, &TagFormats::default()).await;
    assert_eq!(users.expect("an answer").faults, [fault("a.yaml")]);
    let build = hikaru_core::Build::parse(BUILD, &TagFormats::default()).expect("a build");
    let report = upgrade(
        &cluster,
        &hikaru_core::testing::StillClock::default(),
        Request::new(build),
        Mode::Commit,
    )
    .await;
    let report = report.expect("an answer");
    assert!(report.nothing_matched() && report.has_failures());
    // What is near is only said to be helpful.
    let mut near = fault("b.yaml");
    near.severity = Severity::Warning;
    assert_eq!(report.faults, [fault("a.yaml"), near]);
}
