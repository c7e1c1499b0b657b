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

use hikaru_core::{Text, caller::Caller, port::Clock};

pub use fetch::{FetchDocument, HttpsFetch};

use self::{
    claims::Claims,
    issuers::{Issuers, Source},
    token::{Token, quoted},
};
use super::{
    Denied, Trust, TrustedIssuer,
    jwt::{bad, unverified},
};

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
        let claims = unverified(token)?;
        claims.get("iss")?.as_str().map(str::to_owned)
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
    /// the token as valid, else [`Denied::BadToken`]; with the reasons, of which each is told once. Before a signature is valid no
    /// trust is named.
    pub async fn caller(&self, token: &str, trusts: &[&Trust]) -> Result<Caller, Denied> {
        let token = Token::read(token)?;
        let claims = Claims::read(token.claims())?;
        let issuer = claims.issuer()?;
        claims.check_times(self.clock.now())?;
        // Trusts of one issuer may have several authorities. A signature is checked once with the keys of each.
        let mut signed: Vec<(Option<&Text>, Result<(), Denied>)> = Vec::new();
        let mut refused = Vec::new();
        for &trust in trusts {
            let TrustedIssuer::Oidc(oidc) = &trust.issuer else {
                continue;
            };
            if *oidc.issuer != *issuer {
                continue;
            }
            let ca = oidc.ca.as_ref();
            let known = signed.iter().find(|(known, _)| *known == ca);
            let is_signed = match known {
                Some((_, is_signed)) => is_signed.clone(),
                None => {
                    let is_signed = self.check_signature(&token, &oidc.issuer, ca).await;
                    signed.push((ca, is_signed.clone()));
                    is_signed
                }
            };
            let made = is_signed
                .and_then(|()| claims.check_audience(&oidc.audience))
                .and_then(|()| rules::caller(trust, oidc, &claims));
            match made {
                Ok(caller) => return Ok(caller),
                Err(denied) if refused.contains(&denied) => {}
                Err(denied) => refused.push(denied),
            }
        }
        match &refused[..] {
            [] => {
                let found = quoted(issuer);
                let why = format!("expected the issuer of a trust, found {found}");
                Err(bad("issuer", why))
            }
            [only] => Err(only.clone()),
            several => Err(all(several)),
        }
    }

    /// Fetches keys, if they are not known.
    async fn check_signature(
        &self,
        token: &Token<'_>,
        issuer: &Text,
        ca: Option<&Text>,
    ) -> Result<(), Denied> {
        let source = Source {
            issuer: issuer.clone(),
            ca: ca.cloned(),
        };
        self.issuers.check(&source, token).await
    }
}

/// What is told when several trusts do not admit a token: all reasons, as the answer of the trust that came closest.
fn all(refused: &[Denied]) -> Denied {
    let each = refused.iter().map(|denied| match denied {
        Denied::BadToken { why, .. } => why.clone(),
        denied => denied.to_string(),
    });
    let all = each.collect::<Vec<_>>().join("; ");
    let (mut bad_code, mut not_trusted) = ("issuer", None);
    for denied in refused {
        match denied {
            Denied::Unavailable(_) => return Denied::Unavailable(all),
            Denied::NotTrusted { code, issued, .. } => not_trusted = Some((*code, issued.clone())),
            Denied::BadToken { code, .. } => bad_code = *code,
            _ => {}
        }
    }
    match not_trusted {
        Some((code, issued)) => Denied::NotTrusted {
            why: all,
            code,
            trust: None,
            issued,
        },
        None => bad(bad_code, all),
    }
}
