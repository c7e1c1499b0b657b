//! The chores, each in a file of its own. An error is text for a person.

pub(crate) mod bench;
pub(crate) mod cluster;
pub(crate) mod lint;
pub(crate) mod test;
pub(crate) mod tidy;
