//! What is read of rollouts on an API server that plays a script: what is asked for, and when; what is watched, and for how long. The
//! faults of the server are in `faults`, events and logs in `evidence`, what is told of pods that fail in `causes`, waits for Jobs in `jobs`.

mod causes;
mod changes;
mod evidence;
mod faults;
mod jobs;
mod shop;

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use futures_util::{StreamExt as _, future::join_all, stream::BoxStream};
use hikaru_core::{
    Mode,
    port::{RolloutPort as _, Scope, Select, WorkloadPort as _},
    rollout::{RolloutFacts, RolloutKind},
    upgrade,
    workload::WorkloadName,
};
use hikaru_k8s::{LiveCluster, LiveSettings, WatchSettings, WatchedCluster};
use serde_json::{Value, json};

use super::stub::{Step, Stub, build, deployment, empty, event, list, post, settings, status};
use shop::{DEPLOYMENTS, PODS, REPLICA_SETS, Shop, pod, workload};

fn name(name: &str) -> WorkloadName {
    let name = format!("shop/deployment/{name}");
    name.parse().expect("a name")
}

/// A client that bears a busy machine: the server plays in the same thread.
async fn connected(stub: &Stub) -> LiveCluster {
    stub.cluster_with(patient()).await
}

fn patient() -> LiveSettings {
    let mut settings = settings();
    settings.deadline = Duration::from_secs(10);
    settings
}

async fn facts(cluster: &LiveCluster, of: &str) -> RolloutFacts {
    let facts = cluster.facts(&name(of)).await.expect("an answer");
    facts.expect("it is there")
}

/// Somebody who waits, and was told for the first time: everything is watched that can be.
async fn waits_for(cluster: &LiveCluster, of: &str) -> BoxStream<'static, ()> {
    let mut changes = cluster.changed(&name(of));
    assert_eq!(changes.next().await, Some(()));
    changes
}

fn pods_of(facts: &RolloutFacts) -> Vec<&str> {
    facts.pods.iter().map(|pod| &*pod.name).collect()
}

/// Lists and watches of a path.
fn asked_for(stub: &Stub, path: &str) -> (usize, usize) {
    let asked = stub.asked();
    let of_path = asked.iter().filter(|asked| asked.path == path);
    let (watches, lists): (Vec<_>, Vec<_>) = of_path.partition(|asked| asked.is_watch());
    (lists.len(), watches.len())
}

/// Asks again and again until the answer is as expected.
async fn eventually<T, F: Future<Output = T>>(
    what: &str,
    ask: impl Fn() -> F,
    is: impl Fn(&T) -> bool,
) {
    let until = Instant::now() + Duration::from_secs(60);
    while !is(&ask().await) {
        assert!(Instant::now() < until, "not within a minute: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Every watch is up to date.
async fn follows(cluster: &LiveCluster, watches: usize) {
    let vitals = || async { cluster.rollout_vitals() };
    eventually("the watches follow", vitals, |vitals| {
        (vitals.watches, vitals.behind) == (watches, 0)
    })
    .await;
}

#[tokio::test]
async fn whoever_asks_once_gets_lists_and_no_watch() {
    let shop = Shop::of(&["web", "other"]);
    let stub = shop.serve().await;
    let cluster = connected(&stub).await;
    let facts = facts(&cluster, "web").await;
    assert_eq!(facts.object.kind, RolloutKind::Deployment);
    assert_eq!(&*facts.workload.uid, "uid-web");
    assert_eq!(pods_of(&facts), ["web-1"]);
    assert_eq!(&*facts.replica_sets[0].name, "web-7c9f");
    assert_eq!((facts.unseen.len(), facts.replica_sets.len()), (0, 1));
    assert_eq!((facts.events, facts.not_ready_nodes), (None, None));

    let asked = stub.asked();
    let mut paths: Vec<_> = asked
        .iter()
        .map(|asked| (&*asked.path, asked.parameter("labelSelector")))
        .collect();
    paths.sort_unstable();
    let object = format!("{DEPLOYMENTS}/web");
    assert_eq!(
        paths,
        [(PODS, "app=web"), (&*object, ""), (REPLICA_SETS, "app=web")]
    );
    assert_eq!(cluster.rollout_vitals().watches, 0);
}

/// However often: watches are for those who wait.
#[tokio::test]
async fn whoever_asks_again_and_does_not_wait_begins_no_watch() {
    let names = ["a", "b", "c", "d"];
    let stub = Shop::of(&names).serve().await;
    let cluster = connected(&stub).await;
    for of in names.iter().cycle().take(12) {
        assert_eq!(pods_of(&facts(&cluster, of).await), [format!("{of}-1")]);
    }
    assert_eq!((stub.asked().len(), asked_for(&stub, PODS)), (36, (12, 0)));
    assert_eq!(cluster.rollout_vitals().watches, 0);
}

#[tokio::test]
async fn those_who_wait_for_the_same_workload_share_its_watches() {
    let stub = Shop::of(&["web"]).serve().await;
    let cluster = connected(&stub).await;
    let _waiters = join_all((0..20).map(|_| waits_for(&cluster, "web"))).await;
    for answer in join_all((0..20).map(|_| facts(&cluster, "web"))).await {
        assert_eq!(pods_of(&answer), ["web-1"]);
        assert_eq!(answer.replica_sets.len(), 1);
        assert_eq!(&*answer.workload.uid, "uid-web");
    }
    // The watches list first, and nothing else is sent.
    for path in [DEPLOYMENTS, PODS, REPLICA_SETS] {
        assert_eq!(asked_for(&stub, path), (1, 1), "{path}");
    }
    assert_eq!(stub.asked().len(), 6);
    for asked in stub.asked() {
        let narrowed = ["labelSelector", "fieldSelector"].map(|name| asked.parameter(name));
        match &*asked.path {
            DEPLOYMENTS => assert_eq!(narrowed, ["", "metadata.name=web"]),
            _ => assert_eq!(narrowed, ["app=web", ""]),
        }
        if asked.is_watch() {
            assert_eq!(asked.parameter("resourceVersion"), "7");
            assert_eq!(asked.parameter("allowWatchBookmarks"), "true");
            assert_eq!(asked.parameter("timeoutSeconds"), "25");
        }
    }
    let vitals = cluster.rollout_vitals();
    assert_eq!((vitals.watches, vitals.behind), (3, 0));
}

#[tokio::test]
async fn the_third_workload_of_a_namespace_is_served_by_one_watch_for_all() {
    let names = ["a", "b", "c", "d"];
    let shop = Shop::of(&names);
    // A selector that matches the pods of others, too, and labels that only look alike.
    shop.put(PODS, pod("foreign", "a"));
    shop.put(PODS, pod("z", "ab"));
    let stub = shop.serve().await;
    let cluster = connected(&stub).await;
    let mut waiters = Vec::new();
    for of in ["a", "b"] {
        waiters.push(waits_for(&cluster, of).await);
    }
    follows(&cluster, 6).await;
    let before = stub.asked().len();
    for of in ["c", "d"] {
        waiters.push(waits_for(&cluster, of).await);
    }
    for of in names.iter().cycle().take(12) {
        let facts = facts(&cluster, of).await;
        let mut expected = vec![format!("{of}-1")];
        if *of == "a" {
            expected.push("foreign".to_owned());
        }
        let mut found = pods_of(&facts);
        found.sort_by_key(|name| *name == "foreign");
        assert_eq!(found, expected);
        assert_eq!(&*facts.workload.id.name, *of);
        assert_eq!(&*facts.replica_sets[0].name, format!("{of}-7c9f"));
    }
    let after = stub.asked().split_off(before);
    for path in [DEPLOYMENTS, PODS, REPLICA_SETS] {
        let of_path: Vec<_> = after.iter().filter(|asked| asked.path == path).collect();
        assert_eq!(of_path.len(), 2, "{of_path:?}");
        let narrowed = |name| {
            of_path
                .iter()
                .any(|asked| !asked.parameter(name).is_empty())
        };
        assert!(!narrowed("labelSelector") && !narrowed("fieldSelector"));
    }
    assert_eq!(after.len(), 6);
    // The narrow watches are let go, and those who waited by them are told by the new ones.
    follows(&cluster, 3).await;
    for waiter in &mut waiters[..2] {
        assert_eq!(waiter.next().await, Some(()));
    }
    shop.put(PODS, pod("b-2", "b"));
    assert_eq!(waiters[1].next().await, Some(()));
    assert_eq!(pods_of(&facts(&cluster, "b").await), ["b-1", "b-2"]);
    assert_eq!(stub.asked().len(), before + 6);
}

#[tokio::test]
async fn what_a_watch_tells_is_shown() {
    let shop = Shop::of(&["web"]);
    let stub = Stub::start(move |asked, _| {
        if asked.path != PODS || !asked.is_watch() {
            return shop.answer(asked);
        }
        let mut failed = pod("web-2", "web");
        failed["status"] = json!({"phase": "Failed", "reason": "Evicted"});
        Step::Hanging(vec![
            event("ADDED", &pod("web-2", "web")),
            event("ADDED", &pod("web-3", "web")),
            event("BOOKMARK", &json!({"metadata": {"resourceVersion": "9"}})),
            event("MODIFIED", &failed),
            event("DELETED", &pod("web-1", "web")),
            event("SOMETHING NEW", &json!({})),
            event(
                "ADDED",
                &json!({"metadata": {"name": "odd", "labels": {"app": 7}}}),
            ),
        ])
    })
    .await;
    let cluster = connected(&stub).await;
    let _waiter = waits_for(&cluster, "web").await;
    eventually(
        "it is told",
        || facts(&cluster, "web"),
        |facts| !facts.unseen.is_empty(),
    )
    .await;
    let facts = facts(&cluster, "web").await;
    assert_eq!(pods_of(&facts), ["web-2", "web-3"]);
    assert_eq!(&*facts.pods[0].reason, "Evicted");
    let unseen = &facts.unseen[0];
    assert_eq!(&*unseen.what, "pods");
    assert!(
        unseen
            .reason
            .starts_with("pods/odd cannot be read: invalid type"),
        "{unseen:?}"
    );
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_let_go() {
    let stub = Shop::of(&["web"]).serve().await;
    let mut settings = patient();
    let idle = Duration::from_millis(500);
    settings.rollout_idle = idle;
    let cluster = stub.cluster_with(settings).await;
    let waiter = waits_for(&cluster, "web").await;
    let watches = || async { cluster.rollout_vitals().watches };
    assert_eq!(watches().await, 3);
    // It lasts for some idle times, and goes on because somebody waits.
    tokio::time::sleep(idle * 4).await;
    assert_eq!(watches().await, 3);
    drop(waiter);
    eventually("they are let go", watches, |watches| *watches == 0).await;
    let before = stub.asked().len();
    assert_eq!(pods_of(&facts(&cluster, "web").await), ["web-1"]);
    assert_eq!(stub.asked().len(), before + 3);
}

/// Who has no place for a watch waits all the same, and gets one when another is let go.
#[tokio::test]
async fn there_are_only_so_many_watches() {
    let stub = Stub::start(|asked, _| match asked.path.rsplit('/').next() {
        _ if asked.is_watch() => Step::Hanging(vec![]),
        Some("web") => Step::Answer(200, workload("web")),
        Some("deployments") => Step::Answer(200, list(&[workload("web")], 7)),
        Some("pods") => Step::Answer(200, list(&[pod("web-1", "web")], 7)),
        _ => empty(),
    })
    .await;
    let mut settings = patient();
    settings.rollout_idle = Duration::from_millis(500);
    let cluster = stub.cluster_with(settings).await;
    let names = (0..70).map(|number| format!("shop-{number}/deployment/web"));
    let names: Vec<WorkloadName> = names.map(|name| name.parse().expect("a name")).collect();
    let waits_for = async |name| {
        let mut changes = cluster.changed(name);
        assert_eq!(changes.next().await, Some(()));
        changes
    };
    let mut waiters = join_all(names.iter().map(waits_for)).await;
    let vitals = cluster.rollout_vitals();
    assert_eq!((vitals.watches, vitals.behind), (192, 0));
    // Nobody who waits sends more than the watches do.
    assert_eq!(stub.asked().len(), 2 * 192);
    for answer in join_all(names.iter().map(|name| cluster.facts(name))).await {
        let facts = answer.expect("an answer").expect("it is there");
        assert_eq!((pods_of(&facts), facts.unseen.len()), (vec!["web-1"], 0));
    }

    waiters.drain(6..);
    let requests = async || {
        let before = stub.asked().len();
        join_all(names[..6].iter().map(|name| cluster.facts(name))).await;
        stub.asked().len() - before
    };
    let until = Instant::now() + Duration::from_secs(60);
    while requests().await > 0 {
        assert!(Instant::now() < until, "they have no place within a minute");
        join_all(
            waiters
                .iter_mut()
                .map(|waiter| tokio::time::timeout(Duration::from_millis(100), waiter.next())),
        )
        .await;
    }
}

/// Upgrades, candidates and the view of a service need no pods.
#[tokio::test]
async fn nothing_is_asked_about_rollouts_when_nobody_asks() {
    let stub = Stub::start(|asked, _| match &*asked.method {
        "PATCH" => Step::Accept,
        _ if asked.is_watch() => Step::Hanging(vec![]),
        _ if asked.is_list_of("deployments") => {
            Step::Answer(200, list(&[deployment("web", 1, 1)], 1))
        }
        _ => empty(),
    })
    .await;
    let view = WatchedCluster::start(connected(&stub).await, WatchSettings::default());
    view.synced().await;
    view.find(&Scope::new(Select::Build(build(2))))
        .await
        .expect("found");
    upgrade::candidates(&view, post(2)).await.expect("a report");
    let clock = hikaru_k8s::SystemClock::default();
    upgrade(&view, &clock, post(2), Mode::Commit)
        .await
        .expect("a report");
    assert_eq!(stub.count("PATCH"), 1);
    for asked in stub.asked() {
        let plural = asked.path.rsplit('/').next().unwrap_or_default();
        let ours = [
            "deployments",
            "statefulsets",
            "daemonsets",
            "cronjobs",
            "web",
        ];
        assert!(ours.contains(&plural), "{asked:?}");
    }
}

#[tokio::test]
async fn a_kind_without_rollouts_is_asked_about_nothing_else() {
    let mut job = deployment("web", 1, 1);
    job["kind"] = json!("CronJob");
    job["spec"] = json!({"jobTemplate": {"spec": {"template": job["spec"]["template"]}}});
    let stub = Stub::start(move |asked, _| match asked.path.rsplit('/').next() {
        Some("web") => Step::Answer(200, job.clone()),
        _ => Step::Answer(404, status(404, "NotFound", "not found")),
    })
    .await;
    let cluster = connected(&stub).await;
    let facts = cluster
        .facts(&"shop/cronjob/web".parse().expect("a name"))
        .await;
    let facts = facts.expect("an answer").expect("it is there");
    assert_eq!(facts.object.kind, RolloutKind::None);
    assert_eq!(facts.unseen, []);
    assert_eq!(stub.asked().len(), 1);
    // What is not there, and what no kind is called.
    for absent in ["shop/cronjob/absent", "shop/rollout/web"] {
        let absent = cluster.facts(&absent.parse().expect("a name")).await;
        assert_eq!(absent, Ok(None));
    }
}

#[tokio::test]
async fn the_time_is_the_servers() {
    let shop = Shop::of(&["web"]);
    let script = shop.clone();
    let dated = Stub::start(move |asked, _| match script.answer(asked) {
        Step::Answer(200, body) => Step::Dated("Sun, 29 Nov 2026 11:00:21 GMT".to_owned(), body),
        step => step,
    })
    .await;
    let facts_of = async |stub: &Stub| facts(&connected(stub).await, "web").await.now;
    let said = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_950_021);
    let after = facts_of(&dated)
        .await
        .duration_since(said)
        .expect("not before it");
    assert!(after < Duration::from_secs(60), "{after:?}");
    // Without the header it is that of the settings.
    let settings = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_323_045);
    assert_eq!(facts_of(&shop.serve().await).await, settings);
}
