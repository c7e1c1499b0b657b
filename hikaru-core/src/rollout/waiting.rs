//! Waiting until rollouts have ended, as a stream of what becomes of them. What is waited for is in `awaited`, how one workload is
//! followed in `follow`.

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::{
    StreamExt as _,
    future::{Either, select},
    stream::{self, BoxStream, SelectAll},
};

use super::{
    awaited::{Awaited, End, Followed},
    follow::{self, Follow},
    rollouts::Rollouts,
    times::Told,
};
use crate::port::ClusterError;

/// Of so many rollouts that have not ended in time what holds them up is collected. More would keep the answer too long.
const SHOWN: usize = 10;

/// How long that may take.
const SHOWN_WITHIN: Duration = Duration::from_secs(10);

/// How many workloads are looked at at once where nothing is waited for.
const AT_ONCE: usize = 8;

/// How is waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WaitTerms {
    /// How long at most, and as long as the cluster takes to answer besides. Zero: each workload is looked at once.
    pub within: Duration,
    /// As in [`Asked::stable_for`](super::Asked::stable_for).
    pub stable_for: Option<Duration>,
    /// Whether the wait ends as soon as one rollout has failed.
    pub fail_fast: bool,
}

impl WaitTerms {
    /// At most so long, until all rollouts have ended or one has failed.
    pub fn new(within: Duration) -> Self {
        Self {
            within,
            stable_for: None,
            fail_fast: true,
        }
    }
}

/// What a wait tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitEvent {
    /// A workload was looked at for the first time, or what is known of it has changed.
    Changed(Arc<Followed>),
    /// The wait is over. Nothing follows.
    Over(Waited),
}

/// What became of a wait.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Waited {
    /// The workloads, sorted by their ids.
    pub rollouts: Vec<Arc<Followed>>,
    /// What became of all together.
    pub outcome: WaitOutcome,
    /// The outcome in one sentence for a person.
    pub sentence: String,
    /// How long it took.
    pub took: Duration,
}

/// What became of all workloads together: if several hold, the first of this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WaitOutcome {
    /// One cannot be looked at.
    Unknown,
    /// One has failed.
    Failed,
    /// The time was over before all had ended.
    Unfinished,
    /// All have succeeded.
    Succeeded,
}

impl WaitOutcome {
    fn of(end: Option<End>) -> Self {
        match end {
            Some(End::Unknown) => Self::Unknown,
            Some(End::Failed) => Self::Failed,
            None => Self::Unfinished,
            Some(End::Succeeded) => Self::Succeeded,
        }
    }
}

impl Rollouts {
    /// Waits for workloads. The stream tells of each change, and of the end at last; nothing happens while nobody reads it, and
    /// dropping it ends the wait.
    ///
    /// In a folder of manifests nothing rolls out, so there a workload has succeeded if it is set to the build.
    ///
    /// # Errors
    /// [`ClusterError::Unsupported`] where nothing rolls out, unless the time is zero.
    pub fn wait(
        &self,
        awaited: Vec<Awaited>,
        terms: WaitTerms,
    ) -> Result<BoxStream<'static, WaitEvent>, ClusterError> {
        if !terms.within.is_zero() {
            self.port()?;
        }
        let wait = Wait::new(self.clone(), awaited, terms);
        Ok(stream::unfold(wait, Wait::next).boxed())
    }
}

struct Wait {
    rollouts: Rollouts,
    terms: WaitTerms,
    begun: Duration,
    /// Each with the place of its workload in `known`.
    following: SelectAll<BoxStream<'static, (usize, Arc<Followed>)>>,
    known: Vec<Arc<Followed>>,
    is_told: bool,
}

impl Wait {
    fn new(rollouts: Rollouts, mut awaited: Vec<Awaited>, terms: WaitTerms) -> Self {
        awaited.sort_by(|a, b| a.id.cmp(&b.id));
        for one in &mut awaited {
            one.asked.stable_for = terms.stable_for;
        }
        let known = awaited
            .iter()
            .map(|one| Arc::new(Followed::untold(&one.id)));
        let known = known.collect();
        let follows = awaited.into_iter().enumerate();
        let begun = rollouts.clock.elapsed();
        let mut following = SelectAll::new();
        if terms.within.is_zero() {
            let looks = follows.map(|(place, one)| {
                let follow = Follow::new(rollouts.clone(), one);
                async move { (place, follow.look_once().await) }
            });
            let looks: Vec<_> = looks.collect();
            following.push(stream::iter(looks).buffer_unordered(AT_ONCE).boxed());
        } else {
            following.extend(follows.map(|(place, one)| {
                let follow =
                    Follow::new(rollouts.clone(), one).until(begun.saturating_add(terms.within));
                follow.map(move |followed| (place, followed)).boxed()
            }));
        }
        Self {
            rollouts,
            terms,
            begun,
            following,
            known,
            is_told: false,
        }
    }

    async fn next(mut self) -> Option<(WaitEvent, Self)> {
        if self.is_told {
            return None;
        }
        let has_failed = |end| matches!(end, Some(End::Failed | End::Unknown));
        let fails = self.terms.fail_fast && self.known.iter().any(|f| has_failed(f.end));
        // Where each is looked at once, all are.
        if !fails || self.terms.within.is_zero() {
            // Each is followed until it has ended or the time is over.
            if let Some((place, followed)) = self.following.next().await {
                self.known[place] = followed.clone();
                return Some((WaitEvent::Changed(followed), self));
            }
        }
        self.following.clear();
        self.is_told = true;
        // The first failure is told at once: to collect what holds up the others takes time.
        if !fails {
            self.show_unended().await;
        }
        let waited = self.waited();
        Some((WaitEvent::Over(waited), self))
    }

    /// Collects what holds up those that have not ended, as far as there is time for it.
    async fn show_unended(&mut self) {
        let holds_up = |(_, followed): &(usize, &Arc<Followed>)| {
            followed.end.is_none() && followed.answer.rollout.cause.is_some()
        };
        let known = self.known.iter().enumerate().filter(holds_up);
        let shown = known.take(SHOWN).map(|(place, followed)| {
            let (rollouts, followed) = (self.rollouts.clone(), followed.clone());
            async move { (place, follow::with_evidence(&rollouts, followed).await) }
        });
        let shown: Vec<_> = shown.collect();
        let mut shown = pin!(stream::iter(shown).buffer_unordered(AT_ONCE));
        let clock = self.rollouts.clock.clone();
        let mut time = clock.sleep(SHOWN_WITHIN);
        while let Either::Left((Some((place, followed)), _)) = select(shown.next(), &mut time).await
        {
            self.known[place] = followed;
        }
    }

    fn waited(&self) -> Waited {
        let outcomes = self.known.iter().map(|f| WaitOutcome::of(f.end));
        let outcome = outcomes.min().unwrap_or(WaitOutcome::Succeeded);
        Waited {
            rollouts: self.known.clone(),
            outcome,
            sentence: self.sentence(outcome),
            took: self.rollouts.clock.elapsed().saturating_sub(self.begun),
        }
    }

    /// `1 of 3 rollouts failed: shop/Deployment/web: …`.
    fn sentence(&self, outcome: WaitOutcome) -> String {
        let all = self.known.len();
        let rollouts = if all == 1 { "rollout" } else { "rollouts" };
        let those = |f: &&Arc<Followed>| WaitOutcome::of(f.end) == outcome;
        let those: Vec<_> = self.known.iter().filter(those).collect();
        let (count, within) = (those.len(), Told(self.terms.within));
        let what = match outcome {
            WaitOutcome::Unknown => "could not be looked at".to_owned(),
            WaitOutcome::Failed => "failed".to_owned(),
            WaitOutcome::Unfinished if self.terms.within.is_zero() => "not complete".to_owned(),
            WaitOutcome::Unfinished => format!("not complete within {within}"),
            WaitOutcome::Succeeded if all == 0 => return "there is nothing to wait for".to_owned(),
            WaitOutcome::Succeeded => return format!("{all} {rollouts} ended well"),
        };
        let first = those.first().map(|f| &*f.answer.rollout.sentence);
        let others = match count.saturating_sub(1) {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        let first = first.unwrap_or_default();
        format!("{count} of {all} {rollouts} {what}: {first}{others}")
    }
}
