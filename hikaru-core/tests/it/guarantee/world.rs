//! The code under test, step by step: plans, attempts and guarded writes on a `MemoryCluster`, each distinct step
//! computed once and remembered. Faults are planted here. What a model checker visits are small numbers that stand for
//! these values.

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Debug,
    sync::{Arc, Mutex, RwLock},
};

use futures_util::FutureExt as _;
use hikaru_core::{
    Build, Container, IdentityLabels, Mode, Request, TagFormats, Workload, WorkloadId, plan,
    policy::{Change, Code, Force},
    port::{ClusterError, WorkloadPort as _, Written},
    testing::MemoryCluster,
    upgrade::{Attempts, Outcome, Step},
    workload::{Place, Setting},
};

use super::scene::{Fault, Hand, IMAGES, Scene};

/// A number that stands for a workload or for attempts under way.
pub(super) type Ix = u32;

/// What is next in a pursuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Next {
    Write,
    Read,
    Done(End),
}

/// How a pursuit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum End {
    /// Told that it was upgraded.
    Upgraded,
    /// Told why not.
    Unchanged(Code),
    /// Told that it no longer matches.
    Withdrawn,
    /// Told that it failed.
    Failed,
}

/// What came of asking the cluster to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Answer {
    /// Applied: the cluster is this now.
    Applied(Ix),
    /// Refused by the guard.
    Stale,
    /// There is no such workload.
    NotFound,
}

/// Values that are equal in each field have one number.
struct Values<T> {
    by_text: HashMap<String, Ix>,
    values: Vec<Arc<T>>,
}

impl<T: Debug> Values<T> {
    fn new() -> Self {
        Self {
            by_text: HashMap::new(),
            values: Vec::new(),
        }
    }

    fn number(&mut self, value: T) -> Ix {
        let next = Ix::try_from(self.values.len()).expect("few distinct values");
        *self.by_text.entry(format!("{value:?}")).or_insert_with(|| {
            self.values.push(Arc::new(value));
            next
        })
    }

    fn get(&self, number: Ix) -> Arc<T> {
        self.values[usize::try_from(number).expect("an index")].clone()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Question {
    Start(usize, Ix),
    Next(Ix),
    Write(Ix, Ix),
    Answered(Ix, Heard),
    Read(Ix, Ix),
    Hand(usize, Ix),
}

#[derive(Clone, Copy, Debug)]
enum Known {
    Number(Option<Ix>),
    Next(Next),
    Answer(Answer),
}

/// What a handler hears of its write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Heard {
    Applied,
    Stale,
    NotFound,
    Lost,
}

struct Tables {
    workloads: Values<Workload>,
    pursuits: Values<Attempts>,
    known: HashMap<Question, Known>,
}

/// The steps of a scene, remembered.
pub(super) struct World {
    pub(super) scene: Scene,
    builds: Vec<Build>,
    /// What clients were told: to see that scenes come to what they are for.
    pub(super) told: Mutex<BTreeSet<End>>,
    tables: RwLock<Tables>,
}

impl World {
    pub(super) fn new(scene: Scene) -> Self {
        let build = |post: &super::scene::Post| {
            let image = IMAGES[usize::from(post.image)].text;
            Build::parse(image, &TagFormats::default()).expect("a build")
        };
        Self {
            builds: scene.posts.iter().map(build).collect(),
            scene,
            told: Mutex::default(),
            tables: RwLock::new(Tables {
                workloads: Values::new(),
                pursuits: Values::new(),
                known: HashMap::new(),
            }),
        }
    }

    fn know(&self, question: Question, find_out: impl FnOnce(&mut Tables) -> Known) -> Known {
        let known = self.tables.read().expect("no panic before");
        if let Some(known) = known.known.get(&question) {
            return *known;
        }
        drop(known);
        let mut tables = self.tables.write().expect("no panic before");
        let known = find_out(&mut tables);
        tables.known.insert(question, known);
        known
    }

    pub(super) fn workload(&self, number: Ix) -> Arc<Workload> {
        let tables = self.tables.read().expect("no panic before");
        tables.workloads.get(number)
    }

    /// What stands there at the start.
    pub(super) fn beginning(&self) -> Ix {
        let mut tables = self.tables.write().expect("no panic before");
        tables.workloads.number(fresh(self.scene.start, "uid-1"))
    }

    /// A post reaches a replica whose view is this. `None`: nothing matches.
    pub(super) fn start(&self, post: usize, view: Ix) -> Option<Ix> {
        let known = self.know(Question::Start(post, view), |tables| {
            let mut request = Request::new(self.builds[post].clone());
            if self.scene.posts[post].forced {
                request.force = Force::ALL;
            }
            let view = tables.workloads.get(view);
            if self.scene.fault == Some(Fault::ComparedAsText) && !self.scene.posts[post].forced {
                match higher_as_text(&self.builds[post], &view) {
                    Some(true) => request.force = "obsolete".parse().expect("a code"),
                    Some(false) => return Known::Number(None),
                    None => {}
                }
            }
            let plan = plan(request, [Workload::clone(&view)]);
            let attempts = Attempts::at_most(self.scene.attempts, plan).next();
            Known::Number(attempts.map(|attempts| tables.pursuits.number(attempts)))
        });
        let Known::Number(number) = known else {
            unreachable!("a start gives a number")
        };
        number
    }

    /// What is next in a pursuit.
    pub(super) fn next(&self, pursuit: Ix) -> Next {
        let known = self.know(Question::Next(pursuit), |tables| {
            let pursuit = tables.pursuits.get(pursuit);
            Known::Next(match pursuit.step() {
                Step::Write(_) => Next::Write,
                Step::Read(_) => Next::Read,
                Step::Done => {
                    let end = end(&pursuit);
                    self.told.lock().expect("no panic before").insert(end);
                    Next::Done(end)
                }
            })
        });
        let Known::Next(next) = known else {
            unreachable!("a next step")
        };
        next
    }

    /// The state that the pursuit's change was judged on.
    pub(super) fn judged(&self, pursuit: Ix) -> Option<Workload> {
        let tables = self.tables.read().expect("no panic before");
        match tables.pursuits.get(pursuit).step() {
            Step::Write(change) => Some(change.judged().clone()),
            Step::Read(_) | Step::Done => None,
        }
    }

    /// The write of a pursuit reaches the cluster, which is this now.
    pub(super) fn write(&self, pursuit: Ix, now: Ix) -> Answer {
        let known = self.know(Question::Write(pursuit, now), |tables| {
            let (pursuit, before) = (tables.pursuits.get(pursuit), tables.workloads.get(now));
            let Step::Write(change) = pursuit.step() else {
                unreachable!("only what is to be written is written")
            };
            let (answer, after) = write(change, &before, self.scene.fault);
            Known::Answer(match answer {
                Ok(()) => Answer::Applied(tables.workloads.number(after)),
                Err(ClusterError::Stale) => Answer::Stale,
                Err(ClusterError::NotFound(_)) => Answer::NotFound,
                Err(error) => panic!("expected no other error, found {error}"),
            })
        });
        let Known::Answer(answer) = known else {
            unreachable!("an answer")
        };
        answer
    }

    /// The handler hears of its write.
    pub(super) fn heard(&self, pursuit: Ix, heard: Heard) -> Ix {
        let known = self.know(Question::Answered(pursuit, heard), |tables| {
            let mut next = Attempts::clone(&tables.pursuits.get(pursuit));
            let lost = ClusterError::Lost("connection reset".into());
            next.written(match heard {
                Heard::Lost if self.scene.fault == Some(Fault::LostCountsAsDone) => {
                    Ok(Written::default())
                }
                Heard::Applied => Ok(Written::default()),
                Heard::Stale => Err(ClusterError::Stale),
                Heard::NotFound => Err(ClusterError::NotFound("it".into())),
                Heard::Lost => Err(lost),
            });
            Known::Number(Some(tables.pursuits.number(next)))
        });
        number(known)
    }

    /// The handler reads the cluster, which is this now, and judges again.
    pub(super) fn read(&self, pursuit: Ix, now: Ix) -> Ix {
        let known = self.know(Question::Read(pursuit, now), |tables| {
            let mut next = Attempts::clone(&tables.pursuits.get(pursuit));
            let now = Workload::clone(&tables.workloads.get(now));
            if self.scene.fault == Some(Fault::NotJudgedAgain) {
                let image = next.clone().finish().entry;
                let change = image.change.expect("it was written");
                let image = change.edits()[0].to();
                let build = Build::parse(image, &TagFormats::default()).expect("a build");
                let mut request = Request::new(build);
                request.force = Force::ALL;
                let forced = plan(request, [now]);
                let mut forced = Attempts::at_most(1, forced);
                return Known::Number(forced.next().map(|next| tables.pursuits.number(next)));
            }
            next.read(Ok(Some(now)));
            Known::Number(Some(tables.pursuits.number(next)))
        });
        number(known)
    }

    /// A person does something.
    pub(super) fn hand(&self, hand: usize, now: Ix) -> Ix {
        let known = self.know(Question::Hand(hand, now), |tables| {
            let mut workload = Workload::clone(&tables.workloads.get(now));
            self.scene.hands[hand].lay_on(&mut workload, self.scene.start);
            Known::Number(Some(tables.workloads.number(workload)))
        });
        number(known)
    }
}

fn number(known: Known) -> Ix {
    match known {
        Known::Number(Some(number)) => number,
        other => unreachable!("expected a number, found {other:?}"),
    }
}

fn end(attempts: &Attempts) -> End {
    let reported = attempts.clone().finish();
    match reported.outcome {
        Outcome::Upgraded => End::Upgraded,
        Outcome::Unchanged => End::Unchanged(reported.entry.codes().next().expect("a code")),
        Outcome::Withdrawn => End::Withdrawn,
        _ => End::Failed,
    }
}

fn fresh(image: u8, uid: &str) -> Workload {
    let mut workload = Workload::new(WorkloadId::new("shop", "Deployment", "web"));
    workload.uid = uid.into();
    workload.labels = IdentityLabels::new("acme", "web", "main");
    let image = IMAGES[usize::from(image)].text;
    workload.containers.push(Container::new("web", image));
    workload
}

impl Hand {
    fn lay_on(self, workload: &mut Workload, start: u8) {
        let image = |image: u8| IMAGES[usize::from(image)].text.into();
        let manual = |place| Setting::new(place, "upgrade", "manual");
        let opt_out = |workload: &mut Workload, place| {
            workload.settings.retain(|s| s.place != place);
            workload.settings.push(manual(place));
            workload.settings.sort_by_key(|s| s.place);
        };
        match self {
            Self::Undo(to) => {
                workload.containers[0].image = image(to);
                workload.settings.retain(|s| s.place == Place::Label);
            }
            Self::SetImage(to) => workload.containers[0].image = image(to),
            Self::OptOutByAnnotation => opt_out(workload, Place::Annotation),
            Self::OptOutByLabel => opt_out(workload, Place::Label),
            Self::OptIn => workload.settings.clear(),
            Self::Relabel(branch) => workload.labels.branch = Some(branch.into()),
            Self::Unhold => workload.containers[0].mark = None,
            Self::Recreate => {
                let uid = if &*workload.uid == "uid-1" {
                    "uid-2"
                } else {
                    "uid-1"
                };
                *workload = fresh(start, uid);
            }
        }
    }
}

/// Whether the posted build is higher than what runs by comparing texts. `None`: what runs is no build.
fn higher_as_text(build: &Build, view: &Workload) -> Option<bool> {
    let image = build.same_repository(&view.containers[0].image)?;
    let running = build.formats().read(image.tag()?).ok()?;
    let (posted, runs) = (build.tag().precedence(), running.precedence());
    Some(posted.to_string() > runs.to_string())
}

/// A guarded write on a cluster that is this before it, and what the cluster is afterwards.
fn write(
    change: &Change,
    before: &Workload,
    fault: Option<Fault>,
) -> (Result<(), ClusterError>, Workload) {
    let seen = without_test(change, before, fault);
    let cluster = MemoryCluster::default();
    cluster.put(seen.clone());
    cluster.edit(&seen.id, |now| now.uid = seen.uid.clone());
    let written = cluster.write(change, Mode::Commit).now_or_never();
    let written = written.expect("memory answers at once").map(drop);
    let mut after = before.clone();
    if written.is_ok() {
        let done = cluster.get(&seen.id).expect("it is there");
        for (container, (was, is)) in after
            .containers
            .iter_mut()
            .zip(seen.containers.iter().zip(done.containers))
        {
            if was.image != is.image {
                container.image = is.image;
            }
            match fault {
                Some(Fault::NoMark) => {}
                Some(Fault::MarkGoesDown) => {
                    // The mark of a change is made for a container without one.
                    let place = change.edits()[0].to();
                    let tag = place.rsplit_once('_').map_or("", |(tag, _)| tag);
                    let build = tag.splitn(4, '_').last().unwrap_or_default();
                    let hash = is.mark.as_deref().and_then(|m| m.rsplit_once('_'));
                    let hash = hash.map_or("", |(_, hash)| hash);
                    container.mark = Some(format!("{build}_{hash}").into());
                }
                _ if was.mark != is.mark => container.mark = is.mark,
                _ => {}
            }
        }
    }
    (written, after)
}

/// What the guard gets to see: what is there, but for the part whose test is left out, which is as it was judged.
fn without_test(change: &Change, before: &Workload, fault: Option<Fault>) -> Workload {
    let judged = change.judged();
    let mut seen = before.clone();
    let containers = seen.containers.iter_mut().zip(&judged.containers);
    match fault {
        Some(Fault::NoImageTest) => containers.for_each(|(now, judged)| {
            now.image = judged.image.clone();
        }),
        Some(Fault::NoMarkTest) => containers.for_each(|(now, judged)| {
            now.mark = judged.mark.clone();
        }),
        Some(Fault::NoOptOutTest) => seen.settings = judged.settings.clone(),
        Some(Fault::NoLabelsTest) => seen.labels = judged.labels.clone(),
        Some(Fault::NoUidTest) => seen.uid = judged.uid.clone(),
        _ => {}
    }
    seen
}
