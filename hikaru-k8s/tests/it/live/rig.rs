//! The real control plane, as these tests use it: connections to it, and a person's hands.

use std::time::Duration;

use hikaru_core::{
    Build, Mode, Request, TagFormats, Workload, WorkloadId,
    port::WorkloadPort,
    upgrade,
    upgrade::Report,
    workload::{IdentityKeys, MARK_PREFIX, Place, PodList, SETTING_PREFIX},
};
use hikaru_k8s::{Connection, ConnectionOptions, LiveCluster, LiveSettings};
use serde_json::{Map, Value, json};
use xtask::{AuditEvent, Cluster};

pub(super) fn settings() -> LiveSettings {
    LiveSettings::new(IdentityKeys::default())
}

/// As administrator, by `K8S_URL`, `K8S_TOKEN` and `K8S_CA`.
pub(super) async fn by_variables(cluster: &Cluster) -> LiveCluster {
    with(cluster, settings()).await
}

/// The same, with settings of one's own.
pub(super) async fn with(cluster: &Cluster, settings: LiveSettings) -> LiveCluster {
    let variable = |name: &str| match name {
        "K8S_URL" => Some(cluster.url()),
        "K8S_TOKEN" => Some(format!("{}\n", cluster.admin_token())),
        "K8S_CA" => Some(cluster.ca_pem().to_owned()),
        _ => None,
    };
    let connection = Connection::choose(&ConnectionOptions::default(), &variable).await;
    let connection = connection.expect("a connection");
    LiveCluster::new(&connection, settings)
        .await
        .expect("a client")
}

/// As administrator, by a kubeconfig with a client certificate.
pub(super) async fn by_kubeconfig(cluster: &Cluster) -> LiveCluster {
    let options = ConnectionOptions::new(Some(cluster.kubeconfig()), None);
    let connection = Connection::choose(&options, &|_| None).await;
    let connection = connection.expect("a connection");
    LiveCluster::new(&connection, settings())
        .await
        .expect("a client")
}

/// To read what the cluster says, as administrator: kubectl takes a hundred times as long.
pub(super) async fn client() -> kube::Client {
    let file = kube::config::Kubeconfig::read_from(Cluster::shared().kubeconfig());
    let options = kube::config::KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(file.expect("a kubeconfig"), &options).await;
    kube::Client::try_from(config.expect("a configuration")).expect("a client")
}

/// Runs what blocks, as kubectl does.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("it ends")
}

/// kubectl, whose words are the panic when it fails.
pub(super) async fn kubectl(args: &[&str], input: &str) -> String {
    let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
    let input = input.to_owned();
    blocking(move || {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let done = Cluster::shared().kubectl_with_input(&args, &input);
        done.unwrap_or_else(|error| panic!("{error}"))
    })
    .await
}

/// Creates objects.
pub(super) async fn create(objects: &[Value]) {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    kubectl(&["create", "--filename=-"], &list.to_string()).await;
}

pub(super) async fn namespace(prefix: &'static str) -> String {
    blocking(move || Cluster::shared().namespace(prefix).expect("a namespace")).await
}

/// The image of build `n` of acme_web_main, version 1.4.0.
pub(super) fn image(n: u64) -> String {
    format!("registry.example/acme/web:acme_web_main_1.4.0_{n}_0123abcd")
}

pub(super) fn request(n: u64, namespace: &str) -> Request {
    let build = Build::parse(&image(n), &TagFormats::default()).expect("a build");
    let mut request = Request::new(build);
    request.namespaces = vec![namespace.into()];
    request
}

/// Posts build `n`, as hikaru does it.
pub(super) async fn post(port: &dyn WorkloadPort, n: u64, namespace: &str) -> Report {
    let report = upgrade(
        port,
        &hikaru_k8s::SystemClock::default(),
        request(n, namespace),
        Mode::Commit,
    )
    .await;
    report.expect("a report")
}

/// The codes of a report's containers: `upgrade`, `held`.
pub(super) fn codes(report: &Report) -> Vec<String> {
    report.codes().map(|code| code.to_string()).collect()
}

pub(super) async fn read(port: &dyn WorkloadPort, id: &WorkloadId) -> Workload {
    let read = port.read(id).await.expect("an answer");
    read.expect("it is there")
}

/// An object of a kind whose pods are never made, as far as that kind allows.
pub(super) fn object(kind: &str, namespace: &str, name: &str) -> Value {
    let pod = json!({
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "web", "image": image(1)}]},
    });
    let metadata = json!({
        "name": name, "namespace": namespace,
        "labels": {"owner": "acme", "repo": "web", "branch": "main"},
    });
    let selector = json!({"matchLabels": {"app": name}});
    let (group, spec) = match kind {
        "CronJob" => {
            let mut pod = pod;
            pod["spec"]["restartPolicy"] = json!("Never");
            let job = json!({"spec": {"template": pod}});
            (
                "batch",
                json!({"schedule": "0 0 1 1 *", "suspend": true, "jobTemplate": job}),
            )
        }
        "DaemonSet" => ("apps", json!({"selector": selector, "template": pod})),
        _ => (
            "apps",
            json!({"replicas": 0, "selector": selector, "template": pod}),
        ),
    };
    json!({"apiVersion": format!("{group}/v1"), "kind": kind, "metadata": metadata, "spec": spec})
}

/// The Deployment that a workload of the contract stands for.
pub(super) fn manifest(workload: &Workload) -> Value {
    let id = &workload.id;
    let (mut labels, mut annotations) = (Map::new(), Map::new());
    for (key, value) in [
        ("owner", &workload.labels.owner),
        ("repo", &workload.labels.repo),
        ("branch", &workload.labels.branch),
    ] {
        if let Some(value) = value {
            labels.insert(key.to_owned(), json!(**value));
        }
    }
    for setting in &workload.settings {
        let map = match setting.place {
            Place::Label => &mut labels,
            Place::Annotation => &mut annotations,
        };
        let key = format!("{SETTING_PREFIX}{}", setting.key);
        map.insert(key, json!(*setting.value));
    }
    let mut pod = serde_json::Map::new();
    for container in &workload.containers {
        let key = container.mark_key().expect("a key");
        if let Some(mark) = &container.mark {
            labels.insert(format!("{MARK_PREFIX}{key}"), json!(**mark));
        }
        let name = container.own_name().expect("a name");
        let shown = match container.list {
            PodList::Volumes => json!({"name": name, "image": {"reference": *container.image}}),
            _ => json!({"name": name, "image": *container.image}),
        };
        let list = pod.entry(container.list.key()).or_insert(json!([]));
        list.as_array_mut().expect("a list").push(shown);
    }
    let mut object = object(&id.kind, &id.namespace, &id.name);
    object["metadata"]["labels"] = labels.into();
    // Kubernetes adds an annotation to each Deployment some time after it was created. With one from the start it does not matter
    // when: a patch tests whether there are any.
    annotations.insert("note".to_owned(), json!("of a user"));
    object["metadata"]["annotations"] = annotations.into();
    let spec = &mut object["spec"]["template"]["spec"];
    for (list, items) in pod {
        spec[list] = items;
    }
    object
}

/// What hikaru wrote into a namespace so far: the patches that were applied.
pub(super) async fn our_writes(namespace: &str) -> Vec<AuditEvent> {
    let namespace = namespace.to_owned();
    // A write is in the log when its answer has been sent.
    tokio::time::sleep(Duration::from_millis(300)).await;
    blocking(move || {
        let mut events = Cluster::shared().audit().expect("the audit log");
        events.retain(|event| {
            event.namespace() == namespace
                && event.user_agent().starts_with("hikaru/")
                && event.response_code().is_some_and(|code| code < 300)
                && !event.is_dry_run()
        });
        events
    })
    .await
}

/// Asserts that a write of ours is a guarded patch of images, marks, `last-upgrade` and `change-cause`, and of nothing else.
pub(super) fn assert_ours(write: &AuditEvent) {
    assert_eq!(write.verb(), "patch");
    let operations = write.request_body().and_then(Value::as_array);
    let operations = operations.expect("a JSON patch");
    let is_test = |operation: &Value| operation["op"] == "test";
    let first_write = operations.iter().position(|operation| !is_test(operation));
    let first_write = first_write.expect("something is written");
    assert!(first_write > 0, "{operations:?}");
    assert_eq!(operations[0]["path"], "/metadata/uid");
    for operation in &operations[first_write..] {
        let path = operation["path"].as_str().expect("a path");
        let container = path.ends_with("/image")
            && (path.contains("/spec/containers/") || path.contains("/spec/initContainers/"));
        let volume = path.ends_with("/image/reference") && path.contains("/spec/volumes/");
        let image = (container || volume) && operation["op"] == "replace";
        let mark = path.starts_with("/metadata/labels/high-water.hikaru.dev~1");
        let annotation = path == "/metadata/annotations/hikaru.dev~1last-upgrade"
            || path == "/metadata/annotations/kubernetes.io~1change-cause";
        let first_annotation = path == "/metadata/annotations"
            && operation["value"].as_object().is_some_and(|map| {
                map.keys()
                    .eq(["hikaru.dev/last-upgrade", "kubernetes.io/change-cause"])
            });
        assert!(
            image || mark || annotation || first_annotation,
            "{operation}"
        );
    }
}
