//! How far a rollout is, in the terms of `kubectl rollout status`, from spec and status of each kind, and what keeps one from
//! beginning.

use hikaru_core::workload::{Hindrance, Progress};
use serde::Deserialize;

use crate::{hindrances::SpecFacts, kind::Rollout};

/// What is read of a spec.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::live) struct Spec {
    #[serde(default)]
    replicas: Option<i32>,
    #[serde(default)]
    update_strategy: Option<UpdateStrategy>,
    #[serde(default)]
    paused: Option<bool>,
    #[serde(default)]
    min_ready_seconds: Option<i32>,
    #[serde(default)]
    suspend: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct UpdateStrategy {
    #[serde(default, rename = "type")]
    name: Option<String>,
    #[serde(default)]
    rolling_update: Option<RollingUpdate>,
}

#[derive(Default, Deserialize)]
struct RollingUpdate {
    #[serde(default)]
    partition: Option<i32>,
}

/// What is read of a status: the kinds use the same words for the same things, where they have them.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::live) struct Status {
    observed_generation: i64,
    replicas: i32,
    updated_replicas: i32,
    available_replicas: i32,
    ready_replicas: i32,
    desired_number_scheduled: i32,
    current_number_scheduled: i32,
    updated_number_scheduled: i32,
    number_available: i32,
    conditions: Option<Vec<Condition>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Condition {
    #[serde(rename = "type")]
    name: String,
    reason: Option<String>,
}

/// `None`: the kind has no rollouts.
pub(in crate::live) fn progress(
    rollout: Rollout,
    generation: i64,
    spec: &Spec,
    status: &Status,
) -> Option<Progress> {
    let mut progress = Progress::default();
    progress.generation = generation;
    progress.observed = status.observed_generation;
    match rollout {
        Rollout::None => return None,
        Rollout::Deployment => {
            progress.desired = spec.replicas.unwrap_or(1);
            progress.current = status.replicas;
            progress.updated = status.updated_replicas;
            progress.available = status.available_replicas;
            progress.deadline_exceeded = status.conditions.iter().flatten().any(|condition| {
                condition.name == "Progressing"
                    && condition.reason.as_deref() == Some("ProgressDeadlineExceeded")
            });
        }
        Rollout::StatefulSet => {
            let rolling = spec.update_strategy.as_ref();
            let rolling = rolling.and_then(|strategy| strategy.rolling_update.as_ref());
            let partition = rolling.and_then(|rolling| rolling.partition).unwrap_or(0);
            let replicas = spec.replicas.unwrap_or(1);
            // Pods below the partition keep the old revision: they are not waited for.
            progress.desired = (replicas - partition).max(0);
            progress.updated = status.updated_replicas;
            progress.current = if partition > 0 {
                progress.updated.min(status.replicas)
            } else {
                status.replicas
            };
            // kubectl waits until all pods are ready, of whatever revision: those that lack count against the updated. It knows no
            // minReadySeconds here; a rollout is not complete before they have passed.
            let ready = match spec.min_ready_seconds {
                Some(1..) => status.available_replicas,
                _ => status.ready_replicas,
            };
            let lacking = (replicas - ready).max(0);
            progress.available = (progress.updated - lacking).max(0);
        }
        Rollout::DaemonSet => {
            progress.desired = status.desired_number_scheduled;
            progress.current = status.current_number_scheduled;
            progress.updated = status.updated_number_scheduled;
            progress.available = status.number_available;
        }
    }
    Some(progress)
}

/// What keeps the pods from following what is written, as far as the spec tells.
pub(in crate::live) fn hindrances(spec: &Spec) -> Vec<Hindrance> {
    let strategy = spec.update_strategy.as_ref();
    let facts = SpecFacts {
        paused: spec.paused == Some(true),
        suspended: spec.suspend == Some(true),
        strategy: strategy.and_then(|strategy| strategy.name.as_deref()),
        partition: strategy.and_then(|strategy| strategy.rolling_update.as_ref()?.partition),
    };
    facts.hindrances()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(rollout: Rollout, spec: Value, status: Value, complete: bool) {
        let said = format!("{spec} {status}");
        let spec = serde_json::from_value(spec).expect("a spec");
        let status = serde_json::from_value(status).expect("a status");
        let progress = progress(rollout, 2, &spec, &status).expect("progress");
        assert_eq!(progress.is_complete(), complete, "{said}: {progress:?}");
    }

    #[test]
    fn a_deployment_is_looked_at_as_kubectl_does() {
        let status = |observed, replicas, updated, available| {
            json!({"observedGeneration": observed, "replicas": replicas,
                "updatedReplicas": updated, "availableReplicas": available})
        };
        let spec = json!({"replicas": 3});
        for (status, complete) in [
            (json!({}), false),
            (status(1, 3, 3, 3), false),
            (status(2, 3, 1, 3), false),
            (status(2, 4, 3, 3), false),
            (status(2, 3, 3, 2), false),
            (status(2, 3, 3, 3), true),
        ] {
            check(Rollout::Deployment, spec.clone(), status, complete);
        }
        check(Rollout::Deployment, json!({}), status(2, 1, 1, 1), true);
        check(
            Rollout::Deployment,
            json!({"replicas": 0}),
            status(2, 0, 0, 0),
            true,
        );
        let mut failed = status(2, 3, 3, 3);
        failed["conditions"] = json!([{"type": "Available"},
            {"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]);
        check(Rollout::Deployment, spec, failed, false);
    }

    #[test]
    fn a_stateful_set_waits_for_all_but_its_partition() {
        let status = |updated, ready| {
            json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": updated,
                "readyReplicas": ready})
        };
        let spec = json!({"replicas": 3, "updateStrategy": {"type": "RollingUpdate"}});
        check(Rollout::StatefulSet, spec.clone(), status(1, 3), false);
        check(Rollout::StatefulSet, spec.clone(), status(3, 2), false);
        check(Rollout::StatefulSet, spec, status(3, 3), true);
        let spec = json!({"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": 2}}});
        check(Rollout::StatefulSet, spec.clone(), status(0, 3), false);
        check(Rollout::StatefulSet, spec.clone(), status(1, 2), false);
        check(Rollout::StatefulSet, spec, status(1, 3), true);
        let spec = json!({"replicas": 3, "minReadySeconds": 5});
        let mut status = status(3, 3);
        check(Rollout::StatefulSet, spec.clone(), status.clone(), false);
        status["availableReplicas"] = json!(3);
        check(Rollout::StatefulSet, spec, status, true);
    }

    #[test]
    fn a_daemon_set_waits_for_every_node() {
        let status = |updated, available| {
            json!({"observedGeneration": 2, "desiredNumberScheduled": 2,
                "currentNumberScheduled": 2, "updatedNumberScheduled": updated,
                "numberAvailable": available})
        };
        check(Rollout::DaemonSet, json!({}), status(1, 2), false);
        check(Rollout::DaemonSet, json!({}), status(2, 1), false);
        check(Rollout::DaemonSet, json!({}), status(2, 2), true);
    }
}
