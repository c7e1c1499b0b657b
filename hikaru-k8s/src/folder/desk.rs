//! Turns: who may write a file when. Changes to one file wait at its desk; whoever gets the turn
//! takes all that wait with him, so a file with a thousand workloads is not written a thousand
//! times. How a file is written is `write`'s business.

use hikaru_core::{Change, ClusterError, Mode, WorkloadId};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, oneshot};

use super::blocking;

/// Files that are written at one time. Syncing is most of the time of a write, and the disk syncs
/// many at once: 2,000 files took 0.9 s one by one, 0.4 s with sixteen; more gained nothing.
const FILES: usize = 16;

type Outcome = Result<(), ClusterError>;

/// Writes changes to one file, by its path below the folder: what a desk hands its work to.
pub(super) type Writer = dyn Fn(&str, &[(&Change, Mode)]) -> Vec<Outcome> + Send + Sync;

/// The desks of all files.
#[derive(Debug)]
pub(super) struct Desks {
    desks: Mutex<HashMap<String, Arc<Desk>>>,
    permits: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Desk {
    waiting: Mutex<Vec<Job>>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug)]
struct Job {
    change: Change,
    mode: Mode,
    answer: oneshot::Sender<Outcome>,
}

impl Desks {
    pub(super) fn new() -> Self {
        Self {
            desks: Mutex::default(),
            permits: Arc::new(Semaphore::new(FILES)),
        }
    }

    /// Writes a change when it is its turn. A caller that goes away while it waits withdraws it;
    /// a write that has begun is finished.
    pub(super) async fn write(
        &self,
        file: &str,
        change: &Change,
        mode: Mode,
        writer: Arc<Writer>,
    ) -> Outcome {
        let desk = Arc::clone(lock(&self.desks).entry(file.to_owned()).or_default());
        let (answer, mut outcome) = oneshot::channel();
        lock(&desk.waiting).push(Job {
            change: change.clone(),
            mode,
            answer,
        });
        let turn = Arc::clone(&desk.turn).lock_owned();
        let outcome = tokio::select! {
            biased;
            // Somebody else took it with him.
            outcome = &mut outcome => outcome.ok(),
            turn = turn => {
                let permit = Arc::clone(&self.permits).acquire_owned().await;
                let (file, desk) = (file.to_owned(), Arc::clone(&desk));
                // Turn and permit go along: they last as long as the work, not as the caller.
                blocking(move || {
                    desk.work(&file, &*writer);
                    drop((turn, permit));
                })
                .await;
                outcome.try_recv().ok()
            }
        };
        let mut desks = lock(&self.desks);
        // The map's and ours: nobody else waits here.
        if Arc::strong_count(&desk) == 2 {
            desks.remove(file);
        }
        outcome.unwrap_or_else(|| Err(ClusterError::Lost(format!("{file}: the write broke off"))))
    }
}

impl Desk {
    /// Does all that waits, at most one change for each workload at a time: a second one is
    /// judged against what the first has left.
    fn work(&self, file: &str, writer: &Writer) {
        let mut waiting = std::mem::take(&mut *lock(&self.waiting));
        while !waiting.is_empty() {
            let mut busy: HashSet<WorkloadId> = HashSet::new();
            let (round, later): (Vec<Job>, Vec<Job>) = waiting
                .into_iter()
                .filter(|job| !job.answer.is_closed())
                .partition(|job| busy.insert(job.change.judged().id.clone()));
            let changes: Vec<(&Change, Mode)> =
                round.iter().map(|job| (&job.change, job.mode)).collect();
            let outcomes = writer(file, &changes);
            for (job, outcome) in round.into_iter().zip(outcomes) {
                // Whoever asked may be gone by now.
                let _ = job.answer.send(outcome);
            }
            waiting = later;
        }
    }
}

/// The data behind these locks is whole at every moment: a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hikaru_core::{Build, Container, IdentityLabels, Request, TagFormats, Workload, plan};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    fn change(name: &str) -> Change {
        let build = Build::parse("a/b:o_r_b_1.0_2_0123abcd", &TagFormats::default());
        let mut workload = Workload::new(WorkloadId::new("n", "Deployment", name));
        workload.labels = IdentityLabels::new("o", "r", "b");
        workload.containers = vec![Container::new("c", "a/b:o_r_b_1.0_1_0123abcd")];
        let mut plan = plan(Request::new(build.expect("a build")), [workload]);
        let change = plan.entries.pop().and_then(|entry| entry.change);
        change.expect("an upgrade")
    }

    /// Counts its calls, and the changes that it was given.
    fn writer(calls: &Arc<AtomicUsize>, changes: &Arc<AtomicUsize>) -> Arc<Writer> {
        let (calls, count) = (Arc::clone(calls), Arc::clone(changes));
        Arc::new(move |_, changes| {
            std::thread::sleep(Duration::from_millis(100));
            calls.fetch_add(1, Ordering::Relaxed);
            count.fetch_add(changes.len(), Ordering::Relaxed);
            changes.iter().map(|_| Ok(())).collect()
        })
    }

    #[tokio::test]
    async fn whoever_has_the_turn_takes_all_that_wait_with_him() {
        let (calls, changes) = (Arc::default(), Arc::default());
        let desks = Arc::new(Desks::new());
        let tasks: Vec<_> = (0..50)
            .map(|n| {
                let (desks, writer) = (Arc::clone(&desks), writer(&calls, &changes));
                tokio::spawn(async move {
                    let change = change(&format!("web-{}", n % 25));
                    desks.write("a.yaml", &change, Mode::Commit, writer).await
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.expect("it ends"), Ok(()));
        }
        // The first alone or with some, the rest in rounds without the same workload twice.
        assert_eq!(changes.load(Ordering::Relaxed), 50);
        assert!(calls.load(Ordering::Relaxed) <= 4, "{calls:?}");
        assert!(lock(&desks.desks).is_empty());
    }

    #[tokio::test]
    async fn whoever_goes_away_while_he_waits_withdraws_his_change() {
        let (calls, changes) = (Arc::default(), Arc::default());
        let desks = Arc::new(Desks::new());
        let start = |name: &'static str| {
            let (desks, writer) = (Arc::clone(&desks), writer(&calls, &changes));
            tokio::spawn(async move {
                let change = change(name);
                desks.write("a.yaml", &change, Mode::Commit, writer).await
            })
        };
        let first = start("first");
        tokio::time::sleep(Duration::from_millis(20)).await;
        let second = start("second");
        let third = start("third");
        tokio::time::sleep(Duration::from_millis(20)).await;
        second.abort();
        assert!(second.await.is_err_and(|error| error.is_cancelled()));
        assert_eq!(first.await.expect("it ends"), Ok(()));
        assert_eq!(third.await.expect("it ends"), Ok(()));
        assert_eq!(changes.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_writer_that_panics_loses_an_answer_and_nothing_else() {
        let desks = Desks::new();
        let broken: Arc<Writer> = Arc::new(|_, _| panic!("planted"));
        let lost = desks
            .write("a.yaml", &change("web"), Mode::Commit, broken)
            .await;
        assert_eq!(
            lost,
            Err(ClusterError::Lost("a.yaml: the write broke off".to_owned()))
        );
        let fine = writer(&Arc::default(), &Arc::default());
        let written = desks
            .write("a.yaml", &change("web"), Mode::Commit, fine)
            .await;
        assert_eq!(written, Ok(()));
    }
}
