//! Logs: without the right to them no answer has a text that may come from one.

use std::{sync::Arc, time::SystemTime};

use async_trait::async_trait;
use hikaru_core::{
    Mode, WorkloadId,
    caller::Caller,
    jobs::{JobCreated, JobLog, JobName, JobState, JobStatus, Jobs},
    port::JobPods,
    rollout::{ContainerFacts, ContainerState, PodFacts, Rollouts, Terminated},
};
use hikaru_http::{AuthRequest, Authenticator, Bound, Denied};

use super::{bound, bound_jobs, caller};
use crate::{
    client::{call, call_with},
    cluster::{listener, memory, mock_jobs, still_clock},
    rollouts::put_crashing,
};

/// It stands in the log, and at its end in the termination message.
const WRITTEN: &str = "no database";

#[tokio::test]
async fn evidence_has_no_log_without_the_right_to_it() {
    let cluster = memory([]);
    put_crashing(&cluster);
    let id = WorkloadId::new("shop", "Deployment", "web");
    cluster.tell_rollout(&id, |facts| {
        let pod = Arc::make_mut(&mut facts.pods[0]);
        pod.containers[0].ends_with_log = true;
        let last = pod.containers[0].last.as_mut().expect("a last run");
        last.message = WRITTEN.into();
    });
    // The second one is told what is remembered for it, not what the first one was told.
    let with = bound(cluster.clone(), caller(&["read", "logs"])).await;
    let with = with.serve();
    let without = bound(cluster, caller(&["read"])).await.serve();
    for path in [
        "/api/rollout/shop/deploy/web",
        "/api/rollout/shop/deploy/web?wait=10m",
        "/api/status",
        "/api/verify/acme/web:acme_web_main_1.4.0_7_0123abcd",
        "/api/verify/acme/web:acme_web_main_1.4.0_7_0123abcd?wait=10m",
    ] {
        let all = call(with.address(), "GET", path).await;
        assert!(all.text.contains(WRITTEN), "{path}: {}", all.text);
        let cut = call(without.address(), "GET", path).await;
        assert!(!cut.text.contains(WRITTEN), "{path}: {}", cut.text);
        // What went wrong is told all the same.
        assert!(cut.text.contains("CrashLoop"), "{path}: {}", cut.text);
    }
}

/// Gives the right `logs` to whoever asks for it.
struct AsItSays;

#[async_trait]
impl Authenticator for AsItSays {
    async fn authenticate(&self, request: AuthRequest<'_>) -> Result<Caller, Denied> {
        Ok(match request.headers.contains_key("x-logs") {
            true => caller(&["read", "logs"]),
            false => caller(&["read"]),
        })
    }
}

#[tokio::test]
async fn one_caller_is_not_told_what_is_remembered_for_another() {
    let cluster = memory([]);
    put_crashing(&cluster);
    let clock = still_clock();
    let rollouts = Rollouts::new(cluster.clone(), Some(cluster.clone()), clock.clone(), true);
    let bound = Bound::new(listener().await, cluster, clock, AsItSays).expect("a server");
    let server = bound.rollouts(rollouts).serve();
    let path = "/api/rollout/shop/deploy/web";
    for _ in 0..2 {
        let all = call_with(server.address(), "GET", path, &["X-Logs: please"]).await;
        assert!(all.json()["evidence"]["log"].is_object(), "{}", all.text);
        let cut = call(server.address(), "GET", path).await;
        assert_eq!(cut.json()["evidence"].get("log"), None, "{}", cut.text);
    }
}

/// Jobs of which one fails, whose last words are in its log.
fn failing() -> Jobs {
    let migrate = || JobName::new("shop", "migrate").expect("a name");
    mock_jobs(|jobs| {
        jobs.expect_create().returning(move |_, mode| {
            assert_eq!(mode, Mode::Commit);
            Ok(JobCreated::new(migrate(), "1"))
        });
        let status = move || {
            let mut status = JobStatus::new(migrate(), "1");
            status.state = JobState::Failed;
            status
        };
        jobs.expect_get().returning(move |_| Ok(status()));
        jobs.expect_look().returning(move |_, _| Ok(status()));
        jobs.expect_pods().returning(|_| {
            let mut container = ContainerFacts::default();
            container.name = "web".into();
            container.ends_with_log = true;
            let mut ended = Terminated::default();
            (ended.exit_code, ended.reason) = (3, "Error".into());
            ended.message = WRITTEN.into();
            container.state = ContainerState::Terminated(ended);
            let mut pod = PodFacts::default();
            pod.name = "migrate-x".into();
            pod.containers.push(container);
            let mut pods = JobPods::none(SystemTime::UNIX_EPOCH);
            pods.pods.push(pod.into());
            Ok(pods)
        });
        jobs.expect_logs().returning(|_| {
            Ok(vec![JobLog {
                pod: "migrate-x".into(),
                container: "web".into(),
                text: Ok(format!("{WRITTEN}\n")),
            }])
        });
    })
}

#[tokio::test]
async fn a_job_tells_no_log_without_the_right_to_it() {
    let with = bound_jobs(failing(), caller(&["jobs", "logs"]))
        .await
        .serve();
    let without = bound_jobs(failing(), caller(&["jobs"])).await.serve();
    for (method, path) in [
        ("GET", "/api/job/shop/migrate"),
        ("POST", "/api/job/shop/from/nightly?wait=10m"),
    ] {
        let all = call(with.address(), method, path).await;
        assert!(all.text.contains(WRITTEN), "{path}: {}", all.text);
        let cut = call(without.address(), method, path).await;
        assert!(!cut.text.contains(WRITTEN), "{path}: {}", cut.text);
        assert!(cut.text.contains("\"exitCode\":3"), "{path}: {}", cut.text);
    }
    let log = "/api/job/shop/migrate/log";
    let all = call(with.address(), "GET", log).await;
    assert!(all.text.contains(WRITTEN), "{}", all.text);
    let refused = call(without.address(), "GET", log).await;
    assert_eq!(refused.problem().1, "the caller ci lacks the right logs");
}
