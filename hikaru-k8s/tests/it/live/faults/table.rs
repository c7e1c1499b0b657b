//! The faults of docs/faults.md that are the same for every operation, as data: what is answered, and what is said of it.

use hikaru_core::port::Severity;
use serde_json::json;

use super::super::stub::{Step, status};

/// A fault, and what is said of it. `{}` stands for the words. `-`: it cannot occur there.
pub(in crate::live) struct Row {
    pub(in crate::live) name: &'static str,
    pub(in crate::live) step: Step,
    pub(in crate::live) words: &'static str,
    /// How bad it is in a list beside others that can be read, the error if there is no other, and how often a list is
    /// asked for.
    pub(in crate::live) list: (Severity, &'static str, usize),
    /// The error, and how often it is asked for.
    pub(in crate::live) read: (&'static str, usize),
    /// The error of one write; and what an upgrade asks for when the first write meets the fault.
    pub(in crate::live) write: (&'static str, &'static str),
    /// The error of removing marks, and what is asked for when every write meets the fault.
    pub(in crate::live) unhold: (&'static str, &'static str),
}

pub(in crate::live) const UNAVAILABLE: &str = "unavailable: {}";
const LOST: &str = "the answer was lost: {}";
pub(super) const STALE: &str = "what was judged is no longer there";
pub(super) const READ_AGAIN: &str = "PATCH GET PATCH";
const FIVE_TIMES: &str = "GET PATCH GET PATCH GET PATCH GET PATCH GET PATCH";
const THREE_TIMES: &str = "GET PATCH GET PATCH GET PATCH GET";

/// A fault of the server's side or of the network, by which a write is known not to have been made.
fn turned_away(name: &'static str, step: Step, words: &'static str, tries: usize) -> Row {
    Row {
        name,
        step,
        words,
        list: (Severity::Failure, UNAVAILABLE, tries),
        read: (UNAVAILABLE, tries),
        write: (
            UNAVAILABLE,
            if tries == 1 { "PATCH" } else { "PATCH PATCH" },
        ),
        unhold: (
            UNAVAILABLE,
            if tries == 1 {
                "GET PATCH"
            } else {
                "GET PATCH PATCH PATCH PATCH"
            },
        ),
    }
}

/// One after which nobody knows whether a write was made.
fn lost(name: &'static str, step: Step, words: &'static str, reads: usize) -> Row {
    Row {
        name,
        step,
        words,
        list: (Severity::Failure, UNAVAILABLE, reads),
        read: (UNAVAILABLE, reads),
        write: (LOST, READ_AGAIN),
        unhold: (LOST, THREE_TIMES),
    }
}

/// The server refuses the write as such.
fn refused(name: &'static str, code: u16, words: &'static str, causes: bool) -> Row {
    let mut body = status(code, "Invalid", words);
    if causes {
        body["details"] = json!({"name": "web", "causes": [{"message": words, "field": "spec"}]});
    }
    Row {
        name,
        step: Step::Answer(code, body),
        words,
        list: (Severity::Failure, "-", 0),
        read: ("-", 0),
        write: ("refused: {}", "PATCH"),
        unhold: ("refused: {}", "GET PATCH"),
    }
}

fn forbidden(name: &'static str, words: &'static str) -> Row {
    Row {
        name,
        step: Step::Answer(403, status(403, "Forbidden", words)),
        words,
        list: (Severity::Failure, "not allowed: {}", 1),
        read: ("not allowed: {}", 1),
        write: ("not allowed: {}", "PATCH"),
        unhold: ("not allowed: {}", "GET PATCH"),
    }
}

/// The faults, by the names that docs/faults.md has for them.
pub(in crate::live) fn rows() -> Vec<Row> {
    let only_written = |row: Row| Row {
        list: (Severity::Failure, "-", 0),
        read: ("-", 0),
        ..row
    };
    let stale = |name, code, reason, words| Row {
        write: (STALE, READ_AGAIN),
        unhold: (STALE, FIVE_TIMES),
        ..refused_as(name, code, reason, words)
    };
    let eof = "the answer cannot be read: EOF while parsing";
    let cut = "connection closed before message completed";
    let torn = "error reading a body from connection: end of file before message length reached";
    vec![
        stale(
            "failed test (422)",
            422,
            "Invalid",
            "the server rejected our request due to an error in our request",
        ),
        refused("invalid object (422)", 422, "spec: no", true),
        refused(
            "immutable field (422)",
            422,
            "spec.selector: field is immutable",
            true,
        ),
        stale("conflict (409)", 409, "Conflict", "modified"),
        Row {
            list: (
                Severity::Failure,
                "refused: the server knows none of the kinds: is it a Kubernetes API server?",
                1,
            ),
            read: ("none", 1),
            write: ("there is no shop/Deployment/web", "PATCH"),
            unhold: ("there is no shop/Deployment/web", "GET PATCH"),
            ..refused_as("not there (404)", 404, "NotFound", "\"web\" not found")
        },
        Row {
            words: "the API server does not take our credentials (none: neither a token nor certificate and key nor user \
                    and password is set in K8S_…): Unauthorized",
            list: (Severity::Failure, "not allowed: {}", 1),
            read: ("not allowed: {}", 1),
            write: ("not allowed: {}", "PATCH"),
            unhold: ("not allowed: {}", "GET PATCH"),
            ..refused_as("bad credentials (401)", 401, "Unauthorized", "Unauthorized")
        },
        forbidden("no rights (403)", "User \"ci\" cannot do that"),
        only_written(forbidden(
            "webhook denies (403)",
            "admission webhook \"w.example\" denied the request: no",
        )),
        refused(
            "webhook denies (409)",
            409,
            "admission webhook \"w.example\" denied the request: no",
            false,
        ),
        refused(
            "policy denies (422)",
            422,
            "ValidatingAdmissionPolicy 'p' denied request: no",
            true,
        ),
        only_written(turned_away(
            "webhook away (500)",
            Step::Answer(
                500,
                status(
                    500,
                    "InternalError",
                    "failed calling webhook \"w.example\": timeout",
                ),
            ),
            "failed calling webhook \"w.example\": timeout",
            1,
        )),
        only_written(forbidden(
            "quota (403)",
            "deployments.apps \"web\" is forbidden: exceeded quota: q",
        )),
        turned_away(
            "busy (429) with Retry-After",
            Step::RetryAfter(429, 0, status(429, "TooManyRequests", "later")),
            "later",
            4,
        ),
        turned_away(
            "busy (429) without Retry-After",
            Step::Answer(429, status(429, "TooManyRequests", "later")),
            "later",
            4,
        ),
        turned_away(
            "busy (429) for a minute",
            Step::RetryAfter(429, 60, status(429, "TooManyRequests", "much later")),
            "much later",
            1,
        ),
        lost(
            "500",
            Step::Answer(500, status(500, "", "etcdserver: no leader")),
            "etcdserver: no leader",
            1,
        ),
        turned_away(
            "503",
            Step::Answer(503, status(503, "ServiceUnavailable", "not now")),
            "not now",
            1,
        ),
        lost(
            "503 of a proxy",
            Step::Html(503),
            "the server answers 503 Service Unavailable: <h1>Oh</h1>",
            1,
        ),
        lost(
            "504",
            Step::Answer(504, status(504, "Timeout", "timed out")),
            "timed out",
            1,
        ),
        lost("slow answer", Step::Silence, "no answer within", 1),
        lost("connection cut", Step::Cut, cut, 2),
        lost(
            "cut in the body",
            Step::Torn(200, "{\"kind\": \"".to_owned()),
            torn,
            2,
        ),
        // What it was is told by nothing but the code, which is enough for all but this one.
        only_written(lost(
            "cut in a refusal (422)",
            Step::Torn(422, "{\"kind\": \"Sta".to_owned()),
            torn,
            2,
        )),
        lost(
            "no JSON",
            Step::Html(200),
            "the answer cannot be read: expected value at line 1 column 1",
            1,
        ),
        lost(
            "half a JSON",
            Step::Text(200, "{\"kind\": \"Deployment\", \"metadata\": {".to_owned()),
            eof,
            1,
        ),
        lost(
            "another kind",
            Step::Answer(
                200,
                json!({"kind": "Status", "metadata": {}, "status": "Success"}),
            ),
            "the answer cannot be read: ",
            1,
        ),
    ]
}

fn refused_as(name: &'static str, code: u16, reason: &str, words: &'static str) -> Row {
    Row {
        step: Step::Answer(code, status(code, reason, words)),
        ..refused(name, code, words, false)
    }
}
