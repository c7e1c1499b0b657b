//! Lists of tag formats, and a tag that is read by them, under the fuzzer. What has to hold of them is in `properties.rs`, not here.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::format(bytes));
