//! Whose tokens are trusted beside hikaru's own, and what they allow: values, as the file of callers says them. How tokens are
//! verified is in `oidc` and `kubernetes`.

use hikaru_core::{
    Text,
    caller::{Glob, IdentityPattern, Rights},
};

/// Events whose runs no trust admits: they have the base repository's identity and ref, and work on what anybody may have written.
pub(super) const NEVER: [&str; 3] = ["pull_request_target", "workflow_run", "issue_comment"];

/// Whose tokens are trusted, and what a caller may do that has one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trust {
    /// Its name, as logs have it for the caller.
    pub name: Text,
    /// What the caller may do.
    pub rights: Rights,
    /// As in [`Caller::identities`](hikaru_core::caller::Caller::identities).
    pub identities: Vec<IdentityPattern>,
    /// As in [`Caller::namespaces`](hikaru_core::caller::Caller::namespaces).
    pub namespaces: Vec<Text>,
    /// Who issues the tokens.
    pub issuer: TrustedIssuer,
}

impl Trust {
    /// This issuer's tokens are trusted, and may do this; narrowed by nothing but their own binding.
    pub fn new(name: impl Into<Text>, rights: Rights, issuer: TrustedIssuer) -> Self {
        Self {
            name: name.into(),
            rights,
            identities: Vec::new(),
            namespaces: Vec::new(),
            issuer,
        }
    }
}

/// Who issues the tokens that are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrustedIssuer {
    /// A CI, or another issuer of OpenID Connect.
    Oidc(OidcTrust),
    /// The cluster's API server, for its ServiceAccounts.
    Kubernetes(KubernetesTrust),
}

/// What a token of OpenID Connect has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OidcTrust {
    /// Whose claims it has.
    pub ci: Ci,
    /// The issuer, exactly as `iss` has it: `https://gitlab.example.com`.
    pub issuer: Text,
    /// What `aud` has to be, or to hold.
    pub audience: Text,
    /// Certificates that the issuer's own is checked with, as PEM, beside those of the system. `None`: the system's alone.
    pub ca: Option<Text>,
    /// The ids of the repository's owner. Empty: any; the file does not allow it for issuers that sign for everybody.
    pub owners: Vec<Text>,
    /// The events that a run may have been started by.
    pub events: Vec<Text>,
    /// Claims with what each has to be.
    pub claims: Vec<(Text, Glob)>,
    /// What ties the token to the images that it may deploy.
    pub binding: BindingRule,
    /// Whether the ref has to be protected.
    pub is_protected: bool,
}

impl OidcTrust {
    /// Tokens of this issuer, for this audience, tied to their own repository, ref and commit. No event is listed yet.
    pub fn new(ci: Ci, issuer: impl Into<Text>, audience: impl Into<Text>) -> Self {
        Self {
            ci,
            issuer: issuer.into(),
            audience: audience.into(),
            ca: None,
            owners: Vec::new(),
            events: Vec::new(),
            claims: Vec::new(),
            binding: BindingRule::Own {
                any_commit: false,
                refs: Vec::new(),
            },
            is_protected: false,
        }
    }
}

/// Whose claims a token has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ci {
    /// GitHub Actions, also of an Enterprise Server.
    GitHub,
    /// GitLab: gitlab.com, or an instance of another host.
    GitLab,
    /// Forgejo, or Gitea.
    Forgejo,
    /// Another issuer, of which nothing is known but the claims that the file names.
    Other,
}

/// What ties a token of a CI to the images that it may deploy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindingRule {
    /// The token's own repository, at its own ref.
    Own {
        /// Whether the image may be of any commit of it.
        any_commit: bool,
        /// For which refs, such as `refs/tags/v*`, which branch stands. The first one that fits counts.
        refs: Vec<(Glob, Text)>,
    },
    /// Nothing but the trust's identities.
    None,
}

/// Which ServiceAccounts are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KubernetesTrust {
    /// The audience that the token has to be issued for.
    pub audience: Text,
    /// `namespace/name` of each.
    pub service_accounts: Vec<Text>,
}
