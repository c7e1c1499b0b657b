//! An API server with one namespace, `shop`: it lists, gives and watches its objects as a real one does, and tells of each change.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::super::stub::{Asked, Fed, Step, Stub, deployment, event, list, status};

pub(super) const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/shop/deployments";
pub(super) const REPLICA_SETS: &str = "/apis/apps/v1/namespaces/shop/replicasets";
pub(super) const PODS: &str = "/api/v1/namespaces/shop/pods";

/// Cheap to clone; all clones have the same objects.
#[derive(Clone, Default)]
pub(super) struct Shop(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// By collection and name.
    objects: BTreeMap<(String, String), Value>,
    /// What has happened: the version, the collection, the event.
    history: Vec<(u64, String, Value)>,
    watches: Vec<Watch>,
}

struct Watch {
    path: String,
    /// As in the request: labels, and fields.
    narrowed: [String; 2],
    sender: UnboundedSender<Value>,
}

impl State {
    fn version(&self) -> u64 {
        // As of the beginning it is 7.
        7 + self.history.len() as u64
    }

    fn happens(&mut self, name: &str, path: &str, mut object: Value) {
        object["metadata"]["resourceVersion"] = json!((self.version() + 1).to_string());
        let event = event(name, &object);
        let told = |watch: &Watch| watch.path == path && is_of(&watch.narrowed, &object);
        let watches = self.watches.iter().filter(|watch| told(watch));
        watches.for_each(|watch| drop(watch.sender.send(event.clone())));
        self.history
            .push((self.version() + 1, path.to_owned(), event));
    }
}

/// Whether an object is among those of a request. Labels and fields are compared with one value each.
fn is_of([labels, fields]: &[String; 2], object: &Value) -> bool {
    let metadata = &object["metadata"];
    let has = |narrowed: &str, found: &dyn Fn(&str) -> Value| {
        let pair = narrowed.split_once('=');
        pair.is_none_or(|(key, value)| found(key) == value)
    };
    has(labels, &|key| metadata["labels"][key].clone())
        && has(fields, &|_| metadata["name"].clone())
}

impl Shop {
    /// Deployments with these names, each with a pod and a ReplicaSet.
    pub(super) fn of(names: &[&str]) -> Self {
        let shop = Self::default();
        for name in names {
            let mut state = shop.state();
            for (path, object) in [
                (DEPLOYMENTS, workload(name)),
                (PODS, pod(&format!("{name}-1"), name)),
                (REPLICA_SETS, replica_set(name)),
            ] {
                state
                    .objects
                    .insert((path.to_owned(), named(&object)), object);
            }
        }
        shop
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic")
    }

    /// Creates or changes an object.
    pub(super) fn put(&self, path: &str, object: Value) {
        let mut state = self.state();
        let key = (path.to_owned(), named(&object));
        let was = state.objects.insert(key, object.clone());
        let name = if was.is_some() { "MODIFIED" } else { "ADDED" };
        state.happens(name, path, object);
    }

    pub(super) fn delete(&self, path: &str, name: &str) {
        let mut state = self.state();
        let object = state.objects.remove(&(path.to_owned(), name.to_owned()));
        state.happens("DELETED", path, object.expect("it is there"));
    }

    /// Sends a line to the watches on a collection.
    pub(super) fn say(&self, path: &str, line: &Value) {
        let state = self.state();
        let watches = state.watches.iter().filter(|watch| watch.path == path);
        watches.for_each(|watch| drop(watch.sender.send(line.clone())));
    }

    /// Cuts the watches on a collection.
    pub(super) fn cut(&self, path: &str) {
        self.state().watches.retain(|watch| watch.path != path);
    }

    /// Answers a request as long as nothing fails.
    pub(super) fn answer(&self, asked: &Asked) -> Step {
        let mut state = self.state();
        let narrowed =
            ["labelSelector", "fieldSelector"].map(|name| asked.parameter(name).to_owned());
        if asked.is_watch() {
            let (sender, lines) = unbounded_channel();
            let since: u64 = asked
                .parameter("resourceVersion")
                .parse()
                .expect("a version");
            for (version, path, event) in &state.history {
                if *version > since && *path == asked.path && is_of(&narrowed, &event["object"]) {
                    sender.send(event.clone()).expect("it is read");
                }
            }
            state.watches.push(Watch {
                path: asked.path.clone(),
                narrowed,
                sender,
            });
            return Step::Fed(Fed::new(lines));
        }
        let parts = asked.path.rsplit_once('/').unwrap_or_default();
        let key = (parts.0.to_owned(), parts.1.to_owned());
        if let Some(object) = state.objects.get(&key) {
            return Step::Answer(200, object.clone());
        }
        if ["deployments", "jobs"].iter().any(|of| key.0.ends_with(of)) {
            return Step::Answer(404, status(404, "NotFound", "not found"));
        }
        let of_path = state
            .objects
            .iter()
            .filter(|((path, _), _)| *path == asked.path);
        let items = of_path
            .map(|(_, object)| object)
            .filter(|o| is_of(&narrowed, o));
        let items: Vec<Value> = items.cloned().collect();
        Step::Answer(200, list(&items, state.version()))
    }

    pub(super) async fn serve(&self) -> Stub {
        let shop = self.clone();
        Stub::start(move |asked, _| shop.answer(asked)).await
    }
}

fn named(object: &Value) -> String {
    let name = object["metadata"]["name"].as_str();
    name.unwrap_or_default().to_owned()
}

/// A Deployment whose pods have the label `app` with its name.
pub(super) fn workload(name: &str) -> Value {
    let mut object = deployment(name, 1, 1);
    object["spec"]["selector"] = json!({"matchLabels": {"app": name}});
    object
}

pub(super) fn pod(name: &str, app: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "shop", "uid": format!("uid-{name}"), "resourceVersion": "8",
        "labels": {"app": app}}, "spec": {"containers": [{"name": "web", "image": "w:1"}]}, "status": {"phase": "Running"}})
}

pub(super) fn replica_set(app: &str) -> Value {
    json!({"metadata": {"name": format!("{app}-7c9f"), "namespace": "shop", "uid": format!("uid-{app}-7c9f"),
        "labels": {"app": app}}, "spec": {"replicas": 1}})
}
