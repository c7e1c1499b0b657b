//! Files of callers under the fuzzer. What has to hold of them is in `callers.rs` above, not here.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::callers(bytes));
