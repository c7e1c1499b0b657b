//! The states that can be reached, and what must hold in each: a model for stateright. The steps themselves are the code
//! under test (`world.rs`); the oracle here knows images by the ranks that `scene.rs` gives them, and nothing of the
//! code's own order.

use hikaru_core::{Workload, policy::Code};
use stateright::{Model, Property};

use super::{
    scene::{Hand, IMAGES, Tells},
    world::{Answer, End, Heard, Ix, Next, World},
};

/// How many replicas there are: each has a view of its own, which may be old.
const REPLICAS: usize = 3;

/// One post on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Sent {
    /// Its client has not sent it, or sends it again after a crash.
    Waiting,
    /// A replica has it in hand.
    Running(Ix),
    /// Its client has heard what came of it.
    Told(End),
}

/// Something that must never be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Violation {
    /// An unforced write put a build that is not higher in place of what ran.
    Lowered,
    /// An unforced write put a build that is lower than one that hikaru wrote before, unforced; or the same again over
    /// something else than a floating tag.
    BelowAnEarlierOne,
    /// An unforced write on a workload that was opted out at that moment.
    OptedOut,
    /// A write on a workload whose labels said something else at that moment.
    OtherLabels,
    /// A write on another object of the same name than the one that was judged.
    OtherObject,
    /// A mark went down.
    MarkWentDown,
    /// A repository was introduced.
    OtherRepository,
    /// A client was told *upgraded*, but its image was never written.
    NeverWritten,
    /// A client was told that something at least as high runs or was deployed, but nothing ever was.
    Forgotten,
    /// All is quiet, nobody changed or forced anything, and less runs than was acknowledged.
    EndsTooLow,
}

/// A state of the cluster, of each replica and each client, and what the oracle remembers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    now: Ix,
    views: [Ix; REPLICAS],
    sent: Vec<Sent>,
    /// A write that nobody waits for any more, and that the network still holds.
    delayed: Option<(u8, Ix)>,
    losses: u8,
    crashes: u8,
    deeds: u8,
    /// The highest unforced write since the last mark was removed, by version and build.
    written: Option<(u8, u8)>,
    /// The highest build of `main` that ever ran.
    ran: (u8, u8),
    /// The highest version of another branch that ever ran.
    ran_elsewhere: u8,
    /// The highest build of `main` that was acknowledged.
    acknowledged: (u8, u8),
    /// The images that hikaru wrote, a bit each.
    images: u16,
    /// A person changed something, or forced it.
    touched: bool,
    pub(super) violation: Option<Violation>,
}

/// How a write ends for the one who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Fate {
    Answered,
    /// The answer is lost; the write was applied, or refused.
    AnswerLost,
    /// The request is lost.
    RequestLost,
    /// The request stays in the network, and may arrive later.
    Delayed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Action {
    /// A replica's view catches up.
    CatchUp(usize),
    /// A post reaches a replica.
    Start { post: usize, replica: usize },
    /// A write is sent.
    Write { post: usize, fate: Fate },
    /// What is there is read and judged.
    Read { post: usize },
    /// The one who has a post in hand dies.
    Crash { post: usize },
    /// A delayed write arrives.
    Arrive,
    /// A delayed write is lost for good.
    Vanish,
    /// A person does something.
    Hand(usize),
}

fn image_of(workload: &Workload) -> u8 {
    let text = &*workload.containers[0].image;
    let place = IMAGES.iter().position(|image| image.text == text);
    u8::try_from(place.expect("an image of the scene")).expect("few images")
}

fn tells(image: u8) -> Tells {
    IMAGES[usize::from(image)].tells
}

/// The place of a build of `main`.
fn rank(image: u8) -> Option<(u8, u8)> {
    match tells(image) {
        Tells::Build {
            branch: "main",
            version,
            number,
        } => Some((version, number)),
        _ => None,
    }
}

/// The place that a mark names, by the text of an image that it was made for. Marks of `dev` are not followed.
fn marked(workload: &Workload) -> Option<(u8, u8)> {
    let mark = workload.containers[0].mark.as_deref()?;
    let (build, _) = mark.rsplit_once('_')?;
    let named = |image: &&super::scene::Image| image.text.contains(&format!("_main_{build}_"));
    let named = IMAGES.iter().find(named).map(|image| image.tells);
    match named {
        Some(Tells::Build {
            version, number, ..
        }) => Some((version, number)),
        _ => None,
    }
}

impl State {
    /// States that differ only in which of equal replicas or equal posts is which are one state.
    fn canonical(mut self, world: &World) -> Self {
        if !self.sent.contains(&Sent::Waiting) {
            self.views = [self.now; REPLICAS];
        }
        self.views.sort_unstable();
        let posts = &world.scene.posts;
        let mut from = 0;
        while from < posts.len() {
            let same = posts[from..].iter().take_while(|p| **p == posts[from]);
            let to = from + same.count();
            self.sent[from..to].sort_unstable();
            from = to;
        }
        self
    }

    fn is_quiet(&self) -> bool {
        let running = |sent: &Sent| matches!(sent, Sent::Running(_));
        self.delayed.is_none() && !self.sent.iter().any(running)
    }

    /// A write was applied: what the oracle says of it.
    fn applied(&mut self, world: &World, post: usize, judged: &Workload, before: Ix) {
        let (was, is) = (world.workload(before), world.workload(self.now));
        let sent = world.scene.posts[post];
        let mut wrong = |violation: Violation| {
            self.violation.get_or_insert(violation);
        };
        let (old, new) = (image_of(&was), image_of(&is));
        let branch = match tells(sent.image) {
            Tells::Build { branch, .. } => branch,
            _ => unreachable!("builds are posted"),
        };
        if was.labels.branch.as_deref() != Some(branch) {
            wrong(Violation::OtherLabels);
        }
        if judged.uid != was.uid {
            wrong(Violation::OtherObject);
        }
        if matches!(tells(old), Tells::Elsewhere) || new != sent.image {
            wrong(Violation::OtherRepository);
        }
        if sent.forced {
            self.touched = true;
        } else {
            if was.settings.iter().any(|s| &*s.value == "manual") {
                wrong(Violation::OptedOut);
            }
            let higher = match (tells(old), tells(new)) {
                (
                    Tells::Build {
                        branch: a,
                        version: v,
                        number: n,
                    },
                    Tells::Build {
                        branch: b,
                        version: w,
                        number: m,
                    },
                ) => w > v || (a == b && w == v && m > n),
                _ => true,
            };
            if !higher {
                wrong(Violation::Lowered);
            }
            let is_again = rank(new) == self.written && matches!(tells(old), Tells::Nothing);
            if branch == "main" && rank(new) <= self.written && !is_again {
                wrong(Violation::BelowAnEarlierOne);
            }
            // A mark of another branch takes the place of this one's.
            self.written = if branch == "main" { rank(new) } else { None };
        }
        if marked(&is) < marked(&was) && branch == "main" {
            self.violation.get_or_insert(Violation::MarkWentDown);
        }
        self.images |= 1 << new;
        self.runs(new);
    }

    fn runs(&mut self, image: u8) {
        match tells(image) {
            Tells::Build {
                branch: "main",
                version,
                number,
            } => self.ran = self.ran.max((version, number)),
            Tells::Build { version, .. } => self.ran_elsewhere = self.ran_elsewhere.max(version),
            Tells::Nothing | Tells::Elsewhere => {}
        }
    }

    /// A client hears what came of its post.
    fn told(&mut self, world: &World, post: usize, end: End) {
        self.sent[post] = Sent::Told(end);
        let image = world.scene.posts[post].image;
        let Some(rank) = rank(image) else { return };
        if end == End::Upgraded && self.images & (1 << image) == 0 {
            self.violation.get_or_insert(Violation::NeverWritten);
        }
        let above = [
            Code::Equal,
            Code::Held,
            Code::ConflictingBuild,
            Code::Obsolete,
        ];
        let acknowledged = match end {
            End::Upgraded => true,
            End::Unchanged(code) => above.contains(&code),
            End::Withdrawn | End::Failed => false,
        };
        if acknowledged {
            self.acknowledged = self.acknowledged.max(rank);
            // Another branch's build of a higher version makes a build obsolete, too.
            let below_another =
                end == End::Unchanged(Code::Obsolete) && rank.0 < self.ran_elsewhere;
            if rank > self.ran && !below_another {
                self.violation.get_or_insert(Violation::Forgotten);
            }
        }
    }

    /// What must hold when nothing is under way.
    fn quiet(&mut self, world: &World) {
        let runs = rank(image_of(&world.workload(self.now))).unwrap_or_default();
        if !self.touched && (runs < self.acknowledged || runs != self.ran) {
            self.violation.get_or_insert(Violation::EndsTooLow);
        }
    }
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let now = self.beginning();
        vec![State {
            now,
            views: [now; REPLICAS],
            sent: vec![Sent::Waiting; self.scene.posts.len()],
            delayed: None,
            losses: self.scene.losses,
            crashes: self.scene.crashes,
            deeds: self.scene.deeds,
            written: None,
            ran: rank(self.scene.start).unwrap_or_default(),
            ran_elsewhere: 0,
            acknowledged: (0, 0),
            images: 0,
            touched: false,
            violation: None,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.violation.is_some() {
            return;
        }
        for (replica, view) in state.views.iter().enumerate() {
            let again = state.views[..replica].contains(view);
            if *view != state.now && !again {
                actions.push(Action::CatchUp(replica));
            }
            for (post, sent) in state.sent.iter().enumerate() {
                if *sent == Sent::Waiting && !again {
                    actions.push(Action::Start { post, replica });
                }
            }
        }
        for (post, sent) in state.sent.iter().enumerate() {
            let Sent::Running(pursuit) = sent else {
                continue;
            };
            match self.next(*pursuit) {
                Next::Write => {
                    let fate = Fate::Answered;
                    actions.push(Action::Write { post, fate });
                    if state.losses > 0 {
                        for fate in [Fate::AnswerLost, Fate::RequestLost] {
                            actions.push(Action::Write { post, fate });
                        }
                        if state.delayed.is_none() {
                            let fate = Fate::Delayed;
                            actions.push(Action::Write { post, fate });
                        }
                    }
                }
                Next::Read => actions.push(Action::Read { post }),
                Next::Done(_) => unreachable!("who is done has told so"),
            }
            if state.crashes > 0 {
                actions.push(Action::Crash { post });
            }
        }
        if state.delayed.is_some() {
            actions.extend([Action::Arrive, Action::Vanish]);
        }
        if state.deeds > 0 {
            actions.extend((0..self.scene.hands.len()).map(Action::Hand));
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::CatchUp(replica) => state.views[replica] = state.now,
            Action::Start { post, replica } => match self.start(post, state.views[replica]) {
                Some(pursuit) => state.sent[post] = Sent::Running(pursuit),
                // Nothing matches in this view.
                None => state.told(self, post, End::Withdrawn),
            },
            Action::Write { post, fate } => {
                let Sent::Running(pursuit) = state.sent[post] else {
                    return None;
                };
                let answer = match fate {
                    Fate::RequestLost | Fate::Delayed => None,
                    Fate::Answered | Fate::AnswerLost => {
                        Some(self.arrive(&mut state, post, pursuit))
                    }
                };
                if fate != Fate::Answered {
                    state.losses -= 1;
                }
                if fate == Fate::Delayed {
                    state.delayed = Some((u8::try_from(post).expect("few posts"), pursuit));
                }
                let heard = match answer.filter(|_| fate == Fate::Answered) {
                    None => Heard::Lost,
                    Some(Answer::Applied(_)) => Heard::Applied,
                    Some(Answer::Stale) => Heard::Stale,
                    Some(Answer::NotFound) => Heard::NotFound,
                };
                state.sent[post] = Sent::Running(self.heard(pursuit, heard));
            }
            Action::Read { post } => {
                let Sent::Running(pursuit) = state.sent[post] else {
                    return None;
                };
                state.sent[post] = Sent::Running(self.read(pursuit, state.now));
            }
            Action::Crash { post } => {
                state.crashes -= 1;
                state.sent[post] = Sent::Waiting;
            }
            Action::Arrive => {
                let (post, pursuit) = state.delayed.take()?;
                self.arrive(&mut state, usize::from(post), pursuit);
            }
            Action::Vanish => state.delayed = None,
            Action::Hand(hand) => {
                let now = self.hand(hand, state.now);
                if now == state.now {
                    return None;
                }
                state.now = now;
                state.deeds -= 1;
                state.touched = true;
                if matches!(self.scene.hands[hand], Hand::Unhold | Hand::Recreate) {
                    state.written = None;
                }
                state.runs(image_of(&self.workload(now)));
            }
        }
        for post in 0..state.sent.len() {
            if let Sent::Running(pursuit) = state.sent[post]
                && let Next::Done(end) = self.next(pursuit)
            {
                state.told(self, post, end);
            }
        }
        if state.is_quiet() {
            state.quiet(self);
        }
        Some(state.canonical(self))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always("the guarantee", |_, state: &State| {
            state.violation.is_none()
        })]
    }
}

impl World {
    /// A write reaches the cluster.
    fn arrive(&self, state: &mut State, post: usize, pursuit: Ix) -> Answer {
        let answer = self.write(pursuit, state.now);
        if let Answer::Applied(after) = answer {
            let judged = self.judged(pursuit).expect("it was to be written");
            let before = state.now;
            state.now = after;
            state.applied(self, post, &judged, before);
        }
        answer
    }
}
