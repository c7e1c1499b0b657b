//! What is told of waits beside their answers: the lines of the log, the observers and the figures.

use hikaru_core::port::{Event, Happening, Observer};
use hikaru_http::{Metrics, MetricsFormat};
use tracing::Level;

use super::*;
use crate::{
    client::{Client, request},
    cluster::POSTED,
    log::{Log, fields, requests},
    rollouts::put_crashing,
};

const EVENTS: &str = "Accept: text/event-stream";

#[tokio::test]
async fn each_rollout_that_ends_has_its_line() {
    let (log, _guard) = Log::start();
    let scene = Scene::shop(&["admin", "late"]);
    put_crashing(&scene.cluster);
    scene.complete("admin");
    let server = scene.serve().await;
    post(&server, "?wait=1m&failFast=false").await;
    let line = |name: &str, state: &str, outcome: &str| {
        let pairs = [
            ("namespace", "shop"),
            ("kind", "Deployment"),
            ("name", name),
            ("state", state),
            ("outcome", outcome),
        ];
        fields(&pairs)
    };
    let ended = |level: Level| {
        let mut lines = log.lines(level);
        lines.retain(|line| line.contains_key("state"));
        for line in &mut lines {
            assert!(line.remove("request_id").is_some_and(|id| !id.is_empty()));
            assert_eq!(line.remove("caller").as_deref(), Some("anonymous"));
            let seconds = line.remove("seconds").expect("seconds");
            seconds.parse::<u64>().expect("a number");
            let sentence = line.remove("message").expect("a sentence");
            assert!(sentence.contains("shop/Deployment/"), "{sentence}");
        }
        lines
    };
    let expected = [
        line("admin", "complete", "succeeded"),
        line("late", "progressing", "unfinished"),
    ];
    assert_eq!(ended(Level::INFO), expected);
    let mut failed = line("web", "failed", "failed");
    failed.insert("cause".into(), "CrashLoop".into());
    assert_eq!(ended(Level::WARN), [failed]);
}

#[tokio::test]
async fn the_line_of_a_stream_has_the_status_of_its_result_or_says_that_the_client_hung_up() {
    let (log, _guard) = Log::start();
    let scene = Scene::shop(&["web"]);
    let server = scene.serve_in_time(Limits::default()).await;
    for hangs_up in [true, false] {
        let mut client = Client::connect(server.address()).await;
        client
            .send(request("POST", &format!("{POST}?wait=24h"), &[EVENTS]))
            .await;
        client.stream().await;
        client.chunk().await.expect("an event");
        assert_eq!(requests(&log).len(), usize::from(!hangs_up), "it goes on");
        match hangs_up {
            true => drop(client),
            false => {
                scene.pause("web");
                while client.chunk().await.is_some() {}
            }
        }
        scene.until_followed(0).await;
    }
    let lines = requests(&log);
    let told: Vec<_> = lines
        .iter()
        .map(|line| (line.get("status").map(String::as_str), &*line["message"]))
        .collect();
    assert_eq!(
        told,
        [
            (
                None,
                "not finished: the client hung up, or hikaru was stopped"
            ),
            (Some("409"), "answered"),
        ]
    );
}

/// Writes down what it is told.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Told {
    fn tell(&self, line: String) {
        self.0.lock().expect("no panic before").push(line);
    }
}

impl Metrics for Told {
    fn answered(&self, route: &'static str, status: u16, _: Duration, waited: bool) {
        self.tell(format!("{route} {status}, waited: {waited}"));
    }

    fn waits(&self, in_flight: usize) {
        self.tell(format!("{in_flight} wait"));
    }

    fn text(&self, _: MetricsFormat) -> String {
        String::new()
    }
}

impl Observer for Told {
    fn observe(&self, event: &Event<'_>) {
        if let Happening::RolloutEnded { followed, took } = event.what {
            let Duration { .. } = took;
            let state = followed.answer.rollout.state;
            self.tell(format!("{} {}: {state}", event.call, followed.id.name));
        }
    }
}

#[tokio::test]
async fn the_figures_count_waits_and_results() {
    let scene = Scene::shop(&["web"]);
    let told = Arc::new(Told::default());
    let bound = scene.bound_in_time(scene.cluster.clone()).await;
    let server = bound.metrics(told.clone()).observer(told.clone()).serve();
    let mut plain = Client::connect(server.address()).await;
    plain
        .send(request("POST", &format!("{POST}?wait=24h"), &[]))
        .await;
    scene.until_followed(1).await;
    let mut stream = Client::connect(server.address()).await;
    stream
        .send(request("GET", &format!("{VERIFY}?wait=24h"), &[EVENTS]))
        .await;
    scene.until_followed(2).await;
    get(&server, "/metrics").await;
    scene.complete("web");
    assert_eq!(plain.answer().await.status, 200);
    stream.stream().await;
    while stream.chunk().await.is_some() {}
    get(&server, VERIFY).await;
    get(&server, "/metrics").await;
    let mut lines = told.0.lock().expect("no panic").clone();
    // Which of the two ends first is not said.
    lines[2..6].sort();
    let expected = [
        "2 wait",
        "/metrics 200, waited: false",
        "/api/image/{image} 200, waited: true",
        "/api/image/{image} web: complete",
        "/api/verify/{image} 200, waited: true",
        "/api/verify/{image} web: complete",
        "/api/verify/{image} 200, waited: false",
        "0 wait",
        "/metrics 200, waited: false",
    ];
    assert_eq!(lines, expected);
    assert_eq!(crate::cluster::runs(&scene.cluster), POSTED);
}
