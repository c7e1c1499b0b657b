//! Lists, page by page: how many objects are asked for at once, how many at most, and when a list is begun again. What the
//! objects are is known to the caller that reads a page.

use http::StatusCode;
use kube::core::{Request as Resource, params::ListParams};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    live::{
        client::{ApiClient, Expected},
        error::RequestError,
    },
    nullable::nullable,
};

/// Objects a page: at 5 KB each a few megabytes, and well below what a page may take. Where objects are so long that a page is
/// too long to be read, smaller pages are asked for: two objects always fit.
const PAGES: [u32; 3] = [500, 50, 2];

/// How often a list is begun again because the server has forgotten its next page.
const RESTARTS: usize = 3;

/// How much of one list is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::live) enum Limit {
    /// All there is. Kubernetes is made for 150,000 objects of a kind: a list that has not ended after a million never will.
    All,
    /// For an answer that is only helpful: so many objects are enough.
    AtMost(u32),
}

impl Limit {
    fn objects(self) -> u32 {
        match self {
            Self::All => 1_000_000,
            Self::AtMost(objects) => objects,
        }
    }
}

/// A page of a list: its objects are read one by one, so that one that cannot be read hides no other.
///
/// An answer without `items` is an error: another object, or a proxy's page, would otherwise be read as an empty list.
#[derive(Debug, Deserialize)]
pub(in crate::live) struct Page<'a> {
    #[serde(default)]
    pub(in crate::live) metadata: PageMetadata,
    #[serde(borrow, deserialize_with = "nullable")]
    pub(in crate::live) items: Vec<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::live) struct PageMetadata {
    /// Where the next page begins. Empty: this is the last one.
    #[serde(default, rename = "continue", deserialize_with = "nullable")]
    pub(in crate::live) next: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(in crate::live) resource_version: String,
}

/// What is listed.
#[derive(Clone, Debug, Default)]
pub(in crate::live) struct Collection {
    pub(in crate::live) path: String,
    /// A label selector. Empty: everything.
    pub(in crate::live) selector: String,
    /// A field selector. Empty: everything.
    pub(in crate::live) fields: String,
}

impl Collection {
    /// Asks for the page that begins at `next`, of at most `limit` objects. A first page is of the state at this moment, not of
    /// one that the server happens to remember.
    pub(in crate::live) async fn page<T>(
        &self,
        api: &ApiClient,
        limit: u32,
        next: &str,
        read: impl FnOnce(&Page<'_>) -> T,
    ) -> Result<(T, PageMetadata), RequestError> {
        let mut params = ListParams::default().limit(limit);
        if !self.selector.is_empty() {
            params = params.labels(&self.selector);
        }
        if !self.fields.is_empty() {
            params = params.fields(&self.fields);
        }
        if !next.is_empty() {
            params = params.continue_token(next);
        }
        let request = Resource::new(&self.path).list(&params);
        let request = request.map_err(|error| RequestError::NotSent(error.to_string()))?;
        let answer = api.send(request, Expected::Page).await?;
        let unreadable = |error: String| RequestError::Unreadable(error);
        let text = std::str::from_utf8(&answer.body).map_err(|e| unreadable(e.to_string()))?;
        let page: Page<'_> = serde_json::from_str(text).map_err(|e| unreadable(e.to_string()))?;
        Ok((read(&page), page.metadata))
    }
}

/// A list that is read page by page.
pub(in crate::live) struct Pages {
    collection: Collection,
    limit: Limit,
    /// How many more objects may be asked for.
    left: u32,
    /// Where the next page begins. `None`: there is none.
    next: Option<String>,
    /// Which of `PAGES` is short enough.
    size: usize,
    restarts: usize,
}

/// What a step of [`Pages`] gives.
pub(in crate::live) enum Step<T> {
    Page(T, PageMetadata),
    /// The server has forgotten the next page. The list begins again, and the pages so far no longer count.
    Restarted,
}

impl Pages {
    pub(in crate::live) fn new(collection: Collection, limit: Limit) -> Self {
        Self {
            collection,
            limit,
            left: limit.objects(),
            next: Some(String::new()),
            size: 0,
            restarts: 0,
        }
    }

    /// The next page. `None`: there is none, or as much was read as is wanted.
    pub(in crate::live) async fn step<T>(
        &mut self,
        api: &ApiClient,
        read: impl Fn(&Page<'_>) -> T,
    ) -> Result<Option<Step<T>>, RequestError> {
        let Some(at) = self.next.clone() else {
            return Ok(None);
        };
        loop {
            let limit = PAGES[self.size];
            if self.left < limit {
                let most = self.limit.objects();
                return match self.limit {
                    Limit::All => Err(RequestError::Unreadable(format!(
                        "the list does not end after {most} objects"
                    ))),
                    Limit::AtMost(_) => Ok(None),
                };
            }
            self.left -= limit;
            return match self.collection.page(api, limit, &at, &read).await {
                Ok((_, page)) if !at.is_empty() && page.next == at => Err(
                    RequestError::Unreadable("the page that follows is the same page".to_owned()),
                ),
                Ok((read, page)) => {
                    self.next = Some(page.next.clone()).filter(|next| !next.is_empty());
                    Ok(Some(Step::Page(read, page)))
                }
                Err(RequestError::TooLong(_)) if self.size + 1 < PAGES.len() => {
                    self.size += 1;
                    continue;
                }
                Err(error) if is_gone(&error) && !at.is_empty() && self.restarts < RESTARTS => {
                    self.restarts += 1;
                    self.left = self.limit.objects();
                    self.next = Some(String::new());
                    Ok(Some(Step::Restarted))
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
