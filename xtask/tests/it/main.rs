//! Tests of the test cluster itself, on a real control plane: it does what the tests of other crates rely on, and leaves
//! nothing behind, whatever happens to the process that holds it.

mod by_hand;
mod endings;
mod promises;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use xtask::{Cluster, ClusterError};

/// For what takes seconds on a quiet machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// A cluster takes 600 MB and a processor while it starts: those that are made beside the shared one
/// come one after another.
fn in_turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn apply(cluster: &Cluster, namespace: &str, manifest: &str) -> Result<String, ClusterError> {
    cluster.kubectl_with_input(
        &["apply", "--namespace", namespace, "--filename=-"],
        manifest,
    )
}

/// A Deployment whose only container, `main`, runs `image`.
fn deployment(name: &str, replicas: u32, image: &str) -> String {
    format!(
        r#"
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
spec:
  replicas: {replicas}
  progressDeadlineSeconds: 5
  selector:
    matchLabels: {{app: {name}}}
  template:
    metadata:
      labels: {{app: {name}}}
    spec:
      containers:
      - name: main
        image: {image}
"#
    )
}

/// What `kubectl get deployment` says at `path`, a JSON path.
fn of_deployment(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    path: &str,
) -> Result<String, ClusterError> {
    let output = format!("jsonpath={path}");
    cluster.kubectl(&[
        "get",
        "deployment",
        name,
        "--namespace",
        namespace,
        "--output",
        &output,
    ])
}

fn wait_until_ready(cluster: &Cluster, namespace: &str, name: &str, replicas: &str) {
    let ready = cluster.wait_for("ready pods", PATIENCE, || {
        let found = of_deployment(cluster, namespace, name, "{.status.readyReplicas}")?;
        Ok((found == replicas).then_some(()))
    });
    ready.unwrap_or_else(|error| panic!("{name}: {error}"));
}
