//! Looks at the cluster itself, past the view, before the answer is that nothing matched. Callers that ask the same at the same time
//! share a look, and the number of looks is limited. The view itself is in `watch`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use hikaru_core::{
    Text,
    port::{ClusterError, Found, Scope, WorkloadPort as _},
    workload::WorkloadName,
};
use tokio::sync::OnceCell;

use crate::live::{LiveCluster, clock::now};

/// The limit: this many looks at once, and this many a second. Each look is four lists by selector.
const LOOKS: f64 = 20.0;
const LOOKS_A_SECOND: f64 = 4.0;

/// The question of a look. Callers with the same question share the look.
type LookKey = (Text, Vec<Text>, Vec<WorkloadName>);
type Look = Arc<OnceCell<Result<Found, ClusterError>>>;

/// Shared and limited looks at the cluster.
#[derive(Default)]
pub(in crate::live) struct Looks {
    state: Mutex<LooksState>,
}

struct LooksState {
    under_way: HashMap<LookKey, Look>,
    /// How many looks could begin at once, at the time `at`.
    left: f64,
    at: Option<Instant>,
}

impl Default for LooksState {
    fn default() -> Self {
        Self {
            under_way: HashMap::new(),
            left: LOOKS,
            at: None,
        }
    }
}

impl Looks {
    fn state(&self) -> MutexGuard<'_, LooksState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is there now, by selector. `None`: there were too many looks.
    pub(in crate::live) async fn look(
        &self,
        key: LookKey,
        live: &LiveCluster,
        scope: &Scope,
    ) -> Option<Result<Found, ClusterError>> {
        let look = {
            let mut state = self.state();
            match state.under_way.get(&key) {
                Some(look) => look.clone(),
                None => {
                    state.take(now()).then_some(())?;
                    let look = Look::default();
                    state.under_way.insert(key.clone(), look.clone());
                    look
                }
            }
        };
        // When the caller that began it hangs up, the next one goes on.
        let found = look.get_or_init(|| live.find(scope)).await.clone();
        let mut state = self.state();
        if state
            .under_way
            .get(&key)
            .is_some_and(|now| Arc::ptr_eq(now, &look))
        {
            state.under_way.remove(&key);
        }
        Some(found)
    }
}

impl LooksState {
    fn take(&mut self, now: Instant) -> bool {
        let passed = self
            .at
            .map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        self.left = (self.left + passed * LOOKS_A_SECOND).min(LOOKS);
        self.at = Some(now);
        if self.left < 1.0 {
            return false;
        }
        self.left -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn looks_are_few_and_come_back_with_time() {
        let mut state = LooksState::default();
        let begun = Instant::now();
        let taken = |state: &mut LooksState, now| (0..100).filter(|_| state.take(now)).count();
        assert_eq!(taken(&mut state, begun), 20);
        assert_eq!(taken(&mut state, begun + Duration::from_secs(1)), 4);
        assert_eq!(taken(&mut state, begun + Duration::from_secs(100)), 20);
    }
}
