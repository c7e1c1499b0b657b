//! JSON text to a value, stricter than serde_json: no key twice, nothing after the value, and within a budget.

use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::yaml::Budget;

/// Reads one value. The error names line and column.
pub(super) fn read(text: &str, budget: Budget) -> Result<Value, String> {
    let mut left = budget;
    let mut json = serde_json::Deserializer::from_str(text);
    let depth = budget.depth;
    let value = Strict {
        left: &mut left,
        depth,
    }
    .deserialize(&mut json);
    let value = value.and_then(|value| json.end().map(|()| value));
    value.map_err(|error| match error.to_string() {
        words if words.starts_with("EOF while parsing a value at line 1 column 0") => {
            "it is empty".to_owned()
        }
        words => words.replace(
            "trailing characters",
            "expected nothing after the object, found more",
        ),
    })
}

struct Strict<'l> {
    left: &'l mut Budget,
    depth: usize,
}

impl Strict<'_> {
    fn spend<E: Error>(&mut self, bytes: usize) -> Result<(), E> {
        match (
            self.left.values.checked_sub(1),
            self.left.bytes.checked_sub(bytes),
        ) {
            (Some(values), Some(bytes)) => {
                (self.left.values, self.left.bytes) = (values, bytes);
                Ok(())
            }
            _ => Err(E::custom("the definition is too large")),
        }
    }

    fn inside<E: Error>(&mut self) -> Result<Strict<'_>, E> {
        let Some(depth) = self.depth.checked_sub(1) else {
            return Err(E::custom(
                "maps and lists are nested too deep here: expected at most 100 levels",
            ));
        };
        Ok(Strict {
            left: self.left,
            depth,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(mut self, json: D) -> Result<Value, D::Error> {
        self.spend(0)?;
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value)
            .ok_or_else(|| E::custom("a number that is infinite or not a number"))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E: Error>(mut self, value: &str) -> Result<Value, E> {
        self.spend(value.len())?;
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut values = Vec::new();
        loop {
            let (left, depth) = (&mut *inside.left, inside.depth);
            match list.next_element_seed(Strict { left, depth })? {
                Some(value) => values.push(value),
                None => return Ok(Value::Array(values)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Value, A::Error> {
        let mut inside = self.inside()?;
        let mut values = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            inside.spend(key.len())?;
            if values.contains_key(&key) {
                let key = crate::yaml::excerpt(&key);
                return Err(A::Error::custom(format!(
                    "the key {key} stands twice in one map"
                )));
            }
            let (left, depth) = (&mut *inside.left, inside.depth);
            values.insert(key, map.next_value_seed(Strict { left, depth })?);
        }
        Ok(Value::Object(values))
    }
}
