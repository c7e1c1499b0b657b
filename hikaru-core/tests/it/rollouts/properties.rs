//! Properties of the rule on any facts.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::FutureExt as _;
use hikaru_core::{
    Mode, Text,
    jobs::{JobPolicy, JobRequest, JobSource, JobState, Jobs},
    rollout::{
        ContainerFacts, ContainerState, EventFacts, Evidence, LogWanted, ObjectFacts, PodFacts,
        Probe, Reached, ReplicaSetFacts, Role, RolloutFacts, RolloutKind, RolloutState,
        TemplateChange, Terminated, event_objects, judge,
    },
    testing::{MemoryJobs, StillClock},
};
use proptest::prelude::*;

use super::scene::{Scene, condition, daemon_set, deployment, second, stateful_set};

fn text(choices: &[&'static str]) -> impl Strategy<Value = Text> {
    prop::sample::select(choices.to_vec()).prop_map(Text::from)
}

fn time() -> impl Strategy<Value = SystemTime> {
    prop_oneof![
        8 => (0_u64..2_000).prop_map(second),
        1 => Just(second(0) - Duration::from_secs(3_600)),
        1 => Just(SystemTime::UNIX_EPOCH),
        1 => Just(second(100_000_000_000)),
    ]
}

fn length() -> impl Strategy<Value = Duration> {
    prop_oneof![9 => (0_u64..1_000).prop_map(Duration::from_secs), 1 => Just(Duration::MAX)]
}

fn number() -> impl Strategy<Value = i32> {
    prop_oneof![9 => 0_i32..5, 1 => prop::sample::select(vec![-1, i32::MIN, i32::MAX])]
}

fn words() -> impl Strategy<Value = Text> {
    text(&[
        "",
        "secret \"db\" not found",
        "couldn't find key  in Secret ",
        "acme/web:1: not found",
        "429 Too Many Requests",
        "pods \"web-x2b4c\" is forbidden: exceeded quota: q, used",
        "pods \"\" is ",
        "Readiness probe failed: 503",
        "Liveness probe failed",
        "ReplicaSet \"web-6f5b8c7d9\" has timed out progressing.",
        "é\u{1b}[0m\u{202e}😀://?x",
    ])
}

prop_compose! {
    fn terminated()(
        exit_code in prop::sample::select(vec![0, 1, 127, 128, 137, i32::MIN, i32::MAX]),
        signal in prop::sample::select(vec![0, 9, i32::MIN]),
        reason in text(&["", "Error", "OOMKilled", "StartError", "Completed"]),
        message in words(),
        started in prop::option::of(time()),
        finished in prop::option::of(time()),
    ) -> Terminated {
        let mut ended = Terminated::default();
        (ended.exit_code, ended.signal) = (exit_code, signal);
        (ended.reason, ended.message) = (reason, message);
        (ended.started, ended.finished) = (started, finished);
        ended
    }
}

fn state() -> impl Strategy<Value = ContainerState> {
    let reasons = text(&[
        "",
        "ContainerCreating",
        "PodInitializing",
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "RunContainerError",
        "PostStartHookError",
        "ImageInspectError",
    ]);
    prop_oneof![
        Just(ContainerState::Unknown),
        (reasons, words())
            .prop_map(|(reason, message)| ContainerState::Waiting { reason, message }),
        prop::option::of(time()).prop_map(|since| ContainerState::Running { since }),
        terminated().prop_map(ContainerState::Terminated),
    ]
}

prop_compose! {
    fn container()(
        name in text(&["web", "proxy", ""]),
        role in prop::sample::select(vec![Role::Main, Role::Init, Role::Sidecar]),
        is_ready: bool,
        is_started: bool,
        restarts in prop::sample::select(vec![0, 1, 2, 3, u32::MAX]),
        state in state(),
        last in prop::option::of(terminated()),
    ) -> ContainerFacts {
        let mut container = ContainerFacts::default();
        (container.name, container.image, container.role) = (name, "acme/web:1".into(), role);
        (container.is_ready, container.is_started, container.restarts) = (is_ready, is_started, restarts);
        (container.state, container.last) = (state, last);
        container
    }
}

prop_compose! {
    fn conditions()(
        some in prop::collection::vec(
            (
                text(&["Ready", "PodScheduled", "ContainersReady", "Progressing", "ReplicaFailure", "gate", "DisruptionTarget"]),
                text(&["True", "False", "Unknown"]),
                text(&["", "ProgressDeadlineExceeded", "ReplicaSetCreateError", "Unschedulable", "SchedulingGated"]),
                words(),
                time(),
            ),
            0..4,
        ),
    ) -> Vec<hikaru_core::rollout::Condition> {
        some.iter().map(|(kind, status, reason, message, at)| condition(kind, status, reason, message, *at)).collect()
    }
}

prop_compose! {
    fn pod()(
        n in 0_u8..4,
        owner in prop::option::of(text(&["set", "old-set", "workload", "foreign"])),
        revision in prop::option::of(text(&["1", "2"])),
        created in prop::option::of(time()),
        is_deleting: bool,
        grace in length(),
        node in prop::option::of(text(&["node-0", "node-1"])),
        phase in text(&["", "Pending", "Running", "Failed", "Succeeded"]),
        reason in text(&["", "Evicted", "OutOfcpu"]),
        conditions in conditions(),
        gates in prop::collection::vec(Just(Text::from("gate")), 0..2),
        containers in prop::collection::vec(container(), 0..3),
    ) -> PodFacts {
        let mut pod = PodFacts::default();
        (pod.name, pod.uid) = (format!("web-{n}").into(), format!("pod-{n}").into());
        (pod.owner, pod.revision_hash, pod.template_generation) = (owner, revision.clone(), revision);
        (pod.created, pod.is_deleting, pod.grace, pod.node) = (created, is_deleting, grace, node);
        (pod.phase, pod.reason) = (phase, reason);
        (pod.conditions, pod.readiness_gates, pod.containers) = (conditions, gates, containers);
        pod
    }
}

prop_compose! {
    fn object()(
        kind in prop::sample::select(vec![RolloutKind::Deployment, RolloutKind::StatefulSet, RolloutKind::DaemonSet]),
        (generation, observed) in (0_i64..3, 0_i64..3),
        revision in prop::option::of(text(&["1", "2"])),
        flags in prop::array::uniform5(prop::bool::weighted(0.2)),
        counts in prop::array::uniform6(number()),
        deadline in prop::option::of(length()),
        min_ready in length(),
        conditions in conditions(),
        changed in prop::option::of(time()),
        probes in prop::array::uniform2(prop::option::of((length(), 0_u32..9))),
    ) -> ObjectFacts {
        let mut object = deployment(0).facts.object;
        (object.kind, object.generation, object.observed, object.revision) = (kind, generation, observed, revision);
        [object.is_deleting, object.is_paused, object.is_on_delete, object.is_parallel, object.is_recreate] = flags;
        [object.partition, object.desired, object.current, object.updated, object.ready, object.available] = counts;
        (object.progress_deadline, object.min_ready, object.conditions) = (deadline, min_ready, conditions);
        object.changed = changed.map(|at| TemplateChange::new("hikaru", at));
        let [startup, readiness] = probes.map(|probe| probe.map(|(period, threshold)| {
            let mut probe = Probe::new("GET :80/");
            (probe.period, probe.failure_threshold) = (period, threshold);
            probe
        }));
        (object.containers[0].startup, object.containers[0].readiness) = (startup, readiness);
        object
    }
}

prop_compose! {
    fn facts()(
        object in object(),
        now in time(),
        pods in prop::collection::vec(pod(), 0..5),
        sets in prop::collection::vec((text(&["1", "2"]), number(), conditions()), 0..3),
        events in prop::option::of(prop::collection::vec(
            (
                text(&["workload", "set", "pod-0", "pod-1"]),
                text(&["FailedCreate", "FailedMount", "Unhealthy", "Failed", "FailedDaemonPod", "FailedToRetrieveImagePullSecret"]),
                words(),
                prop::option::of(time()),
            ),
            0..5,
        )),
        nodes in prop::option::of(Just([Text::from("node-0")])),
        unseen in prop::option::of(prop::sample::select(vec!["pods", "replicasets", "events", "nodes"])),
    ) -> RolloutFacts {
        let mut facts = deployment(0).facts;
        (facts.object, facts.now) = (object, now);
        facts.pods = pods.into_iter().map(Arc::new).collect();
        facts.replica_sets = sets.into_iter().enumerate().map(|(n, (revision, desired, conditions))| {
            let mut set = ReplicaSetFacts::default();
            set.name = "web-6f5b8c7d9".into();
            set.uid = if n == 0 { "set" } else { "old-set" }.into();
            set.owner = Some("workload".into());
            (set.revision, set.desired, set.conditions) = (Some(revision), desired, conditions);
            Arc::new(set)
        }).collect();
        facts.events = events.map(|events| events.into_iter().map(|(about, reason, message, last)| {
            let mut event = EventFacts::default();
            (event.about, event.reason, event.message, event.last) = (about, reason, message, last);
            (event.is_warning, event.count) = (true, u32::MAX);
            event
        }).collect());
        facts.not_ready_nodes = nodes.map(|nodes| nodes.into());
        let seen = unseen.map(|what| hikaru_core::rollout::Unseen::new(what, "no right"));
        facts.unseen.extend(seen);
        facts
    }
}

fn complete() -> impl Strategy<Value = Scene> {
    let kinds: Vec<fn(i32) -> Scene> = vec![deployment, stateful_set, daemon_set];
    (prop::sample::select(kinds), 0_usize..4)
        .prop_map(|(kind, pods)| kind(i32::try_from(pods).expect("few")).ready(pods))
}

proptest! {
    #[test]
    fn any_facts_are_judged(steps in prop::collection::vec(facts(), 1..4)) {
        let mut reached = Reached::default();
        for facts in &steps {
            let asked = deployment(0).asked;
            let judged = judge(&reached, Some(facts), &asked);
            let again = judge(&judged.reached, Some(facts), &asked);
            prop_assert_eq!(&again, &judge(&again.reached, Some(facts), &asked), "handing it in once more changes nothing");
            prop_assert_eq!(&again.rollout, &judged.rollout);
            prop_assert_eq!(&again.reached, &judged.reached);
            prop_assert!(judged.look_again.is_none_or(|at| at > facts.now));
            prop_assert!(!judged.rollout.sentence.chars().any(hikaru_core::text::Escaped::escapes));
            prop_assert_eq!(judged.rollout.state == RolloutState::Failed, judged.rollout.state == RolloutState::Failed && judged.rollout.cause.is_some());
            if let Some(cause) = &judged.rollout.cause {
                let events = facts.events.as_deref().unwrap_or_default();
                Evidence::of(facts, events, cause);
                LogWanted::of(cause);
            }
            event_objects(facts);
            reached = judged.reached;
        }
    }

    /// Whoever asks with a window leaves behind what somebody who asks without one does.
    #[test]
    fn what_was_reached_does_not_depend_on_the_window(
        steps in prop::collection::vec((facts(), prop::option::of(length())), 1..4),
    ) {
        let (mut one, mut other) = (Reached::default(), Reached::default());
        for (facts, window) in &steps {
            let mut asked = deployment(0).asked;
            one = judge(&one, Some(facts), &asked).reached;
            asked.stable_for = *window;
            let judged = judge(&other, Some(facts), &asked);
            let again = judge(&judged.reached, Some(facts), &asked);
            prop_assert_eq!(&again.rollout, &judged.rollout);
            prop_assert!(judged.look_again.is_none_or(|at| at > facts.now));
            other = judged.reached;
            prop_assert_eq!(&one, &other);
        }
    }

    /// The same facts, as those of a Job.
    #[test]
    fn any_pods_of_a_job_are_judged(facts in facts(), since in prop::option::of(time())) {
        let job = || "shop/migrate".parse().expect("a name");
        let memory = Arc::new(MemoryJobs::default());
        let mut policy = JobPolicy::default();
        policy.namespaces = None;
        let jobs = Jobs::new(memory.clone(), policy, Arc::new(StillClock::default()));
        let request = JobRequest::new(JobSource::Yaml("shop/migrate".into()));
        jobs.run(&request, Mode::Commit).now_or_never().expect("at once").expect("created");
        memory.set(&job(), |job| (job.state, job.uid, job.since) = (JobState::Running, "workload".into(), since));
        memory.set_pods(&job(), |told| (told.now, told.pods) = (facts.now, facts.pods.clone()));
        memory.set_events(facts.events.clone().unwrap_or_default());
        let status = || jobs.status(&job()).now_or_never().expect("at once").expect("a status");
        let judged = status();
        if let Some(cause) = &judged.cause {
            prop_assert!(!cause.message.chars().any(hikaru_core::text::Escaped::escapes));
            prop_assert!(judged.sentence().starts_with("cannot start: "));
        }
        prop_assert_eq!(&judged, &status());
    }

    /// Whatever conditions and events of the past still say.
    #[test]
    fn what_is_complete_has_not_failed(scene in complete(), conditions in conditions(), at in 0_u64..100_000) {
        let scene = scene.at(at).object(|object| object.conditions = conditions);
        prop_assert_eq!(scene.judge().rollout.state, RolloutState::Complete);
    }

    /// A rollout that goes on never has less time than before, whatever becomes of its pods.
    #[test]
    fn progress_never_moves_the_limit_back(
        steps in prop::collection::vec((0_usize..3, 0_usize..3, 0_usize..3, 1_u64..300), 1..8),
    ) {
        let mut scene: Option<Scene> = None;
        let (mut now, mut last) = (10, None);
        for (ready, starting, old, passed) in steps {
            now += passed;
            let mut next = stateful_set(9).ready(ready).old(old).at(now);
            for _ in 0..starting {
                next = next.pod(super::scene::unready);
            }
            if let Some(before) = &scene {
                next = before.again(next);
            }
            next.facts.events = Some(Vec::new());
            let judged = next.judge();
            if judged.rollout.state == RolloutState::Progressing {
                prop_assert!(judged.look_again >= last, "{:?} < {last:?}", judged.look_again);
                last = judged.look_again;
            }
            scene = Some(next.then());
        }
    }
}
