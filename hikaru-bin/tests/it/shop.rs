//! The main job on the example of the README, and the flags of `upgrade`.

use std::fs;

use super::{command, example, files, folder, hikaru, hikaru_with, run};

const NEW: &str = "ghcr.io/acme/shop:acme_shop_main_1.4.0_7_9f3c2ab1";

#[test]
fn the_readme_names_the_command_that_these_tests_run() {
    let readme = include_str!("../../../README.md");
    let line = format!("cargo run --bin hikaru -- upgrade {NEW} --manifests docs/examples/shop");
    assert!(readme.contains(&line));
}

#[test]
fn an_upgrade_changes_the_image_lines_and_nothing_else() {
    let (guard, shop) = example("shop");
    let before = files(guard.path());
    let ran = hikaru(&["upgrade", NEW, "--manifests", &shop]).exits(0);
    for (workload, wanted) in [
        (
            "Deployment/storefront",
            ["upgraded", "1.4.0_7 follows 1.4.0_6"],
        ),
        ("CronJob/report", ["upgraded", "latest carries no version"]),
        (
            "Deployment/checkout",
            [
                "skipped",
                "manual: opted out by the label hikaru.dev/upgrade: manual",
            ],
        ),
        (
            "StatefulSet/search",
            ["obsolete", "runs 1.10.0_1, higher than the posted 1.4.0_7"],
        ),
        (
            "Deployment/preview",
            [
                "skipped",
                "other-branch: runs 1.4.0_3 of acme_shop_redesign",
            ],
        ),
    ] {
        let row = ran.row(workload);
        assert!(wanted.iter().all(|text| row.contains(text)), "{row}");
    }
    assert_eq!(
        ran.out.lines().last(),
        Some("5 workloads: 2 upgraded, 2 skipped, 1 obsolete")
    );
    let mut changed = Vec::new();
    for ((name, before), (_, after)) in before.iter().zip(files(guard.path())) {
        assert_eq!(before.lines().count(), after.lines().count());
        for (old, new) in before
            .lines()
            .zip(after.lines())
            .filter(|(old, new)| old != new)
        {
            assert!(
                old.trim_start().starts_with("image: ghcr.io/acme/shop:"),
                "{old}"
            );
            changed.push((
                name.file_name().expect("a name").to_owned(),
                new.trim().to_owned(),
            ));
        }
    }
    assert_eq!(
        changed,
        [
            ("report.yaml".into(), format!("image: {NEW}")),
            (
                "storefront.yaml".into(),
                format!("image: {NEW} # CI changes this line")
            ),
        ]
    );
}

#[test]
fn a_second_run_changes_nothing_and_an_older_build_is_obsolete() {
    let (guard, shop) = example("shop");
    hikaru(&["upgrade", NEW, "--manifests", &shop]).exits(0);
    let before = files(guard.path());
    let again = hikaru(&["upgrade", NEW, "--manifests", &shop]).exits(0);
    assert!(again.row("storefront").contains("equal"));
    assert!(again.row("report").contains("equal"));
    let older = NEW.replace("1.4.0_7", "1.4.0_5");
    let obsolete = hikaru(&["upgrade", &older, "--manifests", &shop]).exits(0);
    assert!(
        obsolete
            .row("storefront")
            .contains("runs 1.4.0_7, higher than the posted 1.4.0_5")
    );
    assert_eq!(files(guard.path()), before);
}

#[test]
fn a_dry_run_and_candidates_write_nothing() {
    let (guard, shop) = example("shop");
    let before = files(guard.path());
    hikaru(&["upgrade", NEW, "--manifests", &shop, "--dry-run"])
        .exits(0)
        .prints(&["would upgrade", "5 workloads: 2 would upgrade, "])
        .tells(&["dry run: nothing was written"]);
    hikaru(&["candidates", NEW, "--manifests", &shop])
        .exits(0)
        .prints(&["would upgrade", "5 workloads: 2 would upgrade, "]);
    let planned = hikaru(&["candidates", NEW, "--manifests", &shop, "--output", "json"]).exits(0);
    assert_eq!(planned.json()["upgrade"].as_array().map(Vec::len), Some(2));
    assert_eq!(files(guard.path()), before);
}

#[test]
fn the_json_is_the_full_report() {
    let (_guard, shop) = example("shop");
    let ran = hikaru(&["upgrade", NEW, "--manifests", &shop, "--output", "json"]).exits(0);
    let report = ran.json();
    assert_eq!(report["image"], NEW);
    assert_eq!(report["build"]["readings"][0]["branch"], "main");
    let storefront = &report["upgrade"][1];
    assert_eq!(storefront["file"], "storefront.yaml#1");
    assert_eq!(storefront["containers"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        storefront["containers"][0]["from"],
        "ghcr.io/acme/shop:acme_shop_main_1.4.0_6_51c0ffee"
    );
    assert_eq!(report["skipped"][0]["containers"][0]["code"], "manual");
    assert_eq!(report["obsolete"][0]["kind"], "StatefulSet");
}

#[test]
fn force_passes_over_what_it_names() {
    let verdicts = |force: &str| {
        let (_guard, shop) = example("shop");
        let ran = hikaru(&[
            "candidates",
            NEW,
            "--manifests",
            &shop,
            force,
            "--output",
            "json",
        ])
        .exits(0);
        let upgraded = ran.json()["upgrade"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        upgraded
            .iter()
            .map(|w| w["name"].as_str().unwrap_or("").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        verdicts("--force=manual"),
        ["report", "checkout", "storefront"]
    );
    assert_eq!(
        verdicts("--force=obsolete,other-branch"),
        ["report", "storefront", "search", "preview"]
    );
    assert_eq!(verdicts("--force").len(), 5);
    let (_guard, shop) = example("shop");
    hikaru(&["upgrade", NEW, "--manifests", &shop, "--force=ambiguous"])
        .exits(2)
        .tells(&["expected `true`, or any of manual"]);
}

#[test]
fn namespaces_and_names_narrow() {
    let (_guard, shop) = example("shop");
    let names = |flags: &[&str]| {
        let mut args = vec!["candidates", NEW, "--manifests", &shop];
        args.extend(flags);
        let ran = hikaru(&args).exits(0);
        ran.out.lines().filter(|l| l.starts_with("shop")).count()
    };
    assert_eq!(names(&["--namespace", "shop"]), 4);
    assert_eq!(
        names(&["--namespace", "shop", "--namespace", "shop-preview"]),
        5
    );
    assert_eq!(names(&["--workload", "shop/deployment/checkout"]), 1);
    assert_eq!(names(&["--branch", "redesign"]), 0);
    hikaru(&[
        "candidates",
        NEW,
        "--manifests",
        &shop,
        "--namespace",
        "../x",
    ])
    .exits(2)
    .tells(&["expected a namespace of lower-case letters"]);
    hikaru(&[
        "candidates",
        NEW,
        "--manifests",
        &shop,
        "--workload",
        "checkout",
    ])
    .exits(2)
    .tells(&["expected NAMESPACE/KIND/NAME, found `checkout`"]);
}

#[test]
fn kinds_may_be_short_and_an_unknown_one_is_a_usage_error() {
    let (_guard, shop) = example("shop");
    let plan = ["candidates", NEW, "--manifests", &shop, "--workload"];
    for workload in ["shop/deploy/checkout", "shop/deployments/checkout"] {
        let ran = hikaru(&[&plan[..], &[workload]].concat()).exits(0);
        ran.prints(&["shop/Deployment/checkout", "1 workload: "]);
    }
    hikaru(&[&plan[..], &["shop/sts/search"]].concat())
        .exits(0)
        .prints(&["shop/StatefulSet/search"]);
    let kinds = "expected one of the kinds Deployment (deploy), StatefulSet (sts), DaemonSet (ds), CronJob (cj)";
    for args in [
        &["upgrade", NEW, "--workload", "shop/depl/checkout"][..],
        &["candidates", NEW, "--workload", "shop/depl/checkout"],
        &["unhold", "shop/depl/checkout"],
    ] {
        let told = format!("{kinds}, found `depl`");
        let ran = hikaru(args).exits(2).tells(&[&told]);
        ran.tells(&[&format!("hikaru {}", args[0])]);
    }
    let added = [("HIKARU_KINDS", "argoproj.io/v1alpha1/Rollout=spec.template")];
    let told = format!("{kinds}, Rollout, found `depl`");
    hikaru_with(&added, &[&plan[..], &["shop/depl/web"]].concat())
        .exits(2)
        .tells(&[&told]);
    hikaru_with(&added, &[&plan[..], &["shop/rollout/web"]].concat()).exits(0);
}

#[test]
fn strict_fails_on_what_stays_behind_and_upgrades_the_rest() {
    let (guard, shop) = example("shop");
    hikaru(&["upgrade", NEW, "--manifests", &shop, "--strict"])
        .exits(1)
        .prints(&["2 upgraded"])
        .tells(&["error: 1 container stays behind: other-branch"]);
    let storefront = fs::read_to_string(guard.path().join("storefront.yaml")).expect("a text");
    assert!(storefront.contains(NEW));
    // That nothing matches may be allowed beside it; what stays behind fails all the same.
    let strict = |image: &str| {
        hikaru(&[
            "upgrade",
            image,
            "--manifests",
            &shop,
            "--strict",
            "--allow-none",
        ])
    };
    strict(&NEW.replace("_main_", "_mian_")).exits(0);
    strict(NEW)
        .exits(1)
        .tells(&["error: 1 container stays behind: other-branch"]);
}

#[test]
fn nothing_matched_is_a_failure_unless_allowed_and_near_misses_are_named() {
    let (_guard, shop) = example("shop");
    let misspelt = NEW.replace("_main_", "_mian_");
    hikaru(&["upgrade", &misspelt, "--manifests", &shop]).exits(1).tells(&[
        "error: nothing matched, so nothing is upgraded; with --allow-none this is no error",
        "nothing matched: no workload that hikaru looks at uses ghcr.io/acme/shop and is labeled owner acme, repo shop, branch mian",
        "near: shop/Deployment/storefront (storefront.yaml#1) uses the repository, but its labels say owner acme, repo shop and branch main, while \
         the tag says acme_shop_mian",
    ]);
    hikaru(&["upgrade", &misspelt, "--manifests", &shop, "--allow-none"]).exits(0);
    hikaru(&["candidates", &misspelt, "--manifests", &shop]).exits(0);
    let other = NEW.replace("ghcr.io", "quay.io");
    hikaru(&["upgrade", &other, "--manifests", &shop])
        .exits(1)
        .tells(&["shop/Deployment/storefront (storefront.yaml#1) has the labels, but runs ghcr.io/acme/shop:"]);
}

#[test]
fn a_constant_build_number_fails_the_pipeline_and_says_what_to_mend() {
    let (_guard, shop) = example("shop");
    let other_commit = NEW.replace("1.4.0_7_9f3c2ab1", "1.4.0_6_9f3c2ab1");
    hikaru(&["upgrade", &other_commit, "--manifests", &shop])
        .exits(1)
        .prints(&[
            "conflicting-build: runs 1.4.0_6 of commit 51c0ffee, the posted one is commit 9f3c2ab1",
            "shallow clone",
        ])
        .tells(&["error: 1 container stays behind: conflicting-build"]);
}

#[test]
fn find_says_who_uses_an_image() {
    let (_guard, shop) = example("shop");
    let services = |image: &str| {
        let ran = hikaru(&["find", image, "--manifests", &shop, "--output", "json"]).exits(0);
        serde_json::to_string(&ran.json()).expect("JSON")
    };
    assert_eq!(
        services("ghcr.io/acme/shop"),
        r#"[{"namespace":"shop","services":["checkout","report","search","storefront"]},{"namespace":"shop-preview","services":["preview"]}]"#
    );
    assert_eq!(
        services("ghcr.io/acme/shop:latest"),
        r#"[{"namespace":"shop","services":["report"]}]"#
    );
    assert_eq!(
        services("nginx:1.29"),
        r#"[{"namespace":"shop","services":["storefront"]}]"#
    );
    assert_eq!(services("nginx:1.30"), "[]");
}

#[test]
fn variables_mirror_the_flags() {
    let (_guard, shop) = example("shop");
    let variables = [
        ("HIKARU_MANIFESTS", &*shop),
        ("HIKARU_DRY_RUN", "true"),
        ("HIKARU_NAMESPACE", "shop-preview"),
    ];
    let ran = hikaru_with(&variables, &["upgrade", NEW]);
    let ran = ran
        .prints(&["shop-preview/Deployment/preview"])
        .tells(&["dry run"]);
    assert!(!ran.out.contains("storefront"), "{}", ran.out);
}

#[test]
fn labels_can_be_renamed() {
    let text = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n  labels: {team: acme, app: web, stream: main}\n\
                spec: {template: {spec: {containers: [{name: web, image: acme/web:latest}]}}}\n";
    let (_guard, dir) = folder(&[("web.yaml", text)]);
    let image = "acme/web:acme_web_main_1.0_1_0123abcd";
    hikaru(&["upgrade", image, "--manifests", &dir]).exits(1);
    let renamed = [
        "--label-owner",
        "team",
        "--label-repo",
        "app",
        "--label-branch",
        "stream",
    ];
    let mut args = vec!["upgrade", image, "--manifests", &dir];
    args.extend(renamed);
    hikaru(&args).exits(0).prints(&["default/Deployment/web"]);
}

#[test]
fn unhold_refuses_in_a_folder_and_names_file_and_line() {
    let text = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n  labels:\n    owner: acme\n    \
                high-water.hikaru.dev/web: 1.4.0_7_aa6c0d3f\nspec: {}\n";
    let (guard, dir) = folder(&[("a/web.yaml", text)]);
    hikaru(&["unhold", "default/deploy/web", "--manifests", &dir])
        .exits(3)
        .tells(&[
            "removed by hand: delete the label at a/web.yaml:7:",
            "high-water.hikaru.dev/web",
        ]);
    hikaru(&[
        "unhold",
        "default/deployment/web",
        "--container",
        "api",
        "--manifests",
        &dir,
    ])
    .exits(0)
    .tells(&["has no high-water mark of its container api"]);
    let api = ["unhold", "default/deploy/web", "--container", "api"];
    let json = ["--manifests", &dir, "--output", "json"];
    let ran = hikaru(&[&api[..], &json].concat()).exits(0);
    let none = serde_json::json!({"namespace": "default", "kind": "Deployment", "name": "web", "removed": []});
    assert_eq!(ran.json(), none);
    let ran = hikaru(&[&["unhold", "default/deploy/web"], &json[..]].concat()).exits(3);
    let error = ran.json()["error"].as_str().unwrap_or_default().to_owned();
    assert!(error.contains("a/web.yaml:7:"), "{error}");
    hikaru(&["unhold", "default/deployment/api", "--manifests", &dir])
        .exits(1)
        .tells(&["there is no"]);
    hikaru(&["unhold", "web", "--manifests", &dir]).exits(2);
    assert_eq!(
        fs::read_to_string(guard.path().join("a/web.yaml"))
            .ok()
            .as_deref(),
        Some(text)
    );
}

#[test]
fn a_typed_flag_wins_over_a_variable_and_an_empty_variable_does_not_count() {
    let (_guard, shop) = example("shop");
    let plan = ["candidates", NEW, "--manifests", &shop];
    hikaru_with(&[("HIKARU_CONTEXT", "prod")], &plan).exits(0);
    let empty = [
        "FORCE",
        "NAMESPACE",
        "WORKLOAD",
        "OWNER",
        "OUTPUT",
        "KUBECONFIG",
        "LABEL_OWNER",
    ];
    for name in empty {
        hikaru_with(&[(&format!("HIKARU_{name}"), "")], &plan)
            .exits(0)
            .prints(&["5 workloads"]);
    }
    let mian = NEW.replace("_main_", "_mian_");
    let allowed = ["upgrade", &mian, "--manifests", &shop, "--allow-none"];
    hikaru_with(&[("HIKARU_STRICT", "false")], &allowed).exits(0);
    hikaru_with(&[("HIKARU_STRICT", "true")], &allowed).exits(0);
    hikaru_with(
        &[("HIKARU_STRICT", "true"), ("HIKARU_ALLOW_NONE", "true")],
        &allowed[..4],
    )
    .exits(0);
    hikaru(&["candidates", NEW, "--manifests", &shop, "--context", "prod"])
        .exits(2)
        .tells(&["expected one cluster"]);
    hikaru(&["candidates", NEW, "--manifests", &shop, "--owner", ""])
        .exits(2)
        .tells(&["expected a label's value"]);
}

#[test]
fn other_formats_read_other_tags() {
    let formats = [("HIKARU_TAG_FORMATS", "o_r_b_v_c_s,v")];
    hikaru_with(&formats, &["tag", "web:1.4.2"])
        .exits(0)
        .prints(&["version    1.4.2"]);
    hikaru_with(&[("HIKARU_TAG_FORMATS", "o_r")], &["tag", "web:1.4.2"])
        .exits(1)
        .tells(&["HIKARU_TAG_FORMATS: tag format `o_r`: expected a version (v)"]);
}

#[test]
fn a_result_that_cannot_be_written_is_no_success() {
    let (_guard, shop) = example("shop");
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .expect("/dev/full");
    run(command(&["candidates", NEW, "--manifests", &shop])
        .stdout(full.try_clone().expect("/dev/full")))
    .exits(1)
    .tells(&["the result cannot be written: No space left"]);
    let json = ["candidates", NEW, "--manifests", &shop, "--output", "json"];
    let output = command(&json).stdout(full).output().expect("hikaru runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        told.contains("the result cannot be written: No space left"),
        "{told}"
    );
    assert_eq!(output.status.code(), Some(1));
    // A reader who goes away early is fine.
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let status = command(&["tag", NEW]).stdout(writer).status();
    assert_eq!(status.expect("hikaru runs").code(), Some(0));
}

#[test]
fn added_kinds_are_found_in_a_folder() {
    let rollout = "apiVersion: argoproj.io/v1alpha1
kind: RolloutList
items:
  - metadata: {name: web, labels: {owner: acme, repo: shop, branch: main}}
    spec: {template: {spec: {containers: [{name: web, image: ghcr.io/acme/shop:latest}]}}}
---
apiVersion: other.io/v1
kind: Rollout
metadata: {name: other, labels: {owner: acme, repo: shop, branch: main}}
spec: {template: {spec: {containers: [{name: web, image: ghcr.io/acme/shop:latest}]}}}
";
    let (guard, path) = folder(&[("rollout.yaml", rollout)]);
    let upgrade = ["upgrade", NEW, "--manifests", &path];
    hikaru(&upgrade).exits(1).tells(&["nothing matched"]);
    let with_kinds = |kinds: &str| hikaru_with(&[("HIKARU_KINDS", kinds)], &upgrade);
    with_kinds("Rollout")
        .exits(1)
        .tells(&["HIKARU_KINDS: expected GROUP/VERSION/KIND=PATH"]);
    with_kinds("argoproj.io/v1alpha1/Rollout=spec.template")
        .exits(0)
        .prints(&["Rollout/web", "1 workload: 1 upgraded\n"]);
    let image = "image: ghcr.io/acme/shop:latest";
    let expected = rollout.replacen(image, &format!("image: {NEW}"), 1);
    assert_eq!(files(guard.path())[0].1, expected);
}
