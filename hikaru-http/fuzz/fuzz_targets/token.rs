//! Tokens of OpenID Connect under the fuzzer. What has to hold of them is in `token.rs` above, not here.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::token(bytes));
