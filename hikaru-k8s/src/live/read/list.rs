//! Lists of workloads: all kinds at once, by selector and namespace. What cannot be read is a fault; the others go on. How a list
//! goes from page to page is in `pages`.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::future::join_all;
use hikaru_core::{
    Text, Workload,
    port::{ClusterError, Fault, Found, Scope, Severity},
    workload::IdentityKeys,
};
use http::StatusCode;

use crate::kind::Kind;

use super::{
    discovery,
    object::{self, Malformed, Seen},
    pages::{Collection, Limit, Page, Pages, Step},
};
use crate::live::{
    LiveCluster,
    client::{ApiClient, refusal},
    error::RequestError,
};

/// The workloads that one list is of.
#[derive(Clone, Debug)]
pub(in crate::live) struct Listing {
    pub(in crate::live) kind: Arc<Kind>,
    /// `None`: all.
    pub(in crate::live) namespace: Option<Text>,
    pub(in crate::live) selector: Option<String>,
}

/// The objects of a page.
pub(in crate::live) struct Objects {
    pub(in crate::live) seen: Vec<Seen>,
    pub(in crate::live) malformed: Vec<Malformed>,
}

impl Listing {
    /// The collection to ask the API server for.
    pub(in crate::live) async fn collection(
        &self,
        api: &ApiClient,
    ) -> Result<Collection, RequestError> {
        Ok(Collection {
            path: discovery::collection(api, &self.kind, self.namespace.as_ref()).await?,
            selector: self.selector.clone().unwrap_or_default(),
            ..Collection::default()
        })
    }

    /// Reads the objects of a page.
    pub(in crate::live) fn read(&self, keys: &IdentityKeys, page: &Page<'_>) -> Objects {
        let mut objects = Objects {
            seen: Vec::with_capacity(page.items.len()),
            malformed: Vec::new(),
        };
        for item in &page.items {
            match object::read(&self.kind, keys, item.get()) {
                Ok(seen) => objects.seen.push(seen),
                Err(malformed) => objects.malformed.push(*malformed),
            }
        }
        objects
    }
}

/// Whether a list could not be read because the server lacks the kind or forbids it.
pub(in crate::live) fn is_closed(error: &RequestError) -> bool {
    match error {
        RequestError::Refused(refused) => {
            matches!(refused.code, StatusCode::NOT_FOUND | StatusCode::FORBIDDEN)
        }
        RequestError::Missing(_) => true,
        _ => false,
    }
}

/// Where to ask: in each of these namespaces, or, if there are none, in the whole cluster at once.
pub(in crate::live) fn namespaces_or_cluster(namespaces: &[Text]) -> Vec<Option<Text>> {
    match namespaces {
        [] => vec![None],
        some => some.iter().cloned().map(Some).collect(),
    }
}

impl LiveCluster {
    /// The workloads of all kinds that the selectors give and the scope admits.
    pub(in crate::live) async fn list(
        &self,
        scope: &Scope,
        selectors: &[Option<String>],
        limit: Limit,
    ) -> Result<Found, ClusterError> {
        let asked = match &*scope.namespaces {
            [] => &self.inner.settings.namespaces,
            some => some,
        };
        let namespaces = namespaces_or_cluster(asked);
        let mut listings = Vec::new();
        for kind in self.inner.kinds.iter() {
            let asked = namespaces.iter();
            for namespace in asked.filter(|n| scope.may_admit(&kind.name, n.as_deref())) {
                listings.extend(selectors.iter().map(|selector| Listing {
                    kind: kind.clone(),
                    namespace: namespace.clone(),
                    selector: selector.clone(),
                }));
            }
        }
        let lists = join_all(listings.iter().map(|l| self.list_one(scope, l, limit))).await;
        let answers = listings.into_iter().zip(lists);
        merge(scope, answers.collect())
    }

    async fn list_one(
        &self,
        scope: &Scope,
        listing: &Listing,
        limit: Limit,
    ) -> Result<(Vec<Workload>, Vec<Malformed>), RequestError> {
        let (mut workloads, mut malformed) = (Vec::new(), Vec::new());
        let api = &self.inner.api;
        let mut pages = Pages::new(listing.collection(api).await?, limit);
        let read = |page: &Page<'_>| listing.read(self.keys(), page);
        while let Some(step) = pages.step(api, read).await? {
            match step {
                Step::Page(objects, _) => {
                    let admits = scope.filter();
                    for seen in objects.seen {
                        // Other workloads are dropped at once, so that a cluster is never held in memory.
                        if admits(&seen.workload) {
                            workloads.push(seen.workload);
                        }
                    }
                    malformed.extend(objects.malformed);
                }
                Step::Restarted => {
                    workloads.clear();
                    malformed.clear();
                }
            }
        }
        Ok((workloads, malformed))
    }
}

type Answer = Result<(Vec<Workload>, Vec<Malformed>), RequestError>;

/// Merges the lists. If none could be read, the answer is the error of one of them.
fn merge(scope: &Scope, answers: Vec<(Listing, Answer)>) -> Result<Found, ClusterError> {
    let mut workloads = BTreeMap::new();
    let mut faults = Vec::new();
    let mut failed = Vec::new();
    let mut any = answers.is_empty();
    for (listing, answer) in answers {
        match answer {
            Ok((listed, malformed)) => {
                any = true;
                workloads.extend(listed.into_iter().map(|w| (w.id.clone(), w)));
                for malformed in malformed {
                    let fault = malformed.fault(scope);
                    if !faults.contains(&fault) {
                        faults.push(fault);
                    }
                }
            }
            Err(error) => failed.push((listing, error)),
        }
    }
    if !any {
        // Errors that may pass come first: a server that is away says nothing about our rights.
        failed.sort_by_key(|(_, error)| is_closed(error));
        let error = failed
            .into_iter()
            .next()
            .map(|(listing, error)| refusal::of_read(error, &listing.kind));
        return Err(match error {
            Some(ClusterError::NotFound(_)) => ClusterError::Invalid(
                "the server knows none of the kinds: is it a Kubernetes API server?".to_owned(),
            ),
            Some(error) => error,
            None => ClusterError::NotFound("kind of workload that could be listed".to_owned()),
        });
    }
    for (listing, error) in failed {
        let severity = if is_closed(&error) && listing.kind.added {
            Severity::Warning
        } else {
            Severity::Failure
        };
        let place = match &listing.namespace {
            Some(namespace) => format!("{} in {namespace}", listing.kind),
            None => listing.kind.to_string(),
        };
        let mut fault = Fault::new(severity, place, error.to_string());
        fault.is_retryable = refusal::of_read(error, &fault.place).is_retryable();
        if !faults.contains(&fault) {
            faults.push(fault);
        }
    }
    Ok(Found::new(
        workloads.into_values().map(Arc::new).collect(),
        faults,
    ))
}
