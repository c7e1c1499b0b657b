//! How many heap allocations it takes to read each of the fixed inputs: as views on the text, as an owned build, and, beside
//! them, by oci-spec and semver. A reallocation counts as one more. Not in the bench of times, whose allocator is not to
//! count; the most that is allowed is held by the test of the same name.
#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

#[path = "rules/inputs.rs"]
mod inputs;

use std::hint::black_box;

use allocation_counter::measure;
use hikaru_core::{
    Build, TagFormats,
    image::{Reference, Version},
};

fn main() {
    let formats = TagFormats::default();
    println!("heap allocations of          view  owned  oci-spec");
    for (name, image) in inputs::images() {
        // What oci-spec makes once, its regular expression, is not counted.
        let oci = || black_box(image.parse::<oci_spec::distribution::Reference>().is_ok());
        oci();
        let view = measure(|| {
            let reference = black_box(Reference::parse(&image));
            let tag = reference.ok().and_then(|read| read.tag());
            drop(black_box(tag.map(|tag| formats.read(tag))));
        });
        let owned = measure(|| drop(black_box(Build::parse(&image, &formats))));
        let oci = measure(|| {
            oci();
        });
        let [view, owned, oci] = [view, owned, oci].map(|counted| counted.count_total);
        println!("  {name:<26} {view:>4} {owned:>6} {oci:>9}");
    }
    println!("heap allocations of a version  ours  semver");
    for (name, text) in inputs::versions() {
        let ours = measure(|| drop(black_box(Version::parse(&text))));
        let semver = measure(|| drop(black_box(semver::Version::parse(&text))));
        let [ours, semver] = [ours, semver].map(|counted| counted.count_total);
        println!("  {name:<28} {ours:>4} {semver:>7}");
    }
}
