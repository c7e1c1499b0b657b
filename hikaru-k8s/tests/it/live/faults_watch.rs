//! Every fault of docs/faults.md in a watched view: in its first list, when a watch is opened, while it runs, and in the look
//! before an empty answer. What is shown is right, or it is said that nobody knows.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use hikaru_core::{
    Mode,
    port::{ClusterError, Freshness, Scope, Select, Severity, WorkloadPort as _},
    upgrade,
};
use hikaru_k8s::{WatchSettings, WatchedCluster};
use serde_json::{Value, json};

use super::{
    faults::table::{Row, UNAVAILABLE, rows},
    scripted_watch::{lists_of, quick, quiet, shows, watched},
    stub::{Asked, Step, Stub, build, deployment, event, list, post, settings, status},
};

/// Those that a request to read can meet, at once.
async fn each<F: Future<Output = ()>>(check: impl Fn(Row) -> F) {
    let read = rows().into_iter().filter(|row| row.list.1 != "-");
    join_all(read.map(check)).await;
}

fn deployments(asked: &Asked) -> bool {
    asked.path.ends_with("/deployments")
}

/// Whether nothing is asked for the second time soon.
fn asks_for_patience(row: &Row) -> bool {
    row.name == "busy (429) for a minute"
}

/// A view that is up to date.
async fn synced(stub: &Stub) -> WatchedCluster {
    let view = WatchedCluster::start(stub.cluster().await, WatchSettings::default());
    let synced = tokio::time::timeout(Duration::from_secs(30), view.synced());
    synced.await.expect("it is up to date");
    view
}

#[tokio::test]
async fn the_first_list_meets_each_fault() {
    each(|row| async move {
        let (step, times) = (row.step.clone(), row.list.2);
        let mended = Arc::new(AtomicBool::new(false));
        let (mend, faulty) = (mended.clone(), Arc::new(AtomicUsize::new(0)));
        let stub = Stub::start(move |asked, _| {
            if !deployments(asked) || asked.is_watch() {
                return quiet(asked);
            }
            if mend.load(Ordering::SeqCst) {
                return Step::Answer(200, list(&[deployment("a", 1, 1)], 1));
            }
            faulty.fetch_add(1, Ordering::SeqCst);
            step.clone()
        })
        .await;
        let view = WatchedCluster::start(
            stub.cluster_with(row.settings()).await,
            WatchSettings::default(),
        );
        let all = Scope::new(Select::All);
        if asks_for_patience(&row) {
            // The view knows the reason once the refusal has come.
            let until = Instant::now() + Duration::from_secs(30);
            while !matches!(view.freshness(), Freshness::Syncing { reason: Some(_) }) {
                assert!(Instant::now() < until, "{}", row.name);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            // Without the server's wish it would be asked again after 250 ms.
            tokio::time::sleep(Duration::from_millis(1_000)).await;
            assert_eq!(lists_of(&stub, "deployments").len(), 1);
            return;
        }
        // One more than a failure takes: it is tried again.
        let until = Instant::now() + Duration::from_secs(30);
        while lists_of(&stub, "deployments").len() <= times {
            assert!(Instant::now() < until, "{}", row.name);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        match view.freshness() {
            Freshness::Incomplete { reason } => {
                assert!(row.is_closed(), "{}: {reason}", row.name);
                assert_eq!(reason, format!("deployments.apps: {}", row.words));
                // The other kinds are answered, and each answer that the one may concern is a failure.
                let found = view.find(&all).await.expect("the other kinds");
                assert_eq!(found.faults[0].message, row.words, "{}", row.name);
                assert_eq!(found.faults[0].severity, Severity::Failure);
                let report = upgrade(
                    &view,
                    &hikaru_k8s::SystemClock::default(),
                    post(2),
                    Mode::Commit,
                )
                .await;
                assert!(report.expect("a report").has_failures(), "{}", row.name);
                assert_eq!(view.vitals().unwatched, 1, "{}", row.name);
            }
            Freshness::Syncing { reason } => {
                let reason = reason.expect("a reason");
                let words = format!("deployments.apps: {}", row.words);
                assert!(reason.starts_with(&words), "{}: {reason}", row.name);
                let none = view.find(&all).await.expect_err("nothing is known");
                let words =
                    "unavailable: the cluster has not been read completely yet: deployments";
                assert!(none.to_string().starts_with(words), "{none}");
            }
            other => panic!("{}: {other:?}", row.name),
        }
        mended.store(true, Ordering::SeqCst);
        shows(&view, &["a:1"]).await;
        assert_eq!(view.freshness(), Freshness::Fresh, "{}", row.name);
    })
    .await;
}

#[tokio::test]
async fn the_opening_of_a_watch_meets_each_fault() {
    each(|row| async move {
        let (step, opened) = (row.step.clone(), AtomicUsize::new(0));
        let stub = Stub::start(move |asked, _| {
            if !deployments(asked) {
                quiet(asked)
            } else if !asked.is_watch() {
                Step::Answer(200, list(&[deployment("a", 1, 1)], 1))
            } else if opened.fetch_add(1, Ordering::SeqCst) == 0 {
                step.clone()
            } else {
                Step::Hanging(vec![event("MODIFIED", &deployment("a", 2, 2))])
            }
        })
        .await;
        let view = synced(&stub).await;
        if asks_for_patience(&row) {
            let asked = || stub.asked().into_iter().filter(deployments).count();
            let until = Instant::now() + Duration::from_secs(30);
            while asked() < 2 {
                assert!(Instant::now() < until, "{}", row.name);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            // Without the server's wish it would be asked again after 250 ms.
            tokio::time::sleep(Duration::from_millis(1_000)).await;
            assert_eq!(asked(), 2);
            return;
        }
        shows(&view, &["a:2"]).await;
        // It goes on where it was, and only asks what version is the cluster's: all is not listed again.
        assert_eq!(lists_of(&stub, "deployments"), ["500", "1"], "{}", row.name);
        assert_eq!(view.freshness(), Freshness::Fresh, "{}", row.name);
    })
    .await;
}

/// The rights are taken away, or the API server starts anew and forbids all until it knows its rules.
#[tokio::test]
async fn a_kind_that_is_forbidden_later_is_kept_until_it_is_out_of_date() {
    for code in [403, 404] {
        let closed = Arc::new(AtomicBool::new(false));
        let is_closed = closed.clone();
        let stub = Stub::start(move |asked, _| {
            if !deployments(asked) {
                return breathing(asked);
            }
            if is_closed.load(Ordering::SeqCst) {
                return Step::Answer(code, status(code, "", "not for you"));
            }
            match breathing(asked) {
                Step::Answer(..) => Step::Answer(200, list(&[deployment("a", 1, 1)], 1)),
                watch => watch,
            }
        })
        .await;
        let view = watched(&stub, quick()).await;
        closed.store(true, Ordering::SeqCst);
        let until = Instant::now() + Duration::from_secs(30);
        let reason = loop {
            assert!(Instant::now() < until, "nobody has noticed");
            match view.freshness() {
                Freshness::Fresh => {
                    if let Ok(found) = view.find(&Scope::new(Select::All)).await {
                        assert_eq!(found.workloads.len(), 1, "it is forgotten");
                    }
                }
                Freshness::Stale { reason, .. } => break reason,
                other => panic!("{other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        assert_eq!(reason.as_deref(), Some("deployments.apps: not for you"));
        // Nothing is written that would leave others behind.
        assert!(
            upgrade(
                &view,
                &hikaru_k8s::SystemClock::default(),
                post(2),
                Mode::Commit
            )
            .await
            .is_err()
        );
        closed.store(false, Ordering::SeqCst);
        shows(&view, &["a:1"]).await;
        let lists = lists_of(&stub, "deployments");
        let whole = lists.iter().filter(|limit| *limit == "500").count();
        assert!(whole <= 2, "{lists:?}");
    }
}

/// Not after the time that a view may be silent: the server has spoken, and it will take no write either.
#[tokio::test]
async fn credentials_that_are_refused_are_told_at_once() {
    let revoked = Arc::new(AtomicBool::new(false));
    let is_revoked = revoked.clone();
    let stub = Stub::start(move |asked, _| {
        if is_revoked.load(Ordering::SeqCst) {
            return Step::Answer(401, status(401, "Unauthorized", "Unauthorized"));
        }
        breathing(asked)
    })
    .await;
    let mut settings = quick();
    settings.patience = Duration::from_secs(3600);
    let view = watched(&stub, settings).await;
    revoked.store(true, Ordering::SeqCst);
    let until = Instant::now() + Duration::from_secs(30);
    while view.freshness() == Freshness::Fresh {
        assert!(Instant::now() < until, "nobody has noticed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let told = view.freshness().to_string();
    assert!(
        told.contains("does not take our credentials (none: neither a token"),
        "{told}"
    );
    revoked.store(false, Ordering::SeqCst);
    let synced = tokio::time::timeout(Duration::from_secs(30), view.synced());
    synced.await.expect("it is up to date again");
}

/// A kind that was added may be done without: it is a warning, and asked for again later.
#[tokio::test]
async fn a_kind_that_was_added_and_cannot_be_watched_is_a_warning() {
    for step in [
        Step::Answer(403, status(403, "Forbidden", "no")),
        Step::Answer(404, status(404, "NotFound", "no")),
    ] {
        let stub = Stub::start(move |asked, _| match asked.path.contains("argoproj.io") {
            true => step.clone(),
            false => quiet(asked),
        })
        .await;
        let mut settings = settings();
        let kind = "argoproj.io/v1alpha1/Rollout=spec.template";
        settings.kinds = vec![kind.parse().expect("a kind")];
        let live = stub.cluster_with(settings).await;
        let view = WatchedCluster::start(live, WatchSettings::default());
        let synced = tokio::time::timeout(Duration::from_secs(30), view.synced());
        synced.await.expect("it is up to date");
        let found = view.find(&Scope::new(Select::All)).await.expect("found");
        let faults: Vec<_> = found
            .faults
            .iter()
            .map(|fault| (&*fault.place, fault.severity))
            .collect();
        assert_eq!(faults, [("rollout.argoproj.io", Severity::Warning)]);
        assert_eq!(view.vitals().unwatched, 1);
    }
}

/// Each watch tells something sound first, and then what nobody can read.
#[tokio::test]
async fn after_odd_events_the_pause_before_the_next_list_grows() {
    let stub = Stub::start(move |asked, _| {
        if !deployments(asked) {
            quiet(asked)
        } else if asked.is_watch() {
            Step::Lines(vec![event("MODIFIED", &deployment("a", 2, 2)), json!([7])])
        } else {
            Step::Answer(200, list(&[deployment("a", 1, 1)], 1))
        }
    })
    .await;
    let begun = Instant::now();
    let _view = WatchedCluster::start(stub.cluster().await, WatchSettings::default());
    let until = begun + Duration::from_secs(60);
    while lists_of(&stub, "deployments").len() < 5 {
        assert!(Instant::now() < until, "it is not listed anew");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // 0.25, 0.5, 1 and 2 s.
    assert!(begun.elapsed() >= Duration::from_millis(3_750));
}

#[tokio::test]
async fn the_look_before_an_empty_answer_meets_each_fault() {
    each(|row| async move {
        let step = row.step.clone();
        let stub = Stub::start(move |asked, _| match asked.parameter("labelSelector") {
            "" => quiet(asked),
            _ => step.clone(),
        })
        .await;
        let view = synced(&stub).await;
        // Not an empty list: nobody has seen that there is nothing.
        let none = view.find(&Scope::new(Select::Build(build(2)))).await;
        let none = none.expect_err("nobody knows");
        let expected = row.list.1.replace("{}", row.words);
        assert!(none.to_string().starts_with(&expected), "{none}");
        assert_eq!(
            none.is_retryable(),
            row.list.1 == UNAVAILABLE,
            "{}",
            row.name
        );
    })
    .await;
}

#[tokio::test]
async fn a_running_watch_meets_each_fault() {
    let text = |text: &str| Step::Text(200, text.to_owned());
    let moved = || event("MODIFIED", &deployment("a", 2, 2));
    let error = |code, words| event("ERROR", &status(code, "", words));
    // What comes of it: it goes on where it was, or all is listed anew.
    let (goes_on, relists): (&[&str], &[&str]) = (&["500", "1"], &["500", "500"]);
    let cases = [
        ("cut midway in a line", Step::Broken(vec![moved()]), goes_on),
        ("ended before its time", Step::Lines(vec![moved()]), goes_on),
        ("a page of a proxy", Step::Html(200), goes_on),
        ("no JSON", text("<h1>\n</h1>\n"), relists),
        (
            "half a JSON",
            text("{\"type\": \"MODIFIED\", \"object\": {\n"),
            relists,
        ),
        ("no event", text("{\"kind\": \"Status\"}\n"), relists),
        (
            "gone (410)",
            Step::Hanging(vec![error(410, "too old")]),
            relists,
        ),
        (
            "an error (500)",
            Step::Hanging(vec![error(500, "cannot decode")]),
            relists,
        ),
        ("a line without end", Step::Endless(200), relists),
    ];
    let checks = cases.map(|(name, step, lists)| async move {
        let opened = AtomicUsize::new(0);
        let stub = Stub::start(move |asked, _| {
            if !deployments(asked) {
                quiet(asked)
            } else if !asked.is_watch() {
                Step::Answer(200, list(&[deployment("a", 1, 1)], 1))
            } else if opened.fetch_add(1, Ordering::SeqCst) == 0 {
                step.clone()
            } else {
                Step::Hanging(vec![event("MODIFIED", &deployment("a", 3, 3))])
            }
        })
        .await;
        let view = synced(&stub).await;
        shows(&view, &["a:3"]).await;
        assert_eq!(lists_of(&stub, "deployments"), lists, "{name}");
        assert!(stub.taken() < 24 << 20, "{name}: {}", stub.taken());
        assert_eq!(
            view.vitals().restarts > 0,
            name != "ended before its time",
            "{name}"
        );
    });
    join_all(checks).await;
}

/// A watch that is always forgotten, a list whose next page is: never as fast as one can.
#[tokio::test]
async fn what_is_forgotten_again_and_again_is_not_asked_for_without_a_pause() {
    for watch in [true, false] {
        let stub = Stub::start(move |asked, _| {
            let gone = Step::Answer(410, status(410, "Expired", "too old"));
            match (deployments(asked), asked.is_watch()) {
                (true, true) if watch => gone,
                (true, false) if !watch && asked.parameter("continue") == "a" => gone,
                (true, false) if !watch => Step::Answer(200, super::stub::page(&[], "a")),
                _ => quiet(asked),
            }
        })
        .await;
        let begun = Instant::now();
        let _view = WatchedCluster::start(stub.cluster().await, WatchSettings::default());
        // After 0, 250 and 750 ms; the next one comes after 1,750 ms.
        let most = if watch { 3 } else { 3 * 8 };
        let until = begun + Duration::from_secs(60);
        while lists_of(&stub, "deployments").len() <= most {
            assert!(Instant::now() < until, "it is not listed anew");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(begun.elapsed() >= Duration::from_millis(1_750));
    }
}

/// What the server does after an outage that made the view out of date; meanwhile `a` was moved on and `b` made.
struct Outage {
    over: Arc<AtomicBool>,
    stub: Stub,
    view: WatchedCluster,
}

/// Every other kind has nothing, and watches that end after a second, as they should.
fn breathing(asked: &Asked) -> Step {
    match quiet(asked) {
        Step::Hanging(_) => Step::Ending(1_000),
        list => list,
    }
}

/// The list says version 5 then, in these words; watches play this step, by their number.
async fn outage(
    version: &'static str,
    watch: impl Fn(usize) -> Step + Send + Sync + 'static,
) -> Outage {
    let over = Arc::new(AtomicBool::new(false));
    let is_over = over.clone();
    let (lists, watches) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let stub = Stub::start(move |asked, _| {
        if !deployments(asked) {
            return breathing(asked);
        }
        if !is_over.load(Ordering::SeqCst) {
            let first = !asked.is_watch() && lists.fetch_add(1, Ordering::SeqCst) == 0;
            return if first {
                Step::Answer(200, list(&[deployment("a", 1, 1)], 1))
            } else {
                Step::Cut
            };
        }
        if asked.is_watch() {
            return watch(watches.fetch_add(1, Ordering::SeqCst));
        }
        let mut now = list(&[deployment("a", 2, 3), deployment("b", 1, 5)], 5);
        now["metadata"]["resourceVersion"] = json!(version);
        Step::Answer(200, now)
    })
    .await;
    let view = watched(&stub, quick()).await;
    let until = Instant::now() + Duration::from_secs(10);
    while view.freshness() == Freshness::Fresh {
        assert!(Instant::now() < until, "nobody has noticed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Outage { over, stub, view }
}

impl Outage {
    /// What the first answer after the outage shows.
    async fn first_answer(&self) -> usize {
        self.over.store(true, Ordering::SeqCst);
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            match self.view.find(&Scope::new(Select::All)).await {
                Ok(found) => return found.workloads.len(),
                Err(error) => assert!(matches!(error, ClusterError::Unavailable { .. })),
            }
            assert!(Instant::now() < until, "it is not up to date again");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

fn bookmark(version: u64) -> Value {
    event(
        "BOOKMARK",
        &json!({"metadata": {"resourceVersion": version.to_string()}}),
    )
}

#[tokio::test]
async fn after_an_outage_nothing_is_answered_before_the_watch_has_caught_up() {
    // What was missed comes late, and a bookmark of the state before is no proof.
    let outage = outage("5", |_| {
        Step::Trickle(vec![
            (200, bookmark(2)),
            (200, event("MODIFIED", &deployment("a", 2, 3))),
            (200, event("ADDED", &deployment("b", 1, 5))),
        ])
    })
    .await;
    assert_eq!(outage.first_answer().await, 2);
    shows(&outage.view, &["a:2", "b:1"]).await;
    // One whole list, and the version.
    let lists = lists_of(&outage.stub, "deployments");
    assert_eq!(lists.iter().filter(|limit| *limit == "500").count(), 1);
}

#[tokio::test]
async fn after_an_outage_a_bookmark_is_enough() {
    let outage = outage("5", |_| {
        Step::Trickle(vec![
            (0, event("MODIFIED", &deployment("a", 2, 3))),
            (0, event("ADDED", &deployment("b", 1, 4))),
            (300, bookmark(6)),
        ])
    })
    .await;
    assert_eq!(outage.first_answer().await, 2);
    let lists = lists_of(&outage.stub, "deployments");
    assert_eq!(lists.iter().filter(|limit| *limit == "500").count(), 1);
}

#[tokio::test]
async fn a_watch_that_never_tells_whether_it_has_caught_up_is_listed_anew() {
    // It ends and ends without a word; or its versions are no numbers.
    for version in ["5", "v5"] {
        let outage = outage(version, |_| Step::Lines(vec![])).await;
        assert_eq!(outage.first_answer().await, 2, "{version}");
        let lists = lists_of(&outage.stub, "deployments");
        let whole = lists.iter().filter(|limit| *limit == "500").count();
        assert_eq!(whole, 2, "{version}");
    }
}

#[tokio::test]
async fn a_list_that_took_long_is_not_trusted_before_the_watch_has_caught_up() {
    let stub = Stub::start(move |asked, _| {
        if !deployments(asked) {
            return breathing(asked);
        }
        if asked.is_watch() {
            let made = event("ADDED", &deployment("b", 1, 5));
            return Step::Trickle(vec![(300, made)]);
        }
        match (asked.parameter("limit"), asked.parameter("continue")) {
            ("1", _) => Step::Answer(200, list(&[deployment("a", 1, 1)], 5)),
            (_, "") => Step::Answer(200, super::stub::page(&[deployment("a", 1, 1)], "n")),
            _ => Step::After(3_200, Box::new(Step::Answer(200, list(&[], 1)))),
        }
    })
    .await;
    let mut patient = settings();
    patient.deadline = Duration::from_secs(10);
    let view = WatchedCluster::start(stub.cluster_with(patient).await, quick());
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        assert!(Instant::now() < until, "it is not up to date");
        if let Ok(found) = view.find(&Scope::new(Select::All)).await {
            assert_eq!(found.workloads.len(), 2);
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
