//! A Job's definition: text becomes one JSON object, which is judged and sent on, so that it cannot be read in two ways. Unknown
//! fields are kept. What an API server adds and refuses is in `created`, for a folder. Where a Job is created is the business of the
//! adapters (`live`, `folder`); who may run what is decided in hikaru-core.

mod created;
mod facts;
mod fields;
mod json;
mod pod_security;
pub(crate) mod status;
mod template;

use std::sync::Arc;

use hikaru_core::{
    Text,
    jobs::{JobDefinition, JobFacts, JobName, JobNaming},
    port::ClusterError,
    workload::check_namespace,
};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

pub(crate) use created::as_created;
pub(crate) use template::from_cron_job;

use crate::yaml::{Budget, Documents, Piece};

/// Largest text, in bytes.
pub(crate) const LARGEST: usize = 1024 * 1024;

/// How large a definition may become: etcd stores 1.5 MiB, and no Job has ten thousand fields.
pub(crate) const BUDGET: Budget = Budget {
    values: 20_000,
    bytes: 3 * 512 * 1024,
    depth: 100,
};

/// Definitions are read two at a time: a hostile one takes some ten megabytes for a moment.
#[derive(Debug)]
pub(crate) struct Definitions(Arc<Semaphore>);

impl Definitions {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(2)))
    }

    /// Reads one when it is its turn, on a thread that may be busy for a while: 1 MiB takes some milliseconds, and no other
    /// request is to wait for it.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        text: &Text,
        read: impl FnOnce(&str) -> T + Send + 'static,
    ) -> T {
        // It is never closed.
        let turn = self.0.clone().acquire_owned().await;
        let text = text.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            read(&text)
        });
        match reading.await {
            Ok(read) => read,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Only a runtime that ends cancels it, and then there is no caller left.
                Err(_) => std::future::pending().await,
            },
        }
    }
}

/// One Job, read.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    object: Map<String, Value>,
    pub(crate) facts: JobFacts,
}

impl Definition {
    /// Reads JSON: one object, no key twice, nothing after it.
    pub(crate) fn of_json(text: &str) -> Result<Self, ClusterError> {
        check_size(text)?;
        let value = json::read(text, BUDGET).map_err(|words| {
            let yaml = if text.trim_start().starts_with(['{', '[']) {
                ""
            } else {
                "; YAML has to be sent as YAML"
            };
            ClusterError::Malformed(format!("the text is no JSON: {words}{yaml}"))
        })?;
        Self::of_value(value)
    }

    /// Reads YAML: one document that is not empty.
    pub(crate) fn of_yaml(text: &str) -> Result<Self, ClusterError> {
        check_size(text)?;
        let malformed = |problem: crate::yaml::Problem| {
            ClusterError::Malformed(format!(
                "line {}, column {}: {}",
                problem.mark.line, problem.mark.column, problem.message
            ))
        };
        let mut first: Option<Value> = None;
        let mut kinds = Vec::new();
        for piece in Documents::new(text).at_most(BUDGET.values) {
            let tree = match piece {
                Piece::Document(tree) => tree,
                Piece::Broken { problem, .. } => return Err(malformed(problem)),
            };
            if let Some(value) = tree.json(BUDGET).map_err(malformed)? {
                kinds.push(facts::kind(&value));
                // One is kept, however many there are.
                first.get_or_insert(value);
            }
            if kinds.len() > DOCUMENTS {
                break;
            }
        }
        match (first, kinds.len()) {
            (Some(value), 1) => Self::of_value(value),
            (None, _) => Err(ClusterError::Malformed(
                "the text is empty: expected a Job".to_owned(),
            )),
            (Some(_), count) => {
                let more = if count > DOCUMENTS { "more than " } else { "" };
                let count = count.min(DOCUMENTS);
                kinds.truncate(KINDS_TOLD);
                let told = kinds.join(", ");
                let rest = if count > kinds.len() { ", …" } else { "" };
                Err(ClusterError::Invalid(format!(
                    "expected one Job, found {more}{count} documents: {told}{rest}"
                )))
            }
        }
    }

    /// Reads an object: the kind, the names, and what the policy has to know.
    pub(crate) fn of_value(value: Value) -> Result<Self, ClusterError> {
        let kind = facts::kind(&value);
        let Value::Object(object) = value else {
            return Err(ClusterError::Invalid(format!(
                "expected one Job, found {kind}"
            )));
        };
        if kind != facts::JOB {
            let hint = match object.get("items") {
                Some(Value::Array(items)) => {
                    format!(" of {}: send its Jobs one by one", items.len())
                }
                _ => String::new(),
            };
            return Err(ClusterError::Invalid(format!(
                "expected one Job (apiVersion: batch/v1, kind: Job), found {kind}{hint}"
            )));
        }
        let facts = facts::read(&object).map_err(ClusterError::Invalid)?;
        Ok(Self { object, facts })
    }

    /// Puts a definition that names no namespace into one. Gives the namespace.
    ///
    /// # Errors
    /// The caller and the definition name different namespaces, or the caller's is not a valid namespace name.
    fn settle(&mut self, asked: Option<&Text>, default: &str) -> Result<Text, ClusterError> {
        if let Some(asked) = asked {
            check_namespace(asked).map_err(|error| ClusterError::Invalid(error.to_string()))?;
        }
        match (facts::text(&self.object, &["metadata", "namespace"]), asked) {
            (Some(own), Some(asked)) if *own != **asked => Err(ClusterError::Invalid(format!(
                "the Job names the namespace {own}, the call {asked}: expected one of them"
            ))),
            (Some(own), _) => Ok(own.into()),
            (None, asked) => {
                let namespace = asked.map_or(default, |asked| asked);
                if let Some(metadata) = self.metadata() {
                    metadata.insert("namespace".to_owned(), Value::from(namespace));
                }
                Ok(namespace.into())
            }
        }
    }

    /// `metadata.name`, if it has one.
    fn name(&self) -> Option<&str> {
        facts::text(&self.object, &["metadata", "name"])
    }

    /// `metadata.generateName`, if it has one.
    fn generate_name(&self) -> Option<&str> {
        facts::text(&self.object, &["metadata", "generateName"])
    }

    /// Its metadata, which is a map: that was seen when it was read.
    fn metadata(&mut self) -> Option<&mut Map<String, Value>> {
        self.object.get_mut("metadata")?.as_object_mut()
    }

    /// What the policy judges and a cluster creates.
    ///
    /// # Errors
    /// The name is no name of a Job.
    pub(crate) fn settled(
        mut self,
        asked: Option<&Text>,
        default: &str,
    ) -> Result<JobDefinition, ClusterError> {
        let namespace = self.settle(asked, default)?;
        let naming = match (self.name(), self.generate_name()) {
            (Some(name), _) => JobNaming::Named(
                JobName::new(&namespace, name)
                    .map_err(|error| ClusterError::Invalid(error.to_string()))?,
            ),
            (None, prefix) => JobNaming::Generated {
                prefix: prefix.unwrap_or_default().into(),
                namespace,
            },
        };
        Ok(JobDefinition {
            naming,
            json: Value::Object(self.object.clone()).to_string().into(),
            facts: self.facts,
        })
    }
}

/// Documents that are counted, and those whose kinds are told.
const DOCUMENTS: usize = 100;
const KINDS_TOLD: usize = 5;

fn check_size(text: &str) -> Result<(), ClusterError> {
    if text.len() > LARGEST {
        return Err(ClusterError::Malformed(format!(
            "the text is too large: expected at most {LARGEST} bytes, found {}",
            text.len()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
