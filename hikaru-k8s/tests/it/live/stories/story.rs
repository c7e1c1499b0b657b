//! One story: a workload in a namespace of its own, what a person and the cluster do to it, and how hikaru and kubectl say its
//! rollout is. Each look of hikaru is compared with `kubectl rollout status`, except where the two are known to differ.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hikaru_core::{
    Build, Mode, Request, TagFormats,
    port::ClusterError,
    rollout::{Asked, Rollout, RolloutAnswer, RolloutState, Rollouts},
    upgrade,
    workload::WorkloadName,
};
use hikaru_k8s::{LiveCluster, SystemClock};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use xtask::Cluster;

use super::super::rig;

/// For what takes up to a minute on a quiet machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// How often a rollout is looked at.
const PACE: Duration = Duration::from_millis(500);

/// How long a rollout that seems not to change goes without being compared with kubectl.
const COMPARED: Duration = Duration::from_secs(5);

/// kubectl takes a tenth of a second of a processor: so many of them run at once, all stories together.
static KUBECTLS: Semaphore = Semaphore::const_new(4);

/// The name of the workload of each story; its container is `web`.
pub(super) const NAME: &str = "front";

/// What runs before the upgrade.
pub(super) fn good() -> String {
    rig::image(7)
}

/// The image of build 8, whose version has a word that kwok's stages play (docs/testing.md).
pub(super) fn played(word: &str) -> String {
    format!("registry.example/acme/web:acme_web_main_1.5.0-{word}_8_0123abcd")
}

/// Where hikaru and `kubectl rollout status` differ, and are meant to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Difference {
    /// kubectl believes a condition ProgressDeadlineExceeded that is about another ReplicaSet.
    StaleDeadline,
    /// The pods are ready, and hikaru waits whether they stay so, because no readiness probe tells.
    CrashAfterReady,
    /// kubectl has no answer for the update strategy.
    OnDelete,
    /// kubectl waits for pods on nodes that are not ready.
    NotReadyNodes,
    /// The workload asks for less than all pods (`hikaru.dev/required-rollout`); kubectl does not know.
    RequiredRollout,
}

/// What `kubectl rollout status --watch=false` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Done(String),
    Waits(String),
    Fails(String),
}

pub(super) struct Story {
    pub(super) namespace: String,
    pub(super) name: WorkloadName,
    pub(super) asked: Asked,
    kind: &'static str,
    client: kube::Client,
    live: Arc<LiveCluster>,
    rollouts: Rollouts,
    differs: Option<Difference>,
    /// The last state that was waited for.
    was: Option<RolloutState>,
}

/// A workload of three pods, as far as its kind lets one say so, with a readiness probe: without one hikaru waits whether ready
/// pods stay ready.
pub(super) fn workload(kind: &str, namespace: &str) -> Value {
    let mut object = rig::object(kind, namespace, NAME);
    let spec = &mut object["spec"];
    if kind == "Deployment" || kind == "StatefulSet" {
        spec["replicas"] = json!(3);
    }
    if kind == "Deployment" {
        spec["progressDeadlineSeconds"] = json!(120);
    }
    let template = match kind {
        "CronJob" => &mut spec["jobTemplate"]["spec"]["template"],
        _ => &mut spec["template"],
    };
    let container = &mut template["spec"]["containers"][0];
    container["image"] = json!(good());
    container["readinessProbe"] = json!({"httpGet": {"path": "/ready", "port": 8080}});
    object
}

impl Story {
    /// A namespace and nothing in it.
    pub(super) async fn empty(kind: &'static str) -> Self {
        let namespace = in_turn(rig::namespace("story")).await;
        let name = format!("{namespace}/{kind}/{NAME}");
        let live = Arc::new(rig::by_variables(Cluster::shared()).await);
        Self {
            name: name.parse().expect("a name"),
            asked: Asked::default(),
            rollouts: rollouts(&live),
            namespace,
            kind,
            client: rig::client().await,
            live,
            differs: None,
            was: None,
        }
    }

    /// A workload that runs a good build. `change`: what differs from the usual one.
    pub(super) async fn begin(kind: &'static str, change: impl FnOnce(&mut Value)) -> Self {
        let story = Self::empty(kind).await;
        let mut object = workload(kind, &story.namespace);
        change(&mut object);
        in_turn(rig::create(&[object])).await;
        story.rolled_out().await;
        story
    }

    pub(super) fn differs(mut self, by: Difference) -> Self {
        self.differs = Some(by);
        self
    }

    /// Looks with other rights from now on.
    pub(super) fn look_as(&mut self, live: LiveCluster) {
        self.rollouts = rollouts(&Arc::new(live));
    }

    /// Runs kubectl in the namespace.
    pub(super) async fn kubectl(&self, args: &[&str]) -> String {
        self.kubectl_with(args, "").await
    }

    pub(super) async fn kubectl_with(&self, args: &[&str], input: &str) -> String {
        let mut all = vec!["--namespace", &*self.namespace];
        all.extend(args);
        in_turn(rig::kubectl(&all, input)).await
    }

    /// Reads an object or a list of the namespace until it is as expected: `pods` of `api/v1`.
    pub(super) async fn wait(
        &self,
        group: &str,
        path: &str,
        expected: &str,
        seen: impl Fn(&Value) -> bool,
    ) -> Value {
        let end = Instant::now() + PATIENCE;
        let path = format!("/{group}/namespaces/{}/{path}", self.namespace);
        loop {
            let request = http::Request::get(&path).body(Vec::new());
            let read = self.client.request::<Value>(request.expect("a path")).await;
            let value = read.unwrap_or_else(|error| panic!("{path}: {error}"));
            if seen(&value) {
                return value;
            }
            assert!(Instant::now() < end, "{expected} did not come: {value:#}");
            tokio::time::sleep(PACE).await;
        }
    }

    /// Waits for a pod that is accepted.
    pub(super) async fn pod(&self, expected: &str, seen: impl Fn(&Value) -> bool) -> Value {
        let items = |list: &Value| list["items"].as_array().cloned().unwrap_or_default();
        let found = |list: &Value| items(list).iter().any(&seen);
        let list = self.wait("api/v1", "pods", expected, found).await;
        items(&list).into_iter().find(seen).expect("a pod")
    }

    /// Waits for a pod that has this text at a JSON pointer.
    pub(super) async fn pods_show(&self, pointer: &str, text: &str) {
        self.pod(text, |pod| holds(pod, pointer, text)).await;
    }

    /// Waits for a Warning event with this text in its message.
    pub(super) async fn event_shows(&self, reason: &str, text: &str) {
        let is_it = |event: &Value| event["reason"] == reason && holds(event, "/message", text);
        let found = |list: &Value| {
            list["items"]
                .as_array()
                .is_some_and(|all| all.iter().any(is_it))
        };
        self.wait("api/v1", "events", text, found).await;
    }

    /// Waits until the workload has this text at a JSON pointer.
    pub(super) async fn workload_shows(&self, pointer: &str, text: &str) {
        let path = format!("{}s/{NAME}", self.kind.to_lowercase());
        let found = |object: &Value| holds(object, pointer, text);
        self.wait("apis/apps/v1", &path, text, found).await;
    }

    /// The message of a condition of the Deployment.
    pub(super) async fn deployment_condition(&self, kind: &str) -> String {
        let path = format!("deployments/{NAME}");
        let object = self
            .wait("apis/apps/v1", &path, "a Deployment", |_| true)
            .await;
        let conditions = object["status"]["conditions"].as_array().cloned();
        let mut conditions = conditions.unwrap_or_default().into_iter();
        let found = conditions.find(|condition| condition["type"] == kind);
        found.expect("the condition")["message"].to_string()
    }

    /// A JSON merge patch of the workload by a person.
    pub(super) async fn patch(&self, patch: &Value) {
        let patch = format!("--patch={patch}");
        self.kubectl(&["patch", self.kind, NAME, "--type=merge", &patch])
            .await;
    }

    /// From now on a rollout may show no progress for so long. The first one had more time: a busy machine may need it.
    pub(super) async fn deadline(&self, seconds: u32) {
        let patch = match self.kind {
            "Deployment" => json!({"spec": {"progressDeadlineSeconds": seconds}}),
            _ => {
                json!({"metadata": {"annotations": {"hikaru.dev/progress-deadline": format!("{seconds}s")}}})
            }
        };
        self.patch(&patch).await;
    }

    /// A person sets the image.
    pub(super) async fn set_image(&self, image: &str) {
        let object = format!("{}/{NAME}", self.kind);
        let image = format!("web={image}");
        self.kubectl(&["set", "image", &object, &image]).await;
    }

    /// What a person does to each pod that is there.
    pub(super) async fn annotate_pods(&self, annotation: &str) {
        self.kubectl(&["annotate", "pods", "--all", "--overwrite", annotation])
            .await;
    }

    /// Posts an image, as a pipeline does it.
    pub(super) async fn post(&self, image: &str) {
        let build = Build::parse(image, &TagFormats::default()).expect("a build");
        let mut request = Request::new(build);
        request.namespaces = vec![self.namespace.as_str().into()];
        let clock = SystemClock::default();
        let report = upgrade(&*self.live, &clock, request, Mode::Commit).await;
        let codes = rig::codes(&report.expect("a report"));
        assert!(codes.contains(&"upgrade".to_owned()), "{codes:?}");
    }

    /// Posts build 8 with a word.
    pub(super) async fn upgrade(&self, word: &str) {
        self.post(&played(word)).await;
    }

    /// What kubectl says of the rollout.
    pub(super) async fn kubectl_says(&self) -> Said {
        let object = format!("{}/{NAME}", self.kind);
        let namespace = self.namespace.clone();
        let said = rig::blocking(move || {
            let args = ["rollout", "status", "--watch=false", &object];
            Cluster::shared().kubectl(&[&["--namespace", &namespace], &args[..]].concat())
        });
        match in_turn(said).await {
            Ok(text) if text.starts_with("Waiting for") => Said::Waits(text),
            Ok(text) => Said::Done(text),
            Err(error) => Said::Fails(error.to_string()),
        }
    }

    /// Waits until kubectl says that the rollout is done.
    pub(super) async fn rolled_out(&self) {
        let object = format!("{}/{NAME}", self.kind);
        let patience = format!("--timeout={}s", PATIENCE.as_secs());
        // It waits, and has no turn.
        let namespace = format!("--namespace={}", self.namespace);
        rig::kubectl(&["rollout", "status", &object, &patience, &namespace], "").await;
    }

    /// Waits until kubectl says something of the rollout.
    pub(super) async fn kubectl_until(&self, what: &str, seen: impl Fn(&Said) -> bool) -> Said {
        let end = Instant::now() + PATIENCE;
        loop {
            let said = self.kubectl_says().await;
            if seen(&said) {
                return said;
            }
            assert!(Instant::now() < end, "{what} did not come: {said:?}");
            tokio::time::sleep(PACE).await;
        }
    }

    /// What hikaru says now.
    pub(super) async fn look(&self) -> Result<RolloutAnswer, ClusterError> {
        self.rollouts.look(&self.name, &self.asked).await
    }

    /// On the way to the next state it may have failed.
    pub(super) fn may_have_failed(&mut self) {
        self.was = Some(RolloutState::Failed);
    }

    /// Looks until the rollout has this state. On the way there it may only go on, or still be in the state that was waited for
    /// before.
    pub(super) async fn until(&mut self, wanted: RolloutState) -> Seen {
        let what = format!("the state {wanted}");
        let answer = self
            .until_seen(&what, |rollout| rollout.state == wanted)
            .await;
        self.was = Some(wanted);
        answer
    }

    /// Looks until what hikaru says is accepted.
    pub(super) async fn until_seen(&self, what: &str, seen: impl Fn(&Rollout) -> bool) -> Seen {
        let end = Instant::now() + PATIENCE;
        let (mut compared, mut compared_at) = (None, Instant::now());
        loop {
            let answer = self.look().await.expect("an answer");
            let rollout = &answer.rollout;
            let is_seen = seen(rollout);
            let code = rollout.cause.as_ref().map(|cause| cause.code);
            let shape = (
                rollout.state,
                code,
                rollout.updated,
                rollout.ready,
                rollout.old,
            );
            if is_seen || compared != Some(shape) || compared_at.elapsed() > COMPARED {
                self.compare(rollout).await;
                (compared, compared_at) = (Some(shape), Instant::now());
            }
            if is_seen {
                return Seen(answer);
            }
            assert!(
                rollout.state == RolloutState::Progressing || Some(rollout.state) == self.was,
                "expected {what}, found {rollout:#?}"
            );
            assert!(Instant::now() < end, "{what} did not come: {rollout:#?}");
            tokio::time::sleep(PACE).await;
        }
    }

    /// Compares with kubectl, which is asked afterwards and so sees what hikaru saw, or something newer. Where kubectl is ahead,
    /// hikaru has to follow; complete is the end.
    async fn compare(&self, rollout: &Rollout) {
        let end = Instant::now() + PATIENCE;
        let mut state = rollout.state;
        loop {
            let said = self.kubectl_says().await;
            if self.fits(state, &said) {
                return;
            }
            assert!(
                state != RolloutState::Complete && Instant::now() < end,
                "hikaru says {state}, but kubectl {said:?}"
            );
            tokio::time::sleep(PACE).await;
            state = self.look().await.expect("an answer").rollout.state;
        }
    }

    fn fits(&self, state: RolloutState, said: &Said) -> bool {
        let differs = |by| self.differs == Some(by);
        match (state, said) {
            (RolloutState::Progressing, Said::Waits(_))
            | (RolloutState::Complete, Said::Done(_))
            | (RolloutState::Failed, Said::Waits(_) | Said::Fails(_)) => true,
            (RolloutState::Progressing, Said::Fails(_)) => differs(Difference::StaleDeadline),
            (RolloutState::Progressing | RolloutState::Failed, Said::Done(_)) => {
                differs(Difference::CrashAfterReady)
            }
            (RolloutState::Complete, Said::Waits(_)) => {
                differs(Difference::NotReadyNodes) || differs(Difference::RequiredRollout)
            }
            (RolloutState::Complete, Said::Fails(_)) => differs(Difference::OnDelete),
            // kubectl has no such states: the stories themselves say what it says there.
            _ => true,
        }
    }
}

fn rollouts(live: &Arc<LiveCluster>) -> Rollouts {
    Rollouts::new(
        live.clone(),
        Some(live.clone()),
        Arc::new(SystemClock::default()),
        true,
    )
}

/// Runs kubectl when fewer than [`KUBECTLS`] of them run.
async fn in_turn<T>(kubectl: impl Future<Output = T>) -> T {
    let _permit = KUBECTLS.acquire().await.expect("never closed");
    kubectl.await
}

/// Whether there is this text at a JSON pointer, or anywhere below it.
pub(super) fn holds(value: &Value, pointer: &str, text: &str) -> bool {
    let found = value.pointer(pointer);
    found.is_some_and(|found| match found {
        Value::String(found) => found.contains(text),
        found => found.to_string().contains(text),
    })
}

/// What hikaru said at the end of a part of a story.
pub(super) struct Seen(pub(super) RolloutAnswer);

impl Seen {
    /// Asserts the code of the cause, and that its sentence names the workload, the container and these.
    pub(super) fn because(self, code: &str, parts: &[&str]) -> Self {
        let rollout = &self.0.rollout;
        let cause = rollout.cause.as_ref();
        let cause = cause.unwrap_or_else(|| panic!("no cause: {rollout:#?}"));
        assert_eq!(cause.code.as_str(), code, "{}", cause.message);
        for part in parts.iter().chain(&[NAME]) {
            assert!(cause.message.contains(part), "{part}: {}", cause.message);
        }
        self
    }

    /// Asserts that a detail of the cause holds this.
    pub(super) fn detail(self, text: &str) -> Self {
        let details = self.0.rollout.cause.as_ref().map(|cause| &cause.details);
        let has = details.is_some_and(|all| all.iter().any(|(_, value)| value.contains(text)));
        assert!(has, "{text}: {details:#?}");
        self
    }

    /// Asserts that a remark holds this.
    pub(super) fn remark(self, text: &str) -> Self {
        let remarks = &self.0.rollout.remarks;
        let has = remarks.iter().any(|remark| remark.contains(text));
        assert!(has, "{text}: {remarks:#?}");
        self
    }

    /// Asserts that an event is among the evidence.
    pub(super) fn event(self, reason: &str) -> Self {
        let evidence = self.0.evidence.as_deref().expect("evidence");
        let has = evidence.events.iter().any(|group| &*group.reason == reason);
        assert!(has, "{reason}: {evidence:#?}");
        self
    }

    /// Asserts that a line of a log is among the evidence.
    pub(super) fn log(self, is_previous: bool, line: &str) -> Self {
        let evidence = self.0.evidence.as_deref().expect("evidence");
        let log = evidence.log.as_ref().expect("a log");
        assert_eq!(log.is_previous, is_previous, "{log:#?}");
        assert!(
            log.lines.iter().any(|found| found.contains(line)),
            "{log:#?}"
        );
        self
    }
}
