//! What a server tells the keeper of its figures and its observers, and who may read the figures.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use hikaru_core::{
    jobs::{JobCreated, JobName, JobSource, JobState, JobStatus},
    port::{ClusterError, Event, Happening, Observer, WorkloadPort},
};
use hikaru_http::{Authentication, Bound, Metrics, MetricsFormat};

use crate::{
    client::{call, call_with},
    cluster::{BEFORE, definition_of, listener, memory, mock_jobs, serve, shop, tokens, workload},
};

const POST: &str = "/api/image/acme/web:acme_web_main_1.4.0_7_0123abcd";

/// Writes down what it is told.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Told {
    fn tell(&self, line: String) {
        self.0.lock().expect("no panic before").push(line);
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().expect("no panic before").clone()
    }
}

impl Metrics for Told {
    fn answered(&self, route: &'static str, status: u16, _took: Duration, waited: bool) {
        let waited = if waited { ", waited" } else { "" };
        self.tell(format!("{route} {status}{waited}"));
    }

    fn waits(&self, in_flight: usize) {
        if in_flight > 0 {
            self.tell(format!("{in_flight} wait"));
        }
    }

    fn text(&self, format: MetricsFormat) -> String {
        format!("{format:?}")
    }
}

impl Observer for Told {
    fn observe(&self, event: &Event<'_>) {
        let caller = event.caller.map_or("nobody", |caller| &caller.name);
        let what = match event.what {
            Happening::Reported { report, mode } => {
                let codes: Vec<_> = report.codes().map(|code| code.to_string()).collect();
                format!("{mode:?} {}", codes.join(","))
            }
            Happening::MarksRemoved { workload, removed } => {
                format!("removed {} marks of {workload}", removed.len())
            }
            Happening::JobRun { result, mode } => match result {
                Ok(created) => format!("{mode:?} job {}", created.name),
                Err(error) => format!("{mode:?} no job: {error}"),
            },
            Happening::JobDeleted { job } => format!("deleted {job}"),
            Happening::Refused { problem, code, .. } => format!("refused: {problem}, {code}"),
            _ => "something else".to_owned(),
        };
        self.tell(format!("{caller}: {} {what}", event.call));
    }
}

#[tokio::test]
async fn each_answer_is_told_to_the_keeper_of_figures() {
    let told = Arc::new(Told::default());
    let bound = Bound::new(
        listener().await,
        shop(),
        crate::cluster::still_clock(),
        Authentication::Loopback,
    );
    let server = bound.expect("a server").metrics(told.clone()).serve();
    let address = server.address();
    let answer = call(address, "GET", "/metrics").await;
    assert_eq!((answer.status, &*answer.text), (200, "Text"));
    let plain = Some("text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(answer.header("content-type"), plain);
    let accept = ["Accept: application/openmetrics-text;version=1.0.0"];
    let answer = call_with(address, "GET", "/metrics", &accept).await;
    assert_eq!((answer.status, &*answer.text), (200, "OpenMetrics"));
    let open = Some("application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert_eq!(answer.header("content-type"), open);
    call(
        address,
        "GET",
        "/api/candidates/acme/web:acme_web_main_1.4.0_7_0123abcd",
    )
    .await;
    call(address, "POST", &format!("{POST}?dryRun=true")).await;
    call(address, "POST", POST).await;
    call(address, "POST", POST).await;
    // A route that somebody makes up, and an image, are no labels.
    call(address, "GET", "/api/image/../x").await;
    call(address, "GET", "/secret").await;
    assert_eq!(call(address, "POST", "/metrics").await.status, 405);
    assert_eq!(
        told.lines(),
        [
            "/metrics 200",
            "/metrics 200",
            "/api/candidates/{image} 200",
            "/api/image/{image} 200",
            "/api/image/{image} 200",
            "/api/image/{image} 200",
            "/api/image/{image} 400",
            "none 404",
            "/metrics 405",
        ]
    );
}

/// A server that is not started yet, and its observer, which writes down what it is told.
async fn observed(cluster: Arc<dyn WorkloadPort>) -> (Bound, Arc<Told>) {
    let told = Arc::new(Told::default());
    let clock = crate::cluster::still_clock();
    let bound = Bound::new(listener().await, cluster, clock, Authentication::Loopback);
    let bound = bound.expect("a server").observer(told.clone());
    (bound, told)
}

#[tokio::test]
async fn each_report_change_and_refusal_is_told_to_observers() {
    let mut web = workload("shop", "Deployment", "web", &[("web", BEFORE)]);
    web.containers[0].mark = Some("1.3.0_6_d5ecc80e".into());
    let (bound, told) = observed(memory([web])).await;
    let server = bound.serve();
    let address = server.address();
    let plan = "/api/candidates/acme/web:acme_web_main_1.4.0_7_0123abcd";
    call(address, "GET", plan).await;
    call(address, "POST", &format!("{POST}?dryRun=true")).await;
    call(address, "POST", POST).await;
    call(address, "POST", POST).await;
    call(address, "DELETE", "/api/hold/shop/deploy/web").await;
    call(address, "GET", "/secret").await;
    call_with(address, "POST", POST, &["Origin: http://evil.example"]).await;
    assert_eq!(
        told.lines(),
        [
            "anonymous: /api/candidates/{image} DryRun upgrade",
            "anonymous: /api/image/{image} DryRun upgrade",
            "anonymous: /api/image/{image} Commit upgrade",
            "anonymous: /api/image/{image} Commit equal",
            "anonymous: /api/hold/{namespace}/{kind}/{name} removed 1 marks of shop/Deployment/web",
            "anonymous: none refused: unknown-route, unknown-route",
            "nobody: /api/image/{image} refused: browser, browser",
        ]
    );
}

#[tokio::test]
async fn each_job_is_told_to_observers() {
    let name = || JobName::new("shop", "nightly-1").expect("a name");
    let jobs = mock_jobs(|jobs| {
        jobs.expect_define()
            .returning(move |job| match &job.source {
                JobSource::CronJob { name: template, .. } if &**template.name() == "nightly" => {
                    Ok(definition_of(name()))
                }
                _ => Err(ClusterError::Forbidden("no".into())),
            });
        jobs.expect_create()
            .returning(move |_, _| Ok(JobCreated::new(name(), "1")));
        jobs.expect_delete().returning(|_, _| Ok(()));
    });
    let (bound, told) = observed(memory([])).await;
    let server = bound.jobs(jobs).serve();
    let address = server.address();
    call(address, "POST", "/api/job/shop/from/nightly?dryRun=true").await;
    call(address, "POST", "/api/job/shop/from/other").await;
    call(address, "DELETE", "/api/job/shop/nightly-1").await;
    let route = "anonymous: /api/job/{namespace}/from/{cronjob}";
    assert_eq!(
        told.lines(),
        [
            format!("{route} DryRun job shop/nightly-1"),
            format!("{route} Commit no job: not allowed: no"),
            format!("{route} refused: job-forbidden, job-forbidden"),
            "anonymous: /api/job/{namespace}/{name} deleted shop/nightly-1".to_owned(),
        ]
    );
}

#[tokio::test]
async fn requests_that_wait_for_a_job_are_counted_apart() {
    let jobs = mock_jobs(|jobs| {
        let name = || JobName::new("shop", "nightly-1").expect("a name");
        jobs.expect_create()
            .returning(move |_, _| Ok(JobCreated::new(name(), "1")));
        jobs.expect_look().returning(|job, _| {
            let mut status = JobStatus::new(job.clone(), "1");
            status.state = JobState::Complete;
            Ok(status)
        });
    });
    let told = Arc::new(Told::default());
    let bound = Bound::new(
        listener().await,
        memory([]),
        crate::cluster::still_clock(),
        Authentication::Loopback,
    );
    let bound = bound.expect("a server").metrics(told.clone());
    let server = bound.jobs(jobs).serve();
    let target = "/api/job/shop/from/nightly";
    call(server.address(), "POST", target).await;
    call(server.address(), "POST", &format!("{target}?wait=10m")).await;
    let route = "/api/job/{namespace}/from/{cronjob}";
    assert_eq!(
        told.lines(),
        [format!("{route} 201"), format!("{route} 201, waited")]
    );
}

#[tokio::test]
async fn figures_need_a_token_as_the_api_does() {
    let tokens = tokens(["s3cret-t0ken-of-ours"]);
    let bound = Bound::new(
        listener().await,
        shop(),
        crate::cluster::still_clock(),
        tokens,
    )
    .expect("a server");
    let server = bound.metrics(Arc::new(Told::default())).serve();
    let address = server.address();
    assert_eq!(call(address, "GET", "/metrics").await.status, 401);
    let header = ["Authorization: Bearer s3cret-t0ken-of-ours"];
    let answer = call_with(address, "GET", "/metrics", &header).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn without_figures_there_is_no_such_route() {
    let server = serve(shop()).await;
    assert_eq!(call(server.address(), "GET", "/metrics").await.status, 404);
}
