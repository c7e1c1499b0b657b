//! What shows a cause: events, grouped and counted, and the end of one log. It is collected once, when a rollout fails.

use crate::Text;

/// What shows why a rollout failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evidence {
    /// The Warning events since the change, grouped, the most frequent first.
    pub events: Vec<EventGroup>,
    /// The end of one container's log.
    pub log: Option<LogExcerpt>,
    /// What could not be collected, and why, in sentences.
    pub unseen: Vec<String>,
}

/// Events that say the same. Generated names of pods in the messages are replaced before they are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventGroup {
    /// One word: `FailedCreate`.
    pub reason: Text,
    /// The object that one of them is about: `Pod web-7c9f`.
    pub object: Text,
    /// What they say, control characters escaped.
    pub message: String,
    /// How often it happened.
    pub count: u32,
}

/// The end of a container's log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogExcerpt {
    /// The pod.
    pub pod: Text,
    /// The container.
    pub container: Text,
    /// Whether it is the log of the container before its last restart.
    pub is_previous: bool,
    /// The last lines, without line ends, control characters escaped.
    pub lines: Vec<String>,
}
