//! Jobs in a folder of manifests: one that is run is written as a new file, and stays as it is: nothing runs here.

use std::{
    fs::File,
    hash::{BuildHasher as _, RandomState},
    io::{self, Write as _},
    sync::PoisonError,
};

use hikaru_core::{
    ClusterError, Fault, JobCreated, JobList, JobName, JobRequest, JobSource, JobStatus, Mode,
    Severity, check_namespace,
};
use serde_json::Value;

use super::{Inner, text, walk, write};
use crate::{
    job::{BUDGET, Definition, from_cron_job},
    yaml::{self, Documents, Piece},
};

/// Where what names no namespace is.
const HOME: &str = "default";

/// A pod has its Job's name in a label, whose value is at most so long.
const LONGEST: usize = 63;

/// What the API server generates names of.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// An object that was found: where it stands, and itself.
struct Stands {
    place: String,
    name: JobName,
    object: Value,
}

/// The objects of a kind, and what cannot be read.
struct Objects {
    found: Vec<Stands>,
    faults: Vec<Fault>,
}

impl Inner {
    pub(super) fn run_job(
        &self,
        request: &JobRequest,
        mode: Mode,
    ) -> Result<JobCreated, ClusterError> {
        // Before anything is written: else a caller who repeats the call finds that the Job exists.
        if request.wait {
            return Err(ClusterError::Unsupported("waiting for jobs"));
        }
        // One at a time: what is read of a hostile one takes some megabytes for a moment.
        let _turn = self.job_turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut definition = match &request.source {
            JobSource::Json(text) => Definition::of_json(text)?,
            JobSource::Yaml(text) => Definition::of_yaml(text)?,
            JobSource::CronJob { name, image } => {
                self.jobs.check_namespace(name.namespace())?;
                let mut found = self.objects("CronJob")?.found.into_iter();
                let found = found.find(|o| o.name == *name);
                let found = found.ok_or(ClusterError::NotFound)?;
                from_cron_job(name, &found.object, image.as_deref())?
            }
            _ => return Err(ClusterError::Unsupported("this source of a job")),
        };
        definition.settle(request.namespace.as_ref(), HOME)?;
        self.jobs.check(&definition.facts)?;
        if definition.name().is_none() {
            let name = generated(definition.generate_name().unwrap_or_default());
            definition.rename("name", &name);
        }
        let namespace = definition.facts.namespace.as_deref().unwrap_or(HOME);
        let name = JobName::new(namespace, definition.name().unwrap_or_default());
        let name = name.map_err(|error| ClusterError::Invalid(error.to_string()))?;
        check_as_a_server(&definition, &name)?;
        if let Some(other) = self
            .objects("Job")?
            .found
            .into_iter()
            .find(|o| o.name == name)
        {
            return Err(if request.replace {
                ClusterError::Invalid(format!(
                    "in a folder of manifests a Job is replaced by hand: {name} stands in {}",
                    other.place
                ))
            } else {
                ClusterError::Exists(format!(
                    "there is a Job {name} already, in {}: remove it there, or let a name be generated (generateName)",
                    other.place
                ))
            });
        }
        // What was judged is written, not what was sent: another reader of YAML could take that for something else.
        let text = yaml::write(&Value::Object(definition.object().clone()));
        // `_` stands in no name, so each Job has its own file.
        let file = match &**name.namespace() {
            HOME => format!("{}.job.yaml", name.name()),
            namespace => format!("{namespace}_{}.job.yaml", name.name()),
        };
        self.write_new(&file, &text, mode)?;
        let mut created = JobCreated::new(name, "");
        created.file = Some(file.into());
        Ok(created)
    }

    /// Writes a file that was not there. It is there as a whole or not at all.
    fn write_new(&self, file: &str, text: &str, mode: Mode) -> Result<(), ClusterError> {
        let path = self.root.join(file);
        let exists = || {
            ClusterError::Exists(format!(
                "there is a file {file} already: hikaru overwrites none"
            ))
        };
        if path.symlink_metadata().is_ok() {
            return Err(exists());
        }
        if mode == Mode::DryRun {
            return Ok(());
        }
        let failed = |error: io::Error| write::refused(error, file, "written");
        let temporary = tempfile::Builder::new()
            .prefix(".hikaru-")
            .suffix(".tmp")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(&self.root);
        let mut temporary = temporary.map_err(failed)?;
        temporary.write_all(text.as_bytes()).map_err(failed)?;
        temporary.as_file().sync_all().map_err(failed)?;
        match temporary.persist_noclobber(&path) {
            Ok(_) => Ok(()),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Err(exists()),
            Err(error) => Err(failed(error.error)),
        }
    }

    pub(super) fn list_jobs(&self, namespace: &str) -> Result<JobList, ClusterError> {
        check_namespace(namespace).map_err(|error| ClusterError::Invalid(error.to_string()))?;
        self.may_see(namespace)?;
        let Objects {
            found: mut jobs,
            faults,
        } = self.objects("Job")?;
        jobs.retain(|job| **job.name.namespace() == *namespace);
        jobs.sort_by(|a, b| a.name.cmp(&b.name));
        let jobs = jobs.into_iter().map(status).collect();
        Ok(JobList { jobs, faults })
    }

    pub(super) fn job(&self, name: &JobName) -> Result<JobStatus, ClusterError> {
        self.may_see(name.namespace())?;
        let mut jobs = self.objects("Job")?.found.into_iter();
        let found = jobs.find(|job| job.name == *name);
        found.map(status).ok_or(ClusterError::NotFound)
    }

    /// Always refused: hikaru deletes no files. The error names the file that the caller can delete.
    pub(super) fn delete_job(&self, name: &JobName) -> Result<(), ClusterError> {
        let place = self.job(name)?.file.unwrap_or_default();
        Err(ClusterError::Invalid(format!(
            "in a folder of manifests a Job is removed by hand: it stands in {place}"
        )))
    }

    fn may_see(&self, namespace: &str) -> Result<(), ClusterError> {
        Ok(self.jobs.check_namespace(namespace)?)
    }

    /// The objects of a kind of `batch/v1`. What cannot be read may be one: it is a fault.
    fn objects(&self, kind: &str) -> Result<Objects, ClusterError> {
        let walked = walk::walk(&self.root).map_err(ClusterError::Invalid)?;
        let (mut found, mut faults) = (Vec::new(), walked.faults);
        for manifest in &walked.manifests {
            let mut fault = |place: String, message: String| {
                faults.push(Fault::new(Severity::Failure, place, message));
            };
            let opened = File::open(&manifest.path).map_err(text::Unreadable::Io);
            let text = match opened.and_then(|mut file| text::text(&mut file)) {
                Ok(text) => text,
                Err(unreadable) => {
                    let (place, message) = unreadable.explain(&manifest.file);
                    fault(place, message);
                    continue;
                }
            };
            if !text.contains(kind) {
                continue;
            }
            for piece in Documents::new(&text) {
                let mut odd = |problem: yaml::Problem| {
                    let mark = problem.mark;
                    let place = format!("{}:{}:{}", manifest.file, mark.line, mark.column);
                    fault(place, problem.message);
                };
                let tree = match piece {
                    Piece::Document(tree) => tree,
                    Piece::Broken { problem, .. } => {
                        odd(problem);
                        continue;
                    }
                };
                if !tree.is_of(kind, "batch/v1") {
                    continue;
                }
                let object = match tree.json(BUDGET) {
                    Ok(Some(object)) => object,
                    Ok(None) => continue,
                    Err(problem) => {
                        odd(problem);
                        continue;
                    }
                };
                let place = format!("{}#{}", manifest.file, tree.number);
                let word = |key: &str| object.pointer(&format!("/metadata/{key}"))?.as_str();
                let namespace = word("namespace").unwrap_or(HOME);
                match JobName::new(namespace, word("name").unwrap_or_default()) {
                    Ok(name) => found.push(Stands {
                        place,
                        name,
                        object,
                    }),
                    Err(error) => fault(place, error.to_string()),
                }
            }
        }
        Ok(Objects { found, faults })
    }
}

fn status(job: Stands) -> JobStatus {
    let mut status = JobStatus::new(job.name, "");
    status.file = Some(job.place.into());
    status
}

/// What a server would refuse and an apply would stumble over later.
fn check_as_a_server(definition: &Definition, name: &JobName) -> Result<(), ClusterError> {
    if name.name().len() > LONGEST {
        return Err(ClusterError::Invalid(format!(
            "metadata.name: expected at most {LONGEST} bytes, as pods have it in a label, found {}",
            name.name().len()
        )));
    }
    let object = definition.object();
    let restart = object
        .get("spec")
        .and_then(|spec| spec.pointer("/template/spec/restartPolicy"));
    match restart.and_then(Value::as_str) {
        Some("Never" | "OnFailure") => Ok(()),
        found => Err(ClusterError::Invalid(format!(
            "spec.template.spec.restartPolicy: expected OnFailure or Never, found {}",
            found.unwrap_or("nothing")
        ))),
    }
}

/// A name as the API server generates it: five letters and digits after the prefix.
fn generated(prefix: &str) -> String {
    let prefix: String = prefix.chars().take(LONGEST - 5).collect();
    // Each state hashes in its own random way.
    let mut random = RandomState::new().hash_one(prefix.as_bytes());
    let mut name = prefix;
    for _ in 0..5 {
        let letters = LETTERS.len() as u64;
        name.push(char::from(
            LETTERS[usize::try_from(random % letters).unwrap_or(0)],
        ));
        random /= letters;
    }
    name
}
