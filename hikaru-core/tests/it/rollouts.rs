//! The rule of rollouts: stories, causes, evidence, and properties on any facts.

mod causes;
mod completion;
mod docs;
mod evidence;
mod fates;
mod limits;
mod properties;
mod scene;
mod stories;
