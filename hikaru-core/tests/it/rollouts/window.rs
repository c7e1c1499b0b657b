//! The window in which nothing may happen before a rollout is complete.

use std::{sync::Arc, time::Duration};

use hikaru_core::rollout::{Condition, ContainerFacts, ContainerState, PodFacts, Role};

use super::scene::{
    Scene, crashed, daemon_set, deployment, ended, second, seconds, stateful_set, unready,
};

impl Scene {
    /// What is asked: nothing happens for so long.
    fn stable_for(mut self, window: u64) -> Self {
        self.asked.stable_for = Some(seconds(window));
        self
    }

    fn without_probe(self) -> Self {
        self.template(|web| web.readiness = None)
    }
}

/// A pod that became ready and whose container was started at these moments.
fn since(ready: u64, started: u64) -> impl Fn(&mut PodFacts) {
    move |pod| {
        ready_condition(pod).since = Some(second(ready));
        pod.containers[0].state = ContainerState::Running {
            since: Some(second(started)),
        };
    }
}

fn ready_condition(pod: &mut PodFacts) -> &mut Condition {
    let mut conditions = pod.conditions.iter_mut();
    conditions
        .find(|c| &*c.kind == "Ready")
        .expect("it has one")
}

/// One more container, which does this.
fn beside(pod: &mut PodFacts, role: Role, state: ContainerState) {
    let mut container = ContainerFacts::default();
    (container.name, container.role, container.state) = ("beside".into(), role, state);
    pod.containers.push(container);
}

/// It goes on until this second, and is complete from then on.
#[track_caller]
fn is_complete_from(scene: Scene, end: u64) {
    let before = scene.clone().at(end - 1);
    before.gives("progressing").looks_again(Some(end));
    scene.at(end).gives("complete").looks_again(None);
}

#[test]
fn each_pod_has_to_stay_ready_and_each_container_to_run() {
    // A time of Kubernetes has lost up to a second.
    let one = |change: &dyn Fn(&mut PodFacts)| deployment(1).pod(change).stable_for(30);
    is_complete_from(one(&since(20, 12)), 51);
    is_complete_from(one(&since(20, 25)), 56);
    // The last of several.
    let three = deployment(3).ready(2).pod(since(40, 12)).stable_for(30);
    is_complete_from(three.clone(), 71);
    three
        .at(59)
        .is("progressing: 3 of 3 new pods are ready; it stays under observation for 12 s more");
    // Sidecars and what a webhook adds count, init containers do not.
    let running = |at| ContainerState::Running {
        since: Some(second(at)),
    };
    for (role, end) in [(Role::Sidecar, 61), (Role::Main, 61), (Role::Init, 51)] {
        let with = one(&|pod: &mut PodFacts| {
            since(20, 12)(pod);
            beside(pod, role, running(30));
        });
        is_complete_from(with, end);
    }
    let done = one(&|pod: &mut PodFacts| {
        since(20, 12)(pod);
        beside(
            pod,
            Role::Init,
            ContainerState::Terminated(ended(0, "Completed", "")),
        );
    });
    is_complete_from(done, 51);
}

#[test]
fn each_kind_has_the_window() {
    for scene in [deployment(2), stateful_set(2), daemon_set(2)] {
        is_complete_from(scene.ready(1).pod(since(20, 12)).stable_for(30), 51);
    }
}

#[test]
fn the_window_that_is_asked_for_takes_the_place_of_ten_seconds() {
    let bare = || deployment(1).pod(since(20, 20)).without_probe();
    is_complete_from(bare(), 30);
    is_complete_from(bare().stable_for(30), 51);
    is_complete_from(bare().stable_for(5), 26);
    bare().stable_for(0).at(20).gives("complete");
    deployment(1).ready(1).stable_for(0).at(5).gives("complete");
}

#[test]
fn a_restart_an_unready_pod_and_a_replaced_pod_begin_it_anew() {
    let ready = deployment(2).ready(2).stable_for(30).at(20);
    let ready = ready.gives("progressing").looks_again(Some(35)).then();
    let next = |scene: Scene| ready.again(scene.stable_for(30));
    let restarted = next(deployment(2).ready(1).pod(|pod| {
        since(32, 31)(pod);
        pod.containers[0].restarts = 1;
    }));
    is_complete_from(restarted.clone(), 63);
    restarted.at(63).is(
        "complete: complete, 2 of 2 new pods are ready [container web was restarted in 1 of 2 new pods, once]",
    );
    next(deployment(2).ready(1).pod(unready))
        .at(36)
        .gives("progressing");
    is_complete_from(next(deployment(2).ready(1).pod(since(38, 2))), 69);
    is_complete_from(
        next(deployment(2).ready(1).pod(|pod| {
            pod.created = Some(second(33));
            since(36, 34)(pod);
        })),
        67,
    );
}

#[test]
fn a_container_that_crashes_in_the_window_fails_as_ever() {
    let ended = ended(3, "Error", "");
    let crash = |restarts| deployment(1).pod(crashed(restarts, &ended)).stable_for(300);
    crash(1).at(30).gives("progressing CrashLoop");
    crash(3).at(60).gives("failed CrashLoop");
    // A controller that is a moment behind still calls it available.
    let behind = crash(3).at(60).counting(|object| object.available = 1);
    behind.gives("failed CrashLoop");
}

#[test]
fn the_limit_does_not_count_in_the_window() {
    let long = || deployment(1).ready(1).stable_for(1_800);
    is_complete_from(long(), 1_805);
    long()
        .at(700)
        .gives("progressing")
        .then()
        .at(1_805)
        .gives("complete");
    let short = || stateful_set(1).ready(1).setting("progress-deadline", "60s");
    is_complete_from(short().stable_for(300), 305);
    // What happens late in the window has its time from then on.
    let late = short().stable_for(300).at(250).then();
    let disturbed = late.again(short().stable_for(300));
    let mut disturbed = disturbed.at(251);
    unready(Arc::make_mut(&mut disturbed.facts.pods[0]));
    let disturbed = disturbed.gives("progressing").then();
    disturbed.clone().at(310).gives("progressing");
    disturbed.at(311).gives("failed NotReady");
    // Kubernetes has given up on the pods that are not required.
    let message = format!(
        "ReplicaSet \"{}\" has timed out progressing.",
        super::scene::SET
    );
    let part = deployment(2).ready(1).pod(unready).stable_for(900);
    let part = part.setting("required-rollout", "50%");
    let part = part.condition(
        "Progressing",
        "False",
        "ProgressDeadlineExceeded",
        &message,
        600,
    );
    is_complete_from(part, 905);
}

#[test]
fn what_was_reached_is_a_matter_of_the_pods() {
    let pods = deployment(2).ready(1).pod(since(20, 12)).without_probe();
    let reached = |scene: Scene| scene.at(25).then().reached;
    let plain = reached(pods.clone());
    assert_eq!(plain, reached(pods.clone().stable_for(0)));
    assert_eq!(plain, reached(pods.clone().stable_for(30)));
    // Whoever asked before, and however.
    let after = |window: Option<u64>| {
        let mut asked = pods.clone().at(25);
        asked.asked.stable_for = window.map(seconds);
        let disturbed = deployment(2).ready(1).pod(unready);
        asked.then().again(disturbed).at(620)
    };
    for window in [None, Some(0), Some(600)] {
        after(window).gives("progressing");
        let failed = after(window).then().at(1_220);
        failed.gives("failed NotReady");
    }
}

#[test]
fn a_part_of_the_pods_has_the_window_for_that_part() {
    let part =
        |scene: Scene, percent: &str| scene.stable_for(30).setting("required-rollout", percent);
    let crash = crashed(5, &ended(1, "Error", ""));
    let crashing = deployment(2).pod(since(20, 12)).pod(crash);
    is_complete_from(part(crashing, "50%"), 51);
    // As many as are required, be others younger.
    let staggered = || {
        let two = deployment(4).pod(since(20, 12)).pod(since(30, 12));
        two.pod(since(40, 12)).pod(unready)
    };
    is_complete_from(part(staggered(), "50%"), 61);
    is_complete_from(part(staggered(), "75%"), 71);
    part(staggered(), "75%")
        .at(50)
        .is("progressing: 3 of 4 new pods are ready; it stays under observation for 21 s more");
    // A partition keeps the others.
    let kept = stateful_set(3)
        .old(2)
        .pod(since(20, 12))
        .object(|object| object.partition = 2);
    is_complete_from(kept.stable_for(30), 51);
    // Nodes that are not ready are left out.
    let mut nodes = daemon_set(2).pod(since(20, 12)).pod(unready);
    nodes.facts.not_ready_nodes = Some(["node-1".into()].into());
    is_complete_from(nodes.stable_for(30), 51);
}

#[test]
fn a_paused_rollout_is_complete_after_its_window() {
    let paused = deployment(1)
        .ready(1)
        .object(|object| object.is_paused = true);
    is_complete_from(paused.stable_for(30), 35);
}

#[test]
fn without_pods_the_window_counts_from_what_the_controller_told() {
    let unseen = || {
        let scene = deployment(1).ready(1).counting(|_| {});
        let mut scene = scene.unseen("pods", "pods are not seen");
        scene.facts.pods.clear();
        scene
    };
    let told = |at| unseen().condition("Available", "True", "MinimumReplicasAvailable", "", at);
    is_complete_from(told(20).stable_for(30), 51);
    told(20).stable_for(30).at(51).is(
        "complete: complete, 1 of 1 new pods are ready [its pods are not seen, so a restart or an unready pod in the last 30 s \
         would not be noticed]",
    );
    // It tells nothing: from the last progress on.
    is_complete_from(unseen().stable_for(30), 31);
    unseen()
        .at(5)
        .is("complete: complete, 1 of 1 new pods are ready");
    unseen().stable_for(0).at(5).gives("complete");
    // A container without a readiness probe has to run for its time there, too.
    let unproven = || told(20).template(|web| web.readiness = None);
    is_complete_from(unproven(), 31);
    unproven().at(31).is(
        "complete: complete, 1 of 1 new pods are ready [its pods are not seen, so a restart or an unready pod in the last 10 s \
         would not be noticed]",
    );
    // What tells of pods is behind: the controller is right when nothing new was reached for too long.
    let mut behind = stateful_set(2).ready(2).counting(|_| ());
    behind.facts.pods.clear();
    behind.clone().stable_for(30).at(60).gives("progressing");
    behind.clone().stable_for(30).at(700).gives("complete");
    is_complete_from(behind.stable_for(900), 901);
}

#[test]
fn the_clock_of_a_node_is_wrong() {
    let hour = Duration::from_secs(3_600);
    let told = |by: &dyn Fn(&mut PodFacts)| deployment(1).pod(by).stable_for(30);
    // Far behind, or far ahead: from the pod's creation on, which the API server tells.
    for clock in [second(1) - hour, second(1) + hour] {
        let wrong = told(&|pod| {
            ready_condition(pod).since = Some(clock);
            pod.containers[0].state = ContainerState::Running { since: Some(clock) };
        });
        is_complete_from(wrong, 32);
    }
    // A moment ahead, as is each clock by what is known of the API server's: what happened counts from when the node tells it.
    let ahead = told(&since(102, 102));
    is_complete_from(ahead.clone(), 133);
    ahead.at(100).gives("progressing").looks_again(Some(133));
    let restarted = deployment(1).pod(since(4, 102)).without_probe();
    restarted
        .at(101)
        .gives("progressing")
        .looks_again(Some(112));
}

#[test]
fn a_window_without_end_is_no_moment() {
    let mut endless = deployment(1).ready(1).at(10);
    endless.asked.stable_for = Some(Duration::MAX);
    endless.gives("progressing");
}

#[test]
fn what_the_pods_do_not_tell_does_not_hold_up() {
    let silent = deployment(1).pod(|pod| {
        ready_condition(pod).since = None;
        pod.containers[0].state = ContainerState::Running { since: None };
        beside(pod, Role::Main, ContainerState::Unknown);
    });
    // Its creation is known.
    is_complete_from(silent.clone().stable_for(30), 32);
    let mut silent = silent.stable_for(30).at(5);
    Arc::make_mut(&mut silent.facts.pods[0]).created = None;
    silent.gives("complete");
    // No pods, no window.
    deployment(0).stable_for(30).at(5).gives("complete");
}
