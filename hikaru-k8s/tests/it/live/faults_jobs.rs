//! The faults of docs/faults.md where a Job is created, looked at, waited for, replaced and deleted. A creation is sent
//! once: nobody can tell a second Job from the first.

mod lists;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use hikaru_core::{
    Mode,
    jobs::{JobCreated, JobName, JobPolicy, JobRequest, JobSource, JobState, JobStatus, Jobs},
    port::ClusterError,
    testing::StillClock,
};
use hikaru_k8s::LiveSettings;
use serde_json::{Value, json};

use super::{
    faults::table::rows,
    stub::{Asked, Step, Stub, settings, status},
};

const YAML: &str = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\nspec: {template: {spec: {restartPolicy: Never, \
                    containers: [{name: c, image: i}]}}}\n";

fn job(uid: &str, status: &Value) -> Value {
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a", "namespace": "shop", "uid": uid},
        "status": status})
}

/// What answers a deletion: the Job was there, and is gone.
fn deleted(name: &str, uid: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Success",
        "details": {"name": name, "group": "batch", "kind": "jobs", "uid": uid}})
}

/// A Job of another name, namespace or uid.
fn other(namespace: &str, name: &str, uid: &str) -> Value {
    let mut job = job(uid, &json!({}));
    job["metadata"]["namespace"] = json!(namespace);
    job["metadata"]["name"] = json!(name);
    job
}

fn is_dry(asked: &Asked) -> bool {
    asked.parameter("dryRun") == "All"
}

fn is_taken() -> Step {
    let words = "jobs.batch \"a\" already exists";
    Step::Answer(409, status(409, "AlreadyExists", words))
}

async fn world(script: impl Fn(&Asked, usize) -> Step + Send + Sync + 'static) -> (Stub, Jobs) {
    let mut settings = settings();
    // The server plays in the same thread, beside other tests.
    settings.deadline = Duration::from_secs(2);
    world_with(settings, script).await
}

async fn world_with(
    settings: LiveSettings,
    script: impl Fn(&Asked, usize) -> Step + Send + Sync + 'static,
) -> (Stub, Jobs) {
    let stub = Stub::start(script).await;
    let mut policy = JobPolicy::default();
    policy.namespaces = Some(vec!["shop".into()]);
    let cluster = Arc::new(stub.cluster_with(settings).await);
    let jobs = Jobs::new(cluster, policy, Arc::new(StillClock::default()));
    (stub, jobs)
}

pub(super) async fn until_ended(
    jobs: &Jobs,
    name: &JobName,
    uid: &str,
    within: Duration,
) -> Result<JobStatus, ClusterError> {
    let created = JobCreated::new(name.clone(), uid);
    jobs.wait(&created, within, &mut |_| {}).await
}

fn name() -> JobName {
    "shop/a".parse().expect("a name")
}

fn request(replace: bool) -> JobRequest {
    let mut request = JobRequest::new(JobSource::Yaml(YAML.into()));
    request.namespace = Some("shop".into());
    request.replace = replace;
    request
}

#[tokio::test]
async fn a_creation_meets_each_fault_and_is_sent_once() {
    let refusal =
        |code: u16, reason: &str, words: &str| Step::Answer(code, status(code, reason, words));
    for (step, expected) in [
        (
            refusal(409, "AlreadyExists", "jobs.batch \"a\" already exists"),
            "there is a Job shop/a already: replace it, delete it, or let a name be generated (generateName)",
        ),
        (
            refusal(409, "Conflict", "quota is being changed"),
            "refused: quota is being changed",
        ),
        (
            refusal(403, "Forbidden", "cannot create resource \"jobs\""),
            "not allowed: cannot create resource \"jobs\"",
        ),
        (
            refusal(403, "Forbidden", "exceeded quota: pods"),
            "not allowed: exceeded quota: pods",
        ),
        (
            refusal(
                422,
                "Invalid",
                "spec.template.spec.restartPolicy: Required value",
            ),
            "refused: spec.template.spec.restartPolicy: Required value",
        ),
        (
            refusal(400, "BadRequest", "unknown field \"x\""),
            "refused: unknown field \"x\"",
        ),
        (
            refusal(404, "NotFound", "namespaces \"shop\" not found"),
            "refused: namespaces \"shop\" not found",
        ),
        (
            refusal(503, "ServiceUnavailable", "later"),
            "unavailable: later",
        ),
        (
            refusal(500, "InternalError", "etcdserver: request timed out"),
            "the answer was lost: etcdserver: request timed out; look whether the Job shop/a is there before it is run again",
        ),
        (
            Step::Html(502),
            "the answer was lost: the server answers 502",
        ),
        (
            Step::Cut,
            "look whether the Job shop/a is there before it is run again",
        ),
        (
            Step::Silence,
            "look whether the Job shop/a is there before it is run again",
        ),
        (
            Step::Html(200),
            "the answer was lost: the answer cannot be read",
        ),
        (
            Step::Answer(200, status(200, "", "fine")),
            "the answer was lost: the answer cannot be read",
        ),
        (
            Step::Answer(201, other("shop", "b", "u")),
            "the answer was lost: the answer cannot be read: it is about the Job shop/b; look whether the Job shop/a",
        ),
        (
            Step::Answer(201, other("prod", "a", "u")),
            "the answer cannot be read: it is about the Job prod/a",
        ),
        (
            Step::Answer(201, other("shop", "a", "")),
            "the answer cannot be read: the Job has no uid",
        ),
    ] {
        let played = step.clone();
        let (stub, jobs) = world(move |_, _| played.clone()).await;
        let create = request(false);
        let ran = jobs.run(&create, Mode::Commit);
        let ran = tokio::time::timeout(Duration::from_secs(60), ran);
        let error = ran.await.expect("in time").expect_err("no Job").to_string();
        assert!(error.contains(expected), "{step:?}: {error}");
        assert_eq!((stub.asked().len(), stub.count("POST")), (1, 1), "{step:?}");
        let asked = &stub.asked()[0];
        assert_eq!(asked.path, "/apis/batch/v1/namespaces/shop/jobs");
        assert_eq!(
            (
                asked.parameter("fieldValidation"),
                asked.parameter("fieldManager")
            ),
            ("Strict", "hikaru")
        );
        assert_eq!(
            asked.body["metadata"],
            json!({"name": "a", "namespace": "shop"})
        );
    }
    // Turned away unseen, it is sent again.
    let (stub, jobs) = world(|asked, before| match (&*asked.method, before) {
        ("POST", 0) => Step::RetryAfter(429, 1, status(429, "", "busy")),
        _ => Step::Answer(201, job("u", &json!({}))),
    })
    .await;
    let created = jobs
        .run(&request(false), Mode::Commit)
        .await
        .expect("created");
    assert_eq!((&*created.uid, stub.count("POST")), ("u", 2));
}

/// A deletion is sent once, but for a 429. If nobody knows whether it was carried out, it is lost.
#[tokio::test]
async fn a_deletion_meets_each_fault() {
    join_all(rows().into_iter().map(|row| async move {
        let (expected, tries) = match row.name {
            "failed test (422)" => ("refused: {}", 1),
            // No uid was asked for, so the name alone cannot be in conflict.
            "conflict (409)" => ("unavailable: {}", 1),
            "not there (404)" => ("there is no Job shop/a", 1),
            _ => {
                let tries = if row.write.1 == "PATCH PATCH" { 4 } else { 1 };
                (row.write.0, tries)
            }
        };
        let step = row.step.clone();
        let (stub, jobs) = world_with(row.settings(), move |_, _| step.clone()).await;
        let error = jobs.delete(&name()).await;
        let error = error.expect_err("it was not deleted").to_string();
        let expected = expected.replace("{}", row.words);
        let expected = match row.name {
            "another kind" => "the answer was lost: the answer is not about the Job shop/a",
            _ => &expected,
        };
        assert!(error.starts_with(expected), "{}: {error}", row.name);
        assert_eq!(
            methods(&stub),
            vec!["DELETE"; tries].join(" "),
            "{}",
            row.name
        );
    }))
    .await;
}

/// What is known of the old Job when the replacement ends early is told, and nothing more.
#[tokio::test]
async fn a_replacement_that_ends_early_tells_what_is_known_of_the_old_job() {
    let forbidden = || Step::Answer(403, status(403, "Forbidden", "no longer"));
    let busy = || Step::RetryAfter(429, 60, status(429, "TooManyRequests", "later"));
    let denied = |code| {
        Step::Answer(
            code,
            status(code, "", "admission webhook \"w\" denied the request: no"),
        )
    };
    for (deletions, then, expected) in [
        // The answer to the deletion was lost, and the Job cannot be read afterwards.
        (
            vec![Step::Cut],
            forbidden(),
            "whether the old Job shop/a was deleted is not known, the new one was not created: no longer",
        ),
        (
            vec![Step::Answer(500, status(500, "", "etcd"))],
            forbidden(),
            "whether the old Job shop/a was deleted is not known, the new one was not created: no longer",
        ),
        // The second deletion is refused.
        (
            vec![Step::Html(200), forbidden()],
            Step::Answer(200, job("old", &json!({}))),
            "whether the old Job shop/a was deleted is not known, the new one was not created: no longer",
        ),
        // The deletion was turned away, or refused.
        (vec![busy()], forbidden(), "not allowed: no longer"),
        (
            vec![denied(409)],
            forbidden(),
            "refused: admission webhook \"w\" denied the request: no",
        ),
        (
            vec![denied(403)],
            forbidden(),
            "not allowed: admission webhook \"w\" denied the request: no",
        ),
        // It was accepted.
        (
            vec![Step::Answer(200, deleted("a", "old"))],
            forbidden(),
            "the old Job shop/a is being deleted, the new one was not created: no longer",
        ),
    ] {
        let shown = format!("{deletions:?}");
        let (stub, jobs) = world(move |asked, before| match (&*asked.method, before) {
            ("POST", _) => is_taken(),
            ("GET", 0) => Step::Answer(200, job("old", &json!({}))),
            ("GET", _) => then.clone(),
            _ => deletions[before.min(deletions.len() - 1)].clone(),
        })
        .await;
        let error = jobs.run(&request(true), Mode::Commit).await;
        let error = error.expect_err("not replaced").to_string();
        assert!(error.ends_with(expected), "{shown}: {error}");
        assert_eq!(stub.count("POST"), 1, "{shown}");
    }
    // It is gone, and whether by our deletion is not known.
    let (_stub, jobs) = world(|asked, before| match (&*asked.method, before) {
        ("POST", 0) => is_taken(),
        ("GET", 0) => Step::Answer(200, job("old", &json!({}))),
        ("GET", _) => Step::Answer(404, status(404, "", "gone")),
        ("DELETE", _) => Step::Cut,
        _ => Step::Answer(403, status(403, "Forbidden", "exceeded quota")),
    })
    .await;
    let refused = jobs.run(&request(true), Mode::Commit).await;
    let words = "the old Job shop/a is gone, the new one was not created: exceeded quota";
    assert_eq!(refused, Err(ClusterError::Forbidden(words.to_owned())));
}

/// A server warns of what a definition holds, be the name taken or not.
#[tokio::test]
async fn a_dry_run_of_a_replacement_tells_the_servers_warnings() {
    for code in [201, 409] {
        let (_stub, jobs) = world(move |_, _| {
            let body = match code {
                409 => status(409, "AlreadyExists", "jobs.batch \"a\" already exists"),
                _ => job("u", &json!({})),
            };
            Step::Warned(code, "299 - \"spec.x is deprecated\"".to_owned(), body)
        })
        .await;
        let tried = jobs.run(&request(true), Mode::DryRun).await;
        let tried = tried.expect("it would be replaced");
        assert_eq!(tried.warnings, ["spec.x is deprecated"], "{code}");
        assert_eq!(&*tried.uid, "");
    }
}

fn methods(stub: &Stub) -> String {
    let asked = stub.asked();
    let methods: Vec<_> = asked.iter().map(|asked| &*asked.method).collect();
    methods.join(" ")
}

#[tokio::test]
async fn a_replacement_waits_until_the_other_one_has_gone() {
    let (stub, jobs) = world(|asked, before| match (&*asked.method, before) {
        ("GET", 0..3) => Step::Answer(200, job("old", &json!({"active": 1}))),
        ("GET", 3) => Step::Answer(503, status(503, "", "a moment")),
        ("GET", _) => Step::Answer(404, status(404, "", "gone")),
        ("DELETE", _) => Step::Answer(200, job("old", &json!({}))),
        ("POST", _) if is_dry(asked) => is_taken(),
        _ => Step::Answer(201, job("new", &json!({}))),
    })
    .await;
    let created = jobs
        .run(&request(true), Mode::Commit)
        .await
        .expect("created");
    assert_eq!(&*created.uid, "new");
    assert_eq!(methods(&stub), "POST GET DELETE GET GET GET GET POST");
    let deletion = stub.asked()[2].body.clone();
    assert_eq!(
        (
            &deletion["propagationPolicy"],
            &deletion["preconditions"]["uid"]
        ),
        (&json!("Foreground"), &json!("old"))
    );
    // Somebody else was faster: his is left alone.
    let (stub, jobs) = world(|asked, before| match (&*asked.method, before) {
        ("GET", 0) => Step::Answer(200, job("old", &json!({}))),
        ("GET", _) => Step::Answer(200, job("theirs", &json!({}))),
        ("POST", _) => is_taken(),
        _ => Step::Answer(200, deleted("a", "old")),
    })
    .await;
    let error = jobs
        .run(&request(true), Mode::Commit)
        .await
        .expect_err("taken")
        .to_string();
    assert_eq!(error, "another Job shop/a was created meanwhile");
    assert_eq!((stub.count("POST"), stub.count("DELETE")), (1, 1));
    // There is none: it is created, once it was tried.
    let (stub, jobs) = world(|_, _| Step::Answer(201, job("new", &json!({})))).await;
    let created = jobs.run(&request(true), Mode::Commit).await;
    assert_eq!(created.map(|created| created.uid), Ok("new".into()));
    assert_eq!(methods(&stub), "POST POST");
}

#[tokio::test]
async fn a_replacement_that_the_server_refuses_deletes_nothing() {
    for (step, expected) in [
        (
            Step::Answer(422, status(422, "Invalid", "spec.parallelism")),
            "refused: spec.parallelism",
        ),
        (
            Step::Answer(403, status(403, "Forbidden", "exceeded quota")),
            "not allowed: exceeded quota",
        ),
        (
            Step::Answer(500, status(500, "InternalError", "etcd")),
            "unavailable: etcd",
        ),
        (Step::Html(200), "unavailable: the answer cannot be read"),
        (
            Step::Answer(201, other("shop", "b", "u")),
            "unavailable: the answer cannot be read: it is about the Job shop/b",
        ),
    ] {
        for mode in [Mode::Commit, Mode::DryRun] {
            let played = step.clone();
            let (stub, jobs) = world(move |_, _| played.clone()).await;
            let refused = jobs.run(&request(true), mode).await;
            let words = refused.expect_err(expected).to_string();
            assert!(words.starts_with(expected), "{words}");
            assert_eq!(methods(&stub), "POST", "{step:?}");
            assert!(is_dry(&stub.asked()[0]));
        }
    }
}

#[tokio::test]
async fn a_replacement_that_was_begun_bears_what_passes() {
    let (stub, jobs) = world(|asked, before| match (&*asked.method, before) {
        ("GET", 0) => Step::Answer(200, job("old", &json!({}))),
        ("GET", 1) => Step::Html(200),
        ("GET", 2) => Step::Answer(200, other("shop", "b", "old")),
        ("GET", _) => Step::Answer(404, status(404, "", "gone")),
        ("DELETE", 0) => Step::Html(200),
        ("DELETE", 1) => Step::Answer(200, deleted("b", "old")),
        ("DELETE", _) => Step::Answer(200, deleted("a", "old")),
        ("POST", 0) => is_taken(),
        ("POST", 1) => Step::Answer(503, status(503, "", "a moment")),
        _ => Step::Answer(201, job("new", &json!({}))),
    })
    .await;
    let created = jobs.run(&request(true), Mode::Commit).await;
    assert_eq!(created.map(|created| created.uid), Ok("new".into()));
    assert_eq!(
        methods(&stub),
        "POST GET DELETE GET DELETE GET DELETE GET POST POST"
    );
    // What the server refuses after all is told with what was done.
    let (_stub, jobs) = world(|asked, before| match (&*asked.method, before) {
        ("GET", 0) => Step::Answer(200, job("old", &json!({}))),
        ("GET", _) => Step::Answer(404, status(404, "", "gone")),
        ("DELETE", _) => Step::Answer(200, deleted("a", "old")),
        ("POST", 0) => is_taken(),
        _ => Step::Answer(403, status(403, "Forbidden", "exceeded quota")),
    })
    .await;
    let refused = jobs.run(&request(true), Mode::Commit).await;
    let words = "the old Job shop/a was deleted, the new one was not created: exceeded quota";
    assert_eq!(refused, Err(ClusterError::Forbidden(words.to_owned())));
}

#[tokio::test]
async fn waiting_bears_what_passes() {
    let looks = AtomicUsize::new(0);
    let running = json!({"startTime": "2026-11-24T18:00:00Z", "active": 1});
    let failed = json!({"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded",
        "message": "it failed too often"}]});
    let (_stub, jobs) = world(move |asked, _| {
        if !asked.path.ends_with("/jobs/a") {
            let words = "pods is forbidden: cannot list resource \"pods\"";
            return Step::Answer(403, status(403, "", words));
        }
        match looks.fetch_add(1, Ordering::SeqCst) {
            0 => Step::Html(200),
            1 => Step::Answer(200, job("u", &running)),
            2 => Step::Answer(500, status(500, "", "etcd")),
            3 | 4 => Step::Cut,
            5 => Step::Text(200, "{\"kind\": \"Job\", \"meta".to_owned()),
            6 => Step::Answer(200, other("shop", "b", "u")),
            // An API server that starts.
            7 => Step::Answer(403, status(403, "Forbidden", "cannot get resource")),
            _ => Step::Answer(200, job("u", &failed)),
        }
    })
    .await;
    let within = Duration::from_secs(60);
    let ended = until_ended(&jobs, &name(), "u", within).await;
    let ended = ended.expect("a status");
    assert_eq!(ended.state, JobState::Failed);
    assert_eq!(
        ended.sentence(),
        "failed: it failed too often (BackoffLimitExceeded)"
    );
    assert_eq!(
        ended.warnings,
        [
            "its pods cannot be listed: not allowed: pods is forbidden: cannot list resource \"pods\""
        ]
    );

    let soon = Duration::from_millis(50);
    let (_stub, jobs) = world(|_, _| Step::Answer(503, status(503, "", "away"))).await;
    let away = until_ended(&jobs, &name(), "u", soon).await;
    assert!(
        matches!(away, Err(ClusterError::Unavailable { .. })),
        "{away:?}"
    );
    // What was seen is told at the end, and that it is old.
    let (_stub, jobs) = world(|asked, before| match before {
        0 if asked.path.ends_with("/pods") => Step::Answer(200, json!({"items": []})),
        0 => Step::Answer(200, job("u", &json!({}))),
        _ => Step::Answer(503, status(503, "", "away")),
    })
    .await;
    let old = until_ended(&jobs, &name(), "u", soon).await;
    assert_eq!(
        old.expect("a status").warnings,
        ["it could not be looked at again: unavailable: away"]
    );
}

#[tokio::test]
async fn waiting_ends_where_nothing_will_come() {
    let answer = |code: u16, value: Value| Step::Answer(code, value);
    let complete = json!({"conditions": [{"type": "Complete", "status": "True"}]});
    for (step, uid, expected) in [
        (
            answer(200, job("theirs", &complete)),
            "ours",
            "another Job has taken the name shop/a: expected the uid ours, found theirs",
        ),
        (
            answer(404, status(404, "NotFound", "gone")),
            "ours",
            "there is no Job shop/a",
        ),
        (
            answer(403, status(403, "Forbidden", "cannot get")),
            "ours",
            "not allowed: cannot get",
        ),
        (answer(200, job("ours", &complete)), "ours", "complete"),
        // A port that knows no uids gives none.
        (answer(200, job("any", &complete)), "", "complete"),
    ] {
        let (stub, jobs) = world(move |_, _| step.clone()).await;
        let name = name();
        let waited = until_ended(&jobs, &name, uid, Duration::from_secs(3600));
        let waited = tokio::time::timeout(Duration::from_secs(60), waited);
        let found = match waited.await.expect("at once") {
            Ok(status) => status.sentence(),
            Err(error) => error.to_string(),
        };
        assert_eq!((&*found, methods(&stub).as_str()), (expected, "GET"));
    }
}

#[tokio::test]
async fn what_is_no_answer_is_not_believed() {
    for step in [
        Step::Html(200),
        Step::Answer(200, status(200, "", "fine")),
        Step::Answer(200, json!({"items": 7})),
        Step::Answer(200, other("shop", "b", "u")),
        Step::Answer(200, other("prod", "a", "u")),
        Step::Answer(200, other("shop", "a", "")),
    ] {
        let played = step.clone();
        let (_stub, jobs) = world(move |_, _| played.clone()).await;
        for error in [
            jobs.list("shop").await.expect_err("no list"),
            jobs.status(&name()).await.expect_err("no Job"),
            jobs.logs(&name()).await.expect_err("no Job"),
        ] {
            // Nobody has refused anything: asking again may help.
            assert!(error.is_retryable(), "{step:?}: {error}");
        }
        let deleted = jobs.delete(&name()).await;
        let of_another = !matches!(&step, Step::Answer(_, job) if *job == other("shop", "a", ""));
        assert_eq!(
            matches!(deleted, Err(ClusterError::Lost(_))),
            of_another,
            "{step:?}: {deleted:?}"
        );
    }
    for (answer, is_sound) in [
        (deleted("a", "u"), true),
        (deleted("b", "u"), false),
        (job("u", &json!({})), true),
        (json!({}), false),
        (json!({"ok": true}), false),
        (json!([]), false),
        (status(200, "", "fine"), false),
    ] {
        let played = Step::Answer(200, answer.clone());
        let (_stub, jobs) = world(move |_, _| played.clone()).await;
        let deleted = jobs.delete(&name()).await;
        assert_eq!(deleted.is_ok(), is_sound, "{answer}: {deleted:?}");
    }
}
