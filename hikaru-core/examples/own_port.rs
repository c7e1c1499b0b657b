//! Decide and act on a port of one's own: here a shelf of services that a supervisor would start, kept behind one lock.
//! What makes it safe is `write`: it tests, under the same lock, that all holds that the verdict read.
//!
//! ```sh
//! cargo run -p hikaru-core --example own_port
//! ```

#![expect(
    clippy::print_stdout,
    reason = "it is a program that talks to a person"
)]

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use async_trait::async_trait;
use hikaru_core::{
    Build, Container, IdentityLabels, Mode, Request, TagFormats, Text, Workload, WorkloadId,
    policy::Change,
    port::{Clock, ClusterError, Found, Freshness, Scope, WorkloadPort, Written},
    upgrade,
    workload::WorkloadName,
};

#[derive(Default)]
struct Shelf(Mutex<Vec<Workload>>);

impl Shelf {
    fn services(&self) -> MutexGuard<'_, Vec<Workload>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, name: &str, image: &str) {
        let mut service = Workload::new(WorkloadId::new("shelf", "Service", name));
        service.labels = IdentityLabels::new("acme", "web", "main");
        service.containers = vec![Container::new("web", image)];
        self.services().push(service);
    }
}

#[async_trait]
impl WorkloadPort for Shelf {
    fn freshness(&self) -> Freshness {
        Freshness::Fresh
    }

    async fn find(&self, scope: &Scope) -> Result<Found, ClusterError> {
        let services = self.services();
        let admitted = services.iter().filter(|service| scope.admits(service));
        let admitted = admitted.cloned().map(Arc::new);
        Ok(Found::new(admitted.collect(), Vec::new()))
    }

    async fn read(&self, id: &WorkloadId) -> Result<Option<Workload>, ClusterError> {
        Ok(self.services().iter().find(|s| s.id == *id).cloned())
    }

    async fn write(&self, change: &Change, mode: Mode) -> Result<Written, ClusterError> {
        let mut services = self.services();
        let id = &change.judged().id;
        let service = services.iter_mut().find(|service| service.id == *id);
        let service = service.ok_or_else(|| ClusterError::NotFound(id.to_string()))?;
        // The guard. Whoever writes to something that others write to, too, lets that test it in the same request.
        if !change.holds_for(service) {
            return Err(ClusterError::Stale);
        }
        if mode == Mode::Commit {
            for (judged, edit) in change.edited() {
                let containers = service.containers.iter_mut();
                for container in containers.filter(|c| c.name == judged.name) {
                    container.image = edit.to().clone();
                    // The mark goes with the image: what a person takes back stays back.
                    container.mark = edit.mark().cloned().or(container.mark.take());
                }
            }
        }
        Ok(Written::default())
    }

    async fn unhold(
        &self,
        _: &WorkloadName,
        _: Option<Text>,
    ) -> Result<Vec<(Text, Text)>, ClusterError> {
        Err(ClusterError::Unsupported("removing high-water marks"))
    }
}

/// The machine's clock. A lost answer is waited for with tokio's timer.
struct Machine {
    start: Instant,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

#[async_trait]
impl Clock for Machine {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// Posts a build twice, and says what came of it.
pub(crate) async fn told() -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let shelf = Shelf::default();
    shelf.put("api", "acme/web:acme_web_main_1.9.0_12_0d1e2f3a");
    shelf.put("worker", "acme/web:acme_web_main_1.11.0_1_0badcafe");
    let image = "acme/web:acme_web_main_1.10.0_7_9f3c2ab1";
    let build = Build::parse(image, &TagFormats::default())?;
    let mut lines = Vec::new();
    for _ in 0..2 {
        let report = upgrade(
            &shelf,
            &Machine::default(),
            Request::new(build.clone()),
            Mode::Commit,
        )
        .await?;
        for reported in &report.entries {
            let (entry, outcome) = (&reported.entry, &reported.outcome);
            for judged in &entry.containers {
                let (workload, sentence) = (&entry.workload.id, &judged.reason);
                lines.push(format!("{workload} {outcome:?}: {sentence}"));
            }
        }
    }
    Ok(lines)
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("{}", told().await?.join("\n"));
    Ok(())
}
