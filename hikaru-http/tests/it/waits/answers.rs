//! The answers to waits: each outcome with its status, and which one is told if there are several.

use hikaru_core::{
    Mode, Workload,
    policy::Change,
    port::{ClusterError, Found, Freshness, Scope, WorkloadPort, Written},
    testing::MemoryCluster,
    workload::{Place, Setting, WorkloadName},
};
use serde_json::{Value, json};

use super::*;
use crate::{
    cluster::{POSTED, runs},
    rollouts::put_crashing,
};

/// `web: complete`, of each rollout in a list.
fn states(rollouts: &Value) -> Vec<String> {
    let all = rollouts.as_array().expect("a list").iter();
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    all.map(|one| format!("{}: {}", text(&one["name"]), text(&one["state"])))
        .collect()
}

#[tokio::test]
async fn all_are_complete() {
    let mut equal = workload("shop", "CronJob", "report", &[("web", POSTED)]);
    equal.containers[0].image = POSTED.into();
    let scene = Scene::shop(&["web"]);
    scene.cluster.put(equal);
    scene.complete("web");
    let server = scene.serve().await;
    let answer = post(&server, "?wait=5m").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let rollout = |kind: &str, name: &str, state: &str, sentence: &str| {
        json!({
            "namespace": "shop", "kind": kind, "name": name, "state": state, "sentence": sentence,
            "desired": 0, "updated": 0, "ready": 0, "available": 0, "old": 0,
            "containers": [{"name": "web", "image": POSTED}], "remarks": [], "unseen": [],
        })
    };
    let report = rollout(
        "CronJob",
        "report",
        "not-applicable",
        "shop/CronJob/report has no rollout: its next run uses the image that it is set to",
    );
    let complete = "shop/Deployment/web: complete, with 0 pods";
    let mut web = rollout("Deployment", "web", "complete", complete);
    web["remarks"] = answer.json()[1]["rollout"]["remarks"].clone();
    assert_eq!(
        answer.json(),
        json!([
            {"namespace": "shop", "kind": "CronJob", "name": "report", "containers": [], "rollout": report},
            {"namespace": "shop", "kind": "Deployment", "name": "web",
             "containers": [{"name": "web", "from": BEFORE, "to": POSTED}], "rollout": web},
        ])
    );

    // Repeated, it does not lie.
    let answer = post(&server, "?wait=5m&report=full").await;
    assert_eq!(answer.status, 200);
    let entries = &answer.json()["equal"];
    assert_eq!(entries[0]["rollout"]["state"], "not-applicable");
    assert_eq!(entries[1]["rollout"]["state"], "complete");

    let answer = get(&server, VERIFY).await;
    assert_eq!((answer.status, answer.json()), (200, json!([report, web])));
    let answer = get(
        &server,
        &format!("{VERIFY}?wait=5m&workload=shop/cj/report"),
    )
    .await;
    assert_eq!((answer.status, answer.json()), (200, json!([report])));
    let answer = get(&server, &format!("{ROLLOUT}?wait=5m&stableFor=0s")).await;
    assert_eq!((answer.status, answer.json()), (200, web));
}

#[tokio::test]
async fn one_fails_with_its_cause_and_what_shows_it() {
    let scene = Scene::shop(&["admin"]);
    put_crashing(&scene.cluster);
    let server = scene.serve().await;
    let answer = post(&server, "?wait=5m&failFast=false").await;
    assert_eq!(answer.status, 409, "{}", answer.text);
    let (kind, detail) = answer.problem();
    assert_eq!(kind, "rollout-failed");
    let begin = "1 of 2 rollouts failed: shop/Deployment/web: ";
    assert!(detail.starts_with(begin), "{detail}");
    let problem = answer.json();
    assert_eq!(
        states(&problem["rollouts"]),
        ["admin: progressing", "web: failed"]
    );
    assert_eq!(states(&problem["upgraded"]), ["admin: ?"]);
    let web = &problem["rollouts"][1];
    assert_eq!(web["cause"]["code"], "CrashLoop");
    assert_eq!(web["evidence"]["events"][0]["reason"], "BackOff");
    assert_eq!(problem["report"], Value::Null);

    for target in [&*format!("{VERIFY}?wait=5m"), VERIFY] {
        let answer = get(&server, target).await;
        assert_eq!(
            (answer.status, &*answer.problem().0),
            (409, "rollout-failed")
        );
        let web = &answer.json()["rollouts"][1];
        assert_eq!(web["evidence"]["log"]["pod"], "web-2-a");
    }
    let answer = get(&server, &format!("{ROLLOUT}?wait=5m")).await;
    assert_eq!(
        (answer.status, &*answer.problem().0),
        (409, "rollout-failed")
    );
    assert_eq!(states(&answer.json()["rollouts"]), ["web: failed"]);
    assert_eq!(get(&server, ROLLOUT).await.status, 200, "without a wait");
}

#[tokio::test]
async fn the_time_is_over() {
    let scene = Scene::shop(&["web"]);
    let server = scene.serve().await;
    let unfinished = "1 of 1 rollout not complete within 90 min: shop/Deployment/web: 0 of 1 new pods are ready; 1 pod is still to be \
                      created; what has not failed goes on: ";
    for (answer, see) in [
        (
            post(&server, "?wait=1h30m").await,
            "GET /api/verify/acme/web:acme_web_main_1.4.0_7_0123abcd",
        ),
        (
            get(&server, &format!("{VERIFY}?wait=90m")).await,
            "repeating the call is safe",
        ),
        (
            get(&server, &format!("{ROLLOUT}?wait=90m")).await,
            "GET /api/rollout/shop/Deployment/web",
        ),
    ] {
        let expected = (
            "rollout-unfinished".to_owned(),
            format!("{unfinished}{see}"),
        );
        assert_eq!((answer.status, answer.problem()), (504, expected));
        assert_eq!(states(&answer.json()["rollouts"]), ["web: progressing"]);
    }
    // Without a wait it is looked at once.
    let answer = get(&server, VERIFY).await;
    let detail = "1 of 1 rollout not complete: shop/Deployment/web: 0 of 1 new pods are ready; 1 pod is still to be created; \
                  what has not failed goes on: with wait=15m the answer comes when it has ended";
    let expected = ("rollout-unfinished".to_owned(), detail.to_owned());
    assert_eq!((answer.status, answer.problem()), (504, expected));
}

#[tokio::test]
async fn an_answer_comes_with_the_first_failure_unless_all_are_asked_for() {
    for (query, admin) in [
        ("?wait=5m", "admin: progressing"),
        ("?wait=5m&failFast=true", "admin: progressing"),
        ("?wait=24h&failFast=false", "admin: complete"),
    ] {
        let scene = Scene::shop(&["admin", "web"]);
        scene.pause("web");
        let server = scene.serve_in_time(Limits::default()).await;
        let waiting = post(&server, query);
        let ends = async {
            scene.until_followed(1).await;
            scene.complete("admin");
        };
        let answer = match query.contains("false") {
            true => tokio::join!(waiting, ends).0,
            false => waiting.await,
        };
        assert_eq!(
            (answer.status, &*answer.problem().0),
            (409, "rollout-failed")
        );
        assert_eq!(states(&answer.json()["rollouts"]), [admin, "web: paused"]);
    }
}

#[tokio::test]
async fn what_is_deleted_reverted_or_superseded_meanwhile() {
    for (what, status, state) in [
        ("deleted", 409, "deleted"),
        ("reverted", 409, "reverted"),
        ("superseded", 200, "superseded"),
    ] {
        let scene = Scene::shop(&["web"]);
        let server = scene.serve_in_time(Limits::default()).await;
        let waiting = post(&server, "?wait=24h");
        let ends = async {
            scene.until_followed(1).await;
            let image = match what {
                "deleted" => {
                    scene.cluster.remove(&deployment("web"));
                    return;
                }
                "reverted" => BEFORE,
                _ => "acme/web:acme_web_main_1.5.0_8_0123abcd",
            };
            let edit = |web: &mut Workload| web.containers[0].image = image.into();
            scene.cluster.edit(&deployment("web"), edit);
        };
        let (answer, ()) = tokio::join!(waiting, ends);
        assert_eq!(answer.status, status, "{}", answer.text);
        let told = match status {
            200 => answer.json()[0]["rollout"].clone(),
            _ => answer.json()["rollouts"][0].clone(),
        };
        assert_eq!(told["state"], state);
        assert_eq!(
            (&told["namespace"], &told["name"]),
            (&json!("shop"), &json!("web"))
        );
        assert!(
            told["sentence"]
                .as_str()
                .is_some_and(|text| !text.is_empty())
        );
    }
}

#[tokio::test]
async fn nothing_to_wait_for_is_answered_at_once() {
    let mut higher = workload("shop", "Deployment", "web", &[("web", POSTED)]);
    higher.containers[0].image = "acme/web:acme_web_main_9.0.0_9_0123abcd".into();
    let scene = Scene::new([higher]);
    let server = scene.serve_in_time(Limits::default()).await;
    let answer = post(&server, "?wait=24h").await;
    assert_eq!((answer.status, &*answer.text), (200, "[]"));
    assert!(answer.header("x-hikaru-note").is_some());
    let answer = get(&server, &format!("{VERIFY}?wait=24h")).await;
    assert_eq!(
        (answer.status, states(&answer.json())),
        (200, vec!["web: superseded".into()])
    );

    let empty = Scene::new([]);
    let server = empty.serve_in_time(Limits::default()).await;
    let answer = post(&server, "?wait=24h").await;
    assert_eq!((answer.status, &*answer.text), (200, "[]"));
    let answer = post(&server, "?wait=24h&strict=true").await;
    assert_eq!((answer.status, &*answer.problem().0), (409, "strict"));
}

#[tokio::test]
async fn what_an_image_is_meant_for_and_does_not_run_it() {
    // Nothing matches; another branch nearly does.
    let mut near = workload("shop", "Deployment", "web", &[("web", BEFORE)]);
    near.labels.branch = Some("mian".into());
    let scene = Scene::new([near]);
    let server = scene.serve().await;
    for query in ["", "?wait=5m"] {
        let answer = get(&server, &format!("{VERIFY}{query}")).await;
        let detail = "nothing matched: see nearMisses of the report";
        let expected = ("strict".to_owned(), detail.to_owned());
        assert_eq!((answer.status, answer.problem()), (409, expected));
        let near = &answer.json()["report"]["nearMisses"][0];
        assert!(
            near.as_str().is_some_and(|text| text.contains("mian")),
            "{near}"
        );
    }
    for query in ["?allowNone=true", "?allowNone=true&wait=5m"] {
        let answer = get(&server, &format!("{VERIFY}{query}")).await;
        assert_eq!((answer.status, &*answer.text), (200, "[]"));
    }

    // One that is opted out fails at once; one that is not written yet is waited for.
    let scene = Scene::shop(&["web"]);
    let server = scene.serve_in_time(Limits::default()).await;
    let answer = get(&server, VERIFY).await;
    assert_eq!(
        (answer.status, &*answer.problem().0),
        (504, "rollout-unfinished")
    );
    let target = format!("{VERIFY}?wait=24h");
    let waiting = get(&server, &target);
    let sync = async {
        scene.until_followed(1).await;
        scene.complete("web");
        let edit = |web: &mut Workload| web.containers[0].image = POSTED.into();
        scene.cluster.edit(&deployment("web"), edit);
    };
    let (answer, ()) = tokio::join!(waiting, sync);
    assert_eq!(
        (answer.status, states(&answer.json())),
        (200, vec!["web: complete".into()])
    );
    let opt_out = |web: &mut Workload| {
        web.settings = vec![Setting::new(Place::Label, "upgrade", "manual")];
        web.containers[0].image = BEFORE.into();
    };
    scene.cluster.edit(&deployment("web"), opt_out);
    for query in ["", "?wait=24h"] {
        let answer = get(&server, &format!("{VERIFY}{query}")).await;
        assert_eq!(
            (answer.status, &*answer.problem().0),
            (409, "rollout-failed")
        );
        let problem = answer.json();
        assert_eq!(states(&problem["rollouts"]), ["web: not-deployed"]);
    }
}

/// A cluster in which one workload cannot be written, for this reason.
struct Refusing(Arc<MemoryCluster>, ClusterError);

#[async_trait]
impl WorkloadPort for Refusing {
    fn freshness(&self) -> Freshness {
        Freshness::Fresh
    }

    async fn find(&self, scope: &Scope) -> Result<Found, ClusterError> {
        self.0.find(scope).await
    }

    async fn read(&self, id: &WorkloadId) -> Result<Option<Workload>, ClusterError> {
        self.0.read(id).await
    }

    async fn write(&self, change: &Change, mode: Mode) -> Result<Written, ClusterError> {
        match &*change.judged().id.name {
            "refused" => Err(self.1.clone()),
            _ => self.0.write(change, mode).await,
        }
    }

    async fn unhold(
        &self,
        _: &WorkloadName,
        _: Option<Text>,
    ) -> Result<Vec<(Text, Text)>, ClusterError> {
        Err(ClusterError::Unsupported("that"))
    }
}

#[tokio::test]
async fn of_several_outcomes_the_first_is_told() {
    let retryable = || ClusterError::Unavailable {
        message: "429".into(),
        retry_after: None,
    };
    let refused = || ClusterError::Forbidden("cannot patch".into());
    // Which write fails, how the other rollout is, whether one is held, and what is asked besides.
    for (write, rollout, held, query, status, problem) in [
        (Some(retryable()), "paused", true, "", 502, "incomplete"),
        (
            Some(retryable()),
            "complete",
            false,
            "&failFast=false",
            502,
            "incomplete",
        ),
        (
            Some(retryable()),
            "paused",
            false,
            "&failFast=false",
            502,
            "incomplete",
        ),
        (
            Some(refused()),
            "paused",
            true,
            "&failFast=false&strict=true",
            422,
            "refused",
        ),
        (Some(refused()), "complete", false, "", 422, "refused"),
        (None, "paused", true, "&strict=true", 409, "rollout-failed"),
        (None, "progressing", true, "&strict=true", 409, "strict"),
        (None, "complete", true, "&strict=true", 409, "strict"),
        (None, "progressing", true, "", 504, "rollout-unfinished"),
        (None, "unknown", true, "&strict=true", 422, "refused"),
        (
            Some(retryable()),
            "unknown",
            false,
            "&failFast=false",
            502,
            "incomplete",
        ),
    ] {
        let scene = Scene::shop(&["web"]);
        match rollout {
            "paused" => scene.pause("web"),
            "complete" => scene.complete("web"),
            "unknown" => scene.fail(ClusterError::Forbidden("cannot get".into())),
            _ => {}
        }
        if held {
            let mut held = workload("shop", "Deployment", "held", &[("web", BEFORE)]);
            held.containers[0].mark = Some("1.4.0_7_d5ecc80e".into());
            scene.cluster.put(held);
        }
        let case = format!("{write:?} {rollout} {held} {query}");
        let is_awaited = write.is_none() || query.contains("failFast=false");
        if write.is_some() {
            let refused = workload("shop", "Deployment", "refused", &[("web", BEFORE)]);
            scene.cluster.put(refused);
        }
        let error = write.unwrap_or(ClusterError::Stale);
        let cluster = Arc::new(Refusing(scene.cluster.clone(), error));
        let server = scene.bound(cluster, still_clock()).await.serve();
        let answer = post(&server, &format!("?wait=5m{query}")).await;
        let told = (answer.status, &*answer.problem().0);
        assert_eq!(told, (status, problem), "{case}: {}", answer.text);
        let answer = answer.json();
        assert_eq!(
            answer["report"].is_object(),
            query.contains("strict"),
            "{case}"
        );
        assert_eq!(answer["rollouts"].is_array(), is_awaited, "{case}");
        if is_awaited {
            assert_eq!(
                states(&answer["rollouts"]),
                [format!("web: {rollout}")],
                "{case}"
            );
        }
        assert_eq!(runs(&scene.cluster), POSTED, "{case}");
    }
}
