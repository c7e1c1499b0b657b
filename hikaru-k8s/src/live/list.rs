//! Lists: all kinds at once, page by page, by selector and namespace. What cannot be read is a fault; the others go on.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use futures_util::future::join_all;
use hikaru_core::{ClusterError, Fault, Found, Scope, Severity, Text, Workload};
use http::{Request, StatusCode};
use kube::core::{Request as Resource, params::ListParams};

use crate::kind::Kind;

use super::{
    LiveCluster, RequestError,
    client::{ApiClient, PAGE_DEADLINE},
    discovery,
    object::{self, Malformed, Page, Seen},
    refusal,
    seats::Lane,
};

/// Objects a page: at 5 KB each a few megabytes, and well below what a page may take.
const PAGE: u32 = 500;

/// How often a list is begun again whose next page the server has forgotten.
const RESTARTS: usize = 3;

/// How many pages are read of one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pages(usize);

/// All there are.
pub(super) const ALL: Pages = Pages(usize::MAX);

/// Of what is only said to be helpful: 2,000 objects of a kind are enough to look through.
pub(super) const COURTESY: Pages = Pages(4);

/// What a list is of.
#[derive(Clone, Debug)]
pub(super) struct Listing {
    pub(super) kind: Arc<Kind>,
    /// `None`: all.
    pub(super) namespace: Option<Text>,
    pub(super) selector: Option<String>,
}

/// One page, read.
pub(super) struct Read {
    pub(super) seen: Vec<Seen>,
    pub(super) malformed: Vec<Malformed>,
    /// Where the next page begins. Empty: there is none.
    pub(super) next: String,
    pub(super) resource_version: String,
}

impl Listing {
    fn request(&self, collection: String, next: &str) -> Result<Request<Vec<u8>>, RequestError> {
        let mut params = ListParams::default().limit(PAGE);
        if let Some(selector) = &self.selector {
            params = params.labels(selector);
        }
        if !next.is_empty() {
            params = params.continue_token(next);
        }
        let request = Resource::new(collection).list(&params);
        request.map_err(|error| RequestError::NotSent(error.to_string()))
    }

    /// Asks for the page that begins there.
    pub(super) async fn page(
        &self,
        api: &ApiClient,
        keys: &hikaru_core::IdentityKeys,
        next: &str,
    ) -> Result<Read, RequestError> {
        let collection = discovery::collection(api, &self.kind, self.namespace.as_ref()).await?;
        let request = self.request(collection, next)?;
        let body = api.send(&Lane::Listing, request, PAGE_DEADLINE).await?;
        let unreadable =
            |error: &dyn std::fmt::Display| RequestError::Unreadable(error.to_string());
        let text = std::str::from_utf8(&body).map_err(|error| unreadable(&error))?;
        let page: Page<'_> = serde_json::from_str(text).map_err(|error| unreadable(&error))?;
        let mut read = Read {
            seen: Vec::with_capacity(page.items.len()),
            malformed: Vec::new(),
            next: page.metadata.next,
            resource_version: page.metadata.resource_version,
        };
        for item in page.items {
            match object::read(&self.kind, keys, item.get()) {
                Ok(seen) => read.seen.push(seen),
                Err(malformed) => read.malformed.push(*malformed),
            }
        }
        Ok(read)
    }
}

/// Whether the server has forgotten the next page, or the version that a watch begins at.
pub(super) fn is_gone(error: &RequestError) -> bool {
    matches!(error, RequestError::Refused(refused) if refused.code == StatusCode::GONE)
}

/// Why a list could not be read, if it is because the kind is not there or not for us.
pub(super) fn is_closed(error: &RequestError) -> bool {
    match error {
        RequestError::Refused(refused) => {
            matches!(refused.code, StatusCode::NOT_FOUND | StatusCode::FORBIDDEN)
        }
        RequestError::Missing(_) => true,
        _ => false,
    }
}

/// Where to ask: in each of these namespaces, or, if there are none, in all at once.
pub(super) fn each_or_all(namespaces: &[Text]) -> Vec<Option<Text>> {
    match namespaces {
        [] => vec![None],
        some => some.iter().cloned().map(Some).collect(),
    }
}

impl LiveCluster {
    /// The workloads of all kinds that the selectors give and the scope admits.
    pub(super) async fn list(
        &self,
        scope: &Scope,
        selectors: &[Option<String>],
        pages: Pages,
    ) -> Result<Found, ClusterError> {
        let asked = match &*scope.namespaces {
            [] => &self.inner.settings.namespaces,
            some => some,
        };
        let namespaces = each_or_all(asked);
        let mut listings = Vec::new();
        for kind in self.inner.kinds.iter() {
            for namespace in &namespaces {
                listings.extend(selectors.iter().map(|selector| Listing {
                    kind: kind.clone(),
                    namespace: namespace.clone(),
                    selector: selector.clone(),
                }));
            }
        }
        let lists = join_all(listings.iter().map(|l| self.list_one(scope, l, pages))).await;
        let answers = listings.into_iter().zip(lists);
        merge(scope, answers.collect())
    }

    async fn list_one(
        &self,
        scope: &Scope,
        listing: &Listing,
        pages: Pages,
    ) -> Result<(Vec<Workload>, Vec<Malformed>), RequestError> {
        let (mut workloads, mut malformed) = (Vec::new(), Vec::new());
        let (mut next, mut restarts) = (String::new(), 0);
        let mut left = pages.0;
        while left > 0 {
            match listing.page(&self.inner.api, self.keys(), &next).await {
                Ok(read) => {
                    for seen in read.seen {
                        // Of others nothing is kept, so that a cluster is never held in memory.
                        if scope.admits(&seen.workload) {
                            self.note(&seen);
                            workloads.push(seen.workload);
                        }
                    }
                    malformed.extend(read.malformed);
                    next = read.next;
                    left -= 1;
                    if next.is_empty() {
                        break;
                    }
                }
                Err(error) if is_gone(&error) && !next.is_empty() && restarts < RESTARTS => {
                    // The pages so far are of a state that the next one will not be of.
                    restarts += 1;
                    (next, left) = (String::new(), pages.0);
                    workloads.clear();
                    malformed.clear();
                }
                Err(error) => return Err(error),
            }
        }
        Ok((workloads, malformed))
    }
}

type Answer = Result<(Vec<Workload>, Vec<Malformed>), RequestError>;

/// Puts the lists together. When none could be read there is nothing to say but why.
fn merge(scope: &Scope, answers: Vec<(Listing, Answer)>) -> Result<Found, ClusterError> {
    let mut workloads = BTreeMap::new();
    let mut faults = Vec::new();
    let mut readable = HashSet::new();
    let mut failed = Vec::new();
    let mut any = answers.is_empty();
    for (listing, answer) in answers {
        match answer {
            Ok((listed, malformed)) => {
                any = true;
                readable.insert(listing.namespace);
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
        // What is worst to wait for comes last: a server that is away says nothing of our rights.
        failed.sort_by_key(|(_, error)| is_closed(error));
        let error = failed
            .into_iter()
            .next()
            .map(|(_, error)| refusal::of_read(error));
        return Err(match error {
            Some(ClusterError::NotFound) => ClusterError::Invalid(
                "the server knows none of the kinds: is it a Kubernetes API server?".to_owned(),
            ),
            Some(error) => error,
            None => ClusterError::NotFound,
        });
    }
    for (listing, error) in failed {
        let kind_is_closed = is_closed(&error);
        let asked_in_vain = listing.namespace.is_some() && !readable.contains(&listing.namespace);
        let severity = if kind_is_closed && !asked_in_vain {
            Severity::Warning
        } else {
            Severity::Failure
        };
        let place = match &listing.namespace {
            Some(namespace) => format!("{} in {namespace}", listing.kind),
            None => listing.kind.to_string(),
        };
        let fault = Fault::new(severity, place, error.to_string());
        if !faults.contains(&fault) {
            faults.push(fault);
        }
    }
    Ok(Found::new(workloads.into_values().collect(), faults))
}
