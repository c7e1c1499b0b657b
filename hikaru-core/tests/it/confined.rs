//! What is confined to some namespaces: what each method of the ports does with another one.

use std::{sync::Arc, time::Duration};

use hikaru_core::{
    Build, Container, IdentityLabels, Mode, Request, TagFormats, Workload, WorkloadId,
    jobs::{JobCreated, JobName, JobPolicy, JobRequest, JobSource, Jobs},
    plan,
    port::{ClusterError, Confined, Scope, Select, WorkloadPort},
    testing::{MemoryCluster, MockJobPort, MockWorkloadPort, StillClock},
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
