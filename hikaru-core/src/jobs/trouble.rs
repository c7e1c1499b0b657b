//! What the pods of a Job are troubled by, and whether they can start. When that ends a wait is decided in `wait`.

use std::{sync::Arc, time::Duration};

use super::{
    Jobs,
    status::{ContainerTrouble, JobState, JobStatus},
};
use crate::{
    Text,
    port::{ClusterError, JobPods},
    rollout::{
        evidence::event_objects,
        facts::{
            Condition, ContainerState, EventFacts, ObjectFacts, PodFacts, RolloutFacts,
            RolloutKind, TemplateChange, leave_out_logs,
        },
        start::Start,
    },
    workload::{Workload, WorkloadId},
};

/// How long events are told again before they are listed anew.
const LISTED_FOR: Duration = Duration::from_secs(10);

/// The events of a Job as they were listed last, and when that was.
#[derive(Default)]
pub(super) struct Listed(Option<(Duration, Result<Vec<EventFacts>, ClusterError>)>);

impl Jobs {
    /// Adds what the pods of a Job are troubled by. That it cannot be found out is a warning. Gives the time after which that can be
    /// different although nothing happens in the cluster.
    pub(super) async fn add_troubles(
        &self,
        status: &mut JobStatus,
        listed: &mut Listed,
    ) -> Option<Duration> {
        if matches!(status.state, JobState::Complete | JobState::Suspended) {
            return None;
        }
        let mut pods = match self.port.pods(status).await {
            Ok(pods) => pods,
            Err(error) => {
                let why = format!("its pods cannot be listed: {error}");
                status.warnings.push(why);
                return None;
            }
        };
        if self.check_logs().is_err() {
            leave_out_logs(&mut pods.pods);
        }
        status.troubles = container_troubles(&pods.pods);
        status.warnings.extend(pods.warnings.iter().cloned());
        if status.state.has_ended() {
            return None;
        }
        let mut facts = facts_of(status, pods);
        let mut start = Start::of(&facts);
        if start.wants_events {
            match self.events(status, &facts, listed).await {
                Ok(events) => facts.events = Some(events),
                Err(error) => {
                    let why = format!("its events cannot be listed: {error}");
                    status.warnings.push(why);
                }
            }
            start = Start::of(&facts);
        }
        status.cause = start.failed;
        let look_again = start.look_again?;
        Some(look_again.duration_since(facts.now).unwrap_or_default())
    }

    /// The events that tell of a Job, from before or as they are now.
    async fn events(
        &self,
        status: &JobStatus,
        facts: &RolloutFacts,
        listed: &mut Listed,
    ) -> Result<Vec<EventFacts>, ClusterError> {
        let now = self.clock.elapsed();
        match &listed.0 {
            Some((at, events)) if now.saturating_sub(*at) < LISTED_FOR => events.clone(),
            _ => {
                let events = self.port.events(status, &event_objects(facts)).await;
                listed.0 = Some((self.clock.elapsed(), events.clone()));
                events
            }
        }
    }
}

/// What the rules of rollouts need to know of a Job.
fn facts_of(status: &JobStatus, pods: JobPods) -> RolloutFacts {
    let id = WorkloadId::new(
        status.name.namespace().clone(),
        "Job",
        status.name.name().clone(),
    );
    let mut job = Workload::new(id);
    job.uid = status.uid.clone();
    let object = ObjectFacts {
        kind: RolloutKind::Job,
        generation: 1,
        observed: 1,
        // At least one, or else none has started.
        desired: 1,
        changed: status.since.map(|since| TemplateChange::new("", since)),
        ..ObjectFacts::default()
    };
    let mut facts = RolloutFacts::new(pods.now, Arc::new(job), object);
    facts.pods = pods.pods;
    facts
}

/// What the containers of pods are troubled by, the most telling first: what ended with an error, what cannot start, what cannot be
/// scheduled. A pod that only waits for its first container is not.
pub fn container_troubles(pods: &[Arc<PodFacts>]) -> Vec<ContainerTrouble> {
    let mut troubles: Vec<_> = pods.iter().flat_map(|pod| troubles_of(pod)).collect();
    troubles.sort_by_key(|trouble| (trouble.exit_code.is_none(), trouble.container.is_empty()));
    troubles
}

fn troubles_of(pod: &PodFacts) -> Vec<ContainerTrouble> {
    let trouble = |container: &Text, reason: &Text, message: &Text, exit_code| ContainerTrouble {
        pod: pod.name.clone(),
        container: container.clone(),
        reason: reason.clone(),
        message: message.clone(),
        exit_code,
    };
    let of_containers = pod.containers.iter().filter_map(|container| {
        let name = &container.name;
        match &container.state {
            ContainerState::Terminated(ended) if ended.exit_code != 0 => {
                let error = Text::from("Error");
                let reason = Some(&ended.reason).filter(|reason| !reason.is_empty());
                let (reason, code) = (reason.unwrap_or(&error), Some(ended.exit_code));
                Some(trouble(name, reason, &ended.message, code))
            }
            ContainerState::Waiting { reason, message }
                if !matches!(&**reason, "" | "ContainerCreating" | "PodInitializing") =>
            {
                Some(trouble(name, reason, message, None))
            }
            _ => None,
        }
    });
    let mut troubles: Vec<_> = of_containers.collect();
    if troubles.is_empty() {
        let of_pod = Text::default();
        let is_unscheduled = |c: &&Condition| *c.kind == *"PodScheduled" && *c.status == *"False";
        let unscheduled = pod.conditions.iter().find(is_unscheduled);
        if let Some(condition) = unscheduled {
            troubles.push(trouble(
                &of_pod,
                &condition.reason,
                &condition.message,
                None,
            ));
        } else if *pod.phase == *"Failed" && !pod.reason.is_empty() {
            troubles.push(trouble(&of_pod, &pod.reason, &pod.message, None));
        }
    }
    troubles
}
