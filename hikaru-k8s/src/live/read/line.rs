//! The lines of a watch: what each says happened to an object. What the object is, and what follows from it, is known to whoever
//! watches.

use http::{HeaderMap, StatusCode};
use kube::core::Status;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::live::{
    client::Lines,
    error::{Refused, RequestError},
};

/// What a line says.
pub(in crate::live) enum Line<'a> {
    /// The object was created or changed, and is this now.
    Put(&'a str),
    /// The object is gone; this was its last state.
    Deleted(&'a str),
    /// Nothing has happened up to this version.
    Bookmark(String),
    /// Something that a newer server says.
    Unknown,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    name: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize)]
struct Versioned {
    metadata: Version,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    resource_version: String,
}

impl<'a> Line<'a> {
    /// Reads a line of these lines.
    ///
    /// # Errors
    /// Why the watch cannot go on from where it is, so that everything has to be listed anew.
    pub(in crate::live) fn read(line: &'a [u8], lines: &Lines) -> Result<Self, String> {
        let unreadable = |error: String| RequestError::Unreadable(error).to_string();
        let text = std::str::from_utf8(line).map_err(|error| unreadable(error.to_string()))?;
        let event: Event<'a> =
            serde_json::from_str(text).map_err(|error| unreadable(error.to_string()))?;
        let object = event.object.get();
        match event.name {
            "ADDED" | "MODIFIED" => Ok(Self::Put(object)),
            "DELETED" => Ok(Self::Deleted(object)),
            "BOOKMARK" => Ok(version_of(object).map_or(Self::Unknown, Self::Bookmark)),
            "ERROR" => {
                let status = serde_json::from_str::<Status>(object).unwrap_or_default();
                let code = StatusCode::from_u16(status.code);
                let code = code.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let none = HeaderMap::new();
                let refused = Refused::new(code, &none, object.as_bytes(), lines.secrets());
                Err(refused.words())
            }
            _ => Ok(Self::Unknown),
        }
    }
}

/// The version of an object, whatever else it is.
pub(in crate::live) fn version_of(object: &str) -> Option<String> {
    let object: Versioned = serde_json::from_str(object).ok()?;
    Some(object.metadata.resource_version)
}
