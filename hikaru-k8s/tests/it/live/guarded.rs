//! Upgrades on the real control plane: every kind, people who roll back, opt out and relabel in the wrong moment, and
//! objects that are bare.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use hikaru_core::{
    Mode, Text, Workload, WorkloadId,
    policy::Change,
    port::{ClusterError, Found, Freshness, Scope, Select, WorkloadPort, Written},
    upgrade,
    upgrade::Outcome,
    workload::WorkloadName,
};
use hikaru_k8s::LiveCluster;
use serde_json::{Value, json};
use xtask::Cluster;

use super::rig::{self, image};

async fn live() -> LiveCluster {
    rig::by_variables(Cluster::shared()).await
}

fn id(namespace: &str, kind: &str, name: &str) -> WorkloadId {
    WorkloadId::new(namespace, kind, name)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_upgraded_and_nothing_else() {
    let (live, namespace) = (live().await, rig::namespace("kinds").await);
    let kinds = ["Deployment", "StatefulSet", "DaemonSet", "CronJob"];
    let mut objects: Vec<Value> = kinds
        .iter()
        .map(|kind| rig::object(kind, &namespace, "web"))
        .collect();
    let second = json!({"name": "proxy", "image": "registry.example/proxy:2.0"});
    let containers = objects[0].pointer_mut("/spec/template/spec/containers");
    let containers = containers.and_then(Value::as_array_mut);
    containers.expect("containers").insert(0, second);
    let mut unlabeled = rig::object("Deployment", &namespace, "unlabeled");
    unlabeled["metadata"]["labels"] = Value::Null;
    let mut other = rig::object("Deployment", &namespace, "other");
    other["metadata"]["labels"]["branch"] = json!("dev");
    objects.extend([unlabeled, other]);
    rig::create(&objects).await;

    let report = rig::post(&live, 2, &namespace).await;
    let outcomes: Vec<_> = report.entries.iter().map(|entry| &entry.outcome).collect();
    assert_eq!(outcomes, [&Outcome::Upgraded; 4]);
    assert_eq!(report.faults, []);
    for kind in kinds {
        let now = rig::read(&live, &id(&namespace, kind, "web")).await;
        let web = now.container("web").expect("the container");
        assert_eq!(*web.image, image(2), "{kind}");
        assert!(
            web.mark
                .as_deref()
                .is_some_and(|mark| mark.starts_with("1.4.0_2_"))
        );
        let last = now.last_upgrade.expect("an annotation");
        let last: Value = serde_json::from_str(&last).expect("JSON");
        if kind == "CronJob" {
            assert_eq!(last["previous"], json!({"web": image(1)}));
        }
        let at = last["at"].as_str().expect("a time");
        assert!(
            at.len() == 20 && at.starts_with("20") && at.ends_with('Z'),
            "{at}"
        );
    }
    for name in ["unlabeled", "other"] {
        let now = rig::read(&live, &id(&namespace, "Deployment", name)).await;
        assert_eq!(*now.containers[0].image, image(1), "{name}");
    }
    let deployment = rig::read(&live, &id(&namespace, "Deployment", "web")).await;
    let proxy = deployment.container("proxy").expect("the container");
    assert_eq!(*proxy.image, *"registry.example/proxy:2.0");

    // A duplicate and an older one write nothing.
    for n in [2, 1] {
        let report = rig::post(&live, n, &namespace).await;
        assert!(
            report
                .entries
                .iter()
                .all(|entry| entry.outcome == Outcome::Unchanged)
        );
    }
    let writes = rig::our_writes(&namespace).await;
    writes.iter().for_each(rig::assert_ours);
    assert_eq!(writes.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_is_held_until_the_mark_is_removed() {
    let (live, namespace) = (live().await, rig::namespace("undo").await);
    rig::create(&[rig::object("Deployment", &namespace, "web")]).await;
    let rolled_out = async || {
        let args = [
            "rollout",
            "status",
            "deployment/web",
            "--timeout=60s",
            "-n",
            &namespace,
        ];
        rig::kubectl(&args, "").await;
    };
    rolled_out().await;
    assert_eq!(
        rig::codes(&rig::post(&live, 2, &namespace).await),
        ["upgrade"]
    );
    rolled_out().await;
    let undo = ["rollout", "undo", "deployment/web", "-n", &namespace];
    rig::kubectl(&undo, "").await;
    assert_eq!(rig::codes(&rig::post(&live, 2, &namespace).await), ["held"]);
    let report = rig::post(&live, 3, &namespace).await;
    assert_eq!(report.entries[0].outcome, Outcome::Upgraded);
    rolled_out().await;
    rig::kubectl(&undo, "").await;
    assert_eq!(rig::codes(&rig::post(&live, 3, &namespace).await), ["held"]);

    let name = format!("{namespace}/deployment/web")
        .parse()
        .expect("a name");
    let removed = live.unhold(&name, None).await.expect("an answer");
    assert_eq!(removed.len(), 1);
    assert_eq!(&*removed[0].0, "web");
    assert!(removed[0].1.starts_with("1.4.0_3_"), "{removed:?}");
    assert_eq!(live.unhold(&name, None).await, Ok(vec![]));
    assert_eq!(
        rig::codes(&rig::post(&live, 3, &namespace).await),
        ["upgrade"]
    );
    let absent = format!("{namespace}/deployment/absent")
        .parse()
        .expect("a name");
    assert_eq!(
        live.unhold(&absent, None).await,
        Err(ClusterError::NotFound(absent.to_string()))
    );
    let odd = format!("{namespace}/pod/web").parse().expect("a name");
    let error = live.unhold(&odd, None).await.expect_err("no such kind");
    assert_eq!(
        error.to_string(),
        "refused: expected one of the kinds Deployment, StatefulSet, DaemonSet, CronJob, found pod"
    );
}

type Meanwhile<'a> = Box<dyn Fn() -> BoxFuture<'a, ()> + Send + Sync + 'a>;

/// A port that lets somebody act once between judging and writing.
struct Between<'a> {
    port: &'a LiveCluster,
    done: AtomicBool,
    meanwhile: Meanwhile<'a>,
}

#[async_trait]
impl WorkloadPort for Between<'_> {
    fn freshness(&self) -> Freshness {
        self.port.freshness()
    }

    async fn find(&self, scope: &Scope) -> Result<Found, ClusterError> {
        self.port.find(scope).await
    }

    async fn read(&self, id: &WorkloadId) -> Result<Option<Workload>, ClusterError> {
        self.port.read(id).await
    }

    async fn write(&self, change: &Change, mode: Mode) -> Result<Written, ClusterError> {
        if !self.done.swap(true, Ordering::SeqCst) {
            (self.meanwhile)().await;
        }
        self.port.write(change, mode).await
    }

    async fn unhold(
        &self,
        workload: &WorkloadName,
        container: Option<Text>,
    ) -> Result<Vec<(Text, Text)>, ClusterError> {
        self.port.unhold(workload, container).await
    }
}

/// Posts build `n` while somebody acts between judging and writing: kubectl, once for each list of arguments.
async fn post_while(
    live: &LiveCluster,
    n: u64,
    namespace: &str,
    before: Option<u64>,
    acts: &[&[&str]],
) -> hikaru_core::upgrade::Report {
    let port = Between {
        port: live,
        done: AtomicBool::new(false),
        meanwhile: Box::new(move || {
            Box::pin(async move {
                if let Some(n) = before {
                    rig::post(live, n, namespace).await;
                }
                for args in acts {
                    let args = [*args, &["-n", namespace]].concat();
                    rig::kubectl(&args, "").await;
                }
            })
        }),
    };
    rig::post(&port, n, namespace).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_does_between_judging_and_writing_counts() {
    let (live, namespace) = (live().await, rig::namespace("between").await);
    let web = id(&namespace, "Deployment", "web");
    rig::create(&[rig::object("Deployment", &namespace, "web")]).await;

    let manual = ["annotate", "deployment/web", "hikaru.dev/upgrade=manual"];
    let report = post_while(&live, 2, &namespace, None, &[&manual]).await;
    assert_eq!(rig::codes(&report), ["manual"]);
    rig::kubectl(
        &[
            "annotate",
            "deployment/web",
            "hikaru.dev/upgrade-",
            "-n",
            &namespace,
        ],
        "",
    )
    .await;
    let manual = ["label", "deployment/web", "hikaru.dev/upgrade=manual"];
    let report = post_while(&live, 2, &namespace, None, &[&manual]).await;
    assert_eq!(rig::codes(&report), ["manual"]);
    rig::kubectl(
        &[
            "label",
            "deployment/web",
            "hikaru.dev/upgrade-",
            "-n",
            &namespace,
        ],
        "",
    )
    .await;

    let relabel = ["label", "deployment/web", "--overwrite", "branch=dev"];
    let report = post_while(&live, 2, &namespace, None, &[&relabel]).await;
    assert_eq!(report.entries.len(), 0);
    assert!(
        report.faults[0].message.contains("no longer matches"),
        "{:?}",
        report.faults
    );
    assert_eq!(*rig::read(&live, &web).await.containers[0].image, image(1));
    assert_eq!(rig::our_writes(&namespace).await.len(), 0);

    // Judged against 8, but 10 was deployed meanwhile, and a person went back to 8.
    let back = [
        "label",
        "deployment/web",
        "--overwrite",
        "branch=main",
        "-n",
        &namespace,
    ];
    rig::kubectl(&back, "").await;
    rig::post(&live, 8, &namespace).await;
    let to_8 = format!("web={}", image(8));
    let set = ["set", "image", "deployment/web", to_8.as_str()];
    let report = post_while(&live, 9, &namespace, Some(10), &[&set]).await;
    assert_eq!(rig::codes(&report), ["held"]);
    assert_eq!(*rig::read(&live, &web).await.containers[0].image, image(8));
}

#[tokio::test(flavor = "multi_thread")]
async fn annotations_of_others_come_and_go() {
    let (live, namespace) = (live().await, rig::namespace("bare").await);
    let names = ["found-bare", "found-annotated", "stays-bare"];
    let objects = names.map(|name| {
        let mut object = rig::object("StatefulSet", &namespace, name);
        if name == "found-annotated" {
            object["metadata"]["annotations"] = json!({"note": "somebody's"});
        }
        object
    });
    rig::create(&objects).await;
    let port = Between {
        port: &live,
        done: AtomicBool::new(false),
        meanwhile: Box::new(|| {
            Box::pin(async {
                let n = ["-n", &*namespace];
                let come = ["annotate", "statefulset/found-bare", "note=mine"];
                rig::kubectl(&[&come[..], &n].concat(), "").await;
                let go = ["annotate", "statefulset/found-annotated", "note-"];
                rig::kubectl(&[&go[..], &n].concat(), "").await;
            })
        }),
    };
    // One after the other, so that the first waits for the person.
    for name in names {
        let mut request = rig::request(2, &namespace);
        let name = format!("{namespace}/statefulset/{name}");
        request.workloads = vec![name.parse().expect("a name")];
        let report = upgrade(
            &port,
            &hikaru_k8s::SystemClock::default(),
            request,
            Mode::Commit,
        )
        .await
        .expect("a report");
        assert_eq!(report.entries[0].outcome, Outcome::Upgraded, "{name}");
    }
    let writes = rig::our_writes(&namespace).await;
    assert_eq!(writes.len(), 3);
    writes.iter().for_each(rig::assert_ours);
    let note = "jsonpath={.metadata.annotations.note}";
    let args = [
        "get",
        "statefulset",
        "found-bare",
        "-o",
        note,
        "-n",
        &namespace,
    ];
    assert_eq!(rig::kubectl(&args, "").await, "mine");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_is_the_servers() {
    let (live, namespace) = (live().await, rig::namespace("dry").await);
    rig::create(&[rig::object("CronJob", &namespace, "web")]).await;
    let request = rig::request(2, &namespace);
    let report = upgrade(
        &live,
        &hikaru_k8s::SystemClock::default(),
        request,
        Mode::DryRun,
    )
    .await
    .expect("a report");
    assert_eq!(report.entries[0].outcome, Outcome::Upgraded);
    let now = rig::read(&live, &id(&namespace, "CronJob", "web")).await;
    assert_eq!(*now.containers[0].image, image(1));
    assert_eq!((now.last_upgrade, &now.containers[0].mark), (None, &None));
    assert_eq!(rig::our_writes(&namespace).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_from_outside_reach_no_url() {
    let live = live().await;
    let odd = id("../../kube-system", "Deployment", "web");
    let error = live.read(&odd).await.expect_err("a wrong namespace");
    assert!(
        error.to_string().contains("expected a namespace"),
        "{error}"
    );
    let odd = id("default", "Deployment", "../secrets/x");
    let error = live.read(&odd).await.expect_err("a wrong name");
    assert!(matches!(error, ClusterError::Invalid(_)), "{error}");
    let scope = Scope {
        select: Select::All,
        namespaces: vec!["..".into()],
        workloads: Vec::new(),
    };
    assert!(live.find(&scope).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_applies_an_object_is_named_before_and_after_the_image_is_ours() {
    let (live, namespace) = (live().await, rig::namespace("applied").await);
    let applied = rig::object("Deployment", &namespace, "web").to_string();
    let apply = [
        "apply",
        "--server-side",
        "--field-manager=shop-ci",
        "--filename=-",
    ];
    rig::kubectl(&apply, &applied).await;
    for build in [2, 3] {
        let report = rig::post(&live, build, &namespace).await;
        let entry = &report.entries[0];
        assert_eq!(entry.outcome, Outcome::Upgraded);
        let warnings: Vec<String> = entry
            .entry
            .warnings
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            warnings,
            [
                "the field manager shop-ci owns it, too: its next server-side apply fails with a conflict on the image, or \
              puts its own image back if it is forced, unless it is given the running tag"
            ]
        );
    }
    // The sentence is true.
    let args = apply.map(str::to_owned);
    let refused = rig::blocking(move || {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        Cluster::shared().kubectl_with_input(&args, &applied)
    });
    let refused = refused.await.expect_err("a conflict").to_string();
    assert!(
        refused.contains("conflict with \"hikaru\"") && refused.contains("image"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_volume_is_upgraded_marked_held_and_let_go() {
    let (live, namespace) = (live().await, rig::namespace("volume").await);
    let mut object = rig::object("Deployment", &namespace, "web");
    let volumes = json!([{"name": "cache", "emptyDir": {}},
        {"name": "assets", "image": {"reference": image(1), "pullPolicy": "IfNotPresent"}}]);
    object["spec"]["template"]["spec"]["volumes"] = volumes;
    rig::create(&[object]).await;
    let report = rig::post(&live, 2, &namespace).await;
    assert_eq!(rig::codes(&report), ["upgrade", "upgrade"]);
    assert_eq!(report.entries[0].outcome, Outcome::Upgraded);
    let web = id(&namespace, "Deployment", "web");
    let now = rig::read(&live, &web).await;
    let assets = now.container("volume assets").expect("the volume");
    assert_eq!(*assets.image, image(2));
    let mark = assets.mark.clone().expect("a mark");
    let label = "jsonpath={.metadata.labels.high-water\\.hikaru\\.dev/volume\\.assets}";
    let get = |what| ["get", "deployment", "web", "-o", what, "-n", &namespace];
    assert_eq!(rig::kubectl(&get(label), "").await, *mark);
    let cause = "jsonpath={.metadata.annotations.kubernetes\\.io/change-cause}";
    assert_eq!(
        rig::kubectl(&get(cause), "").await,
        "hikaru: web and volume assets to acme_web_main_1.4.0_2_0123abcd"
    );
    // Somebody takes the volume back alone.
    let patch = json!([{"op": "replace", "path": "/spec/template/spec/volumes/1/image/reference", "value": image(1)}]);
    let patch = format!("--patch={patch}");
    let args = [
        "patch",
        "deployment",
        "web",
        "--type=json",
        &patch,
        "-n",
        &namespace,
    ];
    rig::kubectl(&args, "").await;
    let report = rig::post(&live, 2, &namespace).await;
    assert_eq!(rig::codes(&report), ["equal", "held"]);
    let name = format!("{namespace}/deployment/web")
        .parse()
        .expect("a name");
    let removed = live.unhold(&name, Some("volume assets".into())).await;
    assert_eq!(removed, Ok(vec![("volume assets".into(), mark)]));
    let report = rig::post(&live, 2, &namespace).await;
    assert_eq!(rig::codes(&report), ["equal", "upgrade"]);
    let writes = rig::our_writes(&namespace).await;
    assert_eq!(writes.len(), 3);
    writes[..1].iter().for_each(rig::assert_ours);
}

/// The server refuses a write as stale if the volume is another one by then.
#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_was_changed_meanwhile_is_judged_again() {
    let (live, namespace) = (live().await, rig::namespace("volume-between").await);
    let mut object = rig::object("Deployment", &namespace, "web");
    let volumes = json!([{"name": "assets", "image": {"reference": image(1)}}]);
    object["spec"]["template"]["spec"]["volumes"] = volumes;
    rig::create(&[object]).await;
    let patch = json!([{"op": "replace", "path": "/spec/template/spec/volumes/0/image/reference", "value": image(9)}]);
    let patch = format!("--patch={patch}");
    let acts: &[&str] = &["patch", "deployment", "web", "--type=json", &patch];
    let report = post_while(&live, 2, &namespace, None, &[acts]).await;
    assert_eq!(rig::codes(&report), ["upgrade", "obsolete"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_api_server_warns_of_is_told() {
    let (live, namespace) = (live().await, rig::namespace("warned").await);
    let mut object = rig::object("Deployment", &namespace, "web");
    let selector = json!({"beta.kubernetes.io/os": "linux"});
    object["spec"]["template"]["spec"]["nodeSelector"] = selector;
    object["spec"]["paused"] = json!(true);
    rig::create(&[object]).await;
    let report = rig::post(&live, 2, &namespace).await;
    let warnings = report.entries[0].entry.warnings.iter();
    let warnings: Vec<String> = warnings.map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].starts_with("its rollout is paused"));
    assert!(
        warnings[1].starts_with(
            "the API server warns: spec.template.spec.nodeSelector[beta.kubernetes.io/os]"
        ),
        "{warnings:?}"
    );
}
