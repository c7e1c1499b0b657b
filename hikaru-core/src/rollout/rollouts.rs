//! The use cases: asks the ports how a rollout is, judges it, and collects what shows why it failed. What is kept from one question
//! to the next is in `remembered`.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::{StreamExt as _, stream};

use super::{
    cause::Cause,
    evidence::{Evidence, LogExcerpt, LogWanted, event_objects},
    facts::{ObjectFacts, RolloutFacts, Unseen},
    judge::judge,
    reached::Reached,
    remembered::{Known, LISTED_FOR, Remembered},
    state::{Asked, Judged, Rollout, RolloutState},
};
use crate::{
    Workload,
    caller::{Caller, Right},
    port::{Clock, ClusterError, Fault, RolloutPort, Scope, Seen, WorkloadPort},
    upgrade::run::check_fresh,
    workload::{Progress, WorkloadId, WorkloadName},
};

/// How many workloads of one question are looked at at once.
const AT_ONCE: usize = 8;

/// How rollouts are, for those who ask. It remembers what each one has reached, and the evidence of those that failed.
///
/// Cheap to clone; the clones remember together.
#[derive(Clone)]
pub struct Rollouts {
    pub(super) workloads: Arc<dyn WorkloadPort>,
    port: Option<Arc<dyn RolloutPort>>,
    pub(super) clock: Arc<dyn Clock>,
    /// Why logs are not shown. `None`: they are.
    hides_logs: Option<&'static str>,
    remembered: Arc<Remembered>,
    /// What is remembered for callers that may not see logs: it was never judged by texts that may come from one.
    without_logs: Arc<Remembered>,
}

impl fmt::Debug for Rollouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rollouts")
            .field("hides_logs", &self.hides_logs)
            .finish_non_exhaustive()
    }
}

/// What runs in one workload, and how its rollout is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatusRow {
    /// The workload.
    pub workload: Arc<Workload>,
    /// How its rollout is. An error: it could not be looked at.
    pub rollout: Result<Rollout, ClusterError>,
}

/// What became of a rollout, with what shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RolloutAnswer {
    /// The workload. `None`: it is gone.
    pub workload: Option<Arc<Workload>>,
    /// How the rollout is.
    pub rollout: Rollout,
    /// What shows why it failed. `None`: it has not failed.
    pub evidence: Option<Arc<Evidence>>,
}

/// A rollout that was judged. Without facts the workload is gone.
pub(super) struct Looked {
    pub(super) facts: Option<RolloutFacts>,
    pub(super) rollout: Rollout,
    /// After which time its state can change although nothing happens in the cluster.
    pub(super) look_again: Option<Duration>,
}

impl Rollouts {
    /// Asks these ports. Without a port to rollouts, as for a folder of manifests, nothing rolls out. `shows_logs`: whether
    /// evidence has the end of a log, which may hold secrets.
    pub fn new(
        workloads: Arc<dyn WorkloadPort>,
        port: Option<Arc<dyn RolloutPort>>,
        clock: Arc<dyn Clock>,
        shows_logs: bool,
    ) -> Self {
        Self {
            workloads,
            port,
            clock,
            hides_logs: (!shows_logs).then_some("logs can hold secrets"),
            remembered: Arc::default(),
            without_logs: Arc::default(),
        }
    }

    /// The same as one caller sees it: workloads that it may not see are not there, and without the right `logs` evidence has no log.
    pub fn for_caller(&self, caller: &Arc<Caller>) -> Self {
        let mut own = self.clone();
        if !caller.sees_all() {
            own.workloads = Arc::new(Seen::new(own.workloads, caller.clone()));
            let port = own.port.take();
            own.port = port.map(|port| Arc::new(Seen::new(port, caller.clone())) as _);
        }
        if own.hides_logs.is_none() && !caller.rights.has(Right::Logs) {
            own.hides_logs = Some("the caller lacks the right logs");
            own.remembered = own.without_logs.clone();
        }
        own
    }

    /// How the rollout of one workload is.
    ///
    /// # Errors
    /// [`ClusterError::NotFound`] when there is no such workload and the question names no uid;
    /// [`ClusterError::Unsupported`] where nothing rolls out; [`ClusterError::Unavailable`] while the view of the cluster gives no
    /// answers; and what the port says.
    ///
    /// ```
    /// # futures_util::FutureExt::now_or_never(async {
    /// use std::sync::Arc;
    /// use hikaru_core::{Workload, WorkloadId, rollout::{Asked, RolloutState, Rollouts}, testing::{MemoryCluster, StillClock}};
    /// let cluster = Arc::new(MemoryCluster::default());
    /// cluster.put(Workload::new(WorkloadId::new("shop", "CronJob", "report")));
    /// let clock = Arc::new(StillClock::default());
    /// let rollouts = Rollouts::new(cluster.clone(), Some(cluster), clock, false);
    /// let answer = rollouts.look(&"shop/cj/report".parse().unwrap(), &Asked::default()).await.unwrap();
    /// assert_eq!(answer.rollout.state, RolloutState::NotApplicable);
    /// # }).unwrap();
    /// ```
    pub async fn look(
        &self,
        workload: &WorkloadName,
        asked: &Asked,
    ) -> Result<RolloutAnswer, ClusterError> {
        let port = self.port()?;
        check_fresh(&*self.workloads)?;
        let looked = self.judged(&**port, workload, asked).await?;
        if looked.facts.is_none() && asked.uid.is_empty() {
            return Err(ClusterError::NotFound(workload.to_string()));
        }
        Ok(self.shown(&**port, looked).await)
    }

    /// An answer with what shows why the rollout failed.
    pub(super) async fn shown(&self, port: &dyn RolloutPort, looked: Looked) -> RolloutAnswer {
        let Looked { facts, rollout, .. } = looked;
        let evidence = match (&facts, &rollout.cause, rollout.state) {
            (Some(facts), Some(cause), RolloutState::Failed) => {
                Some(self.evidence(port, facts, cause).await)
            }
            _ => None,
        };
        RolloutAnswer {
            workload: facts.map(|facts| facts.workload),
            rollout,
            evidence,
        }
    }

    /// What runs where: the workloads that the scope admits and that carry all three labels, sorted by their ids. A rollout that
    /// its controller reports as complete is not looked at.
    ///
    /// # Errors
    /// When they cannot be found at all; [`ClusterError::Unavailable`] while the view of the cluster gives no answers.
    pub async fn status(
        &self,
        scope: &Scope,
    ) -> Result<(Vec<StatusRow>, Vec<Fault>), ClusterError> {
        check_fresh(&*self.workloads)?;
        let found = self.workloads.find(scope).await?;
        let labeled = found.workloads.into_iter();
        let labeled = labeled.filter(|workload| workload.labels.reading().is_some());
        let rows: Vec<_> = labeled.map(|workload| self.row(workload)).collect();
        let rows = stream::iter(rows).buffer_unordered(AT_ONCE);
        let mut rows: Vec<StatusRow> = rows.collect().await;
        rows.sort_by(|a, b| a.workload.id.cmp(&b.workload.id));
        Ok((rows, found.faults))
    }

    /// Whether anything rolls out here.
    pub fn has_port(&self) -> bool {
        self.port.is_some()
    }

    /// The port to rollouts.
    ///
    /// # Errors
    /// [`ClusterError::Unsupported`] where nothing rolls out.
    pub(super) fn port(&self) -> Result<&Arc<dyn RolloutPort>, ClusterError> {
        let unsupported = "looking at a rollout (in a folder of manifests nothing rolls out)";
        let port = self.port.as_ref();
        port.ok_or(ClusterError::Unsupported(unsupported))
    }

    async fn row(&self, workload: Arc<Workload>) -> StatusRow {
        let rollout = match (&self.port, &workload.progress) {
            (None, _) => Ok(Rollout::new(
                RolloutState::NotApplicable,
                "in a folder of manifests nothing rolls out",
            )),
            (Some(_), None) => Ok(without_rollouts(&workload)),
            (Some(_), Some(progress))
                if progress.is_complete() && workload.hindrances.is_empty() =>
            {
                Ok(complete(&workload.id, progress))
            }
            (Some(port), Some(_)) => {
                let looked = match name_of(&workload.id) {
                    Ok(name) => self.judged(&**port, &name, &Asked::default()).await,
                    Err(error) => Err(error),
                };
                looked.map(|looked| looked.rollout)
            }
        };
        StatusRow { workload, rollout }
    }

    /// Asks how a rollout is and judges it. Events and nodes are asked for only where the judgement wants them.
    pub(super) async fn judged(
        &self,
        port: &dyn RolloutPort,
        name: &WorkloadName,
        asked: &Asked,
    ) -> Result<Looked, ClusterError> {
        let Some(mut facts) = port.facts(name).await? else {
            self.remembered.forget(&asked.uid);
            let rollout = judge(&Reached::default(), None, asked).rollout;
            return Ok(Looked {
                facts: None,
                rollout,
                look_again: None,
            });
        };
        if self.hides_logs.is_some() {
            facts.leave_out_logs();
        }
        let uid = facts.workload.uid.clone();
        let now = self.clock.elapsed();
        let revision = facts.object.revision.as_ref();
        let mut known = self.remembered.of(&uid, revision, now);
        let mut judged = judge(&known.reached, Some(&facts), asked);
        let wants_more = judged.wants_events || judged.wants_nodes;
        if wants_more {
            if judged.wants_events {
                self.add_events(port, &mut facts, &mut known).await;
            }
            if judged.wants_nodes {
                self.add_nodes(port, &mut facts).await;
            }
            judged = judge(&known.reached, Some(&facts), asked);
        }
        let Judged {
            rollout,
            reached,
            look_again,
            ..
        } = judged;
        known.reached = reached;
        known.has_failed = rollout.state == RolloutState::Failed;
        self.remembered.put(&uid, known, now);
        let look_again = look_again.map(|at| at.duration_since(facts.now).unwrap_or_default());
        // The port tells nobody of new events, nor of nodes.
        let listed_again = wants_more.then_some(LISTED_FOR);
        let look_again = look_again.into_iter().chain(listed_again).min();
        Ok(Looked {
            facts: Some(facts),
            rollout,
            look_again,
        })
    }

    /// Adds the events to what is known of a rollout, from before or as they are now.
    async fn add_events(
        &self,
        port: &dyn RolloutPort,
        facts: &mut RolloutFacts,
        known: &mut Known,
    ) {
        if known.events.is_none() {
            let uids = event_objects(facts);
            let namespace = &facts.workload.id.namespace;
            let events = port.events(namespace, &uids).await;
            let right = || format!("list events in namespace {namespace}");
            let events = events.map_err(|error| unseen("events", &right(), &error));
            known.events = Some(events);
            known.listed_at = self.clock.elapsed();
        }
        match &known.events {
            Some(Ok(events)) => facts.events = Some(events.clone()),
            Some(Err(unseen)) => facts.unseen.push(unseen.clone()),
            None => {}
        }
    }

    /// Adds the nodes that are not ready to what is known of a rollout, from before or as they are now.
    async fn add_nodes(&self, port: &dyn RolloutPort, facts: &mut RolloutFacts) {
        let nodes = match self.remembered.nodes(self.clock.elapsed()) {
            Some(nodes) => nodes,
            None => {
                let nodes = port.not_ready_nodes().await;
                let nodes = nodes.map_err(|error| unseen("nodes", "list nodes", &error));
                self.remembered
                    .put_nodes(nodes.clone(), self.clock.elapsed());
                nodes
            }
        };
        match nodes {
            Ok(nodes) => facts.not_ready_nodes = Some(nodes),
            Err(unseen) => facts.unseen.push(unseen),
        }
    }

    /// What shows why a rollout failed: collected once for a cause of a revision.
    pub(super) async fn evidence(
        &self,
        port: &dyn RolloutPort,
        facts: &RolloutFacts,
        cause: &Cause,
    ) -> Arc<Evidence> {
        let uid = &facts.workload.uid;
        let revision = facts.object.revision.as_ref();
        let now = self.clock.elapsed();
        if let Some((code, evidence)) = self.remembered.of(uid, revision, now).evidence
            && code == cause.code
        {
            return evidence;
        }
        let evidence = Arc::new(self.collect(port, facts, cause).await);
        let mut known = self.remembered.of(uid, revision, now);
        known.evidence = Some((cause.code, evidence.clone()));
        self.remembered.put(uid, known, now);
        evidence
    }

    /// Collects the events of the workload, of its ReplicaSet and of the pod that has the cause, and the end of one log.
    async fn collect(
        &self,
        port: &dyn RolloutPort,
        facts: &RolloutFacts,
        cause: &Cause,
    ) -> Evidence {
        let namespace = &facts.workload.id.namespace;
        let mut unseen_parts = Vec::new();
        // Those that it was judged by can be some seconds old, and what a kubelet says of the last restart is not among them.
        let mut uids = event_objects(facts);
        uids.extend(cause.pod_uid.clone());
        let events = port.events(namespace, &uids).await;
        let events = events.unwrap_or_else(|error| {
            let right = format!("list events in namespace {namespace}");
            unseen_parts.push(unseen("events", &right, &error).reason);
            Vec::new()
        });
        let mut evidence = Evidence::of(facts, &events, cause);
        match (LogWanted::of(cause), self.hides_logs) {
            (Some(LogWanted { pod, container, .. }), Some(why)) => {
                unseen_parts.push(format!("the log of {pod}/{container} is left out: {why}"));
            }
            (Some(wanted), None) => match log(port, namespace, wanted).await {
                Ok(log) => evidence.log = Some(log),
                Err(error) => {
                    let right = format!("get pods/log in namespace {namespace}");
                    unseen_parts.push(unseen("logs", &right, &error).reason);
                }
            },
            (None, _) => {}
        }
        evidence.unseen.extend(unseen_parts);
        evidence
    }
}

/// The end of the log that is wanted. What cannot be had of a container's previous run may be had of its present one.
async fn log(
    port: &dyn RolloutPort,
    namespace: &str,
    mut wanted: LogWanted,
) -> Result<LogExcerpt, ClusterError> {
    loop {
        let LogWanted {
            pod,
            container,
            is_previous,
        } = &wanted;
        let text = port.log(namespace, pod, container, *is_previous, LogWanted::LINES);
        match text.await {
            Err(ClusterError::NotFound(_) | ClusterError::Invalid(_)) if *is_previous => {
                wanted.is_previous = false;
            }
            text => return Ok(wanted.excerpt(&text?)),
        }
    }
}

/// Why something cannot be read, with the right that shows it if that is missing.
fn unseen(what: &str, right: &str, error: &ClusterError) -> Unseen {
    let why = match error {
        ClusterError::Forbidden(_) => format!("the right to {right} is missing"),
        error => error.to_string(),
    };
    Unseen::new(what, format!("{what} are not seen: {why}"))
}

/// The rollout of a workload whose kind has none.
fn without_rollouts(workload: &Arc<Workload>) -> Rollout {
    // No time matters to it.
    let now = SystemTime::UNIX_EPOCH;
    let facts = RolloutFacts::new(now, workload.clone(), ObjectFacts::default());
    judge(&Reached::default(), Some(&facts), &Asked::default()).rollout
}

/// The rollout of a workload whose controller reports it as complete.
fn complete(id: &WorkloadId, progress: &Progress) -> Rollout {
    let Progress {
        desired, available, ..
    } = *progress;
    let (sentence, remark) = match desired {
        0 => (
            format!("{id}: complete, with 0 pods"),
            Some("not proven: it has 0 replicas, so no pod shows that the image starts"),
        ),
        _ => (
            format!("{id}: complete, {available} of {desired} pods are ready"),
            None,
        ),
    };
    let mut rollout = Rollout::new(RolloutState::Complete, sentence);
    (rollout.desired, rollout.updated) = (desired, progress.updated);
    (rollout.ready, rollout.available) = (available, available);
    rollout.remarks.extend(remark.map(str::to_owned));
    rollout
}

pub(super) fn name_of(id: &WorkloadId) -> Result<WorkloadName, ClusterError> {
    let name = format!("{}/{}/{}", id.namespace, id.kind, id.name).parse();
    name.map_err(|error: crate::workload::NameError| ClusterError::Invalid(error.to_string()))
}
