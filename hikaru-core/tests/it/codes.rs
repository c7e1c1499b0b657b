//! The tables of codes, outcomes and errors: what each stands for, and who has to act on it.

use std::time::Duration;

use hikaru_core::{
    policy::Code,
    port::ClusterError,
    upgrade::{ATTEMPTS, Outcome},
};

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
            "overridden: skipped needs a person fails strict",
            "unreadable-image: skipped needs a person fails strict",
            "unreadable-setting: skipped needs a person fails strict",
            "manual: skipped",
            "constraint: skipped",
            "held: skipped needs a person fails strict",
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
    let unknown = Outcome::Unknown {
        lost: ClusterError::Lost("reset".into()),
        unread: ClusterError::Forbidden("no".into()),
    };
    for (outcome, expected, retryable) in [
        (Outcome::Unchanged, "unchanged", false),
        (Outcome::Upgraded, "upgraded", false),
        (Outcome::Withdrawn, "withdrawn", false),
        (Outcome::Contended, &contended, true),
        // It was deleted meanwhile: the next call does not find it, and so does not fail.
        (
            Outcome::Failed(ClusterError::NotFound("shop/Deployment/web".into())),
            "failed: there is no shop/Deployment/web",
            true,
        ),
        (
            Outcome::Failed(ClusterError::Forbidden("no".into())),
            "failed: not allowed: no",
            false,
        ),
        (
            Outcome::Failed(ClusterError::Stale),
            "failed: what was judged is no longer there",
            true,
        ),
        (
            unknown,
            "unknown whether it is upgraded: the answer was lost: reset; and it could not be read since: not allowed: no; \
             repeating the call is safe",
            true,
        ),
    ] {
        assert_eq!(outcome.to_string(), expected);
        assert_eq!(outcome.is_retryable(), retryable, "{expected}");
    }
}

#[test]
fn each_error_of_a_cluster_says_whether_it_pays_to_ask_again() {
    let words = || "words".to_owned();
    for (error, retryable) in [
        (ClusterError::Stale, true),
        (ClusterError::Lost(words()), true),
        (ClusterError::NotFound(words()), false),
        (ClusterError::Forbidden(words()), false),
        (
            ClusterError::Outside {
                found: "edge".into(),
                expected: words(),
            },
            false,
        ),
        (ClusterError::Invalid(words()), false),
        (
            ClusterError::Unavailable {
                message: words(),
                retry_after: Some(Duration::from_secs(2)),
            },
            true,
        ),
        (ClusterError::Unsupported("that"), false),
    ] {
        assert_eq!(error.is_retryable(), retryable, "{error}");
    }
}
