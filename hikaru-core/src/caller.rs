//! Who calls, and what a caller may do. How a caller is recognized is decided at the edge.
//!
//! `rights` are the words of what a caller may do, `pattern` narrows which workloads it may see, `binding` ties the token of a CI to
//! its own source. A cluster as one caller sees it is in `port`.

mod binding;
mod pattern;
mod rights;

pub use binding::{Binding, NotBound};
pub use pattern::{Glob, IdentityPattern, PatternError};
pub use rights::{Right, RightError, Rights};

use crate::{
    Text, Workload,
    policy::{Code, Request},
};

/// Who issued a caller's token and for what, as the token itself says it and its signature proves. Never a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Issued {
    /// The issuer: `https://token.actions.githubusercontent.com`. Empty: the cluster that hikaru runs in.
    pub issuer: Text,
    /// The subject: `repo:acme/shop:ref:refs/heads/main`. Text from outside, as the token has it: to be cut and escaped where it is shown.
    pub subject: Text,
    /// Where the run of the CI can be looked at. `None`: its token does not say it.
    pub run: Option<Text>,
}

impl Issued {
    /// By this issuer, for this subject.
    pub fn new(issuer: impl Into<Text>, subject: impl Into<Text>, run: Option<Text>) -> Self {
        Self {
            issuer: issuer.into(),
            subject: subject.into(),
            run,
        }
    }
}

/// Who calls, as logs and notifications name it. Never a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caller {
    /// Its name: `token 1`, `anonymous`.
    pub name: Text,
    /// What it may do.
    pub rights: Rights,
    /// It sees only workloads that one of these fits. Empty: all.
    pub identities: Vec<IdentityPattern>,
    /// It sees only what is in these namespaces. Empty: in all.
    pub namespaces: Vec<Text>,
    /// The source that it may deploy. `None`: any.
    pub binding: Option<Binding>,
    /// Who issued its token. `None`: it is a token of hikaru's own, or there is none.
    pub issued: Option<Issued>,
}

/// Why a caller may not do what it asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAllowed {
    /// It lacks all of these rights.
    #[error("the caller {caller} lacks the right {}", .needed.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or "))]
    Right {
        /// Its name.
        caller: Text,
        /// One of them is needed.
        needed: Vec<Right>,
    },
    /// It may not force this.
    #[error("the caller {caller} lacks the right force:{code}")]
    Force {
        /// Its name.
        caller: Text,
        /// The code.
        code: Code,
    },
    /// It may not see this namespace.
    #[error("the caller {caller} may not see the namespace {namespace}")]
    Namespace {
        /// Its name.
        caller: Text,
        /// The namespace.
        namespace: Text,
    },
    /// It may not see Jobs, because they have no owner, repo and branch.
    #[error(
        "the caller {caller} is narrowed to identities, and Jobs have none: it needs namespaces to see Jobs"
    )]
    Jobs {
        /// Its name.
        caller: Text,
    },
    /// The image is not built from the source that its token was issued for.
    #[error("the caller {caller}: {why}")]
    Binding {
        /// Its name.
        caller: Text,
        /// What was compared.
        why: NotBound,
    },
}

impl NotAllowed {
    /// What it may not, in one word, for a figure: `right`, `force`, `namespace`, `jobs`, `binding`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Right { .. } => "right",
            Self::Force { .. } => "force",
            Self::Namespace { .. } => "namespace",
            Self::Jobs { .. } => "jobs",
            Self::Binding { .. } => "binding",
        }
    }
}

impl Caller {
    /// A caller of this name, which sees everything.
    pub fn new(name: impl Into<Text>, rights: Rights) -> Self {
        Self {
            name: name.into(),
            rights,
            identities: Vec::new(),
            namespaces: Vec::new(),
            binding: None,
            issued: None,
        }
    }

    /// Checks that it has one of these rights.
    ///
    /// # Errors
    /// [`NotAllowed::Right`].
    pub fn check(&self, needed: &[Right]) -> Result<(), NotAllowed> {
        match needed.iter().any(|right| self.rights.has(*right)) {
            true => Ok(()),
            false => Err(NotAllowed::Right {
                caller: self.name.clone(),
                needed: needed.to_vec(),
            }),
        }
    }

    /// Checks that it may ask for this: what it forces, where, and which build.
    ///
    /// # Errors
    /// The first that it may not.
    pub fn check_request(&self, request: &Request) -> Result<(), NotAllowed> {
        let mut forced = request.force.codes();
        if let Some(code) = forced.find(|code| !self.rights.force().has(*code)) {
            let caller = self.name.clone();
            return Err(NotAllowed::Force { caller, code });
        }
        let workloads = request.workloads.iter().map(|w| w.namespace());
        for namespace in request.namespaces.iter().chain(workloads) {
            self.check_namespace(namespace)?;
        }
        let bound = self.binding.as_ref().map(|b| b.check(&request.build.tag()));
        bound.unwrap_or(Ok(())).map_err(|why| NotAllowed::Binding {
            caller: self.name.clone(),
            why,
        })
    }

    /// Checks that it may see what is in a namespace.
    ///
    /// # Errors
    /// [`NotAllowed::Namespace`].
    pub fn check_namespace(&self, namespace: &str) -> Result<(), NotAllowed> {
        match self.sees_namespace(namespace) {
            true => Ok(()),
            false => Err(NotAllowed::Namespace {
                caller: self.name.clone(),
                namespace: namespace.into(),
            }),
        }
    }

    /// Checks that it may see the Jobs of a namespace.
    ///
    /// # Errors
    /// [`NotAllowed::Namespace`], or [`NotAllowed::Jobs`] for a caller that is narrowed to identities and not to namespaces.
    pub fn check_jobs(&self, namespace: &str) -> Result<(), NotAllowed> {
        if self.namespaces.is_empty() && !self.sees_all() {
            let caller = self.name.clone();
            return Err(NotAllowed::Jobs { caller });
        }
        self.check_namespace(namespace)
    }

    fn sees_namespace(&self, namespace: &str) -> bool {
        self.namespaces.is_empty() || self.namespaces.iter().any(|n| **n == *namespace)
    }

    /// Whether it sees everything.
    pub fn sees_all(&self) -> bool {
        self.identities.is_empty() && self.namespaces.is_empty() && self.binding.is_none()
    }

    /// Whether it may see a workload. One without all three labels is seen only by a caller that is not narrowed to identities.
    pub fn sees(&self, workload: &Workload) -> bool {
        if !self.sees_namespace(&workload.id.namespace) {
            return false;
        }
        if self.identities.is_empty() && self.binding.is_none() {
            return true;
        }
        let Some(labels) = workload.labels.reading() else {
            return false;
        };
        let mut identities = self.identities.iter();
        let fits = self.identities.is_empty() || identities.any(|pattern| pattern.matches(&labels));
        let binding = self.binding.as_ref();
        fits && binding.is_none_or(|binding| binding.fits(&labels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IdentityLabels;

    fn workload(namespace: &str, owner: &str, branch: &str) -> Workload {
        let mut workload = Workload::new(crate::WorkloadId::new(namespace, "Deployment", "web"));
        workload.labels = IdentityLabels::new(owner, "shop", branch);
        workload
    }

    #[test]
    fn a_narrowed_caller_sees_what_fits_all_that_narrows_it() {
        let mut caller = Caller::new("ci", Rights::ALL);
        let unlabeled = Workload::new(crate::WorkloadId::new("dev", "Deployment", "web"));
        assert!(caller.sees_all() && caller.sees(&unlabeled));
        caller.namespaces = vec!["dev".into()];
        assert!(caller.sees(&unlabeled) && !caller.sees(&workload("prod", "acme", "main")));
        caller.identities = vec!["acme/*/*".parse().expect("a pattern")];
        assert!(!caller.sees(&unlabeled) && !caller.sees(&workload("dev", "other", "main")));
        assert!(caller.sees(&workload("dev", "acme", "main")));
        caller.binding = Some(Binding::new("acme", "shop", "main"));
        assert!(caller.sees(&workload("dev", "acme", "main")));
        assert!(!caller.sees(&workload("dev", "acme", "dev")));
        caller.binding = Some(Binding::new("other", "shop", "main"));
        assert!(!caller.sees(&workload("dev", "acme", "main")));
    }

    #[test]
    fn a_caller_that_is_narrowed_to_identities_needs_namespaces_for_jobs() {
        let mut caller = Caller::new("ci", Rights::ALL);
        assert_eq!(caller.check_jobs("dev"), Ok(()));
        caller.binding = Some(Binding::new("acme", "shop", "main"));
        assert!(matches!(
            caller.check_jobs("dev"),
            Err(NotAllowed::Jobs { .. })
        ));
        caller.namespaces = vec!["dev".into()];
        assert_eq!(caller.check_jobs("dev"), Ok(()));
        let refused = caller.check_jobs("prod").expect_err("another namespace");
        assert_eq!(
            refused.to_string(),
            "the caller ci may not see the namespace prod"
        );
    }
}
