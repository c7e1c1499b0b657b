//! Errors as RFC 9457 has them, and the word of a probe. Which problems there are is in `problem`, outside of the wire.

use serde::Serialize;

use super::{Failed, Fault, Report, Upgraded, Users, job, rollout};

/// An error's answer: `application/problem+json` (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The kind of problem, stable: `urn:hikaru:problem:bad-reference`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words, the same for each problem of it.
    pub title: String,
    /// The answer's status.
    pub status: u16,
    /// What was wrong this time: a sentence for a person.
    pub detail: String,
    /// The answer's `x-request-id`: the log has more under it.
    pub request_id: String,
    /// What was done or found all the same.
    #[serde(flatten)]
    pub members: Members,
}

/// The members of a problem that only some kinds have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Members {
    /// The workloads that were upgraded all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgraded: Option<Vec<Upgraded>>,
    /// The workloads whose upgrade failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<Vec<Failed>>,
    /// Who uses the image, as far as it could be found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<Vec<Users>>,
    /// What runs where, as far as it could be found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<Vec<rollout::Status>>,
    /// The rollouts that were waited for or looked at, sorted by namespace, kind and name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollouts: Option<Vec<rollout::Rollout>>,
    /// What could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub faults: Option<Vec<Fault>>,
    /// The full report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
    /// The Job that was created all the same, with its status as far as it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<job::Created>,
}

/// What a probe is told when all is well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    /// `alive` or `ready`.
    pub status: &'static str,
    /// What does not keep the server from answering, and has to be mended: a sentence for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}
