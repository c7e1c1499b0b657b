//! Chaos: three replicas that are killed and drained, thousands of posts in any order, a person who works on the same
//! Deployments; and a judge that holds the audit log against what callers were told. docs/testing.md says how to run it.

mod fleet;
mod history;
mod oracle;
mod person;
mod posts;
mod world;

use std::{
    collections::BTreeMap,
    env,
    fmt::Display,
    str::FromStr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use xtask::{Cluster, ClusterOptions};

use self::{
    fleet::Fleet,
    history::{HIKARU, History},
    oracle::{Post, check},
    person::Person,
    posts::plan,
    world::{DEPLOYMENTS, IDENTITIES, NAMESPACES, QUIET, Tag, Told},
};

/// How many posts there are, and how long they are sent, unless `HIKARU_CHAOS_POSTS` says how many.
const POSTS: usize = 1500;
const LONGEST: Duration = Duration::from_secs(60);

/// How many callers there are at once.
const CALLERS: usize = 12;

/// How many people work on the Deployments meanwhile.
const PEOPLE: u64 = 3;

/// A replica goes after so many posts.
const PER_DEATH: usize = 250;

fn variable<T: FromStr>(name: &str) -> Option<T> {
    let value = env::var(name).ok()?;
    let Ok(value) = value.parse() else {
        panic!("expected a number in {name}, found {value:?}")
    };
    Some(value)
}

#[test]
#[expect(
    clippy::print_stdout,
    reason = "a run can be repeated by its seed, and its counts are for docs/testing.md"
)]
fn whatever_happens_each_container_ends_at_the_highest_build_that_was_acknowledged() {
    let seed = variable("HIKARU_SEED").unwrap_or_else(|| fastrand::u64(..));
    let wanted: Option<usize> = variable("HIKARU_CHAOS_POSTS");
    let planned = plan(seed, wanted.unwrap_or(POSTS));
    println!("HIKARU_SEED={seed} repeats what is posted and done; not when");
    let cluster = cluster();
    let fleet = Fleet::start(&cluster);
    let begun = Instant::now();
    let until = wanted.is_none().then(|| begun + LONGEST);

    let over = AtomicBool::new(false);
    let (mut posts, deeds) = thread::scope(|scope| {
        let people: Vec<_> = (1..=PEOPLE)
            .map(|number| Person::new(&cluster, seed ^ number))
            .map(|person| scope.spawn(|| person.work(&over)))
            .collect();
        let posts = fleet.storm(&planned, CALLERS, PER_DEATH, until);
        over.store(true, Ordering::Relaxed);
        let mut deeds = BTreeMap::new();
        for person in people {
            for (deed, count) in person.join().expect("a person") {
                *deeds.entry(deed).or_default() += count;
            }
        }
        (posts, deeds)
    });
    let took = begun.elapsed();
    fleet.all_ready();

    // What is acknowledged now has to be there: nothing may hide behind the posts that follow.
    let history = history(&cluster);
    let findings = check(&history, &posts);
    report("violations", &findings.violations);
    quiet_ones_run_the_highest(&history, &posts);

    // People's last changes reach every replica's view, and each highest build is posted once more.
    fleet.all_caught_up();
    let highest = highest(&posts);
    posts.extend(fleet.last_round(&highest));
    let history = self::history(&cluster);
    let findings = check(&history, &posts);
    report("violations", &findings.violations);
    let ends = ends(&history, &highest);

    let by_status = count(posts.iter().map(|post| match &post.answer {
        Some(answer) => answer.status.to_string(),
        None => "no answer".to_owned(),
    }));
    let verdicts = posts.iter().flat_map(|post| &post.answer);
    let verdicts = verdicts.flat_map(|answer| &answer.verdicts);
    let verdicts = count(verdicts.map(|verdict| verdict.code.clone()));
    let dry = posts.iter().filter(|post| post.dry_run).count();
    println!(
        "posts            {} in {:.0} s, {dry} of them dry runs",
        posts.len(),
        took.as_secs_f64()
    );
    println!("answers          {}", list(&by_status));
    println!("verdicts told    {}", list(&verdicts));
    println!(
        "writes           {} of {} images, {} of them by posts whose answers were lost",
        findings.writes, findings.upgrades, findings.untold
    );
    println!(
        "not stored       {} (by status; 0: dry runs)",
        list(&history.unstored)
    );
    println!("people           {}", list(&deeds));
    println!("replicas         {}", list(&fleet.deaths()));
    println!(
        "checked          {} acknowledgments, {} verdicts, the oldest view {:?} old",
        findings.acknowledged, findings.verdicts, findings.oldest_view
    );
    println!("at the end       {}", list(&ends));
    // A run in which nothing happens proves nothing.
    assert!(
        findings.writes > 50 && findings.acknowledged > 500,
        "{findings:?}"
    );
    assert!(deeds.len() >= 5, "{deeds:?}");
}

/// A cluster of its own: its log is the judge's.
fn cluster() -> Cluster {
    let options = ClusterOptions::default().user(HIKARU, &[]);
    let cluster = Cluster::start(options.audit_components(false)).expect("a cluster");
    let kubectl = |args: &[&str]| cluster.kubectl(args).expect("kubectl");
    let rights = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/base/clusterrole.yaml");
    kubectl(&["apply", "--filename", rights]);
    let user = format!("--user={HIKARU}");
    kubectl(&[
        "create",
        "clusterrolebinding",
        HIKARU,
        "--clusterrole=hikaru",
        &user,
    ]);
    for namespace in NAMESPACES {
        kubectl(&["create", "namespace", namespace]);
    }
    let all: Vec<Value> = (0..DEPLOYMENTS).map(world::manifest).collect();
    let all = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": all});
    let applied = cluster.kubectl_with_input(&["apply", "--filename=-"], &all.to_string());
    applied.expect("applied");
    cluster
}

/// The history, once the log has all of it: a write is in it shortly after its answer. The log tells all, if what it
/// adds up to is what is there; and then nothing that the person set is lost, as after the person's last write hikaru
/// changed images and marks alone.
fn history(cluster: &Cluster) -> History {
    thread::sleep(Duration::from_millis(500));
    let mut events = Vec::new();
    cluster
        .audit_each(|event| {
            if NAMESPACES.contains(&event.namespace()) {
                events.push(event);
            }
        })
        .expect("the audit log");
    let all = [
        "get",
        "deployments",
        "--all-namespaces",
        "--selector=tier=shop",
        "--output=json",
    ];
    let all = cluster.kubectl(&all);
    let all: Value = serde_json::from_str(&all.expect("Deployments")).expect("JSON");
    let all = all["items"].as_array().expect("items");
    assert_eq!(all.len(), DEPLOYMENTS);
    History::of(events, all)
}

/// Where nobody changed image, labels or settings, the highest acknowledged build runs, or a higher one whose answer was
/// lost.
fn quiet_ones_run_the_highest(history: &History, posts: &[Post]) {
    for number in QUIET..DEPLOYMENTS {
        let object = world::object(number);
        let states = &history.objects[&object];
        let now = &states.last().expect("a state").object;
        let first = &states.first().expect("a state").object;
        for (container, start) in now.containers.iter().zip(&first.containers) {
            let highest = |counts: &dyn Fn(&Post) -> bool| {
                let posts = posts.iter().filter(|post| counts(post));
                let meant = posts.filter(|post| first.verdict(start, &post.image).is_some());
                meant.filter_map(|post| Told::build(&post.image)).max()
            };
            let acknowledged = highest(&|post| post.is_acknowledged_for(&object));
            let sent = highest(&|post| !post.dry_run);
            let runs = Told::build(&container.image);
            let name = &container.name;
            if let Some(runs) = runs {
                assert!(
                    Some(runs) <= sent,
                    "{object}/{name}: {runs:?}, higher than {sent:?}"
                );
            }
            assert!(
                runs >= acknowledged,
                "{object}/{name}: {runs:?}, left behind {acknowledged:?}"
            );
        }
    }
}

/// The highest image of each identity and repository that was posted, the first of those with one number.
fn highest(posts: &[Post]) -> Vec<String> {
    let mut highest: BTreeMap<(&str, &str), &Post> = BTreeMap::new();
    for post in posts.iter().filter(|post| !post.dry_run) {
        let Told { repository, tag } = Told::of(&post.image);
        let Tag::Build { identity, rank, .. } = tag else {
            continue;
        };
        let known = highest.entry((repository, identity)).or_insert(post);
        if Told::build(&known.image).is_some_and(|(_, known)| known < rank) {
            *known = post;
        }
    }
    highest
        .into_values()
        .map(|post| post.image.clone())
        .collect()
}

/// After a last post of each highest build every container runs it, but for those that a person keeps from it. How many
/// there are of each.
fn ends(history: &History, highest: &[String]) -> BTreeMap<&'static str, u64> {
    let mut ends = BTreeMap::new();
    for (name, states) in &history.objects {
        let now = &states.last().expect("a state").object;
        for container in now.containers.iter().filter(|c| c.name != "proxy") {
            let mut codes = highest
                .iter()
                .filter_map(|image| now.verdict(container, image));
            let code = match codes.next() {
                // Its labels have no builds, or not of this repository.
                None => "relabeled",
                Some(code @ ("equal" | "manual" | "held" | "conflicting-build")) => code,
                // It was relabeled, and runs what its last labels had.
                Some(code @ ("obsolete" | "other-branch"))
                    if Told::build(&container.image).is_some_and(|(identity, _)| {
                        now.identity()
                            .is_none_or(|i| IDENTITIES[i].join("_") != identity)
                    }) =>
                {
                    code
                }
                Some(code) => {
                    panic!("{name}: at the end {container:?} is {code} to the highest build")
                }
            };
            *ends.entry(code).or_default() += 1;
        }
    }
    ends
}

fn count<T: Ord>(all: impl IntoIterator<Item = T>) -> BTreeMap<T, u64> {
    let mut counts = BTreeMap::new();
    for one in all {
        *counts.entry(one).or_default() += 1;
    }
    counts
}

fn list<T: Display>(counts: &BTreeMap<T, u64>) -> String {
    let all = counts
        .iter()
        .map(|(name, count)| format!("{name}: {count}"));
    all.collect::<Vec<_>>().join(", ")
}

/// Fails if there is anything to tell, and tells the first of it.
fn report(what: &str, all: &[String]) {
    let first: Vec<&str> = all.iter().take(20).map(String::as_str).collect();
    assert!(
        all.is_empty(),
        "{} {what}:\n{}",
        all.len(),
        first.join("\n")
    );
}
