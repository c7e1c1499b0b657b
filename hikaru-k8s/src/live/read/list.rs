//! Lists: all kinds at once, page by page, by selector and namespace. What cannot be read is a fault; the others go on.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::future::join_all;
use hikaru_core::{ClusterError, Fault, Found, Scope, Severity, Text, Workload};
use http::{Request, StatusCode};
use kube::core::{Request as Resource, params::ListParams};

use crate::kind::Kind;

use super::{
    discovery,
    object::{self, Malformed, Page, Seen},
};
use crate::live::{
    LiveCluster,
    client::{ApiClient, Expected, refusal},
    error::RequestError,
};

/// Objects a page: at 5 KB each a few megabytes, and well below what a page may take. Where they are so long that a page
/// is too long to be read it is asked for in smaller ones: two always fit.
pub(in crate::live) const PAGES: [u32; 3] = [500, 50, 2];

/// How often a list is begun again whose next page the server has forgotten.
pub(in crate::live) const RESTARTS: usize = 3;

/// How much is read of one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::live) enum Most {
    /// All there is. Kubernetes is made for 150,000 objects of a kind: a list that has not ended after a million never will.
    All,
    /// Of what is only said to be helpful: 2,000 objects of a kind are enough to look through.
    Courtesy,
}

impl Most {
    pub(in crate::live) fn objects(self) -> u32 {
        match self {
            Self::All => 1_000_000,
            Self::Courtesy => 2_000,
        }
    }
}

/// What a list is of.
#[derive(Clone, Debug)]
pub(in crate::live) struct Listing {
    pub(in crate::live) kind: Arc<Kind>,
    /// `None`: all.
    pub(in crate::live) namespace: Option<Text>,
    pub(in crate::live) selector: Option<String>,
}

/// One page, read.
pub(in crate::live) struct Read {
    pub(in crate::live) seen: Vec<Seen>,
    pub(in crate::live) malformed: Vec<Malformed>,
    /// Where the next page begins. Empty: there is none.
    pub(in crate::live) next: String,
    pub(in crate::live) resource_version: String,
}

impl Listing {
    fn request(
        &self,
        collection: String,
        limit: u32,
        next: &str,
    ) -> Result<Request<Vec<u8>>, RequestError> {
        let mut params = ListParams::default().limit(limit);
        if let Some(selector) = &self.selector {
            params = params.labels(selector);
        }
        if !next.is_empty() {
            params = params.continue_token(next);
        }
        let request = Resource::new(collection).list(&params);
        request.map_err(|error| RequestError::NotSent(error.to_string()))
    }

    /// Asks for a page that begins there. A first page is of the state at this moment, not of one that the server happens
    /// to remember.
    pub(in crate::live) async fn page(
        &self,
        api: &ApiClient,
        keys: &hikaru_core::IdentityKeys,
        limit: u32,
        next: &str,
    ) -> Result<Read, RequestError> {
        let collection = discovery::collection(api, &self.kind, self.namespace.as_ref()).await?;
        let request = self.request(collection, limit, next)?;
        let answer = api.send(request, Expected::Page).await?;
        let body = answer.body;
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

/// A list that is read page by page.
pub(in crate::live) struct Walk<'l> {
    listing: &'l Listing,
    most: Most,
    /// How many more objects are asked for.
    left: u32,
    /// Where the next page begins. `None`: there is none.
    next: Option<String>,
    /// Which of `PAGES` are short enough.
    size: usize,
    restarts: usize,
}

/// What a step of a [`Walk`] gives.
pub(in crate::live) enum Turn {
    Page(Read),
    /// The pages so far are of a state that the next ones will not be of: it begins anew.
    Again,
}

impl<'l> Walk<'l> {
    pub(in crate::live) fn new(listing: &'l Listing, most: Most) -> Self {
        Self {
            listing,
            most,
            left: most.objects(),
            next: Some(String::new()),
            size: 0,
            restarts: 0,
        }
    }

    /// The next page. `None`: there is none, or it is enough.
    pub(in crate::live) async fn step(
        &mut self,
        api: &ApiClient,
        keys: &hikaru_core::IdentityKeys,
    ) -> Result<Option<Turn>, RequestError> {
        let Some(at) = self.next.clone() else {
            return Ok(None);
        };
        loop {
            let limit = PAGES[self.size];
            if self.left < limit {
                let endless = format!(
                    "the list does not end after {} objects",
                    self.most.objects()
                );
                return match self.most {
                    Most::All => Err(RequestError::Unreadable(endless)),
                    Most::Courtesy => Ok(None),
                };
            }
            self.left -= limit;
            return match self.listing.page(api, keys, limit, &at).await {
                Ok(read) if !at.is_empty() && read.next == at => Err(RequestError::Unreadable(
                    "the page that follows is the same page".to_owned(),
                )),
                Ok(read) => {
                    self.next = Some(read.next.clone()).filter(|next| !next.is_empty());
                    Ok(Some(Turn::Page(read)))
                }
                Err(RequestError::TooLong(_)) if self.size + 1 < PAGES.len() => {
                    self.size += 1;
                    continue;
                }
                Err(error) if is_gone(&error) && !at.is_empty() && self.restarts < RESTARTS => {
                    self.restarts += 1;
                    self.left = self.most.objects();
                    self.next = Some(String::new());
                    Ok(Some(Turn::Again))
                }
                Err(error) => Err(error),
            };
        }
    }
}

/// Whether the server has forgotten the next page, or the version that a watch begins at.
pub(in crate::live) fn is_gone(error: &RequestError) -> bool {
    matches!(error, RequestError::Refused(refused) if refused.code == StatusCode::GONE)
}

/// Why a list could not be read, if it is because the kind is not there or not for us.
pub(in crate::live) fn is_closed(error: &RequestError) -> bool {
    match error {
        RequestError::Refused(refused) => {
            matches!(refused.code, StatusCode::NOT_FOUND | StatusCode::FORBIDDEN)
        }
        RequestError::Missing(_) => true,
        _ => false,
    }
}

/// Where to ask: in each of these namespaces, or, if there are none, in all at once.
pub(in crate::live) fn each_or_all(namespaces: &[Text]) -> Vec<Option<Text>> {
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
        most: Most,
    ) -> Result<Found, ClusterError> {
        let asked = match &*scope.namespaces {
            [] => &self.inner.settings.namespaces,
            some => some,
        };
        let namespaces = each_or_all(asked);
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
        let lists = join_all(listings.iter().map(|l| self.list_one(scope, l, most))).await;
        let answers = listings.into_iter().zip(lists);
        merge(scope, answers.collect())
    }

    async fn list_one(
        &self,
        scope: &Scope,
        listing: &Listing,
        most: Most,
    ) -> Result<(Vec<Workload>, Vec<Malformed>), RequestError> {
        let (mut workloads, mut malformed) = (Vec::new(), Vec::new());
        let mut walk = Walk::new(listing, most);
        while let Some(turn) = walk.step(&self.inner.api, self.keys()).await? {
            match turn {
                Turn::Page(read) => {
                    for seen in read.seen {
                        // Of others nothing is kept, so that a cluster is never held in memory.
                        if scope.admits(&seen.workload) {
                            workloads.push(seen.workload);
                        }
                    }
                    malformed.extend(read.malformed);
                }
                Turn::Again => {
                    workloads.clear();
                    malformed.clear();
                }
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
        fault.is_retryable = refusal::of_read(error).is_retryable();
        if !faults.contains(&fault) {
            faults.push(fault);
        }
    }
    Ok(Found::new(
        workloads.into_values().map(Arc::new).collect(),
        faults,
    ))
}
