//! The contract suite on the model, and faults planted on purpose that it has to find.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use hikaru_core::{
    Mode, Text, Workload, WorkloadId,
    policy::Change,
    port::{Changed, Changes, ClusterError, Found, Freshness, Scope, WorkloadPort, Written},
    testing::{
        MemoryCluster,
        contract::{Abilities, Subject, run},
    },
    workload::WorkloadName,
};

#[tokio::test]
async fn the_model_keeps_the_contract() {
    let broken = run(&MemoryCluster::default()).await;
    assert!(broken.is_empty(), "{broken:#?}");
}

/// What is wrong with a cluster's writes.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// The images are not tested.
    NoImageTest,
    /// The marks are not tested.
    NoMarkTest,
    /// The settings are not tested.
    NoSettingsTest,
    /// The identity labels are not tested.
    NoLabelsTest,
    /// The uid is not tested.
    NoUidTest,
    /// Marks are never written.
    NoMark,
    /// Nothing is kept.
    NoWrite,
    /// A dry run is kept.
    DryRunKept,
    /// The answers to a batch stand in another order.
    AnswersReversed,
    /// The last answer to a batch is not given.
    AnswerMissing,
    /// It looks first and writes later.
    Race,
    /// All marks are removed, whatever container is named.
    UnholdsAll,
    /// Writes are not told to those who wait for changes.
    ChangesNotTold,
}

#[derive(Clone)]
struct Faulty {
    cluster: Arc<MemoryCluster>,
    fault: Fault,
}

impl Faulty {
    /// Puts the part that is not tested back to what was judged for the time of the write: so the test passes. What
    /// the write left untouched is then as it was.
    fn without_test(&self, change: &Change, now: &Workload) -> Workload {
        let judged = change.judged();
        let mut seen = now.clone();
        match self.fault {
            Fault::NoImageTest | Fault::NoMarkTest => {
                for container in &mut seen.containers {
                    if let Some(judged) = judged.container(&container.name) {
                        match self.fault {
                            Fault::NoImageTest => container.image = judged.image.clone(),
                            _ => container.mark = judged.mark.clone(),
                        }
                    }
                }
            }
            Fault::NoSettingsTest => seen.settings = judged.settings.clone(),
            Fault::NoLabelsTest => seen.labels = judged.labels.clone(),
            Fault::NoUidTest => seen.uid = judged.uid.clone(),
            Fault::NoMark
            | Fault::NoWrite
            | Fault::DryRunKept
            | Fault::AnswersReversed
            | Fault::AnswerMissing
            | Fault::Race
            | Fault::UnholdsAll
            | Fault::ChangesNotTold => {}
        }
        seen
    }
}

#[async_trait]
impl WorkloadPort for Faulty {
    fn freshness(&self) -> Freshness {
        self.cluster.freshness()
    }
    async fn find(&self, scope: &Scope) -> Result<Found, ClusterError> {
        self.cluster.find(scope).await
    }
    async fn read(&self, id: &WorkloadId) -> Result<Option<Workload>, ClusterError> {
        self.cluster.read(id).await
    }
    async fn unhold(
        &self,
        workload: &WorkloadName,
        container: Option<Text>,
    ) -> Result<Vec<(Text, Text)>, ClusterError> {
        let named = container.filter(|_| !matches!(self.fault, Fault::UnholdsAll));
        self.cluster.unhold(workload, named).await
    }
    async fn write(&self, change: &Change, mode: Mode) -> Result<Written, ClusterError> {
        let id = &change.judged().id;
        let now = self.cluster.get(id);
        let now = now.ok_or_else(|| ClusterError::NotFound(id.to_string()))?;
        if !change.holds_for(&self.without_test(change, &now)) {
            return Err(ClusterError::Stale);
        }
        if matches!(self.fault, Fault::Race) {
            std::thread::sleep(std::time::Duration::from_micros(50));
        }
        let kept = mode == Mode::Commit || matches!(self.fault, Fault::DryRunKept);
        if kept && !matches!(self.fault, Fault::NoWrite) {
            self.cluster.edit(id, |now| {
                for (judged, edit) in change.edited() {
                    let found = now.containers.iter_mut().find(|c| c.name == judged.name);
                    if let Some(container) = found {
                        container.image = edit.to().clone();
                        if let (Some(mark), false) =
                            (edit.mark(), matches!(self.fault, Fault::NoMark))
                        {
                            container.mark = Some(mark.clone());
                        }
                    }
                }
            });
        }
        Ok(Written::default())
    }
    async fn write_all(
        &self,
        changes: &[Change],
        mode: Mode,
    ) -> Vec<Result<Written, ClusterError>> {
        let mut answers = Vec::new();
        for change in changes {
            answers.push(self.write(change, mode).await);
        }
        match self.fault {
            Fault::AnswersReversed => answers.reverse(),
            Fault::AnswerMissing => answers.truncate(changes.len().saturating_sub(1)),
            _ => {}
        }
        answers
    }
}

impl Changes for Faulty {
    fn changes(&self) -> BoxStream<'static, Changed> {
        match self.fault {
            Fault::ChangesNotTold => stream::pending().boxed(),
            _ => self.cluster.changes(),
        }
    }
}

#[async_trait]
impl Subject for Faulty {
    fn port(&self) -> &dyn WorkloadPort {
        self
    }
    fn abilities(&self) -> Abilities {
        self.cluster.abilities()
    }
    fn changes_port(&self) -> Option<&dyn Changes> {
        Some(self)
    }
    async fn put(&self, workload: &Workload) {
        self.cluster.put(workload.clone());
    }
    async fn remove(&self, id: &WorkloadId) {
        self.cluster.remove(id);
    }
}

/// The suite's clauses that a cluster with this fault breaks.
async fn broken_by(fault: Fault) -> Vec<&'static str> {
    let cluster = Arc::new(MemoryCluster::default());
    let broken = run(&Faulty { cluster, fault }).await;
    broken.into_iter().map(|b| b.clause).collect()
}

#[tokio::test]
async fn planted_faults_are_found() {
    for (fault, clause) in [
        (Fault::NoImageTest, "refuses_a_changed_image"),
        (Fault::NoMarkTest, "refuses_a_changed_mark"),
        (Fault::NoSettingsTest, "refuses_a_new_setting"),
        (Fault::NoSettingsTest, "refuses_a_removed_setting"),
        (Fault::NoLabelsTest, "refuses_a_changed_label"),
        (Fault::NoUidTest, "refuses_a_recreated_workload"),
        (Fault::NoMark, "a_rollback_by_a_person_is_held"),
        (Fault::NoMark, "marks_never_go_down"),
        (Fault::NoWrite, "posts_in_any_order_end_at_the_highest"),
        (Fault::DryRunKept, "a_dry_run_tests_and_keeps_nothing"),
        (
            Fault::AnswersReversed,
            "a_batch_has_an_answer_for_each_change_in_its_place",
        ),
        (
            Fault::AnswerMissing,
            "a_batch_has_an_answer_for_each_change_in_its_place",
        ),
        (Fault::Race, "posts_on_threads_end_at_the_highest"),
        (
            Fault::UnholdsAll,
            "unhold_removes_the_marks_that_it_is_asked_to",
        ),
        (Fault::ChangesNotTold, "each_change_is_told"),
    ] {
        let broken = broken_by(fault).await;
        assert!(
            broken.contains(&clause),
            "{fault:?} breaks {broken:?}, not {clause}"
        );
    }
}
