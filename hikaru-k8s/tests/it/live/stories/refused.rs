//! Pods and ReplicaSets that the API server refuses: by a quota, by Pod Security, by a policy, by a webhook.

use hikaru_core::rollout::RolloutState::{Complete, Failed, Progressing};
use serde_json::{Value, json};

use super::{
    story::{Difference, NAME, Said, Story, holds},
    together,
};
use crate::live::rig;

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_are_refused() {
    together![
        a_quota_that_is_raised_later,
        pod_security,
        a_policy,
        a_webhook_that_fails,
        a_quota_on_replica_sets,
        a_quota_and_a_stateful_set,
        pod_security_and_a_daemon_set,
        an_undo_to_a_replica_set_that_was_refused,
    ];
}

const CONDITIONS: &str = "/status/conditions";

/// A quota that is in force.
async fn quota(story: &Story, what: &str, hard: u32) {
    let hard = format!("--hard={what}={hard}");
    story.kubectl(&["create", "quota", "limit", &hard]).await;
    let counts = |quota: &Value| holds(quota, "/status/used", what);
    let path = "resourcequotas/limit";
    story.wait("api/v1", path, "the quota's use", counts).await;
}

async fn raise(story: &Story, what: &str, hard: u32) {
    let patch = format!(
        "--patch={}",
        json!({"spec": {"hard": {what: hard.to_string()}}})
    );
    story
        .kubectl(&["patch", "quota", "limit", "--type=merge", &patch])
        .await;
}

async fn enforce_pod_security(story: &Story) {
    let label = "pod-security.kubernetes.io/enforce=restricted";
    rig::kubectl(&["label", "namespace", &story.namespace, label], "").await;
}

/// Waits until the API server refuses a pod of the new version.
async fn until_enforced(story: &Story) {
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe", "namespace": story.namespace},
        "spec": {"containers": [{"name": "web", "image": "probe:1.5.0"}]}});
    for _ in 0..300 {
        let pod = pod.to_string();
        let created = rig::blocking(move || {
            let args = ["create", "--dry-run=server", "--filename=-"];
            xtask::Cluster::shared().kubectl_with_input(&args, &pod)
        });
        if created.await.is_err() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    panic!("no pod is refused");
}

/// Objects for the whole cluster that have the name of the namespace and act on it alone.
async fn policy(story: &Story) {
    let name = &story.namespace;
    let selector = json!({"matchLabels": {"kubernetes.io/metadata.name": name}});
    let rule = json!({"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]});
    rig::create(&[
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name}, "spec": {
                "failurePolicy": "Fail", "matchConstraints": {"resourceRules": [rule]},
                "validations": [{"expression": "object.spec.containers.all(c, !c.image.contains('1.5.0'))",
                    "message": "images of 1.5.0 are not approved"}]}}),
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": selector}}}),
    ])
    .await;
    until_enforced(story).await;
}

async fn a_quota_that_is_raised_later() {
    let mut story = Story::begin("Deployment", |_| ()).await;
    story.deadline(5).await;
    quota(&story, "pods", 3).await;
    story.upgrade("good").await;
    story.workload_shows(CONDITIONS, "exceeded quota").await;
    let seen = story.until(Failed).await;
    seen.because("QuotaExceeded", &["limit"]).detail("pods=3");
    raise(&story, "pods", 10).await;
    story.until(Complete).await;
}

async fn pod_security() {
    let mut story = Story::begin("Deployment", |_| ()).await;
    enforce_pod_security(&story).await;
    story.upgrade("good").await;
    story
        .workload_shows(CONDITIONS, "violates PodSecurity")
        .await;
    let seen = story.until(Failed).await;
    seen.because("PodsRefused", &[]).detail("restricted");
}

async fn a_policy() {
    let mut story = Story::begin("Deployment", |_| ()).await;
    policy(&story).await;
    story.upgrade("good").await;
    story.workload_shows(CONDITIONS, "not approved").await;
    let seen = story.until(Failed).await;
    seen.because("PodsRefused", &[])
        .detail("images of 1.5.0 are not approved");
}

/// It may be back in a moment: that fails at the deadline only.
async fn a_webhook_that_fails() {
    let mut story = Story::begin("Deployment", |_| ()).await;
    story.deadline(5).await;
    let name = format!("{}.example", story.namespace);
    let selector = json!({"matchLabels": {"kubernetes.io/metadata.name": story.namespace}});
    let rule = json!({"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]});
    rig::create(&[json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [{"name": format!("{name}.com"), "failurePolicy": "Fail", "sideEffects": "None", "timeoutSeconds": 1,
            "admissionReviewVersions": ["v1"], "namespaceSelector": selector, "rules": [rule],
            "clientConfig": {"url": "https://127.0.0.1:1/"}}],
    })])
    .await;
    until_enforced(&story).await;
    story.upgrade("good").await;
    story
        .workload_shows(CONDITIONS, "failed calling webhook")
        .await;
    let seen = story.until(Failed).await;
    seen.because("WebhookFailed", &[&format!("{name}.com")]);
    rig::kubectl(&["delete", "validatingwebhookconfiguration", &name], "").await;
    story.until(Complete).await;
}

/// The controller does not get as far as to say that it has seen the change.
async fn a_quota_on_replica_sets() {
    let mut story = Story::begin("Deployment", |_| ()).await;
    quota(&story, "count/replicasets.apps", 1).await;
    story.upgrade("good").await;
    story
        .workload_shows(CONDITIONS, "ReplicaSetCreateError")
        .await;
    let seen = story.until(Failed).await;
    seen.because("ReplicaSetCreateError", &["limit"]);
    let said = story.kubectl_says().await;
    assert!(matches!(said, Said::Waits(_)), "{said:?}");
}

/// No condition says it: only events do.
async fn a_quota_and_a_stateful_set() {
    let mut story = Story::begin("StatefulSet", |_| ()).await;
    story.deadline(5).await;
    quota(&story, "pods", 2).await;
    story.upgrade("good").await;
    story.event_shows("FailedCreate", "exceeded quota").await;
    let seen = story.until(Failed).await;
    seen.because("QuotaExceeded", &["limit"])
        .event("FailedCreate");
    raise(&story, "pods", 10).await;
    story.until(Complete).await;
}

async fn pod_security_and_a_daemon_set() {
    let mut story = Story::begin("DaemonSet", |_| ()).await;
    enforce_pod_security(&story).await;
    story.upgrade("good").await;
    story
        .event_shows("FailedCreate", "violates PodSecurity")
        .await;
    let seen = story.until(Failed).await;
    seen.because("PodsRefused", &[]).event("FailedCreate");
}

/// Two builds in a row are refused, and somebody takes the second one back: the condition that it has failed stands for
/// minutes, and a fresh one never comes.
async fn an_undo_to_a_replica_set_that_was_refused() {
    let story = Story::begin("Deployment", |_| ()).await;
    let mut story = story.differs(Difference::StaleDeadline);
    story.deadline(5).await;
    quota(&story, "pods", 3).await;
    story.upgrade("first").await;
    story.until(Failed).await;
    let timed_out = |said: &Said| matches!(said, Said::Fails(_));
    story.kubectl_until("the first fails", timed_out).await;
    let refused = story.deployment_condition("Progressing").await;
    story
        .set_image("registry.example/acme/web:acme_web_main_1.5.0-second_9_0123abcd")
        .await;
    story
        .kubectl_until("the second goes on", |said| !timed_out(said))
        .await;
    story.kubectl_until("the second fails", timed_out).await;
    // The limit of hikaru's own is for the undone one.
    story.deadline(300).await;
    let deployment = format!("deployment/{NAME}");
    story.kubectl(&["rollout", "undo", &deployment]).await;
    let said = story.kubectl_says().await;
    assert!(timed_out(&said), "{said:?}");
    let stale = story.deployment_condition("Progressing").await;
    assert!(
        stale.contains("timed out") && stale != refused,
        "{stale} after {refused}"
    );
    story
        .until_seen("that it goes on", |rollout| rollout.state == Progressing)
        .await;
    raise(&story, "pods", 10).await;
    story.until(Complete).await;
}
