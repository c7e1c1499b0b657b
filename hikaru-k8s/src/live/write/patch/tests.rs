//! The bodies of patches, compared as JSON.

use std::time::{Duration, UNIX_EPOCH};

use hikaru_core::{
    Build, Container, IdentityLabels, Request, TagFormats, Workload, WorkloadId, plan,
    workload::Setting,
};

use serde_json::{Value, json};

use super::*;
use crate::{kind::Kinds, live::read::object::NO_ANNOTATIONS};

fn image(n: u64) -> String {
    format!("acme/web:acme_web_main_1.4.0_{n}_0123abcd")
}

fn workload(kind: &str) -> Workload {
    let mut workload = Workload::new(WorkloadId::new("shop", kind, "web"));
    workload.uid = "uid-1".into();
    workload.labels = IdentityLabels::new("acme", "web", "main");
    workload.containers = vec![Container::new("web", image(1))];
    workload
}

/// The change to build 2.
fn change(workload: Workload) -> Change {
    let build = Build::parse(&image(2), &TagFormats::default()).expect("a build");
    let entry = plan(Request::new(build), [workload]).entries.pop();
    entry.and_then(|entry| entry.change).expect("a change")
}

fn patch(workload: Workload) -> Vec<Value> {
    let kinds = Kinds::with(&[]);
    let kind = kinds.named(&workload.id.kind).expect("a kind");
    let keys = IdentityKeys::default();
    // 2026-01-02T03:04:05.678Z
    let now = UNIX_EPOCH + Duration::from_millis(1_767_323_045_678);
    let patch = of_change(&change(workload), kind, &keys, now);
    serde_json::from_slice(&patch).expect("a list of operations")
}

/// The value of the annotation that is written.
fn last(workload: Workload) -> Value {
    let operations = patch(workload);
    let last = operations.last().expect("an operation");
    assert_eq!(
        last["path"],
        "/metadata/annotations/hikaru.dev~1last-upgrade"
    );
    serde_json::from_str(last["value"].as_str().expect("a text")).expect("JSON")
}

fn test(path: &str, value: Value) -> Value {
    json!({"op": "test", "path": path, "value": value})
}

const MARK: &str = "/metadata/labels/high-water.hikaru.dev~1web";
const LAST: &str = r#"{"at":"2026-01-02T03:04:05Z","previous":{"web":"acme/web:acme_web_main_1.4.0_1_0123abcd"},"to":{"web":"acme/web:acme_web_main_1.4.0_2_0123abcd"}}"#;
const CAUSE: &str = "hikaru: web to acme_web_main_1.4.0_2_0123abcd";

#[test]
fn everything_that_the_verdict_read_is_tested() {
    let mut judged = workload("Deployment");
    judged.settings = vec![
        Setting::new(Place::Label, "upgrade", "auto"),
        Setting::new(Place::Annotation, "constraint", "~1.4"),
        Setting::new(Place::Annotation, "unknown", "x"),
    ];
    judged.containers[0].mark = Some("1.4.0_1_00000000".into());
    judged
        .containers
        .push(Container::new("other", "postgres:17"));
    let change = change(judged.clone());
    let mark = change.edits()[0].mark().expect("a mark").to_string();
    assert_eq!(
        patch(judged),
        [
            test("/metadata/uid", json!("uid-1")),
            test("/metadata/labels/owner", json!("acme")),
            test("/metadata/labels/repo", json!("web")),
            test("/metadata/labels/branch", json!("main")),
            test("/metadata/labels/hikaru.dev~1upgrade", json!("auto")),
            test("/metadata/annotations/hikaru.dev~1upgrade", Value::Null),
            test("/metadata/labels/hikaru.dev~1containers", Value::Null),
            test("/metadata/annotations/hikaru.dev~1containers", Value::Null),
            test("/metadata/labels/hikaru.dev~1constraint", Value::Null),
            test(
                "/metadata/annotations/hikaru.dev~1constraint",
                json!("~1.4")
            ),
            test("/metadata/labels/hikaru.dev~1on-failure", Value::Null),
            test("/metadata/annotations/hikaru.dev~1on-failure", Value::Null),
            test(
                "/metadata/labels/hikaru.dev~1progress-deadline",
                Value::Null
            ),
            test(
                "/metadata/annotations/hikaru.dev~1progress-deadline",
                Value::Null
            ),
            test("/metadata/labels/hikaru.dev~1required-rollout", Value::Null),
            test(
                "/metadata/annotations/hikaru.dev~1required-rollout",
                Value::Null
            ),
            test("/spec/template/spec/containers/0/name", json!("web")),
            test("/spec/template/spec/containers/0/image", json!(image(1))),
            test(MARK, json!("1.4.0_1_00000000")),
            test(
                "/metadata/annotations/hikaru.dev~1last-upgrade",
                Value::Null
            ),
            json!({"op": "replace", "path": "/spec/template/spec/containers/0/image",
                "value": image(2)}),
            json!({"op": "add", "path": MARK, "value": mark}),
            json!({"op": "add", "path": "/metadata/annotations/kubernetes.io~1change-cause",
                "value": CAUSE}),
            json!({"op": "add", "path": "/metadata/annotations/hikaru.dev~1last-upgrade",
                "value": LAST}),
        ]
    );
}

#[test]
fn where_no_annotations_are_their_absence_is_tested() {
    let mut judged = workload("Deployment");
    judged.adapter_note = NO_ANNOTATIONS;
    let operations = patch(judged);
    let annotations: Vec<&Value> = operations
        .iter()
        .filter(|operation| {
            operation["path"]
                .as_str()
                .is_some_and(|p| p.contains("annotations"))
        })
        .collect();
    assert_eq!(
        annotations,
        [
            &test("/metadata/annotations", Value::Null),
            &json!({"op": "add", "path": "/metadata/annotations",
                "value": {"hikaru.dev/last-upgrade": LAST, "kubernetes.io/change-cause": CAUSE}}),
        ]
    );
}

#[test]
fn each_kind_has_its_pod_elsewhere() {
    let mut judged = workload("CronJob");
    judged.containers[0].list = PodList::InitContainers;
    judged.containers[0].position = 3;
    let operations = patch(judged);
    let at = "/spec/jobTemplate/spec/template/spec/initContainers/3";
    assert!(operations.contains(&test(&format!("{at}/name"), json!("web"))));
    assert!(
        operations.contains(&json!({"op": "replace", "path": format!("{at}/image"),
        "value": image(2)}))
    );
}

#[test]
fn previous_is_the_last_image_whose_rollout_was_complete() {
    let entry = |text: &str| {
        let mut judged = workload("Deployment");
        judged.last_upgrade = Some(text.into());
        judged
    };
    let going = |mut judged: Workload| {
        let mut progress = Progress::default();
        (progress.generation, progress.observed) = (2, 1);
        judged.progress = Some(progress);
        judged
    };
    let at = "2026-01-02T03:04:05Z";
    let running = |to: &str| {
        entry(&format!(
            r#"{{"previous": {{"web": "old"}}, "to": {{"web": "{to}"}}}}"#
        ))
    };
    let cases = [
        // A StatefulSet that was undone keeps its annotations: they tell of an image that no longer runs.
        (going(running(&image(1))), json!({"web": "old"})),
        (going(running(&image(7))), json!({})),
        (running(&image(7)), json!({"web": image(1)})),
        // Without `to`: what ran before runs again.
        (
            going(entry(&format!(
                r#"{{"previous": {{"web": "{}"}}}}"#,
                image(1)
            ))),
            json!({}),
        ),
        (workload("Deployment"), json!({"web": image(1)})),
        (going(workload("Deployment")), json!({})),
        (
            entry(r#"{"previous": {"web": "old", "db": "postgres:16"}}"#),
            json!({"web": image(1), "db": "postgres:16"}),
        ),
        (
            going(entry(r#"{"previous": {"web": "old"}}"#)),
            json!({"web": "old"}),
        ),
        (going(entry("no JSON")), json!({})),
        (entry("[1]"), json!({"web": image(1)})),
        (entry(r#"{"previous": 7}"#), json!({"web": image(1)})),
    ];
    for (judged, previous) in cases {
        let shown = format!("{:?} {:?}", judged.last_upgrade, judged.progress);
        assert_eq!(
            last(judged),
            json!({"at": at, "previous": previous, "to": {"web": image(2)}}),
            "{shown}"
        );
    }
    let kept = last(entry(r#"{"at": "then", "by": {"who": "somebody"}}"#));
    assert_eq!(
        kept,
        json!({"at": at, "by": {"who": "somebody"}, "previous": {"web": image(1)},
            "to": {"web": image(2)}})
    );
}

#[test]
fn an_image_volume_and_a_container_without_a_name_have_their_own_places() {
    let mut judged = workload("Deployment");
    let mut volume = Container::volume("assets", image(1));
    volume.position = 2;
    judged.containers = vec![
        volume,
        Container::nameless(PodList::InitContainers, 1, image(1)),
    ];
    let operations = patch(judged);
    let at = "/spec/template/spec/volumes/2";
    let init = "/spec/template/spec/initContainers/1";
    for expected in [
        test(&format!("{at}/name"), json!("assets")),
        test(&format!("{at}/image/reference"), json!(image(1))),
        test(
            "/metadata/labels/high-water.hikaru.dev~1volume.assets",
            json!(null),
        ),
        json!({"op": "replace", "path": format!("{at}/image/reference"), "value": image(2)}),
        test(&format!("{init}/name"), json!(null)),
        test(&format!("{init}/image"), json!(image(1))),
        json!({"op": "replace", "path": format!("{init}/image"), "value": image(2)}),
        json!({"op": "add", "path": "/metadata/annotations/kubernetes.io~1change-cause",
            "value": "hikaru: volume assets and initContainers[1] to acme_web_main_1.4.0_2_0123abcd"}),
    ] {
        assert!(operations.contains(&expected), "{expected} {operations:?}");
    }
    let marks: Vec<&str> = operations
        .iter()
        .filter(|operation| operation["op"] == "add")
        .filter_map(|operation| {
            operation["path"]
                .as_str()?
                .strip_prefix("/metadata/labels/")
        })
        .collect();
    assert_eq!(
        marks,
        [
            "high-water.hikaru.dev~1volume.assets",
            "high-water.hikaru.dev~1initContainers.1"
        ]
    );
}

/// A volume's name may be as long as a label's key, without `volume.`.
#[test]
fn where_no_label_can_have_the_key_of_a_mark_none_is_written() {
    let mut judged = workload("Deployment");
    judged.containers = vec![Container::volume(&"x".repeat(57), image(1))];
    let operations = patch(judged);
    let labels = operations.iter().filter_map(|o| o["path"].as_str());
    let marks = labels.filter(|path| path.contains("high-water"));
    assert_eq!(marks.count(), 0);
}

#[test]
fn marks_are_removed_only_as_they_were_seen() {
    let seen = Seen {
        workload: workload("Deployment"),
        resource_version: "1".to_owned(),
        marks: Default::default(),
    };
    let marks = [("web".into(), "1.4.0_2_00000000".into())];
    let patch: Value = serde_json::from_slice(&of_unhold(&seen, &marks)).expect("JSON");
    assert_eq!(
        patch,
        json!([
            test("/metadata/uid", json!("uid-1")),
            test(MARK, json!("1.4.0_2_00000000")),
            {"op": "remove", "path": MARK},
        ])
    );
}

#[test]
fn any_text_can_be_a_key_or_a_value() {
    let odd = "a~b/c\"d\\e\n\u{1}é";
    let mut patch = Patch::default();
    patch.test(below(LABELS, odd), Some(odd));
    patch.test(below("", "x"), None);
    patch.push("remove", below(METADATA, odd), None);
    patch.push(
        "add",
        "/m".to_owned(),
        Some(super::Value::Map([(odd, odd)].into())),
    );
    let written: Value = serde_json::from_slice(&patch.json()).expect("JSON");
    let escaped = "a~0b~1c\"d\\e\n\u{1}é";
    assert_eq!(
        written,
        json!([
            {"op": "test", "path": format!("/metadata/labels/{escaped}"), "value": odd},
            {"op": "test", "path": "/x", "value": null},
            {"op": "remove", "path": format!("/metadata/{escaped}")},
            {"op": "add", "path": "/m", "value": {odd: odd}},
        ])
    );
}
