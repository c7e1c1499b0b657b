//! The clauses about Jobs: what is created is there, once and in its namespace, and what is deleted is gone.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;

use super::{Broken, is_not_found};
use crate::{
    jobs::{JobCreated, JobName, JobPolicy, JobRequest, JobSource, Jobs},
    port::{ClusterError, JobPort, Mode},
    testing::{clock::StillClock, memory_jobs::MemoryJobs},
};

/// The Jobs of a cluster under test.
#[async_trait]
pub trait JobSubject: Send + Sync {
    /// The port under test.
    fn port(&self) -> Arc<dyn JobPort>;

    /// The namespace that the suite may use, without Jobs at the start: `contract`, if not said otherwise. No Job is in the namespace
    /// `contract-elsewhere`.
    fn namespace(&self) -> &str {
        "contract"
    }

    /// Whether Jobs can be deleted, and so replaced. (In a folder of manifests a person does that.)
    fn deletes(&self) -> bool {
        true
    }

    /// A definition that the cluster accepts, of a Job with this name.
    fn definition(&self, name: &JobName) -> JobSource;

    /// Gives a deleted Job a moment to be gone: called between looks, a hundred times at most.
    async fn pause(&self) {}
}

#[async_trait]
impl JobSubject for Arc<MemoryJobs> {
    fn port(&self) -> Arc<dyn JobPort> {
        self.clone()
    }

    fn definition(&self, name: &JobName) -> JobSource {
        JobSource::Yaml(name.to_string().into())
    }
}

type Checked<'s> = BoxFuture<'s, Result<(), String>>;
type Clause = (&'static str, for<'s> fn(&'s Stage<'s>) -> Checked<'s>);

const CLAUSES: [Clause; 8] = [
    ("a_created_job_is_there", |s| Box::pin(s.created_is_there())),
    ("a_dry_run_creates_nothing", |s| Box::pin(s.dry_run())),
    ("a_list_has_the_jobs_of_its_namespace_alone", |s| {
        Box::pin(s.listed_by_namespace())
    }),
    (
        "a_dry_run_of_a_replacement_tells_whether_there_is_an_old_job",
        |s| Box::pin(s.dry_replacement()),
    ),
    ("a_name_is_created_once", |s| Box::pin(s.created_once())),
    ("what_is_not_there_is_not_found", |s| {
        Box::pin(s.not_found())
    }),
    ("a_definition_that_cannot_be_read_creates_nothing", |s| {
        Box::pin(s.unreadable())
    }),
    ("only_the_job_with_the_uid_is_deleted", |s| {
        Box::pin(s.deleted())
    }),
];

/// Runs the clauses about Jobs, one after the other, and says which are broken. The suite leaves its Jobs behind.
pub async fn run_jobs(subject: &dyn JobSubject) -> Vec<Broken> {
    let policy = JobPolicy {
        namespaces: Some(vec![subject.namespace().into()]),
        ..JobPolicy::default()
    };
    let stage = Stage {
        subject,
        port: subject.port(),
        jobs: Jobs::new(subject.port(), policy, Arc::new(StillClock::default())),
    };
    let mut broken = Vec::new();
    for (clause, check) in CLAUSES {
        if let Err(what) = check(&stage).await {
            broken.push(Broken { clause, what });
        }
    }
    broken
}

struct Stage<'s> {
    subject: &'s dyn JobSubject,
    port: Arc<dyn JobPort>,
    jobs: Jobs,
}

impl Stage<'_> {
    fn name(&self, name: &str) -> Result<JobName, String> {
        JobName::new(self.subject.namespace(), name).map_err(|error| error.to_string())
    }

    fn request(&self, name: &JobName) -> JobRequest {
        JobRequest::new(self.subject.definition(name))
    }

    async fn create(&self, name: &JobName, mode: Mode) -> Result<JobCreated, String> {
        let created = self.jobs.run(&self.request(name), mode).await;
        created.map_err(|error| format!("expected {name} to be created, found: {error}"))
    }

    async fn names(&self) -> Result<Vec<JobName>, String> {
        let list = self.port.list(self.subject.namespace()).await;
        let list = list.map_err(|error| format!("expected a list, found: {error}"))?;
        Ok(list.jobs.into_iter().map(|job| job.name).collect())
    }

    async fn created_is_there(&self) -> Result<(), String> {
        let (second, first) = (self.name("there-b")?, self.name("there-a")?);
        let created = self.create(&second, Mode::Commit).await?;
        self.create(&first, Mode::Commit).await?;
        let found = self.port.get(&second).await;
        let found = found.map_err(|error| format!("expected {second}, found: {error}"))?;
        same("name", (&found.name, &created.name), (&second, &second))?;
        same("uid", &found.uid, &created.uid)?;
        let mut names = self.names().await?;
        names.retain(|name| *name == first || *name == second);
        same("the list", names, vec![first, second])
    }

    async fn dry_run(&self) -> Result<(), String> {
        let name = self.name("dry")?;
        self.create(&name, Mode::DryRun).await?;
        is_not_found("after a dry run", self.port.get(&name).await, &name)
    }

    async fn listed_by_namespace(&self) -> Result<(), String> {
        self.create(&self.name("listed")?, Mode::Commit).await?;
        let elsewhere = self.port.list("contract-elsewhere").await;
        let elsewhere = elsewhere.map_err(|error| format!("expected a list, found: {error}"))?;
        let names: Vec<JobName> = elsewhere.jobs.into_iter().map(|job| job.name).collect();
        same("the list of contract-elsewhere", names, Vec::new())
    }

    async fn dry_replacement(&self) -> Result<(), String> {
        if !self.subject.deletes() {
            return Ok(());
        }
        let (old, free) = (self.name("replaced")?, self.name("free")?);
        let created = self.create(&old, Mode::Commit).await?;
        for (name, expected) in [(&old, true), (&free, false)] {
            let mut request = self.request(name);
            request.replace = true;
            let tried = self.jobs.run(&request, Mode::DryRun).await;
            let tried = tried.map_err(|error| format!("{name}: expected success, found: {error}"));
            same(&format!("{name}: replaces"), tried?.replaces, expected)?;
        }
        let found = self.port.get(&old).await.map(|job| job.uid);
        same("uid of the old Job", found, Ok(created.uid))?;
        is_not_found("after a dry run", self.port.get(&free).await, &free)
    }

    async fn created_once(&self) -> Result<(), String> {
        let name = self.name("once")?;
        let created = self.create(&name, Mode::Commit).await?;
        for mode in [Mode::DryRun, Mode::Commit] {
            match self.jobs.run(&self.request(&name), mode).await {
                Err(ClusterError::Exists(_)) => {}
                other => {
                    return Err(format!(
                        "{mode:?}: expected that it exists, found {other:?}"
                    ));
                }
            }
        }
        let found = self.port.get(&name).await.map(|job| job.uid);
        same("uid", found, Ok(created.uid))
    }

    async fn not_found(&self) -> Result<(), String> {
        let name = self.name("nowhere")?;
        is_not_found("get", self.port.get(&name).await, &name)?;
        is_not_found("delete", self.port.delete(&name, None).await, &name)?;
        match self.port.logs(&name).await {
            // A cluster where no Job runs may have no logs of any.
            Err(ClusterError::Unsupported(_)) => Ok(()),
            found => is_not_found("logs", found, &name),
        }
    }

    async fn unreadable(&self) -> Result<(), String> {
        let before = self.names().await?;
        let request = JobRequest::new(JobSource::Yaml("{".into()));
        match self.jobs.run(&request, Mode::Commit).await {
            Err(ClusterError::Malformed(_)) => {}
            other => return Err(format!("expected that it cannot be read, found {other:?}")),
        }
        same("the list", self.names().await?, before)
    }

    async fn deleted(&self) -> Result<(), String> {
        if !self.subject.deletes() {
            return Ok(());
        }
        let name = self.name("deleted")?;
        let created = self.create(&name, Mode::Commit).await?;
        let other = self.port.delete(&name, Some("another-uid")).await;
        is_not_found("delete of another uid", other, &name)?;
        let found = self.port.get(&name).await.map(|job| job.uid);
        same("uid", found, Ok(created.uid.clone()))?;
        let deleted = self.port.delete(&name, Some(&created.uid)).await;
        same("delete", deleted, Ok(()))?;
        for _ in 0..100 {
            match self.port.get(&name).await {
                Err(ClusterError::NotFound(_)) => return Ok(()),
                Ok(_) => self.subject.pause().await,
                Err(error) => return Err(format!("expected that it is gone, found: {error}")),
            }
        }
        Err("expected that it is gone, found it after a hundred looks".to_owned())
    }
}

fn same<T: std::fmt::Debug + PartialEq>(what: &str, found: T, expected: T) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what}: expected {expected:?}, found {found:?}"))
}
