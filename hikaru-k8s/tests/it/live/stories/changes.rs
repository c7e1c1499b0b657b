//! What people and other builds do to a rollout, and workloads that have none.

use hikaru_core::rollout::RolloutState::{
    Complete, Deleted, Failed, NotApplicable, Paused, Reverted, Superseded,
};
use serde_json::{Value, json};

use super::{
    story::{NAME, Said, Story, good, played, workload},
    together,
};
use crate::live::{rig, rights};

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_that_is_changed_meanwhile() {
    together![
        a_second_build,
        a_person_goes_back,
        a_workload_that_is_deleted,
        a_paused_deployment,
        no_replicas,
        a_cron_job,
        an_image_that_is_rewritten,
        no_rights_on_pods,
        no_right_on_logs,
    ];
}

fn asks_for(story: &mut Story, word: &str) {
    story.asked.images = vec![("web".into(), played(word).as_str().into())];
}

async fn a_second_build() {
    let mut story = Story::begin("Deployment", |_| ()).await;
    story.upgrade("unready").await;
    asks_for(&mut story, "unready");
    story
        .post("registry.example/acme/web:acme_web_main_1.5.1_9_0123abcd")
        .await;
    let rollout = story.until(Superseded).await.0.rollout;
    assert!(rollout.sentence.contains("1.5.1_9"), "{}", rollout.sentence);
}

async fn a_person_goes_back() {
    let mut story = Story::begin("Deployment", |_| ()).await;
    story.upgrade("unready").await;
    asks_for(&mut story, "unready");
    story.set_image(&good()).await;
    let rollout = story.until(Reverted).await.0.rollout;
    assert!(rollout.sentence.contains("kubectl"), "{}", rollout.sentence);
}

async fn a_workload_that_is_deleted() {
    let mut story = Story::begin("Deployment", |_| ()).await;
    let uid = story
        .kubectl(&[
            "get",
            "deployment",
            NAME,
            "--output=jsonpath={.metadata.uid}",
        ])
        .await;
    story.upgrade("unready").await;
    story.asked.uid = uid.as_str().into();
    story.kubectl(&["delete", "deployment", NAME]).await;
    story.until(Deleted).await;
}

async fn a_paused_deployment() {
    let mut story = Story::begin("Deployment", |_| ()).await;
    story.patch(&json!({"spec": {"paused": true}})).await;
    story.upgrade("good").await;
    story.until(Paused).await;
    let said = story.kubectl_says().await;
    assert!(matches!(said, Said::Waits(_)), "{said:?}");
    story.patch(&json!({"spec": {"paused": false}})).await;
    story.until(Complete).await;
}

async fn no_replicas() {
    let change = |object: &mut Value| object["spec"]["replicas"] = json!(0);
    let mut story = Story::begin("Deployment", change).await;
    story.upgrade("missing").await;
    story.until(Complete).await.remark("0 replicas");
}

async fn a_cron_job() {
    let mut story = Story::empty("CronJob").await;
    rig::create(&[workload("CronJob", &story.namespace)]).await;
    story.upgrade("good").await;
    story.until(NotApplicable).await;
    let said = story.kubectl_says().await;
    assert!(matches!(said, Said::Fails(_)), "{said:?}");
}

/// A mirror, as a webhook would put it in.
async fn an_image_that_is_rewritten() {
    let mut story = Story::begin("Deployment", |_| ()).await;
    let name = &story.namespace;
    let selector = json!({"matchLabels": {"kubernetes.io/metadata.name": name}});
    let rule = json!({"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]});
    let patch = "[JSONPatch{op: 'replace', path: '/spec/containers/0/image', value: 'mirror.example/' + object.spec.containers[0].image}]";
    rig::create(&[
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy",
            "metadata": {"name": name}, "spec": {
                "failurePolicy": "Fail", "reinvocationPolicy": "Never", "matchConstraints": {"resourceRules": [rule]},
                "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}]}}),
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding",
            "metadata": {"name": name}, "spec": {"policyName": name,
                "matchResources": {"namespaceSelector": selector}}}),
    ])
    .await;
    let probe = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe"},
        "spec": {"containers": [{"name": "web", "image": "probe:1"}]}});
    let args = [
        "create",
        "--dry-run=server",
        "--filename=-",
        "--output=jsonpath={.spec.containers[0].image}",
    ];
    for _ in 0..300 {
        if story
            .kubectl_with(&args, &probe.to_string())
            .await
            .starts_with("mirror.example/")
        {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    story.upgrade("good").await;
    story.until(Complete).await.remark("mirror.example/");
}

/// The state is judged by the object alone, and what cannot be seen is said.
async fn no_rights_on_pods() {
    let mut story = Story::begin("Deployment", |_| ()).await;
    let account = rights::account(&story.namespace, &["get", "list", "watch"]).await;
    story.look_as(account);
    story.upgrade("good").await;
    let rollout = story.until(Complete).await.0.rollout;
    let unseen = rollout.unseen.join("\n");
    for right in ["pods", "replicasets"] {
        assert!(unseen.contains(right), "{right}: {unseen}");
    }
}

async fn no_right_on_logs() {
    let mut story = Story::begin("Deployment", |_| ()).await;
    let kinds = ["deployments", "replicasets", "pods", "events"];
    let verbs = ["get", "list", "watch"];
    let account = rights::account_with(&story.namespace, &kinds, &verbs, rig::settings()).await;
    story.look_as(account);
    story.upgrade("crash").await;
    let seen = story
        .until(Failed)
        .await
        .because("CrashLoop", &["web"])
        .event("BackOff");
    let evidence = seen.0.evidence.expect("evidence");
    assert_eq!(evidence.log, None);
    assert!(
        evidence.unseen.iter().any(|line| line.contains("pods/log")),
        "{evidence:#?}"
    );
}
