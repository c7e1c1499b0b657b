//! A watched view of an API server that fails in every way: what it shows, and whether it says so when it is out of date.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, future::join_all};
use hikaru_core::{
    Mode,
    port::{
        Changed, Changes as _, ClusterError, Freshness, Scope, Select, Severity, WorkloadPort as _,
    },
    upgrade,
    upgrade::Outcome,
};
use hikaru_k8s::{WatchSettings, WatchedCluster};
use serde_json::json;

use super::stub::{Step, Stub, build, deployment, empty, event, image, list, post, status};

/// Out of date after a second and a half.
pub(super) fn quick() -> WatchSettings {
    let mut settings = WatchSettings::default();
    settings.heartbeat = Duration::from_secs(1);
    settings.patience = Duration::from_millis(500);
    settings
}

/// A view that is up to date.
pub(super) async fn watched(stub: &Stub, settings: WatchSettings) -> WatchedCluster {
    let watched = WatchedCluster::start(stub.cluster().await, settings);
    let synced = tokio::time::timeout(Duration::from_secs(10), watched.synced());
    synced.await.expect("it is up to date");
    watched
}

/// What is found, as `name:build`, sorted, once it is as expected, or after a while.
pub(super) async fn shows(watched: &WatchedCluster, expected: &[&str]) {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let found = watched.find(&Scope::new(Select::All)).await;
        let mut names: Vec<String> = found
            .iter()
            .flat_map(|found| &found.workloads)
            .map(|w| {
                let build = w.containers[0]
                    .image
                    .split('_')
                    .nth(4)
                    .unwrap_or("?")
                    .to_owned();
                format!("{}:{build}", w.id.name)
            })
            .collect();
        names.sort_unstable();
        if names == expected {
            return;
        }
        assert!(
            Instant::now() < until,
            "expected {expected:?}, found {found:?}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The limit of each list of these objects.
pub(super) fn lists_of(stub: &Stub, plural: &str) -> Vec<String> {
    let asked = stub.asked().into_iter();
    let lists = asked.filter(|asked| asked.is_list_of(plural));
    lists
        .map(|asked| asked.parameter("limit").to_owned())
        .collect()
}

/// Every other kind has nothing, and a watch that ends when it should.
pub(super) fn quiet(asked: &super::stub::Asked) -> Step {
    if asked.is_watch() {
        Step::Hanging(vec![])
    } else {
        empty()
    }
}

#[tokio::test]
async fn events_change_what_is_shown() {
    let stub = Stub::start(|asked, before| {
        if !asked.path.ends_with("/deployments") {
            return quiet(asked);
        }
        if !asked.is_watch() {
            let items = [deployment("a", 1, 1), deployment("b", 1, 2)];
            return Step::Answer(200, list(&items, 5));
        }
        // The list is the first request of this path.
        match before {
            1 => Step::Lines(vec![
                event("MODIFIED", &deployment("a", 2, 6)),
                event("DELETED", &deployment("b", 1, 7)),
                event("ADDED", &deployment("c", 3, 8)),
                event("BOOKMARK", &json!({"metadata": {"resourceVersion": "9"}})),
            ]),
            _ => Step::Hanging(vec![event("MODIFIED", &deployment("c", 4, 10))]),
        }
    })
    .await;
    let watched = watched(&stub, WatchSettings::default()).await;
    shows(&watched, &["a:2", "c:4"]).await;
    let asked = stub.asked();
    let watches = asked
        .iter()
        .filter(|a| a.is_watch() && a.path.ends_with("/deployments"));
    let versions: Vec<_> = watches
        .map(|a| a.parameter("resourceVersion").to_owned())
        .collect();
    assert_eq!(versions, ["5", "9"]);
    for asked in asked.iter().filter(|asked| asked.is_watch()) {
        // One ended before its time: whether something was missed is found out by a short one.
        let catches_up = asked.parameter("resourceVersion") == "9";
        // The first watches of the kinds end one after the other.
        let seconds = match asked.path.rsplit('/').next() {
            _ if catches_up => "3",
            Some("deployments") => "7",
            Some("statefulsets") => "13",
            Some("daemonsets") => "19",
            _ => "25",
        };
        assert_eq!(asked.parameter("timeoutSeconds"), seconds);
        assert_eq!(asked.parameter("allowWatchBookmarks"), "true");
    }
}

#[tokio::test]
async fn a_watch_that_has_fallen_behind_is_listed_anew() {
    // Once as the answer to opening it, once as an event; what was deleted meanwhile is gone.
    for as_event in [false, true] {
        let lists = Arc::new(AtomicUsize::new(0));
        let stub = Stub::start(move |asked, _| {
            if !asked.path.ends_with("/deployments") {
                return quiet(asked);
            }
            if !asked.is_watch() {
                return match lists.fetch_add(1, Ordering::SeqCst) {
                    0 => Step::Answer(
                        200,
                        list(&[deployment("old", 1, 1), deployment("kept", 1, 1)], 1),
                    ),
                    _ => Step::Answer(
                        200,
                        list(&[deployment("kept", 2, 9), deployment("new", 1, 9)], 9),
                    ),
                };
            }
            let gone = status(410, "Expired", "too old resource version");
            match (asked.parameter("resourceVersion"), as_event) {
                ("1", false) => Step::Answer(410, gone),
                ("1", true) => Step::Lines(vec![event("ERROR", &gone)]),
                _ => Step::Hanging(vec![]),
            }
        })
        .await;
        let watched = watched(&stub, WatchSettings::default()).await;
        shows(&watched, &["kept:2", "new:1"]).await;
    }
}

#[tokio::test]
async fn a_watch_that_breaks_off_goes_on_where_it_was() {
    let stub = Stub::start(|asked, _| {
        if !asked.path.ends_with("/deployments") {
            return quiet(asked);
        }
        if !asked.is_watch() {
            return Step::Answer(200, list(&[deployment("a", 1, 1)], 1));
        }
        match asked.parameter("resourceVersion") {
            "1" => Step::Broken(vec![event("MODIFIED", &deployment("a", 2, 2))]),
            "2" => Step::Hanging(vec![event("MODIFIED", &deployment("a", 3, 3))]),
            _ => Step::Html(500),
        }
    })
    .await;
    let watched = watched(&stub, WatchSettings::default()).await;
    shows(&watched, &["a:3"]).await;
    // All is listed once; after the break only the version of that moment is asked for.
    assert_eq!(lists_of(&stub, "deployments"), ["500", "1"]);
}

#[tokio::test]
async fn a_malformed_event_hides_nothing_else() {
    let stub = Stub::start(|asked, _| {
        if !asked.path.ends_with("/deployments") {
            return quiet(asked);
        }
        if !asked.is_watch() {
            let mut odd = deployment("odd", 1, 1);
            odd["spec"]["template"] = json!("?");
            let items = [odd, deployment("a", 1, 1), deployment("b", 1, 1)];
            return Step::Answer(200, list(&items, 1));
        }
        let mut now_odd = deployment("a", 2, 2);
        now_odd["metadata"]["labels"] = json!(["owner"]);
        Step::Hanging(vec![
            event("MODIFIED", &now_odd),
            event("MODIFIED", &deployment("b", 2, 3)),
        ])
    })
    .await;
    let watched = watched(&stub, WatchSettings::default()).await;
    shows(&watched, &["b:2"]).await;
    let found = watched
        .find(&Scope::new(Select::Build(build(3))))
        .await
        .expect("an answer");
    let mut faults: Vec<_> = found
        .faults
        .iter()
        .map(|f| (&*f.place, f.severity))
        .collect();
    faults.sort_unstable();
    assert_eq!(
        faults,
        [
            ("shop/Deployment/a", Severity::Failure),
            ("shop/Deployment/odd", Severity::Warning)
        ]
    );
}

#[tokio::test]
async fn silence_is_noticed_and_over_when_the_server_speaks() {
    let silent = Arc::new(AtomicBool::new(true));
    let hush = silent.clone();
    let stub = Stub::start(move |asked, _| {
        if asked.is_watch() && asked.path.ends_with("/deployments") && hush.load(Ordering::SeqCst) {
            return Step::Silence;
        }
        if asked.is_watch() {
            Step::Lines(vec![])
        } else {
            empty()
        }
    })
    .await;
    let watched = watched(&stub, quick()).await;
    let begun = Instant::now();
    let until = |done: fn(Freshness) -> bool| {
        let watched = watched.clone();
        async move {
            let end = Instant::now() + Duration::from_secs(15);
            while !done(watched.freshness()) {
                assert!(Instant::now() < end, "{:?}", watched.freshness());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };
    until(|freshness| matches!(freshness, Freshness::Stale { .. })).await;
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    let error = watched
        .find(&Scope::new(Select::All))
        .await
        .expect_err("out of date");
    assert!(
        matches!(
            error,
            ClusterError::Unavailable {
                retry_after: Some(_),
                ..
            }
        ),
        "{error:?}"
    );
    assert!(
        upgrade(
            &watched,
            &hikaru_k8s::SystemClock::default(),
            post(2),
            Mode::Commit
        )
        .await
        .is_err()
    );
    silent.store(false, Ordering::SeqCst);
    until(|freshness| freshness == Freshness::Fresh).await;
}

#[tokio::test]
async fn a_server_that_is_away_at_first_is_waited_for() {
    let away = Arc::new(AtomicBool::new(true));
    let gone = away.clone();
    let stub = Stub::start(move |asked, _| {
        if gone.load(Ordering::SeqCst) {
            Step::Html(503)
        } else {
            quiet(asked)
        }
    })
    .await;
    let watched = WatchedCluster::start(stub.cluster().await, WatchSettings::default());
    tokio::time::sleep(Duration::from_millis(300)).await;
    let freshness = watched.freshness();
    let Freshness::Syncing {
        reason: Some(reason),
    } = freshness
    else {
        panic!("{freshness:?}");
    };
    assert!(reason.contains("503 Service Unavailable"), "{reason}");
    away.store(false, Ordering::SeqCst);
    let synced = tokio::time::timeout(Duration::from_secs(10), watched.synced());
    synced.await.expect("it is up to date");
}

#[tokio::test]
async fn before_an_empty_answer_the_cluster_is_looked_at_once() {
    // The watch has not shown it yet, but it is there.
    let stub = Stub::start(|asked, _| {
        if asked.is_list_of("deployments") && !asked.parameter("labelSelector").is_empty() {
            return Step::Answer(200, list(&[deployment("web", 1, 1)], 1));
        }
        quiet(asked)
    })
    .await;
    let looks = |stub: &Stub| {
        let asked = stub.asked().into_iter();
        asked
            .filter(|a| !a.parameter("labelSelector").is_empty())
            .count()
    };
    let watched = watched(&stub, WatchSettings::default()).await;
    let scope = Scope::new(Select::Build(build(2)));
    let found = join_all((0..50).map(|_| watched.find(&scope))).await;
    for found in found {
        assert_eq!(found.expect("an answer").workloads.len(), 1);
    }
    // One look: four kinds.
    assert_eq!(looks(&stub), 4);

    // However often it is asked, the cluster is not asked more than it can take.
    for n in 0..200 {
        drop(watched.find(&Scope::new(Select::Build(build(n)))).await);
    }
    assert!(looks(&stub) < 4 * 60, "{}", looks(&stub));

    let mut settings = WatchSettings::default();
    settings.live_look = false;
    let before = looks(&stub);
    let blind = self::watched(&stub, settings).await;
    assert_eq!(
        blind.find(&scope).await.expect("an answer").workloads.len(),
        0
    );
    assert_eq!(looks(&stub), before);
}

#[tokio::test]
async fn what_was_written_shows_at_once() {
    let stub = Stub::start(|asked, _| match &*asked.method {
        "PATCH" => Step::Accept,
        _ if asked.is_list_of("deployments") => {
            Step::Answer(200, list(&[deployment("web", 1, 1)], 1))
        }
        _ => quiet(asked),
    })
    .await;
    let watched = watched(&stub, WatchSettings::default()).await;
    let report = upgrade(
        &watched,
        &hikaru_k8s::SystemClock::default(),
        post(2),
        Mode::DryRun,
    )
    .await
    .expect("a report");
    assert_eq!(report.entries[0].outcome, Outcome::Upgraded);
    shows(&watched, &["web:1"]).await;
    upgrade(
        &watched,
        &hikaru_k8s::SystemClock::default(),
        post(2),
        Mode::Commit,
    )
    .await
    .expect("a report");
    let found = watched
        .find(&Scope::new(Select::All))
        .await
        .expect("an answer");
    let web = &found.workloads[0].containers[0];
    assert_eq!(*web.image, image(2));
    assert!(
        web.mark
            .as_deref()
            .is_some_and(|mark| mark.starts_with("1.4.0_2_"))
    );
}

#[tokio::test]
async fn dropping_the_last_clone_ends_the_watches() {
    let stub = Stub::start(|asked, _| {
        if asked.is_watch() {
            Step::Lines(vec![])
        } else {
            empty()
        }
    })
    .await;
    let watched = watched(&stub, WatchSettings::default()).await;
    let clone = watched.clone();
    drop(watched);
    let before = stub.asked().len();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(stub.asked().len() > before, "the clone still watches");
    drop(clone);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let before = stub.asked().len();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(stub.asked().len(), before);
}

#[tokio::test]
async fn a_reader_of_changes_that_is_too_slow_is_told_so() {
    let stub = Stub::start(|asked, _| {
        if !asked.path.ends_with("/deployments") {
            return quiet(asked);
        }
        if !asked.is_watch() {
            return Step::Answer(200, list(&[deployment("a", 1, 1)], 5));
        }
        let builds = 2..=300;
        let events = builds.map(|n| event("MODIFIED", &deployment("a", n, 10 + n)));
        Step::Hanging(events.collect())
    })
    .await;
    let watched = WatchedCluster::start(stub.cluster().await, WatchSettings::default());
    let mut changes = watched.changes();
    shows(&watched, &["a:300"]).await;
    assert_eq!(changes.next().await, Some(Changed::Missed));
    let Some(Changed::Workloads(ids)) = changes.next().await else {
        panic!("expected the changes that were kept");
    };
    assert_eq!(ids[0].to_string(), "shop/Deployment/a");
    drop((watched, stub));
    let rest = changes.collect::<Vec<_>>();
    let rest = tokio::time::timeout(Duration::from_secs(10), rest).await;
    assert!(!rest.expect("an end").contains(&Changed::Missed));
}
