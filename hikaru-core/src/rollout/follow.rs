//! Following one workload until its rollout has ended: when it is looked at again, and what the build that was posted has to do
//! with it. How a rollout is judged is in `judge`, waiting for several is in `waiting`.

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::{
    StreamExt as _,
    future::{Either, select},
    stream::{self, BoxStream},
};

use super::{
    awaited::{Awaited, End, Expects, Followed, withheld},
    fate,
    rollouts::{Looked, RolloutAnswer, Rollouts, name_of},
    state::{Rollout, RolloutState},
};
use crate::{
    Text, Workload,
    policy::{Code, Entry, Force, Request, plan},
    port::{ClusterError, RolloutPort, Scope, Select},
    workload::WorkloadName,
};

/// After this time a workload is looked at although its port has told of no change. A port that cannot watch it tells by itself,
/// at a pace that it can answer.
const LOOK: Duration = Duration::from_secs(60);

/// After this time it is looked at again when it could not be, and twice as long after each further failure; or when what is told
/// is older than what was read before.
const AGAIN: Duration = Duration::from_secs(1);

/// A look is never repeated sooner: moments of a cluster are told in whole seconds.
const SOONEST: Duration = Duration::from_millis(10);

/// One workload that is waited for.
pub(super) struct Follow {
    rollouts: Rollouts,
    awaited: Awaited,
    changed: BoxStream<'static, ()>,
    /// When the wait is over, by the clock.
    until: Duration,
    /// After which time it is looked at again at the latest.
    look_in: Duration,
    last: Option<Arc<Followed>>,
    /// Whether it could be looked at.
    was_seen: bool,
    /// How many looks have failed one after the other.
    failures: u32,
}

impl Follow {
    pub(super) fn new(rollouts: Rollouts, awaited: Awaited) -> Self {
        Self {
            rollouts,
            awaited,
            changed: stream::pending().boxed(),
            until: Duration::MAX,
            look_in: LOOK,
            last: None,
            was_seen: false,
            failures: 0,
        }
    }

    /// How it is now.
    pub(super) async fn look_once(mut self) -> Arc<Followed> {
        Arc::new(self.look().await)
    }

    /// How it is at first, and each time that this has changed, until it has ended or the time is over.
    pub(super) fn until(
        mut self,
        until: Duration,
    ) -> impl futures_util::Stream<Item = Arc<Followed>> + Send {
        if let (Ok(port), Ok(name)) = (self.rollouts.port(), name_of(&self.awaited.id)) {
            self.changed = port.changed(&name);
        }
        self.until = until;
        stream::unfold(self, Self::next)
    }

    async fn next(mut self) -> Option<(Arc<Followed>, Self)> {
        if self.last.as_ref().is_some_and(|last| last.end.is_some()) {
            return None;
        }
        while !self.awaited.asked.is_last {
            let left = self.pause().await;
            self.awaited.asked.is_last = left.is_zero();
            // A look is a large future, and most of the time there is none.
            let followed = Arc::new(Box::pin(self.look()).await);
            let last = self.last.replace(followed.clone());
            if last.is_none_or(|last| !followed.tells_the_same_as(&last)) {
                return Some((followed, self));
            }
        }
        None
    }

    /// Waits until the workload may have changed, its state may change by the time, or the wait is over. Gives the time that is
    /// left.
    async fn pause(&mut self) -> Duration {
        let clock = self.rollouts.clock.clone();
        let until = self.until;
        let left = || until.saturating_sub(clock.elapsed());
        let time = pin!(clock.sleep(self.look_in.min(left())));
        if let Either::Left((None, _)) = select(self.changed.next(), time).await {
            self.changed = stream::pending().boxed();
        }
        left()
    }

    async fn look(&mut self) -> Followed {
        self.look_in = LOOK;
        let id = &self.awaited.id;
        if let Expects::Nothing(reason) = &self.awaited.expects {
            return Followed::without_workload(id, RolloutState::NotDeployed, reason);
        }
        match self.looked().await {
            Ok(followed) => {
                self.was_seen = true;
                followed
            }
            Err(error) => {
                self.look_later();
                let words = format!("it cannot be looked at now: {error}");
                let id = &self.awaited.id;
                let mut followed =
                    Followed::without_workload(id, RolloutState::Progressing, &words);
                // What was answered once will be again: an API server that starts refuses what it will allow.
                if !error.is_retryable() && !self.was_seen {
                    followed.end = Some(End::Unknown);
                }
                followed.error = Some(error);
                followed
            }
        }
    }

    async fn looked(&mut self) -> Result<Followed, ClusterError> {
        let rollouts = self.rollouts.clone();
        let name = name_of(&self.awaited.id)?;
        let Ok(port) = rollouts.port() else {
            return self.in_a_folder().await;
        };
        let mut looked = rollouts.judged(&**port, &name, &self.awaited.asked).await?;
        let expects = self.awaited.expects.clone();
        if let (Expects::Written(_), None, Some(facts)) =
            (&expects, self.awaited.asked.since, &looked.facts)
        {
            // A person who posts the build again may have mended what held it up, so its time begins anew.
            self.awaited.asked.since = Some(facts.now);
            if looked.rollout.state == RolloutState::Failed {
                looked = rollouts.judged(&**port, &name, &self.awaited.asked).await?;
            }
        }
        if !self.is_there(&looked).await? {
            return Ok(self.not_seen_yet());
        }
        let of_images = match &expects {
            Expects::Written(request) => self.written_over(request, &looked).await?,
            Expects::Build(request) => self.not_built(request, port, &name, &mut looked).await?,
            Expects::AnyBuild | Expects::Nothing(_) => None,
        };
        if let Some(followed) = of_images {
            return Ok(followed);
        }
        self.failures = 0;
        let id = self.awaited.id.clone();
        if looked.facts.is_none() {
            // `judge` has no name for a workload without facts.
            looked.rollout.sentence = format!("{id}: {}", looked.rollout.sentence);
        }
        let look_again = looked.look_again.unwrap_or(LOOK);
        self.look_in = look_again.clamp(SOONEST, LOOK);
        Ok(Followed::of(&id, rollouts.shown(&**port, looked).await))
    }

    /// Whether what was told of the workload is still so: that it has this uid, or that it is gone. A watch may be behind, so that it
    /// seems to be gone is confirmed by reading it.
    async fn is_there(&mut self, looked: &Looked) -> Result<bool, ClusterError> {
        let uid = self.awaited.asked.uid.clone();
        let is_it = |found: &Text| uid.is_empty() || *found == uid;
        let seen = looked.facts.as_ref().map(|facts| &facts.workload);
        if let Some(workload) = seen.filter(|workload| is_it(&workload.uid)) {
            // A name may be written in several ways.
            self.awaited.id = workload.id.clone();
            // Where a build is waited for, another workload of this name can run it as well.
            if matches!(self.awaited.expects, Expects::AnyBuild) {
                self.awaited.asked.uid = workload.uid.clone();
            }
            return Ok(true);
        }
        let id = &self.awaited.id;
        let now = self.rollouts.workloads.read(id).await?;
        if now.is_some_and(|now| is_it(&now.uid)) {
            return Ok(false);
        }
        match &self.awaited.expects {
            Expects::AnyBuild if uid.is_empty() => Err(ClusterError::NotFound(id.to_string())),
            _ => Ok(true),
        }
    }

    /// How a workload is that is not set to the build. `None`: it is, and only the containers that run the build are judged.
    async fn not_built(
        &mut self,
        request: &Request,
        port: &Arc<dyn RolloutPort>,
        name: &WorkloadName,
        looked: &mut Looked,
    ) -> Result<Option<Followed>, ClusterError> {
        let Some(facts) = &looked.facts else {
            return Ok(None);
        };
        match deployed(request, &facts.workload) {
            Err(rollout) => {
                let is_kept = rollout.state == RolloutState::NotDeployed;
                if is_kept && !self.is_kept_from(request).await? {
                    return Ok(Some(self.not_seen_yet()));
                }
                let answer = RolloutAnswer {
                    workload: Some(facts.workload.clone()),
                    rollout: *rollout,
                    evidence: None,
                };
                Ok(Some(Followed::of(&self.awaited.id, answer)))
            }
            Ok(images) if images != self.awaited.asked.images => {
                self.awaited.asked.images = images;
                let judged = self.rollouts.judged(&**port, name, &self.awaited.asked);
                *looked = judged.await?;
                let has_changed = [RolloutState::Superseded, RolloutState::Reverted];
                let has_changed = has_changed.contains(&looked.rollout.state);
                Ok(has_changed.then(|| self.not_seen_yet()))
            }
            Ok(_) => Ok(None),
        }
    }

    /// What became of a workload that does not have the images any more that were written. `None`: it has them.
    async fn written_over(
        &mut self,
        request: &Request,
        looked: &Looked,
    ) -> Result<Option<Followed>, ClusterError> {
        let mut rollout = looked.rollout.clone();
        if !matches!(
            rollout.state,
            RolloutState::Superseded | RolloutState::Reverted
        ) {
            return Ok(None);
        }
        // What was told can be older than the write.
        let id = self.awaited.id.clone();
        let now = self.rollouts.workloads.read(&id).await?;
        if let Some(now) = now.filter(|now| now.uid == self.awaited.asked.uid) {
            if self.has_images(&now) {
                return Ok(Some(self.not_seen_yet()));
            }
            // Only the order of the builds counts: what the post forced does not, nor does what keeps builds away since.
            let mut request = request.clone();
            request.force = Force::ALL.without(Code::Obsolete);
            let entry = judged(&request, &now);
            let is_obsolete = entry.is_some_and(|e| e.codes().any(|c| c == Code::Obsolete));
            rollout.state = match is_obsolete {
                true => RolloutState::Superseded,
                false => RolloutState::Reverted,
            };
        }
        let answer = RolloutAnswer {
            workload: looked.facts.as_ref().map(|facts| facts.workload.clone()),
            rollout,
            evidence: None,
        };
        Ok(Some(Followed::of(&id, answer)))
    }

    /// Looks again soon, and after each further failure twice as late.
    fn look_later(&mut self) {
        let longer = 2_u32.saturating_pow(self.failures);
        self.look_in = AGAIN.saturating_mul(longer).min(LOOK);
        self.failures += 1;
    }

    /// What is told is older than what was read before.
    fn not_seen_yet(&mut self) -> Followed {
        self.look_later();
        let words = "what was changed is not seen yet";
        Followed::without_workload(&self.awaited.id, RolloutState::Progressing, words)
    }

    /// Whether a build does not go out to the workload as it is now: what was told can be older than the write of a build, or than
    /// the removal of what kept it away.
    async fn is_kept_from(&mut self, request: &Request) -> Result<bool, ClusterError> {
        let now = self.rollouts.workloads.read(&self.awaited.id).await?;
        let now = now.map(|now| deployed(request, &now));
        Ok(match now {
            Some(Err(rollout)) => rollout.state == RolloutState::NotDeployed,
            Some(Ok(_)) => false,
            None => true,
        })
    }

    fn has_images(&self, now: &Workload) -> bool {
        let mut images = self.awaited.asked.images.iter();
        images.all(|(name, image)| {
            let container = now.container(name);
            container.is_some_and(|container| fate::is_same(image, &container.image))
        })
    }

    /// In a folder of manifests nothing rolls out, so only the image counts.
    async fn in_a_folder(&mut self) -> Result<Followed, ClusterError> {
        let id = &self.awaited.id;
        let found = self
            .rollouts
            .workloads
            .find(&Scope::new(Select::Named(vec![id.clone()])))
            .await?;
        let workload = found.workloads.into_iter().find(|w| w.id == *id);
        let workload = workload.ok_or_else(|| ClusterError::NotFound(id.to_string()))?;
        let mut not_deployed = match &self.awaited.expects {
            Expects::Build(request) => deployed(request, &workload).err(),
            _ => None,
        };
        // A folder has no controller that writes the build later.
        if let Some(rollout) = &mut not_deployed
            && rollout.state == RolloutState::Progressing
        {
            rollout.state = RolloutState::NotDeployed;
        }
        let rollout = not_deployed.unwrap_or_else(|| {
            let words = format!("{id}: in a folder of manifests nothing rolls out");
            Box::new(Rollout::new(RolloutState::NotApplicable, words))
        });
        let answer = RolloutAnswer {
            workload: Some(workload),
            rollout: *rollout,
            evidence: None,
        };
        Ok(Followed::of(id, answer))
    }
}

/// The verdicts on a workload as it is now. `None`: the request does not mean it any more.
fn judged(request: &Request, workload: &Workload) -> Option<Entry> {
    let plan = plan(request.clone(), [workload.clone()]);
    plan.entries.into_iter().next()
}

/// The containers that are set to the build, with their images.
///
/// # Errors
/// How the workload is, if it is not set to the build.
fn deployed(request: &Request, workload: &Workload) -> Result<Vec<(Text, Text)>, Box<Rollout>> {
    let id = &workload.id;
    let not_deployed = |words: &str| {
        let sentence = format!("{id}: {words}");
        Box::new(Rollout::new(RolloutState::NotDeployed, sentence))
    };
    let entry = judged(request, workload).ok_or_else(|| {
        not_deployed(
            "does not run the build: it was relabeled, or its image replaced, while it was waited for",
        )
    })?;
    if let Some(reason) = withheld(&entry) {
        return Err(not_deployed(&reason));
    }
    let of = |code: Code| entry.containers.iter().find(|judged| judged.code == code);
    if let Some(judged) = of(Code::Upgrade) {
        let words = format!("{id}: the build is not written yet: {}", judged.reason);
        return Err(Box::new(Rollout::new(RolloutState::Progressing, words)));
    }
    if let Some(obsolete) = of(Code::Obsolete) {
        let words = format!("{id}: {}", obsolete.reason);
        return Err(Box::new(Rollout::new(RolloutState::Superseded, words)));
    }
    let containers = entry.containers.iter();
    let containers = containers.filter_map(|judged| entry.container(judged));
    let images = containers.map(|container| (container.name.clone(), container.image.clone()));
    Ok(images.collect())
}

/// Adds what shows what holds a rollout up, by the cause that was told.
pub(super) async fn with_evidence(rollouts: &Rollouts, followed: Arc<Followed>) -> Arc<Followed> {
    let collected = async {
        let cause = followed.answer.rollout.cause.as_ref()?;
        let name = name_of(&followed.id).ok()?;
        let port = rollouts.port().ok()?;
        let facts = port.facts(&name).await.ok()??;
        Some(rollouts.evidence(&**port, &facts, cause).await)
    };
    let Some(evidence) = collected.await else {
        return followed;
    };
    let mut shown = Followed::clone(&followed);
    shown.answer.evidence = Some(evidence);
    Arc::new(shown)
}
