//! Rollouts on the wire: how one is, why it failed and what shows it; and what runs where.

use std::{collections::BTreeMap, sync::Arc};

use hikaru_core::{
    TagFormats, Workload, WorkloadId,
    policy::{Rules, Standing, standing},
    rollout,
    rollout::{Followed, RolloutAnswer, RolloutState, StatusRow},
};
use serde::Serialize;

use super::cluster_error;

/// The state of a rollout that could not be looked at.
const UNKNOWN: &str = "unknown";

/// How the rollout of a workload is. All counts are of pods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// Its namespace.
    pub namespace: String,
    /// Its kind, as Kubernetes spells it.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// In a folder of manifests: the file and the document in it, `web.yaml#1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// `progressing`, `complete`, `failed`, `paused`, `waits-for-deletion`, `superseded`, `reverted`, `deleted`,
    /// `not-applicable` or `not-deployed`; `unknown` if it could not be looked at.
    pub state: String,
    /// The state in one sentence for a person: what is awaited, or why it failed.
    pub sentence: String,
    /// Why it failed; while it goes on, what holds it up so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// How many are to have the new revision.
    pub desired: i32,
    /// How many have it.
    pub updated: i32,
    /// How many of those are ready.
    pub ready: i32,
    /// How many of those have been ready for `minReadySeconds`.
    pub available: i32,
    /// How many of older revisions are still there.
    pub old: i32,
    /// The names of pods that the sentence is about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pods: Vec<String>,
    /// The containers of the pod template.
    pub containers: Vec<Container>,
    /// What a person should know although it is no failure.
    pub remarks: Vec<String>,
    /// What cannot be read, and which right shows it.
    pub unseen: Vec<String>,
    /// What shows why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
}

/// Why a rollout failed, or what holds it up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// The stable code: `ImageNotFound`.
    pub code: String,
    /// One sentence for a person, with what to do next.
    pub message: String,
    /// More about it, such as the exit code or the memory limit.
    pub details: BTreeMap<String, String>,
    /// One pod that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// The container that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// How many new pods have it.
    pub count: usize,
}

/// A container and the image that it is set to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its image, as it stands in the pod template.
    pub image: String,
}

/// What shows why a rollout failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// The Warning events since the change, those that say the same counted.
    pub events: Vec<EventGroup>,
    /// The end of one container's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<Log>,
    /// What could not be collected, and why.
    pub unseen: Vec<String>,
}

/// Events that say the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventGroup {
    /// One word: `FailedCreate`.
    pub reason: String,
    /// What one of them is about: `Pod web-7c9f`.
    pub object: String,
    /// What they say.
    pub message: String,
    /// How often it happened.
    pub count: u32,
}

/// The end of a container's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Log {
    /// The pod.
    pub pod: String,
    /// The container.
    pub container: String,
    /// Whether it is the log of the run before the last restart.
    pub previous: bool,
    /// The last lines.
    pub lines: Vec<String>,
}

impl Rollout {
    /// How a rollout was found. `None`: the workload is gone.
    pub fn new(answer: &RolloutAnswer) -> Option<Self> {
        let workload = answer.workload.as_ref()?;
        let state = answer.rollout.state.as_str();
        Some(Self::of(&workload.id, state, answer))
    }

    /// How a rollout is that is waited for. Of a workload that is gone, or that could not be looked at, there are no containers.
    pub fn followed(followed: &Followed) -> Self {
        let state = match &followed.error {
            Some(_) => UNKNOWN,
            None => followed.answer.rollout.state.as_str(),
        };
        Self::of(&followed.id, state, &followed.answer)
    }

    /// All rollouts that were waited for.
    pub fn all(rollouts: &[Arc<Followed>]) -> Vec<Self> {
        rollouts.iter().map(|one| Self::followed(one)).collect()
    }

    /// How the rollout of this workload is, among those that were waited for, which are sorted by their ids.
    pub(super) fn among(rollouts: &[Arc<Followed>], id: &WorkloadId) -> Option<Self> {
        let at = rollouts.binary_search_by(|followed| followed.id.cmp(id));
        Some(Self::followed(rollouts.get(at.ok()?)?))
    }

    fn of(id: &WorkloadId, state: &str, answer: &RolloutAnswer) -> Self {
        let rollout = &answer.rollout;
        let container = |container: &hikaru_core::Container| Container {
            name: container.name.to_string(),
            image: container.image.to_string(),
        };
        let containers = answer.workload.iter().flat_map(|w| &w.containers);
        Self {
            namespace: id.namespace.to_string(),
            kind: id.kind.to_string(),
            name: id.name.to_string(),
            file: id.origin.as_ref().map(ToString::to_string),
            state: state.to_owned(),
            sentence: rollout.sentence.clone(),
            cause: rollout.cause.as_ref().map(Cause::from),
            desired: rollout.desired,
            updated: rollout.updated,
            ready: rollout.ready,
            available: rollout.available,
            old: rollout.old,
            pods: rollout.pods.iter().map(ToString::to_string).collect(),
            containers: containers.map(container).collect(),
            remarks: rollout.remarks.clone(),
            unseen: rollout.unseen.clone(),
            evidence: answer.evidence.as_deref().map(Evidence::from),
        }
    }
}

impl From<&rollout::Cause> for Cause {
    fn from(cause: &rollout::Cause) -> Self {
        let details = cause.details.iter();
        let details = details.map(|(what, value)| ((*what).to_owned(), value.clone()));
        Self {
            code: cause.code.to_string(),
            message: cause.message.clone(),
            details: details.collect(),
            pod: cause.pod.as_ref().map(ToString::to_string),
            container: cause.container.as_ref().map(ToString::to_string),
            count: cause.count,
        }
    }
}

impl From<&rollout::Evidence> for Evidence {
    fn from(evidence: &rollout::Evidence) -> Self {
        let group = |group: &rollout::EventGroup| EventGroup {
            reason: group.reason.to_string(),
            object: group.object.to_string(),
            message: group.message.clone(),
            count: group.count,
        };
        let log = |log: &rollout::LogExcerpt| Log {
            pod: log.pod.to_string(),
            container: log.container.to_string(),
            previous: log.is_previous,
            lines: log.lines.clone(),
        };
        Self {
            events: evidence.events.iter().map(group).collect(),
            log: evidence.log.as_ref().map(log),
            unseen: evidence.unseen.clone(),
        }
    }
}

/// What runs in a workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Its namespace.
    pub namespace: String,
    /// Its kind, as Kubernetes spells it.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// In a folder of manifests: the file and the document in it, `web.yaml#1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Whose source it is built from.
    pub owner: String,
    /// The source repository's name.
    pub repo: String,
    /// The branch.
    pub branch: String,
    /// Its containers, in its own order.
    pub containers: Vec<StatusContainer>,
    /// How many pods of the new revision are ready. Not there where nothing rolls out, or it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<i32>,
    /// How many pods are to have the new revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired: Option<i32>,
    /// The state of its rollout, as in [`Rollout::state`]; `unknown` if it could not be looked at.
    pub state: String,
    /// The state in one sentence for a person.
    pub sentence: String,
    /// Why it failed; while it goes on, what holds it up so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// What a person should know of its rollout although it is no failure.
    pub remarks: Vec<String>,
    /// What of its rollout cannot be read, and which right shows it.
    pub unseen: Vec<String>,
    /// Whether it is opted out of upgrades.
    pub manual: bool,
    /// Whether builds are held back from one of its containers.
    pub held: bool,
    /// Why builds do not go out to it: it is opted out, held, or a setting cannot be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
}

/// What a container is set to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusContainer {
    /// Its name.
    pub name: String,
    /// Its image, as it stands in the pod template.
    pub image: String,
    /// The version that its tag says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The build number, in digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    /// The commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The highest build that was deployed to it, `1.4.0_7`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
    /// Whether something lower than the mark runs, so that the builds between are held back.
    pub held: bool,
}

impl Status {
    /// A row of a status, tags read by these formats.
    pub fn new(row: &StatusRow, formats: &TagFormats) -> Self {
        let workload = &*row.workload;
        let id = &workload.id;
        let containers: Vec<_> = workload
            .containers
            .iter()
            .map(|container| {
                let standing = standing(workload, container, formats);
                StatusContainer::new(container, &standing)
            })
            .collect();
        let (manual, mut why) = match Rules::read(workload) {
            Ok(rules) => {
                let told = rules
                    .manual
                    .map(|place| format!("opted out by the {place} hikaru.dev/upgrade: manual"));
                (rules.manual.is_some(), Vec::from_iter(told))
            }
            Err(unreadable) => (false, vec![unreadable.to_string()]),
        };
        why.extend(containers.iter().filter_map(|c| c.why_held(workload)));
        let label =
            |label: &Option<hikaru_core::Text>| label.as_deref().unwrap_or_default().to_owned();
        let rollout = row.rollout.as_ref().ok();
        let counted = rollout.filter(|rollout| {
            let is_without = [RolloutState::NotApplicable, RolloutState::Deleted];
            !is_without.contains(&rollout.state)
        });
        Self {
            namespace: id.namespace.to_string(),
            kind: id.kind.to_string(),
            name: id.name.to_string(),
            file: id.origin.as_ref().map(ToString::to_string),
            owner: label(&workload.labels.owner),
            repo: label(&workload.labels.repo),
            branch: label(&workload.labels.branch),
            held: containers.iter().any(|container| container.held),
            containers,
            ready: counted.map(|rollout| rollout.ready),
            desired: counted.map(|rollout| rollout.desired),
            state: match rollout {
                Some(rollout) => rollout.state.to_string(),
                None => UNKNOWN.to_owned(),
            },
            sentence: match &row.rollout {
                Ok(rollout) => rollout.sentence.clone(),
                Err(error) => format!("it could not be looked at: {}", cluster_error(error)),
            },
            cause: rollout.and_then(|rollout| rollout.cause.as_ref().map(Cause::from)),
            remarks: rollout.map_or_else(Vec::new, |rollout| rollout.remarks.clone()),
            unseen: rollout.map_or_else(Vec::new, |rollout| rollout.unseen.clone()),
            manual,
            why,
        }
    }
}

impl StatusContainer {
    fn new(container: &hikaru_core::Container, standing: &Standing<'_>) -> Self {
        let build = standing.build.filter(|build| build.has_build());
        Self {
            name: container.name.to_string(),
            image: container.image.to_string(),
            version: standing.version.map(|version| version.to_string()),
            build: build.map(|build| build.build().to_string()),
            commit: standing
                .build
                .and_then(|build| build.commit().map(str::to_owned)),
            mark: standing.mark.map(|mark| mark.to_string()),
            held: standing.is_held,
        }
    }

    /// Version and build, `1.4.0_7`, or the version alone.
    pub fn version_and_build(&self) -> Option<String> {
        let version = self.version.as_ref()?;
        Some(match &self.build {
            Some(build) => format!("{version}_{build}"),
            None => version.clone(),
        })
    }

    fn why_held(&self, workload: &Workload) -> Option<String> {
        let mark = self.mark.as_ref().filter(|_| self.held)?;
        let runs = self.version_and_build().unwrap_or_default();
        let name = &self.name;
        let way_out = match &workload.id.origin {
            Some(origin) => format!("remove its label high-water.hikaru.dev/… in {origin}"),
            None => format!("hikaru unhold {}", workload.id),
        };
        Some(format!(
            "the container {name} runs {runs}, lower than {mark} that was deployed before: builds up to that one are held; to \
             let them out again: {way_out}"
        ))
    }
}
