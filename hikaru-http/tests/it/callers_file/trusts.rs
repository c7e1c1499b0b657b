//! What the file of callers may not say of trusts: for each thing where and why.

use hikaru_http::TrustedIssuer;

use super::{GITHUB, OWN, check, read, trust};

#[test]
fn a_trust_has_the_keys_of_its_kind() {
    let word = |key: &str, value: &str| format!("  {key}: {value}\n");
    let values = [
        ("ca", "ca.pem"),
        ("owners", "[1]"),
        ("events", "[push]"),
        ("claims", "{a: b}"),
        ("binding", "none"),
        ("commit", "any"),
        ("refs", "{refs/tags/v*: main}"),
        ("protected", "true"),
        ("serviceAccounts", "[shop/ci]"),
    ];
    for (kind, foreign) in [
        ("github", &["serviceAccounts"][..]),
        ("gitlab", &["serviceAccounts"]),
        ("forgejo", &["serviceAccounts"]),
        (
            "oidc",
            &[
                "owners",
                "events",
                "commit",
                "refs",
                "protected",
                "serviceAccounts",
            ],
        ),
    ] {
        for (key, value) in values {
            let text = trust(kind, OWN, &word(key, value));
            let told = read(&text)
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default();
            let is_foreign = told.contains(&format!(
                "line 7, column {}: expected of the keys of kind: {kind} alone ",
                key.len() + 5
            ));
            assert_eq!(is_foreign, foreign.contains(&key), "{text}\n{told}");
        }
    }
    let pods = "trusts:\n- name: ci\n  kind: kubernetes\n  audience: hikaru\n  rights: [upgrade]\n  serviceAccounts: [shop/ci]\n  identities: [a/b/c]\n";
    assert!(read(pods).is_ok());
    check(
        &pods.replace("hikaru", "https://kubernetes.default.svc"),
        (4, 13),
        "expected an audience of hikaru's own, such as hikaru-prod, found `https://kubernetes.default.svc`, which",
    );
    for (key, value) in &values[..8] {
        let why =
            format!("expected of the keys of kind: kubernetes alone serviceAccounts, found {key}");
        check(
            &format!("{pods}  {key}: {value}\n"),
            (8, key.len() as u64 + 5),
            &why,
        );
    }
    check(
        &format!("{pods}  issuer: {OWN}\n"),
        (8, 11),
        "expected of the keys of kind: kubernetes alone serviceAccounts, found issuer",
    );
    check(
        &pods.replace("  serviceAccounts: [shop/ci]\n", ""),
        (3, 9),
        "expected the key serviceAccounts beside kind: kubernetes, found none",
    );
    check(
        &pods.replace("  identities: [a/b/c]\n", ""),
        (3, 9),
        "expected the key identities beside kind: kubernetes: ",
    );
    check(
        &pods.replace("  audience: hikaru\n", ""),
        (6, 3),
        "expected the key audience in this entry, found none",
    );
    check(
        &pods.replace("[shop/ci]", "[]"),
        (6, 20),
        "expected at least one entry, found none",
    );
    for account in [
        "ci",
        "shop/*",
        "'*/ci'",
        "shop/",
        "/ci",
        "a/b/c",
        "Shop/ci",
        "system:serviceaccount:shop:ci",
    ] {
        let why = "expected the namespace and the name of a ServiceAccount, such as shop/ci: ";
        check(
            &pods.replace("[shop/ci]", &format!("[{account}]")),
            (6, 21),
            why,
        );
    }
    check(
        &pods.replace("[upgrade]", "[jobs]"),
        (5, 12),
        "expected the key namespaces beside the right jobs",
    );
    assert!(
        read(&format!(
            "{}  namespaces: [dev]\n",
            pods.replace("[upgrade]", "[jobs]")
        ))
        .is_ok()
    );
    for kind in ["GitHub", "gitea", "''", "jenkins"] {
        let text = trust(kind, OWN, "");
        check(
            &text,
            (3, 9),
            "expected a kind: github, gitlab, forgejo (of Gitea, too), kubernetes or oidc, found ",
        );
    }
}

#[test]
fn an_issuer_is_an_address() {
    for issuer in [
        OWN,
        "https://git.acme.example/",
        "https://git.acme.example:8443/_services/token",
        "https://127.0.0.1:1",
        "https://[::1]:1",
    ] {
        let set = read(&trust("github", issuer, "")).expect(issuer);
        let TrustedIssuer::Oidc(oidc) = &set.trusts[0].issuer else {
            panic!("{issuer}");
        };
        assert_eq!(&*oidc.issuer, issuer, "exactly as it is written");
    }
    for issuer in [
        "''",
        "git.acme.example",
        "http://git.acme.example",
        "HTTPS://git.acme.example",
        "https://",
        "https:///x",
        "https://a@git.acme.example",
        "https://git.acme.example?x=1",
        "https://git.acme.example/#x",
        "'https://git.acme.example '",
        "https://git.acme.example/a b",
        "ftp://x",
    ] {
        let why =
            "expected an issuer's address, https:// with a host, a port and a path at most, found ";
        check(&trust("github", issuer, ""), (6, 11), why);
    }
    let without = trust("github", OWN, "").replace(&format!("  issuer: {OWN}\n"), "");
    check(
        &without,
        (3, 9),
        "expected the key issuer beside kind: github, found none",
    );
    check(
        &trust("github", OWN, "  ca: gone.pem\n"),
        (7, 7),
        "gone.pem cannot be read: not found",
    );
    check(
        &trust("github", OWN, "  ca: key.pem\n"),
        (7, 7),
        "expected certificates as PEM, found none",
    );
    for audience in ["''", "'a b'", "ü", &"x".repeat(256)] {
        let text = trust("github", OWN, "").replace("hikaru-prod", audience);
        check(
            &text,
            (4, 13),
            "expected an audience of 1 to 255 visible ASCII characters, such as hikaru-prod, found ",
        );
    }
}

#[test]
fn an_issuer_that_signs_for_everybody_needs_owners() {
    for (kind, issuer) in [
        ("github", GITHUB),
        ("github", "https://token.actions.githubusercontent.com/acme"),
        ("github", "https://Token.Actions.GitHubUserContent.com"),
        ("gitlab", "https://gitlab.com"),
        ("gitlab", "https://gitlab.com:443/"),
        ("forgejo", "https://codeberg.org/api/actions"),
        ("forgejo", "https://gitea.com/api/actions"),
    ] {
        check(
            &trust(kind, issuer, ""),
            (6, 11),
            "expected the key owners, with the ids of those who may deploy: ",
        );
        let none = "  binding: none\n  identities: [a/b/c]\n";
        check(
            &trust(kind, issuer, none),
            (6, 11),
            "expected the key owners, ",
        );
        check(
            &trust(kind, issuer, "  owners: []\n"),
            (7, 11),
            "expected at least one entry, found none",
        );
        assert!(read(&trust(kind, issuer, "  owners: [1]\n")).is_ok());
        for other in ["github", "gitlab", "forgejo", "oidc"]
            .into_iter()
            .filter(|other| *other != kind)
        {
            let why = format!("expected kind: {kind} for this issuer, found kind: {other}");
            check(&trust(other, issuer, ""), (3, 9), &why);
        }
    }
    assert!(read(&trust("gitlab", "https://gitlab.com.acme.example", "")).is_ok());
    for owner in [
        "acme",
        "''",
        "'*'",
        "-1",
        "0",
        "01",
        "1_000",
        "1e3",
        "0x10",
        "1.0",
        "123456789012345678901",
        "١",
    ] {
        let why =
            "expected the id of an owner, a number, because a name can be registered again, found ";
        check(
            &trust("github", GITHUB, &format!("  owners: [7, {owner}]\n")),
            (7, 15),
            why,
        );
    }
}

#[test]
fn a_trust_of_any_issuer_is_narrowed_by_claims_and_identities() {
    let sound = "  claims: {a: b}\n  binding: none\n  identities: [a/b/c]\n";
    assert!(read(&trust("oidc", OWN, sound)).is_ok());
    for (left_out, at, why) in [
        (
            "  claims: {a: b}\n",
            (3, 9),
            "expected the key claims beside kind: oidc, found none",
        ),
        (
            "  binding: none\n",
            (3, 9),
            "expected the key binding: none beside kind: oidc, found none",
        ),
        (
            "  identities: [a/b/c]\n",
            (8, 12),
            "expected the key identities beside binding: none: ",
        ),
    ] {
        check(&trust("oidc", OWN, &sound.replace(left_out, "")), at, why);
    }
    for (claims, column, why) in [
        ("{}", 11, "expected at least one entry, found none"),
        ("[a]", 11, "expected keys with values"),
        (
            "{a: '*'}",
            15,
            "expected a value with more than `*` in it, found `*`",
        ),
        (
            "{a: '**'}",
            15,
            "expected a value with more than `*` in it, found `**`",
        ),
        (
            "{a: ''}",
            15,
            "expected a value with more than `*` in it, found the end",
        ),
        ("{a: }", 13, "expected a text, found nothing"),
        ("{a: [b]}", 15, "expected a text, found something else"),
        ("{'': b}", 12, "expected the name of a claim, found none"),
        (
            "{a: b, a: c}",
            18,
            "expected each key once, found `a` again",
        ),
        (
            "{aud: hikaru-prod}",
            12,
            "expected a claim that says whose run it is, found aud",
        ),
        (
            "{iss: x}",
            12,
            "expected a claim that says whose run it is, found iss",
        ),
    ] {
        check(
            &trust("oidc", OWN, &sound.replace("{a: b}", claims)),
            (7, column),
            why,
        );
    }
}

#[test]
fn claims_of_an_issuer_that_signs_for_everybody_say_whose_run_it_is() {
    let rest =
        |claims: &str| format!("  claims: {claims}\n  binding: none\n  identities: [a/b/c]\n");
    let (buildkite, circleci) = ("https://agent.buildkite.com", "https://oidc.circleci.com");
    for (issuer, claims) in [
        (
            buildkite,
            "{organization_slug: acme, pipeline_slug: 'shop-*'}",
        ),
        (buildkite, "{pipeline_id: 1-2}"),
        (circleci, "{oidc.circleci.com/project-id: 1-2}"),
        ("https://oidc.circleci.com/org/1-2", "{a: b}"),
        ("https://ci.example", "{a: b}"),
    ] {
        let text = trust("oidc", issuer, &rest(claims));
        assert!(read(&text).is_ok(), "{text}");
    }
    for (issuer, claims) in [
        (buildkite, "{build_branch: main}"),
        (buildkite, "{organization_slug: 'acme*'}"),
        (
            "https://agent.buildkite.com/org/1-2",
            "{build_branch: main}",
        ),
        ("https://AGENT.buildkite.com", "{build_branch: main}"),
        (circleci, "{oidc.circleci.com/vcs-ref: refs/heads/main}"),
    ] {
        check(
            &trust("oidc", issuer, &rest(claims)),
            (6, 11),
            "expected among the claims ",
        );
    }
}

#[test]
fn events_are_listed() {
    let events = |kind: &str, events: &str, more: &str| {
        trust(kind, OWN, &format!("  events: [{events}]\n{more}"))
    };
    for (kind, allowed) in [
        ("github", "push, workflow_dispatch, release, schedule"),
        ("forgejo", "push, workflow_dispatch, release, schedule"),
        ("gitlab", "push, web, schedule"),
    ] {
        assert!(read(&events(kind, allowed, "")).is_ok(), "{kind}");
        check(
            &events(kind, "", ""),
            (7, 11),
            "expected at least one entry, found none",
        );
        check(
            &events(kind, "push, tag", ""),
            (7, 18),
            "expected an event of push, ",
        );
        for never in ["pull_request_target", "workflow_run", "issue_comment"] {
            let why = format!(
                "expected no {never}: it runs with the rights of the repository on what others wrote"
            );
            check(
                &events(kind, never, "  identities: [a/b/c]\n"),
                (7, 12),
                &why,
            );
        }
    }
    for event in ["merge_request_event", "api", "trigger", "pull_request"] {
        check(
            &events("gitlab", event, "  identities: [a/b/c]\n"),
            (7, 12),
            "expected an event of push, web, schedule, found ",
        );
    }
    for kind in ["github", "forgejo"] {
        let why = "expected the key identities without `*` beside the event pull_request: ";
        check(&events(kind, "pull_request", ""), (7, 12), why);
        check(
            &events(kind, "pull_request", "  identities: [a/b/c, a/b/*]\n"),
            (7, 12),
            why,
        );
        let named = "  identities: [a/b/c, a/b/d]\n";
        assert!(read(&events(kind, "pull_request", named)).is_ok());
        let why = "expected the event pull_request in a trust of its own: ";
        for (together, column) in [
            ("push, pull_request", 18),
            ("pull_request, workflow_dispatch", 12),
        ] {
            check(&events(kind, together, named), (7, column), why);
        }
    }
}

#[test]
fn a_binding_is_the_tokens_own_or_none() {
    for (more, at, why) in [
        (
            "  binding: None\n",
            (7, 12),
            "expected none or no such key, found `None`",
        ),
        (
            "  binding: own\n",
            (7, 12),
            "expected none or no such key, found `own`",
        ),
        (
            "  binding: none\n",
            (7, 12),
            "expected the key identities beside binding: none: nothing else says what it may deploy",
        ),
        (
            "  commit: none\n",
            (7, 11),
            "expected any or no such key, found `none`",
        ),
        (
            "  binding: none\n  commit: any\n  identities: [a/b/c]\n",
            (8, 11),
            "expected no commit beside binding: none, which compares no commit",
        ),
        (
            "  binding: none\n  refs: {refs/tags/v: main}\n  identities: [a/b/c]\n",
            (8, 9),
            "expected no refs beside binding: none, which compares no refs",
        ),
        (
            "  protected: yes\n",
            (7, 14),
            "expected true or false, found something else",
        ),
        (
            "  protected: 1\n",
            (7, 14),
            "expected true or false, found something else",
        ),
        (
            "  refs: {}\n",
            (7, 9),
            "expected at least one entry, found none",
        ),
        (
            "  refs: {refs/tags/v*: ''}\n",
            (7, 24),
            "expected a branch, such as main, found none",
        ),
        (
            "  refs: {refs/heads/*: main}\n",
            (7, 10),
            "expected a pattern on tags, such as refs/tags/v*, found `refs/heads/*`",
        ),
        (
            "  refs: {'*': main}\n",
            (7, 10),
            "expected a pattern on tags",
        ),
        (
            "  refs: {refs/pull/*: main}\n",
            (7, 10),
            "expected a pattern on tags",
        ),
    ] {
        check(&trust("github", OWN, more), at, why);
    }
    let jobs = trust("github", OWN, "").replace("[upgrade]", "[upgrade, jobs]");
    check(
        &jobs,
        (5, 21),
        "expected the key namespaces beside the right jobs",
    );
    assert!(read(&format!("{jobs}  namespaces: [dev]\n")).is_ok());
}
