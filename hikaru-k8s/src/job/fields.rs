//! Reading the fields of a definition: a map and the way to it, so that each message names the field. A field that has
//! another type than Kubernetes gives it is an error: nothing that a rule might concern is passed over.

use serde_json::{Map, Value};

use crate::yaml::excerpt;

pub(super) type Object = Map<String, Value>;

/// What a value is, for a person.
pub(super) fn shape(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

/// A scalar as it stands there, shortened; of a list or a map only that it is one.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "an empty text".to_owned(),
        Value::String(text) => excerpt(text),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        _ => shape(value).to_owned(),
    }
}

/// A map and the way to it.
pub(super) struct Fields<'o> {
    object: &'o Object,
    way: String,
}

/// The fields of a map that is not there.
static NOTHING: std::sync::LazyLock<Object> = std::sync::LazyLock::new(Object::new);

impl<'o> Fields<'o> {
    /// The fields of a whole definition.
    pub(super) fn top(object: &'o Object) -> Self {
        Self {
            object,
            way: String::new(),
        }
    }

    /// The way to a field: `spec.template.spec.hostNetwork`.
    pub(super) fn way(&self, key: &str) -> String {
        if self.way.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.way)
        }
    }

    fn odd(&self, key: &str, expected: &str, found: &Value) -> String {
        format!(
            "{}: expected {expected}, found {}",
            self.way(key),
            shape(found)
        )
    }

    /// The names of the fields that are set.
    pub(super) fn names(&self) -> impl Iterator<Item = &'o str> + use<'o> {
        let fields = self.object.iter();
        fields
            .filter(|(_, value)| !value.is_null())
            .map(|(name, _)| name.as_str())
    }

    /// A field of any type; null is none.
    pub(super) fn value(&self, key: &str) -> Option<&'o Value> {
        self.object.get(key).filter(|value| !value.is_null())
    }

    /// A map; one that is not there is empty.
    pub(super) fn map(&self, key: &str) -> Result<Fields<'o>, String> {
        let object = match self.value(key) {
            None => &*NOTHING,
            Some(Value::Object(object)) => object,
            Some(other) => return Err(self.odd(key, "a map", other)),
        };
        Ok(Fields {
            object,
            way: self.way(key),
        })
    }

    /// A list; one that is not there is empty.
    fn values(&self, key: &str) -> Result<&'o [Value], String> {
        match self.value(key) {
            None => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(other) => Err(self.odd(key, "a list", other)),
        }
    }

    /// A list of maps; one that is not there is empty.
    pub(super) fn list(&self, key: &str) -> Result<Vec<Fields<'o>>, String> {
        let items = self.values(key)?.iter().enumerate();
        let items = items.map(|(index, item)| {
            let key = format!("{key}[{index}]");
            match item {
                Value::Object(object) => Ok(Fields {
                    object,
                    way: self.way(&key),
                }),
                other => Err(self.odd(&key, "a map", other)),
            }
        });
        items.collect()
    }

    /// A list of texts, each with the way to it; one that is not there is empty.
    pub(super) fn texts(&self, key: &str) -> Result<Vec<(String, &'o str)>, String> {
        let items = self.values(key)?.iter().enumerate();
        let items = items.map(|(index, item)| {
            let key = format!("{key}[{index}]");
            match item {
                Value::String(text) => Ok((self.way(&key), text.as_str())),
                other => Err(self.odd(&key, "a text", other)),
            }
        });
        items.collect()
    }

    /// A text; an empty one is none.
    pub(super) fn text(&self, key: &str) -> Result<Option<&'o str>, String> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(other) => Err(self.odd(key, "a text", other)),
        }
    }

    /// A boolean; one that is not there is false.
    pub(super) fn truth(&self, key: &str) -> Result<bool, String> {
        match self.value(key) {
            None => Ok(false),
            Some(Value::Bool(truth)) => Ok(*truth),
            Some(other) => Err(self.odd(key, "true or false", other)),
        }
    }
}
