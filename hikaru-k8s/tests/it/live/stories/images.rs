//! Images that cannot be pulled, containers that cannot be made, and those that come late.

use hikaru_core::rollout::RolloutState::{Complete, Failed};
use serde_json::{Value, json};

use super::{
    story::{Story, played},
    together,
};

#[tokio::test(flavor = "multi_thread")]
async fn an_image_or_a_container_that_cannot_be_had() {
    together![
        a_good_build,
        an_image_that_is_not_there,
        an_image_for_another_platform,
        an_image_that_is_forbidden,
        an_image_that_is_rate_limited,
        a_tag_that_is_pushed_late,
        a_rate_limit_that_passes,
        a_secret_that_is_not_there,
        a_secret_that_comes_late,
        a_program_that_is_not_in_the_image,
    ];
}

/// What containers wait for, in a pod.
const WAITS: &str = "/status/containerStatuses";

fn one_pod(object: &mut Value) {
    object["spec"]["replicas"] = json!(1);
}

async fn a_good_build() {
    let mut story = Story::begin("Deployment", |_| ()).await;
    story.upgrade("good").await;
    let rollout = story.until(Complete).await.0.rollout;
    let counts = (rollout.desired, rollout.updated, rollout.ready, rollout.old);
    assert_eq!(counts, (3, 3, 3, 0));
    assert_eq!((rollout.cause, rollout.remarks.len()), (None, 0));
}

async fn an_image_that_is_not_there() {
    let mut story = Story::begin("Deployment", |_| ()).await;
    story.upgrade("missing").await;
    story.pods_show(WAITS, "not found").await;
    let seen = story.until(Failed).await;
    seen.because("ImageNotFound", &["web", &played("missing")])
        .event("Failed");
}

async fn an_image_for_another_platform() {
    let mut story = Story::begin("Deployment", |_| ()).await;
    story.upgrade("noarch").await;
    story.pods_show(WAITS, "no match for platform").await;
    let seen = story.until(Failed).await;
    seen.because("ImageWrongPlatform", &["web", &played("noarch")]);
}

async fn an_image_that_is_forbidden() {
    let mut story = Story::begin("Deployment", |_| ()).await;
    story.deadline(5).await;
    story.upgrade("denied").await;
    story.pods_show(WAITS, "pull access denied").await;
    let seen = story.until(Failed).await;
    seen.because("ImageNotFoundOrForbidden", &["web", &played("denied")]);
}

async fn an_image_that_is_rate_limited() {
    let mut story = Story::begin("Deployment", |_| ()).await;
    story.deadline(5).await;
    story.upgrade("throttled").await;
    story.pods_show(WAITS, "429 Too Many Requests").await;
    let seen = story.until(Failed).await;
    let seen = seen.because("ImagePullRateLimited", &["web", &played("throttled")]);
    let told = format!("{:?}", seen.0);
    assert!(!told.contains("acme-bot"), "the account is told: {told}");
}

/// What holds a pod up passes. On a busy machine that is seldom before its grace is over: the rule's own tests have the seconds.
async fn comes_late(word: &str, shown: &str) {
    let mut story = Story::begin("Deployment", one_pod).await;
    story.may_have_failed();
    story.upgrade(word).await;
    story.pods_show(WAITS, shown).await;
    story.annotate_pods("test.hikaru.dev/ready=now").await;
    story.until(Complete).await;
}

async fn a_tag_that_is_pushed_late() {
    comes_late("missing", "not found").await;
}

async fn a_rate_limit_that_passes() {
    comes_late("throttled", "429").await;
}

async fn a_secret_that_comes_late() {
    comes_late("noconfig", "CreateContainerConfigError").await;
}

async fn a_secret_that_is_not_there() {
    let change = |object: &mut Value| {
        object["spec"]["template"]["spec"]["containers"][0]["envFrom"] =
            json!([{"secretRef": {"name": "front-db"}}]);
    };
    let mut story = Story::begin("Deployment", change).await;
    story.upgrade("noconfig").await;
    story.pods_show(WAITS, "front-db").await;
    let seen = story.until(Failed).await;
    seen.because("ConfigMissing", &["web", "front-db"]);
}

async fn a_program_that_is_not_in_the_image() {
    let mut story = Story::begin("Deployment", |_| ()).await;
    story.upgrade("cannotstart").await;
    story.pods_show(WAITS, "no such file or directory").await;
    let seen = story.until(Failed).await;
    seen.because("CannotStart", &["web", "/app/serve"]);
}
