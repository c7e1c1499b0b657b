//! Rollouts to be judged: Deployments of three pods, as an adapter fills them in.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use hikaru_core::{
    Container, Text, Workload, WorkloadId,
    rollout::{
        Asked, Condition, ContainerFacts, ContainerSpec, ContainerState, ObjectFacts, PodFacts,
        Probe, ReplicaSetFacts, RolloutFacts, RolloutKind, TemplateChange, Terminated,
    },
};

const IMAGE: &str = "ghcr.io/acme/web:acme_web_main_1.4.0_7_0123abcd";

/// What the rollouts are called, and their facts.
pub(crate) fn all() -> [(&'static str, RolloutFacts); 3] {
    [
        ("complete", facts(3, None)),
        ("two-of-three-ready", facts(2, None)),
        ("crash-loop", facts(0, Some("CrashLoopBackOff"))),
    ]
}

/// What is asked of them.
pub(crate) fn asked() -> Asked {
    let mut asked = Asked::default();
    asked.uid = "uid-web".into();
    asked.images.push(("web".into(), IMAGE.into()));
    asked
}

fn second(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

fn condition(kind: &str, status: &str, since: u64) -> Condition {
    let mut condition = Condition::default();
    (condition.kind, condition.status) = (kind.into(), status.into());
    condition.since = Some(second(since));
    condition
}

fn facts(ready: i32, waiting: Option<&str>) -> RolloutFacts {
    let mut workload = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
    workload.uid = "uid-web".into();
    workload.containers.push(Container::new("web", IMAGE));
    let mut object = ObjectFacts::default();
    object.kind = RolloutKind::Deployment;
    (object.generation, object.observed) = (7, 7);
    object.revision = Some("4".into());
    (object.desired, object.current, object.updated) = (3, 3, 3);
    (object.ready, object.available) = (ready, ready);
    object.progress_deadline = Some(Duration::from_secs(600));
    object.changed = Some(TemplateChange::new("hikaru", second(0)));
    object.conditions = vec![
        condition("Progressing", "True", 3),
        condition("Available", "True", 3),
    ];
    let mut web = ContainerSpec::default();
    (web.name, web.image) = ("web".into(), IMAGE.into());
    web.readiness = Some(Probe::new("GET :8080/ready"));
    object.containers.push(web);
    let mut facts = RolloutFacts::new(second(60), Arc::new(workload), object);
    for revision in 1..=4_i32 {
        let mut set = ReplicaSetFacts::default();
        set.name = format!("web-6f5b8c7d{revision}").into();
        set.uid = format!("uid-set-{revision}").into();
        set.owner = Some("uid-web".into());
        set.revision = Some(revision.to_string().into());
        set.created = Some(second(0));
        if revision == 4 {
            (set.desired, set.current, set.ready, set.available) = (3, 3, ready, ready);
        }
        facts.replica_sets.push(Arc::new(set));
    }
    facts.pods = (0..3)
        .map(|n| Arc::new(pod(n, n < ready, waiting)))
        .collect();
    facts
}

fn pod(n: i32, is_ready: bool, waiting: Option<&str>) -> PodFacts {
    let mut pod = PodFacts::default();
    pod.name = format!("web-6f5b8c7d4-x2b4{n}").into();
    pod.uid = format!("uid-pod-{n}").into();
    pod.owner = Some("uid-set-4".into());
    (pod.created, pod.grace) = (Some(second(1)), Duration::from_secs(30));
    (pod.node, pod.phase) = (Some("node-1".into()), "Running".into());
    let status = if is_ready { "True" } else { "False" };
    let conditions = ["Initialized", "PodScheduled"].map(|kind| condition(kind, "True", 1));
    let last = ["ContainersReady", "Ready"].map(|kind| condition(kind, status, 5));
    pod.conditions = conditions.into_iter().chain(last).collect();
    let mut web = ContainerFacts::default();
    (web.name, web.image) = ("web".into(), IMAGE.into());
    (web.is_ready, web.is_started) = (is_ready, true);
    web.state = match waiting {
        None => ContainerState::Running {
            since: Some(second(2)),
        },
        Some(reason) => {
            let mut ended = Terminated::default();
            (ended.exit_code, ended.reason) = (3, "Error".into());
            ended.message = Text::from("FATAL: cannot connect to database db:5432\n");
            (web.restarts, web.last) = (4, Some(ended));
            ContainerState::Waiting {
                reason: reason.into(),
                message: "back-off 40s restarting failed container".into(),
            }
        }
    };
    pod.containers.push(web);
    pod
}
