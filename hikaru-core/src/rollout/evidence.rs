//! What shows a cause: events, grouped and counted, and the end of one log. It is collected once, when a rollout fails; here is what
//! to ask for, and what is made of the answers.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap, hash_map::Entry},
};

use super::{
    cause::Cause,
    facts::{EventFacts, RolloutFacts, RolloutKind},
    view::{View, is_ready},
};
use crate::{Text, text::excerpt::Quoted};

/// How many groups of events are told.
const GROUPS: usize = 20;
/// The longest message, and the longest line of a log, in characters.
const LONGEST: usize = 500;
/// How many pods' events are asked for: more of them say the same.
const PODS: usize = 20;

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

/// The uids of the objects whose events tell of a rollout: the workload, a Deployment's present ReplicaSet, and pods that are not
/// ready, new ones first, a few of them.
pub fn event_objects(facts: &RolloutFacts) -> BTreeSet<Text> {
    let view = View::new(facts);
    // An old one can hold up the new ones.
    let pods = view.new.iter().chain(&view.old).chain(&view.ended);
    let pods = pods.filter(|pod| !is_ready(pod));
    let mut uids: BTreeSet<Text> = pods.take(PODS).map(|pod| pod.uid.clone()).collect();
    uids.extend(view.new_set.map(|set| set.uid.clone()));
    uids.insert(facts.workload.uid.clone());
    uids
}

impl Evidence {
    /// The Warning events of the workload, its present ReplicaSet and the pod of the cause, since the change.
    pub fn of(facts: &RolloutFacts, events: &[EventFacts], cause: &Cause) -> Self {
        let view = View::new(facts);
        let set = view.new_set.map(|set| &set.uid);
        let mut groups: HashMap<(&str, String), EventGroup> = HashMap::new();
        for event in events.iter().filter(|event| event.is_warning) {
            let is_of_pod = cause.pod_uid.as_ref() == Some(&event.about);
            let is_own = event.about == facts.workload.uid || Some(&event.about) == set;
            // A node's clock may be wrong; the events of a pod are of its own time anyhow.
            let counts = is_of_pod || is_own && view.is_since_change(event.last);
            if !counts {
                continue;
            }
            let message = comparable(&view, &event.message);
            match groups.entry((&*event.reason, message)) {
                Entry::Occupied(mut group) => {
                    let count = &mut group.get_mut().count;
                    *count = count.saturating_add(event.count.max(1));
                }
                Entry::Vacant(place) => {
                    let message = place.key().1.clone();
                    place.insert(EventGroup {
                        reason: shown(&event.reason),
                        object: shown(&event.object),
                        message,
                        count: event.count.max(1),
                    });
                }
            }
        }
        let mut events: Vec<EventGroup> = groups.into_values().collect();
        events.sort_by(|a, b| {
            let key = |group: &EventGroup| (group.reason.clone(), group.message.clone());
            b.count.cmp(&a.count).then_with(|| key(a).cmp(&key(b)))
        });
        let more = events.len().saturating_sub(GROUPS);
        events.truncate(GROUPS);
        let left_out = (more > 0).then(|| format!("{more} more kinds of events are not shown"));
        Self {
            events,
            log: None,
            unseen: left_out.into_iter().collect(),
        }
    }
}

/// A word of the cluster as it is shown.
fn shown(word: &Text) -> Text {
    Quoted(word, LONGEST).to_string().into()
}

/// A message as it is compared and shown.
fn comparable(view: &View<'_>, message: &str) -> String {
    let message = message
        .strip_prefix("(combined from similar events): ")
        .unwrap_or(message);
    // What follows names an account.
    let message = match message.split_once("rate limit as ") {
        Some((before, _)) => format!("{before}rate limit as …").into(),
        None => Cow::from(message),
    };
    Quoted(&without_pod_names(view, &message), LONGEST).to_string()
}

/// `web-6f5b8c7d9-x2b4c` as `web-6f5b8c7d9-*`, `web-2` of a StatefulSet as `web-*`.
fn without_pod_names<'m>(view: &View<'_>, message: &'m str) -> Cow<'m, str> {
    let prefix = match (view.object().kind, view.new_set) {
        (RolloutKind::Deployment, Some(set)) => &set.name,
        (RolloutKind::Deployment, None) => return message.into(),
        _ => &view.facts.workload.id.name,
    };
    if prefix.is_empty() || !message.contains(&**prefix) {
        return message.into();
    }
    let is_numbered = view.object().kind == RolloutKind::StatefulSet;
    let (mut replaced, mut rest) = (String::with_capacity(message.len()), message);
    while let Some((before, after)) = rest.split_once(&**prefix) {
        replaced.push_str(before);
        replaced.push_str(prefix);
        rest = after;
        let begins = !before.ends_with(is_of_name);
        if let Some(suffix) = after.strip_prefix('-').filter(|_| begins) {
            let end = suffix.find(|c| !is_of_name(c)).unwrap_or(suffix.len());
            let (suffix, after) = suffix.split_at(end);
            if is_generated(suffix, is_numbered) {
                replaced.push_str("-*");
                rest = after;
            }
        }
    }
    replaced.push_str(rest);
    replaced.into()
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.')
}

/// Whether Kubernetes makes such an end of a name: five of the letters and digits that spell no word.
fn is_generated(suffix: &str, is_numbered: bool) -> bool {
    if is_numbered {
        return !suffix.is_empty() && suffix.bytes().all(|b| b.is_ascii_digit());
    }
    suffix.len() == 5
        && suffix
            .chars()
            .all(|c| "bcdfghjklmnpqrstvwxz2456789".contains(c))
}

/// Which log shows a cause.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogWanted {
    /// The pod: one of those that have the cause.
    pub pod: Text,
    /// The container.
    pub container: Text,
    /// Whether it is the log before its last restart.
    pub is_previous: bool,
}

impl LogWanted {
    /// How many lines are asked for.
    pub const LINES: u32 = 25;

    /// The log that shows a cause. `None`: no container with this cause has written one.
    pub fn of(cause: &Cause) -> Option<Self> {
        let log = Self {
            pod: cause.pod.clone()?,
            container: cause.container.clone()?,
            is_previous: cause.restarted,
        };
        cause.code.has_log().then_some(log)
    }

    /// The last lines of what the container has written.
    pub fn excerpt(self, text: &str) -> LogExcerpt {
        let lines = text.trim_end().lines().rev().take(Self::LINES as usize);
        let mut lines: Vec<String> = lines.map(|l| Quoted(l, LONGEST).to_string()).collect();
        lines.reverse();
        LogExcerpt {
            pod: self.pod,
            container: self.container,
            is_previous: self.is_previous,
            lines,
        }
    }
}
