//! What the fuzzer has found of hikaru-http's parsers, replayed on stable Rust: each file of `fuzz/corpus/{target}` through the
//! properties that the target checks. The properties are in `fuzz/properties.rs`, the fuzzer in nobody's way here.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

#[path = "../../fuzz/properties.rs"]
#[expect(
    unreachable_pub,
    reason = "it is a library of its own under the fuzzer"
)]
mod properties;

/// Replays a target's corpus. Few inputs mean that the corpus was lost, not that there is little to find.
#[track_caller]
fn check(target: &str, property: fn(&[u8]), least: usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut failed = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(&folder).expect("the corpus of the target") {
        let path = entry.expect("an entry of the corpus").path();
        let bytes = fs::read(&path).expect("a file of the corpus");
        if catch_unwind(AssertUnwindSafe(|| property(&bytes))).is_err() {
            failed.push(format!("{}: {:?}", path.display(), bytes.escape_ascii()));
        }
        count += 1;
    }
    failed.sort();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(count >= least, "{count} inputs of {target}");
}

#[test]
fn files_of_callers() {
    check("callers", properties::callers, 600);
}

#[test]
fn tokens() {
    check("token", properties::token, 150);
}
