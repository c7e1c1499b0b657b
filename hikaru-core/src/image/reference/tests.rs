//! Tables on image references: how they are normalized, and where reading one stops.

use super::*;

/// `registry path tag digest`, `-` for none; or the error's text.
#[track_caller]
fn check(text: &str, expected: &str) {
    let found = match Reference::parse(text) {
        Ok(r) => format!(
            "{} {} {} {}",
            r.repository().registry(),
            r.repository().path(),
            r.tag().unwrap_or("-"),
            r.digest().unwrap_or("-")
        ),
        Err(error) => error.to_string(),
    };
    assert_eq!(found, expected, "{text}");
}

#[test]
fn docker_normalization() {
    check("web", "docker.io library/web - -");
    check("web:1", "docker.io library/web 1 -");
    check("docker.io/web", "docker.io library/web - -");
    check("index.docker.io/library/web", "docker.io library/web - -");
    check("acme/web:1", "docker.io acme/web 1 -");
    check("localhost/web", "localhost web - -");
    check("localhost:5000", "docker.io library/localhost 5000 -");
    check("test.com:5000", "docker.io library/test.com 5000 -");
    check("host:5000/a/b/c:t", "host:5000 a/b/c t -");
    check("Host/web", "Host web - -");
    check("[2001:db8::1]:5000/web:t", "[2001:db8::1]:5000 web t -");
    check("docker.io/library/a/b", "docker.io library/a/b - -");
    check("a__b/c--d.e_f", "docker.io a__b/c--d.e_f - -");
}

#[test]
fn tag_and_digest_stand_together() {
    let hex = "0123456789abcdef".repeat(4);
    check(
        &format!("web:1@sha256:{hex}"),
        &format!("docker.io library/web 1 sha256:{hex}"),
    );
}

#[test]
fn what_is_no_reference_says_where() {
    check("", "expected an image reference, found an empty text");
    check(
        "web:é",
        "expected a letter, digit or `_` first in the tag, found `é` at byte 4",
    );
    check(
        "web:",
        "expected a letter, digit or `_` first in the tag, found the end at byte 4",
    );
    check(
        "Web",
        "expected a lower-case letter or digit in the repository's path, found `Web` at byte 0",
    );
    check(
        "a@b@c",
        "expected at most one `@`, found a second one at byte 3",
    );
    check(
        "web@sha256:ABC",
        "expected 64 lower-case hex characters after `sha256:`, found `ABC` at byte 11",
    );
    check(
        "web@md5:aa",
        "expected a digest `sha256:…`, `sha384:…` or `sha512:…` after `@`, found `md5:aa` at byte 4",
    );
    check(
        "host:80a/web",
        "expected digits in the port, found `a/web` at byte 7",
    );
    check(
        "host:/web",
        "expected a port after `:`, found `/web` at byte 5",
    );
    check(
        "[::g]/web",
        "expected an IPv6 address as the registry's host, found `g]/web` at byte 3",
    );
    check(
        "a.bc-.d/web",
        "expected a letter or digit at the end of a part of the registry's host, found `-.d/web` at byte 4",
    );
    // What has a capital before the first slash is a registry, be it ASCII or not.
    check(
        "É/web",
        "expected letters, digits, `-` or `.` in the registry's host, found `É/web` at byte 0",
    );
    check(
        "é/web",
        "expected a lower-case letter or digit in the repository's path, found `é/web` at byte 0",
    );
    check(
        "x/a..b",
        "expected a lower-case letter or digit in the repository's path, found `.b` at byte 4",
    );
    check(
        "a//b",
        "expected a lower-case letter or digit in the repository's path, found `/b` at byte 2",
    );
    check(
        &"a".repeat(5000),
        "expected a repository path of at most 255 bytes, found 5008",
    );
    check(
        &format!("a:{}", "b".repeat(129)),
        "expected a tag of at most 128 bytes, found 129",
    );
    check(
        &"0a".repeat(32),
        "expected a repository name, found 64 hex characters, which could be an image ID",
    );
}

#[test]
fn the_longest_path_counts_library() {
    let name = "a".repeat(MAX_PATH - LIBRARY.len());
    assert!(Reference::parse(&name).is_ok());
    assert!(Reference::parse(&format!("{name}a")).is_err());
    assert!(Reference::parse(&format!("host:1/{}", "a".repeat(MAX_PATH))).is_ok());
}
