//! The port's contract, with a folder as its subject.

use async_trait::async_trait;
use hikaru_core::port::JobPort;
use hikaru_core::testing::contract::{Abilities, JobSubject, Subject, run, run_jobs};
use hikaru_core::{
    Build, Mode, Request, TagFormats, Text, Workload, WorkloadId,
    jobs::{JobName, JobSource},
    plan,
    policy::Change,
    port::{ClusterError, Found, Freshness, Scope, WorkloadPort, Written},
    workload::{MARK_PREFIX, Place, PodList, SETTING_PREFIX, WorkloadName},
};
use std::fs;
use std::sync::Arc;

use super::scene::Scene;

/// A folder, worked on by a person: each workload in a file of its own, or all in one.
struct Hands<P> {
    scene: Scene,
    port: P,
    /// A workload before and one after in the same file, so that nothing stands alone.
    crowded: bool,
}

impl<P> Hands<P> {
    fn file(&self, name: &str) -> String {
        format!("contract/{name}.yaml")
    }
}

#[async_trait]
impl<P: WorkloadPort> Subject for Hands<P> {
    fn port(&self) -> &dyn WorkloadPort {
        &self.port
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            marks: false,
            uids: false,
            // Its futures are tokio's.
            threads: false,
        }
    }

    async fn put(&self, workload: &Workload) {
        let mut text = manifest(workload);
        if self.crowded {
            let other = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: other, namespace: elsewhere}\n";
            text = format!("# first\n{other}---\n{text}---\n{other}");
        }
        self.scene.file(&self.file(&workload.id.name), text);
    }

    async fn remove(&self, id: &WorkloadId) {
        fs::remove_file(self.scene.path(&self.file(&id.name))).expect("the file is there");
    }
}

fn manifest(workload: &Workload) -> String {
    let quote = |text: &str| format!("{text:?}");
    let mut labels = String::new();
    let mut annotations = String::new();
    let identity = &workload.labels;
    for (key, value) in [
        ("owner", &identity.owner),
        ("repo", &identity.repo),
        ("branch", &identity.branch),
    ] {
        if let Some(value) = value {
            labels.push_str(&format!("    {key}: {}\n", quote(value)));
        }
    }
    for setting in &workload.settings {
        let line = format!(
            "    {SETTING_PREFIX}{}: {}\n",
            setting.key,
            quote(&setting.value)
        );
        match setting.place {
            Place::Label => labels.push_str(&line),
            Place::Annotation => annotations.push_str(&line),
        }
    }
    let mut pod = String::new();
    for list in PodList::ALL {
        pod.push_str(&format!("      {list}:\n"));
        let containers = workload.containers.iter();
        for container in containers.filter(|container| container.list == list) {
            let (key, image) = (container.mark_key().expect("a key"), &container.image);
            if let Some(mark) = &container.mark {
                labels.push_str(&format!("    {MARK_PREFIX}{key}: {}\n", quote(mark)));
            }
            let name = container.own_name().expect("a name");
            pod.push_str(&format!("        - name: {name}\n"));
            pod.push_str(&match list {
                PodList::Volumes => format!("          image: {{reference: {image}}} # here\n"),
                _ => format!("          image: {image} # here\n"),
            });
        }
    }
    let id = &workload.id;
    format!(
        "apiVersion: apps/v1\nkind: {}\nmetadata:\n  name: {}\n  namespace: {}\n  labels:\n{labels}  annotations:\n{annotations}spec:\n  template:\n    spec:\n{pod}",
        id.kind, id.name, id.namespace
    )
}

#[tokio::test]
async fn a_folder_keeps_the_contract() {
    for crowded in [false, true] {
        let scene = Scene::new();
        let port = scene.folder();
        let broken = run(&Hands {
            scene,
            port,
            crowded,
        })
        .await;
        assert_eq!(broken, [], "crowded: {crowded}");
    }
}

struct Jobs(Scene);

impl JobSubject for Jobs {
    fn port(&self) -> Arc<dyn JobPort> {
        Arc::new(self.0.folder())
    }

    fn deletes(&self) -> bool {
        false
    }

    fn definition(&self, name: &JobName) -> JobSource {
        let text = format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {}, namespace: {}}}\nspec: {{template: {{spec: {{restartPolicy: \
             Never, containers: [{{name: c, image: 'i:1'}}]}}}}}}\n",
            name.name(),
            name.namespace()
        );
        JobSource::Yaml(text.into())
    }
}

#[tokio::test]
async fn a_folder_keeps_the_clauses_about_jobs() {
    let broken = run_jobs(&Jobs(Scene::new())).await;
    assert_eq!(broken, []);
}

/// A folder without a guard: what is refused as stale is judged on whatever stands there, and
/// written.
struct Careless<P>(P);

#[async_trait]
impl<P: WorkloadPort> WorkloadPort for Careless<P> {
    fn freshness(&self) -> Freshness {
        self.0.freshness()
    }

    async fn find(&self, scope: &Scope) -> Result<Found, ClusterError> {
        self.0.find(scope).await
    }

    async fn read(&self, id: &WorkloadId) -> Result<Option<Workload>, ClusterError> {
        self.0.read(id).await
    }

    async fn write(&self, change: &Change, mode: Mode) -> Result<Written, ClusterError> {
        match self.0.write(change, mode).await {
            Err(ClusterError::Stale) => {
                let now = self.0.read(&change.judged().id).await?;
                let Some(mut now) = now else {
                    return Err(ClusterError::Stale);
                };
                now.labels = change.judged().labels.clone();
                let to = change.edits()[0].to();
                let build = Build::parse(to, &TagFormats::default()).expect("a build");
                let mut plan = plan(Request::new(build), [now]);
                match plan.entries.pop().and_then(|entry| entry.change) {
                    Some(change) => self.0.write(&change, mode).await,
                    None => Err(ClusterError::Stale),
                }
            }
            other => other,
        }
    }

    async fn unhold(
        &self,
        workload: &WorkloadName,
        container: Option<Text>,
    ) -> Result<Vec<(Text, Text)>, ClusterError> {
        self.0.unhold(workload, container).await
    }
}

#[tokio::test]
async fn the_contract_notices_a_folder_without_a_guard() {
    let scene = Scene::new();
    let port = Careless(scene.folder());
    let broken = run(&Hands {
        scene,
        port,
        crowded: false,
    })
    .await;
    let clauses: Vec<&str> = broken.iter().map(|broken| broken.clause).collect();
    assert!(clauses.contains(&"refuses_a_removed_setting"), "{broken:?}");
}
