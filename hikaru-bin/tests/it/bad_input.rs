//! Folders that are wrong in one way: the right exit code, a sentence that names file and line, the others go on.

use std::fs;

use super::{folder, hikaru, hikaru_with};

const NEW: &str = "acme/web:acme_web_main_1.4.0_7_0123abcd";

fn deployment(name: &str, labels: &str, containers: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\n  labels: {labels}\nspec:\n  template:\n    spec:\n      \
         containers: {containers}\n"
    )
}

fn good() -> String {
    deployment(
        "good",
        "{owner: acme, repo: web, branch: main}",
        "[{name: web, image: acme/web:latest}]",
    )
}

/// Posts to a folder with one good file and one bad one: the good one is upgraded all the same.
#[track_caller]
fn check(bad: &str, code: i32, told: &[&str]) {
    let (guard, dir) = folder(&[("bad.yaml", bad), ("good.yaml", &good())]);
    hikaru(&["upgrade", NEW, "--manifests", &dir])
        .exits(code)
        .prints(&["default/Deployment/good"])
        .tells(told);
    let read = |name: &str| fs::read_to_string(guard.path().join(name)).expect("a text");
    assert!(read("good.yaml").contains(NEW));
    assert_eq!(read("bad.yaml"), bad, "nothing half-written");
}

#[test]
fn a_file_that_is_no_yaml_fails_only_if_it_names_the_repository() {
    check(
        "a: [b\nimage: acme/web:1\n",
        1,
        &["error: something could not be read, so workloads may be missing: bad.yaml:"],
    );
    check("a: [b\nimage: acme/web:1\n", 1, &["not read: bad.yaml:"]);
    check("a: [b\nimage: acme/other:1\n", 0, &["warning: bad.yaml:"]);
    check("a: b\n\tc: d # acme/web\n", 1, &["not read: bad.yaml:2:"]);
    check(
        &format!("{}1 # acme/web", "[".repeat(10_000)),
        1,
        &["not read: bad.yaml:1:"],
    );
}

#[test]
fn an_unrendered_template_is_told_by_file_and_line() {
    let template = deployment(
        "x",
        "{}",
        "[{name: web, image: {{ .Values.image }}}] # acme/web",
    );
    check(&template, 1, &["not read: bad.yaml:9:"]);
}

#[test]
fn labels_that_are_numbers_are_told_by_file_and_line() {
    let numbers = deployment(
        "x",
        "{owner: 42, repo: web, branch: main}",
        "[{name: web, image: acme/web:1}]",
    );
    check(&numbers, 1, &["not read: bad.yaml:5:", "42", "quote"]);
}

#[test]
fn duplicate_keys_are_told_by_file_and_line() {
    let twice = good().replace(
        "kind: Deployment\n",
        "kind: Deployment\nkind: StatefulSet\n",
    );
    check(&twice, 1, &["not read: bad.yaml:3:", "kind"]);
}

#[test]
fn a_deployment_without_a_name_is_told_and_one_without_containers_is_passed_over() {
    check(
        &good().replace("  name: good\n", ""),
        1,
        &["not read: bad.yaml:", "name"],
    );
    check(
        &deployment(
            "x",
            "{owner: acme, repo: web, branch: main}",
            "[] # acme/web",
        ),
        0,
        &["cluster: "],
    );
}

#[test]
fn an_alias_is_refused_with_file_and_line() {
    let alias = format!(
        "x: &image acme/web:latest\n{}",
        deployment(
            "x",
            "{owner: acme, repo: web, branch: main}",
            "[{name: web, image: *image}]"
        )
    );
    check(
        &alias,
        3,
        &[
            "error: 1 of 2 workloads could not be upgraded, and repeating the call does not help: default/Deployment/x: ",
        ],
    );
    let (_guard, dir) = folder(&[("bad.yaml", &alias)]);
    let ran = hikaru(&["upgrade", NEW, "--manifests", &dir]).exits(3);
    assert!(
        ran.row("Deployment/x").contains("failed")
            && ran.row("Deployment/x").contains("refused: bad.yaml:1:11")
    );
}

#[test]
fn an_alias_bomb_is_harmless() {
    let mut bomb = "a0: &a0 [acme/web, acme/web]\n".to_owned();
    for i in 1..60 {
        bomb.push_str(&format!(
            "a{i}: &a{i} [{}]\n",
            vec![format!("*a{}", i - 1); 9].join(", ")
        ));
    }
    check(
        &format!("{bomb}{}", good().replace("name: good", "name: other")).replace("latest", "v9"),
        0,
        &[],
    );
}

#[test]
fn paths_that_are_no_folder_are_errors() {
    hikaru(&["upgrade", NEW, "--manifests", "/nowhere/at/all"])
        .exits(1)
        .tells(&["error: ", "/nowhere/at/all"]);
    let (guard, dir) = folder(&[("good.yaml", &good())]);
    let file = format!("{dir}/good.yaml");
    hikaru(&["upgrade", NEW, "--manifests", &file])
        .exits(1)
        .tells(&["error: ", "good.yaml"]);
    fs::remove_file(guard.path().join("good.yaml")).expect("removed");
    hikaru(&["upgrade", NEW, "--manifests", &dir])
        .exits(1)
        .tells(&["nothing matched"]);
    hikaru(&["upgrade", NEW, "--manifests", &dir, "--allow-none"]).exits(0);
    hikaru(&["upgrade", NEW])
        .exits(1)
        .tells(&["no cluster: expected --kubeconfig", "or --manifests DIR"]);
}

/// A flag whose value came from its variable was not typed: the message names the variable.
#[test]
fn a_variable_with_a_bad_value_is_named() {
    for (args, variable, value, told) in [
        (
            &["upgrade", NEW][..],
            "HIKARU_NAMESPACE",
            "Shop",
            "'HIKARU_NAMESPACE, the variable of --namespace': expected a namespace",
        ),
        (
            &["upgrade", NEW],
            "HIKARU_DRY_RUN",
            "maybe",
            "'HIKARU_DRY_RUN, the variable of --dry-run'",
        ),
        (
            &["find", NEW],
            "HIKARU_OUTPUT",
            "yaml",
            "'HIKARU_OUTPUT, the variable of --output'",
        ),
        (
            &["job", "from", "shop/report"],
            "HIKARU_WAIT",
            "5",
            "'HIKARU_WAIT, the variable of --wait': expected a time",
        ),
        (
            &["upgrade", NEW, "--namespace=Shop"],
            "HIKARU_NAMESPACE",
            "shop",
            "'--namespace <NS>': expected a namespace",
        ),
    ] {
        let ran = hikaru_with(&[(variable, value)], args).exits(2);
        assert!(ran.err.contains(told), "{variable}={value}: {}", ran.err);
    }
    let both = [("HIKARU_MANIFESTS", "."), ("HIKARU_CONTEXT", "test")];
    let ran = hikaru_with(&both, &["find", NEW]).exits(2);
    ran.tells(&["HIKARU_MANIFESTS and HIKARU_KUBECONFIG or HIKARU_CONTEXT exclude each other"]);
}
