//! What is asked for: a collection and how its objects are read (`Source`), and which of its objects (`Which`). How they are got is
//! in `pool`.

use std::{fmt, sync::Arc};

use hikaru_core::Text;
use kube::core::{Selector, SelectorExt as _};

use super::item::{Facts, Item, Labels, name_of};
use crate::live::read::pages::Collection;

/// Reads an object, and its labels where selectors match them. An error: what was expected and what was found.
type Read<T> = dyn Fn(&str) -> Result<(Labels, T), String> + Send + Sync;

/// The objects of one kind in one namespace.
pub(super) struct Source<T> {
    /// The path of the collection.
    pub(super) path: String,
    read: Arc<Read<T>>,
}

impl<T> Clone for Source<T> {
    fn clone(&self) -> Self {
        Self {
            path: self.path.clone(),
            read: self.read.clone(),
        }
    }
}

impl<T> Source<T> {
    /// A collection whose objects are read so. The reader must hold no client: a watch keeps it.
    pub(super) fn new(
        path: String,
        read: impl Fn(&str) -> Result<(Labels, T), String> + Send + Sync + 'static,
    ) -> Self {
        let read = Arc::new(read);
        Self { path, read }
    }

    /// Reads an object: its name, empty if that cannot be read, and what is kept of it.
    pub(super) fn read(&self, json: &str) -> (String, Item<T>) {
        let (labels, facts) = match (self.read)(json) {
            Ok((labels, facts)) => (Some(labels), Ok(Arc::new(facts))),
            Err(why) => (None, Err(why)),
        };
        (name_of(json).unwrap_or_default(), Item { facts, labels })
    }
}

impl<T: Facts> Source<T> {
    /// The pods, or the ReplicaSets, of a namespace that was checked.
    pub(super) fn of(namespace: &Text) -> Self {
        let path = format!("{}/namespaces/{namespace}/{}", T::ROOT, T::PLURAL);
        Self::new(path, |json| {
            T::read(json).map_err(|error| error.to_string())
        })
    }
}

/// Which objects of a collection.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Which {
    /// Those that a selector matches.
    Labeled(Selector),
    /// The one of this name.
    Named(Text),
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Labeled(selector) => write!(f, "{selector}"),
            Self::Named(name) => write!(f, "metadata.name={name}"),
        }
    }
}

impl Which {
    /// What to list and to watch.
    pub(super) fn of_path(&self, path: &str) -> Collection {
        let mut collection = Collection {
            path: path.to_owned(),
            ..Collection::default()
        };
        match self {
            Self::Labeled(selector) => collection.selector = selector.to_string(),
            Self::Named(_) => collection.fields = self.to_string(),
        }
        collection
    }

    /// Whether this is such an object. One whose labels cannot be read may be meant by any selector.
    pub(super) fn is<T>(&self, name: &str, item: &Item<T>) -> bool {
        match self {
            Self::Labeled(selector) => {
                let labels = item.labels.as_ref();
                labels.is_none_or(|labels| selector.matches(labels))
            }
            Self::Named(wanted) => **wanted == *name,
        }
    }
}
