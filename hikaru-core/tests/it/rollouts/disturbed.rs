//! What a first look and a slow start must not fail: rollouts that were complete for weeks, pods of an older revision, starts that a
//! node hinders.

use std::sync::Arc;

use hikaru_core::rollout::{ContainerState, PodFacts};

use super::scene::{
    Scene, condition, crashed, daemon_set, deployment, ended, second, stateful_set, unready, waits,
};

#[test]
fn a_stateful_set_is_stuck_on_a_broken_pod() {
    let broken = |at| {
        let crashes = crashed(3, &ended(3, "Error", ""));
        stateful_set(3).ready(2).old_pod(crashes).at(at)
    };
    // Unready for long, but a corrected template is given its time.
    broken(29)
        .gives("progressing StatefulSetBlocked")
        .looks_again(Some(30));
    broken(30).is(
        "failed StatefulSetBlocked: web-2 is of an older revision and not ready, and a StatefulSet replaces no pod before all are \
         ready: 2 of 3 pods are updated, and a corrected template does not help; delete the pod: kubectl delete pod --namespace \
         shop web-2",
    );
    broken(60)
        .object(|object| object.is_parallel = true)
        .gives("progressing");
    let terminating = stateful_set(3).ready(2).old_pod(|pod| {
        unready(pod);
        pod.is_deleting = true;
    });
    terminating.at(60).gives("progressing");
    // One that only starts slowly may get ready.
    let starting = stateful_set(3).ready(2).old_pod(unready);
    starting
        .clone()
        .at(60)
        .gives("progressing StatefulSetBlocked");
    starting.at(604).gives("failed StatefulSetBlocked");
}

/// It was complete for weeks before somebody asks for the first time.
#[test]
fn a_rollout_that_was_complete_is_disturbed() {
    const DAY: u64 = 86_400;
    // One container was restarted, and runs.
    let mut restarted = deployment(2).ready(1).pod(|pod| {
        unready(pod);
        let web = &mut pod.containers[0];
        (web.restarts, web.state) = (
            1,
            ContainerState::Running {
                since: Some(second(DAY)),
            },
        );
        web.last = Some(ended(1, "Error", ""));
    });
    restarted.clone().at(DAY + 5).gives("progressing CrashLoop");
    // One that has run for hours is restarted as if for the first time.
    restarted = deployment(2).ready(1).pod(|pod| {
        let mut long = ended(1, "Error", "");
        long.finished = Some(second(DAY));
        crashed(5, &long)(pod);
    });
    restarted.at(DAY + 5).gives("progressing CrashLoop");
    // A node is drained.
    let drained = stateful_set(3).ready(2).pod(|pod| {
        pod.is_deleting = true;
        pod.deleted = Some(second(DAY + 30));
    });
    let drained = drained.counting(|object| {
        (object.updated, object.ready, object.available) = (2, 2, 2);
    });
    drained.clone().at(DAY).gives("progressing");
    drained.at(DAY + 700).gives("failed PodTerminating");
    // It is scaled into a quota.
    let message = "pods \"web-6f5b8c7d9-x2b4c\" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=2, limited: pods=2";
    let scaled = deployment(3).ready(2).set(|set| {
        let refused = condition(
            "ReplicaFailure",
            "True",
            "FailedCreate",
            message,
            second(DAY),
        );
        set.conditions.push(refused);
    });
    scaled.at(DAY + 2).gives("progressing QuotaExceeded");
}

/// What tells of pods is behind what tells of the workload.
#[test]
fn the_controller_counts_pods_that_are_not_seen_yet() {
    let mut behind = stateful_set(2).ready(2).counting(|_| ());
    behind.facts.pods.clear();
    behind.clone().at(60).gives("progressing");
    behind.at(700).gives("complete");
}

/// The same with pods that are seen, but not that they are ready. Or the other way round: the controller has not counted yet that
/// they are not ready any more.
#[test]
fn the_controller_counts_pods_as_ready_that_are_not_seen_to_be() {
    for scene in [stateful_set(2), deployment(2), daemon_set(2)] {
        let mut ahead = scene.ready(2).counting(|_| ());
        unready(Arc::make_mut(&mut ahead.facts.pods[1]));
        ahead.at(60).gives("progressing");
    }
}

#[test]
fn a_start_that_a_node_hinders() {
    let one = |change: &dyn Fn(&mut PodFacts)| -> Scene { deployment(3).old(3).pod(change) };
    // The node may get over it; what the image lacks it does not.
    one(&crashed(1, &ended(128, "StartError", "no memory")))
        .at(41)
        .gives("progressing CannotStart")
        .at(42)
        .gives("failed CannotStart");
    let lacks = ended(
        128,
        "StartError",
        "exec: \"serve\": executable file not found in $PATH",
    );
    one(&crashed(1, &lacks)).at(13).gives("failed CannotStart");
    // What runs again by now has started.
    let again = |pod: &mut PodFacts| {
        crashed(1, &ended(127, "Error", ""))(pod);
        pod.containers[0].state = ContainerState::Running { since: None };
    };
    one(&again).at(30).gives("progressing CannotStart");
    one(&waits("CreateContainerError", "context deadline exceeded"))
        .at(60)
        .gives("progressing CannotStart");
}
