//! Properties of the grammar, the order and plans, on generated input.

use hikaru_core::{
    Build, BuildTag, Container, IdentityLabels, Mark, MemoryCluster, Mode, Outcome, Reading,
    Reference, Request, TagFormat, TagFormats, Verdict, Version, Workload, WorkloadId, plan,
    upgrade,
};
use proptest::prelude::*;

/// A label value that is no `.git` at its end.
fn part() -> impl Strategy<Value = String> {
    "[A-Za-z0-9]([A-Za-z0-9_.-]{0,8}[A-Za-z0-9])?".prop_filter("no .git", |p| !p.ends_with(".git"))
}

fn version() -> impl Strategy<Value = String> {
    "v?[0-9]{1,3}(\\.[0-9]{1,25}){0,3}(-[0-9a-z]{1,3}(\\.[0-9a-z-]{1,3}){0,2})?"
}

fn commit() -> impl Strategy<Value = String> {
    "[0-9a-f]{7,12}|none"
}

prop_compose! {
    fn tag()(o in part(), r in part(), b in part(), v in version(), n: u64, s in commit())
        -> ([String; 3], String) {
        let tag = format!("{o}_{r}_{b}_{v}_{n}_{s}");
        ([o, r, b], tag)
    }
}

proptest! {
    #[test]
    fn printing_a_tag_gives_the_text_back((_, tag) in tag()) {
        let read = BuildTag::parse(&tag, &TagFormat::default()).expect("a build tag");
        prop_assert_eq!(read.to_string(), tag);
    }

    #[test]
    fn the_true_reading_is_among_the_readings(([o, r, b], tag) in tag()) {
        let read = BuildTag::parse(&tag, &TagFormat::default()).expect("a build tag");
        let truth = Reading::new(Some(&o), Some(&r), Some(&b));
        prop_assert!(read.readings().any(|reading| reading == truth));
        prop_assert!(read.readings().all(|reading| read.identity().names(&reading)));
    }

    #[test]
    fn nothing_panics(text in "\\PC{0,200}|[a-z0-9_.:/@-]{0,200}") {
        let _ = Reference::parse(&text);
        let _ = Version::parse(&text);
        let _ = Mark::parse(&text);
        let _ = Build::parse(&text, &TagFormats::default());
        let _ = text.parse::<TagFormats>();
        if let Ok(read) = BuildTag::parse(&text, &TagFormat::default()) {
            let _ = read.readings().take(1000).count();
        }
    }

    #[test]
    fn versions_are_totally_ordered(a in version(), b in version(), c in version()) {
        let [a, b, c] = [&a, &b, &c].map(|v| Version::parse(v).expect("a version"));
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        prop_assert_eq!(a == b, a.cmp(&b).is_eq());
        if a <= b && b <= c {
            prop_assert!(a <= c);
        }
    }

    #[test]
    fn the_order_agrees_with_semver(a in "[0-9]\\.[0-9]\\.[0-9](-[a-z1-9]{1,2}(\\.[a-z1-9]{1,2})?)?",
                                    b in "[0-9]\\.[0-9]\\.[0-9](-[a-z1-9]{1,2}(\\.[a-z1-9]{1,2})?)?") {
        let semver = |text: &str| semver::Version::parse(text).expect("a semver");
        let ours = Version::parse(&a).expect("a version").cmp(&Version::parse(&b).expect("a version"));
        prop_assert_eq!(ours, semver(&a).cmp_precedence(&semver(&b)));
    }

    #[test]
    fn a_second_plan_finds_all_equal_and_order_does_not_matter(
        running in prop::collection::vec((0_u64..4, 0_u64..4, "[0-9a-f]{8}", 0..3_usize), 1..8),
        posted in (0_u64..4, 0_u64..4),
    ) {
        let workload = |(i, (minor, n, commit, form)): (usize, &(u64, u64, String, usize))| {
            let tag = match form {
                0 => format!("acme_web_main_1.{minor}.0_{n}_{commit}"),
                1 => format!("acme_web_dev_1.{minor}.0_{n}_{commit}"),
                _ => format!("1.{minor}"),
            };
            let mut workload = Workload::new(WorkloadId::new("shop", "Deployment", format!("w{i}")));
            workload.labels = IdentityLabels::new("acme", "web", "main");
            workload.containers.push(Container::new("web", format!("acme/web:{tag}")));
            workload
        };
        let workloads: Vec<_> = running.iter().enumerate().map(workload).collect();
        let image = format!("acme/web:acme_web_main_1.{}.0_{}_0123abcd", posted.0, posted.1);
        let build = Build::parse(&image, &TagFormats::default()).expect("a build");
        let request = Request::new(build);
        let codes = |workloads: Vec<Workload>| -> Vec<_> {
            let plan = plan(request.clone(), workloads);
            plan.entries.iter().flat_map(|e| e.codes().map(|c| (e.workload.id.clone(), c)).collect::<Vec<_>>()).collect()
        };
        let mut reversed = workloads.clone();
        reversed.reverse();
        prop_assert_eq!(codes(workloads.clone()), codes(reversed));

        let cluster = MemoryCluster::default();
        workloads.into_iter().for_each(|w| cluster.put(w));
        let post = || futures_util::FutureExt::now_or_never(upgrade(&cluster, request.clone(), Mode::Commit));
        let first = post().expect("done").expect("an answer");
        let second = post().expect("done").expect("an answer");
        for (first, second) in first.entries.iter().zip(&second.entries) {
            let upgraded = first.outcome == Outcome::Upgraded;
            prop_assert_eq!(&second.outcome, &Outcome::Unchanged);
            prop_assert_eq!(upgraded, first.entry.verdict() == Verdict::Upgrade);
            if upgraded {
                prop_assert_eq!(second.entry.verdict(), Verdict::Equal);
            }
        }
    }
}
