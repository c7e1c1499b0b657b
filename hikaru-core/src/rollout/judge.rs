//! The rule: what the state of a rollout is. Pure and total.

use std::time::{Duration, SystemTime};

use super::{
    cause::Cause,
    completion::Completion,
    facts::{Condition, PodFacts, RolloutFacts, RolloutKind},
    fate,
    limit::Limit,
    reached::Reached,
    state::{Asked, Judged, Rollout, RolloutState},
    times::{Told, age, later, sooner},
    trouble::Troubles,
    view::{Counts, View, is_ready},
    window::Window,
    words::{self, Pods, PodsAre, kind_and_name, kubectl},
};
use crate::{Text, policy::Rules, text::escape::Escaped};

/// How long pods may be missing before their events are asked for.
const MISSING: Duration = Duration::from_secs(5);
/// How many pods a command in a sentence names.
const NAMED: usize = 10;

/// Judges a rollout by what a cluster says of it. `facts`: `None` if the workload is gone.
///
/// `reached` is what the judgement before gave, or the default. To hand it in a second time changes nothing.
///
/// ```
/// use std::{sync::Arc, time::{Duration, SystemTime}};
/// use hikaru_core::{Workload, WorkloadId, rollout::*};
///
/// let mut web = Workload::new(WorkloadId::new("shop", "StatefulSet", "web"));
/// web.uid = "1".into();
/// let mut object = ObjectFacts::default();
/// object.kind = RolloutKind::StatefulSet;
/// (object.generation, object.observed) = (2, 2);
/// object.revision = Some("web-6f5b8c7d9".into());
/// (object.desired, object.current, object.updated) = (1, 1, 1);
///
/// let changed = SystemTime::UNIX_EPOCH;
/// let mut pod = PodFacts::default();
/// (pod.name, pod.owner, pod.revision_hash) = ("web-0".into(), Some("1".into()), object.revision.clone());
/// pod.created = Some(changed);
/// let mut container = ContainerFacts::default();
/// (container.name, container.image) = ("web".into(), "acme/web:1.5".into());
/// container.state = ContainerState::Waiting {
///     reason: "ErrImagePull".into(),
///     message: "acme/web:1.5: not found".into(),
/// };
/// pod.containers.push(container);
///
/// // The tag may be pushed a moment later.
/// let mut facts = RolloutFacts::new(changed + Duration::from_secs(5), Arc::new(web), object);
/// facts.pods.push(Arc::new(pod));
/// let judged = judge(&Reached::default(), Some(&facts), &Asked::default());
/// assert_eq!(judged.rollout.state, RolloutState::Progressing);
///
/// facts.now = judged.look_again.expect("a time");
/// let failed = judge(&judged.reached, Some(&facts), &Asked::default()).rollout;
/// assert_eq!(failed.state, RolloutState::Failed);
/// assert_eq!(
///     failed.sentence,
///     "shop/StatefulSet/web: 1 of 1 new pods cannot pull the image acme/web:1.5 of container web: the registry does not have it; \
///      check that CI has pushed this tag to this repository"
/// );
/// ```
pub fn judge(reached: &Reached, facts: Option<&RolloutFacts>, asked: &Asked) -> Judged {
    let Some(facts) = facts else {
        let sentence = "the workload is gone: it was deleted".to_owned();
        return Judged::over(reached.clone(), RolloutState::Deleted, sentence);
    };
    if let Some((state, sentence)) = fate::of(facts, asked) {
        return Judged::over(reached.clone(), state, sentence);
    }
    let view = View::new(facts);
    Judging::new(&view, reached, asked).judged()
}

impl Judged {
    /// There is nothing left to judge.
    fn over(reached: Reached, state: RolloutState, sentence: String) -> Self {
        Self {
            rollout: Rollout::new(state, sentence),
            reached,
            look_again: None,
            wants_events: false,
            wants_nodes: false,
        }
    }
}

/// What the state follows from.
struct Judging<'v, 'f> {
    view: &'v View<'f>,
    counts: Counts,
    completion: Completion<'f>,
    reached: Reached,
    limit: Limit,
    troubles: Troubles<'f>,
    remarks: Vec<String>,
    asked: &'v Asked,
}

impl<'v, 'f> Judging<'v, 'f> {
    fn new(view: &'v View<'f>, reached: &Reached, asked: &'v Asked) -> Self {
        let mut remarks = Vec::new();
        let rules = Rules::read(&view.facts.workload).unwrap_or_else(|error| {
            remarks.push(format!("its settings do not count: {error}"));
            Rules::default()
        });
        let counts = view.counts();
        let now = view.now();
        let mut completion = Completion::of(view, counts, rules.required_rollout);
        let reached = reached.advance(view, completion.are_ready);
        let limit = Limit::of(view, &reached, asked, rules.progress_deadline);
        completion.observe(view, asked, reached.since(now), limit.is_over(now));
        // In the window of the pods that count, other pods may have any.
        let troubles = if completion.is_complete || completion.window.is_some() {
            Troubles::default()
        } else {
            Troubles::find(view, reached.since(now))
        };
        Self {
            view,
            counts,
            completion,
            reached,
            limit,
            troubles,
            remarks,
            asked,
        }
    }

    fn judged(mut self) -> Judged {
        let (view, now) = (self.view, self.view.now());
        let (state, sentence, cause) = self.state();
        let goes_on = state == RolloutState::Progressing;
        let window_ends = self.completion.window.as_ref().map(|window| window.ends);
        let is_open = !matches!(state, RolloutState::Complete | RolloutState::Paused)
            && window_ends.is_none();
        let missing_at = self.missing_at().filter(|_| is_open);
        let is_idle = self.limit.idle >= MISSING;
        let asks = |what: &str, is_known: bool| is_open && !is_known && view.sees(what);
        // What has failed for a known cause needs no events to be judged: they are evidence then.
        let is_unclear = self.troubles.failing(now).is_none()
            && (missing_at.is_some_and(|at| at <= now)
                || self.limit.is_over(now)
                || self.asked.is_last);
        let wants_events = asks("events", view.facts.events.is_some())
            && (is_unclear || self.troubles.are_clear_by_events());
        let wants_nodes = asks("nodes", view.facts.not_ready_nodes.is_some())
            && view.object().kind == RolloutKind::DaemonSet
            && is_idle;
        let mut look_again = window_ends;
        if goes_on && window_ends.is_none() {
            look_again = sooner(self.limit.end, self.troubles.next(now));
        } else if is_open {
            look_again = self
                .troubles
                .next(now)
                .filter(|_| state != RolloutState::Failed);
        }
        if view.facts.events.is_none() && view.sees("events") {
            look_again = sooner(look_again, missing_at.filter(|at| *at > now));
        }
        self.remarks.append(&mut self.completion.remarks);
        let Counts {
            updated,
            ready,
            available,
            old,
        } = self.counts;
        let mut rollout = Rollout::new(state, sentence);
        rollout.pods = match state {
            RolloutState::WaitsForDeletion => names(&view.old, |_| true),
            RolloutState::Complete => Vec::new(),
            _ => names(&view.new, |pod| !is_ready(pod)),
        };
        rollout.cause = cause;
        rollout.remarks = self.remarks;
        (rollout.desired, rollout.updated) = (view.target(), updated);
        (rollout.ready, rollout.available, rollout.old) = (ready, available, old);
        rollout.unseen = view.facts.unseen.iter().map(|u| u.reason.clone()).collect();
        Judged {
            rollout,
            reached: self.reached,
            look_again: look_again.filter(|at| *at > now),
            wants_events,
            wants_nodes,
        }
    }

    /// The first that fits.
    fn state(&self) -> (RolloutState, String, Option<Cause>) {
        let (view, now) = (self.view, self.view.now());
        let (id, object) = (&view.facts.workload.id, view.object());
        if self.completion.is_complete {
            let sentence = match object.desired {
                0 => format!("{id}: complete, with 0 pods"),
                _ => format!("{id}: complete, {} are ready", self.pods()),
            };
            return (RolloutState::Complete, sentence, None);
        }
        // Neither a pause nor the limit on lack of progress matters to it.
        if self.completion.window.is_some() {
            return (RolloutState::Progressing, self.progress(None), None);
        }
        let so_far = || {
            let deepest = self.troubles.deepest();
            let deepest = deepest.filter(|group| self.asked.is_last || !group.is_vague());
            deepest.map(|group| words::cause(view, group))
        };
        if object.is_paused {
            let resume = kubectl(id, "rollout resume", &kind_and_name(id));
            let sentence = format!(
                "{id}: its rollout is paused, {} are ready; to go on: {resume}",
                self.pods()
            );
            return (RolloutState::Paused, sentence, so_far());
        }
        if let Some(group) = self.troubles.failing(now) {
            let cause = words::cause(view, group);
            return (RolloutState::Failed, cause.message.clone(), Some(cause));
        }
        if object.is_on_delete && self.counts.old > 0 && view.is_observed() {
            return (
                RolloutState::WaitsForDeletion,
                self.waits_for_deletion(),
                so_far(),
            );
        }
        if self.limit.is_over(now) || self.has_timed_out() {
            let cause = self.at_the_limit();
            return (RolloutState::Failed, cause.message.clone(), Some(cause));
        }
        let cause = so_far();
        (
            RolloutState::Progressing,
            self.progress(cause.as_ref()),
            cause,
        )
    }

    fn pods(&self) -> Pods {
        Pods(self.counts.ready, self.view.target())
    }

    /// Whether Kubernetes itself has given up on the present template. The condition of an older one can stand for minutes, so it
    /// counts only if it names the present ReplicaSet and is not older than the change.
    fn has_timed_out(&self) -> bool {
        let view = self.view;
        let names_it = |condition: &Condition| match view.new_set {
            Some(set) => condition.message.contains(&format!("\"{}\"", set.name)),
            None => view.is_since_change(condition.since),
        };
        let mut conditions = view.object().conditions.iter();
        view.is_observed()
            && conditions.any(|c| {
                *c.kind == *"Progressing"
                    && *c.reason == *"ProgressDeadlineExceeded"
                    && view.is_since_change(c.since)
                    && self.asked.since.is_none_or(|asked| c.since >= Some(asked))
                    && names_it(c)
            })
    }

    /// The deepest cause, or else that nothing new was reached.
    fn at_the_limit(&self) -> Cause {
        match self.troubles.deepest() {
            Some(group) => {
                let mut cause = words::cause(self.view, group);
                cause
                    .details
                    .push(("idle", Told(self.limit.idle).to_string()));
                cause
            }
            None => words::nothing_new(self.view, &self.limit, &self.awaited()),
        }
    }

    /// Since when pods are missing for long enough.
    fn missing_at(&self) -> Option<SystemTime> {
        let (_, missing) = self.view.missing();
        let is_known = self.view.is_observed() && missing > 0;
        let since = self.reached.since(self.view.now());
        later(since, MISSING).filter(|_| is_known)
    }

    fn waits_for_deletion(&self) -> String {
        let (view, old) = (self.view, self.counts.old);
        let id = &view.facts.workload.id;
        let names = names(&view.old, |_| true);
        let mut command = kubectl(id, "delete pod", "");
        for name in names.iter().take(NAMED) {
            command.push_str(&Escaped(name).to_string());
            command.push(' ');
        }
        let next = match names.len() {
            0 => "delete them".to_owned(),
            1..=NAMED => format!("delete them: {}", command.trim_end()),
            _ => format!("delete them, beginning with: {}", command.trim_end()),
        };
        format!(
            "{id}: {old} of {} pods are of an older revision, and its update strategy is OnDelete; {next}",
            view.object().desired
        )
    }

    fn progress(&self, cause: Option<&Cause>) -> String {
        let id = &self.view.facts.workload.id;
        let mut sentence = format!("{id}: {}", self.awaited());
        // The cause's sentence names the workload, too.
        let named = format!("{id}: ");
        if let Some(said) = cause.and_then(|cause| cause.message.strip_prefix(&named)) {
            sentence.push_str("; so far ");
            sentence.push_str(said);
        }
        sentence
    }

    /// `2 of 3 new pods are ready; web-7c9f has been starting for 40 s`.
    fn awaited(&self) -> String {
        let (view, counts) = (self.view, self.counts);
        if !view.is_observed() {
            return format!(
                "its controller has not acted on the change yet, so 0 of {} new pods are ready",
                view.target()
            );
        }
        let mut told = format!("{} are ready", self.pods());
        if let Some(Window { ends, unproven }) = &self.completion.window {
            let left = Told(age(view.now(), *ends) + Duration::from_millis(999));
            told.push_str(&match unproven {
                Some(container) => format!(
                    "; container {} has no readiness probe, so it has to run for {left} more",
                    Escaped(container)
                ),
                None => format!("; it stays under observation for {left} more"),
            });
            return told;
        }
        let starting = view.new.iter().filter(|pod| !is_ready(pod));
        let starting = starting.min_by_key(|pod| (pod.created, &pod.name));
        let (_, missing) = view.missing();
        if let Some(pod) = starting {
            let name = Escaped(&pod.name);
            match pod.created {
                Some(created) => {
                    let age = Told(age(created, view.now()));
                    told.push_str(&format!("; {name} has been starting for {age}"));
                }
                None => told.push_str(&format!("; {name} is starting")),
            }
        } else if missing > 0 {
            told.push_str(&format!("; {} still to be created", PodsAre(missing)));
        } else if counts.available < counts.ready && !view.object().min_ready.is_zero() {
            let stays = Told(view.object().min_ready);
            told.push_str(&format!(
                "; each has to stay ready for {stays} (minReadySeconds)"
            ));
        } else if counts.old > 0 {
            told.push_str(&format!(
                "; {} left of an older revision",
                PodsAre(counts.old)
            ));
        }
        told
    }
}

fn names(pods: &[&PodFacts], admits: impl Fn(&PodFacts) -> bool) -> Vec<Text> {
    let admitted = pods.iter().filter(|pod| admits(pod));
    let mut names: Vec<Text> = admitted.map(|pod| pod.name.clone()).collect();
    names.sort();
    names
}
