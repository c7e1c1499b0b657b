//! The file of callers: YAML that says who may do what (docs/callers.md). Its keys are in `shape`, what one entry of it says in
//! `caller` and `trust`, the words of errors in `error`; here is what the entries have to do with each other. No file is opened here:
//! the text is handed in, and so is what reads the certificates that it names.

mod caller;
mod error;
mod shape;
mod trust;

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::Hash,
};

use serde_saphyr::{Options, options::MergeKeyPolicy};

pub use error::CallersFileError;

use self::{
    error::{refused, unreadable},
    shape::{Document, Word},
};
use super::CallerSet;

/// The longest file of callers, in bytes.
pub const MAX_CALLERS_FILE: usize = 1024 * 1024;

impl CallerSet {
    /// What a file of callers says. `read` gives the text of a file of certificates that a trust names by its path, or says why it
    /// cannot be read.
    ///
    /// # Errors
    /// With line and column, what was expected, and what was found. A token that stands where its hash is expected is not quoted.
    ///
    /// ```
    /// use hikaru_http::CallerSet;
    /// let set = CallerSet::from_yaml(
    ///     "callers:\n- name: prometheus\n  tokenSha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n  rights: [metrics]\n",
    ///     &mut |path| Err(format!("{path} is not there")),
    /// )?;
    /// assert_eq!(&*set.callers[0].caller.name, "prometheus");
    /// let error = CallerSet::from_yaml("callers:\n- nam: prometheus\n", &mut |_| Ok(String::new())).unwrap_err();
    /// assert!(error.to_string().starts_with("line 2, column 3: expected one of the keys name, tokenSha256, "));
    /// # Ok::<(), hikaru_http::CallersFileError>(())
    /// ```
    pub fn from_yaml(
        text: &str,
        read: &mut dyn FnMut(&str) -> Result<String, String>,
    ) -> Result<Self, CallersFileError> {
        if text.len() > MAX_CALLERS_FILE {
            return Err(CallersFileError::TooLong(text.len()));
        }
        let document: Document =
            serde_saphyr::from_str_with_options(text, options()).map_err(|e| unreadable(&e))?;
        if document.callers.is_empty() && document.trusts.is_empty() {
            return Err(CallersFileError::Empty);
        }
        let (mut names, mut hashes) = (Once::new("the name"), Once::new("the hash"));
        let mut set = Self::default();
        for entry in document.callers {
            names.take(&entry.name, entry.name.value.clone())?;
            hashes.take(
                &entry.token_sha256,
                entry.token_sha256.value.to_ascii_lowercase(),
            )?;
            set.callers.push(caller::read(&entry)?);
        }
        for entry in document.trusts {
            names.take(&entry.name, entry.name.value.clone())?;
            set.trusts.push(trust::read(&entry, read)?);
        }
        Ok(set)
    }
}

/// An entry says itself what it allows, so there are no anchors and no merged keys; that leaves nothing to expand, too. A file is nested
/// five deep.
fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_anchors: 0,
            max_aliases: 0,
            max_documents: 1,
            max_depth: 8,
            flow_nesting_limit: 8,
        },
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

/// What may stand in a file once, with the line where it does.
struct Once<K> {
    what: &'static str,
    lines: HashMap<K, u64>,
}

impl<K: Eq + Hash> Once<K> {
    fn new(what: &'static str) -> Self {
        let lines = HashMap::new();
        Self { what, lines }
    }

    fn take(&mut self, at: &Word, key: K) -> Result<(), CallersFileError> {
        match self.lines.entry(key) {
            Entry::Vacant(free) => {
                free.insert(at.referenced.line());
                Ok(())
            }
            Entry::Occupied(taken) => {
                let (what, line) = (self.what, taken.get());
                let problem =
                    format!("expected {what} of no other entry, found that of line {line}");
                Err(refused(at, problem))
            }
        }
    }
}
