//! Containers that run: those that end, those that are never ready, and those that are ready late.

use hikaru_core::rollout::RolloutState::{Complete, Failed};
use serde_json::{Value, json};

use super::{
    story::{Difference, Story, good},
    together,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_ends_or_is_not_ready() {
    together![
        a_crash_loop,
        out_of_memory,
        a_program_that_ends_well,
        a_liveness_probe_that_fails,
        an_init_container_that_crashes,
        a_crash_after_ready,
        one_restart,
        a_readiness_probe_that_fails,
        a_slow_start,
        a_start_that_is_slower_than_the_deadline,
        half_of_the_pods_are_enough,
    ];
}

fn container(object: &mut Value) -> &mut Value {
    &mut object["spec"]["template"]["spec"]["containers"][0]
}

/// All new pods at once.
fn at_once(object: &mut Value) {
    object["spec"]["strategy"] =
        json!({"rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}});
}

/// How containers ended, in a pod.
const LAST: &str = "/status/containerStatuses";

async fn a_crash_loop() {
    let mut story = Story::begin("Deployment", |_| ()).await;
    story.upgrade("crash").await;
    story.pods_show(LAST, "FATAL").await;
    let seen = story.until(Failed).await;
    seen.because("CrashLoop", &["web", "1 of "])
        .detail("FATAL: cannot connect to database db:5432")
        .event("BackOff")
        .log(true, "FATAL: cannot connect to database db:5432");
}

async fn out_of_memory() {
    let change = |object: &mut Value| {
        container(object)["resources"] = json!({"limits": {"memory": "64Mi"}});
    };
    let mut story = Story::begin("Deployment", change).await;
    story.upgrade("oom").await;
    story.pods_show(LAST, "OOMKilled").await;
    let seen = story.until(Failed).await;
    seen.because("OutOfMemory", &["web", "64Mi"]);
}

async fn a_program_that_ends_well() {
    let mut story = Story::begin("Deployment", |_| ()).await;
    story.upgrade("exit0").await;
    story.pods_show(LAST, "Completed").await;
    let seen = story.until(Failed).await;
    seen.because("ExitedEarly", &["web"]);
}

async fn a_liveness_probe_that_fails() {
    let change = |object: &mut Value| {
        container(object)["livenessProbe"] =
            json!({"httpGet": {"path": "/alive", "port": 8080}, "failureThreshold": 1});
    };
    let mut story = Story::begin("Deployment", change).await;
    story.upgrade("liveness").await;
    story
        .event_shows("Unhealthy", "Liveness probe failed")
        .await;
    let seen = story.until(Failed).await;
    seen.because("LivenessFailed", &["web", "/alive"]);
}

async fn an_init_container_that_crashes() {
    let change = |object: &mut Value| {
        object["spec"]["template"]["spec"]["initContainers"] =
            json!([{"name": "migrate", "image": good()}]);
    };
    let mut story = Story::begin("Deployment", change).await;
    story.upgrade("initcrash").await;
    story
        .pods_show("/status/initContainerStatuses", "CrashLoopBackOff")
        .await;
    let seen = story.until(Failed).await;
    seen.because("CrashLoop", &["init container migrate"]);
}

/// Without a readiness probe the pod is ready at once, and kubectl says that all is well, again and again.
async fn a_crash_after_ready() {
    let change = |object: &mut Value| {
        container(object)["readinessProbe"] = Value::Null;
        object["spec"]["replicas"] = json!(1);
    };
    let story = Story::begin("Deployment", change).await;
    let mut story = story.differs(Difference::CrashAfterReady);
    story.upgrade("crashlater").await;
    let seen = story.until(Failed).await;
    seen.because("CrashLoop", &["web"]);
    story
        .kubectl_until("kubectl says that it is done", |said| {
            matches!(said, super::story::Said::Done(_))
        })
        .await;
}

async fn one_restart() {
    let mut story = Story::begin("Deployment", at_once).await;
    story.upgrade("flaky").await;
    story.until(Complete).await;
    story.pods_show(LAST, "Error").await;
}

async fn a_readiness_probe_that_fails() {
    let mut story = Story::begin("Deployment", |_| ()).await;
    story.deadline(5).await;
    story.upgrade("unready").await;
    story
        .event_shows("Unhealthy", "Readiness probe failed")
        .await;
    let seen = story.until(Failed).await;
    seen.because("NotReady", &["web", "/ready"])
        .event("Unhealthy");
}

async fn a_slow_start() {
    let mut story = Story::begin("Deployment", at_once).await;
    story.upgrade("slow").await;
    story
        .until_seen("what is awaited", |rollout| {
            rollout.sentence.contains("0 of 3 new pods are ready")
        })
        .await;
    story.until(Complete).await;
}

/// Kubernetes gives up, and hikaru says what it says. Failed is not the end of it.
async fn a_start_that_is_slower_than_the_deadline() {
    let change = |object: &mut Value| object["spec"]["replicas"] = json!(1);
    let mut story = Story::begin("Deployment", change).await;
    story.deadline(5).await;
    story.upgrade("slow").await;
    let seen = story.until(Failed).await;
    seen.because("NotReady", &["web", "/ready"]);
    story.until(Complete).await;
}

async fn half_of_the_pods_are_enough() {
    let change = |object: &mut Value| {
        object["metadata"]["annotations"] = json!({"hikaru.dev/required-rollout": "50%"});
        object["spec"]["replicas"] = json!(2);
        at_once(object);
    };
    let story = Story::begin("Deployment", change).await;
    let mut story = story.differs(Difference::RequiredRollout);
    story.upgrade("unready").await;
    let is_new = |pod: &Value| pod["status"]["containerStatuses"][0]["ready"] == json!(false);
    let pod = story.pod("a new pod", is_new).await;
    let pod = pod["metadata"]["name"].as_str().expect("a name");
    story
        .kubectl(&["annotate", "pod", pod, "test.hikaru.dev/ready=now"])
        .await;
    story.until(Complete).await;
}
