//! Cases that were met in the field, on folders: what an image's text says, what is left behind, who is told of it.

use super::{Ran, command, folder, hikaru, run};

const POSTED: &str = "ghcr.io/acme/shop:acme_shop_main_1.4.0_7_9f3c2ab1";

/// A Deployment that is labeled acme, shop, main, with these containers and annotations.
fn deployment(name: &str, annotations: &str, containers: &[(&str, &str)]) -> String {
    let containers = containers
        .iter()
        .map(|(name, image)| format!("        - name: {name}\n          image: {image}\n"));
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\n  labels: {{owner: acme, repo: shop, branch: \
         main}}\n  annotations: {{{annotations}}}\nspec:\n  template:\n    spec:\n      containers:\n{}",
        containers.collect::<String>()
    )
}

fn one(image: &str) -> String {
    deployment("a", "", &[("web", image)])
}

/// Upgrades a folder with one manifest.
fn upgrade(manifest: &str, posted: &str, flags: &[&str]) -> (Ran, String) {
    let (guard, path) = folder(&[("a.yaml", manifest)]);
    let ran = hikaru(&[&["upgrade", posted, "--manifests", &path], flags].concat());
    let after = std::fs::read_to_string(guard.path().join("a.yaml")).expect("a text");
    (ran, after)
}

#[test]
fn a_date_with_dashes_is_no_version() {
    let running = one("ghcr.io/acme/shop:acme_shop_main_2026-9-30_1_9f3c2ab1");
    let posted = "ghcr.io/acme/shop:acme_shop_main_2026-10-03_2_9f3c2ab2";
    let (ran, after) = upgrade(&running, posted, &[]);
    ran.exits(1)
        .tells(&["found `2026-10-03`: a date is written with dots (2026.10.3)"]);
    assert_eq!(after, running);
    // Where it runs, it floats.
    let dotted = posted.replace("2026-10-03", "2026.10.3");
    let (ran, after) = upgrade(&running, &dotted, &[]);
    ran.exits(0).prints(&["1 workload: 1 upgraded\n"]);
    assert_eq!(after, one(&dotted));
}

#[test]
fn a_version_with_build_metadata_is_that_version() {
    let running = one("ghcr.io/acme/shop:1.9.0_5");
    let why = "runs 1.9.0_5, higher than the posted 1.4.0";
    let (ran, after) = upgrade(&running, POSTED, &[]);
    assert!(ran.exits(0).row("Deployment/a").contains(why));
    assert_eq!(after, running);
    let (_guard, path) = folder(&[("a.yaml", &running)]);
    let mut by_version = command(&["upgrade", "ghcr.io/acme/shop:1.4.0", "--manifests", &path]);
    let ran = run(by_version.env("HIKARU_TAG_FORMATS", "v"));
    assert!(ran.exits(0).row("Deployment/a").contains(why));
    // A tag that only holds a version gives way, and it is said.
    let (ran, _) = upgrade(&one("ghcr.io/acme/shop:release-1.9.0"), POSTED, &[]);
    ran.exits(0)
        .prints(&["1 workload: 1 upgraded\n"])
        .tells(&["the tag release-1.9.0 of web holds a version, but is none as a whole"]);
}

#[test]
fn another_digest_of_the_same_build_is_a_conflict() {
    let pinned = |digit: &str| format!("{POSTED}@sha256:{}", digit.repeat(64));
    let (ran, after) = upgrade(&one(&pinned("1")), &pinned("2"), &[]);
    let ran = ran.exits(1);
    assert!(ran.row("Deployment/a").contains("conflicting-build"));
    assert_eq!(after, one(&pinned("1")));
    let (ran, _) = upgrade(&one(POSTED), &pinned("2"), &[]);
    assert!(ran.exits(0).row("Deployment/a").contains("not pinned"));
}

#[test]
fn a_registry_that_is_written_stays() {
    let running = one("docker.io/acme/logger:1.0");
    let tag = "acme_shop_main_1.4.0_7_9f3c2ab1";
    let (ran, after) = upgrade(
        &running,
        &format!("acme/logger:{tag}"),
        &["--output", "json"],
    );
    let written = format!("docker.io/acme/logger:{tag}");
    let container = &ran.exits(0).json()["upgrade"][0]["containers"][0];
    assert_eq!(container["to"], *written);
    assert_eq!(after, one(&written));
}

#[test]
fn nothing_is_left_behind_in_silence() {
    let b = deployment(
        "b",
        "",
        &[("web", "ghcr.io/acme/shop:acme_shop_main_1.3.0_6_51c0ffee")],
    );
    let (_guard, path) = folder(&[
        ("a.yaml", &one("ghcr.io/acme/shop:${TAG}")),
        ("b.yaml", &b),
        (
            "c.yaml",
            &b.replace("name: b\n", "name: c\n")
                .replace("{}", "{hikaru.dev/containers: wbe}"),
        ),
    ]);
    for flags in [&["--strict"][..], &[]] {
        let ran = hikaru(&[&["upgrade", POSTED, "--manifests", &path], flags].concat());
        let ran = ran.exits(1);
        for (workload, words) in [
            (
                "Deployment/a",
                "unreadable-image: its image \"ghcr.io/acme/shop:${TAG}\" begins with the posted repository",
            ),
            ("Deployment/b", "1.4.0_7"),
            (
                "Deployment/c",
                "unreadable-setting: the annotation hikaru.dev/containers is \"wbe\": expected one of the pod's containers: web",
            ),
        ] {
            let row = ran.row(workload);
            assert!(row.contains(words), "{row}");
        }
        let row = ran.row("Deployment/a");
        assert!(row.contains("  ghcr.io/acme/shop:${TAG}  "), "{row}");
    }
    let (_guard, path) = folder(&[("a.yaml", &one("ghcr.io/acme/shop:${TAG}"))]);
    for image in ["ghcr.io/acme/shop", "ghcr.io/acme/shop:1.4.0"] {
        hikaru(&["find", image, "--manifests", &path])
            .exits(1)
            .tells(&["not read: a.yaml#1: default/Deployment/a: the image ghcr.io/acme/shop:${TAG} of web"]);
    }
}

#[test]
fn a_manifest_forges_no_line() {
    for image in [
        r"ghcr.io/acme/shop:1\nerror: all 12 workloads were deleted",
        r"ghcr.io/acme/api:1\nerror: all 12 workloads were deleted",
        r"ghcr.io/acme/api:1\u2028error: \u202eall 12 workloads\u0085 were deleted\e[2K",
    ] {
        let (ran, _) = upgrade(&one(&format!("\"{image}\"")), POSTED, &["--strict"]);
        let ran = ran.exits(1);
        for text in [&ran.out, &ran.err] {
            assert!(
                !text.lines().any(|line| line.starts_with("error: all 12")),
                "{text}"
            );
            let moves = |c: char| c != '\n' && hikaru_core::text::Escaped::escapes(c);
            assert!(!text.contains(moves), "{text:?}");
        }
        let json = ["--strict", "--output", "json"];
        let (ran, _) = upgrade(&one(&format!("\"{image}\"")), POSTED, &json);
        ran.exits(1).json();
    }
}

/// A floating tag that comes back with a manifest, and what the same post does then.
#[test]
fn a_floating_tag_gives_way_each_time() {
    let marked = |mark: &str, image: &str| {
        let labels = format!("branch: main, high-water.hikaru.dev/web: {mark}_3bb12f07");
        one(image).replace("branch: main", &labels)
    };
    // The mark of ghcr.io/acme/shop and acme_shop_main.
    let mark = hikaru_core::image::Reference::parse(POSTED)
        .expect("a reference")
        .repository();
    let labels = hikaru_core::image::Reading::new(Some("acme"), Some("shop"), Some("main"));
    let hash = format!("{:08x}", hikaru_core::policy::Mark::hash_of(&mark, &labels));
    let marked = |mark: &str, image: &str| marked(mark, image).replace("3bb12f07", &hash);
    let (ran, _) = upgrade(&marked("1.4.0_7", "ghcr.io/acme/shop:latest"), POSTED, &[]);
    ran.exits(0).prints(&["1 workload: 1 upgraded\n"]);
    // What is below a build that was deployed needs a person: the pipeline is red without --strict, too.
    let (ran, _) = upgrade(&marked("1.4.0_8", "ghcr.io/acme/shop:latest"), POSTED, &[]);
    let ran = ran.exits(1);
    assert!(
        ran.row("Deployment/a")
            .contains("held: runs latest, while 1.4.0_8")
    );
    let lower = "ghcr.io/acme/shop:acme_shop_main_1.4.0_6_51c0ffee";
    let (ran, _) = upgrade(&marked("1.4.0_7", lower), POSTED, &[]);
    assert!(
        ran.exits(1)
            .row("Deployment/a")
            .contains("held: runs 1.4.0_6")
    );
}

#[test]
fn two_builds_in_one_pod_fail_a_strict_call() {
    let pod = deployment(
        "a",
        "",
        &[
            ("api", "ghcr.io/acme/shop:acme_shop_main_1.4.0_6_51c0ffee"),
            (
                "worker",
                "ghcr.io/acme/shop:acme_shop_main_1.5.0_1_51c0ffee",
            ),
        ],
    );
    let warning = "two builds in one pod: the posted one in api, while worker stays on \
                   ghcr.io/acme/shop:acme_shop_main_1.5.0_1_51c0ffee";
    upgrade(&pod, POSTED, &[]).0.exits(0).tells(&[warning]);
    let (ran, after) = upgrade(&pod, POSTED, &["--strict"]);
    ran.exits(1).tells(&[
        warning,
        "error: two builds in one pod: default/Deployment/a",
    ]);
    // Again: what is there now is no better.
    upgrade(&after, POSTED, &["--strict"]).0.exits(1);
}

#[test]
fn a_build_that_is_higher_than_the_posted_one_is_named() {
    let wrong = one("ghcr.io/acme/shop:acme_shop_main_999999999.0.0_1_deadbeef");
    let (ran, _) = upgrade(&wrong, POSTED, &[]);
    ran.exits(0).tells(&[
        "nothing to deploy: what matched runs a higher build, acme_shop_main_999999999.0.0_1_deadbeef \
         (default/Deployment/a); if that one is a mistake, post this one with --force=obsolete\n",
    ]);
    let (ran, _) = upgrade(&wrong, POSTED, &["--output", "json"]);
    let report = ran.exits(0).json();
    let note = report["note"].as_str().expect("a note");
    assert!(
        note.starts_with("nothing to deploy: what matched runs a higher build")
            && note.ends_with(" with --force=obsolete"),
        "{note}"
    );
}

#[test]
fn a_call_that_was_narrowed_says_so() {
    let running = one("ghcr.io/acme/shop:latest");
    let all: Vec<(String, String)> = (0..18)
        .map(|n| {
            (
                format!("{n}.yaml"),
                running.replace("name: a\n", &format!("name: web-{n}\n")),
            )
        })
        .collect();
    let all: Vec<(&str, &str)> = all.iter().map(|(name, text)| (&**name, &**text)).collect();
    let (_guard, path) = folder(&all);
    let ran = hikaru(&[
        "upgrade",
        POSTED,
        "--manifests",
        &path,
        "--namespace",
        "prodd",
    ])
    .exits(1);
    let told: Vec<&str> = ran
        .err
        .lines()
        .filter(|line| !line.starts_with("cluster:"))
        .collect();
    assert_eq!(
        told[0],
        "nothing matched in the namespace prodd; 18 workloads elsewhere do"
    );
    assert!(!ran.err.contains("web-"), "{}", ran.err);
}
