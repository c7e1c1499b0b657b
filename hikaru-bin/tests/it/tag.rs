//! `hikaru tag`, and tags that buildgoggles really made, through the whole program.

use serde_json::json;

use super::{folder, hikaru};

/// What buildgoggles wrote in this case.
fn real_tag(case: &str) -> &'static str {
    include_str!("../../../hikaru-core/tests/data/buildgoggles/tags.tsv")
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .find(|columns| columns.len() == 6 && columns[0] == case && columns[1] == "o_r_b_v_c_s")
        .map(|columns| columns[5])
        .expect("a case")
}

#[test]
fn a_build_tag_as_json() {
    let ran = hikaru(&[
        "tag",
        "web:acme_web_main_1.4.0_7_0123abcd",
        "--output",
        "json",
    ])
    .exits(0);
    assert_eq!(
        ran.json(),
        json!({
            "registry": "docker.io", "repository": "library/web", "tag": "acme_web_main_1.4.0_7_0123abcd", "digest": null,
            "build": {"version": "1.4.0", "build": "7", "commit": "0123abcd",
                      "readings": [{"owner": "acme", "repo": "web", "branch": "main"}]},
        })
    );
}

#[test]
fn other_tags_have_a_reason_and_no_build() {
    for (image, reason) in [
        ("host:5000/web", "the image has no tag"),
        (
            "web:latest",
            "the tag `latest` is no build tag: expected 6 or more segments",
        ),
        (
            "web:o_r_b___0123abcd",
            "build: expected digits, found the end at byte 7 of the tag",
        ),
        (
            "web:o_r_b___slug",
            "commit: expected 7 to 64 lower-case hex digits or `none`, found `slug`",
        ),
        (
            "web:o_r_b_1.0_18446744073709551616_none",
            "build: expected a number of at most 18446744073709551615",
        ),
    ] {
        let ran = hikaru(&["tag", image, "--output", "json"]).exits(1);
        let json = ran.json();
        assert!(
            json["build"].is_null() && json["repository"].is_string(),
            "{json}"
        );
        assert!(
            json["reason"].as_str().is_some_and(|r| r.contains(reason)),
            "{json}"
        );
        hikaru(&["tag", image]).exits(1).tells(&["error: ", reason]);
    }
}

#[test]
fn a_text_that_is_no_image_has_an_error_and_no_repository() {
    for (image, error) in [
        ("", "expected an image reference, found an empty text"),
        (
            "web@a@b",
            "expected at most one `@`, found a second one at byte 5",
        ),
        ("web:é", "found `é` at byte 4"),
        (
            &*"a".repeat(5000),
            "expected a repository path of at most 255 bytes, found 5008",
        ),
        (
            "Web:1",
            "expected a lower-case letter or digit in the repository's path, found `Web:1` at byte 0",
        ),
    ] {
        let ran = hikaru(&["tag", image, "--output", "json"]).exits(1);
        let json = ran.json();
        assert!(json.get("repository").is_none(), "{json}");
        assert!(
            json["error"].as_str().is_some_and(|e| e.contains(error)),
            "{json}"
        );
        hikaru(&["tag", image])
            .exits(1)
            .tells(&["error: not an image reference: ", error]);
        hikaru(&["upgrade", image, "--manifests", "."])
            .exits(1)
            .tells(&[error]);
    }
}

#[test]
fn a_tag_that_buildgoggles_made_goes_through_tag_and_upgrade() {
    let text = |tag: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n  labels:\n    owner: acme_corp\n    repo: \
             web_shop\n    branch: fix_login_form\nspec:\n  template:\n    spec:\n      containers:\n      - name: web\n        \
             image: acme/web:{tag}\n"
        )
    };
    let tag = real_tag("underscore-all");
    let image = format!("acme/web:{tag}");
    hikaru(&["tag", &image])
        .exits(0)
        .prints(&["owner=acme_corp repo=web_shop branch=fix_login_form"]);
    let (guard, dir) = folder(&[("web.yaml", &text("latest"))]);
    hikaru(&["upgrade", &image, "--manifests", &dir])
        .exits(0)
        .prints(&["1 workload: 1 upgraded"]);
    let written = std::fs::read_to_string(guard.path().join("web.yaml")).expect("a text");
    assert_eq!(written, text(tag));
}

#[test]
fn a_shallow_clone_of_buildgoggles_fails_the_pipeline() {
    let text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, labels: {owner: acme, repo: web, branch: main}}\n\
                spec: {template: {spec: {containers: [{name: web, image: acme/web}]}}}\n";
    let (_guard, dir) = folder(&[("web.yaml", text)]);
    let post = |case| {
        hikaru(&[
            "upgrade",
            &format!("acme/web:{}", real_tag(case)),
            "--manifests",
            &dir,
        ])
    };
    post("shallow-depth-1-first").exits(0);
    post("shallow-depth-1-second")
        .exits(1)
        .prints(&["conflicting-build", "fetch the whole history"]);
}
