//! The heap allocations that reading takes, on the inputs of the bench: none for what is read, few for what is refused.

#[path = "../../benches/rules/inputs.rs"]
mod inputs;

use allocation_counter::measure;
use hikaru_core::{
    Build, TagFormats,
    image::{Reference, Version},
};

/// What an error keeps: an excerpt, and the formats' forms spelled out.
const OF_AN_ERROR: u64 = 2;

#[test]
fn reading_a_reference_and_its_tag_allocates_only_for_an_error() {
    let formats = TagFormats::default();
    let mut read = 0;
    for (name, image) in inputs::images() {
        let mut is_read = false;
        let counted = measure(|| {
            if let Ok(reference) = Reference::parse(&image) {
                is_read = reference.tag().is_none_or(|tag| formats.read(tag).is_ok());
            }
        });
        let most = if is_read { 0 } else { OF_AN_ERROR };
        assert!(counted.count_total <= most, "{name}: {counted:?}");
        read += usize::from(is_read);
    }
    assert_eq!(read, 13);
}

#[test]
fn reading_a_version_allocates_only_for_an_error() {
    for (name, text) in inputs::versions() {
        let mut is_read = false;
        let counted = measure(|| is_read = Version::parse(&text).is_ok());
        let most = if is_read { 0 } else { 1 };
        assert!(counted.count_total <= most, "{name}: {counted:?}");
        assert_eq!(is_read, !name.starts_with("refused"), "{name}");
    }
}

/// An owned build has its text and the shared list of formats; its place in the order is a view.
#[test]
fn an_owned_build_allocates_its_text_alone() {
    let formats = TagFormats::default();
    let image = "ghcr.io/acme/web:acme_web_main_1.4.0_7_0123abcd";
    let counted = measure(|| drop(Build::parse(image, &formats)));
    assert!(counted.count_total <= 2, "{counted:?}");
}
