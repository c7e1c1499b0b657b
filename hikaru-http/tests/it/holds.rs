//! `DELETE /api/hold/…`: high-water marks are removed.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use hikaru_core::{
    Mode, Text, Workload, WorkloadId,
    policy::Change,
    port::{ClusterError, Found, Freshness, Scope, WorkloadPort, Written},
    testing::MockWorkloadPort,
    workload::WorkloadName,
};
use hikaru_http::{Authentication, Limits, Serving};
use serde_json::json;
use tokio::{sync::Semaphore, time::timeout};

use crate::{
    answers::town,
    client::{Client, LONG, call, request},
    cluster::{serve, serve_with},
};

const POST: &str = "/api/image/acme/web:acme_web_main_1.4.0_7_0123abcd";

#[tokio::test]
async fn holds_are_removed() {
    let cluster = town();
    let server = serve(cluster.clone()).await;
    let delete = async |target: &str| call(server.address(), "DELETE", target).await;
    let held = "/api/hold/shop/deploy/held";
    let none = json!({"namespace": "shop", "kind": "Deployment", "name": "held", "removed": []});
    let answer = delete(&format!("{held}?container=api")).await;
    assert_eq!((answer.status, answer.json()), (200, none.clone()));
    let post = || call(server.address(), "POST", POST);
    assert!(!post().await.text.contains("\"held\""));
    let answer = delete(held).await;
    let mut removed = none.clone();
    removed["removed"] = json!([{"container": "web", "mark": "1.4.0_7_d5ecc80e"}]);
    assert_eq!((answer.status, answer.json()), (200, removed));
    assert_eq!(delete(held).await.json(), none, "repeating it is safe");
    assert!(post().await.text.contains("\"held\""));

    for (target, status, problem, detail) in [
        (
            "/api/hold/shop/Deployment/absent",
            404,
            "no-such-workload",
            "there is no shop/Deployment/absent",
        ),
        (
            "/api/hold/Shop/Deployment/web",
            400,
            "bad-name",
            "expected a namespace of ",
        ),
        (
            "/api/hold/shop/Deployment/%2e%2e%2fx",
            400,
            "bad-name",
            "expected NAMESPACE/KIND/NAME",
        ),
        (
            "/api/hold/shop/Deployment/held?dryRun=true",
            400,
            "bad-query",
            "expected container, found `dryRun`",
        ),
        (
            "/api/hold/shop/Deployment/held?container=",
            400,
            "bad-query",
            "container: expected the name of a container",
        ),
        (
            "/api/hold/shop/held",
            404,
            "unknown-route",
            "expected /api/image/",
        ),
    ] {
        let answer = delete(target).await;
        assert_eq!(
            (answer.status, &*answer.problem().0),
            (status, problem),
            "{target}"
        );
        assert!(answer.problem().1.starts_with(detail), "{answer:?}");
    }
    let answer = call(server.address(), "POST", held).await;
    assert_eq!(
        (answer.status, answer.header("allow")),
        (405, Some("DELETE"))
    );
}

#[tokio::test]
async fn a_hold_that_cannot_be_removed_says_why() {
    for (error, status, problem) in [
        (
            ClusterError::Forbidden("cannot patch".into()),
            422,
            "refused",
        ),
        (
            ClusterError::Invalid("remove it by hand".into()),
            422,
            "refused",
        ),
        (ClusterError::Lost("reset".into()), 503, "unavailable"),
        (ClusterError::Unsupported("that"), 501, "unsupported"),
    ] {
        let mut cluster = MockWorkloadPort::new();
        let told = error.clone();
        cluster
            .expect_unhold()
            .returning(move |_, _| Err(told.clone()));
        let server = serve(Arc::new(cluster)).await;
        let answer = call(server.address(), "DELETE", "/api/hold/shop/Deployment/web").await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.problem(), (problem.to_owned(), error.to_string()));
    }
}

/// A cluster that removes a mark when it is let through.
struct Gated {
    begun: Semaphore,
    gate: Semaphore,
    done: Semaphore,
}

#[async_trait]
impl WorkloadPort for Gated {
    fn freshness(&self) -> Freshness {
        Freshness::Fresh
    }

    async fn find(&self, _: &Scope) -> Result<Found, ClusterError> {
        Ok(Found::default())
    }

    async fn read(&self, _: &WorkloadId) -> Result<Option<Workload>, ClusterError> {
        Ok(None)
    }

    async fn write(&self, _: &Change, _: Mode) -> Result<Written, ClusterError> {
        Err(ClusterError::NotFound("it".into()))
    }

    async fn unhold(
        &self,
        _: &WorkloadName,
        _: Option<Text>,
    ) -> Result<Vec<(Text, Text)>, ClusterError> {
        self.begun.add_permits(1);
        self.gate.acquire().await.expect("open").forget();
        self.done.add_permits(1);
        Ok(Vec::new())
    }
}

/// A server on such a cluster, and a client whose call waits at the gate.
async fn waiting(limits: Limits) -> (Arc<Gated>, Serving, Client) {
    let cluster = Arc::new(Gated {
        begun: Semaphore::new(0),
        gate: Semaphore::new(0),
        done: Semaphore::new(0),
    });
    let server = serve_with(cluster.clone(), Authentication::Loopback, limits).await;
    let mut client = Client::connect(server.address()).await;
    let target = "/api/hold/shop/Deployment/web";
    client.send(request("DELETE", target, &[])).await;
    let begun = timeout(LONG, cluster.begun.acquire()).await;
    begun.expect("in time").expect("open").forget();
    (cluster, server, client)
}

/// Lets the call through and waits until the server has finished it.
async fn let_through(cluster: &Gated, server: Serving) {
    let mut draining = server.drain();
    cluster.gate.add_permits(1);
    let over = timeout(LONG, draining.finished()).await;
    over.expect("a server that is over");
    assert_eq!(cluster.done.available_permits(), 1);
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_stop_it_half_way() {
    let (cluster, server, mut client) = waiting(Limits::default()).await;
    client.finish().await;
    // The server closes its side once it has seen the end of the client's.
    assert!(client.is_closed().await);
    let_through(&cluster, server).await;
}

#[tokio::test]
async fn the_end_of_its_time_does_not_stop_it_half_way() {
    let mut limits = Limits::default();
    limits.answer = Duration::from_millis(100);
    let (cluster, server, mut client) = waiting(limits).await;
    let answer = client.answer_to("DELETE").await.expect("an answer");
    assert_eq!((answer.status, &*answer.problem().0), (504, "timeout"));
    let_through(&cluster, server).await;
}
