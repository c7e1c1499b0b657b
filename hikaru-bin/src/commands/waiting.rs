//! Waiting, above all for rollouts: what is told meanwhile, what a signal does, and what the end means for the exit code. How a rollout is printed
//! is in `rollouts`.

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use hikaru_core::{
    Build, WorkloadId,
    rollout::{
        Awaited, End as RolloutEnd, Followed, Rollouts, WaitEvent, WaitOutcome, WaitTerms, Waited,
    },
    upgrade::{Shortfall, ShortfallKind},
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::MissedTickBehavior,
};

use super::{End, Exit, Failure, rollouts::without_name};
use crate::{
    args::Narrow,
    progress::{Progress, Row, Standing},
    terminal,
};

/// What became of a wait.
pub(super) struct Seen {
    /// The workloads that were looked at, sorted by their ids.
    pub(super) rollouts: Vec<Arc<Followed>>,
    ended: Ended,
}

enum Ended {
    Over {
        outcome: WaitOutcome,
        sentence: String,
    },
    Interrupted(Interruption),
}

/// A signal that ended the waiting.
#[derive(Clone, Copy)]
pub(super) struct Interruption {
    name: &'static str,
    exit: Exit,
}

impl Interruption {
    /// Why a command that waited ends. `what`: what goes on all the same; `see`: the command that says how.
    pub(super) fn failure(self, what: &str, see: &str) -> Failure {
        let name = self.name;
        let why =
            format!("{name} ended the waiting, and nothing else: {what} go on; to see how: {see}");
        Failure::new(self.exit, why)
    }
}

/// Waits for workloads, and tells meanwhile how they are. SIGINT and SIGTERM end the waiting alone.
pub(super) async fn wait(
    rollouts: &Rollouts,
    awaited: Vec<Awaited>,
    terms: WaitTerms,
) -> Result<Seen, Failure> {
    let mut ids: Vec<WorkloadId> = awaited.iter().map(|one| one.id().clone()).collect();
    ids.sort();
    let mut known: Vec<Option<Arc<Followed>>> = vec![None; ids.len()];
    let mut events = rollouts.wait(awaited, terms)?;
    // A single look at each is soon over.
    let rows = ids.iter().filter(|_| !terms.within.is_zero());
    let rows = rows.map(|id| Row::new(id.to_string())).collect();
    let over = until_signal(rows, terms.within, async |progress| {
        while let Some(event) = events.next().await {
            match event {
                WaitEvent::Changed(followed) => {
                    if let Ok(place) = ids.binary_search(&followed.id) {
                        progress.show(place, row(&followed));
                        known[place] = Some(followed);
                    }
                }
                WaitEvent::Over(waited) => return Some(waited),
                _ => {}
            }
        }
        None
    });
    match over.await? {
        Ok(Some(waited)) => Ok(Seen::over(waited)),
        Ok(None) => Err(Failure::new(
            Exit::Repeat,
            "the wait ended without a result",
        )),
        Err(interruption) => Ok(Seen {
            rollouts: known.into_iter().flatten().collect(),
            ended: Ended::Interrupted(interruption),
        }),
    }
}

/// Waits for these things as `wait` does, which tells of them; SIGINT or SIGTERM ends it.
pub(super) async fn until_signal<T>(
    rows: Vec<Row>,
    within: Duration,
    wait: impl AsyncFnOnce(&Progress) -> T,
) -> Result<Result<T, Interruption>, Failure> {
    let signals = Signals::new();
    let mut signals = signals.map_err(|error| format!("cannot listen to signals: {error}"))?;
    let progress = Progress::new(rows, within);
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let interruption = {
        let mut wait = pin!(wait(&progress));
        loop {
            tokio::select! {
                result = &mut wait => return Ok(Ok(result)),
                interruption = signals.next() => break interruption,
                _ = seconds.tick() => progress.tick(),
            }
        }
    };
    progress.leave();
    Ok(Err(interruption))
}

impl Seen {
    fn over(waited: Waited) -> Self {
        let Waited {
            rollouts,
            outcome,
            sentence,
            ..
        } = waited;
        let ended = Ended::Over { outcome, sentence };
        Self { rollouts, ended }
    }

    /// The outcome in a sentence, if all ended well.
    pub(super) fn success(&self) -> Option<&str> {
        match &self.ended {
            Ended::Over {
                outcome: WaitOutcome::Succeeded,
                sentence,
            } => Some(sentence),
            _ => None,
        }
    }

    /// The end of a command that waited. `shortfall`: why its report is no success, whatever became of the rollouts; `again`: the
    /// command that waits on.
    ///
    /// What was not written comes first, then what failed, then what stays behind, then what has not ended in time.
    pub(super) fn end(&self, shortfall: Option<Shortfall>, again: &str) -> End {
        let failed = |exit, why: &str| End::Failed(Failure::new(exit, why));
        let (outcome, sentence) = match &self.ended {
            Ended::Over { outcome, sentence } => (outcome, sentence),
            Ended::Interrupted(interruption) => {
                return End::Failed(interruption.failure("the rollouts", again));
            }
        };
        match (shortfall, outcome) {
            (Some(shortfall), _) if is_of_writes(&shortfall) => End::Failed(shortfall.into()),
            (_, WaitOutcome::Unknown) => self.unknown(sentence),
            (_, WaitOutcome::Failed) => failed(Exit::Person, sentence),
            (Some(shortfall), _) => End::Failed(shortfall.into()),
            (None, WaitOutcome::Unfinished) => {
                terminal::tell(&format!("the rollouts go on; to wait on: {again}"));
                failed(Exit::Repeat, sentence)
            }
            (None, WaitOutcome::Succeeded) => End::Done,
        }
    }

    /// One cannot be looked at: its error decides.
    fn unknown(&self, sentence: &str) -> End {
        let is_unknown = |f: &&Arc<Followed>| f.end == Some(RolloutEnd::Unknown);
        let first = self.rollouts.iter().find(is_unknown);
        let error = first.and_then(|followed| followed.error.as_ref());
        End::Failed(match error {
            Some(error) => Failure::of_cluster(error, sentence),
            None => Failure::new(Exit::Repeat, sentence),
        })
    }
}

/// The command that waits on for a build.
pub(super) fn verify(build: &Build, narrow: &Narrow) -> String {
    format!("hikaru verify {}{} --wait", build.image(), narrow.typed())
}

/// Whether something was not written, or may be missing, whatever becomes of the rollouts.
pub(super) fn is_of_writes(shortfall: &Shortfall) -> bool {
    let others = [ShortfallKind::NothingMatched, ShortfallKind::StaysBehind];
    !others.contains(&shortfall.kind)
}

/// What is told of a workload while it is waited for.
fn row(followed: &Followed) -> Row {
    let rollout = &followed.answer.rollout;
    let name = followed.id.to_string();
    let words = without_name(&rollout.sentence, &name).to_owned();
    let goes_on = followed.end.is_none();
    let cause = rollout.cause.as_ref().filter(|_| goes_on);
    // How many pods are ready stands beside the bar.
    let is_awaited = || {
        words
            .split_once(" new pods are ready; ")
            .map(|(_, rest)| rest)
    };
    let short = match cause {
        Some(cause) => Some(without_name(&cause.message, &name)),
        None => is_awaited(),
    };
    let short = short.unwrap_or_default().to_owned();
    let pods = |count: i32| u64::try_from(count).unwrap_or_default();
    let done = (rollout.desired > 0).then(|| (pods(rollout.ready), pods(rollout.desired)));
    let standing = match followed.end {
        Some(RolloutEnd::Succeeded) => Standing::EndedWell,
        Some(RolloutEnd::Failed | RolloutEnd::Unknown) => Standing::Failed,
        None if cause.is_some() || followed.error.is_some() => Standing::HeldUp,
        None => Standing::GoesOn,
    };
    let counts = (
        rollout.desired,
        rollout.updated,
        rollout.ready,
        rollout.available,
        rollout.old,
    );
    let cause = cause.map(|cause| cause.code);
    let (is_seen, state) = (followed.error.is_none(), rollout.state);
    Row {
        short,
        done,
        standing,
        // Without numbers: that something takes longer and longer is no news.
        news: format!(
            "{is_seen} {state} {counts:?} {cause:?} {}",
            numberless(&words)
        ),
        name,
        words,
    }
}

fn numberless(words: &str) -> String {
    words.chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// SIGINT and SIGTERM. Once they are listened to they do not end the process any more.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Interruption {
        tokio::select! {
            _ = self.interrupt.recv() => Interruption { name: "SIGINT", exit: Exit::Interrupted },
            _ = self.terminate.recv() => Interruption { name: "SIGTERM", exit: Exit::Terminated },
        }
    }
}
