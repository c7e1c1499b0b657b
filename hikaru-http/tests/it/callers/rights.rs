//! Which right each route needs, what may be forced and named, and that a refused call reaches no cluster.

use std::{collections::BTreeSet, sync::Arc};

use hikaru_core::{
    caller::{Binding, Caller, Issued, Right},
    jobs::{JobCreated, JobList, JobName, JobState, JobStatus},
    port::RolloutPort,
    rollout::Rollouts,
    testing::MockWorkloadPort,
};
use hikaru_http::{Bound, Denied, Serving};

use super::{NoFigures, Takes, bound, caller};
use crate::{
    client::{Answer, Client, call, call_with_body, request},
    cluster::{listener, memory, mock_jobs, shop, still_clock},
};

const TAG: &str = "acme/web:acme_web_main_1.4.0_7_0123abcd";

/// Each route that wants a caller: its pattern, a path that fits it, and the rights of which one is needed.
const ROUTES: [(&str, &str, &str, &[&str]); 14] = [
    (
        "POST",
        "/api/image/{image}",
        "/api/image/acme/web:acme_web_main_1.4.0_7_0123abcd",
        &["upgrade"],
    ),
    (
        "GET",
        "/api/candidates/{image}",
        "/api/candidates/acme/web:acme_web_main_1.4.0_7_0123abcd",
        &["read", "upgrade"],
    ),
    (
        "GET",
        "/api/image/{image}",
        "/api/image/acme/web",
        &["read"],
    ),
    (
        "GET",
        "/api/verify/{image}",
        "/api/verify/acme/web:acme_web_main_1.4.0_7_0123abcd",
        &["read", "upgrade"],
    ),
    ("POST", "/api/job", "/api/job", &["jobs"]),
    (
        "POST",
        "/api/job/{namespace}/from/{cronjob}",
        "/api/job/shop/from/nightly",
        &["jobs"],
    ),
    (
        "GET",
        "/api/job/{namespace}",
        "/api/job/shop",
        &["read", "jobs"],
    ),
    (
        "GET",
        "/api/job/{namespace}/{name}",
        "/api/job/shop/migrate",
        &["read", "jobs"],
    ),
    (
        "DELETE",
        "/api/job/{namespace}/{name}",
        "/api/job/shop/migrate",
        &["jobs"],
    ),
    (
        "GET",
        "/api/job/{namespace}/{name}/log",
        "/api/job/shop/migrate/log",
        &["logs"],
    ),
    (
        "DELETE",
        "/api/hold/{namespace}/{kind}/{name}",
        "/api/hold/shop/deploy/web",
        &["hold"],
    ),
    (
        "GET",
        "/api/rollout/{namespace}/{kind}/{name}",
        "/api/rollout/shop/deploy/web",
        &["read", "upgrade"],
    ),
    ("GET", "/api/status", "/api/status", &["read"]),
    ("GET", "/metrics", "/metrics", &["metrics"]),
];

/// The routes of the document, which has each route of the program: method, pattern and rights.
fn documented() -> BTreeSet<(String, String, String)> {
    // Read when it runs: the document is no part of the crate's package, which has to compile.
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/http-api.md");
    let document = std::fs::read_to_string(path).expect(path);
    let rows = document.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let (verb, pattern) = cells.next()?.strip_suffix('`')?.split_once(' ')?;
        let rights = cells.next()?.replace('`', "");
        let is_route = pattern.starts_with('/') && rights != "none";
        is_route.then(|| (verb.to_owned(), pattern.to_owned(), rights))
    });
    rows.collect()
}

#[test]
fn the_table_of_these_tests_has_every_route() {
    let tested = ROUTES.map(|(method, pattern, _, rights)| {
        (method.to_owned(), pattern.to_owned(), rights.join(" or "))
    });
    assert_eq!(documented(), BTreeSet::from(tested));
}

fn migrate() -> JobName {
    JobName::new("shop", "migrate").expect("a name")
}

/// A server that can answer each route.
async fn server_for(rights: &[&str]) -> Serving {
    let jobs = mock_jobs(|jobs| {
        let created = || Ok(JobCreated::new(migrate(), "1"));
        jobs.expect_create().returning(move |_, _| created());
        jobs.expect_list().returning(|_| Ok(JobList::default()));
        jobs.expect_get().returning(|_| {
            let mut status = JobStatus::new(migrate(), "1");
            status.state = JobState::Complete;
            Ok(status)
        });
        jobs.expect_delete().returning(|_, _| Ok(()));
        jobs.expect_logs().returning(|_| Ok(Vec::new()));
    });
    bound(shop(), caller(rights)).await.jobs(jobs).serve()
}

/// A server whose cluster answers nothing: a call that reaches it is answered with 500.
async fn server_without_cluster(caller: Caller) -> Serving {
    let cluster = Arc::new(MockWorkloadPort::new());
    let takes = Takes(Ok(caller));
    let bound = Bound::new(listener().await, cluster.clone(), still_clock(), takes);
    let port: Option<Arc<dyn RolloutPort>> = Some(memory([]));
    let rollouts = Rollouts::new(cluster, port, still_clock(), true);
    let jobs = mock_jobs(|jobs| {
        jobs.expect_define()
            .returning(|_| panic!("a definition was read"));
    });
    let bound = bound.expect("a server").rollouts(rollouts).jobs(jobs);
    bound.metrics(Arc::new(NoFigures)).serve()
}

async fn ask(server: &Serving, method: &str, path: &str) -> Answer {
    match path {
        "/api/job" => {
            let json = ["Content-Type: application/json"];
            call_with_body(server.address(), path, &json, "{}").await
        }
        _ => call(server.address(), method, path).await,
    }
}

#[tokio::test]
async fn each_route_needs_one_of_its_rights() {
    let words = Right::ALL.map(Right::as_str);
    for granted in words.into_iter().chain(["force", "force:held"]) {
        let allows = server_for(&[granted]).await;
        let refuses = server_without_cluster(caller(&[granted])).await;
        for (method, _, path, needed) in ROUTES {
            if needed.contains(&granted) {
                let answer = ask(&allows, method, path).await;
                let is_done = answer.status < 400 || answer.problem().0 == "rollout-unfinished";
                assert!(is_done, "{granted}: {method} {path}: {answer:?}");
                continue;
            }
            let answer = ask(&refuses, method, path).await;
            assert_eq!(answer.status, 403, "{granted}: {method} {path}");
            let rule = format!("the caller ci lacks the right {}", needed.join(" or "));
            assert_eq!(answer.problem(), ("not-allowed".to_owned(), rule));
        }
    }
}

#[tokio::test]
async fn what_needs_no_caller_and_what_is_not_there_needs_no_right() {
    let server = server_without_cluster(caller(&[])).await;
    for (method, path, status) in [
        ("GET", "/livez", 200),
        ("GET", "/secret", 404),
        ("PUT", "/api/image/web", 405),
    ] {
        let answer = call(server.address(), method, path).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
    }
    let head = call(server.address(), "HEAD", "/api/status").await;
    assert_eq!(head.status, 403);
}

#[tokio::test]
async fn figures_need_no_right_on_the_listener_of_probes() {
    let probes = listener().await;
    let address = probes.local_addr().expect("an address");
    let bound = bound(shop(), caller(&["read"])).await.probes(probes);
    let server = bound.serve();
    assert_eq!(call(address, "GET", "/metrics").await.status, 200);
    let answer = call(server.address(), "GET", "/metrics").await;
    assert_eq!(answer.problem().1, "the caller ci lacks the right metrics");
    // The API is not there, whoever asks.
    assert_eq!(call(address, "GET", "/api/status").await.status, 404);
}

#[tokio::test]
async fn a_caller_without_the_right_is_refused_before_its_body_is_read() {
    let server = server_without_cluster(caller(&["read"])).await;
    for path in ["/api/job", "/api/image/acme/web?wait=10m"] {
        let mut client = Client::connect(server.address()).await;
        let json = "Content-Type: application/json";
        let head = request("POST", path, &[json, "Content-Length: 9"]);
        client.send(head).await;
        let answer = client.answer().await;
        assert_eq!(answer.problem().0, "not-allowed", "{path}");
        assert_eq!(answer.header("connection"), Some("close"), "{path}");
    }
}

#[tokio::test]
async fn only_what_a_caller_may_force_is_forced() {
    let refuses = server_without_cluster(caller(&["upgrade", "force:held"])).await;
    for (force, code) in [
        ("manual", "manual"),
        ("held,manual", "manual"),
        ("true", "manual"),
    ] {
        for (method, route) in [("POST", "image"), ("GET", "candidates")] {
            let path = format!("/api/{route}/{TAG}?force={force}");
            let answer = call(refuses.address(), method, &path).await;
            let rule = format!("the caller ci lacks the right force:{code}");
            assert_eq!(answer.problem(), ("not-allowed".into(), rule), "{path}");
        }
    }
    let allows = server_for(&["upgrade", "force:held"]).await;
    let all = server_for(&["upgrade", "force"]).await;
    for (server, force) in [(&allows, "held"), (&all, "true"), (&all, "manual,held")] {
        let path = format!("/api/image/{TAG}?force={force}");
        let answer = call(server.address(), "POST", &path).await;
        assert_eq!(answer.status, 200, "{force}: {}", answer.text);
    }
}

#[tokio::test]
async fn another_namespace_is_refused_wherever_it_is_named() {
    let mut narrowed = caller(&["read", "upgrade", "jobs", "logs", "hold"]);
    narrowed.namespaces = vec!["shop".into()];
    let server = server_without_cluster(narrowed).await;
    for (method, path) in [
        ("POST", format!("/api/image/{TAG}?namespace=shop,vault")),
        (
            "POST",
            format!("/api/image/{TAG}?workload=vault/deploy/web"),
        ),
        ("GET", format!("/api/candidates/{TAG}?namespace=vault")),
        (
            "GET",
            format!("/api/candidates/{TAG}?workload=vault/deploy/web"),
        ),
        ("GET", format!("/api/verify/{TAG}?namespace=vault&wait=10m")),
        (
            "GET",
            "/api/status?namespace=shop&namespace=vault".to_owned(),
        ),
        ("GET", "/api/rollout/vault/deploy/web".to_owned()),
        ("GET", "/api/rollout/vault/deploy/web?wait=10m".to_owned()),
        ("DELETE", "/api/hold/vault/deploy/web".to_owned()),
        ("GET", "/api/job/vault".to_owned()),
        ("GET", "/api/job/vault/migrate".to_owned()),
        ("GET", "/api/job/vault/migrate/log".to_owned()),
        ("DELETE", "/api/job/vault/migrate".to_owned()),
        ("POST", "/api/job/vault/from/nightly".to_owned()),
    ] {
        let answer = call(server.address(), method, &path).await;
        let rule = "the caller ci may not see the namespace vault".to_owned();
        assert_eq!(answer.status, 403, "{method} {path}: {}", answer.text);
        assert_eq!(answer.problem(), ("not-allowed".into(), rule), "{path}");
    }
    let json = ["Content-Type: application/json"];
    let answer = call_with_body(server.address(), "/api/job?namespace=vault", &json, "{}").await;
    assert_eq!(answer.problem().0, "not-allowed");
}

#[tokio::test]
async fn a_bound_caller_deploys_its_own_builds_alone() {
    let mut bound_caller = caller(&["read", "upgrade"]);
    let mut binding = Binding::new("Acme", "web", "main");
    binding.commit = Some("0123abcd0123abcd0123abcd0123abcd0123abcd".into());
    bound_caller.binding = Some(binding);
    let refuses = server_without_cluster(bound_caller.clone()).await;
    for (tag, rule) in [
        (
            "acme_other_main_1.4.0_7_0123abcd",
            "the caller ci: the token is for owner Acme, repo web, branch main, and the tag is of owner acme, repo other, branch main",
        ),
        (
            "acme_web_dev_1.4.0_7_0123abcd",
            "the caller ci: the token is for owner Acme, repo web, branch main, and the tag is of owner acme, repo web, branch dev",
        ),
        (
            "acme_web_main_1.4.0_7_0123abce",
            "the caller ci: the token is for the commit 0123abcd0123abcd0123abcd0123abcd0123abcd, and the tag is of 0123abce",
        ),
    ] {
        for (method, route) in [("POST", "image"), ("GET", "candidates"), ("GET", "verify")] {
            let path = format!("/api/{route}/acme/web:{tag}");
            let answer = call(refuses.address(), method, &path).await;
            assert_eq!(answer.problem(), ("not-allowed".into(), rule.into()));
        }
    }
    let server = bound(shop(), bound_caller).await.serve();
    let answer = call(server.address(), "POST", &format!("/api/image/{TAG}")).await;
    assert_eq!(answer.json()[0]["name"], "web", "{}", answer.text);
}

#[tokio::test]
async fn who_is_not_let_in_is_told_why_and_nothing_that_was_sent_is_a_header() {
    let bad = "\"\r\nSet-Cookie: x=1\r\n\u{1b}[31m".to_owned();
    for (denied, status, problem, challenge) in [
        (Denied::NoCredentials, 401, "unauthorized", Some("Bearer")),
        (
            Denied::BadCredentials,
            401,
            "unauthorized",
            Some("Bearer error=\"invalid_token\""),
        ),
        (
            Denied::Expired {
                caller: bad.as_str().into(),
            },
            401,
            "unauthorized",
            Some("Bearer error=\"invalid_token\""),
        ),
        (
            Denied::BadToken {
                why: bad.clone(),
                code: "signature",
            },
            401,
            "unauthorized",
            Some("Bearer error=\"invalid_token\""),
        ),
        (
            Denied::NotTrusted {
                why: bad.clone(),
                code: "owner",
                trust: Some("github".into()),
                issued: Issued::new("https://ci.example", "the subject", None),
            },
            403,
            "not-allowed",
            None,
        ),
        (
            Denied::Unavailable(bad.clone()),
            503,
            "token-unverified",
            None,
        ),
    ] {
        let takes = Takes(Err(denied.clone()));
        let bound = Bound::new(listener().await, shop(), still_clock(), takes);
        let server = bound.expect("a server").serve();
        let answer = call(server.address(), "GET", "/api/status").await;
        assert_eq!((answer.status, &*answer.problem().0), (status, problem));
        assert_eq!(answer.problem().1, denied.to_string());
        assert_eq!(answer.header("www-authenticate"), challenge, "{denied:?}");
        let retry = answer.header("retry-after").is_some();
        assert_eq!(retry, status == 503, "{denied:?}");
        // What troubles the authenticator keeps nobody from being answered.
        let ready = call(server.address(), "GET", "/readyz").await;
        assert_eq!(ready.status, 200);
        assert_eq!(ready.json()["status"], "ready");
        assert_eq!(ready.json()["detail"], format!("not well: {denied}"));
    }
}
