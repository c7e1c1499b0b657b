//! The upgrade of one workload under way, without IO: write, and while the state that was judged is gone, read, judge
//! again, write again. Whoever has a cluster drives it: [`apply`](crate::upgrade::apply()) over a port; a caller without async
//! code, or a model checker, step by step.

use std::{sync::Arc, time::Duration};

use crate::{
    policy::{Entry, Plan, Warning, change::Change},
    port::{ClusterError, Written},
    upgrade::report::{ATTEMPTS, Outcome, Reported},
    workload::{Workload, WorkloadId},
};

/// How often a workload is written whose answers are lost. Each of them is the cluster's trouble, which more writes do not
/// help.
pub const LOST_WRITES: usize = 3;

/// How often a workload is read, while reading fails, to find out what became of a write whose answer was lost.
pub const LOST_READS: usize = 6;

/// How long to wait before each further write and each further read of these.
const WRITE_PAUSES: [Duration; LOST_WRITES - 1] =
    [Duration::from_millis(500), Duration::from_secs(2)];
const READ_PAUSES: [Duration; LOST_READS - 1] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// The attempts to upgrade one workload.
///
/// [`Attempts::pause`] says how long to wait before each [`Step`]: zero, except after a lost answer. Call the method that the
/// step names, once. `Attempts` ignores an answer that it did not ask for, and fails if it is given another workload than the
/// one that it asked to read.
///
/// ```
/// use hikaru_core::{Build, Container, IdentityLabels, Request, TagFormats, Workload, WorkloadId, plan,
///     port::Written, upgrade::{Attempts, Outcome, Step}};
/// let mut web = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
/// web.labels = IdentityLabels::new("acme", "web", "main");
/// web.containers.push(Container::new("web", "acme/web:latest"));
/// let build = Build::parse("acme/web:acme_web_main_1.4.0_7_0123abcd", &TagFormats::default())?;
///
/// for mut attempts in Attempts::of(plan(Request::new(build), [web])) {
///     loop {
///         std::thread::sleep(attempts.pause());
///         match attempts.step() {
///             // Here a cluster is asked to write the change, if all that it was judged on still holds. In a dry run
///             // it only tests.
///             Step::Write(change) => {
///                 assert_eq!(change.edits().len(), 1);
///                 attempts.written(Ok(Written::default()));
///             }
///             // Here the workload is read, as it is now.
///             Step::Read(_) => attempts.read(Ok(None)),
///             Step::Done => break,
///         }
///     }
///     assert_eq!(attempts.finish().outcome, Outcome::Upgraded);
/// }
/// # Ok::<(), hikaru_core::image::BuildError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Attempts {
    /// What was asked for, to judge again by. Its entries have been taken out.
    plan: Arc<Plan>,
    /// The verdicts as they are now.
    entry: Entry,
    /// How many more writes there may be.
    left: usize,
    /// The last write whose answer was lost, if there is one. Whatever comes later, it may have been applied.
    lost: Option<Lost>,
    /// How long to wait before the next step.
    pause: Duration,
    state: State,
}

#[derive(Clone, Debug)]
struct Lost {
    change: Change,
    /// What became of the answer.
    error: ClusterError,
    /// How many answers to writes were lost so far.
    writes: usize,
    /// How many readings have failed since the first of them.
    reads: usize,
}

#[derive(Clone, Debug)]
enum State {
    /// The change of the entry is to be written, if it has one.
    Judged,
    /// The write was refused or its answer lost: what is there now has to be read.
    Refused { lost: bool },
    /// It has ended.
    Done(Outcome),
}

/// What is to be done next for one workload.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// Write this change, guarded by all that it was judged on, and tell [`Attempts::written`].
    Write(&'a Change),
    /// Read this workload as it is now, never from a view, and tell [`Attempts::read`].
    Read(&'a WorkloadId),
    /// Nothing: [`Attempts::finish`] has the outcome.
    Done,
}

impl Attempts {
    /// Those for each workload of a plan: up to [`ATTEMPTS`] writes each.
    pub fn of(plan: Plan) -> impl Iterator<Item = Self> {
        Self::at_most(ATTEMPTS, plan)
    }

    /// As [`Attempts::of`], with at most `attempts` writes for each workload.
    pub fn at_most(attempts: usize, mut plan: Plan) -> impl Iterator<Item = Self> {
        let entries = std::mem::take(&mut plan.entries);
        let plan = Arc::new(plan);
        entries.into_iter().map(move |entry| {
            let mut this = Self {
                plan: plan.clone(),
                entry,
                left: attempts,
                lost: None,
                pause: Duration::ZERO,
                state: State::Judged,
            };
            this.judged();
            this
        })
    }

    /// How long to wait before the next step: longer after each lost answer, so that a cluster in trouble is not asked at
    /// once for the same again.
    pub fn pause(&self) -> Duration {
        self.pause
    }

    /// What to do next.
    pub fn step(&self) -> Step<'_> {
        match (&self.state, &self.entry.change) {
            (State::Judged, Some(change)) => Step::Write(change),
            (State::Refused { .. }, _) => Step::Read(&self.entry.workload.id),
            (State::Judged, None) | (State::Done(_), _) => Step::Done,
        }
    }

    /// What came of a write.
    pub fn written(&mut self, answer: Result<Written, ClusterError>) {
        if !matches!(self.step(), Step::Write(_)) {
            return;
        }
        self.left = self.left.saturating_sub(1);
        self.pause = Duration::ZERO;
        self.state = match answer {
            Ok(written) => {
                let warnings = written.warnings.into_iter();
                let warnings = warnings.map(|words| Warning::OfCluster { words });
                self.entry.warnings.extend(warnings);
                State::Done(Outcome::Upgraded)
            }
            Err(ClusterError::Stale) => State::Refused { lost: false },
            Err(error @ ClusterError::Lost(_)) => {
                self.lose(error);
                State::Refused { lost: true }
            }
            Err(error) => State::Done(Outcome::Failed(error)),
        };
    }

    fn lose(&mut self, error: ClusterError) {
        let before = self.lost.take();
        let (writes, reads) = before.map_or((0, 0), |before| (before.writes, before.reads));
        self.lost = self.entry.change.clone().map(|change| Lost {
            change,
            error,
            writes: writes + 1,
            reads,
        });
    }

    /// What was read after a write that was refused or whose answer was lost: it is judged again.
    pub fn read(&mut self, answer: Result<Option<Workload>, ClusterError>) {
        if !matches!(self.step(), Step::Read(_)) {
            return;
        }
        let now = match answer {
            Ok(Some(now)) if now.id != self.entry.workload.id => {
                let (expected, found) = (&self.entry.workload.id, &now.id);
                let words = format!("expected {expected} to be read, found {found}");
                return self.end(Outcome::Failed(ClusterError::Invalid(words)));
            }
            Ok(Some(now)) => now,
            Ok(None) => {
                let gone = self.entry.workload.id.to_string();
                return self.end(Outcome::Failed(ClusterError::NotFound(gone)));
            }
            Err(error) => return self.unread(error),
        };
        let lost = self.lost.as_ref();
        let arrived = lost.is_some_and(|lost| lost.change.arrived_in(&now));
        match self.plan.judge_again(now) {
            // The write had been applied: only its answer was lost. What was relabeled since is upgraded all the same.
            Some(next) if arrived && next.change.is_none() => self.end(Outcome::Upgraded),
            None if arrived => self.end(Outcome::Upgraded),
            Some(next) => {
                self.pause = match (&self.state, lost) {
                    (State::Refused { lost: true }, Some(lost)) => write_pause(lost.writes),
                    _ => Duration::ZERO,
                };
                self.entry = next;
                self.state = State::Judged;
                self.judged();
            }
            None => self.end(Outcome::Withdrawn),
        }
    }

    /// It could not be read: where a write may have been applied, that is tried again.
    fn unread(&mut self, unread: ClusterError) {
        let Some(lost) = &mut self.lost else {
            return self.end(Outcome::Failed(unread));
        };
        let next = READ_PAUSES.get(lost.reads);
        match next.filter(|_| unread.is_retryable()) {
            Some(pause) => {
                lost.reads += 1;
                self.pause = *pause;
            }
            None => {
                let lost = lost.error.clone();
                self.end(Outcome::Unknown { lost, unread });
            }
        }
    }

    /// The verdicts as they were at last, and what became of the workload.
    pub fn finish(self) -> Reported {
        let outcome = match self.state {
            State::Done(outcome) => outcome,
            // Nobody read on: what came of the last write is not known.
            State::Judged | State::Refused { .. } => Outcome::Contended,
        };
        Reported::new(self.entry, outcome)
    }

    /// Ends it if there is nothing to write, or no attempt left.
    fn judged(&mut self) {
        if self.entry.change.is_none() {
            self.end(Outcome::Unchanged);
        } else if self.left == 0 {
            self.end(Outcome::Contended);
        } else if let Some(lost) = &self.lost
            && lost.writes >= LOST_WRITES
        {
            // The last reading showed that the cluster applied none of the lost writes.
            let error = lost.error.clone();
            self.end(Outcome::Failed(error));
        }
    }

    fn end(&mut self, outcome: Outcome) {
        self.state = State::Done(outcome);
    }
}

/// How long to wait before the write that follows so many lost ones.
fn write_pause(lost: usize) -> Duration {
    let pause = lost
        .checked_sub(1)
        .and_then(|before| WRITE_PAUSES.get(before));
    pause.copied().unwrap_or_default()
}
