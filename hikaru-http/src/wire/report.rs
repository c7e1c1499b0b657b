//! The full report: for each workload and container what was done and why.

use std::{collections::HashMap, sync::Arc};

use hikaru_core::{
    policy::Verdict, port::Severity, rollout::Followed, upgrade::Reported, workload::Progress,
};
use serde::Serialize;

use super::{Build, Caller, Interface, reason, rollout::Rollout};

/// What came of a request, or would come of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The posted image, as posted.
    pub image: String,
    /// What its tag says.
    pub build: Build,
    /// Workloads of which a container is upgraded.
    pub upgrade: Vec<Entry>,
    /// Workloads that run the build already.
    pub equal: Vec<Entry>,
    /// Workloads that run something higher.
    pub obsolete: Vec<Entry>,
    /// Workloads that stay as they are for another reason.
    pub skipped: Vec<Entry>,
    /// If nothing is deployed because what matched runs a higher build: a sentence with that build and the way out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// If nothing matched: the workloads that nearly do, and what keeps them; in one sentence, how many match outside of
    /// what the call was narrowed to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub near_misses: Vec<String>,
    /// What could not be read on the way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
    /// Over HTTP: who called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<Caller>,
}

/// A workload in a report: it stands in the list of its containers' first verdict among upgrade, skipped, obsolete,
/// equal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Its namespace.
    pub namespace: String,
    /// Its kind, as Kubernetes spells it.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// In a folder of manifests: the file and the document in it, `web.yaml#1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What else is to be said of it.
    pub warnings: Vec<String>,
    /// Why it was not upgraded although it was to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Beside `error`: whether repeating the call can help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
    /// Whether the pods of its new revision are all there, as its controller reports it. Not there where the workload is
    /// upgraded, where its kind has no rollouts, and where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub complete: Option<bool>,
    /// How its rollout is, where it was waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// Its judged containers.
    pub containers: Vec<Container>,
}

/// The verdict on a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// The image that it was set to when it was judged.
    pub from: String,
    /// The image that it gets, or would get: the posted tag and digest, its own spelling of the repository.
    pub to: String,
    /// `upgrade`, `equal`, `obsolete` or `skipped`.
    pub verdict: String,
    /// The stable code.
    pub code: String,
    /// The reason, a sentence for a person.
    pub reason: String,
}

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Where.
    pub place: String,
    /// What was expected and what was found.
    pub message: String,
    /// Whether the report may be incomplete for it; a mere warning otherwise.
    pub failure: bool,
}

impl Report {
    /// The report for a caller of this interface.
    pub fn new(report: &hikaru_core::upgrade::Report, interface: Interface) -> Self {
        let build = report.build();
        let list = |verdict: Verdict| -> Vec<Entry> {
            let entries = report.entries.iter();
            entries
                .filter(|reported| reported.entry.verdict() == verdict)
                .map(|reported| entry(build, reported))
                .collect()
        };
        Self {
            image: build.image().to_string(),
            build: Build::from(build.tag()),
            upgrade: list(Verdict::Upgrade),
            equal: list(Verdict::Equal),
            obsolete: list(Verdict::Obsolete),
            skipped: list(Verdict::Skipped),
            note: report
                .overtaken()
                .map(|overtaken| interface.overtaken(&overtaken)),
            near_misses: report.near_miss_sentences().collect(),
            faults: report.faults.iter().map(Fault::from).collect(),
            caller: None,
        }
    }

    /// With how the rollouts are that were waited for.
    pub fn with_rollouts(mut self, rollouts: &[Arc<Followed>]) -> Self {
        let lists = [
            &mut self.upgrade,
            &mut self.equal,
            &mut self.obsolete,
            &mut self.skipped,
        ];
        let named = rollouts.iter().map(|followed| {
            let id = &followed.id;
            let names = [&*id.namespace, &*id.kind, &*id.name];
            ((names, id.origin.as_deref()), followed)
        });
        let named: HashMap<_, _> = named.collect();
        for entry in lists.into_iter().flatten() {
            let names = [&*entry.namespace, &*entry.kind, &*entry.name];
            let followed = named.get(&(names, entry.file.as_deref()));
            entry.rollout = followed.map(|followed| Rollout::followed(followed));
        }
        self
    }
}

impl From<&hikaru_core::port::Fault> for Fault {
    fn from(fault: &hikaru_core::port::Fault) -> Self {
        Self {
            place: fault.place.to_string(),
            message: fault.message.clone(),
            failure: fault.severity == Severity::Failure,
        }
    }
}

/// Whether the rollout of a workload that stays as it is is complete. What was known of one that is upgraded is of before.
pub fn complete(entry: &hikaru_core::policy::Entry) -> Option<bool> {
    let progress = entry.workload.progress.as_ref();
    let progress = progress.filter(|_| entry.verdict() != Verdict::Upgrade);
    progress.map(Progress::is_complete)
}

fn entry(build: &hikaru_core::Build, reported: &Reported) -> Entry {
    let entry = &reported.entry;
    let id = &entry.workload.id;
    let containers = entry.containers.iter().filter_map(|judged| {
        let container = entry.workload.containers.get(judged.container)?;
        let code = judged.code;
        Some(Container {
            name: container.name.to_string(),
            from: container.image.to_string(),
            to: entry.image_for(build, judged).to_string(),
            verdict: code.verdict().to_string(),
            code: code.to_string(),
            reason: reason(entry, judged),
        })
    });
    let error = reported.outcome.failure();
    Entry {
        namespace: id.namespace.to_string(),
        kind: id.kind.to_string(),
        name: id.name.to_string(),
        file: id.origin.as_ref().map(ToString::to_string),
        warnings: entry.warnings.iter().map(ToString::to_string).collect(),
        retryable: error.as_ref().map(|_| reported.outcome.is_retryable()),
        error,
        complete: complete(entry),
        rollout: None,
        containers: containers.collect(),
    }
}
