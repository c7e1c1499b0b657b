//! What those who wait are told of, and what they read then: from watches, without a request.

use super::*;

/// Reads the facts at each telling, until they are as expected.
async fn told_until(
    changes: &mut BoxStream<'static, ()>,
    cluster: &LiveCluster,
    what: &str,
    is: impl Fn(&Option<RolloutFacts>) -> bool,
) {
    let until = Instant::now() + Duration::from_secs(60);
    while !is(&cluster.facts(&name("web")).await.expect("an answer")) {
        let told = tokio::time::timeout_at(until.into(), changes.next()).await;
        assert_eq!(told, Ok(Some(())), "{what}");
    }
}

fn generation(number: i64) -> Value {
    let mut object = workload("web");
    object["metadata"]["generation"] = json!(number);
    object
}

#[tokio::test]
async fn each_change_is_told_and_read_without_a_request() {
    let shop = Shop::of(&["web", "other"]);
    let stub = shop.serve().await;
    let cluster = connected(&stub).await;
    let mut changes = waits_for(&cluster, "web").await;
    let before = stub.asked().len();

    shop.put(DEPLOYMENTS, generation(2));
    told_until(&mut changes, &cluster, "the object", |facts| {
        facts.as_ref().is_some_and(|f| f.object.generation == 2)
    })
    .await;
    let mut set = shop::replica_set("web");
    set["spec"]["replicas"] = json!(3);
    shop.put(REPLICA_SETS, set);
    told_until(&mut changes, &cluster, "the ReplicaSet", |facts| {
        facts
            .as_ref()
            .is_some_and(|f| f.replica_sets[0].desired == 3)
    })
    .await;
    shop.put(PODS, pod("web-2", "web"));
    told_until(&mut changes, &cluster, "a new pod", |facts| {
        facts.as_ref().is_some_and(|f| f.pods.len() == 2)
    })
    .await;
    shop.delete(PODS, "web-1");
    told_until(&mut changes, &cluster, "a deleted pod", |facts| {
        facts.as_ref().is_some_and(|f| pods_of(f) == ["web-2"])
    })
    .await;
    // A pod whose labels do not match any more is no pod of it.
    shop.put(PODS, pod("web-2", "other"));
    shop.say(PODS, &event("DELETED", &pod("web-2", "web")));
    told_until(&mut changes, &cluster, "a relabeled pod", |facts| {
        facts.as_ref().is_some_and(|f| f.pods.is_empty())
    })
    .await;
    assert_eq!(stub.asked().len(), before);

    // What concerns others is not told.
    shop.put(PODS, pod("other-2", "other"));
    shop.put(DEPLOYMENTS, workload("other"));
    let told = tokio::time::timeout(Duration::from_millis(100), changes.next()).await;
    assert!(told.is_err(), "{told:?}");
}

#[tokio::test]
async fn changes_that_nobody_took_note_of_are_one() {
    let shop = Shop::of(&["web"]);
    let stub = shop.serve().await;
    let cluster = connected(&stub).await;
    let mut changes = waits_for(&cluster, "web").await;
    for number in 2..100 {
        shop.put(PODS, pod(&format!("web-{number}"), "web"));
    }
    let ask = || facts(&cluster, "web");
    eventually("all are known", ask, |facts| facts.pods.len() == 99).await;
    assert_eq!(changes.next().await, Some(()));
    let told = tokio::time::timeout(Duration::from_millis(100), changes.next()).await;
    assert!(told.is_err(), "{told:?}");
}

#[tokio::test]
async fn a_deleted_workload_is_gone_at_once_and_another_one_is_seen() {
    let shop = Shop::of(&["web"]);
    let stub = shop.serve().await;
    let cluster = connected(&stub).await;
    let mut changes = waits_for(&cluster, "web").await;
    shop.delete(DEPLOYMENTS, "web");
    told_until(&mut changes, &cluster, "it is gone", Option::is_none).await;
    let mut another = workload("web");
    another["metadata"]["uid"] = json!("another");
    another["spec"]["selector"] = json!({"matchLabels": {"app": "next"}});
    shop.put(PODS, pod("next-1", "next"));
    shop.put(DEPLOYMENTS, another);
    told_until(&mut changes, &cluster, "another one", |facts| {
        let uid = facts.as_ref().map(|facts| &*facts.workload.uid);
        uid == Some("another")
    })
    .await;
    // Its pods are watched, too.
    while cluster.rollout_vitals().watches < 5 {
        assert_eq!(changes.next().await, Some(()));
    }
    let before = stub.asked().len();
    assert_eq!(pods_of(&facts(&cluster, "web").await), ["next-1"]);
    shop.put(PODS, pod("next-2", "next"));
    told_until(&mut changes, &cluster, "its pods", |facts| {
        facts.as_ref().is_some_and(|f| f.pods.len() == 2)
    })
    .await;
    assert_eq!(stub.asked().len(), before);
}

/// A watch on all workloads of a namespace may not have told of it yet.
#[tokio::test]
async fn a_workload_that_a_watch_does_not_have_is_asked_for() {
    let shop = Shop::of(&["a", "b", "c"]);
    let script = shop.clone();
    let stub = Stub::start(
        move |asked, _| match asked.is_watch() && asked.path == DEPLOYMENTS {
            true => Step::Hanging(vec![]),
            false => script.answer(asked),
        },
    )
    .await;
    let cluster = connected(&stub).await;
    let mut waiters = Vec::new();
    for of in ["a", "b", "c"] {
        waiters.push(waits_for(&cluster, of).await);
    }
    shop.put(DEPLOYMENTS, workload("web"));
    assert_eq!(&*facts(&cluster, "web").await.workload.uid, "uid-web");
}

#[tokio::test]
async fn a_break_loses_nothing() {
    let gone = event("ERROR", &status(410, "Expired", "too old resource version"));
    for path in [DEPLOYMENTS, REPLICA_SETS, PODS] {
        let shop = Shop::of(&["web"]);
        let stub = shop.serve().await;
        let cluster = connected(&stub).await;
        let mut changes = waits_for(&cluster, "web").await;
        for (round, count) in [(2, 1), (3, 2)] {
            // The second time by an event, after which the connection would go on.
            match round {
                2 => shop.cut(path),
                _ => shop.say(path, &gone),
            }
            shop.put(DEPLOYMENTS, generation(round));
            let mut set = shop::replica_set("web");
            set["spec"]["replicas"] = json!(round);
            shop.put(REPLICA_SETS, set);
            shop.put(PODS, pod(&format!("web-{round}"), "web"));
            told_until(&mut changes, &cluster, path, |facts| {
                facts.as_ref().is_some_and(|f| {
                    (f.object.generation, i64::from(f.replica_sets[0].desired)) == (round, round)
                        && f.pods.len() == count + 1
                })
            })
            .await;
            let lists = || async { asked_for(&stub, path).0 };
            eventually("it is listed anew", lists, |lists| *lists > count).await;
            follows(&cluster, 3).await;
        }
        // From then on again without a request.
        let before = stub.asked().len();
        shop.put(PODS, pod("web-9", "web"));
        told_until(&mut changes, &cluster, path, |facts| {
            facts.as_ref().is_some_and(|f| f.pods.len() == 4)
        })
        .await;
        assert_eq!(stub.asked().len(), before, "{path}");
    }
}

/// A token that may only `get` the object, and may watch its pods.
#[tokio::test]
async fn what_may_not_be_watched_is_told_every_few_seconds() {
    let shop = Shop::of(&["web"]);
    let script = shop.clone();
    let stub = Stub::start(move |asked, _| match &*asked.path {
        DEPLOYMENTS => Step::Answer(403, status(403, "Forbidden", "deployments is forbidden")),
        _ => script.answer(asked),
    })
    .await;
    let cluster = connected(&stub).await;
    let mut changes = waits_for(&cluster, "web").await;
    shop.put(DEPLOYMENTS, generation(2));
    told_until(&mut changes, &cluster, "the object", |facts| {
        facts.as_ref().is_some_and(|f| f.object.generation == 2)
    })
    .await;
    assert_eq!(asked_for(&stub, DEPLOYMENTS), (1, 0));
    // It is told of again.
    shop.put(DEPLOYMENTS, generation(3));
    told_until(&mut changes, &cluster, "the object again", |facts| {
        facts.as_ref().is_some_and(|f| f.object.generation == 3)
    })
    .await;
}

/// Of an added kind it is not known at first what the server calls it.
#[tokio::test]
async fn an_added_kind_is_watched_once_its_collection_is_known() {
    let rollouts = "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts";
    let shop = Shop::default();
    let mut object = workload("web");
    object["kind"] = json!("Rollout");
    shop.put(rollouts, object);
    let script = shop.clone();
    let stub = Stub::start(move |asked, _| match &*asked.path {
        "/apis/argoproj.io/v1alpha1" => Step::Answer(
            200,
            json!({"resources": [{"name": "rollouts", "kind": "Rollout", "namespaced": true}]}),
        ),
        _ => script.answer(asked),
    })
    .await;
    let mut settings = patient();
    let added = "argoproj.io/v1alpha1/Rollout=spec.template".parse();
    settings.kinds = vec![added.expect("a kind")];
    let cluster = stub.cluster_with(settings).await;
    let name: WorkloadName = "shop/rollout/web".parse().expect("a name");
    let mut changes = cluster.changed(&name);
    assert_eq!(changes.next().await, Some(()));
    assert!(cluster.facts(&name).await.expect("an answer").is_some());
    assert_eq!(changes.next().await, Some(()));
    let before = stub.asked().len();
    assert!(cluster.facts(&name).await.expect("an answer").is_some());
    assert_eq!(stub.asked().len(), before);
    follows(&cluster, 1).await;
}

#[tokio::test]
async fn a_job_and_its_pods_are_told_of() {
    use hikaru_core::{jobs::JobName, port::JobPort};
    let jobs = "/apis/batch/v1/namespaces/shop/jobs";
    let job = |active: i32| {
        json!({"kind": "Job", "metadata": {"name": "migrate", "namespace": "shop", "uid": "j-1"},
            "status": {"active": active}})
    };
    let shop = Shop::default();
    shop.put(jobs, job(0));
    let stub = shop.serve().await;
    let cluster = connected(&stub).await;
    let name = JobName::new("shop", "migrate").expect("a name");
    let mut changes = JobPort::changed(&cluster, &name);
    assert_eq!(changes.next().await, Some(()));
    follows(&cluster, 2).await;
    let before = stub.asked().len();
    shop.put(jobs, job(1));
    assert_eq!(changes.next().await, Some(()));
    let mut of_job = pod("migrate-x", "any");
    of_job["metadata"]["labels"] = json!({"batch.kubernetes.io/controller-uid": "j-1"});
    shop.put(PODS, of_job);
    assert_eq!(changes.next().await, Some(()));
    assert_eq!(stub.asked().len(), before);
    shop.delete(jobs, "migrate");
    assert_eq!(changes.next().await, Some(()));
}

/// Puts an object of the workload that says that the rollout is complete.
fn complete(shop: &Shop, name: &str) {
    let mut set = shop::replica_set(name);
    set["metadata"]["ownerReferences"] =
        json!([{"uid": format!("uid-{name}"), "controller": true}]);
    set["status"] = json!({"replicas": 1, "readyReplicas": 1, "availableReplicas": 1});
    let mut pod = pod(&format!("{name}-1"), name);
    pod["metadata"]["ownerReferences"] =
        json!([{"uid": set["metadata"]["uid"], "controller": true}]);
    pod["status"]["conditions"] = json!([{"type": "Ready", "status": "True"}]);
    pod["status"]["containerStatuses"] =
        json!([{"name": "web", "ready": true, "state": {"running": {}}}]);
    let mut object = workload(name);
    object["status"] = json!({"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1,
        "readyReplicas": 1, "availableReplicas": 1});
    // The controller counts before anybody is told of the pod.
    shop.put(DEPLOYMENTS, object);
    shop.put(PODS, pod);
    shop.put(REPLICA_SETS, set);
}

#[tokio::test]
async fn a_hundred_rollouts_are_waited_for_with_three_watches() {
    use hikaru_core::rollout::{Awaited, Rollouts, WaitEvent, WaitOutcome, WaitTerms};
    let names: Vec<String> = (0..100).map(|number| format!("web-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let shop = Shop::of(&names);
    let stub = shop.serve().await;
    let cluster = Arc::new(connected(&stub).await);
    let clock = Arc::new(hikaru_k8s::SystemClock::default());
    let rollouts = Rollouts::new(cluster.clone(), Some(cluster.clone()), clock, false);
    let awaited = names.iter().map(|of| Awaited::workload(&name(of)));
    let mut terms = WaitTerms::new(Duration::from_secs(600));
    terms.stable_for = Some(Duration::ZERO);
    let mut events = rollouts
        .wait(awaited.collect(), terms)
        .expect("it can be waited for");
    let mut told = 0;
    let waited = loop {
        match events.next().await.expect("an end") {
            WaitEvent::Changed(followed) => {
                assert_eq!(followed.error, None);
                told += 1;
                if told == names.len() {
                    names.iter().for_each(|name| complete(&shop, name));
                }
            }
            WaitEvent::Over(waited) => break waited,
            event => panic!("{event:?}"),
        }
    };
    assert_eq!(waited.outcome, WaitOutcome::Succeeded, "{waited:#?}");
    for path in [DEPLOYMENTS, REPLICA_SETS, PODS] {
        let (lists, watches) = asked_for(&stub, path);
        // Before the third wait there are up to two narrow ones.
        assert!(lists <= 3 && watches <= 3, "{path}: {lists}, {watches}");
    }
    let others = |asked: &&super::super::stub::Asked| {
        ![DEPLOYMENTS, REPLICA_SETS, PODS].contains(&&*asked.path)
    };
    assert_eq!(stub.asked().iter().filter(others).count(), 0);
}
