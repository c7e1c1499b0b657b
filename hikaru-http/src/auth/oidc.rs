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
        for &trust in trusts {
            match self.caller_by(&read, trust).await {
                Ok(caller) => return Ok(caller),
                Err(denied) => refused.push((trust, denied)),
            }
        }
        Err(all(&refused))
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

/// What is told when no trust admits a token: the reason of each, as the answer of the trust that came closest.
fn all(refused: &[(&Trust, Denied)]) -> Denied {
    if let [(_, only)] = refused {
        return only.clone();
    }
    let each = refused.iter().map(|(trust, denied)| match denied {
        // It names the trust.
        Denied::NotTrusted { why, .. } => why.clone(),
        denied => format!("by the trust {}, {denied}", trust.name),
    });
    let why = each.collect::<Vec<_>>().join("; ");
    let mut denials = refused.iter().map(|(_, denied)| denied);
    if denials
        .clone()
        .any(|denied| matches!(denied, Denied::Unavailable(_)))
    {
        return Denied::Unavailable(why);
    }
    let not_trusted = denials.clone().find_map(|denied| match denied {
        Denied::NotTrusted { code, .. } => Some(*code),
        _ => None,
    });
    if let Some(code) = not_trusted {
        return Denied::NotTrusted { why, code };
    }
    let bad_token = denials.find_map(|denied| match denied {
        Denied::BadToken { code, .. } => Some(*code),
        _ => None,
    });
    match bad_token {
        Some(code) => bad(code, why),
        None => bad("issuer", "no trust is for its issuer"),
    }
}
