//! Properties: an edit keeps every other byte, and no text makes anything panic.

use super::{deployment, read_lines, upgrade, workloads};
use proptest::prelude::*;

fn image() -> impl Strategy<Value = String> {
    "[a-z]{1,8}(\\.[a-z]{2,3}(:[0-9]{1,5})?)?(/[a-z]{1,8}){0,2}:[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}"
}

/// An image in one of the styles, what is before it and after it on its line.
fn style() -> impl Strategy<Value = (&'static str, &'static str)> {
    prop_oneof![
        Just(("image: ", "")),
        Just(("image:   ", "  # größer")),
        Just(("image: '", "'")),
        Just(("image: \"", "\" # why")),
        Just(("\"image\": ", "")),
        Just(("image: !!str ", "")),
        Just(("image: |-\n            ", "")),
        Just(("image: >-   # x\n            ", "\n")),
    ]
}

fn filler() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just(""),
        Just("# größer 数 😀\n"),
        Just("\n\n"),
        Just("---\n"),
        Just("a: [b, {c: d}]\n---\n"),
        Just("apiVersion: v1\nkind: Service\n---\n"),
        Just("broken: [\n---\n"),
        Just("%YAML 1.1\n---\n"),
        Just(
            "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x, labels: {owner: 42}}\n---\n"
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_other_byte_stays(
        before in filler(), (open, close) in style(), old in image(), new in image(),
        crlf: bool, bom: bool, newline: bool, after in filler(),
    ) {
        let mut text = deployment(&format!("{open}\u{1}{close}"));
        text.insert_str(0, before);
        if newline {
            text.push('\n');
            if after.starts_with("---") {
                text.push_str(after);
            }
        }
        if crlf {
            text = text.replace('\n', "\r\n");
        }
        if bom {
            text.insert(0, '\u{feff}');
        }
        let expected = text.replace('\u{1}', &new);
        let text = text.replace('\u{1}', &old);
        prop_assert_eq!(upgrade(&text, "web", &new), Ok(expected.clone()));
        // And back.
        prop_assert_eq!(upgrade(&expected, "web", &old), Ok(text));
    }

    #[test]
    fn nothing_panics(text in "\\PC*", yaml in "[-a-z0-9:{}\\[\\],&*!|>'\"%@`#?<~ \t\n\r\u{feff}é]{0,200}", to in "\\PC{0,20}") {
        for text in [text.clone(), yaml.clone(), deployment(&format!("image: {text}")), deployment(&yaml)] {
            let _ = read_lines(&text);
            let _ = upgrade(&text, "web", &to);
        }
    }

    /// A manifest with some bytes changed reads in some way, and an edit that goes through changes the image only.
    #[test]
    fn mutated_manifests_are_edited_soundly_or_not_at_all(
        (open, close) in style(),
        mutations in prop::collection::vec((any::<prop::sample::Index>(), "[-a-z:{}\\[\\],&*!|>'\"#? \t\n]{0,3}"), 1..6),
    ) {
        let mut text = format!("x: &x acme/web:0\n{}\n---\n{}", deployment(&format!("{open}acme/web:1{close}")), deployment("image: *x"));
        for (at, with) in mutations {
            let at = at.index(text.len());
            if text.is_char_boundary(at) && text.is_char_boundary(at + 1) {
                text.replace_range(at..at + 1, &with);
            }
        }
        if let Ok(after) = upgrade(&text, "web", "acme/web:2") {
            let mut expected = workloads(&text);
            for container in expected.iter_mut().flat_map(|workload| &mut workload.containers) {
                if &*container.name == "web" {
                    container.image = "acme/web:2".into();
                }
            }
            prop_assert_eq!(workloads(&after), expected);
            prop_assert_eq!(upgrade(&after, "web", "acme/web:2"), Ok(after));
        }
    }
}
