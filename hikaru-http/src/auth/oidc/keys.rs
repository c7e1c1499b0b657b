//! The public keys of an issuer, as its JSON Web Key Set has them (RFC 7517), and signatures that are checked with them by ring.
//! docs/decisions.md says why no library for JWT does it. Where keys come from is in `issuers`.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::Value;

use super::token::{Algorithm, MAX_KID, Token, place, quoted};
use crate::auth::{Denied, jwt::bad};

/// How many keys an issuer may have. GitHub has four.
const MAX_KEYS: usize = 100;

/// The bits of the smallest RSA key.
const MIN_RSA_BITS: usize = 2048;

/// The keys of an issuer.
#[derive(Debug)]
pub(super) struct Keys(Vec<Key>);

/// One key.
#[derive(Debug)]
struct Key {
    kid: Option<String>,
    /// Or why it can check no signature.
    material: Result<Material, String>,
}

/// What a signature is checked with.
#[derive(Debug)]
enum Material {
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    /// 4, then both coordinates of the point.
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// What came of looking for the key of a token.
#[derive(Debug)]
pub(super) enum Checked {
    /// The signature is the issuer's.
    Valid,
    /// No key has the id that the token names, or none fits a token that names none: a newer set may have it.
    Unknown,
    /// The token is not valid.
    Refused(Denied),
}

/// The members of a key that are looked at.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Keys {
    /// Reads a set of keys. A key that cannot be used is no error: a token that names it is told why.
    ///
    /// # Errors
    /// When the document is no set of keys, has too many, or none that can be used.
    pub(super) fn read(document: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = serde_json::from_slice(document).map_err(|error| {
            let place = place(&error);
            format!("expected JSON with a list `keys`, which it is not at {place}")
        })?;
        if set.keys.len() > MAX_KEYS {
            let count = set.keys.len();
            return Err(format!("expected at most {MAX_KEYS} keys, found {count}"));
        }
        // A key whose members are of other types than RFC 7517 says is as unknown as one of another kind.
        let read = |value| serde_json::from_value::<Jwk>(value).ok();
        let keys: Vec<Key> = set
            .keys
            .into_iter()
            .filter_map(read)
            .map(Key::new)
            .collect();
        match keys.iter().any(|key| key.material.is_ok()) {
            true => Ok(Self(keys)),
            false => Err(format!(
                "it has no key that can be used among {}",
                keys.len()
            )),
        }
    }

    /// Checks the signature of a token with the key that it names, or, if it names none, with the only one that fits.
    pub(super) fn check(&self, token: &Token<'_>) -> Checked {
        let is_named = |key: &&Key| token.kid.is_none() || key.kid == token.kid;
        let named: Vec<&Key> = self.0.iter().filter(is_named).collect();
        let usable = named.iter().filter_map(|key| key.material.as_ref().ok());
        let fitting: Vec<&Material> = usable
            .filter(|material| material.algorithm() == token.algorithm)
            .collect();
        match fitting[..] {
            [material] if material.signed(token) => Checked::Valid,
            [_] => Checked::Refused(bad("signature", "its signature is not the issuer's")),
            [] => none_fits(token, named.first().copied()),
            _ => {
                let count = fitting.len();
                let why = format!("{count} keys of its issuer fit it, and exactly one has to");
                Checked::Refused(bad("key", why))
            }
        }
    }
}

/// No key fits the token, though this one may be the one that it names.
fn none_fits(token: &Token<'_>, named: Option<&Key>) -> Checked {
    let (Some(kid), Some(key)) = (&token.kid, named) else {
        return Checked::Unknown;
    };
    let why = match &key.material {
        Ok(material) => format!("is for {}", material.algorithm().name()),
        Err(why) => why.clone(),
    };
    let (kid, alg) = (quoted(kid), token.algorithm.name());
    let why = format!("the key {kid} of its issuer {why}, and it is signed by {alg}");
    Checked::Refused(bad("key", why))
}

impl Key {
    fn new(jwk: Jwk) -> Self {
        Self {
            material: Material::new(&jwk),
            // No token names a longer one.
            kid: jwk.kid.filter(|kid| kid.len() <= MAX_KID),
        }
    }
}

impl Material {
    /// What a key is made of.
    ///
    /// # Errors
    /// Why it cannot be used, as the end of a sentence about the key.
    fn new(jwk: &Jwk) -> Result<Self, String> {
        let member = |name: &str, text: &Option<String>| {
            let bytes = text
                .as_ref()
                .and_then(|text| BASE64_URL_SAFE_NO_PAD.decode(text).ok());
            bytes.ok_or_else(|| format!("has no `{name}` in base64url"))
        };
        let material = match (&*jwk.kty, jwk.crv.as_deref()) {
            ("RSA", _) => Self::rsa(member("n", &jwk.n)?, member("e", &jwk.e)?)?,
            ("EC", Some("P-256")) => {
                let (x, y) = (member("x", &jwk.x)?, member("y", &jwk.y)?);
                if (x.len(), y.len()) != (32, 32) {
                    return Err("has coordinates of another length than 32 bytes".to_owned());
                }
                Self::P256([&[4][..], &x, &y].concat())
            }
            ("OKP", Some("Ed25519")) => Self::Ed25519(member("x", &jwk.x)?),
            (kty, curve) => {
                let (kty, curve) = (quoted(kty), curve.map(quoted));
                let curve =
                    curve.map_or_else(String::new, |curve| format!(" and the curve {curve}"));
                return Err(format!("has the type {kty}{curve}"));
            }
        };
        let alg = material.algorithm().name();
        if let Some(other) = jwk.alg.as_ref().filter(|named| **named != alg) {
            return Err(format!("is for {}", quoted(other)));
        }
        if let Some(other) = jwk.usage.as_ref().filter(|usage| *usage != "sig") {
            return Err(format!("has the use {}", quoted(other)));
        }
        let verifies = |operations: &Vec<String>| operations.iter().any(|one| one == "verify");
        if !jwk.key_ops.as_ref().is_none_or(verifies) {
            return Err("is not for the operation verify".to_owned());
        }
        Ok(material)
    }

    fn rsa(n: Vec<u8>, e: Vec<u8>) -> Result<Self, String> {
        // ring takes no zeros in front, RFC 7518 allows none, and some issuers write one.
        let zeros = n.iter().take_while(|byte| **byte == 0).count();
        let n = n[zeros..].to_vec();
        let unused = n.first().map_or(0, |byte| byte.leading_zeros() as usize);
        let bits = n.len() * 8 - unused;
        if bits < MIN_RSA_BITS {
            return Err(format!(
                "is RSA of {bits} bits, where {MIN_RSA_BITS} are the least"
            ));
        }
        Ok(Self::Rsa(RsaPublicKeyComponents { n, e }))
    }

    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa(_) => Algorithm::Rs256,
            Self::P256(_) => Algorithm::Es256,
            Self::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    /// Whether the token's signature is of this key.
    fn signed(&self, token: &Token<'_>) -> bool {
        let (message, signature) = (token.message, &*token.signature);
        let verified = match self {
            Self::Rsa(key) => key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature),
            Self::P256(key) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(message, signature)
            }
            Self::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature),
        };
        verified.is_ok()
    }
}

#[cfg(test)]
mod tests;
