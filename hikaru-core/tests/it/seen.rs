//! A cluster as a narrowed caller sees it: what each method of the ports does with what the caller may not see.

use std::{collections::BTreeSet, sync::Arc};

use hikaru_core::{
    Build, Container, IdentityLabels, Mode, Request, TagFormats, Workload, WorkloadId,
    caller::{Binding, Caller, NotAllowed, Rights},
    jobs::{JobPolicy, Jobs},
    plan,
    port::{
        ClusterError, Confined, Fault, Found, RolloutPort, Scope, Seen, Select, Severity,
        WorkloadPort,
    },
    testing::{MemoryCluster, MockJobPort, MockRolloutPort, MockWorkloadPort, StillClock},
    upgrade,
    upgrade::candidates,
};

fn labeled(namespace: &str, name: &str, labels: [&str; 3]) -> Workload {
    let mut workload = Workload::new(WorkloadId::new(namespace, "Deployment", name));
    let [owner, repo, branch] = labels;
    workload.labels = IdentityLabels::new(owner, repo, branch);
    workload
        .containers
        .push(Container::new("web", "acme/web:latest"));
    workload
}

fn request(tag: &str) -> Request {
    let image = format!("acme/web:{tag}");
    Request::new(Build::parse(&image, &TagFormats::default()).expect("a build"))
}

/// The owner `acme_my` with the repository `service`, and `acme` with `my_service`: their tags read alike.
fn twins() -> Arc<MemoryCluster> {
    let cluster = MemoryCluster::default();
    cluster.put(labeled("shop", "first", ["acme", "my_service", "main"]));
    cluster.put(labeled("shop", "second", ["acme_my", "service", "main"]));
    Arc::new(cluster)
}

const TWO_READINGS: &str = "acme_my_service_main_1.4.0_7_0123abcd";

fn seen(cluster: &Arc<MemoryCluster>, caller: Caller) -> Seen<MemoryCluster> {
    Seen::new(cluster.clone(), Arc::new(caller))
}

fn bound(owner: &str, repo: &str) -> Caller {
    let mut caller = Caller::new("ci", Rights::ALL);
    caller.binding = Some(Binding::new(owner, repo, "main"));
    caller
}

#[tokio::test]
async fn of_a_tag_with_two_readings_a_bound_caller_upgrades_its_own() {
    for (owner, repo, own, other) in [
        ("acme", "my_service", "first", "second"),
        ("acme_my", "service", "second", "first"),
    ] {
        let cluster = twins();
        let port = seen(&cluster, bound(owner, repo));
        let clock = StillClock::default();
        let asked = upgrade(&port, &clock, request(TWO_READINGS), Mode::Commit);
        let report = asked.await.expect("a report");
        let names: Vec<_> = report
            .entries
            .iter()
            .map(|e| &*e.entry.workload.id.name)
            .collect();
        assert_eq!(names, [own]);
        let runs = |name| {
            let id = WorkloadId::new("shop", "Deployment", name);
            cluster.get(&id).expect("it is there").containers[0]
                .image
                .to_string()
        };
        assert!(runs(own).ends_with(TWO_READINGS));
        assert_eq!(runs(other), "acme/web:latest");
    }
}

#[tokio::test]
async fn near_misses_and_faults_name_nothing_that_the_caller_may_not_see() {
    let mut port = MockWorkloadPort::new();
    port.expect_freshness()
        .return_const(hikaru_core::port::Freshness::Fresh);
    port.expect_find().returning(|scope| {
        let mut found = Found::default();
        let hidden = labeled("secret", "secret", ["acme", "web", "dev"]);
        found.workloads = match scope.select {
            Select::Near(_) => vec![hidden.into()],
            _ => Vec::new(),
        };
        for message in ["secret one", "secret two"] {
            found
                .faults
                .push(Fault::new(Severity::Failure, "secret", message));
        }
        Ok(found)
    });
    let port = Seen::new(Arc::new(port), Arc::new(bound("acme", "web")));
    let mut request = request("acme_web_main_1.4.0_7_0123abcd");
    request.near_misses = true;
    let report = candidates(&port, request).await.expect("a report");
    assert!(!format!("{report:?}").contains("secret"), "{report:?}");
    assert!(report.near_misses.is_empty());
    assert!(
        report
            .faults
            .iter()
            .any(|fault| fault.severity == Severity::Failure)
    );
}

#[tokio::test]
async fn what_is_not_seen_is_neither_read_nor_written_nor_unheld() {
    let cluster = twins();
    let port = seen(&cluster, bound("acme", "my_service"));
    let (first, second) = (
        WorkloadId::new("shop", "Deployment", "first"),
        WorkloadId::new("shop", "Deployment", "second"),
    );
    assert!(port.read(&first).await.expect("read").is_some());
    assert_eq!(port.read(&second).await, Ok(None));
    // A change that the caller could not have been given.
    let all = cluster
        .find(&Scope::new(Select::All))
        .await
        .expect("found")
        .workloads;
    let mut request = request(TWO_READINGS);
    request.workloads = vec!["shop/deployment/second".parse().expect("a name")];
    let entry = |owner, repo| {
        let mut request = request.clone();
        request.workloads.clear();
        let own = bound(owner, repo);
        plan(request, all.iter().filter(|w| own.sees(w)).cloned())
    };
    let plans = [entry("acme", "my_service"), entry("acme_my", "service")];
    let changes: Vec<_> = plans
        .iter()
        .filter_map(|plan| plan.entries[0].change.clone())
        .collect();
    assert_eq!(changes.len(), 2);
    let absent = |name: &str| ClusterError::NotFound(format!("shop/Deployment/{name}"));
    let refused = port.write(&changes[1], Mode::Commit).await;
    assert_eq!(refused.expect_err("not seen"), absent("second"));
    let written = port.write_all(&changes, Mode::Commit).await;
    assert!(written[0].is_ok(), "{written:?}");
    assert_eq!(
        written[1].as_ref().expect_err("not seen"),
        &absent("second")
    );
    let image = &cluster.get(&second).expect("it is there").containers[0].image;
    assert_eq!(&**image, "acme/web:latest");
    let refused = port
        .unhold(&"shop/deployment/second".parse().expect("a name"), None)
        .await;
    let missing = port
        .unhold(&"shop/deployment/absent".parse().expect("a name"), None)
        .await;
    let text = |answer: Result<_, ClusterError>| {
        answer
            .map(|_: Vec<_>| ())
            .expect_err("not there")
            .to_string()
    };
    assert_eq!(text(refused), text(missing).replace("absent", "second"));
    assert!(
        port.unhold(&"shop/deployment/first".parse().expect("a name"), None)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn what_names_no_namespace_is_done_in_those_of_the_caller() {
    let cluster = twins();
    cluster.put(labeled("edge", "third", ["acme", "my_service", "main"]));
    let mut caller = Caller::new("ci", Rights::ALL);
    caller.namespaces = vec!["edge".into()];
    let port = seen(&cluster, caller.clone());
    let found = port.find(&Scope::new(Select::All)).await.expect("found");
    let names: Vec<_> = found.workloads.iter().map(|w| w.id.to_string()).collect();
    assert_eq!(names, ["edge/Deployment/third"]);
    // hikaru is confined to other namespaces.
    for (confined, expected) in [("edge", &["edge/Deployment/third"][..]), ("shop", &[])] {
        let within = Confined::new(cluster.clone(), vec![confined.into()]);
        let mut both = caller.clone();
        both.namespaces.push("dev".into());
        let port = Seen::new(Arc::new(within), Arc::new(both));
        let found = port.find(&Scope::new(Select::All)).await.expect("found");
        let names: Vec<_> = found.workloads.iter().map(|w| w.id.to_string()).collect();
        assert_eq!(names, expected);
    }
    let mut elsewhere = Scope::new(Select::All);
    elsewhere.namespaces = vec!["shop".into()];
    assert_eq!(port.find(&elsewhere).await.expect("found").workloads, []);
}

#[test]
fn what_a_request_names_is_checked_before_anything_is_read() {
    let mut caller = bound("acme", "web");
    caller.rights = Rights::NONE;
    caller.rights.grant("force:manual").expect("a right");
    caller.namespaces = vec!["dev".into()];
    let own = || request("acme_web_main_1.4.0_7_0123abcd");
    assert_eq!(caller.check_request(&own()), Ok(()));
    let mut forced = own();
    forced.force = "manual".parse().expect("codes");
    assert_eq!(caller.check_request(&forced), Ok(()));
    forced.force = "manual,held".parse().expect("codes");
    let mut elsewhere = own();
    elsewhere.namespaces = vec!["dev".into(), "prod".into()];
    let mut named = own();
    named.workloads = vec!["prod/deployment/web".parse().expect("a name")];
    let other = request("acme_other_main_1.4.0_7_0123abcd");
    for (request, expected) in [
        (forced, "the caller ci lacks the right force:held"),
        (elsewhere, "the caller ci may not see the namespace prod"),
        (named, "the caller ci may not see the namespace prod"),
        (
            other,
            "the caller ci: the token is for owner acme, repo web, branch main, and the tag is of owner acme, repo other, branch main",
        ),
    ] {
        let refused: NotAllowed = caller.check_request(&request).expect_err(expected);
        assert_eq!(refused.to_string(), expected);
    }
}

#[tokio::test]
async fn errors_name_no_namespace_that_the_caller_may_not_see() {
    let cluster = Arc::new(MemoryCluster::default());
    let within = Arc::new(Confined::new(cluster.clone(), vec!["secret".into()]));
    let port = Seen::new(within, Arc::new(bound("acme", "web")));
    let name = "shop/deployment/web".parse().expect("a name");
    let mut scope = Scope::new(Select::All);
    scope.namespaces = vec!["shop".into()];
    let id = WorkloadId::new("shop", "Deployment", "web");
    let told = [
        port.find(&scope).await.map(drop),
        WorkloadPort::read(&port, &id).await.map(drop),
        port.unhold(&name, None).await.map(drop),
        port.facts(&name).await.map(drop),
    ];
    for answer in told {
        let refused = answer.expect_err("outside");
        assert!(matches!(refused, ClusterError::Outside { .. }), "{refused}");
        assert!(!refused.to_string().contains("secret"), "{refused}");
    }
    let mut forbidden = MockWorkloadPort::new();
    forbidden.expect_find().returning(|_| {
        let words = "deployments is forbidden in the namespace secret".to_owned();
        Err(ClusterError::Forbidden(words))
    });
    let port = Seen::new(Arc::new(forbidden), Arc::new(bound("acme", "web")));
    let refused = port
        .find(&Scope::new(Select::All))
        .await
        .expect_err("forbidden");
    assert_eq!(
        refused,
        ClusterError::Forbidden("hikaru lacks a right in the cluster".into())
    );

    let mut policy = JobPolicy::default();
    policy.namespaces = Some(vec!["secret".into()]);
    let mut caller = Caller::new("ci", Rights::ALL);
    caller.namespaces = vec!["dev".into()];
    let jobs = Jobs::new(
        Arc::new(MockJobPort::new()),
        policy,
        Arc::new(StillClock::default()),
    );
    let refused = jobs
        .for_caller(&Arc::new(caller))
        .list("dev")
        .await
        .expect_err("no Jobs there");
    assert_eq!(
        refused.to_string(),
        "not allowed: no Jobs of the namespace dev are allowed: expected another one"
    );
}

#[tokio::test]
async fn events_and_logs_are_of_the_callers_namespaces_and_rights() {
    // Whatever it is asked, the mock panics.
    let port = Arc::new(MockRolloutPort::new());
    let mut caller = Caller::new("ci", Rights::ALL);
    caller.namespaces = vec!["dev".into()];
    let elsewhere = Seen::new(port.clone(), Arc::new(caller));
    let mut without = Caller::new("ci", Rights::NONE);
    without.rights.grant("read").expect("a right");
    let without = Seen::new(port, Arc::new(without));
    for refused in [
        elsewhere.events("prod", &BTreeSet::new()).await.map(drop),
        elsewhere
            .log("prod", "web-1", "web", false, 25)
            .await
            .map(drop),
        without
            .log("dev", "web-1", "web", false, 25)
            .await
            .map(drop),
    ] {
        let refused = refused.expect_err("not allowed");
        assert!(matches!(refused, ClusterError::NotAllowed(_)), "{refused}");
    }
}
