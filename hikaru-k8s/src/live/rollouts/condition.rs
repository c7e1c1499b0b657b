//! Conditions and times, as all objects have them, and how what is read of objects is kept.

use std::time::SystemTime;

use hikaru_core::{Text, rollout};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::Deserialize;

/// A condition of a Deployment, a ReplicaSet or a pod.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Condition {
    #[serde(rename = "type")]
    kind: Option<String>,
    status: Option<String>,
    reason: Option<String>,
    message: Option<String>,
    last_update_time: Option<Time>,
    last_transition_time: Option<Time>,
}

impl Condition {
    /// Whether it is of this kind, and true.
    pub(super) fn is(&self, kind: &str) -> bool {
        self.kind.as_deref() == Some(kind) && self.status.as_deref() == Some("True")
    }
}

/// The conditions as the rules read them.
pub(super) fn conditions(read: Option<Vec<Condition>>) -> Vec<rollout::Condition> {
    let read = read.into_iter().flatten();
    let told = read.map(|read| {
        let mut condition = rollout::Condition::default();
        condition.kind = text(read.kind);
        condition.status = text(read.status);
        condition.reason = text(read.reason);
        condition.message = text(read.message);
        condition.since = time(read.last_update_time.or(read.last_transition_time));
        condition
    });
    kept(told)
}

/// What is kept as long as somebody waits, without the spare room that a list gets while it grows: four items for one.
pub(super) fn kept<T>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.collect();
    items.shrink_to_fit();
    items
}

/// A text, or an empty one.
pub(super) fn text(read: Option<String>) -> Text {
    read.unwrap_or_default().into()
}

/// A time of the cluster.
pub(super) fn time(read: Option<Time>) -> Option<SystemTime> {
    read.map(|time| time.0.into())
}
