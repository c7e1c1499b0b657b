//! The port for subscribers: they are told what hikaru does. Logs and figures subscribe now, notifications and histories later.

use std::time::Duration;

use super::{error::ClusterError, workloads::Mode};
use crate::{
    Text,
    caller::Caller,
    jobs::{definition::JobCreated, name::JobName},
    rollout::awaited::Followed,
    upgrade::report::Report,
    workload::name::WorkloadName,
};

/// Is told of each change, Job, rollout and refusal, after the fact. Called on the way of a call, so it must not block, and cannot fail.
///
/// ```
/// use std::sync::Mutex;
/// use hikaru_core::{port::{Event, Happening, Observer}, upgrade::Outcome};
///
/// /// Counts the workloads that were upgraded.
/// #[derive(Default)]
/// struct Upgrades(Mutex<usize>);
///
/// impl Observer for Upgrades {
///     fn observe(&self, event: &Event<'_>) {
///         if let Happening::Reported { report, .. } = event.what {
///             let entries = report.entries.iter();
///             *self.0.lock().unwrap() += entries.filter(|e| e.outcome == Outcome::Upgraded).count();
///         }
///     }
/// }
/// ```
pub trait Observer: Send + Sync {
    /// Something happened.
    fn observe(&self, event: &Event<'_>);
}

/// Something that happened while a call was answered.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Event<'e> {
    /// The id of the call: the log has more under it.
    pub request_id: &'e str,
    /// What kind of call it is, of a bounded set: over HTTP the pattern of its route, or `none`.
    pub call: &'static str,
    /// Who called; one that was not let in has no rights, and its name is empty if several trusts refused it. `None`: it is not known, as
    /// the call was refused before.
    pub caller: Option<&'e Caller>,
    /// What happened.
    pub what: Happening<'e>,
}

/// What happened.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Happening<'e> {
    /// An upgrade or a plan came to a report. Its changes, done and failed, are the outcomes of its entries. In a dry run and a
    /// plan nothing was written.
    Reported {
        /// The report.
        report: &'e Report,
        /// Whether writes were kept.
        mode: Mode,
    },
    /// High-water marks of a workload were removed.
    MarksRemoved {
        /// The workload.
        workload: &'e WorkloadName,
        /// The containers with the marks that they had.
        removed: &'e [(Text, Text)],
    },
    /// A Job was to be created.
    JobRun {
        /// What came of it.
        result: Result<&'e JobCreated, &'e ClusterError>,
        /// Whether it was kept.
        mode: Mode,
    },
    /// A Job was deleted.
    JobDeleted {
        /// The Job.
        job: &'e JobName,
    },
    /// The wait for a rollout is over: it has ended, or the time for it has.
    RolloutEnded {
        /// What is known of it at last.
        followed: &'e Followed,
        /// How long was waited for it.
        took: Duration,
    },
    /// A call was refused, or could not be done.
    Refused {
        /// The stable name of the kind of problem: `unauthorized`.
        problem: &'static str,
        /// Why in one word, of a bounded set: `expired`, `force`. Where no more is known it is the problem's name.
        code: &'static str,
        /// Why: a sentence for a person.
        reason: &'e str,
    },
}

impl<'e> Event<'e> {
    /// What happened in a call with this id, of this kind, by this caller.
    pub fn new(
        request_id: &'e str,
        call: &'static str,
        caller: Option<&'e Caller>,
        what: Happening<'e>,
    ) -> Self {
        Self {
            request_id,
            call,
            caller,
            what,
        }
    }
}
