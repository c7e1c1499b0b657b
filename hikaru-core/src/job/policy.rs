//! Who may run what: a call that runs pods is worth more care than one that changes a tag. Decided on what an adapter read
//! of a definition, before a server is asked; the server has rules of its own (RBAC, Pod Security, quota).

use std::fmt;

use crate::{
    Text,
    confined::{any_of, check_within},
};

/// Something that lets a pod out of its box.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JobDemand {
    /// A container with all rights of the node's root: `securityContext.privileged`, or a Windows host process.
    Privileged {
        /// The container. Empty: the pod.
        container: Text,
    },
    /// `hostNetwork`, `hostPID`, `hostIPC`: the field's name.
    Namespace(Text),
    /// A volume of the node's own files.
    HostPath {
        /// The volume.
        volume: Text,
    },
    /// A port of the node.
    HostPort {
        /// The container.
        container: Text,
    },
}

impl fmt::Display for JobDemand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Privileged { container } if container.is_empty() => {
                f.write_str("its pod is privileged")
            }
            Self::Privileged { container } => {
                write!(f, "its container {container} is privileged")
            }
            Self::Namespace(field) => write!(f, "its pod asks for {field}"),
            Self::HostPath { volume } => {
                write!(f, "its volume {volume} is a path of the node (hostPath)")
            }
            Self::HostPort { container } => {
                write!(
                    f,
                    "its container {container} asks for a port of the node (hostPort)"
                )
            }
        }
    }
}

/// What the policy has to know of a Job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFacts {
    /// The namespace that it runs in.
    pub namespace: Option<Text>,
    /// The ServiceAccount that it runs as; `None` is `default`.
    pub service_account: Option<Text>,
    /// What lets its pods out of their box.
    pub demands: Vec<JobDemand>,
}

/// Who may run what.
///
/// ```
/// use hikaru_core::{JobFacts, JobPolicy};
/// let mut policy = JobPolicy::default();
/// policy.namespaces = Some(vec!["shop".into()]);
/// let mut facts = JobFacts { namespace: Some("shop".into()), ..JobFacts::default() };
/// assert!(policy.check(&facts).is_ok());
/// facts.service_account = Some("admin".into());
/// assert_eq!(
///     policy.check(&facts).unwrap_err().to_string(),
///     "it runs as the ServiceAccount admin: expected default (HIKARU_JOB_SERVICE_ACCOUNTS)"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobPolicy {
    /// Only in these namespaces; `None`: in all.
    pub namespaces: Option<Vec<Text>>,
    /// And of those only in these, to which everything is confined ([`Confined`](crate::Confined)); none: in all.
    pub within: Vec<Text>,
    /// Only as these ServiceAccounts; `None`: as any.
    pub service_accounts: Option<Vec<Text>>,
    /// Whether what lets a pod out of its box is let through.
    pub privileged: bool,
}

impl Default for JobPolicy {
    /// In no namespace, as the ServiceAccount `default`, nothing privileged.
    fn default() -> Self {
        Self {
            namespaces: Some(Vec::new()),
            within: Vec::new(),
            service_accounts: Some(vec!["default".into()]),
            privileged: false,
        }
    }
}

/// Why a Job may not be run: the rule, and the variable that changes it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JobRefused {
    /// Nothing is done there: the namespace, and those that everything is confined to.
    #[error("{0}")]
    Outside(String),
    /// Not there.
    #[error("it belongs to the namespace {found}: expected {expected} (HIKARU_JOB_NAMESPACES)")]
    Namespace {
        /// Its namespace.
        found: Text,
        /// Those that are allowed.
        expected: String,
    },
    /// Not as this one.
    #[error(
        "it runs as the ServiceAccount {found}: expected {expected} (HIKARU_JOB_SERVICE_ACCOUNTS)"
    )]
    ServiceAccount {
        /// Its ServiceAccount.
        found: Text,
        /// Those that are allowed.
        expected: String,
    },
    /// Out of its box.
    #[error("{demand}, which is not allowed here (HIKARU_JOB_PRIVILEGED)")]
    Privileged {
        /// What it asks for.
        demand: JobDemand,
    },
}

impl JobPolicy {
    /// Whether a Job may be run.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self, facts: &JobFacts) -> Result<(), JobRefused> {
        let namespace = facts.namespace.clone().unwrap_or_else(|| "default".into());
        self.check_namespace(&namespace)?;
        let account = facts.service_account.clone();
        let account = account.unwrap_or_else(|| "default".into());
        if let Some(allowed) = &self.service_accounts
            && !allowed.contains(&account)
        {
            return Err(JobRefused::ServiceAccount {
                found: account,
                expected: any_of(allowed),
            });
        }
        match facts.demands.first() {
            Some(demand) if !self.privileged => Err(JobRefused::Privileged {
                demand: demand.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Whether Jobs of a namespace are anybody's business here: reading and deleting them, too.
    ///
    /// # Errors
    /// [`JobRefused::Outside`], [`JobRefused::Namespace`].
    pub fn check_namespace(&self, namespace: &str) -> Result<(), JobRefused> {
        check_within(&self.within, namespace).map_err(JobRefused::Outside)?;
        match &self.namespaces {
            Some(allowed) if !allowed.iter().any(|known| **known == *namespace) => {
                Err(JobRefused::Namespace {
                    found: namespace.into(),
                    expected: match &allowed[..] {
                        [] => "none: jobs are off".to_owned(),
                        allowed => any_of(allowed),
                    },
                })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(policy: &JobPolicy, facts: &JobFacts, expected: &str) {
        let found = policy.check(facts).err().map(|error| error.to_string());
        assert_eq!(found.as_deref().unwrap_or("allowed"), expected);
    }

    fn facts(namespace: &str, account: Option<&str>, demands: &[JobDemand]) -> JobFacts {
        JobFacts {
            namespace: Some(namespace.into()),
            service_account: account.map(Text::from),
            demands: demands.to_vec(),
        }
    }

    #[test]
    fn each_rule_is_named() {
        let mut policy = JobPolicy::default();
        check(
            &policy,
            &facts("shop", None, &[]),
            "it belongs to the namespace shop: expected none: jobs are off (HIKARU_JOB_NAMESPACES)",
        );
        policy.namespaces = Some(vec!["shop".into(), "prod".into()]);
        check(&policy, &facts("shop", None, &[]), "allowed");
        check(&policy, &facts("prod", Some("default"), &[]), "allowed");
        check(
            &policy,
            &facts("kube-system", None, &[]),
            "it belongs to the namespace kube-system: expected shop or prod (HIKARU_JOB_NAMESPACES)",
        );
        check(
            &policy,
            &facts("shop", Some("admin"), &[]),
            "it runs as the ServiceAccount admin: expected default (HIKARU_JOB_SERVICE_ACCOUNTS)",
        );
        for (demand, words) in [
            (
                JobDemand::Privileged {
                    container: "web".into(),
                },
                "its container web is privileged",
            ),
            (
                JobDemand::Privileged {
                    container: "".into(),
                },
                "its pod is privileged",
            ),
            (
                JobDemand::Namespace("hostNetwork".into()),
                "its pod asks for hostNetwork",
            ),
            (
                JobDemand::HostPath {
                    volume: "root".into(),
                },
                "its volume root is a path of the node (hostPath)",
            ),
            (
                JobDemand::HostPort {
                    container: "web".into(),
                },
                "its container web asks for a port of the node (hostPort)",
            ),
        ] {
            let demanding = facts("shop", None, &[demand]);
            let expected = format!("{words}, which is not allowed here (HIKARU_JOB_PRIVILEGED)");
            check(&policy, &demanding, &expected);
            policy.privileged = true;
            check(&policy, &demanding, "allowed");
            policy.privileged = false;
        }
        (policy.namespaces, policy.service_accounts) = (None, None);
        check(
            &policy,
            &facts("kube-system", Some("admin"), &[]),
            "allowed",
        );
        policy.within = vec!["shop".into(), "prod".into()];
        check(&policy, &facts("prod", Some("admin"), &[]), "allowed");
        check(
            &policy,
            &facts("kube-system", Some("admin"), &[]),
            "the namespace kube-system is not one of HIKARU_WATCH_NAMESPACES: expected shop or prod",
        );
    }
}
