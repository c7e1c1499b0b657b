//! Addresses (URLs) in texts from outside, without the parts that can hold secrets.

use std::borrow::Cow;

/// The text without what can be secret in its addresses: `postgres://ann:pw@db/x?sslkey=1` becomes `postgres://…@db/x?…`. To do it twice
/// changes nothing more.
pub(crate) fn without_secrets(text: &str) -> Cow<'_, str> {
    if !text.contains("://") {
        return text.into();
    }
    let (mut shown, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once("://") {
        let end = after.find(ends_address).unwrap_or(after.len());
        let (address, after) = after.split_at(end);
        shown.push_str(before);
        shown.push_str("://");
        push_address(&mut shown, address);
        rest = after;
    }
    shown.push_str(rest);
    shown.into()
}

fn ends_address(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>')
}

/// Adds what follows the scheme of an address.
fn push_address(shown: &mut String, address: &str) {
    let authority = address.split(['/', '?', '#']).next().unwrap_or_default();
    let address = match authority.rsplit_once('@') {
        Some((user, _)) => {
            shown.push_str("…@");
            &address[user.len() + 1..]
        }
        // A password that is not encoded can have such characters: where it ends is not certain.
        None if !is_host(authority) && address.contains('@') => return shown.push('…'),
        None => address,
    };
    match address.split_once('?') {
        Some((before, _)) => {
            shown.push_str(before);
            shown.push_str("?…");
        }
        None => shown.push_str(address),
    }
}

/// Whether this is a host with or without a port, and not a user with the begin of a password.
fn is_host(authority: &str) -> bool {
    let port = authority.split_once(':').map_or("", |(_, port)| port);
    port.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_and_queries_of_addresses_are_left_out() {
        for (text, expected) in [
            ("", ""),
            ("no address: a@b?c", "no address: a@b?c"),
            ("https://db:5432/x", "https://db:5432/x"),
            ("https://cdn/blob?X-Signature=a@b&c=d", "https://cdn/blob?…"),
            (
                "postgres://ann:pw@db/x?sslkey=1 fails",
                "postgres://…@db/x?… fails",
            ),
            (
                "a \"redis://:p@w@db:6379\": EOF",
                "a \"redis://…@db:6379\": EOF",
            ),
            ("https://ghp_token@github.com/x", "https://…@github.com/x"),
            ("amqp://u:p/w?x#@db/x y", "amqp://… y"),
            (
                "docker://localhost:5000/web@sha256:0a",
                "docker://localhost:5000/web@sha256:0a",
            ),
            ("a://b:c@d?e 'f://g:h@i' ://?", "a://…@d?… 'f://…@i' ://?…"),
        ] {
            let shown = without_secrets(text);
            assert_eq!(shown, expected);
            assert_eq!(without_secrets(&shown), expected, "once more");
        }
    }
}
