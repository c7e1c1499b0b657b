//! Where an issuer has its keys: the document of its discovery (OpenID Connect Discovery 1.0, 4), which may name no other issuer and
//! no other host.

use hikaru_core::text::Excerpt;
use hyper::Uri;
use serde::Deserialize;

use super::token::place;

/// The document of discovery, as far as it is looked at.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
}

/// Where the document of an issuer is: at the issuer exactly as it is written, paths included.
///
/// # Errors
/// When it is no address of https, or has more than a host and a path.
pub(super) fn address(issuer: &str) -> Result<Uri, String> {
    let expected = || {
        format!(
            "expected an issuer such as https://gitlab.example.com, found {}",
            Excerpt::of(issuer)
        )
    };
    let written = https(issuer).ok_or_else(expected)?;
    if written.query().is_some() || issuer.contains('#') {
        return Err(expected());
    }
    // RFC 8414, 3, and OpenID Connect Discovery, 4.1: one `/` at its end does not stand twice.
    let base = issuer.strip_suffix('/').unwrap_or(issuer);
    let address = format!("{base}/.well-known/openid-configuration");
    address.parse().map_err(|_| expected())
}

/// Where the keys are, as the document of the issuer says.
///
/// # Errors
/// When it is no such document, is another issuer's, or names an address on another host or port.
pub(super) fn keys_address(issuer: &str, document: &[u8]) -> Result<Uri, String> {
    let document: Document = serde_json::from_slice(document).map_err(|error| {
        let place = place(&error);
        format!("expected JSON with `issuer` and `jwks_uri`, which it is not at {place}")
    })?;
    if document.issuer != issuer {
        let found = Excerpt::of(&document.issuer);
        return Err(format!("expected the issuer {issuer}, found {found}"));
    }
    let keys = https(&document.jwks_uri);
    let own = https(issuer).map(|issuer| server(&issuer));
    keys.filter(|keys| Some(server(keys)) == own).ok_or_else(|| {
        let found = Excerpt::of(&document.jwks_uri);
        format!(
            "expected its `jwks_uri` to be https on the issuer's own host and port, found {found}"
        )
    })
}

/// An address of https without a user.
fn https(text: &str) -> Option<Uri> {
    let address: Uri = text.parse().ok()?;
    let authority = address.authority()?.as_str();
    let is_https = address.scheme_str() == Some("https");
    (is_https && !authority.contains('@')).then_some(address)
}

/// Host and port.
fn server(address: &Uri) -> (String, u16) {
    let host = address.host().unwrap_or_default().to_ascii_lowercase();
    (host, address.port_u16().unwrap_or(443))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_below_the_issuer_as_it_is_written() {
        for (issuer, expected) in [
            (
                "https://gitlab.com",
                "https://gitlab.com/.well-known/openid-configuration",
            ),
            (
                "https://gitlab.com/",
                "https://gitlab.com/.well-known/openid-configuration",
            ),
            (
                "https://git.example:8443/api/actions",
                "https://git.example:8443/api/actions/.well-known/openid-configuration",
            ),
        ] {
            assert_eq!(address(issuer).expect(issuer).to_string(), expected);
        }
        for issuer in [
            "",
            "gitlab.com",
            "http://gitlab.com",
            "https://",
            "https://user@gitlab.com",
            "https://gitlab.com?a=b",
            "https://gitlab.com#a",
            "https://gitlab.com/a b",
            "file:///etc/passwd",
        ] {
            let why = address(issuer).expect_err(issuer);
            assert!(why.starts_with("expected an issuer such as"), "{why}");
        }
    }

    #[test]
    fn the_keys_are_at_the_issuers_own_host_and_port() {
        let issuer = "https://ci.example/api";
        let look = |issuer_said: &str, keys: &str| {
            let document = serde_json::json!({"issuer": issuer_said, "jwks_uri": keys});
            keys_address(issuer, document.to_string().as_bytes())
        };
        for keys in [
            "https://ci.example/keys",
            "https://CI.example:443/api/keys?a=b",
        ] {
            assert_eq!(look(issuer, keys), Ok(keys.parse().expect("an address")));
        }
        for keys in [
            "http://ci.example/keys",
            "https://ci.example:8443/keys",
            "https://evil.example/keys",
            "https://ci.example.evil.example/keys",
            "https://ci.example@evil.example/keys",
            "https://evil.example\\@ci.example/keys",
            "//ci.example/keys",
            "/keys",
            "",
        ] {
            let why = look(issuer, keys).expect_err(keys);
            assert!(
                why.starts_with("expected its `jwks_uri` to be https on"),
                "{why}"
            );
        }
        for other in [
            "https://ci.example",
            "https://ci.example/api/",
            "https://CI.example/api",
        ] {
            let why = look(other, "https://ci.example/keys").expect_err(other);
            assert!(
                why.starts_with("expected the issuer https://ci.example/api, found"),
                "{why}"
            );
        }
        assert!(keys_address(issuer, b"<html>").is_err());
        assert!(keys_address(issuer, b"{\"issuer\": \"https://ci.example/api\"}").is_err());
    }
}
