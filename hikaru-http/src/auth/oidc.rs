//! Tokens of OpenID Connect, as CI systems make them for their jobs: whether the issuer has signed one, whether it is meant for
//! hikaru and valid now, and which caller it makes. Which trusts there are, and what a caller may do, is said elsewhere.
//!
//! `token` takes a token apart, `issuers` has the keys of issuers (`discovery`, `fetch`, `keys`), `claims` reads what a token says,
//! and `rules` compares it with a trust (`run` has the address of its run).

mod claims;
mod discovery;
mod fetch;
mod issuers;
mod keys;
mod rules;
mod run;
mod token;

use std::sync::Arc;

use hikaru_core::{caller::Caller, port::Clock};

pub use fetch::{FetchDocument, HttpsFetch};

use self::{
    claims::Claims,
    issuers::{Issuers, Source},
    token::{Token, bad},
};
use super::{Denied, OidcTrust, Trust, TrustedIssuer};

/// Verifies tokens of OpenID Connect. It keeps the keys of issuers, so one is made for the life of a process.
pub struct Oidc {
    issuers: Issuers,
    clock: Arc<dyn Clock>,
}

impl Oidc {
    /// Verifies with keys that are fetched by https, at the times of this clock. Nothing is fetched yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_fetch(Arc::new(HttpsFetch), clock)
    }

    /// The same with keys that are fetched in another way: through a proxy.
    pub fn with_fetch(fetch: Arc<dyn FetchDocument>, clock: Arc<dyn Clock>) -> Self {
        Self {
            issuers: Issuers::new(fetch, clock.clone()),
            clock,
        }
    }

    /// Whose token a text says it is, if it has the form of one: to find the trusts for it. It is not verified.
    pub fn issuer_of(token: &str) -> Option<String> {
        token::issuer_of(token)
    }

    /// Checks that the keys of an issuer can be looked for: its address is one of https, and `ca` has certificates as PEM.
    ///
    /// # Errors
    /// What was expected and what was found.
    pub fn check_source(issuer: &str, ca: Option<&str>) -> Result<(), String> {
        discovery::address(issuer)?;
        ca.map_or(Ok(Vec::new()), fetch::certificates).map(|_| ())
    }

    /// The caller that a token makes: under the first of these trusts that admits it.
    ///
    /// # Errors
    /// If there is none: [`Denied::Unavailable`] where the keys of an issuer cannot be had, else [`Denied::NotTrusted`] where a trust takes
    /// the token as valid, else [`Denied::BadToken`]; with the reason, of each trust if there are several.
    pub async fn caller(&self, token: &str, trusts: &[&Trust]) -> Result<Caller, Denied> {
        let read = Token::read(token)?;
        let mut refused = Vec::new();
        for trust in trusts {
            match self.caller_by(&read, trust).await {
                Ok(caller) => return Ok(caller),
                Err(denied) => refused.push((trust, denied)),
            }
        }
        Err(all(refused))
    }

    async fn caller_by(&self, token: &Token<'_>, trust: &Trust) -> Result<Caller, Denied> {
        let TrustedIssuer::Oidc(oidc) = &trust.issuer else {
            return Err(bad("issuer", "the trust is not for OpenID Connect"));
        };
        self.check_is_said(token, oidc)?;
        let source = Source {
            issuer: oidc.issuer.clone(),
            ca: oidc.ca.clone(),
        };
        self.issuers.check(&source, token).await?;
        let claims = Claims::read(token.claims())?;
        claims.check(&oidc.issuer, &oidc.audience, self.clock.now())?;
        rules::caller(trust, oidc, &claims)
    }

    /// Keys are fetched only for a token that says that it is of the issuer.
    fn check_is_said(&self, token: &Token<'_>, oidc: &OidcTrust) -> Result<(), Denied> {
        Claims::read(token.claims())?.check_issuer(&oidc.issuer)
    }
}

/// What is told when no trust admits a token.
fn all(mut refused: Vec<(&&Trust, Denied)>) -> Denied {
    if refused.len() < 2 {
        let only = refused.pop().map(|(_, denied)| denied);
        return only.unwrap_or_else(|| bad("issuer", "no trust is for its issuer"));
    }
    let each = refused.iter().map(|(trust, denied)| match denied {
        // It names the trust.
        Denied::NotTrusted { why, .. } => why.clone(),
        denied => format!("by the trust {}, {denied}", trust.name),
    });
    let why = each.collect::<Vec<_>>().join("; ");
    let mut weightiest = None;
    for (_, denied) in refused {
        let weight = |denied: &Denied| match denied {
            Denied::Unavailable(_) => 2,
            Denied::NotTrusted { .. } => 1,
            _ => 0,
        };
        if weightiest
            .as_ref()
            .is_none_or(|old| weight(&denied) > weight(old))
        {
            weightiest = Some(denied);
        }
    }
    match weightiest {
        Some(Denied::Unavailable(_)) => Denied::Unavailable(why),
        Some(Denied::NotTrusted { code, .. }) => Denied::NotTrusted { why, code },
        Some(Denied::BadToken { code, .. }) => Denied::BadToken { why, code },
        _ => Denied::BadCredentials,
    }
}
