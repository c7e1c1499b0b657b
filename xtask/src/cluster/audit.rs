//! The record of every write, kept by the API server: the oracle of what was written, by whom, in order.
//!
//! What the writes may be is for tests to say.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::time::SystemTime;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Cluster, ClusterError, credentials, flags};

/// The audit policy: request and answer of every write to the groups, nothing else; with or without the writes of
/// the control plane's own components.
pub(super) fn policy(groups: &[String], components: bool) -> String {
    let resources: Vec<_> = groups.iter().map(|group| json!({"group": group})).collect();
    let mut rules = Vec::new();
    if !components {
        rules.push(json!({"level": "None", "users": credentials::COMPONENTS}));
    }
    // No resources would stand for all of them.
    if !resources.is_empty() {
        rules.push(json!({
            "level": "RequestResponse",
            "verbs": ["create", "update", "patch", "delete", "deletecollection"],
            "resources": resources,
        }));
    }
    rules.push(json!({"level": "None"}));
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        // One line a write, the one with the answer.
        "omitStages": ["RequestReceived"],
        // They are two thirds of an object, and no test reads them.
        "omitManagedFields": true,
        "rules": rules,
    })
    .to_string()
}

/// One write: an `Event` of `audit.k8s.io/v1`. The accessors read what checkers need, [`json`](Self::json)
/// is all of it. Text that is not there is empty.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEvent(Value);

impl AuditEvent {
    /// The whole event.
    #[must_use]
    pub fn json(&self) -> &Value {
        &self.0
    }

    fn time(&self, pointer: &str) -> Option<SystemTime> {
        Some(self.text(pointer).parse::<Timestamp>().ok()?.into())
    }

    fn text(&self, pointer: &str) -> &str {
        self.0
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// `create`, `update`, `patch`, `delete` or `deletecollection`.
    #[must_use]
    pub fn verb(&self) -> &str {
        self.text("/verb")
    }

    /// Who wrote.
    #[must_use]
    pub fn user(&self) -> &str {
        self.text("/user/username")
    }

    /// The `User-Agent` of the request.
    #[must_use]
    pub fn user_agent(&self) -> &str {
        self.text("/userAgent")
    }

    /// Path and query of the request.
    #[must_use]
    pub fn request_uri(&self) -> &str {
        self.text("/requestURI")
    }

    /// The API group, such as `apps`.
    #[must_use]
    pub fn group(&self) -> &str {
        self.text("/objectRef/apiGroup")
    }

    /// The resource, such as `deployments`.
    #[must_use]
    pub fn resource(&self) -> &str {
        self.text("/objectRef/resource")
    }

    /// The subresource, such as `status`, which controllers write.
    #[must_use]
    pub fn subresource(&self) -> &str {
        self.text("/objectRef/subresource")
    }

    /// The namespace of the object.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.text("/objectRef/namespace")
    }

    /// The name of the object.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text("/objectRef/name")
    }

    /// `ResponseComplete`, or `Panic`.
    #[must_use]
    pub fn stage(&self) -> &str {
        self.text("/stage")
    }

    /// The body of the request: an object, or the operations of a JSON patch.
    #[must_use]
    pub fn request_body(&self) -> Option<&Value> {
        self.0.get("requestObject")
    }

    /// The body of the answer: the object as it is now, or a `Status`.
    #[must_use]
    pub fn response_body(&self) -> Option<&Value> {
        self.0.get("responseObject")
    }

    /// The HTTP status of the answer.
    #[must_use]
    pub fn response_code(&self) -> Option<u16> {
        self.0
            .pointer("/responseStatus/code")?
            .as_u64()?
            .try_into()
            .ok()
    }

    /// When the API server got the request.
    #[must_use]
    pub fn received(&self) -> Option<SystemTime> {
        self.time("/requestReceivedTimestamp")
    }

    /// When the answer was complete.
    #[must_use]
    pub fn answered(&self) -> Option<SystemTime> {
        self.time("/stageTimestamp")
    }

    /// The `resourceVersion` of the object in the answer. The API server takes it from etcd's revision, which counts
    /// the writes to all objects: sorted by it, writes stand in the order in which they were stored.
    #[must_use]
    pub fn resource_version(&self) -> Option<u64> {
        self.text("/responseObject/metadata/resourceVersion")
            .parse()
            .ok()
    }

    /// Whether the write was stored: it was answered with success, and was no dry run.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        self.stage() == "ResponseComplete"
            && self.response_code().is_some_and(|code| code < 300)
            && !self.is_dry_run()
    }

    /// Whether the request changed nothing by its own wish (`dryRun=All`).
    #[must_use]
    pub fn is_dry_run(&self) -> bool {
        let query = self
            .request_uri()
            .split_once('?')
            .map_or("", |(_, query)| query);
        query.split('&').any(|parameter| parameter == "dryRun=All")
    }
}

/// An event as it stands in the log, or as a test makes one up.
impl From<Value> for AuditEvent {
    fn from(json: Value) -> Self {
        Self(json)
    }
}

impl Cluster {
    /// All writes so far, in the order of their answers. A write is in it when its answer has been sent:
    /// a client can be a moment ahead, so *wait* for a write that must be there.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn audit(&self) -> Result<Vec<AuditEvent>, ClusterError> {
        let mut all = Vec::new();
        self.audit_each(|event| all.push(event))?;
        Ok(all)
    }

    /// The same one by one: a long log holds whole objects by the thousand.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn audit_each(&self, each: impl FnMut(AuditEvent)) -> Result<(), ClusterError> {
        let path = self.folder().join(flags::AUDIT_LOG);
        let file = |source| ClusterError::File {
            path: path.clone(),
            source,
        };
        match File::open(&path) {
            Ok(log) => events(BufReader::new(log), file, each),
            // It is made with the first write.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(file(error)),
        }
    }
}

fn events(
    mut log: impl BufRead,
    unreadable: impl Fn(std::io::Error) -> ClusterError,
    mut each: impl FnMut(AuditEvent),
) -> Result<(), ClusterError> {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        log.read_until(b'\n', &mut line).map_err(&unreadable)?;
        // What follows the last line feed is being written.
        if line.pop() != Some(b'\n') {
            break;
        }
        let event = serde_json::from_slice(&line).map_err(|source| ClusterError::Audit {
            line: number,
            source,
        });
        each(AuditEvent(event?));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(text: &str) -> Result<Vec<AuditEvent>, ClusterError> {
        let mut all = Vec::new();
        let unreadable = |source| ClusterError::File {
            path: "a text".into(),
            source,
        };
        super::events(text.as_bytes(), unreadable, |event| all.push(event))?;
        Ok(all)
    }

    const LINE: &str = r#"{"stage":"ResponseComplete","requestReceivedTimestamp":"1970-01-01T00:00:01.500000Z","requestURI":"/apis/apps/v1/namespaces/a/deployments/web?dryRun=All&fieldManager=hikaru","verb":"patch","user":{"username":"admin"},"userAgent":"curl/8","objectRef":{"resource":"deployments","namespace":"a","name":"web","apiGroup":"apps"},"responseStatus":{"code":422},"requestObject":[{"op":"test"}]}"#;

    #[test]
    fn an_event_is_read() {
        let events = events(&format!("{LINE}\n{LINE}\n{{\"half")).expect("events");
        assert_eq!(events.len(), 2);
        let event = &events[0];
        assert_eq!(
            (event.verb(), event.user(), event.user_agent()),
            ("patch", "admin", "curl/8")
        );
        assert_eq!(
            (event.group(), event.resource(), event.subresource()),
            ("apps", "deployments", "")
        );
        assert_eq!(
            (event.namespace(), event.name(), event.stage()),
            ("a", "web", "ResponseComplete")
        );
        assert_eq!(event.response_code(), Some(422));
        assert_eq!(event.request_body(), Some(&json!([{"op": "test"}])));
        assert!(event.is_dry_run() && !event.is_stored());
        let received = SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(1500);
        assert_eq!(event.received(), Some(received));
        assert_eq!((event.answered(), event.resource_version()), (None, None));
    }

    #[test]
    fn a_stored_write_has_its_place_in_the_order() {
        let event = AuditEvent::from(json!({
            "stage": "ResponseComplete",
            "responseStatus": {"code": 200},
            "responseObject": {"metadata": {"resourceVersion": "1207"}},
        }));
        assert!(event.is_stored());
        assert_eq!(event.resource_version(), Some(1207));
    }

    #[test]
    fn the_components_own_writes_can_be_left_out() {
        let groups = ["apps".to_owned()];
        let left_out = policy(&groups, false);
        assert!(
            left_out.contains("system:kube-controller-manager"),
            "{left_out}"
        );
        assert!(!policy(&groups, true).contains("system:"));
    }

    #[test]
    fn a_line_that_is_no_json_is_named() {
        let error = events(&format!("{LINE}\nnonsense\n"))
            .expect_err("nonsense")
            .to_string();
        assert!(error.starts_with("audit log, line 2: "), "{error}");
    }
}
