//! How much a POST costs beside the bare patches that it makes, on a real API server: 1,000 Deployments without replicas
//! at 16 in flight, and one Deployment. Each round does both, one after the other, so a machine that drifts drifts for
//! both. Run by `cargo xtask bench`; the figures of record are in docs/benchmarks.md.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};
use xtask::{Cluster, ClusterOptions};

const DEPLOYMENTS: usize = 1000;
const IN_FLIGHT: usize = 16;
const ROUNDS: usize = 7;
const SINGLES: usize = 60;

fn image(n: u64) -> String {
    format!("registry.example/acme/web:acme_web_main_1.4.0_{n}_0123abcd")
}

fn main() {
    let cluster = ClusterOptions::default().controllers(false).pods(false);
    let cluster = Cluster::start(cluster).expect("a cluster");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let bench = Bench::new(&cluster, &runtime);
    let server = Server::start(&cluster);

    let mut build = 1;
    let mut next = || {
        build += 1;
        build
    };
    let mut pairs = Vec::new();
    for round in 0..=ROUNDS {
        let hikaru = timed(|| assert_eq!(server.post(next(), "many"), DEPLOYMENTS));
        let bare = runtime.block_on(bench.patch_all("many", next()));
        // The first round warms both up.
        if round > 0 {
            println!(
                "1,000: hikaru {:.3} s, bare {:.3} s",
                hikaru.as_secs_f64(),
                bare.as_secs_f64()
            );
            pairs.push((hikaru, bare));
        }
    }
    let ratios = pairs
        .iter()
        .map(|(hikaru, bare)| hikaru.as_secs_f64() / bare.as_secs_f64());
    println!(
        "1,000 Deployments, POST / bare loop: {} x (median of {ROUNDS} pairs)",
        median(ratios)
    );

    let mut pairs = Vec::new();
    for round in 0..SINGLES + 5 {
        let hikaru = timed(|| assert_eq!(server.post(next(), "one"), 1));
        let bare = runtime.block_on(bench.patch_all("one", next()));
        if round >= 5 {
            pairs.push((hikaru, bare));
        }
    }
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    println!(
        "one Deployment, POST: {} ms",
        median(pairs.iter().map(|(hikaru, _)| milliseconds(*hikaru)))
    );
    println!(
        "one Deployment, bare PATCH: {} ms",
        median(pairs.iter().map(|(_, bare)| milliseconds(*bare)))
    );
    let added = pairs
        .iter()
        .map(|(hikaru, bare)| milliseconds(*hikaru) - milliseconds(*bare));
    println!(
        "one Deployment, added by hikaru: {} ms (median of {SINGLES} pairs)",
        median(added)
    );
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// The median with the smallest and the largest.
fn median(values: impl Iterator<Item = f64>) -> String {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let at = |i: usize| values.get(i).copied().unwrap_or(f64::NAN);
    let last = values.len().saturating_sub(1);
    format!("{:.2} [{:.2} to {:.2}]", at(last / 2), at(0), at(last))
}

/// The bare loop: the patches that hikaru makes, by a plain client.
struct Bench {
    client: Client,
}

impl Bench {
    fn new(cluster: &Cluster, runtime: &tokio::runtime::Runtime) -> Self {
        let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig()).expect("a kubeconfig");
        let client = runtime.block_on(async {
            let options = KubeConfigOptions::default();
            let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
            Client::try_from(config.expect("a configuration")).expect("a client")
        });
        for (namespace, count) in [("many", DEPLOYMENTS), ("one", 1)] {
            cluster
                .kubectl(&["create", "namespace", namespace])
                .expect("a namespace");
            let items: Vec<Value> = (0..count).map(deployment).collect();
            let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
            let args = ["create", "--namespace", namespace, "--filename=-"];
            cluster
                .kubectl_with_input(&args, &list.to_string())
                .expect("created");
        }
        Self { client }
    }

    /// Patches all Deployments of a namespace, and says how long that took. They are read before the time begins: hikaru
    /// knows them by its watch.
    async fn patch_all(&self, namespace: &str, n: u64) -> Duration {
        let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments");
        let request = http::Request::get(&path)
            .body(Vec::new())
            .expect("a request");
        let list: Value = self.client.request(request).await.expect("a list");
        let items = list["items"].as_array().expect("items");
        let start = Instant::now();
        stream::iter(items)
            .map(|object| async {
                let name = object["metadata"]["name"].as_str().expect("a name");
                let request = http::Request::patch(format!("{path}/{name}?fieldManager=hikaru"))
                    .header("content-type", "application/json-patch+json")
                    .body(patch(object, n).to_string().into_bytes())
                    .expect("a request");
                let done = self
                    .client
                    .request::<Value>(request)
                    .await
                    .expect("patched");
                assert_eq!(done["metadata"]["name"], name);
            })
            .buffer_unordered(IN_FLIGHT)
            .collect::<Vec<()>>()
            .await;
        start.elapsed()
    }
}

fn deployment(i: usize) -> Value {
    let labels = json!({"app": format!("web-{i}")});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": format!("web-{i:04}"), "labels": {"owner": "acme", "repo": "web", "branch": "main"}},
        "spec": {
            "replicas": 0, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": image(1)}]}},
        },
    })
}

/// A guarded patch as hikaru makes it.
fn patch(object: &Value, n: u64) -> Value {
    let metadata = &object["metadata"];
    let container = "/spec/template/spec/containers/0";
    let mark = "/metadata/labels/high-water.hikaru.dev~1web";
    let last = "/metadata/annotations/hikaru.dev~1last-upgrade";
    let test = |path: &str, value: &Value| json!({"op": "test", "path": path, "value": value});
    let mut patch = vec![test("/metadata/uid", &metadata["uid"])];
    for key in ["owner", "repo", "branch"] {
        patch.push(test(
            &format!("/metadata/labels/{key}"),
            &metadata["labels"][key],
        ));
    }
    for key in ["upgrade", "containers", "constraint", "on-failure"] {
        patch.push(test(
            &format!("/metadata/labels/hikaru.dev~1{key}"),
            &Value::Null,
        ));
        patch.push(test(
            &format!("/metadata/annotations/hikaru.dev~1{key}"),
            &Value::Null,
        ));
    }
    let runs = &object["spec"]["template"]["spec"]["containers"][0];
    patch.push(test(&format!("{container}/name"), &runs["name"]));
    patch.push(test(&format!("{container}/image"), &runs["image"]));
    patch.push(test(mark, &metadata["labels"]["high-water.hikaru.dev/web"]));
    patch.push(test(
        last,
        &metadata["annotations"]["hikaru.dev/last-upgrade"],
    ));
    patch.push(json!({"op": "replace", "path": format!("{container}/image"), "value": image(n)}));
    patch.push(json!({"op": "add", "path": mark, "value": format!("1.4.0_{n}_f73d5a39")}));
    let previous = json!({"at": "2026-01-01T00:00:00Z", "previous": {"web": runs["image"]}});
    patch.push(json!({"op": "add", "path": last, "value": previous.to_string()}));
    Value::Array(patch)
}

/// `hikaru serve` on the cluster, and a caller with a connection of its own for each POST, as CI has.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(cluster: &Cluster) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_hikaru"))
            .args(["serve", "--listen", "127.0.0.1:0", "--kubeconfig"])
            .arg(cluster.kubeconfig())
            .stderr(Stdio::piped())
            .spawn()
            .expect("hikaru runs");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let address = loop {
            let line = lines.next().expect("it listens").expect("a line");
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            if event["message"] == "listening" {
                break event["address"].as_str().expect("an address").to_owned();
            }
        };
        std::thread::spawn(move || lines.for_each(drop));
        let server = Self { child, address };
        while !server.call("GET", "/readyz").starts_with("HTTP/1.1 200") {
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    fn call(&self, method: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("connected");
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    /// Posts a build; how many workloads were upgraded.
    fn post(&self, n: u64, namespace: &str) -> usize {
        let answer = self.call(
            "POST",
            &format!("/api/image/{}?namespace={namespace}", image(n)),
        );
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let upgraded: Value = serde_json::from_str(body).unwrap_or_default();
        upgraded.as_array().map_or(0, Vec::len)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
