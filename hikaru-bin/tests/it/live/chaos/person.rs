//! Somebody who works on the same Deployments: scales, sets variables, relabels, opts out, rolls back. As kubectl does it,
//! and without a thought for hikaru.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use xtask::Cluster;

use super::world::{self, DEPLOYMENTS, Part, QUIET, Told};

/// Between two deeds.
const PACE: Duration = Duration::from_millis(20);

pub(super) struct Person<'c> {
    cluster: &'c Cluster,
    random: fastrand::Rng,
    runtime: Runtime,
    client: Client,
    /// How often each thing was done.
    done: BTreeMap<&'static str, u64>,
}

impl<'c> Person<'c> {
    pub(super) fn new(cluster: &'c Cluster, seed: u64) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig()).expect("a kubeconfig");
        let client = runtime.block_on(async {
            let options = KubeConfigOptions::default();
            let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
            Client::try_from(config.expect("a configuration")).expect("a client")
        });
        Self {
            cluster,
            random: fastrand::Rng::with_seed(seed),
            runtime,
            client,
            done: BTreeMap::new(),
        }
    }

    /// Works until it is enough. Returns how often each thing was done.
    pub(super) fn work(mut self, enough: &AtomicBool) -> BTreeMap<&'static str, u64> {
        while !enough.load(Ordering::Relaxed) {
            self.something();
            std::thread::sleep(PACE);
        }
        self.done
    }

    fn something(&mut self) {
        let number = self.random.usize(..DEPLOYMENTS);
        let deed = match self.random.u8(..100) {
            0..15 => self.scale(number),
            15..35 => self.variable(number),
            _ if number >= QUIET => None,
            35..55 => self.relabel(number),
            55..75 => self.opt(number),
            75..88 => self.older(number),
            _ => self.undo(number),
        };
        if let Some(deed) = deed {
            *self.done.entry(deed).or_default() += 1;
        }
    }

    fn scale(&mut self, number: usize) -> Option<&'static str> {
        let replicas = self.random.u8(..3);
        self.merge(number, &json!({"spec": {"replicas": replicas}}));
        Some("scaled")
    }

    fn variable(&mut self, number: usize) -> Option<&'static str> {
        let value = format!("{:x}", self.random.u32(..));
        let container = json!({"name": "app", "env": [{"name": "MODE", "value": value}]});
        self.strategic(number, &[container]);
        Some("variable set")
    }

    /// Another branch, which has builds of its own or none; and back, sooner than away.
    fn relabel(&mut self, number: usize) -> Option<&'static str> {
        let object = self.get(number);
        let [_, _, home] = world::IDENTITIES[number % world::IDENTITIES.len()];
        let (branch, deed) = if object["metadata"]["labels"]["branch"] != home {
            (home, "relabeled back")
        } else if self.random.u8(..3) == 0 {
            (if home == "main" { "dev" } else { "main" }, "relabeled")
        } else {
            return None;
        };
        self.merge(number, &json!({"metadata": {"labels": {"branch": branch}}}));
        Some(deed)
    }

    /// Out, by label or annotation; or in again, sooner than out.
    fn opt(&mut self, number: usize) -> Option<&'static str> {
        const KEY: &str = "hikaru.dev/upgrade";
        let metadata = &self.get(number)["metadata"];
        let is_out = ["labels", "annotations"].map(|map| metadata[map][KEY] == "manual");
        if is_out.contains(&true) {
            let gone = json!({"labels": {KEY: null}, "annotations": {KEY: null}});
            self.merge(number, &json!({"metadata": gone}));
            return Some("opted in");
        }
        if self.random.u8(..3) > 0 {
            return None;
        }
        let map = if self.random.bool() {
            "labels"
        } else {
            "annotations"
        };
        self.merge(number, &json!({"metadata": {map: {KEY: "manual"}}}));
        Some("opted out")
    }

    /// An older image, as `kubectl set image`: what was read before may be long gone by then.
    fn older(&mut self, number: usize) -> Option<&'static str> {
        let object = self.get(number);
        let containers = object["spec"]["template"]["spec"]["containers"].as_array()?;
        let app = containers.iter().find(|c| c["name"] == "app")?;
        let runs = app["image"].as_str()?;
        let (identity, rank) = Told::build(runs)?;
        let mut identities = world::IDENTITIES.iter();
        let identity = identities.position(|known| known.join("_") == identity)?;
        let rung = world::rung(rank).checked_sub(self.random.u64(1..20))?;
        let image = world::image(identity, Part::App, rung, 0);
        self.strategic(number, &[json!({"name": "app", "image": image})]);
        Some("older image set")
    }

    /// `kubectl rollout undo`: the whole template and all annotations of the revision before.
    fn undo(&mut self, number: usize) -> Option<&'static str> {
        let object = world::object(number);
        let (namespace, name) = object.split_once('/')?;
        let what = format!("deployment/{name}");
        let args = ["rollout", "undo", &what, "--namespace", namespace];
        let said = self.cluster.kubectl(&args).ok()?;
        (said.contains("rolled back")).then_some("undone")
    }

    fn get(&self, number: usize) -> Value {
        self.send("GET", number, "application/json", &Value::Null)
    }

    fn merge(&self, number: usize, patch: &Value) {
        self.send("PATCH", number, "application/merge-patch+json", patch);
    }

    fn strategic(&self, number: usize, containers: &[Value]) {
        let patch = json!({"spec": {"template": {"spec": {"containers": containers}}}});
        let media = "application/strategic-merge-patch+json";
        self.send("PATCH", number, media, &patch);
    }

    fn send(&self, method: &str, number: usize, media: &str, body: &Value) -> Value {
        let object = world::object(number);
        let (namespace, name) = object.split_once('/').expect("a namespace");
        let path = format!(
            "/apis/apps/v1/namespaces/{namespace}/deployments/{name}?fieldManager=kubectl-edit"
        );
        let request = http::Request::builder().method(method).uri(path);
        let request = request.header(http::header::CONTENT_TYPE, media);
        let body = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        let request = request.body(body).expect("a request");
        let answer = self.runtime.block_on(self.client.request::<Value>(request));
        answer.unwrap_or_else(|error| panic!("{method} {object}: {error}"))
    }
}
