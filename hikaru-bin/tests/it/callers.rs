//! The page *Who may deploy*, docs/callers.md: what it shows is read as hikaru reads it.

use hikaru_core::caller::Right;
use hikaru_http::CallerSet;

const DOCUMENT: &str = include_str!("../../../docs/callers.md");

/// Files of callers begin with one of their two keys, other files with a comment that says what they are.
#[test]
fn each_file_of_callers_in_the_document_is_one() {
    let blocks = DOCUMENT.split("```yaml\n").skip(1);
    let blocks = blocks.map(|rest| rest.split("\n```").next().unwrap_or_default());
    let (mut files, mut others) = (0, Vec::new());
    for block in blocks {
        if let Some(comment) = block.strip_prefix("# ") {
            others.push(comment.lines().next().unwrap_or_default());
            continue;
        }
        files += 1;
        let certificates = &mut |path: &str| match path {
            "git.example.com.pem" => Ok(certificate()),
            other => Err(format!("{other} is not there")),
        };
        let read = CallerSet::from_yaml(block, certificates);
        read.unwrap_or_else(|error| panic!("{error}\n{block}"));
        // So no part of an entry is one.
        for entry in block.split("  - name: ").skip(1) {
            let is_key = |line: &&str| line.starts_with("    ") && !line.starts_with("     ");
            let last = entry.lines().rfind(is_key);
            let is_last = last.is_some_and(|line| line.starts_with("    rights: ["));
            assert!(is_last, "expected rights last:\n{entry}");
        }
    }
    assert_eq!(files, 7, "a file was added or left out");
    let expected = [
        ".github/workflows/deploy.yml",
        ".gitlab-ci.yml",
        "a pod",
        "kustomization.yaml",
    ];
    assert_eq!(others, expected);
}

fn certificate() -> String {
    let made = rcgen::generate_simple_self_signed(["git.example.com".to_owned()]);
    made.expect("a certificate").cert.pem()
}

#[test]
fn the_document_names_the_issuers_that_sign_for_everybody() {
    let (_, section) = DOCUMENT
        .split_once("\n### Issuers that sign for everybody\n")
        .expect("a section");
    let (section, _) = section.split_once("\n## ").expect("its end");
    for (host, kind) in [
        ("token.actions.githubusercontent.com", "github"),
        ("gitlab.com", "gitlab"),
        ("codeberg.org", "forgejo"),
        ("gitea.com", "forgejo"),
        ("agent.buildkite.com", "oidc"),
        ("oidc.circleci.com", "oidc"),
    ] {
        assert!(section.contains(&format!("`{host}`")), "{host}");
        let more = match kind {
            "oidc" => "  claims: {a: b}\n  binding: none\n  identities: [a/b/c]\n",
            _ => "",
        };
        let file = format!(
            "trusts:\n- name: ci\n  kind: {kind}\n  issuer: https://{host}\n  audience: h\n{more}  rights: [upgrade]\n"
        );
        let read = CallerSet::from_yaml(&file, &mut |_| Ok(String::new()));
        let error = read.expect_err(host).to_string();
        assert!(error.contains("for everybody who registers"), "{error}");
    }
}

/// The keys that an error names, in the order of the error.
fn keys(file: &str) -> Vec<String> {
    let error = CallerSet::from_yaml(file, &mut |_| Ok(String::new())).expect_err("an unknown key");
    let text = error.to_string();
    let (_, keys) = text.split_once("expected one of the keys ").expect("keys");
    let (keys, _) = keys.split_once(", found").expect("what was found");
    keys.split(", ").map(str::to_owned).collect()
}

#[test]
fn the_document_has_a_row_for_each_key_and_each_right() {
    let rows: Vec<&str> = DOCUMENT
        .lines()
        .filter_map(|line| line.strip_prefix("| "))
        .collect();
    let has_row = |word: &str| {
        let word = format!("`{word}`");
        rows.iter()
            .any(|row| row.split(" | ").next().unwrap_or_default().contains(&word))
    };
    let of_callers = keys("callers:\n- x: 1\n");
    let of_trusts = keys("trusts:\n- x: 1\n");
    assert!(
        of_callers.len() > 5 && of_trusts.len() > 15,
        "{of_callers:?} {of_trusts:?}"
    );
    let rights = Right::ALL.map(|right| right.as_str().to_owned());
    for word in [of_callers, of_trusts, rights.to_vec()].concat() {
        assert!(has_row(&word), "docs/callers.md lacks a row for {word}");
    }
}
