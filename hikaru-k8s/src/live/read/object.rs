//! Objects as the API server sends them, read as far as the rules need it: partial structs, so that unread fields
//! cost nothing and cannot be malformed. One malformed object never hides the others: it is [`Malformed`].

use std::{collections::BTreeMap, fmt};

use hikaru_core::{
    Build, Text, Workload, WorkloadId,
    image::Reference,
    port::{Fault, Scope, Select, Severity},
    workload::{AdapterNote, Hindrance, IdentityKeys, MARK_PREFIX, SETTING_PREFIX},
};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{
    kind::{Kind, Rollout},
    nullable::nullable,
};

use super::{
    applier,
    owner::{self, OwnerReference},
    pod, rollout,
};

/// The note on a workload whose object has no annotations at all: a patch that adds one has to add the map.
pub(in crate::live) const NO_ANNOTATIONS: AdapterNote = AdapterNote::new(1);

/// Whether a workload's object had annotations when it was read.
pub(in crate::live) fn has_annotations(workload: &Workload) -> bool {
    workload.adapter_note.bits() != NO_ANNOTATIONS.bits()
}

/// An object that was read.
#[derive(Debug)]
pub(in crate::live) struct Seen {
    pub(in crate::live) workload: Workload,
    pub(in crate::live) resource_version: String,
    /// The labels of its high-water marks: the key after the prefix, and the value. Also of containers that are no longer
    /// there.
    pub(in crate::live) marks: BTreeMap<Text, Text>,
}

/// An object that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::live) struct Malformed {
    /// Its name, as far as it can be read.
    pub(in crate::live) id: WorkloadId,
    /// What was expected and what was found.
    pub(in crate::live) message: String,
    /// The images that it may run: they decide whether the fault matters to a call.
    images: Vec<Text>,
}

impl Malformed {
    /// The fault for a call with this scope. A failure only if the scope may mean this object.
    pub(in crate::live) fn fault(&self, scope: &Scope) -> Fault {
        let runs = |wanted: &dyn Fn(&Reference<'_>) -> bool| {
            let mut images = self.images.iter();
            images.any(|image| Reference::parse(image).is_ok_and(|image| wanted(&image)))
        };
        let of_build = |build: &Build| self.images.iter().any(|i| build.use_of(i).is_some());
        let matters = match &scope.select {
            Select::Build(build) | Select::Near(build) => of_build(build),
            Select::Repository(wanted) => runs(&|image| image.repository().is(wanted)),
            Select::Named(ids) => ids.contains(&self.id),
            _ => false,
        };
        let severity = if matters {
            Severity::Failure
        } else {
            Severity::Warning
        };
        Fault::new(severity, self.id.to_string(), self.message.clone())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
    #[serde(borrow, default)]
    spec: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    name: String,
    #[serde(default, deserialize_with = "nullable")]
    namespace: String,
    #[serde(default, deserialize_with = "nullable")]
    uid: String,
    #[serde(default, deserialize_with = "nullable")]
    resource_version: String,
    #[serde(default, deserialize_with = "nullable")]
    generation: i64,
    #[serde(default)]
    deletion_timestamp: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "nullable")]
    labels: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "nullable")]
    annotations: Ours,
    #[serde(default, deserialize_with = "nullable")]
    owner_references: Vec<OwnerReference>,
    /// Long, and read for one thing only: who applies the containers.
    #[serde(borrow, default)]
    managed_fields: Option<&'a RawValue>,
}

/// hikaru's annotations and those that name owners, and whether there are any annotations at all. Others can be long and are not
/// kept.
#[derive(Default)]
struct Ours {
    any: bool,
    ours: Vec<(String, String)>,
}

impl<'de> Deserialize<'de> for Ours {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pick;
        impl<'de> Visitor<'de> for Pick {
            type Value = Ours;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of annotations")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ours, A::Error> {
                let mut read = Ours::default();
                while let Some(key) = map.next_key::<String>()? {
                    read.any = true;
                    if key.starts_with(SETTING_PREFIX) || owner::tells(&key) {
                        read.ours.push((key, map.next_value()?));
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(read)
            }
        }
        deserializer.deserialize_map(Pick)
    }
}

/// The text of an answer, if it is an object of a kind. Half of an object, or another one, is not a malformed object but an
/// answer that cannot be read.
pub(in crate::live) fn text_of(kind: &Kind, body: Vec<u8>) -> Result<String, String> {
    #[derive(Deserialize)]
    struct Kinded {
        #[serde(default, deserialize_with = "nullable")]
        kind: String,
    }
    let text = String::from_utf8(body).map_err(|error| error.to_string())?;
    let found: Kinded = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    match found.kind {
        found if *found == *kind.name => Ok(text),
        found if found.is_empty() => Err(format!("expected a {}, found no kind", kind.name)),
        found => Err(format!("expected a {}, found a {found}", kind.name)),
    }
}

/// Whether the answer to a write is of the object with this uid.
pub(in crate::live) fn check_uid(body: &[u8], uid: &str) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Written {
        metadata: Identified,
    }
    #[derive(Deserialize)]
    struct Identified {
        #[serde(default, deserialize_with = "nullable")]
        uid: String,
    }
    let written: Written = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    match written.metadata.uid {
        found if found == uid => Ok(()),
        found => Err(format!("expected the object {uid}, found {found:?}")),
    }
}

/// Reads an object of a kind.
pub(in crate::live) fn read(
    kind: &Kind,
    keys: &IdentityKeys,
    json: &str,
) -> Result<Seen, Box<Malformed>> {
    parse(kind, keys, json).map_err(|error| Box::new(malformed(kind, json, &error)))
}

fn parse(kind: &Kind, keys: &IdentityKeys, json: &str) -> Result<Seen, serde_json::Error> {
    let object: Object<'_> = serde_json::from_str(json)?;
    let metadata = object.metadata;
    let mut workload = Workload::new(WorkloadId::new(
        metadata.namespace,
        kind.name.clone(),
        metadata.name,
    ));
    workload.uid = metadata.uid.into();
    if !metadata.annotations.any {
        workload.adapter_note = NO_ANNOTATIONS;
    }
    let annotations = &metadata.annotations.ours;
    let managed_fields = metadata.managed_fields.map_or("", RawValue::get);
    workload.owner = owner::of(
        &metadata.labels,
        annotations,
        &metadata.owner_references,
        applier::is_argo_cd(managed_fields, &kind.pod),
    )
    .or_else(|| applier::of(managed_fields, &kind.pod));
    let spec = object.spec.map_or("null", RawValue::get);
    let template = pod::read(kind, spec)?;
    (workload.containers, workload.stray_settings) = (template.containers, template.stray_settings);
    workload.read_metadata(
        keys,
        metadata
            .labels
            .iter()
            .map(|(key, value)| (&**key, &**value)),
        annotations.iter().map(|(key, value)| (&**key, &**value)),
    );
    let marks = metadata.labels.iter().filter_map(|(key, value)| {
        let marked = key.strip_prefix(MARK_PREFIX)?;
        Some((Text::from(marked), Text::from(value.as_str())))
    });
    let spec: rollout::Spec = match serde_json::from_str::<Option<_>>(spec) {
        Ok(spec) => spec.unwrap_or_default(),
        // An added kind may use these names for something else.
        Err(_) if kind.rollout == Rollout::None => rollout::Spec::default(),
        Err(error) => return Err(error),
    };
    let status: rollout::Status = match object.status {
        Some(status) if kind.rollout != Rollout::None => {
            serde_json::from_str::<Option<_>>(status.get())?.unwrap_or_default()
        }
        _ => rollout::Status::default(),
    };
    workload.progress = rollout::progress(kind.rollout, metadata.generation, &spec, &status);
    workload.hindrances = rollout::hindrances(&spec);
    if metadata.deletion_timestamp.is_some() {
        workload.hindrances.push(Hindrance::Terminating);
    }
    Ok(Seen {
        workload,
        resource_version: metadata.resource_version,
        marks: marks.collect(),
    })
}

fn malformed(kind: &Kind, json: &str, error: &serde_json::Error) -> Malformed {
    let value: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
    let text = |pointer: &str| {
        let text = value.pointer(pointer).and_then(serde_json::Value::as_str);
        text.unwrap_or("?").to_owned()
    };
    let mut images = Vec::new();
    images_in(&value, &mut images);
    Malformed {
        id: WorkloadId::new(
            text("/metadata/namespace"),
            kind.name.clone(),
            text("/metadata/name"),
        ),
        message: format!("cannot be read: {error}"),
        images,
    }
}

fn images_in(value: &serde_json::Value, images: &mut Vec<Text>) {
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                match value {
                    serde_json::Value::String(text) if key == "image" || key == "reference" => {
                        images.push(text.as_str().into());
                    }
                    value => images_in(value, images),
                }
            }
        }
        serde_json::Value::Array(list) => list.iter().for_each(|value| images_in(value, images)),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
