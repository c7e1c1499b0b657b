//! A Job whose pods cannot start ends the wait early, with the cause; what the Job itself decides does not.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use hikaru_core::{
    jobs::{JobCreated, JobState, JobStatus, Jobs},
    port::Clock,
    rollout::{Condition, ContainerFacts, ContainerState, EventFacts, PodFacts, Role, Terminated},
    testing::{MemoryJobs, StillClock},
};

use super::{Mode, name, now, policy, request};

/// So many seconds after the start of the Job.
fn second(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

fn container(state: ContainerState) -> ContainerFacts {
    let mut web = ContainerFacts::default();
    (web.name, web.image, web.state) = ("web".into(), "acme/web:1".into(), state);
    web
}

fn condition(kind: &str, status: &str, reason: &str, message: &str, at: u64) -> Condition {
    let mut condition = Condition::default();
    (condition.kind, condition.status) = (kind.into(), status.into());
    (condition.reason, condition.message) = (reason.into(), message.into());
    condition.since = Some(second(at));
    condition
}

/// A pod that was created and bound to a node at this second.
fn pod(at: u64, containers: impl IntoIterator<Item = ContainerFacts>) -> PodFacts {
    let mut pod = PodFacts::default();
    (pod.name, pod.uid) = (format!("migrate-{at}").into(), format!("pod-{at}").into());
    pod.created = Some(second(at));
    pod.phase = "Pending".into();
    pod.conditions
        .push(condition("PodScheduled", "True", "", "", at));
    pod.containers.extend(containers);
    pod
}

fn waits(reason: &str, message: &str) -> ContainerState {
    ContainerState::Waiting {
        reason: reason.into(),
        message: message.into(),
    }
}

fn running(since: u64) -> ContainerState {
    ContainerState::Running {
        since: Some(second(since)),
    }
}

fn ended(exit_code: i32, at: u64) -> ContainerState {
    let mut ended = Terminated::default();
    (ended.exit_code, ended.reason) = (exit_code, "Error".into());
    ended.finished = Some(second(at));
    ContainerState::Terminated(ended)
}

fn event(about: &str, reason: &str, message: &str, at: u64) -> EventFacts {
    let mut event = EventFacts::default();
    (event.about, event.reason, event.message) = (about.into(), reason.into(), message.into());
    (event.is_warning, event.count) = (true, 1);
    event.last = Some(second(at));
    event
}

/// A Job that was started at second 0, and what its cluster tells.
struct Scene {
    memory: Arc<MemoryJobs>,
    jobs: Jobs,
    clock: Arc<StillClock>,
    created: JobCreated,
}

impl Scene {
    fn of(pods: impl IntoIterator<Item = PodFacts>) -> Self {
        let (memory, clock) = (
            Arc::new(MemoryJobs::default()),
            Arc::new(StillClock::default()),
        );
        let jobs = Jobs::new(memory.clone(), policy(), clock.clone());
        let created = now(jobs.run(&request(), Mode::Commit)).expect("created");
        memory.set(&name(), |job| {
            job.state = JobState::Running;
            job.since = Some(second(0));
        });
        let uid = created.uid.clone();
        memory.set_pods(&name(), |told| {
            let owned = pods.into_iter().map(|mut pod| {
                pod.owner.get_or_insert(uid.clone());
                Arc::new(pod)
            });
            told.pods = owned.collect();
        });
        Self {
            memory,
            jobs,
            clock,
            created,
        }
    }

    fn events(self, events: impl IntoIterator<Item = EventFacts>) -> Self {
        self.memory.set_events(events);
        self
    }

    /// How the Job is at this second.
    fn at(&self, seconds: u64) -> JobStatus {
        self.memory
            .set_pods(&name(), |told| told.now = second(seconds));
        now(self.jobs.status(&name())).expect("a status")
    }

    /// From this second on it cannot start.
    #[track_caller]
    fn fails_from(&self, seconds: u64, code: &str) {
        // At second 2 its pod is created.
        if seconds > 2 {
            let before = self.at(seconds - 1).cause;
            assert_eq!(before.map(|cause| cause.code.as_str()), None, "before");
        }
        let failed = self.at(seconds);
        assert_eq!(
            failed.cause.as_ref().map(|cause| cause.code.as_str()),
            Some(code)
        );
        // That ends a wait.
        let waited = now(self
            .jobs
            .wait(&self.created, Duration::from_secs(60), &mut |_| {}));
        assert_eq!(waited, Ok(failed));
        assert_eq!(self.clock.elapsed(), Duration::ZERO);
    }

    #[track_caller]
    fn never_fails(&self) {
        for seconds in [5, 30, 100, 599, 700, 100_000] {
            let cause = self.at(seconds).cause;
            assert_eq!(cause.map(|cause| cause.message), None, "at {seconds}");
        }
    }
}

#[test]
fn what_keeps_pods_from_starting_fails_as_in_a_rollout() {
    let waiting = |reason, message| Scene::of([pod(2, [container(waits(reason, message))])]);
    let not_found = "rpc error: code = NotFound desc = acme/web:1: not found";
    waiting("ErrImagePull", not_found).fails_from(22, "ImageNotFound");
    waiting("ImagePullBackOff", "unauthorized").fails_from(62, "ImagePullForbidden");
    waiting("InvalidImageName", "couldn't parse").fails_from(2, "ImageNameInvalid");
    waiting("ErrImageNeverPull", "it is not present").fails_from(2, "ImageNotPresent");
    let missing = "secret \"db\" not found";
    waiting("CreateContainerConfigError", missing).fails_from(17, "ConfigMissing");
    waiting("CreateContainerError", "no command specified").fails_from(2, "CannotStart");
    // They pass often enough.
    waiting("ErrImagePull", "toomanyrequests: slow down").fails_from(602, "ImagePullRateLimited");
    waiting("ErrImagePull", "dial tcp: i/o timeout").fails_from(602, "RegistryUnreachable");
    // An init container, too.
    let mut init = container(waits("ErrImagePull", not_found));
    init.role = Role::Init;
    let after = container(waits("PodInitializing", ""));
    Scene::of([pod(2, [init, after])]).fails_from(22, "ImageNotFound");
}

#[test]
fn the_sentence_names_the_cause_and_what_to_do() {
    let missing = waits("CreateContainerConfigError", "secret \"db\" not found");
    let status = Scene::of([pod(2, [container(missing)])]).at(30);
    assert_eq!(
        status.sentence(),
        "cannot start: 1 of 1 pods cannot start container web: the Secret db is missing in the namespace shop; create it, or \
         correct its name in the pod template"
    );
    let cause = status.cause.expect("a cause");
    assert_eq!(cause.pod.as_deref(), Some("migrate-2"));
    assert_eq!(status.state, JobState::Running, "the Job itself waits on");
    let troubles: Vec<String> = status.troubles.iter().map(ToString::to_string).collect();
    assert_eq!(
        troubles,
        [
            "the container web of the pod migrate-2 is in CreateContainerConfigError: secret \"db\" not found"
        ]
    );
}

#[test]
fn pods_that_no_node_takes_or_whose_volumes_are_not_mounted() {
    let mut unscheduled = pod(2, [container(ContainerState::Unknown)]);
    let message = "0/3 nodes are available: 3 Insufficient memory.";
    unscheduled.conditions = vec![condition(
        "PodScheduled",
        "False",
        "Unschedulable",
        message,
        2,
    )];
    Scene::of([unscheduled.clone()]).fails_from(602, "Unschedulable");
    let unmounted = || Scene::of([pod(2, [container(waits("ContainerCreating", ""))])]);
    let mount = |message| event("pod-2", "FailedMount", message, 9);
    let volume = mount("MountVolume.SetUp failed for volume \"data\": timed out");
    unmounted()
        .events([volume])
        .fails_from(602, "VolumeNotMounted");
    let secret = mount("MountVolume.SetUp failed for volume \"db\": secret \"db\" not found");
    unmounted()
        .events([secret])
        .fails_from(602, "ConfigMissing");
    // Nothing tells why.
    unmounted().never_fails();
    // Others run, and it waits for what they use.
    let runs = pod(3, [container(running(4))]);
    Scene::of([unscheduled.clone(), runs]).never_fails();
    // One has succeeded: the next one counts from its end.
    let mut done = pod(1, [container(ended(0, 3_000))]);
    done.phase = "Succeeded".into();
    Scene::of([unscheduled, done]).fails_from(3_600, "Unschedulable");
}

#[test]
fn pods_that_are_refused() {
    let refused =
        |message, at| Scene::of([]).events([event("job-uid-1", "FailedCreate", message, at)]);
    let denied = "Error creating: pods \"migrate-x\" is forbidden: violates PodSecurity \"restricted:latest\": privileged";
    refused(denied, 1).fails_from(10, "PodsRefused");
    let quota = "Error creating: pods \"migrate-x\" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=2, limited: pods=2";
    refused(quota, 1).fails_from(600, "QuotaExceeded");
    let status = refused(quota, 1).at(700);
    assert_eq!(
        status.sentence(),
        "cannot start: 1 of 1 pods cannot be created: the quota compute is used up (requested: pods=1, used: pods=2, limited: \
         pods=2); raise it, or free some of it"
    );
    // A pod that was created later shows that it is over, be it one that has failed since.
    let mut failed = pod(20, [container(ended(1, 30))]);
    failed.phase = "Failed".into();
    let over = Scene::of([failed]).events([event("job-uid-1", "FailedCreate", denied, 5)]);
    over.never_fails();
    // Nothing tells why there are none: its controller may be slow.
    Scene::of([]).never_fails();
}

#[test]
fn what_the_job_decides_does_not_end_the_wait() {
    let mut crashing = container(waits("CrashLoopBackOff", "back-off"));
    crashing.restarts = 9;
    let mut last = Terminated::default();
    (last.exit_code, last.finished) = (127, Some(second(4)));
    crashing.last = Some(last);
    let mut not_found = Terminated::default();
    (not_found.exit_code, not_found.reason) = (128, "StartError".into());
    not_found.message = "exec: \"migrate\": executable file not found in $PATH".into();
    let cannot_start = container(ContainerState::Terminated(not_found));
    let run_error = container(waits(
        "RunContainerError",
        "exec: no such file or directory",
    ));
    let mut evicted = pod(2, [container(ended(137, 5))]);
    (evicted.phase, evicted.reason) = ("Failed".into(), "Evicted".into());
    let mut init = container(ended(1, 4));
    init.role = Role::Init;
    for pod in [
        pod(2, [crashing]),
        pod(2, [cannot_start]),
        pod(2, [run_error]),
        pod(2, [container(ended(3, 4))]),
        pod(2, [init, container(waits("PodInitializing", ""))]),
        pod(2, [container(running(3))]),
        evicted,
    ] {
        Scene::of([pod]).never_fails();
    }
    // Pods of another Job that had the name.
    let mut foreign = pod(2, [container(waits("InvalidImageName", ""))]);
    foreign.owner = Some("another".into());
    Scene::of([foreign]).never_fails();
    // What is not to run does not fail.
    for state in [JobState::Suspended, JobState::Complete, JobState::Failed] {
        let scene = Scene::of([pod(2, [container(waits("InvalidImageName", ""))])]);
        scene.memory.set(&name(), |job| job.state = state);
        scene.never_fails();
    }
}

#[test]
fn a_wait_looks_again_when_a_grace_is_over() {
    let not_found = waits("ErrImagePull", "acme/web:1: not found");
    let scene = Scene::of([pod(2, [container(not_found)])]);
    // Of what the API server calls 18 there is a look after 4 s, and its clock stands still in memory.
    scene.memory.set_pods(&name(), |told| told.now = second(18));
    let mut looks = Vec::new();
    let mut tell = |_: &str| looks.push(scene.clock.elapsed().as_secs());
    let waited = now(scene
        .jobs
        .wait(&scene.created, Duration::from_secs(9), &mut tell));
    assert_eq!(waited.map(|status| status.state), Ok(JobState::Running));
    looks.dedup();
    assert_eq!(looks, [0, 4, 8, 9]);
}
