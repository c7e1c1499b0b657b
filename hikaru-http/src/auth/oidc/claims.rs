//! The claims of a token: read as the types that they should have, and those that every token has (RFC 7519, 4.1): issuer, audience,
//! times. What those of a CI have to be is in `rules`.

use std::time::SystemTime;

use serde_json::{Map, Value};

use super::token::{place, quoted};
use crate::auth::{
    Denied,
    jwt::{LEEWAY, bad, seconds},
};

/// How old a token may be, in seconds. Those of CI systems are made for one job.
const MAX_AGE: i64 = 60 * 60;

/// What a token says. Whether its issuer has signed it is checked elsewhere.
pub(super) struct Claims(Map<String, Value>);

/// A claim that has another type than it should, or is missing: a sentence.
pub(super) type Wrong = String;

impl Claims {
    /// Reads claims.
    ///
    /// # Errors
    /// [`Denied::BadToken`] when they are no JSON object.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Denied> {
        let claims = serde_json::from_slice(bytes);
        claims.map(Self).map_err(|error| {
            let place = place(&error);
            bad(
                "claims",
                format!("its claims are no object of JSON, at {place}"),
            )
        })
    }

    /// The issuer that it says it is of.
    ///
    /// # Errors
    /// [`Denied::BadToken`].
    pub(super) fn issuer(&self) -> Result<&str, Denied> {
        self.must_text("iss").map_err(|why| bad("claims", why))
    }

    /// Checks that it is for this audience.
    ///
    /// # Errors
    /// [`Denied::BadToken`], with what was compared.
    pub(super) fn check_audience(&self, audience: &str) -> Result<(), Denied> {
        let wanted = format!("expected the audience {audience}");
        match self.0.get("aud") {
            None => Err(bad("audience", format!("{wanted}, found none"))),
            Some(Value::String(found)) if found == audience => Ok(()),
            Some(Value::String(found)) => {
                let found = quoted(found);
                Err(bad("audience", format!("{wanted}, found {found}")))
            }
            Some(Value::Array(found)) if found.iter().all(Value::is_string) => {
                let mut texts = found.iter().filter_map(Value::as_str);
                match texts.any(|found| found == audience) {
                    true => Ok(()),
                    false => {
                        let count = found.len();
                        Err(bad("audience", format!("{wanted}, found {count} others")))
                    }
                }
            }
            Some(_) => Err(bad(
                "claims",
                "expected `aud` as text or as a list of texts",
            )),
        }
    }

    /// Checks that it is valid now, and was issued lately.
    ///
    /// # Errors
    /// [`Denied::BadToken`], with what was compared.
    pub(super) fn check_times(&self, now: SystemTime) -> Result<(), Denied> {
        let now = seconds(now);
        let (expires, issued) = (self.must_time("exp")?, self.must_time("iat")?);
        if now >= expires.saturating_add(LEEWAY) {
            let ago = now.saturating_sub(expires);
            return Err(bad("expired", format!("it has expired {ago} s ago")));
        }
        if let Some(begins) = self
            .time("nbf")?
            .filter(|begins| begins.saturating_sub(LEEWAY) > now)
        {
            let left = begins.saturating_sub(now);
            return Err(bad(
                "not-yet-valid",
                format!("it is valid only in {left} s"),
            ));
        }
        if issued.saturating_sub(LEEWAY) > now {
            let left = issued.saturating_sub(now);
            let why = format!("it says that it was issued {left} s from now");
            return Err(bad("not-yet-valid", why));
        }
        let age = now.saturating_sub(issued);
        if age > MAX_AGE + LEEWAY {
            let why = format!("it was issued {age} s ago: expected at most {MAX_AGE} s");
            return Err(bad("too-old", why));
        }
        Ok(())
    }

    fn must_time(&self, name: &str) -> Result<i64, Denied> {
        let missing = || {
            bad(
                "claims",
                format!("expected `{name}` as a number, found none"),
            )
        };
        self.time(name)?.ok_or_else(missing)
    }

    /// Seconds since 1970, which may have a fraction.
    fn time(&self, name: &str) -> Result<Option<i64>, Denied> {
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        // A number that is too large for the type becomes its largest one.
        #[expect(clippy::cast_possible_truncation, reason = "it saturates")]
        let seconds = value
            .as_i64()
            .or(value.as_f64().map(|seconds| seconds as i64));
        let wrong = || {
            bad(
                "claims",
                format!("expected `{name}` as a number, found {}", kind(value)),
            )
        };
        seconds.map(Some).ok_or_else(wrong)
    }

    /// A claim that is text.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Wrong> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(format!("expected `{name}` as text, found {}", kind(other))),
        }
    }

    /// The same where it has to be there, and not empty.
    pub(super) fn must_text(&self, name: &str) -> Result<&str, Wrong> {
        let text = self.text(name)?.filter(|text| !text.is_empty());
        text.ok_or_else(|| format!("expected `{name}` as text, found none"))
    }

    /// An id, which is a number or a text.
    pub(super) fn id(&self, name: &str) -> Result<Option<String>, Wrong> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(other) => {
                let found = kind(other);
                Err(format!(
                    "expected `{name}` as a number or as text, found {found}"
                ))
            }
        }
    }

    /// Yes or no, which may be a text.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Wrong> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) if text == "true" => Ok(Some(true)),
            Some(Value::String(text)) if text == "false" => Ok(Some(false)),
            Some(other) => {
                let found = match other {
                    Value::String(text) => quoted(text),
                    other => kind(other).to_owned(),
                };
                Err(format!("expected `{name}` as true or false, found {found}"))
            }
        }
    }

    /// A claim of which nothing is known but its name: text, a number, or true or false, as a text.
    pub(super) fn any(&self, name: &str) -> Result<Option<String>, Wrong> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(Some(value.to_string())),
            Some(other) => {
                let found = kind(other);
                let expected = "as text, a number, or true or false";
                Err(format!("expected `{name}` {expected}, found {found}"))
            }
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
