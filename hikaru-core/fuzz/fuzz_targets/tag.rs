//! Build tags by fixed formats, and high-water marks, under the fuzzer. What has to hold of them is in `properties.rs`, not here.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::tag(bytes));
