//! An object that belongs to another one: a pod (`pod`) or a ReplicaSet (`replica_set`), and what is kept of any object with the
//! labels that selectors match. How objects are kept up to date is in `watch`.

use std::{collections::BTreeMap, sync::Arc};

use hikaru_core::Text;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::Deserialize;

use crate::nullable::nullable;

/// What is read of an object that belongs to another one.
pub(super) trait Facts: Sized + Send + Sync + 'static {
    /// The name of the collection, in paths and in rights.
    const PLURAL: &'static str;

    /// The path of the API group.
    const ROOT: &'static str;

    /// Reads an object, and its labels.
    fn read(json: &str) -> Result<(Labels, Self), serde_json::Error>;
}

pub(super) type Labels = BTreeMap<String, String>;

/// What is read of the metadata of such an object.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    pub(super) name: String,
    #[serde(default)]
    pub(super) uid: Option<String>,
    #[serde(default)]
    pub(super) creation_timestamp: Option<Time>,
    #[serde(default)]
    pub(super) deletion_timestamp: Option<Time>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) labels: Labels,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) annotations: Annotations,
    #[serde(default, deserialize_with = "nullable")]
    owner_references: Vec<OwnerReference>,
}

/// The annotation that is read.
#[derive(Default, Deserialize)]
pub(super) struct Annotations {
    /// Of a ReplicaSet.
    #[serde(default, rename = "deployment.kubernetes.io/revision")]
    pub(super) revision: Option<String>,
}

#[derive(Deserialize)]
struct OwnerReference {
    uid: String,
    #[serde(default)]
    controller: Option<bool>,
}

impl Metadata {
    /// The uid of its controller.
    pub(super) fn controller(&self) -> Option<Text> {
        let mut owners = self.owner_references.iter();
        let controller = owners.find(|owner| owner.controller == Some(true))?;
        Some(controller.uid.as_str().into())
    }
}

/// An object that was read, or why it cannot be.
pub(super) struct Item<T> {
    pub(super) facts: Result<Arc<T>, String>,
    /// `None`: they cannot be read.
    pub(super) labels: Option<Labels>,
}

/// The name of an object, whatever else it is.
pub(super) fn name_of(json: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Object {
        metadata: Named,
    }
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    let object: Object = serde_json::from_str(json).ok()?;
    Some(object.metadata.name)
}
