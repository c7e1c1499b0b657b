//! What is asked for, read and created of a Job. How a definition is written (JSON, YAML) is the adapters' business.

use std::fmt;

use super::{facts::JobFacts, name::JobName};
use crate::Text;

/// Where a Job's definition comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobSource {
    /// One JSON object.
    Json(Text),
    /// YAML with one document.
    Yaml(Text),
    /// The template of a CronJob.
    CronJob {
        /// The CronJob.
        name: JobName,
        /// The image that its containers of the same repository run: its tag and digest, their own spelling of the
        /// repository.
        image: Option<Text>,
    },
}

/// A Job to be run.
///
/// ```
/// use hikaru_core::{jobs::{JobRequest, JobSource}};
/// let mut request = JobRequest::new(JobSource::Yaml("apiVersion: batch/v1\nkind: Job\n".into()));
/// request.namespace = Some("shop".into());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobRequest {
    /// The definition.
    pub source: JobSource,
    /// The namespace of a definition that names none; else the cluster's own default.
    pub namespace: Option<Text>,
    /// Whether a Job of that name is deleted first.
    pub replace: bool,
    /// Whether the caller will wait for the end of the Job. A cluster that cannot wait refuses before it creates anything.
    pub wait: bool,
}

impl JobRequest {
    /// In the default namespace, replacing nothing, not waited for.
    pub fn new(source: JobSource) -> Self {
        Self {
            source,
            namespace: None,
            replace: false,
            wait: false,
        }
    }
}

/// What a Job is to be called, and in which namespace: the policy judges the same namespace that the Job is created in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobNaming {
    /// It has this name.
    Named(JobName),
    /// The cluster generates a name.
    Generated {
        /// The namespace.
        namespace: Text,
        /// What the name begins with.
        prefix: Text,
    },
}

impl JobNaming {
    /// The namespace.
    pub fn namespace(&self) -> &Text {
        match self {
            Self::Named(name) => name.namespace(),
            Self::Generated { namespace, .. } => namespace,
        }
    }
}

impl fmt::Display for JobNaming {
    /// The name, or the namespace and the beginning of the name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => name.fmt(f),
            Self::Generated { namespace, prefix } => write!(f, "{namespace}/{prefix}"),
        }
    }
}

/// A definition as an adapter read it: what the policy has to know, and what is to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobDefinition {
    /// Its name and namespace.
    pub naming: JobNaming,
    /// What else the policy has to know.
    pub facts: JobFacts,
    /// The Job as JSON: what was judged is what is created.
    pub json: Text,
}

/// A Job that was created, or in a dry run would have been.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobCreated {
    /// Its name; in a dry run of a generated one, an example.
    pub name: JobName,
    /// Its uid. Empty where a cluster has none.
    pub uid: Text,
    /// In a dry run of a replacement: whether a Job of that name is there.
    pub replaces: bool,
    /// In a folder of manifests: the file that was written.
    pub file: Option<Text>,
    /// What its sender should know: deprecated fields, in the server's words.
    pub warnings: Vec<String>,
}

impl JobCreated {
    /// One of this name.
    pub fn new(name: JobName, uid: impl Into<Text>) -> Self {
        Self {
            name,
            uid: uid.into(),
            replaces: false,
            file: None,
            warnings: Vec::new(),
        }
    }
}
