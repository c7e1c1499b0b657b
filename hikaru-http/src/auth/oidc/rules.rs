//! What the claims of a token have to be for a trust, and the caller that they make. The claims that every token has are checked in
//! `claims`, what the caller may deploy in hikaru-core's `Binding`.

use hikaru_core::{
    Text,
    caller::{Binding, Caller, Glob, Issued},
};

use super::{
    claims::{Claims, Wrong},
    run,
    token::quoted,
};
use crate::auth::{BindingRule, Ci, Denied, OidcTrust, Trust, trust::NEVER};

/// The longest name of a repository, a ref or an event, in bytes.
const MAX_NAME: usize = 512;

/// The claims of a CI that say where a run comes from.
struct Names {
    repository: &'static str,
    owner_id: &'static str,
    event: &'static str,
}

/// Why a token is not admitted: a code and a sentence.
struct Refusal(&'static str, String);

impl From<Wrong> for Refusal {
    fn from(wrong: Wrong) -> Self {
        Self("claims", wrong)
    }
}

/// The caller that a token makes under a trust.
///
/// # Errors
/// [`Denied::NotTrusted`] with the claim that was compared, what was expected and what was found.
pub(super) fn caller(trust: &Trust, oidc: &OidcTrust, claims: &Claims) -> Result<Caller, Denied> {
    let subject = claims.text("sub").ok().flatten().unwrap_or_default();
    let run = run::address(oidc.ci, &oidc.issuer, claims);
    let issued = Issued::new(oidc.issuer.clone(), subject, run);
    match admit(trust, oidc, claims) {
        Ok(mut caller) => {
            caller.issued = Some(issued);
            Ok(caller)
        }
        Err(Refusal(code, why)) => Err(Denied::NotTrusted {
            why: format!("the trust {} does not admit the token: {why}", trust.name),
            code,
            trust: Some(trust.name.clone()),
            issued,
        }),
    }
}

fn admit(trust: &Trust, oidc: &OidcTrust, claims: &Claims) -> Result<Caller, Refusal> {
    for (name, wanted) in &oidc.claims {
        check_claim(claims, name, wanted)?;
    }
    if oidc.is_protected {
        let found = claims.flag("ref_protected")?;
        if found != Some(true) {
            let found = found.map_or("none", |_| "false");
            let why = format!("expected `ref_protected` to be true, found {found}");
            return Err(Refusal("protected", why));
        }
    }
    let names = Names::of(oidc.ci);
    let event = match &names {
        Some(names) => {
            check_owner(&oidc.owners, names, claims)?;
            Some(check_event(trust, oidc, names, claims)?)
        }
        None if oidc.owners.is_empty() && oidc.events.is_empty() => None,
        None => {
            let why =
                "which claims name owners and events is not known of this issuer: use `claims`";
            return Err(Refusal("claims", why.to_owned()));
        }
    };
    let mut caller = Caller::new(trust.name.clone(), trust.rights);
    caller.identities = trust.identities.clone();
    caller.namespaces = trust.namespaces.clone();
    caller.binding = match (&oidc.binding, names) {
        (BindingRule::Own { any_commit, refs }, Some(names)) => {
            let is_pull_request = event.is_some_and(is_pull_request);
            Some(binding(
                oidc,
                &names,
                claims,
                *any_commit,
                refs,
                is_pull_request,
            )?)
        }
        (BindingRule::Own { .. }, None) => {
            let why =
                "which claims name the repository is not known of this issuer: use `binding: none`";
            return Err(Refusal("binding", why.to_owned()));
        }
        // Without both, the token could deploy everything.
        (BindingRule::None, _) if trust.identities.is_empty() => {
            let why = "it has neither a binding nor identities";
            return Err(Refusal("binding", why.to_owned()));
        }
        (BindingRule::None, _) => None,
    };
    claims.must_text("sub")?;
    Ok(caller)
}

fn check_claim(claims: &Claims, name: &str, wanted: &Glob) -> Result<(), Refusal> {
    let found = claims.any(name)?;
    if found.as_deref().is_some_and(|found| wanted.matches(found)) {
        return Ok(());
    }
    let found = found.map_or_else(|| "none".to_owned(), |found| quoted(&found));
    let why = format!("expected the claim `{name}` to be {wanted}, found {found}");
    Err(Refusal("claim", why))
}

fn check_owner(owners: &[Text], names: &Names, claims: &Claims) -> Result<(), Refusal> {
    if owners.is_empty() {
        return Ok(());
    }
    let found = claims.id(names.owner_id)?;
    if found
        .as_deref()
        .is_some_and(|found| owners.iter().any(|owner| **owner == *found))
    {
        return Ok(());
    }
    let found = found.map_or_else(|| "none".to_owned(), |found| quoted(&found));
    let expected = format!(
        "expected `{}` to be {}",
        names.owner_id,
        owners.join(" or ")
    );
    Err(Refusal("owner", format!("{expected}, found {found}")))
}

/// Checks that the trust lists the event that the run was started by.
fn check_event<'c>(
    trust: &Trust,
    oidc: &OidcTrust,
    names: &Names,
    claims: &'c Claims,
) -> Result<&'c str, Refusal> {
    let event = short(claims, names.event)?;
    let refuse = |expected: String| {
        let found = quoted(event);
        let why = format!("expected `{}` to be {expected}, found {found}", names.event);
        Err(Refusal("event", why))
    };
    if NEVER.contains(&event) || !oidc.events.iter().any(|listed| **listed == *event) {
        let listed: Vec<&str> = oidc.events.iter().map(|event| &**event).collect();
        let allowed = listed.into_iter().filter(|event| !NEVER.contains(event));
        return refuse(allowed.collect::<Vec<_>>().join(" or "));
    }
    let literal =
        !trust.identities.is_empty() && trust.identities.iter().all(|one| one.is_literal());
    if is_pull_request(event) && !literal {
        return refuse(
            "no pull request, because the trust's identities are not literal".to_owned(),
        );
    }
    Ok(event)
}

/// Whether a run works on what is proposed: its ref says nothing of what was accepted.
fn is_pull_request(event: &str) -> bool {
    event.starts_with("pull_request")
        || matches!(event, "merge_request_event" | "external_pull_request_event")
}

/// The source that the token is for.
fn binding(
    oidc: &OidcTrust,
    names: &Names,
    claims: &Claims,
    any_commit: bool,
    refs: &[(Glob, Text)],
    is_pull_request: bool,
) -> Result<Binding, Refusal> {
    let repository = short(claims, names.repository)?;
    let (owner, repo) = split(oidc.ci, repository).ok_or_else(|| {
        let found = quoted(repository);
        let why = format!(
            "expected `{}` as owner/repository, found {found}",
            names.repository
        );
        Refusal("claims", why)
    })?;
    if owner.contains('/') && oidc.owners.is_empty() {
        // In a label `/` stands as `-`, `_` or `.`, which a group of another owner can have in its name.
        let found = quoted(owner);
        let why =
            format!("the group {found} is a subgroup, which has to be listed by id in `owners`");
        return Err(Refusal("owner", why));
    }
    let branch = match is_pull_request {
        true => None,
        false => Some(branch(oidc.ci, claims, refs)?),
    };
    let mut binding = Binding::new(owner, repo, "");
    binding.branch = branch;
    binding.has_slug = oidc.ci == Ci::GitLab;
    if is_pull_request || !any_commit {
        binding.commit = Some(commit(claims)?);
    }
    Ok(binding)
}

/// Owner and repository of their joint name. Only GitLab has owners within owners.
fn split(ci: Ci, repository: &str) -> Option<(&str, &str)> {
    let (owner, repo) = repository.rsplit_once('/')?;
    let is_one = |name: &str| !name.is_empty() && !name.contains('/');
    let is_owner = match ci {
        Ci::GitLab => owner.split('/').all(is_one),
        Ci::GitHub | Ci::Forgejo | Ci::Other => is_one(owner),
    };
    (is_owner && is_one(repo)).then_some((owner, repo))
}

/// The branch that stands for the ref of a run: its own, or what the trust says of a tag.
fn branch(ci: Ci, claims: &Claims, refs: &[(Glob, Text)]) -> Result<Text, Refusal> {
    let whole = whole_ref(ci, claims)?;
    if let Some(branch) = whole
        .strip_prefix("refs/heads/")
        .filter(|branch| !branch.is_empty())
    {
        return Ok(branch.into());
    }
    // Nobody has accepted what the refs of pull requests and merge requests hold, so no rule can open them.
    let is_tag = whole.starts_with("refs/tags/");
    let mut rules = refs
        .iter()
        .filter(|(pattern, _)| is_tag && pattern.matches(&whole));
    let mapped = rules.next().map(|(_, branch)| branch.clone());
    mapped.ok_or_else(|| {
        let tags = match refs {
            [] => String::new(),
            refs => {
                let listed: Vec<String> = refs.iter().map(|(one, _)| one.to_string()).collect();
                format!(" or a tag that fits {}", listed.join(" or "))
            }
        };
        let found = quoted(&whole);
        Refusal(
            "ref",
            format!("expected the ref of a branch, refs/heads/…{tags}, found {found}"),
        )
    })
}

/// The whole ref. GitLab has its short name and its kind beside it; if they say something else, the token is not understood.
fn whole_ref(ci: Ci, claims: &Claims) -> Result<String, Refusal> {
    if ci != Ci::GitLab {
        return Ok(short(claims, "ref")?.to_owned());
    }
    let (name, kind) = (short(claims, "ref")?, short(claims, "ref_type")?);
    let folder = match kind {
        "branch" => "heads",
        "tag" => "tags",
        other => {
            let found = quoted(other);
            let why = format!("expected `ref_type` to be branch or tag, found {found}");
            return Err(Refusal("ref", why));
        }
    };
    let expected = format!("refs/{folder}/{name}");
    match claims.text("ref_path")? {
        Some(found) if found != expected => {
            let found = quoted(found);
            let why = format!(
                "expected `ref_path` to be {}, found {found}",
                quoted(&expected)
            );
            Err(Refusal("ref", why))
        }
        _ => Ok(expected),
    }
}

fn commit(claims: &Claims) -> Result<Text, Refusal> {
    let sha = short(claims, "sha")?;
    let is_commit = matches!(sha.len(), 40 | 64) && sha.bytes().all(|b| b.is_ascii_hexdigit());
    match is_commit {
        true => Ok(sha.to_ascii_lowercase().into()),
        false => {
            let found = quoted(sha);
            let why = format!("expected `sha` as 40 or 64 hexadecimal digits, found {found}");
            Err(Refusal("claims", why))
        }
    }
}

/// A claim that has to be there, and that is a name.
fn short<'c>(claims: &'c Claims, name: &str) -> Result<&'c str, Refusal> {
    let text = claims.must_text(name)?;
    match text.len() > MAX_NAME {
        true => {
            let length = text.len();
            let why = format!("expected `{name}` of at most {MAX_NAME} bytes, found {length}");
            Err(Refusal("claims", why))
        }
        false => Ok(text),
    }
}

impl Names {
    /// `None`: nothing is known of the issuer.
    fn of(ci: Ci) -> Option<Self> {
        match ci {
            Ci::GitHub | Ci::Forgejo => Some(Self {
                repository: "repository",
                owner_id: "repository_owner_id",
                event: "event_name",
            }),
            Ci::GitLab => Some(Self {
                repository: "project_path",
                owner_id: "namespace_id",
                event: "pipeline_source",
            }),
            Ci::Other => None,
        }
    }
}
