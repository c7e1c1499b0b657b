//! Many at once on the real control plane: posts in any order through two views, objects made a moment ago, and an API
//! server that goes away and comes back.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hikaru_core::{
    Mode,
    port::{ClusterError, Freshness, Scope, Select, WorkloadPort as _},
    upgrade,
    upgrade::Outcome,
};
use hikaru_k8s::{WatchSettings, WatchedCluster};
use xtask::{Cluster, ClusterOptions, Component};

use super::rig::{self, image};

async fn watched() -> WatchedCluster {
    let live = rig::by_variables(Cluster::shared()).await;
    let watched = WatchedCluster::start(live, WatchSettings::default());
    watched.synced().await;
    watched
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_posts_through_two_views_end_at_the_highest() {
    let namespace = rig::namespace("crowd").await;
    rig::create(&[rig::object("Deployment", &namespace, "web")]).await;
    let views = [watched().await, watched().await];
    // 37 has no divisor in common with 61: every build from 2 to 61 once, in no order.
    let posts = (1..=60_u64).map(|n| {
        let build = n * 37 % 61 + 1;
        let (view, namespace) = (&views[build as usize % 2], &namespace);
        async move { (build, rig::post(view, build, namespace).await) }
    });
    for (build, report) in join_all(posts).await {
        let outcome = &report.entries[0].outcome;
        let faults = &report.faults;
        assert!(
            !report.has_failures(),
            "build {build}: {outcome:?} {faults:?}"
        );
    }
    let live = rig::by_variables(Cluster::shared()).await;
    let id = hikaru_core::WorkloadId::new(&*namespace, "Deployment", "web");
    let now = rig::read(&live, &id).await;
    assert_eq!(*now.containers[0].image, image(61));

    let writes = rig::our_writes(&namespace).await;
    writes.iter().for_each(rig::assert_ours);
    let mut last = 1;
    for write in &writes {
        let operations = write.request_body().and_then(serde_json::Value::as_array);
        let mut operations = operations.expect("a patch").iter();
        let replaced = operations.find(|operation| operation["op"] == "replace");
        let value = replaced.and_then(|operation| operation["value"].as_str());
        let build = value.and_then(|image| image.split('_').nth(4)?.parse().ok());
        let build: u64 = build.expect("a build");
        assert!(build > last, "{build} after {last}");
        last = build;
    }
    assert_eq!(last, 61);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_made_a_moment_ago_is_found() {
    let namespace = rig::namespace("new").await;
    let view = watched().await;
    for n in 0..5 {
        let name = format!("web-{n}");
        rig::create(&[rig::object("StatefulSet", &namespace, &name)]).await;
        let mut request = rig::request(2, &namespace);
        let name = format!("{namespace}/statefulset/{name}");
        request.workloads = vec![name.parse().expect("a name")];
        let report = upgrade(
            &view,
            &hikaru_k8s::SystemClock::default(),
            request,
            Mode::Commit,
        )
        .await
        .expect("a report");
        assert_eq!(report.entries.len(), 1, "{name}");
        assert_eq!(report.entries[0].outcome, Outcome::Upgraded, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_comes_back_is_watched_again() {
    let options = ClusterOptions::default().controllers(false).pods(false);
    let cluster = rig::blocking(move || Cluster::start(options).expect("a cluster")).await;
    let create = |cluster: &Cluster, name: &str| {
        let object = rig::object("Deployment", "default", name).to_string();
        let done = cluster.kubectl_with_input(&["create", "--filename=-"], &object);
        done.unwrap_or_else(|error| panic!("{error}"));
    };
    create(&cluster, "one");
    let mut settings = WatchSettings::default();
    settings.heartbeat = Duration::from_secs(1);
    let live = rig::by_kubeconfig(&cluster).await;
    let view = WatchedCluster::start(live.clone(), settings);
    view.synced().await;
    let report = rig::post(&view, 2, "default").await;
    assert_eq!(report.entries[0].outcome, Outcome::Upgraded);

    cluster.kill(Component::Apiserver).expect("it ran");
    let id = hikaru_core::WorkloadId::new("default", "Deployment", "one");
    let read = live.read(&id).await;
    assert!(
        matches!(read, Err(ClusterError::Unavailable { .. })),
        "{read:?}"
    );
    let until = Instant::now() + Duration::from_secs(15);
    while view.freshness() == Freshness::Fresh {
        assert!(Instant::now() < until, "nobody has noticed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let refused = upgrade(
        &view,
        &hikaru_k8s::SystemClock::default(),
        rig::request(3, "default"),
        Mode::Commit,
    )
    .await;
    assert!(
        matches!(refused, Err(ClusterError::Unavailable { .. })),
        "{refused:?}"
    );

    cluster.launch(Component::Apiserver).expect("it starts");
    create(&cluster, "two");
    tokio::time::timeout(Duration::from_secs(30), view.synced())
        .await
        .expect("it is watched");
    // A view that is up to date may be a moment old.
    let until = Instant::now() + Duration::from_secs(15);
    let all = Scope::new(Select::All);
    while view
        .find(&all)
        .await
        .map_or(0, |found| found.workloads.len())
        < 2
    {
        assert!(Instant::now() < until, "the new one is not seen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let report = rig::post(&view, 3, "default").await;
    let outcomes: Vec<_> = report.entries.iter().map(|entry| &entry.outcome).collect();
    assert_eq!(outcomes, [&Outcome::Upgraded; 2]);
}
