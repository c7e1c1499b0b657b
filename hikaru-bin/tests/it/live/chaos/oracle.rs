//! The judge of a run: what the audit log says was done, beside what callers were told. It knows neither the rules nor
//! the code of hikaru, only the table of verdicts in `history`.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use super::history::{History, State};
use super::world::{Told, hash, mark};

/// How old the view may be that an answer rests on: an older one is answered 503. On a machine at rest it is
/// milliseconds, so how old the oldest was is told, too.
///
/// The age counts from the last event that hikaru heard. On a busy machine events arrive late, so the check adds the time of
/// the slowest answer of the run.
pub(super) const STALE: Duration = Duration::from_secs(30);

/// A post and what came of it.
#[derive(Clone, Debug)]
pub(super) struct Post {
    pub(super) image: String,
    /// The only Deployment that it is meant for, if it is narrowed.
    pub(super) only: Option<String>,
    pub(super) dry_run: bool,
    pub(super) sent: SystemTime,
    pub(super) ended: SystemTime,
    /// `None`: no answer arrived.
    pub(super) answer: Option<Answered>,
}

/// What a caller was told.
#[derive(Clone, Debug, Default)]
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) upgraded: Vec<Upgraded>,
    /// Each container's verdict, if the full report was asked for.
    pub(super) verdicts: Vec<Verdict>,
    /// The Deployments whose upgrade failed.
    pub(super) failed: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Upgraded {
    pub(super) object: String,
    pub(super) container: String,
    pub(super) from: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) object: String,
    pub(super) container: String,
    pub(super) from: String,
    pub(super) code: String,
}

impl Post {
    fn is_meant_for(&self, object: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == object)
    }

    /// Whether the caller may take it that this Deployment was seen to.
    pub(super) fn is_acknowledged_for(&self, object: &str) -> bool {
        let answer = self.answer.as_ref().filter(|_| !self.dry_run);
        answer.is_some_and(|answer| {
            matches!(answer.status, 200 | 422 | 502)
                && !answer.failed.iter().any(|failed| failed == object)
                && self.is_meant_for(object)
        })
    }
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// How old a view may be: `STALE`, and how late things are heard.
    oldest_allowed: Duration,
    pub(super) violations: Vec<String>,
    /// Hikaru's writes.
    pub(super) writes: u64,
    /// Images in them.
    pub(super) upgrades: u64,
    /// Those that no answer tells of, whose answers were lost.
    pub(super) untold: u64,
    /// Posts and containers for which it was asked whether an acknowledged post was left undone.
    pub(super) acknowledged: u64,
    /// Verdicts that were told, and looked up in the history.
    pub(super) verdicts: u64,
    /// How old the oldest view was that a verdict was made on.
    pub(super) oldest_view: Duration,
}

/// Holds a history against what callers were told.
pub(super) fn check(history: &History, posts: &[Post]) -> Findings {
    let mut findings = Findings {
        violations: history.violations.clone(),
        oldest_allowed: STALE + slowest_answer(posts),
        ..Findings::default()
    };
    findings.no_write_was_wrong(history);
    findings.writes_are_told(history, posts);
    for post in posts {
        findings.nothing_was_left_undone(history, post);
        findings.what_was_told_is_true(history, post);
    }
    findings
}

fn slowest_answer(posts: &[Post]) -> Duration {
    let answered = posts.iter().filter(|post| post.answer.is_some());
    let took = answered.filter_map(|post| post.ended.duration_since(post.sent).ok());
    took.max().unwrap_or_default()
}

/// A container's image that hikaru changed.
struct Write<'h> {
    object: &'h str,
    container: &'h str,
    from: &'h str,
    to: &'h str,
    received: SystemTime,
}

/// Hikaru's writes: the states before and after each, by Deployment.
fn hikarus(history: &History) -> impl Iterator<Item = (&str, &State, &State)> {
    history.objects.iter().flat_map(|(object, states)| {
        let pairs = states.iter().zip(states.iter().skip(1));
        let ours = pairs.filter(|(_, after)| after.is_hikarus);
        ours.map(move |(before, after)| (object.as_str(), before, after))
    })
}

fn writes(history: &History) -> impl Iterator<Item = Write<'_>> {
    hikarus(history).flat_map(|(object, before, after)| {
        let pairs = before.object.containers.iter();
        let pairs = pairs.zip(&after.object.containers);
        let changed = pairs.filter(|(before, after)| before.image != after.image);
        changed.map(move |(before, now)| Write {
            object,
            container: &now.name,
            from: &before.image,
            to: &now.image,
            received: after.received,
        })
    })
}

/// The states that an answer may rest on: from its view's age before it was asked to its end. With each, how long it was
/// over when it was asked.
fn seen<'h>(
    states: &'h [State],
    post: &Post,
    oldest: Duration,
) -> impl Iterator<Item = (&'h State, Duration)> + use<'h> {
    let (sent, ended) = (post.sent, post.ended);
    let first = states.partition_point(|state| state.answered + oldest < sent);
    // The one that stood at that time, too.
    let first = first.saturating_sub(1);
    let states = &states[first..];
    let ends = states.iter().skip(1).map(|next| Some(next.answered));
    let ends = ends.chain([None]);
    states.iter().zip(ends).filter_map(move |(state, end)| {
        let over = end.and_then(|end| sent.duration_since(end).ok());
        let over = over.unwrap_or_default();
        (state.received <= ended && over <= oldest).then_some((state, over))
    })
}

impl Findings {
    fn wrong(&mut self, words: String) {
        self.violations.push(words);
    }

    /// Each write was due in exactly the state that it met, went up, and left its mark.
    fn no_write_was_wrong(&mut self, history: &History) {
        for (object, before, after) in hikarus(history) {
            self.writes += 1;
            let mut changed = false;
            let pairs = before.object.containers.iter();
            for (was, now) in pairs.zip(&after.object.containers) {
                let (name, from, to) = (&now.name, &was.image, &now.image);
                let marks = [was, now].map(|c| c.mark.as_deref().and_then(mark));
                if let [Some((old, old_hash)), new] = marks
                    && new.is_none_or(|(new, hash)| hash == old_hash && new < old)
                {
                    self.wrong(format!(
                        "{object}/{name}: the mark went down, from {:?} to {:?}",
                        was.mark, now.mark
                    ));
                }
                if from == to {
                    if was.mark != now.mark {
                        self.wrong(format!("{object}/{name}: a mark, but no image"));
                    }
                    continue;
                }
                changed = true;
                self.upgrades += 1;
                let builds = [from, to].map(|image| Told::build(image));
                if let [Some((old, runs)), Some((new, posted))] = builds
                    && old == new
                    && posted < runs
                {
                    self.wrong(format!("{object}/{name}: a downgrade from {from} to {to}"));
                }
                match before.object.verdict(was, to) {
                    Some("upgrade") => {}
                    code => self.wrong(format!(
                        "{object}/{name}: {to} was written over {from}, though it was {}",
                        code.unwrap_or("not meant for it")
                    )),
                }
                let wanted = Told::build(to)
                    .map(|(identity, rank)| (rank, hash(Told::of(to).repository, identity)));
                let found = marks[1].map(|(rank, hash)| (rank, hash.to_owned()));
                if wanted != found {
                    self.wrong(format!(
                        "{object}/{name}: {to} was written with the mark {:?}",
                        now.mark
                    ));
                }
            }
            if !changed {
                self.wrong(format!("{object}: a write that changed no image"));
            }
        }
    }

    /// Whoever is told *upgraded* had it written, each write is told once, but for lost answers.
    fn writes_are_told(&mut self, history: &History, posts: &[Post]) {
        let mut untold: BTreeMap<[&str; 4], Vec<SystemTime>> = BTreeMap::new();
        for write in writes(history) {
            let key = [write.object, write.container, write.from, write.to];
            untold.entry(key).or_default().push(write.received);
        }
        let mut told: Vec<&Post> = posts.iter().filter(|post| !post.dry_run).collect();
        told.sort_by_key(|post| post.ended);
        for post in &told {
            for upgraded in post.answer.iter().flat_map(|answer| &answer.upgraded) {
                let Upgraded {
                    object,
                    container,
                    from,
                } = upgraded;
                let key = [object.as_str(), container, from, &post.image];
                let times = untold.entry(key).or_default();
                let at = times
                    .iter()
                    .position(|at| (post.sent..=post.ended).contains(at));
                match at {
                    Some(at) => drop(times.remove(at)),
                    None => self.wrong(format!(
                        "{object}/{container}: told as upgraded from {from} to {}, but that was not written",
                        post.image
                    )),
                }
            }
        }
        for ([object, container, from, to], times) in untold {
            for at in times {
                let lost = told.iter().any(|post| {
                    let unanswered = post.answer.as_ref().is_none_or(|told| told.status > 502);
                    unanswered && post.image == to && post.is_meant_for(object) && post.sent <= at
                });
                if lost {
                    self.untold += 1;
                } else {
                    self.wrong(format!(
                        "{object}/{container}: {to} was written over {from}, and nobody was told"
                    ));
                }
            }
        }
    }

    /// An acknowledged post leaves no container behind that it was due for all the time.
    fn nothing_was_left_undone(&mut self, history: &History, post: &Post) {
        for (object, states) in &history.objects {
            if !post.is_acknowledged_for(object) {
                continue;
            }
            let names = states.first().into_iter();
            let names = names.flat_map(|state| &state.object.containers);
            for name in names.map(|container| &container.name) {
                let mut is_meant = false;
                let is_due = seen(states, post, self.oldest_allowed).all(|(state, _)| {
                    let container = state.object.container(name);
                    let code = container.and_then(|c| state.object.verdict(c, &post.image));
                    is_meant |= code.is_some();
                    code == Some("upgrade")
                });
                self.acknowledged += u64::from(is_meant);
                if is_due {
                    self.wrong(format!(
                        "{object}/{name}: {} was acknowledged and not written",
                        post.image
                    ));
                }
            }
        }
    }

    /// Each verdict is true of a state that the container was in, shortly before the answer.
    fn what_was_told_is_true(&mut self, history: &History, post: &Post) {
        for told in post.answer.iter().flat_map(|answer| &answer.verdicts) {
            self.verdicts += 1;
            let Verdict {
                object,
                container,
                from,
                code,
            } = told;
            let states = history.objects.get(object).map_or(&[][..], |all| all);
            let fits = |state: &State| {
                let now = state.object.container(container);
                now.is_some_and(|now| {
                    now.image == *from
                        && state.object.verdict(now, &post.image) == Some(code.as_str())
                })
            };
            let ages = seen(states, post, self.oldest_allowed).filter(|(state, _)| fits(state));
            match ages.map(|(_, age)| age).min() {
                Some(age) => self.oldest_view = self.oldest_view.max(age),
                None => {
                    let ends = states.iter().skip(1).map(|next| Some(next.answered));
                    let over = states.iter().zip(ends.chain([None]));
                    let over = over.filter(|(state, _)| fits(state)).last();
                    let over = over.and_then(|(_, end)| post.sent.duration_since(end?).ok());
                    let (image, took) = (&post.image, post.ended.duration_since(post.sent));
                    self.wrong(format!(
                        "{object}/{container}: told within {took:?} that {image} is {code} over {from}, which was over \
                         since {over:?} or never so"
                    ));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
