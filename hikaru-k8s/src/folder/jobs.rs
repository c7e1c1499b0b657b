//! The port to the Jobs of a folder: one that is created is a new file, and stays as it is, because nothing runs here. No Job is
//! replaced, deleted or waited for. Where Jobs stand is found in `objects`; how a definition is read and completed is in
//! `crate::job`; who may run what is a rule of hikaru-core.

use std::{sync::Arc, time::SystemTime};

use async_trait::async_trait;
use hikaru_core::{
    Mode, Text,
    jobs::{
        JobCreated, JobDefinition, JobList, JobLog, JobName, JobRequest, JobSource, JobStatus,
        JudgedJob,
    },
    port::{ClusterError, JobPods, JobPort},
    workload::check_namespace,
};

use super::objects::{DEFAULT, Object};
use super::{Folder, Inner, blocking, lost, shown, write};
use crate::{
    job::{Definition, as_created, from_cron_job},
    yaml,
};

#[async_trait]
impl JobPort for Folder {
    fn runs_jobs(&self) -> bool {
        false
    }

    async fn define(&self, request: &JobRequest) -> Result<JobDefinition, ClusterError> {
        let request = request.clone();
        self.on_files(move |inner| inner.define(&request)).await
    }

    /// Writes `NAME.job.yaml`, or `NAMESPACE_NAME.job.yaml` in a namespace other than `default`. Once it has begun to write it
    /// goes on when its caller leaves.
    async fn create(&self, job: &JudgedJob, mode: Mode) -> Result<JobCreated, ClusterError> {
        let (inner, job) = (Arc::clone(&self.inner), job.clone());
        let created = blocking(&self.inner.writing, move || inner.create(&job, mode)).await;
        created.unwrap_or_else(|| Err(lost())).map_err(shown)
    }

    async fn get(&self, name: &JobName) -> Result<JobStatus, ClusterError> {
        let name = name.clone();
        let object = self.on_files(move |inner| inner.object("Job", &name));
        object.await.map(Object::status)
    }

    async fn list(&self, namespace: &str) -> Result<JobList, ClusterError> {
        check_namespace(namespace).map_err(|error| ClusterError::Invalid(error.to_string()))?;
        let (mut objects, faults) = self.on_files(|inner| inner.objects("Job")).await?;
        objects.retain(|object| **object.name.namespace() == *namespace);
        objects.sort_by(|a, b| a.name.cmp(&b.name));
        let jobs = objects.into_iter().map(Object::status).collect();
        Ok(JobList { jobs, faults })
    }

    /// Refused, with the file that the user can delete.
    async fn delete<'a>(
        &'a self,
        name: &'a JobName,
        _uid: Option<&'a str>,
    ) -> Result<(), ClusterError> {
        let file = self.get(name).await?.file.unwrap_or_default();
        Err(ClusterError::Invalid(format!(
            "in a folder of manifests a Job is removed by hand: it stands in {file}"
        )))
    }

    async fn pods(&self, _job: &JobStatus) -> Result<JobPods, ClusterError> {
        // No time matters where nothing runs.
        Ok(JobPods::none(SystemTime::UNIX_EPOCH))
    }

    async fn logs(&self, _name: &JobName) -> Result<Vec<JobLog>, ClusterError> {
        Err(ClusterError::Unsupported("reading the logs of jobs"))
    }
}

impl Inner {
    fn define(&self, request: &JobRequest) -> Result<JobDefinition, ClusterError> {
        let definition = match &request.source {
            JobSource::Json(text) => Definition::of_json(text)?,
            JobSource::Yaml(text) => Definition::of_yaml(text)?,
            JobSource::CronJob { name, image } => {
                let cron_job = self.object("CronJob", name)?;
                from_cron_job(name, &cron_job.json, image.as_deref())?
            }
            _ => return Err(ClusterError::Unsupported("this source of a job")),
        };
        definition.settled(request.namespace.as_ref(), DEFAULT)
    }

    fn create(&self, job: &JudgedJob, mode: Mode) -> Result<JobCreated, ClusterError> {
        let (name, json) = as_created(job.definition())?;
        match self.object("Job", &name) {
            Err(ClusterError::NotFound(_)) => {}
            Err(error) => return Err(error),
            Ok(Object { place, .. }) => {
                return Err(match job.replaces() {
                    true => ClusterError::Invalid(format!(
                        "in a folder of manifests a Job is replaced by hand: {name} stands in {place}"
                    )),
                    false => ClusterError::Exists(format!(
                        "there is a Job {name} already, in {place}: remove it there, or let a name be generated (generateName)"
                    )),
                });
            }
        }
        // `_` stands in no name, so each Job has its own file.
        let file: Text = match &**name.namespace() {
            DEFAULT => format!("{}.job.yaml", name.name()).into(),
            namespace => format!("{namespace}_{}.job.yaml", name.name()).into(),
        };
        // What was judged is written, not what was sent: another reader of YAML could take that for something else.
        write::create(&self.root, &file, &yaml::write(&json), mode)?;
        let mut created = JobCreated::new(name, "");
        created.file = Some(file);
        Ok(created)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use hikaru_core::{jobs::JobPolicy, workload::IdentityKeys};

    /// Readers do not hold it up, and it counts among the writers.
    #[tokio::test]
    async fn a_creation_takes_a_permit_to_write() {
        let around = tempfile::tempdir().expect("a temporary directory");
        let folder = Folder::open(around.path(), IdentityKeys::default()).expect("a folder");
        let yaml = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\nspec: {template: {spec: {restartPolicy: Never, \
                    containers: [{name: c, image: i}]}}}\n";
        let request = JobRequest::new(JobSource::Yaml(yaml.into()));
        let definition = folder.define(&request).await.expect("a definition");
        let mut policy = JobPolicy::default();
        policy.namespaces = None;
        let job = policy.judge(definition, false).expect("allowed");
        let reading = Arc::clone(&folder.inner.reading);
        let all = u32::try_from(reading.available_permits()).expect("a few");
        let _readers = reading.acquire_many_owned(all).await.expect("open");
        let created = folder.create(&job, Mode::Commit);
        let created = tokio::time::timeout(Duration::from_secs(60), created).await;
        created.expect("in time").expect("created");
    }
}
