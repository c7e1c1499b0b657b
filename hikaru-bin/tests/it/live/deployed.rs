//! The files of `hikaru-bin/deploy/`: the API server takes them as they are, their pods meet the restricted Pod Security
//! standard, and what they allow is what hikaru needs.

mod callers;

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use xtask::Cluster;

use super::scene::{LABELS, Scene, image, workload};
use crate::serve::{Answer, Server};

fn deploy(folder: &str) -> String {
    format!("{}/deploy/{folder}", env!("CARGO_MANIFEST_DIR"))
}

/// A service on the cluster, with a token of a ServiceAccount of the deployed files.
fn serve_as(cluster: &Cluster, variables: &[(&str, &str)]) -> Server {
    let token = cluster.kubectl(&["create", "token", "hikaru", "--namespace", "hikaru"]);
    let (url, token) = (cluster.url(), token.expect("a token"));
    let mut all = vec![
        ("K8S_URL", &*url),
        ("K8S_TOKEN", token.trim()),
        ("K8S_CA", cluster.ca_pem()),
    ];
    all.extend(variables);
    Server::start(&[], &all)
}

/// Whether the deployed ServiceAccount may do that.
fn may(cluster: &Cluster, verb: &str, what: &str, namespace: &str) -> bool {
    // For kubectl what stands behind a slash is a name.
    let (resource, subresource) = what.split_once('/').unwrap_or((what, ""));
    let args = [
        "auth",
        "can-i",
        verb,
        resource,
        &format!("--subresource={subresource}"),
        "--as=system:serviceaccount:hikaru:hikaru",
        "--namespace",
        namespace,
    ];
    cluster.kubectl(&args).is_ok()
}

/// Both kinds of rights, one after the other: their names are the same.
#[test]
fn the_files_to_deploy_are_taken_and_allow_what_is_needed_and_no_more() {
    let cluster = Cluster::shared();
    cluster
        .kubectl(&["create", "namespace", "shop"])
        .expect("the namespace of the example");
    let shop = Scene {
        cluster,
        namespace: "shop".to_owned(),
    };
    let kinds = ["Deployment", "StatefulSet", "DaemonSet", "CronJob"];
    shop.apply(&kinds.map(|kind| workload(kind, "web", LABELS, 1, &image(1))));

    // For the whole cluster.
    let base = deploy("base");
    let applied = cluster.kubectl(&["apply", "--validate=strict", "--kustomize", &base]);
    let applied = applied.expect("the base is taken");
    assert!(!applied.contains("Warning"), "{applied}");
    for what in ["poddisruptionbudget", "networkpolicy"] {
        let args = ["get", what, "hikaru", "--namespace=hikaru"];
        cluster.kubectl(&args).expect(what);
    }
    let secret = [
        "create",
        "secret",
        "generic",
        "hikaru-api-token",
        "--namespace=hikaru",
        "--from-literal=token=secret-of-sixteen-characters",
    ];
    cluster.kubectl(&secret).expect("the token");
    // Pods that do not meet the namespace's Pod Security standard would not be made.
    let rolled_out = [
        "rollout",
        "status",
        "deployment/hikaru",
        "--namespace=hikaru",
        "--timeout=120s",
    ];
    cluster.kubectl(&rolled_out).expect("its pods are made");
    let server = serve_as(cluster, &[]).ready();
    let answer = server.post(&shop.post(2)).is(200).json();
    assert_eq!(answer.as_array().map(Vec::len), Some(4), "{answer}");
    let figures = server.get("/metrics").is(200).body;
    for line in [
        "hikaru_writes_total{outcome=\"written\",dry_run=\"false\"} 4\n",
        "hikaru_index_fresh 1\n",
        "hikaru_index_age_seconds ",
        "hikaru_watch_restarts_total 0\n",
    ] {
        assert!(figures.contains(line), "expected {line:?} in:\n{figures}");
    }
    let objects = figures
        .lines()
        .find_map(|l| l.strip_prefix("hikaru_index_objects "));
    let objects: u64 = objects.and_then(|n| n.parse().ok()).expect("a number");
    assert!(objects >= 5, "{figures}");
    drop(server);
    shop.images_only_rise();

    // What it may do, and what it may not.
    let may = |verb: &str, what: &str, namespace: &str| may(cluster, verb, what, namespace);
    for resource in ["deployments", "statefulsets", "daemonsets", "cronjobs"] {
        for verb in ["get", "list", "watch", "patch"] {
            assert!(may(verb, resource, "shop"), "{verb} {resource}");
        }
        for verb in ["create", "update", "delete"] {
            assert!(!may(verb, resource, "shop"), "{verb} {resource}");
        }
    }
    for (verb, what) in [
        ("get", "secrets"),
        ("list", "pods"),
        ("create", "jobs"),
        ("patch", "nodes"),
    ] {
        assert!(!may(verb, what, "hikaru"), "{verb} {what}");
    }

    rollouts_are_seen_with_the_components(
        &shop,
        "base",
        ["rollouts", "rollouts/logs"],
        &["shop", "hikaru"],
    );
    for what in ["clusterrole", "clusterrolebinding"] {
        for name in ["hikaru-rollouts", "hikaru-rollout-logs"] {
            cluster.kubectl(&["delete", what, name]).expect("deleted");
        }
    }

    // With one right less: the others go on, and the message names it.
    let rule =
        r#"[{"op": "replace", "path": "/rules/0/verbs", "value": ["get", "list", "watch"]}]"#;
    let args = [
        "patch",
        "clusterrole",
        "hikaru",
        "--type=json",
        "--patch",
        rule,
    ];
    cluster.kubectl(&args).expect("patched");
    let server = serve_as(cluster, &[]).ready();
    let answer = server.post(&shop.post(3)).is(422).json();
    assert_eq!(answer["type"], "urn:hikaru:problem:refused");
    let failed = answer["failed"].as_array().expect("what failed").clone();
    assert_eq!(failed.len(), 3, "{answer}");
    for failure in &failed {
        let reason = failure["reason"].as_str().unwrap_or_default();
        assert!(reason.contains("cannot patch resource"), "{answer}");
    }
    assert_eq!(
        answer["upgraded"].as_array().map(Vec::len),
        Some(1),
        "{answer}"
    );
    assert_eq!(shop.images("cronjob", "web"), [image(3)]);
    drop(server);

    // The alternative: a Role in each namespace.
    for what in ["clusterrole", "clusterrolebinding"] {
        cluster
            .kubectl(&["delete", what, "hikaru"])
            .expect("deleted");
    }
    let namespaced = deploy("namespaced");
    let args = ["apply", "--validate=strict", "--kustomize", &namespaced];
    cluster.kubectl(&args).expect("the alternative is taken");
    let deployed = cluster.kubectl(&[
        "get",
        "deployment",
        "hikaru",
        "--namespace=hikaru",
        "--output=json",
    ]);
    let deployed: Value = serde_json::from_str(&deployed.expect("it is there")).expect("JSON");
    let env = &deployed["spec"]["template"]["spec"]["containers"][0]["env"];
    let namespaces = env.as_array().expect("variables").iter();
    let mut namespaces =
        namespaces.filter(|variable| variable["name"] == "HIKARU_WATCH_NAMESPACES");
    let namespaces = namespaces.next().expect("the variable")["value"].clone();
    let namespaces = namespaces.as_str().expect("a text");
    let server = serve_as(cluster, &[("HIKARU_WATCH_NAMESPACES", namespaces)]).ready();
    // Nothing is asked of other namespaces, so the whole answer is there without `namespace=`.
    let path = format!("/api/image/{}", image(4));
    let answer = server.post(&path).is(200).json();
    assert_eq!(answer.as_array().map(Vec::len), Some(4), "{answer}");
    let elsewhere = server.post(&format!("{path}?namespace=kube-system"));
    assert!(
        elsewhere
            .is(403)
            .body
            .contains("not one of HIKARU_WATCH_NAMESPACES")
    );
    // A misspelt image: the look before an empty answer needs no other rights either.
    let nothing = server.post("/api/image/acme/other:acme_other_main_1.0_1_0123abcd");
    assert_eq!(nothing.is(200).body, "[]");
    // The line of the refused call has the name of its problem.
    let log = server.log().replace("namespace-forbidden", "");
    assert!(!log.contains("forbidden"), "{log}");
    drop(server);

    let components = ["rollouts/namespaced", "rollouts/namespaced/logs"];
    rollouts_are_seen_with_the_components(&shop, "namespaced", components, &["shop"]);
    for what in ["role", "rolebinding"] {
        for name in ["hikaru-rollouts", "hikaru-rollout-logs"] {
            let args = ["delete", what, name, "--namespace=shop"];
            cluster.kubectl(&args).expect("deleted");
        }
    }

    jobs_need_the_components(&shop);
    callers::need_the_components(&shop);
}

/// With the first component hikaru may see pods, ReplicaSets and events in these namespaces, and no others; with the second one
/// also logs.
fn rollouts_are_seen_with_the_components(
    shop: &Scene,
    to: &str,
    components: [&str; 2],
    namespaces: &[&str],
) {
    let cluster = shop.cluster;
    let apply = |components: &[&str]| {
        let (_guard, overlay) = with_components(to, components);
        let args = ["apply", "--validate=strict", "--kustomize", &overlay];
        let applied = cluster.kubectl(&args).expect("the component is taken");
        assert!(!applied.contains("Warning"), "{applied}");
    };
    let seen = [
        ("get", "pods"),
        ("list", "pods"),
        ("watch", "pods"),
        ("get", "replicasets.apps"),
        ("list", "replicasets.apps"),
        ("watch", "replicasets.apps"),
        ("list", "events"),
    ];
    apply(&components[..1]);
    shop.eventually("the rights are there", || {
        may(cluster, "list", "events", "shop")
    });
    for namespace in ["shop", "hikaru"] {
        for (verb, what) in seen {
            let expected = namespaces.contains(&namespace);
            assert_eq!(
                may(cluster, verb, what, namespace),
                expected,
                "{verb} {what} {namespace}"
            );
        }
    }
    // Nodes are in no namespace.
    assert_eq!(may(cluster, "list", "nodes", "shop"), namespaces.len() > 1);
    for (verb, what) in [
        ("get", "pods/log"),
        ("create", "pods"),
        ("delete", "pods"),
        ("patch", "replicasets.apps"),
        ("watch", "events"),
        ("get", "secrets"),
    ] {
        assert!(!may(cluster, verb, what, "shop"), "{verb} {what}");
    }
    apply(&components);
    shop.eventually("the right is there", || {
        may(cluster, "get", "pods/log", "shop")
    });
    let variable = "jsonpath={.spec.template.spec.containers[0].env[?(@.name==\"HIKARU_ROLLOUT_LOGS\")].value}";
    let args = [
        "get",
        "deployment",
        "hikaru",
        "--namespace=hikaru",
        "--output",
        variable,
    ];
    assert_eq!(cluster.kubectl(&args).expect("it is there").trim(), "true");
}

/// The example is what a reader copies: its image and namespace must arrive where they are meant to, and nowhere else.
#[test]
fn the_example_names_its_image_and_leaves_the_role_of_the_jobs_where_jobs_run() {
    let cluster = Cluster::shared();
    let yaml = cluster.kubectl(&["kustomize", &deploy("example")]);
    let yaml = yaml.expect("kustomize takes it");
    let object = |kind: &str, name: &str| {
        let lines = [format!("kind: {kind}"), format!("  name: {name}")];
        let mut objects = yaml.split("\n---\n");
        let found = objects.find(|object| lines.iter().all(|l| object.lines().any(|o| o == l)));
        found.unwrap_or_else(|| panic!("no {kind} {name} in:\n{yaml}"))
    };
    let deployment = object("Deployment", "hikaru");
    assert!(
        deployment.contains("image: ghcr.io/acme/hikaru:0.1.0\n"),
        "{deployment}"
    );
    assert!(
        deployment.contains("HIKARU_JOB_NAMESPACES\n          value: shop\n"),
        "{deployment}"
    );
    for (kind, name, namespace) in [
        ("Deployment", "hikaru", "deployments"),
        ("ServiceAccount", "hikaru", "deployments"),
        ("PodDisruptionBudget", "hikaru", "deployments"),
        ("NetworkPolicy", "hikaru", "deployments"),
        ("NetworkPolicy", "hikaru-monitoring", "deployments"),
        ("PodMonitor", "hikaru", "deployments"),
        ("PrometheusRule", "hikaru", "deployments"),
        ("Role", "hikaru-jobs", "shop"),
        ("RoleBinding", "hikaru-jobs", "shop"),
    ] {
        let object = object(kind, name);
        let expected = format!("  namespace: {namespace}");
        let mut lines = object.lines();
        assert!(
            lines.any(|line| line == expected),
            "{kind} {name}:\n{object}"
        );
    }
    for (kind, name) in [
        ("ClusterRoleBinding", "hikaru"),
        ("ClusterRoleBinding", "hikaru-rollouts"),
        ("RoleBinding", "hikaru-jobs"),
    ] {
        let subject = "- kind: ServiceAccount\n  name: hikaru\n  namespace: deployments";
        let object = object(kind, name);
        assert!(object.contains(subject), "{kind} {name}:\n{object}");
    }
}

/// An alert on a figure that is not there never fires.
#[test]
fn the_alerts_ask_for_figures_that_are_served() {
    let scene = Scene::new("alerts");
    scene.apply(&[workload("Deployment", "web", LABELS, 0, &image(1))]);
    let kubeconfig = scene.cluster.kubeconfig();
    let args = ["--kubeconfig", kubeconfig.to_str().expect("UTF-8")];
    // Those of callers are served where callers need a token.
    let token = "secret-of-sixteen-characters";
    let server = Server::start(&args, &[("HIKARU_API_TOKEN", token)]).ready();
    let head = format!("Authorization: Bearer {token}\r\n");
    let ask = |method: &str, path: &str| {
        let answer = server.request(method, path, &head);
        answer.expect("an answer").is(200)
    };
    // A figure with labels is served once there is one of its kind.
    ask("POST", &scene.post(2));
    let figures = ask("GET", "/metrics").body;
    let rule = std::fs::read_to_string(format!("{}/prometheusrule.yaml", deploy("monitoring")));
    let rule = rule.expect("the alerts");
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = rule.split(|c| !is_name(c));
    let names: Vec<_> = words.filter(|word| word.starts_with("hikaru_")).collect();
    assert!(names.len() >= 4, "{rule}");
    for name in names {
        let is_served = figures.lines().any(|line| line.starts_with(name));
        assert!(is_served, "{name} is not in:\n{figures}");
    }
}

/// A kustomization of a folder with these components. Kustomize takes no absolute paths.
fn with_components(to: &str, components: &[&str]) -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path().canonicalize().expect("its path");
    let up = "../".repeat(here.components().count() - 1);
    let path = |folder: &str| {
        let folder = Path::new(&deploy(folder)).canonicalize().expect("a folder");
        format!(
            "{up}{}",
            folder.to_str().expect("UTF-8").trim_start_matches('/')
        )
    };
    let components: Vec<_> = components.iter().map(|folder| path(folder)).collect();
    let text = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [path(to)],
        "components": components,
    });
    std::fs::write(here.join("kustomization.yaml"), text.to_string()).expect("a file");
    (folder, here.to_str().expect("UTF-8").to_owned())
}

/// Without the components upgrades work and Jobs are refused in a sentence; with them Jobs work too, and nothing more.
fn jobs_need_the_components(shop: &Scene) {
    let cluster = shop.cluster;
    let variables = [
        ("HIKARU_WATCH_NAMESPACES", "shop"),
        ("HIKARU_JOB_NAMESPACES", "shop"),
    ];
    let yaml = "Content-Type: application/yaml\r\n";
    let job = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate, namespace: shop}\nspec:\n  backoffLimit: 0\n  \
               template:\n    spec:\n      restartPolicy: Never\n      containers:\n      - {name: web, image: \"i:1\"}\n";
    #[track_caller]
    fn forbidden(answer: Answer, words: &str) {
        let problem = answer.is(403).json();
        assert_eq!(problem["type"], "urn:hikaru:problem:job-forbidden");
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(words), "{detail}");
    }

    // The namespace is not named: hikaru itself refuses.
    let server = serve_as(cluster, &variables[..1]).ready();
    forbidden(
        server.post_body("/api/job", yaml, job),
        "HIKARU_JOB_NAMESPACES",
    );
    forbidden(server.get("/api/job/shop"), "HIKARU_JOB_NAMESPACES");
    drop(server);

    // It is, and the rights are missing: the server refuses, and upgrades work.
    let server = serve_as(cluster, &variables).ready();
    let post = server.post_body("/api/job?wait=1m", yaml, job);
    forbidden(post, "cannot create resource \"jobs\"");
    forbidden(server.get("/api/job/shop"), "cannot list resource \"jobs\"");
    forbidden(
        server.get("/api/job/shop/migrate"),
        "cannot get resource \"jobs\"",
    );
    let answer = server.post(&format!("/api/image/{}", image(5))).is(200);
    assert_eq!(answer.json().as_array().map(Vec::len), Some(4));

    let (_guard, overlay) = with_components("namespaced", &["jobs"]);
    let args = ["apply", "--validate=strict", "--kustomize", &overlay];
    let applied = cluster.kubectl(&args).expect("the component is taken");
    assert!(!applied.contains("Warning"), "{applied}");
    let variable = "jsonpath={.spec.template.spec.containers[0].env[?(@.name==\"HIKARU_JOB_NAMESPACES\")].value}";
    let args = [
        "get",
        "deployment",
        "hikaru",
        "--namespace=hikaru",
        "--output",
        variable,
    ];
    assert_eq!(cluster.kubectl(&args).expect("it is there").trim(), "shop");
    shop.eventually("the rights are there", || {
        may(cluster, "create", "jobs", "shop")
    });
    for verb in ["create", "get", "list", "watch", "delete"] {
        assert!(may(cluster, verb, "jobs", "shop"), "{verb} jobs");
        assert!(!may(cluster, verb, "jobs", "hikaru"), "{verb} jobs");
    }
    for (verb, what) in [
        ("update", "jobs"),
        ("patch", "jobs"),
        ("create", "pods"),
        ("get", "pods"),
        ("get", "pods/log"),
        ("get", "secrets"),
    ] {
        assert!(!may(cluster, verb, what, "shop"), "{verb} {what}");
    }
    let answer = server.post_body("/api/job?wait=2m", yaml, job).is(201);
    assert_eq!(answer.json()["status"]["state"], "complete");
    server.post_body("/api/job", yaml, job).is(409);
    let replaced = server.post_body("/api/job?replace=true&wait=2m", yaml, job);
    assert_eq!(replaced.is(201).json()["status"]["state"], "complete");
    let created = server.post("/api/job/shop/from/web?wait=2m").is(201).json();
    assert_eq!(created["status"]["succeeded"], 1, "{created}");
    let listed = server.get("/api/job/shop").is(200).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
    let log = server.get("/api/job/shop/migrate/log").is(502).json();
    let detail = log["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("pods/log"), "{detail}");
    let deleted = server.request("DELETE", "/api/job/shop/migrate", "");
    deleted.expect("an answer").is(204);
    drop(server);

    let (_guard, overlay) = with_components("namespaced", &["jobs", "jobs/logs"]);
    let args = ["apply", "--validate=strict", "--kustomize", &overlay];
    cluster.kubectl(&args).expect("the component is taken");
    shop.eventually("the right is there", || {
        may(cluster, "get", "pods/log", "shop")
    });
    assert!(!may(cluster, "get", "pods/log", "hikaru"));
}
