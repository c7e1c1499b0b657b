//! The faults of docs/faults.md where a Job is created, looked at, waited for, replaced and deleted. A creation is sent
//! once: nobody can tell a second Job from the first.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use hikaru_core::{
    ClusterError, ClusterPort as _, JobName, JobPolicy, JobRequest, JobSource, JobState, Mode,
};
use hikaru_k8s::LiveCluster;
use serde_json::{Value, json};

use super::stub::{Asked, Step, Stub, settings, status};

const YAML: &str = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\nspec: {template: {spec: {restartPolicy: Never, \
                    containers: [{name: c, image: i}]}}}\n";

fn job(uid: &str, status: &Value) -> Value {
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a", "namespace": "shop", "uid": uid},
        "status": status})
}

async fn world(
    script: impl Fn(&Asked, usize) -> Step + Send + Sync + 'static,
) -> (Stub, LiveCluster) {
    let stub = Stub::start(script).await;
    let mut settings = settings();
    settings.jobs = JobPolicy::default();
    settings.jobs.namespaces = Some(vec!["shop".into()]);
    let cluster = stub.cluster_with(settings).await;
    (stub, cluster)
}

fn name() -> JobName {
    "shop/a".parse().expect("a name")
}

fn request(replace: bool) -> JobRequest {
    let mut request = JobRequest::new(JobSource::Yaml(YAML.into()));
    request.namespace = Some("shop".into());
    request.replace = replace;
    request
}

#[tokio::test]
async fn a_creation_meets_each_fault_and_is_sent_once() {
    let refusal =
        |code: u16, reason: &str, words: &str| Step::Answer(code, status(code, reason, words));
    for (step, expected) in [
        (
            refusal(409, "AlreadyExists", "jobs.batch \"a\" already exists"),
            "there is a Job shop/a already: replace it, delete it, or let a name be generated (generateName)",
        ),
        (
            refusal(409, "Conflict", "quota is being changed"),
            "refused: quota is being changed",
        ),
        (
            refusal(403, "Forbidden", "cannot create resource \"jobs\""),
            "not allowed: cannot create resource \"jobs\"",
        ),
        (
            refusal(403, "Forbidden", "exceeded quota: pods"),
            "not allowed: exceeded quota: pods",
        ),
        (
            refusal(
                422,
                "Invalid",
                "spec.template.spec.restartPolicy: Required value",
            ),
            "refused: spec.template.spec.restartPolicy: Required value",
        ),
        (
            refusal(400, "BadRequest", "unknown field \"x\""),
            "refused: unknown field \"x\"",
        ),
        (
            refusal(404, "NotFound", "namespaces \"shop\" not found"),
            "refused: namespaces \"shop\" not found",
        ),
        (
            refusal(503, "ServiceUnavailable", "later"),
            "unavailable: later",
        ),
        (
            refusal(500, "InternalError", "etcdserver: request timed out"),
            "the answer was lost: etcdserver: request timed out; look whether the Job shop/a is there before it is run again",
        ),
        (
            Step::Html(502),
            "the answer was lost: the server answers 502",
        ),
        (
            Step::Cut,
            "look whether the Job shop/a is there before it is run again",
        ),
        (
            Step::Silence,
            "look whether the Job shop/a is there before it is run again",
        ),
        (
            Step::Html(200),
            "the answer was lost: the answer cannot be read",
        ),
        (
            Step::Answer(200, status(200, "", "fine")),
            "the answer was lost: the answer cannot be read",
        ),
    ] {
        let played = step.clone();
        let (stub, cluster) = world(move |_, _| played.clone()).await;
        let create = request(false);
        let ran = cluster.run_job(&create, Mode::Commit);
        let ran = tokio::time::timeout(Duration::from_secs(60), ran);
        let error = ran.await.expect("in time").expect_err("no Job").to_string();
        assert!(error.contains(expected), "{step:?}: {error}");
        assert_eq!((stub.asked().len(), stub.count("POST")), (1, 1), "{step:?}");
        let asked = &stub.asked()[0];
        assert_eq!(asked.path, "/apis/batch/v1/namespaces/shop/jobs");
        assert_eq!(
            (
                asked.parameter("fieldValidation"),
                asked.parameter("fieldManager")
            ),
            ("Strict", "hikaru")
        );
        assert_eq!(
            asked.body["metadata"],
            json!({"name": "a", "namespace": "shop"})
        );
    }
    // Turned away unseen, it is sent again.
    let (stub, cluster) = world(|asked, before| match (&*asked.method, before) {
        ("POST", 0) => Step::RetryAfter(429, 1, status(429, "", "busy")),
        _ => Step::Answer(201, job("u", &json!({}))),
    })
    .await;
    let created = cluster
        .run_job(&request(false), Mode::Commit)
        .await
        .expect("created");
    assert_eq!((&*created.uid, stub.count("POST")), ("u", 2));
}

#[tokio::test]
async fn a_replacement_waits_until_the_other_one_has_gone() {
    let (stub, cluster) = world(|asked, before| match (&*asked.method, before) {
        ("GET", 0..3) => Step::Answer(200, job("old", &json!({"active": 1}))),
        ("GET", 3) => Step::Answer(503, status(503, "", "a moment")),
        ("GET", _) => Step::Answer(404, status(404, "", "gone")),
        ("DELETE", _) => Step::Answer(200, job("old", &json!({}))),
        _ => Step::Answer(201, job("new", &json!({}))),
    })
    .await;
    let created = cluster
        .run_job(&request(true), Mode::Commit)
        .await
        .expect("created");
    assert_eq!(&*created.uid, "new");
    let methods: Vec<_> = stub
        .asked()
        .iter()
        .map(|asked| asked.method.clone())
        .collect();
    assert_eq!(methods.join(" "), "GET DELETE GET GET GET GET POST");
    let deletion = stub.asked()[1].body.clone();
    assert_eq!(
        (
            &deletion["propagationPolicy"],
            &deletion["preconditions"]["uid"]
        ),
        (&json!("Foreground"), &json!("old"))
    );
    // Somebody else was faster: his is left alone.
    let (stub, cluster) = world(|asked, before| match (&*asked.method, before) {
        ("GET", 0) => Step::Answer(200, job("old", &json!({}))),
        ("GET", _) => Step::Answer(200, job("theirs", &json!({}))),
        _ => Step::Answer(200, job("old", &json!({}))),
    })
    .await;
    let error = cluster
        .run_job(&request(true), Mode::Commit)
        .await
        .expect_err("taken")
        .to_string();
    assert_eq!(error, "somebody else has created the Job shop/a meanwhile");
    assert_eq!((stub.count("POST"), stub.count("DELETE")), (0, 1));
}

#[tokio::test]
async fn waiting_bears_what_passes() {
    let looks = AtomicUsize::new(0);
    let (_stub, cluster) = world(move |asked, _| {
        if asked.path.ends_with("/pods") {
            return Step::Answer(
                403,
                status(403, "", "pods is forbidden: cannot list resource \"pods\""),
            );
        }
        match looks.fetch_add(1, Ordering::SeqCst) {
            0 => Step::Answer(
                200,
                job(
                    "u",
                    &json!({"startTime": "2026-11-24T18:00:00Z", "active": 1}),
                ),
            ),
            1 => Step::Answer(500, status(500, "", "etcd")),
            2 | 3 => Step::Cut,
            _ => Step::Answer(
                200,
                job(
                    "u",
                    &json!({"conditions": [{"type": "Failed", "status": "True",
                "reason": "BackoffLimitExceeded", "message": "it failed too often"}]}),
                ),
            ),
        }
    })
    .await;
    let within = Duration::from_secs(30);
    let ended = cluster.job_ended(&name(), within).await.expect("a status");
    assert_eq!(ended.state, JobState::Failed);
    assert_eq!(
        ended.sentence(),
        "failed: it failed too often (BackoffLimitExceeded)"
    );
    assert_eq!(
        ended.warnings,
        [
            "its pods cannot be listed: not allowed: pods is forbidden: cannot list resource \"pods\""
        ]
    );

    let (_stub, cluster) = world(|_, _| Step::Answer(503, status(503, "", "away"))).await;
    let away = cluster.job_ended(&name(), Duration::from_millis(50)).await;
    assert!(
        matches!(away, Err(ClusterError::Unavailable { .. })),
        "{away:?}"
    );
}

#[tokio::test]
async fn what_is_no_answer_is_not_believed() {
    for step in [
        Step::Html(200),
        Step::Answer(200, status(200, "", "fine")),
        Step::Answer(200, json!({"items": 7})),
    ] {
        let played = step.clone();
        let (_stub, cluster) = world(move |_, _| played.clone()).await;
        assert!(cluster.jobs("shop").await.is_err(), "{step:?}");
        assert!(cluster.job(&name()).await.is_err(), "{step:?}");
        assert!(cluster.job_logs(&name()).await.is_err(), "{step:?}");
    }
    let (_stub, cluster) = world(|_, _| Step::Html(200)).await;
    let deleted = cluster.delete_job(&name()).await;
    assert!(matches!(deleted, Err(ClusterError::Lost(_))), "{deleted:?}");
}
