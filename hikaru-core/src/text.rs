//! Text from outside: escaped in messages, and quoted in part where it is long; times to wait as people write them.

pub(crate) mod address;
pub(crate) mod escape;
pub(crate) mod excerpt;
pub(crate) mod patience;

pub use escape::Escaped;
pub use excerpt::{Excerpt, Quoted};
pub use patience::{Patience, PatienceError};
