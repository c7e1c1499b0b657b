//! Who may run what: a call that runs pods is worth more care than one that changes a tag. Decided on what an adapter read
//! of a definition, before a server is asked; the server has rules of its own (RBAC, Pod Security, quota).

use super::{definition::JobDefinition, facts::JobFacts, refused::JobRefused};
use crate::{
    Text,
    port::{
        ClusterError,
        confined::{any_of, check_within},
    },
};

/// Who may run what.
///
/// ```
/// use hikaru_core::{jobs::{JobFacts, JobPolicy}};
/// let mut policy = JobPolicy::default();
/// policy.namespaces = Some(vec!["shop".into()]);
/// let mut facts = JobFacts::default();
/// assert!(policy.check("shop", &facts).is_ok());
/// facts.service_account = Some("admin".into());
/// assert_eq!(
///     policy.check("shop", &facts).unwrap_err().to_string(),
///     "not allowed: the Job runs as the ServiceAccount admin: expected default"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobPolicy {
    /// Only in these namespaces; `None`: in all.
    pub namespaces: Option<Vec<Text>>,
    /// And of those only in these, to which everything is confined (workloads by [`Confined`](crate::port::Confined)); none: in all.
    pub within: Vec<Text>,
    /// Only as these ServiceAccounts; `None`: as any.
    pub service_accounts: Option<Vec<Text>>,
    /// Whether what [`JobFacts::demand`] names is allowed.
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

/// A Job that the policy has let through. Only [`JobPolicy::judge`] makes one, so no adapter can create a Job that was not
/// judged.
///
/// ```compile_fail,E0451
/// # use hikaru_core::jobs::{JobDefinition, JudgedJob};
/// fn forged(definition: JobDefinition) -> JudgedJob {
///     JudgedJob { definition, replace: false }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct JudgedJob {
    definition: JobDefinition,
    replace: bool,
}

impl JudgedJob {
    /// What is to be created.
    pub fn definition(&self) -> &JobDefinition {
        &self.definition
    }

    /// Whether it takes the place of a Job that has its name: a dry run does not fail for that one.
    pub fn replaces(&self) -> bool {
        self.replace
    }
}

impl JobPolicy {
    /// Lets a definition through, or not.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn judge(
        &self,
        definition: JobDefinition,
        replace: bool,
    ) -> Result<JudgedJob, ClusterError> {
        self.check(definition.naming.namespace(), &definition.facts)?;
        Ok(JudgedJob {
            definition,
            replace,
        })
    }

    /// Whether a Job may be run in a namespace.
    ///
    /// # Errors
    /// The first rule that is broken: [`ClusterError::Outside`], [`ClusterError::JobRefused`].
    pub fn check(&self, namespace: &str, facts: &JobFacts) -> Result<(), ClusterError> {
        self.check_namespace(namespace)?;
        let account = facts.service_account.clone();
        let account = account.unwrap_or_else(|| "default".into());
        if let Some(allowed) = &self.service_accounts
            && !allowed.contains(&account)
        {
            let expected = any_of(allowed);
            let found = account;
            return Err(JobRefused::ServiceAccount { found, expected }.into());
        }
        match &facts.demand {
            Some(demand) if !self.privileged => {
                let demand = demand.clone();
                Err(JobRefused::Privileged { demand }.into())
            }
            _ => Ok(()),
        }
    }

    /// Whether a namespace is one of those that everything is confined to.
    ///
    /// # Errors
    /// [`ClusterError::Outside`].
    pub(crate) fn check_within(&self, namespace: &str) -> Result<(), ClusterError> {
        check_within(&self.within, namespace)
    }

    /// Whether Jobs of a namespace may be created, read and deleted.
    ///
    /// # Errors
    /// [`ClusterError::Outside`], [`JobRefused::Namespace`].
    pub fn check_namespace(&self, namespace: &str) -> Result<(), ClusterError> {
        self.check_within(namespace)?;
        match &self.namespaces {
            Some(allowed) if !allowed.iter().any(|known| **known == *namespace) => {
                Err(JobRefused::Namespace {
                    found: namespace.into(),
                    expected: match &allowed[..] {
                        [] => "none, Jobs are off".to_owned(),
                        allowed => any_of(allowed),
                    },
                }
                .into())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::facts::JobDemand;

    #[track_caller]
    fn check(policy: &JobPolicy, (namespace, facts): &(&str, JobFacts), expected: &str) {
        let found = policy.check(namespace, facts).err();
        let found = found.map(|error| match error {
            ClusterError::JobRefused(refused) => refused.to_string(),
            error => error.to_string(),
        });
        assert_eq!(found.as_deref().unwrap_or("allowed"), expected);
    }

    fn facts<'n>(
        namespace: &'n str,
        account: Option<&str>,
        demand: Option<JobDemand>,
    ) -> (&'n str, JobFacts) {
        let service_account = account.map(Text::from);
        let facts = JobFacts {
            service_account,
            demand,
        };
        (namespace, facts)
    }

    #[test]
    fn each_rule_is_named() {
        let mut policy = JobPolicy::default();
        check(
            &policy,
            &facts("shop", None, None),
            "no Jobs of the namespace shop are allowed: expected none, Jobs are off",
        );
        policy.namespaces = Some(vec!["shop".into(), "prod".into()]);
        check(&policy, &facts("shop", None, None), "allowed");
        check(&policy, &facts("prod", Some("default"), None), "allowed");
        check(
            &policy,
            &facts("kube-system", None, None),
            "no Jobs of the namespace kube-system are allowed: expected shop or prod",
        );
        check(
            &policy,
            &facts("shop", Some("admin"), None),
            "the Job runs as the ServiceAccount admin: expected default",
        );
        let demand = JobDemand {
            rule: "host-namespaces",
            place: "spec.template.spec.hostNetwork".into(),
            expected: "false".into(),
            found: "true".into(),
        };
        let demanding = facts("shop", None, Some(demand));
        check(
            &policy,
            &demanding,
            "spec.template.spec.hostNetwork: expected false, found true (rule host-namespaces): allowed only in \
             privileged Jobs",
        );
        policy.privileged = true;
        check(&policy, &demanding, "allowed");
        policy.privileged = false;
        (policy.namespaces, policy.service_accounts) = (None, None);
        check(
            &policy,
            &facts("kube-system", Some("admin"), None),
            "allowed",
        );
        policy.within = vec!["shop".into(), "prod".into()];
        check(&policy, &facts("prod", Some("admin"), None), "allowed");
        check(
            &policy,
            &facts("kube-system", Some("admin"), None),
            "the namespace kube-system is outside of those that hikaru is confined to: expected shop or prod",
        );
    }
}
