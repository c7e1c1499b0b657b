//! The port to the Jobs of a folder: one that is created is a new file, and stays as it is, because nothing runs here. No Job is
//! replaced, deleted or waited for. How a definition is read is in `crate::job`; who may run what is a rule of hikaru-core.

use std::hash::{BuildHasher as _, RandomState};

use async_trait::async_trait;
use hikaru_core::{
    Mode, Text,
    jobs::{
        JobCreated, JobDefinition, JobList, JobLog, JobName, JobNaming, JobRequest, JobSource,
        JobStatus, JudgedJob,
    },
    port::{ClusterError, Fault, JobPort, Severity, Troubles},
    workload::check_namespace,
};
use serde_json::Value;

use super::{Folder, Inner, text, walk, write};
use crate::{
    job::{BUDGET, Definition, from_cron_job},
    yaml::{self, Documents, Piece},
};

/// The namespace of what names none.
const DEFAULT: &str = "default";

/// Longest name of a Job: its pods have it in a label, whose value may be so long.
const LONGEST_NAME: usize = 63;

#[async_trait]
impl JobPort for Folder {
    fn runs_jobs(&self) -> bool {
        false
    }

    async fn define(&self, request: &JobRequest) -> Result<JobDefinition, ClusterError> {
        let request = request.clone();
        self.on_files(move |inner| inner.read_job(&request)).await
    }

    /// Writes `NAME.job.yaml`, or `NAMESPACE_NAME.job.yaml` in a namespace other than `default`.
    async fn create(&self, job: &JudgedJob, mode: Mode) -> Result<JobCreated, ClusterError> {
        let job = job.clone();
        self.on_files(move |inner| inner.create_job(&job, mode))
            .await
    }

    async fn get(&self, name: &JobName) -> Result<JobStatus, ClusterError> {
        let name = name.clone();
        self.on_files(move |inner| inner.job(&name)).await
    }

    async fn list(&self, namespace: &str) -> Result<JobList, ClusterError> {
        check_namespace(namespace).map_err(|error| ClusterError::Invalid(error.to_string()))?;
        let namespace = Text::from(namespace);
        self.on_files(move |inner| {
            let (mut jobs, faults) = inner.objects("Job")?;
            jobs.retain(|job| *job.name.namespace() == namespace);
            jobs.sort_by(|a, b| a.name.cmp(&b.name));
            let jobs = jobs.into_iter().map(Object::status).collect();
            Ok(JobList { jobs, faults })
        })
        .await
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

    async fn troubles(&self, _job: &JobStatus) -> Result<Troubles, ClusterError> {
        Ok(Troubles::default())
    }

    async fn logs(&self, _name: &JobName) -> Result<Vec<JobLog>, ClusterError> {
        Err(ClusterError::Unsupported("reading the logs of jobs"))
    }
}

/// An object of the folder, and where it stands.
struct Object {
    place: String,
    name: JobName,
    json: Value,
}

impl Object {
    fn status(self) -> JobStatus {
        let mut status = JobStatus::new(self.name, "");
        status.file = Some(self.place.into());
        status
    }
}

impl Inner {
    fn read_job(&self, request: &JobRequest) -> Result<JobDefinition, ClusterError> {
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

    fn create_job(&self, job: &JudgedJob, mode: Mode) -> Result<JobCreated, ClusterError> {
        let definition = job.definition();
        let invalid = |error: String| ClusterError::Invalid(error);
        let mut json: Value =
            serde_json::from_str(&definition.json).map_err(|error| invalid(error.to_string()))?;
        let name = match &definition.naming {
            JobNaming::Named(name) => name.clone(),
            JobNaming::Generated { namespace, prefix } => {
                let name = generated(prefix);
                if let Some(metadata) = json["metadata"].as_object_mut() {
                    metadata.remove("generateName");
                    metadata.insert("name".to_owned(), Value::from(&*name));
                }
                JobName::new(namespace, &name).map_err(|error| invalid(error.to_string()))?
            }
        };
        check_as_a_server(&json, &name).map_err(invalid)?;
        match self.object("Job", &name) {
            Err(ClusterError::NotFound) => {}
            Err(error) => return Err(error),
            Ok(Object { place, .. }) if job.replaces() => {
                return Err(invalid(format!(
                    "in a folder of manifests a Job is replaced by hand: {name} stands in {place}"
                )));
            }
            Ok(Object { place, .. }) => {
                return Err(ClusterError::Exists(format!(
                    "there is a Job {name} already, in {place}: remove it there, or let a name be generated (generateName)"
                )));
            }
        }
        // `_` stands in no name, so each Job has its own file.
        let file = match &**name.namespace() {
            DEFAULT => format!("{}.job.yaml", name.name()),
            namespace => format!("{namespace}_{}.job.yaml", name.name()),
        };
        // What was judged is written, not what was sent: another reader of YAML could take that for something else.
        write::create(&self.root, &file, &yaml::write(&json), mode)?;
        let mut created = JobCreated::new(name, "");
        created.file = Some(file.into());
        Ok(created)
    }

    fn job(&self, name: &JobName) -> Result<JobStatus, ClusterError> {
        self.object("Job", name).map(Object::status)
    }

    fn object(&self, kind: &str, name: &JobName) -> Result<Object, ClusterError> {
        let mut found = self.objects(kind)?.0.into_iter();
        let found = found.find(|object| object.name == *name);
        found.ok_or(ClusterError::NotFound)
    }

    /// The objects of a kind of `batch/v1`. A file or document that cannot be read may hold one: it is a fault.
    fn objects(&self, kind: &str) -> Result<(Vec<Object>, Vec<Fault>), ClusterError> {
        let walked = walk::walk(&self.root).map_err(ClusterError::Invalid)?;
        let (mut found, mut faults) = (Vec::new(), walked.faults);
        for manifest in &walked.manifests {
            let file = &manifest.file;
            let mut fault =
                |place, message| faults.push(Fault::new(Severity::Failure, place, message));
            let text = match text::read(&manifest.path) {
                Ok(text) if text.contains(kind) => text,
                Ok(_) => continue,
                Err(unreadable) => {
                    let (place, message) = unreadable.explain(file);
                    fault(place, message);
                    continue;
                }
            };
            for piece in Documents::new(&text) {
                match of_kind(piece, kind) {
                    Ok(None) => {}
                    Err(problem) => fault(text::place(file, problem.mark), problem.message),
                    Ok(Some((number, json))) => {
                        let place = format!("{file}#{number}");
                        let word = |key: &str| json["metadata"][key].as_str();
                        let namespace = word("namespace").unwrap_or(DEFAULT);
                        match JobName::new(namespace, word("name").unwrap_or_default()) {
                            Ok(name) => found.push(Object { place, name, json }),
                            Err(error) => fault(place, error.to_string()),
                        }
                    }
                }
            }
        }
        Ok((found, faults))
    }
}

/// The number and the object of a document, if it is an object of this kind of `batch/v1`.
fn of_kind(piece: Piece<'_>, kind: &str) -> Result<Option<(usize, Value)>, yaml::Problem> {
    match piece {
        Piece::Document(tree) if tree.is_of(kind, "batch/v1") => {
            let json = tree.json(BUDGET)?;
            Ok(json.map(|json| (tree.number, json)))
        }
        Piece::Document(_) => Ok(None),
        Piece::Broken { problem, .. } => Err(problem),
    }
}

/// What an API server would refuse, so that applying the file does not fail later.
fn check_as_a_server(job: &Value, name: &JobName) -> Result<(), String> {
    let length = name.name().len();
    if length > LONGEST_NAME {
        return Err(format!(
            "metadata.name: expected at most {LONGEST_NAME} bytes, as pods have it in a label, found {length}"
        ));
    }
    let restart = &job["spec"]["template"]["spec"]["restartPolicy"];
    match restart.as_str() {
        Some("Never" | "OnFailure") => Ok(()),
        found => Err(format!(
            "spec.template.spec.restartPolicy: expected OnFailure or Never, found {}",
            found.unwrap_or("nothing")
        )),
    }
}

/// A name as the API server generates it: five letters and digits after the prefix.
fn generated(prefix: &str) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut name: String = prefix.chars().take(LONGEST_NAME - 5).collect();
    // Each state hashes in its own random way.
    let mut random = RandomState::new().hash_one(prefix);
    for _ in 0..5 {
        let letters = LETTERS.len() as u64;
        let letter = usize::try_from(random % letters).unwrap_or(0);
        name.push(char::from(LETTERS[letter]));
        random /= letters;
    }
    name
}
