//! What is read of each kind's object.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::*;
use crate::kind::Kinds;

fn read_as(kind: &str, object: &Value) -> (ObjectFacts, Option<Selector>) {
    let added = "argoproj.io/v1alpha1/Rollout=spec.template".parse();
    let kinds = Kinds::with(&[added.expect("a kind")]);
    let kind = kinds.named(kind).expect("a kind");
    read(kind, &object.to_string()).expect("an object")
}

fn deployment() -> Value {
    json!({
        "metadata": {"name": "web", "namespace": "shop", "generation": 4,
            "annotations": {"deployment.kubernetes.io/revision": "3", "deprecated.daemonset.template.generation": "9"},
            "managedFields": [{"manager": "hikaru", "operation": "Update", "time": "2026-11-24T18:00:00Z",
                "fieldsV1": {"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {"f:image": {}}}}}}}}]},
        "spec": {"replicas": 3, "minReadySeconds": 5, "progressDeadlineSeconds": 600, "strategy": {"type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": "25%"}},
            "selector": {"matchLabels": {"app": "web"}, "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["a", "b"]}, {"key": "old", "operator": "DoesNotExist"}]},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {
                "initContainers": [{"name": "migrate", "image": "m:1"}, {"name": "mesh", "image": "s:1", "restartPolicy": "Always"}],
                "containers": [{"name": "web", "image": "w:1", "resources": {"limits": {"memory": "128Mi", "cpu": "1"}},
                    "readinessProbe": {"httpGet": {"port": 8080, "path": "/healthz", "scheme": "HTTP"}},
                    "livenessProbe": {"tcpSocket": {"port": "http"}, "periodSeconds": 5, "failureThreshold": 2},
                    "startupProbe": {"exec": {"command": ["cat", "/tmp/ready"]}, "initialDelaySeconds": 3, "periodSeconds": 0,
                        "timeoutSeconds": 4, "successThreshold": 1, "failureThreshold": 30}}]}}},
        "status": {"observedGeneration": 4, "replicas": 4, "updatedReplicas": 2, "readyReplicas": 3, "availableReplicas": 1,
            "conditions": [{"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated", "message": "m",
                "lastUpdateTime": "2026-11-24T18:00:09Z", "lastTransitionTime": "2026-11-24T18:00:00Z"}]},
    })
}

#[test]
fn what_is_read_of_a_deployment() {
    let (facts, selector) = read_as("Deployment", &deployment());
    assert_eq!(facts.kind, RolloutKind::Deployment);
    assert_eq!((facts.generation, facts.observed), (4, 4));
    assert_eq!(facts.revision.as_deref(), Some("3"));
    assert_eq!(
        [
            facts.desired,
            facts.current,
            facts.updated,
            facts.ready,
            facts.available
        ],
        [3, 4, 2, 3, 1]
    );
    assert_eq!(facts.progress_deadline, Some(Duration::from_secs(600)));
    assert_eq!(facts.min_ready, Duration::from_secs(5));
    assert!(!facts.is_paused && !facts.is_recreate && !facts.is_on_delete && !facts.is_deleting);
    // 2026-11-24T18:00:00Z.
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_543_200);
    let changed = facts.changed.expect("it is told");
    assert_eq!((&*changed.manager, changed.at), ("hikaru", at));
    assert_eq!(facts.conditions[0].since, Some(at + Duration::from_secs(9)));
    let selector = selector.expect("it selects pods").to_string();
    assert_eq!(selector, "app=web,tier in (a,b),!old");

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
            ("web", "w:1", Role::Main)
        ]
    );
    let web = &facts.containers[2];
    assert_eq!(web.memory_limit.as_deref(), Some("128Mi"));
    assert_eq!(web.readiness, Some(Probe::new("GET :8080/healthz")));
    let mut liveness = Probe::new("a connection to port http");
    (liveness.period, liveness.failure_threshold) = (Duration::from_secs(5), 2);
    assert_eq!(web.liveness, Some(liveness));
    let mut startup = Probe::new("the command cat /tmp/ready");
    startup.initial_delay = Duration::from_secs(3);
    startup.timeout = Duration::from_secs(4);
    startup.failure_threshold = 30;
    assert_eq!(web.startup, Some(startup));
}

#[test]
fn what_keeps_a_deployment_from_rolling() {
    let mut object = deployment();
    object["metadata"]["deletionTimestamp"] = json!("2026-11-24T18:00:00Z");
    object["spec"]["paused"] = json!(true);
    object["spec"]["strategy"] = json!({"type": "Recreate"});
    object["spec"]["progressDeadlineSeconds"] = json!(i32::MAX);
    let (facts, _) = read_as("Deployment", &object);
    assert!(facts.is_paused && facts.is_recreate && facts.is_deleting);
    assert_eq!(facts.progress_deadline, None);
}

#[test]
fn the_other_kinds_have_their_own_words() {
    let (facts, _) = read_as(
        "StatefulSet",
        &json!({
            "metadata": {"generation": 2, "annotations": {"deployment.kubernetes.io/revision": "3"}},
            "spec": {"podManagementPolicy": "Parallel", "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}},
                "selector": {"matchLabels": {"app": "db"}}},
            "status": {"observedGeneration": 1, "replicas": 3, "updatedReplicas": 1, "readyReplicas": 2, "availableReplicas": 2,
                "currentRevision": "db-1", "updateRevision": "db-2", "conditions": null},
        }),
    );
    assert_eq!(facts.kind, RolloutKind::StatefulSet);
    assert_eq!(facts.revision.as_deref(), Some("db-2"));
    assert_eq!(
        (facts.partition, facts.is_parallel, facts.is_on_delete),
        (2, true, false)
    );
    assert_eq!(
        [
            facts.desired,
            facts.current,
            facts.updated,
            facts.ready,
            facts.available
        ],
        [1, 3, 1, 2, 2]
    );

    let (facts, _) = read_as(
        "DaemonSet",
        &json!({
            "metadata": {"annotations": {"deprecated.daemonset.template.generation": "7"}},
            "spec": {"updateStrategy": {"type": "OnDelete"}, "selector": {}},
            "status": {"desiredNumberScheduled": 5, "currentNumberScheduled": 4, "updatedNumberScheduled": 3, "numberReady": 2,
                "numberAvailable": 1},
        }),
    );
    assert_eq!(facts.kind, RolloutKind::DaemonSet);
    assert_eq!(facts.revision.as_deref(), Some("7"));
    assert!(facts.is_on_delete);
    assert_eq!(
        [
            facts.desired,
            facts.current,
            facts.updated,
            facts.ready,
            facts.available
        ],
        [5, 4, 3, 2, 1]
    );
}

#[test]
fn of_kinds_without_rollouts_nothing_more_is_read() {
    let odd = json!({"metadata": {"generation": 2}, "spec": {"replicas": "many", "selector": 7, "template": {}}, "status": 7});
    for kind in ["CronJob", "Rollout"] {
        let (facts, selector) = read_as(kind, &odd);
        let mut expected = ObjectFacts::default();
        expected.generation = 2;
        assert_eq!((facts, selector), (expected, None), "{kind}");
    }
}

#[test]
fn what_is_absent_has_its_default() {
    for object in [
        json!({"metadata": {}}),
        json!({"metadata": {"annotations": null, "managedFields": null}, "spec": null, "status": null}),
        json!({"metadata": {}, "spec": {"strategy": null, "template": {"spec": null}}, "status": {}}),
    ] {
        let (facts, selector) = read_as("Deployment", &object);
        let mut expected = ObjectFacts::default();
        (expected.kind, expected.desired) = (RolloutKind::Deployment, 1);
        assert_eq!((facts, selector), (expected, None), "{object}");
    }
}

#[test]
fn what_a_probe_does_is_told_in_words() {
    for (read, expected) in [
        (json!({"httpGet": {"port": "web"}}), Some("GET :web/")),
        (
            json!({"httpGet": {"port": 8443, "path": "/up", "scheme": "HTTPS", "host": "h"}}),
            Some("GET https://h:8443/up"),
        ),
        (
            json!({"grpc": {"port": 9000, "service": "x"}}),
            Some("gRPC on port 9000"),
        ),
        (json!({"exec": {}}), Some("the command ")),
        (json!({"periodSeconds": 3}), None),
    ] {
        let read = serde_json::from_value(read).expect("a probe");
        assert_eq!(action(&read).as_deref(), expected);
    }
    let long = json!({"exec": {"command": ["sh", "-c", "ü".repeat(500)]}});
    let told = action(&serde_json::from_value(long).expect("a probe")).expect("a command");
    assert!(
        told.ends_with("üü…") && told.chars().count() < 220,
        "{told}"
    );
}
