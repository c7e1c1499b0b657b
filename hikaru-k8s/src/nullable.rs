//! Go writes empty lists and maps as `null` unless they are left out: `null` is read as empty.

use serde::{Deserialize, Deserializer};

/// For `deserialize_with`: `null` is the default value.
pub(crate) fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
