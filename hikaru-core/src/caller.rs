//! Who calls, and what a caller may do. How a caller is recognized is decided at the edge.

use crate::Text;

/// Who calls, as logs and notifications name it. Never a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caller {
    /// Its name: `token 1`, `anonymous`.
    pub name: Text,
    /// What it may do.
    pub rights: Rights,
}

/// What a caller may do. Nothing asks for it yet: a caller that is recognized may do everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rights {
    /// Everything.
    All,
}

impl Caller {
    /// A caller of this name.
    pub fn new(name: impl Into<Text>, rights: Rights) -> Self {
        Self {
            name: name.into(),
            rights,
        }
    }
}
