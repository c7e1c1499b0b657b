//! What `hikaru serve` needs on a real API server: memory on an empty cluster and with 10,000 and 100,000 Deployments, and
//! the time from its start to ready, beside curl that replays the same lists, page by page on one connection. How large the
//! program is, too.

use std::{
    fs,
    io::Write as _,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use kube::Client;
use serde_json::Value;
use tokio::runtime::Runtime;
use xtask::{
    Cluster, ClusterOptions,
    figures::{Figure, Goal, Interval},
};

use crate::{objects::upgraded, pairs, post, service::Service, timed};

const MIB: f64 = 1024.0 * 1024.0;
const FEW: usize = 10_000;
const MANY: usize = 100_000;
const IDENTITIES: usize = 5_000;
const NAMESPACES: usize = 100;
/// Of each: an interval of 95 % takes six.
const ROUNDS: usize = 6;
const IN_FLIGHT: usize = 48;

pub(crate) fn run() {
    let size = fs::metadata(env!("CARGO_BIN_EXE_hikaru")).expect("the program");
    let size = size.len() as f64 / MIB;
    record(Figure::alone("release binary", "MiB", &[size], Goal::None));

    let cluster = ClusterOptions::default()
        .controllers(false)
        .pods(false)
        .unaudited();
    let cluster = Cluster::start(cluster).expect("a cluster");
    let [anonymous, resident] = memory(&cluster, Duration::from_secs(3));
    let in_mib = |values: &[f64]| values.iter().map(|v| v / MIB).collect::<Vec<f64>>();
    let goal = Goal::AtMost(6.0);
    record(Figure::alone(
        "idle, empty cluster: RssAnon",
        "MiB",
        &in_mib(&anonymous),
        goal,
    ));
    record(Figure::alone(
        "idle, empty cluster: RSS",
        "MiB",
        &in_mib(&resident),
        Goal::None,
    ));

    let runtime = Runtime::new().expect("a runtime");
    let client = post::client(&cluster.kubeconfig(), &runtime);
    runtime.block_on(create(&client, 0, FEW));
    let [few, _] = memory(&cluster, Duration::from_secs(1));
    let few = Interval::of_median(&few).median;
    let took = timed(|| runtime.block_on(create(&client, FEW, MANY)));
    println!(
        "{} Deployments made in {:.0} s",
        MANY - FEW,
        took.as_secs_f64()
    );

    let mut slopes = Vec::new();
    let measured = pairs(
        0,
        ROUNDS,
        || {
            let begun = Instant::now();
            let service = Service::on_cluster(&cluster.kubeconfig());
            service.wait_until_ready();
            let took = begun.elapsed();
            thread::sleep(Duration::from_secs(1));
            slopes.push((service.memory("RssAnon") - few) / (MANY - FEW) as f64);
            took.as_secs_f64()
        },
        || replay(&cluster, &runtime.block_on(lists(&client))).as_secs_f64(),
    );
    let name = "start to ready, 100,000 Deployments / curl";
    record(Figure::paired(name, "s", &measured, Goal::AtMost(1.2)));
    let name = "memory of a real Deployment, 5,000 identities";
    record(Figure::alone(name, "B", &slopes, Goal::AtMost(1280.0)));
}

fn record(figure: Figure) {
    figure.record().expect("recorded");
}

/// `RssAnon` and `VmRSS` of a few servers, so long after each was ready.
fn memory(cluster: &Cluster, after: Duration) -> [Vec<f64>; 2] {
    let mut sizes = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        let service = Service::on_cluster(&cluster.kubeconfig());
        service.wait_until_ready();
        thread::sleep(after);
        for (sizes, line) in sizes.iter_mut().zip(["RssAnon", "VmRSS"]) {
            sizes.push(service.memory(line));
        }
    }
    sizes
}

/// Makes the Deployments of these numbers, and the namespaces with the first ones.
async fn create(client: &Client, from: usize, to: usize) {
    let post = async |path: String, object: Value| {
        let request = http::Request::post(path)
            .header("content-type", "application/json")
            .body(object.to_string().into_bytes())
            .expect("a request");
        client.request_text(request).await.expect("created");
    };
    if from == 0 {
        for n in 0..NAMESPACES {
            let name = format!("team-{n:03}");
            let object = serde_json::json!({"metadata": {"name": name}});
            post("/api/v1/namespaces".to_owned(), object).await;
        }
    }
    stream::iter(from..to)
        .map(|n| {
            let (namespace, repo) = (n % NAMESPACES, format!("checkout-{:04}", n % IDENTITIES));
            let object = upgraded(&format!("{repo}-{n:06}"), &repo, n);
            post(
                format!("/apis/apps/v1/namespaces/team-{namespace:03}/deployments"),
                object,
            )
        })
        .buffer_unordered(IN_FLIGHT)
        .collect::<Vec<()>>()
        .await;
}

/// The targets of the lists that `hikaru serve` asks for, with the tokens of their pages as they are now.
async fn lists(client: &Client) -> Vec<String> {
    let mut targets = Vec::new();
    for kind in [
        "apps/v1/deployments",
        "apps/v1/statefulsets",
        "apps/v1/daemonsets",
        "batch/v1/cronjobs",
    ] {
        let mut next = String::new();
        loop {
            let target = format!("/apis/{kind}?limit=500{next}");
            let request = http::Request::get(&target).body(Vec::new());
            let page = client.request_text(request.expect("a request"));
            let page = page.await.expect("a page");
            targets.push(target);
            // It stands in front of the objects.
            let token = page
                .split_once("\"continue\":\"")
                .and_then(|(_, rest)| rest.split_once('"'))
                .filter(|_| page.find("\"continue\"") < page.find("\"items\""));
            match token {
                Some((token, _)) if !token.is_empty() => next = format!("&continue={token}"),
                _ => break,
            }
        }
    }
    targets
}

/// curl on all of them, one after the other on one connection, nothing kept.
fn replay(cluster: &Cluster, targets: &[String]) -> Duration {
    let ca = cluster.folder().join("ca.crt");
    let mut config = format!(
        "silent\nshow-error\nfail\nhttp1.1\ncacert = \"{}\"\nheader = \"Authorization: Bearer {}\"\n",
        ca.display(),
        cluster.admin_token()
    );
    for target in targets {
        let line = format!(
            "url = \"{}{target}\"\noutput = \"/dev/null\"\n",
            cluster.url()
        );
        config.push_str(&line);
    }
    timed(|| {
        let mut curl = Command::new("curl")
            .args(["--config", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("curl runs");
        let mut stdin = curl.stdin.take().expect("a pipe");
        stdin.write_all(config.as_bytes()).expect("sent");
        drop(stdin);
        assert!(curl.wait().expect("curl ends").success());
    })
}
