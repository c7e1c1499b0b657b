//! Jobs of narrowed callers: the namespace of each call is checked, also the one that a definition ends up in, before anything is
//! created or deleted.

use hikaru_core::{
    caller::{Binding, Caller},
    jobs::{JobCreated, JobList, JobName, JobNaming, JobSource, JobState, JobStatus},
};
use hikaru_http::Serving;

use super::{bound_jobs, caller};
use crate::{
    client::{Answer, call, call_with_body},
    cluster::{definition_of, mock_jobs},
};

const JSON: &str = "Content-Type: application/json";

fn narrowed() -> Caller {
    let mut narrowed = caller(&["jobs", "logs"]);
    narrowed.namespaces = vec!["shop".into()];
    narrowed
}

/// A server whose definitions end up in this namespace. A call that creates, deletes or reads a Job is answered with 500.
async fn defined_in(namespace: &'static str, is_generated: bool, caller: Caller) -> Serving {
    let jobs = mock_jobs(|jobs| {
        jobs.expect_define().returning(move |_| {
            let name = JobName::new(namespace, "migrate").expect("a name");
            let mut definition = definition_of(name);
            if is_generated {
                definition.naming = JobNaming::Generated {
                    namespace: namespace.into(),
                    prefix: "migrate-".into(),
                };
            }
            Ok(definition)
        });
    });
    bound_jobs(jobs, caller).await.serve()
}

async fn post(server: &Serving, query: &str) -> Answer {
    let target = format!("/api/job{query}");
    call_with_body(server.address(), &target, &[JSON], "{}").await
}

#[tokio::test]
async fn a_definition_that_ends_up_elsewhere_is_refused_before_anything_is_done() {
    let refused = "the caller ci may not see the namespace vault".to_owned();
    for is_generated in [false, true] {
        let server = defined_in("vault", is_generated, narrowed()).await;
        for query in [
            "",
            "?replace=true",
            "?dryRun=true",
            "?dryRun=true&replace=true",
            "?wait=10m",
            "?namespace=shop",
            "?namespace=shop&replace=true",
        ] {
            let answer = post(&server, query).await;
            assert_eq!(answer.status, 403, "{query}: {}", answer.text);
            let expected = ("not-allowed".to_owned(), refused.clone());
            assert_eq!(answer.problem(), expected, "{query}");
        }
    }
}

#[tokio::test]
async fn jobs_have_no_identity_that_a_caller_could_be_narrowed_to() {
    let mut by_identity = caller(&["read", "jobs", "logs"]);
    by_identity.identities = vec!["acme/*/*".parse().expect("a pattern")];
    let mut by_binding = caller(&["read", "jobs", "logs"]);
    by_binding.binding = Some(Binding::new("acme", "web", "main"));
    for caller in [by_identity, by_binding] {
        let server = defined_in("shop", false, caller.clone()).await;
        let refused = "the caller ci is narrowed to identities, and Jobs have none: it needs namespaces to see Jobs";
        for (method, path) in [
            ("GET", "/api/job/shop"),
            ("GET", "/api/job/shop/migrate"),
            ("GET", "/api/job/shop/migrate/log"),
            ("DELETE", "/api/job/shop/migrate"),
            ("POST", "/api/job/shop/from/nightly"),
        ] {
            let answer = call(server.address(), method, path).await;
            let expected = ("not-allowed".to_owned(), refused.to_owned());
            assert_eq!(answer.problem(), expected, "{method} {path}");
        }
        assert_eq!(post(&server, "?replace=true").await.problem().1, refused);
        // With namespaces it sees the Jobs of these.
        let mut caller = caller;
        caller.namespaces = vec!["shop".into()];
        let jobs = mock_jobs(|jobs| {
            jobs.expect_list().returning(|_| Ok(JobList::default()));
        });
        let server = bound_jobs(jobs, caller).await.serve();
        let answer = call(server.address(), "GET", "/api/job/shop").await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
}

#[tokio::test]
async fn a_narrowed_caller_uses_the_jobs_of_its_namespaces() {
    let migrate = || JobName::new("shop", "migrate").expect("a name");
    let jobs = mock_jobs(|jobs| {
        jobs.expect_define().returning(move |request| {
            if let JobSource::CronJob { name, .. } = &request.source {
                assert_eq!(name.to_string(), "shop/nightly");
            }
            Ok(definition_of(migrate()))
        });
        let created = move || JobCreated::new(migrate(), "1");
        jobs.expect_create().returning(move |_, _| Ok(created()));
        let status = move || {
            let mut status = JobStatus::new(migrate(), "1");
            status.state = JobState::Complete;
            status
        };
        jobs.expect_get().returning(move |_| Ok(status()));
        jobs.expect_look().returning(move |_, _| Ok(status()));
        jobs.expect_delete().returning(|_, _| Ok(()));
        jobs.expect_logs().returning(|_| Ok(Vec::new()));
    });
    let server = bound_jobs(jobs, narrowed()).await.serve();
    for (method, path, status) in [
        ("GET", "/api/job/shop/migrate", 200),
        ("GET", "/api/job/shop/migrate/log", 200),
        ("DELETE", "/api/job/shop/migrate", 204),
        ("POST", "/api/job/shop/from/nightly", 201),
        ("POST", "/api/job/shop/from/nightly?wait=10m", 201),
    ] {
        let answer = call(server.address(), method, path).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
    }
    assert_eq!(post(&server, "").await.status, 201);
}
