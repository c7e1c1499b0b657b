//! Text from outside in messages: escaped, and quoted in part where it is long.

pub(crate) mod escape;
pub(crate) mod excerpt;

pub use escape::Escaped;
pub use excerpt::Excerpt;
