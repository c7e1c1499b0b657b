//! The command line of each component. Each flag that is not obvious has its reason beside it.

use std::path::Path;

use crate::supervisor::{Component, Endpoints};

pub(super) const CONTROLLER_MANAGER_KUBECONFIG: &str = "controller-manager.kubeconfig";
pub(super) const SCHEDULER_KUBECONFIG: &str = "scheduler.kubeconfig";
pub(super) const KWOK_KUBECONFIG: &str = "kwok.kubeconfig";

/// The stages and logs of our own that kwok plays, in the data folder.
pub(super) const STAGES: &str = "stages.yaml";

/// The audit log, in the data folder.
pub(super) const AUDIT_LOG: &str = "audit.log";

/// A node that never fills up, which kwok plays.
pub(super) const NODE: &str = r#"{
    "apiVersion": "v1", "kind": "Node",
    "metadata": {
        "name": "node-0",
        "annotations": {"kwok.x-k8s.io/node": "fake"},
        "labels": {"kubernetes.io/hostname": "node-0", "kubernetes.io/os": "linux"}
    },
    "status": {
        "allocatable": {"cpu": "100k", "memory": "100Ti", "pods": "1M"},
        "capacity": {"cpu": "100k", "memory": "100Ti", "pods": "1M"}
    }
}"#;

pub(super) fn url(endpoints: Endpoints) -> String {
    format!("https://{}:{}", endpoints.address, endpoints.apiserver)
}

pub(super) fn etcd_url(endpoints: Endpoints) -> String {
    format!("http://{}:{}", endpoints.address, endpoints.etcd)
}

/// The member's name: that of the data folder, as no other etcd has it.
pub(super) fn etcd_name(folder: &Path) -> String {
    folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The flags of a component.
pub(super) fn of(
    component: Component,
    folder: &Path,
    endpoints: Endpoints,
    stages: &Path,
) -> Vec<String> {
    let file = |name: &str| folder.join(name).display().to_string();
    let address = endpoints.address;
    match component {
        Component::Etcd => {
            let (name, client) = (etcd_name(folder), etcd_url(endpoints));
            let peer = format!("http://{address}:{}", endpoints.etcd_peer);
            vec![
                format!("--name={name}"),
                format!("--data-dir={}", file("etcd")),
                // The data live as long as the process.
                "--unsafe-no-fsync".to_owned(),
                format!("--listen-client-urls={client}"),
                format!("--advertise-client-urls={client}"),
                format!("--listen-peer-urls={peer}"),
                format!("--initial-advertise-peer-urls={peer}"),
                format!("--initial-cluster={name}={peer}"),
            ]
        }
        Component::Apiserver => vec![
            format!("--etcd-servers={}", etcd_url(endpoints)),
            format!("--bind-address={address}"),
            format!("--advertise-address={address}"),
            format!("--secure-port={}", endpoints.apiserver),
            // A loopback address is refused as an endpoint of the Service `kubernetes`.
            "--endpoint-reconciler-type=none".to_owned(),
            format!("--cert-dir={}", file("apiserver")),
            format!("--tls-cert-file={}", file("apiserver.crt")),
            format!("--tls-private-key-file={}", file("apiserver.key")),
            format!("--client-ca-file={}", file("ca.crt")),
            format!("--token-auth-file={}", file("tokens.csv")),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!(
                "--service-account-key-file={}",
                file("service-accounts.pub")
            ),
            format!(
                "--service-account-signing-key-file={}",
                file("service-accounts.key")
            ),
            "--authorization-mode=RBAC".to_owned(),
            // Otherwise the API server refuses a privileged pod before a policy is asked.
            "--allow-privileged=true".to_owned(),
            // Nobody resolves the node's name.
            "--kubelet-preferred-address-types=InternalIP".to_owned(),
            format!("--audit-policy-file={}", file("audit-policy.json")),
            format!("--audit-log-path={}", file(AUDIT_LOG)),
            // Megabytes: never rotated, as a checker reads one file from its first line to its last.
            "--audit-log-maxsize=1000000".to_owned(),
        ],
        Component::ControllerManager => {
            let mut flags = controller(&file(CONTROLLER_MANAGER_KUBECONFIG));
            flags.extend([
                // With the defaults 200 Deployments of 3 pods took 56 s to become ready, with these 5 s.
                "--concurrent-deployment-syncs=16".to_owned(),
                "--concurrent-replicaset-syncs=16".to_owned(),
                format!(
                    "--service-account-private-key-file={}",
                    file("service-accounts.key")
                ),
                format!("--root-ca-file={}", file("ca.crt")),
            ]);
            flags
        }
        Component::Scheduler => controller(&file(SCHEDULER_KUBECONFIG)),
        Component::Kwok => vec![
            format!("--kubeconfig={}", file(KWOK_KUBECONFIG)),
            format!("--config={}", stages.display()),
            format!("--config={}", file(STAGES)),
            // A node without the annotation is never ready, and nothing runs on it.
            "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake".to_owned(),
            // Both stand in the status of its nodes: that is where the API server asks for logs.
            format!("--node-ip={address}"),
            format!("--node-port={}", endpoints.kubelet),
            // Otherwise kwok listens on all addresses.
            format!("--server-address={address}:{}", endpoints.kubelet),
            format!("--tls-cert-file={}", file("apiserver.crt")),
            format!("--tls-private-key-file={}", file("apiserver.key")),
            "--node-lease-duration-seconds=40".to_owned(),
        ],
    }
}

/// Flags that kube-controller-manager and kube-scheduler share.
fn controller(kubeconfig: &str) -> Vec<String> {
    [
        &format!("--kubeconfig={kubeconfig}"),
        "--leader-elect=false",
        // No port of their own: they would be the same for every cluster.
        "--secure-port=0",
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
    ]
    .map(str::to_owned)
    .to_vec()
}
