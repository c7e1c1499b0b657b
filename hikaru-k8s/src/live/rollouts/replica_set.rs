//! ReplicaSets as the API server sends them, read as far as the rules need it.

use hikaru_core::rollout::ReplicaSetFacts;
use serde::Deserialize;

use super::{
    condition::{Condition, conditions, text, time},
    item::{Facts, Labels, Metadata},
};
use crate::nullable::nullable;

#[derive(Deserialize)]
struct ReplicaSet {
    metadata: Metadata,
    #[serde(default, deserialize_with = "nullable")]
    spec: Spec,
    #[serde(default, deserialize_with = "nullable")]
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Spec {
    replicas: Option<i32>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    replicas: i32,
    ready_replicas: i32,
    available_replicas: i32,
    conditions: Option<Vec<Condition>>,
}

impl Facts for ReplicaSetFacts {
    const PLURAL: &'static str = "replicasets";
    const ROOT: &'static str = "/apis/apps/v1";

    fn read(json: &str) -> Result<(Labels, Self), serde_json::Error> {
        let ReplicaSet {
            metadata,
            spec,
            status,
        } = serde_json::from_str(json)?;
        let mut facts = Self::default();
        facts.owner = metadata.controller();
        facts.name = metadata.name.into();
        facts.uid = text(metadata.uid);
        facts.revision = metadata.annotations.revision.map(Into::into);
        facts.created = time(metadata.creation_timestamp);
        facts.desired = spec.replicas.unwrap_or(1);
        facts.current = status.replicas;
        facts.ready = status.ready_replicas;
        facts.available = status.available_replicas;
        facts.conditions = conditions(status.conditions);
        Ok((metadata.labels, facts))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(object: &Value) -> ReplicaSetFacts {
        let (_, facts) = ReplicaSetFacts::read(&object.to_string()).expect("a ReplicaSet");
        facts
    }

    #[test]
    fn what_is_read_of_a_replica_set() {
        let object = json!({
            "metadata": {"name": "web-7c9f", "uid": "rs-1", "creationTimestamp": "2026-11-24T18:00:00Z",
                "labels": {"app": "web"}, "annotations": {"deployment.kubernetes.io/revision": "3", "other": "x"},
                "ownerReferences": [{"uid": "x"}, {"uid": "d-1", "controller": true}]},
            "spec": {"replicas": 3},
            "status": {"replicas": 2, "readyReplicas": 1, "availableReplicas": 1, "conditions": [
                {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota",
                    "lastTransitionTime": "2026-11-24T18:00:01Z"}]},
        });
        let facts = read(&object);
        assert_eq!((&*facts.name, &*facts.uid), ("web-7c9f", "rs-1"));
        assert_eq!(facts.owner.as_deref(), Some("d-1"));
        assert_eq!(facts.revision.as_deref(), Some("3"));
        assert_eq!(
            (facts.desired, facts.current, facts.ready, facts.available),
            (3, 2, 1, 1)
        );
        let condition = &facts.conditions[0];
        assert_eq!(
            (
                &*condition.kind,
                &*condition.status,
                &*condition.reason,
                &*condition.message
            ),
            ("ReplicaFailure", "True", "FailedCreate", "exceeded quota")
        );
        let after = condition
            .since
            .expect("a time")
            .duration_since(facts.created.expect("a time"));
        assert_eq!(after.expect("later").as_secs(), 1);
    }

    #[test]
    fn one_without_revision_and_status_is_read() {
        for object in [
            json!({"metadata": {"name": "a", "labels": null, "annotations": null, "ownerReferences": null}}),
            json!({"metadata": {"name": "a"}, "spec": null, "status": null}),
            json!({"metadata": {"name": "a"}, "spec": {}, "status": {"conditions": null}}),
        ] {
            let mut expected = ReplicaSetFacts::default();
            (expected.name, expected.desired) = ("a".into(), 1);
            assert_eq!(read(&object), expected);
        }
    }
}
