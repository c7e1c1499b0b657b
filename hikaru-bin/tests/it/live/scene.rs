//! What the live tests stand on: a namespace of their own, workloads, and what the audit log says of hikaru's writes.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use hikaru_core::{TagFormats, image::Reference};
use serde_json::Value;
use xtask::{AuditEvent, Cluster, ClusterOptions};

use crate::{Ran, command, run, serve::Server};

/// For what takes seconds on a quiet machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(300);

/// A namespace of the shared cluster.
pub(super) struct Scene {
    pub(super) cluster: &'static Cluster,
    pub(super) namespace: String,
}

/// Build `n` of acme_web_main, version 1.4.0.
pub(super) fn image(n: u64) -> String {
    format!("registry.example/acme/web:acme_web_main_1.4.0_{n}_0123abcd")
}

/// A workload with a container `web` of this image and a proxy beside it.
pub(super) fn workload(kind: &str, name: &str, labels: &str, replicas: u32, image: &str) -> String {
    let pod = |restart: &str, indent: usize| {
        let pod = format!(
            "metadata: {{labels: {{app: {name}}}}}\nspec:\n  {restart}\n  containers:\n  - {{name: proxy, image: \
             \"registry.example/proxy:2.0\"}}\n  - {{name: web, image: \"{image}\"}}\n"
        );
        pod.lines()
            .map(|line| format!("{}{line}\n", " ".repeat(indent)))
            .collect::<String>()
    };
    let selector = format!("selector: {{matchLabels: {{app: {name}}}}}");
    let (version, spec) = match kind {
        "CronJob" => (
            "batch/v1",
            format!(
                "schedule: \"0 3 * * *\"\n  jobTemplate:\n    spec:\n      template:\n{}",
                pod("restartPolicy: Never", 8)
            ),
        ),
        "DaemonSet" => (
            "apps/v1",
            format!("{selector}\n  template:\n{}", pod("", 4)),
        ),
        "StatefulSet" => (
            "apps/v1",
            format!(
                "replicas: {replicas}\n  serviceName: {name}\n  {selector}\n  template:\n{}",
                pod("", 4)
            ),
        ),
        _ => (
            "apps/v1",
            format!(
                "replicas: {replicas}\n  {selector}\n  template:\n{}",
                pod("", 4)
            ),
        ),
    };
    format!(
        "apiVersion: {version}\nkind: {kind}\nmetadata:\n  name: {name}\n  labels: {{{labels}}}\nspec:\n  {spec}"
    )
}

pub(super) const LABELS: &str = "owner: acme, repo: web, branch: main";

impl Scene {
    pub(super) fn new(prefix: &str) -> Self {
        let cluster = Cluster::shared();
        let namespace = cluster.namespace(prefix).expect("a namespace");
        Self { cluster, namespace }
    }

    /// A namespace of a cluster of its own, for tests that take its API server away. No controllers, no pods.
    pub(super) fn alone(prefix: &str) -> Self {
        let cluster = Cluster::start(ClusterOptions::default().controllers(false).pods(false));
        // Ended by its supervisor, as the shared one is.
        let cluster: &'static Cluster = Box::leak(Box::new(cluster.expect("a cluster")));
        let namespace = cluster.namespace(prefix).expect("a namespace");
        Self { cluster, namespace }
    }

    /// Applies manifests, joined by `---`.
    pub(super) fn apply(&self, manifests: &[String]) {
        let args = ["apply", "--namespace", &self.namespace, "--filename=-"];
        let applied = self
            .cluster
            .kubectl_with_input(&args, &manifests.join("\n---\n"));
        applied.expect("applied");
    }

    /// Runs kubectl in the namespace.
    #[track_caller]
    pub(super) fn kubectl(&self, args: &[&str]) -> String {
        let mut all = vec!["--namespace", &*self.namespace];
        all.extend(args);
        self.cluster.kubectl(&all).expect("kubectl")
    }

    /// The images of a workload's containers, `proxy` left out.
    pub(super) fn images(&self, kind: &str, name: &str) -> Vec<String> {
        let json: Value =
            serde_json::from_str(&self.kubectl(&["get", kind, name, "--output=json"]))
                .expect("JSON");
        let template = match json["spec"].get("jobTemplate") {
            Some(job) => &job["spec"]["template"],
            None => &json["spec"]["template"],
        };
        let containers = template["spec"]["containers"]
            .as_array()
            .expect("containers");
        let proxies = containers.iter().filter(|c| c["name"] == "proxy");
        assert!(
            proxies
                .into_iter()
                .all(|c| c["image"] == "registry.example/proxy:2.0")
        );
        let others = containers.iter().filter(|c| c["name"] != "proxy");
        others
            .map(|c| c["image"].as_str().expect("an image").to_owned())
            .collect()
    }

    /// Waits until kubectl says that the rollout is done.
    pub(super) fn rolled_out(&self, kind: &str, name: &str) {
        let what = format!("{kind}/{name}");
        self.kubectl(&["rollout", "status", &what, "--timeout=120s"]);
    }

    /// Runs hikaru against the cluster, as an administrator by kubeconfig.
    pub(super) fn hikaru(&self, args: &[&str]) -> Ran {
        let mut command = command(args);
        command.arg("--kubeconfig").arg(self.cluster.kubeconfig());
        run(&mut command)
    }

    /// A service on the cluster.
    pub(super) fn serve(&self) -> Server {
        let kubeconfig = self.cluster.kubeconfig();
        let kubeconfig = kubeconfig.to_str().expect("UTF-8");
        Server::start(&["--kubeconfig", kubeconfig], &[]).ready()
    }

    /// The verdict of a post of build `n` on a Deployment, by its code; nothing is changed.
    pub(super) fn code(&self, server: &Server, name: &str, n: u64) -> Option<String> {
        let path = format!("/api/candidates/{}?namespace={}", image(n), self.namespace);
        let plan = server.get(&path).is(200).json();
        let lists = ["upgrade", "equal", "obsolete", "skipped"];
        let entries = lists.iter().filter_map(|list| plan[list].as_array());
        let mut entries = entries.flatten().filter(|entry| entry["name"] == name);
        let code = &entries.next()?["containers"][0]["code"];
        code.as_str().map(str::to_owned)
    }

    /// The path of a post of build `n` to this namespace.
    pub(super) fn post(&self, n: u64) -> String {
        format!("/api/image/{}?namespace={}", image(n), self.namespace)
    }

    /// Hikaru's writes in this namespace that were kept, in the order in which they were stored: the log has them in the
    /// order of their answers. Each is checked: a patch, of images, marks, `last-upgrade` and `change-cause` alone.
    pub(super) fn writes(&self) -> Vec<AuditEvent> {
        let events = self.cluster.audit().expect("the audit log");
        let ours = events.into_iter().filter(|event| {
            event.namespace() == self.namespace
                && event.user_agent().starts_with("hikaru")
                && event.is_stored()
        });
        let mut ours: Vec<_> = ours.collect();
        ours.sort_by_key(AuditEvent::resource_version);
        for event in &ours {
            assert_eq!(event.verb(), "patch");
            check_patch(event.request_body().expect("a body")).expect("a patch of hikaru's");
        }
        ours
    }

    /// Asserts that in the audit log no container of the namespace ever got a lower build by hikaru.
    pub(super) fn images_only_rise(&self) -> BTreeMap<String, String> {
        let mut highest: BTreeMap<String, String> = BTreeMap::new();
        for event in self.writes() {
            let patch = event
                .request_body()
                .expect("a body")
                .as_array()
                .expect("operations")
                .clone();
            for operation in patch.iter().filter(|o| o["op"] == "replace") {
                let path = operation["path"].as_str().expect("a path");
                let now = operation["value"].as_str().expect("an image").to_owned();
                let container = format!("{}/{}{path}", event.resource(), event.name());
                if let Some(before) = highest.get(&container) {
                    assert!(
                        build_of(before) < build_of(&now),
                        "{container}: {before} then {now}"
                    );
                }
                highest.insert(container, now);
            }
        }
        highest
    }

    pub(super) fn eventually(&self, what: &str, done: impl Fn() -> bool) {
        let start = Instant::now();
        while !done() {
            assert!(start.elapsed() < PATIENCE, "{what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The build number of an image, for comparing.
fn build_of(image: &str) -> u64 {
    let tag = Reference::parse(image)
        .expect("an image")
        .tag()
        .expect("a tag");
    TagFormats::default()
        .read(tag)
        .expect("a build tag")
        .build()
}

/// The annotations that hikaru writes.
const ANNOTATIONS: [&str; 2] = ["hikaru.dev/last-upgrade", "kubernetes.io/change-cause"];

/// A patch may test whatever it likes; it may write images, marks, `last-upgrade` and `change-cause`, and the map that holds
/// the two where there is none.
pub(super) fn check_patch(patch: &Value) -> Result<(), String> {
    for operation in patch.as_array().ok_or("no JSON patch")? {
        let path = operation["path"].as_str().ok_or("no path")?;
        let allowed = match operation["op"].as_str().ok_or("no operation")? {
            "test" => true,
            "replace" => {
                (path.ends_with("/image") && path.contains("ontainers/"))
                    || (path.ends_with("/image/reference") && path.contains("/volumes/"))
            }
            "add" => {
                path.starts_with("/metadata/labels/high-water.hikaru.dev~1")
                    || ANNOTATIONS.iter().any(|key| {
                        path.strip_prefix("/metadata/annotations/") == Some(&key.replace('/', "~1"))
                    })
                    || (path == "/metadata/annotations"
                        && operation["value"]
                            .as_object()
                            .is_some_and(|map| map.keys().eq(ANNOTATIONS)))
            }
            "remove" => path.starts_with("/metadata/labels/high-water.hikaru.dev~1"),
            _ => false,
        };
        if !allowed {
            return Err(format!("hikaru wrote {operation}"));
        }
    }
    Ok(())
}
