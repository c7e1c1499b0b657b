//! The chores, one a file. Each returns what went wrong as text for a person.

pub(crate) mod bench;
pub(crate) mod cluster;
pub(crate) mod lint;
pub(crate) mod test;
pub(crate) mod tidy;
