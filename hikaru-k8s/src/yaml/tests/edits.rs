//! What an edit changes: the image's bytes, in the style that stands there, or nothing at all.

use super::{deployment, upgrade};

/// The bytes `‹…›` of a text are the image; after the edit exactly they are the new one.
#[track_caller]
fn writes(marked: &str, to: &str) {
    writes_as(marked, to, to);
}

#[track_caller]
fn writes_as(marked: &str, to: &str, written: &str) {
    let text = marked.replace(['‹', '›'], "");
    let mut expected = String::new();
    let mut rest = marked;
    while let Some((before, after)) = rest.split_once('‹') {
        let (_, after) = after.split_once('›').expect("a place ends");
        expected.push_str(before);
        expected.push_str(written);
        rest = after;
    }
    expected.push_str(rest);
    assert_eq!(upgrade(&text, "web", to), Ok(expected), "{text}");
}

#[track_caller]
fn refuses(text: &str, expected: &str) {
    assert_eq!(
        upgrade(text, "web", "acme/web:2"),
        Err(expected.to_owned()),
        "{text}"
    );
}

const TAILS: &[&str] = &[
    "image: ‹acme/web:1›",
    "image: ‹acme/web:1›\n",
    "image:    ‹acme/web:1›   # why\n          # more\n          env: []\n",
    "image: '‹acme/web:1›'\n",
    "image: \"‹acme/web:1›\" # why\n",
    "image: \"‹acme\\x2fweb:1›\"\n",
    "\"image\": ‹acme/web:1›\n",
    "? image\n          : ‹acme/web:1›\n",
    "image: !!str ‹acme/web:1›\n",
    "image: ! '‹acme/web:1›'\n",
    "image: &unused ‹acme/web:1›\n",
    "image: |-\n            ‹acme/web:1›\n",
    "image: |-\n            ‹acme/web:1›",
    "image: >- # folded\n            ‹acme/web:1›\n\n\n          env: []\n",
    "image: |2-\n            ‹acme/web:1›\n",
    "image:\n            ‹acme/web:1›\n",
    "image: ‹acme/web:1@sha256:0000000000000000000000000000000000000000000000000000000000000000›\n",
    "image: ‹acme/web:1›\n        - {name: side, image: 'acme/web:1'}\n",
];

#[test]
fn only_the_bytes_of_the_image_change() {
    for tail in TAILS {
        let text = deployment(tail);
        writes(&text, "acme/web:2");
        writes(
            &text,
            "a-much-longer.example.org:5000/acme/web:1.4.0_7@sha256:00",
        );
        writes(&text.replace('\n', "\r\n"), "acme/web:2");
        writes(&format!("\u{feff}{text}"), "acme/web:2");
        writes(&format!("# größer 数 😀\n{text}"), "acme/web:2");
        writes(&format!("a: [b\n---\n{text}"), "acme/web:2");
        if text.ends_with('\n') {
            writes(
                &format!("%YAML 1.1\n---\n{text}---\n{text}...\n# end"),
                "acme/web:2",
            );
        }
    }
    let flow = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: ü}\nspec: {template: {spec: {containers: [{name: web, image: ‹acme/web:1›}, {name: b,image: a}]}}}";
    writes(flow, "acme/web:2");
    writes(
        &flow.replace("‹acme/web:1›", "'‹acme/web:1›'"),
        "[::1]:5000/web:2",
    );
    writes(
        "{\"apiVersion\": \"apps/v1\", \"kind\": \"Deployment\", \"metadata\": {\"name\": \"web\"}, \"spec\": {\"template\": {\"spec\": {\"containers\": [{\"name\":\"web\",\"image\":\"‹acme\\/web:1›\"}]}}}}",
        "acme/web:2",
    );
}

#[test]
fn all_workloads_of_a_list_are_edited_at_once() {
    writes(
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: apps/v1\n  kind: Deployment\n  metadata: {name: a}\n  spec: {template: {spec: {containers: [{name: web, image: ‹a:1›}]}}}\n- apiVersion: apps/v1\n  kind: Deployment\n  metadata: {name: b}\n  spec: {template: {spec: {initContainers: [{image: \"‹a:1›\", name: web}]}}}\n",
        "a:2",
    );
}

#[test]
fn an_image_that_cannot_stand_plainly_is_quoted() {
    let to = "[::1]:5000/web:2";
    writes_as(
        &deployment("image: ‹acme/web:1› # why\n"),
        to,
        "\"[::1]:5000/web:2\"",
    );
    writes(&deployment("image: '‹acme/web:1›'\n"), to);
    writes(&deployment("image: |-\n            ‹acme/web:1›\n"), to);
    writes_as(
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: w}, spec: {template: {spec: {containers: [{image: ‹a›, name: web}]}}}}",
        "a[b]",
        "\"a[b]\"",
    );
    // Would be a number, and a map.
    writes_as(&deployment("image: ‹acme/web:1›\n"), "12", "\"12\"");
    writes_as(&deployment("image: ‹acme/web:1›\n"), "a:", "\"a:\"");
}

#[test]
fn what_must_not_be_written_is_refused_with_its_place() {
    let tail = "spec:\n  template:\n    spec:\n      containers:\n        - name: web\n";
    let head = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n";
    refuses(
        &format!("x: &image acme/web:1\n{head}{tail}          image: *image\n"),
        "1:11: the image of container web was not written: it is reached through the alias at line 10, column 18; write the image out in its own place",
    );
    refuses(
        &format!("x: &c {{image: acme/web:1}}\n{head}{tail}          <<: *c\n"),
        "1:15: the image of container web was not written: it comes by the merge key << at line 10, column 11; give the container an image of its own",
    );
    refuses(
        &format!(
            "{head}{tail}          image: &image acme/web:1\n        - {{name: b, image: *image}}\n"
        ),
        "9:25: the image of container web was not written: the anchored value at line 9, column 25 is used elsewhere too and would change there; write the other one out",
    );
    refuses(
        &format!(
            "{head}spec: {{template: {{spec: {{containers: &cs [{{name: web, image: a}}]}}}}}}\nx: *cs\n"
        ),
        "4:62: the image of container web was not written: the anchored value at line 4, column 42 is used elsewhere too and would change there; write the other one out",
    );
    refuses(
        &format!(
            "x: &t {{spec: {{containers: [{{name: web, image: a}}]}}}}\n{head}spec: {{template: *t}}\n"
        ),
        "1:47: the image of container web was not written: it is reached through the alias at line 5, column 18; write the image out in its own place",
    );
    let lines = "10:18: the image of container web was not written: it is written over several lines; write it on one line";
    refuses(
        &deployment("image: \"acme/\\\n            web:1\"\n"),
        lines,
    );
    refuses(&deployment("image: acme\n            web:1\n"), lines);
    refuses(
        &deployment("image: |-\n\n            acme/web:1\n"),
        "12:13: the image of container web was not written: it is written over several lines; write it on one line",
    );
    assert_eq!(
        upgrade(&deployment("image: a\n"), "web", "a: b"),
        Err("10:18: the image of container web was not written: ' ' cannot stand in an image reference".to_owned())
    );
}
