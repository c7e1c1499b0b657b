//! Events, and which nodes are not ready: what is listed when something looks wrong. Both are bounded, because a namespace can
//! have very many events.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use hikaru_core::{Text, port::ClusterError, rollout::EventFacts};
use k8s_openapi::{api::core::v1::Event, apimachinery::pkg::apis::meta::v1::MicroTime};
use serde::Deserialize;

use super::condition::{Condition, text, time};
use crate::{
    live::{
        LiveCluster,
        client::refusal,
        clock::now,
        error::short,
        read::pages::{Collection, Limit, Page, Pages, Step},
    },
    nullable::nullable,
};

/// The field selector of what is told. Most events say that something works.
const WARNINGS: &str = "type=Warning";

/// Up to so many objects are asked about one by one. The API server reads all events of the namespace for each of these lists, so
/// for more objects one list of all events is cheaper.
const ONE_BY_ONE: usize = 3;

/// How many events of a namespace are read, and for how long.
const EVENTS: u32 = 10_000;
const LONGEST: Duration = Duration::from_secs(20);

/// How many events are kept: the latest.
const KEPT: usize = 1_000;

impl LiveCluster {
    /// The latest Warning events about these objects.
    pub(in crate::live) async fn events_about(
        &self,
        namespace: &str,
        uids: &BTreeSet<Text>,
    ) -> Result<Vec<EventFacts>, ClusterError> {
        let fields: Vec<String> = match uids.len() {
            0 => Vec::new(),
            1..=ONE_BY_ONE => {
                let uids = uids.iter();
                uids.map(|uid| format!("{WARNINGS},involvedObject.uid={uid}"))
                    .collect()
            }
            _ => vec![WARNINGS.to_owned()],
        };
        let mut events = Vec::new();
        for fields in fields {
            events.extend(self.list_events(namespace, fields, uids).await?);
        }
        keep_latest(&mut events);
        Ok(events)
    }

    async fn list_events(
        &self,
        namespace: &str,
        fields: String,
        uids: &BTreeSet<Text>,
    ) -> Result<Vec<EventFacts>, ClusterError> {
        let collection = Collection {
            path: format!("/api/v1/namespaces/{namespace}/events"),
            fields,
            ..Collection::default()
        };
        let mut pages = Pages::new(collection, Limit::AtMost(EVENTS));
        let read = |page: &Page<'_>| -> Vec<EventFacts> {
            // One that cannot be read is no reason to tell nothing.
            let items = page.items.iter();
            let read = items.filter_map(|item| serde_json::from_str::<Event>(item.get()).ok());
            let about = read.filter(|event| {
                let uid = event.involved_object.uid.as_deref();
                uid.is_some_and(|uid| uids.contains(uid))
            });
            about.map(event).collect()
        };
        let (begun, mut events) = (now(), Vec::new());
        let failed = |error| refusal::of_read(error, &format!("namespace {namespace}"));
        while now().saturating_duration_since(begun) < LONGEST
            && let Some(step) = pages.step(&self.inner.api, read).await.map_err(failed)?
        {
            match step {
                Step::Page(read, _) => events.extend(read),
                Step::Restarted => events.clear(),
            }
            if events.len() > 2 * KEPT {
                keep_latest(&mut events);
            }
        }
        Ok(events)
    }

    /// The names of the nodes that are not ready.
    pub(super) async fn list_not_ready_nodes(&self) -> Result<BTreeSet<Text>, ClusterError> {
        #[derive(Deserialize)]
        struct Node {
            metadata: Named,
            #[serde(default, deserialize_with = "nullable")]
            status: Status,
        }
        #[derive(Deserialize)]
        struct Named {
            name: String,
        }
        #[derive(Default, Deserialize)]
        struct Status {
            #[serde(default)]
            conditions: Option<Vec<Condition>>,
        }
        let collection = Collection {
            path: "/api/v1/nodes".to_owned(),
            ..Collection::default()
        };
        let mut pages = Pages::new(collection, Limit::All);
        let read = |page: &Page<'_>| -> Vec<Text> {
            let items = page.items.iter();
            let nodes = items.filter_map(|item| serde_json::from_str::<Node>(item.get()).ok());
            let not_ready = nodes.filter(|node| {
                let mut conditions = node.status.conditions.iter().flatten();
                !conditions.any(|condition| condition.is("Ready"))
            });
            not_ready.map(|node| node.metadata.name.into()).collect()
        };
        let failed = |error| refusal::of_read(error, &"list of nodes");
        let mut names = BTreeSet::new();
        while let Some(step) = pages.step(&self.inner.api, read).await.map_err(failed)? {
            match step {
                Step::Page(read, _) => names.extend(read),
                Step::Restarted => names.clear(),
            }
        }
        Ok(names)
    }
}

fn keep_latest(events: &mut Vec<EventFacts>) {
    events.sort_by_key(|event| std::cmp::Reverse(event.last));
    events.truncate(KEPT);
}

fn event(read: Event) -> EventFacts {
    let mut facts = EventFacts::default();
    let about = read.involved_object;
    facts.object = format!(
        "{} {}",
        about.kind.unwrap_or_default(),
        about.name.unwrap_or_default()
    )
    .into();
    facts.about = text(about.uid);
    facts.is_warning = read.type_.as_deref() == Some("Warning");
    facts.reason = text(read.reason);
    facts.message = short(&read.message.unwrap_or_default()).into();
    let (series_count, series_time) = read.series.map_or((None, None), |series| {
        (series.count, series.last_observed_time)
    });
    let counts = [read.count, series_count].into_iter().flatten();
    let counts = counts.filter_map(|count| u32::try_from(count).ok());
    facts.count = counts.max().unwrap_or_default().max(1);
    let micro = |time: MicroTime| SystemTime::from(time.0);
    facts.last = time(read.last_timestamp)
        .or(series_time.map(micro))
        .or(read.event_time.map(micro))
        .or(time(read.metadata.creation_timestamp));
    facts
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(object: Value) -> EventFacts {
        event(serde_json::from_value(object).expect("an event"))
    }

    #[test]
    fn what_is_read_of_an_event() {
        let facts = read(json!({
            "metadata": {"creationTimestamp": "2026-11-24T18:00:00Z"},
            "involvedObject": {"kind": "Pod", "name": "web-0", "uid": "p-1", "fieldPath": "spec.containers{web}"},
            "type": "Warning", "reason": "BackOff", "message": "x".repeat(5_000), "count": 3,
            "firstTimestamp": "2026-11-24T18:00:01Z", "lastTimestamp": "2026-11-24T18:00:09Z", "eventTime": null, "series": null,
        }));
        assert_eq!((&*facts.about, &*facts.object), ("p-1", "Pod web-0"));
        assert_eq!(
            (facts.is_warning, &*facts.reason, facts.count),
            (true, "BackOff", 3)
        );
        assert!(facts.message.chars().count() < 5_000);
    }

    /// The newer API writes no `lastTimestamp`.
    #[test]
    fn the_last_time_is_where_it_is_told() {
        let created = json!({"creationTimestamp": "2026-11-24T18:00:00Z"});
        let mut event = json!({"metadata": created, "involvedObject": {}});
        let mut last = Vec::new();
        for (field, value) in [
            ("reason", json!("x")),
            ("eventTime", json!("2026-11-24T18:00:01.000000Z")),
            (
                "series",
                json!({"count": 7, "lastObservedTime": "2026-11-24T18:00:02.000000Z"}),
            ),
            ("lastTimestamp", json!("2026-11-24T18:00:03Z")),
        ] {
            event[field] = value;
            let facts = read(event.clone());
            let at = facts
                .last
                .expect("a time")
                .duration_since(SystemTime::UNIX_EPOCH);
            last.push((at.expect("later").as_secs() - 1_795_543_200, facts.count));
        }
        assert_eq!(last, [(0, 1), (1, 1), (2, 7), (3, 7)]);
    }
}
