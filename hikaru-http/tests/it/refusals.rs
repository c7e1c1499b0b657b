//! Writes that fail: which of them repeating the call can help, and how it is told.

use std::sync::Arc;

use hikaru_core::{
    policy::Change,
    port::{ClusterError, Fault, Found, Freshness, Severity, Written},
    testing::MockWorkloadPort,
};
use serde_json::json;

use crate::{
    answers::{entry, replaced},
    client::call,
    cluster::{BEFORE, serve, workload},
};

const POST: &str = "/api/image/acme/web:acme_web_main_1.4.0_7_0123abcd";

#[tokio::test]
async fn writes_that_fail_are_told_beside_those_that_did_not() {
    let mut cluster = MockWorkloadPort::new();
    cluster.expect_freshness().return_const(Freshness::Fresh);
    cluster.expect_find().returning(|_| {
        let names = ["web", "wall"];
        let workloads =
            names.map(|name| workload("shop", "Deployment", name, &[("web", BEFORE)]).into());
        let warning = Fault::new(Severity::Warning, "a.yaml", "a warning");
        Ok(Found::new(workloads.into(), vec![warning]))
    });
    let answer = |change: &Change| match &*change.judged().id.name {
        "wall" => Err(ClusterError::Invalid("admission webhook denied".into())),
        _ => Ok(Written::default()),
    };
    cluster
        .expect_write_all()
        .returning(move |changes, _| changes.iter().map(answer).collect());
    let server = serve(Arc::new(cluster)).await;
    let answer = call(server.address(), "POST", POST).await;
    assert_eq!(answer.status, 422);
    assert_eq!(
        answer.problem(),
        (
            "refused".into(),
            "1 of 2 workloads could not be upgraded, and repeating the call does not help: shop/Deployment/wall: refused: \
             admission webhook denied"
                .into()
        )
    );
    let mut failed = entry("shop", "Deployment", "wall", json!([replaced("web")]));
    failed["reason"] = json!("refused: admission webhook denied");
    failed["retryable"] = json!(false);
    let json = answer.json();
    assert_eq!(json["failed"], json!([failed]));
    let upgraded = entry("shop", "Deployment", "web", json!([replaced("web")]));
    assert_eq!(json["upgraded"], json!([upgraded]));
    assert_eq!((json.get("faults"), json.get("report")), (None, None));

    for query in ["?report=full", "?strict=true"] {
        let answer = call(server.address(), "POST", &format!("{POST}{query}")).await;
        assert_eq!(answer.status, 422);
        let entry = &answer.json()["report"]["upgrade"][0];
        assert_eq!(entry["error"], "refused: admission webhook denied");
        assert_eq!(entry["retryable"], false);
    }
}

/// Two workloads whose writes end so: the status and the name of the problem, and whether repeating can help for each.
async fn fail(errors: [ClusterError; 2], query: &str) -> (u16, String, Vec<bool>) {
    let mut cluster = MockWorkloadPort::new();
    cluster.expect_freshness().return_const(Freshness::Fresh);
    cluster.expect_find().returning(|_| {
        let names = ["a", "b"];
        let workloads =
            names.map(|name| workload("shop", "Deployment", name, &[("web", BEFORE)]).into());
        Ok(Found::new(workloads.into(), Vec::new()))
    });
    cluster.expect_write_all().returning(move |changes, _| {
        let [a, b] = &errors;
        let answer = |change: &Change| match &*change.judged().id.name {
            "a" => Err(a.clone()),
            _ => Err(b.clone()),
        };
        changes.iter().map(answer).collect()
    });
    let server = serve(Arc::new(cluster)).await;
    let answer = call(server.address(), "POST", &format!("{POST}{query}")).await;
    let json = answer.json();
    let failed = json["failed"].as_array().expect("failed").iter();
    let retryable = failed.map(|failed| failed["retryable"].as_bool().expect("retryable"));
    (answer.status, answer.problem().0, retryable.collect())
}

#[tokio::test]
async fn only_what_repeating_can_help_is_502() {
    let webhook = || ClusterError::Invalid("admission webhook denied".into());
    let rights = || ClusterError::Forbidden("cannot patch".into());
    let down = || ClusterError::Unavailable {
        message: "connection refused".into(),
        retry_after: None,
    };
    let refused = |retryable: [bool; 2]| (422, "refused".to_owned(), retryable.to_vec());
    let incomplete = |retryable: [bool; 2]| (502, "incomplete".to_owned(), retryable.to_vec());
    for query in ["", "?strict=true", "?dryRun=true"] {
        let final_both = fail([webhook(), rights()], query).await;
        assert_eq!(final_both, refused([false, false]), "{query}");
        let one_can_help = fail([webhook(), down()], query).await;
        assert_eq!(one_can_help, incomplete([false, true]), "{query}");
        // It was deleted meanwhile: a repeated call does not find it.
        let gone = fail([ClusterError::NotFound("it".into()), rights()], query).await;
        assert_eq!(gone, incomplete([true, false]), "{query}");
    }
}
