//! What a cluster says of a rollout: plain data that an adapter fills in. Which pods are the new ones, how far they are and what
//! is wrong with them is decided in `judge`.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{Text, Workload};

/// What a cluster says of one workload, its ReplicaSets and its pods. All times are the cluster's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RolloutFacts {
    /// The time at which this was read, by the clock of the API server.
    pub now: SystemTime,
    /// The workload, as verdicts read it.
    pub workload: Arc<Workload>,
    /// What its object says of its rollout.
    pub object: ObjectFacts,
    /// The ReplicaSets that its selector matches, foreign ones too. Only of a Deployment.
    pub replica_sets: Vec<Arc<ReplicaSetFacts>>,
    /// The pods that its selector matches, of all revisions, foreign ones too.
    pub pods: Vec<Arc<PodFacts>>,
    /// The Warning events of the workload, its ReplicaSets and its pods. `None`: nobody has asked for them yet.
    pub events: Option<Vec<EventFacts>>,
    /// The nodes that are not ready. `None`: nobody has asked for them yet, or they cannot be listed.
    pub not_ready_nodes: Option<BTreeSet<Text>>,
    /// What cannot be read, and which right shows it.
    pub unseen: Vec<Unseen>,
}

impl RolloutFacts {
    /// What is known from the workload's object alone.
    pub fn new(now: SystemTime, workload: Arc<Workload>, object: ObjectFacts) -> Self {
        Self {
            now,
            workload,
            object,
            replica_sets: Vec::new(),
            pods: Vec::new(),
            events: None,
            not_ready_nodes: None,
            unseen: Vec::new(),
        }
    }

    /// Takes away the termination messages that can be the end of a log.
    pub(super) fn leave_out_logs(&mut self) {
        leave_out_logs(&mut self.pods);
    }
}

/// Takes away the termination messages of pods that can be the end of a log.
pub(crate) fn leave_out_logs(pods: &mut [Arc<PodFacts>]) {
    for pod in pods {
        if pod.containers.iter().any(|c| c.ends_with_log) {
            let containers = &mut Arc::make_mut(pod).containers;
            for container in containers.iter_mut().filter(|c| c.ends_with_log) {
                container.leave_out_log();
            }
        }
    }
}

/// Something that cannot be read. The rollout is judged without it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unseen {
    /// What: `pods`, `replicasets`, `events`, `logs`, `nodes`.
    pub what: Text,
    /// Why, in a sentence that names the right that is missing where that is the reason.
    pub reason: String,
}

impl Unseen {
    /// What cannot be read, and why.
    pub fn new(what: impl Into<Text>, reason: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            reason: reason.into(),
        }
    }
}

/// How the pods of a kind follow its template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RolloutKind {
    /// A Deployment, by ReplicaSets.
    Deployment,
    /// A StatefulSet, by a revision hash.
    StatefulSet,
    /// A DaemonSet, by a template generation.
    DaemonSet,
    /// A Job, which has no rollouts: all its pods are of one template.
    Job,
    /// It has no rollouts, such as a CronJob, or its status cannot be read.
    #[default]
    None,
}

/// What a workload's object says of its rollout.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectFacts {
    /// How its pods follow its template.
    pub kind: RolloutKind,
    /// `metadata.generation`.
    pub generation: i64,
    /// `status.observedGeneration`.
    pub observed: i64,
    /// The revision that its pods are to have: of a Deployment the annotation `deployment.kubernetes.io/revision`, of a
    /// StatefulSet `status.updateRevision`, of a DaemonSet the annotation `deprecated.daemonset.template.generation`.
    pub revision: Option<Text>,
    /// Whether it is being deleted.
    pub is_deleting: bool,
    /// `spec.paused`.
    pub is_paused: bool,
    /// Whether its update strategy is `OnDelete`.
    pub is_on_delete: bool,
    /// Whether its `podManagementPolicy` is `Parallel`.
    pub is_parallel: bool,
    /// Whether its strategy is `Recreate`.
    pub is_recreate: bool,
    /// `spec.updateStrategy.rollingUpdate.partition` of a StatefulSet, else 0.
    pub partition: i32,
    /// How many pods there are to be, of any revision: `spec.replicas`, or `status.desiredNumberScheduled`.
    pub desired: i32,
    /// How many pods there are, of any revision: `status.replicas`, or `status.currentNumberScheduled`.
    pub current: i32,
    /// How many have the new revision.
    pub updated: i32,
    /// How many are ready, of any revision.
    pub ready: i32,
    /// How many have been ready for `minReadySeconds`, of any revision.
    pub available: i32,
    /// `spec.progressDeadlineSeconds`. `None`: the kind has none, or it is switched off (2147483647).
    pub progress_deadline: Option<Duration>,
    /// `spec.minReadySeconds`.
    pub min_ready: Duration,
    /// Its conditions.
    pub conditions: Vec<Condition>,
    /// The containers of its pod template.
    pub containers: Vec<ContainerSpec>,
    /// The last change of its pod template's containers, by `metadata.managedFields`. `None`: they do not tell.
    pub changed: Option<TemplateChange>,
    /// The last change of `spec.replicas`, or later: the time of the newest entry of `metadata.managedFields` that has it.
    pub scaled: Option<SystemTime>,
}

impl ObjectFacts {
    /// The container of the pod template that has this name.
    pub(super) fn spec(&self, container: &str) -> Option<&ContainerSpec> {
        self.containers.iter().find(|c| *c.name == *container)
    }

    /// How long the startup probe of this container gives it. `None`: it has none.
    pub(super) fn startup_budget(&self, container: &str) -> Option<Duration> {
        let probe = self.spec(container)?.startup.as_ref()?;
        let tries = probe.period.saturating_mul(probe.failure_threshold);
        let first = probe.initial_delay.saturating_add(probe.timeout);
        Some(tries.saturating_add(first))
    }
}

/// Who changed the containers of a pod template, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TemplateChange {
    /// The field manager.
    pub manager: Text,
    /// The time of its entry in `metadata.managedFields`.
    pub at: SystemTime,
}

impl TemplateChange {
    /// A change by this manager at this time.
    pub fn new(manager: impl Into<Text>, at: SystemTime) -> Self {
        Self {
            manager: manager.into(),
            at,
        }
    }
}

/// A condition of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Condition {
    /// `Progressing`, `Ready`, …
    pub kind: Text,
    /// `True`, `False` or `Unknown`.
    pub status: Text,
    /// One word.
    pub reason: Text,
    /// For a person.
    pub message: Text,
    /// `lastUpdateTime`, else `lastTransitionTime`.
    pub since: Option<SystemTime>,
}

/// What a container is in its pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// One of `containers`.
    #[default]
    Main,
    /// One of `initContainers` that has to end before the others start.
    Init,
    /// One of `initContainers` with `restartPolicy: Always`.
    Sidecar,
}

/// A container of a pod template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContainerSpec {
    /// Its name.
    pub name: Text,
    /// Its image, as it stands there.
    pub image: Text,
    /// What it is in its pod.
    pub role: Role,
    /// Its readiness probe.
    pub readiness: Option<Probe>,
    /// Its liveness probe.
    pub liveness: Option<Probe>,
    /// Its startup probe.
    pub startup: Option<Probe>,
    /// `resources.limits.memory`, as it stands there.
    pub memory_limit: Option<Text>,
}

/// A probe of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Probe {
    /// What it does: `GET :8080/healthz`, `the command cat /tmp/ready`, `a connection to port 5432`, `gRPC on port 9000`.
    pub action: Text,
    /// `initialDelaySeconds`.
    pub initial_delay: Duration,
    /// `periodSeconds`, 10 s by default.
    pub period: Duration,
    /// `timeoutSeconds`, 1 s by default.
    pub timeout: Duration,
    /// `failureThreshold`, 3 by default.
    pub failure_threshold: u32,
    /// `successThreshold`, 1 by default.
    pub success_threshold: u32,
}

impl Probe {
    /// A probe with the defaults of Kubernetes.
    pub fn new(action: impl Into<Text>) -> Self {
        Self {
            action: action.into(),
            initial_delay: Duration::ZERO,
            period: Duration::from_secs(10),
            timeout: Duration::from_secs(1),
            failure_threshold: 3,
            success_threshold: 1,
        }
    }
}

/// What a ReplicaSet says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplicaSetFacts {
    /// Its name.
    pub name: Text,
    /// Its uid.
    pub uid: Text,
    /// The uid of its controller.
    pub owner: Option<Text>,
    /// The annotation `deployment.kubernetes.io/revision`.
    pub revision: Option<Text>,
    /// When it was created.
    pub created: Option<SystemTime>,
    /// `spec.replicas`.
    pub desired: i32,
    /// `status.replicas`.
    pub current: i32,
    /// `status.readyReplicas`.
    pub ready: i32,
    /// `status.availableReplicas`.
    pub available: i32,
    /// Its conditions.
    pub conditions: Vec<Condition>,
}

/// What a pod says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PodFacts {
    /// Its name. A StatefulSet uses one again: pods are told apart by their uid.
    pub name: Text,
    /// Its uid.
    pub uid: Text,
    /// The uid of its controller.
    pub owner: Option<Text>,
    /// The label `controller-revision-hash`.
    pub revision_hash: Option<Text>,
    /// The label `pod-template-generation`.
    pub template_generation: Option<Text>,
    /// When it was created.
    pub created: Option<SystemTime>,
    /// Whether it is being deleted.
    pub is_deleting: bool,
    /// `metadata.deletionTimestamp`: when its grace is over. It lies ahead at first.
    pub deleted: Option<SystemTime>,
    /// `spec.terminationGracePeriodSeconds`.
    pub grace: Duration,
    /// The node that it is bound to.
    pub node: Option<Text>,
    /// `status.phase`; empty where there is no status.
    pub phase: Text,
    /// `status.reason`.
    pub reason: Text,
    /// `status.message`.
    pub message: Text,
    /// Its conditions.
    pub conditions: Vec<Condition>,
    /// `spec.readinessGates`: types of conditions.
    pub readiness_gates: Vec<Text>,
    /// Its containers, with what their statuses say.
    pub containers: Vec<ContainerFacts>,
}

/// What a pod says of one of its containers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContainerFacts {
    /// Its name.
    pub name: Text,
    /// The image in the pod's spec: a webhook can have changed it.
    pub image: Text,
    /// What it is in its pod.
    pub role: Role,
    /// Whether its termination message can be the end of its log: `terminationMessagePolicy: FallbackToLogsOnError`.
    pub ends_with_log: bool,
    /// Whether it is ready.
    pub is_ready: bool,
    /// Whether its startup probe has passed.
    pub is_started: bool,
    /// How often it was restarted.
    pub restarts: u32,
    /// What it does now.
    pub state: ContainerState,
    /// How it ended the last time.
    pub last: Option<Terminated>,
}

impl ContainerFacts {
    fn leave_out_log(&mut self) {
        let now = match &mut self.state {
            ContainerState::Terminated(ended) => Some(ended),
            _ => None,
        };
        for ended in now.into_iter().chain(&mut self.last) {
            // One that never ran has no log: the message is the runtime's.
            if !matches!(&*ended.reason, "ContainerCannotRun" | "StartError") {
                ended.message = Text::default();
            }
        }
    }
}

/// What a container does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContainerState {
    /// The pod does not tell yet.
    #[default]
    Unknown,
    /// It does not run, and has not ended.
    Waiting {
        /// One word: `CrashLoopBackOff`.
        reason: Text,
        /// For a person.
        message: Text,
    },
    /// It runs.
    Running {
        /// Since when.
        since: Option<SystemTime>,
    },
    /// It has ended.
    Terminated(Terminated),
}

/// How a container ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Terminated {
    /// Its exit code.
    pub exit_code: i32,
    /// The signal, or 0.
    pub signal: i32,
    /// One word: `OOMKilled`.
    pub reason: Text,
    /// The end of its termination message, which can be the end of its log: [`ContainerFacts::ends_with_log`].
    pub message: Text,
    /// When it had started.
    pub started: Option<SystemTime>,
    /// When it ended.
    pub finished: Option<SystemTime>,
}

/// An event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventFacts {
    /// The uid of the object that it is about.
    pub about: Text,
    /// That object's kind and name: `Pod web-7c9f`.
    pub object: Text,
    /// Whether its type is `Warning`.
    pub is_warning: bool,
    /// One word: `FailedScheduling`.
    pub reason: Text,
    /// For a person.
    pub message: Text,
    /// How often it happened, 1 at least.
    pub count: u32,
    /// `lastTimestamp`, else `series.lastObservedTime`, else `eventTime`, else `creationTimestamp`.
    pub last: Option<SystemTime>,
}
