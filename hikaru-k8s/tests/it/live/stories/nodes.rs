//! Nodes: pods that find none, nodes that are not ready, pods that are evicted, and a HorizontalPodAutoscaler in the middle.

use hikaru_core::rollout::RolloutState::{Complete, Failed};
use serde_json::{Value, json};

use super::{
    story::{Difference, NAME, Story, workload},
    together,
};
use crate::live::rig;

#[tokio::test(flavor = "multi_thread")]
async fn nodes_and_pods_that_come_and_go() {
    together![
        no_node_for_the_new_pods,
        a_node_is_added_later,
        an_eviction_by_the_node,
        an_eviction_through_the_api,
        an_autoscaler_in_the_middle,
        a_daemon_set_and_a_cordoned_node,
        a_daemon_set_whose_image_is_not_there,
        a_daemon_set_and_a_node_that_is_not_ready,
    ];
}

/// A node for the pods of a namespace, and for no others. Nothing runs on one that is not alive.
async fn node(namespace: &str, name: &str, is_alive: bool) -> String {
    let name = format!("{namespace}-{name}");
    let mut node = json!({"apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": {"story": namespace, "kubernetes.io/hostname": name}},
        "spec": {"taints": [{"key": "story", "effect": "NoSchedule"}]},
        "status": {"allocatable": {"cpu": "8", "memory": "16Gi", "pods": "110"},
            "capacity": {"cpu": "8", "memory": "16Gi", "pods": "110"}}});
    if is_alive {
        node["metadata"]["annotations"] = json!({"kwok.x-k8s.io/node": "fake"});
    } else {
        node["status"]["conditions"] =
            json!([{"type": "Ready", "status": "False", "reason": "KubeletNotReady"}]);
    }
    rig::create(&[node]).await;
    if is_alive {
        let node = format!("node/{name}");
        rig::kubectl(
            &["wait", "--for=condition=Ready", &node, "--timeout=120s"],
            "",
        )
        .await;
    }
    name
}

/// On the nodes of the story only, ready or not.
async fn begin(
    kind: &'static str,
    nodes: &[(&str, bool)],
    change: impl FnOnce(&mut Value),
) -> Story {
    let story = Story::empty(kind).await;
    for (name, is_alive) in nodes {
        node(&story.namespace, name, *is_alive).await;
    }
    let mut object = workload(kind, &story.namespace);
    let pod = &mut object["spec"]["template"]["spec"];
    pod["nodeSelector"] = json!({"story": story.namespace});
    pod["tolerations"] = json!([{"operator": "Exists"}]);
    change(&mut object);
    rig::create(&[object]).await;
    story
}

/// Its taint is the one that a cordoned node has; the pods tolerate every taint.
fn tolerates_its_own_taint_only(object: &mut Value) {
    object["spec"]["template"]["spec"]["tolerations"] =
        json!([{"key": "story", "operator": "Exists", "effect": "NoSchedule"}]);
}

const CONDITIONS: &str = "/status/conditions";

async fn no_node_for_the_new_pods() {
    let nodes = [("a", true)];
    let mut story = begin("Deployment", &nodes, tolerates_its_own_taint_only).await;
    story.workload_shows("/status/readyReplicas", "3").await;
    story.deadline(5).await;
    let node = format!("{}-a", story.namespace);
    rig::kubectl(&["cordon", &node], "").await;
    story.upgrade("good").await;
    story.pods_show(CONDITIONS, "were unschedulable").await;
    let seen = story.until(Failed).await;
    seen.because("Unschedulable", &[])
        .detail("were unschedulable");
    rig::kubectl(&["uncordon", &node], "").await;
    story.until(Complete).await;
}

/// As an autoscaler of nodes does it.
async fn a_node_is_added_later() {
    let mut story = begin("Deployment", &[("a", true)], tolerates_its_own_taint_only).await;
    story.workload_shows("/status/readyReplicas", "3").await;
    rig::kubectl(&["cordon", &format!("{}-a", story.namespace)], "").await;
    story.upgrade("good").await;
    story.pods_show(CONDITIONS, "were unschedulable").await;
    story
        .until_seen("the scheduler's words", |rollout| {
            let cause = rollout.cause.as_ref();
            cause.is_some_and(|cause| cause.code.as_str() == "Unschedulable")
        })
        .await;
    node(&story.namespace, "b", true).await;
    story.until(Complete).await;
}

/// All new pods at once, and slowly.
async fn begin_slowly() -> Story {
    let change = |object: &mut Value| {
        object["spec"]["strategy"] =
            json!({"rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}});
    };
    let story = Story::begin("Deployment", change).await;
    story.upgrade("slow").await;
    story
}

/// The name of a new pod that runs.
async fn new_pod(story: &Story) -> String {
    let is_new = |pod: &Value| pod["status"]["containerStatuses"][0]["ready"] == json!(false);
    let pod = story.pod("a new pod", is_new).await;
    pod["metadata"]["name"].as_str().expect("a name").to_owned()
}

async fn an_eviction_by_the_node() {
    let mut story = begin_slowly().await;
    let pod = new_pod(&story).await;
    story
        .kubectl(&["annotate", "pod", &pod, "test.hikaru.dev/evict=now"])
        .await;
    story.pods_show("/status/reason", "Evicted").await;
    story.until(Complete).await;
}

async fn an_eviction_through_the_api() {
    let mut story = begin_slowly().await;
    let pod = new_pod(&story).await;
    let namespace = &story.namespace;
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": namespace}});
    let path = format!("--raw=/api/v1/namespaces/{namespace}/pods/{pod}/eviction");
    rig::kubectl(&["create", &path, "--filename=-"], &eviction.to_string()).await;
    story.until(Complete).await;
}

/// It needs no metrics to reach its minimum.
async fn an_autoscaler_in_the_middle() {
    let mut story = begin_slowly().await;
    rig::create(&[json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": NAME, "namespace": story.namespace},
        "spec": {"minReplicas": 6, "maxReplicas": 6, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME}},
    })])
    .await;
    story.workload_shows("/spec/replicas", "6").await;
    let rollout = story.until(Complete).await.0.rollout;
    assert_eq!((rollout.desired, rollout.ready), (6, 6));
}

async fn a_daemon_set_and_a_cordoned_node() {
    let mut story = begin("DaemonSet", &[("a", true), ("b", true)], |_| ()).await;
    story.workload_shows("/status/numberReady", "2").await;
    rig::kubectl(&["cordon", &format!("{}-a", story.namespace)], "").await;
    story.upgrade("good").await;
    let rollout = story.until(Complete).await.0.rollout;
    assert_eq!((rollout.desired, rollout.ready), (2, 2));
}

async fn a_daemon_set_whose_image_is_not_there() {
    let mut story = Story::begin("DaemonSet", |_| ()).await;
    story.upgrade("missing").await;
    let seen = story.until(Failed).await;
    seen.because("ImageNotFound", &["web", "1 of 1 new pod"]);
}

/// The old pod there is terminating for ever.
async fn a_daemon_set_and_a_node_that_is_not_ready() {
    let change = |object: &mut Value| {
        object["spec"]["updateStrategy"] = json!({"rollingUpdate": {"maxUnavailable": 2}});
    };
    let nodes = [("a", true), ("b", true), ("dead", false)];
    let story = begin("DaemonSet", &nodes, change).await;
    let mut story = story.differs(Difference::NotReadyNodes);
    story.workload_shows("/status/numberReady", "2").await;
    story.upgrade("good").await;
    let seen = story.until(Complete).await;
    seen.remark(&format!("{}-dead", story.namespace));
}
