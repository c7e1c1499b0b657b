//! Jobs on the wire: what was created, what became of it, what its containers have written; and the text of a definition,
//! as far as it is read before an adapter sees it.

use std::fmt::Write as _;

use hikaru_core::jobs::{
    ContainerTrouble, JobCondition, JobCreated, JobList, JobLog, JobState, JobStatus,
};
use serde::Serialize;

/// The longest definition of a Job, in bytes. An API server takes objects of about 1.5 MB.
pub const LONGEST_DEFINITION: usize = 1024 * 1024;

/// Why bytes cannot be the text of a definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DefinitionError {
    /// Nothing but white space.
    #[error("expected the definition of a Job, found nothing")]
    Empty,
    /// Longer than [`LONGEST_DEFINITION`].
    #[error("expected a definition of at most {LONGEST_DEFINITION} bytes, found more")]
    TooLong,
    /// No UTF-8.
    #[error("expected UTF-8, found another byte at byte {at}")]
    NotUtf8 {
        /// The offset of the first byte that is not UTF-8, from 0.
        at: usize,
    },
    /// Another encoding, by its byte order mark.
    #[error("expected UTF-8, found the byte order mark of {0}: save it as UTF-8")]
    Encoding(&'static str),
}

/// The text of a definition: UTF-8, a byte order mark of it dropped.
///
/// ```
/// use hikaru_http::wire::job::definition;
/// assert_eq!(definition(b"\xef\xbb\xbfkind: Job\n"), Ok("kind: Job\n"));
/// assert_eq!(
///     definition(b"kind: \xff").unwrap_err().to_string(),
///     "expected UTF-8, found another byte at byte 6"
/// );
/// ```
///
/// # Errors
/// When it is empty, too long, or no UTF-8.
pub fn definition(bytes: &[u8]) -> Result<&str, DefinitionError> {
    if bytes.len() > LONGEST_DEFINITION {
        return Err(DefinitionError::TooLong);
    }
    // The longer mark of UTF-32 begins with that of UTF-16.
    for (mark, name) in [
        (&b"\xff\xfe\0\0"[..], "UTF-32 (little-endian)"),
        (b"\0\0\xfe\xff", "UTF-32 (big-endian)"),
        (b"\xff\xfe", "UTF-16 (little-endian)"),
        (b"\xfe\xff", "UTF-16 (big-endian)"),
    ] {
        if bytes.starts_with(mark) {
            return Err(DefinitionError::Encoding(name));
        }
    }
    let text = std::str::from_utf8(bytes).map_err(|error| DefinitionError::NotUtf8 {
        at: error.valid_up_to(),
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(DefinitionError::Empty);
    }
    Ok(text)
}

/// A Job that was created, or in a dry run would have been.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Created {
    /// Its namespace.
    pub namespace: String,
    /// Its name; in a dry run of a generated one, an example.
    pub name: String,
    /// Its uid. Not in a dry run, nor where a cluster has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// In a folder of manifests: the file that was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What its sender should know, in the server's words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What became of it, if the call waited for its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
}

impl Created {
    /// As it was created.
    pub fn new(created: &JobCreated) -> Self {
        Self {
            namespace: created.name.namespace().to_string(),
            name: created.name.name().to_string(),
            uid: present(&created.uid),
            file: created.file.as_ref().map(ToString::to_string),
            warnings: created.warnings.clone(),
            status: None,
        }
    }

    /// As it would have been: no object has the uid of a dry run.
    pub fn dry(created: &JobCreated) -> Self {
        Self {
            uid: None,
            ..Self::new(created)
        }
    }
}

/// What became of a Job so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid, where a cluster has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// `pending`, `suspended`, `running`, `complete` or `failed`.
    pub state: String,
    /// Why it failed, or what it is troubled by: a sentence for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Pods that run or are about to.
    pub active: u32,
    /// Pods that have succeeded.
    pub succeeded: u32,
    /// Pods that have failed.
    pub failed: u32,
    /// When it was started, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<String>,
    /// When it had succeeded, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<String>,
    /// Its conditions, in the server's order.
    pub conditions: Vec<Condition>,
    /// Why its pods do not start unless something changes, as of rollouts. Never in a list of Jobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Box<super::rollout::Cause>>,
    /// Its containers that are in trouble, the most telling first. Always empty in a list of Jobs.
    pub containers: Vec<Container>,
    /// In a folder of manifests: where it stands, `migrate.yaml#1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What could not be found out, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A Job of a list: its status, or that it cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Listed {
    /// Its status.
    Status(Status),
    /// It cannot be read.
    Unreadable(Unreadable),
}

/// An object of a list that cannot be read. It may be a Job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unreadable {
    /// The namespace that was listed.
    pub namespace: String,
    /// What it is called, or where it stands: `shop/migrate`, `item 3 of the list`, `jobs.yaml:12:3`.
    pub place: String,
    /// `unreadable`.
    pub state: &'static str,
    /// What was expected and what was found.
    pub reason: String,
}

/// The Jobs of a namespace, those that cannot be read last.
pub fn list(namespace: &str, list: &JobList) -> Vec<Listed> {
    let read = list.jobs.iter().map(|status| Listed::Status(status.into()));
    let unreadable = list.faults.iter().map(|fault| {
        Listed::Unreadable(Unreadable {
            namespace: namespace.to_owned(),
            place: fault.place.to_string(),
            state: "unreadable",
            reason: fault.message.clone(),
        })
    });
    read.chain(unreadable).collect()
}

/// A condition of a Job, as Kubernetes has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// `Complete`, `Failed`, `Suspended`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// One word.
    pub reason: String,
    /// For a person.
    pub message: String,
    /// Since when, RFC 3339, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<String>,
}

/// A container that did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// The pod.
    pub pod: String,
    /// The container. Not there: the pod as a whole, as when it cannot be scheduled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// One word: `Error`, `OOMKilled`, `ImagePullBackOff`, `Unschedulable`.
    pub reason: String,
    /// With which code it ended, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// For a person. Often empty.
    pub message: String,
}

impl From<&JobStatus> for Status {
    fn from(status: &JobStatus) -> Self {
        let text = |text: &hikaru_core::Text| text.to_string();
        let telling = status.state == JobState::Failed
            || status.cannot_start()
            || !status.troubles.is_empty();
        Self {
            namespace: status.name.namespace().to_string(),
            name: status.name.name().to_string(),
            uid: present(&status.uid),
            state: status.state.to_string(),
            reason: telling.then(|| status.sentence()),
            active: status.active,
            succeeded: status.succeeded,
            failed: status.failed,
            start_time: status.started.as_ref().map(text),
            completion_time: status.completed.as_ref().map(text),
            conditions: status.conditions.iter().map(Condition::from).collect(),
            cause: status.cause.as_ref().map(|cause| Box::new(cause.into())),
            containers: status.troubles.iter().map(Container::from).collect(),
            file: status.file.as_ref().map(text),
            warnings: status.warnings.clone(),
        }
    }
}

impl From<&JobCondition> for Condition {
    fn from(condition: &JobCondition) -> Self {
        Self {
            kind: condition.kind.to_string(),
            status: condition.status.to_string(),
            reason: condition.reason.to_string(),
            message: condition.message.to_string(),
            last_transition_time: present(&condition.since),
        }
    }
}

impl From<&ContainerTrouble> for Container {
    fn from(trouble: &ContainerTrouble) -> Self {
        Self {
            pod: trouble.pod.to_string(),
            container: present(&trouble.container),
            reason: trouble.reason.to_string(),
            exit_code: trouble.exit_code,
            message: trouble.message.to_string(),
        }
    }
}

/// The logs of a Job as one text: each container's under a line `==> pod/container <==`, an empty line between two. The
/// reason stands in the place of one that could not be had. Each log is given up once it is copied: they are long.
///
/// # Errors
/// None could be had: the reasons, in a sentence.
pub fn log(logs: Vec<JobLog>) -> Result<String, String> {
    if !logs.is_empty() && logs.iter().all(|log| log.text.is_err()) {
        let reasons = logs.iter().filter_map(|log| {
            let reason = log.text.as_ref().err()?;
            Some(format!("{}/{}: {reason}", log.pod, log.container))
        });
        return Err(reasons.collect::<Vec<_>>().join("; "));
    }
    let heads = logs
        .iter()
        .map(|log| log.pod.len() + log.container.len() + 12);
    let texts = logs.iter().map(|log| match &log.text {
        Ok(text) | Err(text) => text.len(),
    });
    let mut text = String::with_capacity(heads.chain(texts).sum());
    for log in logs {
        if !text.is_empty() {
            text.push('\n');
        }
        // A string takes whatever is written.
        let _ = writeln!(text, "==> {}/{} <==", log.pod, log.container);
        let written = log.text.unwrap_or_else(|reason| reason);
        text.push_str(&written);
        if !written.is_empty() && !written.ends_with('\n') {
            text.push('\n');
        }
    }
    Ok(text)
}

fn present(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_definitions() {
        for (bytes, expected) in [
            (&b"kind: Job"[..], Ok("kind: Job")),
            (b"\xef\xbb\xbf{}", Ok("{}")),
            (b"", Err("expected the definition of a Job, found nothing")),
            (
                b" \r\n\t",
                Err("expected the definition of a Job, found nothing"),
            ),
            (
                b"\xef\xbb\xbf",
                Err("expected the definition of a Job, found nothing"),
            ),
            (b"\xff", Err("expected UTF-8, found another byte at byte 0")),
            (
                b"a: \xc3",
                Err("expected UTF-8, found another byte at byte 3"),
            ),
            (
                b"a: \xed\xa0\x80",
                Err("expected UTF-8, found another byte at byte 3"),
            ),
            (
                b"\xff\xfek\0",
                Err(
                    "expected UTF-8, found the byte order mark of UTF-16 (little-endian): save it as UTF-8",
                ),
            ),
            (
                b"\xfe\xff\0k",
                Err(
                    "expected UTF-8, found the byte order mark of UTF-16 (big-endian): save it as UTF-8",
                ),
            ),
            (
                b"\xff\xfe\0\0k\0\0\0",
                Err(
                    "expected UTF-8, found the byte order mark of UTF-32 (little-endian): save it as UTF-8",
                ),
            ),
            (
                b"\0\0\xfe\xff\0\0\0k",
                Err(
                    "expected UTF-8, found the byte order mark of UTF-32 (big-endian): save it as UTF-8",
                ),
            ),
        ] {
            let found = definition(bytes).map_err(|error| error.to_string());
            assert_eq!(found, expected.map_err(str::to_owned), "{bytes:?}");
        }
        let mut long = vec![b'x'; LONGEST_DEFINITION];
        assert!(definition(&long).is_ok());
        long.push(b'x');
        assert_eq!(definition(&long), Err(DefinitionError::TooLong));
    }

    #[test]
    fn logs_as_one_text() {
        let of = |pod: &str, text: Result<&str, &str>| JobLog {
            pod: pod.into(),
            container: "web".into(),
            text: text.map(str::to_owned).map_err(str::to_owned),
        };
        assert_eq!(log(vec![]), Ok(String::new()));
        assert_eq!(
            log(vec![
                of("a", Ok("1\n2")),
                of("b", Ok("")),
                of("c", Err("gone"))
            ]),
            Ok("==> a/web <==\n1\n2\n\n==> b/web <==\n\n==> c/web <==\ngone\n".to_owned())
        );
        assert_eq!(
            log(vec![of("a", Err("gone")), of("b", Err("waiting"))]),
            Err("a/web: gone; b/web: waiting".to_owned())
        );
    }
}
