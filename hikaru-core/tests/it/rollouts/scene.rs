//! Small builders of facts, and the way in which tests say what is judged of them.
//!
//! The workload is `shop/…/web` with a container `web`. hikaru has set its image at the moment 0; all times are seconds since.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use hikaru_core::{
    Container, Text, Workload, WorkloadId,
    rollout::{
        Asked, Condition, ContainerFacts, ContainerSpec, ContainerState, EventFacts, Judged,
        ObjectFacts, PodFacts, Probe, Reached, ReplicaSetFacts, RolloutFacts, RolloutKind,
        TemplateChange, Terminated, Unseen, judge,
    },
    workload::{Place, Setting},
};

/// What is rolled out, and what ran before.
pub(crate) const NEW: &str = "acme/web:acme_web_main_1.5.0_8_0123abcd";
pub(crate) const OLD: &str = "acme/web:acme_web_main_1.4.0_7_0123abcd";
/// The Deployment's ReplicaSets.
pub(crate) const SET: &str = "web-6f5b8c7d9";
pub(crate) const OLD_SET: &str = "web-5d4c7b6f8";
/// Ends of names as Kubernetes makes them.
const ENDS: [&str; 6] = ["x2b4c", "q7wzk", "m4d9t", "b5f2n", "h8s6r", "t2z9p"];

/// So many seconds after the change.
pub(crate) fn second(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Facts that grow, and what is asked.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) facts: RolloutFacts,
    pub(crate) asked: Asked,
    pub(crate) reached: Reached,
    /// Whether the object's counts follow from its pods.
    counts: bool,
}

fn scene(kind: RolloutKind, name: &str, desired: i32) -> Scene {
    let mut workload = Workload::new(WorkloadId::new("shop", name, "web"));
    workload.uid = "workload".into();
    workload.containers.push(Container::new("web", NEW));
    let mut object = ObjectFacts::default();
    object.kind = kind;
    (object.generation, object.observed) = (2, 2);
    object.revision = Some("2".into());
    object.desired = desired;
    object.changed = Some(TemplateChange::new("hikaru", second(0)));
    let mut web = ContainerSpec::default();
    (web.name, web.image) = ("web".into(), NEW.into());
    web.readiness = Some(Probe::new("GET :8080/ready"));
    object.containers.push(web);
    let mut asked = Asked::default();
    asked.images.push(("web".into(), NEW.into()));
    Scene {
        facts: RolloutFacts::new(second(0), Arc::new(workload), object),
        asked,
        reached: Reached::default(),
        counts: true,
    }
}

pub(crate) fn deployment(desired: i32) -> Scene {
    let mut scene = scene(RolloutKind::Deployment, "Deployment", desired);
    scene.facts.object.progress_deadline = Some(seconds(600));
    for (name, uid, revision, created) in [
        (SET, "set", "2", second(0)),
        (OLD_SET, "old-set", "1", second(0) - seconds(9_000)),
    ] {
        let mut set = ReplicaSetFacts::default();
        (set.name, set.uid) = (name.into(), uid.into());
        set.owner = Some("workload".into());
        set.revision = Some(revision.into());
        set.created = Some(created);
        set.desired = if uid == "set" { desired } else { 0 };
        scene.facts.replica_sets.push(Arc::new(set));
    }
    scene
}

pub(crate) fn stateful_set(desired: i32) -> Scene {
    scene(RolloutKind::StatefulSet, "StatefulSet", desired)
}

pub(crate) fn daemon_set(desired: i32) -> Scene {
    scene(RolloutKind::DaemonSet, "DaemonSet", desired)
}

impl Scene {
    /// What the object says beside its counts.
    pub(crate) fn object(mut self, set: impl FnOnce(&mut ObjectFacts)) -> Self {
        set(&mut self.facts.object);
        self
    }

    /// The container `web` of the template.
    pub(crate) fn template(self, set: impl FnOnce(&mut ContainerSpec)) -> Self {
        self.object(|object| set(&mut object.containers[0]))
    }

    /// A template whose container has gone.
    pub(crate) fn without_containers(mut self) -> Self {
        Arc::make_mut(&mut self.facts.workload).containers.clear();
        self.object(|object| object.containers.clear())
    }

    /// The present ReplicaSet.
    pub(crate) fn set(mut self, set: impl FnOnce(&mut ReplicaSetFacts)) -> Self {
        set(Arc::make_mut(&mut self.facts.replica_sets[0]));
        self
    }

    /// The counts of the object, where they differ from its pods.
    pub(crate) fn counting(mut self, set: impl FnOnce(&mut ObjectFacts)) -> Self {
        self = self.counted();
        self.counts = false;
        self.object(set)
    }

    pub(crate) fn setting(mut self, key: &str, value: &str) -> Self {
        let settings = &mut Arc::make_mut(&mut self.facts.workload).settings;
        settings.push(Setting::new(Place::Annotation, key, value));
        self
    }

    pub(crate) fn condition(
        self,
        kind: &str,
        status: &str,
        reason: &str,
        message: &str,
        at: u64,
    ) -> Self {
        let condition = condition(kind, status, reason, message, second(at));
        self.object(|object| object.conditions.push(condition))
    }

    /// One more pod of the new revision.
    pub(crate) fn pod(self, change: impl FnOnce(&mut PodFacts)) -> Self {
        self.add(true, change)
    }

    /// So many more pods of the new revision that are ready.
    pub(crate) fn ready(self, pods: usize) -> Self {
        (0..pods).fold(self, |scene, _| scene.pod(|_| {}))
    }

    /// One more pod of the revision before.
    pub(crate) fn old_pod(self, change: impl FnOnce(&mut PodFacts)) -> Self {
        self.add(false, change)
    }

    /// So many more pods of the revision before that are ready.
    pub(crate) fn old(self, pods: usize) -> Self {
        (0..pods).fold(self, |scene, _| scene.old_pod(|_| {}))
    }

    fn add(mut self, is_new: bool, change: impl FnOnce(&mut PodFacts)) -> Self {
        let (n, kind) = (self.facts.pods.len(), self.facts.object.kind);
        let mut pod = PodFacts::default();
        pod.name = match (kind, is_new) {
            (RolloutKind::StatefulSet, _) => format!("web-{n}"),
            (RolloutKind::Deployment, true) => format!("{SET}-{}", ENDS[n % ENDS.len()]),
            (RolloutKind::Deployment, false) => format!("{OLD_SET}-{}", ENDS[n % ENDS.len()]),
            _ => format!("web-{}", ENDS[n % ENDS.len()]),
        }
        .into();
        pod.uid = format!("pod-{n}").into();
        let revision: Option<Text> = Some(if is_new { "2" } else { "1" }.into());
        match kind {
            RolloutKind::Deployment => {
                pod.owner = Some(if is_new { "set" } else { "old-set" }.into());
            }
            RolloutKind::StatefulSet => pod.revision_hash = revision,
            _ => pod.template_generation = revision,
        }
        if kind != RolloutKind::Deployment {
            pod.owner = Some("workload".into());
        }
        let created = if is_new {
            second(1)
        } else {
            second(0) - seconds(9_000)
        };
        pod.created = Some(created);
        pod.grace = seconds(30);
        pod.node = Some(format!("node-{n}").into());
        pod.phase = "Running".into();
        pod.conditions = vec![
            condition("PodScheduled", "True", "", "", created),
            condition("Ready", "True", "", "", created + seconds(3)),
        ];
        let mut web = ContainerFacts::default();
        (web.name, web.image) = ("web".into(), if is_new { NEW } else { OLD }.into());
        (web.is_ready, web.is_started) = (true, true);
        web.state = ContainerState::Running {
            since: Some(created + seconds(1)),
        };
        pod.containers.push(web);
        change(&mut pod);
        self.facts.pods.push(Arc::new(pod));
        self
    }

    pub(crate) fn event(mut self, about: &str, reason: &str, message: &str, at: u64) -> Self {
        let events = self.facts.events.get_or_insert_default();
        events.push(event(about, reason, message, at));
        self
    }

    pub(crate) fn unseen(mut self, what: &str, reason: &str) -> Self {
        self.facts.unseen.push(Unseen::new(what, reason));
        self
    }

    /// The moment at which it is looked at.
    pub(crate) fn at(mut self, at: u64) -> Self {
        self.facts.now = second(at);
        self
    }

    /// The counts of the object and its ReplicaSet as its pods have them.
    fn counted(mut self) -> Self {
        if !self.counts {
            return self;
        }
        let is_ready = |pod: &PodFacts| {
            let mut conditions = pod.conditions.iter();
            conditions.any(|c| &*c.kind == "Ready" && &*c.status == "True")
        };
        let object = &mut self.facts.object;
        let is_new = |pod: &PodFacts| {
            let label = pod
                .revision_hash
                .as_ref()
                .or(pod.template_generation.as_ref());
            pod.owner.as_deref() == Some("set") || label.is_some_and(|label| &**label == "2")
        };
        let is_deployment = object.kind == RolloutKind::Deployment;
        let pods = self.facts.pods.iter().map(|pod| &**pod);
        let alive =
            pods.filter(|pod| &*pod.phase != "Failed" && !(is_deployment && pod.is_deleting));
        let alive: Vec<&PodFacts> = alive
            .filter(|pod| pod.owner.as_deref() != Some("foreign"))
            .collect();
        let number = |admits: &dyn Fn(&PodFacts) -> bool| {
            i32::try_from(alive.iter().filter(|pod| admits(pod)).count()).expect("few")
        };
        object.current = number(&|_| true);
        object.updated = number(&is_new);
        object.ready = number(&is_ready);
        object.available = object.ready;
        let ready = number(&|pod| is_new(pod) && is_ready(pod));
        if let Some(set) = self.facts.replica_sets.first_mut().map(Arc::make_mut) {
            set.current = object.updated;
            (set.ready, set.available) = (ready, ready);
        }
        self
    }

    /// The facts, of a workload that has this uid.
    pub(crate) fn facts_of(self, uid: &Text) -> RolloutFacts {
        let mut facts = self.counted().facts;
        let is_workload = |owner: &Option<Text>| owner.as_deref() == Some("workload");
        for set in facts.replica_sets.iter_mut().map(Arc::make_mut) {
            set.owner = Some(uid.clone()).filter(|_| is_workload(&set.owner));
        }
        for pod in facts.pods.iter_mut().map(Arc::make_mut) {
            if is_workload(&pod.owner) {
                pod.owner = Some(uid.clone());
            }
        }
        facts
    }

    pub(crate) fn judge(&self) -> Judged {
        let scene = self.clone().counted();
        judge(&scene.reached, Some(&scene.facts), &scene.asked)
    }

    /// Judges, and remembers what was reached.
    pub(crate) fn then(mut self) -> Self {
        self.reached = self.judge().reached;
        self
    }

    /// The same rollout with other pods and conditions, what was reached still known.
    pub(crate) fn again(&self, other: Self) -> Self {
        Self {
            reached: self.reached.clone(),
            ..other
        }
    }

    /// `state CODE sentence`, without the workload's name; then its remarks in brackets.
    #[track_caller]
    pub(crate) fn is(self, expected: &str) -> Self {
        let judged = self.judge();
        let rollout = &judged.rollout;
        let id = format!("{}: ", self.facts.workload.id);
        let sentence = rollout
            .sentence
            .strip_prefix(&id)
            .unwrap_or(&rollout.sentence);
        let mut told = match &rollout.cause {
            Some(cause) => format!("{} {}: {sentence}", rollout.state, cause.code),
            None => format!("{}: {sentence}", rollout.state),
        };
        for remark in &rollout.remarks {
            told.push_str(&format!(" [{remark}]"));
        }
        assert_eq!(told, expected);
        let again = Self {
            reached: judged.reached.clone(),
            ..self.clone()
        };
        assert_eq!(again.judge().rollout, judged.rollout, "judged twice");
        self
    }

    /// `state: sentence`, with the workload's name.
    #[track_caller]
    pub(crate) fn is_whole(&self, expected: &str) {
        let rollout = self.judge().rollout;
        assert_eq!(format!("{}: {}", rollout.state, rollout.sentence), expected);
    }

    /// Like [`is`](Self::is), but state and code alone.
    #[track_caller]
    pub(crate) fn gives(self, expected: &str) -> Self {
        let rollout = self.judge().rollout;
        let told = match &rollout.cause {
            Some(cause) => format!("{} {}", rollout.state, cause.code),
            None => rollout.state.to_string(),
        };
        assert_eq!(told, expected, "{}", rollout.sentence);
        self
    }

    /// When it is to be looked at again, in seconds after the change.
    #[track_caller]
    pub(crate) fn looks_again(self, expected: Option<u64>) -> Self {
        let at = self.judge().look_again.map(|at| {
            let since = at.duration_since(second(0)).expect("after the change");
            since.as_secs()
        });
        assert_eq!(at, expected);
        self
    }
}

pub(crate) fn condition(
    kind: &str,
    status: &str,
    reason: &str,
    message: &str,
    at: SystemTime,
) -> Condition {
    let mut condition = Condition::default();
    (condition.kind, condition.status) = (kind.into(), status.into());
    (condition.reason, condition.message) = (reason.into(), message.into());
    condition.since = Some(at);
    condition
}

pub(crate) fn event(about: &str, reason: &str, message: &str, at: u64) -> EventFacts {
    let mut event = EventFacts::default();
    (event.about, event.object) = (about.into(), format!("Pod {about}").into());
    (event.reason, event.message) = (reason.into(), message.into());
    (event.is_warning, event.count) = (true, 1);
    event.last = Some(second(at));
    event
}

/// A pod that is not ready.
pub(crate) fn unready(pod: &mut PodFacts) {
    for condition in &mut pod.conditions {
        if &*condition.kind == "Ready" {
            condition.status = "False".into();
        }
    }
    pod.containers[0].is_ready = false;
}

/// A pod whose container waits.
pub(crate) fn waits(reason: &str, message: &str) -> impl Fn(&mut PodFacts) + use<> {
    let state = ContainerState::Waiting {
        reason: reason.into(),
        message: message.into(),
    };
    move |pod| {
        unready(pod);
        pod.phase = "Pending".into();
        let web = &mut pod.containers[0];
        web.is_started = false;
        web.state = state.clone();
    }
}

/// A pod that has no node.
pub(crate) fn unscheduled(reason: &str, message: &str) -> impl Fn(&mut PodFacts) {
    move |pod| {
        unready(pod);
        pod.node = None;
        pod.phase = "Pending".into();
        pod.conditions = vec![condition(
            "PodScheduled",
            "False",
            reason,
            message,
            second(1),
        )];
        pod.containers[0].is_started = false;
        pod.containers[0].state = ContainerState::Unknown;
    }
}

pub(crate) fn ended(exit_code: i32, reason: &str, message: &str) -> Terminated {
    let mut ended = Terminated::default();
    ended.exit_code = exit_code;
    (ended.reason, ended.message) = (reason.into(), message.into());
    (ended.started, ended.finished) = (Some(second(10)), Some(second(12)));
    ended
}

/// A pod whose container has crashed and waits to be restarted.
pub(crate) fn crashed(restarts: u32, ended: &Terminated) -> impl Fn(&mut PodFacts) + use<> {
    let ended = ended.clone();
    move |pod| {
        waits(
            "CrashLoopBackOff",
            "back-off 10s restarting failed container",
        )(pod);
        let web = &mut pod.containers[0];
        web.restarts = restarts;
        web.last = Some(ended.clone());
    }
}

/// A pod that was evicted.
pub(crate) fn evicted(pod: &mut PodFacts) {
    unready(pod);
    pod.phase = "Failed".into();
    pod.reason = "Evicted".into();
    pod.message = "The node was low on resource: memory.".into();
    pod.containers[0].state = ContainerState::Terminated(ended(137, "Error", ""));
}
