//! The shape of the file of callers: its keys, and the place of each value. What the values mean is read in `caller` and `trust`.
//!
//! A key that is there has a value: nothing at all after `identities:` would otherwise be taken for a key that is left out, and a
//! caller without identities sees everything.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_saphyr::{Location, Spanned};

/// A text. A number, and a word such as `true`, is one as it is written.
pub(super) type Word = Spanned<String>;
/// A list of texts.
pub(super) type Words = Spanned<Vec<Word>>;

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    #[serde(default)]
    pub(super) callers: Vec<CallerEntry>,
    #[serde(default)]
    pub(super) trusts: Vec<TrustEntry>,
}

/// One of `callers`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CallerEntry {
    pub(super) name: Word,
    #[serde(rename = "tokenSha256")]
    pub(super) token_sha256: Word,
    pub(super) rights: Words,
    #[serde(default, deserialize_with = "given")]
    pub(super) identities: Option<Words>,
    #[serde(default, deserialize_with = "given")]
    pub(super) namespaces: Option<Words>,
    #[serde(default, deserialize_with = "given")]
    pub(super) expires: Option<Word>,
}

/// One of `trusts`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct TrustEntry {
    pub(super) name: Word,
    pub(super) kind: Word,
    pub(super) audience: Word,
    pub(super) rights: Words,
    #[serde(default, deserialize_with = "given")]
    pub(super) issuer: Option<Word>,
    #[serde(default, deserialize_with = "given")]
    pub(super) ca: Option<Word>,
    #[serde(default, deserialize_with = "given")]
    pub(super) owners: Option<Words>,
    #[serde(default, deserialize_with = "given")]
    pub(super) events: Option<Words>,
    #[serde(default, deserialize_with = "given")]
    pub(super) claims: Option<Spanned<Pairs>>,
    #[serde(default, deserialize_with = "given")]
    pub(super) binding: Option<Word>,
    #[serde(default, deserialize_with = "given")]
    pub(super) commit: Option<Word>,
    #[serde(default, deserialize_with = "given")]
    pub(super) refs: Option<Spanned<Pairs>>,
    #[serde(default, deserialize_with = "given")]
    pub(super) protected: Option<Spanned<bool>>,
    #[serde(default, deserialize_with = "given")]
    pub(super) service_accounts: Option<Words>,
    #[serde(default, deserialize_with = "given")]
    pub(super) identities: Option<Words>,
    #[serde(default, deserialize_with = "given")]
    pub(super) namespaces: Option<Words>,
}

impl TrustEntry {
    /// The place of each key that not every kind of a trust has, where it is given.
    pub(super) fn of_kind(&self) -> [(&'static str, Option<Location>); 10] {
        fn place<T>(value: &Option<Spanned<T>>) -> Option<Location> {
            value.as_ref().map(|value| value.referenced)
        }
        [
            ("issuer", place(&self.issuer)),
            ("ca", place(&self.ca)),
            ("owners", place(&self.owners)),
            ("events", place(&self.events)),
            ("claims", place(&self.claims)),
            ("binding", place(&self.binding)),
            ("commit", place(&self.commit)),
            ("refs", place(&self.refs)),
            ("protected", place(&self.protected)),
            ("serviceAccounts", place(&self.service_accounts)),
        ]
    }
}

/// The value of a key that may be left out.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// Keys and their texts, in the order of the file.
pub(super) struct Pairs(pub(super) Vec<(Word, Word)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(InOrder)
    }
}

struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Pairs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("keys and their texts")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Pairs, M::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}
