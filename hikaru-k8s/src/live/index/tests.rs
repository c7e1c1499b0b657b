//! The state machine: events in, values out.

use hikaru_core::{Container, IdentityLabels, Request, TagFormats, plan};

use super::*;

mod model;

const DEPLOYMENTS: SourceNumber = 0;
const CRON_JOBS: SourceNumber = 1;
const PATIENCE: Duration = Duration::from_secs(30);

fn index(now: Instant) -> Index {
    let sources = ["deployments.apps", "cronjobs.batch"].map(|kind| (kind.to_owned(), None));
    Index::new(sources, PATIENCE, now)
}

/// Both sources are listed, without anything.
fn listed(now: Instant) -> Index {
    let mut index = index(now);
    for source in [DEPLOYMENTS, CRON_JOBS] {
        index.begin(source);
        index.end(source, now);
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
    index.put(DEPLOYMENTS, Object::Sound(workload));
}

#[track_caller]
fn finds(index: &Index, select: Select, expected: &[&str]) {
    let found = index.find(&Scope::new(select)).expect("an answer");
    let mut names: Vec<&str> = found.workloads.iter().map(|w| &*w.id.name).collect();
    names.sort_unstable();
    assert_eq!(names, expected);
}

#[test]
fn it_is_trusted_when_every_source_was_listed_and_lives() {
    let begun = Instant::now();
    let after = |seconds| begun + Duration::from_secs(seconds);
    let mut index = index(begun);
    assert_eq!(index.trust(begun), Trust::Syncing);
    index.begin(DEPLOYMENTS);
    index.end(DEPLOYMENTS, begun);
    assert_eq!(index.trust(begun), Trust::Syncing);
    index.close(CRON_JOBS, "no such kind".to_owned(), false);
    assert_eq!(index.trust(after(30)), Trust::Fresh);
    assert_eq!(index.trust(after(31)), Trust::Stale(begun));
    index.alive(DEPLOYMENTS, after(20));
    assert_eq!(index.trust(after(31)), Trust::Fresh);
    // A new list is no sign of life before it is complete.
    index.begin(DEPLOYMENTS);
    assert_eq!(index.trust(after(51)), Trust::Stale(after(20)));
    index.end(DEPLOYMENTS, after(51));
    assert_eq!(index.trust(after(51)), Trust::Fresh);
    // The kind is there now: until it was listed nothing is known of it, so it is still closed.
    index.begin(CRON_JOBS);
    index.end(CRON_JOBS, after(51));
    assert_eq!(index.trust(after(51)), Trust::Fresh);
}

#[test]
fn after_a_new_list_nothing_stale_remains() {
    let now = Instant::now();
    let mut index = listed(now);
    put(&mut index, workload("a", 1));
    put(&mut index, workload("b", 1));
    let mut job = workload("job", 1);
    job.id = WorkloadId::new("shop", "CronJob", "job");
    index.put(CRON_JOBS, Object::Sound(job));
    index.begin(DEPLOYMENTS);
    put(&mut index, workload("b", 2));
    // Until the list is complete, nobody knows what is gone.
    finds(&index, Select::All, &["a", "b", "job"]);
    index.end(DEPLOYMENTS, now);
    finds(&index, Select::All, &["b", "job"]);
    index.gone(&WorkloadId::new("shop", "Deployment", "b"));
    index.gone(&WorkloadId::new("shop", "Deployment", "never"));
    finds(&index, Select::All, &["job"]);
    index.close(CRON_JOBS, "forbidden".to_owned(), true);
    finds(&index, Select::All, &[]);
    assert!(index.entries.are_spotless());
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
fn formats_that_lack_a_field_are_looked_up_by_repository() {
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
}

#[test]
fn what_was_written_shows_until_a_watch_says_more() {
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
    index.unheld(&id, &removed, sent_at);
    let found = index.find(&Scope::new(Select::All)).expect("an answer");
    assert_eq!(
        found.workloads[0].containers[0].mark.as_ref(),
        Some(&removed[0].1)
    );
    index.unheld(&id, &removed, index.state_of(&id));
    let found = index.find(&Scope::new(Select::All)).expect("an answer");
    assert_eq!(found.workloads[0].containers[0].mark, None);
}

#[test]
fn what_is_not_known_is_said() {
    let now = Instant::now();
    let sources = ["a", "b"].into_iter().flat_map(|namespace| {
        ["deployments.apps", "cronjobs.batch"]
            .map(|kind| (kind.to_owned(), Some(Text::from(namespace))))
    });
    let mut index = Index::new(sources, PATIENCE, now);
    for source in 0..4 {
        index.begin(source);
        index.end(source, now);
    }
    index.close(1, "no cron jobs".to_owned(), false);
    index.close(2, "not b".to_owned(), true);
    index.close(3, "not b".to_owned(), true);
    let faults = |index: &Index, namespaces: &[&str]| {
        let scope = Scope {
            select: Select::All,
            namespaces: namespaces.iter().map(|&n| n.into()).collect(),
            workloads: Vec::new(),
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
    assert_eq!(
        faults(&index, &[]),
        Ok(vec![
            fault("cronjobs.batch in a", Warning),
            fault("deployments.apps in b", Warning),
            fault("cronjobs.batch in b", Warning),
        ])
    );
    assert_eq!(
        faults(&index, &["a"]),
        Ok(vec![fault("cronjobs.batch in a", Warning)])
    );
    assert_eq!(
        faults(&index, &["b", "c"]),
        Ok(vec![
            fault("deployments.apps in b", Failure),
            fault("cronjobs.batch in b", Failure),
            fault("c", Failure),
        ])
    );
    index.close(0, "not a".to_owned(), false);
    assert_eq!(
        faults(&index, &[]),
        Err(ClusterError::Forbidden("not b".to_owned()))
    );
}

#[test]
fn what_comes_and_goes_leaves_nothing_behind() {
    let mut index = listed(Instant::now());
    for n in 0..100_000 {
        // Each of them is new: repository, tag, labels and names.
        let name = format!("web-{n}");
        let mut workload = workload(&name, n);
        workload.labels = IdentityLabels::new("acme", &*name, "main");
        workload.containers[0].image = format!("acme/{name}:v{n}").into();
        put(&mut index, workload);
        if let Some(old) = n.checked_sub(10) {
            index.gone(&WorkloadId::new("shop", "Deployment", format!("web-{old}")));
        }
    }
    assert!(!index.entries.are_spotless());
    // And one that is changed again and again.
    for n in 0..10_000 {
        put(&mut index, workload("web", n));
    }
    index.gone(&workload("web", 0).id);
    for n in 0..10 {
        let name = format!("web-{}", 99_990 + n);
        index.gone(&WorkloadId::new("shop", "Deployment", name));
    }
    assert!(index.entries.are_spotless());
}
