//! The figures of a service: what was decided, how writes went, what was answered, what is known of the cluster. Those of the
//! process are in `process`. The values of labels are of small, fixed sets: none comes from a caller.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use hikaru_core::{
    Mode, Text, Workload, WorkloadId,
    policy::Change,
    port::{ClusterError, Event, Found, Freshness, Happening, Observer, Scope, WorkloadPort},
    rollout::{End, Followed, RolloutState},
    upgrade::Report,
    workload::WorkloadName,
};
use hikaru_http::{Metrics, MetricsFormat};
use hikaru_k8s::{LiveCluster, WatchedCluster};
use prometheus_client::{
    encoding::{EncodeLabelSet, prometheus_text, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};

use crate::process::Process;

/// Upper bounds of latencies, in seconds: a guarded patch takes 3 ms on a quiet cluster, an answer at most 300 s.
const SECONDS: [f64; 17] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    120.0, 300.0,
];

/// Upper bounds of how long callers waited for rollouts and Jobs, in seconds.
const WAIT_SECONDS: [f64; 10] = [
    1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Decided {
    route: &'static str,
    verdict: &'static str,
    code: &'static str,
    dry_run: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRoute {
    route: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Written {
    outcome: &'static str,
    dry_run: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    problem: &'static str,
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    state: &'static str,
    cause: &'static str,
}

/// Whether nothing was to be written, as a label.
fn dry_run(mode: Mode) -> &'static str {
    match mode {
        Mode::Commit => "false",
        Mode::DryRun => "true",
    }
}

/// The registry, and what is counted in it.
pub(crate) struct Figures {
    registry: Registry,
    decisions: Family<Decided, Counter>,
    answers: Family<Answered, Counter>,
    answer_seconds: Family<OfRoute, Histogram>,
    refusals: Family<Refused, Counter>,
    wait_seconds: Family<OfRoute, Histogram>,
    writes: Family<Written, Counter>,
    jobs: Family<Written, Counter>,
    rollouts: Family<Ended, Counter>,
    rollout_seconds: Histogram,
    waits: Gauge,
    write_seconds: Histogram,
    in_flight: Gauge,
    view: Option<View>,
}

/// What is known of a live cluster, asked when the figures are read.
struct View {
    cluster: WatchedCluster,
    live: LiveCluster,
    rollout_watches: Gauge,
    rollout_watch_age: Gauge<f64, std::sync::atomic::AtomicU64>,
    rollout_watches_behind: Gauge,
    objects: Gauge,
    age: Gauge<f64, std::sync::atomic::AtomicU64>,
    fresh: Gauge,
    restarts: Counter,
    unwatched: Gauge,
}

fn latencies() -> Histogram {
    Histogram::new(SECONDS)
}

fn waits() -> Histogram {
    Histogram::new(WAIT_SECONDS)
}

impl Figures {
    /// All at nothing. With a live cluster, what its view and its watches know is told, too. `more` adds those that others keep.
    pub(crate) fn new(
        seen: Option<(WatchedCluster, LiveCluster)>,
        more: impl FnOnce(&mut Registry),
    ) -> Self {
        let mut all = Registry::default();
        all.register_collector(Box::new(Process));
        let registry = all.sub_registry_with_prefix("hikaru");
        let decisions = Family::<Decided, Counter>::default();
        let answers = Family::<Answered, Counter>::default();
        let answer_seconds = Family::<OfRoute, Histogram>::new_with_constructor(latencies);
        let refusals = Family::<Refused, Counter>::default();
        let wait_seconds = Family::<OfRoute, Histogram>::new_with_constructor(waits);
        let writes = Family::<Written, Counter>::default();
        let jobs = Family::<Written, Counter>::default();
        let rollouts = Family::<Ended, Counter>::default();
        let (rollout_seconds, waits_in_flight) = (waits(), Gauge::default());
        let (write_seconds, in_flight) = (latencies(), Gauge::default());
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The program", version);
        registry.register(
            "decisions",
            "Verdicts on containers, by route, verdict and code, of dry runs and plans apart",
            decisions.clone(),
        );
        registry.register(
            "http_requests",
            "Requests that were answered, by route and status",
            answers.clone(),
        );
        registry.register_with_unit(
            "http_request_duration",
            "How long they took, but for those that waited for rollouts or a Job",
            Unit::Seconds,
            answer_seconds.clone(),
        );
        registry.register(
            "refusals",
            "Requests that were answered with a problem, by its name and why",
            refusals.clone(),
        );
        registry.register_with_unit(
            "http_wait_duration",
            "How long requests took that waited for rollouts or a Job",
            Unit::Seconds,
            wait_seconds.clone(),
        );
        registry.register(
            "writes",
            "Guarded writes that were sent, by outcome, dry runs apart",
            writes.clone(),
        );
        registry.register_with_unit(
            "write_duration",
            "How long a write took, the wait for its turn and for the others of its post included",
            Unit::Seconds,
            write_seconds.clone(),
        );
        registry.register(
            "writes_in_flight",
            "Writes that wait or are under way",
            in_flight.clone(),
        );
        registry.register(
            "jobs",
            "Jobs that were asked for, by outcome, dry runs apart",
            jobs.clone(),
        );
        registry.register(
            "rollouts",
            "Rollouts that were waited for, by their state at the end of the wait and its cause",
            rollouts.clone(),
        );
        registry.register_with_unit(
            "rollout_duration",
            "How long rollouts were waited for that are complete",
            Unit::Seconds,
            rollout_seconds.clone(),
        );
        registry.register(
            "waits_in_flight",
            "Requests that wait for rollouts or Jobs to end",
            waits_in_flight.clone(),
        );
        more(registry);
        let view = seen.map(|(cluster, live)| View::new(cluster, live, registry));
        Self {
            registry: all,
            decisions,
            answers,
            answer_seconds,
            refusals,
            wait_seconds,
            writes,
            jobs,
            rollouts,
            rollout_seconds,
            waits: waits_in_flight,
            write_seconds,
            in_flight,
            view,
        }
    }

    fn decided(&self, route: &'static str, report: &Report, mode: Mode) {
        for code in report.codes() {
            let decided = Decided {
                route,
                verdict: match code.verdict() {
                    hikaru_core::policy::Verdict::Upgrade => "upgrade",
                    hikaru_core::policy::Verdict::Skipped => "skipped",
                    hikaru_core::policy::Verdict::Obsolete => "obsolete",
                    hikaru_core::policy::Verdict::Equal => "equal",
                },
                code: code.as_str(),
                dry_run: dry_run(mode),
            };
            self.decisions.get_or_create(&decided).inc();
        }
    }

    fn ended(&self, followed: &Followed, took: Duration) {
        let rollout = &followed.answer.rollout;
        let ended = Ended {
            state: match followed.end {
                Some(End::Unknown) => "unknown",
                _ => rollout.state.as_str(),
            },
            cause: match &rollout.cause {
                Some(cause) => cause.code.as_str(),
                None => "none",
            },
        };
        self.rollouts.get_or_create(&ended).inc();
        if rollout.state == RolloutState::Complete {
            self.rollout_seconds.observe(took.as_secs_f64());
        }
    }

    fn written(
        &self,
        outcome: &Result<hikaru_core::port::Written, ClusterError>,
        mode: Mode,
        took: Duration,
    ) {
        let outcome = match outcome {
            Ok(_) => "written",
            Err(error) => outcome_of(error),
        };
        let dry_run = dry_run(mode);
        let written = Written { outcome, dry_run };
        self.writes.get_or_create(&written).inc();
        self.write_seconds.observe(took.as_secs_f64());
    }
}

/// An error as a label: of a small, fixed set.
fn outcome_of(error: &ClusterError) -> &'static str {
    match error {
        ClusterError::Stale => "stale",
        ClusterError::Lost(_) => "lost",
        ClusterError::NotFound(_) => "not-found",
        ClusterError::Forbidden(_)
        | ClusterError::JobRefused(_)
        | ClusterError::NotAllowed(_)
        | ClusterError::Outside { .. } => "forbidden",
        ClusterError::Invalid(_) => "refused",
        ClusterError::Malformed(_) => "malformed",
        ClusterError::Exists(_) => "exists",
        ClusterError::Unavailable { .. } => "unavailable",
        ClusterError::Unsupported(_) => "unsupported",
        _ => "failed",
    }
}

impl View {
    fn new(cluster: WatchedCluster, live: LiveCluster, registry: &mut Registry) -> Self {
        let (rollout_watches, rollout_watch_age) = (Gauge::default(), Gauge::default());
        let rollout_watches_behind = Gauge::default();
        registry.register(
            "rollout_watches",
            "Watches that are open because somebody waits for rollouts or Jobs",
            rollout_watches.clone(),
        );
        registry.register_with_unit(
            "rollout_watch_age",
            "How long the oldest of them has been open",
            Unit::Seconds,
            rollout_watch_age.clone(),
        );
        registry.register(
            "rollout_watches_behind",
            "Those of them that are not up to date: they begin, are broken or forbidden",
            rollout_watches_behind.clone(),
        );
        let (objects, age) = (Gauge::default(), Gauge::default());
        let (fresh, restarts, unwatched) = (Gauge::default(), Counter::default(), Gauge::default());
        registry.register(
            "index_objects",
            "Objects that are known of the cluster",
            objects.clone(),
        );
        registry.register_with_unit(
            "index_age",
            "How long the most silent watch has shown no life",
            Unit::Seconds,
            age.clone(),
        );
        registry.register(
            "index_fresh",
            "1: what is known is complete and up to date; 0: answers are 503",
            fresh.clone(),
        );
        registry.register(
            "watch_restarts",
            "Lists that were begun anew, and watches that broke off",
            restarts.clone(),
        );
        registry.register(
            "index_unwatched",
            "Kinds, each in each of its namespaces, that are not watched: forbidden, not there, or not to be reached",
            unwatched.clone(),
        );
        Self {
            cluster,
            live,
            rollout_watches,
            rollout_watch_age,
            rollout_watches_behind,
            objects,
            age,
            fresh,
            restarts,
            unwatched,
        }
    }

    fn look(&self) {
        let vitals = self.cluster.vitals();
        self.objects
            .set(i64::try_from(vitals.objects).unwrap_or(i64::MAX));
        self.age.set(vitals.age.as_secs_f64());
        let fresh = self.cluster.freshness() == Freshness::Fresh;
        self.fresh.set(i64::from(fresh));
        self.unwatched
            .set(i64::try_from(vitals.unwatched).unwrap_or(i64::MAX));
        let watched = self.live.rollout_vitals();
        self.rollout_watches
            .set(i64::try_from(watched.watches).unwrap_or(i64::MAX));
        self.rollout_watch_age.set(watched.age.as_secs_f64());
        self.rollout_watches_behind
            .set(i64::try_from(watched.behind).unwrap_or(i64::MAX));
        let told = self.restarts.get();
        self.restarts.inc_by(vitals.restarts.saturating_sub(told));
    }
}

impl Observer for Figures {
    fn observe(&self, event: &Event<'_>) {
        match event.what {
            Happening::Reported { report, mode } => self.decided(event.call, report, mode),
            Happening::JobRun { result, mode } => {
                let outcome = match result {
                    Ok(_) => "created",
                    Err(error) => outcome_of(error),
                };
                let dry_run = dry_run(mode);
                let asked = Written { outcome, dry_run };
                self.jobs.get_or_create(&asked).inc();
            }
            Happening::RolloutEnded { followed, took } => self.ended(followed, took),
            Happening::Refused { problem, code, .. } => {
                self.refusals
                    .get_or_create(&Refused { problem, code })
                    .inc();
            }
            _ => {}
        }
    }
}

impl Metrics for Figures {
    fn answered(&self, route: &'static str, status: u16, took: Duration, waited: bool) {
        self.answers
            .get_or_create(&Answered { route, status })
            .inc();
        let seconds = match waited {
            false => &self.answer_seconds,
            true => &self.wait_seconds,
        };
        let seconds = seconds.get_or_create(&OfRoute { route });
        seconds.observe(took.as_secs_f64());
    }

    fn waits(&self, in_flight: usize) {
        let in_flight = i64::try_from(in_flight).unwrap_or(i64::MAX);
        self.waits.set(in_flight);
    }

    fn text(&self, format: MetricsFormat) -> String {
        if let Some(view) = &self.view {
            view.look();
        }
        let mut text = String::new();
        // A string takes whatever is written.
        let _ = match format {
            MetricsFormat::OpenMetrics => text::encode(&mut text, &self.registry),
            _ => prometheus_text::encode(&mut text, &self.registry),
        };
        text
    }
}

/// A cluster whose writes are counted.
pub(crate) struct Measured {
    cluster: Arc<dyn WorkloadPort>,
    figures: Arc<Figures>,
}

impl Measured {
    pub(crate) fn new(cluster: Arc<dyn WorkloadPort>, figures: Arc<Figures>) -> Self {
        Self { cluster, figures }
    }
}

/// So many writes are in flight until this is dropped, also when their caller has gone.
struct InFlight<'f> {
    gauge: &'f Gauge,
    writes: i64,
}

impl<'f> InFlight<'f> {
    fn new(gauge: &'f Gauge, writes: usize) -> Self {
        let writes = i64::try_from(writes).unwrap_or(i64::MAX);
        gauge.inc_by(writes);
        Self { gauge, writes }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.gauge.dec_by(self.writes);
    }
}

#[async_trait]
impl WorkloadPort for Measured {
    fn freshness(&self) -> Freshness {
        self.cluster.freshness()
    }

    async fn find(&self, scope: &Scope) -> Result<Found, ClusterError> {
        self.cluster.find(scope).await
    }

    async fn read(&self, id: &WorkloadId) -> Result<Option<Workload>, ClusterError> {
        self.cluster.read(id).await
    }

    async fn write(
        &self,
        change: &Change,
        mode: Mode,
    ) -> Result<hikaru_core::port::Written, ClusterError> {
        let answers = self.write_all(std::slice::from_ref(change), mode).await;
        let lost = || ClusterError::Lost("the cluster gave no answer".to_owned());
        answers.into_iter().next().unwrap_or_else(|| Err(lost()))
    }

    async fn write_all(
        &self,
        changes: &[Change],
        mode: Mode,
    ) -> Vec<Result<hikaru_core::port::Written, ClusterError>> {
        let _flight = InFlight::new(&self.figures.in_flight, changes.len());
        let begun = Instant::now();
        let answers = self.cluster.write_all(changes, mode).await;
        let took = begun.elapsed();
        for answer in &answers {
            self.figures.written(answer, mode, took);
        }
        answers
    }

    async fn unhold(
        &self,
        workload: &WorkloadName,
        container: Option<Text>,
    ) -> Result<Vec<(Text, Text)>, ClusterError> {
        self.cluster.unhold(workload, container).await
    }
}

#[cfg(test)]
mod tests {
    /// A port that wraps another one has to pass a batch on as one: a folder writes each file once for it.
    #[tokio::test]
    async fn a_batch_of_writes_reaches_the_cluster_as_one() {
        use super::*;
        use hikaru_core::{
            Build, Container, IdentityLabels, Request, TagFormats, WorkloadId, plan, port::Confined,
        };
        use std::sync::Mutex;

        /// It remembers how many changes each batch had.
        #[derive(Default)]
        struct Batches(Mutex<Vec<usize>>);

        #[async_trait]
        impl WorkloadPort for Batches {
            fn freshness(&self) -> Freshness {
                Freshness::Fresh
            }

            async fn find(&self, _: &Scope) -> Result<Found, ClusterError> {
                Ok(Found::default())
            }

            async fn read(&self, _: &WorkloadId) -> Result<Option<Workload>, ClusterError> {
                Ok(None)
            }

            async fn write(
                &self,
                _: &Change,
                _: Mode,
            ) -> Result<hikaru_core::port::Written, ClusterError> {
                Ok(hikaru_core::port::Written::default())
            }

            async fn write_all(
                &self,
                changes: &[Change],
                _: Mode,
            ) -> Vec<Result<hikaru_core::port::Written, ClusterError>> {
                self.0.lock().expect("no panic").push(changes.len());
                let written = changes
                    .iter()
                    .map(|_| Ok(hikaru_core::port::Written::default()));
                written.collect()
            }

            async fn unhold(
                &self,
                _: &WorkloadName,
                _: Option<Text>,
            ) -> Result<Vec<(Text, Text)>, ClusterError> {
                Err(ClusterError::Unsupported("removing high-water marks"))
            }
        }

        let workloads = ["web", "admin"].map(|name| {
            let mut workload = Workload::new(WorkloadId::new("shop", "Deployment", name));
            workload.labels = IdentityLabels::new("acme", "web", "main");
            workload
                .containers
                .push(Container::new("web", "acme/web:latest"));
            workload
        });
        let build = Build::parse(
            "acme/web:acme_web_main_1.4.0_7_0123abcd",
            &TagFormats::default(),
        );
        let plan = plan(Request::new(build.expect("a build")), workloads);
        let changes: Vec<Change> = plan.entries.into_iter().filter_map(|e| e.change).collect();
        let batches = Arc::new(Batches::default());
        let figures = Arc::new(Figures::new(None, |_| {}));
        let confined = Confined::new(batches.clone(), vec!["shop".into()]);
        let measured = Measured::new(Arc::new(confined), figures);
        let answers = measured.write_all(&changes, Mode::Commit).await;
        assert_eq!(answers.len(), 2);
        assert_eq!(*batches.0.lock().expect("no panic"), [2]);
    }
}
