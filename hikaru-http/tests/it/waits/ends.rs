//! What ends a wait before its time: its client, the end of the server, a fault. The upgrade is done all the same.

use super::*;
use crate::{
    client::{Client, request},
    cluster::{Gate, POSTED, runs, works},
};

#[tokio::test]
async fn a_client_that_hangs_up_ends_its_wait_and_not_the_upgrade() {
    let scene = Scene::shop(&["web"]);
    let mut limits = Limits::default();
    limits.waits = 1;
    let server = scene.serve_in_time(limits).await;
    for (method, target) in [("POST", POST), ("GET", VERIFY), ("GET", ROLLOUT)] {
        let mut client = Client::connect(server.address()).await;
        client
            .send(request(method, &format!("{target}?wait=24h"), &[]))
            .await;
        scene.until_followed(1).await;
        assert_eq!(runs(&scene.cluster), POSTED);
        drop(client);
        scene.until_followed(0).await;
    }
    // The one permit is free again.
    scene.complete("web");
    assert_eq!(post(&server, "?wait=24h").await.status, 200);
}

#[tokio::test]
async fn a_client_that_has_sent_a_body_hangs_up_as_all_others() {
    let scene = Scene::shop(&["web"]);
    let server = scene.serve_in_time(Limits::default()).await;
    for (method, target) in [("POST", POST), ("GET", VERIFY), ("GET", ROLLOUT)] {
        let length = ["Content-Length: 2"];
        let head = request(method, &format!("{target}?wait=24h"), &length);
        // At once, and after its head.
        for pieces in [vec![format!("{head}{{}}")], vec![head, "{}".into()]] {
            let mut client = Client::connect(server.address()).await;
            for piece in pieces {
                works(server.address()).await;
                client.send(piece).await;
            }
            scene.until_followed(1).await;
            drop(client);
            scene.until_followed(0).await;
        }
    }
    // A body that does not come is not waited for without end, and nothing is written before.
    let scene = Scene::shop(&["web"]);
    let mut limits = Limits::default();
    limits.body_time = Duration::from_millis(50);
    let server = scene.serve_in_time(limits).await;
    let mut client = Client::connect(server.address()).await;
    let head = request("POST", &format!("{POST}?wait=24h"), &["Content-Length: 2"]);
    client.send(head).await;
    let answer = client.answer().await;
    assert_eq!((answer.status, &*answer.problem().0), (408, "body-timeout"));
    assert_eq!(runs(&scene.cluster), crate::cluster::BEFORE);
}

#[tokio::test]
async fn a_client_that_hangs_up_before_it_is_written_waits_for_nothing() {
    let scene = Scene::shop(&["web"]);
    let gate = Gate::new(scene.cluster.clone());
    let server = scene.bound_in_time(gate.clone()).await.serve();
    let mut client = Client::connect(server.address()).await;
    client
        .send(request("POST", &format!("{POST}?wait=24h"), &[]))
        .await;
    gate.wait_for_writes(1).await;
    client.finish().await;
    assert!(client.is_closed().await);
    let mut draining = server.drain();
    gate.gate.add_permits(1);
    timeout(LONG, draining.finished()).await.expect("the end");
    assert_eq!(runs(&scene.cluster), POSTED);
    assert_eq!(scene.followed.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_drain_ends_waits_at_once_and_finishes_upgrades() {
    let scene = Scene::shop(&["web"]);
    let gate = Gate::new(scene.cluster.clone());
    let server = scene.bound_in_time(gate.clone()).await.serve();
    let mut verifies = Client::connect(server.address()).await;
    verifies
        .send(request("GET", &format!("{VERIFY}?wait=24h"), &[]))
        .await;
    scene.until_followed(1).await;
    let mut posts = Client::connect(server.address()).await;
    posts
        .send(request("POST", &format!("{POST}?wait=24h"), &[]))
        .await;
    gate.wait_for_writes(1).await;
    let mut draining = server.drain();
    let answer = verifies.answer().await;
    let detail = "hikaru is stopping; what was begun goes on: repeating the call is safe";
    assert_eq!(
        (answer.status, answer.problem()),
        (503, ("stopping".into(), detail.into()))
    );
    gate.gate.add_permits(1);
    let answer = posts.answer().await;
    let detail = "hikaru is stopping; what was begun goes on: GET /api/verify/acme/web:acme_web_main_1.4.0_7_0123abcd";
    assert_eq!(
        (answer.status, answer.problem()),
        (503, ("stopping".into(), detail.into()))
    );
    assert_eq!(answer.json()["upgraded"][0]["name"], "web");
    timeout(LONG, draining.finished()).await.expect("the end");
    assert_eq!(runs(&scene.cluster), POSTED);
}

#[tokio::test]
async fn a_wait_is_longer_than_an_answer_may_take_and_holds_no_permit_of_others() {
    let scene = Scene::shop(&["web"]);
    let mut limits = Limits::default();
    limits.answer = Duration::from_secs(60);
    (limits.upgrades, limits.rollouts, limits.reads) = (1, 1, 1);
    let server = scene.serve_in_time(limits).await;
    let mut client = Client::connect(server.address()).await;
    client
        .send(request("POST", &format!("{POST}?wait=24h"), &[]))
        .await;
    scene.until_followed(1).await;
    assert_eq!(post(&server, "").await.status, 200);
    assert_eq!(get(&server, ROLLOUT).await.status, 200);
    let plan = "/api/candidates/acme/web:acme_web_main_1.4.0_7_0123abcd";
    assert_eq!(get(&server, plan).await.status, 200);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(3600)).await;
    tokio::time::resume();
    scene.complete("web");
    assert_eq!(client.answer().await.status, 200);
}

/// A cluster that gives no answer about rollouts, or panics.
struct Odd {
    panics: bool,
}

#[async_trait]
impl RolloutPort for Odd {
    async fn facts(&self, _: &WorkloadName) -> Result<Option<RolloutFacts>, ClusterError> {
        assert!(!self.panics, "as planned");
        std::future::pending().await
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
async fn a_panic_or_a_silent_cluster_is_told() {
    for (panics, why) in [
        (true, "hikaru made an error: its log has it"),
        (false, "the cluster does not answer"),
    ] {
        let scene = Scene::shop(&["web"]);
        let port: Arc<dyn RolloutPort> = Arc::new(Odd { panics });
        let mut limits = Limits::default();
        limits.answer = Duration::from_secs(5);
        let cluster = scene.cluster.clone();
        let server = crate::rollouts::serve_with(cluster, Some(port), limits).await;
        let answer = post(&server, "?wait=1s").await;
        let detail = format!(
            "what became of the rollouts is not known: {why}; what was begun goes on: GET \
             /api/verify/acme/web:acme_web_main_1.4.0_7_0123abcd"
        );
        let expected = ("incomplete".to_owned(), detail);
        assert_eq!((answer.status, answer.problem()), (502, expected));
        assert_eq!(answer.json()["upgraded"][0]["name"], "web");
        works(server.address()).await;
    }
}
