//! What a cluster does while it runs.

use serde_json::json;
use xtask::{AuditEvent, Cluster, ClusterError, ClusterOptions, Component};

use crate::{PATIENCE, apply, deployment, in_turn, of_deployment, wait_until_ready};

#[test]
fn kubectl_knows_both_versions() {
    let versions = Cluster::shared().kubectl(&["version"]).expect("version");
    for line in ["Client Version: v1.", "Server Version: v1."] {
        assert!(versions.contains(line), "{versions}");
    }
}

#[test]
fn a_deployment_becomes_ready() {
    let cluster = Cluster::shared();
    let namespace = cluster.namespace("ready").expect("namespace");
    apply(cluster, &namespace, &deployment("web", 3, "web:1")).expect("apply");
    wait_until_ready(cluster, &namespace, "web", "3");
}

#[test]
fn a_broken_image_fails_its_rollout() {
    let cluster = Cluster::shared();
    let namespace = cluster.namespace("broken").expect("namespace");
    apply(cluster, &namespace, &deployment("web", 1, "web:broken")).expect("apply");
    let path = "{.status.conditions[?(@.type=='Progressing')].reason}";
    let failed = cluster.wait_for("the rollout to fail", PATIENCE, || {
        Ok(
            (of_deployment(cluster, &namespace, "web", path)? == "ProgressDeadlineExceeded")
                .then_some(()),
        )
    });
    failed.expect("ProgressDeadlineExceeded");
    let path = "jsonpath={.items[0].status.containerStatuses[0].state.waiting.reason}";
    let reason = cluster
        .kubectl(&["get", "pods", "--namespace", &namespace, "--output", path])
        .expect("pods");
    assert_eq!(reason, "ImagePullBackOff");
}

#[test]
fn a_broken_init_container_keeps_its_pod_from_starting() {
    let cluster = Cluster::shared();
    let namespace = cluster.namespace("broken-init").expect("namespace");
    let init = "      initContainers:\n      - name: init\n        image: init:broken\n";
    apply(
        cluster,
        &namespace,
        &format!("{}{init}", deployment("web", 1, "web:1")),
    )
    .expect("apply");
    let path = "{.items[0].status.initContainerStatuses[0].state.waiting.reason} {.items[0].status.containerStatuses[0].state.waiting.reason}";
    let waiting = cluster.wait_for("a waiting pod", PATIENCE, || {
        let output = format!("jsonpath={path}");
        let found = cluster.kubectl(&[
            "get",
            "pods",
            "--namespace",
            &namespace,
            "--output",
            &output,
        ])?;
        Ok(Some(found.trim().to_owned()).filter(|found| !found.is_empty()))
    });
    assert_eq!(waiting.expect("status"), "ImagePullBackOff PodInitializing");
}

/// The first write to the Deployment `web` of a namespace that `is_it` accepts.
fn write(cluster: &Cluster, namespace: &str, is_it: impl Fn(&AuditEvent) -> bool) -> AuditEvent {
    let found = cluster.wait_for("a write in the audit log", PATIENCE, || {
        let mut events = cluster.audit()?.into_iter().filter(|event| {
            (event.group(), event.resource(), event.subresource()) == ("apps", "deployments", "")
                && (event.namespace(), event.name()) == (namespace, "web")
        });
        Ok(events.find(|event| is_it(event)))
    });
    found.expect("event")
}

fn patch(cluster: &Cluster, namespace: &str, from: &str, to: &str) -> Result<String, ClusterError> {
    let image = "/spec/template/spec/containers/0/image";
    let patch = json!([
        {"op": "test", "path": image, "value": from},
        {"op": "replace", "path": image, "value": to},
    ]);
    let patch = format!("--patch={patch}");
    cluster.kubectl(&[
        "patch",
        "deployment",
        "web",
        "--namespace",
        namespace,
        "--type=json",
        &patch,
    ])
}

#[test]
fn the_audit_log_has_every_write_and_its_answer() {
    let cluster = Cluster::shared();
    let namespace = cluster.namespace("audit").expect("namespace");
    apply(cluster, &namespace, &deployment("web", 0, "web:1")).expect("apply");
    let created = write(cluster, &namespace, |event| event.verb() == "create");
    assert_eq!(
        (created.user(), created.response_code()),
        ("admin", Some(201))
    );
    assert_eq!(created.stage(), "ResponseComplete");
    assert!(
        created.user_agent().starts_with("kubectl"),
        "{}",
        created.user_agent()
    );
    let image = "/spec/template/spec/containers/0/image";
    assert_eq!(
        created.request_body().and_then(|body| body.pointer(image)),
        Some(&json!("web:1"))
    );

    patch(cluster, &namespace, "web:1", "web:2").expect("patch");
    let patched = write(cluster, &namespace, |event| {
        event.verb() == "patch" && event.response_code() == Some(200)
    });
    assert_eq!(
        patched
            .request_body()
            .and_then(|body| body.pointer("/1/value")),
        Some(&json!("web:2"))
    );
    assert_eq!(
        patched.response_body().and_then(|body| body.pointer(image)),
        Some(&json!("web:2"))
    );
    assert!(!patched.is_dry_run());
}

#[test]
fn a_guarded_patch_whose_test_fails_is_422_and_changes_nothing() {
    let cluster = Cluster::shared();
    let namespace = cluster.namespace("guarded").expect("namespace");
    apply(cluster, &namespace, &deployment("web", 0, "web:1")).expect("apply");
    patch(cluster, &namespace, "web:0", "web:2").expect_err("refused");
    let refused = write(cluster, &namespace, |event| event.verb() == "patch");
    assert_eq!(refused.response_code(), Some(422));
    let image = "{.spec.template.spec.containers[0].image}";
    assert_eq!(
        of_deployment(cluster, &namespace, "web", image).expect("image"),
        "web:1"
    );
}

/// kubectl with a token instead of the administrator's certificate.
fn whoami(cluster: &Cluster, token: &str) -> Result<String, ClusterError> {
    let kubeconfig = "--kubeconfig=/dev/null";
    let server = format!("--server={}", cluster.url());
    let ca = format!(
        "--certificate-authority={}",
        cluster.folder().join("ca.crt").display()
    );
    let token = format!("--token={token}");
    let output = "--output=jsonpath={.status.userInfo.username}";
    cluster.kubectl(&[kubeconfig, &server, &ca, &token, "auth", "whoami", output])
}

#[test]
fn clusters_side_by_side_share_nothing() {
    let _turn = in_turn();
    let first = Cluster::shared();
    let options = ClusterOptions::default()
        .controllers(false)
        .pods(false)
        .user("ci", &["pipelines"]);
    let second = Cluster::start(options).expect("start");
    assert_ne!(first.url(), second.url());
    assert_ne!(first.folder(), second.folder());

    let namespace = second.namespace("alone").expect("namespace");
    first
        .kubectl(&["get", "namespace", &namespace])
        .expect_err("another cluster's namespace");
    let token = second.token("ci").expect("token");
    assert_eq!(whoami(&second, token).expect("whoami"), "ci");
    assert_eq!(
        whoami(&second, second.admin_token()).expect("whoami"),
        "admin"
    );
    whoami(first, token).expect_err("another cluster's token");

    // Without controllers a Deployment stays what it was made.
    apply(&second, &namespace, &deployment("web", 1, "web:1")).expect("apply");
    assert_eq!(
        of_deployment(&second, &namespace, "web", "{.status}").expect("status"),
        "{}"
    );
    let running: Vec<_> = second.processes().expect("processes").into_keys().collect();
    assert_eq!(running, [Component::Etcd, Component::Apiserver]);
}

#[test]
fn a_killed_api_server_comes_back_with_its_data_and_its_clients() {
    let _turn = in_turn();
    let cluster = Cluster::start(ClusterOptions::default()).expect("start");
    let namespace = cluster.namespace("restart").expect("namespace");
    apply(&cluster, &namespace, &deployment("before", 1, "web:1")).expect("apply");
    wait_until_ready(&cluster, &namespace, "before", "1");

    cluster.kill(Component::Apiserver).expect("kill");
    cluster
        .kubectl(&["get", "--raw=/readyz"])
        .expect_err("nobody answers");
    cluster.launch(Component::Apiserver).expect("launch");
    assert_eq!(
        of_deployment(&cluster, &namespace, "before", "{.metadata.name}").expect("get"),
        "before"
    );
    apply(&cluster, &namespace, &deployment("after", 2, "web:1")).expect("apply");
    wait_until_ready(&cluster, &namespace, "after", "2");
}
