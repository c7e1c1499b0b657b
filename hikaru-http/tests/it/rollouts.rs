//! `GET /api/rollout/…` and `GET /api/status`: the JSON, what is refused, and that they keep no upgrade waiting.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use hikaru_core::{
    Text, Workload, WorkloadId,
    port::{ClusterError, Fault, Found, Freshness, RolloutPort, Severity, WorkloadPort},
    rollout::{
        ContainerFacts, ContainerState, EventFacts, PodFacts, ReplicaSetFacts, RolloutFacts,
        RolloutKind, Rollouts, Terminated,
    },
    testing::{MemoryCluster, MockWorkloadPort},
    workload::{Place, Progress, Setting, WorkloadName},
};
use hikaru_http::{Authentication, Bound, Limits, Serving};
use serde_json::{Value, json};
use tokio::{sync::Semaphore, time::timeout};

use crate::{
    client::{Answer, Client, LONG, call, request},
    cluster::{BEFORE, POSTED, listener, memory, still_clock, workload},
};

/// A server with rollouts on this port, if there is one.
pub(crate) async fn serve_with(
    workloads: Arc<dyn WorkloadPort>,
    port: Option<Arc<dyn RolloutPort>>,
    limits: Limits,
) -> Serving {
    let rollouts = Rollouts::new(workloads.clone(), port, still_clock(), true);
    let bound = Bound::new(
        listener().await,
        workloads,
        still_clock(),
        Authentication::Loopback,
    );
    let bound = bound.expect("a loopback address").rollouts(rollouts);
    bound.limits(limits).serve()
}

async fn serve(cluster: Arc<MemoryCluster>) -> Serving {
    serve_with(cluster.clone(), Some(cluster), Limits::default()).await
}

async fn get(server: &Serving, target: &str) -> Answer {
    call(server.address(), "GET", target).await
}

fn progress(desired: i32, available: i32) -> Progress {
    let mut progress = Progress::default();
    (progress.desired, progress.current, progress.updated) = (desired, desired, desired);
    progress.available = available;
    progress
}

/// A Deployment of one pod that crashes; what it and the kubelet say has control characters.
pub(crate) fn put_crashing(cluster: &MemoryCluster) {
    let mut web = workload("shop", "Deployment", "web", &[("web", POSTED)]);
    web.progress = Some(progress(1, 0));
    cluster.put(web.clone());
    let start = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    cluster.tell_rollout(&web.id, |facts: &mut RolloutFacts| {
        let uid = facts.workload.uid.clone();
        facts.now = start + Duration::from_secs(300);
        let object = &mut facts.object;
        object.kind = RolloutKind::Deployment;
        (object.generation, object.observed) = (2, 2);
        object.revision = Some("2".into());
        (object.desired, object.current, object.updated) = (1, 2, 1);
        let mut set = ReplicaSetFacts::default();
        (set.name, set.uid, set.owner) = ("web-2".into(), "set-2".into(), Some(uid));
        set.revision = Some("2".into());
        set.created = Some(start);
        (set.desired, set.current) = (1, 1);
        facts.replica_sets = vec![set.into()];
        let mut pod = PodFacts::default();
        (pod.name, pod.uid, pod.owner) = ("web-2-a".into(), "pod-a".into(), Some("set-2".into()));
        pod.created = Some(start);
        (pod.phase, pod.node) = ("Running".into(), Some("node-1".into()));
        let mut container = ContainerFacts::default();
        (container.name, container.image) = ("web".into(), POSTED.into());
        container.restarts = 5;
        container.state = ContainerState::Waiting {
            reason: "CrashLoopBackOff".into(),
            message: "back-off 2m40s restarting failed container".into(),
        };
        let mut last = Terminated::default();
        (last.exit_code, last.reason) = (3, "Error".into());
        last.message = "no\u{1b}[31m database\u{202e}\r\n".into();
        last.started = Some(start + Duration::from_secs(200));
        last.finished = Some(start + Duration::from_secs(201));
        container.last = Some(last);
        pod.containers = vec![container];
        facts.pods = vec![pod.into()];
        let mut event = EventFacts::default();
        (event.about, event.object) = ("pod-a".into(), "Pod web-2-a".into());
        (event.is_warning, event.count) = (true, 7);
        (event.reason, event.message) = ("BackOff".into(), "restarting\u{7} web".into());
        event.last = Some(start + Duration::from_secs(250));
        facts.events = Some(vec![event]);
    });
    let log = "starting\n\u{1b}[2Kno database\n";
    cluster.tell_log("shop", "web-2-a", "web", true, log);
}

#[tokio::test]
async fn a_rollout_that_failed_says_why_and_what_shows_it() {
    let cluster = memory([]);
    put_crashing(&cluster);
    let server = serve(cluster.clone()).await;
    let answer = get(&server, "/api/rollout/shop/DEPLOY/web").await;
    assert_eq!(answer.status, 200);
    let escaped = ["\\u001b", "\\u0007", "\\u202e"];
    assert!(
        escaped.iter().all(|raw| !answer.text.contains(raw)),
        "{}",
        answer.text
    );
    assert!(!answer.text.contains('\u{202e}'), "{}", answer.text);
    let mut told = answer.json();
    let message = told["cause"]["message"].take();
    assert_eq!(told["sentence"].take(), message);
    let message = message.as_str().expect("a sentence");
    for part in ["shop/Deployment/web", "web", "1 of 1"] {
        assert!(message.contains(part), "{message}");
    }
    let details = told["cause"]["details"].take();
    assert!(details.is_object(), "{details}");
    assert_eq!(
        told,
        json!({
            "namespace": "shop", "kind": "Deployment", "name": "web",
            "state": "failed", "sentence": null,
            "cause": {"code": "CrashLoop", "message": null, "details": null, "pod": "web-2-a", "container": "web", "count": 1},
            "desired": 1, "updated": 1, "ready": 0, "available": 0, "old": 0, "pods": ["web-2-a"],
            "containers": [{"name": "web", "image": POSTED}],
            "remarks": [], "unseen": [],
            "evidence": {
                "events": [{"reason": "BackOff", "object": "Pod web-2-a", "message": r"restarting\u{7} web", "count": 7}],
                "log": {"pod": "web-2-a", "container": "web", "previous": true, "lines": ["starting", r"\u{1b}[2Kno database"]},
                "unseen": [],
            },
        })
    );

    // It is deleted meanwhile.
    cluster.remove(&WorkloadId::new("shop", "Deployment", "web"));
    let answer = get(&server, "/api/rollout/shop/DEPLOY/web").await;
    assert_eq!(
        (answer.status, &*answer.problem().0),
        (404, "no-such-workload")
    );
}

#[tokio::test]
async fn what_is_no_question_about_a_rollout() {
    let cluster = memory([workload("shop", "CronJob", "report", &[("web", BEFORE)])]);
    let server = serve(cluster).await;
    let answer = get(&server, "/api/rollout/shop/cj/report").await;
    assert_eq!(answer.json()["state"], "not-applicable");
    for (target, status, problem, detail) in [
        (
            "/api/rollout/shop/deploy/absent",
            404,
            "no-such-workload",
            "there is no shop/Deployment/absent",
        ),
        (
            "/api/rollout/shop/pod/web",
            400,
            "bad-name",
            "expected one of the kinds Deployment (deploy)",
        ),
        (
            "/api/rollout/Shop/deploy/web",
            400,
            "bad-name",
            "expected a namespace of",
        ),
        (
            "/api/rollout/shop/deploy/web%0a",
            400,
            "bad-name",
            "expected a name of",
        ),
        (
            "/api/rollout/shop/deploy/%2e%2e%2fx",
            400,
            "bad-name",
            "expected NAMESPACE/KIND/NAME",
        ),
        (
            "/api/rollout/shop/deploy/%zz",
            400,
            "bad-name",
            "not a name: expected two hex digits",
        ),
        (
            "/api/rollout/shop/deploy/web?force=held",
            400,
            "bad-query",
            "expected one of wait, stableFor, found `force`",
        ),
        (
            "/api/rollout/shop/web",
            404,
            "unknown-route",
            "expected /api/image/",
        ),
        (
            "/api/status?name=web",
            400,
            "bad-query",
            "expected one of owner, repo, branch, namespace, found `name`",
        ),
        (
            "/api/status?namespace=Shop",
            400,
            "bad-query",
            "namespace: expected a namespace of",
        ),
        (
            "/api/status?owner=",
            400,
            "bad-query",
            "owner: expected a label's value, found nothing",
        ),
    ] {
        let answer = get(&server, target).await;
        assert_eq!(
            (answer.status, &*answer.problem().0),
            (status, problem),
            "{target}"
        );
        assert!(answer.problem().1.starts_with(detail), "{answer:?}");
    }
    let answer = call(server.address(), "DELETE", "/api/status").await;
    assert_eq!(
        (answer.status, answer.header("allow")),
        (405, Some("GET, HEAD"))
    );
}

#[tokio::test]
async fn a_cluster_without_rollouts_or_without_an_answer() {
    let mut web = workload("shop", "Deployment", "web", &[("web", BEFORE)]);
    web.id = web.id.at("web.yaml#1");
    let folder = memory([web]);
    let server = serve_with(folder, None, Limits::default()).await;
    let answer = get(&server, "/api/rollout/shop/deploy/web").await;
    assert_eq!((answer.status, &*answer.problem().0), (501, "unsupported"));
    let rows = get(&server, "/api/status").await.json();
    assert_eq!(
        (&rows[0]["state"], &rows[0]["file"], &rows[0]["ready"]),
        (&json!("not-applicable"), &json!("web.yaml#1"), &Value::Null)
    );

    let mut old = MockWorkloadPort::new();
    let reason = None;
    old.expect_freshness()
        .return_const(Freshness::Stale { reason });
    let server = serve_with(Arc::new(old), Some(memory([])), Limits::default()).await;
    for target in ["/api/rollout/shop/deploy/web", "/api/status"] {
        let answer = get(&server, target).await;
        assert_eq!((answer.status, &*answer.problem().0), (503, "unavailable"));
    }

    // A server that was made without rollouts.
    let server = crate::cluster::serve(memory([])).await;
    for target in ["/api/rollout/shop/deploy/web", "/api/status"] {
        assert_eq!(get(&server, target).await.status, 501);
    }
}

/// A workload that is complete, of a source.
fn complete(namespace: &str, name: &str, repo: &str, image: &str) -> Workload {
    let mut workload = workload(namespace, "Deployment", name, &[("web", image)]);
    workload.labels.repo = Some(repo.into());
    workload.progress = Some(progress(3, 3));
    workload
}

#[tokio::test]
async fn a_status_says_what_runs_where() {
    let web = complete("shop", "web", "web", POSTED);
    let mut held = complete("blog", "web", "web", BEFORE);
    held.containers[0].mark = Some("1.4.0_7_d5ecc80e".into());
    held.containers
        .push(hikaru_core::Container::new("proxy", "proxy:2.0"));
    let mut manual = complete("shop", "manual", "web.git", "acme/web:latest");
    manual.settings = vec![Setting::new(Place::Label, "upgrade", "manual")];
    let mut odd = complete("shop", "odd", "api", "acme/api:${TAG}");
    odd.settings = vec![Setting::new(Place::Label, "upgrade", "never")];
    let mut unlabeled = complete("shop", "unlabeled", "web", POSTED);
    unlabeled.labels.owner = None;
    let cluster = memory([web, held, manual, odd, unlabeled]);
    put_crashing_as(&cluster, "crashing");
    let server = serve(cluster).await;
    let names = async |query: &str| {
        let rows = get(&server, &format!("/api/status{query}")).await.json();
        let rows = rows.as_array().expect("a list").clone();
        let name = |row: &Value| {
            format!(
                "{}/{}",
                row["namespace"].as_str().expect("text"),
                row["name"].as_str().expect("text")
            )
        };
        rows.iter().map(name).collect::<Vec<_>>()
    };
    let all = [
        "blog/web",
        "shop/crashing",
        "shop/manual",
        "shop/odd",
        "shop/web",
    ];
    assert_eq!(names("").await, all);
    assert_eq!(names("?repo=web").await, [all[0], all[1], all[2], all[4]]);
    assert_eq!(names("?owner=acme&repo=api&branch=main").await, [all[3]]);
    assert_eq!(names("?namespace=blog,edge").await, [all[0]]);
    assert_eq!(names("?owner=a%29%2Cb+in+%28c").await, [""; 0]);

    let rows = get(&server, "/api/status").await.json();
    let held = "the container web runs 1.3.0_6, lower than 1.4.0_7 that was deployed before: builds up to that one are held; \
                to let them out again: hikaru unhold blog/Deployment/web";
    assert_eq!(
        rows[0],
        json!({
            "namespace": "blog", "kind": "Deployment", "name": "web", "owner": "acme", "repo": "web", "branch": "main",
            "containers": [
                {"name": "web", "image": BEFORE, "version": "1.3.0", "build": "6", "commit": "0123abcd", "mark": "1.4.0_7", "held": true},
                {"name": "proxy", "image": "proxy:2.0", "version": "2.0", "held": false},
            ],
            "ready": 3, "desired": 3, "state": "complete", "sentence": "blog/Deployment/web: complete, 3 of 3 pods are ready",
            "remarks": [], "unseen": [],
            "manual": false, "held": true, "why": [held],
        })
    );
    let crashing = &rows[1];
    assert_eq!(
        (&crashing["state"], &crashing["ready"]),
        (&json!("failed"), &json!(0))
    );
    assert_eq!(crashing["cause"]["code"], "CrashLoop");
    let manual = &rows[2];
    assert_eq!(
        (&manual["manual"], &manual["containers"][0].get("version")),
        (&json!(true), &None)
    );
    assert_eq!(
        manual["why"],
        json!(["opted out by the label hikaru.dev/upgrade: manual"])
    );
    assert_eq!(
        rows[3]["why"],
        json!(["the label hikaru.dev/upgrade is \"never\": expected auto or manual"])
    );
}

/// The same as [`put_crashing`] by another name.
fn put_crashing_as(cluster: &MemoryCluster, name: &str) {
    let other = memory([]);
    put_crashing(&other);
    let mut web = other
        .get(&WorkloadId::new("shop", "Deployment", "web"))
        .expect("it");
    web.id.name = name.into();
    cluster.put(web.clone());
    let uid = cluster.get(&web.id).expect("it").uid;
    cluster.tell_rollout(&web.id, |facts| {
        let crashing = futures_util::FutureExt::now_or_never(
            other.facts(&"shop/deploy/web".parse::<WorkloadName>().expect("a name")),
        );
        let crashing = crashing
            .expect("at once")
            .expect("an answer")
            .expect("facts");
        (facts.now, facts.object) = (crashing.now, crashing.object);
        (facts.replica_sets, facts.pods) = (crashing.replica_sets, crashing.pods);
        for set in &mut facts.replica_sets {
            Arc::make_mut(set).owner = Some(uid.clone());
        }
    });
}

#[tokio::test]
async fn a_status_that_may_lack_rows_says_so() {
    let mut cluster = MockWorkloadPort::new();
    cluster.expect_freshness().return_const(Freshness::Fresh);
    cluster.expect_find().returning(|_| {
        let web = complete("shop", "web", "web", POSTED);
        let fault = Fault::new(Severity::Failure, "daemonsets.apps", "forbidden");
        Ok(Found::new(vec![web.into()], vec![fault]))
    });
    let server = serve_with(Arc::new(cluster), Some(memory([])), Limits::default()).await;
    let answer = get(&server, "/api/status").await;
    assert_eq!((answer.status, &*answer.problem().0), (502, "incomplete"));
    let problem = answer.json();
    assert_eq!(problem["rows"][0]["name"], "web");
    assert_eq!(problem["faults"][0]["place"], "daemonsets.apps");
}

/// A cluster whose rollouts are told when they are let through.
struct Gated {
    begun: Semaphore,
    gate: Semaphore,
}

#[async_trait]
impl RolloutPort for Gated {
    async fn facts(&self, _: &WorkloadName) -> Result<Option<RolloutFacts>, ClusterError> {
        self.begun.add_permits(1);
        self.gate.acquire().await.expect("open").forget();
        Ok(None)
    }

    async fn events(&self, _: &str, _: &BTreeSet<Text>) -> Result<Vec<EventFacts>, ClusterError> {
        Ok(Vec::new())
    }

    async fn not_ready_nodes(&self) -> Result<BTreeSet<Text>, ClusterError> {
        Ok(BTreeSet::new())
    }

    async fn log<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: &'a str,
        _: bool,
        _: u32,
    ) -> Result<String, ClusterError> {
        Ok(String::new())
    }
}

#[tokio::test]
async fn questions_about_rollouts_wait_for_each_other_and_keep_no_upgrade_waiting() {
    let gated = Arc::new(Gated {
        begun: Semaphore::new(0),
        gate: Semaphore::new(0),
    });
    let mut limits = Limits::default();
    (limits.rollouts, limits.upgrades, limits.reads) = (1, 1, 1);
    let shop = crate::cluster::shop();
    let server = serve_with(shop, Some(gated.clone()), limits).await;
    let target = "/api/rollout/shop/deploy/web";
    let mut first = Client::connect(server.address()).await;
    first.send(request("GET", target, &[])).await;
    let begun = timeout(LONG, gated.begun.acquire()).await;
    begun.expect("in time").expect("open").forget();
    let mut second = Client::connect(server.address()).await;
    second.send(request("GET", target, &[])).await;
    // Both wait: a plan and an upgrade go past them.
    let plan = get(&server, &format!("/api/candidates/{POSTED}")).await;
    assert_eq!(plan.status, 200);
    let post = call(server.address(), "POST", &format!("/api/image/{POSTED}")).await;
    assert_eq!(post.status, 200);
    assert_eq!(
        gated.begun.available_permits(),
        0,
        "the second one has not begun"
    );
    gated.gate.add_permits(2);
    assert_eq!(first.answer().await.status, 404);
    assert_eq!(second.answer().await.status, 404);
}
