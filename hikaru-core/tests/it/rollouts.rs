//! The rule of rollouts: stories, causes, evidence, what must not fail, and properties on any facts.

mod causes;
mod completion;
mod disturbed;
mod docs;
mod evidence;
mod fates;
mod limits;
mod properties;
pub(crate) mod scene;
mod stories;
mod window;
