//! What keeps browsers out where no token does: a web page could otherwise post with the rights of the user who runs hikaru.
//! The rules are those of docs/http-api.md, "Browsers".

use std::net::IpAddr;

use hyper::{
    HeaderMap, Uri,
    header::{HOST, HeaderName, HeaderValue, ORIGIN},
};

use super::Denied;

static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether the request names this machine: a name that an attacker's DNS points at 127.0.0.1 does not. Both the header
/// and the authority of an absolute-form target have to, where they are.
pub(super) fn check_host(uri: &Uri, headers: &HeaderMap) -> Result<(), Denied> {
    let header = headers.get_all(HOST).iter().map(HeaderValue::as_bytes);
    let authority = uri.authority().map(|a| a.as_str().as_bytes());
    let mut names = header.chain(authority).peekable();
    let named = names.peek().is_some();
    let local = names.all(is_local);
    if named && local {
        Ok(())
    } else {
        Err(Denied::ForeignHost)
    }
}

/// Whether a browser sent it for a web page: any `Origin`, or a `Sec-Fetch-Site` other than what the user's own typing
/// and the server's own pages give.
pub(super) fn check_origin(headers: &HeaderMap) -> Result<(), Denied> {
    let own = |site: &HeaderValue| site == "same-origin" || site == "none";
    if headers.contains_key(ORIGIN) || !headers.get_all(&SEC_FETCH_SITE).iter().all(own) {
        Err(Denied::Browser)
    } else {
        Ok(())
    }
}

/// `localhost` or a loopback address, with or without a port.
fn is_local(host: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(host) else {
        return false;
    };
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inner, rest)) => (inner, rest),
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let bracketed = text.starts_with('[');
    let digits = |port: &str| port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit());
    let port_sound = port.is_empty() || port.strip_prefix(':').is_some_and(digits);
    let host_local = match host.parse::<IpAddr>() {
        Ok(address) => address.is_ipv6() == bracketed && address.to_canonical().is_loopback(),
        Err(_) => !bracketed && host.eq_ignore_ascii_case("localhost"),
    };
    port_sound && host_local
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn hosts() {
        for host in [
            "localhost",
            "LocalHost:8080",
            "127.0.0.1",
            "127.0.0.1:80",
            "127.9.9.9:65535",
            "[::1]",
            "[::1]:8080",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert!(is_local(host.as_bytes()), "{host}");
        }
        for host in [
            "",
            ":80",
            "localhost.evil.example",
            "evil.localhost",
            "localhost@evil.example",
            "localhost:80@evil.example",
            "localhost:80:80",
            "localhost:x",
            "localhost:123456",
            "localhost/",
            " localhost",
            "127.0.0.1.nip.io",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0.0.0.0",
            "10.0.0.1",
            "::1",
            "[::1",
            "[::1]x",
            "[::]",
            "[127.0.0.1]",
            "[localhost]",
            "[fe80::1%25lo]",
            "\u{ff4c}ocalhost",
        ] {
            assert!(!is_local(host.as_bytes()), "{host}");
        }
        assert!(!is_local(b"\xff"));
    }
}
