//! How much a POST costs beside the bare patches that it makes, on a real API server: 1,000 Deployments without replicas,
//! beside a loop of the same patches with as many in flight as it is fastest with, and one Deployment.

use std::{path::Path, time::Duration};

use futures_util::{StreamExt as _, stream};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use xtask::{
    Cluster, ClusterOptions,
    figures::{Figure, Goal, percentile},
};

use crate::{
    objects::{deployment, image, patch},
    pairs,
    service::Service,
    timed,
};

const DEPLOYMENTS: usize = 1000;
const IN_FLIGHT: [usize; 4] = [16, 32, 64, 128];
const ROUNDS: usize = 20;
const SINGLES: usize = 1000;
/// Long enough for an event of the watch.
const SETTLE: Duration = Duration::from_millis(50);

pub(crate) fn run() {
    let cluster = ClusterOptions::default().controllers(false).pods(false);
    let cluster = Cluster::start(cluster).expect("a cluster");
    let runtime = Runtime::new().expect("a runtime");
    let client = client(&cluster.kubeconfig(), &runtime);
    for (namespace, count) in [("many", DEPLOYMENTS), ("one", 1)] {
        create(&cluster, namespace, count);
    }
    let bare = |namespace: &str, n: u64, in_flight: usize| {
        runtime.block_on(patch_all(&client, namespace, n, in_flight))
    };
    let service = Service::on_cluster(&cluster.kubeconfig());
    service.wait_until_ready();
    let post = |namespace: &str, n: u64, expected: usize| {
        timed(|| assert_eq!(upgrade(&service, n, namespace), expected))
    };
    let build = std::cell::Cell::new(1);
    let next = || {
        build.set(build.get() + 1);
        build.get()
    };

    // Hikaru's first post warms up, and gives them the annotations that the bare patches test.
    post("many", next(), DEPLOYMENTS);
    // The fastest of three turns each.
    let mut best = (Duration::MAX, 0);
    for in_flight in IN_FLIGHT {
        let times = (0..3).map(|_| bare("many", next(), in_flight));
        let time = times.min().unwrap_or_default();
        println!(
            "bare loop, {in_flight} in flight: {:.3} s",
            time.as_secs_f64()
        );
        best = best.min((time, in_flight));
    }
    let (_, in_flight) = best;
    let many = pairs(
        2,
        ROUNDS,
        || post("many", next(), DEPLOYMENTS).as_secs_f64(),
        || bare("many", next(), in_flight).as_secs_f64(),
    );
    let name = format!("POST that upgrades 1,000 / bare loop, {in_flight} in flight");
    Figure::paired(&name, "s", &many, Goal::AtMost(1.2))
        .record()
        .expect("recorded");

    // The view has heard of the last patch before the next one is sent: between two posts of users there are minutes.
    let settle = || std::thread::sleep(SETTLE);
    let one = pairs(
        5,
        SINGLES,
        || {
            settle();
            post("one", next(), 1).as_secs_f64() * 1e3
        },
        || {
            settle();
            bare("one", next(), 1).as_secs_f64() * 1e3
        },
    );
    let name = "POST that upgrades one / bare PATCH";
    let ratio = Figure::paired(name, "ms", &one, Goal::None);
    ratio.record().expect("recorded");
    let (mut posts, mut patches): (Vec<f64>, Vec<f64>) = one.into_iter().unzip();
    let more = percentile(&mut posts, 0.99) - percentile(&mut patches, 0.99);
    let name = "POST that upgrades one, beyond its bare PATCH, p99";
    let more = Figure::alone(name, "ms", &[more], Goal::AtMost(2.0));
    more.record().expect("recorded");
}

/// Posts a build; how many workloads were upgraded.
fn upgrade(service: &Service, n: u64, namespace: &str) -> usize {
    let image = image("web", n);
    let answer = service.call("POST", &format!("/api/image/{image}?namespace={namespace}"));
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let upgraded: Value = serde_json::from_str(body).unwrap_or_default();
    upgraded.as_array().map_or(0, Vec::len)
}

/// A plain client.
pub(crate) fn client(kubeconfig: &Path, runtime: &Runtime) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
    runtime.block_on(async {
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
        Client::try_from(config.expect("a configuration")).expect("a client")
    })
}

fn create(cluster: &Cluster, namespace: &str, count: usize) {
    cluster
        .kubectl(&["create", "namespace", namespace])
        .expect("a namespace");
    let items = (0..count).map(|i| deployment(&format!("web-{i:04}"), "web"));
    let items: Vec<Value> = items.collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    let args = ["create", "--namespace", namespace, "--filename=-"];
    cluster
        .kubectl_with_input(&args, &list.to_string())
        .expect("created");
}

/// Patches all Deployments of a namespace, and says how long that took. They are read before the time begins: hikaru knows
/// them by its watch.
async fn patch_all(client: &Client, namespace: &str, n: u64, in_flight: usize) -> Duration {
    let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments");
    let request = http::Request::get(&path)
        .body(Vec::new())
        .expect("a request");
    let list: Value = client.request(request).await.expect("a list");
    let items = list["items"].as_array().expect("items");
    let start = std::time::Instant::now();
    stream::iter(items)
        .map(|object| async {
            let name = object["metadata"]["name"].as_str().expect("a name");
            let request = http::Request::patch(format!("{path}/{name}?fieldManager=hikaru"))
                .header("content-type", "application/json-patch+json")
                .body(patch(object, "web", n).to_string().into_bytes())
                .expect("a request");
            let done = client.request::<Value>(request).await.expect("patched");
            assert_eq!(done["metadata"]["name"], name);
        })
        .buffer_unordered(in_flight)
        .collect::<Vec<()>>()
        .await;
    start.elapsed()
}
