//! Acting on plans over a port that refuses, loses answers and is changed by people in between.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use hikaru_core::{
    Build, Container, IdentityLabels, Mode, Request, TagFormats, Text, Workload, WorkloadId,
    policy::Change,
    port::{
        Clock, ClusterError, Fault, Found, Freshness, Scope, Select, Severity, WorkloadPort,
        Written,
    },
    testing::{MemoryCluster, MockWorkloadPort, StillClock},
    upgrade,
    upgrade::{ATTEMPTS, LOST_WRITES, Outcome, Report},
    workload::{Place, Setting, WorkloadName},
};

fn image(n: u64) -> String {
    format!("acme/web:acme_web_main_1.4.0_{n}_0123abcd")
}

fn web(n: u64) -> Workload {
    let mut workload = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
    workload.labels = IdentityLabels::new("acme", "web", "main");
    workload.containers.push(Container::new("web", image(n)));
    workload
}

async fn post(port: &dyn WorkloadPort, n: u64) -> Report {
    let build = Build::parse(&image(n), &TagFormats::default()).expect("a build");
    upgrade(
        port,
        &hikaru_core::testing::StillClock::default(),
        Request::new(build),
        Mode::Commit,
    )
    .await
    .expect("an answer")
}

type Between = Box<dyn FnOnce(&MemoryCluster) + Send>;

/// A cluster where something happens between judging and the first writes, and where answers can be lost.
struct Interrupted {
    cluster: MemoryCluster,
    before_writes: Mutex<Vec<Between>>,
    lost: Option<Lost>,
    writes: AtomicUsize,
}

#[derive(Clone, Copy)]
enum Lost {
    BeforeTheWrite,
    AfterTheWrite,
}

impl Interrupted {
    fn new(workload: Workload) -> Self {
        let cluster = MemoryCluster::default();
        cluster.put(workload);
        Self {
            cluster,
            before_writes: Mutex::default(),
            lost: None,
            writes: AtomicUsize::new(0),
        }
    }

    fn before_a_write(self, between: impl FnOnce(&MemoryCluster) + Send + 'static) -> Self {
        self.before_writes
            .lock()
            .expect("lock")
            .push(Box::new(between));
        self
    }

    fn image(&self) -> String {
        let web = self.cluster.get(&web(0).id).expect("web");
        web.containers[0].image.to_string()
    }
}

#[async_trait]
impl WorkloadPort for Interrupted {
    fn freshness(&self) -> Freshness {
        self.cluster.freshness()
    }
    async fn find(&self, scope: &Scope) -> Result<Found, ClusterError> {
        self.cluster.find(scope).await
    }
    async fn read(&self, id: &WorkloadId) -> Result<Option<Workload>, ClusterError> {
        self.cluster.read(id).await
    }
    async fn write(&self, change: &Change, mode: Mode) -> Result<Written, ClusterError> {
        let between = self.before_writes.lock().expect("lock").pop();
        if let Some(between) = between {
            between(&self.cluster);
        }
        let lost = || Err(ClusterError::Lost("connection reset".into()));
        match (self.writes.fetch_add(1, Ordering::Relaxed), self.lost) {
            (0, Some(Lost::BeforeTheWrite)) => lost(),
            (0, Some(Lost::AfterTheWrite)) => {
                self.cluster.write(change, mode).await?;
                lost()
            }
            _ => self.cluster.write(change, mode).await,
        }
    }
    async fn unhold(
        &self,
        workload: &WorkloadName,
        container: Option<Text>,
    ) -> Result<Vec<(Text, Text)>, ClusterError> {
        self.cluster.unhold(workload, container).await
    }
}

#[tokio::test]
async fn an_opt_out_between_judging_and_writing_is_honored() {
    let cluster = Interrupted::new(web(1)).before_a_write(|cluster| {
        cluster.edit(&web(0).id, |w| {
            w.settings
                .push(Setting::new(Place::Annotation, "upgrade", "manual"));
        });
    });
    let report = post(&cluster, 2).await;
    assert_eq!(report.entries[0].outcome, Outcome::Unchanged);
    assert_eq!(
        report.codes().map(|c| c.as_str()).collect::<Vec<_>>(),
        ["manual"]
    );
    assert_eq!(cluster.image(), image(1));
}

#[tokio::test]
async fn what_is_relabeled_in_between_is_left_alone_and_told() {
    let cluster = Interrupted::new(web(1)).before_a_write(|cluster| {
        cluster.edit(&web(0).id, |w| {
            w.labels = IdentityLabels::new("acme", "web", "dev")
        });
    });
    let report = post(&cluster, 2).await;
    assert!(report.entries.is_empty());
    assert!(report.faults[0].message.contains("no longer matches"));
    assert_eq!(cluster.image(), image(1));
}

/// Build 9 is judged against 8; meanwhile hikaru deploys 10 and a person goes back to 8: 9 stays out.
#[tokio::test]
async fn a_build_below_the_mark_is_not_written_though_the_image_is_back() {
    let cluster = Interrupted::new(web(8)).before_a_write(|cluster| {
        let deployed = futures_util::FutureExt::now_or_never(post(cluster, 10));
        assert_eq!(
            deployed.expect("done").entries[0].outcome,
            Outcome::Upgraded
        );
        cluster.edit(&web(0).id, |w| w.containers[0].image = image(8).into());
    });
    let report = post(&cluster, 9).await;
    assert_eq!(
        report.codes().map(|c| c.as_str()).collect::<Vec<_>>(),
        ["held"]
    );
    assert_eq!(cluster.image(), image(8));
}

#[tokio::test]
async fn a_higher_build_of_another_replica_is_not_overwritten() {
    let cluster = Interrupted::new(web(1)).before_a_write(|cluster| {
        cluster.edit(&web(0).id, |w| w.containers[0].image = image(3).into());
    });
    let report = post(&cluster, 2).await;
    assert_eq!(
        report.codes().map(|c| c.as_str()).collect::<Vec<_>>(),
        ["obsolete"]
    );
    assert_eq!(cluster.image(), image(3));
}

#[tokio::test]
async fn a_lost_answer_is_found_out_by_reading() {
    for (lost, writes) in [(Lost::BeforeTheWrite, 2), (Lost::AfterTheWrite, 1)] {
        let mut cluster = Interrupted::new(web(1));
        cluster.lost = Some(lost);
        let report = post(&cluster, 2).await;
        assert_eq!(report.entries[0].outcome, Outcome::Upgraded);
        let entry = &report.entries[0].entry;
        assert_eq!(
            &*entry.workload.containers[0].image,
            image(1),
            "from what it ran"
        );
        assert_eq!(cluster.image(), image(2));
        assert_eq!(cluster.writes.load(Ordering::Relaxed), writes);
    }
}

/// A cluster with one workload that is never written: each write gets these answers.
fn loses_every_write(
    answers: impl Fn() -> Vec<Result<Written, ClusterError>> + Send + 'static,
) -> MockWorkloadPort {
    let mut port = MockWorkloadPort::new();
    port.expect_freshness().return_const(Freshness::Fresh);
    port.expect_find()
        .returning(|_| Ok(Found::new(vec![web(1).into()], Vec::new())));
    port.expect_write_all()
        .times(LOST_WRITES)
        .returning(move |_, _| answers());
    port.expect_read()
        .times(LOST_WRITES)
        .returning(|_| Ok(Some(web(1))));
    port
}

#[tokio::test]
async fn a_cluster_that_loses_every_answer_is_left_alone_in_between() {
    let port = loses_every_write(|| vec![Err(ClusterError::Lost("connection reset".into()))]);
    let clock = StillClock::default();
    let build = Build::parse(&image(2), &TagFormats::default()).expect("a build");
    let report = upgrade(&port, &clock, Request::new(build), Mode::Commit).await;
    let report = report.expect("an answer");
    assert_eq!(clock.elapsed(), Duration::from_millis(2500));
    let error = ClusterError::Lost("connection reset".into());
    assert_eq!(report.entries[0].outcome, Outcome::Failed(error));
}

#[tokio::test]
async fn a_write_without_an_answer_is_read_before_it_is_repeated() {
    let port = loses_every_write(Vec::new);
    let report = post(&port, 2).await;
    let error = ClusterError::Lost("the cluster gave no answer".into());
    assert_eq!(report.entries[0].outcome, Outcome::Failed(error));
}

/// Who may read one namespace asks there, and then everywhere for what nearly matches, which he may not.
#[tokio::test]
async fn near_misses_that_cannot_be_read_do_not_hide_that_nothing_matched() {
    for refused in [
        Err(ClusterError::Forbidden("cannot list".into())),
        Ok(Found::new(
            Vec::new(),
            vec![Fault::new(Severity::Failure, "pods", "cannot list")],
        )),
    ] {
        let mut port = MockWorkloadPort::new();
        port.expect_freshness().return_const(Freshness::Fresh);
        port.expect_find()
            .returning(move |scope| match scope.select {
                Select::Near(_) => refused.clone(),
                _ => Ok(Found::default()),
            });
        let report = post(&port, 2).await;
        assert!(report.nothing_matched() && !report.has_failures());
        assert_eq!(report.faults.len(), 1, "{:?}", report.faults);
        assert!(report.faults[0].message.contains("cannot list"));
    }
}

#[tokio::test]
async fn somebody_who_never_rests_is_given_way_to() {
    let mut cluster = Interrupted::new(web(1));
    for n in 0..ATTEMPTS {
        let image = format!("acme/web:latest-{n}");
        cluster = cluster.before_a_write(move |cluster| {
            cluster.edit(&web(0).id, |w| w.containers[0].image = image.into());
        });
    }
    let report = post(&cluster, 2).await;
    assert_eq!(report.entries[0].outcome, Outcome::Contended);
    assert!(report.has_failures());
    assert_eq!(cluster.writes.load(Ordering::Relaxed), ATTEMPTS);
}

#[tokio::test]
async fn one_failure_does_not_stop_the_others() {
    let mut port = MockWorkloadPort::new();
    let second = {
        let mut second = web(1);
        second.id = WorkloadId::new("shop", "Deployment", "zweb");
        second
    };
    let all = vec![web(1).into(), second.into()];
    port.expect_freshness().return_const(Freshness::Fresh);
    port.expect_find()
        .times(1)
        .returning(move |_| Ok(Found::new(all.clone(), Vec::new())));
    let answer = |change: &Change| match &*change.judged().id.name {
        "web" => Err(ClusterError::Forbidden("deployments is forbidden".into())),
        _ => Ok(Written::default()),
    };
    port.expect_write_all()
        .times(1)
        .returning(move |changes, _| changes.iter().map(answer).collect());
    let report = post(&port, 2).await;
    let failure = report.entries[0].outcome.failure();
    assert_eq!(
        failure.as_deref(),
        Some("not allowed: deployments is forbidden")
    );
    assert_eq!(report.entries[1].outcome, Outcome::Upgraded);
}

#[tokio::test]
async fn a_view_that_is_out_of_date_gives_no_answer_rather_than_a_wrong_one() {
    for freshness in [
        Freshness::Syncing { reason: None },
        Freshness::Stale { reason: None },
    ] {
        let mut port = MockWorkloadPort::new();
        port.expect_freshness().return_const(freshness);
        let build = Build::parse(&image(2), &TagFormats::default()).expect("a build");
        let error = upgrade(
            &port,
            &hikaru_core::testing::StillClock::default(),
            Request::new(build),
            Mode::Commit,
        )
        .await
        .expect_err("no answer");
        assert!(error.is_retryable() && matches!(error, ClusterError::Unavailable { .. }));
    }
}

#[tokio::test]
async fn unhold_lets_a_lower_build_go_out_again() {
    let cluster = MemoryCluster::default();
    cluster.put(web(1));
    let codes = |report: Report| report.codes().map(|c| c.as_str()).collect::<Vec<_>>();
    post(&cluster, 5).await;
    cluster.edit(&web(0).id, |w| w.containers[0].image = image(1).into());
    assert_eq!(codes(post(&cluster, 4).await), ["held"]);
    let name: WorkloadName = "shop/deployment/web".parse().expect("a name");
    assert_eq!(
        cluster
            .unhold(&name, Some("proxy".into()))
            .await
            .map(|marks| marks.len()),
        Ok(0)
    );
    let marks = cluster.unhold(&name, None).await.expect("removed");
    assert!(
        &*marks[0].0 == "web" && marks[0].1.starts_with("1.4.0_5_"),
        "{marks:?}"
    );
    assert_eq!(codes(post(&cluster, 4).await), ["upgrade"]);
    let absent: WorkloadName = "shop/deployment/absent".parse().expect("a name");
    assert_eq!(
        cluster.unhold(&absent, None).await,
        Err(ClusterError::NotFound(absent.to_string()))
    );
}
