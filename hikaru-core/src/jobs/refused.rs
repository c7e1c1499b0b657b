//! Why the policy for Jobs does not allow one: the rule as a value. Which setting of the program changes a rule is said at the
//! edge.

use super::facts::JobDemand;
use crate::Text;

/// Why a Job may not be run: the rule that it breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JobRefused {
    /// Its namespace is none of those that Jobs may run in.
    #[error("no Jobs of the namespace {found} are allowed: expected {expected}")]
    Namespace {
        /// Its namespace.
        found: Text,
        /// Those that are allowed.
        expected: String,
    },
    /// Its ServiceAccount is none of those that are allowed.
    #[error("the Job runs as the ServiceAccount {found}: expected {expected}")]
    ServiceAccount {
        /// Its ServiceAccount.
        found: Text,
        /// Those that are allowed.
        expected: String,
    },
    /// A field of it is allowed only in privileged Jobs.
    #[error("{demand}: allowed only in privileged Jobs")]
    Privileged {
        /// The field.
        demand: JobDemand,
    },
}
