//! A token as it is sent: a JWS in its compact form (RFC 7515, 7.1). Its parts are read here, and nothing that it says is believed:
//! the signature is checked with a key of `keys`, the claims are read in `claims`.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hikaru_core::text::Excerpt;
use serde::Deserialize;
use serde_json::Value;

use crate::auth::{
    Denied,
    jwt::{bad, check_size},
};

/// The longest id of a key, in bytes.
pub(super) const MAX_KID: usize = 256;

/// A token in its parts.
pub(super) struct Token<'t> {
    pub(super) algorithm: Algorithm,
    /// The id of the key that it says it is signed with. It is compared as text and used for nothing else.
    pub(super) kid: Option<String>,
    /// What is signed.
    pub(super) message: &'t [u8],
    pub(super) signature: Vec<u8>,
    claims: Vec<u8>,
}

/// How tokens may be signed. All others are refused, above all `none`, which needs no key, and HS256, for which an attacker could use
/// the public key as the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Es256,
    EdDsa,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

/// Where JSON cannot be read. The words of the error are not told: they can repeat a text of any length.
pub(super) fn place(error: &serde_json::Error) -> String {
    format!("line {}, column {}", error.line(), error.column())
}

/// A text from outside in a sentence.
pub(super) fn quoted(text: &str) -> String {
    match text {
        "" => "an empty text".to_owned(),
        text => Excerpt::of(text).to_string(),
    }
}

impl Algorithm {
    const ALL: [Self; 3] = [Self::Rs256, Self::Es256, Self::EdDsa];

    /// As `alg` has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

impl<'t> Token<'t> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// [`Denied::BadToken`]: it is too large, or has another form, another header or another algorithm than hikaru takes.
    pub(super) fn read(text: &'t str) -> Result<Self, Denied> {
        check_size(text)?;
        let parts: Vec<&str> = text.split('.').collect();
        let [header, claims, signature] = parts[..] else {
            let why = "expected three parts of base64url, joined by `.`";
            return Err(bad("form", why));
        };
        let decoded = |name: &str, part: &str| {
            let decoded = BASE64_URL_SAFE_NO_PAD.decode(part);
            decoded.map_err(|error| bad("form", format!("its {name} is no base64url: {error}")))
        };
        let header = decoded("header", header)?;
        let claims = decoded("claims", claims)?;
        let signature = decoded("signature", signature)?;
        let message = text.rsplit_once('.').map_or("", |(message, _)| message);
        // serde_json does not look at texts that nobody asks for.
        let header =
            std::str::from_utf8(&header).map_err(|_| bad("header", "its header is no UTF-8"))?;
        let header: Header = serde_json::from_str(header).map_err(|error| {
            let place = place(&error);
            let expected = "expected JSON with `alg`, and `kid` and `typ` as text";
            bad(
                "header",
                format!("its header cannot be read at {place}: {expected}"),
            )
        })?;
        if header.crit.is_some() {
            let why =
                "its header says `crit`, and hikaru knows no extension that could be critical";
            return Err(bad("header", why));
        }
        if let Some(typ) = header.typ.as_deref().filter(|typ| !is_jwt(typ)) {
            let found = quoted(typ);
            let why = format!("expected the type JWT or at+jwt in its header, found {found}");
            return Err(bad("header", why));
        }
        if let Some(length) = header
            .kid
            .as_ref()
            .map(String::len)
            .filter(|length| *length > MAX_KID)
        {
            let why = format!("the id of its key has {length} bytes: expected at most {MAX_KID}");
            return Err(bad("header", why));
        }
        let mut known = Algorithm::ALL.into_iter();
        let algorithm = known
            .find(|known| known.name() == header.alg)
            .ok_or_else(|| {
                let found = quoted(&header.alg);
                bad(
                    "algorithm",
                    format!("expected the algorithm RS256, ES256 or EdDSA, found {found}"),
                )
            })?;
        Ok(Self {
            algorithm,
            kid: header.kid,
            message: message.as_bytes(),
            signature,
            claims,
        })
    }

    /// What it says. It is not verified.
    pub(super) fn claims(&self) -> &[u8] {
        &self.claims
    }
}

/// Whether a `typ` says that it is a JSON Web Token, or an access token in that form (RFC 9068).
fn is_jwt(typ: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    let short = typ.strip_prefix("application/").unwrap_or(&typ);
    matches!(short, "jwt" | "at+jwt")
}
