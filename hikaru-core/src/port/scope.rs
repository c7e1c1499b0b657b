//! Which workloads a port is asked for, and the one filter that says whether a workload is among them.

use crate::{
    Text,
    image::{build::Build, reference::Reference},
    workload::{
        IdentityLabels, Workload, WorkloadId,
        container::Container,
        name::{WorkloadName, is_among},
    },
};

/// Which workloads to find.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Select {
    /// Those that a post of this build considers: labeled so, and a container has its repository.
    Build(Build),
    /// Those that a person may have meant when a post of this build found none: labeled so, or a container has its
    /// repository. An adapter that would have to look at a whole cluster for it may say *unsupported*.
    Near(Build),
    /// Those with a container of this repository (normalized: `docker.io/library/web`), or with an image that cannot be read
    /// and begins with it; labeled or not.
    Repository(Text),
    /// Those that carry all three labels that name a source, with these values where some are given. A `.git` at the end of a
    /// repo does not count.
    Labeled(IdentityLabels),
    /// Those with these names.
    Named(Vec<WorkloadId>),
    /// Every one.
    All,
}

/// What to look for, and where.
///
/// ```
/// use hikaru_core::{Container, Workload, WorkloadId, port::{Scope, Select}};
/// let mut web = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
/// web.containers.push(Container::new("web", "web:latest"));
/// let mut scope = Scope::new(Select::Repository("docker.io/library/web".into()));
/// assert!(scope.admits(&web));
/// scope.namespaces = vec!["prod".into()];
/// assert!(!scope.admits(&web));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Which workloads.
    pub select: Select,
    /// Only in these namespaces; empty: in all.
    pub namespaces: Vec<Text>,
    /// Only these; empty: all. An adapter that looks twice before it says that there is none looks for them.
    pub workloads: Vec<WorkloadName>,
}

impl Scope {
    /// In all namespaces.
    pub fn new(select: Select) -> Self {
        Self {
            select,
            namespaces: Vec::new(),
            workloads: Vec::new(),
        }
    }

    /// Whether a workload of this kind in this namespace (`None`: in any) can be looked for: what an adapter need not ask for,
    /// and whose faults do not matter.
    pub fn may_admit(&self, kind: &str, namespace: Option<&str>) -> bool {
        let here = |other: &str| namespace.is_none_or(|namespace| namespace == other);
        let fits = |named_kind: &str, named_in: &str| {
            kind.eq_ignore_ascii_case(named_kind) && here(named_in)
        };
        let namespace_admitted =
            self.namespaces.is_empty() || self.namespaces.iter().any(|other| here(other));
        let named = self.workloads.is_empty()
            || self.workloads.iter().any(|w| fits(w.kind(), w.namespace()));
        let selected = match &self.select {
            Select::Named(ids) => ids.iter().any(|id| fits(&id.kind, &id.namespace)),
            _ => true,
        };
        namespace_admitted && named && selected
    }

    /// Whether a workload is looked for: the one filter that every adapter uses, whatever it asked its cluster for.
    pub fn admits(&self, workload: &Workload) -> bool {
        self.filter()(workload)
    }

    /// [`Scope::admits`] for many workloads: the build is read once, not for each of them.
    pub fn filter(&self) -> impl Fn(&Workload) -> bool + Send + Sync {
        let selects: Box<dyn Fn(&Workload) -> bool + Send + Sync> = match &self.select {
            Select::Build(build) => {
                let (is_meant, is_used) = (build.meant_for(), build.used_by());
                Box::new(move |workload| is_meant(&workload.labels) && is_used(workload))
            }
            Select::Near(build) => {
                let (is_meant, is_used) = (build.meant_for(), build.used_by());
                Box::new(move |workload| is_meant(&workload.labels) || is_used(workload))
            }
            Select::Repository(wanted) => {
                let named = Reference::parse(wanted).ok();
                Box::new(move |workload| {
                    let begins = |image: &str| named.is_some_and(|n| n.repository().begins(image));
                    let mut images = workload.containers.iter().flat_map(Container::images);
                    images.any(|image| match Reference::parse(image) {
                        Ok(image) => image.repository().is(wanted),
                        Err(_) => begins(image),
                    })
                })
            }
            Select::Labeled(wanted) => Box::new(|workload| carries(&workload.labels, wanted)),
            Select::Named(ids) => Box::new(|workload| ids.contains(&workload.id)),
            Select::All => Box::new(|_| true),
        };
        move |workload| {
            is_among(&self.namespaces, &self.workloads, &workload.id) && selects(workload)
        }
    }
}

/// Whether all three labels are there, with the values that are wanted.
fn carries(labels: &IdentityLabels, wanted: &IdentityLabels) -> bool {
    let Some(labels) = labels.reading() else {
        return false;
    };
    let has = |label: Option<&str>, wanted: &Option<Text>| {
        wanted.as_deref().is_none_or(|wanted| label == Some(wanted))
    };
    let without_git = |repo: &str| repo.strip_suffix(".git").unwrap_or(repo).to_owned();
    let has_repo = wanted
        .repo
        .as_deref()
        .is_none_or(|wanted| labels.repo.map(without_git) == Some(without_git(wanted)));
    has(labels.owner, &wanted.owner) && has_repo && has(labels.branch, &wanted.branch)
}
