//! What is remembered of rollouts from one question to the next, in plain maps behind one lock: what each has reached, the events
//! that were listed, what shows why it failed. What becomes of it is the business of `rollouts`.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    cause::CauseCode,
    evidence::Evidence,
    facts::{EventFacts, Unseen},
    reached::Reached,
};
use crate::Text;

/// How many workloads are remembered. Those whose rollout is complete are seldom looked at.
const WORKLOADS: usize = 4_000;
/// How long a workload is remembered that nobody asks for.
const WORKLOAD_FOR: Duration = Duration::from_secs(60 * 60);
/// How long events and nodes are told again before they are listed anew; events of many workloads for longer.
pub(super) const LISTED_FOR: Duration = Duration::from_secs(10);
/// The same for the events of a rollout that has failed: later ones hardly ever say more.
const FAILED_LISTED_FOR: Duration = Duration::from_secs(10 * 60);

/// What is remembered of one workload.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// What its rollout has reached.
    pub(super) reached: Reached,
    /// The revision that the events and the evidence are of.
    revision: Option<Text>,
    /// The events as they were listed last, or why they cannot be.
    pub(super) events: Option<Result<Vec<EventFacts>, Unseen>>,
    /// When that was.
    pub(super) listed_at: Duration,
    /// Whether its rollout has failed.
    pub(super) has_failed: bool,
    /// What shows why it failed, and of which cause.
    pub(super) evidence: Option<(CauseCode, Arc<Evidence>)>,
    asked_at: Duration,
}

/// The nodes that are not ready, or why that cannot be found out.
pub(super) type Nodes = Result<BTreeSet<Text>, Unseen>;

#[derive(Debug, Default)]
struct State {
    /// By the workload's uid.
    workloads: HashMap<Text, Known>,
    /// As they were listed last, and when that was.
    nodes: Option<(Nodes, Duration)>,
}

/// What is remembered. All times are those of [`Clock::elapsed`](crate::port::Clock::elapsed).
#[derive(Debug, Default)]
pub(super) struct Remembered {
    state: Mutex<State>,
}

impl Remembered {
    fn state(&self) -> MutexGuard<'_, State> {
        // Each step is one assignment: a panic leaves whole values behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a workload at this revision. Events and evidence of another revision, and events that are too old, are
    /// left out.
    pub(super) fn of(&self, uid: &str, revision: Option<&Text>, now: Duration) -> Known {
        let state = self.state();
        let is_recent = |known: &&Known| {
            let age = now.saturating_sub(known.listed_at);
            known.events.is_some() && age < FAILED_LISTED_FOR
        };
        let listed = state.workloads.values().filter(is_recent).count();
        let listed = u32::try_from(listed).unwrap_or(u32::MAX);
        let mut known = state.workloads.get(uid).cloned().unwrap_or_default();
        drop(state);
        if known.revision.as_ref() != revision {
            (known.events, known.evidence) = (None, None);
            known.revision = revision.cloned();
        }
        let listed_for = match known.has_failed {
            true => FAILED_LISTED_FOR,
            // All together they are listed about twice a second.
            false => LISTED_FOR.saturating_mul(1 + listed / 20),
        };
        if now.saturating_sub(known.listed_at) >= listed_for {
            known.events = None;
        }
        known
    }

    /// Remembers what is known of a workload. Of too many the one goes that nobody has asked for longest.
    pub(super) fn put(&self, uid: &Text, known: Known, now: Duration) {
        let workloads = &mut self.state().workloads;
        if workloads.len() >= WORKLOADS && !workloads.contains_key(uid) {
            let is_recent = |known: &Known| now.saturating_sub(known.asked_at) < WORKLOAD_FOR;
            workloads.retain(|_, known| is_recent(known));
            let longest = workloads.iter().min_by_key(|(_, known)| known.asked_at);
            let longest = longest.map(|(uid, _)| uid.clone());
            if let Some(longest) = longest.filter(|_| workloads.len() >= WORKLOADS) {
                workloads.remove(&longest);
            }
        }
        let asked_at = now;
        workloads.insert(uid.clone(), Known { asked_at, ..known });
    }

    /// Forgets a workload that is gone.
    pub(super) fn forget(&self, uid: &str) {
        self.state().workloads.remove(uid);
    }

    /// The nodes that are not ready, unless that was found out too long ago.
    pub(super) fn nodes(&self, now: Duration) -> Option<Nodes> {
        let state = self.state();
        let (nodes, listed_at) = state.nodes.as_ref()?;
        (now.saturating_sub(*listed_at) < LISTED_FOR).then(|| nodes.clone())
    }

    /// Remembers which nodes are not ready.
    pub(super) fn put_nodes(&self, nodes: Nodes, now: Duration) {
        self.state().nodes = Some((nodes, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000_000);

    #[test]
    fn of_too_many_workloads_the_one_is_forgotten_that_was_asked_for_longest_ago() {
        let remembered = Remembered::default();
        let uid = |n: usize| Text::from(format!("uid-{n}"));
        let revision = Text::from("1");
        let known = || {
            let mut known = remembered.of("new", Some(&revision), NOW);
            known.evidence = Some((CauseCode::ImageNotFound, Arc::default()));
            known
        };
        let is_known = |n: usize| {
            remembered
                .of(&uid(n), Some(&revision), NOW)
                .evidence
                .is_some()
        };
        for n in 0..WORKLOADS {
            let later = u64::try_from(n).expect("a number");
            remembered.put(&uid(n), known(), NOW + Duration::from_secs(later));
        }
        assert!((0..WORKLOADS).all(is_known));
        // The first one is asked for again, so the second one goes.
        let later = NOW + Duration::from_secs(3000);
        remembered.put(&uid(0), known(), later);
        remembered.put(&uid(WORKLOADS), known(), later);
        assert!(is_known(0) && !is_known(1) && is_known(2) && is_known(WORKLOADS));
        // After a time all others go.
        let much_later = later + WORKLOAD_FOR + Duration::from_secs(1);
        remembered.put(&uid(WORKLOADS + 1), known(), much_later);
        assert!(!is_known(0) && !is_known(2) && is_known(WORKLOADS + 1));
        remembered.forget(&uid(WORKLOADS + 1));
        assert!(!is_known(WORKLOADS + 1));
    }

    #[test]
    fn events_grow_old_and_belong_to_a_revision() {
        let remembered = Remembered::default();
        let (uid, one, two) = (Text::from("uid"), Text::from("1"), Text::from("2"));
        let mut known = remembered.of(&uid, Some(&one), NOW);
        known.events = Some(Ok(Vec::new()));
        known.listed_at = NOW;
        remembered.put(&uid, known.clone(), NOW);
        let knows = |revision: &Text, at: Duration| {
            let known = remembered.of(&uid, Some(revision), at);
            known.events.is_some()
        };
        assert!(knows(&one, NOW));
        assert!(!knows(&two, NOW));
        assert!(!knows(&one, NOW + LISTED_FOR));
        known.has_failed = true;
        remembered.put(&uid, known, NOW);
        assert!(knows(&one, NOW + LISTED_FOR));
        assert!(!knows(&one, NOW + FAILED_LISTED_FOR));
    }
}
