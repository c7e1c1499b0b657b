//! Pods as the API server sends them, read as far as the rules need it: partial structs, because a watch sends many.

use std::time::Duration;

use hikaru_core::{
    Text,
    rollout::{ContainerFacts, ContainerState, PodFacts, Role, Terminated},
};
use k8s_openapi::api::core::v1::{
    ContainerState as State, ContainerStateTerminated as StateTerminated,
};
use serde::Deserialize;

use super::{
    condition::{Condition, conditions, kept, text, time},
    item::{Facts, Labels, Metadata},
};
use crate::nullable::nullable;

/// `spec.terminationGracePeriodSeconds` where it is absent.
const GRACE: i64 = 30;

#[derive(Deserialize)]
struct Pod {
    metadata: Metadata,
    #[serde(default, deserialize_with = "nullable")]
    spec: Spec,
    #[serde(default, deserialize_with = "nullable")]
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    node_name: Option<String>,
    termination_grace_period_seconds: Option<i64>,
    readiness_gates: Option<Vec<ReadinessGate>>,
    containers: Option<Vec<Container>>,
    init_containers: Option<Vec<Container>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadinessGate {
    condition_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Container {
    name: String,
    #[serde(default)]
    image: Option<String>,
    #[serde(default)]
    restart_policy: Option<String>,
    #[serde(default)]
    termination_message_policy: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    phase: Option<String>,
    reason: Option<String>,
    message: Option<String>,
    conditions: Option<Vec<Condition>>,
    container_statuses: Option<Vec<ContainerStatus>>,
    init_container_statuses: Option<Vec<ContainerStatus>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerStatus {
    name: String,
    #[serde(default)]
    ready: bool,
    #[serde(default)]
    started: Option<bool>,
    #[serde(default)]
    restart_count: i32,
    #[serde(default)]
    state: Option<State>,
    #[serde(default)]
    last_state: Option<State>,
}

impl Facts for PodFacts {
    const PLURAL: &'static str = "pods";
    const ROOT: &'static str = "/api/v1";

    fn read(json: &str) -> Result<(Labels, Self), serde_json::Error> {
        let Pod {
            metadata,
            spec,
            status,
        } = serde_json::from_str(json)?;
        let label = |name: &str| {
            metadata
                .labels
                .get(name)
                .map(|value| Text::from(value.as_str()))
        };
        let mut facts = Self::default();
        facts.owner = metadata.controller();
        facts.revision_hash = label("controller-revision-hash");
        facts.template_generation = label("pod-template-generation");
        facts.name = metadata.name.into();
        facts.uid = text(metadata.uid);
        facts.created = time(metadata.creation_timestamp);
        facts.deleted = time(metadata.deletion_timestamp);
        facts.is_deleting = facts.deleted.is_some();
        let grace = spec.termination_grace_period_seconds.unwrap_or(GRACE);
        facts.grace = Duration::from_secs(grace.try_into().unwrap_or_default());
        let node = spec.node_name.filter(|node| !node.is_empty());
        facts.node = node.map(Into::into);
        facts.phase = text(status.phase);
        facts.reason = text(status.reason);
        facts.message = text(status.message);
        facts.conditions = conditions(status.conditions);
        let gates = spec.readiness_gates.into_iter().flatten();
        facts.readiness_gates = kept(gates.map(|gate| gate.condition_type.into()));
        let mut statuses: Vec<_> = status.init_container_statuses.unwrap_or_default();
        statuses.extend(status.container_statuses.into_iter().flatten());
        let init = spec.init_containers.into_iter().flatten();
        let init = init.map(|container| {
            let role = role_of_init(container.restart_policy.as_deref());
            (container, role)
        });
        let main = spec.containers.into_iter().flatten();
        let all = init.chain(main.map(|container| (container, Role::Main)));
        let told = all.map(|(container, role)| {
            let at = statuses.iter().position(|s| s.name == container.name);
            container_facts(container, role, at.map(|at| statuses.swap_remove(at)))
        });
        facts.containers = kept(told);
        Ok((metadata.labels, facts))
    }
}

/// What an init container is: one that is always restarted goes on beside the others.
pub(super) fn role_of_init(restart_policy: Option<&str>) -> Role {
    match restart_policy {
        Some("Always") => Role::Sidecar,
        _ => Role::Init,
    }
}

fn container_facts(
    container: Container,
    role: Role,
    status: Option<ContainerStatus>,
) -> ContainerFacts {
    let mut facts = ContainerFacts::default();
    facts.name = container.name.into();
    facts.image = text(container.image);
    facts.role = role;
    let policy = container.termination_message_policy;
    facts.ends_with_log = policy.as_deref() == Some("FallbackToLogsOnError");
    if let Some(status) = status {
        facts.is_ready = status.ready;
        facts.is_started = status.started.unwrap_or_default();
        facts.restarts = status.restart_count.try_into().unwrap_or_default();
        facts.state = status.state.map(state).unwrap_or_default();
        let last = status.last_state.and_then(|last| last.terminated);
        facts.last = last.map(terminated);
    }
    facts
}

fn state(state: State) -> ContainerState {
    if let Some(ended) = state.terminated {
        ContainerState::Terminated(terminated(ended))
    } else if let Some(running) = state.running {
        ContainerState::Running {
            since: time(running.started_at),
        }
    } else if let Some(waiting) = state.waiting {
        ContainerState::Waiting {
            reason: text(waiting.reason),
            message: text(waiting.message),
        }
    } else {
        ContainerState::Unknown
    }
}

fn terminated(ended: StateTerminated) -> Terminated {
    let mut facts = Terminated::default();
    facts.exit_code = ended.exit_code;
    facts.signal = ended.signal.unwrap_or_default();
    facts.reason = text(ended.reason);
    facts.message = text(ended.message);
    facts.started = time(ended.started_at);
    facts.finished = time(ended.finished_at);
    facts
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::SystemTime};

    use hikaru_core::jobs::container_troubles;
    use serde_json::{Value, json};

    use super::*;

    fn read(object: &Value) -> PodFacts {
        let (_, facts) = PodFacts::read(&object.to_string()).expect("a pod");
        facts
    }

    /// 2026-11-24T18:00:00Z and so many seconds.
    fn at(seconds: u64) -> Option<SystemTime> {
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_543_200 + seconds))
    }

    #[test]
    fn what_is_read_of_a_pod() {
        let time = |second: u8| format!("2026-11-24T18:00:{second:02}Z");
        let ended = json!({"terminated": {"exitCode": 137, "signal": 9, "reason": "OOMKilled", "message": "a\u{1b}[31m",
            "startedAt": time(1), "finishedAt": time(2)}});
        let facts = read(&json!({
            "metadata": {"name": "web-0", "uid": "p-1", "creationTimestamp": time(0), "deletionTimestamp": time(9),
                "managedFields": [{"manager": "x"}],
                "labels": {"app": "web", "controller-revision-hash": "web-5d", "pod-template-generation": "4"},
                "ownerReferences": [{"uid": "rs-1", "controller": true, "kind": "ReplicaSet", "name": "web"}]},
            "spec": {"nodeName": "n1", "terminationGracePeriodSeconds": 60,
                "readinessGates": [{"conditionType": "lb/ready"}],
                "initContainers": [{"name": "migrate", "image": "m:1"}, {"name": "mesh", "image": "s:1", "restartPolicy": "Always"}],
                "containers": [{"name": "web", "image": "w:1", "terminationMessagePolicy": "File", "env": [{"name": "x"}]}, {"name": "log", "image": "l:1",
                        "terminationMessagePolicy": "FallbackToLogsOnError"},
                    {"name": "new", "image": "n:1"}]},
            "status": {"phase": "Running", "reason": "R", "message": "m",
                "conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady", "lastTransitionTime": time(3)}],
                "initContainerStatuses": [{"name": "migrate", "ready": true, "restartCount": 0,
                        "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}},
                    {"name": "mesh", "ready": true, "started": true, "restartCount": 1, "state": {"running": {"startedAt": time(4)}}}],
                "containerStatuses": [
                    {"name": "log", "ready": false, "restartCount": 2, "lastState": ended, "image": "l", "imageID": "",
                        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}},
                    {"name": "web", "ready": true, "restartCount": 0, "state": {}}]},
        }));
        assert_eq!((&*facts.name, &*facts.uid), ("web-0", "p-1"));
        assert_eq!(facts.owner.as_deref(), Some("rs-1"));
        assert_eq!(facts.revision_hash.as_deref(), Some("web-5d"));
        assert_eq!(facts.template_generation.as_deref(), Some("4"));
        assert_eq!((facts.created, facts.is_deleting), (at(0), true));
        assert_eq!(facts.grace, Duration::from_secs(60));
        assert_eq!(facts.node.as_deref(), Some("n1"));
        assert_eq!(
            (&*facts.phase, &*facts.reason, &*facts.message),
            ("Running", "R", "m")
        );
        assert_eq!(facts.conditions[0].since, at(3));
        assert_eq!(facts.readiness_gates, ["lb/ready".into()]);
        let told: Vec<_> = facts
            .containers
            .iter()
            .map(|c| (&*c.name, &*c.image, c.role))
            .collect();
        assert_eq!(
            told,
            [
                ("migrate", "m:1", Role::Init),
                ("mesh", "s:1", Role::Sidecar),
                ("web", "w:1", Role::Main),
                ("log", "l:1", Role::Main),
                ("new", "n:1", Role::Main),
            ]
        );
        let [migrate, mesh, web, log, new] = &facts.containers[..] else {
            panic!("five containers");
        };
        assert!(
            matches!(&migrate.state, ContainerState::Terminated(ended) if &*ended.reason == "Completed")
        );
        assert_eq!(mesh.state, ContainerState::Running { since: at(4) });
        assert_eq!((mesh.is_started, mesh.restarts), (true, 1));
        assert_eq!((web.is_ready, &web.state), (true, &ContainerState::Unknown));
        let waiting = ContainerState::Waiting {
            reason: "CrashLoopBackOff".into(),
            message: "back-off".into(),
        };
        assert_eq!(log.state, waiting);
        assert_eq!((log.ends_with_log, web.ends_with_log), (true, false));
        let last = log.last.as_ref().expect("it has ended before");
        assert_eq!(
            (last.exit_code, last.signal, &*last.reason),
            (137, 9, "OOMKilled")
        );
        assert_eq!((last.started, last.finished), (at(1), at(2)));
        assert_eq!(&*last.message, "a\u{1b}[31m");
        assert_eq!(new.state, ContainerState::Unknown);
    }

    #[test]
    fn a_pod_without_status_is_read() {
        for object in [
            json!({"metadata": {"name": "a"}}),
            json!({"metadata": {"name": "a", "labels": null, "ownerReferences": null}, "spec": null, "status": null}),
            json!({"metadata": {"name": "a"}, "spec": {"containers": null, "nodeName": ""},
                "status": {"conditions": null, "containerStatuses": null}}),
        ] {
            let mut expected = PodFacts::default();
            (expected.name, expected.grace) = ("a".into(), Duration::from_secs(30));
            assert_eq!(read(&object), expected);
        }
    }

    #[test]
    fn what_the_pods_of_a_job_are_troubled_by() {
        let pod = |name: &str, status: Value| {
            let pod = json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "c"}], "initContainers": [{"name": "i"}]},
                "status": status});
            Arc::new(read(&pod))
        };
        let pods = [
            pod("new", json!(null)),
            pod(
                "waits",
                json!({"containerStatuses": [{"name": "c", "state": {"waiting": {"reason": "ContainerCreating"}}}]}),
            ),
            pod(
                "alone",
                json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                "message": "0/1 nodes are available"}]}),
            ),
            pod(
                "evicted",
                json!({"phase": "Failed", "reason": "Evicted", "message": "disk"}),
            ),
            pod(
                "pulls",
                json!({"containerStatuses": [{"name": "c", "state": {"waiting": {"reason": "ImagePullBackOff",
                "message": "no such image"}}}]}),
            ),
            pod(
                "ended",
                json!({"initContainerStatuses": [{"name": "i", "state": {"terminated": {"exitCode": 0}}}],
                "containerStatuses": [{"name": "c", "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}]}),
            ),
        ];
        let told = container_troubles(&pods);
        let told: Vec<String> = told.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "the container c of the pod ended ended with exit code 137 (OOMKilled)",
                "the container c of the pod pulls is in ImagePullBackOff: no such image",
                "the pod alone is in Unschedulable: 0/1 nodes are available",
                "the pod evicted is in Evicted: disk",
            ]
        );
    }
}
