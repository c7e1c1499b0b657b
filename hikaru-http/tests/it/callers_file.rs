//! The file of callers: what it says, and for each thing that it may not say, where and why. How callers are recognized by it is in
//! `callers`.

mod part;
mod trusts;

use std::time::{Duration, SystemTime};

use hikaru_core::{
    caller::{Right, Rights},
    policy::Code,
};
use hikaru_http::{BindingRule, CallerSet, CallersFileError, Ci, MAX_CALLERS_FILE, TrustedIssuer};

/// Of `a-token-of-a-test`, and another one, of digits alone.
const HASH: &str = "62f3158bcd585c618d8131325fd1b5580efc023a2ba30d38d243b9fad92cb05f";
const OTHER: &str = "0000000000000000000000000000000000000000000000000000000000000001";

/// What is in it is looked at only when it is used.
const PEM: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

fn read(text: &str) -> Result<CallerSet, CallersFileError> {
    CallerSet::from_yaml(text, &mut |path| match path {
        "ca.pem" => Ok(PEM.to_owned()),
        "key.pem" => Ok(PEM.replace("CERTIFICATE", "PRIVATE KEY")),
        _ => Err(format!("{path} cannot be read: not found")),
    })
}

/// Checks that a file is refused: `at` is its line and column, `why` the beginning of the reason.
#[track_caller]
fn check(text: &str, (line, column): (u64, u64), why: &str) {
    let shown: String = text.chars().take(1000).collect();
    let error = read(text).expect_err(&shown).to_string();
    let expected = format!("line {line}, column {column}: {why}");
    assert!(error.starts_with(&expected), "{shown}\n{error}\n{expected}");
    assert!(error.len() < 500 && !error.contains('\n'), "{error}");
}

/// A file with one caller that has these lines more.
fn caller(more: &str) -> String {
    format!("callers:\n- name: ci\n  tokenSha256: {HASH}\n{more}")
}

/// A file with one trust of a kind, with its issuer and these lines more, from line 7 on.
fn trust(kind: &str, issuer: &str, more: &str) -> String {
    format!(
        "trusts:\n- name: ci\n  kind: {kind}\n  audience: hikaru-prod\n  rights: [upgrade]\n  issuer: {issuer}\n{more}"
    )
}

const GITHUB: &str = "https://token.actions.githubusercontent.com";
const OWN: &str = "https://git.acme.example";

#[test]
fn a_file_says_who_may_do_what() {
    let set = read(&format!(
        "\
# The file of the issue.
callers:
  - name: shop-ci
    tokenSha256: {HASH}
    rights: [read, upgrade, 'force:held']
    identities: [acme/shop/*]
    namespaces: [dev, staging]
    expires: 2027-06-30
  - name: prometheus
    tokenSha256: \"{}\"
    rights:
    - metrics
trusts:
  - name: github
    kind: github
    issuer: {GITHUB}
    audience: hikaru-prod
    owners: [1234567, '89']
    events: [push, workflow_dispatch]
    rights: [upgrade]
    refs: {{refs/tags/v*: main, refs/tags/*: dev}}
    commit: any
    protected: true
  - name: buildkite
    kind: oidc
    issuer: https://agent.buildkite.com
    audience: hikaru-prod
    claims: {{organization_slug: acme, pipeline_slug: \"shop-*\"}}
    binding: none
    identities: [acme/shop/*]
    rights: [upgrade]
  - name: own
    kind: gitlab
    issuer: {OWN}/
    ca: ca.pem
    audience: hikaru-prod
    rights: [upgrade, jobs]
    namespaces: [dev]
  - name: pods
    kind: kubernetes
    audience: hikaru
    serviceAccounts: [shop/ci]
    identities: [acme/shop/main]
    rights: [upgrade]
",
        OTHER.to_uppercase()
    ))
    .expect("a file");
    let [shop, prometheus] = &set.callers[..] else {
        panic!("{:?}", set.callers);
    };
    assert_eq!(
        (&*shop.caller.name, &*prometheus.caller.name),
        ("shop-ci", "prometheus")
    );
    let rights = shop.caller.rights;
    assert!(rights.has(Right::Read) && rights.has(Right::Upgrade) && !rights.has(Right::Jobs));
    assert!(rights.force().codes().eq([Code::Held]));
    assert_eq!(shop.caller.identities[0].to_string(), "acme/shop/*");
    assert_eq!(shop.caller.namespaces, ["dev".into(), "staging".into()]);
    assert!(prometheus.caller.sees_all() && prometheus.expires.is_none());
    assert!(!prometheus.caller.rights.has(Right::Read));
    assert!(shop.token != prometheus.token);

    let oidc: Vec<_> = set
        .trusts
        .iter()
        .filter_map(|trust| match &trust.issuer {
            TrustedIssuer::Oidc(oidc) => Some(oidc),
            _ => None,
        })
        .collect();
    let [github, buildkite, own] = &oidc[..] else {
        panic!("{oidc:?}");
    };
    assert_eq!(
        (github.ci, &*github.issuer, &*github.audience),
        (Ci::GitHub, GITHUB, "hikaru-prod")
    );
    assert_eq!(github.owners, ["1234567".into(), "89".into()]);
    assert_eq!(github.events, ["push".into(), "workflow_dispatch".into()]);
    assert!(github.is_protected && github.ca.is_none());
    let BindingRule::Own { any_commit, refs } = &github.binding else {
        panic!("{:?}", github.binding);
    };
    let refs: Vec<String> = refs
        .iter()
        .map(|(one, branch)| format!("{one} {branch}"))
        .collect();
    assert_eq!(
        (*any_commit, &refs[..]),
        (
            true,
            &["refs/tags/v* main".to_owned(), "refs/tags/* dev".to_owned()][..]
        )
    );
    assert_eq!((buildkite.ci, buildkite.claims.len()), (Ci::Other, 2));
    assert!(matches!(buildkite.binding, BindingRule::None) && buildkite.events.is_empty());
    assert_eq!(
        (own.ci, &*own.issuer),
        (Ci::GitLab, "https://git.acme.example/")
    );
    assert_eq!(own.events, ["push".into()], "the default");
    assert!(matches!(
        own.binding,
        BindingRule::Own {
            any_commit: false,
            ..
        }
    ));
    assert!(own.ca.is_some() && !own.is_protected);
    let TrustedIssuer::Kubernetes(pods) = &set.trusts[3].issuer else {
        panic!("{:?}", set.trusts[3]);
    };
    assert_eq!(
        (&*pods.audience, &pods.service_accounts[..]),
        ("hikaru", &["shop/ci".into()][..])
    );
}

#[test]
fn the_shape_of_the_file() {
    for empty in [
        "",
        "# nobody\n",
        "callers: []\n",
        "callers: []\ntrusts: []\n",
    ] {
        assert_eq!(
            read(empty).err(),
            Some(CallersFileError::Empty),
            "{empty:?}"
        );
    }
    let rights = "  rights: [read]\n";
    let sound = caller(rights);
    assert!(read(&sound).is_ok() && read(&format!("\u{feff}{sound}")).is_ok());
    assert!(read(&sound.replace('\n', "\r\n")).is_ok());
    for (text, at, why) in [
        (
            "caller: []\n".into(),
            (1, 1),
            "expected one of the keys callers, trusts, found `caller`",
        ),
        (
            "- name: ci\n".into(),
            (1, 1),
            "expected keys with values, such as `name: ci`, found something else",
        ),
        ("~\n".into(), (1, 1), "expected keys with values"),
        (
            "callers:\n".into(),
            (1, 8),
            "expected a list, such as [read, upgrade], found something else",
        ),
        ("callers: {}\n".into(), (1, 10), "expected a list"),
        (
            "callers:\n- ci\n".into(),
            (2, 3),
            "expected keys with values",
        ),
        (
            "callers:\n- name: [ci]\n".into(),
            (2, 9),
            "expected a text, found something else",
        ),
        (
            "callers:\n- name:\n".into(),
            (2, 7),
            "expected a text, found nothing",
        ),
        (
            "callers:\n- name: ci\n  name: ci\n".into(),
            (3, 3),
            "expected each key once, found `name` again",
        ),
        (
            "callers:\n- name: ci\n".into(),
            (2, 3),
            "expected the key tokenSha256 in this entry, found none",
        ),
        (
            caller(""),
            (3, 3),
            "expected the key rights in this entry, found none",
        ),
        (
            caller("  rights: read\n"),
            (4, 11),
            "expected a list, such as [read, upgrade], found something else",
        ),
        (caller("  rights:\n"), (4, 9), "expected a list"),
        (
            caller("  rights: [read\n"),
            (4, 11),
            "expected YAML, found: ",
        ),
        (
            format!("{sound}  role: admin\n"),
            (5, 3),
            "expected one of the keys name, tokenSha256, rights, identities, namespaces, expires, found `role`",
        ),
        (
            format!("{sound}  rôle\u{1b}[2J: admin\n"),
            (5, 3),
            "expected YAML, found: ",
        ),
        (
            format!("{sound}  \"r\\e[2J\": admin\n"),
            (5, 3),
            "expected one of the keys name, tokenSha256, rights, identities, namespaces, expires, found `r\\u{1b}[2J`",
        ),
        (
            format!("{sound}\tidentities: [a/b/c]\n"),
            (5, 2),
            "expected YAML, found: ",
        ),
        (
            format!("{sound}---\n{sound}"),
            (5, 1),
            "expected one document, found another",
        ),
        (
            format!("{sound}...\nidentities: [\n"),
            (6, 1),
            "expected one document, found another",
        ),
        (
            format!("{sound}  !x identities: [a/b/c]\n"),
            (5, 6),
            "expected YAML, found: ",
        ),
        (
            format!("{sound}  identities: !x [a/b/c]\n"),
            (5, 18),
            "expected YAML, found: ",
        ),
        (
            "trusts:\n- name: ci\n".into(),
            (2, 3),
            "expected the key kind in this entry, found none",
        ),
    ] {
        check(&text, at, why);
    }
    // What a secret could be is not quoted.
    let error = read("callers:\n- name: ci\n  token: hikaru_s3cret\n").expect_err("an unknown key");
    assert!(!error.to_string().contains("s3cret"), "{error}");
}

#[test]
fn nothing_is_expanded() {
    let why = "expected no anchors, aliases and merged keys: each entry says itself what it allows";
    check(&caller("  rights: &all [read]\n"), (4, 16), why);
    check(&caller("  rights: *all\n"), (4, 11), why);
    check(&caller("  <<: {rights: [read]}\n"), (4, 3), why);
    let bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n";
    check(
        bomb,
        (1, 1),
        "expected one of the keys callers, trusts, found `a`",
    );
    check(
        &caller(&format!(
            "  rights: {}x{}\n",
            "[".repeat(9000),
            "]".repeat(9000)
        )),
        (4, 19),
        "expected YAML, found: recursion limit exceeded",
    );
    check(
        &format!("callers:\n{}", "- ".repeat(9000)),
        (2, 3),
        "expected ",
    );
}

#[test]
fn a_file_has_a_length() {
    let text = |length| {
        let sound = caller("  rights: [read]\n");
        let padding = length - sound.len() - 2;
        format!("{sound}#{}\n", "x".repeat(padding))
    };
    assert!(read(&text(MAX_CALLERS_FILE)).is_ok());
    let refused = read(&text(MAX_CALLERS_FILE + 1)).err();
    assert_eq!(
        refused,
        Some(CallersFileError::TooLong(MAX_CALLERS_FILE + 1))
    );
}

#[test]
fn names_and_hashes_are_of_one_entry() {
    let one = |name: &str, hash: &str| {
        format!("- name: {name}\n  tokenSha256: {hash}\n  rights: [read]\n")
    };
    let two = |a: &str, b: &str| format!("callers:\n{a}{b}");
    assert!(read(&two(&one("a", HASH), &one("A", OTHER))).is_ok());
    check(
        &two(&one("a", HASH), &one("a", OTHER)),
        (5, 9),
        "expected the name of no other entry, found that of line 2",
    );
    let folded = HASH.to_uppercase();
    check(
        &two(&one("a", HASH), &one("b", &folded)),
        (6, 16),
        "expected the hash of no other entry, found that of line 3",
    );
    let trusts = trust("github", OWN, "");
    check(
        &format!("{trusts}callers:\n{}", one("ci", HASH)),
        (2, 9),
        "expected the name of no other entry, found that of line 8",
    );
    let again = trusts.replace("trusts:\n", "");
    check(
        &format!("{trusts}{again}"),
        (7, 9),
        "expected the name of no other entry, found that of line 2",
    );
}

#[test]
fn a_caller() {
    for name in ["a", "A-1._", "7", "true", &"x".repeat(63)] {
        let text = caller("  rights: [read]\n").replace("name: ci", &format!("name: {name}"));
        assert!(read(&text).is_ok(), "{name}");
    }
    for name in [
        "''",
        "a b",
        "token 1",
        "a/b",
        "ü",
        "\"a\\nb\"",
        &"x".repeat(64),
    ] {
        let text = caller("  rights: [read]\n").replace("name: ci", &format!("name: {name}"));
        check(
            &text,
            (2, 9),
            "expected a name of 1 to 63 letters, digits, `-`, `.` and `_`, found ",
        );
    }
    let hash_of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    for (hash, why) in [
        (
            "''",
            "expected the SHA-256 of a token, 64 hexadecimal digits, found 0 characters",
        ),
        (
            "hikaru_s3cret-of-a-caller",
            "expected the SHA-256 of a token, 64 hexadecimal digits, found 25 characters",
        ),
        (
            &HASH[1..],
            "expected the SHA-256 of a token, 64 hexadecimal digits, found 63 characters",
        ),
        (
            &HASH.replace('a', "g"),
            "expected the SHA-256 of a token, 64 hexadecimal digits, found 64 characters, not all of them",
        ),
        (
            &HASH.replacen("62", "é", 1),
            "expected the SHA-256 of a token, 64 hexadecimal digits, found 63 characters, not all of them",
        ),
        (
            hash_of_nothing,
            "expected the SHA-256 of a token, found that of an empty text",
        ),
    ] {
        let text = caller("  rights: [read]\n").replace(HASH, hash);
        check(&text, (3, 16), why);
        let error = read(&text).expect_err(hash).to_string();
        assert!(
            !error.contains("s3cret"),
            "it may be the token itself: {error}"
        );
    }
    // All digits: YAML knows it as a number.
    assert!(read(&caller("  rights: [read]\n").replace(HASH, OTHER)).is_ok());
    for (more, at, why) in [
        (
            "  rights: []\n",
            (4, 11),
            "expected at least one entry, found none",
        ),
        (
            "  rights: [read, deploy]\n",
            (4, 18),
            "expected metrics, read, upgrade, force, force:CODE, jobs, logs or hold, found `deploy`",
        ),
        (
            "  rights: [read, 'force:equal']\n",
            (4, 18),
            "expected metrics, read, ",
        ),
        (
            "  rights: [read]\n  identities: []\n",
            (5, 15),
            "expected at least one entry, found none",
        ),
        (
            "  rights: [read]\n  identities:\n",
            (5, 13),
            "expected a list",
        ),
        (
            "  rights: [read]\n  identities: ~\n",
            (5, 15),
            "expected a list",
        ),
        (
            "  rights: [read]\n  identities: acme/shop/*\n",
            (5, 15),
            "expected a list",
        ),
        (
            "  rights: [read]\n  identities: [acme/shop]\n",
            (5, 16),
            "expected owner/repo/branch of letters, ",
        ),
        (
            "  rights: [read]\n  namespaces: []\n",
            (5, 15),
            "expected at least one entry, found none",
        ),
        (
            "  rights: [read]\n  namespaces:\n",
            (5, 13),
            "expected a list",
        ),
        (
            "  rights: [read]\n  namespaces: [dev, '*']\n",
            (5, 21),
            "expected a namespace of lower-case letters, ",
        ),
        (
            "  rights: [read, jobs]\n  identities: [a/b/c]\n",
            (4, 18),
            "expected the key namespaces beside the right jobs: ",
        ),
        (
            "  rights: [read]\n  expires:\n",
            (5, 10),
            "expected a text, found nothing",
        ),
    ] {
        check(&caller(more), at, why);
    }
    for more in [
        "  rights: [jobs]\n",
        "  rights: [jobs, logs]\n  namespaces: [dev]\n",
        "  rights: [jobs, read]\n  namespaces: [dev]\n  identities: [a/b/c]\n",
        "  rights: [read, logs]\n  identities: [a/b/c]\n",
        "  rights: [metrics, read, upgrade, force, jobs, logs, hold]\n",
    ] {
        assert!(read(&caller(more)).is_ok(), "{more}");
    }
    let set = read(&caller("  rights: [read, force]\n")).expect("a caller");
    assert_eq!(set.callers[0].caller.rights.force(), Rights::ALL.force());
}

#[test]
fn a_caller_expires() {
    let end = |text: &str| {
        let set = read(&caller(&format!("  rights: [read]\n  expires: {text}\n")));
        let end = set.map(|set| set.callers[0].expires.expect("an end"));
        end.map(|end| {
            end.duration_since(SystemTime::UNIX_EPOCH)
                .expect("later")
                .as_secs()
        })
    };
    for (text, expected) in [
        ("2027-06-30", 1_814_400_000),
        ("'2027-06-30'", 1_814_400_000),
        ("2027-06-30T00:00:00Z", 1_814_313_600),
        ("2027-06-30T02:00:00+02:00", 1_814_313_600),
        ("2020-02-29", 1_583_020_800), // it is over, and loads
        ("1970-01-01", Duration::from_secs(86_400).as_secs()),
    ] {
        assert_eq!(end(text), Ok(expected), "{text}");
    }
    for text in [
        "''",
        "tomorrow",
        "2027",
        "20270630",
        "2027-6-30",
        "2027-02-30",
        "30.06.2027",
        "2027-06-30T12:00:00",
        "2027-06-30 12:00",
        "1814400000",
        "1969-12-30",
        "-002027-06-30",
        "9999-12-31",
        "P1Y",
        "never",
    ] {
        let why = "expected a day such as 2027-06-30, to its end in UTC, or a time such as 2027-06-30T12:00:00Z, found ";
        check(
            &caller(&format!("  rights: [read]\n  expires: {text}\n")),
            (5, 12),
            why,
        );
    }
}
