//! A server on the way that shows what it was sent, and plugins for credentials: no secret of ours comes back in what is
//! said of a failure.

use std::{fs, path::Path, time::Duration};

use hikaru_core::{
    Mode,
    port::{JobPort, Scope, Select, WorkloadPort as _},
    upgrade,
};
use hikaru_k8s::{Connection, ConnectionOptions, LiveCluster};
use serde_json::json;

use super::stub::{Asked, Step, Stub, id, post, settings, status};

const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.s1gnature-of-ours";
const PASSWORD: &str = "pass+word-of-0urs";

/// What a server shows of a request.
fn shown(asked: &Asked) -> String {
    let credentials = asked.headers.get("authorization");
    format!(
        "You sent: Authorization: {}",
        credentials.expect("credentials")
    )
}

async fn client(stub: &Stub, variables: &[(&str, &str)]) -> LiveCluster {
    let url = stub.url();
    let variable = |name: &str| {
        let set = variables.iter().find(|(known, _)| *known == name);
        let set = set.map(|(_, value)| (*value).to_owned());
        set.or_else(|| (name == "K8S_URL").then(|| url.clone()))
    };
    let connection = Connection::choose(&ConnectionOptions::default(), &variable).await;
    let cluster = LiveCluster::new(&connection.expect("a connection"), settings()).await;
    cluster.expect("a client")
}

/// All that is said of the failures of some calls.
async fn said(cluster: &LiveCluster) -> String {
    let all = Scope::new(Select::All);
    let found = cluster.find(&all).await.map(|found| found.faults);
    let read = cluster.read(&id("web")).await.map(drop);
    let job = hikaru_core::jobs::JobName::new("shop", "migrate").expect("a name");
    let job = JobPort::get(cluster, &job).await.map(drop);
    let upgraded = upgrade(
        cluster,
        &hikaru_k8s::SystemClock::default(),
        post(2),
        Mode::Commit,
    )
    .await;
    let upgraded = upgraded.map(|report| report.faults);
    format!("{found:?}\n{read:?}\n{job:?}\n{upgraded:?}")
}

#[tokio::test]
async fn a_server_that_shows_what_it_was_sent_shows_it_to_nobody_else() {
    type Answer = fn(&Asked) -> Step;
    let answers: [(&str, Answer); 6] = [
        ("a proxy's page", |asked| Step::Text(502, shown(asked))),
        ("a refusal", |asked| Step::Text(403, shown(asked))),
        ("a long page", |asked| {
            Step::Text(400, format!("{}{}", " ".repeat(250), shown(asked)))
        }),
        ("a status", |asked| {
            Step::Answer(403, status(403, "Forbidden", &shown(asked)))
        }),
        ("another type", |asked| {
            Step::Answer(
                200,
                json!({"metadata": shown(asked), "items": shown(asked)}),
            )
        }),
        ("half an answer", |asked| Step::Torn(422, shown(asked))),
    ];
    for (name, answer) in answers {
        let stub = Stub::start(move |asked, _| answer(asked)).await;
        for (variables, secrets) in [
            (&[("K8S_TOKEN", TOKEN)][..], &[TOKEN, &TOKEN[..20]][..]),
            (
                &[("K8S_USERNAME", "admin"), ("K8S_PASSWORD", PASSWORD)],
                &["YWRtaW46cGFzcyt3b3JkLW9mLTB1cnM", PASSWORD],
            ),
        ] {
            let said = said(&client(&stub, variables).await).await;
            assert!(said.contains("(our credentials)"), "{name}: {said}");
            for secret in secrets {
                assert!(!said.contains(secret), "{name}: {said}");
            }
        }
    }
}

/// A client by a kubeconfig with a plugin that prints what stands in `FOLDER/credential`.
async fn by_plugin(stub: &Stub, folder: &Path) -> LiveCluster {
    let script = format!(
        "echo ran >> '{0}/ran'; cat '{0}/credential'",
        folder.display()
    );
    let exec = json!({
        "apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", script],
        "interactiveMode": "Never",
    });
    let text = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": stub.url()}}],
        "users": [{"name": "u", "user": {"exec": exec}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    });
    let file = folder.join("config");
    fs::write(&file, text.to_string()).expect("written");
    let options = ConnectionOptions::new(Some(file), None);
    let connection = Connection::choose(&options, &|_| None).await;
    let mut settings = settings();
    // On a busy machine starting a plugin takes its time.
    settings.deadline = Duration::from_secs(30);
    let cluster = LiveCluster::new(&connection.expect("a connection"), settings).await;
    cluster.expect("a client")
}

fn credential(folder: &Path, token: &str, expires: &str) {
    let status = json!({"token": token, "expirationTimestamp": expires});
    let kind = "ExecCredential";
    let text =
        json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": kind, "status": status});
    fs::write(folder.join("credential"), text.to_string()).expect("written");
}

#[tokio::test]
async fn a_plugin_is_run_again_when_its_credentials_expire() {
    let folder = tempfile::tempdir().expect("a folder");
    let stub = Stub::start(|asked, _| Step::Text(403, shown(asked))).await;
    credential(folder.path(), "the-first-token", "2026-01-01T00:00:00Z");
    let cluster = by_plugin(&stub, folder.path()).await;
    let runs = || {
        let ran = fs::read_to_string(folder.path().join("ran"));
        ran.expect("it was run").lines().count()
    };
    let sent_with = async || {
        let _ = cluster.read(&id("web")).await;
        let asked = stub.asked().pop().expect("a request");
        asked.headers["authorization"].clone()
    };
    assert_eq!(sent_with().await, "Bearer the-first-token");
    assert_eq!(runs(), 1, "once, and not again within ten seconds");
    tokio::time::sleep(Duration::from_millis(10_100)).await;
    credential(folder.path(), "the-second-token", "2999-01-01T00:00:00Z");
    assert_eq!(sent_with().await, "Bearer the-second-token");
    tokio::time::sleep(Duration::from_millis(10_100)).await;
    assert_eq!(sent_with().await, "Bearer the-second-token");
    assert_eq!(runs(), 2);
}
