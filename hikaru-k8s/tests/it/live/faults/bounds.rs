//! Answers without end: nothing is waited for or kept for ever. And one bad object among good ones.

use hikaru_core::{
    Mode, plan,
    port::{ClusterError, Scope, Select, Severity, WorkloadPort as _},
};
use serde_json::json;

use super::{
    super::stub::{Asked, Step, deployment, id, image, list, page, post, status},
    ROOT, patient, with_rollouts, world,
};

#[tokio::test]
async fn a_list_that_never_ends_is_given_up() {
    let all = Scope::new(Select::All);
    let until_gone = |step: fn(&Asked, usize) -> Step| async move {
        world(move |asked, before| asked.is_list_of("deployments").then(|| step(asked, before)))
            .await
    };
    // The page that follows is the same; there is always another one; and the server forgets each.
    let same = |_: &Asked, _| Step::Answer(200, page(&[deployment("web", 1, 1)], "a"));
    let other = |_: &Asked, before| Step::Answer(200, page(&[], &format!("n-{before}")));
    let forgets = |asked: &Asked, _| match asked.parameter("continue") {
        "" => Step::Answer(200, page(&[deployment("web", 1, 1)], "a")),
        _ => Step::Answer(410, status(410, "Expired", "the token is too old")),
    };
    type Case = (fn(&Asked, usize) -> Step, &'static str, usize);
    let cases: [Case; 3] = [
        (
            same,
            "the answer cannot be read: the page that follows is the same page",
            2,
        ),
        (
            other,
            "the answer cannot be read: the list does not end after 1000000 objects",
            2_000,
        ),
        (forgets, "the token is too old", 8),
    ];
    for (step, words, times) in cases {
        let (stub, cluster) = until_gone(step).await;
        let found = cluster.find(&all).await.expect("the other kinds");
        let fault = &found.faults[0];
        assert_eq!(
            (&*fault.message, fault.severity),
            (words, Severity::Failure)
        );
        let names: Vec<&str> = found.workloads.iter().map(|w| &*w.id.name).collect();
        assert_eq!(names, ["other"]);
        let lists = stub.asked().into_iter();
        let lists = lists.filter(|asked| asked.is_list_of("deployments"));
        assert_eq!(lists.count(), times, "{words}");
    }
}

#[tokio::test]
async fn no_answer_fills_the_memory() {
    const MIB: usize = 1 << 20;
    // What the sockets hold is not ours.
    const SOCKETS: usize = 16 * MIB;
    let (stub, cluster) = world(|asked, _| match (&*asked.method, &*asked.path) {
        ("PATCH", path) if path.ends_with("/web") => Some(Step::Endless(200)),
        (_, path) if path.ends_with("/endless") => Some(Step::Endless(200)),
        (_, path) if path.ends_with("/refused") => Some(Step::Endless(403)),
        (_, path) if path.ends_with("/daemonsets") => Some(Step::Endless(200)),
        (_, ROOT) => Some(Step::Endless(200)),
        _ => None,
    })
    .await;
    let mut before = 0;
    let mut takes = |most: usize| {
        let taken = stub.taken() - before;
        before += taken;
        assert!(taken > 0 && taken < most + SOCKETS, "{taken}");
    };
    let too_long = "the answer cannot be read: it is longer than 8 MiB";
    let read = cluster.read(&id("endless")).await.expect_err("too long");
    assert_eq!(read.to_string(), format!("unavailable: {too_long}"));
    takes(8 * MIB);

    // A refusal is one whatever it says.
    let read = cluster.read(&id("refused")).await.expect_err("refused");
    let words = "not allowed: the server answers 403 Forbidden";
    assert_eq!(read.to_string(), words);
    takes(MIB);

    // A list is asked for three times, in smaller and smaller pages.
    let found = cluster.find(&Scope::new(Select::All)).await;
    let found = found.expect("the others");
    let words = "the answer cannot be read: it is longer than 16 MiB";
    assert_eq!(found.faults[0].message, words);
    takes(3 * (16 * MIB + SOCKETS));

    let plan = plan(post(10), found.workloads);
    let mut changes = plan.entries.iter().filter_map(|e| e.change.as_ref());
    let change = changes.find(|change| &*change.judged().id.name == "web");
    let written = cluster.write(change.expect("a change"), Mode::Commit).await;
    assert_eq!(written, Err(ClusterError::Lost(too_long.to_owned())));
    takes(8 * MIB);

    let name = "shop/deployment/web".parse().expect("a name");
    let removed = cluster.unhold(&name, None).await;
    assert_eq!(removed, Err(ClusterError::Lost(too_long.to_owned())));
    takes(5 * (8 * MIB + SOCKETS));

    let cluster = with_rollouts(&stub, patient(30)).await;
    let found = cluster.find(&Scope::new(Select::All)).await;
    let faults = found.expect("the others").faults;
    assert!(
        faults.iter().any(|fault| fault.message == too_long),
        "{faults:?}"
    );
}

#[tokio::test]
async fn a_page_that_is_too_long_is_asked_for_in_smaller_ones() {
    // Objects that are long, and all good: of 500 at once no page is read, of 50 the first is, and the rest follows.
    let (stub, cluster) = world(|asked, _| {
        if !asked.is_list_of("deployments") {
            return None;
        }
        Some(
            match (asked.parameter("limit"), asked.parameter("continue")) {
                ("500", _) => Step::Endless(200),
                ("50", "") => Step::Answer(200, page(&[deployment("one", 1, 1)], "b")),
                _ => Step::Answer(200, list(&[deployment("two", 1, 1)], 1)),
            },
        )
    })
    .await;
    let found = cluster.find(&Scope::new(Select::All)).await;
    let found = found.expect("an answer");
    let names: Vec<&str> = found.workloads.iter().map(|w| &*w.id.name).collect();
    assert_eq!((names, found.faults), (vec!["one", "two", "other"], vec![]));
    let lists = stub.asked().into_iter();
    let lists = lists.filter(|asked| asked.is_list_of("deployments"));
    let limits: Vec<String> = lists.map(|a| a.parameter("limit").to_owned()).collect();
    assert_eq!(limits, ["500", "50", "50"]);
}

#[tokio::test]
async fn one_object_that_cannot_be_read_hides_no_other_that_is_named() {
    let (_stub, cluster) = world(|asked, _| {
        let odd = json!({"kind": "Deployment", "metadata": {"name": 7}});
        let is_odd = asked.path.ends_with("/deployments/odd");
        is_odd.then_some(Step::Answer(200, odd))
    })
    .await;
    let named = |names: &[&str]| Scope::new(Select::Named(names.iter().map(|n| id(n)).collect()));
    let found = cluster.find(&named(&["odd", "web"])).await;
    let found = found.expect("an answer");
    assert_eq!(*found.workloads[0].containers[0].image, image(1));
    assert_eq!(&*found.faults[0].place, "shop/Deployment/odd");
    assert_eq!(found.faults[0].severity, Severity::Failure);
    let none = cluster.find(&named(&["odd"])).await.expect_err("nothing");
    let words = "refused: shop/Deployment/odd: cannot be read: invalid type: integer `7`";
    assert!(none.to_string().starts_with(words), "{none}");
}
