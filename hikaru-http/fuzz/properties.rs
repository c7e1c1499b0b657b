//! What has to hold of every input that hikaru-http reads before it knows who sent it, and of every file of callers: plain functions that
//! panic where it does not. The fuzz targets feed them, and so does `tests/it/fuzz_corpus.rs` with what the fuzzer has found. Neither
//! is here.

mod callers;
mod token;

pub use callers::callers;
pub use token::token;
