//! A wait for a Job: from the watches on the Job and its pods, and no longer than the pods can start.

use hikaru_core::{
    jobs::{JobCreated, JobName, JobPolicy, JobState, JobStatus, Jobs},
    port::{ClusterError, JobPort},
    rollout::CauseCode,
};
use hikaru_k8s::SystemClock;
use tokio::task::JoinHandle;

use super::*;

const JOBS: &str = "/apis/batch/v1/namespaces/shop/jobs";

fn job_name() -> JobName {
    "shop/migrate".parse().expect("a name")
}

fn job(uid: &str, status: Value) -> Value {
    json!({"apiVersion": "batch/v1", "kind": "Job", "status": status,
        "metadata": {"name": "migrate", "namespace": "shop", "uid": uid, "creationTimestamp": "2026-03-01T10:00:00Z"}})
}

fn running(uid: &str) -> Value {
    job(
        uid,
        json!({"startTime": "2026-03-01T10:00:00Z", "active": 1}),
    )
}

/// A pod of the Job with the uid `u`, whose container is so.
fn pod_of_job(state: &Value) -> Value {
    json!({"metadata": {"name": "migrate-x", "namespace": "shop", "uid": "p", "creationTimestamp": "2026-03-01T10:00:01Z",
            "labels": {"batch.kubernetes.io/controller-uid": "u"},
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": "migrate", "uid": "u", "controller": true}]},
        "spec": {"nodeName": "n", "containers": [{"name": "web", "image": "acme/web:1"}]},
        "status": {"phase": "Pending", "containerStatuses": [{"name": "web", "state": state}]}})
}

/// A cluster in whose time the pods are old.
async fn on_time(stub: &Stub) -> LiveCluster {
    let mut settings = patient();
    settings.clock = Arc::new(SystemClock::default());
    stub.cluster_with(settings).await
}

/// A wait for ten minutes that has begun to watch.
async fn waiting(cluster: &LiveCluster) -> JoinHandle<Result<JobStatus, ClusterError>> {
    let mut policy = JobPolicy::default();
    policy.namespaces = Some(vec!["shop".into()]);
    let clock = Arc::new(SystemClock::default());
    let jobs = Jobs::new(Arc::new(cluster.clone()), policy, clock);
    let waiting = tokio::spawn(async move {
        let created = JobCreated::new(job_name(), "u");
        let within = Duration::from_secs(600);
        jobs.wait(&created, within, &mut |_| {}).await
    });
    follows(cluster, 2).await;
    waiting
}

async fn ended(waiting: JoinHandle<Result<JobStatus, ClusterError>>) -> JobStatus {
    let ended = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    let ended = ended.expect("in time").expect("no panic");
    ended.expect("a status")
}

/// What was asked, without lists of events.
fn asked(stub: &Stub) -> usize {
    let asked = stub.asked();
    let others = asked.iter().filter(|asked| !asked.path.contains("events"));
    others.count()
}

#[tokio::test]
async fn a_wait_ends_by_what_the_watches_tell_and_sends_nothing() {
    let complete = json!({"conditions": [{"type": "Complete", "status": "True"}], "succeeded": 1});
    let failed = json!({"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded",
        "message": "it failed too often"}], "failed": 1});
    for (status, state) in [(complete, JobState::Complete), (failed, JobState::Failed)] {
        let shop = Shop::of(&[]);
        shop.put(JOBS, running("u"));
        let stub = shop.serve().await;
        let cluster = on_time(&stub).await;
        let waiting = waiting(&cluster).await;
        let before = asked(&stub);
        shop.put(PODS, pod_of_job(&json!({"running": {}})));
        shop.put(PODS, pod_of_job(&json!({"terminated": {"exitCode": 3}})));
        shop.put(JOBS, job("u", status));
        let ended = ended(waiting).await;
        assert_eq!((ended.state, ended.cause), (state, None));
        assert_eq!(asked(&stub), before, "{:?}", stub.asked());
    }
}

#[tokio::test]
async fn a_wait_ends_when_the_pods_cannot_start() {
    let waits =
        |reason: &str, message: &str| json!({"waiting": {"reason": reason, "message": message}});
    for (state, code) in [
        (
            waits("ImagePullBackOff", "acme/web:1: not found"),
            CauseCode::ImageNotFound,
        ),
        (
            waits("CreateContainerConfigError", "secret \"db\" not found"),
            CauseCode::ConfigMissing,
        ),
        (
            waits("InvalidImageName", "couldn't parse"),
            CauseCode::ImageNameInvalid,
        ),
    ] {
        let shop = Shop::of(&[]);
        shop.put(JOBS, running("u"));
        let stub = shop.serve().await;
        let cluster = on_time(&stub).await;
        let waiting = waiting(&cluster).await;
        let before = asked(&stub);
        shop.put(PODS, pod_of_job(&state));
        let ended = ended(waiting).await;
        assert_eq!(ended.state, JobState::Running);
        assert_eq!(ended.cause.map(|cause| cause.code), Some(code));
        assert_eq!(asked(&stub), before, "{:?}", stub.asked());
    }
}

/// The pod of a Job is refused: only an event of the Job tells it.
#[tokio::test]
async fn pods_that_are_refused_are_found_in_the_events() {
    let shop = Shop::of(&[]);
    shop.put(JOBS, running("u"));
    let script = shop.clone();
    let message = "Error creating: pods \"migrate-x\" is forbidden: violates PodSecurity \"restricted:latest\": privileged";
    let refused = json!({"metadata": {"name": "e", "namespace": "shop", "uid": "e"}, "type": "Warning", "reason": "FailedCreate",
        "message": message, "count": 1, "lastTimestamp": "2026-03-01T10:00:02Z",
        "involvedObject": {"kind": "Job", "name": "migrate", "namespace": "shop", "uid": "u"}});
    let stub = Stub::start(move |asked, _| match asked.path.contains("events") {
        true => Step::Answer(200, list(std::slice::from_ref(&refused), 9)),
        false => script.answer(asked),
    })
    .await;
    let cluster = on_time(&stub).await;
    let mut policy = JobPolicy::default();
    policy.namespaces = Some(vec!["shop".into()]);
    let clock = Arc::new(SystemClock::default());
    let jobs = Jobs::new(Arc::new(cluster), policy, clock);
    let created = JobCreated::new(job_name(), "u");
    let mut ignore = |_: &str| {};
    let waited = jobs.wait(&created, Duration::from_secs(600), &mut ignore);
    let waited = tokio::time::timeout(Duration::from_secs(60), waited).await;
    let status = waited.expect("in time").expect("a status");
    let cause = status.cause.expect("a cause");
    assert_eq!(cause.code, CauseCode::PodsRefused);
    assert!(
        cause.message.contains("violates PodSecurity"),
        "{}",
        cause.message
    );
    // Whoever asks once is told the same.
    let asked = jobs.status(&job_name()).await.expect("a status");
    assert_eq!(asked.cause, Some(cause));
}

/// A Job is replaced, and its watch still has the one before.
#[tokio::test]
async fn a_watch_that_is_behind_does_not_tell_of_the_job_before() {
    let shop = Shop::of(&[]);
    shop.put(JOBS, running("u"));
    let script = shop.clone();
    let stub = Stub::start(move |asked, _| {
        match !asked.is_watch() && asked.path == format!("{JOBS}/migrate") {
            true => Step::Answer(200, running("new")),
            false => script.answer(asked),
        }
    })
    .await;
    let cluster = on_time(&stub).await;
    let _changes = {
        let mut changes = JobPort::changed(&cluster, &job_name());
        assert_eq!(changes.next().await, Some(()));
        changes
    };
    for (uid, expected) in [("u", "u"), ("", "u"), ("new", "new")] {
        let status = cluster.look(&job_name(), uid).await.expect("a status");
        assert_eq!(&*status.uid, expected);
    }
}
