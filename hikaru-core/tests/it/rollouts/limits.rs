//! How long a rollout may reach nothing new, and what counts as new.

use hikaru_core::rollout::{ContainerState, TemplateChange};

use super::scene::{
    SET, Scene, condition, deployment, second, seconds, stateful_set, unready, waits,
};

/// A StatefulSet with one old pod and nothing else: what was reached last is the change.
fn idle() -> Scene {
    stateful_set(2).old(2)
}

#[track_caller]
fn ends(scene: Scene, at: u64) {
    scene
        .clone()
        .at(at - 1)
        .gives("progressing")
        .looks_again(Some(at));
    let failed = scene.at(at).judge().rollout;
    assert_eq!(failed.state.as_str(), "failed", "{}", failed.sentence);
}

#[test]
fn ten_minutes_or_what_is_set() {
    ends(idle(), 600);
    ends(idle().setting("progress-deadline", "90s"), 90);
    ends(idle().setting("progress-deadline", "1h30m"), 5_400);
    let deployed = |deadline| {
        let deployed = deployment(2)
            .old(2)
            .object(|object| object.progress_deadline = deadline);
        deployed.set(|set| set.desired = 0)
    };
    ends(deployed(Some(seconds(60))), 60);
    ends(deployed(None), 600);
    ends(
        deployed(Some(seconds(60))).setting("progress-deadline", "2m"),
        120,
    );
    ends(idle().object(|object| object.min_ready = seconds(30)), 630);
}

#[test]
fn kubernetes_has_given_up_before_the_question() {
    let words = format!("ReplicaSet \"{SET}\" has timed out progressing.");
    let stuck = deployment(1).pod(unready).at(9_000);
    let mut stuck = stuck.condition(
        "Progressing",
        "False",
        "ProgressDeadlineExceeded",
        &words,
        700,
    );
    stuck.clone().gives("failed NotReady");
    stuck.asked.since = Some(second(8_990));
    stuck.gives("progressing");
}

/// What tells of ReplicaSets can be behind what tells of the object: its pods are not known to be the new ones then.
#[test]
fn the_present_replica_set_is_not_seen_yet() {
    let mut behind = deployment(1).ready(1).at(20);
    behind = behind.counting(|_| {});
    behind.facts.replica_sets.clear();
    behind.clone().gives("progressing");
    // Those that may not be listed never are.
    behind
        .unseen("replicasets", "the right is missing")
        .gives("complete");
}

#[test]
fn a_workload_that_was_equal_already_has_its_time_from_the_question_on() {
    let mut equal = idle().at(9_000);
    equal.asked.since = Some(second(9_000));
    equal.clone().gives("progressing");
    ends(equal, 9_600);
    // What was changed after the question counts from the change.
    let mut changed = idle();
    changed.asked.since = Some(second(0) - seconds(500));
    ends(changed, 600);
}

#[test]
fn nobody_knows_when_the_template_was_changed() {
    let unknown = |scene: Scene| scene.object(|object| object.changed = None);
    // A new pod was created at 1 and its container started at 2.
    ends(
        unknown(stateful_set(2).old(1).pod(|pod| {
            unready(pod);
            pod.conditions.clear();
        })),
        602,
    );
    // The new ReplicaSet was created at 0.
    ends(
        unknown(deployment(2).old(2).set(|set| set.desired = 0)),
        600,
    );
    // Nothing tells: from the first look on.
    let first = unknown(idle()).at(50).gives("progressing").then();
    ends(first, 650);
}

#[test]
fn what_was_never_reached_before_gives_new_time() {
    let mut scene = stateful_set(3).old(3).at(0).then();
    let mut step = |next: Scene, at: u64, end: u64| {
        let next = scene
            .again(next.at(at))
            .gives("progressing")
            .looks_again(Some(end));
        scene = next.then();
    };
    let fresh = |pod: &mut hikaru_core::rollout::PodFacts| waits("ContainerCreating", "")(pod);
    step(stateful_set(3).old(2).pod(fresh), 70, 670);
    step(stateful_set(3).old(2).pod(fresh), 75, 670);
    step(stateful_set(3).old(2).pod(unready), 100, 700);
    step(stateful_set(3).old(2).ready(1), 200, 800);
    step(stateful_set(3).old(1).ready(1).pod(unready), 300, 900);
    // It is not ready any more, and ready again: that was there before.
    step(stateful_set(3).old(1).pod(unready).pod(unready), 400, 900);
    step(stateful_set(3).old(1).ready(1).pod(unready), 500, 900);
}

#[test]
fn another_revision_begins_anew() {
    let first = idle().at(599).then();
    let second_revision = idle().at(700).object(|object| {
        object.revision = Some("3".into());
        object.changed = Some(TemplateChange::new("hikaru", second(650)));
    });
    first.again(second_revision.clone()).gives("progressing");
    ends(first.again(second_revision), 1_250);
}

#[test]
fn scaling_while_the_controller_sleeps_is_no_failure() {
    let complete = stateful_set(2).ready(2).at(10).then();
    let scaled = stateful_set(3)
        .ready(2)
        .at(9_000)
        .object(|object| object.generation = 3);
    complete.again(scaled.clone()).gives("progressing");
    scaled.gives("progressing");
}

#[test]
fn clocks_differ_by_an_hour() {
    let (ahead, behind) = (second(3_600), second(0) - seconds(3_600));
    for (clock, end) in [(ahead, 600), (behind, 601)] {
        let scene = stateful_set(1).pod(|pod| {
            unready(pod);
            pod.conditions = vec![condition("Ready", "False", "", "", clock)];
            pod.containers[0].state = ContainerState::Running { since: Some(clock) };
        });
        let at = |at| scene.clone().at(at);
        if clock == behind {
            ends(scene.clone(), end);
        } else {
            // What lies in the future counts as now, once.
            ends(at(10).then(), 610);
        }
        let image = waits("ImagePullBackOff", "web: not found");
        let image = stateful_set(1).pod(|pod| {
            image(pod);
            pod.conditions[0].since = Some(clock);
        });
        image.at(60).judge();
    }
    // The API server's own clocks, too.
    deployment(1)
        .pod(unready)
        .object(|object| object.changed = Some(TemplateChange::new("hikaru", ahead)))
        .at(5)
        .gives("progressing");
}
