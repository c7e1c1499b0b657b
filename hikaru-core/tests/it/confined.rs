//! What is confined to some namespaces: what each method of the ports does with another one.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, StreamExt as _, stream};
use hikaru_core::{
    Build, Container, IdentityLabels, Mode, Request, TagFormats, Workload, WorkloadId,
    jobs::{JobCreated, JobName, JobPolicy, JobRequest, JobSource, Jobs},
    plan,
    port::{ClusterError, Confined, RolloutPort, Scope, Select, WorkloadPort},
    testing::{MemoryCluster, MockJobPort, MockRolloutPort, MockWorkloadPort, StillClock},
    upgrade,
};

fn web(namespace: &str) -> Workload {
    let mut workload = Workload::new(WorkloadId::new(namespace, "Deployment", "web"));
    workload.labels = IdentityLabels::new("acme", "web", "main");
    let container = Container::new("web", "acme/web:latest");
    workload.containers.push(container);
    workload
}

fn request() -> Request {
    let image = "acme/web:acme_web_main_1.4.0_7_0123abcd";
    Request::new(Build::parse(image, &TagFormats::default()).expect("a build"))
}

#[tokio::test]
async fn nothing_elsewhere_is_asked_for() {
    // Whatever they are asked, the mocks panic.
    let confined = Confined::new(Arc::new(MockWorkloadPort::new()), vec!["prod".into()]);
    let mut policy = JobPolicy::default();
    (policy.namespaces, policy.within) = (None, vec!["prod".into()]);
    let port = Arc::new(MockJobPort::new());
    let jobs = Jobs::new(port, policy, Arc::new(StillClock::default()));
    let name = "edge/deployment/web".parse().expect("a name");
    let job = JobName::new("edge", "migrate").expect("a name");
    let mut run = JobRequest::new(JobSource::Yaml("kind: Job".into()));
    run.namespace = Some("edge".into());
    let plan = plan(request(), [web("edge")]);
    let change = plan.entries[0].change.as_ref().expect("a change");
    let mut scopes = vec![Scope::new(Select::Named(vec![web("edge").id]))];
    for namespaces in [vec!["edge".into()], vec!["prod".into(), "edge".into()]] {
        let mut scope = Scope::new(Select::All);
        scope.namespaces = namespaces;
        scopes.push(scope);
    }
    let mut scope = Scope::new(Select::All);
    scope.workloads = vec!["edge/deployment/web".parse().expect("a name")];
    scopes.push(scope);
    let mut answers = Vec::new();
    for scope in &scopes {
        answers.push(confined.find(scope).await.map(drop));
    }
    answers.push(confined.read(&web("edge").id).await.map(drop));
    answers.push(confined.write(change, Mode::DryRun).await.map(drop));
    answers.push(confined.unhold(&name, None).await.map(drop));
    answers.push(jobs.run(&run, Mode::Commit).await.map(drop));
    answers.push(jobs.list("edge").await.map(drop));
    answers.push(jobs.status(&job).await.map(drop));
    let created = JobCreated::new(job.clone(), "");
    let mut ignore = |_: &str| {};
    let waited = jobs.wait(&created, Duration::ZERO, &mut ignore);
    answers.push(waited.await.map(drop));
    answers.push(jobs.delete(&job).await);
    answers.push(jobs.logs(&job).await.map(drop));
    for answer in answers {
        let refused = answer.expect_err("outside");
        assert_eq!(
            refused.to_string(),
            "the namespace edge is outside of those that hikaru is confined to: expected prod"
        );
        assert!(matches!(refused, ClusterError::Outside { .. }));
    }
}

#[tokio::test]
async fn what_names_no_namespace_is_done_in_these_alone() {
    let cluster = Arc::new(MemoryCluster::default());
    cluster.put(web("prod"));
    cluster.put(web("edge"));
    let confined = Confined::new(cluster.clone(), vec!["prod".into(), "blog".into()]);
    let report = upgrade(&confined, &StillClock::default(), request(), Mode::Commit).await;
    let entries = report.expect("a report").entries;
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].entry.workload.id, web("prod").id);
    let edge = cluster.get(&web("edge").id).expect("it is there");
    assert_eq!(&*edge.containers[0].image, "acme/web:latest");

    let free = Confined::new(cluster, Vec::new());
    let found = free.find(&Scope::new(Select::All)).await.expect("found");
    assert_eq!(found.workloads.len(), 2);
}

#[tokio::test]
async fn no_rollout_elsewhere_is_asked_about() {
    // Whatever it is asked, the mock panics.
    let port = Arc::new(MockRolloutPort::new());
    let confined = Confined::new(port, vec!["prod".into(), "blog".into()]);
    let name = "edge/deployment/web".parse().expect("a name");
    let uids = BTreeSet::from(["u".into()]);
    let log = confined.log("edge", "web-1", "web", false, 25).await;
    let answers = [
        confined.facts(&name).await.map(drop),
        confined.events("edge", &uids).await.map(drop),
        log.map(drop),
    ];
    for answer in answers {
        assert_eq!(
            answer.expect_err("outside").to_string(),
            "the namespace edge is outside of those that hikaru is confined to: expected prod or blog"
        );
    }
    assert_eq!(confined.changed(&name).next().now_or_never(), None);
    let nodes = confined.not_ready_nodes().await;
    assert_eq!(
        nodes.expect_err("they are in no namespace").to_string(),
        "not allowed: nodes are in no namespace, and hikaru is confined to prod or blog"
    );
}

#[tokio::test]
async fn rollouts_in_these_namespaces_are_asked_about() {
    let mut port = MockRolloutPort::new();
    port.expect_facts().returning(|_| Ok(None));
    port.expect_events().returning(|_, _| Ok(Vec::new()));
    port.expect_log().returning(|_, _, _, _, _| Ok("a".into()));
    port.expect_not_ready_nodes()
        .returning(|| Ok(BTreeSet::new()));
    let told = || stream::iter([()]).boxed();
    port.expect_changed().returning(move |_| told());
    let port = Arc::new(port);
    let name = "prod/deployment/web".parse().expect("a name");
    let confined = Confined::new(port.clone(), vec!["prod".into()]);
    assert_eq!(confined.facts(&name).await, Ok(None));
    assert_eq!(confined.events("prod", &BTreeSet::new()).await, Ok(vec![]));
    let log = confined.log("prod", "web-1", "web", false, 25).await;
    assert_eq!(log.as_deref(), Ok("a"));
    assert_eq!(confined.changed(&name).next().await, Some(()));
    let free = Confined::new(port, Vec::new());
    assert_eq!(free.not_ready_nodes().await, Ok(BTreeSet::new()));
}
