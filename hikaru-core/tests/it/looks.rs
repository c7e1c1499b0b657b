//! The use cases on rollouts: which ports are asked, how often, and what is remembered. How a rollout is judged is tested elsewhere.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use hikaru_core::{
    Container, IdentityLabels, Text, Workload, WorkloadId,
    caller::{Caller, Rights},
    port::{Clock, ClusterError, Confined, Freshness, RolloutPort, Scope, Select, WorkloadPort},
    rollout::{
        Asked, CauseCode, ContainerFacts, ContainerState, EventFacts, PodFacts, ReplicaSetFacts,
        RolloutAnswer, RolloutFacts, RolloutKind, RolloutState, Rollouts, StatusRow,
        TemplateChange, Terminated,
    },
    testing::{MemoryCluster, MockWorkloadPort, StillClock},
    workload::{Progress, WorkloadName},
};

const IMAGE: &str = "acme/web:acme_web_main_1.4.0_7_0123abcd";

fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn named(name: &str) -> WorkloadName {
    format!("shop/Deployment/{name}").parse().expect("a name")
}

fn progress(desired: i32, available: i32) -> Progress {
    let mut progress = Progress::default();
    (progress.desired, progress.current, progress.updated) = (desired, desired, desired);
    progress.available = available;
    progress
}

fn workload(name: &str, progress: Option<Progress>) -> Workload {
    let mut workload = Workload::new(WorkloadId::new("shop", "Deployment", name));
    workload.labels = IdentityLabels::new("acme", "web", "main");
    workload.containers.push(Container::new("web", IMAGE));
    workload.progress = progress;
    workload
}

/// The facts of a Deployment whose new pods all crash, since five minutes.
fn crash(facts: &mut RolloutFacts) {
    let uid = facts.workload.uid.clone();
    facts.now = start() + Duration::from_secs(300);
    let object = &mut facts.object;
    object.kind = RolloutKind::Deployment;
    (object.generation, object.observed) = (2, 2);
    object.revision = Some("2".into());
    (object.desired, object.current, object.updated) = (2, 3, 2);
    let mut set = ReplicaSetFacts::default();
    (set.name, set.uid, set.owner) = ("web-2".into(), "set-2".into(), Some(uid));
    set.revision = Some("2".into());
    set.created = Some(start());
    (set.desired, set.current) = (2, 2);
    facts.replica_sets = vec![set.into()];
    facts.pods = vec![crashed("web-2-a").into(), crashed("web-2-b").into()];
}

fn crashed(name: &str) -> PodFacts {
    let mut pod = PodFacts::default();
    (pod.name, pod.uid) = (name.into(), format!("uid of {name}").into());
    pod.owner = Some("set-2".into());
    pod.created = Some(start());
    pod.phase = "Running".into();
    pod.node = Some("node-1".into());
    let mut web = ContainerFacts::default();
    (web.name, web.image, web.restarts) = ("web".into(), IMAGE.into(), 5);
    web.state = ContainerState::Waiting {
        reason: "CrashLoopBackOff".into(),
        message: "back-off 2m40s restarting failed container".into(),
    };
    let mut last = Terminated::default();
    (last.exit_code, last.reason) = (3, "Error".into());
    last.started = Some(start() + Duration::from_secs(200));
    last.finished = Some(start() + Duration::from_secs(201));
    web.last = Some(last);
    pod.containers = vec![web];
    pod
}

/// A cluster that counts what it is asked for.
#[derive(Default)]
struct Counting {
    cluster: Arc<MemoryCluster>,
    facts: AtomicUsize,
    events: Mutex<Vec<BTreeSet<Text>>>,
    nodes: AtomicUsize,
    logs: Mutex<Vec<String>>,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl Counting {
    fn facts(&self) -> usize {
        self.facts.load(Ordering::SeqCst)
    }

    fn events(&self) -> usize {
        self.events.lock().expect("no panic").len()
    }

    fn logs(&self) -> Vec<String> {
        self.logs.lock().expect("no panic").clone()
    }
}

#[async_trait]
impl RolloutPort for Counting {
    async fn facts(&self, workload: &WorkloadName) -> Result<Option<RolloutFacts>, ClusterError> {
        self.facts.fetch_add(1, Ordering::SeqCst);
        let at_once = 1 + self.at_once.fetch_add(1, Ordering::SeqCst);
        self.most_at_once.fetch_max(at_once, Ordering::SeqCst);
        tokio::task::yield_now().await;
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        if &**workload.name() == "unreachable" {
            return Err(ClusterError::Unavailable {
                message: "connection refused".into(),
                retry_after: None,
            });
        }
        self.cluster.facts(workload).await
    }

    async fn events(
        &self,
        namespace: &str,
        uids: &BTreeSet<Text>,
    ) -> Result<Vec<EventFacts>, ClusterError> {
        self.events.lock().expect("no panic").push(uids.clone());
        self.cluster.events(namespace, uids).await
    }

    async fn not_ready_nodes(&self) -> Result<BTreeSet<Text>, ClusterError> {
        self.nodes.fetch_add(1, Ordering::SeqCst);
        self.cluster.not_ready_nodes().await
    }

    async fn log<'a>(
        &'a self,
        namespace: &'a str,
        pod: &'a str,
        container: &'a str,
        previous: bool,
        lines: u32,
    ) -> Result<String, ClusterError> {
        let asked = format!("{namespace}/{pod}/{container} previous={previous} lines={lines}");
        self.logs.lock().expect("no panic").push(asked);
        self.cluster
            .log(namespace, pod, container, previous, lines)
            .await
    }
}

/// A cluster, and the use cases on it.
struct Scene {
    cluster: Arc<MemoryCluster>,
    port: Arc<Counting>,
    clock: Arc<StillClock>,
    rollouts: Rollouts,
}

fn scene(shows_logs: bool) -> Scene {
    let cluster = Arc::new(MemoryCluster::default());
    let port = Arc::new(Counting {
        cluster: cluster.clone(),
        ..Counting::default()
    });
    let clock = Arc::new(StillClock::default());
    let rollouts = Rollouts::new(
        cluster.clone(),
        Some(port.clone()),
        clock.clone(),
        shows_logs,
    );
    Scene {
        cluster,
        port,
        clock,
        rollouts,
    }
}

impl Scene {
    fn put_crashing(&self, name: &str) -> WorkloadId {
        let workload = workload(name, Some(progress(2, 0)));
        let id = workload.id.clone();
        self.cluster.put(workload);
        self.cluster.tell_rollout(&id, crash);
        id
    }

    async fn look(&self, name: &str) -> RolloutAnswer {
        let asked = Asked::default();
        let answer = self.rollouts.look(&named(name), &asked).await;
        answer.expect("an answer")
    }

    async fn status(&self) -> Vec<StatusRow> {
        let scope = Scope::new(Select::Labeled(IdentityLabels::default()));
        let (rows, faults) = self.rollouts.status(&scope).await.expect("an answer");
        assert_eq!(faults, []);
        rows
    }
}

fn event(about: &str, message: &str, after: u64) -> EventFacts {
    let mut event = EventFacts::default();
    (event.about, event.object) = (about.into(), "Pod web-2-a".into());
    (event.is_warning, event.count) = (true, 1);
    (event.reason, event.message) = ("BackOff".into(), message.into());
    event.last = Some(start() + Duration::from_secs(after));
    event
}

#[tokio::test]
async fn a_workload_that_is_gone_is_not_found_or_deleted() {
    let scene = scene(true);
    let asked = Asked::default();
    let answer = scene.rollouts.look(&named("web"), &asked).await;
    let gone = ClusterError::NotFound("shop/Deployment/web".into());
    assert_eq!(answer.expect_err("not there"), gone);
    let mut asked = Asked::default();
    asked.uid = "uid-7".into();
    let answer = scene.rollouts.look(&named("web"), &asked).await;
    let answer = answer.expect("it was there");
    assert_eq!(answer.rollout.state, RolloutState::Deleted);
    assert_eq!(answer.workload, None);
}

#[tokio::test]
async fn other_namespaces_and_old_views_give_no_answer() {
    let cluster = Arc::new(MemoryCluster::default());
    let clock = Arc::new(StillClock::default());
    let port: Arc<dyn RolloutPort> = cluster.clone();
    let edge = Confined::new(port.clone(), vec!["edge".into()]);
    let confined = Rollouts::new(cluster, Some(Arc::new(edge)), clock.clone(), true);
    let refused = confined.look(&named("web"), &Asked::default()).await;
    assert!(
        matches!(refused, Err(ClusterError::Outside { .. })),
        "{refused:?}"
    );

    let mut old = MockWorkloadPort::new();
    let reason = Some("the watch is silent".to_owned());
    old.expect_freshness()
        .return_const(Freshness::Stale { reason });
    let old: Arc<dyn WorkloadPort> = Arc::new(old);
    let rollouts = Rollouts::new(old, Some(port), clock, true);
    let looked = rollouts.look(&named("web"), &Asked::default()).await;
    assert!(looked.expect_err("too old").is_retryable());
    let status = rollouts.status(&Scope::new(Select::All)).await;
    assert!(status.expect_err("too old").is_retryable());
}

#[tokio::test]
async fn where_nothing_rolls_out_a_status_has_its_rows_all_the_same() {
    let cluster = Arc::new(MemoryCluster::default());
    cluster.put(workload("web", None));
    let rollouts = Rollouts::new(cluster, None, Arc::new(StillClock::default()), true);
    let refused = rollouts.look(&named("web"), &Asked::default()).await;
    assert_eq!(
        refused.expect_err("no port").to_string(),
        "looking at a rollout (in a folder of manifests nothing rolls out) is not supported here"
    );
    let (rows, _) = rollouts
        .status(&Scope::new(Select::All))
        .await
        .expect("rows");
    let rollout = rows[0].rollout.as_ref().expect("a rollout");
    assert_eq!(rollout.state, RolloutState::NotApplicable);
}

#[tokio::test]
async fn a_status_looks_only_at_what_is_not_complete() {
    let scene = scene(true);
    let mut unlabeled = workload("unlabeled", Some(progress(1, 0)));
    unlabeled.labels.branch = None;
    let mut report = workload("report", None);
    report.id.kind = "CronJob".into();
    for workload in [
        workload("complete", Some(progress(3, 3))),
        workload("none", Some(progress(0, 0))),
        workload("unreachable", Some(progress(1, 0))),
        unlabeled,
        report,
    ] {
        scene.cluster.put(workload);
    }
    scene.put_crashing("crashing");
    let rows = scene.status().await;
    let told: Vec<_> = rows
        .iter()
        .map(|row| {
            let name = &*row.workload.id.name;
            match &row.rollout {
                Ok(rollout) => format!(
                    "{name} {} {}/{}",
                    rollout.state, rollout.ready, rollout.desired
                ),
                Err(error) => format!("{name} {error}"),
            }
        })
        .collect();
    assert_eq!(
        told,
        [
            "report not-applicable 0/0",
            "complete complete 3/3",
            "crashing failed 0/2",
            "none complete 0/0",
            "unreachable unavailable: connection refused",
        ]
    );
    assert_eq!(scene.port.facts(), 2);
    let none = rows[3].rollout.as_ref().expect("a rollout");
    assert_eq!(
        none.remarks,
        ["not proven: it has 0 replicas, so no pod shows that the image starts"]
    );
    // A status has no evidence.
    assert_eq!(scene.port.logs(), [""; 0]);
}

#[tokio::test]
async fn a_few_workloads_are_looked_at_at_once() {
    let scene = scene(true);
    for n in 0..40 {
        scene
            .cluster
            .put(workload(&format!("web-{n}"), Some(progress(1, 0))));
    }
    assert_eq!(scene.status().await.len(), 40);
    assert_eq!(scene.port.most_at_once.load(Ordering::SeqCst), 8);
    assert_eq!(scene.port.facts(), 40);
}

#[tokio::test]
async fn a_repeated_question_collects_no_evidence_again() {
    let scene = scene(true);
    let id = scene.put_crashing("web");
    scene.cluster.tell_rollout(&id, |facts| {
        facts.events = Some(vec![
            event("uid of web-2-a", "restarting web", 250),
            event("uid of another", "restarting another", 250),
        ]);
    });
    for pod in ["web-2-a", "web-2-b"] {
        scene
            .cluster
            .tell_log("shop", pod, "web", true, "one\ntwo\u{1b}[2K");
    }
    let answer = scene.look("web").await;
    assert_eq!(answer.rollout.state, RolloutState::Failed, "{answer:?}");
    let evidence = answer.evidence.expect("evidence");
    let log = evidence.log.as_ref().expect("a log");
    assert!(log.is_previous);
    assert_eq!(log.lines, ["one", r"two\u{1b}[2K"]);
    assert_eq!(evidence.unseen, [""; 0]);
    let (events, logs) = (scene.port.events(), scene.port.logs());
    assert_eq!(logs.len(), 1);
    assert!(logs[0].ends_with("/web previous=true lines=25"), "{logs:?}");
    let again = scene.look("web").await.evidence.expect("evidence");
    assert!(Arc::ptr_eq(&evidence, &again));
    assert_eq!(
        (scene.port.events(), scene.port.logs()),
        (events, logs.clone())
    );
    // Another revision has evidence of its own.
    scene.cluster.tell_rollout(&id, |facts| {
        facts.object.revision = Some("3".into());
        for set in &mut facts.replica_sets {
            Arc::make_mut(set).revision = Some("3".into());
        }
    });
    let other = scene.look("web").await.evidence.expect("evidence");
    assert!(!Arc::ptr_eq(&evidence, &other));
    assert_eq!(scene.port.logs().len(), 2);
}

#[tokio::test]
async fn rights_that_are_missing_stop_nothing() {
    let scene = scene(true);
    scene.put_crashing("web");
    for what in ["events", "nodes", "logs"] {
        scene.cluster.refuse_to_tell(what);
    }
    let answer = scene.look("web").await;
    assert_eq!(answer.rollout.state, RolloutState::Failed);
    let cause = answer.rollout.cause.expect("a cause");
    assert_eq!(cause.code, CauseCode::CrashLoop);
    let evidence = answer.evidence.expect("evidence");
    assert_eq!(
        evidence.unseen,
        [
            "events are not seen: the right to list events in namespace shop is missing",
            "logs are not seen: the right to get pods/log in namespace shop is missing",
        ]
    );
}

#[tokio::test]
async fn where_the_previous_run_has_no_log_the_present_one_is_shown() {
    let scene = scene(true);
    scene.put_crashing("web");
    for pod in ["web-2-a", "web-2-b"] {
        scene.cluster.tell_log("shop", pod, "web", false, "now");
    }
    let evidence = scene.look("web").await.evidence.expect("evidence");
    let log = evidence.log.as_ref().expect("a log");
    assert_eq!(
        (log.is_previous, &*log.lines),
        (false, &["now".to_owned()][..])
    );
}

#[tokio::test]
async fn logs_are_left_out_where_they_are_not_to_be_shown() {
    let scene = scene(false);
    scene.put_crashing("web");
    let evidence = scene.look("web").await.evidence.expect("evidence");
    assert_eq!(evidence.log, None);
    let [left_out] = &evidence.unseen[..] else {
        panic!("{evidence:?}");
    };
    assert!(
        left_out.ends_with("/web is left out: logs can hold secrets"),
        "{left_out}"
    );
    assert_eq!(scene.port.logs(), [""; 0]);
}

#[tokio::test]
async fn the_end_of_a_log_is_in_no_termination_message_either() {
    for (ends_with_log, shows_logs, reason, is_told) in [
        (true, false, "Error", false),
        (true, false, "StartError", true),
        (true, true, "Error", true),
        (false, false, "Error", true),
    ] {
        let scene = scene(shows_logs);
        let id = scene.put_crashing("web");
        scene.cluster.tell_rollout(&id, |facts| {
            for pod in &mut facts.pods {
                let web = &mut Arc::make_mut(pod).containers[0];
                web.ends_with_log = ends_with_log;
                let last = web.last.as_mut().expect("it has ended");
                (last.reason, last.message) = (reason.into(), "key hunter2".into());
                web.state = ContainerState::Terminated(last.clone());
            }
        });
        let answer = scene.look("web").await;
        assert_eq!(answer.rollout.state, RolloutState::Failed);
        assert_eq!(
            format!("{answer:?}").contains("hunter2"),
            is_told,
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn nodes_that_are_not_seen_name_the_right() {
    let scene = scene(true);
    let mut agent = workload("agent", Some(progress(1, 0)));
    agent.id.kind = "DaemonSet".into();
    let id = agent.id.clone();
    scene.cluster.put(agent);
    scene.cluster.tell_rollout(&id, |facts| {
        facts.now = start() + Duration::from_secs(3_600);
        facts.object.kind = RolloutKind::DaemonSet;
        (facts.object.generation, facts.object.observed) = (2, 2);
        facts.object.revision = Some("2".into());
        (facts.object.desired, facts.object.updated) = (1, 1);
        facts.object.changed = Some(TemplateChange::new("ci", start()));
    });
    scene.cluster.refuse_to_tell("nodes");
    let name = "shop/DaemonSet/agent".parse().expect("a name");
    let answer = scene.rollouts.look(&name, &Asked::default()).await;
    let rollout = answer.expect("an answer").rollout;
    assert_eq!(
        rollout.unseen,
        ["nodes are not seen: the right to list nodes is missing"],
        "{rollout:?}"
    );
}

#[tokio::test]
async fn events_are_asked_for_by_the_uids_of_what_is_the_workloads_own() {
    let scene = scene(true);
    let id = scene.put_crashing("web");
    scene.cluster.tell_rollout(&id, |facts| {
        let mut foreign = crashed("foreign");
        foreign.owner = Some("another set".into());
        facts.pods.push(foreign.into());
        let many = (0..30).map(|n| Arc::new(crashed(&format!("web-2-{n}"))));
        facts.pods.extend(many);
        let mut old = ReplicaSetFacts::default();
        (old.uid, old.owner) = ("set-1".into(), Some(facts.workload.uid.clone()));
        old.revision = Some("1".into());
        facts.replica_sets.push(old.into());
    });
    scene.look("web").await;
    let asked = scene.port.events.lock().expect("no panic").clone();
    let uid = scene.cluster.get(&id).expect("it").uid;
    for uids in &asked {
        assert!(uids.contains(&uid) && uids.contains("set-2"), "{uids:?}");
        assert!(
            !uids.contains("set-1") && !uids.contains("uid of foreign"),
            "{uids:?}"
        );
        assert!(uids.len() <= 23, "{uids:?}");
    }
    assert!(!asked.is_empty());
    // The events of a rollout that has failed are not listed again for some minutes.
    scene.clock.sleep(Duration::from_secs(60)).await;
    let before = scene.port.events();
    scene.look("web").await;
    assert_eq!(scene.port.events(), before);
}

#[tokio::test]
async fn a_caller_without_the_right_sees_no_log_that_another_one_has_seen() {
    let scene = scene(true);
    let id = scene.put_crashing("web");
    // A container's last message can be the end of its log.
    scene.cluster.tell_rollout(&id, |facts| {
        for pod in &mut facts.pods {
            let web = &mut Arc::make_mut(pod).containers[0];
            web.ends_with_log = true;
            web.last.as_mut().expect("a crash").message = "password=1234".into();
        }
    });
    for pod in ["web-2-a", "web-2-b"] {
        scene
            .cluster
            .tell_log("shop", pod, "web", true, "password=1234");
    }
    let asked = Asked::default();
    let with = |words: &[&str]| {
        let mut rights = Rights::NONE;
        words
            .iter()
            .for_each(|word| rights.grant(word).expect(word));
        scene
            .rollouts
            .for_caller(&Arc::new(Caller::new("ci", rights)))
    };
    let (reads, sees_logs) = (with(&["read"]), with(&["read", "logs"]));
    // Each asks before and after the other.
    for _ in 0..2 {
        let seen = sees_logs
            .look(&named("web"), &asked)
            .await
            .expect("an answer");
        assert!(format!("{seen:?}").contains("password"), "{seen:?}");
        let hidden = reads.look(&named("web"), &asked).await.expect("an answer");
        assert!(!format!("{hidden:?}").contains("password"), "{hidden:?}");
        let evidence = hidden.evidence.expect("evidence");
        let left_out = evidence.unseen.join("\n");
        assert!(
            left_out.ends_with("is left out: the caller lacks the right logs"),
            "{left_out}"
        );
    }
    assert_eq!(scene.port.logs().len(), 1);
}

#[tokio::test]
async fn a_narrowed_caller_is_told_nothing_of_other_rollouts() {
    let scene = scene(true);
    scene.put_crashing("web");
    let mut caller = Caller::new("ci", Rights::ALL);
    caller
        .identities
        .push("acme/other/*".parse().expect("a pattern"));
    let narrowed = scene.rollouts.for_caller(&Arc::new(caller));
    let refused = narrowed.look(&named("web"), &Asked::default()).await;
    let absent = narrowed.look(&named("absent"), &Asked::default()).await;
    let text = |answer: Result<RolloutAnswer, ClusterError>| {
        answer
            .expect_err("not there")
            .to_string()
            .replace("absent", "web")
    };
    assert_eq!(text(refused), text(absent));
    let scope = Scope::new(Select::Labeled(IdentityLabels::default()));
    let (rows, _) = narrowed.status(&scope).await.expect("an answer");
    assert_eq!(rows, []);
    assert_eq!((scene.port.events(), scene.port.logs()), (0, Vec::new()));
}
