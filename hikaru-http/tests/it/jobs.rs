//! Jobs over HTTP: what is created, told, deleted and handed out, and each of the cluster's refusals. Bodies are in
//! `bodies`, how many logs are held at once in `logs`, waiting for a Job to end is in `waiting`.

mod bodies;
mod logs;
mod waiting;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use hikaru_core::{
    Mode,
    jobs::{
        ContainerTrouble, JobCondition, JobCreated, JobList, JobLog, JobName, JobNaming,
        JobRequest, JobSource, JobState, JobStatus,
    },
    port::{ClusterError, Fault, Severity},
    testing::MockJobPort,
};
use hikaru_http::Serving;
use serde_json::json;

use crate::{
    client::{Answer, Client, call, call_with, call_with_body, request},
    cluster::{definition_of, mock_jobs, serve, serve_jobs, shop, works},
};

const JSON: &str = "Content-Type: application/json";
const YAML: &str = "Content-Type: application/yaml";
const DEFINITION: &str = r#"{"kind":"Job"}"#;

fn migrate() -> JobName {
    JobName::new("shop", "migrate").expect("a name")
}

fn created() -> JobCreated {
    JobCreated::new(migrate(), "4f5a")
}

/// As it is while nothing is known of it.
fn status(state: JobState) -> JobStatus {
    let mut status = JobStatus::new(migrate(), "4f5a");
    status.state = state;
    status
}

fn failed() -> JobStatus {
    let mut failed = status(JobState::Failed);
    failed.failed = 1;
    failed.started = Some("2026-03-01T10:00:00Z".into());
    failed.conditions.push(JobCondition {
        kind: "Failed".into(),
        status: "True".into(),
        reason: "BackoffLimitExceeded".into(),
        message: "Job has reached the specified backoff limit".into(),
        since: "2026-03-01T10:00:09Z".into(),
    });
    failed.troubles.push(ContainerTrouble {
        pod: "migrate-x".into(),
        container: "web".into(),
        reason: "Error".into(),
        message: "".into(),
        exit_code: Some(3),
    });
    failed
}

async fn mocked(expect: impl FnOnce(&mut MockJobPort)) -> Serving {
    serve_jobs(mock_jobs(expect)).await
}

async fn post(server: &Serving, query: &str) -> Answer {
    let target = format!("/api/job{query}");
    call_with_body(server.address(), &target, &[JSON], DEFINITION).await
}

#[tokio::test]
async fn a_job_is_created() {
    let asked: Arc<Mutex<Vec<JobRequest>>> = Arc::default();
    let modes: Arc<Mutex<Vec<Mode>>> = Arc::default();
    let server = mocked(|jobs| {
        let (asked, modes) = (asked.clone(), modes.clone());
        jobs.expect_define().returning(move |request| {
            asked.lock().expect("no panic").push(request.clone());
            Ok(definition_of(migrate()))
        });
        jobs.expect_create().returning(move |_, mode| {
            modes.lock().expect("no panic").push(mode);
            Ok(created())
        });
    })
    .await;
    let answer = post(&server, "").await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("location"), Some("/api/job/shop/migrate"));
    assert_eq!(
        answer.text,
        r#"{"namespace":"shop","name":"migrate","uid":"4f5a"}"#
    );
    assert_eq!(answer.header("connection"), None, "its body was read");

    let answer = post(&server, "?dryRun=true&replace=true&namespace=shop").await;
    assert_eq!((answer.status, answer.header("location")), (200, None));
    assert_eq!(answer.text, r#"{"namespace":"shop","name":"migrate"}"#);

    let yaml = "\u{feff}kind: Job\n";
    call_with_body(server.address(), "/api/job", &[YAML], yaml).await;

    let asked = asked.lock().expect("no panic");
    let mut expected = JobRequest::new(JobSource::Json(DEFINITION.into()));
    assert_eq!(asked[0], expected);
    (expected.replace, expected.namespace) = (true, Some("shop".into()));
    assert_eq!(asked[1], expected);
    let expected = JobRequest::new(JobSource::Yaml("kind: Job\n".into()));
    assert_eq!(asked[2], expected, "without its byte order mark");
    let modes = modes.lock().expect("no panic");
    assert_eq!(*modes, [Mode::Commit, Mode::DryRun, Mode::Commit]);
}

#[tokio::test]
async fn in_a_folder_the_file_is_named_and_warnings_are_told() {
    let server = mocked(|jobs| {
        jobs.expect_create().returning(|_, _| {
            let mut created = JobCreated::new(migrate(), "");
            created.file = Some("migrate.yaml".into());
            created.warnings.push("old".to_owned());
            Ok(created)
        });
    })
    .await;
    let answer = post(&server, "").await;
    let expected = json!({"namespace": "shop", "name": "migrate", "file": "migrate.yaml", "warnings": ["old"]});
    assert_eq!((answer.status, answer.json()), (201, expected));
}

#[tokio::test]
async fn a_job_is_created_from_a_cronjob() {
    let server = mocked(|jobs| {
        jobs.expect_define().returning(|request| {
            let JobSource::CronJob { name, image } = &request.source else {
                panic!("{request:?}");
            };
            assert_eq!(name.to_string(), "shop/nightly");
            let image = image
                .as_deref()
                .unwrap_or("none")
                .replace(['/', ':', '_'], "-");
            Ok(definition_of(JobName::new("shop", &image).expect("a name")))
        });
        jobs.expect_create().returning(|job, _| {
            let JobNaming::Named(name) = &job.definition().naming else {
                panic!("{job:?}");
            };
            Ok(JobCreated::new(name.clone(), "1"))
        });
    })
    .await;
    let path = "/api/job/shop/from/nightly";
    for (headers, body, name) in [
        (&[][..], "", "none"),
        (
            &["Content-Type: application/x-www-form-urlencoded"],
            "",
            "none",
        ),
        (&[JSON], "{}", "none"),
        (&[JSON], r#"{"image":null}"#, "none"),
        (&[JSON], r#" {"image":"acme/web:1_2"}"#, "acme-web-1-2"),
    ] {
        let answer = call_with_body(server.address(), path, headers, body).await;
        assert_eq!(answer.status, 201, "{body}: {}", answer.text);
        assert_eq!(answer.json()["name"], *name);
    }
    let answer = call(server.address(), "POST", path).await;
    assert_eq!(answer.status, 201, "no body at all");
    let answer = call(server.address(), "POST", &format!("{path}?dryRun=true")).await;
    assert_eq!(answer.status, 200);
    for (headers, body, status, problem, sentence) in [
        (&[][..], "{}", 415, "unsupported-media-type", "found 0"),
        (
            &[YAML],
            "{}",
            415,
            "unsupported-media-type",
            "with one of application/json, found",
        ),
        (
            &[JSON],
            " ",
            400,
            "bad-body",
            "expected {\"image\": \"…\"} or no body: EOF",
        ),
        (
            &[JSON],
            r#"{"imag":"a"}"#,
            400,
            "bad-body",
            "unknown field `imag`",
        ),
        (
            &[JSON],
            r#"{"image":1}"#,
            400,
            "bad-body",
            "expected a string",
        ),
        (
            &[JSON],
            r#"{"image":"a","image":"b"}"#,
            400,
            "bad-body",
            "duplicate field `image`",
        ),
        (&[JSON], "[]", 400, "bad-body", "at line 1 column"),
        (&[JSON], "{} {}", 400, "bad-body", "trailing characters"),
        (&[JSON], "{\"image\":\"\u{fffd}", 400, "bad-body", "EOF"),
        (
            &[JSON],
            r#"{"image":""}"#,
            400,
            "bad-reference",
            "image: expected an image reference",
        ),
        (
            &[JSON],
            r#"{"image":"Web"}"#,
            400,
            "bad-reference",
            "image: ",
        ),
    ] {
        let answer = call_with_body(server.address(), path, headers, body).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text);
        let (kind, detail) = answer.problem();
        assert_eq!(kind, problem, "{body}");
        assert!(detail.contains(sentence), "{body}: {detail}");
    }
    let long = format!(r#"{{"image":"{}"}}"#, "x".repeat(65_536));
    let answer = call_with_body(server.address(), path, &[JSON], long).await;
    assert_eq!(
        (answer.status, &*answer.problem().0),
        (413, "body-too-large")
    );
    works(server.address()).await;
}

#[tokio::test]
async fn each_error_of_the_cluster_has_its_status_and_sentence() {
    use ClusterError as E;
    let unavailable = E::Unavailable {
        message: "429".into(),
        retry_after: Some(Duration::from_millis(6500)),
    };
    let invalid = "spec.template.spec.restartPolicy: Unsupported value: \"Always\"";
    for (error, status, problem, sentence) in [
        (
            E::Malformed("expected a mapping at 1:1".into()),
            400,
            "malformed-job",
            "expected a mapping at 1:1",
        ),
        (E::Invalid(invalid.into()), 422, "invalid-job", invalid),
        (
            E::Forbidden("jobs is forbidden".into()),
            403,
            "job-forbidden",
            "jobs is forbidden",
        ),
        (
            E::Exists("there is a Job shop/migrate".into()),
            409,
            "job-exists",
            "there is a Job shop/migrate",
        ),
        (
            E::NotFound("namespace shop".into()),
            404,
            "no-such-job",
            "there is no namespace shop",
        ),
        (
            E::Lost("reset".into()),
            502,
            "lost",
            "look (GET /api/job/{namespace}) before repeating the call: reset",
        ),
        (unavailable, 503, "unavailable", "429"),
        (
            E::Unsupported("running jobs"),
            501,
            "unsupported",
            "running jobs is not supported here",
        ),
    ] {
        let told = error.clone();
        let server = mocked(move |jobs| {
            jobs.expect_create()
                .returning(move |_, _| Err(told.clone()));
        })
        .await;
        let answer = post(&server, "?wait=5m").await;
        assert_eq!(answer.status, status, "{error:?}");
        let (kind, detail) = answer.problem();
        assert_eq!(kind, problem, "{error:?}");
        assert!(detail.contains(sentence), "{detail}");
        assert_eq!(answer.header("location"), None);
        if status == 503 {
            assert_eq!(answer.header("retry-after"), Some("7"));
        }
    }
    let server = mocked(|jobs| {
        let no_cron_job = || E::NotFound("CronJob shop/nightly".into());
        let no_namespace = || E::NotFound("namespace shop".into());
        let no_job = || E::NotFound("Job shop/migrate".into());
        jobs.expect_define().returning(move |_| Err(no_cron_job()));
        jobs.expect_list().returning(move |_| Err(no_namespace()));
        jobs.expect_get().returning(move |_| Err(no_job()));
        jobs.expect_logs().returning(move |_| Err(no_job()));
        jobs.expect_delete().returning(move |_, _| Err(no_job()));
    })
    .await;
    for (method, target, sentence) in [
        (
            "POST",
            "/api/job/shop/from/nightly",
            "there is no CronJob shop/nightly",
        ),
        ("GET", "/api/job/shop", "there is no namespace shop"),
        (
            "GET",
            "/api/job/shop/migrate",
            "there is no Job shop/migrate",
        ),
        (
            "GET",
            "/api/job/shop/migrate/log",
            "there is no Job shop/migrate",
        ),
        (
            "DELETE",
            "/api/job/shop/migrate",
            "there is no Job shop/migrate",
        ),
    ] {
        let answer = call(server.address(), method, target).await;
        let expected = ("no-such-job".to_owned(), sentence.to_owned());
        assert_eq!((answer.status, answer.problem()), (404, expected));
    }
}

#[tokio::test]
async fn a_status_is_told() {
    let server = mocked(|jobs| {
        jobs.expect_get().returning(|name| {
            assert_eq!(*name, migrate());
            Ok(failed())
        });
        jobs.expect_list().returning(|namespace| {
            assert_eq!(namespace, "shop");
            let mut file = JobStatus::new(migrate(), "");
            file.file = Some("migrate.yaml#1".into());
            file.warnings.push("no rights".to_owned());
            let mut complete = status(JobState::Complete);
            complete.succeeded = 1;
            complete.completed = Some("2026-03-01T10:00:05Z".into());
            Ok(JobList {
                jobs: vec![file, complete],
                faults: vec![Fault::new(Severity::Failure, "shop/odd", "no status")],
            })
        });
        jobs.expect_delete().returning(|_, _| Ok(()));
    })
    .await;
    let answer = call(server.address(), "GET", "/api/job/shop/migrate").await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.text,
        concat!(
            r#"{"namespace":"shop","name":"migrate","uid":"4f5a","state":"failed","#,
            r#""reason":"failed: the container web of the pod migrate-x ended with exit code 3 (Error); "#,
            r#"Job has reached the specified backoff limit (BackoffLimitExceeded)","#,
            r#""active":0,"succeeded":0,"failed":1,"startTime":"2026-03-01T10:00:00Z","#,
            r#""conditions":[{"type":"Failed","status":"True","reason":"BackoffLimitExceeded","#,
            r#""message":"Job has reached the specified backoff limit","lastTransitionTime":"2026-03-01T10:00:09Z"}],"#,
            r#""containers":[{"pod":"migrate-x","container":"web","reason":"Error","exitCode":3,"message":""}]}"#
        )
    );
    let head = call(server.address(), "HEAD", "/api/job/shop/migrate").await;
    assert_eq!((head.status, &*head.text), (200, ""));
    let answer = call(server.address(), "GET", "/api/job/shop").await;
    assert_eq!(
        answer.json(),
        json!([
            {"namespace": "shop", "name": "migrate", "state": "pending", "active": 0, "succeeded": 0, "failed": 0,
             "conditions": [], "containers": [], "file": "migrate.yaml#1", "warnings": ["no rights"]},
            {"namespace": "shop", "name": "migrate", "uid": "4f5a", "state": "complete", "active": 0, "succeeded": 1,
             "failed": 0, "completionTime": "2026-03-01T10:00:05Z", "conditions": [], "containers": []},
            {"namespace": "shop", "place": "shop/odd", "state": "unreadable", "reason": "no status"},
        ])
    );
    let answer = call(server.address(), "DELETE", "/api/job/shop/migrate").await;
    assert_eq!((answer.status, &*answer.text), (204, ""));
}

#[tokio::test]
async fn logs_are_handed_out() {
    let of = |text: Result<&str, &str>| JobLog {
        pod: "migrate-x".into(),
        container: "web".into(),
        text: text.map(str::to_owned).map_err(str::to_owned),
    };
    let logs = [
        vec![of(Ok("<h1>1\n2")), of(Err("waiting"))],
        vec![],
        vec![of(Err("waiting")), of(Err("gone"))],
    ];
    let server = mocked(move |jobs| {
        jobs.expect_logs().returning(move |name| {
            let which = ["written", "none", "from"]
                .iter()
                .position(|n| **n == **name.name());
            Ok(logs[which.expect("a name")].clone())
        });
    })
    .await;
    let answer = call(server.address(), "GET", "/api/job/shop/written/log").await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.text,
        "==> migrate-x/web <==\n<h1>1\n2\n\n==> migrate-x/web <==\nwaiting\n"
    );
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    let answer = call(server.address(), "GET", "/api/job/shop/none/log").await;
    assert_eq!((answer.status, &*answer.text), (200, ""));
    // A Job may have any name.
    let answer = call(server.address(), "GET", "/api/job/shop/from/log").await;
    let expected = (
        "no-log".into(),
        "migrate-x/web: waiting; migrate-x/web: gone".into(),
    );
    assert_eq!((answer.status, answer.problem()), (502, expected));
}

#[tokio::test]
async fn texts_that_are_no_names_are_refused() {
    let server = mocked(|_| {}).await;
    for (part, sentence) in [
        ("", "expected a namespace"),
        ("Shop", "found `Shop`"),
        ("shop%2Fx", "found `shop/x`"),
        ("shop%252Fx", "found `shop%2Fx`"),
        ("..", "found `..`"),
        ("%2e%2e", "found `..`"),
        ("a.b", "found `a.b`"),
        ("%00", "expected a namespace"),
        ("%zz", "not a name: expected two hex digits after `%`"),
        ("%ff", "not a name: expected UTF-8"),
        ("-x", "found `-x`"),
    ] {
        for (method, target) in [
            ("GET", format!("/api/job/{part}")),
            ("GET", format!("/api/job/{part}/migrate")),
            ("DELETE", format!("/api/job/{part}/migrate")),
            ("GET", format!("/api/job/{part}/migrate/log")),
            ("POST", format!("/api/job/{part}/from/nightly")),
        ] {
            let answer = call(server.address(), method, &target).await;
            let (kind, detail) = answer.problem();
            assert_eq!((answer.status, &*kind), (400, "bad-name"), "{target}");
            assert!(detail.contains(sentence), "{target}: {detail}");
        }
    }
    for name in ["", "Migrate", "a_b", "a..b", &"x".repeat(254)] {
        for (method, target) in [
            ("GET", format!("/api/job/shop/{name}")),
            ("DELETE", format!("/api/job/shop/{name}")),
            ("GET", format!("/api/job/shop/{name}/log")),
            ("POST", format!("/api/job/shop/from/{name}")),
        ] {
            let answer = call(server.address(), method, &target).await;
            let (kind, detail) = answer.problem();
            assert_eq!((answer.status, &*kind), (400, "bad-name"), "{target}");
            assert!(detail.starts_with("expected a name of"), "{detail}");
        }
    }
    for (method, target) in [
        ("GET", "/api/job/shop?wait=5m"),
        ("GET", "/api/job/shop/migrate?wait=5m"),
        ("DELETE", "/api/job/shop/migrate?dryRun=true"),
        ("GET", "/api/job/shop/migrate/log?tail=5"),
        ("POST", "/api/job/shop/from/nightly?replace=true"),
        ("POST", "/api/job?wait"),
        ("POST", "/api/job?wait="),
        ("POST", "/api/job?wait=5m&dryRun=true"),
        ("POST", "/api/job?namespace=a,b"),
        ("POST", "/api/job?force=true"),
    ] {
        let answer = call_with(server.address(), method, target, &[JSON]).await;
        assert_eq!(
            (answer.status, &*answer.problem().0),
            (400, "bad-query"),
            "{target}"
        );
    }
    works(server.address()).await;
}

#[tokio::test]
async fn browsers_are_kept_out_here_too() {
    let server = mocked(|_| {}).await;
    let call = async |headers: &[&str]| -> (u16, String) {
        let headers = [headers, &[JSON]].concat();
        let answer = call_with_body(server.address(), "/api/job", &headers, DEFINITION).await;
        (answer.status, answer.problem().0)
    };
    let origin = call(&["Origin: http://localhost:8080"]).await;
    assert_eq!(origin, (403, "browser".to_owned()));
    let site = call(&["Sec-Fetch-Site: cross-site"]).await;
    assert_eq!(site, (403, "browser".to_owned()));
    let to: SocketAddr = server.address();
    let mut client = Client::connect(to).await;
    let head = format!(
        "POST /api/job HTTP/1.1\r\nHost: evil.example\r\n{JSON}\r\nContent-Length: 2\r\n\r\n{{}}"
    );
    client.send(head).await;
    assert_eq!(client.answer().await.problem().0, "foreign-host");
}

#[tokio::test]
async fn a_server_without_jobs_refuses_each_call_about_them_and_reads_no_body() {
    let server = serve(shop()).await;
    let refused = (
        "unsupported".to_owned(),
        "work with Jobs is not supported here".to_owned(),
    );
    for (method, target) in [
        ("GET", "/api/job/shop"),
        ("GET", "/api/job/shop/migrate"),
        ("GET", "/api/job/shop/migrate/log"),
        ("DELETE", "/api/job/shop/migrate"),
        ("POST", "/api/job/shop/from/nightly"),
    ] {
        let answer = call(server.address(), method, target).await;
        assert_eq!((answer.status, answer.problem()), (501, refused.clone()));
    }
    // The answer is there, and no byte of the body was sent.
    let mut client = Client::connect(server.address()).await;
    let head = request("POST", "/api/job", &[JSON, "Content-Length: 9"]);
    client.send(head).await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.problem()), (501, refused));
    works(server.address()).await;
}
