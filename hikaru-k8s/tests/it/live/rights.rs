//! Rights and refusals on the real control plane: what is forbidden is named, and the others go on.

use std::time::{Duration, Instant};

use hikaru_core::{
    port::{ClusterError, Freshness, RolloutPort as _, Scope, Select, Severity, WorkloadPort as _},
    upgrade::Outcome,
};
use hikaru_k8s::{
    Connection, ConnectionOptions, LiveCluster, LiveSettings, WatchSettings, WatchedCluster,
};
use serde_json::{Value, json};
use xtask::Cluster;

use super::rig;

/// The kinds that hikaru looks at.
const ALL: [&str; 4] = ["deployments", "statefulsets", "daemonsets", "cronjobs"];

/// A ServiceAccount of a namespace, with these rights on Deployments there.
pub(super) async fn account(namespace: &str, verbs: &[&str]) -> LiveCluster {
    account_with(namespace, &ALL[..1], verbs, rig::settings()).await
}

/// A Role with these rights on objects of these kinds.
fn role(namespace: &str, kinds: &[&str], verbs: &[&str]) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": "hikaru", "namespace": namespace},
        "rules": [{"apiGroups": ["apps", "batch", ""], "resources": kinds, "verbs": verbs}]})
}

pub(super) async fn account_with(
    namespace: &str,
    kinds: &[&str],
    verbs: &[&str],
    settings: LiveSettings,
) -> LiveCluster {
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "hikaru", "namespace": namespace}});
    let role = role(namespace, kinds, verbs);
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "hikaru", "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "hikaru"},
        "subjects": [{"kind": "ServiceAccount", "name": "hikaru", "namespace": namespace}]});
    // Two accounts of one test are one.
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [account, role, binding]});
    rig::kubectl(&["apply", "--filename=-"], &list.to_string()).await;
    let args = ["create", "token", "hikaru", "--namespace", namespace];
    let token = rig::kubectl(&args, "").await;

    // As in a pod: its variables, and the files of its ServiceAccount.
    let cluster = Cluster::shared();
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("token"), token).expect("written");
    std::fs::write(folder.path().join("ca.crt"), cluster.ca_pem()).expect("written");
    let mut options = ConnectionOptions::default();
    options.in_cluster = Some(folder.path().to_owned());
    let url = cluster.url();
    let address = url.strip_prefix("https://").expect("a URL");
    let (host, port) = address.rsplit_once(':').expect("a port");
    let variable = |name: &str| match name {
        "KUBERNETES_SERVICE_HOST" => Some(host.to_owned()),
        "KUBERNETES_SERVICE_PORT" => Some(port.to_owned()),
        _ => None,
    };
    let connection = Connection::choose(&options, &variable)
        .await
        .expect("a connection");
    let shown = format!("the cluster that this runs in, {url}");
    assert_eq!(connection.to_string(), shown);
    LiveCluster::new(&connection, settings)
        .await
        .expect("a client")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_forbidden_is_named_and_the_others_go_on() {
    let namespace = rig::namespace("rights").await;
    rig::create(&[rig::object("Deployment", &namespace, "web")]).await;
    let live = account(&namespace, &["get", "list", "watch"]).await;

    let everywhere = live.find(&Scope::new(Select::All)).await;
    let Err(ClusterError::Forbidden(words)) = everywhere else {
        panic!("expected it to be forbidden, found {everywhere:?}");
    };
    assert!(words.contains("cannot list resource"), "{words}");

    let report = rig::post(&live, 2, &namespace).await;
    let Outcome::Failed(ClusterError::Forbidden(words)) = &report.entries[0].outcome else {
        panic!("{:?}", report.entries[0].outcome);
    };
    assert!(
        words.contains("cannot patch resource \"deployments\""),
        "{words}"
    );
    assert_eq!(report.faults.len(), 3, "{:?}", report.faults);
    for fault in &report.faults {
        assert_eq!(fault.severity, Severity::Failure);
        assert!(
            fault.place.ends_with(&format!(" in {namespace}")),
            "{fault:?}"
        );
        assert!(fault.message.contains("cannot list resource"), "{fault:?}");
    }
    // What the call cannot be about need not be readable.
    let mut only = rig::request(2, &namespace);
    let name = format!("{namespace}/deployment/web");
    only.workloads = vec![name.parse().expect("a name")];
    let planned = hikaru_core::upgrade::candidates(&live, only).await;
    assert_eq!(planned.expect("an answer").faults, []);
    let request = rig::request(2, "kube-system");
    let other = hikaru_core::upgrade::candidates(&live, request).await;
    assert!(
        matches!(other, Err(ClusterError::Forbidden(_))),
        "{other:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_of_one_namespace_needs_no_other_rights() {
    let namespace = rig::namespace("one").await;
    rig::create(&[rig::object("Deployment", &namespace, "web")]).await;
    let mut settings = rig::settings();
    settings.namespaces = vec![namespace.as_str().into()];
    let live = account_with(&namespace, &ALL, &VERBS, settings).await;
    // Without a view it asks in that namespace alone, too.
    let build = rig::request(2, &namespace).build;
    let planned = hikaru_core::upgrade::candidates(&live, hikaru_core::Request::new(build.clone()));
    assert_eq!(planned.await.expect("an answer").entries.len(), 1);
    let watched = WatchedCluster::start(live, WatchSettings::default());
    watched.synced().await;
    let report = rig::post(&watched, 2, &namespace).await;
    assert_eq!(report.entries[0].outcome, Outcome::Upgraded);
    assert_eq!(report.faults, []);
    let scope = Scope {
        select: Select::All,
        namespaces: vec!["kube-system".into()],
        workloads: Vec::new(),
    };
    let faults = watched.find(&scope).await.expect("an answer").faults;
    assert_eq!(faults[0].severity, Severity::Failure, "{faults:?}");

    // Everything at once: nothing is allowed, so there is nothing to wait for, and nothing is said.
    let live = account_with(&namespace, &ALL, &VERBS, rig::settings()).await;
    let blind = WatchedCluster::start(live, WatchSettings::default());
    let told = until(&blind, |freshness| {
        matches!(freshness, Freshness::Incomplete { .. })
    });
    let told = told.await;
    assert!(told.contains("cannot list resource"), "{told}");
    let error = blind.find(&Scope::new(Select::All)).await;
    assert!(
        matches!(error, Err(ClusterError::Forbidden(_))),
        "{error:?}"
    );
}

const VERBS: [&str; 4] = ["get", "list", "watch", "patch"];

/// Waits until a view is so, and gives the sentence that says it.
async fn until(view: &WatchedCluster, is_so: impl Fn(&Freshness) -> bool) -> String {
    let until = Instant::now() + Duration::from_secs(120);
    loop {
        let freshness = view.freshness();
        if is_so(&freshness) {
            return freshness.to_string();
        }
        assert!(Instant::now() < until, "{freshness}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A rule is taken away and put back: at no time is a post told to be done that leaves the kind behind.
#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_is_forbidden_for_a_while_is_not_forgotten() {
    let namespace = rig::namespace("taken").await;
    rig::create(&[
        rig::object("Deployment", &namespace, "web"),
        rig::object("StatefulSet", &namespace, "other"),
    ])
    .await;
    let mut settings = rig::settings();
    settings.namespaces = vec![namespace.as_str().into()];
    let live = account_with(&namespace, &ALL, &VERBS, settings).await;
    let mut quick = WatchSettings::default();
    (quick.heartbeat, quick.patience) = (Duration::from_secs(2), Duration::from_secs(1));
    let view = WatchedCluster::start(live.clone(), quick.clone());
    view.synced().await;
    let allow = async |kinds: &[&str]| {
        let role = role(&namespace, kinds, &VERBS).to_string();
        rig::kubectl(&["apply", "--filename=-"], &role).await;
    };
    allow(&ALL[1..]).await;
    let told = until(&view, |freshness| !freshness.gives_answers()).await;
    assert!(
        told.contains("cannot watch resource \"deployments\"")
            || told.contains("cannot list resource \"deployments\""),
        "{told}"
    );
    // One that starts meanwhile answers for the others, and says that it lacks one.
    let fresh = WatchedCluster::start(live, quick);
    let told = until(&fresh, |f| matches!(f, Freshness::Incomplete { .. })).await;
    assert!(told.contains("deployments.apps in "), "{told}");
    let report = rig::post(&fresh, 2, &namespace).await;
    assert_eq!(report.entries.len(), 1);
    assert!(report.has_failures());

    allow(&ALL).await;
    for view in [&view, &fresh] {
        until(view, |freshness| *freshness == Freshness::Fresh).await;
        let report = rig::post(view, 3, &namespace).await;
        assert_eq!(report.entries.len(), 2);
        assert!(!report.has_failures(), "{:?}", report.faults);
    }
}

/// The API server looks at a token when a watch is opened, and may remember it for ten seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_revoked_is_told() {
    let namespace = rig::namespace("revoked").await;
    let mut settings = rig::settings();
    settings.namespaces = vec![namespace.as_str().into()];
    let live = account_with(&namespace, &ALL, &VERBS, settings).await;
    let mut patient = WatchSettings::default();
    patient.patience = Duration::from_secs(3600);
    let view = WatchedCluster::start(live, patient);
    view.synced().await;
    let args = [
        "delete",
        "serviceaccount",
        "hikaru",
        "--namespace",
        &namespace,
    ];
    rig::kubectl(&args, "").await;
    let told = until(&view, |freshness| !freshness.gives_answers()).await;
    assert!(told.contains("does not take our credentials"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admission_refusal_is_passed_on() {
    let namespace = rig::namespace("denied").await;
    let name = format!("deny-{namespace}");
    let policy = json!({"apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "resourceRules": [{"apiGroups": ["apps"], "apiVersions": ["v1"],
                    "operations": ["UPDATE"], "resources": ["deployments"]}]},
            "validations": [{"expression": "!object.metadata.name.startsWith('frozen')",
                "message": "frozen by the platform team"}]}});
    let binding = json!({"apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]}});
    let live = rig::by_variables(Cluster::shared()).await;
    rig::create(&[policy, binding]).await;
    rig::create(&[
        rig::object("Deployment", &namespace, "frozen"),
        rig::object("Deployment", &namespace, "web"),
    ])
    .await;
    // It takes the API server a moment to know its policies.
    let until = Instant::now() + Duration::from_secs(30);
    let mut dry = false;
    while !dry && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let request = rig::request(2, &namespace);
        let tried = hikaru_core::upgrade(
            &live,
            &hikaru_k8s::SystemClock::default(),
            request,
            hikaru_core::Mode::DryRun,
        )
        .await;
        dry = tried.expect("a report").has_failures();
    }
    let report = rig::post(&live, 2, &namespace).await;
    let outcomes: Vec<_> = report.entries.iter().map(|entry| &entry.outcome).collect();
    let [Outcome::Failed(error), Outcome::Upgraded] = outcomes[..] else {
        panic!("{outcomes:?}");
    };
    assert!(
        error.to_string().contains("frozen by the platform team"),
        "{error}"
    );
    assert!(
        !matches!(error, ClusterError::Stale | ClusterError::Lost(_)),
        "{error:?}"
    );
}

/// Without the right on pods the workload's own object is all that there is to judge by, and the answer says so.
#[tokio::test(flavor = "multi_thread")]
async fn pods_that_may_not_be_seen_are_named_with_the_right() {
    let namespace = rig::namespace("unseen").await;
    rig::create(&[rig::object("Deployment", &namespace, "web")]).await;
    let live = account(&namespace, &["get"]).await;
    let name = format!("{namespace}/deployment/web");
    let name = name.parse().expect("a name");
    for _ in 0..2 {
        let facts = live.facts(&name).await.expect("an answer");
        let facts = facts.expect("it is there");
        let told: Vec<_> = facts.unseen.iter().map(|unseen| &*unseen.reason).collect();
        let missing = |what: &str| {
            format!(
                "{what} are not seen: the right to list {what} in namespace {namespace} is missing"
            )
        };
        assert_eq!(told, [missing("pods"), missing("replicasets")]);
    }
    let uids = ["x".into()].into();
    for refused in [
        live.events(&namespace, &uids).await.map(drop),
        live.log(&namespace, "web-1", "web", false, 25)
            .await
            .map(drop),
        live.not_ready_nodes().await.map(drop),
    ] {
        assert!(
            matches!(refused, Err(ClusterError::Forbidden(_))),
            "{refused:?}"
        );
    }
}
