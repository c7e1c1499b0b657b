//! The clauses of the contract about Jobs on the cluster in memory, and faults planted on purpose that they have to find.

use std::sync::Arc;

use async_trait::async_trait;
use hikaru_core::{
    Mode,
    jobs::{
        JobCreated, JobDefinition, JobList, JobLog, JobName, JobNaming, JobRequest, JobSource,
        JobStatus, JudgedJob,
    },
    port::{ClusterError, JobPods, JobPort},
    testing::{
        MemoryJobs,
        contract::{JobSubject, run_jobs},
    },
};

use super::now;

#[test]
fn memory_keeps_the_clauses_about_jobs() {
    let memory = Arc::new(MemoryJobs::default());
    assert_eq!(now(run_jobs(&memory)), []);
}

/// Faults that the clauses have to find.
#[derive(Clone, Copy, Debug)]
enum Fault {
    ADryRunCreates,
    ANameIsTakenTwice,
    AnyUidIsDeleted,
    NothingIsDeleted,
    TheListIsEmpty,
    AnotherUidIsTold,
    NoReplacementIsTold,
    LogsOfNoJobAreEmpty,
    AListHasEveryNamespace,
}

struct Faulty(Arc<MemoryJobs>, Fault);

#[async_trait]
impl JobPort for Faulty {
    async fn define(&self, request: &JobRequest) -> Result<JobDefinition, ClusterError> {
        self.0.define(request).await
    }

    async fn create(&self, job: &JudgedJob, mode: Mode) -> Result<JobCreated, ClusterError> {
        let mode = match self.1 {
            Fault::ADryRunCreates => Mode::Commit,
            _ => mode,
        };
        if let (Fault::ANameIsTakenTwice, JobNaming::Named(name)) =
            (self.1, &job.definition().naming)
        {
            self.0.remove(name);
        }
        let mut created = self.0.create(job, mode).await?;
        match self.1 {
            Fault::AnotherUidIsTold => created.uid = "another".into(),
            Fault::NoReplacementIsTold => created.replaces = false,
            _ => {}
        }
        Ok(created)
    }

    async fn get(&self, name: &JobName) -> Result<JobStatus, ClusterError> {
        self.0.get(name).await
    }

    async fn list(&self, namespace: &str) -> Result<JobList, ClusterError> {
        match self.1 {
            Fault::TheListIsEmpty => Ok(JobList::default()),
            Fault::AListHasEveryNamespace => self.0.list("contract").await,
            _ => self.0.list(namespace).await,
        }
    }

    async fn delete<'a>(
        &'a self,
        name: &'a JobName,
        uid: Option<&'a str>,
    ) -> Result<(), ClusterError> {
        match self.1 {
            Fault::AnyUidIsDeleted => self.0.delete(name, None).await,
            Fault::NothingIsDeleted => self.0.get(name).await.map(drop),
            _ => self.0.delete(name, uid).await,
        }
    }

    async fn pods(&self, job: &JobStatus) -> Result<JobPods, ClusterError> {
        self.0.pods(job).await
    }

    async fn logs(&self, name: &JobName) -> Result<Vec<JobLog>, ClusterError> {
        match self.1 {
            Fault::LogsOfNoJobAreEmpty => Ok(Vec::new()),
            _ => self.0.logs(name).await,
        }
    }
}

struct FaultySubject(Arc<Faulty>);

#[async_trait]
impl JobSubject for FaultySubject {
    fn port(&self) -> Arc<dyn JobPort> {
        self.0.clone()
    }

    fn definition(&self, name: &JobName) -> JobSource {
        JobSource::Yaml(name.to_string().into())
    }
}

#[test]
fn each_planted_fault_breaks_the_clauses_about_jobs() {
    for (fault, clause) in [
        (Fault::ADryRunCreates, "a_dry_run_creates_nothing"),
        (Fault::ANameIsTakenTwice, "a_name_is_created_once"),
        (
            Fault::AnyUidIsDeleted,
            "only_the_job_with_the_uid_is_deleted",
        ),
        (
            Fault::NothingIsDeleted,
            "only_the_job_with_the_uid_is_deleted",
        ),
        (Fault::TheListIsEmpty, "a_created_job_is_there"),
        (Fault::AnotherUidIsTold, "a_created_job_is_there"),
        (
            Fault::NoReplacementIsTold,
            "a_dry_run_of_a_replacement_tells_whether_there_is_an_old_job",
        ),
        (Fault::LogsOfNoJobAreEmpty, "what_is_not_there_is_not_found"),
        (
            Fault::AListHasEveryNamespace,
            "a_list_has_the_jobs_of_its_namespace_alone",
        ),
    ] {
        let faulty = Faulty(Arc::new(MemoryJobs::default()), fault);
        let broken = now(run_jobs(&FaultySubject(Arc::new(faulty))));
        let clauses: Vec<&str> = broken.iter().map(|broken| broken.clause).collect();
        assert!(clauses.contains(&clause), "{fault:?}: {broken:?}");
    }
}
