//! The short answer to an upgrade: the workloads that receive a rolling update, and those that should have.

use std::sync::Arc;

use hikaru_core::{
    policy::Code,
    rollout::Followed,
    upgrade::{Outcome, Reported},
};
use serde::Serialize;

use super::rollout::Rollout;

/// A workload that receives a rolling update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Upgraded {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its kind, as Kubernetes spells it.
    pub kind: String,
    /// In a folder of manifests: the file and the document in it, `web.yaml#1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The containers that get the posted image, in the workload's order.
    pub containers: Vec<Replaced>,
    /// What else is to be said of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// How its rollout is, where it was waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
}

/// A container that gets the posted image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Replaced {
    /// Its name.
    pub name: String,
    /// The image that it was set to.
    pub from: String,
    /// The image that is written: the posted tag and digest, the container's own spelling of the repository.
    pub to: String,
}

/// A workload that was to be upgraded and was not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// What was to be done.
    #[serde(flatten)]
    pub workload: Upgraded,
    /// Why it was not: a sentence for a person.
    pub reason: String,
    /// Whether repeating the call can help.
    pub retryable: bool,
}

/// The workloads of a report that were upgraded, or in a dry run would have been: sorted by namespace, kind and name.
pub fn upgraded(report: &hikaru_core::upgrade::Report) -> Vec<Upgraded> {
    let entries = report.entries.iter();
    entries
        .filter(|reported| reported.outcome == Outcome::Upgraded)
        .map(|reported| workload(report, reported))
        .collect()
}

/// The workloads of a report whose rollouts were waited for, in the same order: those that were upgraded, and those that run the
/// build already, without containers.
pub fn awaited(report: &hikaru_core::upgrade::Report, rollouts: &[Arc<Followed>]) -> Vec<Upgraded> {
    let entries = report.entries.iter();
    let awaited = entries.filter_map(|reported| {
        let id = &reported.entry.workload.id;
        let mut told = workload(report, reported);
        told.rollout = Some(Rollout::among(rollouts, id)?);
        Some(told)
    });
    awaited.collect()
}

/// The workloads of a report whose upgrade failed, in the same order.
pub fn failed(report: &hikaru_core::upgrade::Report) -> Vec<Failed> {
    let failed = |reported: &Reported| {
        let reason = reported.outcome.failure()?;
        Some(Failed {
            workload: workload(report, reported),
            reason,
            retryable: reported.outcome.is_retryable(),
        })
    };
    report.entries.iter().filter_map(failed).collect()
}

fn workload(report: &hikaru_core::upgrade::Report, reported: &Reported) -> Upgraded {
    let entry = &reported.entry;
    let id = &entry.workload.id;
    let containers = entry.containers.iter().filter_map(|judged| {
        let container = entry.workload.containers.get(judged.container)?;
        (judged.code == Code::Upgrade).then(|| Replaced {
            name: container.name.to_string(),
            from: container.image.to_string(),
            to: entry.image_for(report.build(), judged).to_string(),
        })
    });
    Upgraded {
        namespace: id.namespace.to_string(),
        name: id.name.to_string(),
        kind: id.kind.to_string(),
        file: id.origin.as_ref().map(ToString::to_string),
        containers: containers.collect(),
        rollout: None,
        warnings: entry.warnings.iter().map(ToString::to_string).collect(),
    }
}
