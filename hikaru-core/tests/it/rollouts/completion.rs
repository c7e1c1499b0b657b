//! When a rollout is complete.

use hikaru_core::rollout::ContainerState;

use super::scene::{
    Scene, crashed, daemon_set, deployment, ended, second, seconds, stateful_set, unready,
};

#[test]
fn the_equalities_of_kubectl() {
    let deployed = |updated, current, available| {
        deployment(3).ready(3).at(10).counting(|object| {
            (object.updated, object.current, object.available) = (updated, current, available);
        })
    };
    deployed(3, 3, 3).gives("complete");
    deployed(2, 3, 3).gives("progressing");
    deployed(3, 4, 3).gives("progressing");
    deployed(3, 3, 2).gives("progressing");
    let stateful = |ready, updated| {
        stateful_set(3)
            .ready(3)
            .at(10)
            .counting(|object| (object.ready, object.updated) = (ready, updated))
    };
    stateful(3, 3).gives("complete");
    stateful(2, 3).gives("progressing");
    stateful(3, 2).gives("progressing");
    let daemons = |updated, available| {
        daemon_set(3)
            .ready(3)
            .at(10)
            .counting(|object| (object.updated, object.available) = (updated, available))
    };
    daemons(3, 3).gives("complete");
    daemons(2, 3).gives("progressing");
    daemons(3, 2).gives("progressing");
}

#[test]
fn pods_have_to_stay_ready() {
    let stay = |scene: Scene, available| {
        let stay = scene.at(10).counting(|object| {
            (object.min_ready, object.available) = (seconds(30), available);
        });
        stay.gives(if available == 1 {
            "complete"
        } else {
            "progressing"
        })
    };
    let waits = stay(stateful_set(1).ready(1), 0);
    waits.is(
        "progressing: 1 of 1 new pods are ready; each has to stay ready for 30 s (minReadySeconds)",
    );
    stay(stateful_set(1).ready(1), 1);
    stay(deployment(1).ready(1), 1);
}

#[test]
fn a_part_of_the_pods_is_enough_where_it_is_asked_for() {
    let percent = |required: &str, ready| {
        let scene = deployment(3).old(1).ready(ready).pod(unready).at(10);
        scene.setting("required-rollout", required)
    };
    percent("full", 2).gives("progressing");
    percent("67%", 2).gives("progressing");
    percent("60%", 2).is(
        "complete: complete, 2 of 3 new pods are ready [2 of 3 new pods are available, which is enough by \
         hikaru.dev/required-rollout: 60%]",
    );
    percent("1%", 0).gives("progressing");
    percent("1%", 1).gives("complete");
    let crash = crashed(5, &ended(1, "Error", ""));
    deployment(2)
        .ready(1)
        .pod(crash)
        .at(60)
        .setting("required-rollout", "50%")
        .gives("complete");
    stateful_set(4)
        .old(2)
        .ready(2)
        .at(10)
        .setting("required-rollout", "50%")
        .gives("complete");
    // Old pods may be left.
    deployment(3)
        .old(1)
        .ready(3)
        .at(10)
        .setting("required-rollout", "100%")
        .gives("complete");
}

#[test]
fn settings_that_cannot_be_read_do_not_stop_the_judging() {
    deployment(1).ready(1).at(10).setting("required-rollout", "most").is(
        "complete: complete, 1 of 1 new pods are ready [its settings do not count: the annotation hikaru.dev/required-rollout is \
         \"most\": expected full or a percentage, 1% to 100%]",
    );
}

#[test]
fn a_node_whose_clock_is_wrong_does_not_hold_up_what_is_stable() {
    let since = |since| {
        let scene = deployment(1).template(|web| web.readiness = None);
        scene.pod(|pod| pod.containers[0].state = ContainerState::Running { since: Some(since) })
    };
    let (ahead, behind) = (second(3_600), second(0) - seconds(3_600));
    since(ahead).at(10).gives("progressing");
    since(ahead).at(11).gives("complete");
    since(behind).at(10).gives("progressing");
    since(behind).at(11).gives("complete");
}
