//! The state machine: events in, values out.

use hikaru_core::{Container, IdentityLabels, Request, TagFormats, plan};

use super::*;
use crate::kind::Kinds;

mod model;

const DEPLOYMENTS: SourceNumber = 0;
const CRON_JOBS: SourceNumber = 1;
const MAX_AGE: Duration = Duration::from_secs(30);

fn kind(name: &str) -> Arc<Kind> {
    let added = "argoproj.io/v1alpha1/Rollout=spec.template".parse();
    let kinds = Kinds::with(&[added.expect("a kind")]);
    kinds.named(name).expect("a kind").clone()
}

fn index(now: Instant) -> Index {
    let sources = ["Deployment", "CronJob"].map(|name| (kind(name), None));
    Index::new(sources, MAX_AGE, now)
}

fn trouble(cause: Cause, words: &str) -> Trouble {
    Trouble {
        cause,
        words: words.to_owned(),
    }
}

/// Both sources are listed, without anything.
fn listed(now: Instant) -> Index {
    let mut index = index(now);
    for source in [DEPLOYMENTS, CRON_JOBS] {
        index.begin_list(source);
        index.end_list(source, now);
    }
    index
}

fn image(n: u64) -> String {
    format!("acme/web:acme_web_main_1.4.0_{n}_0123abcd")
}

fn build(image: &str) -> Build {
    Build::parse(image, &TagFormats::default()).expect("a build")
}

fn workload(name: &str, n: u64) -> Workload {
    let mut workload = Workload::new(WorkloadId::new("shop", "Deployment", name));
    workload.uid = name.into();
    workload.labels = IdentityLabels::new("acme", "web", "main");
    workload.containers = vec![Container::new("web", image(n))];
    workload
}

fn put(index: &mut Index, workload: Workload) {
    index.put(DEPLOYMENTS, workload);
}

#[track_caller]
fn finds(index: &Index, select: Select, expected: &[&str]) {
    let found = index.find(&Scope::new(select)).expect("an answer");
    let mut names: Vec<&str> = found.workloads.iter().map(|w| &*w.id.name).collect();
    names.sort_unstable();
    assert_eq!(names, expected);
}

#[test]
fn each_change_is_told_once() {
    let now = Instant::now();
    let mut index = listed(now);
    #[track_caller]
    fn tells(index: &mut Index, expected: &[&str]) {
        let told = index.take_changed();
        let names: Vec<&str> = told.iter().map(|id| &*id.name).collect();
        assert_eq!(names, expected);
    }
    put(&mut index, workload("a", 1));
    put(&mut index, workload("b", 1));
    tells(&mut index, &["a", "b"]);
    put(&mut index, workload("a", 1));
    put(&mut index, workload("b", 2));
    tells(&mut index, &["b"]);
    let judged = Arc::unwrap_or_clone(
        index
            .find(&Scope::new(Select::All))
            .expect("both")
            .workloads
            .remove(0),
    );
    let plan = plan(Request::new(build(&image(9))), [judged.clone()]);
    let change = plan.entries[0].change.as_ref().expect("a change");
    index.written(change, index.state_of(&judged.id));
    tells(&mut index, &[&judged.id.name]);
    // A new list names one of them, unchanged.
    index.begin_list(DEPLOYMENTS);
    let left = index.find(&Scope::new(Select::Named(vec![judged.id.clone()])));
    put(&mut index, Workload::clone(&left.expect("it").workloads[0]));
    index.end_list(DEPLOYMENTS, now);
    let gone = if &*judged.id.name == "a" { "b" } else { "a" };
    tells(&mut index, &[gone]);
    index.deleted(&judged.id);
    tells(&mut index, &[&judged.id.name]);
}

#[test]
fn it_is_fresh_when_each_source_was_listed_and_is_confirmed() {
    let begun = Instant::now();
    let after = |seconds| begun + Duration::from_secs(seconds);
    let mut index = index(begun);
    assert!(matches!(index.freshness(begun), Freshness::Syncing { .. }));
    index.begin_list(DEPLOYMENTS);
    index.end_list(DEPLOYMENTS, begun);
    assert!(matches!(index.freshness(begun), Freshness::Syncing { .. }));
    index.begin_list(CRON_JOBS);
    index.end_list(CRON_JOBS, after(1000));
    assert_eq!(index.freshness(after(30)), Freshness::Fresh);
    assert!(matches!(
        index.freshness(after(31)),
        Freshness::Stale { .. }
    ));
    assert_eq!(index.age(after(31)), Duration::from_secs(31));
    index.confirmed(DEPLOYMENTS, after(20));
    assert_eq!(index.freshness(after(31)), Freshness::Fresh);
    // A new list confirms nothing before it is complete.
    index.begin_list(DEPLOYMENTS);
    assert!(matches!(
        index.freshness(after(51)),
        Freshness::Stale { .. }
    ));
    assert_eq!(index.age(after(51)), Duration::from_secs(31));
    index.end_list(DEPLOYMENTS, after(51));
    assert_eq!(index.freshness(after(51)), Freshness::Fresh);
}

#[test]
fn a_source_that_cannot_be_watched_is_told_with_its_reason() {
    let begun = Instant::now();
    let after = |seconds| begun + Duration::from_secs(seconds);
    let closed = [Cause::Missing, Cause::Forbidden];
    for cause in closed {
        let mut index = index(begun);
        index.end_list(DEPLOYMENTS, begun);
        index.failed(CRON_JOBS, trouble(cause, "no"));
        assert!(
            matches!(index.freshness(begun), Freshness::Incomplete { .. }),
            "{cause:?}"
        );
        assert_eq!(index.unwatched(), 1);
        assert_eq!(index.reason().as_deref(), Some("cronjobs.batch: no"));
        // Then the server is away: it is not known what there is.
        index.failed(CRON_JOBS, trouble(Cause::Broken, "no connection"));
        assert!(matches!(index.freshness(begun), Freshness::Syncing { .. }));
        index.end_list(CRON_JOBS, begun);
        assert_eq!(index.freshness(begun), Freshness::Fresh);
        assert_eq!((index.reason(), index.unwatched()), (None, 0));
    }
    // What was complete is kept until it is too old, as after any failure.
    for cause in [Cause::Missing, Cause::Forbidden, Cause::Broken] {
        let mut index = listed(begun);
        put(&mut index, workload("a", 1));
        index.failed(DEPLOYMENTS, trouble(cause, "no"));
        assert_eq!(index.freshness(after(30)), Freshness::Fresh, "{cause:?}");
        finds(&index, Select::All, &["a"]);
        assert!(
            matches!(index.freshness(after(31)), Freshness::Stale { .. }),
            "{cause:?}"
        );
        assert_eq!(index.reason().as_deref(), Some("deployments.apps: no"));
        index.opened(DEPLOYMENTS);
        index.confirmed(DEPLOYMENTS, after(31));
        index.confirmed(CRON_JOBS, after(31));
        assert_eq!(index.freshness(after(31)), Freshness::Fresh);
    }
    // Where the credentials are refused the view is out of date at once.
    let mut index = listed(begun);
    for source in [DEPLOYMENTS, CRON_JOBS] {
        index.failed(source, trouble(Cause::Credentials, "who are you?"));
    }
    assert!(matches!(index.freshness(begun), Freshness::Stale { .. }));
    let reason = "deployments.apps: who are you? (and one more kind or namespace)";
    assert_eq!(index.reason().as_deref(), Some(reason));
    // An added kind that is missing does no harm; one that was there, only when it is too old.
    let mut index = Index::new(
        ["Deployment", "Rollout"].map(|name| (kind(name), None)),
        MAX_AGE,
        begun,
    );
    index.end_list(DEPLOYMENTS, begun);
    index.failed(CRON_JOBS, trouble(Cause::Missing, "no"));
    assert!(index.close_if_old(CRON_JOBS, begun));
    assert_eq!(index.freshness(begun), Freshness::Fresh);
    assert_eq!((index.reason(), index.unwatched()), (None, 1));
    index.end_list(CRON_JOBS, begun);
    index.failed(CRON_JOBS, trouble(Cause::Missing, "no"));
    assert!(!index.close_if_old(CRON_JOBS, after(30)));
    assert!(index.close_if_old(CRON_JOBS, after(31)));
    index.confirmed(DEPLOYMENTS, after(31));
    assert_eq!(index.freshness(after(31)), Freshness::Fresh);
}

#[test]
fn what_a_new_list_does_not_name_is_gone() {
    let now = Instant::now();
    let mut index = listed(now);
    put(&mut index, workload("a", 1));
    put(&mut index, workload("b", 1));
    let mut job = workload("job", 1);
    job.id = WorkloadId::new("shop", "CronJob", "job");
    index.put(CRON_JOBS, job);
    index.begin_list(DEPLOYMENTS);
    put(&mut index, workload("b", 2));
    // Until the list is complete it is not known what is gone.
    finds(&index, Select::All, &["a", "b", "job"]);
    index.end_list(DEPLOYMENTS, now);
    finds(&index, Select::All, &["b", "job"]);
    index.deleted(&WorkloadId::new("shop", "Deployment", "b"));
    index.deleted(&WorkloadId::new("shop", "Deployment", "never"));
    finds(&index, Select::All, &["job"]);
    assert!(index.close_if_old(CRON_JOBS, now + MAX_AGE * 2));
    finds(&index, Select::All, &[]);
    assert!(index.objects.is_empty());
}

#[test]
fn a_changed_object_is_found_where_it_is_now() {
    let mut index = listed(Instant::now());
    put(&mut index, workload("a", 1));
    let mut moved = workload("a", 1);
    moved.labels = IdentityLabels::new("acme", "web.git", "dev");
    moved.containers.push(Container::new("db", "postgres:17"));
    put(&mut index, moved);
    finds(&index, Select::Build(build(&image(2))), &[]);
    let dev = "acme/web:acme_web_dev_1.4.0_2_0123abcd";
    finds(&index, Select::Build(build(dev)), &["a"]);
    let git = "acme/web:acme_web.git_dev_1.4.0_2_0123abcd";
    finds(&index, Select::Build(build(git)), &["a"]);
    finds(
        &index,
        Select::Repository("docker.io/library/postgres".into()),
        &["a"],
    );
    finds(&index, Select::Near(build(&image(2))), &["a"]);
    finds(&index, Select::Named(vec![workload("a", 1).id]), &["a"]);
    put(&mut index, workload("a", 1));
    finds(
        &index,
        Select::Repository("docker.io/library/postgres".into()),
        &[],
    );
}

#[test]
fn builds_of_formats_that_lack_a_field_are_looked_up_by_repository() {
    let mut index = listed(Instant::now());
    put(&mut index, workload("a", 1));
    let mut unlabeled = workload("b", 1);
    unlabeled.labels = IdentityLabels::default();
    put(&mut index, unlabeled);
    for (formats, tag) in [("v", "1.5.0"), ("b_o_r_v", "main_acme_web_1.5.0")] {
        let formats: TagFormats = formats.parse().expect("formats");
        let build = Build::parse(&format!("acme/web:{tag}"), &formats).expect("a build");
        finds(&index, Select::Build(build), &["a"]);
    }
    // An image that is no reference has no repository to be looked up by.
    let mut unreadable = workload("c", 1);
    unreadable.containers[0].image = "acme/web:${TAG}".into();
    put(&mut index, unreadable.clone());
    unreadable.id = WorkloadId::new("shop", "Deployment", "d");
    unreadable.containers[0].image = "acme/api:${TAG}".into();
    put(&mut index, unreadable);
    let formats: TagFormats = "v".parse().expect("formats");
    let build = Build::parse("acme/web:1.5.0", &formats).expect("a build");
    finds(&index, Select::Build(build.clone()), &["a", "c"]);
    put(&mut index, workload("c", 1));
    index.deleted(&WorkloadId::new("shop", "Deployment", "c"));
    finds(&index, Select::Build(build), &["a"]);
}

#[test]
fn a_written_change_shows_until_the_watch_tells_of_the_object() {
    let mut index = listed(Instant::now());
    put(&mut index, workload("a", 1));
    let plan = plan(Request::new(build(&image(2))), [workload("a", 1)]);
    let change = plan.entries[0].change.clone().expect("a change");
    let id = workload("a", 1).id;
    let sent_at = index.state_of(&id);
    index.written(&change, sent_at);
    let found = index.find(&Scope::new(Select::All)).expect("an answer");
    let web = found.workloads[0].containers[0].clone();
    assert_eq!(*web.image, image(2));
    let mark = web.mark.expect("a mark");
    // The answer came late, after the watch: what it showed last stands, a rollback by a person, too.
    for n in [3, 1] {
        put(&mut index, workload("a", n));
        index.written(&change, sent_at);
        let found = index.find(&Scope::new(Select::All)).expect("an answer");
        assert_eq!(*found.workloads[0].containers[0].image, image(n));
    }
    // Another object of that name is not the one that was judged.
    let mut other = workload("a", 1);
    other.uid = "other".into();
    put(&mut index, other);
    index.written(&change, index.state_of(&id));
    let found = index.find(&Scope::new(Select::All)).expect("an answer");
    assert_eq!(*found.workloads[0].containers[0].image, image(1));

    let mut marked = workload("a", 2);
    marked.containers[0].mark = Some(mark.clone());
    put(&mut index, marked);
    let removed = [("web".into(), mark)];
    let from = workload_now(&index);
    index.unheld(&from, &removed, sent_at);
    let found = index.find(&Scope::new(Select::All)).expect("an answer");
    assert_eq!(
        found.workloads[0].containers[0].mark.as_ref(),
        Some(&removed[0].1)
    );
    // It was read with another image, which the view has not heard of.
    let mut read = from.clone();
    read.containers[0].image = image(1).into();
    index.unheld(&read, &removed, index.state_of(&id));
    assert_eq!(workload_now(&index), from);
    index.unheld(&from, &removed, index.state_of(&id));
    assert_eq!(workload_now(&index).containers[0].mark, None);
}

/// The only workload that is known.
fn workload_now(index: &Index) -> Workload {
    let found = index.find(&Scope::new(Select::All)).expect("an answer");
    let mut workloads = found.workloads.into_iter();
    Arc::unwrap_or_clone(workloads.next().expect("one workload"))
}

type Difference<'d> = &'d dyn Fn(&mut Workload);

/// A person opts out and in again; a replica whose view has heard of the first of it alone reads, judges and writes. The new
/// image beside the opt-out never stood in the cluster.
#[test]
fn a_written_change_shows_only_in_the_state_that_it_was_judged_on() {
    let opted_out = |workload: &mut Workload| {
        let place = hikaru_core::workload::Place::Annotation;
        let setting = hikaru_core::workload::Setting::new(place, "upgrade", "manual");
        workload.settings = vec![setting];
    };
    let relabeled =
        |workload: &mut Workload| workload.labels = IdentityLabels::new("acme", "web", "dev");
    let marked = |workload: &mut Workload| {
        workload.containers[0].mark = Some("1.4.0_9_d5ecc80e".into());
    };
    let recreated = |workload: &mut Workload| workload.uid = "other".into();
    let differences: [(&str, Difference<'_>); 4] = [
        ("opted out", &opted_out),
        ("relabeled", &relabeled),
        ("marked", &marked),
        ("recreated", &recreated),
    ];
    for (what, difference) in differences {
        let mut index = listed(Instant::now());
        let (known, read) = (workload("a", 1), workload("a", 1));
        for (known, read) in [(true, false), (false, true)].map(|(in_view, when_read)| {
            let (mut known, mut read) = (known.clone(), read.clone());
            if in_view {
                difference(&mut known);
            }
            if when_read {
                difference(&mut read);
            }
            (known, read)
        }) {
            let mut request = Request::new(build(&image(2)));
            request.force = hikaru_core::policy::Force::ALL;
            let plan = plan(request, [read]);
            let Some(change) = plan.entries.into_iter().find_map(|entry| entry.change) else {
                // It was read as one that the build is not meant for.
                assert_eq!(what, "relabeled");
                continue;
            };
            put(&mut index, known.clone());
            let sent_at = index.state_of(&known.id);
            index.written(&change, sent_at);
            assert_eq!(workload_now(&index), known, "{what}");
        }
    }
    // Status is nothing that a verdict reads.
    let mut index = listed(Instant::now());
    let plan = plan(Request::new(build(&image(2))), [workload("a", 1)]);
    let change = plan.entries[0].change.clone().expect("a change");
    let mut busy = workload("a", 1);
    let mut progress = hikaru_core::workload::Progress::default();
    progress.current = 3;
    busy.progress = Some(progress);
    put(&mut index, busy);
    index.written(&change, index.state_of(&workload("a", 1).id));
    let now = workload_now(&index);
    assert_eq!(*now.containers[0].image, image(2));
    assert_eq!(now.progress.map(|progress| progress.current), Some(3));
}

#[test]
fn closed_sources_and_unwatched_namespaces_are_faults() {
    let now = Instant::now();
    let sources = ["a", "b"].into_iter().flat_map(|namespace| {
        ["Deployment", "CronJob", "Rollout"].map(|name| (kind(name), Some(Text::from(namespace))))
    });
    let mut index = Index::new(sources, MAX_AGE, now);
    index.end_list(0, now);
    index.failed(1, trouble(Cause::Missing, "no cron jobs"));
    index.failed(2, trouble(Cause::Missing, "no rollouts"));
    for source in 3..6 {
        index.failed(source, trouble(Cause::Forbidden, "not b"));
    }
    let faults = |index: &Index, namespaces: &[&str], workloads: &[&str]| {
        let scope = Scope {
            select: Select::All,
            namespaces: namespaces.iter().map(|&n| n.into()).collect(),
            workloads: workloads
                .iter()
                .map(|name| name.parse().expect("a name"))
                .collect(),
        };
        let faults = index.find(&scope).map(|found| found.faults);
        faults.map(|faults| {
            let faults = faults.iter();
            faults
                .map(|f| (f.place.to_string(), f.severity))
                .collect::<Vec<_>>()
        })
    };
    let fault = |place: &str, severity| (place.to_owned(), severity);
    use Severity::{Failure, Warning};
    let of_a = vec![
        fault("cronjobs.batch in a", Failure),
        fault("rollout.argoproj.io in a", Warning),
    ];
    let of_b = vec![
        fault("deployments.apps in b", Failure),
        fault("cronjobs.batch in b", Failure),
        fault("rollout.argoproj.io in b", Warning),
    ];
    assert_eq!(
        faults(&index, &[], &[]),
        Ok([of_a.clone(), of_b.clone()].concat())
    );
    assert_eq!(faults(&index, &["a"], &[]), Ok(of_a));
    let and_c = [of_b, vec![fault("c", Failure)]].concat();
    assert_eq!(faults(&index, &["b", "c"], &[]), Ok(and_c));
    // What the call cannot be about is no fault of it.
    assert_eq!(faults(&index, &[], &["a/deployment/web"]), Ok(vec![]));
    assert_eq!(
        faults(&index, &[], &["b/Deployment/web"]),
        Ok(vec![fault("deployments.apps in b", Failure)])
    );
    assert!(index.close_if_old(0, now + MAX_AGE * 2));
    assert_eq!(
        faults(&index, &[], &[]),
        Err(ClusterError::Forbidden("not b".to_owned()))
    );
}

#[test]
fn deleted_objects_leave_nothing_behind() {
    let mut index = listed(Instant::now());
    for n in 0..100_000 {
        // Each of them is new: repository, tag, labels and names.
        let name = format!("web-{n}");
        let mut workload = workload(&name, n);
        workload.labels = IdentityLabels::new("acme", &*name, "main");
        workload.containers[0].image = format!("acme/{name}:v{n}").into();
        put(&mut index, workload);
        if let Some(old) = n.checked_sub(10) {
            index.deleted(&WorkloadId::new("shop", "Deployment", format!("web-{old}")));
        }
    }
    assert!(!index.objects.is_empty());
    // And one that is changed again and again.
    for n in 0..10_000 {
        put(&mut index, workload("web", n));
    }
    index.deleted(&workload("web", 0).id);
    for n in 0..10 {
        let name = format!("web-{}", 99_990 + n);
        index.deleted(&WorkloadId::new("shop", "Deployment", name));
    }
    assert!(index.objects.is_empty());
}
