//! The tables of codes, outcomes and errors: what each stands for, and who has to act on it.

use std::time::Duration;

use hikaru_core::{ATTEMPTS, ClusterError, Code, Outcome};

#[test]
fn each_code_has_a_verdict_and_says_who_has_to_act() {
    let line = |code: Code| {
        let person = if code.needs_a_person() {
            " needs a person"
        } else {
            ""
        };
        let strict = if code.fails_strict() {
            " fails strict"
        } else {
            ""
        };
        format!("{code}: {}{person}{strict}", code.verdict())
    };
    assert_eq!(
        Code::ALL.map(line),
        [
            "equal: equal",
            "ambiguous: skipped needs a person fails strict",
            "unreadable-setting: skipped needs a person fails strict",
            "manual: skipped",
            "constraint: skipped",
            "held: skipped fails strict",
            "conflicting-build: skipped needs a person fails strict",
            "other-branch: skipped fails strict",
            "obsolete: obsolete",
            "upgrade: upgrade",
        ]
    );
}

#[test]
fn each_outcome_is_told() {
    let contended = format!(
        "failed: contended: somebody else changed it under each of {ATTEMPTS} attempts; repeating the call is safe"
    );
    for (outcome, expected) in [
        (Outcome::Unchanged, "unchanged"),
        (Outcome::Upgraded, "upgraded"),
        (Outcome::Withdrawn, "withdrawn"),
        (Outcome::Contended, &contended),
        (Outcome::Failed(ClusterError::NotFound), "failed: not found"),
    ] {
        assert_eq!(outcome.to_string(), expected);
    }
}

#[test]
fn each_error_of_a_cluster_says_whether_it_pays_to_ask_again() {
    let words = || "words".to_owned();
    for (error, conflict, retryable) in [
        (ClusterError::Stale, true, true),
        (ClusterError::Lost(words()), true, true),
        (ClusterError::NotFound, false, false),
        (ClusterError::Forbidden(words()), false, false),
        (ClusterError::Invalid(words()), false, false),
        (
            ClusterError::Unavailable {
                message: words(),
                retry_after: Some(Duration::from_secs(2)),
            },
            false,
            true,
        ),
        (ClusterError::Unsupported("that"), false, false),
    ] {
        assert_eq!(error.is_conflict(), conflict, "{error}");
        assert_eq!(error.is_retryable(), retryable, "{error}");
    }
}
