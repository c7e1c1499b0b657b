//! The record of every write, kept by the API server: the oracle of what was written, by whom, in order.
//!
//! What the writes may be is for tests to say.

use serde_json::{Value, json};

use super::{Cluster, ClusterError, flags};

/// The audit policy: request and answer of every write to the groups, nothing else.
pub(super) fn policy(groups: &[String]) -> String {
    let resources: Vec<_> = groups.iter().map(|group| json!({"group": group})).collect();
    let mut rules = vec![json!({"level": "None"})];
    // No resources would stand for all of them.
    if !resources.is_empty() {
        let rule = json!({
            "level": "RequestResponse",
            "verbs": ["create", "update", "patch", "delete", "deletecollection"],
            "resources": resources,
        });
        rules.insert(0, rule);
    }
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        // One line a write, the one with the answer.
        "omitStages": ["RequestReceived"],
        // Two thirds of an object, and nobody asks for them.
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

impl Cluster {
    /// All writes so far, in the order of their answers. A write is in it when its answer has been sent:
    /// a client can be a moment ahead, so *wait* for a write that must be there.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn audit(&self) -> Result<Vec<AuditEvent>, ClusterError> {
        let path = self.folder().join(flags::AUDIT_LOG);
        match std::fs::read_to_string(&path) {
            Ok(text) => events(&text),
            // It is made with the first write.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(source) => Err(ClusterError::File { path, source }),
        }
    }
}

fn events(text: &str) -> Result<Vec<AuditEvent>, ClusterError> {
    // What follows the last line feed is being written.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let lines = whole.lines().enumerate();
    lines
        .map(|(index, line)| match serde_json::from_str(line) {
            Ok(value) => Ok(AuditEvent(value)),
            Err(source) => Err(ClusterError::Audit {
                line: index + 1,
                source,
            }),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"stage":"ResponseComplete","requestURI":"/apis/apps/v1/namespaces/a/deployments/web?dryRun=All&fieldManager=hikaru","verb":"patch","user":{"username":"admin"},"userAgent":"curl/8","objectRef":{"resource":"deployments","namespace":"a","name":"web","apiGroup":"apps"},"responseStatus":{"code":422},"requestObject":[{"op":"test"}]}"#;

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
        assert!(event.is_dry_run());
    }

    #[test]
    fn a_line_that_is_no_json_is_named() {
        let error = events(&format!("{LINE}\nnonsense\n"))
            .expect_err("nonsense")
            .to_string();
        assert!(error.starts_with("audit log, line 2: "), "{error}");
    }
}
