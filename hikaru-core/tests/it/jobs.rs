//! Running Jobs and waiting for them, over a port that refuses, loses answers and is changed by people in between. The clauses about
//! Jobs, and faults that break them, are in `jobs/clauses.rs`.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::FutureExt as _;
use hikaru_core::{
    Mode,
    caller::{Caller, Rights},
    jobs::{
        JobCreated, JobDefinition, JobDemand, JobFacts, JobList, JobLog, JobName, JobNaming,
        JobPolicy, JobRequest, JobSource, JobState, JobStatus, Jobs, JudgedJob,
    },
    port::{Clock, ClusterError, JobPods, JobPort},
    rollout::{ContainerFacts, ContainerState, PodFacts, Terminated},
    testing::{MemoryJobs, MockJobPort, StillClock},
};

mod clauses;
mod starts;

fn name() -> JobName {
    "shop/migrate".parse().expect("a name")
}

fn not_found() -> ClusterError {
    ClusterError::NotFound("Job shop/migrate".into())
}

fn request() -> JobRequest {
    JobRequest::new(JobSource::Yaml("shop/migrate".into()))
}

fn replacing() -> JobRequest {
    let mut request = request();
    request.replace = true;
    request
}

fn policy() -> JobPolicy {
    let mut policy = JobPolicy::default();
    policy.namespaces = Some(vec!["shop".into()]);
    policy
}

fn unavailable() -> ClusterError {
    ClusterError::Unavailable {
        message: "no connection".into(),
        retry_after: None,
    }
}

/// Memory, where the next answers of a verb can be planted, and the deletions are counted.
#[derive(Default)]
struct Planted {
    memory: MemoryJobs,
    creates: Mutex<VecDeque<Result<(), ClusterError>>>,
    deletes: Mutex<VecDeque<Result<(), ClusterError>>>,
    gets: Mutex<VecDeque<Option<ClusterError>>>,
    deleted: Mutex<Vec<Option<String>>>,
}

fn next<T>(of: &Mutex<VecDeque<T>>) -> Option<T> {
    of.lock().expect("no panic").pop_front()
}

#[async_trait]
impl JobPort for Planted {
    async fn define(&self, request: &JobRequest) -> Result<JobDefinition, ClusterError> {
        self.memory.define(request).await
    }

    async fn create(&self, job: &JudgedJob, mode: Mode) -> Result<JobCreated, ClusterError> {
        if mode == Mode::Commit
            && let Some(Err(error)) = next(&self.creates)
        {
            return Err(error);
        }
        self.memory.create(job, mode).await
    }

    async fn get(&self, name: &JobName) -> Result<JobStatus, ClusterError> {
        match next(&self.gets).flatten() {
            Some(error) => Err(error),
            None => self.memory.get(name).await,
        }
    }

    async fn list(&self, namespace: &str) -> Result<JobList, ClusterError> {
        self.memory.list(namespace).await
    }

    async fn delete<'a>(
        &'a self,
        name: &'a JobName,
        uid: Option<&'a str>,
    ) -> Result<(), ClusterError> {
        let told = uid.map(ToOwned::to_owned);
        self.deleted.lock().expect("no panic").push(told);
        match next(&self.deletes) {
            Some(Err(error)) => Err(error),
            _ => self.memory.delete(name, uid).await,
        }
    }

    async fn pods(&self, job: &JobStatus) -> Result<JobPods, ClusterError> {
        self.memory.pods(job).await
    }

    async fn logs(&self, name: &JobName) -> Result<Vec<JobLog>, ClusterError> {
        self.memory.logs(name).await
    }
}

fn jobs_on(port: Arc<dyn JobPort>) -> (Jobs, Arc<StillClock>) {
    let clock = Arc::new(StillClock::default());
    (Jobs::new(port, policy(), clock.clone()), clock)
}

/// Nothing waits here for anything but the clock, which does not.
fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("it does not wait")
}

#[test]
fn a_replacement_deletes_the_old_job_by_its_uid_and_then_creates_the_new_one() {
    let port = Arc::new(Planted::default());
    let (jobs, _) = jobs_on(port.clone());
    let old = now(jobs.run(&request(), Mode::Commit)).expect("created");
    let exists = now(jobs.run(&request(), Mode::Commit));
    assert!(matches!(exists, Err(ClusterError::Exists(_))), "{exists:?}");
    let tried = now(jobs.run(&replacing(), Mode::DryRun)).expect("a dry run");
    assert!(tried.replaces);
    assert_eq!(port.deleted.lock().expect("no panic").len(), 0);
    let new = now(jobs.run(&replacing(), Mode::Commit)).expect("replaced");
    assert_ne!(new.uid, old.uid);
    let deleted = port.deleted.lock().expect("no panic").clone();
    assert_eq!(deleted, [Some(old.uid.to_string())]);
}

#[test]
fn where_jobs_have_no_uid_the_old_one_is_deleted_by_its_name() {
    let port = Arc::new(Planted::default());
    let (jobs, _) = jobs_on(port.clone());
    now(jobs.run(&request(), Mode::Commit)).expect("created");
    assert!(port.memory.set(&name(), |old| old.uid = "".into()));
    now(jobs.run(&replacing(), Mode::Commit)).expect("replaced");
    assert_eq!(*port.deleted.lock().expect("no panic"), [None]);
}

#[test]
fn a_replacement_of_nothing_deletes_nothing() {
    let port = Arc::new(Planted::default());
    let (jobs, _) = jobs_on(port.clone());
    let new = now(jobs.run(&replacing(), Mode::Commit)).expect("created");
    assert!(!new.replaces);
    assert_eq!(port.deleted.lock().expect("no panic").len(), 0);
}

/// What is said of the old Job when the new one is not created, and whether repeating can help.
#[track_caller]
fn check_replacement(
    deletes: impl IntoIterator<Item = Result<(), ClusterError>>,
    creates: impl IntoIterator<Item = Result<(), ClusterError>>,
    expected: &str,
) {
    let port = Arc::new(Planted::default());
    let (jobs, clock) = jobs_on(port.clone());
    now(jobs.run(&request(), Mode::Commit)).expect("created");
    *port.deletes.lock().expect("no panic") = deletes.into_iter().collect();
    *port.creates.lock().expect("no panic") = creates.into_iter().collect();
    let ended = now(jobs.run(&replacing(), Mode::Commit));
    let found = match &ended {
        Ok(_) => "created".to_owned(),
        Err(error) => error.to_string(),
    };
    assert_eq!(found, expected);
    assert!(clock.elapsed() < Duration::from_secs(100));
}

#[test]
fn a_replacement_says_what_is_known_of_the_old_job() {
    let lost = || ClusterError::Lost("the connection was cut".into());
    let refused = || ClusterError::Invalid("no".into());
    check_replacement([Err(lost()), Ok(())], [], "created");
    check_replacement([], [Err(unavailable()), Ok(())], "created");
    check_replacement([Err(refused())], [], "refused: no");
    check_replacement(
        [Err(lost()), Err(refused())],
        [],
        "refused: whether the old Job shop/migrate was deleted is not known, the new one was not created: no",
    );
    check_replacement(
        [],
        [Err(refused())],
        "refused: the old Job shop/migrate was deleted, the new one was not created: no",
    );
    check_replacement(
        [],
        [Err(lost())],
        "the answer was lost: the old Job shop/migrate was deleted, whether the new one was created is not known: the \
         connection was cut",
    );
    let taken = ClusterError::Exists("there is a Job shop/migrate already".into());
    check_replacement(
        [],
        [Err(taken)],
        "the old Job shop/migrate was deleted, the new one was not created: there is a Job shop/migrate already",
    );
    check_replacement(
        std::iter::repeat_with(|| Err(unavailable())).take(1000),
        [],
        "unavailable: the Job shop/migrate is not seen to be deleted with its pods after 90 s, so the new one was not \
         created; repeating the call is safe: unavailable: no connection",
    );
    check_replacement(
        [],
        std::iter::repeat_with(|| Err(unavailable())).take(1000),
        "unavailable: the old Job shop/migrate was deleted, the new one was not created: no connection",
    );
}

#[test]
fn what_the_policy_refuses_reaches_no_cluster() {
    // A mock that expects nothing panics when it is called.
    let outside = || "edge/migrate".parse::<JobName>().expect("a name");
    let (jobs, _) = jobs_on(Arc::new(MockJobPort::new()));
    let mut template = JobRequest::new(JobSource::CronJob {
        name: outside(),
        image: None,
    });
    let created = JobCreated::new(outside(), "");
    for refused in [
        now(jobs.run(&template, Mode::Commit)).map(drop),
        now(jobs.list("edge")).map(drop),
        now(jobs.status(&outside())).map(drop),
        now(jobs.delete(&outside())),
        now(jobs.logs(&outside())).map(drop),
        now(jobs.wait(&created, Duration::ZERO, &mut |_| {})).map(drop),
    ] {
        assert!(
            matches!(refused, Err(ClusterError::JobRefused(_))),
            "{refused:?}"
        );
    }
    let mut policy = policy();
    policy.within = vec!["prod".into()];
    let clock = Arc::new(StillClock::default());
    let confined = Jobs::new(Arc::new(MockJobPort::new()), policy, clock);
    template.namespace = Some("edge".into());
    let refused = now(confined.run(&template, Mode::Commit));
    assert!(
        matches!(refused, Err(ClusterError::Outside { .. })),
        "{refused:?}"
    );
}

#[test]
fn what_a_caller_may_not_do_reaches_no_cluster() {
    let mut rights = Rights::NONE;
    rights.grant("jobs").expect("a right");
    let mut caller = Caller::new("ci", rights);
    caller.namespaces = vec!["shop".into()];
    let mut policy = policy();
    policy.namespaces = None;
    let clock = Arc::new(StillClock::default());
    let jobs = Jobs::new(Arc::new(MockJobPort::new()), policy, clock);
    let jobs = jobs.for_caller(&Arc::new(caller));
    let outside = || "edge/migrate".parse::<JobName>().expect("a name");
    let template = JobRequest::new(JobSource::CronJob {
        name: outside(),
        image: None,
    });
    let created = JobCreated::new(outside(), "");
    for refused in [
        now(jobs.run(&template, Mode::Commit)).map(drop),
        now(jobs.list("edge")).map(drop),
        now(jobs.status(&outside())).map(drop),
        now(jobs.delete(&outside())),
        now(jobs.wait(&created, Duration::ZERO, &mut |_| {})).map(drop),
    ] {
        let error = refused.expect_err("outside");
        assert_eq!(
            error.to_string(),
            "the caller ci may not see the namespace edge"
        );
    }
    let error = now(jobs.logs(&name())).expect_err("a log");
    assert_eq!(error.to_string(), "the caller ci lacks the right logs");
}

/// What is deleted to make way is in the namespace that was judged, because a definition has no other one.
#[test]
fn a_replacement_outside_of_the_policy_deletes_nothing() {
    let port = Arc::new(Planted::default());
    let outside: JobName = "edge/migrate".parse().expect("a name");
    for naming in [
        JobNaming::Named(outside.clone()),
        JobNaming::Generated {
            namespace: "edge".into(),
            prefix: "migrate-".into(),
        },
    ] {
        port.memory.reads_as(
            "text",
            JobDefinition {
                naming,
                facts: JobFacts::default(),
                json: "{}".into(),
            },
        );
        let (jobs, _) = jobs_on(port.clone());
        let mut request = JobRequest::new(JobSource::Json("text".into()));
        request.replace = true;
        let refused = now(jobs.run(&request, Mode::Commit)).expect_err("outside");
        assert_eq!(
            refused.to_string(),
            "not allowed: no Jobs of the namespace edge are allowed: expected shop"
        );
    }
    assert_eq!(port.deleted.lock().expect("no panic").len(), 0);
}

#[test]
fn a_job_that_demands_too_much_is_not_created() {
    let port = Arc::new(MemoryJobs::default());
    let demand = JobDemand {
        rule: "host-namespaces",
        place: "spec.template.spec.hostNetwork".into(),
        expected: "false".into(),
        found: "true".into(),
    };
    let facts = JobFacts {
        service_account: None,
        demand: Some(demand),
    };
    port.reads_as(
        "text",
        JobDefinition {
            naming: JobNaming::Named(name()),
            facts,
            json: "{}".into(),
        },
    );
    let (jobs, _) = jobs_on(port.clone());
    let request = JobRequest::new(JobSource::Json("text".into()));
    let refused = now(jobs.run(&request, Mode::Commit));
    assert!(
        matches!(refused, Err(ClusterError::JobRefused(_))),
        "{refused:?}"
    );
    assert_eq!(now(port.get(&name())).map(drop), Err(not_found()));
}

#[test]
fn where_jobs_do_not_run_one_that_is_to_be_waited_for_is_not_created_and_no_other_is_waited_for() {
    let mut port = MockJobPort::new();
    port.expect_runs_jobs().return_const(false);
    let (jobs, _) = jobs_on(Arc::new(port));
    let mut waits = request();
    waits.wait = true;
    let unsupported = ClusterError::Unsupported("waiting for jobs");
    let refused = now(jobs.run(&waits, Mode::Commit));
    assert_eq!(refused, Err(unsupported.clone()));
    let created = JobCreated::new(name(), "");
    let mut ignore = |_: &str| {};
    let refused = now(jobs.wait(&created, Duration::from_secs(600), &mut ignore));
    assert_eq!(refused, Err(unsupported));
}

/// A pod whose container has ended with 3.
fn broken() -> PodFacts {
    let mut ended = Terminated::default();
    (ended.exit_code, ended.reason) = (3, "Error".into());
    let mut web = ContainerFacts::default();
    (web.name, web.state) = ("web".into(), ContainerState::Terminated(ended));
    let mut pod = PodFacts::default();
    pod.name = "migrate-x".into();
    pod.containers.push(web);
    pod
}

/// Each state in turn, as a look finds it; the last one stays.
struct Looks {
    memory: MemoryJobs,
    looks: Mutex<VecDeque<Result<JobState, ClusterError>>>,
}

#[async_trait]
impl JobPort for Looks {
    async fn define(&self, request: &JobRequest) -> Result<JobDefinition, ClusterError> {
        self.memory.define(request).await
    }

    async fn create(&self, job: &JudgedJob, mode: Mode) -> Result<JobCreated, ClusterError> {
        self.memory.create(job, mode).await
    }

    async fn get(&self, name: &JobName) -> Result<JobStatus, ClusterError> {
        let look = {
            let mut looks = self.looks.lock().expect("no panic");
            match looks.len() {
                1 => looks[0].clone(),
                _ => looks.pop_front().expect("a look"),
            }
        }?;
        self.memory.set(name, |job| job.state = look);
        self.memory.set_pods(name, |told| {
            told.pods = match look {
                JobState::Running => vec![Arc::new(broken())],
                _ => Vec::new(),
            };
        });
        self.memory.get(name).await
    }

    async fn list(&self, namespace: &str) -> Result<JobList, ClusterError> {
        self.memory.list(namespace).await
    }

    async fn delete<'a>(
        &'a self,
        name: &'a JobName,
        uid: Option<&'a str>,
    ) -> Result<(), ClusterError> {
        self.memory.delete(name, uid).await
    }

    async fn pods(&self, job: &JobStatus) -> Result<JobPods, ClusterError> {
        self.memory.pods(job).await
    }

    async fn logs(&self, name: &JobName) -> Result<Vec<JobLog>, ClusterError> {
        self.memory.logs(name).await
    }
}

/// Waits for a minute, and gives what came of it, how long it took, and what was told on the way.
fn wait(
    looks: &[Result<JobState, ClusterError>],
) -> (Result<JobStatus, ClusterError>, Duration, Vec<String>) {
    let port = Arc::new(Looks {
        memory: MemoryJobs::default(),
        looks: Mutex::new(looks.iter().cloned().collect()),
    });
    let (jobs, clock) = jobs_on(port);
    let created = now(jobs.run(&request(), Mode::Commit)).expect("created");
    let mut told = Vec::new();
    let mut tell = |words: &str| told.push(words.to_owned());
    let ended = now(jobs.wait(&created, Duration::from_secs(60), &mut tell));
    (ended, clock.elapsed(), told)
}

#[test]
fn a_wait_lasts_until_the_job_has_ended() {
    use JobState::{Complete, Failed, Pending, Running};
    let (ended, took, told) = wait(&[Ok(Pending), Ok(Running), Ok(Complete)]);
    assert_eq!(ended.map(|status| status.state), Ok(Complete));
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(took <= Duration::from_secs(20), "{took:?}, told {told:?}");

    let (failed, ..) = wait(&[Ok(Running), Ok(Failed)]);
    let failed = failed.expect("its end");
    assert_eq!(
        failed.sentence(),
        "failed: the container web of the pod migrate-x ended with exit code 3 (Error)",
        "the pod was seen before it went away with the Job"
    );

    let (goes_on, took, _) = wait(&[Ok(Running)]);
    assert_eq!(goes_on.map(|status| status.state), Ok(Running));
    assert_eq!(took, Duration::from_secs(60));
}

#[test]
fn a_wait_bears_what_passes_and_ends_for_what_does_not() {
    use JobState::{Complete, Running};
    let refused = || ClusterError::Forbidden("cannot get".into());
    let state = |(ended, ..): (Result<JobStatus, ClusterError>, _, _)| ended.map(|s| s.state);
    let again = [
        Err(unavailable()),
        Ok(Running),
        Err(refused()),
        Ok(Complete),
    ];
    assert_eq!(state(wait(&again)), Ok(Complete));
    assert_eq!(state(wait(&[Err(refused())])), Err(refused()));
    assert_eq!(state(wait(&[Err(unavailable())])), Err(unavailable()));
    let gone = [Ok(Running), Err(not_found())];
    assert_eq!(state(wait(&gone)), Err(not_found()));

    let (unseen, ..) = wait(&[Ok(Running), Err(unavailable())]);
    let warnings = unseen.expect("the last state that was seen").warnings;
    let expected = "it could not be looked at again: unavailable: no connection";
    assert_eq!(warnings, [expected]);
}

#[test]
fn a_wait_ends_when_another_job_takes_the_name() {
    let port = Arc::new(MemoryJobs::default());
    let (jobs, _) = jobs_on(port);
    now(jobs.run(&request(), Mode::Commit)).expect("created");
    let other = JobCreated::new(name(), "another-uid");
    let ended = now(jobs.wait(&other, Duration::from_secs(60), &mut |_| {}));
    assert!(matches!(ended, Err(ClusterError::Exists(_))), "{ended:?}");
}

/// A clock whose sleeps end when the test says so.
struct Asleep;

#[async_trait]
impl Clock for Asleep {
    fn now(&self) -> std::time::SystemTime {
        std::time::SystemTime::UNIX_EPOCH
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    async fn sleep(&self, _: Duration) {
        std::future::pending().await
    }
}

#[test]
fn a_wait_looks_when_the_port_tells_and_not_before() {
    let memory = Arc::new(MemoryJobs::default());
    let jobs = Jobs::new(memory.clone(), policy(), Arc::new(Asleep));
    let created = now(jobs.run(&request(), Mode::Commit)).expect("created");
    let told: Mutex<Vec<String>> = Mutex::default();
    let mut tell = |words: &str| told.lock().expect("no panic").push(words.to_owned());
    let mut wait = Box::pin(jobs.wait(&created, Duration::from_secs(60), &mut tell));
    let mut poll = || (&mut wait).now_or_never();
    assert_eq!(poll(), None);
    let looks = || told.lock().expect("no panic").len();
    let first = looks();
    assert_eq!((poll(), looks()), (None, first), "nothing has changed");
    memory.set(&name(), |job| job.state = JobState::Running);
    assert_eq!((poll(), looks()), (None, first + 1));
    memory.set_pods(&name(), |told| told.pods.push(Arc::new(broken())));
    assert_eq!((poll(), looks()), (None, first + 2));
    memory.set(&name(), |job| job.state = JobState::Complete);
    let ended = poll().expect("the end").expect("a status");
    assert_eq!(ended.state, JobState::Complete);
}
