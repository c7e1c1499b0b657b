//! The pipelines of docs/ci.md, run as they stand there: on a cluster of their own, because their namespace is `shop`.

use std::{path::Path, process::Command};

use serde_json::Value;
use xtask::{Cluster, ClusterOptions};

use super::scene::{Scene, workload};
use crate::serve::Server;

const DOCUMENT: &str = include_str!("../../../../docs/ci.md");
const TOKEN: &str = "secret-of-sixteen-characters";
const LABELS: &str = "owner: acme, repo: shop, branch: main";

/// A build of acme_shop_main whose pods behave as its version says.
fn build(version: &str, n: usize) -> String {
    format!("ghcr.io/acme/shop:acme_shop_main_{version}_{n}_9f3c2ab1")
}

/// The fenced blocks of the document that are marked so.
fn blocks(mark: &str) -> Vec<String> {
    let fence = format!("```{mark}\n");
    let blocks = DOCUMENT.split(&*fence).skip(1);
    let blocks = blocks.map(|rest| rest.split("\n```").next().expect("an end").to_owned());
    blocks.collect()
}

/// What a shell has run: its exit code, and all that it wrote.
struct Shell {
    code: Option<i32>,
    said: String,
}

impl Shell {
    /// Runs a script in an empty folder, with `hikaru` in the path and the variables that the document names.
    fn run(shell: &str, script: &str, cluster: &Cluster, server: &Server, image: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let program = Path::new(env!("CARGO_BIN_EXE_hikaru"));
        let programs = program.parent().expect("its folder").to_str();
        let path = std::env::var("PATH").expect("a path");
        let output = Command::new(shell)
            .args(["-eu", "-c", script])
            .current_dir(folder.path())
            .env("PATH", format!("{}:{path}", programs.expect("UTF-8")))
            .env("KUBECONFIG", cluster.kubeconfig())
            .env("HIKARU", format!("http://{}", server.address()))
            .env("HIKARU_JOB_NAMESPACES", "shop")
            .env("TOKEN", TOKEN)
            .env("IMAGE", image)
            .output();
        let output = output.expect("a shell");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: output.status.code(),
            said: text(&output.stdout) + &text(&output.stderr),
        }
    }
}

/// The cluster of the document's pipelines: a Deployment, and the templates of two Jobs.
fn shop() -> Scene {
    let cluster = Cluster::start(ClusterOptions::default()).expect("a cluster");
    // Ended by its supervisor, as the shared one is.
    let cluster: &'static Cluster = Box::leak(Box::new(cluster));
    let shop = Scene {
        cluster,
        namespace: "shop".to_owned(),
    };
    cluster
        .kubectl(&["create", "namespace", "shop"])
        .expect("the namespace");
    shop.eventually("pods can be made", || {
        let account = ["get", "serviceaccount", "default", "--namespace=shop"];
        cluster.kubectl(&account).is_ok()
    });
    let templates = blocks("yaml");
    let migrate = templates.iter().find(|yaml| yaml.contains("kind: CronJob"));
    let migrate = migrate.expect("the template of a Job");
    let image = build("1.3.0", 1);
    let storefront = workload("Deployment", "storefront", LABELS, 2, &image);
    // With a readiness probe it is complete as soon as it is ready.
    let probe = format!("\"{image}\", readinessProbe: {{httpGet: {{port: 80}}}}");
    let storefront = storefront.replace(&format!("\"{image}\""), &probe);
    shop.apply(&[
        migrate.clone(),
        migrate.replace("migrate", "smoke"),
        storefront,
    ]);
    shop.rolled_out("deployment", "storefront");
    shop
}

#[test]
fn the_pipelines_of_the_document_turn_green_and_red() {
    let shop = shop();
    let cluster = shop.cluster;
    let kubeconfig = cluster.kubeconfig();
    let variables = [
        ("HIKARU_API_TOKEN", TOKEN),
        ("HIKARU_JOB_NAMESPACES", "shop"),
    ];
    let args = ["--kubeconfig", kubeconfig.to_str().expect("UTF-8")];
    let server = Server::start(&args, &variables).ready();

    let mut scripts: Vec<(&str, String)> = Vec::new();
    scripts.extend(blocks("sh").into_iter().map(|script| ("sh", script)));
    scripts.extend(blocks("bash").into_iter().map(|script| ("bash", script)));
    assert_eq!(
        scripts.len(),
        5,
        "a script was added or left out: {scripts:?}"
    );
    // What the steps of GitHub Actions, GitLab CI and Jenkins run.
    let others = [blocks("yaml"), blocks("groovy")].concat().join("\n");
    let steps = others.lines().filter_map(|line| {
        let line = line
            .trim()
            .trim_start_matches("- ")
            .trim_start_matches("run: ");
        let line = line
            .strip_prefix("sh '")
            .map_or(line, |line| line.trim_end_matches('\''));
        line.starts_with("hikaru ").then(|| line.to_owned())
    });
    let steps: Vec<String> = steps.collect();
    let [of_actions, of_gitlab, of_jenkins] = [&steps[..3], &steps[3..6], &steps[6..]];
    assert!(
        of_actions == of_gitlab && of_gitlab == of_jenkins,
        "{steps:?}"
    );
    scripts.push(("sh", of_actions.join("\n")));

    for (n, (shell, script)) in scripts.iter().enumerate() {
        let good = build(&format!("2.{n}.0"), 1);
        let ran = Shell::run(shell, script, cluster, &server, &good);
        assert_eq!(ran.code, Some(0), "{script}\n{}", ran.said);
        assert_eq!(
            shop.images("deployment", "storefront"),
            std::slice::from_ref(&good)
        );
        let args = ["verify", &good, "--output", "json"];
        let rollouts = shop.hikaru(&args).exits(0).json();
        let all = rollouts.as_array().expect("a list").iter();
        let storefront = all.filter(|rollout| rollout["name"] == "storefront");
        let states: Vec<&Value> = storefront.map(|rollout| &rollout["state"]).collect();
        assert_eq!(states, ["complete"], "{script}\n{rollouts}");

        // The next good build is higher again, and a way out.
        let missing = build(&format!("2.{n}.1-missing"), 1);
        let ran = Shell::run(shell, script, cluster, &server, &missing);
        assert_ne!(ran.code, Some(0), "{script}\n{}", ran.said);
        let named = format!("cannot pull the image {missing}");
        assert!(ran.said.contains(&named), "{script}\n{}", ran.said);
    }
}
