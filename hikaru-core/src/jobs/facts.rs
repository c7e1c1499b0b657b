//! What the policy has to know of a Job: an adapter reads it of the definition.

use std::fmt;

use crate::Text;

/// A field of a Job's pods that is allowed only where [`JobPolicy::privileged`](crate::jobs::JobPolicy::privileged) is set: the Pod Security standard
/// *baseline* forbids it, or a rule of hikaru does. docs/job-rules.md lists the rules.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JobDemand {
    /// The rule, a stable code: `host-namespaces`.
    pub rule: &'static str,
    /// The field: `spec.template.spec.hostNetwork`.
    pub place: Text,
    /// What the rule allows there.
    pub expected: Text,
    /// What stands there, shortened.
    pub found: Text,
}

impl fmt::Display for JobDemand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rule,
            place,
            expected,
            found,
        } = self;
        write!(
            f,
            "{place}: expected {expected}, found {found} (rule {rule})"
        )
    }
}

/// What the policy has to know of a Job beside its namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFacts {
    /// The ServiceAccount that it runs as; `None` is `default`.
    pub service_account: Option<Text>,
    /// The first field that only a privileged policy allows, if there is one.
    pub demand: Option<JobDemand>,
}
