//! Who uses an image.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::run::check_fresh;
use crate::{
    Text,
    image::{
        build::Build,
        reference::{Reference, ReferenceError, Repository},
        tag::TagFormats,
    },
    policy::{Request, plan},
    port::{ClusterError, Fault, Scope, Select, Severity, WorkloadPort},
    text::excerpt::Cut,
    workload::{Workload, container::Container},
};

/// Who uses an image: the names of workloads, by namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Users {
    /// The distinct names of workloads of each namespace, sorted.
    pub namespaces: BTreeMap<Text, BTreeSet<Text>>,
    /// What could not be read on the way.
    pub faults: Vec<Fault>,
}

/// Why it could not be said who uses an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// The text is no image reference.
    #[error("not an image reference: {0}")]
    Reference(#[from] ReferenceError),
    /// The cluster could not say.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

/// Finds the workloads that use an image now. A build tag: those that a post of it would consider. Another tag or a
/// digest: those that run exactly it. Neither: every workload that runs the repository.
///
/// # Errors
/// When the text is no image reference, or nothing could be found out at all; [`ClusterError::Unavailable`] while the
/// port's view gives no answers ([`Freshness`](crate::port::Freshness)).
///
/// ```
/// # futures_util::FutureExt::now_or_never(async {
/// use hikaru_core::{Build, Container, IdentityLabels, TagFormats, Workload, WorkloadId,
///     testing::MemoryCluster, upgrade::find};
/// let cluster = MemoryCluster::default();
/// let mut web = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
/// web.labels = IdentityLabels::new("acme", "web", "main");
/// web.containers.push(Container::new("web", "acme/web:acme_web_main_1.4.0_6_0123abcd"));
/// cluster.put(web);
/// let users = find(&cluster, "acme/web", &TagFormats::default()).await.unwrap();
/// assert!(users.namespaces["shop"].contains("web"));
/// # }).unwrap();
/// ```
pub async fn find(
    port: &dyn WorkloadPort,
    image: &str,
    formats: &TagFormats,
) -> Result<Users, FindError> {
    let wanted = Reference::parse(image)?;
    let build = Build::parse(image, formats).ok();
    let select = match &build {
        Some(build) => Select::Build(build.clone()),
        None => Select::Repository(wanted.repository().to_string().into()),
    };
    check_fresh(port)?;
    let found = port.find(&Scope::new(select)).await?;
    let same = |wanted: Option<&str>, runs: Option<&str>| wanted.is_none() || wanted == runs;
    let runs_it = |image: &str| {
        Reference::parse(image).is_ok_and(|runs| {
            runs.repository() == wanted.repository()
                && same(wanted.tag(), runs.tag())
                && same(wanted.digest(), runs.digest())
        })
    };
    let mut users = Users {
        faults: found.faults,
        ..Users::default()
    };
    // Of a build: those that a post of it judges.
    let workloads: Vec<Arc<Workload>> = match build {
        Some(build) => {
            let entries = plan(Request::new(build), found.workloads).entries;
            entries.into_iter().map(|entry| entry.workload).collect()
        }
        None => {
            for workload in &found.workloads {
                users
                    .faults
                    .extend(unreadable(workload, wanted.repository()));
            }
            let using = found.workloads.into_iter();
            let using = using.filter(|w| {
                w.containers
                    .iter()
                    .flat_map(Container::running)
                    .any(|image| runs_it(image))
            });
            using.collect()
        }
    };
    for workload in workloads {
        let names = users.namespaces.entry(workload.id.namespace.clone());
        names.or_default().insert(workload.id.name.clone());
    }
    Ok(users)
}

/// The fault of a workload that has an image which cannot be read and begins with this repository: whether it uses the image
/// that is asked for cannot be known.
fn unreadable(workload: &Workload, repository: Repository<'_>) -> Option<Fault> {
    let mut containers = workload.containers.iter();
    let (name, image, error) = containers.find_map(|container| {
        let mut images = container.running();
        images.find_map(|image| {
            let error = Reference::parse(image).err()?;
            let begins = repository.begins(image);
            begins.then_some((&container.name, image, error))
        })
    })?;
    let id = &workload.id;
    let place = match &id.origin {
        Some(origin) => format!("{origin}: {id}"),
        None => id.to_string(),
    };
    let (image, name) = (Cut(image), Cut(name));
    let message = format!("the image {image} of {name} cannot be read: {error}");
    Some(Fault::new(Severity::Failure, place, message))
}
