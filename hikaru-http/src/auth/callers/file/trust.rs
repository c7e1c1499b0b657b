//! One entry of `trusts`: which keys each kind has, and what they may say, so that no trust admits more than its words promise. What a
//! token has to say for it is checked in `oidc` and `kubernetes`.

use hikaru_core::{Text, caller::Glob, jobs::JobName, text::Excerpt};
use hyper::Uri;

use super::{
    caller::{self, check_no_jobs, each},
    error::{CallersFileError, at, refused},
    shape::{Pairs, TrustEntry, Word},
};
use crate::auth::{
    BindingRule, Ci, KubernetesTrust, Oidc, OidcTrust, Trust, TrustedIssuer, trust::NEVER,
};

/// What is expected of the entries of one kind.
struct Kind {
    word: &'static str,
    /// `None`: the cluster itself, for its ServiceAccounts.
    ci: Option<Ci>,
    /// Its keys, beside those that every kind has.
    keys: &'static [&'static str],
    /// The events that it can be opened for.
    events: &'static [&'static str],
    /// Hosts that sign tokens for everybody who registers there.
    public: &'static [&'static str],
}

const OF_CI: &[&str] = &[
    "issuer",
    "ca",
    "owners",
    "events",
    "claims",
    "binding",
    "commit",
    "refs",
    "protected",
];
const OF_GITHUB: &[&str] = &[
    "push",
    "workflow_dispatch",
    "release",
    "schedule",
    PULL_REQUEST,
];
const PULL_REQUEST: &str = "pull_request";

const KINDS: [Kind; 5] = [
    Kind {
        word: "github",
        ci: Some(Ci::GitHub),
        keys: OF_CI,
        events: OF_GITHUB,
        public: &["token.actions.githubusercontent.com"],
    },
    Kind {
        word: "gitlab",
        ci: Some(Ci::GitLab),
        keys: OF_CI,
        events: &["push", "web", "schedule"],
        public: &["gitlab.com"],
    },
    Kind {
        word: "forgejo",
        ci: Some(Ci::Forgejo),
        keys: OF_CI,
        events: OF_GITHUB,
        public: &["codeberg.org", "gitea.com"],
    },
    Kind {
        word: "kubernetes",
        ci: None,
        keys: &["serviceAccounts"],
        events: &[],
        public: &[],
    },
    Kind {
        word: "oidc",
        ci: Some(Ci::Other),
        keys: &["issuer", "ca", "claims", "binding"],
        events: &[],
        public: &[],
    },
];

/// Hosts that sign tokens for everybody, of which nothing is known but the claims that name whose run it is.
const SHARED: [(&str, &[&str]); 2] = [
    (
        "agent.buildkite.com",
        &["organization_id", "organization_slug", "pipeline_id"],
    ),
    (CIRCLECI, &["oidc.circleci.com/project-id"]),
];
const CIRCLECI: &str = "oidc.circleci.com";

/// Claims that every token has. hikaru checks them anyway, or the job chooses them, so none of them says whose run it is.
const CLAIMS_OF_EACH_TOKEN: [&str; 6] = ["iss", "aud", "exp", "nbf", "iat", "jti"];

/// How the API server's own audience begins, which each pod's default token is for.
const EACH_POD: &str = "https://kubernetes.default";

/// The longest audience, in bytes.
const LONGEST_AUDIENCE: usize = 255;

/// What an entry says. `certificates` gives the text of the file that `ca` names.
pub(super) fn read(
    entry: &TrustEntry,
    certificates: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Result<Trust, CallersFileError> {
    let name = caller::name(&entry.name)?;
    let kind = kind(&entry.kind)?;
    for (key, place) in entry.of_kind() {
        if let Some(place) = place.filter(|_| !kind.keys.contains(&key)) {
            let (word, keys) = (kind.word, kind.keys.join(", "));
            let problem = format!("expected of the keys of kind: {word} alone {keys}, found {key}");
            return Err(at(place, problem));
        }
    }
    let rights = caller::rights(&entry.rights)?;
    let identities = caller::identities(entry.identities.as_ref())?;
    let namespaces = caller::namespaces(entry.namespaces.as_ref())?;
    let issuer = match kind.ci {
        Some(ci) => TrustedIssuer::Oidc(oidc(entry, kind, ci, certificates)?),
        None => TrustedIssuer::Kubernetes(kubernetes(entry)?),
    };
    let is_bound = matches!(&issuer, TrustedIssuer::Oidc(oidc) if matches!(oidc.binding, BindingRule::Own { .. }));
    if !is_bound && identities.is_empty() {
        let why = match kind.ci {
            Some(_) => "binding: none",
            None => "kind: kubernetes",
        };
        let problem = format!(
            "expected the key identities beside {why}: nothing else says what it may deploy"
        );
        return Err(refused(
            entry.binding.as_ref().unwrap_or(&entry.kind),
            problem,
        ));
    }
    if namespaces.is_empty() {
        // Each of its callers is narrowed, to identities or to its own repository.
        check_no_jobs(&entry.rights)?;
    }
    Ok(Trust {
        name,
        rights,
        identities,
        namespaces,
        issuer,
    })
}

fn kind(word: &Word) -> Result<&'static Kind, CallersFileError> {
    let found = KINDS.iter().find(|kind| kind.word == word.value);
    found.ok_or_else(|| {
        let found = Excerpt::of(&word.value);
        let problem = format!(
            "expected a kind: github, gitlab, forgejo (of Gitea, too), kubernetes or oidc, found {found}"
        );
        refused(word, problem)
    })
}

fn kubernetes(entry: &TrustEntry) -> Result<KubernetesTrust, CallersFileError> {
    let accounts = must(entry, &entry.service_accounts, "serviceAccounts")?;
    let account = |word: &Word| {
        let (namespace, name) = word.value.split_once('/').unwrap_or((&word.value, ""));
        let sound = JobName::new(namespace, name);
        sound.map(|_| Text::from(&*word.value)).map_err(|error| {
            format!(
                "expected the namespace and the name of a ServiceAccount, such as shop/ci: {error}"
            )
        })
    };
    let audience = audience(&entry.audience)?;
    if audience.starts_with(EACH_POD) {
        let problem = format!(
            "expected an audience of hikaru's own, such as hikaru-prod, found {}, which the token of each pod is for",
            Excerpt::of(&audience)
        );
        return Err(refused(&entry.audience, problem));
    }
    Ok(KubernetesTrust {
        audience,
        service_accounts: each(Some(accounts), account)?,
    })
}

fn oidc(
    entry: &TrustEntry,
    kind: &Kind,
    ci: Ci,
    certificates: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Result<OidcTrust, CallersFileError> {
    let word = must(entry, &entry.issuer, "issuer")?;
    let host = host(word)?;
    let is_public = |kind: &&Kind| {
        kind.public
            .iter()
            .any(|known| host.eq_ignore_ascii_case(known))
    };
    let public = KINDS.iter().find(is_public);
    if let Some(own) = public.filter(|own| own.word != kind.word) {
        let (expected, found) = (own.word, kind.word);
        let problem = format!("expected kind: {expected} for this issuer, found kind: {found}");
        return Err(refused(&entry.kind, problem));
    }
    let owners = each(entry.owners.as_ref(), owner)?;
    if public.is_some() && owners.is_empty() {
        let problem = format!(
            "expected the key owners, with the ids of those who may deploy: {host} signs tokens for everybody who registers there"
        );
        return Err(refused(word, problem));
    }
    let claims = pairs(entry.claims.as_ref(), claim)?;
    if ci == Ci::Other && claims.is_empty() {
        return Err(missing(entry, "claims"));
    }
    check_shared(word, &host, &claims)?;
    let ca = entry.ca.as_ref().map(|path| {
        let text = certificates(&path.value);
        let sound = text.and_then(|text| {
            Oidc::check_source(&word.value, Some(&text))?;
            Ok(Text::from(text))
        });
        sound.map_err(|why| refused(path, why))
    });
    Oidc::check_source(&word.value, None).map_err(|why| refused(word, why))?;
    Ok(OidcTrust {
        ci,
        issuer: (*word.value).into(),
        audience: audience(&entry.audience)?,
        ca: ca.transpose()?,
        owners,
        events: events(entry, kind)?,
        claims,
        binding: binding(entry, ci)?,
        is_protected: entry.protected.as_ref().is_some_and(|word| word.value),
    })
}

/// Checks that the claims of an issuer that signs for everybody say whose run it is.
fn check_shared(
    issuer: &Word,
    host: &str,
    claims: &[(Text, Glob)],
) -> Result<(), CallersFileError> {
    // With the organization in its path an issuer of CircleCI signs for this one alone.
    let is_own = host.eq_ignore_ascii_case(CIRCLECI) && issuer.value.contains("/org/");
    let shared = SHARED
        .iter()
        .find(|(known, _)| host.eq_ignore_ascii_case(known));
    let Some((_, names)) = shared.filter(|_| !is_own) else {
        return Ok(());
    };
    let tells = |(name, value): &(Text, Glob)| names.contains(&&**name) && value.is_literal();
    if claims.iter().any(tells) {
        return Ok(());
    }
    let names = names.join(" or ");
    let problem = format!(
        "expected among the claims {names} without `*`: {host} signs tokens for everybody who registers there"
    );
    Err(refused(issuer, problem))
}

fn must<'e, T>(
    entry: &TrustEntry,
    value: &'e Option<T>,
    key: &str,
) -> Result<&'e T, CallersFileError> {
    value.as_ref().ok_or_else(|| missing(entry, key))
}

fn missing(entry: &TrustEntry, key: &str) -> CallersFileError {
    let kind = &entry.kind.value;
    let problem = format!("expected the key {key} beside kind: {kind}, found none");
    refused(&entry.kind, problem)
}

fn audience(word: &Word) -> Result<Text, CallersFileError> {
    let text = &*word.value;
    let is_plain = text.bytes().all(|b| b.is_ascii_graphic());
    match is_plain && (1..=LONGEST_AUDIENCE).contains(&text.len()) {
        true => Ok(text.into()),
        false => {
            let found = Excerpt::of(text);
            let problem = format!(
                "expected an audience of 1 to {LONGEST_AUDIENCE} visible ASCII characters, such as hikaru-prod, found {found}"
            );
            Err(refused(word, problem))
        }
    }
}

/// The host of an issuer. Its address is used exactly as it is written, so nothing of it is changed.
fn host(word: &Word) -> Result<String, CallersFileError> {
    let text = &*word.value;
    let host = || {
        let address: Uri = text.parse().ok()?;
        let authority = address.authority()?;
        let is_plain = text.starts_with("https://") && !text.contains(['?', '#', '@']);
        is_plain.then(|| authority.host().to_owned())
    };
    host().ok_or_else(|| {
        let found = Excerpt::of(text);
        let problem = format!(
            "expected an issuer's address, https:// with a host, a port and a path at most, found {found}"
        );
        refused(word, problem)
    })
}

fn owner(word: &Word) -> Result<Text, String> {
    let text = &*word.value;
    let is_id = text.bytes().all(|b| b.is_ascii_digit()) && (1..=20).contains(&text.len());
    match is_id && !text.starts_with('0') {
        true => Ok(text.into()),
        false => {
            let found = Excerpt::of(text);
            Err(format!(
                "expected the id of an owner, a number, because a name can be registered again, found {found}"
            ))
        }
    }
}

fn events(entry: &TrustEntry, kind: &Kind) -> Result<Vec<Text>, CallersFileError> {
    // Not every kind has events.
    let Some(first) = kind.events.first() else {
        return Ok(Vec::new());
    };
    let Some(words) = &entry.events else {
        return Ok(vec![Text::from(*first)]);
    };
    let named = entry.identities.iter().flat_map(|words| &words.value);
    let is_named = named.clone().count() > 0 && named.clone().all(|word| !word.value.contains('*'));
    let is_alone = words.value.iter().all(|word| word.value == PULL_REQUEST);
    each(Some(words), |word| {
        let event = &*word.value;
        if NEVER.contains(&event) {
            return Err(format!(
                "expected no {event}: it runs with the rights of the repository on what others wrote"
            ));
        }
        if !kind.events.contains(&event) {
            let (known, found) = (kind.events.join(", "), Excerpt::of(event));
            return Err(format!("expected an event of {known}, found {found}"));
        }
        if event == PULL_REQUEST && !is_named {
            return Err(
                "expected the key identities without `*` beside the event pull_request: nobody has accepted yet what runs"
                    .to_owned(),
            );
        }
        if event == PULL_REQUEST && !is_alone {
            return Err(
                "expected the event pull_request in a trust of its own: what nobody has accepted yet may not go where a push goes"
                    .to_owned(),
            );
        }
        Ok(Text::from(event))
    })
}

fn binding(entry: &TrustEntry, ci: Ci) -> Result<BindingRule, CallersFileError> {
    let is_none = word_is(entry.binding.as_ref(), "none")?;
    let any_commit = word_is(entry.commit.as_ref(), "any")?;
    let refs = pairs(entry.refs.as_ref(), branch_of_ref)?;
    match (is_none, ci) {
        (true, _) => {}
        (false, Ci::Other) => return Err(missing(entry, "binding: none")),
        (false, _) => return Ok(BindingRule::Own { any_commit, refs }),
    }
    let useless = [
        ("commit", entry.commit.as_ref().map(|word| word.referenced)),
        ("refs", entry.refs.as_ref().map(|pairs| pairs.referenced)),
    ];
    for (key, place) in useless {
        if let Some(place) = place {
            let problem =
                format!("expected no {key} beside binding: none, which compares no {key}");
            return Err(at(place, problem));
        }
    }
    Ok(BindingRule::None)
}

/// Whether the word is there. It is the only one that its key takes.
fn word_is(word: Option<&Word>, expected: &str) -> Result<bool, CallersFileError> {
    match word {
        None => Ok(false),
        Some(word) if word.value == expected => Ok(true),
        Some(word) => {
            let found = Excerpt::of(&word.value);
            Err(refused(
                word,
                format!("expected {expected} or no such key, found {found}"),
            ))
        }
    }
}

/// What each pair is read as, if there are any: then at least one.
fn pairs<T>(
    pairs: Option<&serde_saphyr::Spanned<Pairs>>,
    read: impl Fn(&Word, &Word) -> Result<T, CallersFileError>,
) -> Result<Vec<T>, CallersFileError> {
    let Some(pairs) = pairs else {
        return Ok(Vec::new());
    };
    if pairs.value.0.is_empty() {
        return Err(refused(pairs, "expected at least one entry, found none"));
    }
    pairs
        .value
        .0
        .iter()
        .map(|(key, value)| read(key, value))
        .collect()
}

fn claim(key: &Word, value: &Word) -> Result<(Text, Glob), CallersFileError> {
    if key.value.is_empty() {
        return Err(refused(key, "expected the name of a claim, found none"));
    }
    if CLAIMS_OF_EACH_TOKEN.contains(&&*key.value) {
        let problem = format!(
            "expected a claim that says whose run it is, found {}",
            key.value
        );
        return Err(refused(key, problem));
    }
    match value.value.trim_matches('*').is_empty() {
        true => {
            let found = Excerpt::of(&value.value);
            let problem = format!("expected a value with more than `*` in it, found {found}");
            Err(refused(value, problem))
        }
        false => Ok(((*key.value).into(), Glob::new(&*value.value))),
    }
}

fn branch_of_ref(key: &Word, value: &Word) -> Result<(Glob, Text), CallersFileError> {
    if !key.value.starts_with("refs/tags/") {
        let found = Excerpt::of(&key.value);
        let problem = format!("expected a pattern on tags, such as refs/tags/v*, found {found}");
        return Err(refused(key, problem));
    }
    match value.value.is_empty() {
        true => Err(refused(
            value,
            "expected a branch, such as main, found none",
        )),
        false => Ok((Glob::new(&*key.value), (*value.value).into())),
    }
}
