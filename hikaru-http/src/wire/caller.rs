//! Who called, as reports and the log name it.

use hikaru_core::{Text, text::Quoted};
use serde::Serialize;

/// The longest text of a caller that is told, in characters.
const LONGEST: usize = 300;

/// Who called. What a token says is text from outside: each text is cut after 300 characters and escaped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Caller {
    /// Its name: `token 1`, or that of the trust that its token fits. Empty for a token that several trusts do not admit: reports have
    /// none of it.
    pub name: String,
    /// Who issued its token. Not there for tokens of hikaru's own, and of the cluster that hikaru runs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Whom it was issued for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Where the run of the CI can be looked at, if its token says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}

impl From<&hikaru_core::caller::Caller> for Caller {
    fn from(caller: &hikaru_core::caller::Caller) -> Self {
        let told = |text: &Text| Quoted(text, LONGEST).to_string();
        let issued = caller.issued.as_ref();
        Self {
            name: told(&caller.name),
            issuer: issued
                .map(|issued| &issued.issuer)
                .filter(|issuer| !issuer.is_empty())
                .map(told),
            subject: issued.map(|issued| told(&issued.subject)),
            run: issued.and_then(|issued| issued.run.as_ref()).map(told),
        }
    }
}

impl Caller {
    /// Its name, if it has one.
    pub(crate) fn known_name(&self) -> Option<&str> {
        (!self.name.is_empty()).then_some(&*self.name)
    }
}
