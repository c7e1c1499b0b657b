//! Properties of the grammar, the order and plans, on generated input.

use hikaru_core::{
    Build, Container, IdentityLabels, Mode, Request, TagFormats, Workload, WorkloadId,
    image::{BuildTag, Precedence, Reading, Reference, TagFormat, Version},
    plan,
    policy::{Force, Mark, Verdict},
    testing::MemoryCluster,
    upgrade,
    upgrade::Outcome,
    workload::WorkloadName,
};
use proptest::prelude::*;

/// A label value that is no `.git` at its end.
fn part() -> impl Strategy<Value = String> {
    "[A-Za-z0-9]([A-Za-z0-9_.-]{0,8}[A-Za-z0-9])?".prop_filter("no .git", |p| !p.ends_with(".git"))
}

/// One number, then digits and dashes: it is no version.
fn is_date(text: &str) -> bool {
    let text = text.strip_prefix('v').unwrap_or(text);
    text.contains('-') && text.chars().all(|c| c == '-' || c.is_ascii_digit())
}

fn version() -> impl Strategy<Value = String> {
    "v?[0-9]{1,3}(\\.[0-9]{1,25}){0,3}(-[0-9a-z]{1,3}(\\.[0-9a-z-]{1,3}){0,2})?"
        .prop_filter("no date", |text| !is_date(text))
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

/// Versions and builds that are often equal or nearly so.
fn place() -> impl Strategy<Value = (String, u64)> {
    let version =
        "v?0{0,2}[0-2](\\.0{0,1}[0-2]){0,3}(-(0{0,1}[0-2]|a|b|-)(\\.(0{0,1}[0-2]|a|b)){0,2})?";
    (
        version.prop_filter("no date", |text| !is_date(text)),
        0_u64..3,
    )
}

/// A valid format, and its segments in order.
fn format() -> impl Strategy<Value = (String, Vec<&'static str>)> {
    let identity = prop::sample::subsequence(vec!["o", "r", "b"], 0..=3).prop_shuffle();
    let version = prop::sample::select(vec![
        vec!["v"],
        vec!["ma", "mi", "p"],
        vec!["ma", "mi"],
        vec!["ma"],
        vec!["miv", "p"],
        vec!["miv"],
    ]);
    let others = prop::sample::subsequence(vec![vec!["c"], vec!["s"]], 0..=2);
    (identity, version, others)
        .prop_map(|(identity, version, mut groups)| {
            groups.extend([identity, version]);
            groups
        })
        .prop_shuffle()
        .prop_map(|groups| {
            let order: Vec<_> = groups.concat();
            (order.join("_"), order)
        })
}

fn reference() -> impl Strategy<Value = String> {
    let host = "|localhost/|docker\\.io/|index\\.docker\\.io/|[a-z]{1,3}\\.[a-z]{2}(:[0-9]{1,5})?/|\\[::1\\](:80)?/";
    let path = "(library/)?[a-z0-9]{1,4}((\\.|_|__|-{1,3})[a-z0-9]{1,3})?(/[a-z0-9]{1,4}){0,2}";
    (
        host,
        path,
        "(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,20})?",
        "(@sha256:[0-9a-f]{64})?",
    )
        .prop_map(|(host, path, tag, digest)| format!("{host}{path}{tag}{digest}"))
}

fn nothing_panics_on(text: &str) {
    let _ = Reference::parse(text);
    let _ = Version::parse(text);
    let _ = Mark::parse(text);
    let _ = Build::parse(text, &TagFormats::default());
    let _ = text.parse::<TagFormats>();
    let _ = text.parse::<Force>();
    let _ = text.parse::<WorkloadName>();
    for format in ["o_r_b_v_c_s", "v", "b_ma_mi_p", "miv_o", "s_r_b_v_c"] {
        let format: TagFormat = format.parse().expect("a format");
        match BuildTag::parse(text, &format) {
            Ok(read) => _ = read.readings().take(1000).count(),
            Err(error) => _ = error.to_string(),
        }
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
    fn what_is_written_in_a_format_is_read_by_it(
        (format, order) in format(),
        fields in [part(), part(), part()],
        numbers in ["[0-9]{1,22}", "[0-9]{1,3}", "[0-9]{1,3}"],
        (whole, n, s) in (version(), any::<u64>(), commit()),
    ) {
        // A tag that is a number alone is a name.
        let numbers_of_whole = whole.split('-').next().unwrap_or_default();
        prop_assume!(format != "v" || whole.starts_with('v') || numbers_of_whole.contains('.'));
        let [o, r, b] = &fields;
        let [ma, mi, p] = &numbers;
        let written = |abbreviation: &&str| match *abbreviation {
            "o" => o.clone(),
            "r" => r.clone(),
            "b" => b.clone(),
            "ma" => ma.clone(),
            "mi" => mi.clone(),
            "p" => p.clone(),
            "miv" => format!("{ma}.{mi}"),
            "v" => whole.clone(),
            "c" => n.to_string(),
            _ => s.clone(),
        };
        let tag = order.iter().map(written).collect::<Vec<_>>().join("_");
        let read: TagFormat = format.parse().expect("a format");
        let read = BuildTag::parse(&tag, &read).expect("a tag of the format");
        let has = |abbreviation| order.contains(&abbreviation);
        let version = match () {
            () if has("v") => whole,
            () if has("p") => format!("{ma}.{mi}.{p}"),
            () if has("mi") || has("miv") => format!("{ma}.{mi}"),
            () => ma.clone(),
        };
        prop_assert_eq!(read.to_string(), tag.as_str());
        prop_assert_eq!(read.version().to_string(), version);
        prop_assert_eq!(read.build(), if has("c") { n } else { 0 });
        prop_assert_eq!(read.commit(), has("s").then_some(&*s));
        let [o, r, b] = [o, r, b].map(String::as_str);
        let field = |abbreviation, value| has(abbreviation).then_some(value);
        let truth = Reading::new(field("o", o), field("r", r), field("b", b));
        prop_assert!(read.readings().any(|reading| reading == truth), "{tag} by {format}");
    }

    #[test]
    fn printing_a_reference_gives_an_equal_one(text in reference()) {
        let read = Reference::parse(&text).expect("a reference");
        let tag = read.tag().map(|t| format!(":{t}")).unwrap_or_default();
        let digest = read.digest().map(|d| format!("@{d}")).unwrap_or_default();
        let printed = format!("{}{tag}{digest}", read.repository());
        prop_assert_eq!(Reference::parse(&printed), Ok(read));
        prop_assert!(read.repository().is(&read.repository().to_string()));
        let end = tag + &digest;
        prop_assert!(text.ends_with(&end));
    }

    #[test]
    fn nothing_panics_on_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        nothing_panics_on(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn nothing_panics(text in "\\PC{0,200}|[a-z0-9_.:/@-]{0,200}") {
        nothing_panics_on(&text);
    }

    #[test]
    fn builds_are_totally_ordered(a in place(), b in place(), c in place()) {
        let read = |(version, build): &(String, u64)| (version.clone(), *build);
        let [a, b, c] = [a, b, c].map(|p| read(&p));
        let [a, b, c] = [&a, &b, &c].map(|(version, build)| Precedence {
            version: Version::parse(version).expect("a version"),
            build: *build,
        });
        // Total and antisymmetric.
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        prop_assert_eq!(a == b, a.cmp(&b).is_eq());
        // Transitive, equality included.
        if a <= b && b <= c {
            prop_assert!(a <= c);
        }
        if a == b {
            prop_assert_eq!(a.cmp(&c), b.cmp(&c));
        }
        // The version first.
        prop_assert_eq!(a.cmp(&b), a.version.cmp(&b.version).then(a.build.cmp(&b.build)));
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
        let post = || futures_util::FutureExt::now_or_never(upgrade(&cluster, &hikaru_core::testing::StillClock::default(), request.clone(), Mode::Commit));
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
