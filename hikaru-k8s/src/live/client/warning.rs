//! What a server warns of beside a good answer: its `Warning` headers (RFC 7234, 5.5).

use hikaru_core::Text;
use http::{HeaderMap, header};

use crate::live::error::short;

/// Warnings of one answer that are told. The API server has a limit of its own, a webhook may not.
const WARNINGS: usize = 20;

/// The texts of the warnings: `299 - "spec.x is deprecated"`. What has another form is passed over.
pub(in crate::live) fn texts(headers: &HeaderMap) -> Vec<Text> {
    let values = headers.get_all(header::WARNING).iter();
    let texts = values.filter_map(|value| text(&String::from_utf8_lossy(value.as_bytes())));
    texts.take(WARNINGS).collect()
}

/// The quoted text of a warning.
fn text(value: &str) -> Option<Text> {
    let (_, quoted) = value.split_once('"')?;
    let mut text = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => return Some(short(&text).into()),
            '\\' => text.push(chars.next()?),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_text_of_a_warning_is_what_is_quoted() {
        let mut headers = HeaderMap::new();
        for value in [
            r#"299 - "spec.x: deprecated since v1.14; use \"y\" and \\""#,
            "299 - unquoted",
            r#"299 - "cut off"#,
            r#"299 kube-apiserver "unknown field \"spec.z\"" "Sat, 28 Nov 2026 20:00:00 GMT""#,
            "",
        ] {
            let value = HeaderValue::from_str(value).expect("a header");
            headers.append(header::WARNING, value);
        }
        let found: Vec<String> = texts(&headers).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                r#"spec.x: deprecated since v1.14; use "y" and \"#,
                r#"unknown field "spec.z""#
            ]
        );
        for _ in 0..100 {
            headers.append(header::WARNING, HeaderValue::from_static("299 - \"x\""));
        }
        assert_eq!(texts(&headers).len(), WARNINGS);
    }
}
