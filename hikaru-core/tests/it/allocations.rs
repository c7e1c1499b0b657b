//! The heap allocations that reading takes, on the inputs of the bench: none for what is read, few for what is refused.

#[path = "../../benches/rules/inputs.rs"]
mod inputs;

use allocation_counter::measure;
use hikaru_core::{Reference, TagFormats, Version};

/// What an error keeps: an excerpt, and the formats' forms spelled out.
const OF_AN_ERROR: u64 = 6;

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
