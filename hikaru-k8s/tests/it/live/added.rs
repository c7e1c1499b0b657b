//! Kinds that users add, on the real control plane: a CustomResourceDefinition of the shape of Argo's Rollout.

use hikaru_core::{port::Severity, upgrade::Outcome, workload::WorkloadName};
use hikaru_k8s::{WatchSettings, WatchedCluster};
use serde_json::{Value, json};
use xtask::Cluster;

use super::rig;

/// A definition of this group: each test has its own, as definitions have no namespace.
fn definition(group: &str) -> Value {
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("rollouts.{group}")},
        "spec": {"group": group, "scope": "Namespaced",
            "names": {"kind": "Rollout", "listKind": "RolloutList", "plural": "rollouts", "singular": "rollout"},
            "versions": [{"name": "v1alpha1", "served": true, "storage": true,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object",
                    "properties": {"spec": schema, "status": schema}}}}]}})
}

fn rollout(group: &str, namespace: &str, name: &str) -> Value {
    let mut object = rig::object("Deployment", namespace, name);
    object["apiVersion"] = json!(format!("{group}/v1alpha1"));
    object["kind"] = json!("Rollout");
    object["spec"]["strategy"] = json!({"canary": {"steps": [{"setWeight": 20}]}});
    object
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_is_added_is_upgraded_like_the_others() {
    let namespace = rig::namespace("added").await;
    let group = "rollouts.example";
    let mut settings = rig::settings();
    let kind = format!("{group}/v1alpha1/Rollout=spec.template");
    settings.kinds = vec![kind.parse().expect("a kind")];
    let live = rig::with(Cluster::shared(), settings).await;
    rig::create(&[rig::object("Deployment", &namespace, "web")]).await;

    // The server lacks the kind: a warning, and the others go on.
    let report = rig::post(&live, 2, &namespace).await;
    assert_eq!(rig::codes(&report), ["upgrade"]);
    let faults: Vec<_> = report.faults.iter().collect();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(faults[0].severity, Severity::Warning);
    assert_eq!(&*faults[0].place, format!("rollout.{group} in {namespace}"));

    rig::create(&[definition(group)]).await;
    let crd = format!("crd/rollouts.{group}");
    rig::kubectl(
        &["wait", "--for=condition=Established", "--timeout=30s", &crd],
        "",
    )
    .await;
    rig::create(&[rollout(group, &namespace, "canary")]).await;

    // A single command, and a view.
    let report = rig::post(&live, 3, &namespace).await;
    assert_eq!(rig::codes(&report), ["upgrade", "upgrade"]);
    assert!(report.faults.is_empty(), "{:?}", report.faults);
    let outcomes = report.entries.iter().map(|reported| &reported.outcome);
    assert!(
        outcomes
            .into_iter()
            .all(|outcome| *outcome == Outcome::Upgraded)
    );
    let watched = WatchedCluster::start(live, WatchSettings::default());
    watched.synced().await;
    let report = rig::post(&watched, 4, &namespace).await;
    let upgraded: Vec<_> = report
        .entries
        .iter()
        .map(|r| r.entry.workload.id.to_string())
        .collect();
    assert_eq!(
        upgraded,
        [
            format!("{namespace}/Deployment/web"),
            format!("{namespace}/Rollout/canary")
        ]
    );

    // What stands there now: the image, and everything else as it was.
    let get = [
        "get",
        &format!("rollouts.{group}"),
        "canary",
        "--namespace",
        &namespace,
        "--output=json",
    ];
    let now: Value = serde_json::from_str(&rig::kubectl(&get, "").await).expect("JSON");
    let pod = &now["spec"]["template"]["spec"];
    assert_eq!(pod["containers"][0]["image"], rig::image(4));
    assert_eq!(
        now["spec"]["strategy"]["canary"]["steps"][0]["setWeight"],
        20
    );
    let mark = now["metadata"]["labels"]["high-water.hikaru.dev/web"].as_str();
    assert!(
        mark.is_some_and(|mark| mark.starts_with("1.4.0_4_")),
        "{mark:?}"
    );

    // Taken back by a person: held, and let out again.
    let patch = format!(
        r#"{{"spec":{{"template":{{"spec":{{"containers":[{{"name":"web","image":"{}"}}]}}}}}}}}"#,
        rig::image(3)
    );
    let kind = format!("rollouts.{group}");
    let args = [
        "patch",
        &kind,
        "canary",
        "--namespace",
        &namespace,
        "--type=merge",
        "--patch",
        &patch,
    ];
    rig::kubectl(&args, "").await;
    let name: WorkloadName = format!("{namespace}/rollout/canary")
        .parse()
        .expect("a name");
    let mut again = rig::request(4, &namespace);
    again.workloads = vec![name.clone()];
    let post = || async {
        let live = &watched;
        let report = hikaru_core::upgrade(
            live,
            &hikaru_k8s::SystemClock::default(),
            again.clone(),
            hikaru_core::Mode::Commit,
        )
        .await;
        rig::codes(&report.expect("a report"))
    };
    let mut codes = post().await;
    for _ in 0..100 {
        if codes == ["held"] {
            break;
        }
        // The view has not heard of the person yet.
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        codes = post().await;
    }
    assert_eq!(codes, ["held"]);
    let removed = hikaru_core::port::WorkloadPort::unhold(&watched, &name, None).await;
    assert_eq!(removed.map(|marks| marks.len()), Ok(1));
    assert_eq!(post().await, ["upgrade"]);
}

/// A Knative Service names no container, as its schema allows.
#[tokio::test(flavor = "multi_thread")]
async fn a_container_without_a_name_is_upgraded_marked_and_let_go() {
    let namespace = rig::namespace("nameless").await;
    let group = "nameless.example";
    let mut settings = rig::settings();
    let kind = format!("{group}/v1alpha1/Rollout=spec.template");
    settings.kinds = vec![kind.parse().expect("a kind")];
    let live = rig::with(Cluster::shared(), settings).await;
    rig::create(&[definition(group)]).await;
    let crd = format!("crd/rollouts.{group}");
    let established = ["wait", "--for=condition=Established", "--timeout=30s", &crd];
    rig::kubectl(&established, "").await;
    let mut object = rollout(group, &namespace, "hello");
    let containers = json!([{"image": rig::image(1)}]);
    object["spec"]["template"]["spec"]["containers"] = containers;
    rig::create(&[object]).await;
    let report = rig::post(&live, 2, &namespace).await;
    assert_eq!(report.entries[0].outcome, Outcome::Upgraded);
    let get = [
        "get",
        &format!("rollouts.{group}"),
        "hello",
        "--namespace",
        &namespace,
        "--output=json",
    ];
    let now: Value = serde_json::from_str(&rig::kubectl(&get, "").await).expect("JSON");
    assert_eq!(
        now["spec"]["template"]["spec"]["containers"],
        json!([{"image": rig::image(2)}])
    );
    let mark = now["metadata"]["labels"]["high-water.hikaru.dev/containers.0"].as_str();
    assert!(
        mark.is_some_and(|mark| mark.starts_with("1.4.0_2_")),
        "{mark:?}"
    );
    let name: WorkloadName = format!("{namespace}/rollout/hello")
        .parse()
        .expect("a name");
    let removed =
        hikaru_core::port::WorkloadPort::unhold(&live, &name, Some("containers[0]".into()));
    let removed = removed.await.expect("the mark");
    assert_eq!(&*removed[0].0, "containers[0]");
}
