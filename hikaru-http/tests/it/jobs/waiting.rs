//! Waiting for a Job to end, and what ends the waiting: its time, its client, the server. A creation that was begun is
//! finished.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use hikaru_core::{
    Mode,
    jobs::{
        JobCreated, JobDefinition, JobList, JobLog, JobName, JobRequest, JobState, JobStatus, Jobs,
        JudgedJob,
    },
    port::{Clock as _, ClusterError, JobPods, JobPort},
    rollout::{ContainerFacts, ContainerState, PodFacts},
    testing::StillClock,
};
use hikaru_http::{Authentication, Limits};
use serde_json::json;
use tokio::{sync::Semaphore, time::timeout};

use super::{DEFINITION, JSON, created, failed, migrate, mocked, post, status};
use crate::{
    client::{Client, LONG, call, request},
    cluster::{definition_of, jobs_on, mock_port, serve_jobs, serve_jobs_with, still_clock, works},
};

/// A cluster whose Jobs are created and end when they are let through.
#[derive(Default)]
struct Gated {
    create: Gate,
    end: Gate,
}

struct Gate {
    begun: Semaphore,
    open: Semaphore,
    passed: AtomicUsize,
    left: AtomicUsize,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            begun: Semaphore::new(0),
            open: Semaphore::new(0),
            passed: AtomicUsize::new(0),
            left: AtomicUsize::new(0),
        }
    }
}

/// Counts who goes away while it waits.
struct Waits<'g>(&'g Gate, bool);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let count = if self.1 { &self.0.passed } else { &self.0.left };
        count.fetch_add(1, Ordering::SeqCst);
    }
}

impl Gate {
    async fn pass(&self) {
        let mut waits = Waits(self, false);
        self.begun.add_permits(1);
        self.open.acquire().await.expect("open").forget();
        waits.1 = true;
    }

    async fn wait_for_one(&self) {
        let begun = timeout(LONG, self.begun.acquire()).await;
        begun.expect("in time").expect("open").forget();
    }

    async fn until(&self, which: impl Fn(&Self) -> &AtomicUsize) {
        let counted = async {
            while which(self).load(Ordering::SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(LONG, counted).await.expect("in time");
    }
}

impl Gated {
    fn jobs(self: &Arc<Self>) -> Jobs {
        jobs_on(self.clone(), still_clock())
    }
}

#[async_trait]
impl JobPort for Gated {
    async fn define(&self, _: &JobRequest) -> Result<JobDefinition, ClusterError> {
        Ok(definition_of(migrate()))
    }

    async fn create(&self, _: &JudgedJob, _: Mode) -> Result<JobCreated, ClusterError> {
        self.create.pass().await;
        Ok(created())
    }

    async fn get(&self, _: &JobName) -> Result<JobStatus, ClusterError> {
        self.end.pass().await;
        Ok(status(JobState::Complete))
    }

    async fn list(&self, _: &str) -> Result<JobList, ClusterError> {
        Ok(JobList::default())
    }

    async fn delete<'a>(&'a self, _: &'a JobName, _: Option<&'a str>) -> Result<(), ClusterError> {
        Err(ClusterError::NotFound("it".into()))
    }

    async fn pods(&self, _: &JobStatus) -> Result<JobPods, ClusterError> {
        Ok(JobPods::none(SystemTime::UNIX_EPOCH))
    }

    async fn logs(&self, _: &JobName) -> Result<Vec<JobLog>, ClusterError> {
        Err(ClusterError::NotFound("it".into()))
    }
}

fn definition(query: &str) -> String {
    let length = format!("Content-Length: {}", DEFINITION.len());
    let head = request("POST", &format!("/api/job{query}"), &[JSON, &length]);
    format!("{head}{DEFINITION}")
}

#[tokio::test]
async fn the_end_of_a_job_decides_the_status() {
    use ClusterError as E;
    let sentence = "failed: the container web of the pod migrate-x ended with exit code 3 (Error); \
                    Job has reached the specified backoff limit (BackoffLimitExceeded)";
    let unavailable = E::Unavailable {
        message: "refused".into(),
        retry_after: Some(Duration::from_secs(1)),
    };
    for (ended, code, problem, detail) in [
        (Ok(status(JobState::Complete)), 201, "", String::new()),
        (Ok(failed()), 409, "job-failed", format!("the job shop/migrate {sentence}")),
        (
            Ok(status(JobState::Running)),
            504,
            "job-unfinished",
            "the job shop/migrate has not ended within 1h30m and goes on (running: 0 active, 0 succeeded, 0 failed): \
             GET /api/job/shop/migrate"
                .to_owned(),
        ),
        (
            Err(E::NotFound("Job shop/migrate".into())),
            502,
            "incomplete",
            "the job shop/migrate was created, but what became of it is not known: it was gone before it was seen to end"
                .to_owned(),
        ),
        (
            Err(E::Exists("another Job has taken the name".to_owned())),
            502,
            "incomplete",
            "the job shop/migrate was created, but what became of it is not known: another Job has taken the name".to_owned(),
        ),
        (
            Err(unavailable),
            502,
            "incomplete",
            "the job shop/migrate was created, but what became of it is not known: unavailable: refused".to_owned(),
        ),
    ] {
        let told = ended.clone();
        let port = mock_port(|jobs| {
            jobs.expect_create().returning(|_, _| Ok(created()));
            jobs.expect_look().returning(move |name, uid| {
                assert_eq!((name, uid), (&migrate(), "4f5a"));
                told.clone()
            });
        });
        let clock = Arc::new(StillClock::default());
        let server = serve_jobs(jobs_on(port, clock.clone())).await;
        let answer = post(&server, "?wait=1h30m").await;
        assert_eq!(answer.status, code, "{}", answer.text);
        assert_eq!(answer.header("location"), Some("/api/job/shop/migrate"));
        let mut job = answer.json();
        if code != 201 {
            assert_eq!(answer.problem(), (problem.to_owned(), detail));
            assert_eq!(job["status"], code);
            job = job["job"].clone();
        }
        assert_eq!(job["uid"], "4f5a");
        if problem == "job-unfinished" {
            assert_eq!(clock.elapsed(), Duration::from_secs(5400));
        }
        let state = ended.ok().map(|status| status.state.to_string());
        assert_eq!(job["status"]["state"].as_str(), state.as_deref());
    }
}

/// Its image name is no reference, which fails at once.
fn cannot_start() -> JobPods {
    let mut web = ContainerFacts::default();
    (web.name, web.image) = ("web".into(), "acme/Web:1".into());
    web.state = ContainerState::Waiting {
        reason: "InvalidImageName".into(),
        message: "couldn't parse image name".into(),
    };
    let mut pod = PodFacts::default();
    (pod.name, pod.uid) = ("migrate-x".into(), "p".into());
    pod.owner = Some("4f5a".into());
    pod.containers.push(web);
    let mut pods = JobPods::none(SystemTime::UNIX_EPOCH);
    pods.pods.push(Arc::new(pod));
    pods
}

#[tokio::test]
async fn a_job_that_cannot_start_ends_the_wait_with_the_cause() {
    let clock = Arc::new(StillClock::default());
    let port = mock_port(|jobs| {
        jobs.expect_create().returning(|_, _| Ok(created()));
        let running = || Ok(status(JobState::Running));
        jobs.expect_get().returning(move |_| running());
        jobs.expect_look().returning(move |_, _| running());
        jobs.expect_pods().returning(|_| Ok(cannot_start()));
    });
    let server = serve_jobs(jobs_on(port, clock.clone())).await;
    let answer = post(&server, "?wait=1h30m").await;
    assert_eq!(clock.elapsed(), Duration::ZERO);
    let sentence = "cannot start: 1 of 1 pods cannot pull the image of container web: acme/Web:1 is no valid image reference; write \
                    it as registry/repository:tag";
    let detail = format!(
        "the job shop/migrate {sentence}; it is left as it is, and can be deleted: DELETE /api/job/shop/migrate"
    );
    assert_eq!(
        (answer.status, answer.problem()),
        (409, ("job-failed".to_owned(), detail))
    );
    assert_eq!(answer.header("location"), Some("/api/job/shop/migrate"));
    let told = answer.json()["job"]["status"].clone();
    assert_eq!(
        (&told["state"], &told["reason"]),
        (&json!("running"), &json!(sentence))
    );
    let cause = json!({"code": "ImageNameInvalid", "pod": "migrate-x", "container": "web", "count": 1,
        "message": format!("shop/Job/migrate: {}", &sentence["cannot start: ".len()..]),
        "details": {"image": "acme/Web:1", "said": "couldn't parse image name"}});
    assert_eq!(told["cause"], cause);
    // Whoever asks for the Job is told the same.
    let got = call(server.address(), "GET", "/api/job/shop/migrate").await;
    assert_eq!((got.status, got.json()), (200, told));
}

#[tokio::test]
async fn a_panic_while_waiting_is_told() {
    let server = mocked(|jobs| {
        jobs.expect_create().returning(|_, _| Ok(created()));
        jobs.expect_look().returning(|_, _| panic!("as planned"));
    })
    .await;
    let answer = post(&server, "?wait=5m").await;
    assert_eq!((answer.status, &*answer.problem().0), (502, "incomplete"));
    let server = mocked(|jobs| {
        jobs.expect_create().returning(|_, _| panic!("as planned"));
    })
    .await;
    let answer = post(&server, "?wait=5m").await;
    assert_eq!((answer.status, &*answer.problem().0), (500, "internal"));
    works(server.address()).await;
}

#[tokio::test]
async fn a_wait_for_a_job_does_not_hold_up_a_drain() {
    let cluster = Arc::new(Gated::default());
    let server = serve_jobs(cluster.jobs()).await;
    cluster.create.open.add_permits(1);
    let mut client = Client::connect(server.address()).await;
    client.send(definition("?wait=24h")).await;
    cluster.end.wait_for_one().await;
    let mut draining = server.drain();
    let answer = client.answer().await;
    let expected = "hikaru is stopping; the job goes on: GET /api/job/shop/migrate";
    assert_eq!(
        (answer.status, answer.problem()),
        (503, ("stopping".into(), expected.into()))
    );
    assert_eq!(answer.header("location"), Some("/api/job/shop/migrate"));
    assert_eq!(answer.header("retry-after"), None, "it would run twice");
    assert_eq!(answer.json()["job"]["uid"], "4f5a");
    timeout(LONG, draining.finished()).await.expect("the end");
    assert_eq!(cluster.end.left.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_creation_is_finished_in_a_drain_and_not_waited_for() {
    let cluster = Arc::new(Gated::default());
    let server = serve_jobs(cluster.jobs()).await;
    let mut client = Client::connect(server.address()).await;
    client.send(definition("?wait=24h")).await;
    cluster.create.wait_for_one().await;
    let mut draining = server.drain();
    let early = timeout(Duration::from_millis(100), draining.finished()).await;
    assert!(early.is_err(), "it is being created");
    cluster.create.open.add_permits(1);
    let answer = client.answer().await;
    assert_eq!((answer.status, &*answer.problem().0), (503, "stopping"));
    timeout(LONG, draining.finished()).await.expect("the end");
}

#[tokio::test]
async fn a_creation_outlives_its_client() {
    let cluster = Arc::new(Gated::default());
    let server = serve_jobs(cluster.jobs()).await;
    let mut client = Client::connect(server.address()).await;
    client.send(definition("?wait=24h")).await;
    cluster.create.wait_for_one().await;
    drop(client);
    works(server.address()).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(cluster.create.left.load(Ordering::SeqCst), 0);
    cluster.create.open.add_permits(1);
    cluster.create.until(|gate| &gate.passed).await;
    timeout(LONG, server.drain().finished())
        .await
        .expect("the end");
    assert_eq!(cluster.end.begun.available_permits(), 0, "nobody waits");
}

#[tokio::test]
async fn a_client_that_hangs_up_waits_no_more() {
    let cluster = Arc::new(Gated::default());
    let server = serve_jobs(cluster.jobs()).await;
    cluster.create.open.add_permits(1);
    let mut client = Client::connect(server.address()).await;
    client.send(definition("?wait=24h")).await;
    cluster.end.wait_for_one().await;
    drop(client);
    cluster.end.until(|gate| &gate.left).await;
    works(server.address()).await;
}

#[tokio::test]
async fn a_wait_is_longer_than_an_answer_may_take() {
    let cluster = Arc::new(Gated::default());
    let mut limits = Limits::default();
    limits.answer = Duration::from_millis(100);
    let server = serve_jobs_with(cluster.jobs(), Authentication::Loopback, limits).await;
    cluster.create.open.add_permits(1);
    let mut client = Client::connect(server.address()).await;
    client.send(definition("?wait=1m")).await;
    cluster.end.wait_for_one().await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_millis(300)).await;
    tokio::time::resume();
    cluster.end.open.add_permits(1);
    assert_eq!(client.answer().await.status, 201);

    // A creation is not: it goes on all the same.
    let mut client = Client::connect(server.address()).await;
    client.send(definition("?wait=1m")).await;
    let answer = client.answer().await;
    assert_eq!((answer.status, &*answer.problem().0), (504, "timeout"));
    cluster.create.open.add_permits(1);
    cluster.create.until(|gate| &gate.passed).await;
    assert_eq!(cluster.create.left.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn waiting_for_a_job_holds_no_permit_to_create() {
    let cluster = Arc::new(Gated::default());
    let mut limits = Limits::default();
    limits.jobs = 1;
    let server = serve_jobs_with(cluster.jobs(), Authentication::Loopback, limits).await;
    cluster.create.open.add_permits(2);
    let mut first = Client::connect(server.address()).await;
    first.send(definition("?wait=24h")).await;
    cluster.end.wait_for_one().await;
    let mut second = Client::connect(server.address()).await;
    second.send(definition("")).await;
    assert_eq!(second.answer().await.status, 201);
    cluster.end.open.add_permits(1);
    assert_eq!(first.answer().await.status, 201);
}

#[tokio::test]
async fn there_are_so_many_waits_and_one_more_creates_nothing() {
    let cluster = Arc::new(Gated::default());
    let mut limits = Limits::default();
    limits.waits = 1;
    let server = serve_jobs_with(cluster.jobs(), Authentication::Loopback, limits).await;
    cluster.create.open.add_permits(3);
    let mut first = Client::connect(server.address()).await;
    first.send(definition("?wait=24h")).await;
    cluster.end.wait_for_one().await;
    let created = || cluster.create.passed.load(Ordering::SeqCst);
    let busy = post(&server, "?wait=1m").await;
    let detail = "too many calls wait for rollouts or Jobs to end: nothing was done";
    assert_eq!(
        (busy.status, busy.problem()),
        (503, ("busy".into(), detail.into()))
    );
    assert_eq!((busy.header("retry-after").is_some(), created()), (true, 1));
    assert_eq!(post(&server, "").await.status, 201, "it does not wait");
    cluster.end.open.add_permits(2);
    assert_eq!(first.answer().await.status, 201);
    assert_eq!(post(&server, "?wait=1m").await.status, 201);
}

#[tokio::test]
async fn an_abort_while_creating_is_told_as_lost_or_not_at_all() {
    let cluster = Arc::new(Gated::default());
    let server = serve_jobs(cluster.jobs()).await;
    let mut client = Client::connect(server.address()).await;
    client.send(definition("")).await;
    cluster.create.wait_for_one().await;
    assert_eq!(server.drain().abort(), 1);
    let answer = client.answer_to("POST").await;
    assert!(answer.is_none_or(|answer| answer.problem().0 == "lost"));
    cluster.create.until(|gate| &gate.left).await;
}
