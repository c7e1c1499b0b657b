//! What happens in clusters, from the first look to the last: each story has caught some tool.

use hikaru_core::rollout::{ContainerFacts, ContainerState, Probe, Role, TemplateChange};

use super::scene::{
    NEW, OLD_SET, SET, condition, crashed, daemon_set, deployment, ended, evicted, second, seconds,
    stateful_set, unready, unscheduled, waits,
};

const TIMED_OUT: &str = "ProgressDeadlineExceeded";

fn not_found() -> String {
    format!(
        "Back-off pulling image \"{NEW}\": ErrImagePull: failed to pull and unpack image \"{NEW}\": failed to resolve reference \
         \"{NEW}\": {NEW}: not found"
    )
}

#[test]
fn a_good_build() {
    let begins = deployment(3).old(3).at(1);
    begins
        .is("progressing: 0 of 3 new pods are ready; 3 pods are still to be created")
        .looks_again(Some(5));
    let starts = deployment(3).old(3).ready(1).pod(unready).at(41);
    starts.is(
        "progressing: 1 of 3 new pods are ready; web-6f5b8c7d9-h8s6r has been starting for 40 s",
    );
    let ends = deployment(3).old(1).ready(3).at(60);
    ends.is("progressing: 3 of 3 new pods are ready; 1 pod is left of an older revision");
    deployment(3)
        .ready(3)
        .at(61)
        .is("complete: complete, 3 of 3 new pods are ready")
        .looks_again(None);
}

#[test]
fn an_old_deadline_still_stands_after_an_undo() {
    let message = |set: &str| format!("ReplicaSet \"{set}\" has timed out progressing.");
    let undone = |set: &str, at| {
        let undone = deployment(3).old(3).pod(unready).at(20);
        undone.condition("Progressing", "False", TIMED_OUT, &message(set), at)
    };
    undone(OLD_SET, 5).gives("progressing");
    undone(SET, 5).gives("failed NotReady");
    // It named the same ReplicaSet before the change.
    undone(SET, 0)
        .object(|object| object.changed = Some(TemplateChange::new("hikaru", second(3))))
        .gives("progressing");
    // A fresh condition never comes then, so the own limit counts.
    undone(OLD_SET, 5).at(603).gives("progressing");
    undone(OLD_SET, 5).at(604).gives("failed NotReady");
}

#[test]
fn it_is_looked_at_before_the_controller_has() {
    let scene = deployment(3)
        .ready(3)
        .at(1)
        .object(|object| object.observed = 1);
    scene
        .is("progressing: its controller has not acted on the change yet, so 0 of 3 new pods are ready")
        .condition("Progressing", "False", TIMED_OUT, &format!("ReplicaSet \"{SET}\" has timed out progressing."), 0)
        .gives("progressing");
}

#[test]
fn a_tag_is_pushed_fifteen_seconds_late() {
    let waits = |at| {
        deployment(3)
            .old(3)
            .pod(waits("ImagePullBackOff", &not_found()))
            .at(at)
    };
    waits(15)
        .gives("progressing ImageNotFound")
        .looks_again(Some(21));
    waits(21).gives("failed ImageNotFound");
    deployment(3).old(3).ready(1).at(18).gives("progressing");
}

#[test]
fn a_registry_limits_pulls_and_then_serves() {
    let message = "failed to copy: unexpected status code https://registry.example/v2/: 429 Too Many Requests - Server message: \
                   toomanyrequests: You have reached your pull rate limit as 'acme-bot'";
    let limited = |at| deployment(1).pod(waits("ImagePullBackOff", message)).at(at);
    limited(300).gives("progressing ImagePullRateLimited");
    let failed = limited(604)
        .gives("failed ImagePullRateLimited")
        .judge()
        .rollout
        .cause
        .expect("a cause");
    assert!(
        !format!("{failed:?}").contains("acme-bot"),
        "the registry's words name an account: {failed:?}"
    );
    limited(300)
        .then()
        .again(deployment(1).ready(1).at(320))
        .gives("complete");
}

#[test]
fn a_secret_appears_ten_seconds_late() {
    let missing = |at| {
        let missing = waits("CreateContainerConfigError", "secret \"db\" not found");
        deployment(1).pod(missing).at(at)
    };
    missing(10)
        .gives("progressing ConfigMissing")
        .looks_again(Some(16));
    missing(10)
        .then()
        .again(deployment(1).ready(1).at(12))
        .gives("complete");
    missing(16).gives("failed ConfigMissing");
    // The kubelet's cache lags: it goes on by itself.
    let lags = waits(
        "CreateContainerConfigError",
        "failed to sync secret cache: timed out waiting for the condition",
    );
    deployment(1).pod(lags).at(300).gives("progressing");
}

#[test]
fn one_of_three_pods_is_evicted() {
    let scene = deployment(3).ready(2).pod(evicted).pod(unready).at(30);
    scene.gives("progressing");
    deployment(3)
        .ready(2)
        .pod(evicted)
        .ready(1)
        .at(30)
        .gives("complete");
}

#[test]
fn pods_that_are_evicted_again_and_again_are_no_progress() {
    let mut scene = deployment(1).pod(unready).at(5).then();
    for round in 1..=29 {
        let mut next = deployment(1);
        for _ in 0..round {
            next = next.pod(evicted);
        }
        let next = next.pod(|pod| {
            unready(pod);
            pod.created = Some(second(round * 20));
        });
        scene = scene
            .again(next.at(round * 20 + 5))
            .gives(if round < 3 {
                "progressing"
            } else {
                "progressing PodEvicted"
            })
            .then();
    }
    scene
        .at(603)
        .gives("progressing PodEvicted")
        .at(604)
        .gives("failed PodEvicted");
}

#[test]
fn a_node_of_a_daemon_set_is_not_ready() {
    let scene = daemon_set(3).ready(2).old_pod(|pod| {
        unready(pod);
        pod.is_deleting = true;
    });
    let waits = scene.clone().at(10);
    assert!(waits.judge().wants_nodes);
    waits.gives("progressing");
    let mut known = scene.at(10);
    known.facts.not_ready_nodes = Some(["node-2".into()].into());
    known.is(
        "complete: complete, 2 of 3 new pods are ready [1 of 3 pods are left out, because their nodes are not ready: node-2]",
    );
    // All others have to be ready.
    let mut other = daemon_set(3).ready(1).pod(unready).old_pod(unready).at(10);
    other.facts.not_ready_nodes = Some(["node-2".into()].into());
    other.gives("progressing");
}

#[test]
fn an_autoscaler_scales_in_the_middle() {
    let before = deployment(3).ready(3).at(10).gives("complete").then();
    let scaled = deployment(6)
        .ready(3)
        .pod(unready)
        .pod(unready)
        .pod(unready)
        .at(9_000);
    // It was complete, so its time begins anew.
    let scaled = before.again(scaled).gives("progressing").then();
    scaled.clone().at(9_599).gives("progressing");
    scaled.clone().at(9_600).gives("failed NotReady");
    scaled
        .again(deployment(6).ready(6).at(9_100))
        .gives("complete");
    // Who looks for the first time sees when the pods were created.
    let scaled = deployment(6).ready(3).pod(|pod| {
        unready(pod);
        pod.created = Some(second(9_000));
    });
    scaled.at(9_020).gives("progressing");
}

#[test]
fn an_old_pod_takes_its_time_to_end() {
    let ends = |at| {
        let old = stateful_set(2).old(1);
        old.old_pod(|pod| {
            pod.is_deleting = true;
            pod.grace = seconds(900);
        })
        .at(at)
    };
    ends(1_499).gives("progressing");
    ends(1_500).is(
        "failed PodTerminating: 1 of 2 new pods wait for web-1 to end, which has a grace of 15 min; its node or a finalizer holds \
         it: kubectl get pod --namespace shop web-1 --output yaml",
    );
    // When it has gone, that is progress: the limit does not shrink under the rollout.
    let gone = stateful_set(2).old(1).at(1_000);
    ends(999)
        .then()
        .again(gone)
        .gives("progressing")
        .looks_again(Some(1_005));
}

#[test]
fn no_replicas() {
    deployment(0).at(10).is(
        "complete: complete, with 0 pods [not proven: it has 0 replicas, so no pod shows that the image starts]",
    );
}

#[test]
fn a_paused_rollout() {
    let paused = |scene: super::scene::Scene| scene.object(|object| object.is_paused = true).at(10);
    paused(deployment(3).old(3)).is(
        "paused: its rollout is paused, 0 of 3 new pods are ready; to go on: kubectl rollout resume --namespace shop deployment/web",
    );
    paused(deployment(0)).gives("paused");
    paused(deployment(3).ready(3)).is(
        "complete: complete, 3 of 3 new pods are ready [its rollout is paused: the next change waits until it is resumed]",
    );
}

#[test]
fn pods_that_a_person_deletes() {
    let on_delete =
        |scene: super::scene::Scene| scene.object(|object| object.is_on_delete = true).at(700);
    on_delete(stateful_set(3).old(3)).is(
        "waits-for-deletion: 3 of 3 pods are of an older revision, and its update strategy is OnDelete; delete them: \
         kubectl delete pod --namespace shop web-0 web-1 web-2",
    );
    let waits = on_delete(daemon_set(2).ready(1).old(1)).gives("waits-for-deletion");
    assert_eq!(waits.judge().rollout.pods.len(), 1);
    on_delete(daemon_set(2).ready(2)).gives("complete");
    on_delete(stateful_set(3).old(2).pod(waits_for_image())).gives("failed ImageNotFound");
    let many = on_delete(stateful_set(12).old(12)).judge().rollout;
    assert_eq!(many.pods.len(), 12);
    assert!(many.sentence.ends_with("web-6 web-7"), "{}", many.sentence);
}

fn waits_for_image() -> impl Fn(&mut hikaru_core::rollout::PodFacts) {
    waits("ImagePullBackOff", &not_found())
}

#[test]
fn a_partition() {
    let partition = |scene: super::scene::Scene| scene.object(|object| object.partition = 2).at(10);
    partition(stateful_set(3).old(3)).gives("progressing");
    partition(stateful_set(3).old(2).ready(1)).is(
        "complete: complete, 1 of 1 new pods are ready [2 of 3 pods stay on their revision because of the partition 2]",
    );
}

#[test]
fn a_sidecar_restarts_once() {
    let sidecar = |restarts| {
        move |pod: &mut hikaru_core::rollout::PodFacts| {
            let mut proxy = ContainerFacts::default();
            (proxy.name, proxy.image, proxy.role) =
                ("proxy".into(), "proxy:1".into(), Role::Sidecar);
            proxy.state = ContainerState::Running {
                since: Some(second(5)),
            };
            (proxy.restarts, proxy.last) = (restarts, Some(ended(1, "Error", "")));
            pod.containers.push(proxy);
        }
    };
    let starting = deployment(3).ready(2).pod(|pod| {
        unready(pod);
        sidecar(1)(pod);
    });
    starting
        .at(10)
        .gives("progressing CrashLoop")
        .looks_again(Some(610));
    deployment(1).pod(sidecar(1)).at(10).gives("complete");
}

#[test]
fn a_crash_passes() {
    let once = ended(1, "Error", "");
    let flaky = deployment(1).pod(crashed(1, &once)).at(10);
    flaky.gives("progressing CrashLoop");
    let restarted = |pod: &mut hikaru_core::rollout::PodFacts| {
        pod.containers[0].restarts = 1;
        pod.containers[0].last = Some(once.clone());
    };
    deployment(1).pod(restarted).at(14).is(
        "complete: complete, 1 of 1 new pods are ready [container web was restarted in 1 of 1 new pods, once]",
    );
}

#[test]
fn a_crash_loop_is_no_progress() {
    let crash = ended(3, "Error", "");
    let mut scene = stateful_set(2).old(1).pod(crashed(1, &crash)).at(10).then();
    for round in 1..=30 {
        // It runs again, and crashes again.
        let runs = stateful_set(2).old(1).pod(|pod| {
            crashed(2, &crash)(pod);
            pod.containers[0].state = ContainerState::Running {
                since: Some(second(round * 20)),
            };
        });
        scene = scene
            .again(runs.at(round * 20))
            .gives("progressing CrashLoop")
            .then();
    }
    scene.at(610).gives("failed CrashLoop");
}

#[test]
fn a_start_of_five_minutes() {
    let startup = |scene: super::scene::Scene| {
        scene.template(|web| {
            let mut probe = Probe::new("GET :8080/started");
            probe.failure_threshold = 30;
            web.startup = Some(probe);
        })
    };
    let starting = |scene: super::scene::Scene, at| {
        startup(scene)
            .pod(|pod| {
                unready(pod);
                pod.containers[0].is_started = false;
            })
            .at(at)
    };
    // 600 s for the rollout, 301 s for the probe, since its readiness was told at 4.
    starting(stateful_set(1), 904).gives("progressing");
    starting(stateful_set(1), 905).gives("failed NotReady");
    // When it has passed, that is progress.
    let passed = startup(stateful_set(1)).pod(unready).at(800);
    let passed = starting(stateful_set(1), 799)
        .then()
        .again(passed)
        .gives("progressing")
        .then();
    passed.clone().at(1_399).gives("progressing");
    passed.at(1_400).gives("failed NotReady");
    // Kubernetes' own deadline is not moved by it.
    let message = format!("ReplicaSet \"{SET}\" has timed out progressing.");
    starting(deployment(1), 610)
        .condition("Progressing", "False", TIMED_OUT, &message, 603)
        .gives("failed NotReady");
}

#[test]
fn readiness_needs_exactly_as_many_probes_as_it_may_fail() {
    let scene = deployment(1).pod(unready).at(40);
    scene
        .event(
            "pod-0",
            "Unhealthy",
            "Readiness probe failed: HTTP probe failed with statuscode: 503",
            32,
        )
        .gives("progressing");
    deployment(1).ready(1).at(41).gives("complete");
}

#[test]
fn a_quota_refuses_the_surge_pod_and_is_freed_by_an_old_one() {
    let message = "pods \"web-6f5b8c7d9-x2b4c\" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=3, limited: pods=3";
    let refused = |at| {
        let refused = deployment(3).old(3).set(|set| {
            set.desired = 1;
            set.conditions.push(condition(
                "ReplicaFailure",
                "True",
                "FailedCreate",
                message,
                second(1),
            ));
        });
        refused.at(at)
    };
    refused(300).gives("progressing QuotaExceeded");
    refused(601).is(
        "failed QuotaExceeded: 1 of 1 new pods cannot be created: the quota compute is used up (requested: pods=1, used: pods=3, \
         limited: pods=3); raise it, or free some of it",
    );
    // The condition can stand for a moment when the pod is there.
    let freed = refused(100).then().again(refused(160).pod(unready));
    freed.gives("progressing");
    // Kubernetes says so later, and the rollout is complete in the end.
    let message = format!("ReplicaSet \"{SET}\" has timed out progressing.");
    let late = refused(605)
        .condition("Progressing", "False", TIMED_OUT, &message, 601)
        .gives("failed QuotaExceeded")
        .then();
    late.again(deployment(3).ready(3).at(700)).gives("complete");
}

#[test]
fn pod_security_refuses_all_pods() {
    let message = "pods \"web-6f5b8c7d9-x2b4c\" is forbidden: violates PodSecurity \"restricted:latest\": privileged (container \
                   \"web\" must not set securityContext.privileged=true)";
    let refused = |at| {
        let refused = deployment(3).old(3).set(|set| {
            set.conditions.push(condition(
                "ReplicaFailure",
                "True",
                "FailedCreate",
                message,
                second(1),
            ));
        });
        refused.at(at)
    };
    refused(10)
        .gives("progressing PodsRefused")
        .looks_again(Some(11));
    refused(11).is(
        "failed PodsRefused: 3 of 3 new pods cannot be created: violates PodSecurity \"restricted:latest\": privileged (container \
         \"web\" must not set securityContext.privileged=true); change the pod template, or the namespace's Pod Security level",
    );
}

#[test]
fn stateful_sets_and_daemon_sets_tell_refused_pods_only_in_events() {
    let message = "create Pod web-0 in StatefulSet web failed error: pods \"web-0\" is forbidden: violates PodSecurity \
                   \"restricted:latest\": privileged";
    let unknown = stateful_set(3).at(5);
    assert!(unknown.judge().wants_events, "pods are missing for 5 s");
    assert!(!stateful_set(3).at(4).judge().wants_events);
    stateful_set(3).at(4).looks_again(Some(5));
    let told = unknown
        .event("workload", "FailedCreate", message, 4)
        .gives("progressing PodsRefused");
    told.at(10).gives("failed PodsRefused");
    // An event from before the change, or from before a pod was created, is over.
    let mut stale = stateful_set(3)
        .event("workload", "FailedCreate", message, 0)
        .at(10);
    stale.facts.events.as_mut().expect("events")[0].last = Some(second(0) - seconds(60));
    stale.gives("progressing");
    let over = stateful_set(3).pod(|pod| {
        unready(pod);
        pod.created = Some(second(8));
    });
    over.event("workload", "FailedCreate", message, 4)
        .at(20)
        .gives("progressing");
    let quota = "Error creating: pods \"web-x2b4c\" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=3, limited: pods=3";
    let quota = daemon_set(3)
        .ready(1)
        .event("workload", "FailedCreate", quota, 4);
    quota.clone().at(60).gives("progressing QuotaExceeded");
    quota.at(700).gives("failed QuotaExceeded");
}

#[test]
fn a_replica_set_that_is_refused_keeps_the_generation_unobserved() {
    let message = "Failed to create new replica set \"web-6f5b8c7d9\": replicasets.apps \"web-6f5b8c7d9\" is forbidden: exceeded \
                   quota: sets, requested: count/replicasets.apps=1, used: count/replicasets.apps=1, limited: count/replicasets.apps=1";
    let refused = |at| {
        let mut refused = deployment(3).old(3).object(|object| object.observed = 1);
        refused.facts.replica_sets.remove(0);
        refused
            .condition("Progressing", "False", "ReplicaSetCreateError", message, 1)
            .at(at)
    };
    refused(15)
        .gives("progressing ReplicaSetCreateError")
        .looks_again(Some(16));
    refused(16).is(
        "failed ReplicaSetCreateError: 0 of 3 new pods are created, because its new ReplicaSet cannot be created: Failed to create \
         new replica set \"web-6f5b8c7d9\": replicasets.apps \"web-6f5b8c7d9\" is forbidden: exceeded quota: sets, requested: \
         count/replicasets.apps=1, used: count/replicasets.apps=1, limited: count/replicasets.apps=1; change what refuses it, or \
         the pod template",
    );
    // The controller keeps the times of the refusal before. Of the present change it has not said anything for long enough.
    let again = |at| {
        refused(at)
            .object(|object| object.changed = Some(TemplateChange::new("hikaru", second(10))))
    };
    again(24).gives("progressing ReplicaSetCreateError");
    again(25).gives("failed ReplicaSetCreateError");
    // Once it has acted on the change the refusal before is over.
    again(25)
        .object(|object| object.observed = object.generation)
        .gives("progressing");
}

#[test]
fn a_crash_five_seconds_after_ready_without_a_readiness_probe() {
    let ready_at = |since: u64, restarts| {
        move |pod: &mut hikaru_core::rollout::PodFacts| {
            pod.containers[0].restarts = restarts;
            pod.containers[0].state = ContainerState::Running {
                since: Some(second(since)),
            };
        }
    };
    let bare = |scene: super::scene::Scene| scene.template(|web| web.readiness = None);
    bare(deployment(1)).pod(ready_at(20, 0)).at(23).is(
        "progressing: 1 of 1 new pods are ready; container web has no readiness probe, so it has to run for 7 s more",
    ).looks_again(Some(30));
    // A controller that is a moment behind still calls it available.
    let crash = bare(deployment(1))
        .pod(crashed(1, &ended(3, "Error", "")))
        .at(26);
    crash
        .counting(|object| object.available = 1)
        .gives("progressing CrashLoop");
    bare(deployment(1))
        .pod(ready_at(27, 1))
        .at(30)
        .gives("progressing");
    bare(deployment(1))
        .pod(crashed(3, &ended(3, "Error", "")))
        .at(60)
        .gives("failed CrashLoop");
    bare(deployment(1))
        .pod(ready_at(20, 0))
        .at(30)
        .gives("complete");
    // Other containers were not changed.
    let mut other = bare(deployment(1)).pod(ready_at(20, 0)).at(23);
    other.asked.images[0].0 = "web".into();
    other.asked.images.clear();
    other.clone().gives("progressing");
    let mut sidecar = hikaru_core::rollout::ContainerSpec::default();
    (sidecar.name, sidecar.image) = ("proxy".into(), NEW.into());
    other.facts.object.containers.push(sidecar);
    other.asked.images.push(("proxy".into(), NEW.into()));
    other.gives("complete");
}

#[test]
fn a_node_is_added_after_ninety_seconds() {
    let message = "0/3 nodes are available: 3 Insufficient memory.";
    let scene = deployment(1).pod(unscheduled("Unschedulable", message));
    scene.clone().at(90).gives("progressing Unschedulable");
    scene
        .clone()
        .at(90)
        .then()
        .again(deployment(1).ready(1).at(120))
        .gives("complete");
    scene.at(601).is(
        "failed Unschedulable: 1 of 1 new pods find no node: 0/3 nodes are available: 3 Insufficient memory; add or free what is \
         missing, or change what the pods ask for",
    );
}
