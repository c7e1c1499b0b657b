//! What has to hold of every file of callers: it is read, or refused with its place; and what is read admits nobody whom its rules do
//! not let it admit. The rules are written down here a second time.

use std::collections::HashSet;

use hikaru_http::{BindingRule, CallerSet, CallersFileError, Ci, OidcTrust, Trust, TrustedIssuer};

/// More bytes than any error is long.
const LONGEST_ERROR: usize = 1500;

/// Certificates, as far as they are looked at here.
const PEM: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

/// Hosts that sign tokens for everybody, with the CI that they are.
const PUBLIC: [(&str, Ci); 4] = [
    ("token.actions.githubusercontent.com", Ci::GitHub),
    ("gitlab.com", Ci::GitLab),
    ("codeberg.org", Ci::Forgejo),
    ("gitea.com", Ci::Forgejo),
];

/// A file of callers, in UTF-8.
pub fn callers(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let read = CallerSet::from_yaml(text, &mut |path| match path {
        "gone" => Err("gone cannot be read".to_owned()),
        "none" => Ok(String::new()),
        _ => Ok(PEM.to_owned()),
    });
    match read {
        Ok(set) => sound(&set),
        Err(error) => placed(text, &error),
    }
}

fn placed(text: &str, error: &CallersFileError) {
    let shown = error.to_string();
    assert!(shown.len() <= LONGEST_ERROR, "{shown}");
    assert!(!shown.contains(char::is_control), "{shown:?}");
    if let CallersFileError::At { line, column, .. } = error {
        // YAML ends a line by a carriage return, too.
        let ends = text.matches(['\n', '\r']).count();
        let last = u64::try_from(ends).unwrap_or(u64::MAX).saturating_add(1);
        assert!((1..=last).contains(line) && *column >= 1, "{shown}");
    }
}

fn sound(set: &CallerSet) {
    assert!(!set.callers.is_empty() || !set.trusts.is_empty());
    let callers = set.callers.iter().map(|known| &known.caller.name);
    let names: Vec<_> = callers
        .chain(set.trusts.iter().map(|trust| &trust.name))
        .collect();
    let unique: HashSet<_> = names.iter().collect();
    assert_eq!(unique.len(), names.len(), "{names:?}");
    for name in names {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        assert!(
            (1..=63).contains(&name.len()) && name.bytes().all(fits),
            "{name:?}"
        );
    }
    for (at, known) in set.callers.iter().enumerate() {
        let others = &set.callers[..at];
        assert!(
            others.iter().all(|other| other.token != known.token),
            "{known:?}"
        );
        assert!(known.caller.binding.is_none() && known.caller.issued.is_none());
    }
    set.trusts.iter().for_each(trust);
}

fn trust(trust: &Trust) {
    let TrustedIssuer::Oidc(oidc) = &trust.issuer else {
        let TrustedIssuer::Kubernetes(kubernetes) = &trust.issuer else {
            panic!("{trust:?}");
        };
        assert!(
            !kubernetes.audience.is_empty() && !trust.identities.is_empty(),
            "{trust:?}"
        );
        assert!(!kubernetes.service_accounts.is_empty(), "{trust:?}");
        for account in &kubernetes.service_accounts {
            let parts = account.split('/').collect::<Vec<_>>();
            assert!(parts.len() == 2 && !account.contains('*'), "{account:?}");
        }
        return;
    };
    assert!(!oidc.audience.is_empty(), "{trust:?}");
    let is_bound = matches!(oidc.binding, BindingRule::Own { .. });
    assert!(is_bound || !trust.identities.is_empty(), "{trust:?}");
    issuer(oidc);
    events(trust, oidc);
    if oidc.ci == Ci::Other {
        assert!(!is_bound && !oidc.claims.is_empty(), "{trust:?}");
    }
    for (claim, pattern) in &oidc.claims {
        assert!(!pattern.matches(""), "{claim:?} {pattern}");
    }
}

fn issuer(oidc: &OidcTrust) {
    let rest = oidc.issuer.strip_prefix("https://").expect("https");
    let host = rest.split(['/', ':']).next().unwrap_or_default();
    assert!(
        !host.is_empty() && !rest.contains(['@', '?', '#', ' ']),
        "{oidc:?}"
    );
    let public = PUBLIC
        .iter()
        .find(|(known, _)| host.eq_ignore_ascii_case(known));
    if let Some((_, ci)) = public {
        assert!(oidc.ci == *ci && !oidc.owners.is_empty(), "{oidc:?}");
    }
    for owner in &oidc.owners {
        assert!(owner.parse::<u128>().is_ok_and(|id| id > 0), "{owner:?}");
    }
}

fn events(trust: &Trust, oidc: &OidcTrust) {
    let known: &[&str] = match oidc.ci {
        Ci::GitHub | Ci::Forgejo => &[
            "push",
            "workflow_dispatch",
            "release",
            "schedule",
            "pull_request",
        ],
        Ci::GitLab => &["push", "web", "schedule"],
        Ci::Other => &[],
    };
    assert_eq!(known.is_empty(), oidc.events.is_empty(), "{trust:?}");
    let is_named =
        !trust.identities.is_empty() && trust.identities.iter().all(|one| one.is_literal());
    for event in &oidc.events {
        assert!(known.contains(&&**event), "{event:?}");
        assert!(is_named || &**event != "pull_request", "{trust:?}");
    }
}
