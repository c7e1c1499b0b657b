//! Which media types a body may have, by the header of its request. Its bytes are read by `body`.

use hikaru_core::text::Excerpt;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use super::problem::Refusal;

/// The media types of a definition.
const DEFINITIONS: &str = "application/json, application/yaml";

/// A media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    Json,
    Yaml,
}

impl Media {
    /// Of a definition: JSON or YAML.
    pub(crate) fn of_definition(headers: &HeaderMap) -> Result<Self, Box<Refusal>> {
        match declared(headers, DEFINITIONS)?.as_str() {
            "application/json" => Ok(Self::Json),
            "application/yaml" | "application/yml" | "application/x-yaml" | "text/yaml"
            | "text/x-yaml" => Ok(Self::Yaml),
            other => Err(expected(DEFINITIONS, other)),
        }
    }

    /// Of parameters: JSON alone.
    pub(crate) fn check_json(headers: &HeaderMap) -> Result<(), Box<Refusal>> {
        match declared(headers, "application/json")?.as_str() {
            "application/json" => Ok(()),
            other => Err(expected("application/json", other)),
        }
    }
}

fn expected(accepted: &'static str, found: &str) -> Box<Refusal> {
    let detail = format!(
        "expected the header `Content-Type` with one of {accepted}, found {}",
        Excerpt::of(found)
    );
    Refusal::media(accepted, detail)
}

/// The one media type of a body, in lower case, if it is in UTF-8 and not compressed.
fn declared(headers: &HeaderMap, accepted: &'static str) -> Result<String, Box<Refusal>> {
    let values = |name: HeaderName| headers.get_all(name).iter();
    let packed = |coding: &&HeaderValue| !coding.as_bytes().eq_ignore_ascii_case(b"identity");
    if let Some(coding) = values(CONTENT_ENCODING).find(packed) {
        let found = String::from_utf8_lossy(coding.as_bytes());
        let detail = format!(
            "expected a body without `Content-Encoding`, found {}",
            Excerpt::of(&found)
        );
        return Err(Refusal::media(accepted, detail));
    }
    let mut types = values(CONTENT_TYPE);
    let (Some(value), None) = (types.next(), types.next()) else {
        let found = values(CONTENT_TYPE).count();
        let detail =
            format!("expected one header `Content-Type` with one of {accepted}, found {found}");
        return Err(Refusal::media(accepted, detail));
    };
    let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
    let (media, parameters) = text.split_once(';').unwrap_or((&text, ""));
    for parameter in parameters.split(';') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = value.trim().trim_matches('"');
        if name.trim() == "charset" && !matches!(value, "utf-8" | "utf8" | "us-ascii") {
            let detail = format!("expected the charset utf-8, found {}", Excerpt::of(value));
            return Err(Refusal::media(accepted, detail));
        }
    }
    Ok(media.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::problem::Kind;

    fn check(types: &[&str], encoding: Option<&str>) -> Result<Media, String> {
        let mut headers = HeaderMap::new();
        for value in types {
            let value = HeaderValue::from_bytes(value.as_bytes()).expect("a header's value");
            headers.append(CONTENT_TYPE, value);
        }
        if let Some(value) = encoding {
            let value = HeaderValue::from_str(value).expect("a header's value");
            headers.append(CONTENT_ENCODING, value);
        }
        Media::of_definition(&headers).map_err(|refusal| {
            let (name, value) = refusal.header.expect("Accept-Post");
            assert_eq!(
                (name.as_str(), value.as_bytes()),
                ("accept-post", DEFINITIONS.as_bytes())
            );
            assert_eq!(refusal.kind, Kind::UnsupportedMedia);
            refusal.detail
        })
    }

    #[test]
    fn media_types() {
        for (text, media) in [
            ("application/json", Media::Json),
            ("Application/JSON; charset=UTF-8", Media::Json),
            ("application/json;charset=\"utf-8\"; x=y", Media::Json),
            ("application/json;", Media::Json),
            ("application/yaml", Media::Yaml),
            ("application/yml", Media::Yaml),
            ("application/x-yaml ; charset=us-ascii", Media::Yaml),
            ("TEXT/yaml", Media::Yaml),
            ("text/x-yaml", Media::Yaml),
        ] {
            assert_eq!(check(&[text], None), Ok(media), "{text}");
            assert_eq!(check(&[text], Some("Identity")), Ok(media), "{text}");
        }
        let wanted = "application/json, application/yaml";
        for (types, encoding, expected) in [
            (
                &[][..],
                None,
                format!("expected one header `Content-Type` with one of {wanted}, found 0"),
            ),
            (
                &["application/json", "application/yaml"],
                None,
                format!("expected one header `Content-Type` with one of {wanted}, found 2"),
            ),
            (
                &["text/plain"],
                None,
                format!(
                    "expected the header `Content-Type` with one of {wanted}, found `text/plain`"
                ),
            ),
            (
                &[""],
                None,
                format!("expected the header `Content-Type` with one of {wanted}, found the end"),
            ),
            (
                &["application/jsonp"],
                None,
                format!(
                    "expected the header `Content-Type` with one of {wanted}, found `application/jsonp`"
                ),
            ),
            (
                &["application/json; charset=latin1"],
                None,
                "expected the charset utf-8, found `latin1`".to_owned(),
            ),
            (
                &["application/json; charset"],
                None,
                "expected the charset utf-8, found the end".to_owned(),
            ),
            (
                &["application/json"],
                Some("gzip"),
                "expected a body without `Content-Encoding`, found `gzip`".to_owned(),
            ),
        ] {
            assert_eq!(check(types, encoding), Err(expected), "{types:?}");
        }
    }
}
