//! Waiting for rollouts: what a wait tells, when it ends, and what became of it. How a rollout is judged is tested elsewhere.

mod looks;
mod memory;

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream::BoxStream};
use hikaru_core::{
    Build, Container, IdentityLabels, Mode, Request, TagFormats, Text, Workload, WorkloadId,
    policy::Force,
    port::{ClusterError, RolloutPort},
    rollout::{
        Awaited, EventFacts, RolloutFacts, RolloutKind, RolloutState, Rollouts, WaitEvent,
        WaitOutcome, WaitTerms, Waited,
    },
    testing::{MemoryCluster, StillClock},
    upgrade::{candidates, upgrade},
    workload::{Place, Setting, WorkloadName},
};

use crate::rollouts::scene::{NEW, OLD, Scene as Facts, deployment, seconds, waits};

const HIGHER: &str = "acme/web:acme_web_main_1.6.0_9_0123abcd";

/// What happens in the cluster before a look.
type Act = Box<dyn FnOnce(&MemoryCluster) -> Result<(), ClusterError> + Send>;

/// A cluster in which something happens before each look.
struct Play {
    cluster: Arc<MemoryCluster>,
    acts: Mutex<VecDeque<Act>>,
    looks: Mutex<usize>,
}

#[async_trait]
impl RolloutPort for Play {
    async fn facts(&self, workload: &WorkloadName) -> Result<Option<RolloutFacts>, ClusterError> {
        *self.looks.lock().expect("no panic") += 1;
        let act = self.acts.lock().expect("no panic").pop_front();
        if let Some(act) = act {
            act(&self.cluster)?;
        }
        self.cluster.facts(workload).await
    }

    async fn events(
        &self,
        namespace: &str,
        uids: &BTreeSet<Text>,
    ) -> Result<Vec<EventFacts>, ClusterError> {
        self.cluster.events(namespace, uids).await
    }

    async fn not_ready_nodes(&self) -> Result<BTreeSet<Text>, ClusterError> {
        self.cluster.not_ready_nodes().await
    }

    async fn log<'a>(
        &'a self,
        namespace: &'a str,
        pod: &'a str,
        container: &'a str,
        previous: bool,
        lines: u32,
    ) -> Result<String, ClusterError> {
        let log = self.cluster.log(namespace, pod, container, previous, lines);
        log.await
    }

    fn changed(&self, workload: &WorkloadName) -> BoxStream<'static, ()> {
        self.cluster.changed(workload)
    }
}

fn web() -> WorkloadId {
    WorkloadId::new("shop", "Deployment", "web")
}

fn request(image: &str) -> Request {
    Request::new(Build::parse(image, &TagFormats::default()).expect("a build"))
}

fn terms() -> WaitTerms {
    WaitTerms::new(seconds(900))
}

/// Says how the rollout of a workload is from now on.
fn tell(cluster: &MemoryCluster, id: &WorkloadId, facts: Facts) {
    let uid = cluster.get(id).expect("a workload").uid;
    cluster.tell_rollout(id, |told| {
        let workload = told.workload.clone();
        *told = facts.facts_of(&uid);
        told.workload = workload;
    });
}

fn told(facts: Facts) -> Act {
    Box::new(|cluster| {
        tell(cluster, &web(), facts);
        Ok(())
    })
}

fn failing(error: ClusterError) -> Act {
    Box::new(|_| Err(error))
}

fn unavailable() -> ClusterError {
    ClusterError::Unavailable {
        message: "connection refused".into(),
        retry_after: None,
    }
}

fn starting() -> Facts {
    deployment(1).pod(crate::rollouts::scene::unready).at(5)
}

fn done() -> Facts {
    deployment(1).ready(1).at(10)
}

fn missing_image() -> Facts {
    let words = "acme/web: not found";
    deployment(1).pod(waits("ErrImagePull", words)).at(60)
}

/// A template that has another image.
fn set_to(image: &'static str, manager: &'static str) -> Act {
    Box::new(move |cluster| {
        cluster.edit(&web(), |web| web.containers[0].image = image.into());
        let facts = done().object(|object| {
            object.containers[0].image = image.into();
            let at = object.changed.as_ref().expect("a change").at;
            object.changed = Some(hikaru_core::rollout::TemplateChange::new(manager, at));
        });
        tell(cluster, &web(), facts);
        Ok(())
    })
}

struct Scene {
    play: Arc<Play>,
    rollouts: Rollouts,
}

/// A cluster with a workload that runs this image, in which this happens.
fn scene(image: &str, acts: impl IntoIterator<Item = Act>) -> Scene {
    let cluster = Arc::new(MemoryCluster::default());
    let play = Arc::new(Play {
        cluster: cluster.clone(),
        acts: Mutex::new(acts.into_iter().collect()),
        looks: Mutex::default(),
    });
    let clock = Arc::new(StillClock::default());
    let rollouts = Rollouts::new(cluster, Some(play.clone()), clock, true);
    let scene = Scene { play, rollouts };
    scene.put("web", image);
    scene
}

impl Scene {
    fn cluster(&self) -> &MemoryCluster {
        &self.play.cluster
    }

    fn put(&self, name: &str, image: &str) -> WorkloadId {
        let mut workload = Workload::new(WorkloadId::new("shop", "Deployment", name));
        workload.labels = IdentityLabels::new("acme", "web", "main");
        workload.containers.push(Container::new("web", image));
        let id = workload.id.clone();
        self.cluster().put(workload);
        id
    }

    /// Posts the new image and waits.
    async fn posted(&self, terms: WaitTerms) -> (Vec<String>, Waited) {
        self.posted_as(request(NEW), terms).await
    }

    async fn posted_as(&self, request: Request, terms: WaitTerms) -> (Vec<String>, Waited) {
        let clock = StillClock::default();
        let report = upgrade(self.cluster(), &clock, request, Mode::Commit).await;
        let awaited = Awaited::upgraded(&report.expect("a report"));
        self.waited(awaited, terms).await
    }

    /// Whether everything runs the new image.
    async fn verified(&self, terms: WaitTerms) -> (Vec<String>, Waited) {
        let plan = candidates(self.cluster(), request(NEW)).await;
        let awaited = Awaited::meant(&plan.expect("a plan"));
        self.waited(awaited, terms).await
    }

    /// What was told, `name state`, and the end.
    async fn waited(&self, awaited: Vec<Awaited>, terms: WaitTerms) -> (Vec<String>, Waited) {
        let mut events = self
            .rollouts
            .wait(awaited, terms)
            .expect("it can be waited for");
        let (mut told, mut end) = (Vec::new(), None);
        while let Some(event) = events.next().await {
            assert_eq!(end, None, "nothing follows the end");
            match event {
                WaitEvent::Changed(followed) => {
                    let state = followed.answer.rollout.state;
                    told.push(format!("{} {state}", followed.id.name));
                }
                WaitEvent::Over(waited) => end = Some(waited),
                event => panic!("{event:?}"),
            }
        }
        (told, end.expect("an end"))
    }
}

/// The sentence of the first workload.
fn sentence(waited: &Waited) -> &str {
    &waited.rollouts[0].answer.rollout.sentence
}

#[tokio::test]
async fn a_rollout_is_told_each_time_it_changes_until_it_is_complete() {
    let counted: Act = Box::new(|cluster| {
        let edit = |web: &mut Workload| web.progress = Some(Default::default());
        cluster.edit(&web(), edit);
        Ok(())
    });
    let scene = scene(
        OLD,
        [told(starting()), told(starting()), counted, told(done())],
    );
    let (told, waited) = scene.posted(terms()).await;
    assert_eq!(told, ["web progressing", "web complete"]);
    assert_eq!(waited.outcome, WaitOutcome::Succeeded);
    assert_eq!(waited.sentence, "1 rollout ended well");
    // What runs the build already is waited for, too.
    let (told, waited) = scene.posted(terms()).await;
    assert_eq!(told, ["web complete"]);
    assert_eq!(waited.outcome, WaitOutcome::Succeeded);
}

#[tokio::test]
async fn the_first_failure_ends_the_wait_unless_all_are_to_end() {
    let fails = || scene(OLD, [told(missing_image())]);
    let fast = fails();
    let slow = fast.put("slow", OLD);
    tell(fast.cluster(), &slow, starting());
    let (_, waited) = fast.posted(terms()).await;
    assert_eq!(waited.outcome, WaitOutcome::Failed);
    let states = waited.rollouts.iter().map(|f| f.answer.rollout.state);
    let states: Vec<_> = states.collect();
    assert_eq!(states, [RolloutState::Progressing, RolloutState::Failed]);
    assert!(
        waited.sentence.starts_with(
            "1 of 2 rollouts failed: shop/Deployment/web: 1 of 1 new pods cannot pull the image"
        ),
        "{}",
        waited.sentence
    );
    assert!(waited.rollouts[1].answer.evidence.is_some());

    let patient = fails();
    let slow = patient.put("slow", OLD);
    tell(patient.cluster(), &slow, done());
    let mut terms = terms();
    terms.fail_fast = false;
    let (_, waited) = patient.posted(terms).await;
    assert_eq!(waited.outcome, WaitOutcome::Failed);
    let states = waited.rollouts.iter().map(|f| f.answer.rollout.state);
    let states: Vec<_> = states.collect();
    assert_eq!(states, [RolloutState::Complete, RolloutState::Failed]);
}

#[tokio::test]
async fn when_the_time_is_over_what_is_awaited_is_told_with_evidence() {
    let waiting = waits("ContainerCreating", "");
    let pulls = waits("ImagePullBackOff", "connection reset by peer");
    let scene = scene(
        OLD,
        [
            told(deployment(1).pod(waiting).at(5)),
            told(deployment(1).pod(pulls).at(20)),
        ],
    );
    let (_, waited) = scene.posted(WaitTerms::new(seconds(60))).await;
    assert_eq!(waited.outcome, WaitOutcome::Unfinished);
    let rollout = &waited.rollouts[0];
    assert!(rollout.answer.rollout.cause.is_some(), "{rollout:?}");
    assert!(rollout.answer.evidence.is_some());
    assert!(
        waited
            .sentence
            .starts_with("1 of 1 rollout not complete within 60 s: "),
        "{}",
        waited.sentence
    );
    assert!(waited.took >= seconds(60));
}

#[tokio::test]
async fn whoever_posts_again_waits_from_then_on() {
    let late = |seconds| told(starting().at(seconds));
    // What seems to have failed is judged once more.
    let again = scene(NEW, [3_600, 3_601, 3_700, 4_300].map(late));
    let (told, waited) = again.posted(terms()).await;
    assert_eq!(told, ["web progressing", "web progressing", "web failed"]);
    assert_eq!(waited.outcome, WaitOutcome::Failed);
    let (told, _) = scene(NEW, [late(3_600)]).verified(terms()).await;
    assert_eq!(told, ["web failed"]);
}

#[tokio::test]
async fn a_higher_build_ends_the_wait_well_and_a_lower_one_does_not() {
    for (image, manager, state, outcome) in [
        (
            HIGHER,
            "hikaru",
            RolloutState::Superseded,
            WaitOutcome::Succeeded,
        ),
        // Who has written it does not matter.
        (
            HIGHER,
            "kubectl",
            RolloutState::Superseded,
            WaitOutcome::Succeeded,
        ),
        (OLD, "kubectl", RolloutState::Reverted, WaitOutcome::Failed),
        (OLD, "hikaru", RolloutState::Reverted, WaitOutcome::Failed),
    ] {
        // What was forced does not matter to it, nor that no further build goes out to it.
        for force in [Force::NONE, Force::ALL] {
            let acts = [told(starting()), set_to(image, manager)];
            let scene = scene(OLD, acts);
            let mut request = request(NEW);
            request.force = force;
            let (_, waited) = scene.posted_as(request, terms()).await;
            assert_eq!(waited.rollouts[0].answer.rollout.state, state);
            assert_eq!(waited.outcome, outcome, "{}", waited.sentence);
        }
    }
}

#[tokio::test]
async fn what_is_told_late_is_not_taken_for_another_image() {
    let behind = || done().object(|object| object.containers[0].image = OLD.into());
    let scene = scene(OLD, [told(behind()), told(behind()), told(done())]);
    let (told, waited) = scene.posted(terms()).await;
    assert_eq!(told, ["web progressing", "web complete"]);
    assert_eq!(waited.outcome, WaitOutcome::Succeeded);
}

#[tokio::test]
async fn a_workload_is_deleted_or_paused_meanwhile() {
    let deleted: Act = Box::new(|cluster| {
        cluster.remove(&web());
        Ok(())
    });
    let recreated: Act = Box::new(|cluster| {
        let now = cluster.get(&web()).expect("a workload");
        cluster.remove(&web());
        cluster.put(now);
        tell(cluster, &web(), done());
        Ok(())
    });
    let deleting = done().object(|object| object.is_deleting = true);
    let paused = starting().object(|object| object.is_paused = true);
    for (act, state) in [
        (deleted, RolloutState::Deleted),
        (recreated, RolloutState::Deleted),
        (told(deleting), RolloutState::Deleted),
        (told(paused), RolloutState::Paused),
    ] {
        let scene = scene(OLD, [told(starting()), act]);
        let (_, waited) = scene.posted(terms()).await;
        assert_eq!(waited.rollouts[0].answer.rollout.state, state);
        assert_eq!(waited.outcome, WaitOutcome::Failed);
    }
}

#[tokio::test]
async fn what_has_no_rollouts_or_waits_for_a_person_has_ended_well() {
    let none = || done().object(|object| object.kind = RolloutKind::None);
    let on_delete = || {
        let facts = deployment(2).ready(1).old(1).at(10);
        facts.object(|object| object.is_on_delete = true)
    };
    for (facts, state) in [
        (none(), RolloutState::NotApplicable),
        (on_delete(), RolloutState::WaitsForDeletion),
    ] {
        let (_, waited) = scene(OLD, [told(facts)]).posted(terms()).await;
        assert_eq!(waited.rollouts[0].answer.rollout.state, state);
        assert_eq!(waited.outcome, WaitOutcome::Succeeded);
    }
}

#[tokio::test]
async fn a_build_that_is_not_written_yet_is_waited_for() {
    let scene = scene(OLD, [told(done()), set_to(NEW, "argocd")]);
    let (told, waited) = scene.verified(terms()).await;
    assert_eq!(told, ["web progressing", "web complete"]);
    assert_eq!(waited.outcome, WaitOutcome::Succeeded);

    let never = self::scene(OLD, [self::told(done())]);
    let (_, waited) = never.verified(terms()).await;
    assert_eq!(waited.outcome, WaitOutcome::Unfinished);
    assert_eq!(
        sentence(&waited),
        "shop/Deployment/web: the build is not written yet: 1.5.0_8 follows 1.4.0_7"
    );
}

#[tokio::test]
async fn only_containers_that_run_the_build_have_to_prove_themselves() {
    let mut facts = done().object(|object| {
        object.containers.push(object.containers[0].clone());
        (object.containers[1].name, object.containers[1].readiness) = ("proxy".into(), None);
    });
    let containers = &mut Arc::make_mut(&mut facts.facts.pods[0]).containers;
    containers.push(containers[0].clone());
    containers[1].name = "proxy".into();
    let posted = scene(OLD, [told(facts.clone())]).posted(terms()).await;
    let verified = scene(NEW, [told(facts)]).verified(terms()).await;
    assert_eq!([posted.0, verified.0].concat(), ["web complete"; 2]);
}

#[tokio::test]
async fn a_workload_that_is_made_anew_is_verified_too() {
    let recreated: Act = Box::new(|cluster| {
        let now = cluster.get(&web()).expect("a workload");
        cluster.remove(&web());
        cluster.put(now);
        tell(cluster, &web(), done());
        Ok(())
    });
    let again = scene(NEW, [told(starting()), recreated]);
    let (_, waited) = again.verified(terms()).await;
    assert_eq!(waited.outcome, WaitOutcome::Succeeded);
    let deleted: Act = Box::new(|cluster| {
        cluster.remove(&web());
        Ok(())
    });
    let gone = scene(NEW, [deleted]);
    let (_, waited) = gone.verified(terms()).await;
    assert_eq!(
        waited.rollouts[0].answer.rollout.state,
        RolloutState::Deleted
    );
    assert_eq!(waited.outcome, WaitOutcome::Failed);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let scene = scene(NEW, []);
    let other: WorkloadName = "shop/deploy/other".parse().expect("a name");
    let (_, waited) = scene.waited(vec![Awaited::workload(&other)], terms()).await;
    assert_eq!(waited.outcome, WaitOutcome::Unknown);
    let error = waited.rollouts[0].error.as_ref();
    assert!(
        matches!(error, Some(ClusterError::NotFound(_))),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_build_that_policy_keeps_back_is_not_run() {
    let manual: fn(&mut Workload) = |web| {
        web.settings
            .push(Setting::new(Place::Label, "upgrade", "manual"));
    };
    let held: fn(&mut Workload) = |web| {
        web.containers[0].mark = Some("1.6.0_9_d5ecc80e".into());
    };
    let higher: fn(&mut Workload) = |web| web.containers[0].image = HIGHER.into();
    for (edit, state, outcome, words) in [
        (
            manual,
            RolloutState::NotDeployed,
            WaitOutcome::Failed,
            "does not run the build (manual): opted out",
        ),
        (
            held,
            RolloutState::NotDeployed,
            WaitOutcome::Failed,
            "does not run the build (held): ",
        ),
        (
            higher,
            RolloutState::Superseded,
            WaitOutcome::Succeeded,
            "runs 1.6.0_9, higher than the posted 1.5.0_8",
        ),
    ] {
        // At the beginning, and meanwhile.
        let before = scene(OLD, [told(done())]);
        before.cluster().edit(&web(), edit);
        let meanwhile: Act = Box::new(move |cluster| {
            cluster.edit(&web(), edit);
            Ok(())
        });
        let meanwhile = scene(OLD, [told(done()), meanwhile]);
        for scene in [before, meanwhile] {
            let (_, waited) = scene.verified(terms()).await;
            assert_eq!(waited.rollouts[0].answer.rollout.state, state, "{words}");
            assert_eq!(waited.outcome, outcome, "{words}");
            assert!(sentence(&waited).contains(words), "{}", sentence(&waited));
        }
    }
}

#[tokio::test]
async fn what_cannot_be_read_for_a_moment_is_looked_at_again() {
    let forbidden = || ClusterError::Forbidden("get deployments".into());
    let scene = self::scene(
        OLD,
        [
            failing(unavailable()),
            told(starting()),
            failing(unavailable()),
            failing(forbidden()),
            told(done()),
        ],
    );
    let (_, waited) = scene.posted(terms()).await;
    assert_eq!(waited.outcome, WaitOutcome::Succeeded);

    // What is forbidden at first stays so.
    let never = self::scene(OLD, [failing(forbidden())]);
    let (_, waited) = never.posted(terms()).await;
    assert_eq!(waited.outcome, WaitOutcome::Unknown);
    assert_eq!(waited.rollouts[0].error, Some(forbidden()));

    let endless = self::scene(OLD, (0..10_000).map(|_| failing(unavailable())));
    let (told, waited) = endless.posted(terms()).await;
    assert_eq!(told, ["web progressing"]);
    assert_eq!(waited.outcome, WaitOutcome::Unfinished);
    assert!(sentence(&waited).contains("cannot be looked at now: "));
}

#[tokio::test]
async fn without_time_each_is_looked_at_once() {
    let scene = scene(NEW, [told(starting())]);
    let other = scene.put("other", NEW);
    tell(scene.cluster(), &other, missing_image());
    let (told, waited) = scene.verified(WaitTerms::new(Duration::ZERO)).await;
    assert_eq!(told.len(), 2);
    assert_eq!(waited.outcome, WaitOutcome::Failed);
    let (_, waited) = self::scene(NEW, [self::told(starting())])
        .verified(WaitTerms::new(Duration::ZERO))
        .await;
    assert_eq!(waited.outcome, WaitOutcome::Unfinished);
    assert!(waited.sentence.starts_with("1 of 1 rollout not complete: "));
}

#[tokio::test]
async fn in_a_folder_images_are_verified_and_nothing_is_waited_for() {
    let scene = scene(NEW, []);
    let clock = Arc::new(StillClock::default());
    let folder = Rollouts::new(scene.play.cluster.clone(), None, clock, true);
    let scene = Scene {
        rollouts: folder,
        ..scene
    };
    let (_, waited) = scene.verified(WaitTerms::new(Duration::ZERO)).await;
    assert_eq!(waited.outcome, WaitOutcome::Succeeded);
    scene.put("behind", OLD);
    let (_, waited) = scene.verified(WaitTerms::new(Duration::ZERO)).await;
    assert_eq!(waited.outcome, WaitOutcome::Failed);
    let refused = scene.rollouts.wait(Vec::new(), terms()).err();
    assert!(matches!(refused, Some(ClusterError::Unsupported(_))));
}

#[tokio::test]
async fn nothing_is_done_while_nobody_reads() {
    let scene = scene(NEW, [told(done())]);
    let plan = candidates(scene.cluster(), request(NEW))
        .await
        .expect("a plan");
    let events = scene.rollouts.wait(Awaited::meant(&plan), terms());
    drop(events.expect("it can be waited for"));
    assert_eq!(*scene.play.looks.lock().expect("no panic"), 0);
    let (_, waited) = scene.waited(Vec::new(), terms()).await;
    assert_eq!(waited.outcome, WaitOutcome::Succeeded);
    assert_eq!(waited.sentence, "there is nothing to wait for");
    let web: WorkloadName = "shop/deploy/web".parse().expect("a name");
    let (_, waited) = scene.waited(vec![Awaited::workload(&web)], terms()).await;
    assert_eq!(waited.outcome, WaitOutcome::Succeeded);
}
