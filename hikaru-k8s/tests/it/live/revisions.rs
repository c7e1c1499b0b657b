//! What the adapter reads of rollouts on the real control plane: revisions and owners as the real controllers write them, what a
//! watch tells, and rights that are missing.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use hikaru_core::{
    port::RolloutPort as _,
    rollout::{PodFacts, RolloutFacts, RolloutKind},
    workload::WorkloadName,
};
use hikaru_k8s::LiveCluster;
use serde_json::{Value, json};
use xtask::Cluster;

use super::{rig, rights};

/// For what takes some seconds on a quiet machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A workload with two pods, or one on each node.
fn workload(kind: &str, namespace: &str) -> Value {
    let mut object = rig::object(kind, namespace, "web");
    if kind != "DaemonSet" {
        object["spec"]["replicas"] = json!(2);
    }
    object
}

async fn facts(live: &LiveCluster, workload: &WorkloadName) -> RolloutFacts {
    let facts = live.facts(workload).await.expect("an answer");
    facts.expect("it is there")
}

/// The facts once they are so.
async fn until(
    live: &LiveCluster,
    workload: &WorkloadName,
    is_so: impl Fn(&RolloutFacts) -> bool,
) -> RolloutFacts {
    let until = Instant::now() + Duration::from_secs(120);
    loop {
        let facts = facts(live, workload).await;
        if is_so(&facts) {
            return facts;
        }
        assert!(Instant::now() < until, "{facts:#?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Whether all pods are of the revision, and ready.
fn is_complete(facts: &RolloutFacts) -> bool {
    let object = &facts.object;
    let is_ready = |pod: &PodFacts| {
        !pod.is_deleting && pod.containers.iter().all(|container| container.is_ready)
    };
    object.observed == object.generation
        && object.desired > 0
        && [
            object.current,
            object.updated,
            object.ready,
            object.available,
        ] == [object.desired; 4]
        && facts.pods.len() == usize::try_from(object.desired).expect("a number")
        && facts.pods.iter().all(|pod| is_ready(pod))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pods_of_a_revision_are_known_by_owners_and_labels() {
    let namespace = rig::namespace("revisions").await;
    let kinds = ["Deployment", "StatefulSet", "DaemonSet"];
    rig::create(&kinds.map(|kind| workload(kind, &namespace))).await;
    let live = rig::by_variables(Cluster::shared()).await;
    for (build, manager) in [(1, "kubectl-create"), (2, "hikaru")] {
        if build == 2 {
            rig::post(&live, build, &namespace).await;
        }
        for kind in kinds {
            let name: WorkloadName = format!("{namespace}/{kind}/web").parse().expect("a name");
            let found = until(&live, &name, |facts| {
                *facts.workload.containers[0].image == *rig::image(build)
                    && is_complete(&new(facts))
            })
            .await;
            assert_eq!(found.unseen, [], "{kind}");
            let changed = found.object.changed.expect("it is told");
            assert_eq!(&*changed.manager, manager, "{kind}");
            let ago = found.now.duration_since(changed.at);
            let ago = ago.expect("it was before");
            assert!(ago < Duration::from_secs(600), "{kind}: {ago:?}");
        }
    }
}

/// The same with the pods of the newest revision alone: the selector matches those of the other workloads, too.
fn new(facts: &RolloutFacts) -> RolloutFacts {
    let mut new = facts.clone();
    let revision = &facts.object.revision;
    let mut sets = facts.replica_sets.iter();
    let set = sets
        .find(|set| set.owner.as_ref() == Some(&facts.workload.uid) && set.revision == *revision);
    let owner = match facts.object.kind {
        RolloutKind::Deployment => set.map(|set| &set.uid),
        _ => Some(&facts.workload.uid),
    };
    new.pods.retain(|pod| {
        let is_new = match facts.object.kind {
            RolloutKind::StatefulSet => pod.revision_hash == *revision,
            RolloutKind::DaemonSet => pod.template_generation == *revision,
            _ => true,
        };
        owner.is_some() && pod.owner.as_ref() == owner && is_new
    });
    new
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_tells_of_new_pods() {
    let namespace = rig::namespace("watched").await;
    rig::create(&[workload("Deployment", &namespace)]).await;
    let live = rig::by_variables(Cluster::shared()).await;
    let name: WorkloadName = format!("{namespace}/deployment/web")
        .parse()
        .expect("a name");
    let mut changes = live.changed(&name);
    assert_eq!(changes.next().await, Some(()));
    until(&live, &name, is_complete).await;
    assert_eq!(live.rollout_vitals().watches, 3);
    let args = [
        "scale",
        "deployment/web",
        "--replicas=3",
        "--namespace",
        &namespace,
    ];
    rig::kubectl(&args, "").await;
    let scaled = async {
        while !is_complete(&facts(&live, &name).await) || facts(&live, &name).await.pods.len() < 3 {
            changes.next().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), scaled)
        .await
        .expect("it is told");
    // Whatever the scheduler says is readable; that there is an event is not certain.
    let uid = facts(&live, &name).await.workload.uid.clone();
    live.events(&namespace, &[uid].into())
        .await
        .expect("events");
    live.not_ready_nodes().await.expect("nodes");
}

/// Whoever waits reads what the watches have: without the rights to read and to list the rollout is seen to its end.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_is_waited_for_without_another_request() {
    let namespace = rig::namespace("waited").await;
    rig::create(&[workload("Deployment", &namespace)]).await;
    let kinds = ["deployments", "replicasets", "pods"];
    let allow = |verbs: &'static [&'static str]| {
        rights::account_with(&namespace, &kinds, verbs, rig::settings())
    };
    let live = allow(&["get", "list", "watch"]).await;
    let name: WorkloadName = format!("{namespace}/deployment/web")
        .parse()
        .expect("a name");
    let mut changes = live.changed(&name);
    assert_eq!(changes.next().await, Some(()));
    let vitals = live.rollout_vitals();
    assert_eq!((vitals.watches, vitals.behind), (3, 0));
    // The rules for rights are a moment old in the API server.
    let other = allow(&["watch"]).await;
    let end = Instant::now() + PATIENCE;
    while other.facts(&name).await.is_ok() {
        assert!(Instant::now() < end, "the rights are not taken away");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    let admin = rig::by_variables(Cluster::shared()).await;
    rig::post(&admin, 2, &namespace).await;
    let mut generations = Vec::new();
    let rolled_out = async {
        loop {
            let facts = facts(&live, &name).await;
            assert_eq!(facts.unseen, []);
            generations.push(facts.object.generation);
            let is_new = *facts.workload.containers[0].image == *rig::image(2);
            if is_new && is_complete(&new(&facts)) {
                return;
            }
            changes.next().await;
        }
    };
    tokio::time::timeout(PATIENCE, rolled_out)
        .await
        .expect("it is told");
    assert!(generations.is_sorted(), "{generations:?}");
    rig::kubectl(
        &["delete", "deployment", "web", "--namespace", &namespace],
        "",
    )
    .await;
    // It is gone; that it is not there any more cannot be confirmed without the right.
    let gone = async {
        while live.facts(&name).await.is_ok() {
            changes.next().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone)
        .await
        .expect("it is told");
}
