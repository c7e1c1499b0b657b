//! StatefulSets: pods one after the other, a partition, OnDelete, and pods that block the correction.

use hikaru_core::rollout::RolloutState::{Complete, Failed, Progressing, WaitsForDeletion};
use serde_json::{Value, json};

use super::{
    story::{Difference, NAME, Said, Story, good, workload},
    together,
};
use crate::live::rig;

#[tokio::test(flavor = "multi_thread")]
async fn stateful_sets() {
    together![
        a_good_build,
        a_partition,
        on_delete,
        a_broken_pod_that_blocks,
        a_broken_pod_that_does_not_block_where_pods_are_parallel,
        an_old_pod_that_terminates_slowly,
        a_startup_probe,
    ];
}

async fn a_good_build() {
    let mut story = Story::begin("StatefulSet", |_| ()).await;
    story.upgrade("good").await;
    let rollout = story.until(Complete).await.0.rollout;
    assert_eq!((rollout.desired, rollout.updated, rollout.old), (3, 3, 0));
}

async fn a_partition() {
    let change = |object: &mut Value| {
        object["spec"]["updateStrategy"] = json!({"rollingUpdate": {"partition": 2}});
    };
    let mut story = Story::begin("StatefulSet", change).await;
    story.upgrade("good").await;
    story.workload_shows("/status/updatedReplicas", "1").await;
    story.until(Complete).await.remark("2 of 3 pods stay");
}

async fn on_delete() {
    let story = Story::empty("StatefulSet").await;
    let mut story = story.differs(Difference::OnDelete);
    let mut object = workload("StatefulSet", &story.namespace);
    object["spec"]["updateStrategy"] = json!({"type": "OnDelete"});
    rig::create(&[object]).await;
    story.workload_shows("/status/readyReplicas", "3").await;
    story.upgrade("good").await;
    let rollout = story.until(WaitsForDeletion).await.0.rollout;
    let names = [0, 1, 2].map(|n| format!("{NAME}-{n}"));
    assert_eq!(
        rollout.pods,
        names.each_ref().map(|name| name.as_str().into())
    );
    let said = story.kubectl_says().await;
    let Said::Fails(words) = said else {
        panic!("{said:?}")
    };
    assert!(
        words.contains("rollout status is only available for RollingUpdate"),
        "{words}"
    );
    story.kubectl(&["delete", "pods", "--all"]).await;
    story.until(Complete).await;
}

/// Waits until the new pod is broken and its controller has seen it. Before that the controller may delete it once more, because it
/// deletes by name, and what it knows of the old pod of that name can be old.
async fn broken(story: &Story) {
    story
        .pods_show("/status/containerStatuses", "ImagePullBackOff")
        .await;
    let is_seen = |set: &Value| {
        let status = &set["status"];
        status["updateRevision"] != status["currentRevision"]
            && status["updatedReplicas"] == json!(1)
            && status
                .get("readyReplicas")
                .is_none_or(|ready| *ready == json!(0))
    };
    let path = format!("statefulsets/{NAME}");
    story
        .wait("apis/apps/v1", &path, "a broken pod", is_seen)
        .await;
}

/// Somebody takes the broken build back: the pod stays broken, and hikaru says what helps.
async fn a_broken_pod_that_blocks() {
    let change = |object: &mut Value| object["spec"]["replicas"] = json!(1);
    let mut story = Story::begin("StatefulSet", change).await;
    story.upgrade("missing").await;
    broken(&story).await;
    story.set_image(&good()).await;
    let seen = story.until(Failed).await;
    let command = format!(
        "kubectl delete pod --namespace {} {NAME}-0",
        story.namespace
    );
    seen.because("StatefulSetBlocked", &[&command]);
    story
        .kubectl(&["delete", "pod", &format!("{NAME}-0")])
        .await;
    story.until(Complete).await;
}

async fn a_broken_pod_that_does_not_block_where_pods_are_parallel() {
    let change = |object: &mut Value| {
        object["spec"]["replicas"] = json!(1);
        object["spec"]["podManagementPolicy"] = json!("Parallel");
    };
    let mut story = Story::begin("StatefulSet", change).await;
    story.upgrade("missing").await;
    broken(&story).await;
    story.set_image(&good()).await;
    story.until(Complete).await;
}

/// Nothing happens as long as its grace lasts, and that is no lack of progress.
async fn an_old_pod_that_terminates_slowly() {
    let change = |object: &mut Value| {
        object["spec"]["replicas"] = json!(1);
        object["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(300);
    };
    let mut story = Story::begin("StatefulSet", change).await;
    story.deadline(15).await;
    let pod = format!("{NAME}-0");
    let finalizers = |list: Value| format!("--patch={}", json!({"metadata": {"finalizers": list}}));
    let hold = finalizers(json!(["test.hikaru.dev/hold"]));
    story
        .kubectl(&["patch", "pod", &pod, "--type=merge", &hold])
        .await;
    story.upgrade("good").await;
    // kwok has ended it.
    let is_ended = |pod: &Value| pod["metadata"]["deletionGracePeriodSeconds"] == json!(0);
    story.pod("the deletion", is_ended).await;
    let begun = std::time::Instant::now();
    story
        .until_seen("progress after the deadline", |rollout| {
            rollout.state == Progressing && begun.elapsed().as_secs() > 17
        })
        .await;
    let release = finalizers(Value::Null);
    story
        .kubectl(&["patch", "pod", &pod, "--type=merge", &release])
        .await;
    story.until(Complete).await;
}

/// Its budget extends the limit: the pod needs 20 s.
async fn a_startup_probe() {
    let change = |object: &mut Value| {
        object["spec"]["replicas"] = json!(1);
        object["spec"]["template"]["spec"]["containers"][0]["startupProbe"] = json!({"httpGet": {"path": "/up", "port": 8080}, "periodSeconds": 10, "failureThreshold": 30});
    };
    let mut story = Story::begin("StatefulSet", change).await;
    story.deadline(15).await;
    story.upgrade("slow").await;
    story.until(Complete).await;
}
