//! What becomes of a workload and its template beside the rollout, and facts that are not whole.

use hikaru_core::rollout::TemplateChange;

use super::scene::{NEW, OLD, daemon_set, deployment, second, waits};

#[test]
fn a_webhook_rewrites_the_images_of_pods() {
    let rewritten = |pod: &mut hikaru_core::rollout::PodFacts| {
        pod.containers[0].image = "mirror.example/acme/web:1".into()
    };
    deployment(2).ready(1).pod(rewritten).at(10).is(&format!(
        "complete: complete, 2 of 2 new pods are ready [1 of 2 new pods have the image mirror.example/acme/web:1 in container web \
         instead of {NEW}: something rewrites images of pods, such as an admission webhook]"
    ));
    // One on workloads adds a digest to the template.
    let pinned = format!("{NEW}@sha256:{}", "0a".repeat(32));
    let pinned = deployment(1)
        .pod(|pod| pod.containers[0].image = pinned.as_str().into())
        .template(|web| {
            web.image = pinned.as_str().into();
        });
    pinned.at(10).gives("complete");
}

#[test]
fn another_image_is_written_meanwhile() {
    let by = |manager: &str, image: &str| {
        deployment(1).ready(1).at(10).object(|object| {
            object.changed = Some(TemplateChange::new(manager, second(5)));
            object.containers[0].image = image.into();
        })
    };
    by("hikaru", "acme/web:acme_web_main_1.6.0_9_0123abcd").is_whole(&format!(
        "superseded: shop/Deployment/web: hikaru has set container web to acme/web:acme_web_main_1.6.0_9_0123abcd since, so {NEW} \
         is not rolled out any more"
    ));
    by("kubectl-rollout", OLD).is_whole(&format!(
        "reverted: shop/Deployment/web: the field manager kubectl-rollout has set container web to {OLD} since, so {NEW} is not \
         rolled out any more"
    ));
    by("argocd-controller", NEW).gives("complete");
    let unknown = by("x", OLD).object(|object| object.changed = None);
    unknown.gives("reverted");
    by("helm", NEW).without_containers().gives("reverted");
}

#[test]
fn a_workload_is_deleted_meanwhile() {
    let gone = hikaru_core::rollout::judge(&Default::default(), None, &Default::default());
    assert_eq!(gone.rollout.state.as_str(), "deleted");
    assert_eq!(gone.look_again, None);
    deployment(1)
        .object(|object| object.is_deleting = true)
        .is_whole("deleted: shop/Deployment/web is being deleted");
    let mut another = deployment(1);
    another.asked.uid = "another".into();
    another.is_whole(
        "deleted: shop/Deployment/web was deleted, and another one of its name was created since",
    );
}

#[test]
fn kinds_without_rollouts() {
    let mut cron = deployment(1).object(|object| object.kind = Default::default());
    cron.clone().gives("not-applicable");
    std::sync::Arc::make_mut(&mut cron.facts.workload).id.kind = "CronJob".into();
    cron.is_whole("not-applicable: shop/CronJob/web has no rollout: its next run uses the image that it is set to");
}

#[test]
fn foreign_pods_and_sets_are_passed_over() {
    let foreign = |pod: &mut hikaru_core::rollout::PodFacts| {
        waits("InvalidImageName", "")(pod);
        pod.owner = Some("foreign".into());
    };
    deployment(1)
        .ready(1)
        .pod(foreign)
        .at(60)
        .is("complete: complete, 1 of 1 new pods are ready");
    deployment(1)
        .old(1)
        .pod(foreign)
        .at(60)
        .gives("progressing");
    let mut orphan = deployment(1).ready(1).at(60);
    // A ReplicaSet without a revision is an old one.
    std::sync::Arc::make_mut(&mut orphan.facts.replica_sets[1]).revision = None;
    orphan.gives("complete");
}

/// Its controller compares the templates, so pods of an earlier generation can be new ones.
#[test]
fn an_undo_of_a_daemon_set_keeps_the_pods_that_were_not_replaced() {
    let same = |pod: &mut hikaru_core::rollout::PodFacts| {
        pod.revision_hash = Some("5d4c7b6f8".into());
        pod.containers[0].image = NEW.into();
    };
    let kept = |scene: super::scene::Scene| scene.old_pod(same);
    let again = |scene: super::scene::Scene| scene.pod(same);
    let undone = again(kept(kept(daemon_set(3)))).at(10);
    undone
        .counting(|object| object.updated = 3)
        .is("complete: complete, 3 of 3 new pods are ready");
    let rollout = again(kept(daemon_set(3))).old(1).at(10).judge().rollout;
    assert_eq!((rollout.ready, rollout.old), (2, 1));
    // Nothing was replaced before the undo.
    let none = kept(kept(daemon_set(2))).at(10);
    none.counting(|object| object.updated = 2)
        .is("complete: complete, 2 of 2 new pods are ready");
}

#[test]
fn pods_without_a_status() {
    let bare = |pod: &mut hikaru_core::rollout::PodFacts| {
        pod.phase = "".into();
        pod.conditions.clear();
        pod.containers.clear();
    };
    let scene = deployment(1).pod(bare);
    scene.clone().at(10).is(
        "progressing: 0 of 1 new pods are ready; web-6f5b8c7d9-x2b4c has been starting for 9 s",
    );
    scene.at(601).is(
        "failed NotCreated: 1 of 1 new pods are not started: their containers are still to be created; see kubectl describe \
         --namespace shop pod/web-6f5b8c7d9-x2b4c",
    );
}

/// Then the Deployment's own condition counts, if it is younger than the change.
#[test]
fn replica_sets_cannot_be_read() {
    let said = "pods \"web-6f5b8c7d9-x2b4c\" is forbidden: violates PodSecurity \"restricted:latest\": privileged";
    let blind = |at| {
        let mut blind = deployment(3).unseen("replicasets", "no right").at(30);
        blind.facts.replica_sets.clear();
        blind.condition("ReplicaFailure", "True", "FailedCreate", said, at)
    };
    blind(1).gives("failed PodsRefused");
    let later = |scene: super::scene::Scene| {
        scene.object(|object| object.changed = Some(TemplateChange::new("hikaru", second(5))))
    };
    later(blind(1)).gives("progressing");
}

#[test]
fn pods_cannot_be_read() {
    let right = "pods cannot be read: grant get, list and watch on pods";
    let blind = |scene: super::scene::Scene| scene.unseen("pods", right);
    let scene = blind(deployment(3).at(10)).counting(|object| {
        (
            object.current,
            object.updated,
            object.ready,
            object.available,
        ) = (4, 2, 3, 3);
    });
    let rollout = scene
        .set(|set| set.current = 2)
        .is("progressing: 0 of 3 new pods are ready; 1 pod is still to be created")
        .judge()
        .rollout;
    assert_eq!(rollout.unseen, [right]);
    let complete = blind(deployment(3).at(10)).counting(|object| {
        (
            object.current,
            object.updated,
            object.ready,
            object.available,
        ) = (3, 3, 3, 3);
    });
    complete
        .set(|set| (set.ready, set.available) = (3, 3))
        .is("complete: complete, 3 of 3 new pods are ready");
}
